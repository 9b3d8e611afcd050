//! What a port tells of itself.

use std::ffi::{CStr, c_char};

use loadlock_dpdk_sys as sys;

use super::PortId;
use crate::Errno;

/// What a port is and can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortInfo {
    /// The PCI address, or the virtual device's name.
    pub name: String,
    /// DPDK's driver, such as `net_ice`.
    pub driver: String,
    /// `pci`, `vdev`, …
    pub bus: String,
    /// The device's own arguments; of a virtual device what follows its name.
    pub devargs: String,
    /// The NUMA node it is attached to, if to one.
    pub socket: Option<u32>,
    /// The most receive queues.
    pub rx_queues_max: u16,
    /// The most transmit queues.
    pub tx_queues_max: u16,
    /// The least MTU.
    pub mtu_min: u16,
    /// The largest MTU; 65,535 where the driver doesn't say.
    pub mtu_max: u16,
    /// The longest frame it receives, with CRC; 4,294,967,295 where the driver doesn't say.
    pub rx_frame_bytes_max: u32,
    /// What the driver counts of a frame beyond the MTU.
    pub frame_overhead_bytes: u16,
    /// Entries of the RSS table, 0 where there is none. Two ports of a pair spread alike if theirs are equal, or if the
    /// number of queues is a power of two.
    pub reta_size: u16,
    /// The RSS key's length.
    pub rss_key_bytes: u16,
    /// All hash types, DPDK's `RTE_ETH_RSS_*` bits.
    pub rss_types_offered: u64,
    /// It can hash the IP pair alike in both directions.
    pub symmetric_rss: bool,
    /// A received frame can span mbufs.
    pub rx_scatter: bool,
    /// A transmitted frame can.
    pub tx_multi_segment: bool,
    /// It can give sent mbufs back without looking at each.
    pub tx_fast_free: bool,
}

impl PortInfo {
    pub(crate) fn read(port: PortId) -> Result<Self, Errno> {
        let mut info = sys::loadlock_port_info::default();
        // SAFETY: `info` is writable for the call; an unknown number is answered with an error.
        let status = unsafe { sys::loadlock_port_info(port.number(), &raw mut info) };
        if status != 0 {
            return Err(Errno::from_status(status));
        }
        Ok(Self {
            name: text(&info.name),
            driver: text(&info.driver),
            bus: text(&info.bus),
            devargs: text(&info.devargs),
            socket: u32::try_from(info.socket).ok(),
            rx_queues_max: info.rx_queues_max,
            tx_queues_max: info.tx_queues_max,
            mtu_min: info.mtu_min,
            mtu_max: info.mtu_max,
            rx_frame_bytes_max: info.rx_frame_bytes_max,
            frame_overhead_bytes: info.frame_overhead_bytes,
            reta_size: info.reta_size,
            rss_key_bytes: info.rss_key_bytes,
            rss_types_offered: info.rss_types_offered,
            symmetric_rss: info.rss_symmetric != 0,
            rx_scatter: info.rx_scatter != 0,
            tx_multi_segment: info.tx_multi_segment != 0,
            tx_fast_free: info.tx_fast_free != 0,
        })
    }
}

/// A port's own counters since its start. Packets are frames here, as in DPDK's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames received.
    pub ipackets: u64,
    /// Frames transmitted.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes transmitted.
    pub obytes: u64,
    /// Frames lost because no descriptor was free: the workers are too slow.
    pub imissed: u64,
    /// Frames received in error.
    pub ierrors: u64,
    /// Frames that failed to go out.
    pub oerrors: u64,
    /// Frames lost because the pool was empty.
    pub rx_nombuf: u64,
}

impl PortStats {
    pub(super) fn read(port: PortId) -> Result<Self, Errno> {
        let mut stats = sys::loadlock_port_stats::default();
        // SAFETY: `stats` is writable for the call; an unknown number is answered with an error.
        let status = unsafe { sys::loadlock_port_stats(port.number(), &raw mut stats) };
        if status != 0 {
            return Err(Errno::from_status(status));
        }
        Ok(Self {
            ipackets: stats.ipackets,
            opackets: stats.opackets,
            ibytes: stats.ibytes,
            obytes: stats.obytes,
            imissed: stats.imissed,
            ierrors: stats.ierrors,
            oerrors: stats.oerrors,
            rx_nombuf: stats.rx_nombuf,
        })
    }
}

/// A port's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// There is a link.
    pub up: bool,
    /// In Mbit/s; `None` where the driver doesn't know.
    pub speed_mbps: Option<u32>,
    /// Both directions at once.
    pub full_duplex: bool,
    /// The speed was negotiated, not set.
    pub autonegotiated: bool,
}

impl Link {
    pub(super) fn read(port: PortId) -> Result<Self, Errno> {
        let mut link = sys::loadlock_port_link::default();
        // SAFETY: `link` is writable for the call; an unknown number is answered with an error.
        let status = unsafe { sys::loadlock_port_link(port.number(), &raw mut link) };
        if status != 0 {
            return Err(Errno::from_status(status));
        }
        Ok(Self {
            up: link.up != 0,
            speed_mbps: (link.speed_mbps != u32::MAX).then_some(link.speed_mbps),
            full_duplex: link.full_duplex != 0,
            autonegotiated: link.autonegotiated != 0,
        })
    }
}

/// The text up to the first NUL.
pub(super) fn text(characters: &[c_char]) -> String {
    let bytes: Vec<u8> = characters.iter().map(|&character| character.cast_unsigned()).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(
        |_| String::from_utf8_lossy(&bytes).into_owned(),
        |text| text.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn texts_end_at_the_nul_or_at_the_end() {
        assert_eq!(text(&[0x69, 0x63, 0x65, 0, 0x78]), "ice");
        assert_eq!(text(&[0x69, 0x63]), "ic");
        assert_eq!(text(&[]), "");
    }
}
