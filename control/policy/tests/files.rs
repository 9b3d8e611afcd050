//! Files with mistakes, and files that show the defaults.

use loadlock_exchange::{CompileError, Infrastructure, Seed, SegmentPolicy};
use loadlock_policy::{
    Policy, PolicyCompileError, PolicyFile, Problem, SegmentDefinition, VlanMatch,
};

const RULE: &str = r#"
[[rule]]
segment = "fab"
client = "10.0.1.11"
server = "10.0.2.1"
service = "tcp/5000"
reason = "HSMS to the MES"
"#;

fn parse(text: &str) -> Policy {
    PolicyFile::parse(text, "test.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

fn messages(text: &str) -> Vec<String> {
    let errors = PolicyFile::parse(text, "test.toml").expect_err("mistakes");
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_permit_no_more_than_the_rule_says() {
    let policy = parse(&format!("format = 1\n{RULE}"));
    let parts = policy.rules()[0].parts();
    assert_eq!(parts.vlans, VlanMatch::DEFAULT);
    assert_eq!(parts.vlans.to_string(), "untagged");
    assert_eq!((parts.client_side, parts.opens.name(), parts.midstream), (None, "client", false));
    assert_eq!(policy.rules()[0].words(), "10.0.1.11 → 10.0.2.1 tcp/5000");
}

#[test]
fn the_canonical_text_writes_everything_out() {
    let extra = "id = 7\nvlan = 10\nclient_side = \"a\"\nopens = \"both\"\nmidstream = true\nowner = 'the \"line\"'";
    let policy = parse(&format!("format = 1\n{RULE}{extra}"));
    let text = "format = 1\n\n[[rule]]\nid = 7\nsegment = \"fab\"\nvlan = 10\nclient = \"10.0.1.11\"\nclient_side = \"a\"\n\
                server = \"10.0.2.1\"\nservice = \"tcp/5000\"\nopens = \"both\"\nmidstream = true\n\
                reason = \"HSMS to the MES\"\nowner = \"the \\\"line\\\"\"\n";
    assert_eq!(policy.to_toml(), text);
    let words =
        "10.0.1.11 (side A) → 10.0.2.1 tcp/5000 in VLAN 10, opened by either, also met running";
    assert_eq!(policy.rules()[0].words(), words);
    let hash = policy.hash().to_string();
    assert_eq!(hash.len(), 64);
    assert_eq!(parse("format = 1").to_toml(), "format = 1\n");
}

#[test]
fn rules_without_an_id_take_the_smallest_free_ones_in_order() {
    let rule = |id: &str, port: u16| RULE.replace("tcp/5000", &format!("tcp/{port}")) + id;
    let text = [
        "format = 1\n".to_owned(),
        rule("", 1),
        rule("id = 2\n", 2),
        rule("", 3),
        rule("id = 1\n", 4),
        rule("", 5),
    ];
    let policy = parse(&text.concat());
    let numbered: Vec<_> = policy
        .rules()
        .iter()
        .map(|rule| (rule.id().number(), rule.parts().service.range().0))
        .collect();
    assert_eq!(numbered, [(1, 4), (2, 2), (3, 1), (4, 3), (5, 5)]);
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_lines() {
    let text = r#"format = 1
colour = "red"
[[rule]]
id = 0
segment = "Fab 1"
client = "10.0.1.11/24"
server = "10.0.2.1"
service = "tcp/70000"
vlan = 10.20
client_sied = "a"
opens = "anybody"
[[rule]]
segment = "fab"
client = "10.0.1.11"
server = "fd00::1"
service = "udp/53"
reason = " "
[[rule]]
client = "02:00:00:00:00:01"
service = "icmp/echo"
"#;
    let expected = [
        "test.toml:2: `colour` there is no such key; allowed are format, rule",
        "test.toml:3: `rule[#1].reason` is missing; give a sentence",
        "test.toml:4: `rule[#1].id` is \"0\"; allowed: 1 to 268435455",
        "test.toml:6: `rule[#1].client` is \"10.0.1.11/24\"; allowed: a prefix without bits behind its length; did you mean \"10.0.1.0/24\"?",
        "test.toml:8: `rule[#1].service` is \"tcp/70000\"; allowed: tcp/PORT",
        "test.toml:9: `rule[#1].vlan` is of type float; allowed: a VLAN id",
        "test.toml:10: `rule[#1].client_sied` there is no such key; did you mean `client_side`?",
        "test.toml:11: `rule[#1].opens` is \"anybody\"; allowed: \"client\"",
        "test.toml:17: `rule[#2].reason` is \" \"; allowed: 1 to 500 characters",
        "test.toml:18: `rule[#3].segment` is missing; give the name",
        "test.toml:18: `rule[#3].server` is missing; give the server's",
        "test.toml:18: `rule[#3].reason` is missing",
    ];
    let found = messages(text);
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn ends_and_services_that_do_not_go_together_are_refused() {
    let rule = |client: &str, server: &str, service: &str| {
        let text = format!("format = 1\n{RULE}");
        let text = text.replace("10.0.1.11", client).replace("10.0.2.1", server);
        messages(&text.replace("tcp/5000", service)).concat()
    };
    assert!(rule("10.0.1.11", "fd00::1", "tcp/80").contains("both as IPv4 or both as IPv6"));
    assert!(rule("fd00::1", "any", "icmp/echo").contains("IPv6 has icmpv6"));
    assert!(rule("any", "10.0.0.1", "icmpv6/echo").contains("IPv4 has icmp"));
    assert!(rule("02:00:00:00:00:01", "any", "tcp/80").contains("an IP address or prefix"));
    assert!(rule("10.0.1.11", "any", "ether/0x88cc").contains("a MAC address"));
    assert!(rule("any", "any", "snap/00000c:0x2000").contains("name one end by its MAC address"));
}

#[test]
fn two_rules_with_the_same_meaning_are_refused() {
    let twice = messages(&format!("format = 1\n{RULE}{RULE}"));
    assert!(
        twice[0].starts_with(
            "test.toml:10: `rule[#2]` permits conversations that rule 1 (line 3) permits"
        ),
        "{twice:?}"
    );
    let narrower = messages(&format!("format = 1\n{RULE}{RULE}client_side = \"b\""));
    assert_eq!(narrower.len(), 1);
    let ids =
        messages(&format!("format = 1\n{RULE}id = 3\n{}id = 3", RULE.replace("5000", "5001")));
    assert!(ids[0].contains("`rule[#2].id` is 3, which rule[#1] (line 9) has"), "{ids:?}");
    // A range that holds the port is another shape; the single port, being more specific, decides for itself.
    parse(&format!("format = 1\n{RULE}{}", RULE.replace("5000", "5000-5007")));
}

#[test]
fn too_many_shapes_are_refused_before_they_reach_a_dataplane() {
    let rules: String =
        (8..=24).map(|bits| RULE.replace("10.0.1.11", &format!("10.0.0.0/{bits}"))).collect();
    let text = format!("format = 1\n{rules}");
    let errors = PolicyFile::parse(&text, "test.toml").expect_err("17 shapes");
    let problem = &errors.iter().next().expect("one").problem;
    assert!(matches!(problem, Problem::TooManyShapes { shapes: 17, rarest } if rarest.len() == 8));
}

#[test]
fn formats_and_syntax_are_refused_by_name() {
    assert_eq!(messages(""), ["test.toml: `format` is missing; start the file with `format = 1`"]);
    assert!(
        messages("format = 2")[0]
            .starts_with("test.toml:1: `format` is 2, this version reads format 1")
    );
    assert!(messages("format = \"1\"")[0].contains("`format` is string"));
    assert!(messages("format = 1\nrule = 3")[0].contains("each below a header [[rule]]"));
    let syntax = messages("format = 1\n[[rule]\nx = = 1");
    assert!(syntax[0].starts_with("test.toml:2: not TOML"), "{syntax:?}");
    let json = r#"{"format": 2, "rule": [{"segment": "fab"}]}"#;
    let file: PolicyFile = serde_json::from_str(json).expect("the right types");
    assert_eq!(file.validate("request").expect_err("mistakes").iter().count(), 5);
}

#[test]
fn what_the_machine_lacks_is_refused_when_compiling() {
    let policy =
        parse(&format!("format = 1\n{RULE}{}", RULE.replace("fab", "fba").replace("5000", "80")));
    let infrastructure = Infrastructure { arp: true, neighbour_discovery: true, link_local: false };
    let definition = |name: &str| SegmentDefinition {
        name: name.to_owned(),
        policy: SegmentPolicy { infrastructure, ..SegmentPolicy::CLOSED },
    };
    let error = policy.compile(&[definition("fab")], 1, Seed([1, 2]), 16).err().expect("fba");
    let expected = "segment \"fba\" of rule 2 (1 in all) isn't configured; configured are: fab; correct the rules, or configure the segment";
    assert_eq!(error.to_string(), expected);
    let full = policy.compile(&[definition("fab"), definition("fba")], 1, Seed([1, 2]), 1);
    assert!(matches!(
        full,
        Err(PolicyCompileError::Tables(CompileError::TooManyRules { .. })) | Ok(_)
    ));
    let many: Vec<_> = (0..17).map(|number| definition(&format!("s{number}"))).collect();
    let error = policy.compile(&many, 1, Seed([1, 2]), 16).err().expect("17 segments");
    assert_eq!(error, PolicyCompileError::TooManySegments { segments: 17 });
}
