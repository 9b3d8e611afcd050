//! A site's flows as labels, and as packets where they are wanted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use loadlock_capture::{CaptureWriter, Resolution};
use serde::Serialize;

use super::{Flow, FlowOutcome, Site, Transport};
use crate::conversation::{
    ConversationError, Direction, Host, Pace, Side, SynAnswer, TimedFrame, icmp_echo, tcp_attempt,
    tcp_conversation, udp_exchange,
};
use crate::frame::Mac;
use crate::output::GenerateError;

/// What to write of a site.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    /// The capture of one segment, gzip-compressed where the path ends with `.gz`.
    pub out: Option<PathBuf>,
    /// The labels, as JSON lines: of packets if there is a capture, else of flows of all segments.
    pub labels: Option<PathBuf>,
    /// Which segment's capture.
    pub segment: u8,
    /// Seed of all that is random.
    pub seed: u64,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteSummary {
    /// All flows.
    pub flows: u64,
    /// Flows of attacks.
    pub attack_flows: u64,
    /// Packets of the capture.
    pub packets: u64,
    /// Flows by label and class.
    pub flows_by_class: BTreeMap<(&'static str, String), u64>,
    /// The files written.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for SiteSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} flows, {} of them attacks", self.flows, self.attack_flows)?;
        for ((label, class), flows) in &self.flows_by_class {
            writeln!(f, "  {label:<7} {class:<20} {flows:>9}")?;
        }
        if self.packets > 0 {
            writeln!(f, "  {} packets", self.packets)?;
        }
        self.files.iter().try_for_each(|file| writeln!(f, "  wrote {}", file.display()))
    }
}

/// One line of flow labels.
#[derive(Serialize)]
struct FlowLine<'a> {
    n: u64,
    time_ns: u64,
    label: &'static str,
    class: &'a str,
    segment: u8,
    side: &'static str,
    client: Ipv4Addr,
    server: Ipv4Addr,
    service: String,
    answered: bool,
}

/// One line of packet labels; the fields are those of the other scenarios' labels.
#[derive(Serialize)]
struct PacketLine<'a> {
    n: u64,
    time_ns: u64,
    label: &'static str,
    class: &'a str,
    side: &'static str,
}

fn label(flow: &Flow) -> &'static str {
    if flow.is_attack { "attack" } else { "benign" }
}

/// Generates the site's flows and writes what the options ask for.
///
/// # Errors
/// [`GenerateError`]; files begun before the error are left as they are, incomplete.
pub fn write_site(site: &Site, options: &SiteOptions) -> Result<SiteSummary, GenerateError> {
    let mut summary = SiteSummary::default();
    let mut labels = options.labels.as_deref().map(Lines::create).transpose()?;
    let mut capture = options.out.as_deref().map(Capture::create).transpose()?;
    for flow in site.flows(options.seed) {
        summary.flows += 1;
        summary.attack_flows += u64::from(flow.is_attack);
        let class = (label(&flow), site.class(flow.class).to_owned());
        *summary.flows_by_class.entry(class).or_default() += 1;
        match &mut capture {
            Some(capture) if flow.segment == options.segment => {
                capture.write_until(site, flow.time_ns, labels.as_mut())?;
                capture.add(&flow);
            }
            Some(_) => {}
            None => {
                if let Some(lines) = &mut labels {
                    lines.write(&flow_line(site, summary.flows, &flow))?;
                }
            }
        }
    }
    if let Some(mut capture) = capture {
        capture.write_until(site, u64::MAX, labels.as_mut())?;
        summary.packets = capture.packets;
        summary.files.push(capture.finish()?);
    }
    if let Some(lines) = labels {
        summary.files.push(lines.finish()?);
    }
    Ok(summary)
}

fn flow_line<'a>(site: &'a Site, n: u64, flow: &Flow) -> FlowLine<'a> {
    FlowLine {
        n,
        time_ns: flow.time_ns,
        label: label(flow),
        class: site.class(flow.class),
        segment: flow.segment,
        side: flow.client_side.as_str(),
        client: flow.client,
        server: flow.server,
        service: match flow.transport {
            Transport::Tcp => format!("tcp/{}", flow.port),
            Transport::Udp => format!("udp/{}", flow.port),
            Transport::Icmp => "icmp/echo".to_owned(),
        },
        answered: flow.outcome == FlowOutcome::Answered,
    }
}

/// A file of JSON lines.
struct Lines {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl Lines {
    fn create(path: &Path) -> Result<Self, GenerateError> {
        let path = path.to_owned();
        match File::create(&path) {
            Ok(file) => Ok(Self { path, writer: BufWriter::new(file) }),
            Err(source) => Err(GenerateError::Write { path, source }),
        }
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), GenerateError> {
        serde_json::to_writer(&mut self.writer, line)
            .map_err(io::Error::from)
            .and_then(|()| self.writer.write_all(b"\n"))
            .map_err(|source| GenerateError::Write { path: self.path.clone(), source })
    }

    fn finish(mut self) -> Result<PathBuf, GenerateError> {
        match self.writer.flush() {
            Ok(()) => Ok(self.path),
            Err(source) => Err(GenerateError::Write { path: self.path, source }),
        }
    }
}

/// Bytes of one direction that are written out; of a longer transfer the rest is left out.
const BYTES_WRITTEN_MAX: u64 = 64_000;
/// Captures have whole microseconds, and no two packets at one time.
const TICK_NS: u64 = 1_000;

/// A frame that waits for its turn: time, serial number, then what it is.
type Pending = (u64, u64, u16, bool, Side, Vec<u8>);

struct Capture {
    path: PathBuf,
    writer: CaptureWriter<BufWriter<File>>,
    pending: BinaryHeap<Reverse<(u64, u64)>>,
    frames: BTreeMap<u64, Pending>,
    serial: u64,
    last_ns: u64,
    packets: u64,
}

impl Capture {
    fn create(path: &Path) -> Result<Self, GenerateError> {
        let path = path.to_owned();
        match CaptureWriter::create(&path, Resolution::Micro) {
            Ok(writer) => Ok(Self {
                path,
                writer,
                pending: BinaryHeap::new(),
                frames: BTreeMap::new(),
                serial: 0,
                last_ns: 0,
                packets: 0,
            }),
            Err(source) => Err(GenerateError::Capture { file: path, source }),
        }
    }

    /// Puts the frames of a flow in line.
    fn add(&mut self, flow: &Flow) {
        let frames = frames(flow).unwrap_or_else(|error| {
            // Hosts have IPv4 addresses, and sizes are bounded above.
            unreachable!("a checked site makes a frame that can't be built: {error:?}")
        });
        for frame in frames {
            self.serial += 1;
            self.pending.push(Reverse((frame.time_ns, self.serial)));
            let pending =
                (frame.time_ns, self.serial, flow.class, flow.is_attack, frame.side, frame.bytes);
            self.frames.insert(self.serial, pending);
        }
    }

    /// Writes the frames that come before this time.
    fn write_until(
        &mut self,
        site: &Site,
        until_ns: u64,
        mut labels: Option<&mut Lines>,
    ) -> Result<(), GenerateError> {
        while let Some(Reverse((time_ns, serial))) = self.pending.peek().copied() {
            if time_ns >= until_ns {
                return Ok(());
            }
            self.pending.pop();
            let Some((_, _, class, is_attack, side, bytes)) = self.frames.remove(&serial) else {
                continue;
            };
            let time_ns = (time_ns / TICK_NS * TICK_NS).max(self.last_ns + TICK_NS);
            self.last_ns = time_ns;
            self.packets += 1;
            self.writer
                .write(time_ns, &bytes)
                .map_err(|source| GenerateError::Capture { file: self.path.clone(), source })?;
            if let Some(lines) = labels.as_deref_mut() {
                lines.write(&PacketLine {
                    n: self.packets,
                    time_ns,
                    label: if is_attack { "attack" } else { "benign" },
                    class: site.class(class),
                    side: side.as_str(),
                })?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<PathBuf, GenerateError> {
        match self.writer.finish() {
            Ok(_) => Ok(self.path),
            Err(source) => Err(GenerateError::Capture { file: self.path, source }),
        }
    }
}

/// The packets of a flow.
fn frames(flow: &Flow) -> Result<Vec<TimedFrame>, ConversationError> {
    let other = match flow.client_side {
        Side::A => Side::B,
        Side::B => Side::A,
    };
    let client = Host::new(flow.client_side, Mac(flow.client_mac), flow.client);
    let server = Host::new(other, Mac(flow.server_mac), flow.server);
    let pace = Pace::local(flow.time_ns / TICK_NS * TICK_NS);
    let [asked, answered] = flow.bytes.map(|bytes| bytes.min(BYTES_WRITTEN_MAX) as usize);
    let (port, client_port) = (flow.port, flow.client_port);
    match (flow.transport, flow.outcome) {
        (Transport::Icmp, _) => icmp_echo(pace, &client, &server, client_port, 1, &[0x55; 48]),
        (Transport::Udp, outcome) => {
            const DATAGRAM_BYTES_MAX: usize = 1_400;
            let request = vec![0x55; asked.min(DATAGRAM_BYTES_MAX)];
            let answer = vec![0xaa; answered.min(DATAGRAM_BYTES_MAX)];
            let answer = (outcome == FlowOutcome::Answered).then_some(answer.as_slice());
            udp_exchange(pace, &client, &server, client_port, port, &request, answer)
        }
        (Transport::Tcp, FlowOutcome::Silent) => {
            tcp_attempt(pace, &client, &server, client_port, port, SynAnswer::Silence)
        }
        (Transport::Tcp, FlowOutcome::Refused) => {
            tcp_attempt(pace, &client, &server, client_port, port, SynAnswer::Reset)
        }
        (Transport::Tcp, _) => {
            let exchanges = [(Direction::ToServer, asked), (Direction::ToClient, answered)];
            tcp_conversation(pace, &client, &server, client_port, port, &exchanges)
        }
    }
}
