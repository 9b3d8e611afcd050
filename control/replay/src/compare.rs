//! A capture under two policies: which conversations would be judged otherwise, and in which hours.

use std::collections::BTreeMap;

use loadlock_capture::CaptureError;
use loadlock_exchange::{Event, EventKind, PolicyView};
use loadlock_learn::Tuple;
use loadlock_packet::{FlowKey, SegmentId, Side};
use loadlock_policy::Policy;

use crate::direction::{Addresses, Survey};
use crate::engine::Engine;
use crate::error::ReplayError;
use crate::options::ReplayOptions;
use crate::replay::{for_each_packet, survey};
use crate::rules::Given;
use crate::sides;
use crate::time::NS_PER_SECOND;

/// Kinds of conversations and hours kept of one policy's denials; beyond, they are counted as left out.
const KINDS_MAX: usize = 1 << 20;

/// What was denied, by conversation, who sent its first denied packet, and hour of the capture.
#[derive(Default)]
pub(crate) struct Denials {
    packets: BTreeMap<(FlowKey, Side, u64), u64>,
    left_out: u64,
}

/// Packets denied, by kind of conversation and hour.
type ByTuple = BTreeMap<(Tuple, u64), u64>;

impl Denials {
    /// Takes a denial into account; other events are nothing to it.
    pub fn note(&mut self, event: &Event) {
        if !matches!(event.kind, EventKind::Denied(_)) {
            return;
        }
        let hour = event.time_ns / (3_600 * NS_PER_SECOND);
        let place = (event.key, event.initiator, hour);
        if self.packets.len() >= KINDS_MAX && !self.packets.contains_key(&place) {
            self.left_out += 1;
            return;
        }
        *self.packets.entry(place).or_default() += event.packets.iter().sum::<u64>();
    }

    /// The client is who a rule of either policy says, so that a denied answer counts for the question; else who sent first.
    fn by_tuple(&self, policies: [PolicyView<'_>; 2]) -> ByTuple {
        let mut tuples = ByTuple::new();
        for ((key, initiator, hour), packets) in &self.packets {
            let knows =
                |side: &Side| policies.iter().any(|policy| policy.find(key, *side).is_some());
            let client = [*initiator, initiator.other()].into_iter().find(knows);
            let tuple = Tuple::new(key, client.unwrap_or(*initiator));
            *tuples.entry((tuple, *hour)).or_default() += packets;
        }
        tuples
    }
}

/// A conversation that one policy denies in some hour, and the other doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The conversation.
    pub tuple: Tuple,
    /// The hour's beginning, ns since 1970.
    pub hour_ns: u64,
    /// True: permitted by the first policy and denied by the second. False: the reverse.
    pub becomes_denied: bool,
    /// Packets that were denied, of those that were reported.
    pub packets: u64,
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Packets judged.
    pub packets: u64,
    /// What changes, in the order of conversations and hours.
    pub changes: Vec<Changed>,
    /// Reports of denials for which there was no room.
    pub left_out: u64,
    /// Why the capture ends early, if it does.
    pub fault: Option<String>,
}

/// Judges every packet of a capture by two policies, both enforced from the first packet on. Options about learning and outputs don't
/// count.
///
/// # Errors
/// [`ReplayError`]: the capture can't be read, or a policy can't be compiled.
pub fn compare(
    options: &ReplayOptions,
    segment: &str,
    policies: [&Policy; 2],
) -> Result<Comparison, ReplayError> {
    let id = SegmentId::new(0).unwrap_or_else(|| unreachable!("there is a first segment"));
    let surveyed = survey(options, id, Survey::new(sides::given(options)?))?;
    let engine = |policy: &Policy| {
        let policy = policy.of_segment(segment).map_err(ReplayError::Policy)?;
        let given = Given { segment: segment.into(), policy };
        let mut engine = Engine::new(options, id, given, surveyed.figures.packets, 0, false)?;
        engine.enforce()?;
        Ok::<_, ReplayError>(engine)
    };
    let [mut before, mut after] = [engine(policies[0])?, engine(policies[1])?];
    let mut packets = 0;
    let fault = for_each_packet(options, |packet, frame| {
        packets += 1;
        let addresses = Addresses::read(frame, id);
        let side = addresses.map_or(Side::A, |addresses| surveyed.directions.side(&addresses).0);
        before.packet(side, packet.time_ns, frame);
        after.packet(side, packet.time_ns, frame);
        Ok(())
    })?;
    let [(before, first), (after, second)] = [before.into_denials(), after.into_denials()];
    let policies = [first.view(), second.view()];
    Ok(Comparison {
        packets,
        changes: changes(&before.by_tuple(policies), &after.by_tuple(policies)),
        left_out: before.left_out + after.left_out,
        fault: fault.as_ref().map(CaptureError::to_string),
    })
}

fn changes(before: &ByTuple, after: &ByTuple) -> Vec<Changed> {
    let only = |one: &ByTuple, other: &ByTuple, becomes_denied: bool| {
        let missing = one.iter().filter(|(place, _)| !other.contains_key(place));
        let changed = missing.map(|(&(tuple, hour), &packets)| Changed {
            tuple,
            hour_ns: hour * 3_600 * NS_PER_SECOND,
            becomes_denied,
            packets,
        });
        changed.collect::<Vec<_>>()
    };
    let mut changes = only(after, before, true);
    changes.extend(only(before, after, false));
    changes.sort_by_key(|changed| (!changed.becomes_denied, changed.tuple, changed.hour_ns));
    changes
}
