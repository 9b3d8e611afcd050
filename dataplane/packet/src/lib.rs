//! From a frame's bytes to its flow key, and nothing else.
//!
//! ```text
//!  bytes ─► ethernet (MACs, 0–2 tags, EtherType) ─► ipv4 / ipv6 ─► transport ─► Headers { key, class, … }
//!                                    └─► anything else: key of (VLANs, MACs, EtherType)
//! ```
//!
//! Every length is checked before it is used, also against the frame's own length; a frame that
//! contradicts itself gives a [`Malformed`] reason, never a key. There is no I/O, no allocation, no
//! unsafe code and no state here: fragments and conversations are the pipeline's business.
//!
//! Tested by unit tests beside each module, by truncating and bit-flipping built frames, and
//! differentially against etherparse (`tests/`).
#![forbid(unsafe_code)]

mod address;
mod claim;
mod common;
mod content;
mod ethernet;
mod ip;
mod key;
pub mod negotiation;
mod outline;
mod parse;
mod quote;
mod transport;

pub use address::Address;
pub use claim::Claim;
pub use common::{Brief, Common, SourceWord, common};
pub use content::{Content, content};
pub use ethernet::{MacAddress, VlanStack};
pub use key::{
    Endpoint, FlowKey, KeyTail, Kind, NarrowKey, Network, SEGMENTS_MAX, SegmentId, Side, WideKey,
};
pub use outline::{Outline, outline};
pub use parse::{
    Fragment, Frame, FrameClass, Headers, Ingress, Malformed, Opening, TcpFlags, parse,
};
pub use quote::Quote;
