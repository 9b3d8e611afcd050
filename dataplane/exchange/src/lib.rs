//! The one thing the two processes share. Read this first.
//!
//! ```text
//!        worker (dataplane)                         control
//!   ───────────────────────────            ───────────────────────────
//!   Producer ──── ring of records ───────► Consumer         ring.rs, event.rs
//!   PolicyReader ◄── slot 0 │ slot 1 ────── publish          swap.rs, snapshot.rs, segment.rs, allowlist.rs, bindings.rs, modes.rs
//!   PortBlock, WorkerBlock, LatencyBlock ─► tallies          counters.rs
//!   CaptureSource ◄── order ─────────────── capture          capture.rs
//!                 ──── ring of parts ─────► Reassembly
//!   ───────────────────────────            ───────────────────────────
//!                one file in shared memory: layout.rs, region.rs
//! ```
//!
//! Who writes what: a worker its ring's slots and write cursor, its counters, its quiescence word; the
//! dataplane's main thread the header's dataplane words and the port states; control the read
//! cursors, the slot that isn't in force, the generation word and its own header words. Each word has one writer.
//!
//! Neither side trusts the other's content: records, snapshot headers and cursors are checked when read.
//! `expected.rs` lies outside the region: what the workers of one dataplane tell each other of negotiated ports.
//!
//! The protocols (ring, swap, counter blocks, expectations) are model-checked with loom (`tests/loom.rs`);
//! the rest is tested over real mapped files, also with both sides killed at awkward moments.

mod allowlist;
mod bindings;
#[cfg(not(loom))]
mod capture;
mod counters;
mod event;
mod expected;
mod hash;
mod index;
mod modes;
mod prefetch;
mod reason;
mod ring;
mod segment;
mod snapshot;
mod swap;
mod sync;

#[cfg(not(loom))]
mod control;
#[cfg(not(loom))]
mod dataplane;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod map;
#[cfg(loom)]
pub mod model;
#[cfg(not(loom))]
mod random;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod state;

pub use allowlist::{
    CompileError, Found, RULES_MAX, RuleEntry, RuleId, RuleOptions, SHAPES_MAX, Shape,
};
pub use bindings::{BindingEntry, BindingError, Identity, Owner, Place, Station, binding_capacity};
pub use counters::{
    Block, LatencyBlock, PortBlock, PortTally, WORKER_COUNTERS, WorkerBlock, WorkerCounter,
};
pub use event::{Event, EventFlags, EventKind, RecordError};
pub use expected::{EXPECTED_WAYS, Expectation, Expected, ExpectedKey};
pub use hash::{Seed, hash_narrow, hash_wide};
pub use modes::{DeviceAddress, ModeEntry, ModeError, mode_capacity};
pub use prefetch::prefetch;
pub use reason::{DropReason, REASONS_MAX};
pub use ring::{Consumer, Cursor, Producer, RECORD_WORDS, Record, RingFull, RingMemory};
pub use segment::{Infrastructure, Midstream, Mode, RingFullPolicy, SegmentPolicy, TableFull};
pub use snapshot::{Policy, PolicyImage, PolicyView, SnapshotError, slot_bytes, verify};
pub use swap::{Generation, InForce, SlotInUse, SwapMemory, SwapReader, SwapWriter, Word};
pub use sync::Shared;

#[cfg(not(loom))]
pub use capture::{
    CAPTURE_ADDRESSES_MAX, CAPTURE_FRAME_BYTES_MAX, CAPTURE_FRAMES_MAX, CAPTURE_S_MAX,
    CaptureAddress, CaptureOrder, CaptureSource, CaptureVerdict, CapturedFrame, Reassembly,
};
#[cfg(not(loom))]
pub use control::{ControlExchange, DataplaneReport, PublishError};
#[cfg(not(loom))]
pub use dataplane::{Adopted, DataplaneExchange, PolicyReader, WorkerExchange};
#[cfg(not(loom))]
pub use error::RegionError;
#[cfg(not(loom))]
pub use layout::{Dimensions, LAYOUT_VERSION};
#[cfg(not(loom))]
pub use random::seed;
#[cfg(not(loom))]
pub use region::{ProcessKind, Region, RegionRing, SideLock};
#[cfg(not(loom))]
pub use state::{DataplaneState, Handling, PortState};
