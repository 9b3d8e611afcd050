//! Bindings in a policy file: read back as written, every mistake with its line, stated ones before learned ones.

use loadlock_policy::{Binding, Document, Policy, PolicyFile};

const FILE: &str = r#"format = 1

[[binding]]
segment = "fab"
side = "a"
address = "10.0.1.11"
mac = "02:00:00:00:00:01"
reason = "etcher 4, asset 1187"

[[binding]]
segment = "fab"
vlan = 20
side = "b"
address = "fd00::5"
reason = "behind the core router"

[[binding]]
segment = "ward"
vlan = "10.20"
side = "a"
mac = "02:00:00:00:00:02"
reason = "learned"
"#;

fn words(policy: &Policy) -> Vec<String> {
    let line = |binding: &Binding| format!("{binding}: {}", binding.parts().reason);
    policy.bindings().iter().map(line).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let policy = PolicyFile::parse(FILE, "test").expect("valid");
    assert_eq!(
        words(&policy),
        [
            "10.0.1.11 is 02:00:00:00:00:01 on side a: etcher 4, asset 1187",
            "fd00::5 is any station on side b in VLAN 20: behind the core router",
            "station 02:00:00:00:00:02 is on side a in VLAN 10.20: learned"
        ]
    );
    assert_eq!(policy.bindings().iter().filter(|binding| binding.is_learned()).count(), 1);
    let text = policy.to_toml();
    assert_eq!(PolicyFile::parse(&text, "again"), Ok(policy.clone()));
    let json = serde_json::to_string(&PolicyFile::from(&policy)).expect("serialises");
    let file: PolicyFile = serde_json::from_str(&json).expect("reads");
    assert_eq!(file.validate("json"), Ok(policy.clone()));
    let without = Policy::default();
    assert_ne!(policy.hash(), without.hash(), "a version's hash covers its bindings");
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    let file = "format = 1\n[[binding]]\nsegment = \"fab\"\nside = \"c\"\naddress = \"10.0.1\"\nmac = \"02:00\"\nvlan = \"any\"\n\
                reason = \"x\"\nnode = 1\n[[binding]]\nside = 7\n[[binding]]\nsegment = \"fab\"\nside = \"a\"\nreason = \"y\"\n\
                [[binding]]\nsegment = \"fab\"\nside = \"a\"\nreason = \"z\"\naddress = \"224.0.0.1\"\n\
                [[binding]]\nsegment = \"fab\"\nside = \"a\"\nreason = \"z\"\nmac = \"ff:ff:ff:ff:ff:ff\"\n";
    let errors = PolicyFile::parse(file, "p.toml").expect_err("full of mistakes").to_string();
    for start in [
        "p.toml:4: `binding[#1].side` is \"c\"",
        "p.toml:5: `binding[#1].address` is \"10.0.1\"",
        "p.toml:6: `binding[#1].mac` is \"02:00\"",
        "p.toml:7: `binding[#1].vlan` is \"any\"",
        "p.toml:9: `binding[#1].node` there is no such key",
        "p.toml:10: `binding[#2].segment` is missing",
        "p.toml:10: `binding[#2].reason` is missing",
        "p.toml:11: `binding[#2].side` is of type integer",
        "p.toml:12: `binding[#3].address` is missing",
        "p.toml:20: `binding[#4].address` is \"224.0.0.1\"",
        "p.toml:25: `binding[#5].mac` is \"ff:ff:ff:ff:ff:ff\"",
    ] {
        assert!(errors.lines().any(|line| line.starts_with(start)), "{start}\n{errors}");
    }
    assert_eq!(errors.lines().count(), 11, "{errors}");
}

#[test]
fn contradictions_name_both_bindings() {
    let again = "[[binding]]\nsegment = \"fab\"\nside = \"b\"\naddress = \"10.0.1.11\"\nreason = \"x\"\n\
                 [[binding]]\nsegment = \"fab\"\nside = \"b\"\naddress = \"10.0.1.12\"\nmac = \"02:00:00:00:00:01\"\nreason = \"x\"\n";
    let errors = PolicyFile::parse(&format!("{FILE}{again}"), "p").expect_err("two").to_string();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 2, "{errors}");
    assert!(lines.iter().all(|line| line.contains("contradicts binding[#1] (line 3)")), "{errors}");
    let elsewhere = "[[binding]]\nsegment = \"fab\"\nvlan = 7\nside = \"b\"\naddress = \"10.0.1.11\"\nreason = \"x\"\n";
    assert!(PolicyFile::parse(&format!("{FILE}{elsewhere}"), "p").is_ok(), "another VLAN");
}

#[test]
fn learned_bindings_replace_learned_ones_and_a_persons_stay() {
    let file = |bindings: &[(&str, &str, &str, &str)]| {
        let text: String = bindings
            .iter()
            .map(|(segment, address, mac, reason)| {
                format!(
                    "[[binding]]\nsegment = \"{segment}\"\nside = \"a\"\naddress = \"{address}\"\n\
                     mac = \"02:00:00:00:00:{mac}\"\nreason = \"{reason}\"\n"
                )
            })
            .collect();
        PolicyFile::parse(&format!("format = 1\n{text}"), "test").expect("valid")
    };
    let old = file(&[
        ("fab", "10.0.0.1", "01", "renewed by eve"),
        ("fab", "10.0.0.2", "02", "learned"),
        ("fab", "10.0.0.3", "03", "learned"),
        ("ward", "10.0.0.4", "04", "learned"),
    ]);
    let learned = file(&[
        ("fab", "10.0.0.1", "11", "learned"),
        ("fab", "10.0.0.2", "12", "learned"),
        ("ward", "10.0.0.4", "14", "learned"),
    ]);
    let merged =
        old.with_learned(&learned, |segment| segment == "fab", |_| false).expect("consistent");
    assert_eq!(
        words(&merged),
        [
            "10.0.0.1 is 02:00:00:00:00:01 on side a: renewed by eve",
            "10.0.0.2 is 02:00:00:00:00:12 on side a: learned",
            "10.0.0.4 is 02:00:00:00:00:04 on side a: learned"
        ]
    );
}

const RULE: &str = r#"
[[rule]]
id = 1
segment = "fab"
vlan = "untagged"
client = "10.0.1.11"
client_side = "both"
server = "10.0.2.1"
service = "tcp/5000"
opens = "client"
midstream = false
reason = "recipes"
"#;

#[test]
fn rules_and_bindings_are_read_back_together() {
    let (head, bindings) = FILE.split_once('\n').expect("two lines");
    let policy = PolicyFile::parse(&format!("{head}\n{RULE}{bindings}"), "test").expect("valid");
    assert_eq!((policy.rules().len(), policy.bindings().len()), (1, 3));
    let text = policy.to_toml();
    assert_eq!(PolicyFile::parse(&text, "again"), Ok(policy));
    let damaged = text.replace("side = \"b\"", "side = \"c\"");
    let errors = PolicyFile::parse(&damaged, "again").expect_err("no side").to_string();
    assert!(errors.contains("again:") && errors.contains("binding[#2].side"), "{errors}");
}

#[test]
fn document_states_bindings_and_leaves_all_others_as_they_are() {
    let base = PolicyFile::parse(FILE, "base").expect("valid");
    let text = r#"format = 1

[[binding]]
segment = "fab"
side = "a"
address = "10.0.1.11"
mac = "02:00:00:00:00:09"
reason = "spare part, ticket 12"
"#;
    let document = Document::parse(text, "site.toml").expect("valid");
    let expected = [
        "10.0.1.11 is 02:00:00:00:00:09 on side a: spare part, ticket 12",
        "fd00::5 is any station on side b in VLAN 20: behind the core router",
        "station 02:00:00:00:00:02 is on side a in VLAN 10.20: learned",
    ];
    assert_eq!(words(&document.expand(&base, 0).expect("expands")), expected);
    assert_eq!(words(&document.expand_again(&base, 0).expect("expands")), expected);
}
