//! The flow table's lookup and the event ring alone, each against what others offer for the same, in turn.

mod lookup;
mod ring;

use serde::Serialize;

use crate::report::Spread;

pub use lookup::lookups;
pub use ring::{event_ring, rings};

/// One contender's runs.
#[derive(Clone, Debug, Serialize)]
pub struct Contender {
    /// Which.
    pub name: &'static str,
    /// Operations a second.
    pub per_second: Spread,
    /// Ours to it, run by run.
    pub ratio_of_loadlock: Spread,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Primitive {
    /// What is done.
    pub what: String,
    /// Ours first.
    pub contenders: Vec<Contender>,
}

impl Primitive {
    fn of(what: String, runs: &[(&'static str, Vec<f64>)]) -> Self {
        let ratio = |peer: &[f64]| {
            Spread::of(
                &runs[0].1.iter().zip(peer).map(|(ours, peer)| ours / peer).collect::<Vec<_>>(),
            )
        };
        let contenders = runs.iter().map(|(name, values)| Contender {
            name,
            per_second: Spread::of(values),
            ratio_of_loadlock: ratio(values),
        });
        Self { what, contenders: contenders.collect() }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.what);
        for Contender { name, per_second, ratio_of_loadlock } in &self.contenders {
            text += &format!(
                "  {name:<34} {:>24} M/s   the first is {} ×\n",
                per_second.text(1e6, 1),
                ratio_of_loadlock.text(1.0, 2)
            );
        }
        text
    }
}
