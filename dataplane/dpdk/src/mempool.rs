//! Pools of mbufs.

use std::ffi::CString;
use std::fmt;
use std::ptr::NonNull;

use loadlock_dpdk_sys as sys;

use crate::{Eal, Errno, Mbuf};

/// The longest name of a pool in bytes.
const NAME_BYTES_MAX: usize = sys::LOADLOCK_MEMPOOL_NAME_BYTES as usize - 1;
/// The largest per-lcore cache.
const CACHE_MAX: u32 = sys::LOADLOCK_MEMPOOL_CACHE_MAX;
/// What lies before a frame in each mbuf's buffer.
const HEADROOM_BYTES: u16 = sys::LOADLOCK_HEADROOM_BYTES as u16;

/// A pool of mbufs, shared by the ports and workers given to it.
///
/// It lives until the process ends: queues and workers hold mbufs of it at times nobody could count without a cost per
/// packet, so dropping the handle frees nothing.
#[derive(Debug)]
pub struct Mempool {
    pool: NonNull<sys::rte_mempool>,
    name: String,
    mbufs: u32,
    data_room_bytes: u16,
}

// SAFETY: a DPDK pool may be used by all threads at once, and the handle isn't bound to a thread.
unsafe impl Send for Mempool {}

// SAFETY: as above; all methods only read counts, which DPDK allows while others take and give.
unsafe impl Sync for Mempool {}

/// Why a pool couldn't be made.
#[derive(Debug)]
pub enum MempoolError {
    /// The name is empty, too long for DPDK, or has a NUL.
    Name {
        /// As given.
        name: String,
    },
    /// More mbufs in a cache than DPDK or the pool's size allow.
    Cache {
        /// The pool's name.
        name: String,
        /// As given.
        cache: u32,
        /// The most for a pool of this size.
        max: u32,
    },
    /// The headroom doesn't fit beside that many bytes.
    DataRoom {
        /// The pool's name.
        name: String,
        /// As given.
        data_room_bytes: u16,
    },
    /// DPDK refused, mostly for want of memory.
    Create {
        /// The pool's name.
        name: String,
        /// As given.
        mbufs: u32,
        /// About what the pool takes.
        mib: u64,
        /// DPDK's reason.
        cause: Errno,
    },
}

impl fmt::Display for MempoolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name } => write!(
                formatter,
                "mempool \"{name}\": allowed is a name of 1 to {NAME_BYTES_MAX} bytes without NUL; shorten it"
            ),
            Self::Cache { name, cache, max } => write!(
                formatter,
                "mempool {name}: a cache of {cache} mbufs, allowed are 0 to {max} (at most {CACHE_MAX}, and two thirds \
                 of the pool); lower the cache or raise the mbufs"
            ),
            Self::DataRoom { name, data_room_bytes } => write!(
                formatter,
                "mempool {name}: a data room of {data_room_bytes} bytes, allowed are 1 to {}; mostly 2048 is right",
                u16::MAX - HEADROOM_BYTES
            ),
            Self::Create { name, mbufs, mib, cause } => write!(
                formatter,
                "mempool {name}: can't make {mbufs} mbufs, about {mib} MiB: {cause}; give EAL more memory, or lower the \
                 mbufs; if the cause is that it exists, choose another name"
            ),
        }
    }
}

impl std::error::Error for MempoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Create { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl Mempool {
    /// Makes a pool.
    ///
    /// * `mbufs`: enough for all descriptors of all queues that use it, all caches and all bursts in flight; 2^n - 1
    ///   wastes the least memory.
    /// * `cache`: mbufs that each lcore keeps for itself, without atomics; 0 for none.
    /// * `data_room_bytes`: frame bytes that one mbuf holds; the headroom comes on top. Drivers like multiples of 1024.
    /// * `socket`: the NUMA node of the port that fills it; `None` for any.
    pub fn new(
        _eal: &Eal,
        name: &str,
        mbufs: u32,
        cache: u32,
        data_room_bytes: u16,
        socket: Option<u32>,
    ) -> Result<Self, MempoolError> {
        let name_for_c = check(name, mbufs, cache, data_room_bytes)?;
        let socket = socket.and_then(|node| i32::try_from(node).ok()).unwrap_or(-1);
        // SAFETY: EAL runs, as an Eal exists; the name is NUL-terminated and copied; the sizes are checked.
        let pool = unsafe {
            sys::rte_pktmbuf_pool_create(
                name_for_c.as_ptr(),
                mbufs,
                cache,
                0,
                data_room_bytes + HEADROOM_BYTES,
                socket,
            )
        };
        let pool = NonNull::new(pool).ok_or_else(|| MempoolError::Create {
            name: name.to_owned(),
            mbufs,
            mib: size_mib(mbufs, data_room_bytes),
            cause: Errno::last(),
        })?;
        Ok(Self { pool, name: name.to_owned(), mbufs, data_room_bytes })
    }

    /// Its name, as in messages and metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many mbufs it was made with.
    pub fn mbufs(&self) -> u32 {
        self.mbufs
    }

    /// Frame bytes that one mbuf holds.
    pub fn data_room_bytes(&self) -> u16 {
        self.data_room_bytes
    }

    /// How many mbufs can be taken now, those in caches included. Visits all lcores: not for the packet path.
    pub fn available(&self) -> u32 {
        // SAFETY: pools live as long as the process.
        unsafe { sys::rte_mempool_avail_count(self.pool.as_ptr()) }
    }

    /// How many mbufs are out: in queues, in bursts, in flight. Visits all lcores: not for the packet path.
    pub fn in_use(&self) -> u32 {
        // SAFETY: pools live as long as the process.
        unsafe { sys::rte_mempool_in_use_count(self.pool.as_ptr()) }
    }

    /// A frame of these bytes, to be sent for a test; `None`: the pool is empty, or they don't fit into one mbuf.
    pub fn frame(&self, bytes: &[u8]) -> Option<Mbuf> {
        let count = u16::try_from(bytes.len()).ok()?;
        // SAFETY: pools live as long as the process; `bytes` is readable for `count` bytes, which are copied.
        let mbuf = unsafe { sys::loadlock_mbuf_of(self.pool.as_ptr(), bytes.as_ptr(), count) };
        // SAFETY: it was allocated just now, and nobody else has it.
        NonNull::new(mbuf).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) })
    }

    /// The pointer, for a port's set-up.
    pub(crate) fn as_ptr(&self) -> *mut sys::rte_mempool {
        self.pool.as_ptr()
    }
}

/// Everything DPDK would refuse with a bare EINVAL.
fn check(
    name: &str,
    mbufs: u32,
    cache: u32,
    data_room_bytes: u16,
) -> Result<CString, MempoolError> {
    let refused = || MempoolError::Name { name: name.to_owned() };
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(refused());
    }
    let name_for_c = CString::new(name).map_err(|_| refused())?;
    // DPDK flushes a cache at one and a half times its size, which must not exceed the pool.
    let max = CACHE_MAX.min((u64::from(mbufs) * 2 / 3) as u32);
    if cache > max {
        return Err(MempoolError::Cache { name: name.to_owned(), cache, max });
    }
    if data_room_bytes == 0 || data_room_bytes.checked_add(HEADROOM_BYTES).is_none() {
        return Err(MempoolError::DataRoom { name: name.to_owned(), data_room_bytes });
    }
    Ok(name_for_c)
}

/// The pool's memory in MiB, rounded up: mbuf, buffer and DPDK's object header of one cache line.
fn size_mib(mbufs: u32, data_room_bytes: u16) -> u64 {
    let mbuf_bytes = u64::from(sys::LOADLOCK_MBUF_BYTES)
        + u64::from(HEADROOM_BYTES)
        + u64::from(data_room_bytes)
        + 64;
    (u64::from(mbufs) * mbuf_bytes).div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::{CACHE_MAX, MempoolError, check, size_mib};

    #[test]
    fn what_dpdk_would_refuse_is_named() {
        assert!(check("frames", 8191, 256, 2048).is_ok());
        assert!(matches!(check("", 8191, 0, 2048), Err(MempoolError::Name { .. })));
        assert!(matches!(check(&"x".repeat(26), 8191, 0, 2048), Err(MempoolError::Name { .. })));
        assert!(matches!(
            check("frames", 300, 256, 2048),
            Err(MempoolError::Cache { max: 200, .. })
        ));
        assert!(matches!(
            check("frames", 8191, 513, 2048),
            Err(MempoolError::Cache { max: CACHE_MAX, .. })
        ));
        assert!(matches!(check("frames", 8191, 0, 65_500), Err(MempoolError::DataRoom { .. })));
        assert!(matches!(check("frames", 8191, 0, 0), Err(MempoolError::DataRoom { .. })));
        assert_eq!(size_mib(8192, 2048 - 64), 18);
    }
}
