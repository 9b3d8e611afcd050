//! `loadlock-dataplane --preflight` on ports that are joined by a cable, a veth pair, and on ports that aren't.
//!
//! Needs root; skipped, with a printed line, without.

mod appliance;

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output};

use appliance::{Site, dataplane};

/// Two veth pairs; a drop takes them away.
struct Cables {
    names: [String; 4],
}

impl Cables {
    fn new() -> Self {
        let names = ["a", "b", "c", "d"].map(|end| format!("llpf{}{end}", std::process::id()));
        for [one, other] in [[&names[0], &names[1]], [&names[2], &names[3]]] {
            ip(&["link", "add", one, "type", "veth", "peer", "name", other]);
            for end in [one, other] {
                let quiet = format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6");
                std::fs::write(quiet, "1").unwrap();
                ip(&["link", "set", end, "promisc", "on", "arp", "off", "up"]);
            }
        }
        Self { names }
    }
}

impl Drop for Cables {
    fn drop(&mut self) {
        for end in [&self.names[0], &self.names[2]] {
            let _ = Command::new("ip").args(["link", "delete", end]).output();
        }
    }
}

fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn preflight(site: &Site, [a, b]: [&str; 2], more: &[&str]) -> (Option<i32>, String) {
    let port = |name, interface| {
        format!(
            "[[port]]\nname = \"{name}\"\ndevice = \"net_af_packet\"\noptions = {{ iface = \"{interface}\" }}\n"
        )
    };
    let segment = "[[segment]]\nname = \"fab\"\nside_a = \"tools\"\nside_b = \"servers\"\n";
    let ports = [port("tools", a), port("servers", b)].concat();
    site.configure(&format!("{}{ports}{segment}", site.base("", "")));
    let mut command = Command::new(dataplane());
    command.args(["--preflight", "--config"]).arg(site.config()).args(more);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    println!("{text}");
    (status.code(), text)
}

#[test]
fn a_cable_between_the_ports_passes_and_its_absence_is_told() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: interfaces need root");
        return;
    }
    let Some(site) = Site::open() else { return };
    let cables = Cables::new();
    let [a, b, c, _] = &cables.names;
    let (code, text) = preflight(&site, [a, b], &[]);
    assert_eq!(code, Some(0), "{text}");
    for words in [
        "loop tools to servers: 32 of 32 marker frames arrived",
        "loop servers to tools: 32 of 32 marker frames arrived",
        "port tools: MTU 1500",
        "0 problems",
        "needed of 8,191",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let (code, text) = preflight(&site, [a, c], &[]);
    assert_eq!(code, Some(9), "{text}");
    assert!(text.contains("PROBLEM loop tools to servers: no marker frame arrived"), "{text}");
    assert!(text.contains("2 problems keep this machine"), "{text}");
    let (code, text) = preflight(&site, [a, c], &["--no-loop"]);
    assert!(code == Some(0) && !text.contains("loop tools"), "{text}");
}
