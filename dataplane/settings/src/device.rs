//! What is behind a port: a card by its PCI address, or a virtual driver with its options.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::drivers::Driver;

/// Where a card sits on the PCI bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

impl PciAddress {
    /// Reads `dddd:bb:dd.f` or `bb:dd.f`, hexadecimal in either case; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let (rest, function) = text.rsplit_once('.')?;
        let mut parts = rest.rsplit(':');
        let device = hexadecimal(parts.next()?, 2)?;
        let bus = hexadecimal(parts.next()?, 2)?;
        let domain = match parts.next() {
            Some(domain) if domain.len() >= 4 => hexadecimal(domain, 8)?,
            Some(_) => return None,
            None => 0,
        };
        let function = hexadecimal(function, 1)?;
        if parts.next().is_some() || device > 0x1f || function > 7 {
            return None;
        }
        Some(Self {
            domain,
            bus: u8::try_from(bus).ok()?,
            device: u8::try_from(device).ok()?,
            function: u8::try_from(function).ok()?,
        })
    }
}

/// A hexadecimal number of 1 to `digits_max` digits.
fn hexadecimal(text: &str, digits_max: usize) -> Option<u32> {
    let fits = (1..=digits_max).contains(&text.len());
    // from_str_radix alone would take a sign.
    if !fits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(text, 16).ok()
}

impl fmt::Display for PciAddress {
    /// With its domain, as EAL and sysfs write it: `0000:3b:00.0`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:04x}:{:02x}:{:02x}.{:x}",
            self.domain, self.bus, self.device, self.function
        )
    }
}

/// One option of a virtual device, ready for DPDK.
///
/// An option that was given as a list stands once for each entry, which is how DPDK numbers queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceOption {
    /// Name as DPDK knows it.
    pub name: &'static str,
    /// Value as DPDK reads it; a path is absolute. Free of `,`, `=`, `[`, `]`, white space and control characters.
    pub value: String,
    /// Key path in the file, for later messages.
    pub(crate) key: String,
}

/// A virtual driver with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualDevice {
    pub(crate) driver: Driver,
    pub(crate) index: usize,
    pub(crate) options: Vec<DeviceOption>,
}

impl VirtualDevice {
    /// The driver.
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// The options in the order DPDK gets them.
    pub fn options(&self) -> &[DeviceOption] {
        &self.options
    }

    /// The values of one option, more than one if it was given as a list.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let chosen = self.options.iter().filter(move |option| option.name == name);
        chosen.map(|option| option.value.as_str())
    }

    /// The capture files that net_pcap reads, one for each receive queue; none for other drivers.
    pub fn captures_in(&self) -> impl Iterator<Item = &Path> {
        self.values("rx_pcap").map(Path::new)
    }

    /// The capture files that net_pcap writes, one for each transmit queue; none for other drivers.
    pub fn captures_out(&self) -> impl Iterator<Item = &Path> {
        self.values("tx_pcap").map(Path::new)
    }

    /// How many queue pairs the device will have, or `None` where the driver gives as many as are asked for.
    ///
    /// net_pcap has one queue for each file or interface, and dummies to match on a side without any
    /// (`drivers/net/pcap/pcap_ethdev.c`, `pmd_pcap_probe`).
    pub fn queue_pairs(&self) -> Option<u64> {
        let count = |names: &[&str]| {
            let given = self.options.iter();
            given.filter(|option| names.contains(&option.name)).count() as u64
        };
        if self.driver == Driver::Pcap {
            if count(&["iface"]) > 0 {
                return Some(1);
            }
            let first_given = |first: u64, second: u64| if first > 0 { first } else { second };
            let receive = first_given(count(&["rx_pcap"]), count(&["rx_iface", "rx_iface_in"]));
            let transmit = first_given(count(&["tx_pcap"]), count(&["tx_iface"]));
            return Some(match (receive, transmit) {
                (0, queues) | (queues, 0) => queues,
                (receive, transmit) => receive.min(transmit),
            });
        }
        let (option, default) = self.driver.schema().queues_option?;
        let given = self.values(option).next();
        Some(given.and_then(|value| value.parse().ok()).unwrap_or(default))
    }

    /// Name under which EAL knows the device, such as `net_pcap0`.
    pub fn eal_name(&self) -> String {
        format!("{}{}", self.driver.name(), self.index)
    }

    /// The value of EAL's `--vdev`, such as `net_pcap0,rx_pcap=/captures/a.pcap`.
    pub fn argument(&self) -> String {
        let mut argument = self.eal_name();
        for option in &self.options {
            argument.push(',');
            argument.push_str(option.name);
            argument.push('=');
            argument.push_str(&option.value);
        }
        argument
    }
}

/// What is behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// A card.
    Pci(PciAddress),
    /// A virtual driver of DPDK.
    Virtual(VirtualDevice),
}

impl Device {
    /// The card that stands in for a device that couldn't be read.
    pub(crate) const STAND_IN: Self =
        Self::Pci(PciAddress { domain: 0, bus: 0, device: 0, function: 0 });

    /// Name under which EAL knows the device: `0000:3b:00.0` or `net_pcap0`.
    pub fn eal_name(&self) -> String {
        match self {
            Self::Pci(address) => address.to_string(),
            Self::Virtual(device) => device.eal_name(),
        }
    }

    /// The virtual device, if it is one.
    pub fn as_virtual(&self) -> Option<&VirtualDevice> {
        match self {
            Self::Pci(_) => None,
            Self::Virtual(device) => Some(device),
        }
    }
}

/// The folder in which a file would be made.
pub(crate) fn folder_of(file: &str) -> PathBuf {
    Path::new(file).parent().unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_with_and_without_domain() {
        let full = PciAddress::from_text("0000:3B:00.1").map(|address| address.to_string());
        assert_eq!(full.as_deref(), Some("0000:3b:00.1"));
        let short = PciAddress::from_text("3b:00.1").map(|address| address.to_string());
        assert_eq!(short, full);
        let wide = PciAddress::from_text("10000:e1:00.0").map(|address| address.to_string());
        assert_eq!(wide.as_deref(), Some("10000:e1:00.0"));
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            ".",
            "3b:00",
            "3b:00.8",
            "3b:20.0",
            "0:3b:00.0",
            "0000:3b:00.0 ",
            "+b:00.0",
            "0000:0000:3b:00.0",
            "eth0",
            "3b:00.00",
        ] {
            assert_eq!(PciAddress::from_text(text), None, "{text:?}");
        }
    }

    fn pcap(options: &[(&'static str, &str)]) -> VirtualDevice {
        let option = |(name, value): &(&'static str, &str)| DeviceOption {
            name,
            value: (*value).to_owned(),
            key: String::new(),
        };
        VirtualDevice {
            driver: Driver::Pcap,
            index: 3,
            options: options.iter().map(option).collect(),
        }
    }

    #[test]
    fn pcap_has_a_queue_for_each_file() {
        let both = pcap(&[("rx_pcap", "/a"), ("rx_pcap", "/b"), ("tx_pcap", "/c")]);
        assert_eq!(both.queue_pairs(), Some(1));
        assert_eq!(pcap(&[("rx_pcap", "/a"), ("rx_pcap", "/b")]).queue_pairs(), Some(2));
        assert_eq!(pcap(&[("tx_pcap", "/a"), ("tx_pcap", "/b")]).queue_pairs(), Some(2));
        assert_eq!(pcap(&[("iface", "a"), ("rx_pcap", "/b")]).queue_pairs(), Some(1));
        assert_eq!(both.argument(), "net_pcap3,rx_pcap=/a,rx_pcap=/b,tx_pcap=/c");
    }
}
