//! Pools of buffers are large enough: one that runs dry stops its ports, and DPDK reports it only as missed frames.

use crate::findings::Findings;
use crate::problem::Problem;
use crate::settings::{PortIndex, Settings};

/// Notes each pool that is too small.
pub(super) fn fill_the_queues(settings: &Settings, findings: &mut Findings<'_>) {
    let keys = ["worker_cores", "mbuf_cache", "rx_descriptors", "tx_descriptors", "burst_packets"];
    let ports_sound = settings.ports.iter().all(|port| {
        let keys = ["rx_descriptors", "tx_descriptors", "mbufs", "mbuf_cache"];
        keys.iter().all(|key| findings.is_sound(&format!("{}.{key}", port.path)))
    });
    let sound = keys.iter().all(|key| findings.is_sound(&format!("dataplane.{key}")));
    if !sound
        || !ports_sound
        || !super::workers_are_sound(settings, findings)
        || !super::all_sides_resolve(settings, findings)
    {
        return;
    }
    let dataplane = &settings.dataplane;
    if let Some(demand) = settings.shared_pool_demand()
        && demand.buffers > u64::from(dataplane.mbufs)
        && findings.is_sound("dataplane.mbufs")
    {
        let problem = Problem::TooFewMbufs {
            found: dataplane.mbufs,
            needed: demand.buffers,
            ports: demand.ports,
            workers: demand.workers,
            descriptors: demand.descriptors,
        };
        findings.report_at("dataplane.mbufs", problem);
    }
    for (index, port) in settings.ports.iter().enumerate() {
        let cache = format!("{}.mbuf_cache", port.path);
        let Some((pool, demand)) = settings.port_pool_demand(PortIndex(index)) else {
            if findings.values.get(&cache).is_some_and(|cache| cache != "0") {
                let problem = Problem::CannotBeKept {
                    promise: "a cache of its own",
                    reason: "without mbufs the port takes its buffers from the pool of all ports, whose cache is dataplane.mbuf_cache",
                    fix: "set mbufs of this port too, or delete its mbuf_cache",
                };
                findings.report_at(&cache, problem);
            }
            continue;
        };
        if demand.buffers > u64::from(pool.mbufs) {
            let problem = Problem::TooFewPortMbufs {
                found: pool.mbufs,
                needed: demand.buffers,
                workers: demand.workers,
                descriptors: demand.descriptors,
            };
            findings.report_at(&format!("{}.mbufs", port.path), problem);
        }
    }
}
