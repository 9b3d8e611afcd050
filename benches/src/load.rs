//! The load: established TCP conversations, one 60-byte frame a direction each.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use loadlock_capture::{CaptureWriter, Resolution};
use loadlock_exchange::{RuleEntry, RuleId, RuleOptions, Shape};
use loadlock_generate::frame::{FrameBuilder, Ipv4, Mac, Tcp, TcpFlags};
use loadlock_packet::{Ingress, SegmentId, Side, parse};

/// Length of every frame without FCS: the shortest Ethernet has.
pub const FRAME_BYTES: usize = 60;
/// Servers among which the conversations are spread; one rule each client and server.
const SERVERS: u32 = 64;
const SERVICE: u16 = 5000;

/// The captures of one load.
pub struct Load {
    /// Conversations.
    pub flows: u32,
    /// What comes in on side A: clients to servers.
    pub side_a: PathBuf,
    /// What comes in on side B: servers to clients.
    pub side_b: PathBuf,
}

struct Conversation {
    client: Ipv4Addr,
    server: Ipv4Addr,
    client_port: u16,
}

/// Conversation `number`: clients have up to 16 conversations, servers share the clients evenly.
fn conversation(number: u32) -> Conversation {
    let client = number / 16;
    Conversation {
        client: Ipv4Addr::from(0x0a00_0000 + client + 1),
        server: Ipv4Addr::from(0x0ac0_0000 + client % SERVERS + 1),
        client_port: 40_000 + (number % 16) as u16 * 7,
    }
}

fn frame(conversation: &Conversation, side: Side) -> io::Result<Vec<u8>> {
    let client_mac = Mac([2, 0, 0, 0, 0, 1]);
    let server_mac = Mac([2, 0, 0, 0, 0, 2]);
    let Conversation { client, server, client_port } = *conversation;
    let (macs, addresses, ports) = match side {
        Side::A => ((client_mac, server_mac), (client, server), (client_port, SERVICE)),
        Side::B => ((server_mac, client_mac), (server, client), (SERVICE, client_port)),
    };
    FrameBuilder::new(macs.0, macs.1)
        .ipv4(Ipv4::new(addresses.0, addresses.1))
        .tcp(Tcp::new(ports.0, ports.1).flags(TcpFlags::ACK))
        .pad_to(FRAME_BYTES)
        .build()
        .map_err(io::Error::other)
}

/// The order of the conversations in the captures: scattered, the same for both sides, so that neighbours in time aren't
/// neighbours in the table.
fn scattered(flows: u32) -> impl Iterator<Item = u32> {
    // An odd multiplier is a permutation of a power of two; numbers beyond `flows` are left out.
    let size = flows.next_power_of_two();
    (0..size).map(move |at| at.wrapping_mul(0x9e37_79b1) & (size - 1)).filter(move |&at| at < flows)
}

/// Writes both captures into `folder`.
///
/// # Errors
/// A file can't be written.
pub fn write(flows: u32, folder: &Path) -> io::Result<Load> {
    let path = |side: &str| folder.join(format!("flows-{flows}-{side}.pcap"));
    let load = Load { flows, side_a: path("a"), side_b: path("b") };
    for (side, path) in [(Side::A, &load.side_a), (Side::B, &load.side_b)] {
        let mut writer =
            CaptureWriter::create(path, Resolution::Micro).map_err(io::Error::other)?;
        for number in scattered(flows) {
            writer.write(0, &frame(&conversation(number), side)?).map_err(io::Error::other)?;
        }
        writer.finish().map_err(io::Error::other)?;
    }
    Ok(load)
}

/// Compiled rules that permit the load: one a client and server, and others nobody uses up to `rules`.
///
/// # Errors
/// A frame of the load can't be parsed, which is a mistake in it.
pub fn rules(flows: u32, rules: u32) -> io::Result<Vec<RuleEntry>> {
    let clients = flows.div_ceil(16);
    (0..rules.max(clients))
        .map(|at| {
            let frame = frame(&conversation(at * 16), Side::A)?;
            let segment = SegmentId::new(0).ok_or_else(|| io::Error::other("no segment 0"))?;
            let ingress = Ingress { segment, side: Side::A };
            let headers = parse(&frame, frame.len() as u32, ingress)
                .map_err(|error| io::Error::other(format!("{error:?}")))?;
            let id = RuleId::new(at + 1).ok_or_else(|| io::Error::other("too many rules"))?;
            Ok(RuleEntry {
                shape: Shape {
                    narrow: true,
                    client_prefix: 32,
                    server_prefix: 32,
                    service_prefix: 16,
                    vlans_exact: true,
                },
                client_side: Side::A,
                client: headers.key.endpoint(Side::A).network,
                server: headers.key.endpoint(Side::B).network,
                service: SERVICE,
                tail: headers.key.tail(),
                rule: id,
                options: RuleOptions::CLIENT_OPENS,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_conversation_comes_once() {
        for flows in [1, 64, 4096, 5000] {
            let seen: HashSet<u32> = scattered(flows).collect();
            assert_eq!((seen.len(), scattered(flows).count()), (flows as usize, flows as usize));
        }
    }
}
