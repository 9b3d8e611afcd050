//! Property: what the builder makes, etherparse reads back, with right lengths and checksums.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{LinkExtHeader, NetHeaders, PacketHeaders, TransportHeader};
use loadlock_generate::frame::{
    Arp, Checksum, FrameBuilder, FrameError, IcmpMessage, Ipv4, Ipv6, Ipv6Extension, Mac, Tcp,
    TcpFlags, VlanTag,
};
use proptest::prelude::*;

const SOURCE: Mac = Mac([2, 0, 0, 0, 0, 1]);
const DESTINATION: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// Which transport to build.
#[derive(Debug, Clone)]
enum Kind {
    Tcp { flags: u8, sequence: u32, options: Vec<u8> },
    Udp,
    Echo,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        (any::<u8>(), any::<u32>(), 0..=10usize).prop_map(|(flags, sequence, words)| Kind::Tcp {
            flags,
            sequence,
            options: vec![1; words * 4],
        }),
        Just(Kind::Udp),
        Just(Kind::Echo),
    ]
}

fn tags() -> impl Strategy<Value = Vec<VlanTag>> {
    let tag = (0..4096u16, 0..8u8, any::<bool>(), any::<bool>()).prop_map(
        |(vlan, priority, de, outer)| VlanTag {
            priority,
            drop_eligible: de,
            ..if outer { VlanTag::service(vlan) } else { VlanTag::customer(vlan) }
        },
    );
    proptest::collection::vec(tag, 0..=3)
}

fn with_transport(
    builder: FrameBuilder,
    kind: &Kind,
    is_ipv6: bool,
    ports: (u16, u16),
) -> FrameBuilder {
    match kind {
        Kind::Tcp { flags, sequence, options } => builder.tcp(
            Tcp::new(ports.0, ports.1)
                .flags(TcpFlags(*flags))
                .sequence(*sequence)
                .acknowledgement(sequence.wrapping_mul(3))
                .window(512)
                .urgent(3)
                .option(options),
        ),
        Kind::Udp => builder.udp(ports.0, ports.1),
        Kind::Echo if is_ipv6 => builder.icmpv6(IcmpMessage::echo_request_v6(ports.0, ports.1)),
        Kind::Echo => builder.icmp(IcmpMessage::echo_request(ports.0, ports.1)),
    }
}

/// Checks tags, transport, its checksum and the payload of a frame that etherparse has read.
fn check(frame: &[u8], tags: &[VlanTag], kind: &Kind, ports: (u16, u16), payload: &[u8]) {
    let packet = PacketHeaders::from_ethernet_slice(frame).expect("etherparse reads the frame");
    let read: Vec<(u16, u8, bool)> = packet
        .link_exts
        .iter()
        .map(|header| match header {
            LinkExtHeader::Vlan(tag) => {
                (tag.vlan_id.value(), tag.pcp.value(), tag.drop_eligible_indicator)
            }
            LinkExtHeader::Macsec(_) => panic!("no MACsec was built"),
        })
        .collect();
    let built: Vec<_> =
        tags.iter().map(|tag| (tag.vlan, tag.priority, tag.drop_eligible)).collect();
    assert_eq!(read, built);
    assert_eq!(packet.payload.slice(), payload);
    let net = packet.net.expect("IP was built");
    if let NetHeaders::Ipv4(header, _) = &net {
        assert_eq!(header.header_checksum, header.calc_header_checksum());
    }
    match (packet.transport.expect("a transport was built"), kind) {
        (TransportHeader::Tcp(tcp), Kind::Tcp { flags, sequence, .. }) => {
            assert_eq!((tcp.source_port, tcp.destination_port), ports);
            assert_eq!(tcp.sequence_number, *sequence);
            assert_eq!(tcp.syn, flags & 2 != 0);
            assert_eq!(tcp.ack, flags & 16 != 0);
            let expected = match &net {
                NetHeaders::Ipv4(ip, _) => tcp.calc_checksum_ipv4(ip, payload),
                NetHeaders::Ipv6(ip, _) => tcp.calc_checksum_ipv6(ip, payload),
                NetHeaders::Arp(_) => panic!("no ARP was built"),
            };
            assert_eq!(tcp.checksum, expected.expect("fits"));
        }
        (TransportHeader::Udp(udp), Kind::Udp) => {
            assert_eq!((udp.source_port, udp.destination_port), ports);
            assert_eq!(usize::from(udp.length), payload.len() + 8);
            let expected = match &net {
                NetHeaders::Ipv4(ip, _) => udp.calc_checksum_ipv4(ip, payload),
                NetHeaders::Ipv6(ip, _) => udp.calc_checksum_ipv6(ip, payload),
                NetHeaders::Arp(_) => panic!("no ARP was built"),
            };
            assert_eq!(udp.checksum, expected.expect("fits"));
        }
        (TransportHeader::Icmpv4(icmp), Kind::Echo) => {
            assert_eq!(icmp.checksum, icmp.icmp_type.calc_checksum(payload));
        }
        (TransportHeader::Icmpv6(icmp), Kind::Echo) => {
            let NetHeaders::Ipv6(ip, _) = &net else {
                panic!("ICMPv6 goes over IPv6");
            };
            let expected = icmp.icmp_type.calc_checksum(ip.source, ip.destination, payload);
            assert_eq!(icmp.checksum, expected.expect("fits"));
        }
        other => panic!("another transport was read: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn ipv4_frames_are_read_back(
        (source, destination, ports) in (any::<u32>(), any::<u32>(), any::<(u16, u16)>()),
        (ttl, identification, traffic_class) in any::<(u8, u16, u8)>(),
        option_words in 0..=10usize,
        tags in tags(),
        kind in kind(),
        payload in proptest::collection::vec(any::<u8>(), 0..1600),
        padding in prop_oneof![Just(0usize), Just(60)],
    ) {
        let ip = Ipv4::new(Ipv4Addr::from_bits(source), Ipv4Addr::from_bits(destination))
            .ttl(ttl).identification(identification).traffic_class(traffic_class)
            .dont_fragment().option(&vec![1; option_words * 4]);
        let mut builder = FrameBuilder::new(SOURCE, DESTINATION).ipv4(ip).pad_to(padding);
        for tag in &tags {
            builder = builder.tag(*tag);
        }
        let frame = with_transport(builder, &kind, false, ports)
            .payload(payload.clone()).build().expect("within the limits");
        prop_assert!(frame.len() >= padding);
        check(&frame, &tags, &kind, ports, &payload);
        let packet = PacketHeaders::from_ethernet_slice(&frame).expect("read before");
        let Some(NetHeaders::Ipv4(header, _)) = packet.net else { panic!("IPv4 was built") };
        prop_assert_eq!(header.source, source.to_be_bytes());
        prop_assert_eq!(header.destination, destination.to_be_bytes());
        prop_assert_eq!((header.time_to_live, header.identification), (ttl, identification));
        prop_assert_eq!(header.options.len(), option_words * 4);
    }

    #[test]
    fn ipv6_frames_are_read_back(
        (source, destination, ports) in (any::<u128>(), any::<u128>(), any::<(u16, u16)>()),
        (hop_limit, flow_label) in any::<(u8, u32)>(),
        (hop, first, routing) in (
            proptest::option::of(0..40usize), proptest::option::of(0..40usize), proptest::option::of(4..60usize),
        ),
        tags in tags(),
        kind in kind(),
        payload in proptest::collection::vec(any::<u8>(), 0..1600),
    ) {
        let mut ip = Ipv6::new(Ipv6Addr::from_bits(source), Ipv6Addr::from_bits(destination))
            .hop_limit(hop_limit).flow_label(flow_label);
        if let Some(bytes) = hop {
            ip = ip.extension(Ipv6Extension::HopByHop(vec![0; bytes]));
        }
        if let Some(bytes) = first {
            ip = ip.extension(Ipv6Extension::Destination(vec![0; bytes]));
        }
        if let Some(bytes) = routing {
            ip = ip.extension(Ipv6Extension::Routing { kind: 4, segments_left: 0, data: vec![0; bytes] });
        }
        let mut builder = FrameBuilder::new(SOURCE, DESTINATION).ipv6(ip);
        for tag in &tags {
            builder = builder.tag(*tag);
        }
        let frame = with_transport(builder, &kind, true, ports)
            .payload(payload.clone()).build().expect("within the limits");
        check(&frame, &tags, &kind, ports, &payload);
        let packet = PacketHeaders::from_ethernet_slice(&frame).expect("read before");
        let Some(NetHeaders::Ipv6(header, extensions)) = packet.net else { panic!("IPv6 was built") };
        prop_assert_eq!(header.flow_label.value(), flow_label & 0xf_ffff);
        prop_assert_eq!(extensions.hop_by_hop_options.is_some(), hop.is_some());
        prop_assert_eq!(extensions.destination_options.is_some(), first.is_some());
        prop_assert_eq!(extensions.routing.is_some(), routing.is_some());
    }

    #[test]
    fn fragments_of_both_families_put_together_are_the_whole(
        payload in proptest::collection::vec(any::<u8>(), 0..5000),
        mtu in 80..1500usize,
        is_ipv6 in any::<bool>(),
    ) {
        let builder = FrameBuilder::new(SOURCE, DESTINATION).vlan(7).udp(1, 2).payload(payload);
        let builder = if is_ipv6 {
            builder.ipv6(Ipv6::new(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST))
        } else {
            builder.ipv4(Ipv4::new(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).identification(9).option(&[1; 4]))
        };
        let whole = builder.build().expect("within the limits");
        let whole_content = &whole[18 + if is_ipv6 { 40 } else { 24 }..];
        let frames = builder.fragments(mtu).expect("the MTU is large enough");
        let mut content = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            prop_assert!(frame.len() <= 18 + mtu);
            let packet = PacketHeaders::from_ethernet_slice(frame).expect("etherparse reads it");
            let (offset, more) = match packet.net.expect("IP") {
                NetHeaders::Ipv4(ip, _) => {
                    prop_assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                    (ip.fragment_offset.byte_offset(), ip.more_fragments)
                }
                NetHeaders::Ipv6(_, extensions) => {
                    let fragment = extensions.fragment.expect("a fragment header");
                    (fragment.fragment_offset.byte_offset(), fragment.more_fragments)
                }
                NetHeaders::Arp(_) => panic!("no ARP was built"),
            };
            prop_assert_eq!(usize::from(offset), content.len());
            prop_assert_eq!(more, index + 1 < frames.len());
            let header = 18 + if is_ipv6 { 48 } else { 24 };
            content.extend_from_slice(&frame[header..]);
        }
        prop_assert_eq!(&content[..], whole_content);
    }

    #[test]
    fn no_arguments_make_the_builder_panic(
        payload_bytes in prop_oneof![Just(0usize), Just(65_495), Just(65_508), Just(65_536), 0..70_000usize],
        option_bytes in 0..60usize,
        offset in any::<u16>(),
        extension_bytes in 0..3000usize,
        mtu in 0..200usize,
        vlan in any::<u16>(),
    ) {
        let builder = FrameBuilder::new(SOURCE, DESTINATION).vlan(vlan).payload(vec![1; payload_bytes]);
        let ipv4 = Ipv4::new(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)
            .fragment(offset, true).option(&vec![1; option_bytes]);
        let ipv6 = Ipv6::new(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
            .extension(Ipv6Extension::HopByHop(vec![0; extension_bytes]))
            .extension(Ipv6Extension::Fragment { offset_bytes: offset, more_fragments: true, identification: 1 });
        for builder in [builder.clone().ipv4(ipv4), builder.clone().ipv6(ipv6), builder.llc()] {
            for builder in [
                builder.clone().udp(1, 2),
                builder.clone().tcp(Tcp::new(1, 2).option(&vec![1; option_bytes])),
                builder.clone().icmp(IcmpMessage::echo_reply(1, 2)),
                builder.clone().icmpv6(IcmpMessage::echo_reply_v6(1, 2)),
                builder.clone().protocol(132),
            ] {
                if let Err(error) = builder.build() {
                    prop_assert!(!error.to_string().is_empty());
                }
                let _ = builder.fragments(mtu);
            }
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
    let build = |payload: [u8; 2]| {
        FrameBuilder::new(SOURCE, DESTINATION)
            .ipv4(Ipv4::new(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST))
            .udp(1, 2)
            .payload(payload)
            .build()
            .expect("small")
    };
    // The payload that brings the sum to all ones: the checksum of the same datagram with a payload of zero.
    let checksum = &build([0, 0])[40..42];
    let frame = build([checksum[0], checksum[1]]);
    assert_eq!(frame[40..42], [0xff, 0xff]);
}

#[test]
fn other_frames_have_their_ether_type_or_length() {
    let base = FrameBuilder::new(SOURCE, DESTINATION);
    let lldp = base.clone().ether_type(0x88cc).payload([1, 2]).build();
    assert_eq!(lldp.expect("small")[12..], [0x88, 0xcc, 1, 2]);
    let llc = base.clone().llc().payload([0x42, 0x42, 3]).pad_to(60).build();
    let llc = llc.expect("small");
    assert_eq!(llc[12..17], [0, 3, 0x42, 0x42, 3]);
    assert_eq!(llc.len(), 60);
    let qinq = base.clone().qinq(100, 200).ether_type(0x0800).build();
    assert_eq!(qinq.expect("small")[12..], [0x88, 0xa8, 0, 100, 0x81, 0, 0, 200, 8, 0]);
    let request = Arp::request(SOURCE, Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let frame = base.arp(request.answered_by(DESTINATION)).build().expect("small");
    let packet = PacketHeaders::from_ethernet_slice(&frame).expect("etherparse reads it");
    let Some(NetHeaders::Arp(arp)) = packet.net else {
        panic!("ARP was built");
    };
    assert_eq!(arp.sender_hw_addr(), DESTINATION.0);
    assert_eq!(arp.target_protocol_addr(), [10, 0, 0, 1]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let base = FrameBuilder::new(SOURCE, DESTINATION);
    let ip = Ipv4::new(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
    assert_eq!(
        base.clone().vlan(4096).build(),
        Err(FrameError::Tag { tag: VlanTag::customer(4096) })
    );
    assert_eq!(
        base.clone().ipv4(ip.clone()).icmpv6(IcmpMessage::echo_request_v6(1, 1)).build(),
        Err(FrameError::WrongFamily { transport: "ICMPv6", network: "IPv4" })
    );
    assert_eq!(
        base.clone().ipv4(ip.clone().fragment(4, false)).build(),
        Err(FrameError::FragmentOffset { offset_bytes: 4 })
    );
    assert_eq!(
        base.clone().ipv4(ip).udp(1, 2).payload([0; 9]).fragments(20),
        Err(FrameError::MtuTooSmall { mtu: 20, needed: 28 })
    );
    assert_eq!(base.fragments(1500), Err(FrameError::NotIp));
    assert_eq!(Checksum::default().finish(), 0xffff);
}
