//! What a configuration needs, as sums that a person can follow.

use crate::schema::thousands;
use crate::settings::{PortSettings, Settings};

/// An mbuf's header and the mempool's own words before and behind it (rte_mbuf.h, rte_mempool.h).
const BUFFER_OVERHEAD_BYTES: u64 = 128 + 64;
/// A conversation's line, 1.4 of them for each of the capacity, and its tag.
const NARROW_BYTES: u64 = 91;
const WIDE_BYTES: u64 = 181;
const FRAGMENT_BYTES: u64 = 64;
const MIB: u64 = 1 << 20;

/// Buffers and memory that the settings ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Buffers that descriptors, caches and bursts can hold at once; `mbufs` is at least that.
    pub buffers_needed: u64,
    /// Bytes of the packet buffers.
    pub pool_bytes: u64,
    /// Bytes of all workers' flow tables.
    pub flow_bytes: u64,
    /// Bytes of the exchange; 0 if that is beyond any machine.
    pub exchange_bytes: u64,
}

impl Settings {
    /// Buffers that descriptors, caches and bursts can hold at once.
    pub(crate) fn buffers_needed(&self) -> u64 {
        let dataplane = &self.dataplane;
        let workers = dataplane.worker_cores.len() as u64;
        // A cache may grow to one and a half times its size before it is flushed (rte_mempool.h).
        let held = u64::from(dataplane.mbuf_cache) * 3 / 2 + u64::from(dataplane.burst_packets);
        workers * (self.descriptors() + held)
    }

    /// Receive and transmit descriptors of one queue pair of each port, together.
    pub(crate) fn descriptors(&self) -> u64 {
        let of_port =
            |port: &PortSettings| u64::from(port.rx_descriptors) + u64::from(port.tx_descriptors);
        self.ports.iter().map(of_port).sum()
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
        Sums {
            buffers_needed: self.buffers_needed(),
            pool_bytes: u64::from(dataplane.mbufs) * buffer,
            flow_bytes: workers * line,
            exchange_bytes: self.dimensions().bytes().unwrap_or(0) as u64,
        }
    }

    /// The sums with what they are made of, a line each.
    #[must_use]
    pub fn sums_in_words(&self) -> String {
        let (dataplane, flows, sums) = (&self.dataplane, &self.flows, self.sums());
        let (ports, workers) = (self.ports.len(), dataplane.worker_cores.len());
        let mib = |bytes: u64| thousands(bytes.div_ceil(MIB));
        let count = |number: u32| thousands(number.into());
        let pages = sums.pool_bytes.div_ceil(2 * MIB) + sums.flow_bytes.div_ceil(2 * MIB);
        format!(
            "buffers   {workers} workers x {} descriptors of {ports} ports + {workers} workers x ({} cached x 1.5 + {} in a burst) \
             = {} needed of {}\n\
             pool      {} buffers x ({} + {BUFFER_OVERHEAD_BYTES} bytes) = {} MiB\n\
             flows     {workers} workers x ({} x {NARROW_BYTES} + {} x {WIDE_BYTES} + {} x {FRAGMENT_BYTES} bytes) = {} MiB\n\
             exchange  {} MiB: {workers} rings of {} events, two policies of {} rules\n\
             memory    {} MiB for pool and flow tables, at least {} hugepages of 2 MiB; the exchange apart\n",
            thousands(self.descriptors()),
            dataplane.mbuf_cache,
            dataplane.burst_packets,
            thousands(sums.buffers_needed),
            count(dataplane.mbufs),
            count(dataplane.mbufs),
            dataplane.mbuf_data_bytes,
            mib(sums.pool_bytes),
            count(flows.narrow_capacity),
            count(flows.wide_capacity),
            count(flows.fragment_capacity.next_power_of_two()),
            mib(sums.flow_bytes),
            mib(sums.exchange_bytes),
            count(self.exchange.event_ring_events),
            count(self.exchange.rule_capacity),
            mib(sums.pool_bytes + sums.flow_bytes),
            thousands(pages),
        )
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
}
