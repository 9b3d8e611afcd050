//! The far ends of the link; the work is in `link.c`.

use std::ffi::{CString, c_char, c_int};
use std::io;
use std::time::{Duration, Instant};

/// As in `link.c`.
const BUCKETS: usize = 16 * 32;
const FRAME_BYTES: usize = 60;

/// As `struct loadlock_bench_trial`.
#[repr(C)]
struct RawTrial {
    packets_per_second: u64,
    cycles: u64,
    frames: [*const u8; 2],
    frame_count: u32,
    frame_bytes: u32,
    offered: u64,
    sent: u64,
    received: u64,
    latency: [u64; BUCKETS],
}

unsafe extern "C" {
    fn loadlock_bench_link_open(lcore: *mut c_char, a: *mut c_char, b: *mut c_char) -> c_int;
    fn loadlock_bench_link_up() -> c_int;
    fn loadlock_bench_tsc_hz() -> u64;
    fn loadlock_bench_trial(trial: *mut RawTrial);
}

/// What one trial found.
pub struct Trial {
    /// Frames that were due by the rate.
    pub offered: u64,
    /// Frames that came back.
    pub received: u64,
    /// (cycles, count): the highest value of each bucket.
    pub latency: Vec<(u64, u64)>,
    /// Cycles a second.
    pub hz: u64,
}

/// Two connected ports, used by the thread that opened them, which is bound to its CPU.
pub struct Link {
    hz: u64,
}

impl Link {
    /// Opens `devices` (`--vdev` texts) on CPU `cpu` and waits until both are connected. Once a process.
    ///
    /// # Errors
    /// EAL or a port doesn't start, or nobody is at the other end for ten seconds.
    pub fn open(cpu: usize, devices: &[String; 2]) -> io::Result<Self> {
        let owned = |text: &str| CString::new(text).map(CString::into_bytes_with_nul);
        // EAL keeps pointers to its arguments for as long as the process runs.
        let lcore = owned(&format!("0@{cpu}"))?.leak();
        let [a, b] = devices;
        let (a, b) = (owned(a)?.leak(), owned(b)?.leak());
        // SAFETY: three NUL-terminated texts that are never freed; nothing else has started EAL.
        let failed = unsafe {
            loadlock_bench_link_open(
                lcore.as_mut_ptr().cast(),
                a.as_mut_ptr().cast(),
                b.as_mut_ptr().cast(),
            )
        };
        if failed != 0 {
            let step = ["EAL", "the pool", "the devices", "a port"]
                .get(failed as usize - 1)
                .unwrap_or(&"something");
            return Err(io::Error::other(format!(
                "the link's far end: {step} didn't start; DPDK says why above"
            )));
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        // SAFETY: both ports are there.
        while unsafe { loadlock_bench_link_up() } == 0 {
            if Instant::now() > deadline {
                return Err(io::Error::other("the memif ports aren't connected after 10 s"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // SAFETY: EAL runs.
        Ok(Self { hz: unsafe { loadlock_bench_tsc_hz() } })
    }

    /// Offers the frames of each side, which lie behind one another, in turn at `packets_per_second` for both together; 0: as many
    /// as the link takes.
    pub fn trial(
        &mut self,
        frames: &[Vec<u8>; 2],
        packets_per_second: u64,
        duration: Duration,
    ) -> Trial {
        let frame_count = frames[0].len().min(frames[1].len()) / FRAME_BYTES;
        let mut raw = RawTrial {
            packets_per_second,
            cycles: (duration.as_secs_f64() * self.hz as f64) as u64,
            frames: [frames[0].as_ptr(), frames[1].as_ptr()],
            frame_count: frame_count as u32,
            frame_bytes: FRAME_BYTES as u32,
            offered: 0,
            sent: 0,
            received: 0,
            latency: [0; BUCKETS],
        };
        // SAFETY: the ports run, by this thread alone; both arrays hold as many frames as said and outlive the call.
        unsafe { loadlock_bench_trial(&raw mut raw) };
        let counts = raw.latency.iter().enumerate().filter(|(_, count)| **count != 0);
        let value_max = |bucket: usize| ((bucket % 16 + 17) as u64) << (bucket / 16);
        Trial {
            offered: raw.offered,
            received: raw.received,
            latency: counts.map(|(bucket, &count)| (value_max(bucket), count)).collect(),
            hz: self.hz,
        }
    }
}
