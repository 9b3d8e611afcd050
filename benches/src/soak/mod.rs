//! A long run as an appliance has it: real dataplane, real control, load at 70 % of the loss-free rate, and meanwhile policy versions, kills of control,
//! link flaps and storms of new conversations.
//!
//! ```text
//!  this thread:    policy versions, kills, samples of memory           (appliance.rs)   ┐
//!  another thread: generator, a second at a time; flaps between them, some are storms  ├ CPU 0
//!  control                                                                              ┘
//!  worker of the dataplane                                                                CPU 1
//! ```
//!
//! What a figure means stands at [`Report`]'s fields; what fails a run in [`Report::faults`].

mod appliance;
mod host;
mod report;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use loadlock_packet::Side;

use crate::in_memory;
use crate::latency::{Quantiles, search};
use crate::link::{Link, Stream, Trial};
use crate::load::{Frames, Load};
use crate::loadlock::{Ports, Setup};
use appliance::Appliance;
pub use appliance::Counters;
pub use report::{Memory, Report, Second};

const SHARE: f64 = 0.7;
const FLOWS: u32 = 4_096;
const CAPACITY: u32 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
/// A second in this many is a storm, and behind one in this many a link goes down.
const STORM_EVERY: u64 = 20;
const FLAP_EVERY: u64 = 30;
const SWAP_EVERY: Duration = Duration::from_secs(5);
const KILL_EVERY: Duration = Duration::from_secs(17);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
const DOWN: Duration = Duration::from_millis(200);
/// Frames due at once above which the generator was late; the rings hold 16,384.
const BACKLOG_MAX: u32 = 4_096;
/// Of the generator while nothing is due.
const PAUSE: Duration = Duration::from_micros(50);
const RING_LOG2: u8 = 14;
/// As in `traffic/local.rs`.
const NUMBER_AT: [u32; 2] = [28, 34];

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Our programs.
    pub dataplane: &'a Path,
    /// Control and its verbs.
    pub loadlock: &'a Path,
    /// In memory, for exchange and sockets, and the store.
    pub folder: &'a Path,
    /// How long under load.
    pub duration: Duration,
    /// Whether there are hugepages; without, the rate says nothing.
    pub hugepages: bool,
}

/// Runs it.
///
/// # Errors
/// The appliance or the generator can't start, a verb is refused, or a link doesn't come back.
pub fn run(options: &Options<'_>, tell: &(dyn Fn(&str) + Sync)) -> io::Result<Report> {
    let load = Load { frames: Frames::Short, flows: FLOWS, side_a: "".into(), side_b: "".into() };
    let mut setup = Setup::established(options.dataplane, &load, Vec::new(), options.folder);
    setup.ports = Ports::Memif;
    setup.hugepages = options.hugepages;
    setup.mbufs = Some(32_767);
    setup.capacity = CAPACITY;
    setup.memif_ring_log2 = Some(RING_LOG2);
    setup.control = "socket = \"control.sock\"\nstore = \"loadlock.db\"\nlog = \"warn\"".to_owned();
    // By this thread, since a child ends with the thread that started it; all but the worker on CPU 0.
    let mut appliance = Appliance::start(options.loadlock, &setup)?;
    let stop = AtomicBool::new(false);
    let (ready, is_ready) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let (report, before, memory) = std::thread::scope(|scope| {
        let generator = scope.spawn(|| {
            let report = generate(options, &setup, ready, may_go, tell);
            stop.store(true, Ordering::Relaxed);
            report
        });
        // It fails when the generator has ended, which then says why.
        let measured = is_ready.recv().is_ok();
        let before = (appliance.counters(), appliance.done());
        let memory = if measured && go.send(()).is_ok() {
            disturb(&mut appliance, &stop)
        } else {
            Ok(Vec::new())
        };
        stop.store(true, Ordering::Relaxed);
        let died = || Err(io::Error::other("the generator's thread died"));
        (generator.join().unwrap_or_else(|_| died()), before, memory)
    });
    let mut report = report?;
    let (counters, (swaps, kills)) = before;
    report.memory = memory?;
    let (swaps_now, kills_now) = appliance.done();
    report.policy_swaps = swaps_now - swaps;
    report.control_kills = kills_now - kills;
    report.counters = appliance.counters()?.since(counters?);
    report.drops = appliance.drops()?;
    Ok(report)
}

/// The generator's part: finds the rate, says so to `ready`, and loads from `may_go` on.
fn generate(
    options: &Options<'_>,
    setup: &Setup,
    ready: mpsc::Sender<()>,
    may_go: mpsc::Receiver<()>,
    tell: &(dyn Fn(&str) + Sync),
) -> io::Result<Report> {
    let mut link = Link::open(0, &setup.memif_far_ends(), options.hugepages)?;
    let frames = |frames, side| in_memory::frames(frames, FLOWS, side);
    let known = Stream::new([&frames(Frames::Short, Side::A)?, &frames(Frames::Short, Side::B)?]);
    let opening = in_memory::frames(Frames::Opening, 1, Side::A)?;
    let storm = Stream::new([&opening, &[]]).counted(NUMBER_AT);
    link.share_cpu(PAUSE, BACKLOG_MAX);
    link.trial(&known, 100_000, SECOND);
    let brief = SECOND.min(options.duration / 10);
    let peak = link.trial(&known, 0, brief).received_pps(brief);
    let loss_free_pps = search(peak, |pps| link.trial(&known, pps as u64, brief).lost() == 0);
    if loss_free_pps <= 0.0 {
        return Err(io::Error::other(
            "frames are lost at every rate; end what else runs on this machine",
        ));
    }
    let pps = loss_free_pps * SHARE;
    tell(&format!("loss-free {:.2} Mpps; {:.2} Mpps from here on", loss_free_pps / 1e6, pps / 1e6));
    link.trial(&known, pps as u64, SECOND);
    settle(&mut link, &known);
    let mut report = Report::new(options.hugepages, loss_free_pps, pps);
    let gone = |_| io::Error::other("the appliance's part of the soak has ended");
    ready.send(()).map_err(|_| io::Error::other("the appliance's part of the soak has ended"))?;
    may_go.recv().map_err(gone)?;
    load_it(&mut link, [&known, &storm], pps, options.duration, &mut report, tell)?;
    settle(&mut link, &known).add_to(&mut report);
    Ok(report)
}

/// Takes in what is still under way, so that counters can be compared: a frame, and a second of waiting.
fn settle(link: &mut Link, stream: &Stream) -> Trial {
    link.trial(stream, 1, SECOND)
}

fn load_it(
    link: &mut Link,
    [known, storm]: [&Stream; 2],
    pps: f64,
    duration: Duration,
    report: &mut Report,
    tell: &(dyn Fn(&str) + Sync),
) -> io::Result<()> {
    let start = Instant::now();
    let mut second = 0;
    while start.elapsed() < duration {
        second += 1;
        let storms = second % STORM_EVERY == STORM_EVERY / 2;
        let stolen = host::stolen_ms()?;
        let trial = link.trial(if storms { storm } else { known }, pps as u64, SECOND);
        trial.add_to(report);
        report.storm_frames += if storms { trial.sent } else { 0 };
        let at_s = start.elapsed().as_secs_f64();
        report.seconds.push(Second {
            at_s,
            lost_or_late: trial.lost(),
            stolen_ms: host::stolen_ms()? - stolen,
            storms,
            latency_ns: Quantiles::of(&trial.latency, trial.hz)?,
        });
        if second % FLAP_EVERY == 0 {
            // What a process that was held up still has would be lost with the link.
            settle(link, known).add_to(report);
            link.flap((second / FLAP_EVERY % 2) as u16, DOWN)?;
            report.link_flaps += 1;
        }
        if second % 30 == 0 {
            tell(&format!("{at_s:.0} s: {} sent, {} lost", report.sent, report.lost));
        }
    }
    Ok(())
}

/// Policy versions, kills and samples until `stop` is set.
fn disturb(appliance: &mut Appliance, stop: &AtomicBool) -> io::Result<Vec<Memory>> {
    let mut samples = Vec::new();
    let start = Instant::now();
    let (mut swap, mut kill, mut sample) = (SWAP_EVERY, KILL_EVERY, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let now = start.elapsed();
        if now >= kill {
            kill += KILL_EVERY;
            appliance.kill_control()?;
        } else if now >= swap {
            swap += SWAP_EVERY;
            appliance.swap()?;
        } else if now >= sample {
            sample += SAMPLE_EVERY;
            let (dataplane_kib, control_kib) = appliance.memory_kib();
            let at_s = now.as_secs_f64();
            samples.push(Memory { at_s, dataplane_kib, control_kib });
        } else {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(samples)
}

impl Trial {
    fn add_to(&self, report: &mut Report) {
        report.offered += self.offered;
        report.withheld += self.withheld;
        report.sent += self.sent;
        report.returned += self.received + self.late;
        report.late += self.late;
        // What came late was missed in its own second.
        report.lost = (report.lost + self.lost()).saturating_sub(self.late);
        report.not_taken += self.offered - self.sent;
    }
}
