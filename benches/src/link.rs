//! The generator: a process at the far ends of both ports of a dataplane, over shared memory. The work is in `link.c`.

use std::ffi::{CString, c_char, c_int};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// As in `link.c`.
const BUCKETS: usize = 16 * 32;
/// As in `link.c`.
const TRAILER_BYTES: usize = 6;

/// As `struct loadlock_bench_trial`.
#[repr(C)]
struct RawTrial {
    packets_per_second: u64,
    cycles: u64,
    frames: [*const u8; 2],
    lengths: [*const u16; 2],
    counts: [u32; 2],
    stride: u32,
    counter_at: [u32; 2],
    number: u32,
    backlog_max: u32,
    pause_ns: u32,
    offered: u64,
    offered_marked: u64,
    sent: u64,
    received: u64,
    received_marked: u64,
    withheld: u64,
    late: u64,
    latency: [u64; BUCKETS],
}

unsafe extern "C" {
    fn loadlock_bench_link_open(
        lcore: *mut c_char,
        prefix: *mut c_char,
        a: *mut c_char,
        b: *mut c_char,
        hugepages: c_int,
    ) -> c_int;
    fn loadlock_bench_link_up() -> c_int;
    fn loadlock_bench_link_flap(port: u16, down_ms: u32) -> c_int;
    fn loadlock_bench_tsc_hz() -> u64;
    fn loadlock_bench_trial(trial: *mut RawTrial);
}

/// The frames that go out on both ports, each in turn.
pub struct Stream {
    frames: [Vec<u8>; 2],
    lengths: [Vec<u16>; 2],
    stride: usize,
    counter_at: [u32; 2],
}

impl Stream {
    /// The frames of side A and of side B; a side without any doesn't send. The last six bytes of each carry the generator's marks, so that
    /// they must lie behind all headers.
    #[must_use]
    pub fn new(sides: [&[Vec<u8>]; 2]) -> Self {
        let stride = sides.iter().flat_map(|frames| frames.iter().map(Vec::len)).max().unwrap_or(0);
        let flat = |frames: &[Vec<u8>]| {
            let mut bytes = vec![0; frames.len() * stride];
            for (place, frame) in bytes.chunks_exact_mut(stride.max(1)).zip(frames) {
                place[..frame.len()].copy_from_slice(frame);
                place[frame.len() - TRAILER_BYTES..frame.len()].fill(0);
            }
            bytes
        };
        let lengths = |frames: &[Vec<u8>]| frames.iter().map(|frame| frame.len() as u16).collect();
        Self { frames: sides.map(flat), lengths: sides.map(lengths), stride, counter_at: [0; 2] }
    }

    /// Marks side A's frames for which `denied` holds, by their number, as what no rule permits.
    #[must_use]
    pub fn mark(mut self, denied: impl Fn(usize) -> bool) -> Self {
        for (number, length) in self.lengths[0].iter().enumerate() {
            self.frames[0][number * self.stride + usize::from(*length) - 1] =
                u8::from(denied(number));
        }
        self
    }

    /// Writes a running number over the two bytes at each of `places`, so that each frame is one that was never sent.
    #[must_use]
    pub fn counted(mut self, places: [u32; 2]) -> Self {
        self.counter_at = places;
        self
    }
}

/// What one trial found.
pub struct Trial {
    /// Frames that were due by the rate.
    pub offered: u64,
    /// Those of them that no rule permits.
    pub offered_marked: u64,
    /// Frames that the link took.
    pub sent: u64,
    /// Frames that came back.
    pub received: u64,
    /// Those of them that no rule permits.
    pub received_marked: u64,
    /// Frames that weren't offered, since the generator's thread was late; see [`Link::share_cpu`].
    pub withheld: u64,
    /// Frames of earlier trials that came back in this one.
    pub late: u64,
    /// (cycles, count): the highest value of each bucket.
    pub latency: Vec<(u64, u64)>,
    /// Cycles a second.
    pub hz: u64,
}

/// Two connected ports, used by the thread that opened them, which is bound to its CPU.
pub struct Link {
    hz: u64,
    number: u32,
    backlog_max: u32,
    pause_ns: u32,
}

impl Link {
    /// Opens `devices` (`--vdev` texts) on CPU `cpu` and waits until both are connected. Once a process. Without `hugepages` it is slow.
    ///
    /// # Errors
    /// EAL or a port doesn't start, or nobody is at the other end for ten seconds.
    pub fn open(cpu: usize, devices: &[String; 2], hugepages: bool) -> io::Result<Self> {
        let owned = |text: &str| CString::new(text).map(CString::into_bytes_with_nul);
        // EAL keeps pointers to its arguments for as long as the process runs.
        let lcore = owned(&format!("0@{cpu}"))?.leak();
        let prefix = format!("loadlock-link-{}", std::process::id());
        let prefix_argument = owned(&format!("--file-prefix={prefix}"))?.leak();
        let [a, b] = devices;
        let (a, b) = (owned(a)?.leak(), owned(b)?.leak());
        // SAFETY: NUL-terminated texts that are never freed; nothing else has started EAL.
        let failed = unsafe {
            loadlock_bench_link_open(
                lcore.as_mut_ptr().cast(),
                prefix_argument.as_mut_ptr().cast(),
                a.as_mut_ptr().cast(),
                b.as_mut_ptr().cast(),
                c_int::from(hugepages),
            )
        };
        // EAL leaves its runtime folder behind, unless its memory is anonymous.
        let _ = std::fs::remove_dir_all(Path::new("/var/run/dpdk").join(prefix));
        if failed != 0 {
            let step = ["EAL", "the pool", "the devices", "a port"]
                .get(failed as usize - 1)
                .unwrap_or(&"something");
            return Err(io::Error::other(format!(
                "the link's far end: {step} didn't start; DPDK says why above"
            )));
        }
        if !Self::is_up_within(Duration::from_secs(10)) {
            return Err(io::Error::other("the memif ports aren't connected after 10 s"));
        }
        // SAFETY: EAL runs.
        Ok(Self { hz: unsafe { loadlock_bench_tsc_hz() }, number: 0, backlog_max: 0, pause_ns: 0 })
    }

    fn is_up_within(time: Duration) -> bool {
        let deadline = Instant::now() + time;
        // SAFETY: both ports are there.
        while unsafe { loadlock_bench_link_up() } == 0 {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// From here on this thread leaves its CPU to others: it sleeps for `pause` whenever nothing is due, goes before other threads when it wakes (where
    /// it may), and doesn't offer frames that are due while more than `backlog_max` others are: what it was too late for doesn't come as a
    /// burst that no wire would carry. Latency is measured in steps of the pause then.
    pub fn share_cpu(&mut self, pause: Duration, backlog_max: u32) {
        self.backlog_max = backlog_max;
        self.pause_ns = pause.subsec_nanos();
        let priority = libc::sched_param { sched_priority: 1 };
        // SAFETY: a valid parameter, for the calling thread. Refused without the right to; then it is late more often.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
    }

    /// Takes the link of port 0 or 1 away for `down`, and waits until both are up again. The other end may refuse the first attempts, as long
    /// as it hasn't noticed.
    ///
    /// # Errors
    /// The port doesn't stop or start, or isn't connected after ten attempts of a second.
    pub fn flap(&mut self, port: u16, down: Duration) -> io::Result<()> {
        for _ in 0..10 {
            // SAFETY: the port is one of the two, and only this thread uses them.
            if unsafe { loadlock_bench_link_flap(port, down.as_millis() as u32) } != 0 {
                return Err(io::Error::other(format!(
                    "port {port} of the generator doesn't start"
                )));
            }
            if Self::is_up_within(Duration::from_secs(1)) {
                return Ok(());
            }
        }
        Err(io::Error::other(format!("port {port} of the generator isn't connected again")))
    }

    /// Offers the stream's frames at `packets_per_second` for both ports together, in turn; 0: as many as the link takes.
    pub fn trial(&mut self, stream: &Stream, packets_per_second: u64, duration: Duration) -> Trial {
        let [a, b] = &stream.frames;
        let [lengths_a, lengths_b] = &stream.lengths;
        let mut raw = RawTrial {
            packets_per_second,
            cycles: (duration.as_secs_f64() * self.hz as f64) as u64,
            frames: [a.as_ptr(), b.as_ptr()],
            lengths: [lengths_a.as_ptr(), lengths_b.as_ptr()],
            counts: [lengths_a.len() as u32, lengths_b.len() as u32],
            stride: stream.stride as u32,
            counter_at: stream.counter_at,
            number: self.number,
            backlog_max: self.backlog_max,
            pause_ns: self.pause_ns,
            offered: 0,
            offered_marked: 0,
            sent: 0,
            received: 0,
            received_marked: 0,
            withheld: 0,
            late: 0,
            latency: [0; BUCKETS],
        };
        // SAFETY: the ports run, by this thread alone; all arrays hold as many frames as said and outlive the call.
        unsafe { loadlock_bench_trial(&raw mut raw) };
        self.number = raw.number;
        let counts = raw.latency.iter().enumerate().filter(|(_, count)| **count != 0);
        let value_max = |bucket: usize| ((bucket % 16 + 17) as u64) << (bucket / 16);
        Trial {
            offered: raw.offered,
            offered_marked: raw.offered_marked,
            sent: raw.sent,
            received: raw.received,
            received_marked: raw.received_marked,
            withheld: raw.withheld,
            late: raw.late,
            latency: counts.map(|(bucket, &count)| (value_max(bucket), count)).collect(),
            hz: self.hz,
        }
    }
}

impl Trial {
    /// Frames a second that came back.
    #[must_use]
    pub fn received_pps(&self, duration: Duration) -> f64 {
        self.received as f64 / duration.as_secs_f64()
    }

    /// Permitted frames that were due and didn't come back.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let permitted = self.offered - self.offered_marked;
        permitted.saturating_sub(self.received - self.received_marked)
    }
}
