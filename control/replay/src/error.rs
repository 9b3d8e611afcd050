//! What can go wrong with a replay.

use std::fmt;
use std::io;
use std::path::PathBuf;

use loadlock_capture::CaptureError;
use loadlock_declare::DeclareError;
use loadlock_packet::MacAddress;
use loadlock_policy::{PolicyCompileError, PolicyErrors};

use crate::report::ReplayReport;
use crate::sides::{SidesProblem, side_name};

/// An option that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionError {
    /// Not a moment.
    LearnUntil {
        /// The text.
        found: String,
    },
    /// Not an infrastructure class.
    Infrastructure {
        /// The word.
        found: String,
    },
    /// Not a protocol whose negotiated ports can be opened.
    Helper {
        /// The word.
        found: String,
    },
    /// Not a station's address.
    Mac {
        /// The text.
        found: String,
    },
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LearnUntil { found } => write!(
                f,
                "{found:?} is no end of learning; give a part of the capture from 0 to 1 (0.5), a time after its first \
                 packet (280s, 12h; units ms, s, m, h, d), or a time of day (2016-10-10T07:42:01Z)"
            ),
            Self::Infrastructure { found } => write!(
                f,
                "{found:?} is no infrastructure class; give any of arp, nd and link-local with commas between them, or none"
            ),
            Self::Helper { found } => write!(
                f,
                "{found:?} is no protocol whose negotiated ports can be opened; give any of ftp, dcerpc and tftp with commas between them, or none"
            ),
            Self::Mac { found } => write!(
                f,
                "{found:?} is no station's address; give six pairs of hexadecimal digits such as 02:00:00:00:00:01, \
                 several with commas between them, and no group address"
            ),
        }
    }
}

impl std::error::Error for OptionError {}

/// A replay that failed. Nothing was written unless the variant says so.
#[derive(Debug)]
pub enum ReplayError {
    /// A declaration can't be read.
    ReadDeclared {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A declaration has mistakes.
    Declared(DeclareError),
    /// The capture can't be opened, or isn't one.
    Capture(CaptureError),
    /// The capture can't be read to its end. What is before was replayed, and all outputs are written; the report says
    /// `"complete": false`.
    Incomplete {
        /// What is wrong with the capture.
        source: CaptureError,
        /// The report on the packets before.
        report: Box<ReplayReport>,
    },
    /// The second reading of the capture didn't give the packets of the first.
    CaptureChanged {
        /// The capture.
        file: PathBuf,
        /// Packets at the first reading.
        first: u64,
        /// Packets at the second reading.
        second: u64,
    },
    /// The policy file can't be read.
    ReadPolicy {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The policy file isn't valid.
    Policy(PolicyErrors),
    /// The policy has rules for several segments, and none is chosen.
    SegmentOpen {
        /// The policy file.
        file: PathBuf,
        /// Its segments.
        segments: Vec<String>,
    },
    /// The policy has rules, but none for the chosen segment.
    SegmentAbsent {
        /// The policy file.
        file: PathBuf,
        /// The chosen segment.
        segment: String,
        /// The policy's segments.
        segments: Vec<String>,
    },
    /// Learned and given rules can't be joined. An error of the learner: it gave a rule that doesn't fit.
    Join(PolicyErrors),
    /// The policy can't be compiled.
    Compile(PolicyCompileError),
    /// A station is given on both sides.
    BothSides {
        /// The station.
        mac: MacAddress,
    },
    /// The sides file can't be read.
    ReadSides {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sides file has lines that aren't valid.
    Sides {
        /// The file.
        file: PathBuf,
        /// All of them.
        problems: Vec<SidesProblem>,
    },
    /// No memory for the flow tables.
    Memory {
        /// What the system said.
        source: io::Error,
    },
    /// An output can't be written. Outputs that were complete before are there.
    Write {
        /// What was to be written.
        what: &'static str,
        /// The file; `None` for standard output.
        file: Option<PathBuf>,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(error) => error.fmt(f),
            Self::Incomplete { source, report } => write!(
                f,
                "{source}; the {} packets before were replayed and the outputs are written{}",
                report.packets,
                match source {
                    CaptureError::Truncated { .. } => " (--allow-truncated makes this no error)",
                    _ => "",
                }
            ),
            Self::CaptureChanged { file, first, second } => write!(
                f,
                "capture {}: {first} packets at the first reading, {second} at the second; give a file that isn't being \
                 written, and no pipe",
                file.display()
            ),
            Self::ReadPolicy { file, .. } => {
                write!(f, "policy {}: can't be read; check path and rights", file.display())
            }
            Self::Policy(errors) => errors.fmt(f),
            Self::SegmentOpen { file, segments } => write!(
                f,
                "policy {}: has rules for {} segments ({}); choose one with --segment",
                file.display(),
                segments.len(),
                segments.join(", ")
            ),
            Self::SegmentAbsent { file, segment, segments } => write!(
                f,
                "policy {}: has no rule for segment {segment:?}, only for {}; choose one of those with --segment",
                file.display(),
                segments.join(", ")
            ),
            Self::ReadDeclared { file, .. } => write!(
                f,
                "declaration {} can't be read; check the path and the permission",
                file.display()
            ),
            Self::Declared(error) => error.fmt(f),
            Self::Join(errors) => write!(f, "the learned rules don't fit: {errors}; report this"),
            Self::Compile(_) => f.write_str(
                "the policy can't be compiled; correct it, or learn from a part of the capture (--learn-until)",
            ),
            Self::BothSides { mac } => {
                write!(f, "station {mac} is in --side-a and in --side-b; leave it in one of them")
            }
            Self::ReadSides { file, .. } => {
                write!(f, "sides {}: can't be read; check path and rights", file.display())
            }
            Self::Sides { file, problems } => fmt_sides(f, &file.display(), problems),
            Self::Memory { .. } => {
                f.write_str("no memory for the flow tables; replay on a machine with more memory")
            }
            Self::Write { what, file, .. } => {
                let place = file.as_ref().map_or("standard output".into(), |file| file.to_string_lossy());
                write!(f, "{what} {place}: can't be written; check folder, rights and free space")
            }
        }
    }
}

fn fmt_sides(
    f: &mut fmt::Formatter<'_>,
    file: &dyn fmt::Display,
    problems: &[SidesProblem],
) -> fmt::Result {
    for (number, SidesProblem { line, found, contradicts }) in problems.iter().enumerate() {
        if number > 0 {
            f.write_str("\n")?;
        }
        write!(f, "sides {file}:{line}: {found:?}")?;
        match contradicts {
            Some(side) => {
                write!(
                    f,
                    " contradicts an earlier line, which says {}; keep one",
                    side_name(*side)
                )?;
            }
            None => f.write_str(
                "; allowed: a station's address, then a or b, then at most a # comment",
            )?,
        }
    }
    Ok(())
}

impl std::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ReadDeclared { source, .. } => Some(source),
            // Their own text is this error's text; what is behind them is the cause.
            Self::Capture(error) | Self::Incomplete { source: error, .. } => {
                std::error::Error::source(error)
            }
            Self::Compile(error) => Some(error),
            Self::ReadPolicy { source, .. }
            | Self::ReadSides { source, .. }
            | Self::Memory { source }
            | Self::Write { source, .. } => Some(source),
            Self::CaptureChanged { .. }
            | Self::Policy(_)
            | Self::SegmentOpen { .. }
            | Self::SegmentAbsent { .. }
            | Self::Join(_)
            | Self::Declared(_)
            | Self::BothSides { .. }
            | Self::Sides { .. } => None,
        }
    }
}
