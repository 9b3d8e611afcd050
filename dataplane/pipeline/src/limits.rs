//! How much a pipeline remembers, and for how long.

use crate::entry::{Entry, Flags, State, Tick};

/// Conversations a worker can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// IPv4, 91 bytes each.
    pub narrow: usize,
    /// IPv6 and link layer, 181 bytes each.
    pub wide: usize,
    /// IP packets in fragments, 64 bytes each; rounded up.
    pub fragments: usize,
}

/// How long a silent conversation is remembered, in ns; rounded to 16.8 ms, and checked about every two seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP before the responder's SYN-ACK.
    pub tcp_opening_ns: u64,
    /// TCP with both directions open.
    pub tcp_open_ns: u64,
    /// TCP after a FIN or RST.
    pub tcp_closing_ns: u64,
    /// UDP.
    pub udp_ns: u64,
    /// ICMP.
    pub icmp_ns: u64,
    /// Everything else.
    pub other_ns: u64,
    /// How long running conversations are adopted: after start, and after the flow table had no room for one.
    pub grace_ns: u64,
    /// A denied conversation is reported at most once in this time.
    pub denied_report_ns: u64,
    /// How long after the first fragment the others follow it.
    pub fragment_ns: u64,
}

/// Time-outs by state, in ticks.
pub(crate) struct TickTimeouts([Tick; State::COUNT]);

impl TickTimeouts {
    pub fn new(timeouts: &Timeouts) -> Self {
        let mut by_state = [0; State::COUNT];
        by_state[State::TCP_OPENING.index()] = ticks(timeouts.tcp_opening_ns);
        by_state[State::TCP_OPEN.index()] = ticks(timeouts.tcp_open_ns);
        for closing in [State::TCP_CLOSING, State::TCP_RESET_A, State::TCP_RESET_B] {
            by_state[closing.index()] = ticks(timeouts.tcp_closing_ns);
        }
        by_state[State::UDP.index()] = ticks(timeouts.udp_ns);
        by_state[State::TCP_PARENT.index()] = ticks(timeouts.tcp_open_ns);
        by_state[State::UDP_PARENT.index()] = ticks(timeouts.udp_ns);
        by_state[State::ICMP.index()] = ticks(timeouts.icmp_ns);
        by_state[State::OTHER.index()] = ticks(timeouts.other_ns);
        Self(by_state)
    }

    /// Everything is over at once.
    pub fn none() -> Self {
        Self([0; State::COUNT])
    }

    pub fn of<K>(&self, entry: &Entry<K>) -> Tick {
        let half_closed = entry.flags.any(Flags::FIN_A | Flags::FIN_B);
        let state = if half_closed && entry.state != State::OVER {
            State::TCP_CLOSING
        } else {
            entry.state
        };
        self.0[state.index()]
    }
}

/// A duration in ticks: at least one, and less than half the range, so that wrapping differences tell it.
pub(crate) fn ticks(duration_ns: u64) -> Tick {
    (duration_ns >> 24).clamp(1, u64::from(u32::MAX >> 1)) as Tick
}
