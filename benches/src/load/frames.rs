//! The frames of the conversations.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use loadlock_generate::frame::{FrameBuilder, Ipv4, Ipv6, Mac, Tcp, TcpFlags};
use loadlock_packet::Side;

use super::Frames;

/// Servers on each side, among which the clients of the other are spread.
const SERVERS: u32 = 64;
/// Conversations of a client with its one server, each from a port of its own.
pub(super) const PER_CLIENT: u32 = 32;
/// The port of every server.
pub(super) const SERVICE: u16 = 5000;
/// Header bytes before a TCP payload.
const IPV4_TCP_BYTES: usize = 14 + 20 + 20;
/// Frame sizes without FCS, by place in the capture: 7 of 60, 4 of 590, 1 of 1514.
const IMIX_BYTES: [usize; 12] = [60, 590, 60, 60, 590, 60, 60, 590, 60, 1514, 590, 60];

/// The VLANs of [`Frames::Trunk`]; a client is in one of them.
const TRUNK_FIRST: u16 = 100;
const TRUNK_VLANS: u32 = 64;

/// Both ends of a conversation.
struct Ends {
    client_side: Side,
    /// Number of the client among those of its side.
    client: u32,
    client_port: u16,
}

impl Ends {
    fn new(number: u32, client_side: Side) -> Self {
        let client_port = 40_000 + (number % PER_CLIENT) as u16 * 7;
        Self { client_side, client: number / PER_CLIENT, client_port }
    }

    /// Numbers of the hosts, the client's and the server's, in the networks of their side and part.
    fn hosts(&self) -> [u32; 2] {
        let side = (self.client_side as u32) << 23;
        [side + self.client + 1, side + (3 << 21) + self.client % SERVERS + 1]
    }
}

/// The frame of conversation `number` that comes in on `side`, at `place` in the capture.
///
/// # Errors
/// It can't be built, which is a mistake in the load.
pub fn frame(frames: Frames, number: u32, place: usize, side: Side) -> io::Result<Vec<u8>> {
    let client_side = if frames == Frames::Opening { side } else { Side::A };
    let service = if frames == Frames::Denied { SERVICE + 1 } else { SERVICE };
    let ends = Ends::new(number, client_side);
    let [client, server] = ends.hosts();
    let client_sends = side == client_side;
    let (hosts, ports) = if client_sends {
        ((client, server), (ends.client_port, service))
    } else {
        ((server, client), (service, ends.client_port))
    };
    let mac = |side: Side| Mac([2, 0, 0, 0, 0, 1 + side as u8]);
    let frame = FrameBuilder::new(mac(side), mac(side.other()));
    let flags = if frames == Frames::Opening { TcpFlags::SYN } else { TcpFlags::ACK };
    let tcp = Tcp::new(ports.0, ports.1).flags(flags);
    let v4 = |host: u32| Ipv4Addr::from(0x0a00_0000 + host);
    let v6 = |host: u32| Ipv6Addr::from((0xfd00_u128 << 112) + u128::from(host));
    let packet = frame.clone().ipv4(Ipv4::new(v4(hosts.0), v4(hosts.1)));
    let narrow = packet.clone().tcp(tcp.clone());
    let built = match frames {
        Frames::Short | Frames::Opening | Frames::Denied => narrow.pad_to(60).build(),
        Frames::Sized(bytes) => {
            let payload = usize::from(bytes).saturating_sub(IPV4_TCP_BYTES);
            narrow.payload(vec![0; payload]).build()
        }
        Frames::Trunk => {
            narrow.vlan(TRUNK_FIRST + (ends.client % TRUNK_VLANS) as u16).pad_to(64).build()
        }
        Frames::Udp => packet.udp(ports.0, ports.1).pad_to(60).build(),
        Frames::Imix => {
            let bytes = IMIX_BYTES[place % IMIX_BYTES.len()];
            narrow.payload(vec![0; bytes - IPV4_TCP_BYTES]).build()
        }
        Frames::Ipv6 => frame.ipv6(Ipv6::new(v6(hosts.0), v6(hosts.1))).tcp(tcp).build(),
    };
    built.map_err(io::Error::other)
}

/// Makes a frame of [`Frames::Short`] that comes in on `side` into that of conversation `number`, without its checksums, which
/// nothing on the packet path looks at.
pub fn renumber(frame: &mut [u8], number: u32, side: Side) {
    let ends = Ends::new(number, Side::A);
    let [client, server] = ends.hosts().map(|host| (0x0a00_0000 + host).to_be_bytes());
    let (client_at, server_at, port_at) = match side {
        Side::A => (26, 30, 34),
        Side::B => (30, 26, 36),
    };
    frame[client_at..client_at + 4].copy_from_slice(&client);
    frame[server_at..server_at + 4].copy_from_slice(&server);
    frame[port_at..port_at + 2].copy_from_slice(&ends.client_port.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_their_lengths() {
        for (frames, place, bytes) in [
            (Frames::Short, 0, 60),
            (Frames::Ipv6, 0, 74),
            (Frames::Imix, 0, 60),
            (Frames::Imix, 1, 590),
            (Frames::Imix, 21, 1514),
            (Frames::Sized(60), 0, 60),
            (Frames::Sized(1514), 0, 1514),
            (Frames::Trunk, 0, 64),
            (Frames::Denied, 0, 60),
        ] {
            assert_eq!(frame(frames, 77, place, Side::B).unwrap().len(), bytes);
        }
        let count = |bytes| IMIX_BYTES.iter().filter(|&&size| size == bytes).count();
        assert_eq!([count(60), count(590), count(1514)], [7, 4, 1]);
    }

    #[test]
    fn a_renumbered_frame_differs_in_checksums_alone() {
        for side in [Side::A, Side::B] {
            let wanted = frame(Frames::Short, 77_777, 0, side).unwrap();
            let mut made = frame(Frames::Short, 0, 0, side).unwrap();
            renumber(&mut made, 77_777, side);
            for checksum in [24..26, 50..52] {
                made[checksum.clone()].copy_from_slice(&wanted[checksum]);
            }
            assert_eq!(made, wanted);
        }
    }
}
