use loadlock_exchange::EventFlags;
use loadlock_packet::{FlowKey, KeyTail, Kind};

use super::*;
use crate::key::flow_key;

const TOOL: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const ROUTER: MacAddress = MacAddress([2, 0, 0, 0, 1, 0xff]);

fn key(a: &str, b: &str) -> FlowKey {
    let tail = KeyTail::new(SegmentId::new(0).unwrap(), VlanStack::UNTAGGED, Kind::Udp);
    let network = |text: &str| Network::Ip(text.parse().unwrap());
    flow_key(tail, [network(a), network(b)], [1000, 53]).unwrap()
}

fn event(key: FlowKey, packets: [u64; 2], macs: [MacAddress; 2]) -> Event {
    Event {
        kind: EventKind::Started,
        time_ns: 1,
        key,
        initiator: Side::A,
        flags: EventFlags { learning: true, ..EventFlags::default() },
        rule: None,
        packets,
        bytes: [60, 60],
        macs,
        claimed: None,
    }
}

fn learned(events: &[Event]) -> Vec<String> {
    let mut stations = Stations::new(&["fab".to_owned()]);
    events.iter().for_each(|event| stations.observe(event));
    let mut backwards = Stations::new(&["fab".to_owned()]);
    events.iter().rev().for_each(|event| backwards.observe(event));
    assert_eq!(stations.bindings(), backwards.bindings(), "the order doesn't matter");
    let mut restored = Stations::new(&["fab".to_owned()]);
    restored.restore(stations.take_changes());
    assert_eq!(stations.bindings(), restored.bindings(), "nor does a restart");
    let line = |binding: &Binding| format!("{binding}: {}", binding.parts().reason);
    stations.bindings().iter().map(line).collect()
}

#[test]
fn senders_are_bound_and_receivers_are_not() {
    let asked = event(key("10.0.0.1", "10.0.1.1"), [1, 0], [TOOL, ROUTER]);
    assert_eq!(learned(&[asked]), ["10.0.0.1 is 02:00:00:00:00:01 on side a: learned"]);
    let other = MacAddress([2, 0, 0, 0, 1, 1]);
    let both = Event { packets: [3, 2], macs: [TOOL, other], ..asked };
    assert_eq!(
        learned(&[asked, both]),
        [
            "10.0.0.1 is 02:00:00:00:00:01 on side a: learned",
            "10.0.1.1 is 02:00:00:00:01:01 on side b: learned"
        ]
    );
    let denied = Event { kind: EventKind::Denied(loadlock_exchange::DropReason::NoRule), ..both };
    assert_eq!(learned(&[denied]), Vec::<String>::new());
}

#[test]
fn addresses_behind_a_router_are_held_to_their_side_alone() {
    let behind = |host: u8| {
        let key = key("10.0.0.1", &format!("10.9.0.{host}"));
        event(key, [0, 1], [TOOL, ROUTER])
    };
    let few: Vec<_> = (1..4).map(behind).collect();
    assert!(learned(&few).iter().all(|line| line.ends_with("side b: learned")));
    let many: Vec<_> = (1..30).map(behind).collect();
    let lines = learned(&many);
    assert_eq!(lines[0], "station 02:00:00:00:01:ff is on side b: learned; a router");
    assert_eq!(lines.len(), 30);
    assert!(
        lines[1..].iter().all(|line| line.contains("is any station on side b: learned; behind"))
    );
}

#[test]
fn what_changes_its_station_or_side_is_not_held_to_it() {
    let at = |mac, side: Side| {
        let mut packets = [0; 2];
        packets[side as usize] = 1;
        event(key("10.0.0.1", "10.0.0.1"), packets, [mac; 2])
    };
    let other = MacAddress([2, 0, 0, 0, 0, 2]);
    assert_eq!(
        learned(&[at(TOOL, Side::A), at(other, Side::A)]),
        [
            "station 02:00:00:00:00:01 is on side a: learned",
            "station 02:00:00:00:00:02 is on side a: learned",
            "10.0.0.1 is any station on side a: learned; seen of several stations"
        ]
    );
    assert_eq!(learned(&[at(TOOL, Side::A), at(TOOL, Side::B)]), Vec::<String>::new());
    let vrrp = MacAddress([0, 0, 0x5e, 0, 1, 7]);
    assert_eq!(
        learned(&[at(vrrp, Side::B)]),
        ["10.0.0.1 is any station on side b: learned; a virtual router"]
    );
}

#[test]
fn many_ipv6_addresses_of_one_network_make_no_router() {
    let host = |last: u16| {
        let key = key(&format!("fd00::{last:x}"), "fd00::1:1");
        event(key, [1, 0], [TOOL, ROUTER])
    };
    let lines = learned(&(1..20).map(host).collect::<Vec<_>>());
    assert!(lines.iter().all(|line| line.contains("is 02:00:00:00:00:01")), "{lines:?}");
}

#[test]
fn nobodys_addresses_and_group_stations_are_not_learned() {
    for address in ["0.0.0.0", "255.255.255.255", "224.0.0.9", "127.0.0.1"] {
        let key = key(address, "10.0.1.1");
        assert_eq!(
            learned(&[event(key, [1, 0], [TOOL, ROUTER])]),
            Vec::<String>::new(),
            "{address}"
        );
    }
    for mac in [MacAddress([0; 6]), MacAddress([0xff; 6])] {
        let event = event(key("10.0.0.1", "10.0.1.1"), [1, 0], [mac, ROUTER]);
        assert_eq!(learned(&[event]), Vec::<String>::new());
    }
}

#[test]
fn a_station_below_ip_is_bound_to_its_side() {
    let tail = KeyTail::new(SegmentId::new(0).unwrap(), VlanStack::UNTAGGED, Kind::NonIp);
    let link = |mac| Network::Link { mac, oui: [0; 3] };
    let key = flow_key(tail, [link(TOOL), link(ROUTER)], [0x8892; 2]).unwrap();
    let lines = learned(&[event(key, [1, 0], [TOOL, ROUTER])]);
    assert_eq!(lines, ["station 02:00:00:00:00:01 is on side a: learned"]);
}
