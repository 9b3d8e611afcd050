//! Writes a scenario's traffic as captures and labels.

mod error;
mod labels;
mod sides;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use loadlock_capture::{CaptureWriter, Resolution};

pub use error::GenerateError;

use crate::scenario::Scenario;
use crate::traffic::{GeneratedPacket, generate};
use labels::LabelWriter;
use sides::SideWriter;

/// What to generate and where to write it. At least one of `out`, `labels` and `sides` is needed.
#[derive(Debug, Clone)]
pub struct GenerateOptions {
    /// The scenario file.
    pub scenario: PathBuf,
    /// The merged capture, gzip-compressed where the path ends with `.gz`.
    pub out: Option<PathBuf>,
    /// The labels, as JSON lines.
    pub labels: Option<PathBuf>,
    /// Captures per side.
    pub sides: Option<SidesOptions>,
    /// Seed of all that is random.
    pub seed: u64,
}

/// Captures per side, each in two parts: `side-a-1.pcap`, `side-a-2.pcap`, `side-b-1.pcap`, `side-b-2.pcap`.
#[derive(Debug, Clone)]
pub struct SidesOptions {
    /// Folder for the four captures; made if it isn't there.
    pub folder: PathBuf,
    /// Where part 1 ends, as a fraction of the scenario's duration: above 0, below 1, in steps of 1/10,000.
    pub split_fraction: f64,
}

/// What was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateSummary {
    /// All packets.
    pub packets: u64,
    /// Packets of attacks.
    pub attack_packets: u64,
    /// Packets by label and class, such as (`benign`, `hsms`).
    pub packets_by_class: BTreeMap<(&'static str, &'static str), u64>,
    /// Time of the first packet, in nanoseconds since 1970; 0 without packets.
    pub first_ns: u64,
    /// Time of the last packet.
    pub last_ns: u64,
    /// The files written, in the order merged capture, labels, sides.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for GenerateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} packets in {:.1} s, {} of them attacks",
            self.packets,
            (self.last_ns - self.first_ns) as f64 / 1e9,
            self.attack_packets
        )?;
        for ((label, class), packets) in &self.packets_by_class {
            writeln!(f, "  {label:<7} {class:<13} {packets:>9}")?;
        }
        self.files.iter().try_for_each(|file| writeln!(f, "  wrote {}", file.display()))
    }
}

/// Reads the scenario, generates its traffic and writes what the options ask for; work behind `loadlock generate`.
///
/// # Errors
/// [`GenerateError`]; files begun before the error are left as they are, incomplete.
pub fn run(options: &GenerateOptions) -> Result<GenerateSummary, GenerateError> {
    if options.out.is_none() && options.labels.is_none() && options.sides.is_none() {
        return Err(GenerateError::NothingToWrite);
    }
    let scenario = Scenario::open(&options.scenario)?;
    write_all(&scenario, options)
}

/// Writes only the four captures per side of a scenario, into `folder`.
///
/// # Errors
/// As [`run`].
pub fn write_sides(
    scenario: &Scenario,
    seed: u64,
    folder: &Path,
    split_fraction: f64,
) -> Result<GenerateSummary, GenerateError> {
    let options = GenerateOptions {
        scenario: PathBuf::new(),
        out: None,
        labels: None,
        sides: Some(SidesOptions { folder: folder.to_owned(), split_fraction }),
        seed,
    };
    write_all(scenario, &options)
}

/// Generates once and feeds every output.
fn write_all(
    scenario: &Scenario,
    options: &GenerateOptions,
) -> Result<GenerateSummary, GenerateError> {
    let mut outputs = Outputs::open(scenario, options)?;
    let mut summary = GenerateSummary {
        packets: 0,
        attack_packets: 0,
        packets_by_class: BTreeMap::new(),
        first_ns: 0,
        last_ns: 0,
        files: Vec::new(),
    };
    for packet in generate(scenario, options.seed) {
        summary.count(&packet);
        outputs.write(summary.packets, &packet)?;
    }
    summary.files = outputs.finish()?;
    Ok(summary)
}

impl GenerateSummary {
    /// Counts one packet.
    fn count(&mut self, packet: &GeneratedPacket) {
        if self.packets == 0 {
            self.first_ns = packet.time_ns;
        }
        self.last_ns = packet.time_ns;
        self.packets += 1;
        self.attack_packets += u64::from(packet.label.is_attack());
        let class = (packet.label.as_str(), packet.label.class());
        *self.packets_by_class.entry(class).or_default() += 1;
    }
}

/// A capture that is being written, and its path.
struct CaptureFile {
    path: PathBuf,
    writer: CaptureWriter<BufWriter<File>>,
}

impl CaptureFile {
    /// Microseconds hold the generated times exactly, and everything reads them.
    fn create(path: PathBuf) -> Result<Self, GenerateError> {
        match CaptureWriter::create(&path, Resolution::Micro) {
            Ok(writer) => Ok(Self { path, writer }),
            Err(source) => Err(GenerateError::Capture { file: path, source }),
        }
    }

    fn write(&mut self, packet: &GeneratedPacket) -> Result<(), GenerateError> {
        self.writer
            .write(packet.time_ns, &packet.bytes)
            .map_err(|source| GenerateError::Capture { file: self.path.clone(), source })
    }

    fn finish(self) -> Result<PathBuf, GenerateError> {
        match self.writer.finish() {
            Ok(_) => Ok(self.path),
            Err(source) => Err(GenerateError::Capture { file: self.path, source }),
        }
    }
}

/// Everything that is being written.
struct Outputs {
    merged: Option<CaptureFile>,
    labels: Option<LabelWriter>,
    sides: Option<SideWriter>,
}

impl Outputs {
    fn open(scenario: &Scenario, options: &GenerateOptions) -> Result<Self, GenerateError> {
        // The sides first: their fraction is checked before any file is made.
        let sides = options.sides.as_ref();
        let sides = sides.map(|sides| SideWriter::open(scenario, sides)).transpose()?;
        let merged = options.out.clone().map(CaptureFile::create).transpose()?;
        let labels = options.labels.clone().map(LabelWriter::create).transpose()?;
        Ok(Self { merged, labels, sides })
    }

    fn write(&mut self, number: u64, packet: &GeneratedPacket) -> Result<(), GenerateError> {
        if let Some(merged) = &mut self.merged {
            merged.write(packet)?;
        }
        if let Some(labels) = &mut self.labels {
            labels.write(number, packet)?;
        }
        if let Some(sides) = &mut self.sides {
            sides.write(packet)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<PathBuf>, GenerateError> {
        let mut files = Vec::new();
        if let Some(merged) = self.merged {
            files.push(merged.finish()?);
        }
        if let Some(labels) = self.labels {
            files.push(labels.finish()?);
        }
        if let Some(sides) = self.sides {
            files.extend(sides.finish()?);
        }
        Ok(files)
    }
}
