//! Modes of single devices: learn, monitor, enforce and quarantine beside the segment's.

mod support;

use std::net::Ipv4Addr;

use loadlock_exchange::DropReason::{NoRule, Quarantined};
use loadlock_exchange::{DeviceAddress, EventKind, Mode, ModeEntry};
use loadlock_generate::frame::{Arp, FrameBuilder, Mac};
use loadlock_packet::{MacAddress, SegmentId, Side, VlanStack};
use loadlock_pipeline::{Basis, Verdict};
use support::flags::{ACK, SYN};
use support::{Packet, Rig, Rule, Sort, open_infrastructure, segment};

const LEARNED: Verdict = Verdict::Allow(Basis::Learning);

fn entry(address: DeviceAddress, mode: Mode) -> ModeEntry {
    ModeEntry { segment: SegmentId::new(0).unwrap(), vlans: None, address, mode }
}

fn ip(side: Side, host: u8, mode: Mode) -> ModeEntry {
    entry(DeviceAddress::Ip(Ipv4Addr::new(10, 0, side as u8, host).into()), mode)
}

fn mac(side: Side, station: u8, mode: Mode) -> ModeEntry {
    entry(DeviceAddress::Mac(MacAddress([2, 0, 0, 0, side as u8, station])), mode)
}

fn host(number: u8, packet: Packet) -> Packet {
    Packet { hosts: [number, 1], ..packet }
}

fn http() -> Rule {
    Rule { client: None, ..Rule::to_b(1, Sort::Tcp4, 80) }
}

#[test]
fn quarantine_cuts_what_runs_and_gives_it_back() {
    for by in [ip(Side::A, 1, Mode::Quarantine), mac(Side::A, 1, Mode::Quarantine)] {
        for mode in Mode::ALL {
            let mut rig = Rig::settled(segment(Mode::Enforce), &[http()]);
            let (syn, other) = (Packet::syn(80), host(2, Packet::syn(80)));
            for packet in [syn, syn.back(SYN | ACK), other, other.back(SYN | ACK)] {
                assert!(rig.send(packet).forwards());
            }
            rig.publish(segment(mode), &[http()]);
            rig.set_modes(&[by]);
            for packet in [syn.back(ACK), syn.with(ACK), syn, syn.with(ACK), syn.back(SYN | ACK)] {
                assert_eq!(rig.send(packet), Verdict::Deny(Quarantined), "{mode:?}: {packet:?}");
            }
            assert_eq!(rig.events(EventKind::Ended).len(), 1, "its conversation is over");
            assert_eq!(rig.send(other.with(ACK)).forwards(), mode != Mode::Quarantine);
            assert!(!rig.events(EventKind::Denied(Quarantined)).is_empty());
            rig.publish(segment(Mode::Enforce), &[http()]);
            rig.set_modes(&[]);
            assert!(rig.send(syn).forwards(), "back");
        }
    }
}

#[test]
fn infrastructure_passes_in_quarantine() {
    let settings = open_infrastructure(Mode::Enforce);
    let mut rig = Rig::settled(settings, &[]);
    rig.set_modes(&[mac(Side::A, 1, Mode::Quarantine), ip(Side::A, 1, Mode::Quarantine)]);
    let station = Mac([2, 0, 0, 0, 0, 1]);
    let [own, other] = [1, 2].map(|host| Ipv4Addr::new(10, 0, 0, host));
    let arp = Arp::request(station, own, other);
    let frame = FrameBuilder::new(station, Mac([0xff; 6])).arp(arp).build().unwrap();
    assert_eq!(rig.burst(Side::A, &[frame]), [Verdict::Allow(Basis::Infrastructure)]);
    // Not by way of a frame that can't be read, either.
    let mut frame = Packet::syn(80).frame();
    frame[14] = 0x42;
    assert!(!rig.burst(Side::A, &[frame.clone()])[0].forwards());
    rig.publish(open_infrastructure(Mode::Learn), &[]);
    assert!(!rig.burst(Side::A, &[frame])[0].forwards());
}

#[test]
fn station_in_quarantine_gets_no_further_with_anothers_address() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[http()]);
    rig.set_modes(&[mac(Side::A, 7, Mode::Quarantine)]);
    let syn = Packet::syn(80);
    assert!(rig.send(syn).forwards() && rig.send(syn.back(SYN | ACK)).forwards());
    let forged = Packet { station: Some(7), ..syn.with(ACK) };
    assert_eq!(rig.send(forged), Verdict::Deny(Quarantined));
    assert_eq!(
        rig.send(Packet { station: Some(7), ..Packet::syn(81) }),
        Verdict::Deny(Quarantined)
    );
    assert!(rig.send(syn.with(ACK)).forwards(), "the other's conversation goes on");
    assert_eq!(rig.flows(), 1);
}

#[test]
fn a_station_in_quarantine_receives_nothing_of_anothers_conversation() {
    let mut rig = Rig::settled(segment(Mode::Learn), &[]);
    rig.set_modes(&[mac(Side::B, 1, Mode::Quarantine)]);
    // The conversation is that of another station with the same address; what answers it is sent to the one in quarantine.
    let other = Packet { station: Some(7), ..Packet::syn(80).back(ACK) };
    assert_eq!(rig.send(other), LEARNED);
    assert_eq!(rig.send(Packet::syn(80).with(ACK)), Verdict::Deny(Quarantined));
}

#[test]
fn a_station_known_from_before_its_quarantine_is_held() {
    let mut rig = Rig::settled(segment(Mode::Learn), &[]);
    let own = Packet { station: Some(7), ..Packet::syn(80).with(ACK) };
    assert_eq!(rig.send(own), LEARNED);
    rig.set_modes(&[mac(Side::A, 7, Mode::Quarantine)]);
    // The other side sends to the address's other station, so that the conversation is judged again, and permitted.
    assert_eq!(rig.send(own.back(ACK)), LEARNED);
    assert_eq!(rig.send(own), Verdict::Deny(Quarantined));
}

#[test]
fn a_device_learns_where_others_are_enforced() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[]);
    rig.set_modes(&[ip(Side::A, 2, Mode::Learn), ip(Side::A, 3, Mode::Monitor)]);
    // Again and again: what is remembered of denials mustn't mix them up.
    for _ in 0..3 {
        assert_eq!(rig.send(Packet::syn(80)), Verdict::Deny(NoRule));
        assert_eq!(rig.send(host(2, Packet::syn(80))), LEARNED);
        assert_eq!(rig.send(host(3, Packet::syn(80))), Verdict::WouldDeny(NoRule));
    }
    // The stricter of two own modes holds.
    rig.set_modes(&[ip(Side::A, 2, Mode::Learn), ip(Side::B, 1, Mode::Enforce)]);
    assert_eq!(rig.send(host(2, Packet::syn(81))), Verdict::Deny(NoRule));
    rig.publish(segment(Mode::Learn), &[]);
    assert_eq!(
        rig.send(host(3, Packet::syn(81))),
        Verdict::Deny(NoRule),
        "enforced where others learn"
    );
}

#[test]
fn a_mode_of_one_vlan_holds_nowhere_else() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[http()]);
    let tagged =
        ModeEntry { vlans: Some(VlanStack::new(10, 0)), ..ip(Side::A, 1, Mode::Quarantine) };
    rig.set_modes(&[tagged]);
    assert!(rig.send(Packet::syn(80)).forwards());
    let untagged = ModeEntry { vlans: Some(VlanStack::UNTAGGED), ..tagged };
    rig.set_modes(&[untagged]);
    assert_eq!(rig.send(Packet::syn(80)), Verdict::Deny(Quarantined));
}
