//! A made-up machine below a folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;

/// One line of `check --json`.
#[derive(Debug, Deserialize)]
pub struct Finding {
    pub level: String,
    pub id: String,
    pub found: String,
    pub todo: String,
}

/// How a script ended, and what it printed.
pub struct Output {
    pub code: i32,
    pub text: String,
}

/// Two sockets with four cores each, a card with two ports on the first, workers on cores 2 and 3.
pub struct Machine {
    folder: TempDir,
    /// Programs that stand before the system's on PATH.
    programs: TempDir,
}

const PORTS: [&str; 2] = ["0000:3b:00.0", "0000:3b:00.1"];

impl Machine {
    pub fn good() -> Self {
        let machine =
            Self { folder: tempfile::tempdir().unwrap(), programs: tempfile::tempdir().unwrap() };
        machine.write("proc/cmdline", "quiet iommu=pt isolcpus=2-3 nohz_full=2-3\n");
        machine.write("proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw 0 0\n");
        machine.write(
            "proc/cpuinfo",
            "vendor_id : GenuineIntel\nflags : fpu constant_tsc nonstop_tsc aes\n",
        );
        machine.write("proc/sys/vm/nr_hugepages", "2048\n");
        machine.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "2048\n");
        machine.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "2000\n");
        for group in 0..3 {
            machine.folder(&format!("sys/kernel/iommu_groups/{group}/devices"));
        }
        machine.write("sys/devices/system/cpu/online", "0-7\n");
        machine.write("sys/devices/system/cpu/isolated", "2-3\n");
        machine.write("sys/devices/system/node/node0/cpulist", "0-3\n");
        machine.write("sys/devices/system/node/node1/cpulist", "4-7\n");
        for core in 0..8 {
            let cpu = format!("sys/devices/system/cpu/cpu{core}");
            machine.folder(&format!("{cpu}/node{}", core / 4));
            machine.write(&format!("{cpu}/topology/thread_siblings_list"), &core.to_string());
            machine.write(&format!("{cpu}/cpufreq/scaling_governor"), "performance\n");
            machine.write(&format!("{cpu}/cpuidle/state0/latency"), "0\n");
            machine.write(&format!("{cpu}/cpuidle/state1/latency"), "2\n");
        }
        for port in PORTS {
            machine.drive(port, Some("vfio-pci"));
            machine.write(&format!("sys/bus/pci/devices/{port}/numa_node"), "0\n");
            machine.write(&format!("sys/bus/pci/devices/{port}/current_link_width"), "16\n");
            machine.write(&format!("sys/bus/pci/devices/{port}/max_link_width"), "16\n");
        }
        let config = "[dataplane]\nworker_cores = [2, 3]\n[[port]]\nname = \"a\"\ndevice = \"0000:3B:00.0\"\n\
                      [[port]]\nname = \"b\"\ndevice = \"0000:3b:00.1\" # side B\n";
        machine.write("etc/loadlock/loadlock.toml", config);
        machine.folder("etc/default");
        machine.folder("var/lib");
        machine
    }

    /// As a cloud gives it: two CPUs, no sysfs of frequency or IOMMU, no hugepages, no card.
    pub fn virtual_machine() -> Self {
        let machine =
            Self { folder: tempfile::tempdir().unwrap(), programs: tempfile::tempdir().unwrap() };
        machine.write("proc/cmdline", "console=ttyS0\n");
        machine.write("proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw 0 0\n");
        machine.write("proc/cpuinfo", "flags : fpu nonstop_tsc hypervisor aes\n");
        machine.write("sys/devices/system/cpu/online", "0-1\n");
        machine.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
        machine
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
    }

    fn folder(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    /// Gives a port to a driver.
    pub fn drive(&self, port: &str, driver: Option<&str>) {
        let device = format!("sys/bus/pci/devices/{port}");
        self.folder(&device);
        let link = self.path(&format!("{device}/driver"));
        let _ = fs::remove_file(&link);
        if let Some(driver) = driver {
            symlink(format!("../../../bus/pci/drivers/{driver}"), link).unwrap();
        }
    }

    pub fn interface(&self, port: &str, name: &str) {
        self.folder(&format!("sys/bus/pci/devices/{port}/net/{name}"));
        self.write(&format!("sys/class/net/{name}/mtu"), "1500\n");
    }

    /// A port at mlx5, with what ethtool says of its interface.
    pub fn mlx5(&self, port: &str, name: &str, queues: u32) {
        self.drive(port, Some("mlx5_core"));
        self.interface(port, name);
        self.write(
            &format!("ethtool-i-{name}"),
            "driver: mlx5_core\nfirmware-version: 16.35.2000 (MT_0000000012)\n",
        );
        self.write(&format!("ethtool-l-{name}"), &format!("Channel parameters for {name}:\nPre-set maximums:\nRX: n/a\nCombined: {queues}\nCurrent hardware settings:\nCombined: 1\n"));
        self.write(
            &format!("ethtool-x-{name}"),
            "RSS hash function:\n    toeplitz: on\n    xor: off\n",
        );
        self.program("ethtool", &format!("cat {}/ethtool$1-$2", self.folder.path().display()));
    }

    /// A program that notes its call and then does `body`.
    pub fn program(&self, name: &str, body: &str) {
        let path = self.programs.path().join(name);
        let calls = self.path("calls");
        fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >>{}\n{body}\n", calls.display()))
            .unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/host");
        // Without the machine's own driverctl and dpdk-devbind.py.
        for tool in [
            "bash", "sed", "grep", "cat", "head", "tail", "sort", "tr", "seq", "wc", "awk",
            "basename", "dirname", "readlink", "mkdir", "rm", "rmdir", "cp", "chmod", "id",
        ] {
            let place = self.programs.path().join(tool);
            if !place.exists() {
                let found = ["/usr/bin", "/bin"]
                    .iter()
                    .map(|folder| Path::new(folder).join(tool))
                    .find(|path| path.exists());
                symlink(found.unwrap_or_else(|| panic!("no {tool}")), place).unwrap();
            }
        }
        let output = Command::new(scripts.join(script))
            .args(arguments)
            .arg("--root")
            .arg(self.folder.path())
            .env("PATH", self.programs.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Output { code: output.status.code().unwrap(), text }
    }

    /// `check --json`, with the machine's configuration.
    pub fn check(&self, arguments: &[&str]) -> (i32, Vec<Finding>) {
        let output = self.run("check", &[arguments, &["--json"]].concat());
        let findings = serde_json::from_str(&output.text);
        (output.code, findings.unwrap_or_else(|error| panic!("{error}: {}", output.text)))
    }

    /// Every path with its mode, and its text or target.
    pub fn tree(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let facts = fs::symlink_metadata(&path).unwrap();
                let text = if facts.is_dir() {
                    folders.push(path.clone());
                    "a folder".to_owned()
                } else if facts.is_symlink() {
                    fs::read_link(&path).unwrap().display().to_string()
                } else {
                    fs::read_to_string(&path).unwrap()
                };
                let name = path.strip_prefix(self.folder.path()).unwrap().display().to_string();
                tree.insert(name, format!("{:o} {text}", facts.mode()));
            }
        }
        tree
    }
}
