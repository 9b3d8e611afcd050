//! The file in memory, aligned so that it can lie on huge pages.
//!
//! A mapping of a file can lie on huge pages only if address and offset agree modulo their size, which mmap(2) by itself doesn't care for.
//! Whether it does is the mount's: hugetlbfs, or a tmpfs with `huge=always`. Rejected: `MADV_COLLAPSE`, which makes huge pages of a plain
//! /dev/shm's too. On Linux 6.18 a mapping that was collapsed while the other process read the file's header was no longer the file: what the
//! dataplane stored stood in its memory and never in the file (found by the soak, 2026-11-22).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;

/// Size of a huge page of x86-64 and of Arm with pages of 4 KiB; elsewhere the alignment does no harm.
const HUGE_BYTES: usize = 2 << 20;

/// A shared, writable mapping of a whole file. Unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Map {
    start: NonNull<u8>,
    bytes: usize,
    is_huge: OnceLock<bool>,
}

impl Map {
    /// Maps the first `bytes` of the file, all of which it has.
    ///
    /// # Errors
    /// The kernel's.
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
        // MAP_FAILED is the only failure, and null isn't mapped: the address was the kernel's choice.
        let start = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes, is_huge: OnceLock::new() })
    }

    /// Its first byte, at a multiple of [`HUGE_BYTES`].
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Does it lie on huge pages? As of the first time that this is asked, which is after its header was read or written; costs milliseconds then.
    pub fn is_huge(&self) -> bool {
        *self.is_huge.get_or_init(|| self.has_huge_pages())
    }

    fn has_huge_pages(&self) -> bool {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        let start = format!("{:x}-", self.start.as_ptr().addr());
        let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&start)).skip(1);
        let own = lines.by_ref().take_while(|line| !line.starts_with("VmFlags"));
        let kib =
            |line: &str| line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        own.filter_map(|line| Some((line.split(':').next()?, kib(line)?))).any(
            |(name, kib): (&str, u64)| match name {
                "KernelPageSize" => kib > 1024,
                "ShmemPmdMapped" => kib > 0,
                _ => false,
            },
        )
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

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
            let mut read = [0];
            file.read_exact_at(&mut read, bytes as u64 - 1).unwrap();
            assert_eq!(read, [7], "the file is what is mapped");
            assert!(!one.is_huge(), "a plain tmpfs has small pages");
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
