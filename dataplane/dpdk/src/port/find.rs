//! Ports by name, and why a name has none.

use std::ffi::{CString, c_char};
use std::path::Path;
use std::{fmt, fs};

use loadlock_dpdk_sys as sys;

use super::{PortId, info};

/// Drivers that DPDK works through: the generic ones, and those of devices that stay with their kernel driver.
const USABLE_DRIVERS: [&str; 6] =
    ["vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core", "mlx5_core", "mana"];

/// All ports there are.
pub(crate) fn all() -> Vec<PortId> {
    let mut ports = Vec::new();
    let mut next = 0;
    loop {
        // SAFETY: takes any number and returns the next port's, or RTE_MAX_ETHPORTS.
        let found = unsafe { sys::rte_eth_find_next(next) };
        if u32::from(found) >= sys::LOADLOCK_PORTS_MAX {
            return ports;
        }
        ports.push(PortId(found));
        next = found + 1;
    }
}

/// A port's name; its number in words if the device has gone.
pub(crate) fn name(port: PortId) -> String {
    let mut name: [c_char; sys::LOADLOCK_PORT_NAME_BYTES as usize] =
        [0; sys::LOADLOCK_PORT_NAME_BYTES as usize];
    // SAFETY: the buffer has the RTE_ETH_NAME_MAX_LEN bytes that are asked for.
    let status = unsafe { sys::rte_eth_dev_get_name_by_port(port.0, name.as_mut_ptr()) };
    if status == 0 { info::text(&name) } else { format!("number {port}") }
}

/// The port of that name.
pub(crate) fn by_name(name_wanted: &str) -> Result<PortId, FindPortError> {
    let mut port = 0_u16;
    if let Ok(name_for_c) = CString::new(name_wanted) {
        // SAFETY: the name is NUL-terminated, and `port` writable for the call.
        let status =
            unsafe { sys::rte_eth_dev_get_port_by_name(name_for_c.as_ptr(), &raw mut port) };
        if status == 0 {
            return Ok(PortId(port));
        }
    }
    Err(FindPortError {
        name: name_wanted.to_owned(),
        ports: all().into_iter().map(name).collect(),
        absence: absence(name_wanted, Path::new("/sys/bus/pci/devices")),
    })
}

/// Why there is no port of a name, as far as the system tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It isn't a PCI address, and no virtual device is called so.
    UnknownName,
    /// A PCI address without a device.
    NoPciDevice {
        /// With the domain.
        address: String,
    },
    /// The device belongs to a driver of the kernel's.
    KernelDriver {
        /// With the domain.
        address: String,
        /// The driver.
        driver: String,
    },
    /// The device has no driver at all.
    Unbound {
        /// With the domain.
        address: String,
    },
    /// The device is ready for DPDK, but wasn't taken at start.
    NotTaken {
        /// With the domain.
        address: String,
        /// Its driver.
        driver: String,
    },
}

/// There is no port of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindPortError {
    /// As asked.
    pub name: String,
    /// The names there are.
    pub ports: Vec<String>,
    /// What stands in the way.
    pub absence: Absence,
}

impl fmt::Display for FindPortError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = if self.ports.is_empty() { "none".to_owned() } else { self.ports.join(", ") };
        write!(
            formatter,
            "port \"{}\": there is none of that name, the ports are: {ports}; ",
            self.name
        )?;
        match &self.absence {
            Absence::UnknownName => {
                write!(
                    formatter,
                    "use one of those, a virtual device's name or a PCI address such as 0000:03:00.0"
                )
            }
            Absence::NoPciDevice { address } => {
                write!(
                    formatter,
                    "{address} isn't in this machine (/sys/bus/pci/devices); look with lspci -D"
                )
            }
            Absence::KernelDriver { address, driver } => write!(
                formatter,
                "{address} is bound to the kernel driver {driver}; give it to DPDK: dpdk-devbind.py --bind=vfio-pci \
                 {address} (that takes its interface from the kernel)"
            ),
            Absence::Unbound { address } => write!(
                formatter,
                "{address} has no driver; give it to DPDK: dpdk-devbind.py --bind=vfio-pci {address}"
            ),
            Absence::NotTaken { address, driver } => write!(
                formatter,
                "{address} is bound to {driver}, but wasn't taken at start; list it among the PCI devices, and check \
                 that its poll-mode driver is installed (the lines on stderr name the drivers that failed)"
            ),
        }
    }
}

impl std::error::Error for FindPortError {}

/// Looks a name up among the PCI devices.
fn absence(name: &str, devices: &Path) -> Absence {
    let Some(address) = pci_address(name) else {
        return Absence::UnknownName;
    };
    let device = devices.join(&address);
    if !device.exists() {
        return Absence::NoPciDevice { address };
    }
    let driver = fs::read_link(device.join("driver")).ok();
    match driver
        .as_deref()
        .and_then(Path::file_name)
        .map(|driver| driver.to_string_lossy().into_owned())
    {
        None => Absence::Unbound { address },
        Some(driver) if USABLE_DRIVERS.contains(&driver.as_str()) => {
            Absence::NotTaken { address, driver }
        }
        Some(driver) => Absence::KernelDriver { address, driver },
    }
}

/// `[domain:]bus:device.function` in hexadecimal, with the domain put in and in the kernel's lower case.
fn pci_address(name: &str) -> Option<String> {
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let parts: Vec<&str> = name.split(':').collect();
    let (domain, bus, rest) = match parts[..] {
        [bus, rest] => ("0000", bus, rest),
        [domain, bus, rest] => (domain, bus, rest),
        _ => return None,
    };
    let (device, function) = rest.split_once('.')?;
    let valid = is_hex(domain, 4)
        && is_hex(bus, 2)
        && is_hex(device, 2)
        && matches!(function.as_bytes(), [b'0'..=b'7']);
    valid.then(|| format!("{domain}:{bus}:{device}.{function}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{Absence, FindPortError, absence, pci_address};

    #[test]
    fn pci_addresses_are_told_from_names() {
        assert_eq!(pci_address("0000:03:00.0").as_deref(), Some("0000:03:00.0"));
        assert_eq!(pci_address("AF:00.1").as_deref(), Some("0000:af:00.1"));
        for name in ["net_pcap0", "eth0", "03:00", "0000:03:00.8", "0:03:00.0", "0000:03:00.0x", ""]
        {
            assert_eq!(pci_address(name), None, "{name}");
        }
    }

    #[test]
    fn the_way_of_a_pci_device_to_dpdk_is_named() {
        let devices = tempfile::tempdir().expect("tempdir");
        for (address, driver) in [
            ("0000:01:00.0", Some("ixgbe")),
            ("0000:02:00.0", Some("vfio-pci")),
            ("0000:03:00.0", None),
        ] {
            let device = devices.path().join(address);
            fs::create_dir(&device).expect("create");
            if let Some(driver) = driver {
                symlink(format!("../../../bus/pci/drivers/{driver}"), device.join("driver"))
                    .expect("link");
            }
        }
        let found = |name: &str| absence(name, devices.path());
        let address = |text: &str| text.to_owned();
        assert_eq!(found("net_tap7"), Absence::UnknownName);
        assert_eq!(found("09:00.0"), Absence::NoPciDevice { address: address("0000:09:00.0") });
        assert_eq!(found("0000:03:00.0"), Absence::Unbound { address: address("0000:03:00.0") });
        let taken =
            Absence::NotTaken { address: address("0000:02:00.0"), driver: address("vfio-pci") };
        assert_eq!(found("0000:02:00.0"), taken);

        let message = FindPortError {
            name: "01:00.0".to_owned(),
            ports: vec!["net_pcap0".to_owned()],
            absence: found("01:00.0"),
        }
        .to_string();
        for part in ["01:00.0", "net_pcap0", "ixgbe", "--bind=vfio-pci"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
