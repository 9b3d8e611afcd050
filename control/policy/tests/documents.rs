//! Policy documents: what they become, what they refuse, and all mistakes at once.

use loadlock_exchange::Mode;
use loadlock_policy::{Document, Opens, Policy, PolicyFile};

const SITE: &str = r#"format = 1

[[zone]]
name = "bay-1"

[[device]]
name = "etch-07"
address = "10.0.1.7"
segment = "fab"
side = "a"
role = "etcher"
zone = "bay-1"

[[device]]
name = "etch-08"
address = "10.0.1.8"
segment = "fab"
side = "a"
role = "etcher"
zone = "bay-1"

[[device]]
name = "mes"
address = "10.0.2.1"
segment = "fab"
side = "b"

[[service]]
name = "hsms"
port = ["tcp/5000", "tcp/5001"]

# The line can't run without it.
[[permit]]
from = "role:etcher"
to = "device:mes"
service = "hsms"
reason = "equipment talks to its host"
owner = "automation"
"#;

const HOUR: u64 = 3_600_000_000_000;

fn expand(text: &str, base: &Policy) -> Policy {
    Document::parse(text, "site.toml").expect("valid").expand(base, HOUR).expect("expands")
}

fn words(policy: &Policy) -> Vec<String> {
    policy.rules().iter().map(|rule| format!("{} {}", rule.id(), rule.words())).collect()
}

fn learned(id: u32, client: &str, server: &str, service: &str) -> String {
    format!(
        "[[rule]]\nid = {id}\nsegment = \"fab\"\nclient = \"{client}\"\nclient_side = \"a\"\nserver = \"{server}\"\n\
         service = \"{service}\"\nreason = \"learned: seen\"\n"
    )
}

fn base(rules: &[String]) -> Policy {
    PolicyFile::parse(&format!("format = 1\n{}", rules.concat()), "base").expect("valid")
}

#[test]
fn a_permit_becomes_a_rule_for_each_pair_and_service() {
    let policy = expand(SITE, &Policy::default());
    assert_eq!(
        words(&policy),
        [
            "1 10.0.1.7 (side A) → 10.0.2.1 tcp/5000",
            "2 10.0.1.7 (side A) → 10.0.2.1 tcp/5001",
            "3 10.0.1.8 (side A) → 10.0.2.1 tcp/5000",
            "4 10.0.1.8 (side A) → 10.0.2.1 tcp/5001",
        ]
    );
    let rule = &policy.rules()[0];
    assert_eq!(rule.parts().owner.as_deref(), Some("automation"));
    // What is there keeps its number; what was learned stays, unless a permit says the same.
    let before = base(&[
        learned(1, "10.0.1.9", "10.0.2.1", "tcp/80"),
        learned(2, "10.0.1.8", "10.0.2.1", "tcp/5001"),
    ]);
    assert_eq!(
        words(&expand(SITE, &before)),
        [
            "1 10.0.1.9 (side A) → 10.0.2.1 tcp/80",
            "2 10.0.1.8 (side A) → 10.0.2.1 tcp/5001",
            "3 10.0.1.7 (side A) → 10.0.2.1 tcp/5000",
            "4 10.0.1.7 (side A) → 10.0.2.1 tcp/5001",
            "5 10.0.1.8 (side A) → 10.0.2.1 tcp/5000",
        ]
    );
    let listed = SITE.replacen("format = 1", "format = 1\nlearned = \"listed\"", 1);
    assert_eq!(words(&expand(&listed, &before)).len(), 4);
    // The same document over its own rules changes nothing.
    let again = expand(SITE, &expand(SITE, &before));
    assert_eq!(words(&again), words(&expand(SITE, &before)));
}

#[test]
fn a_refusal_takes_rules_out_whoever_made_them() {
    let deny = "[[deny]]\nfrom = \"device:etch-07\"\nto = \"any\"\nservice = \"tcp/5001\"\nreason = \"r\"\nowner = \"o\"\n";
    let before = base(&[learned(9, "10.0.1.7", "10.0.2.9", "tcp/5001")]);
    let policy = expand(&format!("{SITE}{deny}"), &before);
    assert!(!words(&policy).iter().any(|rule| rule.contains("10.0.1.7") && rule.contains("5001")));
    assert_eq!(policy.rules().len(), 3);
    // What is learned later is refused as well.
    let document = Document::parse(&format!("{SITE}{deny}"), "site.toml").unwrap();
    assert_eq!(document.cut_from(before).unwrap().rules().len(), 0);
}

#[test]
fn a_refusal_cuts_a_hole_into_what_is_more_general() {
    let site = r#"format = 1
[[permit]]
from = "10.0.0.0/8"
to = "10.9.0.1"
service = "tcp/5000-5007"
segment = "fab"
reason = "r"
owner = "o"
[[hold]]
from = "10.0.1.7"
to = "any"
service = "tcp/5003-6000"
reason = "looks odd"
owner = "o"
"#;
    let policy = expand(site, &Policy::default());
    assert_eq!(
        words(&policy),
        ["1 10.0.0.0/8 → 10.9.0.1 tcp/5000-5007", "2 10.0.1.7 → 10.9.0.1 tcp/5003-5007: denied"]
    );
    assert_eq!(policy.rules()[1].parts().opens, Opens::Nobody);
    assert_eq!(&*policy.rules()[1].parts().reason, "held: looks odd");
    assert_eq!(PolicyFile::parse(&policy.to_toml(), "again"), Ok(policy));
}

#[test]
fn a_devices_mode_leaves_the_rules_as_they_are() {
    let site = SITE.replacen("role = \"etcher\"", "role = \"etcher\"\nmode = \"quarantine\"", 1);
    let document = Document::parse(&site, "site.toml").unwrap();
    let before = expand(SITE, &Policy::default());
    assert_eq!(
        document.expand(&Policy::default(), HOUR).unwrap(),
        before,
        "and so it can go as it came"
    );
    let modes = document.device_modes();
    assert_eq!(modes.len(), document.devices()[0].addresses.len());
    assert!(modes.iter().all(|mode| mode.mode == Mode::Quarantine));
    let of_it = |rule: &&loadlock_policy::Rule| rule.words().contains("10.0.1.7 ");
    let rule = before.rules().iter().find(of_it).unwrap();
    assert_eq!(document.mode_of(rule), Some(Mode::Quarantine));
}

#[test]
fn an_island_keeps_what_stays_inside_and_goes_as_it_came() {
    let inner = "[[permit]]\nfrom = \"role:etcher\"\nto = \"role:etcher\"\nservice = \"udp/9\"\nreason = \"r\"\nowner = \"o\"\n";
    let document = Document::parse(&format!("{SITE}{inner}"), "site.toml").unwrap();
    let before = document.expand(&Policy::default(), HOUR).unwrap();
    let island = "[[island]]\nzone = \"bay-1\"\nreason = \"worm\"\nowner = \"anna\"\n";
    let cut = document.with_section(island, "site.toml").unwrap();
    let policy = cut.expand(&before, HOUR).unwrap();
    let rules = words(&policy);
    assert_eq!(rules.len(), 2, "{rules:?}");
    assert!(rules.iter().all(|rule| rule.contains("udp/9")));
    let back = cut.without_island("bay-1", "site.toml").unwrap();
    assert_eq!(back.text().trim_end(), document.text().trim_end());
    let again = back.expand(&policy, HOUR).unwrap();
    let plain = |policy: &Policy| {
        let mut words: Vec<_> = policy.rules().iter().map(|rule| rule.words()).collect();
        words.sort();
        words
    };
    assert_eq!(plain(&again), plain(&before));
}

#[test]
fn an_expired_permit_holds_no_more() {
    let text = SITE.replacen(
        "owner = \"automation\"",
        "owner = \"automation\"\nexpires = 1970-01-01T02:00:00Z",
        1,
    );
    let document = Document::parse(&text, "site.toml").unwrap();
    assert_eq!(document.next_expiry_ns(HOUR), Some(2 * HOUR));
    assert_eq!(document.expand(&Policy::default(), HOUR).unwrap().rules().len(), 4);
    assert_eq!(document.expand(&Policy::default(), 2 * HOUR).unwrap().rules().len(), 0);
}

#[test]
fn all_mistakes_come_at_once_with_their_lines() {
    let text = r#"format = 1
learnt = "keep"
[[device]]
name = "a"
address = "10.0.0.0/8"
mode = "lern"
[[device]]
name = "a"
address = 7
[[permit]]
from = "role:etchr"
to = "device:a"
service = "hsms"
reason = " "
expires = "tomorrow"
[[permit]]
from = "any"
"#;
    let errors = Document::parse(text, "site.toml").unwrap_err().to_string();
    let lines: Vec<_> = errors.lines().collect();
    for expected in [
        "site.toml:2: `learnt` there is no such key; did you mean `learned`?",
        "site.toml:5: `device[#1].address` is \"10.0.0.0/8\"; allowed: single IP or MAC addresses",
        "site.toml:6: `device[#1].mode` is \"lern\"; allowed: \"learn\", \"monitor\", \"enforce\" or \"quarantine\"",
        "site.toml:8: `device[#2].name` is \"a\" a second time, the first is on line 3",
        "site.toml:9: `device[#2].address` is of type integer",
        "site.toml:11: `permit[#1].from` there is no role \"etchr\"",
        "site.toml:13: `permit[#1].service` there is no service \"hsms\"",
        "site.toml:14: `permit[#1].reason` is \" \"",
        "site.toml:15: `permit[#1].expires` is of type string; allowed: a time with its offset",
        "site.toml:10: `permit[#1].owner` is missing",
        "site.toml:16: `permit[#2].reason` is missing",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}\n{errors}");
    }
    let open = "format = 1\n[[permit]]\nfrom = \"any\"\nto = \"10.0.0.1\"\nservice = \"tcp/1\"\nreason = \"r\"\nowner = \"o\"\n";
    let error = Document::parse(open, "p").unwrap().expand(&Policy::default(), 0).unwrap_err();
    assert!(error.to_string().contains("`permit[#1].segment` is missing"), "{error}");
}

#[test]
fn rules_behind_a_document_are_read_the_short_way_to_the_same_end() {
    let policy = expand(SITE, &Policy::default());
    let rules = policy.to_toml().replacen("format = 1\n", "", 1);
    let text = format!("format = 1\nlearned = \"listed\"\n{rules}");
    let listed = expand(&text, &Policy::default());
    assert_eq!(words(&listed), words(&policy));
    // With a comment in it, it isn't the writer's form any more, and means the same.
    let commented = text.replacen("reason =", "# why\nreason =", 1);
    assert_eq!(words(&expand(&commented, &Policy::default())), words(&policy));
    let mistaken = text.replacen("tcp/5001", "tcp/x", 1);
    let error = Document::parse(&mistaken, "p").unwrap_err().to_string();
    assert!(error.starts_with("p:24: `rule[#2].service` is \"tcp/x\""), "{error}");
}

/// What a program writes as JSON is the document that a person writes as TOML.
#[test]
fn json_is_the_same_document() {
    let expires = "owner = \"automation\"\nexpires = 1970-01-01T02:00:00Z";
    let toml = SITE.replacen("owner = \"automation\"", expires, 1);
    let mut table: toml::Table = toml.parse().unwrap();
    let of_toml = Document::read(&toml, "site.toml").unwrap();
    let permits = table["permit"].as_array_mut().unwrap();
    let permit = permits.iter_mut().find(|permit| permit.get("expires").is_some()).unwrap();
    permit["expires"] = toml::Value::String("1970-01-01T02:00:00Z".to_owned());
    let json = serde_json::to_string_pretty(&table).unwrap();
    let of_json = Document::read(&json, "site.json").unwrap();
    for now in [HOUR, 3 * HOUR] {
        let [one, other] =
            [&of_toml, &of_json].map(|document| document.expand(&base(&[]), now).unwrap());
        assert_eq!(words(&one), words(&other));
    }
    // It is kept as TOML, which the verbs change.
    let kept = Document::parse(of_json.text(), "kept").unwrap();
    assert_eq!(kept.devices(), of_toml.devices());
}

#[test]
fn mistakes_in_json_have_their_place() {
    let said = |text: &str| Document::read(text, "site.json").unwrap_err().to_string();
    for (text, place) in [
        ("{\n\"format\": 1,\n\"deny\": null}", "site.json:3: "),
        ("{\"format\": 1,", "site.json:1: "),
        ("{\"format\": 1, \"dny\": []}", "site.json as TOML:"),
        ("{\"format\": 1} x", "site.json:1: "),
    ] {
        assert!(said(text).starts_with(place), "{}", said(text));
    }
}
