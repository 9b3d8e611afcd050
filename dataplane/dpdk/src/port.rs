//! A port: a NIC or a virtual device, with its queues.

mod error;
pub(crate) mod find;
mod info;

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loadlock_dpdk_sys as sys;

pub use error::{PortError, PortStage};
pub use find::{Absence, FindPortError};
pub use info::{Link, PortInfo, PortStats};

use crate::queue::{self, QueueId, RxQueue, TxQueue};
use crate::{Eal, Errno, Mempool};

/// What a frame may have beyond the MTU in this plant: Ethernet header, two VLAN tags, CRC.
const FRAME_OVERHEAD_BYTES_MIN: u16 = 14 + 2 * 4 + 4;

/// Which port numbers have a [`Port`], so that no queue is ever handed out twice. Relaxed throughout: the swap alone
/// decides, and the flag guards no other data.
static CLAIMED: [AtomicBool; sys::LOADLOCK_PORTS_MAX as usize] =
    [const { AtomicBool::new(false) }; sys::LOADLOCK_PORTS_MAX as usize];

/// A port that DPDK has, by its number. Made by [`Eal::ports`] and [`Eal::find_port`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u16);

impl PortId {
    /// DPDK's number, as in [`Mbuf::port`](crate::Mbuf::port).
    #[inline]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What [`Port::configure`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Queue pairs, at least 1: one for each worker.
    pub queues: u16,
    /// Descriptors of each receive queue; the driver may round.
    pub rx_descriptors: u16,
    /// Descriptors of each transmit queue; the driver may round.
    pub tx_descriptors: u16,
    /// The largest L3 packet in bytes: a frame's, without Ethernet header, VLAN tags and CRC.
    pub mtu: u16,
    /// Receive frames for all addresses. Always, but for a test: this appliance has no address.
    pub promiscuous: bool,
    /// With more than one queue: fail unless the device sends both directions of an IP pair to the same queue number.
    pub require_symmetric_rss: bool,
    /// Key of the RSS hash, repeated over the device's length: any four bytes hash both directions of an IP pair alike.
    pub rss_key: [u8; 4],
    /// Let the device give sent mbufs back without looking at each. The caller vouches that what its transmit queues get are
    /// unshared mbufs of one pool, in one segment each.
    pub tx_fast_free: bool,
}

/// How frames are spread over a port's receive queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rss {
    /// One queue gets all.
    OneQueue,
    /// By a hash of the two IP addresses, which is the same in both directions. What isn't hashed meets on one queue.
    Symmetric {
        /// DPDK's `RTE_ETH_RSS_*` bits in force.
        types: u64,
        /// The device read the key back after start; false before it, and for devices that can't.
        confirmed: bool,
    },
    /// Several queues, and the driver alone knows.
    DriverDefault,
}

/// What the device granted of a [`PortConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Queue pairs, as asked.
    pub queues: u16,
    /// Descriptors of each receive queue.
    pub rx_descriptors: u16,
    /// Descriptors of each transmit queue.
    pub tx_descriptors: u16,
    /// The MTU in force.
    pub mtu: u16,
    /// A received frame may span mbufs.
    pub rx_scatter: bool,
    /// A transmitted frame may.
    pub tx_multi_segment: bool,
    /// Sent mbufs are given back without looking at each.
    pub tx_fast_free: bool,
    /// How frames are spread.
    pub rss: Rss,
}

/// A configured port. Dropping it stops and closes the device, unless a queue handle is left: then it runs on.
///
/// `Send`, not `Sync`: control threads may hand it on, and one at a time asks it.
#[derive(Debug)]
pub struct Port {
    id: PortId,
    info: PortInfo,
    promiscuous: bool,
    rss_key: [u8; 4],
    grant: Grant,
    running: bool,
    /// Each queue handle holds a clone; as long as one exists, a worker may be inside the driver.
    lease: Arc<()>,
    _one_thread: PhantomData<Cell<()>>,
}

impl Port {
    /// Sets a port up with all its queues, which fill from `pool`. It doesn't run yet.
    ///
    /// No offload is used that would change a frame: no VLAN stripping, no checksums, no coalescing. What the device
    /// can't do is an error that says so; what it rounded is in [`grant`](Self::grant). After an error the port can be
    /// configured again; a port that was dropped can't, because its device is closed.
    pub fn configure(
        _eal: &Eal,
        id: PortId,
        config: &PortConfig,
        pool: &Mempool,
    ) -> Result<Self, PortError> {
        let info = PortInfo::read(id).map_err(|cause| PortError::Step {
            port: find::name(id),
            driver: String::new(),
            stage: PortStage::Info,
            queue: None,
            cause,
        })?;
        let scatter = check(&info, config, pool.data_room_bytes())?;
        let claim = &CLAIMED[usize::from(id.0)];
        if claim.swap(true, Ordering::Relaxed) {
            return Err(PortError::AlreadyConfigured { port: info.name });
        }
        match set_up(id, &info, config, pool, scatter) {
            Ok(grant) => Ok(Self {
                id,
                info,
                promiscuous: config.promiscuous,
                rss_key: config.rss_key,
                grant,
                running: false,
                lease: Arc::new(()),
                _one_thread: PhantomData,
            }),
            Err(error) => {
                claim.store(false, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Lets the port run, and hands its queues out, one pair for each number from 0.
    ///
    /// With RSS it also spreads the hash table evenly and reads the hash back, because some drivers ignore what they
    /// accepted. On an error the port is stopped again.
    pub fn start(&mut self) -> Result<Vec<(RxQueue, TxQueue)>, PortError> {
        if self.running {
            return Err(PortError::AlreadyRunning { port: self.info.name.clone() });
        }
        let (symmetric, types) = match self.grant.rss {
            Rss::Symmetric { types, .. } => (true, types),
            Rss::OneQueue | Rss::DriverDefault => (false, 0),
        };
        let mut setup = sys::loadlock_port_setup {
            queues: self.grant.queues,
            promiscuous: u8::from(self.promiscuous),
            rss_symmetric: u8::from(symmetric),
            rss_types: types,
            rss_key: self.rss_key,
            ..Default::default()
        };
        // SAFETY: the port is configured and stopped, and no handle exists; `setup` is valid for the call.
        let status = unsafe { sys::loadlock_port_start(self.id.0, &raw mut setup) };
        if status != 0 {
            return Err(step_error(&self.info, &setup, status));
        }
        self.running = true;
        if symmetric {
            self.grant.rss = Rss::Symmetric { types, confirmed: setup.rss_confirmed != 0 };
        }
        Ok((0..self.grant.queues)
            .map(|number| queue::pair(self.id, QueueId(number), &self.lease))
            .collect())
    }

    /// Stops the port; frames in its queues go back to their pool. [`start`](Self::start) runs it again with new
    /// handles. All handles must have been dropped, which a worker's end does: else it is an error, and nothing happens.
    pub fn stop(&mut self) -> Result<(), PortError> {
        if !self.running {
            return Err(PortError::NotRunning { port: self.info.name.clone() });
        }
        // get_mut pairs with the handles' drops: who finds none left also sees all their receives and sends done.
        if Arc::get_mut(&mut self.lease).is_none() {
            return Err(PortError::QueuesInUse {
                port: self.info.name.clone(),
                handles: Arc::strong_count(&self.lease) - 1,
            });
        }
        // SAFETY: the port runs, and no handle is left, so no thread is in its queues.
        let status = unsafe { sys::rte_eth_dev_stop(self.id.0) };
        if status != 0 {
            return Err(PortError::Step {
                port: self.info.name.clone(),
                driver: self.info.driver.clone(),
                stage: PortStage::Stop,
                queue: None,
                cause: Errno::from_status(status),
            });
        }
        self.running = false;
        Ok(())
    }

    /// The port's number.
    pub fn id(&self) -> PortId {
        self.id
    }

    /// What the port is and can do, as read before it was configured.
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// What it granted.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The device's own counters since its start. May read registers: some µs, and never on the packet path.
    pub fn stats(&self) -> Result<PortStats, Errno> {
        PortStats::read(self.id)
    }

    /// The link as it is now, without waiting for a negotiation.
    pub fn link(&self) -> Result<Link, Errno> {
        Link::read(self.id)
    }

    /// Lets the link up, or takes it down so that the peer sees no carrier. Of a started port; some ms on a card.
    ///
    /// # Errors
    /// `ENOTSUP`: this driver can't (of the virtual ones net_af_packet, net_pcap and net_memif); others are the device's.
    pub fn set_link(&self, up: bool) -> Result<(), Errno> {
        let status = match up {
            // SAFETY: the number is this port's.
            true => unsafe { sys::rte_eth_dev_set_link_up(self.id.0) },
            // SAFETY: as above.
            false => unsafe { sys::rte_eth_dev_set_link_down(self.id.0) },
        };
        if status == 0 { Ok(()) } else { Err(Errno::from_status(status)) }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.running && self.stop().is_err() {
            return;
        }
        // SAFETY: the port is stopped and has no handles. Its number stays claimed, so nobody uses it again.
        let _ = unsafe { sys::rte_eth_dev_close(self.id.0) };
    }
}

/// What can be told from the port's information; returns whether frames may have to span mbufs.
fn check(info: &PortInfo, config: &PortConfig, data_room_bytes: u16) -> Result<bool, PortError> {
    let (port, driver) = (info.name.clone(), info.driver.clone());
    let queues_max = info.rx_queues_max.min(info.tx_queues_max);
    if config.queues == 0 {
        return Err(PortError::NoQueues { port });
    }
    if config.queues > queues_max {
        return Err(PortError::TooFewQueues {
            port,
            driver,
            wanted: config.queues,
            max: queues_max,
        });
    }
    if !(info.mtu_min..=info.mtu_max).contains(&config.mtu) {
        return Err(PortError::Mtu {
            port,
            driver,
            mtu: config.mtu,
            min: info.mtu_min,
            max: info.mtu_max,
        });
    }
    if config.require_symmetric_rss && config.queues > 1 && !info.symmetric_rss {
        return Err(PortError::NoSymmetricRss {
            port,
            driver,
            queues: config.queues,
            types_offered: info.rss_types_offered,
        });
    }
    let overhead = info.frame_overhead_bytes.max(FRAME_OVERHEAD_BYTES_MIN);
    let frame_bytes = u32::from(config.mtu) + u32::from(overhead);
    let scatter = frame_bytes > u32::from(data_room_bytes);
    if scatter && !info.rx_scatter {
        return Err(PortError::FrameTooLong {
            port,
            driver,
            mtu: config.mtu,
            frame_bytes,
            data_room_bytes,
        });
    }
    if config.tx_fast_free && !info.tx_fast_free {
        return Err(PortError::NoFastFree { port, driver });
    }
    Ok(scatter)
}

/// The one C call that configures the port and its queues.
fn set_up(
    id: PortId,
    info: &PortInfo,
    config: &PortConfig,
    pool: &Mempool,
    scatter: bool,
) -> Result<Grant, PortError> {
    let pools = vec![pool.as_ptr(); usize::from(config.queues)];
    let mut setup = sys::loadlock_port_setup {
        rx_pools: pools.as_ptr(),
        queues: config.queues,
        rx_descriptors: config.rx_descriptors,
        tx_descriptors: config.tx_descriptors,
        mtu: config.mtu,
        promiscuous: u8::from(config.promiscuous),
        rss: u8::from(config.queues > 1),
        rx_scatter: u8::from(scatter),
        // A wrong promise here would put mbufs into foreign pools.
        tx_one_pool: u8::from(config.tx_fast_free),
        rss_key: config.rss_key,
        ..Default::default()
    };
    // SAFETY: the port exists and isn't running (CLAIMED lets one Port exist, which doesn't yet); `rx_pools` has a live
    // pool for each queue; both structures are valid for the call.
    let status = unsafe { sys::loadlock_port_setup(id.0, &raw mut setup) };
    if status != 0 {
        return Err(step_error(info, &setup, status));
    }
    let rss = if config.queues == 1 {
        Rss::OneQueue
    } else if setup.rss_symmetric != 0 {
        Rss::Symmetric { types: setup.rss_types, confirmed: false }
    } else {
        Rss::DriverDefault
    };
    Ok(Grant {
        queues: config.queues,
        rx_descriptors: setup.rx_descriptors_granted,
        tx_descriptors: setup.tx_descriptors_granted,
        mtu: setup.mtu_granted,
        rx_scatter: setup.rx_scatter_granted != 0,
        tx_multi_segment: setup.tx_multi_segment_granted != 0,
        tx_fast_free: setup.tx_fast_free_granted != 0,
        rss,
    })
}

fn step_error(info: &PortInfo, setup: &sys::loadlock_port_setup, status: i32) -> PortError {
    let stage = PortStage::from_c(setup.stage);
    let at_queue = matches!(stage, PortStage::RxQueue | PortStage::TxQueue);
    PortError::Step {
        port: info.name.clone(),
        driver: info.driver.clone(),
        stage,
        queue: at_queue.then_some(QueueId(setup.failed_queue)),
        cause: Errno::from_status(status),
    }
}

#[cfg(test)]
mod tests {
    use super::{PortConfig, PortError, PortInfo, check};

    fn config() -> PortConfig {
        PortConfig {
            queues: 2,
            rx_descriptors: 512,
            tx_descriptors: 512,
            mtu: 1500,
            promiscuous: true,
            require_symmetric_rss: true,
            rss_key: [0x6d, 0x5a, 0x6d, 0x5a],
            tx_fast_free: false,
        }
    }

    fn info() -> PortInfo {
        PortInfo {
            name: "0000:03:00.0".to_owned(),
            driver: "net_ice".to_owned(),
            rx_queues_max: 4,
            tx_queues_max: 8,
            mtu_min: 68,
            mtu_max: 9702,
            frame_overhead_bytes: 18,
            symmetric_rss: true,
            rx_scatter: true,
            ..PortInfo::default()
        }
    }

    #[test]
    fn scatter_is_wanted_when_a_double_tagged_frame_does_not_fit() {
        assert!(!check(&info(), &config(), 1526).expect("fits"));
        assert!(check(&info(), &config(), 1525).expect("scatter"));
        let stiff = PortInfo { rx_scatter: false, ..info() };
        assert!(matches!(
            check(&stiff, &config(), 1525),
            Err(PortError::FrameTooLong { frame_bytes: 1526, .. })
        ));
    }

    #[test]
    fn limits_of_the_device_are_named() {
        let many = PortConfig { queues: 5, ..config() };
        let error = check(&info(), &many, 2048).expect_err("too many");
        assert!(matches!(error, PortError::TooFewQueues { wanted: 5, max: 4, .. }), "{error}");
        let none = PortConfig { queues: 0, ..config() };
        assert!(matches!(check(&info(), &none, 2048), Err(PortError::NoQueues { .. })));
        let long = PortConfig { mtu: 9703, ..config() };
        assert!(matches!(check(&info(), &long, 2048), Err(PortError::Mtu { max: 9702, .. })));
    }

    #[test]
    fn fast_free_is_for_devices_that_can() {
        let wanted = PortConfig { tx_fast_free: true, ..config() };
        let refused = check(&info(), &wanted, 2048).expect_err("it can't");
        assert!(matches!(refused, PortError::NoFastFree { .. }), "{refused}");
        assert!(refused.to_string().contains("tx-fast-free"), "{refused}");
        assert!(check(&PortInfo { tx_fast_free: true, ..info() }, &wanted, 2048).is_ok());
    }

    #[test]
    fn one_queue_needs_no_rss() {
        let plain = PortInfo { symmetric_rss: false, ..info() };
        assert!(matches!(
            check(&plain, &config(), 2048),
            Err(PortError::NoSymmetricRss { queues: 2, .. })
        ));
        assert!(check(&plain, &PortConfig { queues: 1, ..config() }, 2048).is_ok());
        let unconcerned = PortConfig { require_symmetric_rss: false, ..config() };
        assert!(check(&plain, &unconcerned, 2048).is_ok());
    }
}
