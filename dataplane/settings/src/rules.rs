//! The rules between keys: names used once, cores apart, references that resolve, sizes that fit together.
//!
//! A rule is skipped where one of its keys already has a mistake, so that one slip doesn't show up as three.

use std::collections::BTreeMap;
use std::path::Path;

use crate::device::{Device, VirtualDevice};
use crate::drivers::Driver;
use crate::findings::Findings;
use crate::problem::Problem;
use crate::settings::{Clock, CoreId, PortIndex, PortSettings, Relay, Settings};
use crate::tuning::GpioLine;

mod outward;
mod pools;

/// `RTE_PKTMBUF_HEADROOM`: room that DPDK keeps free before the frame.
const HEADROOM_BYTES: u32 = 128;
/// Ethernet header, two VLAN tags, frame check sequence: what a frame has besides its MTU.
const FRAME_OVERHEAD_BYTES: u32 = 14 + 8 + 4;

/// Notes every breach.
pub(crate) fn check(settings: &Settings, findings: &mut Findings<'_>) {
    names_are_distinct(settings, findings);
    cores_are_apart(settings, findings);
    devices_are_distinct(settings, findings);
    exclusive_options_are_distinct(settings, findings);
    every_port_has_one_side(settings, findings);
    segments_have_one_mtu(settings, findings);
    frames_fit_into_mbufs(settings, findings);
    ports_have_a_queue_per_worker(settings, findings);
    every_worker_serves_a_segment(settings, findings);
    pools::fill_the_queues(settings, findings);
    gpio_lines_are_distinct(settings, findings);
    capture_clock_can_work(settings, findings);
    outward::tls_has_its_files(settings, findings);
}

/// Notes every further use of a value among `(key path, value)`.
fn refuse_repetition(
    findings: &mut Findings<'_>,
    uses: impl IntoIterator<Item = (String, String)>,
    reason: &'static str,
) {
    let mut first_uses: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in uses {
        if !findings.is_sound(&key) {
            continue;
        }
        match first_uses.get(&value) {
            None => {
                first_uses.insert(value, key);
            }
            Some(first_key) => {
                let problem = Problem::UsedTwice {
                    found: value,
                    first_key: first_key.clone(),
                    first_line: findings.lines.get(first_key).copied(),
                    reason,
                };
                findings.report_at(&key, problem);
            }
        }
    }
}

fn names_are_distinct(settings: &Settings, findings: &mut Findings<'_>) {
    let ports = settings.ports.iter();
    let port_names =
        ports.map(|port| (format!("{}.name", port.path), format!("\"{}\"", port.name)));
    refuse_repetition(findings, port_names, "names tell ports apart");
    let segments = settings.segments.iter();
    let segment_names =
        segments.map(|segment| (format!("{}.name", segment.path), format!("\"{}\"", segment.name)));
    refuse_repetition(findings, segment_names, "names tell segments apart");
}

/// Workers need a core each; housekeeping and control may share one, but not a worker's.
fn cores_are_apart(settings: &Settings, findings: &mut Findings<'_>) {
    let workers = &settings.dataplane.worker_cores;
    if !findings.is_sound("dataplane.worker_cores") {
        return;
    }
    let path = |index: usize| format!("dataplane.worker_cores[{index}]");
    let uses = workers.iter().enumerate().map(|(index, core)| (path(index), format!("CPU {core}")));
    refuse_repetition(findings, uses, "each worker needs a core of its own");
    let others: [(&str, CoreId); 2] = [
        ("dataplane.main_core", settings.dataplane.main_core),
        ("control.core", settings.control.core),
    ];
    for (index, core) in workers.iter().enumerate() {
        if !findings.is_sound(&path(index)) {
            continue;
        }
        for (other_key, other_core) in others {
            if *core != other_core || !findings.is_sound(other_key) {
                continue;
            }
            let problem = Problem::UsedTwice {
                found: format!("CPU {core}"),
                first_key: other_key.to_owned(),
                first_line: findings.lines.get(other_key).copied(),
                reason: "a worker needs a core to itself",
            };
            findings.report_at(&path(index), problem);
        }
    }
}

fn devices_are_distinct(settings: &Settings, findings: &mut Findings<'_>) {
    let cards = settings.ports.iter().filter_map(|port| match &port.device {
        Device::Pci(address) => Some((format!("{}.device", port.path), format!("\"{address}\""))),
        Device::Virtual(_) => None,
    });
    refuse_repetition(findings, cards, "a card is one port");
}

/// Two ports on one interface would hand frames round in a circle, and two writers of one file would garble it.
fn exclusive_options_are_distinct(settings: &Settings, findings: &mut Findings<'_>) {
    let mut uses: BTreeMap<(&str, &str), Vec<(String, String)>> = BTreeMap::new();
    let mut captures_in: Vec<(&str, &str)> = Vec::new();
    for device in virtual_devices(settings).map(|(_, device)| device) {
        let schema = device.driver.schema();
        for option in &device.options {
            if schema.option(option.name).is_some_and(|option| option.exclusive) {
                let same_kind = uses.entry((schema.name, option.name)).or_default();
                same_kind.push((option.key.clone(), format!("\"{}\"", option.value)));
            }
            if option.name == "rx_pcap" {
                captures_in.push((&option.value, &option.key));
            }
        }
    }
    for same_kind in uses.into_values() {
        refuse_repetition(findings, same_kind, "two ports can't share it");
    }
    for device in virtual_devices(settings).map(|(_, device)| device) {
        for out in device.options.iter().filter(|option| option.name == "tx_pcap") {
            let same =
                captures_in.iter().find(|(file, _)| Path::new(file) == Path::new(&out.value));
            if let Some((file, key)) = same {
                let problem = Problem::UsedTwice {
                    found: format!("\"{file}\""),
                    first_key: (*key).to_owned(),
                    first_line: findings.lines.get(*key).copied(),
                    reason: "the capture that is read would be overwritten",
                };
                findings.report_at(&out.key, problem);
            }
        }
    }
}

/// The virtual devices with their ports.
fn virtual_devices(settings: &Settings) -> impl Iterator<Item = (&PortSettings, &VirtualDevice)> {
    let ports = settings.ports.iter();
    ports.filter_map(|port| port.device.as_virtual().map(|device| (port, device)))
}

fn every_port_has_one_side(settings: &Settings, findings: &mut Findings<'_>) {
    let sides = settings.segments.iter().flat_map(|segment| {
        let side = |name: &str, port: PortIndex| (format!("{}.{name}", segment.path), port);
        [side("side_a", segment.side_a), side("side_b", segment.side_b)]
    });
    let resolved: Vec<(String, PortIndex)> =
        sides.filter(|(key, _)| findings.is_sound(key)).collect();
    let named = resolved.iter().filter_map(|(key, port)| {
        let port = settings.ports.get(port.0)?;
        Some((key.clone(), format!("port \"{}\"", port.name)))
    });
    refuse_repetition(findings, named, "a port is one side of one segment");
    // With a side that names no port, any port might be the one that was meant.
    if !findings.is_sound("segment")
        || settings.segments.is_empty()
        || !all_sides_resolve(settings, findings)
    {
        return;
    }
    for (index, port) in settings.ports.iter().enumerate() {
        let used = resolved.iter().any(|(_, used)| used.0 == index);
        if !used && findings.is_sound(&format!("{}.name", port.path)) {
            let problem = Problem::UnusedPort { name: port.name.to_string() };
            findings.report_at(&port.path, problem);
        }
    }
}

fn all_sides_resolve(settings: &Settings, findings: &Findings<'_>) -> bool {
    settings.segments.iter().all(|segment| {
        let sides = ["side_a", "side_b"].map(|side| format!("{}.{side}", segment.path));
        sides.iter().all(|side| findings.is_sound(side))
    })
}

fn segments_have_one_mtu(settings: &Settings, findings: &mut Findings<'_>) {
    for segment in &settings.segments {
        let sides = ["side_a", "side_b"].map(|side| format!("{}.{side}", segment.path));
        if !sides.iter().all(|side| findings.is_sound(side)) {
            continue;
        }
        let ports = [segment.side_a, segment.side_b].map(|side| settings.ports.get(side.0));
        let [Some(a), Some(b)] = ports else { continue };
        let sound = [a, b].iter().all(|port| findings.is_sound(&format!("{}.mtu", port.path)));
        if sound && a.mtu != b.mtu {
            let problem = Problem::MtuDiffers {
                side_a: (a.name.to_string(), a.mtu),
                side_b: (b.name.to_string(), b.mtu),
            };
            findings.report_at(&segment.path, problem);
        }
    }
}

/// The pipeline parses one contiguous buffer, so a frame may not spill into a second mbuf.
fn frames_fit_into_mbufs(settings: &Settings, findings: &mut Findings<'_>) {
    if !findings.is_sound("dataplane.mbuf_data_bytes") {
        return;
    }
    let mbuf_data_bytes = u32::from(settings.dataplane.mbuf_data_bytes);
    for port in &settings.ports {
        let key = format!("{}.mtu", port.path);
        let needed = HEADROOM_BYTES + FRAME_OVERHEAD_BYTES + u32::from(port.mtu);
        if needed > mbuf_data_bytes && findings.is_sound(&key) {
            let problem = Problem::MtuAboveMbuf { mtu: port.mtu, mbuf_data_bytes, needed };
            findings.report_at(&key, problem);
        }
    }
}

fn ports_have_a_queue_per_worker(settings: &Settings, findings: &mut Findings<'_>) {
    if !workers_are_sound(settings, findings) || !all_sides_resolve(settings, findings) {
        return;
    }
    for (index, port) in settings.ports.iter().enumerate() {
        let (Some(device), Some(workers)) =
            (port.device.as_virtual(), settings.workers_of(PortIndex(index)).map(<[usize]>::len))
        else {
            continue;
        };
        let options_key = format!("{}.options", port.path);
        let Some(queues) = device.queue_pairs().filter(|queues| *queues < workers as u64) else {
            continue;
        };
        if findings.is_sound(&options_key) {
            let problem = Problem::TooFewQueues {
                queues,
                workers,
                option: device.driver.schema().queues_option.map(|(option, _)| option),
            };
            findings.report_at(&options_key, problem);
        }
    }
}

/// Whether the lists of workers, of all and of each segment, have no mistake.
fn workers_are_sound(settings: &Settings, findings: &Findings<'_>) -> bool {
    findings.is_sound("dataplane.worker_cores")
        && settings
            .segments
            .iter()
            .all(|segment| findings.is_sound(&format!("{}.worker_cores", segment.path)))
}

/// A worker without a port would keep a core busy with nothing.
fn every_worker_serves_a_segment(settings: &Settings, findings: &mut Findings<'_>) {
    if !workers_are_sound(settings, findings) || settings.segments.is_empty() {
        return;
    }
    for (worker, core) in settings.dataplane.worker_cores.iter().enumerate() {
        if !settings.segments.iter().any(|segment| segment.workers.contains(&worker)) {
            let path = format!("dataplane.worker_cores[{worker}]");
            findings.report_at(&path, Problem::IdleWorker { core: core.0 });
        }
    }
}

fn gpio_lines_are_distinct(settings: &Settings, findings: &mut Findings<'_>) {
    let mut uses = Vec::new();
    for segment in &settings.segments {
        if let Some(Relay::Gpio { pulse, arm }) =
            segment.bypass.as_ref().map(|bypass| &bypass.relay)
        {
            let line = |line: &GpioLine| format!("line {} of {}", line.line, line.chip.display());
            uses.push((format!("{}.bypass_gpio", segment.path), line(pulse)));
            if let Some(arm) = arm {
                uses.push((format!("{}.bypass_gpio_arm", segment.path), line(arm)));
            }
        }
    }
    refuse_repetition(findings, uses, "a line belongs to one relay");
}

/// The captures' time can only be followed by one worker, and only from files that end.
fn capture_clock_can_work(settings: &Settings, findings: &mut Findings<'_>) {
    if settings.dataplane.clock != Clock::Capture {
        return;
    }
    let workers = settings.dataplane.worker_cores.len();
    if workers > 1 && findings.is_sound("dataplane.worker_cores") {
        let problem = Problem::CaptureClock {
            obstacle: format!("{workers} workers"),
            fix: "use one worker core",
        };
        findings.report_at("dataplane.clock", problem);
    }
    for port in &settings.ports {
        let (key, obstacle, fix) = match &port.device {
            Device::Virtual(device) if device.driver == Driver::Pcap => {
                let live = ["rx_iface", "rx_iface_in", "iface"];
                if let Some(option) =
                    device.options.iter().find(|option| live.contains(&option.name))
                {
                    (
                        option.key.clone(),
                        format!("frames from the interface \"{}\"", option.value),
                        "read a file with rx_pcap",
                    )
                } else if let Some(option) = endless(device) {
                    (
                        option,
                        "infinite_rx, whose time would start over".to_owned(),
                        "delete infinite_rx",
                    )
                } else {
                    continue;
                }
            }
            _ => (
                format!("{}.device", port.path),
                format!("\"{}\", which has no capture time", port.eal_name()),
                "use net_pcap with rx_pcap",
            ),
        };
        if findings.is_sound(&key) {
            findings.report_at(&key, Problem::CaptureClock { obstacle, fix });
        }
    }
}

/// Key of `infinite_rx` if it is set.
fn endless(device: &VirtualDevice) -> Option<String> {
    let set =
        device.options.iter().find(|option| option.name == "infinite_rx" && option.value == "1");
    set.map(|option| option.key.clone())
}
