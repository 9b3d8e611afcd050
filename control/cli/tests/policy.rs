//! Policy versions by verb, through the real control: proposal to force and back, over kills.

mod appliance;

use std::fs;
use std::time::{Duration, Instant};

use appliance::captures::write_conversations;
use appliance::{PATIENCE, Process, Site, wait_until};
use serde_json::Value;

const PORTS: &str = r#"
[[port]]
name = "a"
device = "net_null"
options = { no-rx = true }
[[port]]
name = "b"
device = "net_null"
options = { no-rx = true }
[[segment]]
name = "fab"
side_a = "a"
side_b = "b"
mode = "enforce"
"#;

const POLICY: &str = r#"format = 1

[[zone]]
name = "bay-1"

[[device]]
name = "etch-07"
address = "10.0.1.7"
segment = "fab"
side = "a"
role = "tool"
zone = "bay-1"

[[device]]
name = "etch-08"
address = "10.0.1.8"
segment = "fab"
side = "a"
role = "tool"
zone = "bay-1"

[[device]]
name = "mes"
address = "10.0.2.1"
segment = "fab"
side = "b"

# The line can't run without it.
[[permit]]
from = "role:tool"
to = "device:mes"
service = "tcp/5000"
reason = "equipment talks to its host"
owner = "automation"

[[assert]]
name = "no tool reaches a tool on 445"
always = false
from = "role:tool"
to = "role:tool"
service = "tcp/445"

[[assert]]
name = "every tool reaches the MES on 5000"
always = true
from = "role:tool"
to = "device:mes"
service = "tcp/5000"
"#;

/// A control without a dataplane, and a policy document beside it.
fn site(control: &str) -> Option<(Site, Process)> {
    let site = Site::open()?;
    site.configure(&format!("{}{PORTS}", site.base("", control)));
    fs::write(site.path("site.toml"), POLICY).unwrap();
    let process = site.control();
    wait_for_control(&site);
    Some((site, process))
}

fn wait_for_control(site: &Site) {
    wait_until("control answers", PATIENCE, || site.status()["control"]["state"].is_string());
}

fn ask(site: &Site, verb: &[&str]) -> Value {
    site.ask(verb).unwrap_or_else(|| panic!("{verb:?}: {}", refused(site, verb).1))
}

/// Exit code and message of a verb that is refused.
fn refused(site: &Site, verb: &[&str]) -> (i32, String) {
    let output = site.loadlock(&[verb, &["--socket", "control.sock"]].concat());
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn rules(site: &Site) -> Vec<String> {
    let rules = ask(site, &["rules", "list"]);
    let words = |rule: &Value| rule["words"].as_str().unwrap().to_owned();
    rules["items"].as_array().unwrap().iter().map(words).collect()
}

fn propose(site: &Site, file: &str) -> String {
    let proposed = ask(site, &["policy", "propose", file, "--reason", "test", "--ticket", "CHG-7"]);
    proposed["version"]["number"].to_string()
}

fn apply(site: &Site, file: &str) -> String {
    let number = propose(site, file);
    ask(site, &["policy", "approve", &number]);
    ask(site, &["policy", "apply", &number]);
    number
}

#[test]
fn a_policy_goes_from_proposal_to_force_and_back() {
    let Some((site, mut control)) = site("") else { return };
    let proposed = ask(&site, &["policy", "propose", "site.toml", "--reason", "first"]);
    assert_eq!(proposed["diff"]["added"]["total"], 2, "{proposed:#}");
    assert_eq!(proposed["failing"].as_array().map(Vec::len), Some(0));
    let number = proposed["version"]["number"].to_string();
    assert!(rules(&site).is_empty());
    let (code, message) = refused(&site, &["policy", "apply", &number]);
    assert!(code == 5 && message.contains("must be approved"), "{message}");
    ask(&site, &["policy", "approve", &number, "--note", "fine"]);
    let applied = ask(&site, &["policy", "apply", &number]);
    assert_eq!(applied["version"]["state"], "in force");
    assert_eq!(rules(&site).len(), 2);
    // Killed and started again: what was applied is in force.
    control.kill();
    let _control = site.control();
    wait_for_control(&site);
    assert_eq!(
        rules(&site),
        ["10.0.1.7 (side A) → 10.0.2.1 tcp/5000", "10.0.1.8 (side A) → 10.0.2.1 tcp/5000"]
    );
    let shown = ask(&site, &["policy", "show"]);
    assert_eq!(shown["source"], POLICY);
    let actions: Vec<_> =
        shown["audit"].as_array().unwrap().iter().map(|line| &line["action"]).collect();
    assert_eq!(actions, ["proposed", "approved", "applied"]);
    // What is exported can be proposed again, and changes nothing.
    let export = site.loadlock(&["policy", "export", "--socket", "control.sock"]);
    assert_eq!(String::from_utf8(export.stdout).unwrap(), POLICY);
    let all = site.loadlock(&["policy", "export", "--rules", "--socket", "control.sock"]);
    fs::write(site.path("all.toml"), all.stdout).unwrap();
    let same = ask(&site, &["policy", "import", "all.toml", "--reason", "same"]);
    assert_eq!(same["diff"]["added"]["total"], 0, "{same:#}");
    assert_eq!(same["diff"]["removed"]["total"], 0);
    ask(&site, &["policy", "reject", &same["version"]["number"].to_string(), "--note", "no"]);
    let back = ask(&site, &["policy", "rollback", "--reason", "test"]);
    assert_eq!(back["version"]["state"], "in force");
    assert!(rules(&site).is_empty());
    let list = ask(&site, &["policy", "list"]);
    let states: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["in force", "rejected", "superseded", "superseded"]);
    let text = site.loadlock(&["policy", "diff", "1", &number, "--socket", "control.sock"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("added: permits what nothing permitted (2)"), "{text}");
}

#[test]
fn an_unconfirmed_version_goes_by_itself_also_over_a_kill() {
    let Some((site, mut control)) = site("") else { return };
    let number = propose(&site, "site.toml");
    ask(&site, &["policy", "approve", &number]);
    let applied = ask(&site, &["policy", "apply", &number, "--confirm-within", "2s"]);
    assert!(applied["confirm_by"].is_string(), "{applied:#}");
    assert_eq!(rules(&site).len(), 2);
    let (code, message) = refused(&site, &["mode", "set", "fab", "monitor"]);
    assert!(code == 5 && message.contains("policy confirm"), "{message}");
    let since = Instant::now();
    control.kill();
    let _control = site.control();
    wait_for_control(&site);
    wait_until("the version has gone", PATIENCE, || rules(&site).is_empty());
    assert!(since.elapsed() > Duration::from_millis(500));
    let alarms = site.status()["alarms"].to_string();
    assert!(alarms.contains("wasn't confirmed in time"), "{alarms}");
    // Confirmed, it stays.
    let number = propose(&site, "site.toml");
    ask(&site, &["policy", "approve", &number]);
    ask(&site, &["policy", "apply", &number, "--confirm-within", "1s"]);
    let confirmed = ask(&site, &["policy", "confirm"]);
    assert_eq!(confirmed["version"]["state"], "in force");
    let since = Instant::now();
    wait_until("the time is over", PATIENCE, || since.elapsed() > Duration::from_millis(1_300));
    assert_eq!(rules(&site).len(), 2);
}

#[test]
fn rights_end_and_zones_are_cut_off_and_let_back() {
    let Some((site, _control)) = site("") else { return };
    apply(&site, "site.toml");
    let allow = ["allow", "device:mes", "role:tool", "tcp/22", "--for", "2s", "--reason", "repair"];
    ask(&site, &allow);
    assert_eq!(rules(&site).len(), 4);
    let island = ["island", "bay-1", "on", "--reason", "worm"];
    ask(&site, &island);
    assert!(rules(&site).is_empty());
    let (code, message) = refused(&site, &island);
    assert!(code == 5 && message.contains("already"), "{message}");
    wait_until("the right has ended", PATIENCE, || {
        ask(&site, &["policy", "list"])["items"][0]["state"] == "in force"
            && ask(&site, &["explain", "tuple", "mes", "etch-07", "tcp/22"])[0]["verdict"] == "deny"
    });
    ask(&site, &["island", "bay-1", "off", "--reason", "clean"]);
    wait_until("only what is for good is there", PATIENCE, || rules(&site).len() == 2);
    let source = ask(&site, &["policy", "show"])["source"].to_string();
    assert!(
        source.contains("The line can't run without it") && !source.contains("island"),
        "{source}"
    );
    let (code, message) = refused(&site, &["island", "bay-2", "on", "--reason", "worm"]);
    assert!(code == 3 && message.contains("did you mean \"bay-1\""), "{message}");
}

#[test]
fn a_device_goes_into_quarantine_and_comes_back() {
    let Some((site, _control)) = site("") else { return };
    apply(&site, "site.toml");
    let asked = ["explain", "tuple", "etch-07", "mes", "tcp/5000"];
    let verdict = || ask(&site, &asked)[0]["verdict"].as_str().unwrap().to_owned();
    assert_eq!(verdict(), "allow");
    let set = |mode| ["device", "set", "etch-07", "--mode", mode, "--reason", "worm"];
    ask(&site, &set("quarantine"));
    assert_eq!(verdict(), "deny");
    assert!(ask(&site, &asked)[0]["why"].to_string().contains("quarantine"));
    assert_eq!(ask(&site, &["device", "show", "10.0.1.7"])["mode"], "quarantine");
    assert_eq!(
        ask(&site, &["explain", "tuple", "etch-08", "mes", "tcp/5000"])[0]["verdict"],
        "allow"
    );
    let shown = ask(&site, &["policy", "show"]);
    assert!(shown["version"]["reason"] == "device etch-07: worm", "{shown:#}");
    assert!(shown["source"].to_string().contains("The line can't run without it"), "{shown:#}");
    let versions = ask(&site, &["policy", "list"]);
    let before = versions["items"][1]["number"].to_string();
    let changed = ask(&site, &["policy", "diff", &before]);
    assert_eq!(changed["modes"][0], "device etch-07: its segment's to quarantine");
    assert_eq!(refused(&site, &set("quarantine")).0, 5, "it is already");
    ask(&site, &set("inherit"));
    assert_eq!(verdict(), "allow", "no rule was lost");
    // A list changes many at once, or nothing.
    let list = "name,address,segment,mode,model\netch-07,,,monitor,'=K2\netch-09,\"10.0.1.9,02:00:00:00:00:09\",fab,,\n";
    fs::write(site.path("list.csv"), list).unwrap();
    ask(&site, &["device", "import", "list.csv", "--reason", "inventory"]);
    let devices = ask(&site, &["device", "list"]);
    assert_eq!(
        (devices["total"].as_u64(), &devices["items"][0]["mode"]),
        (Some(4), &"monitor".into())
    );
    assert_eq!(devices["items"][0]["inventory"]["model"], "=K2");
    fs::write(
        site.path("list.csv"),
        "name,address,segment\netch-10,10.0.1.10,fab\nother,10.0.1.9,fab\n",
    )
    .unwrap();
    let (code, message) = refused(&site, &["device", "import", "list.csv", "--reason", "r"]);
    assert!(code == 3 && message.contains("10.0.1.9"), "{message}");
    assert_eq!(ask(&site, &["device", "list"])["total"], 4);
    assert_eq!(
        refused(&site, &["device", "set", "etch-7", "--mode", "learn", "--reason", "r"]).0,
        3
    );
}

#[test]
fn what_must_hold_is_proven_before_anything_changes() {
    let Some((site, _control)) = site("") else { return };
    apply(&site, "site.toml");
    let results = ask(&site, &["policy", "assert"]);
    assert!(results.as_array().unwrap().iter().all(|one| one["holds"] == true), "{results:#}");
    // A wide permit lets tools at each other; a hole takes one tool its host.
    let wide = "[[permit]]\nfrom = \"10.0.0.0/8\"\nto = \"10.0.1.0/24\"\nservice = \"tcp/400-500\"\nsegment = \"fab\"\nreason = \"r\"\nowner = \"o\"\n";
    fs::write(site.path("wide.toml"), format!("{POLICY}{wide}")).unwrap();
    let output = site.loadlock(&["policy", "assert", "wide.toml", "--socket", "control.sock"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAILS  no tool reaches a tool on 445\n       etch-07 (10.0.1.7) port 49152 → etch-08 (10.0.1.8) tcp/445 on segment fab"), "{text}");
    let number = propose(&site, "wide.toml");
    ask(&site, &["policy", "approve", &number]);
    let (code, message) = refused(&site, &["policy", "apply", &number]);
    assert!(code == 5 && message.contains("breaks what must hold"), "{message}");
    let deny =
        "[[deny]]\nfrom = \"device:etch-08\"\nto = \"any\"\nreason = \"broken\"\nowner = \"o\"\n";
    fs::write(site.path("deny.toml"), format!("{POLICY}{deny}")).unwrap();
    let output = site.loadlock(&["policy", "assert", "deny.toml", "--socket", "control.sock"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("FAILS  every tool reaches the MES on 5000")
            && text.contains("no rule permits it"),
        "{text}"
    );
    assert_eq!(rules(&site).len(), 2);
}

#[test]
fn questions_are_answered_with_what_is_nearest() {
    let Some((site, _control)) = site("") else { return };
    apply(&site, "site.toml");
    let near = ask(&site, &["explain", "tuple", "etch-07", "→", "mes", "tcp/5001"]);
    assert_eq!(near[0]["verdict"], "deny");
    let nearest = near[0]["nearest"].to_string();
    assert!(nearest.contains("differs in service (tcp/5000 there)"), "{near:#}");
    let permitted = ask(&site, &["explain", "tuple", "10.0.1.7", "10.0.2.1", "tcp/5000"]);
    assert!(permitted[0]["why"].as_str().unwrap().contains("owner: automation"), "{permitted:#}");
    let isitme = ask(&site, &["isitme", "etch-07"]);
    assert!(
        isitme["answer"]
            .as_str()
            .unwrap()
            .starts_with("no: Loadlock has blocked nothing of etch-07")
    );
    let (code, message) = refused(&site, &["isitme", "etch-09"]);
    assert!(code == 5 && message.contains("neither a device"), "{message}");
    let test = ask(&site, &["policy", "test", "site.toml"]);
    assert_eq!((&test["judged"], &test["changes"]["total"]), (&0.into(), &0.into()));
}

#[test]
fn mistakes_change_nothing_and_say_where_they_are() {
    let Some((site, _control)) = site("approver = \"another-person\"") else { return };
    fs::write(
        site.path("bad.toml"),
        POLICY.replace("role:tool", "role:tol").replace("automation\"", "\""),
    )
    .unwrap();
    let (code, message) = refused(&site, &["policy", "propose", "bad.toml", "--reason", "test"]);
    assert_eq!(code, 3, "{message}");
    assert!(
        message.contains("bad.toml:") && message.contains("did you mean \"tool\"?"),
        "{message}"
    );
    fs::write(site.path("other.toml"), POLICY.replace("\"fab\"", "\"lab\"")).unwrap();
    let (code, message) = refused(&site, &["policy", "propose", "other.toml", "--reason", "test"]);
    assert!(code == 3 && message.contains("configured are fab"), "{message}");
    let (code, message) = refused(&site, &["policy", "propose", "none.toml", "--reason", "test"]);
    assert!(code == 6 && message.contains("none.toml"), "{message}");
    let (code, message) = refused(&site, &["policy", "show", "99"]);
    assert!(code == 5 && message.contains("no policy version 99"), "{message}");
    let (code, message) = refused(&site, &["policy", "rollback", "--reason", "test"]);
    assert!(code == 5 && message.contains("nobody has changed"), "{message}");
    // Nobody approves what he proposed himself.
    let number = propose(&site, "site.toml");
    let (code, message) = refused(&site, &["policy", "approve", &number]);
    assert!(code == 5 && message.contains("another person"), "{message}");
    assert!(rules(&site).is_empty());
}

#[test]
fn a_damaged_store_keeps_the_policy_in_force_and_raises_an_alarm() {
    let Some((site, mut control)) = site("") else { return };
    apply(&site, "site.toml");
    assert!(control.stop().success());
    let mut store = fs::read(site.path("loadlock.db")).unwrap();
    for byte in &mut store[4096..] {
        *byte ^= 0x55;
    }
    fs::write(site.path("loadlock.db"), &store).unwrap();
    let _control = site.control();
    wait_for_control(&site);
    assert_eq!(rules(&site).len(), 2);
    let alarms = site.status()["alarms"].to_string();
    assert!(alarms.contains("the store was damaged") && alarms.contains("damaged-1"), "{alarms}");
    assert_eq!(fs::read(site.path("loadlock.db.damaged-1")).unwrap(), store);
}

/// Conversations without end of 10.10.1.11 with 10.10.2.10 tcp/5000.
const BUSY_PORTS: &str = r#"
[[port]]
name = "a"
device = "net_pcap"
options = { rx_pcap = "tools.pcap", infinite_rx = true }
[[port]]
name = "b"
device = "net_pcap"
options = { rx_pcap = "servers.pcap", infinite_rx = true }
[[segment]]
name = "fab"
side_a = "a"
side_b = "b"
mode = "enforce"
"#;

const BUSY: &str = "format = 1\n[[device]]\nname = \"tool\"\naddress = \"10.10.1.11\"\nsegment = \"fab\"\nside = \"a\"\n\
    [[device]]\nname = \"host\"\naddress = \"10.10.2.10\"\nsegment = \"fab\"\nside = \"b\"\n\
    [[permit]]\nfrom = \"device:tool\"\nto = \"device:host\"\nservice = \"tcp/5000\"\nreason = \"r\"\nowner = \"o\"\n";

#[test]
fn is_it_me_names_the_change_that_cut_a_connection() {
    let Some(site) = Site::open() else { return };
    write_conversations(&site.path("tools.pcap"), &site.path("servers.pcap"));
    site.configure(&format!("{}{BUSY_PORTS}", site.base("", "")));
    fs::write(site.path("busy.toml"), BUSY).unwrap();
    let _control = site.control();
    wait_for_control(&site);
    let number = apply(&site, "busy.toml");
    let _dataplane = site.dataplane();
    site.wait_until_running();
    wait_until("frames are forwarded", PATIENCE, || {
        site.port("a")["forwarded_packets"].as_u64() > Some(100)
    });
    fs::write(site.path("less.toml"), BUSY.replace("tcp/5000", "tcp/5001")).unwrap();
    let cut = apply(&site, "less.toml");
    let answer = || ask(&site, &["isitme", "tool"]);
    wait_until("it is told", PATIENCE, || answer()["answer"].as_str().unwrap().starts_with("yes"));
    let told = answer();
    let cause = told["denials"][0]["cause"].as_str().unwrap();
    assert!(cause.starts_with(&format!("because policy {cut} took rule ")), "{told:#}");
    assert_eq!(told["denials"][0]["tuple"], "tool (10.10.1.11) → host (10.10.2.10) tcp/5000");
    assert_eq!(told["denials"].as_array().map(Vec::len), Some(1), "{told:#}");
    // Undone, it works again at the next packet.
    let back = ask(&site, &["policy", "rollback", &number, "--reason", "test"]);
    assert!(back["generation"].as_u64() > Some(0));
    let before = site.port("a")["forwarded_packets"].as_u64();
    wait_until("frames are forwarded again", PATIENCE, || {
        site.port("a")["forwarded_packets"].as_u64() > before.map(|before| before + 100)
    });
}
