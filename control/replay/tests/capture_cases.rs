//! One capture and one policy a case, made by the project's own frame builder: the verdict of every packet, and counters that agree.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

use loadlock_capture::{CaptureWriter, Resolution};
use loadlock_generate::frame::{
    Arp, FrameBuilder, IcmpMessage, Ipv4, Ipv6, Ipv6Extension, Mac, Tcp, TcpFlags, VlanTag,
};
use loadlock_packet::MacAddress;
use loadlock_replay::{LearnUntil, Output, ReplayOptions, parse_helpers, run};
use serde_json::Value;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Host 1 is on side A, host 2 on side B; so is station 3 on side A, without an address of its own.
fn from(host: u8) -> FrameBuilder {
    let mac = |last| Mac([2, 0, 0, 0, 0, last]);
    FrameBuilder::new(mac(host), mac(3 - host))
}

fn v4(host: u8) -> Ipv4 {
    let ip = |last| Ipv4Addr::new(10, 0, 0, last);
    Ipv4::new(ip(host), ip(3 - host)).identification(7)
}

fn v6(host: u8) -> Ipv6 {
    let ip = |last: u8| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into());
    Ipv6::new(ip(host), ip(3 - host))
}

fn tcp(host: u8, ports: [u16; 2], flags: u8, sequence: u32, content: &str) -> Vec<u8> {
    let tcp = Tcp::new(ports[0], ports[1]).flags(TcpFlags(flags)).sequence(sequence);
    from(host).ipv4(v4(host)).tcp(tcp).payload(content.as_bytes()).build().unwrap()
}

fn udp(host: u8, ports: [u16; 2]) -> FrameBuilder {
    from(host).ipv4(v4(host)).udp(ports[0], ports[1]).payload(vec![0; 16])
}

fn piece(protocol: u8, offset: u16, more: bool, bytes: usize) -> Vec<u8> {
    let header = v4(1).fragment(offset, more);
    let mut content = vec![0x9c, 0x40, 0, 53, 0, 64];
    content.resize(bytes, 0);
    from(1).ipv4(header).protocol(protocol).payload(content).build().unwrap()
}

/// Opened by host 1 from port 40,000, up to the first byte of either side.
fn opened(service: u16) -> Vec<Vec<u8>> {
    let ports = [40_000, service];
    vec![
        tcp(1, ports, SYN, 100, ""),
        tcp(2, [service, 40_000], SYN | ACK, 200, ""),
        tcp(1, ports, ACK, 101, ""),
    ]
}

struct Case {
    name: &'static str,
    /// Services of host 2 that host 1 may use; fragments and link layer likewise.
    services: &'static [&'static str],
    /// Addresses that are held to their host's station and side.
    bound: &'static [u8],
    helpers: &'static str,
    frames: Vec<Vec<u8>>,
    /// Verdict and reason of each frame.
    outcomes: Vec<&'static str>,
}

impl Case {
    fn policy(&self) -> String {
        let rule = |(number, service): (usize, &&str)| {
            let (client, server) = match *service {
                service if service.starts_with("icmpv6") => ("fd00::1", "fd00::2"),
                service if service.ends_with("6") && !service.contains('/') => {
                    ("fd00::1", "fd00::2")
                }
                _ => ("10.0.0.1", "10.0.0.2"),
            };
            format!(
                "[[rule]]\nid = {number}\nsegment = \"case\"\nclient = \"{client}\"\nserver = \"{server}\"\n\
                 client_side = \"a\"\nservice = \"{service}\"\nopens = \"client\"\nreason = \"case\"\n"
            )
        };
        let binding = |host: &u8| {
            let side = if *host == 1 { "a" } else { "b" };
            format!(
                "[[binding]]\nsegment = \"case\"\nside = \"{side}\"\naddress = \"10.0.0.{host}\"\n\
                 mac = \"02:00:00:00:00:0{host}\"\nreason = \"case\"\n"
            )
        };
        let rules: String = (1..).zip(self.services).map(rule).collect();
        let bindings: String = self.bound.iter().map(binding).collect();
        format!("format = 1\n{rules}{bindings}")
    }

    fn check(&self) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut writer = CaptureWriter::create(&path("capture.pcap"), Resolution::Nano).unwrap();
        for (frame, at) in self.frames.iter().zip(0..) {
            writer.write(1_700_000_000_000_000_000 + at * 1_000_000, frame).unwrap();
        }
        writer.finish().unwrap();
        fs::write(path("policy.toml"), self.policy()).unwrap();
        let mac = |last| MacAddress([2, 0, 0, 0, 0, last]);
        let mut options = ReplayOptions::new(path("capture.pcap"));
        options.learn_until = Some(LearnUntil::Fraction(0.0));
        options.policy = Some(path("policy.toml"));
        options.verdicts = Some(Output::File(path("verdicts.jsonl")));
        options.side_a = vec![mac(1), mac(3)];
        options.side_b = vec![mac(2)];
        options.helpers = parse_helpers(self.helpers).unwrap();
        // Nothing runs already.
        options.timeouts.grace_ns = 0;
        let report = run(&options).unwrap();
        let lines = fs::read_to_string(path("verdicts.jsonl")).unwrap();
        let outcomes: Vec<String> = lines
            .lines()
            .map(|line| {
                let value: Value = serde_json::from_str(line).unwrap();
                let word = |key: &str| value[key].as_str().unwrap().to_owned();
                format!("{} {}", word("verdict"), word("reason"))
            })
            .collect();
        assert_eq!(outcomes, self.outcomes, "{}", self.name);
        assert!(report.reconciliation.exact, "{}", self.name);
        for (verdict, reasons) in &report.reasons {
            for (reason, packets) in reasons {
                let outcome = format!("{verdict} {reason}");
                let counted = outcomes.iter().filter(|known| **known == outcome).count() as u64;
                assert_eq!(*packets, counted, "{}: {outcome}", self.name);
            }
        }
    }
}

const RULE: &str = "allow rule";
const NO_RULE: &str = "deny no_rule";
const NEGOTIATED: &str = "allow negotiated";

fn ftp() -> Vec<Case> {
    let passive = || {
        let reply = "227 Entering Passive Mode (10,0,0,2,19,137).\r\n";
        let more = [
            tcp(1, [40_000, 21], ACK, 101, "PASV\r\n"),
            tcp(2, [21, 40_000], ACK, 201, reply),
            tcp(1, [40_001, 5001], SYN, 1, ""),
            tcp(2, [5001, 40_001], SYN | ACK, 1, ""),
            tcp(1, [40_002, 5001], SYN, 1, ""),
        ];
        [opened(21), more.to_vec()].concat()
    };
    let active = |command: &str| {
        let more = [
            tcp(1, [40_000, 21], ACK, 101, command),
            tcp(2, [20, 5001], SYN, 1, ""),
            tcp(1, [5001, 20], SYN | ACK, 1, ""),
        ];
        [opened(21), more.to_vec()].concat()
    };
    vec![
        Case {
            name: "FTP passive",
            services: &["tcp/21"],
            bound: &[],
            helpers: "ftp",
            frames: passive(),
            outcomes: vec![RULE, RULE, RULE, RULE, RULE, NEGOTIATED, NEGOTIATED, NO_RULE],
        },
        Case {
            name: "FTP passive, helper off",
            services: &["tcp/21"],
            bound: &[],
            helpers: "none",
            frames: passive(),
            outcomes: vec![RULE, RULE, RULE, RULE, RULE, NO_RULE, NO_RULE, NO_RULE],
        },
        Case {
            name: "FTP active",
            services: &["tcp/21"],
            bound: &[],
            helpers: "ftp,tftp",
            frames: active("PORT 10,0,0,1,19,137\r\n"),
            outcomes: vec![RULE, RULE, RULE, RULE, NEGOTIATED, NEGOTIATED],
        },
        Case {
            name: "FTP bounce",
            services: &["tcp/21"],
            bound: &[],
            helpers: "ftp",
            frames: active("PORT 10,0,0,9,19,137\r\n"),
            outcomes: vec![RULE, RULE, RULE, "deny negotiation_forbidden", NO_RULE, NO_RULE],
        },
    ]
}

fn fragments() -> Vec<Case> {
    let case = |name, frames, outcomes| Case {
        name,
        services: &["udp/53", "tcp/80"],
        bound: &[],
        helpers: "none",
        frames,
        outcomes,
    };
    vec![
        case(
            "first, then the rest, one twice",
            vec![
                piece(17, 0, true, 32),
                piece(17, 32, true, 16),
                piece(17, 32, true, 16),
                piece(17, 48, false, 16),
            ],
            vec![RULE; 4],
        ),
        case(
            "missing first, reordered",
            vec![piece(17, 32, true, 16), piece(17, 0, true, 32), piece(17, 48, false, 16)],
            vec!["deny fragment_unknown", RULE, RULE],
        ),
        case(
            "overlap into the first ends the packet",
            vec![piece(17, 0, true, 32), piece(17, 8, true, 24), piece(17, 32, false, 16)],
            vec![RULE, "deny fragment_overlap", "deny fragment_overlap"],
        ),
        case(
            "tiny, second part of TCP's header, other protocol, too long",
            vec![
                piece(6, 0, true, 8),
                piece(6, 8, true, 16),
                piece(17, 0, true, 32),
                piece(6, 32, true, 16),
                piece(17, 65_528, false, 16),
            ],
            vec![
                "deny fragment_tiny",
                "deny fragment_tiny",
                RULE,
                "deny fragment_protocol",
                "deny fragment_too_long",
            ],
        ),
    ]
}

fn headers() -> Vec<Case> {
    let case = |name, frames: Vec<Vec<u8>>, outcomes| Case {
        name,
        services: &["udp/53", "tcp/80", "icmp/echo"],
        bound: &[],
        helpers: "none",
        frames,
        outcomes,
    };
    let changed = |mut frame: Vec<u8>, at: usize, value: u8| {
        frame[at] = value;
        frame
    };
    let dns = || udp(1, [40_000, 53]).build().unwrap();
    let six = |header: Ipv6| from(1).ipv6(header).udp(40_000, 53).payload(vec![0; 16]);
    let zero = Ipv6Extension::Routing { kind: 0, segments_left: 0, data: vec![0; 4] };
    let chain = |count: usize| {
        (0..count).fold(v6(1), |header, at| {
            header.extension(match at % 2 {
                0 => Ipv6Extension::Destination(Vec::new()),
                _ => Ipv6Extension::HopByHop(Vec::new()),
            })
        })
    };
    let tagged = |outer, inner| {
        let frame = from(1).tag(VlanTag::customer(outer));
        let frame = if inner == 0 { frame } else { frame.tag(VlanTag::customer(inner)) };
        frame.ipv4(v4(1)).udp(40_000, 53).payload(vec![0; 16]).build().unwrap()
    };
    let quote = |port: u16| {
        let packet = tcp(2, [port, 40_000], ACK, 1, "")[14..42].to_vec();
        let message = IcmpMessage { kind: 3, code: 4, rest: [0; 4] };
        from(1).ipv4(v4(1)).icmp(message).payload(packet).build().unwrap()
    };
    let stray = |flags| tcp(1, [40_000, 80], flags, 1, "");
    vec![
        case(
            "IPv4 header length, total length, UDP length",
            vec![
                dns(),
                changed(dns(), 14, 0x44),
                changed(dns(), 16, 0xff),
                changed(dns(), 39, 7),
                changed(dns(), 22, 0),
            ],
            vec![RULE, "deny ipv4_header", "deny ipv4_length", "deny udp_length", RULE],
        ),
        case(
            "VLAN and double-tag hopping: an untagged rule holds in no VLAN",
            vec![dns(), tagged(20, 0), tagged(0, 20), tagged(4095, 0)],
            vec![RULE, NO_RULE, NO_RULE, "deny vlan_reserved"],
        ),
        case(
            "IPv6 chains, routing header 0, jumbogram",
            vec![
                six(chain(8)).build().unwrap(),
                six(chain(9)).build().unwrap(),
                six(v6(1).extension(zero)).build().unwrap(),
                changed(changed(six(v6(1)).build().unwrap(), 18, 0), 19, 0),
            ],
            vec![NO_RULE, "deny ipv6_extensions", "deny ipv6_routing_zero", "deny ipv6_length"],
        ),
        case(
            "ACK, FIN, NULL, XMAS, SYN-FIN and RST without state; SYN to the ports beside",
            [ACK, 1, 0, 0x29, 3, 4]
                .map(stray)
                .into_iter()
                .chain([79, 81].map(|port| tcp(1, [40_000, port], SYN, 1, "")))
                .collect(),
            [vec!["deny not_opened"; 6], vec![NO_RULE; 2]].concat(),
        ),
        case(
            "a server that connects from its service's port",
            vec![
                stray(SYN),
                tcp(2, [80, 40_001], SYN, 1, ""),
                tcp(2, [80, 40_000], SYN | ACK, 1, ""),
            ],
            vec![RULE, "deny wrong_direction", RULE],
        ),
        case(
            "ICMP errors: about a live conversation, and with a forged inner tuple",
            [opened(80), vec![quote(80), quote(81)]].concat(),
            vec![RULE, RULE, RULE, RULE, "deny icmp_error_unrelated"],
        ),
        case(
            "tunnels are opaque: GRE and VXLAN around what is permitted",
            vec![
                from(1)
                    .ipv4(v4(1))
                    .protocol(47)
                    .payload([&[0, 0, 8, 0], &dns()[14..]].concat())
                    .build()
                    .unwrap(),
                udp(1, [40_000, 4789])
                    .payload([&[8, 0, 0, 0, 0, 0, 1, 0], &dns()[..]].concat())
                    .build()
                    .unwrap(),
            ],
            vec![NO_RULE; 2],
        ),
        case(
            "ARP passes, a runt and a cut tag don't",
            vec![
                from(1)
                    .arp(Arp::request(
                        Mac([2, 0, 0, 0, 0, 1]),
                        Ipv4Addr::new(10, 0, 0, 1),
                        Ipv4Addr::new(10, 0, 0, 2),
                    ))
                    .build()
                    .unwrap(),
                dns()[..13].to_vec(),
                tagged(20, 0)[..16].to_vec(),
            ],
            vec!["allow infrastructure", "deny frame_too_short", "deny vlan_truncated"],
        ),
    ]
}

fn identity() -> Vec<Case> {
    let by = |station: u8, host: u8| {
        let mac = |last| Mac([2, 0, 0, 0, 0, last]);
        let udp = FrameBuilder::new(mac(station), mac(2)).ipv4(v4(host)).udp(40_000, 53);
        udp.payload(vec![0; 16]).build().unwrap()
    };
    vec![Case {
        name: "address of another station",
        services: &["udp/53"],
        bound: &[1],
        helpers: "none",
        frames: vec![by(1, 1), by(3, 1), by(1, 1)],
        outcomes: vec![RULE, "deny duplicate_ip", RULE],
    }]
}

#[test]
fn every_packet_of_every_case_has_its_verdict() {
    for case in [ftp(), fragments(), headers(), identity()].into_iter().flatten() {
        case.check();
    }
}
