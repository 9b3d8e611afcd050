//! `packet-path CLASS`: one class of frames through the packet path in memory, for callgrind to count. Prints the packets
//! and the allocations of the measured part, which is everything inside [`measured`]. `gate` runs it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use loadlock_benches::gate::Class;
use loadlock_benches::in_memory::{BURST, Dimensioning, Path, frames};
use loadlock_benches::load::rules;
use loadlock_exchange::Mode;
use loadlock_packet::Side;
use loadlock_pipeline::Capacity;

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

#[derive(Parser)]
struct Arguments {
    /// What the frames are.
    class: Class,
}

fn main() -> ExitCode {
    match run(Arguments::parse().class) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("packet-path: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(class: Class) -> io::Result<()> {
    let flows = class.flows();
    let rule_count = flows.div_ceil(32) * 2;
    let mut path = Path::new(&Dimensioning {
        mode: Mode::Enforce,
        rules: rules(class.rules_for(), flows, rule_count)?,
        capacity: Capacity { narrow: 2 * flows as usize, wide: 2 * flows as usize, fragments: 64 },
        adopting: class != Class::Ipv4Denied,
        ring_events: (2 * flows as usize).next_power_of_two(),
        hugepages: false,
    })?;
    let sides = [Side::A, Side::B].map(|side| frames(class.frames(), flows, side));
    let [a, b] = sides;
    let (a, b) = (a?, b?);
    let sides = [views(&a), views(&b)];
    if class.established() {
        // Not through `measured`, or the conversations' beginnings would be counted too.
        round(&mut path, &sides);
    }
    let before = ALLOCATIONS.get();
    let mut forwarded = 0;
    for _ in 0..class.rounds() {
        forwarded += measured(&mut path, &sides);
    }
    let allocations = ALLOCATIONS.get() - before;
    let packets = 2 * flows as usize * class.rounds();
    let expected = if class.forwards() { packets } else { 0 };
    if forwarded != expected {
        return Err(io::Error::other(format!(
            "{forwarded} of {packets} forwarded, not {expected}"
        )));
    }
    println!("packets {packets} allocations {allocations}");
    Ok(())
}

fn views(frames: &[Vec<u8>]) -> Vec<&[u8]> {
    frames.iter().map(Vec::as_slice).collect()
}

/// What callgrind counts.
#[inline(never)]
fn measured(path: &mut Path, sides: &[Vec<&[u8]>; 2]) -> usize {
    std::hint::black_box(round(path, sides))
}

/// All frames once, side A's and side B's bursts in turn.
fn round(path: &mut Path, [a, b]: &[Vec<&[u8]>; 2]) -> usize {
    let mut forwarded = 0;
    for (a, b) in a.chunks(BURST).zip(b.chunks(BURST)) {
        forwarded += path.burst(Side::A, a);
        forwarded += path.burst(Side::B, b);
    }
    forwarded
}
