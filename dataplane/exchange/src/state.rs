//! What the dataplane says of itself and of its ports.

use crate::layout::PORT_STATE_WORDS;
use crate::sync::{AtomicU64, Ordering};

/// What the dataplane process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum DataplaneState {
    /// Not running, or ended in order.
    Stopped = 0,
    /// Opening ports.
    Starting = 1,
    /// Ready, waiting for the first policy.
    Waiting = 2,
    /// Judging packets.
    Running = 3,
    /// Told to end.
    Stopping = 4,
}

impl DataplaneState {
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        use DataplaneState::{Running, Starting, Stopped, Stopping, Waiting};
        [Stopped, Starting, Waiting, Running, Stopping]
            .into_iter()
            .find(|state| *state as u64 == word)
    }

    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Waiting => "waiting for policy",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

/// What the dataplane does with a segment's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Handling {
    /// They are judged.
    #[default]
    Judged = 0,
    /// All are forwarded, unjudged: in bypass, or after a failure that opens the segment.
    Open = 1,
    /// All are dropped, after a failure that closes the segment.
    Closed = 2,
}

impl Handling {
    /// That of a word whose lowest two bits say it; what no dataplane writes is taken for judged.
    #[inline]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        match word & 3 {
            1 => Self::Open,
            2 => Self::Closed,
            _ => Self::Judged,
        }
    }
}

/// A port's link and the device's own counters, since the dataplane's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortState {
    /// Link is up.
    pub link_up: bool,
    /// Mbit/s, 0 if unknown.
    pub speed_mbps: u32,
    /// Frames the device dropped because its receive queue was full: they never reached Loadlock.
    pub missed: u64,
    /// Frames the device refused as damaged.
    pub receive_errors: u64,
    /// Frames lost because no packet buffer was free.
    pub no_buffer: u64,
    /// Frames the device failed to send after it had taken them.
    pub transmit_errors: u64,
    /// What is done with the frames of its segment.
    pub handling: Handling,
}

impl PortState {
    pub(crate) fn store(&self, words: &[AtomicU64]) {
        let values = [
            u64::from(self.link_up),
            u64::from(self.speed_mbps),
            self.missed,
            self.receive_errors,
            self.no_buffer,
            self.transmit_errors,
            self.handling as u64,
        ];
        debug_assert!(values.len() <= PORT_STATE_WORDS);
        for (word, value) in words.iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
    }

    pub(crate) fn load(words: &[AtomicU64]) -> Self {
        let value = |at: usize| words[at].load(Ordering::Relaxed);
        Self {
            link_up: value(0) != 0,
            speed_mbps: u32::try_from(value(1)).unwrap_or(0),
            missed: value(2),
            receive_errors: value(3),
            no_buffer: value(4),
            transmit_errors: value(5),
            handling: Handling::from_word(value(6)),
        }
    }
}
