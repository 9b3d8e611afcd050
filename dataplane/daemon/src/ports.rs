//! From settings to running ports.

use loadlock_dpdk::{
    Eal, EalConfig, FindPortError, LogLevel, Memory, Mempool, Port, PortConfig, PortStats, RxQueue,
    TxQueue,
};
use loadlock_exchange::PortState;
use loadlock_settings::{DataplaneSettings, PortSettings, Rss, Settings};

use crate::exit::Failure;

/// RTE_PKTMBUF_HEADROOM of every DPDK build that is accepted.
const HEADROOM_BYTES: u16 = 128;

/// The running ports and, for each worker, its queue pairs in the order of the ports.
pub struct Ports {
    /// In the order of the settings.
    pub ports: Vec<Port>,
    /// One list a worker.
    pub queues: Vec<Vec<(RxQueue, TxQueue)>>,
    /// Where all queues take their buffers from.
    pub pool: Mempool,
}

/// EAL's configuration; every argument comes from validated settings.
pub fn eal_config(settings: &Settings) -> EalConfig {
    let dataplane = &settings.dataplane;
    let arguments = settings.ports.iter().map(|port| port.virtual_device_argument());
    let pci = settings.ports.iter().filter(|port| port.virtual_device_argument().is_none());
    EalConfig {
        main_core: usize::from(dataplane.main_core.0),
        worker_cores: dataplane.worker_cores.iter().map(|core| usize::from(core.0)).collect(),
        memory: memory(dataplane),
        file_prefix: dataplane.file_prefix.clone(),
        virtual_devices: arguments.flatten().collect(),
        pci_devices: pci.map(|port| port.eal_name()).collect(),
        log_level: LogLevel::Warning,
    }
}

fn memory(dataplane: &DataplaneSettings) -> Memory {
    if dataplane.hugepages {
        return Memory::Hugepages {
            dir: dataplane.hugepage_dir.clone(),
            mib: dataplane.memory_mib,
        };
    }
    Memory::NoHuge { mib: dataplane.memory_mib.unwrap_or_else(|| pool_mib(dataplane)) }
}

/// Memory without hugepages when none is configured: the buffers with their headers (128 bytes of mbuf, 64 of mempool
/// object, rounded up), and 64 MiB for rings, queues and EAL itself.
fn pool_mib(dataplane: &DataplaneSettings) -> u32 {
    let object_bytes = u64::from(dataplane.mbuf_data_bytes) + 256;
    let bytes = u64::from(dataplane.mbufs) * object_bytes;
    u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_add(64)
}

/// Opens, configures and starts every port. On an error all ports opened so far are closed by their owners.
pub fn open(eal: &Eal, settings: &Settings) -> Result<Ports, Failure> {
    let dataplane = &settings.dataplane;
    let workers = dataplane.worker_cores.len();
    let pool = Mempool::new(
        eal,
        "loadlock",
        dataplane.mbufs,
        dataplane.mbuf_cache,
        // The configured room includes the headroom, which DPDK adds itself.
        dataplane.mbuf_data_bytes - HEADROOM_BYTES,
        None,
    )
    .map_err(Failure::Mempool)?;
    let mut ports = Vec::with_capacity(settings.ports.len());
    let mut queues: Vec<Vec<(RxQueue, TxQueue)>> = (0..workers).map(|_| Vec::new()).collect();
    for configured in &settings.ports {
        let name = configured.name.to_string();
        let id =
            eal.find_port(&configured.eal_name()).map_err(|source| missing(configured, source))?;
        let config = PortConfig {
            queues: workers as u16,
            rx_descriptors: configured.rx_descriptors,
            tx_descriptors: configured.tx_descriptors,
            mtu: configured.mtu,
            promiscuous: configured.promiscuous,
            require_symmetric_rss: workers > 1 && dataplane.rss == Rss::Symmetric,
        };
        let failed = |source| Failure::Port { port: name.clone(), source: Box::new(source) };
        let mut port = Port::configure(eal, id, &config, &pool).map_err(failed)?;
        let pairs = port.start().map_err(failed)?;
        for (worker, pair) in queues.iter_mut().zip(pairs) {
            worker.push(pair);
        }
        ports.push(port);
    }
    Ok(Ports { ports, queues, pool })
}

/// A card that isn't there is named by its address, a virtual device by what its driver was told.
fn missing(configured: &PortSettings, source: FindPortError) -> Failure {
    let port = configured.name.to_string();
    match configured.virtual_device_argument() {
        Some(argument) => Failure::DeviceRefused { port, argument },
        None => Failure::PortMissing { port, source: Box::new(source) },
    }
}

/// What a port says of itself, less what it had counted when the process took it over.
pub fn state(port: &Port, at_start: &PortStats) -> Option<PortState> {
    let stats = port.stats().ok()?;
    let link = port.link().ok()?;
    let since = |now: u64, then: u64| now.saturating_sub(then);
    Some(PortState {
        link_up: link.up,
        speed_mbps: link.speed_mbps.unwrap_or(0),
        missed: since(stats.imissed, at_start.imissed),
        receive_errors: since(stats.ierrors, at_start.ierrors),
        no_buffer: since(stats.rx_nombuf, at_start.rx_nombuf),
        transmit_errors: since(stats.oerrors, at_start.oerrors),
        ..PortState::default()
    })
}
