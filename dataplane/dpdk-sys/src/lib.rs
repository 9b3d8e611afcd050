//! Raw DPDK for Loadlock: what `bindgen` makes of `src/shim.h`, and nothing else.
//!
//! Only `loadlock-dpdk` may depend on this crate. DPDK's inline functions (receive, transmit) and everything that reads
//! a DPDK structure whose layout differs between the LTS lines (port information, port set-up, link, statistics) sit
//! behind the `loadlock_*` functions of `src/shim.c`, on structures of our own; DPDK's own types are opaque here. The
//! mbuf fields that Rust reads are given as `LOADLOCK_MBUF_*` byte offsets, which the C compiler works out.
//!
//! Contracts of the functions stand in `src/shim.h` and in DPDK's headers. Tested through `loadlock-dpdk`.

#![no_std]

use core::marker::{PhantomData, PhantomPinned};

#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "generated from src/shim.h, which carries the documentation"
)]
mod bindings {
    use super::{rte_mbuf, rte_mempool};

    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;

/// DPDK's packet buffer, only ever seen through a pointer. Read its fields at the `LOADLOCK_MBUF_*` offsets.
#[allow(non_camel_case_types, reason = "DPDK's name")]
#[repr(C)]
pub struct rte_mbuf {
    opaque: Opaque,
}

/// DPDK's pool of packet buffers, only ever seen through a pointer.
#[allow(non_camel_case_types, reason = "DPDK's name")]
#[repr(C)]
pub struct rte_mempool {
    opaque: Opaque,
}

/// Makes a foreign structure neither `Send`, `Sync` nor `Unpin`, and impossible to make or to move in Rust.
#[repr(C)]
struct Opaque {
    bytes: [u8; 0],
    marker: PhantomData<(*mut u8, PhantomPinned)>,
}
