//! DPDK's testpmd on the same captures: `macswap` touches each header, `io` none.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::load::Load;
use crate::process::Process;
use crate::report::{Run, median};

/// The program, from Debian's `dpdk`.
const PROGRAM: &str = "dpdk-testpmd";

/// Whether the program is there.
#[must_use]
pub fn installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).is_file())
}

/// Runs testpmd in `mode` for `seconds` and returns the packets per second that both ports received together.
///
/// # Errors
/// It isn't installed (`apt-get install dpdk`), can't start, or prints no figures.
pub fn run(mode: &str, load: &Load, seconds: u32, folder: &Path) -> io::Result<Run> {
    let mut command = Command::new(PROGRAM);
    let vdev = |index: u32, path: &Path| {
        format!("net_pcap{index},rx_pcap={},infinite_rx=1", path.display())
    };
    command
        .args(["--lcores", "0@0,1@1", "--no-pci", "--in-memory", "--no-telemetry"])
        .args(["--vdev", &vdev(0, &load.side_a), "--vdev", &vdev(1, &load.side_b)])
        .args(["--log-level", "error", "--", "--nb-cores=1", "--auto-start", "--no-flush-rx"])
        .args(["--burst=32", "--stats-period=1", "--mbcache=256"])
        .arg(format!("--forward-mode={mode}"))
        .arg(format!("--total-num-mbufs={}", load.mbufs()));
    let log = folder.join("testpmd.log");
    let mut process = Process::start(command, &log)?;
    // The first report covers the start; of the others the median is taken.
    let wanted = seconds as usize + 1;
    let time = Duration::from_secs(u64::from(seconds) + 120);
    let rates = process.wait_for("testpmd's figures", time, || {
        Ok(Some(rates(&std::fs::read_to_string(&log)?)).filter(|rates| rates.len() >= wanted))
    })?;
    let pps = median(rates[1..wanted].to_vec());
    Ok(Run { pps, cpu_taken_away: process.cpu_taken_away() })
}

/// Rates of each report: the sum of both ports' `Rx-pps`.
fn rates(output: &str) -> Vec<f64> {
    let per_port: Vec<f64> = output
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Rx-pps:"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .collect();
    per_port.chunks_exact(2).map(|pair| pair[0] + pair[1]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn rates_are_read_from_the_statistics() {
        let output = "  Throughput (since last show)\n  Rx-pps:     20  Rx-bps: 3\n  Tx-pps: 1\n  Rx-pps: 22 Rx-bps: 1\n";
        assert_eq!(super::rates(output), [42.0]);
    }
}
