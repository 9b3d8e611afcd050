//! Negotiated ports: what a helper opens, and what it doesn't.

mod support;

use std::net::{Ipv4Addr, Ipv6Addr};

use loadlock_exchange::DropReason::{NegotiationForbidden, NoRule};
use loadlock_exchange::{EventKind, Mode, SegmentPolicy, WorkerCounter};
use loadlock_generate::frame::{FrameBuilder, Ipv4, Ipv6, Mac, Tcp, TcpFlags};
use loadlock_packet::Side;
use loadlock_packet::negotiation::{Helper, Helpers};
use loadlock_pipeline::{Basis, Verdict};
use support::flags::{ACK, PSH, RST, SYN};
use support::{Packet, Rig, Rule, SECOND_NS, Sort, segment};

const FTP: fn() -> Rule = || Rule::to_b(1, Sort::Tcp4, 21);
const FTP6: fn() -> Rule = || Rule::to_b(1, Sort::Tcp6, 21);
const MAPPER: fn() -> Rule = || Rule::to_b(1, Sort::Tcp4, 135);
const TFTP: fn() -> Rule = || Rule::to_b(1, Sort::Udp4, 69);

fn all() -> Helpers {
    Helper::ALL.into_iter().fold(Helpers::NONE, Helpers::with)
}

fn with(mode: Mode, helpers: Helpers) -> SegmentPolicy {
    SegmentPolicy { helpers, ..segment(mode) }
}

fn rig(rules: &[Rule]) -> Rig {
    Rig::settled(with(Mode::Enforce, all()), rules)
}

fn negotiated(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Negotiated(Some(rule.id())))
}

/// A connection's two streams.
struct Stream {
    sort: Sort,
    ports: [u16; 2],
    next: [u32; 2],
}

impl Stream {
    fn frame(&self, from: Side, sequence: u32, flags: u8, content: &[u8]) -> Vec<u8> {
        let (source, to) = (from as usize, from.other() as usize);
        let mac = |side: usize| Mac([2, 0, 0, 0, side as u8, 1]);
        let frame = FrameBuilder::new(mac(source), mac(to));
        let v4 = |side: usize| Ipv4Addr::new(10, 0, side as u8, 1);
        let v6 = |side: usize| Ipv6Addr::new(0xfd00, 0, 0, side as u16, 0, 0, 0, 1);
        let frame = match self.sort {
            Sort::Tcp4 | Sort::Udp4 => frame.ipv4(Ipv4::new(v4(source), v4(to))),
            _ => frame.ipv6(Ipv6::new(v6(source), v6(to))),
        };
        let (source, to) = (self.ports[source], self.ports[to]);
        let frame = match self.sort {
            Sort::Udp4 | Sort::Udp6 => frame.udp(source, to),
            _ => frame.tcp(Tcp::new(source, to).flags(TcpFlags(flags)).sequence(sequence)),
        };
        frame.payload(content).build().unwrap()
    }

    /// Opened from port 40,000 on side A.
    fn open(rig: &mut Rig, sort: Sort, service: u16) -> Self {
        let stream = Self { sort, ports: [40_000, service], next: [101, u32::MAX] };
        for (from, sequence, flags) in
            [(Side::A, 100, SYN), (Side::B, u32::MAX - 1, SYN | ACK), (Side::A, 101, ACK)]
        {
            let frame = stream.frame(from, sequence, flags, b"");
            assert!(rig.burst(from, &[frame])[0].forwards());
        }
        stream
    }

    fn say(&mut self, rig: &mut Rig, from: Side, content: impl AsRef<[u8]>) -> Verdict {
        let content = content.as_ref();
        let next = &mut self.next[from as usize];
        let sequence = *next;
        *next = next.wrapping_add(content.len() as u32);
        rig.burst(from, &[self.frame(from, sequence, ACK | PSH, content)])[0]
    }
}

fn ftp(rig: &mut Rig) -> Stream {
    Stream::open(rig, Sort::Tcp4, 21)
}

fn from_b(packet: Packet) -> Packet {
    Packet { from: Side::B, ..packet }
}

/// The server's connection from port 20 to the client's.
fn active(port: u16) -> Packet {
    Packet { ports: [port, 20], ..from_b(Packet::syn(0)) }
}

fn passive(stream: &mut Stream, rig: &mut Rig, port: u16) {
    let [high, low] = port.to_be_bytes();
    assert!(stream.say(rig, Side::A, "PASV\r\n").forwards());
    let reply = format!("227 Entering Passive Mode (10,0,1,1,{high},{low}).\r\n");
    assert_eq!(stream.say(rig, Side::B, reply), Verdict::Allow(Basis::Rule(FTP().id())));
}

fn unread(rig: &Rig) -> u64 {
    rig.counter(WorkerCounter::NegotiatedUnread)
}

fn opened(rig: &Rig) -> u64 {
    rig.counter(WorkerCounter::NegotiatedOpened)
}

#[test]
fn ftp_active_opens_the_clients_port_for_the_server_once() {
    let mut rig = rig(&[FTP()]);
    let mut control = ftp(&mut rig);
    assert_eq!(rig.send(active(5001)), Verdict::Deny(NoRule), "not yet");
    assert!(control.say(&mut rig, Side::A, "PORT 10,0,0,1,19,137\r\n").forwards());
    assert_eq!(opened(&rig), 1);
    assert_eq!(rig.send(Packet { ports: [20, 5001], ..Packet::syn(0) }), Verdict::Deny(NoRule));
    assert_eq!(rig.send(active(5002)), Verdict::Deny(NoRule), "another port");
    assert_eq!(rig.send(Packet { hosts: [2, 1], ..active(5001) }), Verdict::Deny(NoRule));
    assert_eq!(rig.send(Packet { hosts: [1, 2], ..active(5001) }), Verdict::Deny(NoRule));
    assert_eq!(rig.send(active(5001).with(ACK)), Verdict::Deny(NoRule), "a SYN opens it");
    assert_eq!(rig.send(active(5001)), negotiated(FTP()));
    for (packet, flags) in [(active(5001).back(0), SYN | ACK), (active(5001), ACK)] {
        assert_eq!(rig.send(packet.with(flags)), negotiated(FTP()));
    }
    let second = Packet { ports: [5001, 2020], ..active(5001) };
    assert_eq!(rig.send(second), Verdict::Deny(NoRule), "it is good for one");
    let started = rig.events(EventKind::Started);
    assert!(started.iter().any(|event| event.flags.negotiated && event.rule == Some(FTP().id())));
}

#[test]
fn ftp_passive_opens_the_servers_port_for_the_client() {
    let mut rig = rig(&[FTP()]);
    let mut control = ftp(&mut rig);
    let data = Packet::syn(5001);
    assert_eq!(rig.send(data), Verdict::Deny(NoRule));
    passive(&mut control, &mut rig, 5001);
    assert_eq!(rig.send(data.back(SYN)), Verdict::Deny(NoRule), "the server doesn't open it");
    assert_eq!(rig.send(data), negotiated(FTP()));
    assert_eq!(rig.send(data.back(SYN | ACK)), negotiated(FTP()));
    passive(&mut control, &mut rig, 5002);
    assert!(control.say(&mut rig, Side::A, "EPSV\r\n").forwards());
    assert!(control.say(&mut rig, Side::B, "229 Extended (|||5003|)\r\n").forwards());
    assert_eq!(rig.send(Packet::syn(5003)), negotiated(FTP()));
    assert_eq!(rig.send(Packet::syn(5002).port(40_001)), negotiated(FTP()));
}

#[test]
fn ftp_over_ipv6() {
    let mut rig = rig(&[FTP6()]);
    let mut control = Stream::open(&mut rig, Sort::Tcp6, 21);
    assert!(control.say(&mut rig, Side::A, "EPRT |2|fd00::1|5001|\r\n").forwards());
    assert!(control.say(&mut rig, Side::A, "EPSV\r\n").forwards());
    assert!(control.say(&mut rig, Side::B, "229 ok (|||5002|)\r\n").forwards());
    let data = Packet { ports: [5001, 20], ..from_b(Packet::to_b(Sort::Tcp6, 0, SYN)) };
    assert_eq!(rig.send(data), negotiated(FTP6()));
    assert_eq!(rig.send(Packet::to_b(Sort::Tcp6, 5002, SYN)), negotiated(FTP6()));
    assert_eq!(rig.send(Packet::syn(5002)), Verdict::Deny(NoRule), "IPv4 is another host");
}

#[test]
fn ftp_bounce_is_denied_and_opens_nothing() {
    for command in [
        "PORT 10,0,0,2,19,137\r\n",
        "PORT 10,0,1,1,19,137\r\n",
        "EPRT |1|10.0.0.9|5001|\r\n",
        "EPRT |2|fd00::1|5001|\r\n",
        "PORT 10,0,0,1,1,189\r\n",
        "PORT 10,0,0,1,0,0\r\n",
        "NOOP\r\nPORT 10,0,0,1,19,137\r\nPORT 10,0,0,3,19,137\r\n",
    ] {
        let mut rig = rig(&[FTP()]);
        let mut control = ftp(&mut rig);
        let verdict = control.say(&mut rig, Side::A, command);
        assert_eq!(verdict, Verdict::Deny(NegotiationForbidden), "{command}");
        assert_eq!(opened(&rig), 0);
        let denied = rig.events(EventKind::Denied(NegotiationForbidden));
        assert_eq!((denied.len(), denied[0].flags.forwarded), (1, false));
        let mut rig = Rig::settled(with(Mode::Learn, all()), &[FTP()]);
        let mut control = ftp(&mut rig);
        let verdict = control.say(&mut rig, Side::A, command);
        assert_eq!(verdict, Verdict::WouldDeny(NegotiationForbidden), "{command}");
    }
    let mut rig = rig(&[FTP()]);
    let mut control = ftp(&mut rig);
    control.say(&mut rig, Side::A, "PASV\r\n");
    let reply = control.say(&mut rig, Side::B, "227 (10,0,1,2,19,137)\r\n");
    assert_eq!(reply, Verdict::Deny(NegotiationForbidden));
}

/// The server is made to repeat what the client wrote, with segments so small that one begins with what looks like its reply.
#[test]
fn a_reply_that_was_not_asked_for_or_does_not_begin_a_line_opens_nothing() {
    let reply = "227 Entering Passive Mode (10,0,1,1,19,137)\r\n";
    let mut rig = rig(&[FTP()]);
    let mut control = ftp(&mut rig);
    assert!(control.say(&mut rig, Side::B, reply).forwards());
    assert_eq!(opened(&rig), 0, "nobody asked");
    control.say(&mut rig, Side::A, "XXX\r\n");
    control.say(&mut rig, Side::A, "PASV\r\n");
    control.say(&mut rig, Side::B, "500 unknown: ");
    control.say(&mut rig, Side::B, reply);
    assert_eq!((opened(&rig), unread(&rig)), (0, 1), "not the beginning of a line");
    let sequence = control.next[1].wrapping_sub(reply.len() as u32);
    let again = control.frame(Side::B, sequence, ACK, reply.as_bytes());
    assert!(rig.burst(Side::B, &[again])[0].forwards());
    assert_eq!(opened(&rig), 0, "sent again alone");
    control.say(&mut rig, Side::B, "220 that was all\r\n");
    control.say(&mut rig, Side::B, reply);
    assert_eq!(opened(&rig), 1, "the reply itself");
}

#[test]
fn a_command_split_over_segments_is_forwarded_counted_and_opens_nothing() {
    let mut rig = rig(&[FTP()]);
    let mut control = ftp(&mut rig);
    for (part, unread_after) in
        [("PORT 10,0,0,1", 1), (",19,137\r\n", 1), ("PO", 2), ("RT x\r\n", 2)]
    {
        assert!(control.say(&mut rig, Side::A, part).forwards());
        assert_eq!(unread(&rig), unread_after, "{part}");
    }
    assert_eq!(opened(&rig), 0);
    control.say(&mut rig, Side::A, "PORT 10,0,0,1,19,137\r\n");
    assert_eq!(opened(&rig), 1, "whole lines again");
}

#[test]
fn a_helper_that_is_off_opens_nothing() {
    let others = Helpers::NONE.with(Helper::Rpc).with(Helper::Tftp);
    for helpers in [Helpers::NONE, others] {
        let mut rig = Rig::settled(with(Mode::Enforce, helpers), &[FTP()]);
        let mut control = ftp(&mut rig);
        passive(&mut control, &mut rig, 5001);
        assert!(control.say(&mut rig, Side::A, "PORT 10,0,9,9,19,137\r\n").forwards());
        assert_eq!(rig.send(Packet::syn(5001)), Verdict::Deny(NoRule));
        assert_eq!((opened(&rig), unread(&rig)), (0, 0));
    }
}

#[test]
fn only_a_permitted_client_negotiates() {
    // The server of the rule may not be the FTP client, nor may a client that happens to use port 21.
    let http = Rule { client_side: Side::B, ..Rule::to_b(2, Sort::Tcp4, 8080) };
    let mut rig = rig(&[http]);
    let stream = Stream { sort: Sort::Tcp4, ports: [8080, 21], next: [0, 0] };
    let mut stream = {
        for (from, sequence, flags) in
            [(Side::B, 7, SYN), (Side::A, 0, SYN | ACK), (Side::B, 8, ACK)]
        {
            assert!(rig.burst(from, &[stream.frame(from, sequence, flags, b"")])[0].forwards());
        }
        Stream { next: [1, 8], ..stream }
    };
    assert!(stream.say(&mut rig, Side::A, "PORT 10,0,0,1,19,137\r\n").forwards());
    assert!(stream.say(&mut rig, Side::B, "PASV\r\n").forwards());
    assert_eq!(opened(&rig), 0);
    let mut rig = Rig::settled(with(Mode::Monitor, all()), &[]);
    let mut control = ftp(&mut rig);
    control.say(&mut rig, Side::A, "PORT 10,0,0,1,19,137\r\n");
    assert_eq!(
        rig.send(active(5001)),
        Verdict::WouldDeny(NoRule),
        "as it would be in enforce mode"
    );
}

#[test]
fn a_negotiated_port_is_open_for_a_bounded_time() {
    let mut rig = rig(&[FTP()]);
    let mut control = ftp(&mut rig);
    passive(&mut control, &mut rig, 5001);
    rig.now_ns += 29 * SECOND_NS;
    passive(&mut control, &mut rig, 5002);
    rig.now_ns += 2 * SECOND_NS;
    assert_eq!(rig.send(Packet::syn(5001)), Verdict::Deny(NoRule));
    assert_eq!(rig.send(Packet::syn(5002)), negotiated(FTP()));
}

#[test]
fn a_revoked_rule_closes_what_was_negotiated() {
    let mut rig = rig(&[FTP()]);
    let mut control = ftp(&mut rig);
    passive(&mut control, &mut rig, 5001);
    passive(&mut control, &mut rig, 5002);
    let data = Packet::syn(5001);
    assert_eq!(rig.send(data), negotiated(FTP()));
    assert_eq!(rig.send(data.back(SYN | ACK)), negotiated(FTP()));
    let renumbered = Rule { number: 7, ..FTP() };
    rig.publish(with(Mode::Enforce, all()), &[renumbered]);
    assert_eq!(rig.send(data.with(ACK)), negotiated(renumbered), "kept under its new number");
    rig.publish(with(Mode::Enforce, all()), &[]);
    assert_eq!(rig.send(data.with(ACK)), Verdict::Deny(NoRule));
    assert_eq!(rig.send(Packet::syn(5002)), Verdict::Deny(NoRule), "announced, and revoked since");
    rig.publish(with(Mode::Enforce, Helpers::NONE), &[FTP()]);
    assert_eq!(rig.send(Packet::syn(5002).port(40_002)), Verdict::Deny(NoRule), "switched off");
}

#[test]
fn a_port_that_was_denied_before_opens_at_once() {
    let mut rig = rig(&[FTP()]);
    let mut control = ftp(&mut rig);
    for _ in 0..3 {
        assert_eq!(rig.send(Packet::syn(5001)), Verdict::Deny(NoRule));
    }
    passive(&mut control, &mut rig, 5001);
    assert_eq!(rig.send(Packet::syn(5001)), negotiated(FTP()));
    assert_eq!(rig.send(Packet::syn(5001).with(RST)), negotiated(FTP()));
}

#[test]
fn what_a_segment_learns_is_negotiated_too_and_no_evidence_of_its_own() {
    let mut rig = Rig::settled(with(Mode::Learn, all()), &[]);
    let mut control = ftp(&mut rig);
    control.say(&mut rig, Side::A, "PORT 10,0,0,1,19,137\r\n");
    assert_eq!(rig.send(active(5001)), Verdict::Allow(Basis::Negotiated(None)));
    let started = rig.events(EventKind::Started);
    let flags = started[1].flags;
    assert!(flags.negotiated && !flags.learning && started[1].rule.is_none());
    rig.publish(with(Mode::Enforce, all()), &[FTP()]);
    assert_eq!(rig.send(active(5001).with(ACK)), negotiated(FTP()), "the parent was learned");
}

#[test]
fn endpoint_mapper_opens_the_endpoint_for_its_client_for_five_minutes() {
    let mut rig = rig(&[MAPPER()]);
    let mut mapper = Stream::open(&mut rig, Sort::Tcp4, 135);
    let message = |kind: u8, body: &[u8]| {
        let [l0, l1] = (16 + body.len() as u16).to_le_bytes();
        [&[5, 0, kind, 3, 0x10, 0, 0, 0, l0, l1, 0, 0, 1, 0, 0, 0][..], body].concat()
    };
    let bindings = |text: &str| {
        let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        message(2, &[&[0; 40][..], &[7, 0], &text, &[0; 4]].concat())
    };
    let asking = message(0, &[0, 0, 0, 0, 0, 0, 4, 0]);
    mapper.say(&mut rig, Side::B, bindings("10.0.1.1[49160]"));
    assert_eq!(opened(&rig), 0, "nobody asked");
    mapper.say(&mut rig, Side::A, &asking);
    mapper.say(&mut rig, Side::B, bindings("10.0.1.9[49160]"));
    assert_eq!(opened(&rig), 0, "another host's");
    mapper.say(&mut rig, Side::A, &asking);
    mapper.say(&mut rig, Side::B, bindings("10.0.1.1[49160]"));
    for port in [40_001, 40_002] {
        assert_eq!(rig.send(Packet::syn(49_160).port(port)), negotiated(MAPPER()));
        rig.now_ns += 149 * SECOND_NS;
    }
    assert_eq!(rig.send(Packet::syn(49_160).back(SYN)), Verdict::Deny(NoRule));
    rig.now_ns += 3 * SECOND_NS;
    assert_eq!(rig.send(Packet::syn(49_160).port(40_003)), Verdict::Deny(NoRule));
}

#[test]
fn tftp_server_answers_from_a_port_of_its_own() {
    let mut rig = rig(&[TFTP()]);
    let request = Stream { sort: Sort::Udp4, ports: [2070, 69], next: [0; 2] };
    let answer = Packet { ports: [2070, 3333], ..from_b(Packet::udp(0)) };
    assert_eq!(rig.send(answer), Verdict::Deny(NoRule));
    let ask = request.frame(Side::A, 0, 0, b"\0\x01recipe\0octet\0");
    assert_eq!(rig.burst(Side::A, &[ask])[0], Verdict::Allow(Basis::Rule(TFTP().id())));
    assert_eq!(rig.send(answer), negotiated(TFTP()));
    assert_eq!(rig.send(answer.back(0)), negotiated(TFTP()), "acknowledged");
    let other = Packet { ports: [2070, 3334], ..answer };
    assert_eq!(rig.send(other), Verdict::Deny(NoRule), "one transfer");
    let noise = request.frame(Side::A, 0, 0, b"\0\x03nothing asked");
    rig.burst(Side::A, &[noise]);
    assert_eq!(rig.send(other), Verdict::Deny(NoRule));
    assert_eq!(rig.send(answer.back(0).port(69)), Verdict::Deny(NoRule));
}

/// RSS gives a negotiated conversation the same worker only if the hosts' addresses alone are hashed; with the device's own hash it
/// may be another one.
#[test]
fn another_worker_opens_what_one_has_read() {
    let [mut one, mut other] = [rig(&[FTP()]), rig(&[FTP()])];
    other.pipeline.share_expected(one.pipeline.expected());
    let mut control = ftp(&mut one);
    passive(&mut control, &mut one, 5001);
    assert_eq!(other.send(Packet::syn(5001)), negotiated(FTP()));
    assert_eq!(one.send(Packet::syn(5001).port(40_009)), Verdict::Deny(NoRule), "used up");
}

#[test]
fn a_conversation_met_running_is_read_from_its_next_message_on() {
    let mut rig = rig(&[FTP()]);
    rig.pipeline.start_grace(rig.now_ns);
    let mut control = Stream { sort: Sort::Tcp4, ports: [40_000, 21], next: [500, 900] };
    let first = control.say(&mut rig, Side::A, "PORT 10,0,0,1,19,137\r\n");
    assert_eq!(first, Verdict::Allow(Basis::Rule(FTP().id())));
    assert_eq!((opened(&rig), unread(&rig)), (0, 1), "perhaps the middle of something");
    control.say(&mut rig, Side::A, "PORT 10,0,0,1,19,138\r\n");
    assert_eq!(opened(&rig), 1);
    assert_eq!(rig.send(active(5002)), negotiated(FTP()));
}
