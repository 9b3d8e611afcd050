//! Memory for the flow tables: zeroed, page-aligned, on hugepages where there are any.

use std::io;
use std::ops::{Deref, DerefMut};

use memmap2::{Advice, MmapMut, MmapOptions};

/// What the kernel gave for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Reserved 2 MiB hugepages.
    HugePages,
    /// Ordinary pages that the kernel may merge to huge ones (transparent hugepages).
    OrdinaryPages,
}

/// Types that may be made of zeroed memory.
///
/// # Safety
/// All bits zero must be a value of the type, it must need no drop, and its alignment must divide 4096.
pub(crate) unsafe trait Zeroed: Copy {}

/// A fixed-size array in its own mapping.
pub(crate) struct Storage<T> {
    map: MmapMut,
    length: usize,
    backing: Backing,
    _values: std::marker::PhantomData<T>,
}

const HUGE_PAGE_BITS: u8 = 21;

impl<T: Zeroed> Storage<T> {
    /// Maps `length` zeroed values; with `huge` tries hugepages first.
    pub fn new(length: usize, huge: bool) -> io::Result<Self> {
        let bytes = length
            .checked_mul(size_of::<T>())
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?
            .next_multiple_of(1 << HUGE_PAGE_BITS);
        let mut options = MmapOptions::new();
        options.len(bytes);
        if huge && let Ok(map) = options.clone().huge(Some(HUGE_PAGE_BITS)).populate().map_anon() {
            return Ok(Self::over(map, length, Backing::HugePages));
        }
        let map = options.map_anon()?;
        if huge {
            // Only advice: without it, or where it isn't followed, the table is slower, nothing else.
            let _ = map.advise(Advice::HugePage);
        }
        Ok(Self::over(map, length, Backing::OrdinaryPages))
    }

    fn over(map: MmapMut, length: usize, backing: Backing) -> Self {
        assert!(length * size_of::<T>() <= map.len());
        Self { map, length, backing, _values: std::marker::PhantomData }
    }

    pub fn backing(&self) -> Backing {
        self.backing
    }
}

impl<T: Zeroed> Deref for Storage<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the map holds `length` values, page-aligned, zeroed at first and written only as `T` since.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.length) }
    }
}

impl<T: Zeroed> DerefMut for Storage<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`; `&mut self` makes it the only access.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().cast(), self.length) }
    }
}
