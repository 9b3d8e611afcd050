//! Why a port couldn't be configured, started or stopped.

use std::fmt;

use loadlock_dpdk_sys as sys;

use crate::{Errno, QueueId};

/// The step at which a device refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortStage {
    /// Reading what the device is.
    Info,
    /// `rte_eth_dev_configure`.
    Configure,
    /// Rounding the descriptor counts.
    Descriptors,
    /// Setting a receive queue up.
    RxQueue,
    /// Setting a transmit queue up.
    TxQueue,
    /// Setting the MTU.
    Mtu,
    /// `rte_eth_dev_start`.
    Start,
    /// Entering promiscuous mode.
    Promiscuous,
    /// Spreading the RSS table.
    RssTable,
    /// Reading the RSS hash back.
    RssCheck,
    /// `rte_eth_dev_stop`.
    Stop,
}

impl PortStage {
    pub(super) fn from_c(stage: u32) -> Self {
        match stage {
            sys::LOADLOCK_STAGE_CONFIGURE => Self::Configure,
            sys::LOADLOCK_STAGE_DESCRIPTORS => Self::Descriptors,
            sys::LOADLOCK_STAGE_RX_QUEUE => Self::RxQueue,
            sys::LOADLOCK_STAGE_TX_QUEUE => Self::TxQueue,
            sys::LOADLOCK_STAGE_MTU => Self::Mtu,
            sys::LOADLOCK_STAGE_START => Self::Start,
            sys::LOADLOCK_STAGE_PROMISCUOUS => Self::Promiscuous,
            sys::LOADLOCK_STAGE_RSS_TABLE => Self::RssTable,
            sys::LOADLOCK_STAGE_RSS_CHECK => Self::RssCheck,
            _ => Self::Info,
        }
    }

    /// The step in words, and what to look at.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Info => ("reading its information", "check that the device is still there"),
            Self::Configure => (
                "configuring it",
                "see the driver's line on stderr; try one queue and an MTU of 1500",
            ),
            Self::Descriptors => ("rounding its descriptors", "use a power of two from 64 to 4096"),
            Self::RxQueue => {
                ("setting up its receive queue", "use fewer descriptors, or a larger data room")
            }
            Self::TxQueue => {
                ("setting up its transmit queue", "use fewer descriptors, or more memory")
            }
            Self::Mtu => (
                "setting its MTU",
                "lower the MTU, or raise the frame size in the device's arguments",
            ),
            Self::Start => (
                "starting it",
                "see the driver's line on stderr; check that the pool has mbufs for all descriptors",
            ),
            Self::Promiscuous => (
                "making it promiscuous",
                "use a device that can (a virtual function may need trust on from its host)",
            ),
            Self::RssTable => ("spreading its RSS table", "use one queue, or another device"),
            Self::RssCheck => (
                "reading its RSS hash back, which isn't the symmetric one over the IP pair",
                "use one queue, or another device",
            ),
            Self::Stop => ("stopping it", "end the process"),
        }
    }
}

/// Why [`Port::configure`](crate::Port::configure), `start` or `stop` failed.
#[derive(Debug)]
pub enum PortError {
    /// There is, or was, a [`Port`](crate::Port) of it.
    AlreadyConfigured {
        /// The port's name.
        port: String,
    },
    /// No queue asked for.
    NoQueues {
        /// The port's name.
        port: String,
    },
    /// More queues asked for than the device has.
    TooFewQueues {
        /// The port's name.
        port: String,
        /// Its driver.
        driver: String,
        /// Queue pairs asked for.
        wanted: u16,
        /// Queue pairs it has.
        max: u16,
    },
    /// An MTU the device doesn't take.
    Mtu {
        /// The port's name.
        port: String,
        /// Its driver.
        driver: String,
        /// As asked.
        mtu: u16,
        /// The least.
        min: u16,
        /// The largest.
        max: u16,
    },
    /// `tx-fast-free` asked for, and the device can't.
    NoFastFree {
        /// The port's name.
        port: String,
        /// Its driver.
        driver: String,
    },
    /// Several queues, and the device can't keep an IP pair on one.
    NoSymmetricRss {
        /// The port's name.
        port: String,
        /// Its driver.
        driver: String,
        /// Queue pairs asked for.
        queues: u16,
        /// The hash types it has, DPDK's `RTE_ETH_RSS_*` bits.
        types_offered: u64,
    },
    /// A frame doesn't fit an mbuf, and the device can't use several.
    FrameTooLong {
        /// The port's name.
        port: String,
        /// Its driver.
        driver: String,
        /// As asked.
        mtu: u16,
        /// The longest frame with that MTU.
        frame_bytes: u32,
        /// What an mbuf of the pool holds.
        data_room_bytes: u16,
    },
    /// The device refused a step.
    Step {
        /// The port's name.
        port: String,
        /// Its driver.
        driver: String,
        /// Which step.
        stage: PortStage,
        /// At which queue, if at one.
        queue: Option<QueueId>,
        /// DPDK's reason.
        cause: Errno,
    },
    /// Started twice.
    AlreadyRunning {
        /// The port's name.
        port: String,
    },
    /// Stopped without having been started.
    NotRunning {
        /// The port's name.
        port: String,
    },
    /// Stopped while workers may still use its queues.
    QueuesInUse {
        /// The port's name.
        port: String,
        /// Queue handles left.
        handles: usize,
    },
}

impl fmt::Display for PortError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewQueues { .. }
            | Self::Mtu { .. }
            | Self::NoSymmetricRss { .. }
            | Self::NoFastFree { .. }
            | Self::FrameTooLong { .. } => self.show_limit(formatter),
            Self::AlreadyConfigured { port } => write!(
                formatter,
                "port {port}: configured before in this process, allowed is once; name each port once"
            ),
            Self::NoQueues { port } => write!(
                formatter,
                "port {port}: 0 queues, allowed are 1 and more; ask for one for each worker"
            ),
            Self::Step { port, driver, stage, queue, cause } => {
                let (step, next) = stage.words();
                let place = queue.map_or(String::new(), |queue| format!(" {queue}"));
                write!(formatter, "port {port} ({driver}): {step}{place}: {cause}; {next}")
            }
            Self::AlreadyRunning { port } => write!(
                formatter,
                "port {port}: runs already; use the queues of its first start, or stop it"
            ),
            Self::NotRunning { port } => {
                write!(formatter, "port {port}: isn't running; start it first")
            }
            Self::QueuesInUse { port, handles } => write!(
                formatter,
                "port {port}: queue handles left: {handles}, allowed is none; stop and join its workers first"
            ),
        }
    }
}

impl PortError {
    fn show_limit(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewQueues { port, driver, wanted, max } => write!(
                formatter,
                "port {port} ({driver}): {wanted} queues wanted, allowed are 1 to {max}; use at most {max} workers, or \
                 give the device more queues in its arguments"
            ),
            Self::Mtu { port, driver, mtu, min, max } => write!(
                formatter,
                "port {port} ({driver}): an MTU of {mtu}, allowed are {min} to {max}; change it"
            ),
            Self::NoFastFree { port, driver } => write!(
                formatter,
                "port {port} ({driver}): it can't give sent buffers back by itself (offload tx-fast-free), allowed are the \
                 offloads a driver has; take tx-fast-free out of the port's offloads"
            ),
            Self::NoSymmetricRss { port, driver, queues, types_offered } => write!(
                formatter,
                "port {port} ({driver}): {queues} queues, but it can't hash by the IP pair alone (it offers the hash \
                 types {types_offered:#x}), so the two directions of a conversation would meet different workers; use \
                 one worker, or another device"
            ),
            Self::FrameTooLong { port, driver, mtu, frame_bytes, data_room_bytes } => write!(
                formatter,
                "port {port} ({driver}): an MTU of {mtu} gives frames of {frame_bytes} bytes, allowed are \
                 {data_room_bytes}, what an mbuf holds, because it can't use several; raise the pool's data room or \
                 lower the MTU"
            ),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for PortError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Step { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PortError, PortStage};
    use crate::{Errno, QueueId};

    #[test]
    fn a_step_names_port_driver_queue_cause_and_what_to_do() {
        let message = PortError::Step {
            port: "0000:03:00.0".to_owned(),
            driver: "net_ice".to_owned(),
            stage: PortStage::RxQueue,
            queue: Some(QueueId(3)),
            cause: Errno::from_status(-libc::ENOMEM),
        }
        .to_string();
        assert_eq!(
            message,
            "port 0000:03:00.0 (net_ice): setting up its receive queue 3: Cannot allocate memory (12); use fewer \
             descriptors, or a larger data room"
        );
    }
}
