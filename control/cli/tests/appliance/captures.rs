//! Captures for the ports, and what came out of them.

use std::path::Path;

use loadlock_capture::{CaptureReader, CaptureWriter, Resolution};
use loadlock_generate::frame::{FrameBuilder, Ipv4, Mac, Tcp, TcpFlags};

/// Time and bytes of every frame.
pub type Frames = Vec<(u64, Vec<u8>)>;

/// All frames of a capture.
pub fn frames(path: &Path) -> Frames {
    let mut reader = CaptureReader::open(path).unwrap();
    let mut frames = Vec::new();
    while let Some(packet) = reader.next().unwrap() {
        frames.push((packet.time_ns, packet.data.to_vec()));
    }
    frames
}

/// Writes a capture.
pub fn write<'f>(path: &Path, frames: impl IntoIterator<Item = &'f (u64, Vec<u8>)>) {
    let mut writer = CaptureWriter::create(path, Resolution::Micro).unwrap();
    for (time_ns, data) in frames {
        writer.write(*time_ns, data).unwrap();
    }
    writer.finish().unwrap();
}

/// Writes two captures with the two directions of a few TCP conversations, opened and closed, to be repeated for ever.
pub fn write_conversations(from_a: &Path, from_b: &Path) {
    let mut sides = [Frames::new(), Frames::new()];
    let hosts = [("10.10.1.11", 0x0a), ("10.10.2.10", 0x0b)].map(|(ipv4, last)| {
        (Mac([0x02, 0, 0, 0, 0, last]), ipv4.parse::<std::net::Ipv4Addr>().unwrap())
    });
    for client_port in 40_000..40_008u16 {
        let steps = [
            (0, TcpFlags::SYN),
            (1, TcpFlags::SYN | TcpFlags::ACK),
            (0, TcpFlags::ACK),
            (1, TcpFlags::FIN | TcpFlags::ACK),
            (0, TcpFlags::FIN | TcpFlags::ACK),
        ];
        for (time_ns, (side, flags)) in (0..).zip(steps) {
            let (own, peer) = (hosts[side], hosts[1 - side]);
            let ports = if side == 0 { (client_port, 5000) } else { (5000, client_port) };
            let frame = FrameBuilder::new(own.0, peer.0)
                .ipv4(Ipv4::new(own.1, peer.1))
                .tcp(Tcp::new(ports.0, ports.1).flags(flags))
                .pad_to(60);
            sides[side].push((time_ns * 1_000, frame.build().unwrap()));
        }
    }
    write(from_a, &sides[0]);
    write(from_b, &sides[1]);
}
