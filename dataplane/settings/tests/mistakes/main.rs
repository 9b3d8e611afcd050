//! One test for each kind of mistake: that it is found, where, and under which key.

mod between_keys;
mod file;
mod outward;
mod single_keys;
mod tuning;
