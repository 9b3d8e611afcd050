//! The scenarios on this machine: the shipped dataplane with an enforced allowlist between two `net_memif` ports, and this process as
//! generator at their far ends.

use std::io;
use std::path::Path;
use std::time::Duration;

use loadlock_packet::Side;

use super::result::{Found, LatencyAt, Limit, Point};
use super::{Choices, Scenario};
use crate::in_memory;
use crate::latency::{Quantiles, search};
use crate::link::{Link, Stream, Trial};
use crate::load::{Frames, Load, rules};
use crate::loadlock::{Dataplane, Ports, Setup, drain};

/// Frame sizes of RFC 2544, with FCS.
const SIZES: [u16; 7] = [64, 128, 256, 512, 1024, 1280, 1518];
const FLOW_COUNTS: [u32; 6] = [1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000];
const FLOWS: u32 = 4_096;
const SECONDS: f64 = 2.0;
const FCS_BYTES: u16 = 4;
const SHARES_PERCENT: [f64; 4] = [10.0, 50.0, 90.0, 100.0];
const DENIED_PERCENT: [usize; 4] = [0, 10, 50, 90];
/// Below this share of what was asked the generator is the limit.
const KEPT_UP: f64 = 0.99;
/// Where the halves of a running number go in [`Frames::Opening`]: the client's address, its lower half, and its port.
const NUMBER_AT: [u32; 2] = [28, 34];
/// Rounds in which all conversations must become known.
const WARM_UPS: u32 = 300;

/// Where it runs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The program to measure.
    pub dataplane: &'a Path,
    /// In memory.
    pub folder: &'a Path,
    /// Rules of the enforced allowlist.
    pub rules: u32,
    /// Without them it works and is slow; the result warns.
    pub hugepages: bool,
}

/// A dataplane and the generator around it.
struct Rig {
    dataplane: Dataplane,
    link: Link,
    found: Found,
    seconds: f64,
    confirm_seconds: f64,
}

/// Runs one scenario. Once a process, since EAL starts once.
///
/// # Errors
/// The dataplane or the generator can't start, or its conversations don't become known.
pub fn run(scenario: Scenario, choices: &Choices, place: &Place<'_>) -> io::Result<Found> {
    let or = |chosen: &[u32], default: &[u32]| {
        if chosen.is_empty() { default.to_vec() } else { chosen.to_vec() }
    };
    let sizes = if choices.sizes.is_empty() { SIZES.to_vec() } else { choices.sizes.clone() };
    let one = or(&choices.flows, &[FLOWS])[0];
    let mut rig = match scenario {
        Scenario::NewFlows => Rig::start(scenario, Frames::Opening, 1 << 20, choices, place)?,
        Scenario::Vlan => Rig::start(scenario, Frames::Trunk, one, choices, place)?,
        Scenario::Flows => {
            let counts = or(&choices.flows, &FLOW_COUNTS);
            let most = counts.iter().max().copied().unwrap_or(1);
            Rig::start(scenario, Frames::Short, most, choices, place)?
        }
        Scenario::Soak => return Err(io::Error::other("on this machine it is scripts/soak")),
        _ => Rig::start(scenario, Frames::Short, one, choices, place)?,
    };
    match scenario {
        Scenario::Throughput => {
            for &size in &sizes {
                let stream = rig.known(Frames::Sized(size - FCS_BYTES), one)?;
                rig.full_load(&format!("{size} bytes"), &stream, f64::from(size), one);
            }
            let stream = rig.known(Frames::Imix, one)?;
            rig.full_load("IMIX", &stream, 362.0, one);
        }
        Scenario::Rfc2544 => {
            for &size in &sizes {
                let stream = rig.known(Frames::Sized(size - FCS_BYTES), one)?;
                rig.loss_free(&format!("{size} bytes"), &stream, f64::from(size), Some(one), true)?;
            }
        }
        Scenario::Flows => {
            for flows in or(&choices.flows, &FLOW_COUNTS) {
                let stream = rig.known(Frames::Short, flows)?;
                rig.loss_free(&format!("{flows} flows"), &stream, 64.0, Some(flows), false)?;
            }
        }
        Scenario::NewFlows => {
            let frames = in_memory::frames(Frames::Opening, 1, Side::A)?;
            let stream = Stream::new([&frames, &[]]).counted(NUMBER_AT);
            rig.loss_free("new flows", &stream, 64.0, None, false)?;
        }
        Scenario::Mix => {
            for percent in DENIED_PERCENT {
                let stream = rig.mixed(one, percent)?;
                rig.loss_free(&format!("{percent} % denied"), &stream, 64.0, Some(one), false)?;
            }
        }
        Scenario::Vlan => {
            let stream = rig.known(Frames::Trunk, one)?;
            rig.loss_free("64 VLANs", &stream, 68.0, Some(one), false)?;
        }
        Scenario::Soak => {}
    }
    Ok(rig.found)
}

impl Rig {
    fn start(
        scenario: Scenario,
        frames: Frames,
        flows: u32,
        choices: &Choices,
        place: &Place<'_>,
    ) -> io::Result<Self> {
        let load = Load { frames, flows, side_a: "".into(), side_b: "".into() };
        // Fewer rules than clients permit whole networks, which new conversations need.
        let count = if frames == Frames::Opening { 1_000 } else { place.rules };
        let rules = rules(frames, flows, count)?;
        let mut setup = Setup::established(place.dataplane, &load, rules, place.folder);
        setup.ports = Ports::Memif;
        setup.hugepages = place.hugepages;
        setup.mbufs = Some(32_767);
        let dataplane = Dataplane::start(&setup)?;
        let link = Link::open(0, &setup.memif_far_ends(), place.hugepages)?;
        let mut found = Found {
            scenario: scenario.name().to_owned(),
            generator: "Loadlock's own, over net_memif".to_owned(),
            points: Vec::new(),
            warnings: Vec::new(),
            failure: None,
            samples: Vec::new(),
        };
        if !place.hugepages {
            found.warnings.push("without hugepages: no figure here is one of speed".to_owned());
        }
        let seconds = choices.seconds.unwrap_or(SECONDS);
        let confirm_seconds = choices.confirm_seconds.unwrap_or(0.0);
        Ok(Self { dataplane, link, found, seconds, confirm_seconds })
    }

    fn trial(&mut self, stream: &Stream, pps: f64, seconds: f64) -> Trial {
        let trial = self.link.trial(stream, pps as u64, Duration::from_secs_f64(seconds));
        drain(&mut self.dataplane.exchange);
        trial
    }

    /// The frames of `flows` conversations, all of which are in the flow table.
    fn known(&mut self, frames: Frames, flows: u32) -> io::Result<Stream> {
        let of = |side| in_memory::frames(frames, flows, side);
        let stream = Stream::new([&of(Side::A)?, &of(Side::B)?]);
        for _ in 0..WARM_UPS {
            self.trial(&stream, 0.0, 0.1);
            if self.dataplane.flows() >= u64::from(flows) {
                return Ok(stream);
            }
        }
        let flows_known = self.dataplane.flows();
        Err(io::Error::other(format!(
            "of {flows} conversations {flows_known} are known after 30 s"
        )))
    }

    /// Side A's frames alone, of which `percent` of a hundred go to a denied service.
    fn mixed(&mut self, flows: u32, percent: usize) -> io::Result<Stream> {
        let permitted = in_memory::frames(Frames::Short, flows, Side::A)?;
        let denied = in_memory::frames(Frames::Denied, flows, Side::A)?;
        // Spread over each ten, as the sequence of Pktgen is.
        let is_denied = |at: usize| at % 10 >= 10 - percent / 10;
        let frames: Vec<Vec<u8>> = (0..permitted.len())
            .map(|at| if is_denied(at) { denied[at].clone() } else { permitted[at].clone() })
            .collect();
        let stream = Stream::new([&frames, &[]]).mark(is_denied);
        self.trial(&stream, 0.0, 0.1);
        Ok(stream)
    }

    fn point(&self, label: &str, trial: &Trial, offered_pps: Option<f64>, seconds: f64) -> Point {
        let due_pps = trial.offered as f64 / seconds;
        let offered_pps = offered_pps.unwrap_or(due_pps);
        Point {
            label: label.to_owned(),
            frame_bytes: None,
            flows: None,
            seconds,
            offered_pps,
            sent_pps: due_pps,
            received_pps: trial.received as f64 / seconds,
            lost_packets: trial.lost() as f64,
            leaked_packets: trial.received_marked as f64,
            generator_kept_up: due_pps >= KEPT_UP * offered_pps,
            limit: None,
            latency_ns: Vec::new(),
        }
    }

    /// All that the generator sends; lossless, it is the generator's own limit.
    fn full_load(&mut self, label: &str, stream: &Stream, frame_bytes: f64, flows: u32) {
        let trial = self.trial(stream, 0.0, self.seconds);
        let mut point = self.point(label, &trial, None, self.seconds);
        point.frame_bytes = Some(frame_bytes);
        point.flows = Some(f64::from(flows));
        point.limit = Some(if trial.lost() == 0 { Limit::Generator } else { Limit::Device });
        self.keep(point);
    }

    /// The highest rate without loss, to 1 % of the peak, and latency at shares of it.
    fn loss_free(
        &mut self,
        label: &str,
        stream: &Stream,
        frame_bytes: f64,
        flows: Option<u32>,
        latency: bool,
    ) -> io::Result<()> {
        let seconds = self.seconds;
        let flood = self.trial(stream, 0.0, seconds);
        let peak = (flood.received - flood.received_marked) as f64
            / (flood.offered - flood.offered_marked).max(1) as f64
            * (flood.offered as f64 / seconds);
        let mut best: Option<Point> = None;
        let leaked = flood.received_marked;
        search(peak, |pps| {
            let trial = self.trial(stream, pps, seconds);
            let lossless = trial.lost() == 0 && trial.received > 0;
            if lossless {
                best = Some(self.point(label, &trial, Some(pps), seconds));
            }
            lossless
        });
        if let Some(found) = &mut best
            && self.confirm_seconds > seconds
        {
            let trial = self.trial(stream, found.offered_pps, self.confirm_seconds);
            *found = self.point(label, &trial, Some(found.offered_pps), self.confirm_seconds);
        }
        let Some(mut point) = best else {
            self.found.warnings.push(format!("{label}: frames were lost at every rate"));
            return Ok(());
        };
        // All that it can send came back.
        point.limit = Some(if flood.lost() == 0 { Limit::Generator } else { Limit::Device });
        point.leaked_packets += leaked as f64;
        point.frame_bytes = Some(frame_bytes);
        point.flows = flows.map(f64::from);
        for percent in SHARES_PERCENT.into_iter().filter(|_| latency) {
            let trial = self.trial(stream, point.offered_pps * percent / 100.0, seconds);
            let Quantiles { p50, p99, p99_9, max } = Quantiles::of(&trial.latency, trial.hz)?;
            let [p50, p99, p99_9, max] = [p50, p99, p99_9, max].map(|ns| ns as f64);
            point.latency_ns.push(LatencyAt { load_percent: percent, p50, p99, p99_9, max });
        }
        self.keep(point);
        Ok(())
    }

    fn keep(&mut self, point: Point) {
        let Point { label, sent_pps, .. } = &point;
        if point.limit == Some(Limit::Generator) {
            self.found.warnings.push(format!(
                "{label}: the generator is the limit: it sent {:.2} Mpps, and all came back",
                sent_pps / 1e6
            ));
        }
        if point.limit == Some(Limit::Device) && !point.generator_kept_up {
            self.found.warnings.push(format!(
                "{label}: the generator didn't keep up: it sent {:.2} of {:.2} Mpps; end what else runs, and measure again",
                sent_pps / 1e6,
                point.offered_pps / 1e6
            ));
        }
        if point.leaked_packets > 0.0 {
            self.found.warnings.push(format!(
                "{label}: {:.0} frames came through that no rule permits",
                point.leaked_packets
            ));
        }
        println!("  {}", super::report::line(&point));
        self.found.points.push(point);
    }
}
