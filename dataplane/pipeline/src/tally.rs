//! What became of one burst, added to the port's counters after transmission.

use loadlock_exchange::{DropReason, PortBlock, PortTally, REASONS_MAX};

use crate::verdict::VerdictWord;

/// Counts of one burst, kept by the worker and used again for the next.
#[derive(Default)]
pub struct BurstTally {
    tally: PortTally,
    /// Those that something was counted for: a bit each.
    reasons: u64,
}

const _: () = assert!(REASONS_MAX <= u64::BITS as usize);

impl BurstTally {
    /// An empty tally.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a frame that came in with this verdict. An allowed one counts as forwarded, until
    /// [`BurstTally::not_transmitted`] says otherwise.
    #[inline]
    pub fn count(&mut self, verdict: VerdictWord, frame_bytes: u32) {
        self.count_burst(&[verdict], frame_bytes.into(), |_| frame_bytes);
    }

    /// Counts the frames that came in with these verdicts, `frame_bytes` long together; `bytes_of` says the length of one. Returns
    /// how many aren't forwarded. What differs from its neighbours costs, not the frame.
    #[inline]
    pub fn count_burst(
        &mut self,
        verdicts: &[VerdictWord],
        frame_bytes: u64,
        bytes_of: impl Fn(usize) -> u32,
    ) -> usize {
        self.tally.received_packets += verdicts.len() as u64;
        self.tally.received_bytes += frame_bytes;
        let (mut at, mut dropped) = (0, 0);
        for run in verdicts.chunk_by(|one, next| one == next) {
            let (verdict, frames) = (run[0], run.len());
            let end = at + frames;
            if verdict.forwards() {
                self.tally.forwarded_packets += frames as u64;
                self.tally.forwarded_bytes +=
                    (at..end).map(|at| u64::from(bytes_of(at))).sum::<u64>();
            } else {
                dropped += frames;
            }
            if !verdict.is_allowed() {
                let PortTally { dropped, would_deny, .. } = &mut self.tally;
                let counts = if verdict.forwards() { would_deny } else { dropped };
                counts[verdict.reason_index()] += frames as u64;
                self.reasons |= 1 << verdict.reason_index();
            }
            at = end;
        }
        dropped
    }

    /// Counts as many frames with a [`crate::Verdict::Allow`] each, `frame_bytes` long together.
    #[inline]
    pub fn count_allowed(&mut self, packets: u64, frame_bytes: u64) {
        self.tally.received_packets += packets;
        self.tally.received_bytes += frame_bytes;
        self.tally.forwarded_packets += packets;
        self.tally.forwarded_bytes += frame_bytes;
    }

    /// Counts a burst that is forwarded without a verdict. It isn't mixed with judged frames.
    pub fn count_unjudged(&mut self, packets: u64, frame_bytes: u64) {
        self.count_allowed(packets, frame_bytes);
        self.tally.unjudged_packets += packets;
    }

    /// Counts a frame that was to be forwarded and that the transmit queue didn't take.
    pub fn not_transmitted(&mut self, frame_bytes: u32) {
        self.tally.unjudged_packets = self.tally.unjudged_packets.saturating_sub(1);
        self.tally.forwarded_packets -= 1;
        self.tally.forwarded_bytes -= u64::from(frame_bytes);
        self.tally.dropped[DropReason::TransmitRefused as usize] += 1;
        self.reasons |= 1 << DropReason::TransmitRefused as usize;
    }

    /// The counts so far.
    #[must_use]
    pub fn tally(&self) -> &PortTally {
        &self.tally
    }

    /// Adds the counts to the port's block and starts again at zero.
    #[inline]
    pub fn flush(&mut self, block: &PortBlock) {
        block.add(&self.tally, self.reasons);
        let tally = &mut self.tally;
        tally.received_packets = 0;
        tally.received_bytes = 0;
        tally.forwarded_packets = 0;
        tally.forwarded_bytes = 0;
        tally.unjudged_packets = 0;
        while self.reasons != 0 {
            let reason = self.reasons.trailing_zeros() as usize;
            tally.dropped[reason] = 0;
            tally.would_deny[reason] = 0;
            self.reasons &= self.reasons - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use loadlock_exchange::RuleId;
    use proptest::prelude::*;

    use super::*;
    use crate::verdict::{Basis, Verdict};

    fn verdict() -> impl Strategy<Value = Verdict> {
        let reason = || prop::sample::select(DropReason::ALL);
        prop_oneof![
            Just(Verdict::Allow(Basis::Learning)),
            Just(Verdict::Allow(Basis::Infrastructure)),
            (1u32..9).prop_map(|number| Verdict::Allow(Basis::Rule(RuleId::new(number).unwrap()))),
            reason().prop_map(Verdict::WouldDeny),
            reason().prop_map(Verdict::Deny),
        ]
    }

    #[test]
    fn what_nobody_judged_is_counted_as_far_as_it_was_sent() {
        let (block, mut tally) = (PortBlock::default(), BurstTally::new());
        tally.count_unjudged(3, 180);
        tally.not_transmitted(60);
        tally.flush(&block);
        tally.count_allowed(1, 60);
        tally.flush(&block);
        let total = block.tally();
        assert_eq!((total.received_packets, total.forwarded_packets), (4, 3));
        assert_eq!((total.unjudged_packets, total.dropped_packets()), (2, 1));
    }

    proptest! {
        /// Received = forwarded + dropped, in each burst and in the block; bytes too, of what is forwarded.
        #[test]
        fn every_frame_is_forwarded_or_dropped(
            bursts in prop::collection::vec(
                prop::collection::vec((verdict(), 60u32..1515, any::<bool>()), 0..64), 0..8),
        ) {
            let block = PortBlock::default();
            let mut tally = BurstTally::new();
            let mut expected = PortTally::default();
            for burst in bursts {
                let all_allowed =
                    burst.iter().all(|(verdict, ..)| matches!(verdict, Verdict::Allow(_)));
                if all_allowed {
                    let frame_bytes = burst.iter().map(|&(_, bytes, _)| u64::from(bytes)).sum();
                    tally.count_allowed(burst.len() as u64, frame_bytes);
                }
                if !all_allowed {
                    let verdicts: Vec<_> =
                        burst.iter().map(|&(verdict, ..)| VerdictWord::from(verdict)).collect();
                    let frame_bytes = burst.iter().map(|&(_, bytes, _)| u64::from(bytes)).sum();
                    let dropped = tally.count_burst(&verdicts, frame_bytes, |at| burst[at].1);
                    let denied = |(verdict, ..): &&(Verdict, u32, bool)| !verdict.forwards();
                    prop_assert_eq!(dropped, burst.iter().filter(denied).count());
                }
                for &(verdict, frame_bytes, transmitted) in &burst {
                    expected.received_packets += 1;
                    expected.received_bytes += u64::from(frame_bytes);
                    if let Verdict::WouldDeny(reason) = verdict {
                        expected.would_deny[reason as usize] += 1;
                    }
                    match verdict {
                        Verdict::Deny(reason) => expected.dropped[reason as usize] += 1,
                        _ if transmitted => {
                            expected.forwarded_packets += 1;
                            expected.forwarded_bytes += u64::from(frame_bytes);
                        }
                        _ => {
                            tally.not_transmitted(frame_bytes);
                            expected.dropped[DropReason::TransmitRefused as usize] += 1;
                        }
                    }
                }
                let burst = tally.tally();
                prop_assert_eq!(
                    burst.received_packets,
                    burst.forwarded_packets + burst.dropped_packets()
                );
                tally.flush(&block);
                prop_assert_eq!(tally.tally(), &PortTally::default());
            }
            let total = block.tally();
            prop_assert_eq!(
                total.received_packets,
                total.forwarded_packets + total.dropped_packets()
            );
            prop_assert_eq!(total, expected);
        }
    }
}
