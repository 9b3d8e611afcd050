//! What was recorded while learning suffices to be enforced over the same packets.

mod support;

use std::collections::BTreeMap;

use loadlock_exchange::{Event, EventKind, Mode, RuleEntry, RuleId, RuleOptions, Shape};
use loadlock_packet::{FlowKey, Side};
use loadlock_pipeline::{Capacity, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use support::strategy::{packet, side};
use support::{Rig, segment};

/// The smallest learner: each conversation that began is a rule, with its initiator as client.
fn rules(events: &[Event]) -> Vec<RuleEntry> {
    let mut rules: BTreeMap<_, RuleEntry> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == EventKind::Started) {
        let narrow = matches!(event.key, FlowKey::Narrow(_));
        let full = if narrow { 32 } else { 128 };
        let [client, server] =
            [event.initiator, event.initiator.other()].map(|side| event.key.endpoint(side));
        let late = event.flags.midstream && event.flags.after_grace;
        let number = u32::try_from(rules.len()).unwrap() + 1;
        let key =
            (event.initiator, client.network, server.network, server.service, event.key.tail());
        let rule = rules.entry(key).or_insert(RuleEntry {
            shape: Shape {
                narrow,
                client_prefix: full,
                server_prefix: full,
                service_prefix: 16,
                vlans_exact: true,
            },
            client_side: event.initiator,
            client: client.network,
            server: server.network,
            service: server.service,
            tail: event.key.tail(),
            rule: RuleId::new(number).unwrap(),
            options: RuleOptions { client_opens: false, server_opens: false, midstream: false },
        });
        rule.options.client_opens |= !late;
        rule.options.midstream |= late;
    }
    rules.into_values().collect()
}

#[derive(Clone, Debug)]
enum Step {
    Burst(Side, Vec<Vec<u8>>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let frames = |side| {
        let damage = (any::<bool>(), 0usize..54, any::<u8>());
        let frame = (packet(side), damage).prop_map(|(packet, (spare, at, value))| {
            let mut frame = packet.frame();
            // The source address stays a station's: everything else may become anything.
            if !spare && at != 6 {
                let at = at % frame.len();
                frame[at] = value;
            }
            frame
        });
        vec(frame, 1..6).prop_map(move |frames| Step::Burst(side, frames))
    };
    prop_oneof![
        6 => side().prop_flat_map(frames),
        1 => (4000u64..70_000).prop_map(|ms| Step::Wait(ms * 1_000_000)),
    ]
}

fn replay(rig: &mut Rig, steps: &[Step]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for step in steps {
        match step {
            Step::Burst(side, frames) => verdicts.extend(rig.burst(*side, frames)),
            Step::Wait(ns) => rig.wait(*ns),
        }
    }
    verdicts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn recorded_conversations_are_enough(steps in vec(step(), 1..60), settled in any::<bool>()) {
        let capacity = Capacity { narrow: 1000, wide: 1000, fragments: 64 };
        let mut learning = Rig::new(capacity, segment(Mode::Learn), &[]);
        let start_ns = learning.now_ns + if settled { 15_000_000_000 } else { 0 };
        learning.now_ns = start_ns;
        let learned = replay(&mut learning, &steps);
        let rules = rules(&learning.ring.drain());
        let mut enforcing = Rig::compiled(capacity, segment(Mode::Enforce), &rules);
        enforcing.now_ns = start_ns;
        let enforced = replay(&mut enforcing, &steps);
        for (at, (learned, enforced)) in learned.into_iter().zip(enforced).enumerate() {
            match (learned, enforced) {
                (Verdict::Allow(_), Verdict::Allow(_)) => {}
                (Verdict::WouldDeny(expected), Verdict::Deny(reason)) if expected == reason => {
                    prop_assert!(is_malformed(reason.name()));
                }
                other => prop_assert!(false, "frame {}: {:?}", at, other),
            }
        }
        prop_assert_eq!(learning.flows(), enforcing.flows());
    }
}

fn is_malformed(name: &str) -> bool {
    !matches!(
        name,
        "no_rule" | "not_opened" | "wrong_direction" | "icmp_error_unrelated" | "transmit_refused"
    )
}
