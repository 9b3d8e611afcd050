//! One received frame in DPDK's memory.

use std::ptr::NonNull;
use std::slice;

use loadlock_dpdk_sys as sys;

use crate::TimestampField;

/// An owned frame: a chain of one or more segments. Dropping it gives all segments back to their pool.
///
/// Eight bytes, a bare pointer. The frame can be read but not written: Loadlock changes nothing it forwards. Reading
/// touches the mbuf's first cache line (the second only to go to a further segment) and the frame's data.
#[derive(Debug)]
#[repr(transparent)]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

const _: () = assert!(size_of::<Mbuf>() == size_of::<*mut sys::rte_mbuf>());

// SAFETY: an Mbuf is the only owner of its segments, and pools take them back from any thread.
unsafe impl Send for Mbuf {}

// SAFETY: a shared reference only reads, and nothing writes while the Mbuf is borrowed.
unsafe impl Sync for Mbuf {}

impl Mbuf {
    /// Takes over a pointer from DPDK.
    ///
    /// # Safety
    /// It must be the head of a valid segment chain that nobody else owns.
    #[inline]
    pub(crate) unsafe fn from_raw(pointer: NonNull<sys::rte_mbuf>) -> Self {
        Self(pointer)
    }

    /// Gives the pointer up, without freeing.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut sys::rte_mbuf {
        let pointer = self.0.as_ptr();
        std::mem::forget(self);
        pointer
    }

    /// The first segment's bytes: the whole frame unless [`segments`](Self::segments) is more than 1.
    #[inline]
    pub fn head(&self) -> &[u8] {
        // SAFETY: an Mbuf's pointer is a live segment for as long as `self` is borrowed.
        unsafe { segment_data(self.0) }
    }

    /// The frame's length in bytes over all segments, without the CRC.
    #[inline]
    pub fn frame_bytes(&self) -> u32 {
        // SAFETY: a live segment, whose pkt_len is a u32 (asserted in shim.c).
        unsafe { field(self.0, sys::LOADLOCK_MBUF_PKT_LEN) }
    }

    /// How many segments hold the frame, at least 1.
    #[inline]
    pub fn segments(&self) -> u16 {
        // SAFETY: a live segment, whose nb_segs is a u16 (asserted in shim.c).
        unsafe { field(self.0, sys::LOADLOCK_MBUF_NB_SEGS) }
    }

    /// The number of the port it came in by.
    #[inline]
    pub fn port(&self) -> u16 {
        // SAFETY: a live segment, whose port is a u16 (asserted in shim.c).
        unsafe { field(self.0, sys::LOADLOCK_MBUF_PORT) }
    }

    /// The receive time stamp the driver wrote, if it wrote one; microseconds since the epoch from `net_pcap`.
    #[inline]
    pub fn timestamp(&self, place: &TimestampField) -> Option<u64> {
        // SAFETY: a live segment, whose ol_flags is a u64 (asserted in shim.c).
        let flags: u64 = unsafe { field(self.0, sys::LOADLOCK_MBUF_OL_FLAGS) };
        if flags & place.flag() == 0 {
            return None;
        }
        // SAFETY: DPDK registered 8 aligned bytes at this offset (checked against the size at look-up), and the flag
        // says the driver filled them.
        Some(unsafe { field(self.0, place.offset()) })
    }

    /// Each segment's bytes in order.
    #[inline]
    pub fn segment_iter(&self) -> SegmentIter<'_> {
        SegmentIter { next: Some(self.0), left: self.segments(), mbuf: std::marker::PhantomData }
    }

    /// Copies the frame from its first byte to `target`, as much as fits, and returns how many bytes that was.
    ///
    /// For headers that straddle segments and for captures of denied frames. Compare with
    /// [`frame_bytes`](Self::frame_bytes) to see whether it was all.
    pub fn copy_into(&self, target: &mut [u8]) -> usize {
        let mut filled = 0;
        for segment in self.segment_iter() {
            let count = segment.len().min(target.len() - filled);
            target[filled..filled + count].copy_from_slice(&segment[..count]);
            filled += count;
            if filled == target.len() {
                break;
            }
        }
        filled
    }

    /// Asks the CPU to load the cache line with the frame's first bytes. Reads the mbuf, which the driver just wrote.
    #[inline]
    pub fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let data = self.head().as_ptr();
            // SAFETY: a prefetch is a hint that never faults, and SSE is part of x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(data.cast()) };
        }
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        let mut pointer = self.0.as_ptr();
        // SAFETY: one live chain that this Mbuf owned; nothing uses it after drop.
        unsafe { sys::rte_pktmbuf_free_bulk(&raw mut pointer, 1) };
    }
}

impl loadlock_packet::Frame for Mbuf {
    #[inline]
    fn head(&self) -> &[u8] {
        Mbuf::head(self)
    }

    #[inline]
    fn frame_bytes(&self) -> u32 {
        Mbuf::frame_bytes(self)
    }

    #[inline]
    fn prefetch(&self) {
        Mbuf::prefetch(self);
    }
}

/// The segments of one [`Mbuf`], as byte slices. Ends at the count in the head even if a chain were longer.
#[derive(Clone, Debug)]
pub struct SegmentIter<'mbuf> {
    next: Option<NonNull<sys::rte_mbuf>>,
    left: u16,
    mbuf: std::marker::PhantomData<&'mbuf Mbuf>,
}

impl<'mbuf> Iterator for SegmentIter<'mbuf> {
    type Item = &'mbuf [u8];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let segment = self.next?;
        self.left -= 1;
        self.next = if self.left == 0 {
            None
        } else {
            // SAFETY: a live segment of the borrowed chain, whose next is a pointer (asserted in shim.c).
            let next: *mut sys::rte_mbuf = unsafe { field(segment, sys::LOADLOCK_MBUF_NEXT) };
            NonNull::new(next)
        };
        // SAFETY: a live segment of the chain, which stays borrowed for 'mbuf.
        Some(unsafe { segment_data(segment) })
    }
}

/// The data of one segment.
///
/// # Safety
/// `segment` must be live, and stay so and unwritten for `'mbuf`.
#[inline]
unsafe fn segment_data<'mbuf>(segment: NonNull<sys::rte_mbuf>) -> &'mbuf [u8] {
    // SAFETY: live by contract; buf_addr is a pointer (asserted in shim.c).
    let buffer: *const u8 = unsafe { field(segment, sys::LOADLOCK_MBUF_BUF_ADDR) };
    // SAFETY: live by contract; data_off is a u16 (asserted in shim.c).
    let offset: u16 = unsafe { field(segment, sys::LOADLOCK_MBUF_DATA_OFF) };
    // SAFETY: live by contract; data_len is a u16 (asserted in shim.c).
    let bytes: u16 = unsafe { field(segment, sys::LOADLOCK_MBUF_DATA_LEN) };
    // SAFETY: DPDK keeps data_off + data_len within the buffer, and a driver has written those bytes.
    unsafe { slice::from_raw_parts(buffer.wrapping_add(usize::from(offset)), usize::from(bytes)) }
}

/// Reads one field of an mbuf.
///
/// # Safety
/// `segment` must be live, and a `T` must lie, aligned, at `offset`.
#[inline]
unsafe fn field<T: Copy>(segment: NonNull<sys::rte_mbuf>, offset: u32) -> T {
    let place = segment.as_ptr().cast::<u8>().wrapping_add(offset as usize).cast::<T>();
    // SAFETY: the contract.
    unsafe { place.read() }
}

#[cfg(test)]
mod tests {
    use std::ptr::NonNull;

    use loadlock_dpdk_sys as sys;

    use super::Mbuf;

    /// Memory laid out as an mbuf by the same offsets, with its data behind it.
    #[repr(C, align(64))]
    struct Fake {
        header: [u8; sys::LOADLOCK_MBUF_BYTES as usize],
        data: [u8; 16],
    }

    impl Fake {
        fn boxed(data: [u8; 16], offset: u16, bytes: u16) -> Box<Self> {
            let mut fake = Box::new(Self { header: [0; sys::LOADLOCK_MBUF_BYTES as usize], data });
            let address = fake.data.as_ptr().expose_provenance();
            fake.put(sys::LOADLOCK_MBUF_BUF_ADDR, &address.to_ne_bytes());
            fake.put(sys::LOADLOCK_MBUF_DATA_OFF, &offset.to_ne_bytes());
            fake.put(sys::LOADLOCK_MBUF_DATA_LEN, &bytes.to_ne_bytes());
            fake
        }

        fn put(&mut self, offset: u32, bytes: &[u8]) {
            let offset = offset as usize;
            self.header[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }

    #[test]
    fn a_chain_reads_as_one_frame() {
        let mut tail = Fake::boxed(*b"..tail bytes....", 2, 10);
        let mut head = Fake::boxed(*b"....head........", 4, 4);
        let next = (&raw mut *tail).expose_provenance();
        head.put(sys::LOADLOCK_MBUF_NEXT, &next.to_ne_bytes());
        head.put(sys::LOADLOCK_MBUF_NB_SEGS, &2_u16.to_ne_bytes());
        head.put(sys::LOADLOCK_MBUF_PKT_LEN, &14_u32.to_ne_bytes());
        head.put(sys::LOADLOCK_MBUF_PORT, &7_u16.to_ne_bytes());

        let pointer = NonNull::from(&mut *head).cast();
        // SAFETY: a chain laid out as an mbuf's, used only until `into_raw` below.
        let mbuf = unsafe { Mbuf::from_raw(pointer) };
        assert_eq!(mbuf.head(), b"head");
        assert_eq!((mbuf.frame_bytes(), mbuf.segments(), mbuf.port()), (14, 2, 7));
        let segments: Vec<&[u8]> = mbuf.segment_iter().collect();
        assert_eq!(segments, [&b"head"[..], &b"tail bytes"[..]]);
        for room in [0, 3, 4, 9, 14, 20] {
            let mut copy = vec![b'?'; room];
            let count = mbuf.copy_into(&mut copy);
            assert_eq!(count, room.min(14));
            assert_eq!(copy[..count], b"headtail bytes"[..count]);
        }
        mbuf.prefetch();
        let _ = mbuf.into_raw();
    }
}
