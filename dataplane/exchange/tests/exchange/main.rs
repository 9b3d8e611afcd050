//! The region over real files, between real processes, and what lies in it against slow references.
//!
//! `fixtures` makes keys, rules and policies; `reference` is the allowlist written down a second time, obviously. The loom
//! models are in `tests/loom.rs`.
#![cfg(not(loom))]

mod allowlist;
mod bindings;
mod captures;
mod events;
mod fixtures;
mod processes;
mod publish;
mod reference;
mod region;
mod snapshot;
mod space;
