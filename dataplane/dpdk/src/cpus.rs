//! CPU numbers: the kernel's list notation, and which CPUs a thread may run on.

use std::io;

/// Reads the kernel's notation, as in `/sys/devices/system/cpu/online`: `0-3,8`. `None` if it isn't that.
pub(crate) fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= libc::CPU_SETSIZE as usize {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// Writes the kernel's notation from ascending numbers.
pub(crate) fn format_list(cpus: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &cpu in cpus {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => runs.push((cpu, cpu)),
        }
    }
    let parts: Vec<String> = runs
        .iter()
        .map(
            |&(first, last)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            },
        )
        .collect();
    parts.join(",")
}

/// The CPUs the calling thread may run on, ascending. One system call.
pub(crate) fn of_this_thread() -> io::Result<Vec<usize>> {
    // SAFETY: cpu_set_t is an array of integers, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable and as long as is said; pid 0 is the calling thread.
    let status = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((0..libc::CPU_SETSIZE as usize)
        .filter(|&cpu| {
            // SAFETY: `cpu` is below CPU_SETSIZE, and `set` is initialised.
            unsafe { libc::CPU_ISSET(cpu, &set) }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{format_list, of_this_thread, parse_list};

    #[test]
    fn lists_are_read_and_written_alike() {
        for (text, cpus) in
            [("0-1", vec![0, 1]), ("0,2-4,9", vec![0, 2, 3, 4, 9]), ("7", vec![7]), ("", vec![])]
        {
            assert_eq!(parse_list(text), Some(cpus.clone()), "{text}");
            assert_eq!(format_list(&cpus), text);
        }
        for text in ["a", "3-1", "1-", "0-99999999"] {
            assert_eq!(parse_list(text), None, "{text}");
        }
    }

    #[test]
    fn this_thread_may_run_somewhere() {
        assert!(!of_this_thread().expect("sched_getaffinity").is_empty());
    }
}
