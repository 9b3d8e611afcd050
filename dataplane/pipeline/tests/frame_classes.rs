//! Every class of frame has one stated verdict: the README's table is what the pipeline does.
//!
//! Each row is judged in learn mode and in enforce mode; its words come from the verdicts. A class without a row, a reason
//! without a class and a README that says something else fail.

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadlock_exchange::{BindingEntry, DropReason, Mode};
use loadlock_generate::frame::{
    Arp, FrameBuilder, IcmpMessage, Ipv4, Ipv6, Ipv6Extension, Mac, Tcp, TcpFlags, VlanTag,
};
use loadlock_packet::{MacAddress, SegmentId, Side, VlanStack};
use loadlock_pipeline::{Basis, Verdict};
use support::flags::{ACK, SYN};
use support::{Packet, Rig, Rule, Sort, open_infrastructure, segment};

/// A class of frames: all of `frames`, from side A, meet the same fate.
struct Class {
    name: &'static str,
    /// What decides: a rule's service, or a key of the configuration.
    key: &'static str,
    rules: Vec<Rule>,
    /// What passed before, and from where.
    before: Vec<(Side, Vec<u8>)>,
    /// What is bound.
    bindings: Vec<BindingEntry>,
    frames: Vec<Vec<u8>>,
}

fn class(name: &'static str, key: &'static str, frames: Vec<Vec<u8>>) -> Class {
    Class { name, key, rules: Vec::new(), before: Vec::new(), bindings: Vec::new(), frames }
}

impl Class {
    fn under(self, rule: Rule) -> Self {
        Self { rules: vec![rule], ..self }
    }

    fn after(self, side: Side, frame: Vec<u8>) -> Self {
        Self { before: vec![(side, frame)], ..self }
    }

    /// The verdict that all its frames have.
    fn verdict(&self, mode: Mode, infrastructure: bool) -> Verdict {
        let settings = if infrastructure { open_infrastructure(mode) } else { segment(mode) };
        let verdicts = self.frames.iter().map(|frame| {
            let mut rig = Rig::settled(settings, &self.rules);
            rig.bind(&self.bindings);
            for (side, before) in &self.before {
                rig.burst(*side, std::slice::from_ref(before));
            }
            rig.burst(Side::A, std::slice::from_ref(frame))[0]
        });
        let verdicts: Vec<Verdict> = verdicts.collect();
        assert!(verdicts.windows(2).all(|two| two[0] == two[1]), "{}: {verdicts:?}", self.name);
        verdicts[0]
    }

    fn row(&self) -> String {
        let learn = match self.verdict(Mode::Learn, true) {
            Verdict::Allow(Basis::Learning) => "forwarded, learned",
            Verdict::Allow(_) => "forwarded",
            Verdict::WouldDeny(_) => "forwarded, counted",
            Verdict::Deny(_) => unreachable!("learn mode denies nothing"),
        };
        let (enforce, counter) = match self.verdict(Mode::Enforce, true) {
            Verdict::Deny(reason) => ("dropped", format!("`{}`", reason.name())),
            _ => ("forwarded", self.counter()),
        };
        format!("| {} | {learn} | {enforce} | {} | {counter} |\n", self.name, self.key)
    }

    /// Of a frame that passes: what it would count as without the infrastructure classes.
    fn counter(&self) -> String {
        match self.verdict(Mode::Enforce, false) {
            Verdict::Deny(reason) => format!("without the key `{}`", reason.name()),
            _ => "none".to_owned(),
        }
    }
}

const HOST: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 1, 1]);

fn frame() -> FrameBuilder {
    FrameBuilder::new(HOST, PEER).payload(vec![0; 46])
}

fn v4() -> FrameBuilder {
    frame().ipv4(header())
}

fn header() -> Ipv4 {
    Ipv4::new(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 1, 1)).identification(7)
}

fn header6() -> Ipv6 {
    let host = |side| Ipv6Addr::new(0xfd00, 0, 0, side, 0, 0, 0, 1);
    Ipv6::new(host(0), host(1))
}

fn built(frames: impl IntoIterator<Item = FrameBuilder>) -> Vec<Vec<u8>> {
    frames.into_iter().map(|frame| frame.build().unwrap()).collect()
}

/// A UDP datagram over IPv4 with one byte set.
fn damaged(at: usize, value: u8) -> Vec<Vec<u8>> {
    changed(v4().udp(40_000, 53).build().unwrap(), at, value)
}

fn changed(mut frame: Vec<u8>, at: usize, value: u8) -> Vec<Vec<u8>> {
    frame[at] = value;
    vec![frame]
}

fn piece(protocol: u8, offset: u16) -> Vec<u8> {
    frame().ipv4(header().fragment(offset, true)).protocol(protocol).build().unwrap()
}

fn link_layer() -> Vec<Class> {
    let ether = |kinds: &[u16]| built(kinds.iter().map(|&kind| frame().ether_type(kind)));
    let group = |last| FrameBuilder::new(HOST, Mac([1, 0x80, 0xc2, 0, 0, last]));
    let tags = [
        vec![VlanTag::customer(5)],
        vec![VlanTag::customer(0)],
        vec![VlanTag::service(5), VlanTag::customer(6)],
        vec![VlanTag { protocol: 0x9100, ..VlanTag::customer(5) }, VlanTag::customer(6)],
    ];
    let tagged =
        tags.into_iter().map(|tags| tags.into_iter().fold(v4().udp(40_000, 53), FrameBuilder::tag));
    let deep = (1..4).fold(v4().udp(1, 2), FrameBuilder::vlan);
    let arp = Arp::request(HOST, [10, 0, 0, 1].into(), [10, 0, 1, 1].into());
    let rapid = [vec![0xaa, 0xaa, 3, 0, 0, 12, 0x20, 0], vec![0; 40]].concat();
    vec![
        class(
            "one or two VLAN tags (802.1Q, 802.1ad, 9100), priority tag",
            "rule, by `vlan`",
            built(tagged),
        ),
        class("a third VLAN tag", "rule `ether/0x8100`", built([deep])),
        class("MPLS, PPPoE", "rule `ether/…`", ether(&[0x8847, 0x8848, 0x8863, 0x8864])),
        class(
            "PROFINET-RT, GOOSE, SV, EtherCAT, PTP, any other EtherType",
            "rule `ether/…`",
            ether(&[0x8892, 0x88b8, 0x88ba, 0x88a4, 0x88f7, 0x1234]),
        ),
        class(
            "802.2 LLC, SNAP",
            "rule `llc/…`, `snap/…`",
            built([frame().llc().payload(vec![0x42; 46]), frame().llc().payload(rapid)]),
        ),
        class(
            "ARP",
            "`infrastructure`: `arp`",
            built([FrameBuilder::new(HOST, Mac::BROADCAST).arp(arp)]),
        ),
        class(
            "STP, LACP, EAPOL, LLDP: to 01:80:c2:00:00:00–0f",
            "`infrastructure`: `link-local`",
            built([
                group(0).llc().payload(vec![0x42; 38]),
                group(2).ether_type(0x8809),
                group(3).ether_type(0x888e),
                group(14).ether_type(0x88cc),
            ]),
        ),
        class("runt, shorter than an Ethernet header", "–", vec![vec![0; 13]]),
        class("group address as source", "–", changed(v4().udp(1, 2).build().unwrap(), 6, 1)),
        class("cut VLAN tag", "–", vec![frame().vlan(5).build().unwrap()[..15].to_vec()]),
        class("VLAN 4095", "–", built([v4().udp(1, 2).vlan(4095)])),
        class("802.3 length that can't be", "–", changed(frame().llc().build().unwrap(), 12, 5)),
    ]
}

fn internet() -> Vec<Class> {
    let udp = || v4().udp(40_000, 53);
    let v6 = || frame().ipv6(header6());
    let to = |mac, ip: [u8; 4]| {
        FrameBuilder::new(HOST, mac).ipv4(Ipv4::new([10, 0, 0, 1].into(), ip.into())).udp(1, 2)
    };
    let http = || Rule::to_b(1, Sort::Tcp4, 80);
    let from_b = |sort, service| Rule { client_side: Side::B, ..Rule::to_b(1, sort, service) };
    let opaque = [2, 4, 41, 47, 50, 51, 88, 89, 112, 132, 255].map(|number| v4().protocol(number));
    let syn = || v4().tcp(Tcp::new(40_000, 80).flags(TcpFlags(SYN)));
    let ack = || built([v4().tcp(Tcp::new(40_000, 80).flags(TcpFlags(ACK)))]);
    let options = Ipv6Extension::Destination(vec![1, 4, 0, 0, 0, 0]);
    let routing = Ipv6Extension::Routing { kind: 0, segments_left: 0, data: vec![0; 4] };
    let chain = (0..9).fold(header6(), |ip, _| ip.extension(options.clone()));
    let atomic =
        Ipv6Extension::Fragment { offset_bytes: 0, more_fragments: false, identification: 1 };
    let icmp = |kind| IcmpMessage { kind, code: 0, rest: [0; 4] };
    let nd = |hops| frame().ipv6(header6().hop_limit(hops)).icmpv6(icmp(135));
    let error = Packet { from: Side::A, ..Packet::udp(53).back(0).error(Sort::Unreachable4) };
    vec![
        class(
            "TCP, UDP (VXLAN, GTP), over IPv4 and IPv6, to one or many, also jumbo frames",
            "rule `tcp/…`, `udp/…`",
            built([
                syn(),
                udp(),
                v6().udp(1, 2),
                v6().tcp(Tcp::new(1, 2).flags(TcpFlags(SYN))),
                v4().udp(40_000, 4789),
                v4().udp(40_000, 2152),
                to(Mac::BROADCAST, [255; 4]),
                to(Mac([1, 0, 0x5e, 0, 0, 9]), [224, 0, 0, 9]),
                udp().payload(vec![0; 8900]),
            ]),
        ),
        class(
            "IPv4 options, IPv6 extension headers (eight at most), atomic fragments",
            "as without",
            built([
                v4().ipv4(header().option(&[0x94, 4, 0, 0])).udp(1, 2),
                frame().ipv6(header6().extension(options.clone())).udp(1, 2),
                frame().ipv6(header6().extension(atomic)).udp(1, 2),
            ]),
        ),
        class(
            "TCP that belongs to no opened connection, though a rule permits one",
            "`midstream` of rule and segment, `flows.midstream_grace_s`",
            ack(),
        )
        .under(http()),
        class(
            "TCP or UDP opened by the side that may only answer",
            "`opens` of the rule",
            built([syn()]),
        )
        .under(Rule { service: 40_000, ..from_b(Sort::Tcp4, 40_000) }),
        class(
            "ICMP and ICMPv6 queries, redirects, other messages",
            "rule `icmp/…`, `icmpv6/…`",
            built([
                v4().icmp(icmp(8)),
                v4().icmp(icmp(5)),
                v6().icmpv6(icmp(128)),
                v6().icmpv6(icmp(143)),
            ]),
        ),
        class(
            "ICMP error about a live, permitted conversation",
            "that conversation's rule",
            vec![error.frame()],
        )
        .under(from_b(Sort::Udp4, 40_000))
        .after(Side::B, error.quoted().unwrap().frame()),
        class(
            "other ICMP errors (3, 4, 11, 12; ICMPv6 1–4)",
            "rule `icmp/…`, `icmpv6/…`",
            built([v4().icmp(icmp(3)), v4().icmp(icmp(11)), v6().icmpv6(icmp(2))]),
        ),
        class(
            "neighbour and router discovery, hop limit 255",
            "`infrastructure`: `nd`",
            built([nd(255)]),
        ),
        class("the same with another hop limit", "rule `icmpv6/…`", built([nd(64)])),
        class(
            "IGMP, GRE, ESP, AH, EIGRP, OSPF, VRRP, SCTP, IP in IP, any other protocol",
            "rule `ip/…`",
            built(opaque),
        ),
        class(
            "first fragment",
            "rule, as the whole packet",
            udp().payload(vec![0; 2000]).fragments(1500).unwrap()[..1].to_vec(),
        ),
        class("later fragment, its first one known", "that one's rule", vec![piece(17, 1480)])
            .under(Rule::to_b(1, Sort::Udp4, 53))
            .after(Side::A, first()),
        class("later fragment, no first one known", "rule `fragment/…`", vec![piece(17, 1480)]),
        class("the same, of another protocol than the first", "–", vec![piece(6, 1480)])
            .after(Side::A, first()),
        class("later fragment that reaches into the first", "–", vec![piece(17, 8)])
            .under(Rule::to_b(1, Sort::Udp4, 53))
            .after(Side::A, first()),
        class(
            "first fragment that cuts its transport header, or a later one below byte 20 of TCP",
            "–",
            vec![piece(6, 8)],
        ),
        class("fragment beyond byte 65,535", "–", vec![piece(17, 65_528)]),
        class("IPv4 header: version, length", "–", damaged(14, 0x44)),
        class("IPv4 total length against the frame", "–", damaged(16, 0xff)),
        class("IPv6 header: version, cut", "–", changed(v6().udp(1, 2).build().unwrap(), 14, 0x40)),
        class(
            "IPv6 payload length against the frame; jumbogram",
            "–",
            changed(v6().udp(1, 2).build().unwrap(), 18, 0xff),
        ),
        class(
            "IPv6: nine extension headers, or cut ones",
            "–",
            built([frame().ipv6(chain).udp(1, 2)]),
        ),
        class(
            "IPv6 routing header 0",
            "–",
            built([frame().ipv6(header6().extension(routing)).udp(1, 2)]),
        ),
        class(
            "TCP header cut, or data offset wrong",
            "–",
            changed(syn().build().unwrap(), 46, 0x10),
        ),
        class("UDP length against the packet", "–", damaged(38, 0xff)),
        class("ICMP shorter than eight bytes", "–", built([v4().protocol(1).payload(vec![8; 7])])),
    ]
}

/// Frames of the host, from side A, where an address and a station are bound to others.
fn identity() -> Vec<Class> {
    let bind = |side, address: [u8; 4], Mac(mac)| BindingEntry {
        segment: SegmentId::new(0).unwrap(),
        vlans: VlanStack::UNTAGGED,
        side,
        address: Some(IpAddr::from(address)),
        mac: Some(MacAddress(mac)),
    };
    let own = [10, 0, 0, 1];
    let udp = || built([v4().udp(1, 2)]);
    let arp = |target: [u8; 4]| {
        let arp = Arp::request(HOST, own.into(), target.into());
        built([FrameBuilder::new(HOST, Mac::BROADCAST).arp(arp)])
    };
    let permits = "`loadlock bindings renew`";
    let sides = "`identity_a`, `identity_b`";
    let classes = [
        (
            "source address bound to another station of this side",
            permits,
            bind(Side::A, own, PEER),
            udp(),
        ),
        ("source address bound to the other side", sides, bind(Side::B, own, PEER), udp()),
        (
            "source station bound to the other side",
            sides,
            bind(Side::B, [10, 0, 0, 9], HOST),
            udp(),
        ),
        (
            "source station bound to other IPv4 addresses only",
            sides,
            bind(Side::A, [10, 0, 0, 9], HOST),
            udp(),
        ),
        (
            "ARP, neighbour discovery that claims an address bound to another",
            permits,
            bind(Side::A, own, PEER),
            arp([10, 0, 1, 1]),
        ),
        (
            "the same unasked: gratuitous ARP, unsolicited advertisement",
            permits,
            bind(Side::A, own, PEER),
            arp(own),
        ),
    ];
    let bound = classes.map(|(name, key, binding, frames)| Class {
        bindings: vec![binding],
        ..class(name, key, frames)
    });
    bound.into()
}

fn first() -> Vec<u8> {
    v4().udp(40_000, 53).payload(vec![0; 2000]).fragments(1500).unwrap().remove(0)
}

const HEAD: &str =
    "| class | `learn` | `enforce`, no rule | what permits it | counter |\n|---|---|---|---|---|\n";
/// What takes more than one frame in one piece; the first two rows are `negotiation.rs`'s.
const REST: &str = "| port that a permitted conversation negotiated: FTP, DCE/RPC endpoint mapper, TFTP | forwarded | forwarded | `helpers`: that conversation's rule | without the key `no_rule` |\n\
                    | FTP's PORT, EPRT or 227 with another host's address, or a port below 1024, under `helpers` | forwarded, counted | dropped | – | `negotiation_forbidden` |\n\
                    | headers split over buffer segments | forwarded, counted | dropped | – | `header_split` |\n\
                    | the transmit queue is full | dropped | dropped | – | `transmit_refused` |\n\
                    | any, in a segment closed by a failure (`control_dead`, `no_policy`, `policy_corrupt`) | dropped | dropped | – | `segment_closed` |\n\
                    | begins a conversation while the flow table is full, with `table_full = \"closed\"` | forwarded | dropped | – | `flow_table_full` |\n\
                    | begins a conversation while the event ring is full, with `ring_full = \"closed\"` | forwarded | dropped | – | `event_ring_full` |\n\
                    | any but `infrastructure`, from or to a device, or in a segment, in `quarantine` | dropped | dropped | another mode | `quarantined` |\n";

#[test]
fn the_readme_says_what_the_pipeline_does() {
    let classes = [link_layer(), internet(), identity()];
    let rows: String = classes.iter().flatten().map(Class::row).collect();
    let table = [HEAD, &rows, REST].concat();
    for reason in DropReason::ALL {
        assert!(table.contains(&format!("`{}`", reason.name())), "no class for {reason:?}");
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(file).unwrap();
    assert!(readme.contains(&table), "README.md must have this table:\n\n{table}");
}
