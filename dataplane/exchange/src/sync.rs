//! The atomics and cells that the region's protocols are built from: the processor's, or loom's when the
//! models in `tests/` run (`RUSTFLAGS="--cfg loom"`). In the first case each type has the layout of the
//! plain one, so that it can lie in shared memory.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A value in shared memory that one side writes and the other reads, never at the same time; the
/// protocol around it (ring cursors, slot swap) sees to that.
#[cfg(not(loom))]
#[repr(transparent)]
pub struct Shared<T>(std::cell::UnsafeCell<T>);

/// See the variant without loom.
#[cfg(loom)]
pub struct Shared<T>(loom::cell::UnsafeCell<T>);

// SAFETY: access goes only through `read` and `change`, whose callers prove that no other access overlaps.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// Wraps a value, for storage that isn't a mapped region.
    pub fn new(value: T) -> Self {
        #[cfg(not(loom))]
        return Self(std::cell::UnsafeCell::new(value));
        #[cfg(loom)]
        return Self(loom::cell::UnsafeCell::new(value));
    }

    /// Has the value looked at in place.
    ///
    /// # Safety
    /// No write to this cell may overlap.
    #[inline(always)]
    pub(crate) unsafe fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        #[cfg(not(loom))]
        // SAFETY: the pointer is valid for the cell's lifetime; the caller excludes writers.
        return look(unsafe { &*self.0.get() });
        #[cfg(loom)]
        // SAFETY: as above, and loom checks it.
        return self.0.with(|pointer| look(unsafe { &*pointer }));
    }

    /// Has the value changed in place.
    ///
    /// # Safety
    /// No other access to this cell may overlap.
    #[inline(always)]
    pub(crate) unsafe fn change(&self, change: impl FnOnce(&mut T)) {
        #[cfg(not(loom))]
        // SAFETY: the pointer is valid for the cell's lifetime; the caller excludes all other access.
        change(unsafe { &mut *self.0.get() });
        #[cfg(loom)]
        // SAFETY: as above, and loom checks it.
        self.0.with_mut(|pointer| change(unsafe { &mut *pointer }));
    }
}
