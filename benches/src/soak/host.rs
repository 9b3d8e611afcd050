//! What the host of a virtual machine takes from it.

use std::fs;
use std::io;

/// CPU time that the host gave to others although a CPU here had work ("steal"), of all CPUs since start, in ms, in steps of 10. See proc(5).
///
/// # Errors
/// /proc/stat can't be read.
pub fn stolen_ms() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let ticks = text.lines().next().and_then(|all| all.split_whitespace().nth(8));
    // A hundred a second, on every architecture that Linux has a stable interface for.
    Ok(ticks.and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0) * 10)
}
