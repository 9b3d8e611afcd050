//! The file in memory, on huge pages where the kernel gives them.
//!
//! A mapping of a file can lie on huge pages only if address and offset agree modulo their size, which mmap(2) by itself doesn't care for.
//! The pages of a file on /dev/shm are small unless its mount says otherwise; `MADV_COLLAPSE` (Linux 6.1) makes huge ones of them all
//! the same. For what they bring see benches/DESIGN.md.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{NonNull, null_mut};

/// Size of a huge page of x86-64 and of Arm with pages of 4 KiB; elsewhere the alignment does no harm.
const HUGE_BYTES: usize = 2 << 20;

/// A shared, writable mapping of a whole file. Unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Map {
    start: NonNull<u8>,
    bytes: usize,
    is_huge: bool,
}

impl Map {
    /// Maps the first `bytes` of the file, all of which it has, and asks for huge pages.
    ///
    /// # Errors
    /// The kernel's. That there are no huge pages isn't one.
    pub fn new(file: &File, bytes: usize) -> io::Result<Self> {
        let reserved_bytes = bytes.checked_add(HUGE_BYTES).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice, which nobody else knows.
        let reserved =
            unsafe { libc::mmap(null_mut(), reserved_bytes, libc::PROT_NONE, flags, -1, 0) };
        if reserved == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let reserved = reserved.cast::<u8>();
        let before = reserved.align_offset(HUGE_BYTES);
        // SAFETY: less than a huge page, by which the reservation is longer than what lies behind it.
        let start = unsafe { reserved.add(before) };
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
        // SAFETY: takes the place of a part of the reservation, which is nobody else's.
        let mapped = unsafe { libc::mmap(start.cast(), bytes, access, flags, file.as_raw_fd(), 0) };
        let error = io::Error::last_os_error();
        let behind = start.wrapping_add(bytes.next_multiple_of(page_bytes()));
        let rest_bytes = reserved_bytes - before - bytes.next_multiple_of(page_bytes());
        unmap(reserved, before);
        unmap(behind, rest_bytes);
        if mapped == libc::MAP_FAILED {
            unmap(start, bytes);
            return Err(error);
        }
        // SAFETY: changes how the kernel keeps the mapping just made, not what is in it.
        let collapsed = unsafe { libc::madvise(mapped, bytes, libc::MADV_COLLAPSE) };
        // MAP_FAILED is the only failure, and null isn't mapped: the address was the kernel's choice.
        let start = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes, is_huge: collapsed == 0 || is_hugetlb(file) })
    }

    /// Its first byte, at a multiple of [`HUGE_BYTES`].
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// All of it lay on huge pages when it was mapped.
    pub fn is_huge(&self) -> bool {
        self.is_huge
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        unmap(self.start.as_ptr(), self.bytes);
    }
}

fn unmap(start: *mut u8, bytes: usize) {
    if bytes == 0 {
        return;
    }
    // SAFETY: only for parts of what `Map::new` mapped, which nobody uses any more.
    let unmapped = unsafe { libc::munmap(start.cast(), bytes) };
    debug_assert_eq!(unmapped, 0, "{}", io::Error::last_os_error());
}

fn page_bytes() -> usize {
    // SAFETY: asks for a constant.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// A file on hugetlbfs has huge pages whatever madvise says.
fn is_hugetlb(file: &File) -> bool {
    // SAFETY: an all-zero statfs is a value of it.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and the structure lives.
    let asked = unsafe { libc::fstatfs(file.as_raw_fd(), &mut found) };
    asked == 0 && found.f_type == libc::HUGETLBFS_MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(folder: &std::path::Path, bytes: usize) -> File {
        let path = folder.join("map");
        let open = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(path);
        let file = open.unwrap();
        file.set_len(bytes as u64).unwrap();
        file
    }

    #[test]
    fn two_mappings_see_each_other_and_are_aligned() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        for bytes in [4096, HUGE_BYTES, 3 * HUGE_BYTES + 4096] {
            let file = file_of(folder.path(), bytes);
            let (one, other) = (Map::new(&file, bytes).unwrap(), Map::new(&file, bytes).unwrap());
            assert_eq!(one.as_mut_ptr().addr() % HUGE_BYTES, 0);
            let last = |map: &Map| map.as_mut_ptr().wrapping_add(bytes - 1);
            // SAFETY: mapped for so many bytes, and only this thread uses it.
            unsafe { last(&one).write_volatile(7) };
            // SAFETY: as above.
            assert_eq!(unsafe { last(&other).read_volatile() }, 7);
        }
    }

    #[test]
    fn what_cannot_be_mapped_is_an_error_and_leaves_nothing_mapped() {
        let folder = tempfile::tempdir().unwrap();
        file_of(folder.path(), 4096);
        let read_only = File::open(folder.path().join("map")).unwrap();
        let mappings = || std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(Map::new(&read_only, 4096).is_err());
        assert!(!mappings().contains(&folder.path().display().to_string()));
        assert!(Map::new(&read_only, usize::MAX).is_err());
    }
}
