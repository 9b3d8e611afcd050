//! Conversations without a connection: UDP, ping, ARP.

use crate::frame::{Arp, IcmpMessage, Mac};

use super::{Addresses, ConversationError, Host, Pace, TimedFrame};

/// A UDP request and, if there is one, its answer.
///
/// # Errors
/// [`ConversationError`] when the hosts can't talk or a payload is longer than 65,507 bytes.
pub fn udp_exchange(
    pace: Pace,
    client: &Host,
    server: &Host,
    client_port: u16,
    server_port: u16,
    request: &[u8],
    answer: Option<&[u8]>,
) -> Result<Vec<TimedFrame>, ConversationError> {
    let identification = (pace.start_ns / 1_000) as u16;
    let mut frames = vec![TimedFrame {
        time_ns: pace.start_ns,
        side: client.side,
        bytes: client
            .packet_to(server, identification)?
            .udp(client_port, server_port)
            .payload(request)
            .build()?,
    }];
    if let Some(answer) = answer {
        frames.push(TimedFrame {
            time_ns: pace.start_ns + pace.half_trip_ns + pace.think_ns,
            side: server.side,
            bytes: server
                .packet_to(client, identification.wrapping_add(1))?
                .udp(server_port, client_port)
                .payload(answer)
                .build()?,
        });
    }
    Ok(frames)
}

/// `count` echo requests, a second apart, each answered; ICMPv6 where the hosts talk IPv6.
///
/// # Errors
/// [`ConversationError`] when the hosts can't talk or `data` is too long for a packet.
pub fn icmp_echo(
    pace: Pace,
    client: &Host,
    server: &Host,
    identifier: u16,
    count: u16,
    data: &[u8],
) -> Result<Vec<TimedFrame>, ConversationError> {
    let is_ipv4 = matches!(client.addresses_with(server)?, Addresses::V4(..));
    let mut frames = Vec::with_capacity(2 * usize::from(count));
    for sequence in 1..=count {
        let time_ns = pace.start_ns + u64::from(sequence - 1) * 1_000_000_000;
        for (from, to, is_answer) in [(client, server, false), (server, client, true)] {
            let packet = from.packet_to(to, sequence)?.payload(data);
            let packet = match (is_ipv4, is_answer) {
                (true, false) => packet.icmp(IcmpMessage::echo_request(identifier, sequence)),
                (true, true) => packet.icmp(IcmpMessage::echo_reply(identifier, sequence)),
                (false, false) => packet.icmpv6(IcmpMessage::echo_request_v6(identifier, sequence)),
                (false, true) => packet.icmpv6(IcmpMessage::echo_reply_v6(identifier, sequence)),
            };
            frames.push(TimedFrame {
                time_ns: time_ns + if is_answer { pace.half_trip_ns } else { 0 },
                side: from.side,
                bytes: packet.build()?,
            });
        }
    }
    Ok(frames)
}

/// A broadcast question for `target`'s Ethernet address, and its answer.
///
/// # Errors
/// [`ConversationError::NoCommonFamily`] when one of them has no IPv4 address.
pub fn arp_resolve(
    pace: Pace,
    asker: &Host,
    target: &Host,
) -> Result<Vec<TimedFrame>, ConversationError> {
    let (Some(asker_ipv4), Some(target_ipv4)) = (asker.ipv4, target.ipv4) else {
        return Err(ConversationError::NoCommonFamily { client: asker.mac, server: target.mac });
    };
    let request = Arp::request(asker.mac, asker_ipv4, target_ipv4);
    let everybody = Host { mac: Mac::BROADCAST, ..*target };
    Ok(vec![
        TimedFrame {
            time_ns: pace.start_ns,
            side: asker.side,
            bytes: asker.frame_to(&everybody).arp(request).build()?,
        },
        TimedFrame {
            time_ns: pace.start_ns + pace.half_trip_ns,
            side: target.side,
            bytes: target.frame_to(asker).arp(request.answered_by(target.mac)).build()?,
        },
    ])
}
