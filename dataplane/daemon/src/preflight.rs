//! `--preflight`: do the devices give what the configuration asks for, and do frames go from port to port?
//!
//! Runs with the same EAL, pool and ports as the dataplane, so that it can't run beside one. Forwards nothing.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loadlock_dpdk::{Burst, Eal, Grant, Mempool, Port, PortInfo, Rss};
use loadlock_settings::{CoreId, PortIndex, PortSettings, SegmentSettings, Settings};

use crate::exit::Failure;
use crate::ports::{self, Pairs, Ports};

/// IEEE 802's EtherType for local experiments.
const MARKER_ETHERTYPE: [u8; 2] = [0x88, 0xb5];
const MARKER: &[u8; 16] = b"loadlock-preflt\0";
const MARKERS: u16 = 32;
const LINK_PATIENCE: Duration = Duration::from_secs(5);
const LOOP_PATIENCE: Duration = Duration::from_secs(1);

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// As it should be.
    Well,
    /// It works, but not as well as it could.
    Note,
    /// It doesn't work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
struct Finding {
    weight: Weight,
    place: String,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Well => "ok     ",
            Weight::Note => "note   ",
            Weight::Problem => "PROBLEM",
        };
        write!(f, "{weight} {}: {}", self.place, self.text)
    }
}

/// Everything that was found.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, weight: Weight, place: impl Into<String>, text: impl Into<String>) {
        let finding = Finding { weight, place: place.into(), text: text.into() };
        println!("{finding}");
        self.0.push(finding);
    }

    fn well(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Well, place, text);
    }

    fn note(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Note, place, text);
    }

    fn problem(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Problem, place, text);
    }

    fn count(&self, weight: Weight) -> usize {
        self.0.iter().filter(|finding| finding.weight == weight).count()
    }
}

/// Opens everything, looks at it, and prints a line for each finding. `with_loop`: each segment's two ports are joined by a
/// cable, over which marker frames go both ways.
///
/// # Errors
/// [`Failure::Preflight`] if there is a problem; what keeps the dataplane from starting too.
pub fn run(settings: &Settings, with_loop: bool) -> Result<(), Failure> {
    let mut findings = Findings::default();
    print!("{}{}", settings.sums_in_words(), settings.queues_in_words(node_of));
    let eal =
        Eal::init(&ports::eal_config(settings)).map_err(|error| Failure::Eal(Box::new(error)))?;
    let Ports { ports, mut queues, pools } = ports::open(&eal, settings)?;
    for (index, (port, configured)) in ports.iter().zip(&settings.ports).enumerate() {
        look_at_port(settings, PortIndex(index), port, configured, &mut findings);
    }
    for segment in &settings.segments {
        let [a, b] = [segment.side_a, segment.side_b].map(|side| ports[side.0].info());
        look_at_pair(segment, a, b, &mut findings);
    }
    for (index, pool) in pools.iter().enumerate() {
        let whose = match settings.ports[index].pool {
            Some(_) => format!("pool of port {}", settings.ports[index].name),
            // The shared one is the same for all others.
            None if pools[..index].iter().any(|other| Arc::ptr_eq(other, pool)) => continue,
            None => "pool".to_owned(),
        };
        let text = format!(
            "{} of {} buffers are left with all queues filled",
            pool.available(),
            pool.mbufs()
        );
        findings.well(whose, text);
    }
    look_at_hugepages(settings, &mut findings);
    if with_loop {
        for segment in &settings.segments {
            let (a, b) = (segment.side_a.0, segment.side_b.0);
            for (from, to) in [(a, b), (b, a)] {
                let names = [from, to].map(|port| settings.ports[port].name.to_string());
                // As when forwarding, what a port sends is from the pool of the other side.
                let arrived = send_markers(&pools[to], &mut queues, from, to);
                judge_markers(&names, arrived, &mut findings);
            }
        }
    }
    drop(queues);
    let (problems, notes) = (findings.count(Weight::Problem), findings.count(Weight::Note));
    println!(
        "{problems} problems, {notes} notes, {} as they should be",
        findings.count(Weight::Well)
    );
    if problems > 0 { Err(Failure::Preflight { problems }) } else { Ok(()) }
}

fn look_at_port(
    settings: &Settings,
    index: PortIndex,
    port: &Port,
    configured: &PortSettings,
    findings: &mut Findings,
) {
    let place = format!("port {}", configured.name);
    let (info, grant) = (port.info(), port.grant());
    findings.well(
        &place,
        format!(
            "{} ({}): {} queues of at most {}, no offload that touches a frame{}",
            info.name,
            info.driver,
            grant.queues,
            info.rx_queues_max.min(info.tx_queues_max),
            if grant.tx_fast_free { ", tx-fast-free" } else { "" }
        ),
    );
    let asked = (configured.rx_descriptors, configured.tx_descriptors);
    if (grant.rx_descriptors, grant.tx_descriptors) != asked {
        findings.note(
            &place,
            format!(
                "{} and {} descriptors instead of {} and {}: set rx_descriptors and tx_descriptors to what the device takes",
                grant.rx_descriptors, grant.tx_descriptors, asked.0, asked.1
            ),
        );
    }
    match grant.mtu == configured.mtu {
        true => findings.well(&place, format!("MTU {}", grant.mtu)),
        false => findings.problem(
            &place,
            format!(
                "MTU {} instead of {}: larger frames would be lost; lower mtu",
                grant.mtu, configured.mtu
            ),
        ),
    }
    look_at_rss(&place, grant, findings);
    look_at_node(settings, index, &place, info, findings);
    look_at_link(port, &place, findings);
}

fn look_at_rss(place: &str, grant: &Grant, findings: &mut Findings) {
    match grant.rss {
        Rss::OneQueue => findings.well(place, "one queue, so that nothing is spread"),
        Rss::Symmetric { confirmed: true, .. } => {
            findings.well(place, "RSS is symmetric over the IP pair; the key was read back");
        }
        Rss::Symmetric { confirmed: false, .. } => findings.note(
            place,
            "RSS was set to be symmetric, but the device doesn't give its key back: check with traffic that both directions of a \
             conversation are counted by one worker",
        ),
        Rss::DriverDefault => findings.note(
            place,
            "the driver alone knows how frames are spread (rss = \"device\"): both directions of a pair of hosts must reach one worker",
        ),
    }
}

/// The NUMA node of a CPU, if sysfs says.
pub fn node_of(core: CoreId) -> Option<u32> {
    let folder = format!("/sys/devices/system/cpu/cpu{core}");
    let entries = std::fs::read_dir(Path::new(&folder)).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("node")?.parse().ok()).next()
}

fn look_at_node(
    settings: &Settings,
    index: PortIndex,
    place: &str,
    info: &PortInfo,
    findings: &mut Findings,
) {
    let Some(node) = info.socket else { return };
    let cores = settings.dataplane.worker_cores.iter().enumerate();
    let far = cores.filter(|(worker, core)| {
        settings.queue_of(index, *worker).is_some()
            && node_of(**core).is_some_and(|own| own != node)
    });
    let far: Vec<String> = far.map(|(_, core)| core.to_string()).collect();
    match far.is_empty() {
        true => findings.well(place, format!("on NUMA node {node}, like the workers")),
        false => findings.note(
            place,
            format!(
                "on NUMA node {node}, but the workers on CPU {} aren't: use CPUs of that node",
                far.join(", ")
            ),
        ),
    }
}

fn look_at_link(port: &Port, place: &str, findings: &mut Findings) {
    let end = Instant::now() + LINK_PATIENCE;
    loop {
        match port.link() {
            Ok(link) if link.up => {
                let speed =
                    link.speed_mbps.map_or_else(String::new, |speed| format!(", {speed} Mbit/s"));
                findings.well(place, format!("the link is up{speed}"));
                break;
            }
            Ok(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(50)),
            Ok(_) => {
                findings.problem(place, "the link is down: check cable, transceiver and peer");
                break;
            }
            Err(error) => {
                findings
                    .problem(place, format!("its link can't be read: {error}; check the driver"));
                break;
            }
        }
    }
    if let Err(error) = port.set_link(true) {
        findings.note(place, format!("its driver can't set the link ({error}): link_down = \"propagate\" has no effect on it"));
    }
}

fn look_at_pair(segment: &SegmentSettings, a: &PortInfo, b: &PortInfo, findings: &mut Findings) {
    let workers = segment.workers.len();
    if workers > 1 && a.reta_size != b.reta_size && !workers.is_power_of_two() {
        findings.problem(
            format!("segment {}", segment.name),
            format!(
                "the RSS tables of its ports have {} and {} entries, so that {workers} workers get different parts of them: use two cards of a kind, \
                 or a power of two of workers",
                a.reta_size, b.reta_size
            ),
        );
    }
}

fn look_at_hugepages(settings: &Settings, findings: &mut Findings) {
    if !settings.dataplane.hugepages {
        return findings.note("memory", "hugepages = false: for functional tests only");
    }
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let free = field("HugePages_Free:").unwrap_or(0) * field("Hugepagesize:").unwrap_or(0) * 1024;
    let needed = settings.sums().flow_bytes;
    let [free_mib, needed_mib] = [free, needed].map(|bytes| bytes >> 20);
    match free >= needed {
        true => findings.well("memory", format!("{free_mib} MiB of hugepages are free for {needed_mib} MiB of flow tables")),
        false => findings.note(
            "memory",
            format!("{free_mib} MiB of hugepages are free, the flow tables need {needed_mib}: they would lie on ordinary pages; raise vm.nr_hugepages"),
        ),
    }
}

/// How many markers came where they should, and how many came back on the port they were sent from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Arrived {
    at_peer: u16,
    at_home: u16,
}

fn marker(from: usize, number: u16) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 0xfe, 0x02, 0, 0, 0, 0, 0xfd];
    frame.extend(MARKER_ETHERTYPE);
    frame.extend(MARKER);
    frame.extend(std::process::id().to_be_bytes());
    frame.push(from as u8);
    frame.extend(number.to_be_bytes());
    frame.resize(60, 0);
    frame
}

/// Sends by the first queue of `from`, and listens on all of both ports.
fn send_markers(pool: &Mempool, workers: &mut [Pairs], from: usize, to: usize) -> Arrived {
    let mut burst = Burst::with_capacity(usize::from(MARKERS));
    for number in 0..MARKERS {
        if let Some(frame) = pool.frame(&marker(from, number)) {
            // There is room for all of them.
            let _ = burst.push(frame);
        }
    }
    let end = Instant::now() + LOOP_PATIENCE;
    let (mut arrived, mut received) = (Arrived::default(), Burst::with_capacity(64));
    while Instant::now() < end && arrived.at_peer < MARKERS {
        let mut queues: Vec<_> = workers.iter_mut().flatten().collect();
        if let Some((_, _, transmit)) = queues.iter_mut().find(|(port, _, _)| port.0 == from) {
            transmit.send(&mut burst);
        }
        for (port, receive, _) in queues {
            let count = match port.0 {
                port if port == to => &mut arrived.at_peer,
                port if port == from => &mut arrived.at_home,
                _ => continue,
            };
            receive.receive(&mut received);
            *count += received.iter().filter(|frame| is_marker(frame.head(), from)).count() as u16;
            received.free_all();
        }
    }
    burst.free_all();
    arrived
}

fn is_marker(frame: &[u8], from: usize) -> bool {
    let expected = marker(from, 0);
    frame.len() >= 37 && frame[12..35] == expected[12..35]
}

fn judge_markers([from, to]: &[String; 2], arrived: Arrived, findings: &mut Findings) {
    let place = format!("loop {from} to {to}");
    match arrived {
        Arrived { at_peer: MARKERS, at_home: 0 } => {
            findings.well(place, format!("{MARKERS} of {MARKERS} marker frames arrived"));
        }
        Arrived { at_peer: 0, at_home: 0 } => findings.problem(
            place,
            "no marker frame arrived: for this test join the two ports by one cable; without it use --no-loop",
        ),
        Arrived { at_peer: 0, at_home } => findings.problem(
            place,
            format!("{at_home} marker frames came back on port {from} itself: its cable is looped, or the device is"),
        ),
        Arrived { at_peer, at_home } => findings.problem(
            place,
            format!(
                "{at_peer} of {MARKERS} marker frames arrived, and {at_home} came back: something else is on the cable, or frames are lost"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_known_again_and_nothing_else_is() {
        let frame = marker(3, 7);
        assert!(is_marker(&frame, 3) && !is_marker(&frame, 2));
        assert!(!is_marker(&frame[..36], 3) && !is_marker(&[0; 60], 3));
    }

    #[test]
    fn a_loop_test_passes_only_if_all_arrive_at_the_peer() {
        let names = ["a".to_owned(), "b".to_owned()];
        for (at_peer, at_home, weight, words) in [
            (32, 0, Weight::Well, "32 of 32"),
            (0, 0, Weight::Problem, "one cable"),
            (0, 32, Weight::Problem, "looped"),
            (31, 0, Weight::Problem, "31 of 32"),
            (32, 1, Weight::Problem, "1 came back"),
        ] {
            let mut findings = Findings::default();
            judge_markers(&names, Arrived { at_peer, at_home }, &mut findings);
            assert_eq!(findings.0[0].weight, weight);
            assert!(findings.0[0].text.contains(words), "{}", findings.0[0]);
        }
    }
}
