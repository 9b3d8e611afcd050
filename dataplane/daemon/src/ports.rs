//! From settings to running ports.

use std::sync::Arc;

use loadlock_dpdk::{
    Eal, EalConfig, FindPortError, LogLevel, Memory, Mempool, Port, PortConfig, PortStats, RxQueue,
    TxQueue,
};
use loadlock_exchange::PortState;
use loadlock_settings::{
    DataplaneSettings, HugepageSize, PortIndex, PortPool, PortSettings, Rss, Settings,
};

use crate::exit::Failure;

/// RTE_PKTMBUF_HEADROOM of every DPDK build that is accepted.
const HEADROOM_BYTES: u16 = 128;

/// One worker's queue pairs, each with the index of its port.
pub type Pairs = Vec<(PortIndex, RxQueue, TxQueue)>;

/// The running ports and, for each worker, its queue pairs in the order of the ports.
pub struct Ports {
    /// In the order of the settings.
    pub ports: Vec<Port>,
    /// One list a worker.
    pub queues: Vec<Pairs>,
    /// Where each port's receive queues take their buffers from, in the order of the settings.
    pub pools: Vec<Arc<Mempool>>,
}

/// EAL's configuration; every argument comes from validated settings.
pub fn eal_config(settings: &Settings) -> EalConfig {
    let dataplane = &settings.dataplane;
    let arguments = settings.ports.iter().map(|port| port.virtual_device_argument());
    let pci = settings.ports.iter().filter(|port| port.virtual_device_argument().is_none());
    EalConfig {
        main_core: usize::from(dataplane.main_core.0),
        worker_cores: dataplane.worker_cores.iter().map(|core| usize::from(core.0)).collect(),
        memory: memory(settings),
        file_prefix: dataplane.file_prefix.clone(),
        virtual_devices: arguments.flatten().collect(),
        pci_devices: pci.map(|port| port.eal_name()).collect(),
        log_level: LogLevel::Warning,
    }
}

fn memory(settings: &Settings) -> Memory {
    let dataplane = &settings.dataplane;
    if dataplane.hugepages {
        return Memory::Hugepages {
            dir: dataplane.hugepage_dir.clone(),
            mib: dataplane.memory_mib,
            page_bytes: match dataplane.hugepage_size {
                HugepageSize::Any => None,
                HugepageSize::Bytes(bytes) => Some(bytes),
            },
        };
    }
    Memory::NoHuge { mib: dataplane.memory_mib.unwrap_or_else(|| pool_mib(settings)) }
}

/// Memory without hugepages when none is configured: the buffers with their headers (128 bytes of mbuf, 64 of mempool
/// object, rounded up), and 64 MiB for rings, queues and EAL itself.
fn pool_mib(settings: &Settings) -> u32 {
    let object_bytes = u64::from(settings.dataplane.mbuf_data_bytes) + 256;
    let own = settings.ports.iter().filter_map(|port| port.pool);
    let shares = settings.ports.iter().any(|port| port.pool.is_none());
    let shared = if shares { u64::from(settings.dataplane.mbufs) } else { 0 };
    let mbufs = shared + own.map(|pool| u64::from(pool.mbufs)).sum::<u64>();
    u32::try_from((mbufs * object_bytes) >> 20).unwrap_or(u32::MAX).saturating_add(64)
}

/// Opens, configures and starts every port. On an error all ports opened so far are closed by their owners.
pub fn open(eal: &Eal, settings: &Settings) -> Result<Ports, Failure> {
    let dataplane = &settings.dataplane;
    let mut ports = Vec::with_capacity(settings.ports.len());
    let mut pools: Vec<Arc<Mempool>> = Vec::with_capacity(settings.ports.len());
    let mut queues: Vec<Pairs> = dataplane.worker_cores.iter().map(|_| Vec::new()).collect();
    let mut shared = None;
    for (index, configured) in settings.ports.iter().enumerate() {
        let (index, name) = (PortIndex(index), configured.name.to_string());
        let id =
            eal.find_port(&configured.eal_name()).map_err(|source| missing(configured, source))?;
        let pool = match (configured.pool, &shared) {
            (Some(own), _) => {
                let pool_name = format!("loadlock-{}", index.0);
                Arc::new(make_pool(eal, dataplane, &pool_name, own, eal.port_node(id))?)
            }
            (None, Some(pool)) => Arc::clone(pool),
            (None, None) => {
                let of_all = PortPool { mbufs: dataplane.mbufs, cache: dataplane.mbuf_cache };
                Arc::clone(
                    shared.insert(Arc::new(make_pool(eal, dataplane, "loadlock", of_all, None)?)),
                )
            }
        };
        let count = settings.queues_of(index);
        let config = PortConfig {
            queues: count as u16,
            rx_descriptors: configured.rx_descriptors,
            tx_descriptors: configured.tx_descriptors,
            mtu: configured.mtu,
            promiscuous: configured.promiscuous,
            require_symmetric_rss: count > 1 && dataplane.rss == Rss::Symmetric,
            rss_key: dataplane.rss_key.0,
            // What it sends came by the other side's port, from whose one pool; that it lies in one buffer is checked below.
            tx_fast_free: configured.tx_fast_free,
        };
        let failed = |source| Failure::Port { port: name.clone(), source: Box::new(source) };
        let mut port = Port::configure(eal, id, &config, &pool).map_err(failed)?;
        let mut pairs = port.start().map_err(failed)?.into_iter();
        for (worker, queues) in queues.iter_mut().enumerate() {
            if settings.queue_of(index, worker).is_some()
                && let Some((receive, transmit)) = pairs.next()
            {
                queues.push((index, receive, transmit));
            }
        }
        ports.push(port);
        pools.push(pool);
    }
    refuse_scattered_fast_free(settings, &ports)?;
    Ok(Ports { ports, queues, pools })
}

/// A pool with its buffers on one NUMA node, if one is given.
fn make_pool(
    eal: &Eal,
    dataplane: &DataplaneSettings,
    name: &str,
    pool: PortPool,
    node: Option<u32>,
) -> Result<Mempool, Failure> {
    // The configured room includes the headroom, which DPDK adds itself.
    let room = dataplane.mbuf_data_bytes - HEADROOM_BYTES;
    Mempool::new(eal, name, pool.mbufs, pool.cache, room, node).map_err(Failure::Mempool)
}

/// A driver that gives buffers back without looking at each may look at a frame's first one only.
fn refuse_scattered_fast_free(settings: &Settings, ports: &[Port]) -> Result<(), Failure> {
    for segment in &settings.segments {
        for (sends, receives) in
            [(segment.side_a, segment.side_b), (segment.side_b, segment.side_a)]
        {
            if settings.port(sends).tx_fast_free && ports[receives.0].grant().rx_scatter {
                return Err(Failure::ScatteredFastFree {
                    port: settings.port(sends).name.to_string(),
                    receives: settings.port(receives).name.to_string(),
                });
            }
        }
    }
    Ok(())
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
