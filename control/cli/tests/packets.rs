//! Captures through the real processes: what is seen, when it ends, and that a control killed in the middle leaves nothing behind.

mod appliance;

use appliance::captures::{frames, write_conversations};
use appliance::{Appliance, PATIENCE, Site, wait_until};
use serde_json::Value;

/// Frames without end from both sides, of which no rule permits any.
const PORTS: &str = r#"
[[port]]
name = "tools"
device = "net_pcap"
options = { rx_pcap = "tools.pcap", infinite_rx = true }
[[port]]
name = "servers"
device = "net_pcap"
options = { rx_pcap = "servers.pcap", infinite_rx = true }
[[segment]]
name = "fab"
side_a = "tools"
side_b = "servers"
mode = "enforce"
"#;
const TOOL: &str = "10.10.1.11";

fn appliance(ports: &str) -> Option<Appliance> {
    let site = Site::open()?;
    write_conversations(&site.path("tools.pcap"), &site.path("servers.pcap"));
    let ports = ports.replace("/SITE", &site.path("").display().to_string());
    site.configure(&format!("{}{ports}", site.base("", "")));
    Some(Appliance::start(site))
}

#[test]
fn what_the_transmit_queue_refuses_is_seen_with_that_reason() {
    // Nobody is at the other end of the link, and all that is permitted goes there.
    let ports = PORTS
        .replace("mode = \"enforce\"", "mode = \"learn\"\nlink_down = \"static\"")
        .replace(
            "device = \"net_pcap\"\noptions = { rx_pcap = \"servers.pcap\", infinite_rx = true }",
            "device = \"net_memif\"\noptions = { role = \"server\", id = 0, socket = \"/SITE/nobody.sock\", socket-abstract = false }",
        );
    let Some(appliance) = appliance(&ports) else { return };
    let site = &appliance.site;
    let seen = packets(site, "refused.pcapng", &["--frames", "10"]);
    assert_eq!(seen["frames"], 10, "{seen}");
    let bytes = std::fs::read(site.path("refused.pcapng")).unwrap();
    let count =
        |text: &str| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
    assert_eq!(count("deny transmit_refused: "), 10);
    appliance.stop();
}

/// The summary of a capture into `file`; it must succeed.
fn packets(site: &Site, file: &str, arguments: &[&str]) -> Value {
    let file = site.path(file);
    let verb = [&["packets", TOOL, file.to_str().unwrap()], arguments].concat();
    site.ask(&verb).expect("the capture succeeds")
}

#[test]
fn denied_frames_of_a_device_are_seen_and_every_capture_ends() {
    let Some(mut appliance) = appliance(PORTS) else { return };
    let site = &appliance.site;
    let seen = packets(site, "denied.pcapng", &["--frames", "25"]);
    assert_eq!(seen["frames"], 25, "{seen}");
    assert_eq!(seen["ended"], "as many frames as were asked for");
    assert_eq!(seen["damaged"], 0);
    let captured = frames(&site.path("denied.pcapng"));
    assert_eq!(captured.len(), 25);
    for (_, frame) in &captured {
        assert_eq!(frame.len(), 14 + 20 + 20, "headers without the padding");
        assert!([&frame[26..30], &frame[30..34]].contains(&&[10, 10, 1, 11][..]));
    }
    let bytes = std::fs::read(site.path("denied.pcapng")).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("deny no_rule: no rule permits this conversation") || has("deny not_opened: "));

    let whole = packets(site, "whole.pcapng", &["--frames", "5", "--payload", "--all"]);
    assert_eq!((&whole["frames"], &whole["payload"]), (&5.into(), &true.into()), "{whole}");
    assert!(frames(&site.path("whole.pcapng")).iter().all(|(_, frame)| frame.len() == 60));

    let nobody = site.path("nobody.pcapng");
    let verb = ["packets", "192.0.2.77", nobody.to_str().unwrap(), "--for", "1s"];
    let nobody = site.ask(&verb).expect("the capture succeeds");
    assert_eq!((&nobody["frames"], &nobody["lost"]), (&0.into(), &0.into()), "{nobody}");
    assert_eq!(nobody["ended"], "its time is over");

    let audit = site.ask(&["audit", "list", "--action", "captured"]).expect("control answers");
    let notes: Vec<&str> = audit["entries"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["note"].as_str())
        .collect();
    assert_eq!(notes.len(), 3, "{audit:#}");
    assert_eq!(notes[2], "10.10.1.11: denied frames, headers only, at most 25 frames and 60 s");
    assert_eq!(notes[1], "10.10.1.11: all frames, whole, at most 5 frames and 60 s");

    control_killed_in_the_middle(&mut appliance);
    appliance.stop();
}

/// The dataplane goes on and counts, and the next control captures as if nothing had been.
fn control_killed_in_the_middle(appliance: &mut Appliance) {
    let site = &appliance.site;
    let folder = site.path("");
    let killed = std::thread::spawn(move || {
        let arguments = ["packets", "192.0.2.77", "killed.pcapng", "--socket", "control.sock"];
        std::process::Command::new(appliance::loadlock())
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap()
    });
    wait_until("it captures", PATIENCE, || {
        let audit = site.ask(&["audit", "list", "--action", "captured"]).expect("control answers");
        audit["entries"]["total"] == 4
    });
    appliance.control.kill();
    let output = killed.join().unwrap();
    assert!(!output.status.success());
    // There is none if control hadn't answered yet.
    let cut = site.path("killed.pcapng");
    assert!(!cut.exists() || frames(&cut).is_empty(), "what was written is a whole capture");

    appliance.control = site.control();
    let before = site.wait_until_running()["dataplane"]["pid"].clone();
    let received = || site.port("tools")["received_packets"].as_u64().unwrap_or(0);
    let then = received();
    wait_until("frames go on", PATIENCE, || received() > then);
    let seen = packets(site, "again.pcapng", &["--frames", "3"]);
    assert_eq!(seen["frames"], 3, "{seen}");
    let status = site.status();
    assert_eq!(status["dataplane"]["pid"], before, "the same dataplane");
    for side in ["side_a", "side_b"] {
        let port = &status["segments"][0][side];
        let sum =
            port["forwarded_packets"].as_u64().unwrap() + port["dropped_packets"].as_u64().unwrap();
        assert_eq!(port["received_packets"].as_u64().unwrap(), sum, "{port}");
    }
}
