//! A capture, read twice: once to find times and sides, once to judge.

use std::time::Instant;

use loadlock_capture::{CaptureError, CaptureReader, Packet};
use loadlock_packet::{SegmentId, Side};

use crate::declarations;
use crate::direction::{Addresses, Basis, Directions, Survey};
use crate::engine::{Engine, Phase};
use crate::error::ReplayError;
use crate::options::{LearnUntil, ReplayOptions};
use crate::output::{Outputs, write_whole};
use crate::report::{CaptureFigures, ReplayReport, SidesReport, Speed};
use crate::time::NS_PER_SECOND;
use crate::verdicts::VerdictLines;
use crate::{rules, sides};

/// No capture is longer than this; if its times say so, its clock isn't to be believed.
const SPAN_NS_MAX: u64 = 3_650 * 86_400 * NS_PER_SECOND;

/// Replays a capture.
///
/// Reads it twice, in bounded memory: flow tables for as many conversations as the options allow, and at most a million
/// stations, pairs of addresses and learned keys each. Single-threaded; the same capture and options give the same
/// policy, verdicts and report, but for [`ReplayReport::speed`].
///
/// # Errors
/// [`ReplayError`]; for [`ReplayError::Incomplete`] all outputs are written, for others none, unless it is another
/// output that failed.
pub fn run(options: &ReplayOptions) -> Result<ReplayReport, ReplayError> {
    let segment = SegmentId::new(0).unwrap_or_else(|| unreachable!("there is a first segment"));
    let given = rules::given(options)?;
    let given_sides = sides::given(options)?;
    let outputs = Outputs::create(options)?;
    let started = Instant::now();
    let surveyed = survey(options, segment, Survey::new(given_sides))?;
    let survey_s = started.elapsed().as_secs_f64();
    let end = LearningEnd::of(options.learn_until_or_default(), &surveyed.figures);
    let learn_ns = end.learn_ns(&surveyed.figures);
    let sides_guessed = surveyed.directions.placement.same_side_pairs > 0;
    let packets = surveyed.figures.packets;
    let engine = Engine::new(options, segment, given, packets, learn_ns, sides_guessed)?;
    let started = Instant::now();
    let Replayed { engine, sides, lines, fault } =
        replay(options, segment, engine, end, &surveyed, outputs.verdicts)?;
    let outcome = engine.finish()?;
    let replay_s = started.elapsed().as_secs_f64();
    let packets_per_second = if replay_s > 0.0 { packets as f64 / replay_s } else { 0.0 };
    let speed = Speed { survey_s, replay_s, packets_per_second };
    let text = fault.as_ref().map(ToString::to_string);
    let capture = &options.capture;
    let report = ReplayReport::new(capture, text, &surveyed.figures, sides, &outcome, speed);
    lines.finish()?;
    declarations::write_mud(options, &outcome.lesson)?;
    write_whole(outputs.policy, || outcome.policy().to_toml())?;
    write_whole(outputs.sides, || sides::to_text(&surveyed.directions.placement.sorted()))?;
    write_whole(outputs.report, || report.to_json())?;
    match fault {
        Some(CaptureError::Truncated { .. }) if options.allow_truncated => Ok(report),
        Some(source) => Err(ReplayError::Incomplete { source, report: Box::new(report) }),
        None => Ok(report),
    }
}

/// Calls `each` for every packet, its frame padded to its length on the wire. Returns the fault that ends the capture early.
fn for_each_packet(
    options: &ReplayOptions,
    mut each: impl FnMut(&Packet<'_>, &[u8]) -> Result<(), ReplayError>,
) -> Result<Option<CaptureError>, ReplayError> {
    let mut reader = CaptureReader::open(&options.capture).map_err(ReplayError::Capture)?;
    let mut padded = Vec::new();
    loop {
        let packet = match reader.next() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(None),
            Err(fault) => return Ok(Some(fault)),
        };
        if packet.is_cut() || options.ignore_vlans {
            padded.clear();
            padded.extend_from_slice(packet.data);
            padded.resize(packet.padded_bytes(), 0);
            if options.ignore_vlans {
                remove_tags(&mut padded);
            }
            each(&packet, &padded)?;
        } else {
            each(&packet, packet.data)?;
        }
    }
}

/// Takes the VLAN tags off a frame.
fn remove_tags(frame: &mut Vec<u8>) {
    const ETHER_TYPE: usize = 12;
    const TAG_BYTES: usize = 4;
    let is_tagged = |frame: &[u8]| {
        let ether_type = frame.get(ETHER_TYPE..ETHER_TYPE + 2);
        matches!(ether_type, Some([0x81, 0x00] | [0x88, 0xa8] | [0x91, 0x00]))
            && frame.len() >= ETHER_TYPE + TAG_BYTES + 2
    };
    while is_tagged(frame) {
        frame.drain(ETHER_TYPE..ETHER_TYPE + TAG_BYTES);
    }
}

/// What the first reading gave.
struct Surveyed {
    figures: CaptureFigures,
    directions: Directions,
}

fn survey(
    options: &ReplayOptions,
    segment: SegmentId,
    mut survey: Survey,
) -> Result<Surveyed, ReplayError> {
    let mut figures = CaptureFigures::default();
    for_each_packet(options, |packet, frame| {
        let time_ns = packet.time_ns;
        if figures.packets == 0 {
            figures.opening_ns = time_ns;
        }
        figures.packets += 1;
        figures.bytes += frame.len() as u64;
        figures.cut_packets += u64::from(packet.is_cut());
        let [first, last] = figures.times_ns.unwrap_or([time_ns; 2]);
        figures.times_ns = Some([first.min(time_ns), last.max(time_ns)]);
        if let Some(addresses) = Addresses::read(frame, segment) {
            survey.note(&addresses);
        }
        Ok(())
    })?;
    Ok(Surveyed { figures, directions: survey.finish() })
}

/// When learning ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LearningEnd {
    /// After the last packet.
    Never,
    /// Before the first packet of this time or later.
    Time(u64),
    /// Before the packet after so many.
    Packets(u64),
}

impl LearningEnd {
    fn of(until: LearnUntil, figures: &CaptureFigures) -> Self {
        let span_ns = figures.span_ns();
        match (until, figures.times_ns) {
            (LearnUntil::Fraction(fraction), _) if fraction <= 0.0 => Self::Packets(0),
            (LearnUntil::Fraction(fraction), _) if fraction >= 1.0 => Self::Never,
            (LearnUntil::Fraction(fraction), Some([first, _]))
                if (1..=SPAN_NS_MAX).contains(&span_ns) =>
            {
                Self::Time(first.saturating_add((span_ns as f64 * fraction) as u64))
            }
            (LearnUntil::Fraction(fraction), _) => {
                Self::Packets((figures.packets as f64 * fraction) as u64)
            }
            (LearnUntil::Elapsed { ns }, _) => Self::Time(figures.opening_ns.saturating_add(ns)),
            (LearnUntil::At { time_ns }, _) => Self::Time(time_ns),
        }
    }

    /// How long learning lasts; for packets, as much of the time as of the packets.
    fn learn_ns(self, figures: &CaptureFigures) -> u64 {
        let span_ns = figures.span_ns();
        match self {
            Self::Never => span_ns,
            Self::Time(end_ns) => end_ns.saturating_sub(figures.opening_ns).min(span_ns),
            Self::Packets(learned) => {
                (span_ns as f64 * learned as f64 / figures.packets.max(1) as f64) as u64
            }
        }
    }

    fn is_reached(self, number: u64, time_ns: u64) -> bool {
        match self {
            Self::Never => false,
            Self::Time(end_ns) => time_ns >= end_ns,
            Self::Packets(learned) => number > learned,
        }
    }
}

/// What the second reading gave.
struct Replayed {
    engine: Engine,
    sides: SidesReport,
    lines: VerdictLines,
    fault: Option<CaptureError>,
}

fn replay(
    options: &ReplayOptions,
    segment: SegmentId,
    mut engine: Engine,
    end: LearningEnd,
    surveyed: &Surveyed,
    verdicts: Option<crate::output::OutputFile>,
) -> Result<Replayed, ReplayError> {
    let Surveyed { figures, directions } = surveyed;
    let mut lines = VerdictLines::new(verdicts);
    let mut sides = SidesReport {
        same_side_pairs: directions.placement.same_side_pairs,
        not_kept_packets: directions.placement.not_kept,
        ..SidesReport::default()
    };
    for (mac, side) in directions.placement.sorted() {
        sides.station(mac, side);
    }
    let mut replayed = 0;
    let fault = for_each_packet(options, |packet, frame| {
        let Packet { number, time_ns, .. } = *packet;
        replayed += 1;
        if engine.phase() == Phase::Learn && end.is_reached(number, time_ns) {
            engine.enforce()?;
        }
        let addresses = Addresses::read(frame, segment);
        let side = match addresses.as_ref().map(|addresses| directions.side(addresses)) {
            Some((side, Basis::Station)) => side,
            Some((side, Basis::SameSide)) => {
                sides.same_side_packets += 1;
                side
            }
            Some((side, Basis::TwoWay)) => {
                sides.two_way_packets += 1;
                side
            }
            None => {
                sides.stationless_packets += 1;
                Side::A
            }
        };
        let verdict = engine.packet(side, time_ns, frame);
        lines.write(number, time_ns, verdict, side, addresses.as_ref())
    })?;
    if replayed != figures.packets {
        let (file, first) = (options.capture.clone(), figures.packets);
        return Err(ReplayError::CaptureChanged { file, first, second: replayed });
    }
    // A capture without packets has a policy all the same.
    if end == LearningEnd::Packets(0) && engine.phase() == Phase::Learn {
        engine.enforce()?;
    }
    Ok(Replayed { engine, sides, lines, fault })
}
