//! A burst: the mbufs that travel together through a worker.

use std::ops::Deref;
use std::ptr::NonNull;
use std::slice;

use loadlock_dpdk_sys as sys;

use crate::Mbuf;

/// The most mbufs a [`Burst`] can hold. 512 bytes of pointers: eight cache lines.
pub const MAX_BURST: usize = 64;

/// An ordered, owned set of at most [`MAX_BURST`] mbufs; reads as a slice of them. Dropping it frees what is left.
///
/// Make one a worker and direction before the loop and use it again and again: it holds its pointers in place, and no
/// operation allocates or moves more than pointers.
#[derive(Debug)]
pub struct Burst {
    /// The first `len` are owned mbufs, never null; the rest are stale.
    pointers: [*mut sys::rte_mbuf; MAX_BURST],
    len: usize,
    capacity: usize,
}

// SAFETY: a Burst is an array of Mbufs, which are Send.
unsafe impl Send for Burst {}

impl Burst {
    /// An empty burst that receives at most `capacity` mbufs, 1 to [`MAX_BURST`].
    ///
    /// # Panics
    /// When `capacity` is outside that range; the settings have checked it.
    pub fn with_capacity(capacity: usize) -> Self {
        assert!(
            (1..=MAX_BURST).contains(&capacity),
            "a burst of {capacity} mbufs was asked for, allowed are 1 to {MAX_BURST}; mend the burst size in the settings"
        );
        Self { pointers: [std::ptr::null_mut(); MAX_BURST], len: 0, capacity }
    }

    /// How many mbufs still fit.
    #[inline]
    pub fn room(&self) -> usize {
        self.capacity - self.len
    }

    /// Appends one; gives it back when the burst is full.
    #[inline]
    pub fn push(&mut self, mbuf: Mbuf) -> Result<(), Mbuf> {
        if self.room() == 0 {
            return Err(mbuf);
        }
        self.pointers[self.len] = mbuf.into_raw();
        self.len += 1;
        Ok(())
    }

    /// Takes the last one out.
    #[inline]
    pub fn pop(&mut self) -> Option<Mbuf> {
        self.len = self.len.checked_sub(1)?;
        let pointer = NonNull::new(self.pointers[self.len])?;
        // SAFETY: it was owned, and with `len` lowered it no longer is ours.
        Some(unsafe { Mbuf::from_raw(pointer) })
    }

    /// Keeps the mbufs for which `keep(index, mbuf)` holds and moves the others to the end of `refused`. Order stays in
    /// both. Typical: `received.divert(&mut denied, |index, _| verdicts[index].forwards())`.
    ///
    /// If `keep` panics, the mbufs not yet moved leak rather than being freed twice.
    ///
    /// # Panics
    /// When `refused` has less room than this burst has mbufs; an empty one of the same capacity always has enough.
    #[inline]
    pub fn divert(&mut self, refused: &mut Self, mut keep: impl FnMut(usize, &Mbuf) -> bool) {
        assert!(
            self.len <= refused.room(),
            "burst to divert to: {} free places for {} mbufs; free_all it before",
            refused.room(),
            self.len
        );
        let count = std::mem::take(&mut self.len);
        let mut kept = 0;
        for index in 0..count.min(MAX_BURST) {
            let pointer = self.pointers[index];
            if keep(index, as_mbuf(&pointer)) {
                self.pointers[kept] = pointer;
                kept += 1;
            } else {
                refused.pointers[refused.len] = pointer;
                refused.len += 1;
            }
        }
        self.len = kept;
    }

    /// Gives all mbufs back to their pools, in one call.
    #[inline]
    pub fn free_all(&mut self) {
        let count = std::mem::take(&mut self.len);
        if count == 0 {
            return;
        }
        // SAFETY: the first `count` are owned live chains; `len` is 0 now, so none is used again.
        unsafe { sys::rte_pktmbuf_free_bulk(self.pointers.as_mut_ptr(), count as u32) };
    }

    /// The place for `room()` more pointers, for the driver to write to.
    #[inline]
    pub(crate) fn spare(&mut self) -> &mut [*mut sys::rte_mbuf] {
        &mut self.pointers[self.len..self.capacity]
    }

    /// Takes over what the driver wrote to [`spare`](Self::spare).
    ///
    /// # Safety
    /// The first `count` pointers there must be live chains that nobody else owns.
    #[inline]
    pub(crate) unsafe fn assume_received(&mut self, count: usize) {
        self.len = (self.len + count).min(self.capacity);
    }

    /// The owned pointers, for the driver to take from the front.
    #[inline]
    pub(crate) fn owned(&mut self) -> &mut [*mut sys::rte_mbuf] {
        &mut self.pointers[..self.len]
    }

    /// Forgets the first `count`, which the driver took, and moves the rest to the front.
    #[inline]
    pub(crate) fn forget_front(&mut self, count: usize) {
        let count = count.min(self.len);
        self.pointers.copy_within(count..self.len, 0);
        self.len -= count;
    }
}

/// Looks at an owned pointer as the mbuf it is.
#[inline]
fn as_mbuf(pointer: &*mut sys::rte_mbuf) -> &Mbuf {
    let place: *const *mut sys::rte_mbuf = pointer;
    // SAFETY: Mbuf is a transparent non-null pointer, callers pass pointers that a burst owns, which are never null,
    // and the reference has the lifetime of the borrowed place.
    unsafe { &*place.cast::<Mbuf>() }
}

impl Deref for Burst {
    type Target = [Mbuf];

    #[inline]
    fn deref(&self) -> &[Mbuf] {
        // SAFETY: the first `len` are owned, non-null, and an Mbuf is a transparent non-null pointer.
        unsafe { slice::from_raw_parts(self.pointers.as_ptr().cast::<Mbuf>(), self.len) }
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        self.free_all();
    }
}

#[cfg(test)]
mod tests {
    use std::mem::forget;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr::{NonNull, without_provenance_mut};

    use loadlock_dpdk_sys as sys;

    use super::{Burst, MAX_BURST};
    use crate::Mbuf;

    /// A burst of pointers that are only compared, never followed; the tests forget it before it would free them.
    fn burst_of(addresses: impl IntoIterator<Item = usize>) -> Burst {
        let mut burst = Burst::with_capacity(MAX_BURST);
        for address in addresses {
            assert!(burst.push(fake(address)).is_ok());
        }
        burst
    }

    fn fake(address: usize) -> Mbuf {
        let pointer: *mut sys::rte_mbuf = without_provenance_mut(address);
        // SAFETY: never followed, and forgotten before its drop.
        unsafe { Mbuf::from_raw(NonNull::new(pointer).expect("not null")) }
    }

    fn addresses(mut burst: Burst) -> Vec<usize> {
        let found = burst.owned().iter().map(|pointer| pointer.addr()).collect();
        forget(burst);
        found
    }

    #[test]
    fn diverting_keeps_order_on_both_sides() {
        let mut received = burst_of(1..=MAX_BURST);
        let mut denied = Burst::with_capacity(MAX_BURST);
        received.divert(&mut denied, |index, _| index % 3 != 0);
        let (kept, refused): (Vec<usize>, Vec<usize>) =
            (1..=MAX_BURST).partition(|address| (address - 1) % 3 != 0);
        assert_eq!(addresses(received), kept);
        assert_eq!(addresses(denied), refused);
    }

    #[test]
    fn what_the_driver_left_moves_to_the_front() {
        let mut burst = burst_of(1..=5);
        burst.forget_front(3);
        assert_eq!(addresses(burst), [4, 5]);
        let mut burst = burst_of(1..=2);
        burst.forget_front(9);
        assert!(burst.is_empty());
    }

    #[test]
    fn a_full_burst_gives_the_mbuf_back() {
        let mut burst = Burst::with_capacity(1);
        assert!(burst.push(fake(8)).is_ok());
        let refused = burst.push(fake(9)).expect_err("full");
        assert_eq!(refused.into_raw().addr(), 9);
        assert_eq!(burst.room(), 0);
        assert_eq!(burst.pop().expect("one").into_raw().addr(), 8);
        assert!(burst.pop().is_none());
    }

    #[test]
    fn a_panic_while_diverting_frees_nothing_twice() {
        let mut received = burst_of(1..=4);
        let mut denied = Burst::with_capacity(4);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            received.divert(&mut denied, |index, _| {
                assert!(index < 2, "stop");
                index == 0
            });
        }));
        assert!(outcome.is_err());
        assert!(received.is_empty());
        assert_eq!(addresses(denied), [2]);
    }
}
