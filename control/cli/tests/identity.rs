//! From learning to holding: bindings are learned, listed, enforced, reported and renewed, through both processes and a restart.

mod appliance;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;

use appliance::captures::{Frames, write};
use appliance::{Appliance, PATIENCE, Site, wait_until};
use loadlock_generate::frame::{Arp, FrameBuilder, Ipv4, Mac, Tcp, TcpFlags};
use serde_json::Value;

const PORTS: &str = r#"
[[port]]
name = "tools"
device = "net_pcap"
options = { rx_pcap = "in-tools.pcap", tx_pcap = "out-tools.pcap" }
[[port]]
name = "servers"
device = "net_pcap"
options = { rx_pcap = "in-servers.pcap", tx_pcap = "out-servers.pcap" }
[[segment]]
name = "fab"
side_a = "tools"
side_b = "servers"
mode = "learn"
"#;

const TOOL: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 0x0b]);
const STRANGER: Mac = Mac([2, 0, 0, 0, 0, 0x66]);
const TOOL_IP: Ipv4Addr = Ipv4Addr::new(10, 10, 1, 11);
const SERVER_IP: Ipv4Addr = Ipv4Addr::new(10, 10, 2, 10);
/// 2026-03-02 06:00.
const START_NS: u64 = 1_772_431_200_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

fn tcp(source: Mac, [from, to]: [Ipv4Addr; 2], [own, peer]: [u16; 2], flags: TcpFlags) -> Vec<u8> {
    let destination = if to == SERVER_IP { SERVER } else { TOOL };
    FrameBuilder::new(source, destination)
        .ipv4(Ipv4::new(from, to))
        .tcp(Tcp::new(own, peer).flags(flags))
        .pad_to(60)
        .build()
        .unwrap()
}

/// From the tool's address to the server's service.
fn ask(source: Mac, port: u16, flags: TcpFlags) -> Vec<u8> {
    tcp(source, [TOOL_IP, SERVER_IP], [port, 5000], flags)
}

fn answer(source: Mac, port: u16, flags: TcpFlags) -> Vec<u8> {
    tcp(source, [SERVER_IP, TOOL_IP], [5000, port], flags)
}

fn arp(source: Mac, packet: Arp) -> Vec<u8> {
    FrameBuilder::new(source, Mac::BROADCAST).arp(packet).pad_to(60).build().unwrap()
}

/// Frames of both sides, a millisecond apart from `start_ns` on.
fn feed(site: &Site, start_ns: u64, frames: &[(char, Vec<u8>)]) {
    for (side, port) in [('a', "tools"), ('b', "servers")] {
        let times = (0..).map(|at| start_ns + at * 1_000_000).zip(frames);
        let own: Frames = times
            .filter(|(_, (from, _))| *from == side)
            .map(|(time_ns, (_, frame))| (time_ns, frame.clone()))
            .collect();
        write(&site.path(&format!("in-{port}.pcap")), &own);
    }
}

fn count(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}

fn wait_for(site: &Site, frames: &[(char, Vec<u8>)]) {
    for (side, port) in [('a', "tools"), ('b', "servers")] {
        let expected = frames.iter().filter(|(from, _)| *from == side).count() as u64;
        wait_until(&format!("port {port} has received {expected} frames"), PATIENCE, || {
            count(&site.port(port), "received_packets") == expected
        });
    }
}

fn drops(site: &Site) -> BTreeMap<String, u64> {
    let drops = site.ask(&["drops"]).expect("control answers");
    let mut by_reason = BTreeMap::new();
    for drop in drops.as_array().unwrap() {
        let reason = drop["reason"].as_str().unwrap().to_owned();
        *by_reason.entry(reason).or_default() += count(drop, "dropped_packets");
    }
    by_reason.retain(|_, packets| *packets > 0);
    by_reason
}

/// Ends both processes and starts them anew, with a new exchange, on these frames.
fn again(appliance: Appliance, start_ns: u64, frames: &[(char, Vec<u8>)]) -> Appliance {
    let site = appliance.stop();
    fs::remove_file(site.exchange()).unwrap();
    feed(&site, start_ns, frames);
    let appliance = Appliance::start(site);
    wait_for(&appliance.site, frames);
    appliance
}

#[test]
fn bindings_are_learned_held_reported_and_renewed() {
    let Some(site) = Site::open() else { return };
    site.configure(&format!("{}{PORTS}", site.base("clock = \"capture\"", "")));
    let fin = TcpFlags::FIN | TcpFlags::ACK;
    let learned = [
        ('a', ask(TOOL, 40_000, TcpFlags::SYN)),
        ('b', answer(SERVER, 40_000, TcpFlags::SYN | TcpFlags::ACK)),
        ('a', ask(TOOL, 40_000, TcpFlags::ACK)),
        ('b', answer(SERVER, 40_000, fin)),
        ('a', ask(TOOL, 40_000, fin)),
    ];
    feed(&site, START_NS, &learned);
    // Much later one more, so that the first conversation has ended and is reported as a whole.
    let mut of_tool = appliance::captures::frames(&site.path("in-tools.pcap"));
    of_tool.push((START_NS + 400 * SECOND_NS, ask(TOOL, 40_001, TcpFlags::SYN)));
    write(&site.path("in-tools.pcap"), &of_tool);
    let appliance = Appliance::start(site);
    let site = &appliance.site;
    let bindings = || {
        let listing = site.ask(&["bindings", "list"]).expect("control answers");
        let words = |binding: &Value| {
            let word = |key: &str| binding[key].as_str().unwrap().to_owned();
            format!("{}, {}: {}", word("words"), word("reason"), word("held"))
        };
        listing["items"].as_array().unwrap().iter().map(words).collect::<Vec<_>>()
    };
    wait_until("both ends are bound", PATIENCE, || bindings().len() == 2);
    assert_eq!(
        bindings(),
        [
            "10.10.1.11 is 02:00:00:00:00:0a on side a, learned: learning",
            "10.10.2.10 is 02:00:00:00:00:0b on side b, learned: learning"
        ]
    );
    site.set_mode("fab", "enforce");
    assert!(bindings().iter().all(|line| line.ends_with("mac-ip")), "{:?}", bindings());

    let unknown = Ipv4Addr::new(10, 10, 1, 99);
    let request = Arp::request(STRANGER, TOOL_IP, SERVER_IP);
    let attack = [
        ('a', ask(TOOL, 41_000, TcpFlags::SYN)),
        ('b', answer(SERVER, 41_000, TcpFlags::SYN | TcpFlags::ACK)),
        ('a', ask(STRANGER, 41_000, TcpFlags::RST)),
        ('a', ask(STRANGER, 41_001, TcpFlags::SYN)),
        ('a', tcp(TOOL, [unknown, SERVER_IP], [41_002, 5000], TcpFlags::SYN)),
        ('b', tcp(TOOL, [unknown, TOOL_IP], [41_003, 5000], TcpFlags::SYN)),
        ('b', tcp(STRANGER, [TOOL_IP, TOOL_IP], [41_004, 5000], TcpFlags::SYN)),
        ('a', arp(STRANGER, request)),
        ('a', arp(STRANGER, Arp { target_ipv4: TOOL_IP, ..request })),
        ('a', arp(TOOL, Arp::request(TOOL, TOOL_IP, SERVER_IP))),
        ('a', ask(TOOL, 41_000, TcpFlags::ACK)),
    ];
    let appliance = again(appliance, START_NS + 1_000 * SECOND_NS, &attack);
    let site = &appliance.site;
    let expected = [
        ("address_claimed", 1),
        ("duplicate_ip", 2),
        ("gratuitous_takeover", 1),
        ("ip_moved", 1),
        ("mac_moved", 1),
        ("source_mac_spoofed", 1),
    ];
    let expected: BTreeMap<String, u64> =
        expected.into_iter().map(|(reason, packets)| (reason.to_owned(), packets)).collect();
    assert_eq!(drops(site), expected, "and the tool's own frames passed");
    let mut alarms = String::new();
    wait_until("every violation is an alarm", PATIENCE, || {
        let status = site.status();
        let list = status["alarms"].as_array().cloned().unwrap_or_default();
        alarms = list.iter().map(|alarm| format!("{}\n", alarm.as_str().unwrap())).collect();
        expected.keys().all(|reason| alarms.contains(&format!("({reason};")))
    });
    for words in [
        "segment fab, side a: station 02:00:00:00:00:66 sends as 10.10.1.11: the source address is bound to another station of this \
         side (duplicate_ip; 2 packets dropped); bound: 10.10.1.11 is 02:00:00:00:00:0a on side a; if that is in order: loadlock \
         bindings renew fab 10.10.1.11 02:00:00:00:00:66 --side a",
        "segment fab, side b: station 02:00:00:00:00:0a sends as 10.10.1.99",
    ] {
        assert!(alarms.contains(words), "{words}\n{alarms}");
    }
    let observed = site.loadlock(&["observe", "--kind", "denied", "--socket", "control.sock"]);
    let events = String::from_utf8(observed.stdout).unwrap();
    let takeover = "from station 02:00:00:00:00:66, claims 10.10.1.11; bound: 10.10.1.11 is 02:00:00:00:00:0a on side a";
    assert!(events.contains(takeover), "{events}");

    // The tool was exchanged: an operator does what the alarm says.
    let renew = ["bindings", "renew", "fab", "10.10.1.11", "02:00:00:00:00:66", "--side", "a"];
    let renewed = site.ask(&renew).expect("renewed");
    assert_eq!(renewed["previous"]["mac"], "02:00:00:00:00:0a");
    assert_eq!(renewed["binding"]["held"], "mac-ip");
    let listing = site.ask(&["status"]).unwrap()["alarms"].to_string();
    assert!(!listing.contains("duplicate_ip"), "what was renewed is no alarm any more: {listing}");

    let exchanged = [
        ('a', ask(STRANGER, 42_000, TcpFlags::SYN)),
        ('b', answer(SERVER, 42_000, TcpFlags::SYN | TcpFlags::ACK)),
        ('a', ask(TOOL, 42_001, TcpFlags::SYN)),
    ];
    let appliance = again(appliance, START_NS + 2_000 * SECOND_NS, &exchanged);
    let expected = BTreeMap::from([("duplicate_ip".to_owned(), 1)]);
    assert_eq!(
        drops(&appliance.site),
        expected,
        "the old one has lost the address, also after a restart"
    );
    appliance.stop();
}
