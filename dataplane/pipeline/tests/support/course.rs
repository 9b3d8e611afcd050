//! The model's conversation: where it stands, and for how long.

use loadlock_packet::Side;
use loadlock_pipeline::Verdict;

use super::packet::{Packet, Sort, flags};
use super::{SECOND_NS, TIMEOUTS};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    Opening,
    Open,
    Closing,
    Stateless,
}

#[derive(Clone, Copy, Debug)]
pub struct Flow {
    pub initiator: Side,
    pub midstream: bool,
    pub after_grace: bool,
    pub handshake: bool,
    pub course: Course,
    pub fins: [bool; 2],
    /// Who sent the RST that closes it.
    pub reset_by: Option<Side>,
    pub seen_ns: u64,
    pub verdict: Verdict,
    pub generation: u64,
    pub packets: [u64; 2],
}

impl Flow {
    /// Silent for so long, it is over.
    pub fn timeout_ns(&self, sort: Sort) -> u64 {
        let timeout_ns = match (self.course, sort) {
            (Course::Stateless, Sort::Udp4 | Sort::Udp6) => TIMEOUTS.udp_ns,
            (Course::Stateless, sort) if sort.is_icmp() => TIMEOUTS.icmp_ns,
            (Course::Stateless, _) => TIMEOUTS.other_ns,
            _ if self.fins != [false; 2] => TIMEOUTS.tcp_closing_ns,
            (Course::Opening, _) => TIMEOUTS.tcp_opening_ns,
            (Course::Open, _) => TIMEOUTS.tcp_open_ns,
            (Course::Closing, _) => TIMEOUTS.tcp_closing_ns,
        };
        assert!(timeout_ns > SECOND_NS);
        timeout_ns
    }

    /// The table of TCP's course in DESIGN.md.
    pub fn advance(&mut self, packet: &Packet) {
        let has = |bits: u8| packet.flags & bits == bits;
        if has(flags::RST) {
            self.course = Course::Closing;
            self.reset_by = Some(packet.from);
            return;
        }
        if self.reset_by == Some(packet.from) && !has(flags::SYN) {
            self.reset_by = None;
            self.course = Course::Open;
        }
        if self.course == Course::Opening && has(flags::ACK) {
            match (has(flags::SYN), packet.from == self.initiator) {
                (true, false) => {
                    self.handshake = true;
                    self.course = Course::Open;
                }
                (true, true) => {}
                (false, _) => self.course = Course::Open,
            }
        }
        if has(flags::FIN) {
            self.fins[packet.from as usize] = true;
            if self.fins == [true; 2] {
                self.course = Course::Closing;
            }
        }
    }
}
