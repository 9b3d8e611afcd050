//! The longer campaign between real hosts: 10,000 connections, large pings in fragments, SLAAC, multicast, TFTP; and an attacker for every
//! way around, while a conversation of the same two hosts goes on untouched.
//!
//! Attacks by IPv4 fragments and by broken IPv4 headers aren't among them: the kernel of a `net_af_packet` port and its bridge take those for
//! themselves; they are capture cases (`control/replay/tests/capture_cases.rs`).
//!
//! Run by `scripts/live-campaign`, as root; needs iperf3, python3-scapy, tftp-hpa and tftpd-hpa. Takes a minute and a half.

mod appliance;
mod hosts;

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use appliance::{PATIENCE, Site, wait_until};
use hosts::{Host, Network, Outcome, TCP_PORT, Talk, Transfer, UDP_PORT};
use loadlock_api::Side;

const ATTACKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/attacker.py");
const CONNECTIONS: usize = 10_000;

/// Not a test: what this binary does when a host runs it as its server or client.
#[test]
fn role() {
    hosts::play_role();
}

/// (attack, by the client on side A, reason, frames that must be dropped at its port for it).
const ATTACKS: [(&str, bool, &str, u64); 20] = [
    ("segments without state", true, "not_opened", 16),
    ("segments without state", false, "no_rule", 16),
    ("ports beside", true, "no_rule", 2),
    ("server opens", false, "wrong_direction", 3),
    ("unasked answer", false, "wrong_direction", 2),
    ("tiny fragment", true, "fragment_tiny", 1),
    ("fragment below TCP's flags", true, "fragment_tiny", 1),
    ("fragments without first", true, "fragment_unknown", 10),
    ("overlap", true, "fragment_overlap", 2),
    ("other protocol", true, "fragment_protocol", 1),
    ("fragment too long", true, "fragment_too_long", 1),
    ("fragment flood", true, "fragment_unknown", 1000),
    ("forged ICMP error", true, "icmp_error_unrelated", 3),
    ("forged ICMPv6 error", true, "icmp_error_unrelated", 1),
    ("VLAN hopping", true, "no_rule", 3),
    ("reserved VLAN", true, "vlan_reserved", 1),
    ("tunnels", true, "no_rule", 3),
    ("routing header 0", true, "ipv6_routing_zero", 1),
    ("long chain", true, "ipv6_extensions", 1),
    ("jumbogram", true, "ipv6_length", 1),
];

/// An attacker on one host, who pretends nothing but what each attack says; ends with its input.
struct Attacker {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Attacker {
    fn new(from: &Host, to: &Host) -> Self {
        let ports = [TCP_PORT, UDP_PORT].map(|port| port.to_string());
        let ends =
            [from, to].map(|host| [host.mac(), host.ipv4.to_string(), host.ipv6.to_string()]);
        let mut command = from.command("/usr/bin/python3");
        command.arg(ATTACKER).args(ends.as_flattened()).args(&ports);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, answers }
    }

    /// Carries out one attack; how many frames it sent.
    fn attack(&mut self, name: &str) -> u64 {
        writeln!(self.child.stdin.as_mut().unwrap(), "{name}").unwrap();
        let sent = self.answers.next().unwrap_or_else(|| panic!("{name}: the attacker ended"));
        sent.unwrap().parse().expect("how many were sent")
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn dropped(site: &Site, port: &str, reason: &str) -> u64 {
    let drops = site.ask(&["drops"]).expect("control answers");
    let counts = drops.as_array().unwrap().iter();
    let here = counts.filter(|count| count["port"] == port && count["reason"] == reason);
    here.map(|count| count["dropped_packets"].as_u64().unwrap()).sum()
}

/// Twenty large echo requests, each in six fragments; IPv6 alone, because on a `net_af_packet` port of DPDK 22.11 the kernel puts those of
/// IPv4 together before the appliance sees them (`PACKET_FANOUT_FLAG_DEFRAG`).
fn large_pings(client: &Host, server: &Host) -> bool {
    let address = server.ipv6.to_string();
    let (code, text) = client
        .run("ping", &["-n", "-q", "-c", "20", "-i", "0.02", "-s", "8000", "-W", "2", &address]);
    println!("{}", text.lines().find(|line| line.contains("packet loss")).unwrap_or(&text));
    code == Some(0) && text.contains(" 0% packet loss")
}

const LISTEN: &str = "import socket, struct\n\
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('239.77.0.1', 5007))\n\
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack('4s4s', socket.inet_aton('239.77.0.1'), socket.inet_aton('OWN')))\n\
    s.settimeout(8)\nprint(s.recv(64).decode())";
const SPEAK: &str = "import socket, time\n\
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('OWN'))\n\
    s.bind(('OWN', 5008))\n\
    for _ in range(20):\n s.sendto(b'to all', ('239.77.0.1', 5007)); time.sleep(0.2)";

/// A datagram to a group arrives on the other side.
fn multicast(from: &Host, to: &Host) -> bool {
    let _speaking =
        from.spawn("/usr/bin/python3", &["-c", &SPEAK.replace("OWN", &from.ipv4.to_string())]);
    let (code, text) =
        to.run("/usr/bin/python3", &["-c", &LISTEN.replace("OWN", &to.ipv4.to_string())]);
    code == Some(0) && text.contains("to all")
}

/// The host gets an address from what a router on the other side says, and talks from it.
fn slaac(host: &Host, router: &Host, says: &mut Attacker) -> bool {
    let set = "echo 2 > /proc/sys/net/ipv6/conf/eth0/accept_ra; ip address flush dev eth0 scope global dynamic";
    host.run("sh", &["-c", set]);
    router.run("ip", &["address", "replace", "fd99::1/64", "dev", "eth0", "nodad"]);
    says.attack("router");
    wait_until("an address by SLAAC", Duration::from_secs(10), || {
        host.run("ip", &["-6", "address", "show", "dev", "eth0", "dynamic"]).1.contains("fd99:")
    });
    let (_, shown) = host.run("ip", &["-6", "-o", "address", "show", "dev", "eth0", "dynamic"]);
    let own = shown.split_whitespace().find(|word| word.starts_with("fd99:")).unwrap().to_owned();
    let own = own.split('/').next().unwrap().to_owned();
    host.run("ping", &["-n", "-q", "-c", "3", "-i", "0.2", "-W", "1", "-I", &own, "fd99::1"]).0
        == Some(0)
}

fn tftp(client: &Host, server: &Host, folder: &std::path::Path) -> bool {
    let got = folder.join("got");
    let _ = fs::remove_file(&got);
    let (server, got) = (server.ipv4.to_string(), got.to_str().unwrap().to_owned());
    client.run("timeout", &["8", "tftp", "-m", "binary", &server, "-c", "get", "recipe", &got]);
    fs::read_to_string(&got).is_ok_and(|text| text == hosts::ftp::CONTENT)
}

#[test]
#[ignore = "takes a minute and a half and needs scapy: scripts/live-campaign"]
fn real_hosts_go_on_while_every_attack_is_dropped_for_its_reason() {
    let Some(site) = Site::open() else { return };
    let mut network = Network::new();
    let port = |side: Side| {
        format!(
            "[[port]]\nname = \"{}\"\ndevice = \"net_af_packet\"\noptions = {{ iface = \"{}\" }}\n",
            side.name(),
            network.port(side)
        )
    };
    let base = site.base("", "").replace("[flows]\n", "[flows]\nmidstream_grace_s = 0\n");
    let segment =
        "[[segment]]\nname = \"hosts\"\nside_a = \"a\"\nside_b = \"b\"\nhelpers = [\"tftp\"]\n";
    site.configure(&format!("{base}{}{}{segment}", port(Side::A), port(Side::B)));
    let mut run = site.run();
    site.wait_until_running();
    let [a1, b1] = [network.join(Side::A, 1), network.join(Side::B, 1)];
    let _serving = b1.serve();
    let folder = site.path("tftp");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("recipe"), hosts::ftp::CONTENT).unwrap();
    let readable = "chmod 755 \"$0\" \"$0/..\"; chmod 644 \"$0/recipe\"";
    b1.run("sh", &["-c", readable, folder.to_str().unwrap()]);
    let secure = ["-L", "-4", "-s", folder.to_str().unwrap()];
    let _tftpd = b1.spawn("in.tftpd", &secure);

    let services = [
        Talk::Tcp((b1.ipv4, TCP_PORT).into()),
        Talk::Tcp((b1.ipv6, TCP_PORT).into()),
        Talk::Udp((b1.ipv4, UDP_PORT).into()),
        Talk::Udp((b1.ipv6, UDP_PORT).into()),
        Talk::Ping(b1.ipv4.into()),
        Talk::Ping(b1.ipv6.into()),
    ];
    let mut client = Attacker::new(&a1, &b1);
    let mut server = Attacker::new(&b1, &a1);
    let everything = |when: &str, router: &mut Attacker| {
        for talk in services {
            assert_eq!(a1.start(talk).end().1, Outcome::Answered, "{talk:?} {when}");
        }
        assert!(large_pings(&a1, &b1), "ping -s 8000 {when}");
        assert!(multicast(&a1, &b1), "multicast {when}");
        assert!(slaac(&a1, &b1, router), "SLAAC {when}");
        assert!(tftp(&a1, &b1, &folder), "TFTP {when}");
    };
    everything("while learning", &mut server);
    Transfer::start(&a1, &b1, Duration::from_secs(1)).end();
    let known = || site.ask(&["rules", "list"]).expect("control answers")["total"].clone();
    let mut last = (known(), Instant::now());
    wait_until("rules that stay the same for three seconds", PATIENCE, || {
        let now = known();
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > Duration::from_secs(3)
    });
    site.set_mode("hosts", "enforce");
    everything("in enforce mode", &mut server);

    let started = Instant::now();
    let to = SocketAddr::from((b1.ipv4, TCP_PORT));
    assert_eq!(a1.connect_often(to, CONNECTIONS).end().1, Outcome::Answered);
    println!("{CONNECTIONS} connections: {:.1} s", started.elapsed().as_secs_f64());

    let transfer = Transfer::start(&a1, &b1, Duration::from_secs(60));
    let mut failures = Vec::new();
    for (name, by_client, reason, frames) in ATTACKS {
        let (attacker, port) = if by_client { (&mut client, "a") } else { (&mut server, "b") };
        let before = dropped(&site, port, reason);
        let sent = attacker.attack(name);
        let deadline = Instant::now() + Duration::from_secs(3);
        let more = || dropped(&site, port, reason) - before;
        while more() < frames && Instant::now() < deadline {}
        println!("{name:<28} side {port}: {sent:>5} sent, {:>5} dropped as {reason}", more());
        if more() < frames {
            failures.push(format!("{name}: {} of {frames} dropped as {reason}", more()));
        }
    }
    // To a port that is permitted: more conversations than the table holds.
    println!("SYN flood: {} sent", client.attack("SYN flood"));
    assert!(transfer.left() > Duration::ZERO, "the attacks took longer than the transfer");
    let (arrived, seconds) = transfer.end();
    println!("iperf3 meanwhile: {arrived} bytes arrived in {} s", seconds.len());
    assert!(seconds.iter().all(|bytes| *bytes > 0), "the transfer stood still: {seconds:?}");
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(a1.start(services[0]).end().1, Outcome::Answered, "after all");
    assert!(run.stop().success(), "{}", run.log());
}
