//! What can be wrong with a configuration: one variant per kind of mistake, with the facts an operator needs.

use std::io;
use std::path::PathBuf;

use crate::drivers::Driver;
use crate::machine::CaptureProblem;

/// One kind of mistake, with what was found and what is allowed.
///
/// Texts named `found` are quoted from the file as they are written there, shortened if long.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The file can't be read at all.
    Unreadable {
        /// What the system said.
        source: io::Error,
    },
    /// The file isn't UTF-8 text; the error's line is that of the first bad byte.
    NotUtf8,
    /// The text isn't TOML, a key or table given twice included.
    Syntax {
        /// What the TOML parser said.
        message: String,
    },
    /// A key, option or table that doesn't exist.
    Unknown {
        /// The key, option or table nearest in spelling.
        nearest: Option<String>,
        /// The header of another table that has a key of just this name.
        elsewhere: Option<String>,
        /// All names that exist here.
        known: Vec<&'static str>,
    },
    /// `[port]` for `[[port]]`, `[[control]]` for `[control]`, or a value in place of a table.
    TableShape {
        /// The header as it must be.
        header: String,
    },
    /// A value of another type.
    WrongType {
        /// The value in the file.
        found: String,
        /// Its type, in words.
        found_type: &'static str,
        /// How the right type is written.
        written_as: String,
        /// What is allowed.
        allowed: String,
    },
    /// A value of the right type that isn't allowed.
    NotAllowed {
        /// The value in the file.
        found: String,
        /// What is allowed.
        allowed: String,
        /// The allowed word nearest in spelling.
        nearest: Option<String>,
        /// What holds if the line is deleted.
        default: Option<String>,
    },
    /// A required key, option or table isn't there.
    Missing {
        /// What is allowed.
        allowed: String,
        /// What to write.
        example: String,
    },
    /// Fewer or more entries than allowed.
    EntryCount {
        /// Entries in the file.
        found: usize,
        /// Fewest allowed.
        minimum: usize,
        /// Most allowed.
        maximum: usize,
    },
    /// A value that may be used once is used again: a name, a CPU, a device, a file, a port of a segment.
    UsedTwice {
        /// The value in the file.
        found: String,
        /// Key of the first use.
        first_key: String,
        /// Line of the first use; `None` if the first use is a default.
        first_line: Option<u32>,
        /// Why twice can't work.
        reason: &'static str,
    },
    /// A segment side names a port that doesn't exist.
    NoSuchPort {
        /// The name in the file.
        found: String,
        /// The port nearest in spelling.
        nearest: Option<String>,
        /// All port names.
        known: Vec<String>,
    },
    /// A port that no segment uses: it would swallow what arrives.
    UnusedPort {
        /// The port's name.
        name: String,
    },
    /// `options` beside a PCI address.
    OptionsOfCard {
        /// The PCI address.
        device: String,
    },
    /// An option value with a character that the syntax of DPDK's arguments can't carry.
    ForbiddenCharacter {
        /// The text that would be given to DPDK, the file's folder included where the path is relative.
        found: String,
        /// The first character that can't be.
        character: char,
    },
    /// A driver without an option it can't start without.
    DriverNeeds {
        /// The driver.
        driver: Driver,
        /// At least one of these is needed.
        options: &'static [&'static str],
    },
    /// A port with fewer queue pairs than there are workers.
    TooFewQueues {
        /// Queue pairs of the port.
        queues: u64,
        /// Workers in `dataplane.worker_cores`.
        workers: usize,
        /// The option that sets the number; `None` for net_pcap, where it is the number of files or interfaces.
        option: Option<&'static str>,
    },
    /// The mbuf pool can't fill the queues.
    TooFewMbufs {
        /// Buffers in the file.
        found: u32,
        /// Buffers needed.
        needed: u64,
        /// Ports.
        ports: usize,
        /// Workers.
        workers: usize,
        /// Receive and transmit descriptors of one queue pair of each port, together.
        descriptors: u64,
    },
    /// A frame of the port's MTU doesn't fit into an mbuf.
    MtuAboveMbuf {
        /// MTU of the port.
        mtu: u16,
        /// `dataplane.mbuf_data_bytes` as it is.
        mbuf_data_bytes: u32,
        /// What it would have to be.
        needed: u32,
    },
    /// The two sides of a segment have different MTUs.
    MtuDiffers {
        /// Port and MTU of side a.
        side_a: (String, u16),
        /// Port and MTU of side b.
        side_b: (String, u16),
    },
    /// `clock = "capture"` together with something it can't work with.
    CaptureClock {
        /// What stands in the way.
        obstacle: String,
        /// What to do about it.
        fix: &'static str,
    },
    /// A promise of the file that nothing could keep.
    CannotBeKept {
        /// Key and value.
        promise: &'static str,
        /// What stands against it.
        reason: &'static str,
        /// What to do about it.
        fix: &'static str,
    },
    /// A key of RSS whose hashes are too few to spread anything.
    WeakRssKey {
        /// The value in the file.
        found: String,
        /// Independent bits of its hashes.
        bits: u32,
        /// Fewest allowed.
        bits_min: u32,
    },
    /// An offload that would touch a frame.
    TouchingOffload {
        /// The value in the file.
        found: String,
        /// What it does.
        effect: &'static str,
    },
    /// A CPU of a segment that is none of the workers'.
    NoSuchWorker {
        /// The CPU in the file.
        core: u16,
        /// `dataplane.worker_cores`.
        known: String,
    },
    /// A worker that would look at no port.
    IdleWorker {
        /// Its CPU.
        core: u16,
    },
    /// A worker on another NUMA node than a card it serves, though `numa = "require"`.
    WrongNode {
        /// The worker's CPU.
        core: u16,
        /// Its node.
        core_node: u32,
        /// The port's name.
        port: String,
        /// Its node.
        port_node: u32,
        /// CPUs of that node.
        near: String,
    },
    /// The pool of one port can't fill its queues.
    TooFewPortMbufs {
        /// Buffers in the file.
        found: u32,
        /// Buffers needed.
        needed: u64,
        /// Workers that serve the port.
        workers: usize,
        /// Receive descriptors of the port and transmit descriptors of the other side's, of one queue each.
        descriptors: u64,
    },
    /// `hugepage_size` of which the machine has reserved none.
    NoHugepagesOfSize {
        /// As in the file.
        size: &'static str,
        /// Name of the kernel's folder for them.
        folder: String,
    },
    /// A device file that isn't there.
    NoSuchDeviceFile {
        /// Its path.
        path: PathBuf,
    },
    /// A program that isn't there.
    NoSuchProgram {
        /// Its path.
        program: PathBuf,
    },
    /// A CPU that this machine doesn't have online.
    CoreOffline {
        /// The CPU in the file.
        core: u16,
        /// The CPUs that are online, as the kernel lists them, such as `0-3,8`.
        online: String,
    },
    /// A PCI address at which this machine has no device.
    NoSuchPciDevice {
        /// The address.
        address: String,
        /// The network devices on the PCI bus of this machine.
        network_devices: Vec<String>,
    },
    /// `hugepages = true` on a machine that has reserved none.
    NoHugepages,
    /// A folder that must exist and doesn't.
    NoSuchFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A capture file that net_pcap can't read.
    Capture {
        /// The file, with the folder of the configuration file if it was relative.
        file: PathBuf,
        /// What is wrong with it.
        problem: CaptureProblem,
    },
}
