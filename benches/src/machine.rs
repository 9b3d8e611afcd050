//! Facts of the machine that a figure means nothing without.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// What is told of the machine; a fact that can't be found is empty.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model name of the processor.
    pub processor: String,
    /// CPUs that are online.
    pub cpus: usize,
    /// Size of the last cache.
    pub last_cache: String,
    /// Whether the processor says that it runs under a hypervisor.
    pub virtual_machine: bool,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Version of DPDK that pkg-config finds.
    pub dpdk: String,
    /// When the run began, in UTC.
    pub date: String,
}

impl Machine {
    /// Of the machine this runs on.
    #[must_use]
    pub fn here() -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory_kib = value(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
        Self {
            processor: value(&processor, "model name"),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            last_cache: file("/sys/devices/system/cpu/cpu0/cache/index3/size"),
            virtual_machine: value(&processor, "flags").split(' ').any(|flag| flag == "hypervisor"),
            memory_mib: memory_kib / 1024,
            kernel: file("/proc/sys/kernel/osrelease"),
            dpdk: output("pkg-config", &["--modversion", "libdpdk"]),
            date: output("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
        }
    }
}

fn file(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// What stands behind the first `name:` of a list of facts.
fn value(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
