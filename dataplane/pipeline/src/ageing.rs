//! The sweep over the flow tables: time-outs, read-out of counters, the roll-call for a new control.

use loadlock_exchange::EventKind;

use crate::clock::Moment;
use crate::entry::{Entry, State, TableKey};
use crate::limits::TickTimeouts;
use crate::report::{Counts, EventSink, event, send};
use crate::storage::Zeroed;
use crate::table::{Sweep, Table};

/// In which time the sweep comes round.
const ROUND_NS: u64 = 2_000_000_000;
/// In how many rounds every line's counters are read out: about four minutes. A conversation that lasts for weeks is known to be
/// answered, and in use, long before it ends.
pub(crate) const READ_OUT_ROUNDS: usize = 128;

/// How far the sweep of one table is.
#[derive(Default)]
pub(crate) struct Round {
    swept_ns: u64,
    /// Lines are reported that haven't answered the current roll-call.
    pub calling: bool,
    /// The ring refused one of them: another round is needed.
    refused: bool,
    /// Which of every [`READ_OUT_ROUNDS`] lines are read out in this round.
    turn: usize,
}

impl Round {
    /// Begins a roll-call. The sweep of the table must start at its first line.
    pub fn call(&mut self) {
        self.calling = true;
        self.refused = false;
    }

    /// How many of `lines` lines are due at `now_ns`. What `lines_max` leaves out is due the next time.
    fn due(&mut self, now_ns: u64, lines: usize, lines_max: usize) -> usize {
        // Never more behind than one round: after a pause there is nothing to catch up with.
        self.swept_ns = self.swept_ns.max(now_ns.saturating_sub(ROUND_NS));
        let share = |part: u64, whole: u64, of: u64| {
            (u128::from(part) * u128::from(of) / u128::from(whole.max(1))) as u64
        };
        let due = share(now_ns - self.swept_ns, ROUND_NS, lines as u64).min(lines_max as u64);
        self.swept_ns += share(due, lines as u64, ROUND_NS);
        due as usize
    }

    /// Notes how a sweep went.
    fn swept(&mut self, at_end: bool, refused: bool) {
        self.refused |= refused;
        if at_end {
            self.turn = (self.turn + 1) % READ_OUT_ROUNDS;
            self.calling &= self.refused;
            self.refused = false;
        }
    }
}

/// What the sweep needs.
pub(crate) struct Ageing<'a, S> {
    pub now: Moment,
    pub generation: u16,
    /// The current roll-call, as in [`crate::entry::Flags::ROLL_CALL`].
    pub roll_call: u8,
    pub timeouts: &'a TickTimeouts,
    pub events: &'a mut S,
    pub counts: &'a mut Counts,
    /// The ring refused an event that can wait: don't try again in this call.
    pub refused: bool,
    /// Which lines are read out.
    pub read_out: ReadOut,
}

/// Of which lines the counters are read out, if anything was counted.
#[derive(Clone, Copy)]
pub(crate) enum ReadOut {
    /// Of those whose number has this remainder by [`READ_OUT_ROUNDS`].
    Turn(usize),
    /// Of all.
    All,
}

/// Packets at which a line's counters are read out: the sweep comes by every few seconds, and 2³¹ more
/// packets of one conversation take longer than that.
const PACKETS_READ_OUT: u32 = 1 << 31;

impl<S: EventSink> Ageing<'_, S> {
    /// Sweeps what is due of a table, at most `lines_max` lines.
    pub fn sweep_due<K: TableKey>(
        &mut self,
        table: &mut Table<K>,
        round: &mut Round,
        lines_max: usize,
    ) where
        Entry<K>: Zeroed,
    {
        let due = round.due(self.now.steady_ns, table.lines(), lines_max);
        if due == 0 {
            return;
        }
        self.refused = false;
        self.read_out = ReadOut::Turn(round.turn);
        let at_end = self.sweep(table, due);
        round.swept(at_end, self.refused);
    }

    /// Sweeps the next `lines` lines. Returns true at the table's end.
    pub fn sweep<K: TableKey>(&mut self, table: &mut Table<K>, lines: usize) -> bool
    where
        Entry<K>: Zeroed,
    {
        let crowded = table.length() >= table.lines() / 2;
        table.sweep(lines, |entry, line| self.look(entry, line, crowded))
    }

    fn look<K: TableKey>(&mut self, entry: &mut Entry<K>, line: usize, crowded: bool) -> Sweep {
        if self.now.tick().wrapping_sub(entry.last_seen) >= self.timeouts.of(entry) {
            return self.end(entry, crowded);
        }
        if entry.generation != self.generation {
            entry.generation = self.generation.wrapping_sub(1);
        }
        if entry.packets.iter().any(|&packets| packets >= PACKETS_READ_OUT) {
            let counted = event(EventKind::Counted, entry, self.now.clock_ns);
            if send(self.events, self.counts, &counted) {
                start_again(entry);
            }
        } else if !self.refused && self.is_due(line) && entry.packets != [0; 2] {
            self.read_out(entry);
        }
        if !entry.flags.answered(self.roll_call) && !self.refused {
            self.repeat(entry);
        }
        Sweep::Keep
    }

    fn is_due(&self, line: usize) -> bool {
        match self.read_out {
            ReadOut::Turn(turn) => line % READ_OUT_ROUNDS == turn,
            ReadOut::All => true,
        }
    }

    /// Reports what was counted so far. A refusal isn't counted: nothing is lost, the counters go on. What control hasn't heard of is
    /// first reported as begun.
    fn read_out<K: TableKey>(&mut self, entry: &mut Entry<K>) {
        if entry.flags.unreported() {
            return;
        }
        let counted = event(EventKind::Counted, entry, self.now.clock_ns);
        if self.events.push(&counted).is_err() {
            self.refused = true;
            return;
        }
        self.counts.events_sent += 1;
        start_again(entry);
    }

    fn end<K: TableKey>(&mut self, entry: &mut Entry<K>, crowded: bool) -> Sweep {
        let ended = event(EventKind::Ended, entry, self.now.clock_ns);
        let reported = self.events.push(&ended).is_ok();
        if !reported && !crowded {
            // Its report is kept until the ring has room, as long as the table has. For packets it is over: verdicts must
            // not depend on whether control reads its events.
            entry.state = State::OVER;
            return Sweep::Keep;
        }
        self.counts.flows_ended += 1;
        self.counts.events_sent += u64::from(reported);
        self.counts.events_refused += u64::from(!reported);
        Sweep::Remove
    }

    /// Reports a conversation that hasn't answered the roll-call. A refusal isn't counted: nothing is lost, the next round
    /// comes by again.
    fn repeat<K: TableKey>(&mut self, entry: &mut Entry<K>) {
        let mut started = event(EventKind::Started, entry, self.now.clock_ns);
        started.flags.repeated = !entry.flags.unreported();
        if self.events.push(&started).is_err() {
            self.refused = true;
            return;
        }
        self.counts.events_sent += 1;
        entry.flags.answer(self.roll_call);
    }
}

fn start_again<K: TableKey>(entry: &mut Entry<K>) {
    entry.packets = [0; 2];
    entry.bytes = [0; 2];
}

#[cfg(test)]
mod tests {
    use loadlock_exchange::{Event, Generation, Seed};
    use loadlock_packet::{MacAddress, NarrowKey, Side};

    use super::*;
    use crate::entry::Flags;
    use crate::limits::Timeouts;
    use crate::verdict::VerdictWord;

    fn table(packets: [u32; 2], generation: u16) -> Table<NarrowKey> {
        let mut table = Table::new(4, Seed([1, 2]), false).unwrap();
        let key = NarrowKey([1, 0]);
        let entry = Entry {
            key,
            bytes: packets.map(|packets| u64::from(packets) * 60),
            packets,
            last_seen: 0,
            verdict: VerdictWord::LEARNING,
            generation,
            state: State::UDP,
            flags: Flags::new(Side::A, 0),
            macs: [MacAddress([0; 6]); 2],
        };
        table.insert(entry, table.hash(&key)).unwrap();
        table
    }

    fn sweep(table: &mut Table<NarrowKey>, generation: Generation) -> (Vec<Event>, Counts) {
        // No line has this number.
        sweep_in(table, generation, ReadOut::Turn(READ_OUT_ROUNDS))
    }

    fn sweep_in(
        table: &mut Table<NarrowKey>,
        generation: Generation,
        read_out: ReadOut,
    ) -> (Vec<Event>, Counts) {
        const SECOND_NS: u64 = 1_000_000_000;
        let timeouts = TickTimeouts::new(&Timeouts {
            tcp_opening_ns: SECOND_NS,
            tcp_open_ns: SECOND_NS,
            tcp_closing_ns: SECOND_NS,
            udp_ns: SECOND_NS,
            icmp_ns: SECOND_NS,
            other_ns: SECOND_NS,
            grace_ns: SECOND_NS,
            denied_report_ns: SECOND_NS,
            fragment_ns: SECOND_NS,
        });
        let (mut events, mut counts) = (Vec::new(), Counts::default());
        let mut ageing = Ageing {
            now: Moment { steady_ns: 0, clock_ns: 0 },
            generation: generation.0 as u16,
            roll_call: 0,
            timeouts: &timeouts,
            events: &mut events,
            counts: &mut counts,
            refused: false,
            read_out,
        };
        assert!(ageing.sweep(table, usize::MAX));
        (events, counts)
    }

    #[test]
    fn packets_are_read_out_before_they_wrap() {
        let mut table = table([PACKETS_READ_OUT, 7], 3);
        let (events, counts) = sweep(&mut table, Generation(3));
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].kind, EventKind::Counted);
        assert_eq!(events[0].packets, [u64::from(PACKETS_READ_OUT), 7]);
        assert_eq!(events[0].bytes, events[0].packets.map(|packets| packets * 60));
        assert_eq!(counts.events_sent, 1);
        assert_eq!(sweep(&mut table, Generation(3)).0, [], "they start at zero again");
        let mut below = self::table([PACKETS_READ_OUT - 1; 2], 3);
        assert_eq!(sweep(&mut below, Generation(3)).0, []);
    }

    #[test]
    fn every_line_is_read_out_once_in_its_turn() {
        let mut table = table([3, 2], 3);
        let turns = (0..READ_OUT_ROUNDS).map(ReadOut::Turn);
        let events: Vec<Event> =
            turns.flat_map(|turn| sweep_in(&mut table, Generation(3), turn).0).collect();
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].kind, events[0].packets), (EventKind::Counted, [3, 2]));
    }

    #[test]
    fn lines_behind_stay_behind_when_the_generation_turns_over() {
        let mut table = table([1, 1], 3);
        for generation in (4..4 + (1u64 << 17)).step_by(60_000) {
            sweep(&mut table, Generation(generation));
            let line = table.find(&NarrowKey([1, 0]), table.hash(&NarrowKey([1, 0]))).unwrap();
            assert_ne!(table.get_mut(line).generation, generation as u16);
        }
    }

    #[test]
    fn a_round_takes_its_time_whatever_the_steps() {
        for (step_ns, lines_max) in [(1_000, 64), (1_000_000, 1_000), (50_000_000, usize::MAX)] {
            let mut round = Round::default();
            let start_ns = 1 << 60;
            round.due(start_ns, 10_000, usize::MAX);
            let swept: usize = (1..=4 * ROUND_NS / step_ns)
                .map(|step| round.due(start_ns + step * step_ns, 10_000, lines_max))
                .sum();
            assert!((39_990..=40_000).contains(&swept), "{swept} lines in steps of {step_ns} ns");
        }
    }
}
