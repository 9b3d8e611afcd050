//! Nothing on the packet path allocates.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use loadlock_exchange::{Event, Mode, Policy, PolicyImage, RingFull};
use loadlock_packet::{Ingress, SegmentId, Side};
use loadlock_pipeline::{BURST_FRAMES_MAX, Capacity, EventSink, Pipeline, Verdict, VerdictWord};
use support::flags::{ACK, FIN, RST, SYN};
use support::{Packet, Rule, SECOND_NS, SEED, START_NS, Sort, TIMEOUTS, segment};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting this thread's calls.
struct Counting;

fn count() {
    // A thread that is ending has no counter any more, and isn't the one measured.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as for `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: as for `alloc`.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A sink that takes three of four events.
#[derive(Default)]
struct Choosy {
    offered: u64,
}

impl EventSink for Choosy {
    fn push(&mut self, event: &Event) -> Result<(), RingFull> {
        std::hint::black_box(event);
        self.offered += 1;
        if self.offered.is_multiple_of(4) { Err(RingFull) } else { Ok(()) }
    }

    fn publish(&mut self) {}

    fn is_full(&mut self) -> bool {
        self.offered % 4 == 3
    }
}

/// Hits, misses, denials, TCP's course, malformed frames, every sort.
fn bursts() -> Vec<(Side, Vec<Vec<u8>>)> {
    let flags = [SYN, SYN | ACK, ACK, FIN | ACK, RST, 0];
    let mut bursts = Vec::new();
    for number in 0..64usize {
        let side = if number.is_multiple_of(2) { Side::A } else { Side::B };
        let frames = (0..BURST_FRAMES_MAX).map(|at| {
            let mixed = number / 2 * BURST_FRAMES_MAX + at;
            let packet = Packet {
                sort: Sort::ALL[mixed % Sort::ALL.len()],
                from: side,
                hosts: [1 + (mixed / 8 % 40) as u8, 1 + (mixed / 320 % 2) as u8],
                ports: [1000 + (mixed / 16 % 90) as u16, 80 + (mixed / 128 % 2) as u16],
                flags: flags[(mixed / 8 + number) % flags.len()],
                answer: side == Side::B,
                about: Some(Sort::ALL[mixed / 8 % Sort::ALL.len()]),
                station: None,
                piece: None,
            };
            let mut frame = packet.frame();
            if mixed.is_multiple_of(16) {
                frame.truncate(14 + mixed / 16 % 40);
            }
            frame
        });
        bursts.push((side, frames.collect()));
    }
    bursts
}

#[test]
fn a_million_packets_allocate_nothing() {
    let rule = |number, sort, service| Rule { client: None, ..Rule::to_b(number, sort, service) };
    let rules = [
        rule(1, Sort::Tcp4, 80),
        rule(2, Sort::Tcp6, 80),
        rule(3, Sort::Udp4, 81),
        rule(4, Sort::Udp6, 80),
        rule(5, Sort::Ping4, 0x0800),
        rule(6, Sort::Profinet, 0x8892),
    ];
    let images: Vec<PolicyImage> = [Mode::Enforce, Mode::Monitor, Mode::Enforce, Mode::Learn]
        .into_iter()
        .enumerate()
        .map(|(at, mode)| {
            let entries: Vec<_> = rules[at.min(2)..].iter().map(Rule::entry).collect();
            PolicyImage::compile(1, &[segment(mode)], &entries, SEED, 64).unwrap()
        })
        .collect();
    let policies: Vec<Policy> =
        images.iter().map(|image| Policy::read(image.words()).unwrap()).collect();
    let bursts = bursts();
    let bursts: Vec<(Side, Vec<&[u8]>)> = bursts
        .iter()
        .map(|(side, frames)| (*side, frames.iter().map(Vec::as_slice).collect()))
        .collect();
    // Smaller than what comes, so that the tables are full now and then.
    let capacity = Capacity { narrow: 1200, wide: 300, fragments: 64 };
    let mut pipeline = Pipeline::new(capacity, &TIMEOUTS, SEED, false).unwrap();
    let mut sink = Choosy::default();
    let mut verdicts = [VerdictWord::LEARNING; BURST_FRAMES_MAX];
    let (mut packets, mut denied, mut would_deny) = (0, 0, 0);
    let before = ALLOCATIONS.get();
    for round in 0..250u64 {
        let now_ns = START_NS + round * SECOND_NS;
        let at = (round / 20) as usize % policies.len();
        let view = policies[at].view(images[at].words(), round / 20);
        for (side, frames) in &bursts {
            let ingress = Ingress { segment: SegmentId::new(0).unwrap(), side: *side };
            pipeline.judge(ingress, now_ns, frames, view, &mut sink, &mut verdicts);
            packets += frames.len();
            denied += verdicts.iter().filter(|verdict| !verdict.forwards()).count();
            let doubtful = verdicts
                .iter()
                .filter(|verdict| matches!(verdict.verdict(), Verdict::WouldDeny(_)));
            would_deny += doubtful.count();
        }
        pipeline.age(now_ns, usize::MAX, round / 20, round / 50, &mut sink);
    }
    pipeline.end_all(&mut sink);
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(packets >= 1_000_000, "{packets} packets");
    assert!(denied > packets / 10 && would_deny > packets / 20, "{denied} {would_deny}");
    drop(std::hint::black_box(Box::new(0)));
    assert!(ALLOCATIONS.get() > before, "the counter counts");
}
