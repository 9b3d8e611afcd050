//! Whether valid settings fit the machine at hand: CPUs, cards, hugepages, folders and capture files.
//!
//! Apart from parsing, so that a file can be checked, and the parser tested, anywhere.

mod capture;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use capture::CaptureProblem;

use crate::device::{Device, DeviceOption, VirtualDevice, folder_of};
use crate::error::SettingsErrors;
use crate::findings::Findings;
use crate::problem::Problem;
use crate::settings::{CoreId, HugepageSize, PortIndex, Relay, Settings};

/// What this machine has, as far as the settings depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The online CPUs as the kernel lists them, such as `0-3,8`.
    cores_online: String,
    /// PCI addresses of all devices; `true` for network devices.
    pci_devices: Vec<(String, bool)>,
    /// Hugepages that are reserved, in use or not, by the kernel's name of their size, such as `hugepages-2048kB`.
    hugepages: Vec<(String, u64)>,
    /// CPUs of each NUMA node as the kernel lists them; empty where it tells of none.
    nodes: Vec<(u32, String)>,
    /// NUMA node of each PCI device that has one.
    pci_nodes: Vec<(String, u32)>,
}

/// The kernel doesn't say what the machine has.
#[derive(Debug)]
pub struct MachineError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for MachineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "can't read the list of CPUs in {}: {}\n    fix: mount sysfs (mount -t sysfs sysfs /sys).",
            self.path.display(),
            self.source
        )
    }
}

impl Error for MachineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl Machine {
    /// Looks at the machine this runs on.
    ///
    /// # Errors
    /// If sysfs doesn't tell the CPUs. A missing PCI bus or hugepage folder is no error but none of them.
    pub fn here() -> Result<Self, MachineError> {
        Self::from_sysfs(Path::new("/sys"))
    }

    /// Looks at a machine through its sysfs, mounted (or imitated, in tests) at `sysfs`.
    ///
    /// # Errors
    /// As [`Machine::here`].
    pub fn from_sysfs(sysfs: &Path) -> Result<Self, MachineError> {
        let path = sysfs.join("devices/system/cpu/online");
        match std::fs::read_to_string(&path) {
            Ok(online) => Ok(Self {
                cores_online: online.trim().to_owned(),
                pci_devices: pci_devices(&sysfs.join("bus/pci/devices")),
                hugepages: hugepages(&sysfs.join("kernel/mm/hugepages")),
                nodes: nodes(&sysfs.join("devices/system/node")),
                pci_nodes: pci_nodes(&sysfs.join("bus/pci/devices")),
            }),
            Err(source) => Err(MachineError { path, source }),
        }
    }

    /// Whether the CPU is online.
    pub fn has_core(&self, core: CoreId) -> bool {
        lists(&self.cores_online, core)
    }

    /// NUMA node of a CPU; `None` where the kernel doesn't tell.
    pub fn node_of(&self, core: CoreId) -> Option<u32> {
        self.nodes.iter().find(|(_, cores)| lists(cores, core)).map(|(node, _)| *node)
    }
}

/// Whether a list of CPUs as the kernel writes it, such as `0-3,8`, has this one.
fn lists(cores: &str, core: CoreId) -> bool {
    cores.split(',').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&core.0),
            _ => false,
        }
    })
}

/// Names of the entries of a sysfs folder, sorted; none if there is no such folder.
fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn pci_devices(folder: &Path) -> Vec<(String, bool)> {
    let with_class = |address: String| {
        let class = std::fs::read_to_string(folder.join(&address).join("class"));
        // Base class 0x02 is a network controller (PCI Code and ID Assignment Specification).
        let is_network = class.is_ok_and(|class| class.starts_with("0x02"));
        (address, is_network)
    };
    entries(folder).into_iter().map(with_class).collect()
}

fn hugepages(folder: &Path) -> Vec<(String, u64)> {
    let count = |size: String| {
        let count = std::fs::read_to_string(folder.join(&size).join("nr_hugepages")).ok()?;
        Some((size, count.trim().parse::<u64>().ok()?))
    };
    entries(folder).into_iter().filter_map(count).collect()
}

fn nodes(folder: &Path) -> Vec<(u32, String)> {
    let node = |name: String| {
        let number = name.strip_prefix("node")?.parse().ok()?;
        let cores = std::fs::read_to_string(folder.join(&name).join("cpulist")).ok()?;
        Some((number, cores.trim().to_owned()))
    };
    entries(folder).into_iter().filter_map(node).collect()
}

/// -1 stands for a device that is near to all nodes alike.
fn pci_nodes(folder: &Path) -> Vec<(String, u32)> {
    let node = |address: String| {
        let node = std::fs::read_to_string(folder.join(&address).join("numa_node")).ok()?;
        Some((address, node.trim().parse().ok()?))
    };
    entries(folder).into_iter().filter_map(node).collect()
}

impl Settings {
    /// Compares the settings with a machine: CPUs online, cards present, hugepages reserved, folders of the files that
    /// DPDK writes present, and capture files readable for net_pcap (present, classic pcap, Ethernet, not cut off).
    ///
    /// Reads the first bytes of each capture file; opens no device and changes nothing.
    ///
    /// # Errors
    /// All that doesn't fit, with the line in the configuration file.
    pub fn check_machine(&self, machine: &Machine) -> Result<(), SettingsErrors> {
        let mut findings = Findings::new("", &self.place);
        findings.lines.clone_from(&self.lines);
        self.check_cores(machine, &mut findings);
        self.check_memory(machine, &mut findings);
        self.check_relays(&mut findings);
        if self.dataplane.numa_required {
            self.check_nodes(machine, &mut findings);
        }
        for port in &self.ports {
            match &port.device {
                Device::Pci(address) => {
                    let address = address.to_string();
                    if !machine.pci_devices.iter().any(|(present, _)| *present == address) {
                        let cards =
                            machine.pci_devices.iter().filter(|(_, is_network)| *is_network);
                        let problem = Problem::NoSuchPciDevice {
                            address,
                            network_devices: cards.map(|(address, _)| address.clone()).collect(),
                        };
                        findings.report_at(&format!("{}.device", port.path), problem);
                    }
                }
                Device::Virtual(device) => check_files(device, &mut findings),
            }
        }
        if findings.errors.is_empty() {
            Ok(())
        } else {
            Err(SettingsErrors::new(&self.place, findings.errors))
        }
    }

    fn check_cores(&self, machine: &Machine, findings: &mut Findings<'_>) {
        let workers = self.dataplane.worker_cores.iter().enumerate();
        let workers =
            workers.map(|(index, core)| (format!("dataplane.worker_cores[{index}]"), *core));
        let others = [
            ("dataplane.main_core".to_owned(), self.dataplane.main_core),
            ("control.core".to_owned(), self.control.core),
        ];
        for (key, core) in workers.chain(others) {
            if !machine.has_core(core) {
                let problem =
                    Problem::CoreOffline { core: core.0, online: machine.cores_online.clone() };
                findings.report_at(&key, problem);
            }
        }
    }

    /// The programs and chips of relays are there.
    fn check_relays(&self, findings: &mut Findings<'_>) {
        for segment in &self.segments {
            let Some(bypass) = &segment.bypass else { continue };
            let key = |key: &str| format!("{}.{key}", segment.path);
            match &bypass.relay {
                Relay::Program(program) if !program.is_file() => {
                    let problem = Problem::NoSuchProgram { program: program.clone() };
                    findings.report_at(&key("bypass_command"), problem);
                }
                Relay::Program(_) => {}
                Relay::Gpio { pulse, arm } => {
                    let lines = [("bypass_gpio", Some(pulse)), ("bypass_gpio_arm", arm.as_ref())];
                    for (name, line) in lines {
                        if let Some(line) = line.filter(|line| !line.chip.exists()) {
                            let problem = Problem::NoSuchDeviceFile { path: line.chip.clone() };
                            findings.report_at(&key(name), problem);
                        }
                    }
                }
            }
        }
    }

    /// Each worker is on the NUMA node of the cards it serves, as far as the kernel knows both.
    fn check_nodes(&self, machine: &Machine, findings: &mut Findings<'_>) {
        for (index, port) in self.ports.iter().enumerate() {
            let Device::Pci(address) = &port.device else { continue };
            let address = address.to_string();
            let node = machine.pci_nodes.iter().find(|(name, _)| *name == address);
            let Some((_, port_node)) = node else { continue };
            for (worker, core) in self.dataplane.worker_cores.iter().enumerate() {
                let serves = self.queue_of(PortIndex(index), worker).is_some();
                let Some(core_node) = machine.node_of(*core).filter(|_| serves) else { continue };
                if core_node != *port_node {
                    let near = machine.nodes.iter().find(|(node, _)| node == port_node);
                    let problem = Problem::WrongNode {
                        core: core.0,
                        core_node,
                        port: port.name.to_string(),
                        port_node: *port_node,
                        near: near.map_or_else(String::new, |(_, cores)| cores.clone()),
                    };
                    findings.report_at(&format!("dataplane.worker_cores[{worker}]"), problem);
                }
            }
        }
    }

    fn check_memory(&self, machine: &Machine, findings: &mut Findings<'_>) {
        if !self.dataplane.hugepages {
            return;
        }
        let of_size = |size: &str| {
            let sizes =
                machine.hugepages.iter().filter(|(name, _)| size.is_empty() || name == size);
            sizes.map(|(_, count)| count).sum::<u64>()
        };
        if of_size("") == 0 {
            findings.report_at("dataplane.hugepages", Problem::NoHugepages);
        } else if let HugepageSize::Bytes(bytes) = self.dataplane.hugepage_size {
            let folder = format!("hugepages-{}kB", bytes >> 10);
            if of_size(&folder) == 0 {
                let size = if bytes == 1 << 30 { "1G" } else { "2M" };
                let problem = Problem::NoHugepagesOfSize { size, folder };
                findings.report_at("dataplane.hugepage_size", problem);
            }
        }
        if let Some(folder) = &self.dataplane.hugepage_dir
            && !folder.is_dir()
        {
            let problem = Problem::NoSuchFolder { folder: folder.clone() };
            findings.report_at("dataplane.hugepage_dir", problem);
        }
    }
}

fn check_files(device: &VirtualDevice, findings: &mut Findings<'_>) {
    let is_endless = device.values("infinite_rx").any(|value| value == "1");
    let named = |name: &'static str| {
        let options = device.options.iter();
        options.filter(move |option: &&DeviceOption| option.name == name)
    };
    for option in named("rx_pcap") {
        let file = PathBuf::from(&option.value);
        if let Err(problem) = capture::check(&file, is_endless) {
            findings.report_at(&option.key, Problem::Capture { file, problem });
        }
    }
    for option in named("tx_pcap") {
        let folder = folder_of(&option.value);
        if !folder.is_dir() {
            findings.report_at(&option.key, Problem::NoSuchFolder { folder });
        }
    }
}
