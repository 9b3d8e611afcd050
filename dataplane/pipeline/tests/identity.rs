//! Rights aren't inherited with an address: who forges one, moves, or claims another's, each by name.

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadlock_exchange::DropReason::{
    self, AddressClaimed, DuplicateIp, GratuitousTakeover, IpMoved, MacMoved, NoRule,
    SourceMacSpoofed,
};
use loadlock_exchange::{BindingEntry, EventKind, Midstream, Mode, WorkerCounter};
use loadlock_generate::frame::{
    Arp, FrameBuilder, IcmpMessage, Ipv4, Ipv6, Ipv6Extension, Mac, Tcp, TcpFlags,
};
use loadlock_packet::{MacAddress, SegmentId, Side, VlanStack};
use loadlock_pipeline::{Basis, Verdict};
use support::flags::{ACK, RST, SYN};
use support::{Packet, Rig, Rule, Sort, TIMEOUTS, open_infrastructure, segment};

const MODES: [Mode; 3] = [Mode::Learn, Mode::Monitor, Mode::Enforce];

/// The tool on side A and its station, the server on B, and who has no right to either.
const TOOL: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Mac = Mac([2, 0, 0, 0, 1, 1]);
const STRANGER: Mac = Mac([2, 0, 0, 0, 0, 0x66]);

fn v4(side: Side, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, side as u8, host)
}

fn v6(side: Side, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, side as u16, 0, 0, 0, host)
}

fn binding(side: Side, address: impl Into<IpAddr>, Mac(mac): Mac) -> BindingEntry {
    BindingEntry {
        segment: SegmentId::new(0).unwrap(),
        vlans: VlanStack::UNTAGGED,
        side,
        address: Some(address.into()),
        mac: Some(MacAddress(mac)),
    }
}

fn bindings() -> Vec<BindingEntry> {
    vec![
        binding(Side::A, v4(Side::A, 1), TOOL),
        binding(Side::A, v6(Side::A, 1), TOOL),
        binding(Side::B, v4(Side::B, 1), SERVER),
        binding(Side::B, v6(Side::B, 1), SERVER),
    ]
}

fn http() -> Rule {
    Rule::to_b(1, Sort::Tcp4, 80)
}

fn by(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Rule(rule.id()))
}

const PASSES: Verdict = Verdict::Allow(Basis::Infrastructure);

fn rig(mode: Mode) -> Rig {
    let mut rig = Rig::settled(open_infrastructure(mode), &[http(), Rule::to_b(2, Sort::Tcp6, 80)]);
    rig.bind(&bindings());
    rig
}

fn tcp(from: Side, source: Mac, flags: u8) -> Vec<u8> {
    segment_of(from, source, v4(from, 1), flags)
}

fn segment_of(from: Side, source: Mac, address: Ipv4Addr, flags: u8) -> Vec<u8> {
    let (destination, ports) = match from {
        Side::A => (SERVER, [40_000, 80]),
        Side::B => (TOOL, [80, 40_000]),
    };
    let ip = Ipv4::new(address, v4(from.other(), 1));
    let tcp = Tcp::new(ports[0], ports[1]).flags(TcpFlags(flags));
    FrameBuilder::new(source, destination).ipv4(ip).tcp(tcp).build().unwrap()
}

fn one(rig: &mut Rig, side: Side, frame: Vec<u8>) -> Verdict {
    rig.burst(side, &[frame])[0]
}

/// What each mode makes of a frame that the bindings speak against.
fn refused_everywhere(reason: DropReason, side: Side, frame: &[u8]) {
    for mode in MODES {
        let mut rig = rig(mode);
        let expected = match mode {
            Mode::Enforce | Mode::Quarantine => Verdict::Deny(reason),
            Mode::Learn | Mode::Monitor => Verdict::WouldDeny(reason),
        };
        for _ in 0..3 {
            assert_eq!(one(&mut rig, side, frame.to_vec()), expected, "{mode:?}");
        }
        let denied = rig.events(EventKind::Denied(reason));
        assert_eq!(denied.len(), 1, "one report, however often: {mode:?}");
        assert_eq!(denied[0].flags.forwarded, mode != Mode::Enforce);
        let source: [u8; 6] = frame[6..12].try_into().unwrap();
        assert_eq!(denied[0].macs[side as usize], MacAddress(source), "it says whose frame it was");
        assert_eq!(rig.flows(), 0, "and nothing is learned from it");
        assert_eq!(rig.events(EventKind::Started), []);
    }
}

#[test]
fn duplicate_ip_is_denied() {
    refused_everywhere(DuplicateIp, Side::A, &tcp(Side::A, STRANGER, SYN));
    refused_everywhere(DuplicateIp, Side::B, &tcp(Side::B, STRANGER, SYN | ACK));
    let ip = Ipv6::new(v6(Side::A, 1), v6(Side::B, 1));
    let syn = Tcp::new(40_000, 80).flags(TcpFlags(SYN));
    let frame = FrameBuilder::new(STRANGER, SERVER).ipv6(ip).tcp(syn).build().unwrap();
    refused_everywhere(DuplicateIp, Side::A, &frame);
}

#[test]
fn address_from_the_other_side_is_denied() {
    let frame = segment_of(Side::B, STRANGER, v4(Side::A, 1), SYN);
    refused_everywhere(IpMoved, Side::B, &frame);
}

#[test]
fn station_that_moves_to_the_other_side_is_denied() {
    refused_everywhere(MacMoved, Side::B, &segment_of(Side::B, TOOL, v4(Side::B, 9), SYN));
    refused_everywhere(MacMoved, Side::B, &tcp(Side::B, TOOL, SYN));
    let profinet = FrameBuilder::new(TOOL, STRANGER).ether_type(0x8892).payload(vec![0; 46]);
    refused_everywhere(MacMoved, Side::B, &profinet.build().unwrap());
}

#[test]
fn station_with_a_foreign_ipv4_address_is_denied() {
    refused_everywhere(SourceMacSpoofed, Side::A, &segment_of(Side::A, TOOL, v4(Side::A, 7), SYN));
}

/// A station asks for an address with none, gives itself one in need, and takes IPv6 ones as it likes (RFC 8981).
#[test]
fn addresses_that_a_station_gives_itself_are_left_to_the_rules() {
    let mut rig = rig(Mode::Enforce);
    for address in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(169, 254, 3, 4)] {
        let frame = segment_of(Side::A, TOOL, address, SYN);
        assert_eq!(one(&mut rig, Side::A, frame), Verdict::Deny(NoRule), "{address}");
    }
    let ip = Ipv6::new(v6(Side::A, 0x1234), v6(Side::B, 1));
    let frame = FrameBuilder::new(TOOL, SERVER).ipv6(ip).udp(1, 2).build().unwrap();
    assert_eq!(one(&mut rig, Side::A, frame), Verdict::Deny(NoRule));
}

fn arp(source: Mac, sender: Mac, address: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    FrameBuilder::new(source, Mac::BROADCAST)
        .arp(Arp::request(sender, address, target))
        .build()
        .unwrap()
}

#[test]
fn arp_that_claims_anothers_address_is_denied() {
    let (tool, server) = (v4(Side::A, 1), v4(Side::B, 1));
    let lie = Arp::request(SERVER, server, tool).answered_by(STRANGER);
    let answer = FrameBuilder::new(STRANGER, SERVER).arp(lie).build().unwrap();
    refused_everywhere(AddressClaimed, Side::A, &answer);
    refused_everywhere(AddressClaimed, Side::A, &arp(STRANGER, STRANGER, tool, server));
    // The other side's address, the true owner named by another station, and the same within 802.2 SNAP.
    refused_everywhere(AddressClaimed, Side::A, &arp(STRANGER, STRANGER, server, tool));
    refused_everywhere(AddressClaimed, Side::A, &arp(STRANGER, TOOL, tool, server));
    let packet = &arp(STRANGER, STRANGER, tool, server)[14..42];
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 6], packet].concat();
    let snap = FrameBuilder::new(STRANGER, Mac::BROADCAST).llc().payload(snap).build().unwrap();
    refused_everywhere(AddressClaimed, Side::A, &snap);
}

/// Also to a group that bridges don't relay, which would pass as infrastructure of its own.
#[test]
fn gratuitous_arp_that_takes_an_address_over_is_denied() {
    let tool = v4(Side::A, 1);
    let gratuitous = arp(STRANGER, STRANGER, tool, tool);
    refused_everywhere(GratuitousTakeover, Side::A, &gratuitous);
    let unasked = Arp::request(SERVER, v4(Side::B, 1), tool).answered_by(STRANGER);
    for group in [Mac::BROADCAST, Mac([1, 0x80, 0xc2, 0, 0, 0x0e])] {
        let frame = FrameBuilder::new(STRANGER, group).arp(unasked).build().unwrap();
        refused_everywhere(GratuitousTakeover, Side::A, &frame);
    }
}

#[test]
fn arp_of_the_owner_a_probe_and_what_nobody_has_pass() {
    let mut rig = rig(Mode::Enforce);
    let (tool, server) = (v4(Side::A, 1), v4(Side::B, 1));
    for frame in [
        arp(TOOL, TOOL, tool, server),
        arp(TOOL, TOOL, tool, tool),
        arp(STRANGER, STRANGER, Ipv4Addr::UNSPECIFIED, tool),
        arp(STRANGER, STRANGER, v4(Side::A, 9), server),
        arp(STRANGER, STRANGER, v4(Side::A, 9), v4(Side::A, 9)),
    ] {
        assert_eq!(one(&mut rig, Side::A, frame), PASSES);
    }
    let mut other = arp(STRANGER, STRANGER, tool, tool);
    other[16] = 0x86;
    assert_eq!(
        one(&mut rig, Side::A, other),
        PASSES,
        "not about IPv4: nobody takes it for a claim"
    );
    assert_eq!(one(&mut rig, Side::A, arp(STRANGER, STRANGER, tool, tool)[..30].to_vec()), PASSES);
}

/// A neighbour discovery message with `options` behind its fixed part.
fn discovery(
    source: Mac,
    address: Ipv6Addr,
    kind: u8,
    flags: u8,
    fixed: &[u8],
    options: &[u8],
) -> Vec<u8> {
    let message = IcmpMessage { kind, code: 0, rest: [flags, 0, 0, 0] };
    let ip = Ipv6::new(address, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)).hop_limit(255);
    FrameBuilder::new(source, Mac([0x33, 0x33, 0, 0, 0, 1]))
        .ipv6(ip)
        .icmpv6(message)
        .payload([fixed, options].concat())
        .build()
        .unwrap()
}

fn option(kind: u8, Mac(mac): Mac) -> Vec<u8> {
    [&[kind, 1][..], &mac].concat()
}

#[test]
fn neighbour_discovery_that_claims_anothers_address_is_denied() {
    let own = v6(Side::A, 0x66);
    let target = v6(Side::A, 1).octets();
    let solicited = 0x60;
    let advertisement = |options: &[u8]| discovery(STRANGER, own, 136, solicited, &target, options);
    refused_everywhere(AddressClaimed, Side::A, &advertisement(&option(2, STRANGER)));
    let twice = [option(2, TOOL), option(2, STRANGER)].concat();
    refused_everywhere(AddressClaimed, Side::A, &advertisement(&twice));
    let hidden = [[14, 1, 0, 0, 0, 0, 0, 0].repeat(40), option(2, STRANGER)].concat();
    refused_everywhere(AddressClaimed, Side::A, &advertisement(&hidden));
    let redirect = [target, target].concat();
    let frame = discovery(STRANGER, own, 137, 0, &redirect, &option(2, STRANGER));
    refused_everywhere(AddressClaimed, Side::A, &frame);
}

/// Solicitations and router advertisements claim the address that they come from: there it is the frame's own station that
/// speaks against them first.
#[test]
fn neighbour_discovery_from_anothers_address_is_denied() {
    let tool = v6(Side::A, 1);
    for (kind, fixed) in [(133, 0), (134, 8), (135, 16)] {
        let frame = discovery(STRANGER, tool, kind, 0, &vec![0; fixed], &option(1, STRANGER));
        refused_everywhere(DuplicateIp, Side::A, &frame);
        let frame = discovery(TOOL, tool, kind, 0, &vec![0; fixed], &option(1, STRANGER));
        refused_everywhere(AddressClaimed, Side::A, &frame);
    }
}

#[test]
fn unsolicited_advertisement_that_takes_an_address_over_is_denied() {
    let target = v6(Side::A, 1).octets();
    let own = v6(Side::A, 0x66);
    let frame = discovery(STRANGER, own, 136, 0x20, &target, &option(2, STRANGER));
    refused_everywhere(GratuitousTakeover, Side::A, &frame);
    // Behind an extension header it isn't infrastructure, and hosts take it all the same.
    let ip = Ipv6::new(own, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)).hop_limit(255);
    let message = IcmpMessage { kind: 136, code: 0, rest: [0x20, 0, 0, 0] };
    let frame = FrameBuilder::new(STRANGER, Mac([0x33, 0x33, 0, 0, 0, 1]))
        .ipv6(ip.extension(Ipv6Extension::Destination(vec![1, 4, 0, 0, 0, 0])))
        .icmpv6(message)
        .payload([&target[..], &option(2, STRANGER)].concat());
    refused_everywhere(GratuitousTakeover, Side::A, &frame.build().unwrap());
}

#[test]
fn neighbour_discovery_of_the_owner_and_duplicate_address_detection_pass() {
    let mut rig = rig(Mode::Enforce);
    let tool = v6(Side::A, 1);
    let target = tool.octets();
    for frame in [
        discovery(TOOL, tool, 136, 0x60, &target, &option(2, TOOL)),
        discovery(TOOL, tool, 136, 0x20, &target, &option(2, TOOL)),
        discovery(TOOL, tool, 135, 0, &[0; 16], &option(1, TOOL)),
        discovery(STRANGER, Ipv6Addr::UNSPECIFIED, 135, 0, &target, &[]),
        discovery(STRANGER, v6(Side::A, 9), 135, 0, &target, &option(1, STRANGER)),
        discovery(
            STRANGER,
            v6(Side::A, 9),
            136,
            0x20,
            &v6(Side::A, 9).octets(),
            &option(2, STRANGER),
        ),
    ] {
        assert_eq!(one(&mut rig, Side::A, frame), PASSES);
    }
}

/// The line knows where the first packet was sent to, which is only what the client believed.
#[test]
fn answers_of_a_station_that_only_the_client_believes_in_are_denied() {
    let mut rig = rig(Mode::Enforce);
    let mut poisoned = tcp(Side::A, TOOL, SYN);
    poisoned[..6].copy_from_slice(&STRANGER.0);
    assert_eq!(one(&mut rig, Side::A, poisoned), by(http()));
    assert_eq!(
        one(&mut rig, Side::B, tcp(Side::B, STRANGER, SYN | ACK)),
        Verdict::Deny(DuplicateIp)
    );
    assert_eq!(one(&mut rig, Side::B, tcp(Side::B, STRANGER, ACK)), Verdict::Deny(DuplicateIp));
    assert_eq!(one(&mut rig, Side::B, tcp(Side::B, SERVER, SYN | ACK)), by(http()));
}

#[test]
fn live_conversation_is_not_taken_over_and_goes_on() {
    let mut rig = rig(Mode::Enforce);
    for (side, station, flags) in
        [(Side::A, TOOL, SYN), (Side::B, SERVER, SYN | ACK), (Side::A, TOOL, ACK)]
    {
        assert_eq!(one(&mut rig, side, tcp(side, station, flags)), by(http()));
    }
    for _ in 0..3 {
        for flags in [ACK, RST, SYN] {
            let verdict = one(&mut rig, Side::A, tcp(Side::A, STRANGER, flags));
            assert_eq!(verdict, Verdict::Deny(DuplicateIp));
        }
        assert_eq!(one(&mut rig, Side::A, tcp(Side::A, TOOL, ACK)), by(http()));
        assert_eq!(one(&mut rig, Side::B, tcp(Side::B, SERVER, ACK)), by(http()));
    }
    rig.wait(TIMEOUTS.tcp_closing_ns + support::ROUND_NS);
    assert_eq!(
        one(&mut rig, Side::A, tcp(Side::A, TOOL, ACK)),
        by(http()),
        "no RST of theirs counted"
    );
}

#[test]
fn bindings_hold_for_live_conversations_from_their_next_packet_on() {
    for stranger_side in [Side::A, Side::B] {
        let mut rig = Rig::settled(segment(Mode::Enforce), &[http()]);
        let station = |side: Side, own| if side == stranger_side { STRANGER } else { own };
        let (a, b) = (station(Side::A, TOOL), station(Side::B, SERVER));
        for (side, station, flags) in
            [(Side::A, a, SYN), (Side::B, b, SYN | ACK), (Side::A, a, ACK)]
        {
            assert_eq!(one(&mut rig, side, tcp(side, station, flags)), by(http()));
        }
        rig.bind(&bindings());
        // Whichever side is heard first after the change.
        let honest = stranger_side.other();
        let own = if honest == Side::A { TOOL } else { SERVER };
        assert_eq!(one(&mut rig, honest, tcp(honest, own, ACK)), by(http()));
        let verdict = one(&mut rig, stranger_side, tcp(stranger_side, STRANGER, ACK));
        assert_eq!(verdict, Verdict::Deny(DuplicateIp));
    }
}

/// The address's rights stay with the device that had it, until somebody renews the binding (`loadlock bindings renew`).
#[test]
fn address_reused_by_another_device_inherits_nothing() {
    let mut rig = rig(Mode::Enforce);
    assert_eq!(one(&mut rig, Side::A, tcp(Side::A, TOOL, SYN)), by(http()));
    rig.wait(TIMEOUTS.tcp_open_ns);
    for _ in 0..3 {
        let verdict = one(&mut rig, Side::A, tcp(Side::A, STRANGER, SYN));
        assert_eq!(verdict, Verdict::Deny(DuplicateIp));
    }
    assert_eq!(one(&mut rig, Side::A, tcp(Side::A, TOOL, SYN)), by(http()), "its own device may");
    let mut renewed = bindings();
    renewed[0] = binding(Side::A, v4(Side::A, 1), STRANGER);
    rig.bind(&renewed);
    assert_eq!(one(&mut rig, Side::A, tcp(Side::A, STRANGER, SYN)), by(http()), "a person says so");
    assert_eq!(one(&mut rig, Side::A, tcp(Side::A, TOOL, ACK)), Verdict::Deny(DuplicateIp));
}

/// What is remembered of a denied conversation isn't about its station.
#[test]
fn own_station_is_judged_by_the_rules_after_a_stranger_was_denied() {
    let mut rig = rig(Mode::Enforce);
    for _ in 0..3 {
        let verdict = one(&mut rig, Side::A, tcp(Side::A, STRANGER, SYN));
        assert_eq!(verdict, Verdict::Deny(DuplicateIp));
        assert_eq!(one(&mut rig, Side::A, tcp(Side::A, TOOL, SYN)), by(http()));
    }
}

/// A forged SYN doesn't keep the running connection of the device whose address it bears from being adopted.
#[test]
fn forged_opening_does_not_mark_the_connection_as_refused() {
    let settings =
        loadlock_exchange::SegmentPolicy { midstream: Midstream::Always, ..segment(Mode::Enforce) };
    let mut rig = Rig::settled(settings, &[http()]);
    rig.bind(&bindings());
    assert_eq!(one(&mut rig, Side::A, tcp(Side::A, STRANGER, SYN)), Verdict::Deny(DuplicateIp));
    assert_eq!(one(&mut rig, Side::A, tcp(Side::A, TOOL, ACK)), by(http()));
}

/// `identity = "ip"`, and addresses behind a router: whoever brings them, but not from the other side.
#[test]
fn address_without_a_station_belongs_to_its_side_alone() {
    let mut rig = Rig::settled(open_infrastructure(Mode::Enforce), &[http()]);
    let side_only = |side, host| BindingEntry { mac: None, ..binding(side, v4(side, host), TOOL) };
    rig.bind(&[side_only(Side::A, 1), side_only(Side::B, 1), side_only(Side::B, 2)]);
    for station in [TOOL, STRANGER] {
        assert_eq!(one(&mut rig, Side::A, tcp(Side::A, station, SYN)), by(http()));
        let gratuitous = arp(station, station, v4(Side::A, 1), v4(Side::A, 1));
        assert_eq!(one(&mut rig, Side::A, gratuitous), PASSES, "a router that takes over");
    }
    let moved = segment_of(Side::B, STRANGER, v4(Side::A, 1), SYN);
    assert_eq!(one(&mut rig, Side::B, moved), Verdict::Deny(IpMoved));
    let gratuitous = arp(STRANGER, STRANGER, v4(Side::B, 2), v4(Side::B, 2));
    assert_eq!(one(&mut rig, Side::A, gratuitous), Verdict::Deny(GratuitousTakeover));
}

#[test]
fn many_addresses_of_one_station_are_no_takeover() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[Rule { client: None, ..http() }]);
    let hosts = 1..=60;
    let bound: Vec<_> =
        hosts.clone().map(|host| binding(Side::A, v4(Side::A, host), TOOL)).collect();
    rig.bind(&bound);
    for host in hosts {
        let verdict = one(&mut rig, Side::A, segment_of(Side::A, TOOL, v4(Side::A, host), SYN));
        assert!(verdict.forwards(), "host {host}");
    }
}

#[test]
fn bindings_of_one_vlan_say_nothing_about_another() {
    let mut rig = rig(Mode::Enforce);
    let ip = Ipv4::new(v4(Side::A, 1), v4(Side::B, 1));
    let syn = Tcp::new(40_000, 80).flags(TcpFlags(SYN));
    let frame = FrameBuilder::new(STRANGER, SERVER).vlan(5).ipv4(ip).tcp(syn).build().unwrap();
    assert_eq!(one(&mut rig, Side::A, frame), Verdict::Deny(NoRule));
}

/// A fragment shows an address like any packet, and so does an ICMP error.
#[test]
fn fragments_and_errors_are_held_to_their_station() {
    let ip = Ipv4::new(v4(Side::A, 1), v4(Side::B, 1)).identification(7);
    let whole =
        FrameBuilder::new(STRANGER, SERVER).ipv4(ip.clone()).udp(1, 53).payload(vec![0; 3000]);
    for frame in whole.fragments(1500).unwrap() {
        refused_everywhere(DuplicateIp, Side::A, &frame);
    }
    let unreachable = IcmpMessage { kind: 3, code: 3, rest: [0; 4] };
    let error = FrameBuilder::new(STRANGER, SERVER).ipv4(ip).icmp(unreachable).build().unwrap();
    refused_everywhere(DuplicateIp, Side::A, &error);
}

#[test]
fn every_forged_frame_is_counted() {
    let mut rig = rig(Mode::Enforce);
    for _ in 0..100 {
        one(&mut rig, Side::A, tcp(Side::A, STRANGER, ACK));
    }
    rig.now_ns += TIMEOUTS.denied_report_ns;
    one(&mut rig, Side::A, tcp(Side::A, STRANGER, ACK));
    let reported: u64 =
        rig.events(EventKind::Denied(DuplicateIp)).iter().map(|e| e.packets[0]).sum();
    assert_eq!(reported, 101);
    assert_eq!(rig.counter(WorkerCounter::DeniedUnreported), 99);
}

#[test]
fn a_new_binding_holds_before_its_conversation_was_judged_again() {
    let mut rig = Rig::settled(segment(Mode::Learn), &[]);
    let host = |number| Packet { hosts: [number, 1], ..Packet::syn(80).with(ACK) };
    let frames: Vec<_> = (1..=6).map(|number| host(number).frame()).collect();
    assert!(rig.burst(Side::A, &frames).iter().all(|verdict| verdict.forwards()));
    rig.publish(segment(Mode::Enforce), &[]);
    rig.bind(&[binding(Side::A, v4(Side::A, 6), STRANGER)]);
    // Two of a burst are judged again; the others go on for now, and the sixth says it has another's address.
    let verdicts = rig.burst(Side::A, &frames);
    assert!(verdicts[..2].iter().all(|verdict| !verdict.forwards()), "{verdicts:?}");
    assert_eq!(verdicts[2..5], [Verdict::Allow(Basis::Learning); 3]);
    assert_eq!(verdicts[5], Verdict::Deny(DuplicateIp));
}
