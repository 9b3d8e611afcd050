//! What a configuration needs, as sums that a person can follow.

use crate::schema::thousands;
use crate::settings::{CoreId, PortIndex, PortPool, Settings};

/// An mbuf's header and the mempool's own words before and behind it (rte_mbuf.h, rte_mempool.h).
const BUFFER_OVERHEAD_BYTES: u64 = 128 + 64;
/// A conversation's line, 1.4 of them for each of the capacity, and its tag.
const NARROW_BYTES: u64 = 91;
const WIDE_BYTES: u64 = 181;
const FRAGMENT_BYTES: u64 = 64;
const MIB: u64 = 1 << 20;

/// Buffers of one pool that can be held at once: in descriptors, in the workers' caches, in bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Ports that fill from it.
    pub(crate) ports: usize,
    /// Workers that serve any of them.
    pub(crate) workers: usize,
    /// Descriptors of one worker's queues in which its buffers can lie.
    pub(crate) descriptors: u64,
    /// All of it, with caches and bursts.
    pub(crate) buffers: u64,
}

/// Buffers and memory that the settings ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Buffers that descriptors, caches and bursts can hold at once, over all pools; each pool has at least its part.
    pub buffers_needed: u64,
    /// Bytes of the packet buffers of all pools.
    pub pool_bytes: u64,
    /// Bytes of all workers' flow tables.
    pub flow_bytes: u64,
    /// Bytes of the exchange; 0 if that is beyond any machine.
    pub exchange_bytes: u64,
}

impl Settings {
    /// What the pool of `dataplane.mbufs` must hold; `None`: every port has a pool of its own.
    pub(crate) fn shared_pool_demand(&self) -> Option<Demand> {
        let shares = (0..self.ports.len()).filter(|port| self.ports[*port].pool.is_none());
        self.demand(shares.map(PortIndex).collect(), self.dataplane.mbuf_cache)
    }

    /// A port's own pool, and what it must hold.
    pub(crate) fn port_pool_demand(&self, port: PortIndex) -> Option<(PortPool, Demand)> {
        let pool = self.ports[port.0].pool?;
        self.demand(vec![port], pool.cache).map(|demand| (pool, demand))
    }

    /// A frame lies in a receive queue of the port it came by, or in a transmit queue of the port on the other side.
    fn demand(&self, ports: Vec<PortIndex>, cache: u32) -> Option<Demand> {
        let descriptors = |port: &PortIndex| {
            let other =
                self.other_side(*port).map_or(0, |other| self.ports[other.0].tx_descriptors);
            u64::from(self.ports[port.0].rx_descriptors) + u64::from(other)
        };
        let workers_of = |port: &PortIndex| self.workers_of(*port).unwrap_or_default();
        let mut workers: Vec<usize> = ports.iter().flat_map(workers_of).copied().collect();
        workers.sort_unstable();
        workers.dedup();
        // A cache may grow to one and a half times its size before it is flushed (rte_mempool.h).
        let held = u64::from(cache) * 3 / 2 + u64::from(self.dataplane.burst_packets);
        let in_queues: u64 =
            ports.iter().map(|port| workers_of(port).len() as u64 * descriptors(port)).sum();
        (!ports.is_empty()).then(|| Demand {
            ports: ports.len(),
            workers: workers.len(),
            descriptors: ports.iter().map(descriptors).sum(),
            buffers: in_queues + workers.len() as u64 * held,
        })
    }

    /// Every pool: whose it is, its buffers and cache, and what it must hold.
    fn pools(&self) -> Vec<(String, PortPool, Demand)> {
        let dataplane = &self.dataplane;
        let shared = self.shared_pool_demand().map(|demand| {
            let pool = PortPool { mbufs: dataplane.mbufs, cache: dataplane.mbuf_cache };
            (String::new(), pool, demand)
        });
        let own = (0..self.ports.len()).filter_map(|port| {
            let (pool, demand) = self.port_pool_demand(PortIndex(port))?;
            Some((format!(" of port {}", self.ports[port].name), pool, demand))
        });
        shared.into_iter().chain(own).collect()
    }

    /// The sums.
    #[must_use]
    pub fn sums(&self) -> Sums {
        let (dataplane, flows) = (&self.dataplane, &self.flows);
        let workers = dataplane.worker_cores.len() as u64;
        let line = u64::from(flows.narrow_capacity) * NARROW_BYTES
            + u64::from(flows.wide_capacity) * WIDE_BYTES
            + u64::from(flows.fragment_capacity.next_power_of_two()) * FRAGMENT_BYTES;
        let buffer = u64::from(dataplane.mbuf_data_bytes) + BUFFER_OVERHEAD_BYTES;
        let pools = self.pools();
        Sums {
            buffers_needed: pools.iter().map(|(_, _, demand)| demand.buffers).sum(),
            pool_bytes: pools.iter().map(|(_, pool, _)| u64::from(pool.mbufs) * buffer).sum(),
            flow_bytes: workers * line,
            exchange_bytes: self.dimensions().bytes().unwrap_or(0) as u64,
        }
    }

    /// The sums with what they are made of, a line each.
    #[must_use]
    pub fn sums_in_words(&self) -> String {
        let (dataplane, flows, sums) = (&self.dataplane, &self.flows, self.sums());
        let workers = dataplane.worker_cores.len();
        let mib = |bytes: u64| thousands(bytes.div_ceil(MIB));
        let count = |number: u32| thousands(number.into());
        let mut text = String::new();
        for (whose, pool, demand) in self.pools() {
            let bytes = u64::from(pool.mbufs)
                * (u64::from(dataplane.mbuf_data_bytes) + BUFFER_OVERHEAD_BYTES);
            text.push_str(&format!(
                "buffers   {}{whose}: {} in queues of {} + {} workers x ({} cached x 1.5 + {} in a burst) = {} needed of {}\n\
                 pool      {} buffers x ({} + {BUFFER_OVERHEAD_BYTES} bytes) = {} MiB\n",
                if whose.is_empty() { "shared" } else { "pool" },
                thousands(demand.buffers - demand.workers as u64 * (u64::from(pool.cache) * 3 / 2 + u64::from(dataplane.burst_packets))),
                if demand.ports == 1 { "1 port".to_owned() } else { format!("{} ports", demand.ports) },
                demand.workers,
                pool.cache,
                dataplane.burst_packets,
                thousands(demand.buffers),
                count(pool.mbufs),
                count(pool.mbufs),
                dataplane.mbuf_data_bytes,
                mib(bytes),
            ));
        }
        let pages = sums.pool_bytes.div_ceil(2 * MIB) + sums.flow_bytes.div_ceil(2 * MIB);
        text.push_str(&format!(
            "flows     {workers} workers x ({} x {NARROW_BYTES} + {} x {WIDE_BYTES} + {} x {FRAGMENT_BYTES} bytes) = {} MiB\n\
             exchange  {} MiB: {workers} rings of {} events, two policies of {} rules\n\
             memory    {} MiB for pools and flow tables, at least {} hugepages of 2 MiB; the exchange apart\n",
            count(flows.narrow_capacity),
            count(flows.wide_capacity),
            count(flows.fragment_capacity.next_power_of_two()),
            mib(sums.flow_bytes),
            mib(sums.exchange_bytes),
            count(self.exchange.event_ring_events),
            count(self.exchange.rule_capacity),
            mib(sums.pool_bytes + sums.flow_bytes),
            thousands(pages),
        ));
        text
    }

    /// Which worker polls which queue of which port, a line for each worker. `node`: NUMA node of a CPU, where it is known.
    #[must_use]
    pub fn queues_in_words(&self, node: impl Fn(CoreId) -> Option<u32>) -> String {
        let mut text = String::new();
        for (worker, core) in self.dataplane.worker_cores.iter().enumerate() {
            let queues: Vec<String> = (0..self.ports.len())
                .filter_map(|port| {
                    let queue = self.queue_of(PortIndex(port), worker)?;
                    Some(format!("{}/{queue}", self.ports[port].name))
                })
                .collect();
            let node = node(*core).map_or_else(String::new, |node| format!(", NUMA node {node}"));
            text.push_str(&format!(
                "queues    worker {worker} on CPU {core}{node}: {}\n",
                queues.join(", ")
            ));
        }
        text
    }

    /// Number of the queue of a port that a worker polls; `None` if the worker doesn't serve its segment.
    #[must_use]
    pub fn queue_of(&self, port: PortIndex, worker: usize) -> Option<usize> {
        self.workers_of(port)?.iter().position(|serves| *serves == worker)
    }

    /// Queue pairs of a port: one for each worker that serves its segment.
    #[must_use]
    pub fn queues_of(&self, port: PortIndex) -> usize {
        self.workers_of(port).map_or(0, <[usize]>::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[dataplane]\nworker_cores = [1, 2]\n[[port]]\nname = \"a\"\ndevice = \"0000:3b:00.0\"\n[[port]]\nname = \"b\"\n\
                        device = \"0000:3b:00.1\"\n[[segment]]\nname = \"s\"\nside_a = \"a\"\nside_b = \"b\"\n";

    #[test]
    fn sums_are_what_the_defaults_say() {
        let settings = Settings::parse(FILE, "x.toml").unwrap();
        let sums = settings.sums();
        assert_eq!(sums.buffers_needed, 2 * 2 * 2048 + 2 * (384 + 64));
        assert_eq!(sums.pool_bytes, 32_768 * (2176 + 192));
        assert_eq!(sums.flow_bytes, 2 * (262_144 * 91 + 65_536 * 181 + 8192 * 64));
        let words = settings.sums_in_words();
        assert!(words.contains("= 9,088 needed of 32,768"), "{words}");
        assert!(words.contains("= 74 MiB"), "{words}");
    }

    #[test]
    fn a_port_with_a_pool_of_its_own_takes_its_share_out_of_the_others() {
        let own = FILE.replace(
            "name = \"a\"\n",
            "name = \"a\"\nmbufs = 16383\nmbuf_cache = 128\nrx_descriptors = 4096\n",
        );
        let settings = Settings::parse(&own, "x.toml").unwrap();
        let (pool, demand) = settings.port_pool_demand(PortIndex(0)).unwrap();
        assert_eq!(pool, PortPool { mbufs: 16_383, cache: 128 });
        assert_eq!(demand.buffers, 2 * (4096 + 1024) + 2 * (192 + 64));
        let shared = settings.shared_pool_demand().unwrap();
        assert_eq!((shared.ports, shared.buffers), (1, 2 * 2048 + 2 * (384 + 64)));
        assert_eq!(settings.sums().pool_bytes, (32_768 + 16_383) * (2176 + 192));
        let words = settings.sums_in_words();
        assert!(words.contains("pool of port a: 10,240 in queues of 1 port "), "{words}");
        let both = own.replace("name = \"b\"\n", "name = \"b\"\nmbufs = 8191\n");
        let settings = Settings::parse(&both, "x.toml").unwrap();
        assert_eq!(settings.shared_pool_demand(), None);
        assert_eq!(settings.sums().pool_bytes, (8191 + 16_383) * (2176 + 192));
    }

    #[test]
    fn workers_of_a_segment_have_its_queues_and_nobody_else() {
        let mut text = FILE.replace("worker_cores = [1, 2]", "worker_cores = [1, 2, 3]");
        text.push_str("worker_cores = [3, 1]\n");
        for name in ["c", "d"] {
            text.push_str(&format!("[[port]]\nname = \"{name}\"\ndevice = \"net_null\"\n"));
        }
        text.push_str(
            "[[segment]]\nname = \"t\"\nside_a = \"c\"\nside_b = \"d\"\nworker_cores = [2]\n",
        );
        let settings = Settings::parse(&text, "x.toml").unwrap_or_else(|errors| panic!("{errors}"));
        let queue = |port, worker| settings.queue_of(PortIndex(port), worker);
        assert_eq!([queue(0, 0), queue(0, 1), queue(0, 2)], [Some(0), None, Some(1)]);
        assert_eq!([queue(3, 0), queue(3, 1), queue(3, 2)], [None, Some(0), None]);
        assert_eq!((settings.queues_of(PortIndex(1)), settings.queues_of(PortIndex(2))), (2, 1));
        assert_eq!(
            settings.queues_in_words(|core| (core.0 < 3).then_some(0)),
            "queues    worker 0 on CPU 1, NUMA node 0: a/0, b/0\nqueues    worker 1 on CPU 2, NUMA node 0: c/0, d/0\n\
             queues    worker 2 on CPU 3: a/1, b/1\n"
        );
        // Two workers for two ports, one for the other two, three caches.
        assert_eq!(settings.sums().buffers_needed, 2 * 4096 + 4096 + 3 * 448);
    }
}
