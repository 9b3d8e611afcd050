//! Hugepages for the programs that are measured: reserved before, given back after.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

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
        // The kernel gives what it finds in one piece. If that isn't enough, memory is compacted, then freed of cached files.
        for help in [
            None,
            Some(("compact_memory", "1")),
            Some(("drop_caches", "1")),
            Some(("compact_memory", "1")),
        ] {
            if let Some((file, value)) = help {
                fs::write(format!("/proc/sys/vm/{file}"), value)?;
            }
            fs::write(COUNT, wanted.max(before).to_string()).map_err(|error| {
                io::Error::new(error.kind(), format!("{COUNT}: {error}; run this as root"))
            })?;
            if count()? >= wanted {
                return Ok(reservation);
            }
        }
        let found = count()?;
        Err(io::Error::other(format!(
            "the kernel gave {found} of the {wanted} hugepages that are needed: end what holds memory, or measure \
             less"
        )))
    }
}

/// A folder in memory on huge pages, for the exchange: a tmpfs with `huge=always`.
pub struct HugeFolder {
    folder: TempDir,
    mounted: bool,
}

impl HugeFolder {
    /// Mounts one. Where the kernel can't, the folder lies on ordinary pages, and this says so.
    ///
    /// # Errors
    /// There is no memory file system at /dev/shm.
    pub fn new(prefix: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in("/dev/shm")?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "huge=always", "loadlock-bench"])
            .arg(folder.path())
            .output();
        let mounted = matches!(&mount, Ok(output) if output.status.success());
        if !mounted {
            println!(
                "the exchange lies on ordinary pages: no tmpfs with huge=always could be mounted"
            );
        }
        Ok(Self { folder, mounted })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for HugeFolder {
    fn drop(&mut self) {
        if self.mounted {
            unmount(self.folder.path());
        }
    }
}

fn unmount(folder: &Path) {
    // Lazily: a program that was measured may still be about to end. There is nobody to tell of a failure.
    let _ = Command::new("umount").arg("--lazy").arg(folder).output();
}

/// Sees to it that an interrupted run (SIGINT, SIGTERM) leaves nothing behind either: the pages go back and `folder` goes away.
/// Before the first reservation; once a process. Programs that were started end with this one.
///
/// # Errors
/// The kernel doesn't say how many pages there are, or signals can't be received.
pub fn give_back_when_interrupted(folder: &Path) -> io::Result<()> {
    let (before, folder) = (count()?, folder.to_owned());
    ctrlc::set_handler(move || {
        // There is nobody to tell of a failure, and nothing else to try.
        unmount(&folder);
        let _ = fs::remove_dir_all(&folder);
        let _ = fs::write(COUNT, before.to_string());
        std::process::exit(130);
    })
    .map_err(io::Error::other)
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
