//! One line of JSON for every packet.

use std::fmt::Write;

use loadlock_packet::{Kind, Network, Side};
use loadlock_pipeline::Verdict;

use crate::direction::Addresses;
use crate::error::ReplayError;
use crate::output::OutputFile;
use crate::sides::side_name;

/// Writes verdicts, if they are asked for.
pub(crate) struct VerdictLines {
    file: Option<OutputFile>,
    line: String,
}

impl VerdictLines {
    pub fn new(file: Option<OutputFile>) -> Self {
        Self { file, line: String::new() }
    }

    /// Writes the line of one packet.
    pub fn write(
        &mut self,
        number: u64,
        time_ns: u64,
        verdict: Verdict,
        side: Side,
        addresses: Option<&Addresses>,
    ) -> Result<(), ReplayError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.line.clear();
        // Writing to a String can't fail, and no text here holds anything that JSON escapes.
        let _ = write_line(&mut self.line, number, time_ns, verdict, side, addresses);
        file.write(self.line.as_bytes())
    }

    /// Puts the file in its place.
    pub fn finish(self) -> Result<(), ReplayError> {
        self.file.map_or(Ok(()), OutputFile::finish)
    }
}

fn write_line(
    line: &mut String,
    number: u64,
    time_ns: u64,
    verdict: Verdict,
    side: Side,
    addresses: Option<&Addresses>,
) -> std::fmt::Result {
    let (name, reason) = (verdict.name(), verdict.reason());
    write!(
        line,
        "{{\"n\":{number},\"time_ns\":{time_ns},\"verdict\":\"{name}\",\"reason\":\"{reason}\",\"rule\":"
    )?;
    match verdict.rule() {
        Some(rule) => write!(line, "{rule}")?,
        None => line.push_str("null"),
    }
    write!(line, ",\"side\":\"{}\",\"flow\":", side_name(side))?;
    match addresses {
        Some(addresses) => {
            line.push('"');
            write_flow(line, addresses)?;
            line.push('"');
        }
        None => line.push_str("null"),
    }
    line.push_str("}\n");
    Ok(())
}

/// `tcp 10.0.0.1:49152 > 10.0.0.2:5000 vlan 10`: sender, receiver, and their service fields where they are ports.
fn write_flow(line: &mut String, addresses: &Addresses) -> std::fmt::Result {
    let Some(key) = addresses.key else {
        return write!(line, "{} > {}", addresses.source, addresses.destination);
    };
    // The key was made as if the frame came from side A.
    let [sender, receiver] = [Side::A, Side::B].map(|side| key.endpoint(side));
    let tail = key.tail();
    let protocol = match tail.kind() {
        Kind::Tcp => "tcp",
        Kind::Udp => "udp",
        Kind::Icmp => "icmp",
        Kind::OtherIp => "ip",
        Kind::Fragment => "fragment",
        Kind::NonIp => "ether",
        Kind::Llc => "llc",
        Kind::Snap => "snap",
    };
    line.push_str(protocol);
    match tail.kind() {
        Kind::Tcp | Kind::Udp | Kind::Icmp => {}
        Kind::OtherIp | Kind::Fragment => write!(line, "/{}", sender.service)?,
        Kind::NonIp | Kind::Llc | Kind::Snap => write!(line, "/{:#06x}", sender.service)?,
    }
    for (before, end) in [(" ", sender), (" > ", receiver)] {
        line.push_str(before);
        let port = matches!(tail.kind(), Kind::Tcp | Kind::Udp).then_some(end.service);
        match (end.network, port) {
            (Network::Ip(address), Some(port)) => {
                write!(line, "{}", std::net::SocketAddr::new(address, port))?;
            }
            (Network::Ip(address), None) => write!(line, "{address}")?,
            (Network::Link { mac, .. }, _) => write!(line, "{mac}")?,
        }
    }
    match (tail.vlans().outer(), tail.vlans().inner()) {
        (0, 0) => Ok(()),
        _ => write!(line, " vlan {}", tail.vlans()),
    }
}
