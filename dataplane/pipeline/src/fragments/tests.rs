use loadlock_exchange::RuleId;
use proptest::prelude::*;

use super::*;

const TIMEOUT: Tick = 10;

fn datagram(number: u32) -> Datagram {
    Datagram { addresses: [number.into(), 0, 0, 0], identification: number, place: 0 }
}

fn fragment(protocol: u8, offset_bytes: u16, end_bytes: u16) -> Fragment {
    Fragment { identification: 0, protocol, offset_bytes, end_bytes }
}

fn allowed() -> Verdict {
    Verdict::Allow(Basis::Rule(RuleId::new(1).unwrap()))
}

fn denied() -> Verdict {
    Verdict::Deny(DropReason::NoRule)
}

fn table(sets: usize) -> Fragments {
    Fragments::new(sets * WAYS, TIMEOUT, Seed([1, 2]))
}

#[test]
fn denied_packets_take_no_place_from_permitted_ones() {
    let mut table = table(1);
    let first = fragment(17, 0, 1480);
    let later = fragment(17, 1480, 2000);
    for number in 0..WAYS as u32 {
        table.lead(datagram(number), &first, allowed().into(), number / 4);
    }
    for number in 100..200 {
        table.lead(datagram(number), &first, denied().into(), 3);
        assert_eq!(table.later(datagram(number), &later, 3), Later::Unknown);
    }
    for number in 0..WAYS as u32 {
        assert_eq!(table.later(datagram(number), &later, 3), Later::Follows(allowed()));
    }
    table.lead(datagram(300), &first, allowed().into(), 3);
    assert_eq!(table.later(datagram(300), &later, 3), Later::Follows(allowed()));
    let left = (0..WAYS as u32)
        .filter(|&number| table.later(datagram(number), &later, 3) == Later::Follows(allowed()));
    assert_eq!(left.count(), WAYS - 1, "the oldest went");
}

#[test]
fn permitted_packets_take_the_places_of_denied_ones_first() {
    let mut table = table(1);
    let (first, later) = (fragment(17, 0, 8), fragment(17, 8, 16));
    table.lead(datagram(0), &first, allowed().into(), 0);
    for number in 1..WAYS as u32 {
        table.lead(datagram(number), &first, denied().into(), number);
    }
    for number in 10..10 + WAYS as u32 - 1 {
        table.lead(datagram(number), &first, allowed().into(), 8);
    }
    assert_eq!(table.later(datagram(0), &later, 8), Later::Follows(allowed()));
    assert_eq!(table.later(datagram(1), &later, 8), Later::Unknown);
}

#[derive(Clone, Copy, Debug)]
struct Known {
    number: u32,
    protocol: u8,
    first_bytes: u16,
    verdict: Verdict,
    since: Tick,
    overlapped: bool,
}

proptest! {
    /// With room for all, the table says what a list of all first fragments says.
    #[test]
    fn agrees_with_a_list(
        steps in prop::collection::vec(
            (0u32..4, 0u8..2, 0u16..4, 1u16..4, any::<bool>(), 0..4u32), 0..200),
        start in any::<Tick>(),
    ) {
        let mut table = table(64);
        let mut list: Vec<Known> = Vec::new();
        let mut now = start;
        for (number, protocol, offset, units, permitted, passed) in steps {
            now = now.wrapping_add(passed);
            let fragment = fragment(protocol, offset * 8, (offset + units) * 8);
            list.retain(|known| now.wrapping_sub(known.since) < TIMEOUT);
            let same = |known: &Known| known.number == number && known.protocol == protocol;
            if fragment.is_first() {
                let verdict = if permitted { allowed() } else { denied() };
                let first_bytes = fragment.end_bytes;
                list.retain(|known| !same(known));
                let overlapped = false;
                list.push(Known { number, protocol, first_bytes, verdict, since: now, overlapped });
                table.lead(datagram(number), &fragment, verdict.into(), now);
                continue;
            }
            let other = list.iter().any(|known| known.number == number);
            let expected = match list.iter_mut().find(|known| same(known)) {
                Some(known) => {
                    let inside = fragment.offset_bytes < known.first_bytes;
                    known.overlapped |= known.verdict.forwards() && inside;
                    if known.overlapped {
                        Later::Contradicts(DropReason::FragmentOverlap)
                    } else {
                        Later::Follows(known.verdict)
                    }
                }
                None if other => Later::Contradicts(DropReason::FragmentProtocol),
                None => Later::Unknown,
            };
            prop_assert_eq!(table.later(datagram(number), &fragment, now), expected);
        }
    }
}
