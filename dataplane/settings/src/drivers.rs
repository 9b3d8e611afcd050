//! The virtual drivers of DPDK that a port may name, and the options each of them takes.
//!
//! Names and values are those that the drivers of DPDK 22.11 register themselves (`PMD_INFO_STRING` in
//! `librte_net_*.so`, printed by `dpdk-pmdinfo` or `strings`), because DPDK answers an unknown option with a failed
//! probe and no name.

use std::fmt;

/// A virtual driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Driver {
    /// Capture files, or kernel interfaces through libpcap.
    Pcap,
    /// Makes frames from nothing and swallows what is sent.
    Null,
    /// A kernel interface through `AF_PACKET` with a memory-mapped ring.
    AfPacket,
    /// Creates a kernel TAP interface.
    Tap,
    /// Shared memory with another process, without vhost.
    Memif,
    /// The guest end of vhost, in user space.
    VirtioUser,
    /// The host end of vhost.
    Vhost,
    /// A ring in memory, which gives back what is sent.
    Ring,
}

/// How the value of an option is written in the file and given to DPDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionKind {
    /// Text that is passed on as it is.
    Text,
    /// A text, or a list with one text per queue.
    Texts,
    /// A file.
    Path,
    /// A file, or a list with one file per queue.
    Paths,
    /// One word of a list.
    Choice(&'static [&'static str]),
    /// `true`/`false`, given to DPDK as 1/0.
    Flag,
    /// `true`/`false`, given to DPDK as yes/no.
    YesNo,
    /// A whole number from 0 or 1 to the limit.
    Integer {
        /// Smallest allowed.
        minimum: u64,
        /// Largest allowed.
        maximum: u64,
    },
    /// A MAC address, or one of the words.
    Mac(&'static [&'static str]),
}

/// One option of a driver.
#[derive(Debug)]
pub(crate) struct DriverOption {
    /// Name as DPDK knows it.
    pub(crate) name: &'static str,
    /// Type of its value.
    pub(crate) kind: OptionKind,
    /// Whether two ports with the same value would destroy each other's frames or files.
    pub(crate) exclusive: bool,
}

/// A driver with its options.
#[derive(Debug)]
pub(crate) struct DriverSchema {
    /// Which one.
    pub(crate) driver: Driver,
    /// Name as DPDK knows it.
    pub(crate) name: &'static str,
    /// A few words for the reference.
    pub(crate) meaning: &'static str,
    /// All options.
    pub(crate) options: &'static [DriverOption],
    /// At least one of these must be given; empty if the driver starts without any.
    pub(crate) needs_one_of: &'static [&'static str],
    /// The option with the number of queue pairs and what holds without it, where the driver has one.
    pub(crate) queues_option: Option<(&'static str, u64)>,
}

const fn option(name: &'static str, kind: OptionKind) -> DriverOption {
    DriverOption { name, kind, exclusive: false }
}

const fn exclusive(name: &'static str, kind: OptionKind) -> DriverOption {
    DriverOption { name, kind, exclusive: true }
}

const fn count(name: &'static str, minimum: u64, maximum: u64) -> DriverOption {
    option(name, OptionKind::Integer { minimum, maximum })
}

/// `RTE_MAX_QUEUES_PER_PORT`.
const QUEUES_MAX: u64 = 1024;
const BYTES_MAX: u64 = 1 << 30;

/// All drivers, in the order of the reference.
pub(crate) static DRIVERS: &[DriverSchema] = &[
    DriverSchema {
        driver: Driver::Pcap,
        name: "net_pcap",
        meaning: "capture files in and out, or kernel interfaces through libpcap",
        options: &[
            option("rx_pcap", OptionKind::Paths),
            exclusive("tx_pcap", OptionKind::Paths),
            option("rx_iface", OptionKind::Texts),
            option("rx_iface_in", OptionKind::Texts),
            exclusive("tx_iface", OptionKind::Texts),
            exclusive("iface", OptionKind::Text),
            option("phy_mac", OptionKind::Flag),
            option("infinite_rx", OptionKind::Flag),
        ],
        needs_one_of: &["rx_pcap", "tx_pcap", "rx_iface", "rx_iface_in", "tx_iface", "iface"],
        queues_option: None,
    },
    DriverSchema {
        driver: Driver::Null,
        name: "net_null",
        meaning: "frames of zeros from nowhere, sent frames to nowhere",
        options: &[
            count("size", 0, 65_535),
            count("copy", 0, 1),
            option("no-rx", OptionKind::Flag),
        ],
        needs_one_of: &[],
        queues_option: None,
    },
    DriverSchema {
        driver: Driver::AfPacket,
        name: "net_af_packet",
        meaning: "a kernel interface, such as one end of a veth pair",
        options: &[
            exclusive("iface", OptionKind::Text),
            count("qpairs", 1, QUEUES_MAX),
            count("blocksz", 1, BYTES_MAX),
            count("framesz", 1, BYTES_MAX),
            count("framecnt", 1, BYTES_MAX),
            option("qdisc_bypass", OptionKind::Flag),
        ],
        needs_one_of: &["iface"],
        queues_option: Some(("qpairs", 1)),
    },
    DriverSchema {
        driver: Driver::Tap,
        name: "net_tap",
        meaning: "a kernel TAP interface made at start",
        options: &[
            exclusive("iface", OptionKind::Text),
            exclusive("remote", OptionKind::Text),
            option("mac", OptionKind::Mac(&["fixed"])),
        ],
        needs_one_of: &[],
        queues_option: None,
    },
    DriverSchema {
        driver: Driver::Memif,
        name: "net_memif",
        meaning: "shared memory with another process",
        options: &[
            option("role", OptionKind::Choice(&["server", "client"])),
            count("id", 0, u32::MAX as u64),
            option("socket", OptionKind::Text),
            option("socket-abstract", OptionKind::YesNo),
            count("bsize", 1, 65_535),
            count("rsize", 1, 14),
            option("mac", OptionKind::Mac(&[])),
            option("secret", OptionKind::Text),
            option("zero-copy", OptionKind::YesNo),
        ],
        needs_one_of: &[],
        queues_option: None,
    },
    DriverSchema {
        driver: Driver::VirtioUser,
        name: "net_virtio_user",
        meaning: "the guest end of vhost: a vhost-user socket or /dev/vhost-net",
        options: &[
            option("path", OptionKind::Path),
            option("mac", OptionKind::Mac(&[])),
            option("cq", OptionKind::Flag),
            count("queue_size", 1, 32_768),
            count("queues", 1, QUEUES_MAX),
            exclusive("iface", OptionKind::Text),
            option("server", OptionKind::Flag),
            option("mrg_rxbuf", OptionKind::Flag),
            option("in_order", OptionKind::Flag),
            option("packed_vq", OptionKind::Flag),
            count("speed", 0, 400_000),
            option("vectorized", OptionKind::Flag),
        ],
        needs_one_of: &["path"],
        queues_option: Some(("queues", 1)),
    },
    DriverSchema {
        driver: Driver::Vhost,
        name: "net_vhost",
        meaning: "the host end of vhost: a socket for a guest",
        options: &[
            exclusive("iface", OptionKind::Path),
            count("queues", 1, QUEUES_MAX),
            option("client", OptionKind::Flag),
            option("iommu-support", OptionKind::Flag),
            option("postcopy-support", OptionKind::Flag),
            option("tso", OptionKind::Flag),
            option("linear-buffer", OptionKind::Flag),
            option("ext-buffer", OptionKind::Flag),
            option("legacy-ol-flags", OptionKind::Flag),
        ],
        needs_one_of: &["iface"],
        queues_option: Some(("queues", 1)),
    },
    DriverSchema {
        driver: Driver::Ring,
        name: "net_ring",
        meaning: "a ring in memory that gives back what is sent",
        options: &[option("nodeaction", OptionKind::Text)],
        needs_one_of: &[],
        queues_option: None,
    },
];

/// The names of all virtual drivers.
pub(crate) fn names() -> Vec<&'static str> {
    DRIVERS.iter().map(|schema| schema.name).collect()
}

impl Driver {
    /// The driver of this DPDK name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let schema = DRIVERS.iter().find(|schema| schema.name == name)?;
        Some(schema.driver)
    }

    /// The name as DPDK knows it, such as `net_pcap`.
    pub fn name(self) -> &'static str {
        self.schema().name
    }

    /// Options and rules of this driver.
    pub(crate) fn schema(self) -> &'static DriverSchema {
        match DRIVERS.iter().find(|schema| schema.driver == self) {
            Some(schema) => schema,
            None => unreachable!("every driver has its entry: tested below"),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl DriverSchema {
    /// The option of this name.
    pub(crate) fn option(&self, name: &str) -> Option<&'static DriverOption> {
        self.options.iter().find(|option| option.name == name)
    }

    /// The names of all options.
    pub(crate) fn option_names(&self) -> Vec<&'static str> {
        self.options.iter().map(|option| option.name).collect()
    }
}

impl OptionKind {
    /// The sentence part that says which values are allowed.
    pub(crate) fn allowed(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Texts => "a text, or a list with one per queue".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Paths => "a path, or a list with one per queue".to_owned(),
            Self::Choice(words) => crate::schema::one_of(words),
            Self::Flag | Self::YesNo => "true or false".to_owned(),
            Self::Integer { minimum, maximum } => format!("{minimum} to {maximum}"),
            Self::Mac([]) => "a MAC address such as \"02:00:00:00:00:01\"".to_owned(),
            Self::Mac(words) => format!(
                "a MAC address such as \"02:00:00:00:00:01\", or {}",
                crate::schema::one_of(words)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_driver_has_one_entry() {
        let drivers = [
            Driver::Pcap,
            Driver::Null,
            Driver::AfPacket,
            Driver::Tap,
            Driver::Memif,
            Driver::VirtioUser,
            Driver::Vhost,
            Driver::Ring,
        ];
        assert_eq!(drivers.len(), DRIVERS.len());
        for driver in drivers {
            assert_eq!(Driver::from_name(driver.name()), Some(driver));
        }
    }

    #[test]
    fn rules_name_only_options_that_exist() {
        for schema in DRIVERS {
            for name in schema.needs_one_of {
                assert!(schema.option(name).is_some(), "{}: {name}", schema.name);
            }
            if let Some((name, _)) = schema.queues_option {
                assert!(schema.option(name).is_some(), "{}: {name}", schema.name);
            }
        }
    }
}
