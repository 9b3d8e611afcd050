//! Hugepages for the programs that are measured: reserved before, given back after.

use std::fs;
use std::io;

const COUNT: &str = "/proc/sys/vm/nr_hugepages";
const PAGE_BYTES: u64 = 2 << 20;
/// Of a packet buffer: mbuf, headroom and data room of 2,304 bytes, DPDK's object header and padding.
const MBUF_BYTES: u64 = 2_432;
/// For queues, flow tables and EAL itself.
const OTHER_BYTES: u64 = 1 << 30;

/// A reservation. The number of pages goes back to what it was when this goes out of scope.
pub struct Hugepages {
    before: u64,
}

impl Hugepages {
    /// Sees to it that a program with `mbufs` packet buffers finds its hugepages.
    ///
    /// # Errors
    /// The kernel doesn't have so much memory in one piece, or this isn't root.
    pub fn for_mbufs(mbufs: u32) -> io::Result<Self> {
        Self::for_bytes(u64::from(mbufs) * MBUF_BYTES + OTHER_BYTES)
    }

    /// Sees to it that there are `bytes` on hugepages.
    ///
    /// # Errors
    /// As [`Hugepages::for_mbufs`].
    pub fn for_bytes(bytes: u64) -> io::Result<Self> {
        let wanted = bytes.div_ceil(PAGE_BYTES);
        let before = count()?;
        let reservation = Self { before };
        // The kernel gives what it finds without moving much; asked again it looks further.
        for _ in 0..5 {
            if count()? >= wanted {
                return Ok(reservation);
            }
            fs::write(COUNT, wanted.to_string()).map_err(|error| {
                io::Error::new(error.kind(), format!("{COUNT}: {error}; run this as root"))
            })?;
        }
        let found = count()?;
        if found >= wanted {
            return Ok(reservation);
        }
        Err(io::Error::other(format!(
            "the kernel gave {found} of the {wanted} hugepages that are needed: free memory, write 3 to \
             /proc/sys/vm/drop_caches, or measure less"
        )))
    }
}

impl Drop for Hugepages {
    fn drop(&mut self) {
        // Fails only without the right to reserve, and then nothing was.
        let _ = fs::write(COUNT, self.before.to_string());
    }
}

fn count() -> io::Result<u64> {
    fs::read_to_string(COUNT)?.trim().parse().map_err(io::Error::other)
}
