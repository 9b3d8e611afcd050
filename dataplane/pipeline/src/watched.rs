//! How far the conversations that may negotiate ports were read: a segment counts only where a message begins in the stream, or a
//! peer could choose by the sizes of segments what stands at the start of one.
//!
//! A small direct-mapped table. Whoever is displaced by another conversation isn't read until a message of each side has
//! ended with a segment again.

use loadlock_packet::negotiation::End;
use loadlock_packet::{Side, TcpFlags};

use crate::entry::Flags;

/// Conversations, a power of two; 32 bytes each.
const SLOTS: usize = 1024;

/// What is known of one side's stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    /// Nothing that would say where a message begins.
    #[default]
    Lost,
    /// The next byte, whatever its number, begins a message: nothing was sent yet.
    Fresh,
    /// The byte of this sequence number begins a message.
    At(u32),
}

#[derive(Clone, Copy, Default)]
struct Watch {
    hash: u64,
    positions: [Position; 2],
    asked: bool,
}

/// What a segment is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// It begins with a message.
    Next,
    /// It was read before.
    Repeated,
    /// Something is missing before it, or unknown.
    Astray,
}

/// The watched conversations of one worker.
pub(crate) struct Watched(Box<[Watch]>);

impl Watched {
    pub fn new() -> Self {
        Self(vec![Watch::default(); SLOTS].into_boxed_slice())
    }

    fn watch(&mut self, hash: u64) -> &mut Watch {
        let watch = &mut self.0[hash as usize % SLOTS];
        if watch.hash != hash {
            *watch = Watch { hash, ..Watch::default() };
        }
        watch
    }

    /// A SYN-ACK of `sender`, with this sequence number: both streams begin.
    pub fn begin(&mut self, hash: u64, sender: Side, sequence: u32) {
        let watch = self.watch(hash);
        watch.asked = false;
        watch.positions[sender as usize] = Position::At(sequence.wrapping_add(1));
        watch.positions[sender.other() as usize] = Position::Fresh;
    }

    /// How a segment of `length` bytes follows what was read of `sender`.
    pub fn place(&mut self, hash: u64, sender: Side, sequence: u32, length: usize) -> Segment {
        match self.watch(hash).positions[sender as usize] {
            Position::Fresh => Segment::Next,
            Position::Lost => Segment::Astray,
            Position::At(next) => {
                let ahead = sequence.wrapping_sub(next).cast_signed();
                let behind_end = i64::from(ahead) + length as i64;
                match ahead {
                    0 => Segment::Next,
                    ..0 if behind_end <= 0 => Segment::Repeated,
                    _ => Segment::Astray,
                }
            }
        }
    }

    /// A segment that wasn't read before ends so.
    pub fn ended(&mut self, hash: u64, sender: Side, next: u32, end: End) {
        self.watch(hash).positions[sender as usize] = match end {
            End::Here => Position::At(next),
            End::Later => Position::Lost,
        };
    }

    /// Did the client's last message ask for a port?
    pub fn asked(&mut self, hash: u64) -> &mut bool {
        &mut self.watch(hash).asked
    }
}

/// Is this the answer that begins a connection, on a line with these flags?
pub(crate) fn begins(tcp_flags: TcpFlags, flags: Flags, sender: Side) -> bool {
    tcp_flags.has(TcpFlags::SYN | TcpFlags::ACK) && sender != flags.initiator()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_follows_what_was_read_is_next() {
        let mut watched = Watched::new();
        assert_eq!(watched.place(7, Side::A, 100, 5), Segment::Astray, "never seen to begin");
        watched.begin(7, Side::B, u32::MAX);
        assert_eq!(watched.place(7, Side::B, 0, 10), Segment::Next);
        watched.ended(7, Side::B, 10, End::Here);
        assert_eq!(watched.place(7, Side::B, 0, 10), Segment::Repeated);
        assert_eq!(watched.place(7, Side::B, 4, 6), Segment::Repeated, "from its middle");
        assert_eq!(watched.place(7, Side::B, 4, 7), Segment::Astray, "and more");
        assert_eq!(watched.place(7, Side::B, 11, 1), Segment::Astray, "something is missing");
        assert_eq!(watched.place(7, Side::B, 10, 1), Segment::Next);
        watched.ended(7, Side::B, 11, End::Later);
        assert_eq!(watched.place(7, Side::B, 11, 1), Segment::Astray);
        assert_eq!(watched.place(7, Side::A, 12_345, 1), Segment::Next, "the client's first");
    }

    #[test]
    fn a_displaced_conversation_is_not_read() {
        let mut watched = Watched::new();
        watched.begin(7, Side::B, 0);
        *watched.asked(7) = true;
        watched.begin(7 + SLOTS as u64, Side::B, 0);
        assert_eq!(watched.place(7, Side::B, 1, 5), Segment::Astray);
        assert!(!*watched.asked(7));
    }
}
