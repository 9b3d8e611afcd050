//! Flows, and how lanes of them become one stream.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::Ipv4Addr;

use crate::conversation::Side;

/// Protocol of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP echo.
    Icmp,
}

/// How a flow went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowOutcome {
    /// Both sides talked.
    Answered,
    /// TCP: a reset, or the other's refusal.
    Refused,
    /// Nobody answered.
    Silent,
    /// Nobody was expected to answer.
    OneWay,
}

/// A conversation, as one segment sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Its first packet, ns since 1970.
    pub time_ns: u64,
    /// Its last packet.
    pub end_ns: u64,
    /// Number of the segment.
    pub segment: u8,
    /// The side from which it is opened.
    pub client_side: Side,
    /// Who opens it.
    pub client: Ipv4Addr,
    /// His port.
    pub client_port: u16,
    /// His station.
    pub client_mac: [u8; 6],
    /// Whom he asks.
    pub server: Ipv4Addr,
    /// Station of the server.
    pub server_mac: [u8; 6],
    /// Protocol.
    pub transport: Transport,
    /// The server's port; 0 for ICMP.
    pub port: u16,
    /// How it went.
    pub outcome: FlowOutcome,
    /// Packets from the client and from the server.
    pub packets: [u32; 2],
    /// Bytes from the client and from the server.
    pub bytes: [u64; 2],
    /// Number of its class, for [`Site::class`](super::Site::class).
    pub class: u16,
    /// It belongs to an attack.
    pub is_attack: bool,
}

/// A source of flows in the order of time.
pub(super) trait Lane {
    /// Adds the next flows to `out`; the first of them is not earlier than any before. Nothing when it is over.
    fn next(&mut self, out: &mut VecDeque<Flow>);
}

struct Waiting<'s> {
    lane: Box<dyn Lane + 's>,
    flows: VecDeque<Flow>,
}

/// The flows of a site in the order of time.
pub struct Flows<'s> {
    lanes: Vec<Waiting<'s>>,
    heap: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<'s> Flows<'s> {
    pub(super) fn new(lanes: Vec<Box<dyn Lane + 's>>) -> Self {
        let mut flows = Self { lanes: Vec::with_capacity(lanes.len()), heap: BinaryHeap::new() };
        for lane in lanes {
            flows.lanes.push(Waiting { lane, flows: VecDeque::new() });
            flows.queue(flows.lanes.len() - 1);
        }
        flows
    }

    fn queue(&mut self, number: usize) {
        let waiting = &mut self.lanes[number];
        if waiting.flows.is_empty() {
            waiting.lane.next(&mut waiting.flows);
        }
        if let Some(flow) = waiting.flows.front() {
            self.heap.push(Reverse((flow.time_ns, number)));
        }
    }
}

impl Iterator for Flows<'_> {
    type Item = Flow;

    fn next(&mut self) -> Option<Flow> {
        let Reverse((_, number)) = self.heap.pop()?;
        let flow = self.lanes[number].flows.pop_front();
        self.queue(number);
        flow
    }
}
