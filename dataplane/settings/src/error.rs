//! All mistakes of one file together, and how they read on a terminal.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use crate::problem::Problem;
use crate::schema::{one_of, quoted};

/// One mistake: where, which key, what.
///
/// Displayed as two lines: place, key, value found and what is allowed; then the next step.
#[derive(Debug)]
pub struct SettingsError {
    pub(crate) place: String,
    pub(crate) line: Option<u32>,
    pub(crate) key: String,
    pub(crate) problem: Problem,
}

/// Every mistake of one configuration file, in the order of its lines.
///
/// Never empty. Displayed as all mistakes and a final line with their number; ends without a newline.
#[derive(Debug)]
pub struct SettingsErrors {
    place: String,
    errors: Vec<SettingsError>,
}

impl SettingsErrors {
    /// Puts the mistakes into the order of their lines; those without a line come last.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn new(place: &str, mut errors: Vec<SettingsError>) -> Self {
        assert!(!errors.is_empty(), "an error report without an error");
        errors.sort_by(|one, other| {
            let order = |error: &SettingsError| (error.line.unwrap_or(u32::MAX), error.key.clone());
            order(one).cmp(&order(other))
        });
        Self { place: place.to_owned(), errors }
    }

    /// The mistakes, in the order of their lines.
    pub fn iter(&self) -> std::slice::Iter<'_, SettingsError> {
        self.errors.iter()
    }

    /// How many mistakes there are, at least 1.
    pub fn count(&self) -> usize {
        self.errors.len()
    }

    /// The file as it was named to [`crate::Settings::load`] or [`crate::Settings::parse`].
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl<'a> IntoIterator for &'a SettingsErrors {
    type Item = &'a SettingsError;
    type IntoIter = std::slice::Iter<'a, SettingsError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl SettingsError {
    /// Line in the file, from 1; `None` for what isn't there or for the file as a whole.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// Path of the key, such as `dataplane.mbufs` or `port[fab-a].mtu`; an entry of a list without a usable name is
    /// counted from 1, as in `port[#2].name`. Empty for the file as a whole.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl Display for SettingsErrors {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(formatter, "{error}")?;
        }
        let count = self.errors.len();
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        write!(formatter, "{count} {noun} in {}; ", self.place)?;
        formatter.write_str("nothing was started. `loadlock check --reference` explains every key.")
    }
}

impl Error for SettingsErrors {}

impl Display for SettingsError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.place)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        formatter.write_str(": ")?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        self.problem.write_finding(formatter)?;
        formatter.write_str("\n    fix: ")?;
        self.problem.write_next_step(formatter)
    }
}

impl Error for SettingsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Unreadable { source } => Some(source),
            Problem::Capture { problem, .. } => problem.source(),
            _ => None,
        }
    }
}

impl Problem {
    /// The value found and what is allowed, without a final full stop.
    fn write_finding(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { source } => write!(out, "can't be read: {source}"),
            Self::NotUtf8 => out.write_str("this line isn't UTF-8 text"),
            Self::Syntax { message } => write!(out, "not valid TOML: {message}"),
            Self::Unknown { .. } => out.write_str("no such key"),
            Self::TableShape { header } => write!(out, "must be written as {header}"),
            Self::WrongType { found, found_type, written_as, .. } => {
                write!(out, "{found} is {found_type}, it must be {written_as}")
            }
            Self::NotAllowed { found, allowed, .. } => {
                write!(out, "{found} isn't allowed, allowed is {allowed}")
            }
            Self::Missing { allowed, .. } => write!(out, "missing; it must be {allowed}"),
            Self::EntryCount { found, minimum, maximum } => {
                write!(out, "{found} entries, allowed are {minimum} to {maximum}")
            }
            Self::UsedTwice { found, first_key, first_line, reason } => {
                write!(out, "{found} is already used by {first_key}")?;
                match first_line {
                    Some(line) => write!(out, " on line {line}; {reason}"),
                    None => write!(out, " (its default); {reason}"),
                }
            }
            _ => self.write_finding_between_keys(out),
        }
    }

    /// The same for mistakes that several keys, or the machine, have part in.
    fn write_finding_between_keys(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPort { found, .. } => write!(out, "there is no [[port]] named {found}"),
            Self::UnusedPort { name } => write!(
                out,
                "port \"{name}\" belongs to no segment, so nothing would take its frames"
            ),
            Self::OptionsOfCard { device } => write!(
                out,
                "only virtual drivers take options, and device is the card \"{device}\""
            ),
            Self::ForbiddenCharacter { found, character } => {
                write!(out, "{found:?} contains {character:?}, which DPDK's arguments can't carry")
            }
            Self::DriverNeeds { driver, options } => {
                write!(out, "{driver} doesn't start without {}", options.join(", "))?;
                out.write_str(if options.len() > 1 { " (any one)" } else { "" })
            }
            Self::TooFewQueues { queues, workers, .. } => write!(
                out,
                "the port has {queues} queue pair{}, but {workers} workers need one each",
                if *queues == 1 { "" } else { "s" }
            ),
            Self::TooFewMbufs { found, needed, ports, workers, descriptors } => write!(
                out,
                "{found} buffers are too few: {workers} workers x {descriptors} descriptors of {ports} ports and the workers' \
                 caches need {needed}"
            ),
            Self::MtuAboveMbuf { mtu, mbuf_data_bytes, needed } => write!(
                out,
                "frames of MTU {mtu} don't fit into dataplane.mbuf_data_bytes = {mbuf_data_bytes}, they need {needed}"
            ),
            Self::MtuDiffers { side_a, side_b } => write!(
                out,
                "port \"{}\" has MTU {} and port \"{}\" has {}: larger frames would be lost on the way",
                side_a.0, side_a.1, side_b.0, side_b.1
            ),
            Self::CaptureClock { obstacle, .. } => {
                write!(out, "clock = \"capture\" can't work with {obstacle}")
            }
            Self::CannotBeKept { promise, reason, .. } => {
                write!(out, "{promise} can't be kept: {reason}")
            }
            Self::WeakRssKey { found, bits, bits_min } => write!(
                out,
                "{found} gives only {} different hashes, allowed are keys with at least {}",
                1_u64 << bits,
                1_u64 << bits_min
            ),
            Self::TouchingOffload { found, effect } => write!(
                out,
                "{found} isn't allowed: it {effect}; a frame leaves as it came, allowed is \"tx-fast-free\""
            ),
            Self::NoSuchWorker { core, known } => write!(
                out,
                "CPU {core} is no worker, allowed are those of dataplane.worker_cores: {known}"
            ),
            Self::IdleWorker { core } => {
                write!(out, "the worker on CPU {core} serves no segment, and would poll nothing")
            }
            Self::WrongNode { core, core_node, port, port_node, .. } => write!(
                out,
                "CPU {core} is on NUMA node {core_node}, and port \"{port}\", which it serves, on node {port_node}; \
                 dataplane.numa = \"require\" allows one node only"
            ),
            Self::TooFewPortMbufs { found, needed, workers, descriptors } => write!(
                out,
                "{found} buffers are too few: {workers} workers x {descriptors} descriptors (its receive queue and the other \
                 side's transmit queue) and the workers' caches need {needed}"
            ),
            Self::NoHugepagesOfSize { size, .. } => {
                write!(out, "\"{size}\", but this machine has no hugepages of that size reserved")
            }
            Self::NoSuchDeviceFile { path } => {
                write!(out, "this machine has no device {}", path.display())
            }
            Self::NoSuchProgram { program } => {
                write!(out, "there is no program {}", program.display())
            }
            Self::CoreOffline { core, online } => {
                write!(out, "this machine has no CPU {core} online, it has {online}")
            }
            Self::NoSuchPciDevice { address, .. } => {
                write!(out, "this machine has no PCI device \"{address}\"")
            }
            Self::NoHugepages => out.write_str("true, but this machine has no hugepages reserved"),
            Self::NoSuchFolder { folder } => {
                write!(out, "there is no folder {}", folder.display())
            }
            Self::Capture { file, problem } => write!(out, "{}: {problem}", file.display()),
            _ => Ok(()),
        }
    }

    /// What the operator should do, as a sentence.
    fn write_next_step(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { .. } => {
                out.write_str("check the path, and that this user may read the file.")
            }
            Self::NotUtf8 => out.write_str("save the file as UTF-8, or retype this line."),
            Self::Syntax { message } if message.contains("duplicate") => {
                out.write_str("keep one of the two lines.")
            }
            Self::Syntax { .. } => {
                out.write_str("correct this line; keys are written as: name = value.")
            }
            Self::Unknown { nearest, elsewhere, known } => match (elsewhere, nearest) {
                (Some(header), _) => write!(out, "it is a key of {header}: move the line there."),
                (None, Some(nearest)) => write!(out, "did you mean \"{nearest}\"?"),
                (None, None) => write!(out, "delete it, or use one of: {}.", known.join(", ")),
            },
            Self::TableShape { header } => write!(out, "write {header} on a line of its own."),
            Self::WrongType { written_as, allowed, .. } => {
                write!(out, "write {written_as}; allowed is {allowed}.")
            }
            Self::NotAllowed { nearest, default, .. } => match (nearest, default) {
                (Some(nearest), _) => write!(out, "did you mean {nearest}?"),
                (None, Some(default)) => {
                    write!(
                        out,
                        "write an allowed value, or delete the line for the default {default}."
                    )
                }
                (None, None) => out.write_str("write an allowed value; the key has no default."),
            },
            Self::Missing { example, .. } => write!(out, "add {example}"),
            Self::EntryCount { found, minimum, .. } => out.write_str(if found < minimum {
                "add what is missing."
            } else {
                "remove the surplus, or divide the work over two appliances."
            }),
            Self::UsedTwice { .. } => out.write_str("change one of the two."),
            _ => self.write_next_step_between_keys(out),
        }
    }

    /// The same for mistakes that several keys, or the machine, have part in.
    fn write_next_step_between_keys(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPort { nearest, known, .. } => match nearest {
                _ if known.is_empty() => out.write_str("add the [[port]]."),
                Some(nearest) => write!(
                    out,
                    "did you mean \"{nearest}\"? The ports are {}.",
                    quoted(known, ", ")
                ),
                None => write!(out, "use {}, or add the [[port]].", one_of(known)),
            },
            Self::UnusedPort { .. } => {
                out.write_str("make it side_a or side_b of a [[segment]], or delete the [[port]].")
            }
            Self::OptionsOfCard { .. } => out.write_str("delete the options."),
            Self::ForbiddenCharacter { .. } => out.write_str(
                "use a name without commas, equals signs, square brackets, spaces and control characters; for a path, \
                 rename or link the file or folder.",
            ),
            Self::DriverNeeds { options, .. } => write!(
                out,
                "add options = {{ {} = \"...\" }} to this port.",
                options.first().unwrap_or(&"")
            ),
            Self::TooFewQueues {
                workers, option, ..
            } => match option {
                Some(option) => write!(
                    out,
                    "set {option} = {workers} in the port's options, or use fewer worker_cores."
                ),
                None => write!(
                    out,
                    "give {workers} files or interfaces as a list, or use fewer worker_cores."
                ),
            },
            Self::TooFewMbufs { needed, .. } => write!(
                out,
                "set mbufs = {} or more, or shorten rx_descriptors and tx_descriptors.",
                pool_size_for(*needed)
            ),
            Self::MtuAboveMbuf { needed, .. } => {
                write!(out, "set dataplane.mbuf_data_bytes = {needed} or more, or lower the mtu.")
            }
            Self::MtuDiffers { .. } => out.write_str("give both ports the same mtu."),
            Self::CaptureClock { fix, .. } => write!(out, "{fix}, or set dataplane.clock = \"tsc\"."),
            Self::CannotBeKept { fix, .. } => write!(out, "{fix}."),
            Self::WeakRssKey { .. } => {
                out.write_str("use an irregular key, or delete the line for the default \"6d5a6d5a\".")
            }
            Self::TouchingOffload { .. } => out.write_str("delete it."),
            Self::NoSuchWorker { .. } => {
                out.write_str("use one of those, or add the CPU to dataplane.worker_cores.")
            }
            Self::IdleWorker { .. } => out.write_str(
                "add it to the worker_cores of a [[segment]], or take it out of dataplane.worker_cores.",
            ),
            Self::WrongNode { near, .. } => write!(
                out,
                "use CPUs of the port's node ({near}) in dataplane.worker_cores and the segment's worker_cores, or set numa = \"prefer\"."
            ),
            Self::TooFewPortMbufs { needed, .. } => write!(
                out,
                "set this port's mbufs = {} or more, or shorten the descriptors.",
                pool_size_for(*needed)
            ),
            Self::NoHugepagesOfSize { folder, .. } => write!(
                out,
                "reserve some: echo N > /sys/kernel/mm/hugepages/{folder}/nr_hugepages (for good: scripts/host/setup, or hugepagesz= and hugepages= on the kernel's command line), or set \
                 hugepage_size = \"any\"."
            ),
            Self::NoSuchDeviceFile { .. } => {
                out.write_str("load its driver, or correct the path; gpiodetect lists the GPIO chips.")
            }
            Self::NoSuchProgram { .. } => {
                out.write_str("install it there and make it executable, or correct the path.")
            }
            Self::CoreOffline { .. } => out.write_str("use a CPU that is online."),
            Self::NoSuchPciDevice {
                network_devices, ..
            } => match network_devices.as_slice() {
                [] => out.write_str("this machine has no network card on PCI; check the slot with lspci."),
                devices => write!(out, "use one of its network cards: {}.", devices.join(", ")),
            },
            Self::NoHugepages => out.write_str(
                "reserve some (sysctl vm.nr_hugepages=1024), or set hugepages = false for a functional test.",
            ),
            Self::NoSuchFolder { folder } => write!(out, "create it: mkdir -p {}", folder.display()),
            Self::Capture { problem, .. } => out.write_str(problem.next_step()),
            _ => Ok(()),
        }
    }
}

/// The next 2^n - 1, the size at which DPDK's pool uses its memory best, within the key's range.
fn pool_size_for(needed: u64) -> u64 {
    let size = needed.saturating_add(1).next_power_of_two() - 1;
    if size > 16_777_215 { needed } else { size }
}
