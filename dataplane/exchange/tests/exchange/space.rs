//! Too little memory for the region: an error at start, and no SIGBUS later. Needs root, for a file system of its own.

use std::path::PathBuf;
use std::process::Command;

use loadlock_exchange::{DataplaneExchange, Dimensions, RegionError};
use tempfile::TempDir;

use crate::fixtures::*;

/// A mounted tmpfs, unmounted at the end.
struct Tmpfs {
    folder: TempDir,
}

impl Tmpfs {
    fn mount(bytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let size = format!("size={bytes}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .output();
        mount.is_ok_and(|mount| mount.status.success()).then_some(Self { folder })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("exchange")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.folder.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "{:?} stays mounted",
            self.folder.path()
        );
    }
}

#[test]
fn too_little_memory_is_an_error_and_leaves_nothing_behind() {
    let Some(tmpfs) = Tmpfs::mount(3 << 20) else {
        println!("SKIPPED: can't mount a tmpfs (needs root)");
        return;
    };
    let path = tmpfs.path();
    let large = Dimensions { rule_capacity: 100_000, ..DIMENSIONS };
    let error = DataplaneExchange::open(&path, large).err().expect("refused");
    match &error {
        RegionError::Io { source, .. } => {
            assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{error}");
        }
        _ => panic!("{error}"),
    }
    assert!(!path.exists() && !tmpfs.folder.path().join("exchange.new").exists());
    drop(DataplaneExchange::open(&path, DIMENSIONS).expect("2 MiB fit"));
}

/// A region that can't be replaced stays: the dataplane fails, the policy isn't lost with the old file.
#[test]
fn too_little_memory_for_a_larger_region_keeps_the_old_one() {
    let Some(tmpfs) = Tmpfs::mount(3 << 20) else {
        println!("SKIPPED: can't mount a tmpfs (needs root)");
        return;
    };
    let path = tmpfs.path();
    drop(DataplaneExchange::open(&path, DIMENSIONS).expect("2 MiB fit"));
    let larger = Dimensions { fingerprint: 1, ..DIMENSIONS };
    assert!(DataplaneExchange::open(&path, larger).is_err());
    drop(DataplaneExchange::open(&path, DIMENSIONS).expect("still there"));
}
