//! Policy and devices: that control is asked for what the words say.

use crate::fake::Served;
use crate::{ask, outcome, program, run, served, write};

/// What the fake was asked last, in the form that Rust prints.
fn asked(served: &Served) -> String {
    let asked = served.backend.asked.lock().unwrap();
    let (request, author) = asked.last().unwrap();
    assert!(!format!("{request:?}").contains("Propose") || !author.is_empty());
    format!("{request:?}")
}

#[test]
fn policy_verbs_ask_for_what_they_say() {
    let (folder, served) = served();
    let file = write(folder.path(), "site.toml", "format = 1\n");
    let file = file.to_str().unwrap();
    for (verb, expected) in [
        ("policy list --limit 3", "List { limit: 3 }"),
        ("policy show 11", "Show(Some(11))"),
        ("policy diff 11 12", "Diff { from: Some(11), to: Some(12), limit: 1000 }"),
        (
            "policy approve 12 --note ok",
            "Step { number: 12, step: Approve, body: StepBody { note: \"ok\", confirm_within_s: None } }",
        ),
        (
            "policy reject 12 --reason no",
            "Step { number: 12, step: Reject, body: StepBody { note: \"no\", confirm_within_s: None } }",
        ),
        (
            "policy apply 12 --confirm-within 10m",
            "Step { number: 12, step: Apply, body: StepBody { note: \"\", confirm_within_s: Some(600) } }",
        ),
        ("policy confirm", "Confirm"),
        ("policy rollback --reason worm", "RollBack(RollBack { to: None, reason: \"worm\" })"),
        (
            "allow a b tcp/1 --for 8h --reason r",
            "Allow(Allow { from: \"a\", to: \"b\", service: \"tcp/1\", segment: None, for_s: 28800, reason: \"r\" })",
        ),
        (
            "island bay-1 on --reason r",
            "Island(\"bay-1\", IslandSwitch { island: true, reason: \"r\" })",
        ),
        ("isitme etch-07", "IsItMe(\"etch-07\")"),
        (
            "device list --role etcher",
            "Devices(DeviceQuery { segment: None, role: Some(\"etcher\"), zone: None, limit: 1000 })",
        ),
        ("device show etch-07", "Device(\"etch-07\")"),
        ("policy shadow status --limit 5", "Shadow(5)"),
        ("policy shadow stop", "StopShadow"),
        (
            "policy shadow start --version 12",
            "StartShadow(Draft { version: Some(12), text: None, place: \"\" })",
        ),
        (
            "device set etch-07 --mode inherit --model K2 --reason r",
            "ChangeDevices(DeviceChanges { devices: [DeviceChange { name: \"etch-07\", create: false, fields: {\"mode\": None, \"model\": Some(\"K2\")} }], reason: \"r\" })",
        ),
        (
            "explain tuple a → b tcp/1 --vlan 10",
            "Tuple(TupleQuery { client: \"a\", server: \"b\", service: \"tcp/1\", segment: None, vlan: Some(\"10\") })",
        ),
    ] {
        let words: Vec<&str> = verb.split(' ').collect();
        ask(&served, &words);
        assert_eq!(asked(&served), expected, "{verb}");
    }
    let out = ask(&served, &["policy", "propose", file, "--reason", "first", "--ticket", "CHG-7"]);
    assert!(asked(&served).contains("text: \"format = 1\\n\""));
    assert_eq!(
        out,
        "from version 11 to version 12\nremoved: permits no more (1)\n  rule 812 on fab: 10.0.1.7 → 10.0.2.1 tcp/5000  [learned]\n\
         policy version 12: proposed; next: loadlock policy approve 12\n"
    );
    let mut assert = program(&["policy", "assert", file, "--socket"]);
    let (code, out, err) = outcome(assert.arg(&served.socket));
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.starts_with("FAILS  no tool reaches a tool on 445\n       etch-07"), "{out}");
    let (code, _, err) = run(&["allow", "a", "b", "tcp/1", "--for", "8", "--reason", "r"]);
    assert!(code == 2 && err.contains("such as 10m"), "{err}");
    let (code, _, err) = run(&["explain", "tuple", "a", "b"]);
    assert!(code == 2 && err.contains("three words"), "{err}");
}

#[test]
fn devices_are_listed_shown_and_written() {
    let (folder, served) = served();
    let out = ask(&served, &["device", "list"]);
    println!("{out}");
    assert_eq!(
        out,
        "\
DEVICE   ADDRESS   SEGMENT  ROLE    ZONE  MODE        VENDOR  MODEL
etch-07  10.0.1.7  fab      etcher  –     quarantine  –       K\\u{1b}[2J
1 device
"
    );
    assert!(ask(&served, &["device", "show", "etch-07"]).contains("mode            quarantine\n"));
    let csv = ask(&served, &["device", "export"]);
    assert!(csv.lines().nth(1).unwrap().starts_with("etch-07,10.0.1.7,fab,a,"), "{csv}");
    let json = ask(&served, &["device", "export", "--format", "json"]);
    let file = write(folder.path(), "devices.json", &json);
    let file = file.to_str().unwrap();
    let (code, _, err) = run(&["device", "import", file, "--check"]);
    assert!(code == 3 && err.contains("devices.json:2: `model` is"), "{err}");
    let good = write(folder.path(), "good.csv", "name,address\netch-09,10.0.1.9\n");
    let good = good.to_str().unwrap();
    assert_eq!(run(&["device", "import", good, "--check"]).1, "no mistakes: 1 device\n");
    ask(&served, &["device", "import", good, "--reason", "r"]);
    assert!(asked(&served).contains("name: \"etch-09\", create: true"), "{}", asked(&served));
    assert_eq!(run(&["device", "import", good]).0, 2, "a reason must be given");
    let (code, _, err) = run(&["device", "set", "etch-07", "--mode", "isolate", "--reason", "r"]);
    assert!(code == 2 && err.contains("\"quarantine\", or inherit"), "{err}");
    assert_eq!(run(&["device", "set", "etch-07", "--reason", "r"]).0, 2, "nothing to change");
}
