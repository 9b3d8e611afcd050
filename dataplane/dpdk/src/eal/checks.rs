//! What can be checked before EAL starts. EAL would refuse the same with a line that names neither place nor remedy,
//! and can't be started a second time.

use std::fs;
use std::path::{Path, PathBuf};

use loadlock_dpdk_sys as sys;

use super::{CoreUse, EalConfig, EalError, Memory};
use crate::cpus;

/// Below this not even EAL's own tables fit.
const NO_HUGE_MIB_MIN: u32 = 16;

/// Each core exists, is allowed to this process, and is used once.
pub(super) fn cores(config: &EalConfig) -> Result<(), EalError> {
    let online = Path::new("/sys/devices/system/cpu/online");
    let online = cpus::parse_list(&read(online)?).ok_or_else(|| EalError::SystemFile {
        path: online.to_owned(),
        source: std::io::ErrorKind::InvalidData.into(),
    })?;
    let allowed = cpus::of_this_thread().map_err(|source| EalError::Affinity { source })?;
    judge_cores(config, &online, &allowed)
}

fn judge_cores(config: &EalConfig, online: &[usize], allowed: &[usize]) -> Result<(), EalError> {
    let workers_max = sys::LOADLOCK_LCORES_MAX as usize - 1;
    if config.worker_cores.len() > workers_max {
        return Err(EalError::TooManyWorkers {
            wanted: config.worker_cores.len(),
            max: workers_max,
        });
    }
    let workers = config.worker_cores.iter().enumerate();
    let uses: Vec<(usize, CoreUse)> = std::iter::once((config.main_core, CoreUse::Main))
        .chain(workers.map(|(index, &core)| (core, CoreUse::Worker(index))))
        .collect();
    for (index, &(core, used_for)) in uses.iter().enumerate() {
        if !online.contains(&core) {
            return Err(EalError::CoreMissing {
                core,
                used_for,
                online: cpus::format_list(online),
            });
        }
        if !allowed.contains(&core) {
            return Err(EalError::CoreNotAllowed {
                core,
                used_for,
                allowed: cpus::format_list(allowed),
            });
        }
        if let Some(&(_, first)) = uses[..index].iter().find(|(other, _)| *other == core) {
            return Err(EalError::CoreUsedTwice { core, first, second: used_for });
        }
    }
    Ok(())
}

/// There are as many hugepages as asked for, where asked for. Returns the memory with the mount of the pages that are wanted.
pub(super) fn memory(memory: &Memory) -> Result<Memory, EalError> {
    match memory {
        Memory::NoHuge { mib } if *mib < NO_HUGE_MIB_MIN => {
            Err(EalError::MemoryTooSmall { mib: *mib, min: NO_HUGE_MIB_MIN })
        }
        Memory::NoHuge { .. } => Ok(memory.clone()),
        Memory::Hugepages { dir, mib, page_bytes } => {
            let mut chosen = dir.clone();
            if dir.is_some() || page_bytes.is_some() {
                let mounts = hugetlbfs_mounts(&read(Path::new("/proc/self/mounts"))?);
                if let Some(dir) = dir {
                    judge_mount(dir, &mounts, *page_bytes)?;
                } else if let Some(bytes) = page_bytes {
                    chosen = Some(mount_of_size(&mounts, *bytes)?);
                }
            }
            let free_mib = free_hugepages_mib(Path::new("/sys/kernel/mm/hugepages"), *page_bytes)?;
            judge_hugepages(*mib, free_mib, *page_bytes)?;
            Ok(Memory::Hugepages { dir: chosen, mib: *mib, page_bytes: *page_bytes })
        }
    }
}

fn judge_hugepages(
    wanted_mib: Option<u32>,
    free_mib: u64,
    page_bytes: Option<u64>,
) -> Result<(), EalError> {
    let page_mib = page_bytes.unwrap_or(2 << 20) >> 20;
    let wanted_mib = wanted_mib.map_or(page_bytes.map_or(1, |bytes| bytes >> 20), u64::from);
    if free_mib < wanted_mib {
        return Err(EalError::HugepagesShort { wanted_mib, free_mib, page_mib });
    }
    Ok(())
}

/// A place where a hugetlbfs is mounted, and the size of its pages in bytes where the mount says.
type Mount = (PathBuf, Option<u64>);

fn hugetlbfs_mounts(mounts: &str) -> Vec<Mount> {
    let of_line = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let place = PathBuf::from(fields.next()?);
        if fields.next()? != "hugetlbfs" {
            return None;
        }
        let mut options = fields.next().unwrap_or_default().split(',');
        let size = options.find_map(|option| option.strip_prefix("pagesize="));
        let bytes =
            size.and_then(|size| match size.split_at_checked(size.len().checked_sub(1)?)? {
                (number, "K") => Some(number.parse::<u64>().ok()? << 10),
                (number, "M") => Some(number.parse::<u64>().ok()? << 20),
                (number, "G") => Some(number.parse::<u64>().ok()? << 30),
                _ => None,
            });
        Some((place, bytes))
    };
    mounts.lines().filter_map(of_line).collect()
}

/// The directory lies on a hugetlbfs, and one with pages of the size that is wanted.
fn judge_mount(dir: &Path, mounts: &[Mount], page_bytes: Option<u64>) -> Result<(), EalError> {
    let around = mounts.iter().filter(|(place, _)| dir.starts_with(place));
    match around.max_by_key(|(place, _)| place.as_os_str().len()) {
        Some((place, found)) => match (page_bytes, found) {
            (Some(wanted), Some(found)) if wanted != *found => Err(EalError::HugepageSize {
                wanted_mib: wanted >> 20,
                mounted: vec![(place.clone(), Some(found >> 20))],
            }),
            _ => Ok(()),
        },
        None => Err(EalError::HugepageDirectory {
            dir: dir.to_owned(),
            mounted: mounts.iter().map(|(place, _)| place.clone()).collect(),
        }),
    }
}

/// The first place with pages of this size.
fn mount_of_size(mounts: &[Mount], bytes: u64) -> Result<PathBuf, EalError> {
    let fitting = mounts.iter().find(|(_, found)| *found == Some(bytes));
    fitting.map(|(place, _)| place.clone()).ok_or_else(|| EalError::HugepageSize {
        wanted_mib: bytes >> 20,
        mounted: mounts
            .iter()
            .map(|(place, found)| (place.clone(), found.map(|bytes| bytes >> 20)))
            .collect(),
    })
}

/// Free pages of all sizes, or of one, with those the kernel may add on demand, as EAL counts them.
fn free_hugepages_mib(root: &Path, page_bytes: Option<u64>) -> Result<u64, EalError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        // A kernel without hugepages.
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(source) => {
            return Err(EalError::SystemFile { path: root.to_owned(), source });
        }
    };
    let mut kib = 0;
    for entry in entries {
        let entry =
            entry.map_err(|source| EalError::SystemFile { path: root.to_owned(), source })?;
        let name = entry.file_name();
        let page_kib = name
            .to_str()
            .and_then(|name| name.strip_prefix("hugepages-")?.strip_suffix("kB"))
            .and_then(|size| size.parse::<u64>().ok());
        let wanted = |kib: &u64| page_bytes.is_none_or(|bytes| bytes >> 10 == *kib);
        let Some(page_kib) = page_kib.filter(wanted) else { continue };
        let free = count(&entry.path().join("free_hugepages"))?
            .saturating_sub(count(&entry.path().join("resv_hugepages"))?);
        let on_demand = count(&entry.path().join("nr_overcommit_hugepages"))?
            .saturating_sub(count(&entry.path().join("surplus_hugepages"))?);
        kib += (free + on_demand) * page_kib;
    }
    Ok(kib / 1024)
}

fn count(path: &Path) -> Result<u64, EalError> {
    read(path)?.trim().parse().map_err(|_| EalError::SystemFile {
        path: path.to_owned(),
        source: std::io::ErrorKind::InvalidData.into(),
    })
}

fn read(path: &Path) -> Result<String, EalError> {
    fs::read_to_string(path)
        .map_err(|source| EalError::SystemFile { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{
        free_hugepages_mib, hugetlbfs_mounts, judge_cores, judge_hugepages, judge_mount,
        mount_of_size,
    };
    use crate::{CoreUse, EalConfig, EalError, LogLevel, Memory};

    fn config(main_core: usize, worker_cores: &[usize]) -> EalConfig {
        EalConfig {
            main_core,
            worker_cores: worker_cores.to_vec(),
            memory: Memory::NoHuge { mib: 64 },
            file_prefix: "t".to_owned(),
            virtual_devices: Vec::new(),
            pci_devices: Vec::new(),
            log_level: LogLevel::Warning,
        }
    }

    #[test]
    fn each_core_exists_is_allowed_and_used_once() {
        let (online, allowed) = ([0, 1, 2, 3], [0, 1, 2]);
        assert!(judge_cores(&config(0, &[1, 2]), &online, &allowed).is_ok());
        assert!(judge_cores(&config(0, &[]), &online, &allowed).is_ok());
        let twice = judge_cores(&config(0, &[1, 2, 1]), &online, &allowed).expect_err("twice");
        assert!(matches!(
            twice,
            EalError::CoreUsedTwice {
                core: 1,
                first: CoreUse::Worker(0),
                second: CoreUse::Worker(2)
            }
        ));
        let missing = judge_cores(&config(9, &[1]), &online, &allowed).expect_err("missing");
        assert!(
            matches!(&missing, EalError::CoreMissing { core: 9, used_for: CoreUse::Main, online } if online == "0-3")
        );
        let refused = judge_cores(&config(0, &[3]), &online, &allowed).expect_err("not allowed");
        assert!(
            matches!(&refused, EalError::CoreNotAllowed { core: 3, allowed, .. } if allowed == "0-2")
        );
        let many: Vec<usize> = (0..500).collect();
        assert!(matches!(
            judge_cores(&config(0, &many), &online, &allowed),
            Err(EalError::TooManyWorkers { wanted: 500, .. })
        ));
    }

    #[test]
    fn hugepages_are_counted_over_sizes() {
        let root = tempfile::tempdir().expect("tempdir");
        for (name, free, reserved, overcommit, surplus) in
            [("hugepages-2048kB", 10, 2, 0, 0), ("hugepages-1048576kB", 0, 0, 3, 1)]
        {
            let dir = root.path().join(name);
            fs::create_dir(&dir).expect("create");
            for (file, value) in [
                ("free_hugepages", free),
                ("resv_hugepages", reserved),
                ("nr_overcommit_hugepages", overcommit),
                ("surplus_hugepages", surplus),
            ] {
                fs::write(dir.join(file), format!("{value}\n")).expect("write");
            }
        }
        assert_eq!(free_hugepages_mib(root.path(), None).expect("counted"), 8 * 2 + 2 * 1024);
        assert_eq!(free_hugepages_mib(root.path(), Some(2 << 20)).expect("counted"), 8 * 2);
        assert_eq!(free_hugepages_mib(root.path(), Some(1 << 30)).expect("counted"), 2 * 1024);
        assert_eq!(free_hugepages_mib(&root.path().join("absent"), None).expect("no hugepages"), 0);
        assert!(judge_hugepages(None, 2, None).is_ok());
        let none = judge_hugepages(None, 16, Some(1 << 30)).expect_err("less than a page");
        assert!(none.to_string().contains("hugepages-1048576kB/nr_hugepages"), "{none}");
        let short = judge_hugepages(Some(1024), 16, None).expect_err("short");
        assert!(short.to_string().contains("/proc/sys/vm/nr_hugepages"), "{short}");
    }

    #[test]
    fn a_hugepage_directory_lies_on_a_hugetlbfs() {
        let mounts =
            "tmpfs /dev/shm tmpfs rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n";
        let mounts = hugetlbfs_mounts(mounts);
        assert!(judge_mount(Path::new("/dev/hugepages/loadlock"), &mounts, None).is_ok());
        let refused = judge_mount(Path::new("/dev/shm"), &mounts, None).expect_err("tmpfs");
        let message = refused.to_string();
        assert!(message.contains("/dev/shm") && message.contains("/dev/hugepages"), "{message}");
    }

    #[test]
    fn pages_of_a_size_come_from_the_mount_that_has_them() {
        let mounts = hugetlbfs_mounts(
            "none /mnt/huge hugetlbfs rw,relatime,pagesize=2M 0 0\nnone /dev/hugepages1G hugetlbfs rw,pagesize=1024M 0 0\n",
        );
        let (small, large) = (2 << 20, 1 << 30);
        assert_eq!(mount_of_size(&mounts, small).expect("mounted"), Path::new("/mnt/huge"));
        assert_eq!(mount_of_size(&mounts, large).expect("mounted"), Path::new("/dev/hugepages1G"));
        assert!(judge_mount(Path::new("/mnt/huge"), &mounts, Some(small)).is_ok());
        let other = judge_mount(Path::new("/mnt/huge"), &mounts, Some(large)).expect_err("2 MiB");
        assert!(other.to_string().contains("/mnt/huge with 2 MiB"), "{other}");
        let none = mount_of_size(&mounts[..1], large).expect_err("not mounted");
        assert!(none.to_string().contains("mount -t hugetlbfs -o pagesize=1024M"), "{none}");
    }
}
