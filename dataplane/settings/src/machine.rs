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
use crate::settings::{CoreId, Settings};

/// What this machine has, as far as the settings depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The online CPUs as the kernel lists them, such as `0-3,8`.
    cores_online: String,
    /// PCI addresses of all devices; `true` for network devices.
    pci_devices: Vec<(String, bool)>,
    /// Hugepages of any size that are reserved, in use or not.
    hugepages: u64,
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
            }),
            Err(source) => Err(MachineError { path, source }),
        }
    }

    /// Whether the CPU is online.
    pub fn has_core(&self, core: CoreId) -> bool {
        self.cores_online.split(',').any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
                (Ok(first), Ok(last)) => (first..=last).contains(&core.0),
                _ => false,
            }
        })
    }
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

fn hugepages(folder: &Path) -> u64 {
    let count = |size: String| {
        let count = std::fs::read_to_string(folder.join(size).join("nr_hugepages"));
        count.ok().and_then(|count| count.trim().parse::<u64>().ok())
    };
    entries(folder).into_iter().filter_map(count).sum()
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
        for segment in &self.segments {
            if let Some(bypass) = &segment.bypass
                && !bypass.program.is_file()
            {
                let problem = Problem::NoSuchProgram { program: bypass.program.clone() };
                findings.report_at(&format!("{}.bypass_command", segment.path), problem);
            }
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

    fn check_memory(&self, machine: &Machine, findings: &mut Findings<'_>) {
        if !self.dataplane.hugepages {
            return;
        }
        if machine.hugepages == 0 {
            findings.report_at("dataplane.hugepages", Problem::NoHugepages);
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
