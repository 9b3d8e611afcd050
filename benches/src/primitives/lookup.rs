//! The flow table's lookup against DPDK's `rte_hash_lookup_bulk` with lock-free readers: 16-byte keys, bursts of 32, all found, in
//! random order.

use std::ffi::{CString, c_char, c_int};
use std::io;
use std::ptr::NonNull;
use std::time::Instant;

use loadlock_exchange::seed;
use loadlock_packet::NarrowKey;
use loadlock_pipeline::{BURST_FRAMES_MAX, Lookup};

use super::Primitive;
use crate::in_memory::{BURST, SEED};

#[repr(C)]
struct RteHash {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn loadlock_bench_eal(lcore: *mut c_char) -> c_int;
    fn loadlock_bench_hash_new(entries: u32) -> *mut RteHash;
    fn loadlock_bench_hash_free(hash: *mut RteHash);
    fn loadlock_bench_hash_add(hash: *mut RteHash, key: *const u8) -> c_int;
    fn loadlock_bench_hash_lookup(hash: *const RteHash, keys: *const u8, count: usize) -> u64;
}

/// DPDK's table.
struct Dpdk(NonNull<RteHash>);

impl Dpdk {
    /// With room for half as many again, which DPDK rounds up to a power of two: filled to the last place, insertions fail.
    fn new(keys: &[NarrowKey]) -> io::Result<Self> {
        let entries = keys.len() as u32 + keys.len() as u32 / 2;
        // SAFETY: EAL runs.
        let hash = NonNull::new(unsafe { loadlock_bench_hash_new(entries) });
        let table = Self(hash.ok_or_else(|| io::Error::other("rte_hash_create failed: memory"))?);
        for key in keys {
            // SAFETY: the table is there and the key has its 16 bytes.
            if unsafe { loadlock_bench_hash_add(table.0.as_ptr(), key.0.as_ptr().cast()) } < 0 {
                return Err(io::Error::other("rte_hash_add_key failed: the table is full"));
            }
        }
        Ok(table)
    }

    fn find(&self, keys: &[NarrowKey]) -> u64 {
        // SAFETY: the table is there; keys are 16 bytes each, and their number is a multiple of the burst.
        unsafe { loadlock_bench_hash_lookup(self.0.as_ptr(), keys.as_ptr().cast(), keys.len()) }
    }
}

impl Drop for Dpdk {
    fn drop(&mut self) {
        // SAFETY: made by `new` and freed once.
        unsafe { loadlock_bench_hash_free(self.0.as_ptr()) };
    }
}

/// Starts EAL on CPU `cpu`, to which the calling thread is then bound.
fn start_eal(cpu: usize) -> io::Result<()> {
    let mut lcore = CString::new(format!("0@{cpu}"))?.into_bytes_with_nul();
    // SAFETY: a text that EAL may write to and that outlives the call; nothing else has started EAL.
    if unsafe { loadlock_bench_eal(lcore.as_mut_ptr().cast()) } < 0 {
        return Err(io::Error::other("EAL doesn't start; it says why above. Are there hugepages?"));
    }
    Ok(())
}

/// A step of splitmix64 (Vigna, public domain).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Keys as the parser makes them of TCP conversations: addresses, ports, and a tail that all share.
fn keys(count: usize) -> Vec<NarrowKey> {
    const TAIL: u64 = 6 << 32;
    (0..count as u64)
        .map(|at| {
            let (client, server) = (0x0a00_0000 + at / 32, 0x0ac0_0000 + at / 32 % 64);
            NarrowKey([client | server << 32, (40_000 + at % 32 * 7) | 5000 << 16 | TAIL])
        })
        .collect()
}

/// Measures tables of each of `sizes` keys, `runs` times.
///
/// # Errors
/// EAL or a table can't be made.
pub fn lookups(sizes: &[usize], runs: usize) -> io::Result<Vec<Primitive>> {
    start_eal(1)?;
    let mut all: Vec<Primitive> =
        sizes.iter().map(|&size| one_size(size, runs)).collect::<io::Result<_>>()?;
    if let Some(&size) = sizes.iter().min() {
        all.push(crafted(size, runs)?);
    }
    Ok(all)
}

/// A flood of conversations that somebody chose who doesn't know the seed, against ordinary ones: the XOR of a key's two words is
/// the same for all, so that whatever folds them before it mixes in a secret sees one key.
fn crafted(size: usize, runs: usize) -> io::Result<Primitive> {
    const XOR: u64 = 6 << 32 | 0x0ac0_0001 << 32;
    let ordinary = keys(size);
    let crafted: Vec<NarrowKey> = (0..size as u64)
        .map(|at| NarrowKey([at | 0x0ac0_0001 << 32, (at | 0x0ac0_0001 << 32) ^ XOR]))
        .collect();
    let mut measured =
        [("loadlock, ordinary keys", Vec::new()), ("loadlock, crafted keys", Vec::new())];
    for _ in 0..runs {
        for ((_, rates), keys) in measured.iter_mut().zip([&ordinary, &crafted]) {
            let mut table = Lookup::new(size, seed()?, true)?;
            if !keys.iter().all(|key| table.insert(*key)) {
                return Err(io::Error::other("our own table is full too early"));
            }
            let keys = shuffled(keys.clone());
            rates.push(rate(&keys, || find_all(&mut table, &keys))?);
        }
    }
    Ok(Primitive::of(
        format!("lookup of one of {size} keys under a seed of the kernel's"),
        &measured,
    ))
}

fn shuffled(mut keys: Vec<NarrowKey>) -> Vec<NarrowKey> {
    let mut state = 1;
    for at in (1..keys.len()).rev() {
        keys.swap(at, (random(&mut state) % (at as u64 + 1)) as usize);
    }
    keys
}

fn one_size(size: usize, runs: usize) -> io::Result<Primitive> {
    let keys = keys(size);
    let mut ours = Lookup::new(size, SEED, true)?;
    for key in &keys {
        if !ours.insert(*key) {
            return Err(io::Error::other("our own table is full too early"));
        }
    }
    let dpdk = Dpdk::new(&keys)?;
    let keys = shuffled(keys);
    let mut measured = [("loadlock", Vec::new()), ("rte_hash_lookup_bulk, lock-free", Vec::new())];
    for _ in 0..runs {
        measured[0].1.push(rate(&keys, || find_all(&mut ours, &keys))?);
        measured[1].1.push(rate(&keys, || dpdk.find(&keys))?);
    }
    Ok(Primitive::of(format!("lookup of one of {size} keys, all present"), &measured))
}

fn find_all(table: &mut Lookup, keys: &[NarrowKey]) -> u64 {
    let mut lines = [0; BURST_FRAMES_MAX];
    let mut found = 0;
    for burst in keys.chunks_exact(BURST) {
        found += table.find_burst(burst, &mut lines) as u64;
        std::hint::black_box(&lines);
    }
    found
}

/// Lookups a second, over at least 4 million of them after a first round that isn't counted.
fn rate(keys: &[NarrowKey], mut find: impl FnMut() -> u64) -> io::Result<f64> {
    let rounds = (1_usize << 22).div_ceil(keys.len());
    find();
    let start = Instant::now();
    let found: u64 = (0..rounds).map(|_| find()).sum();
    let seconds = start.elapsed().as_secs_f64();
    let wanted = (rounds * keys.len()) as u64;
    if found != wanted {
        return Err(io::Error::other(format!("{found} of {wanted} keys found")));
    }
    Ok(wanted as f64 / seconds)
}
