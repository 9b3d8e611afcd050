//! Bounded answers and what is asked for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::address::AddressFilter;

/// Most items of an answer when the request doesn't say.
pub const LIMIT_DEFAULT: u32 = 1_000;
/// Most items of an answer that a request can ask for.
pub const LIMIT_MAX: u32 = 100_000;

/// A bounded list, and how many there would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listing<T> {
    /// At most `limit` items.
    pub items: Vec<T>,
    /// How many match, at least as many as `items`.
    pub total: u64,
    /// The limit that held.
    pub limit: u32,
}

impl<T> Listing<T> {
    /// Takes the first `limit` of `matching` and counts the rest.
    pub fn take(matching: impl IntoIterator<Item = T>, limit: u32) -> Self {
        let mut matching = matching.into_iter();
        let items: Vec<T> = matching.by_ref().take(limit as usize).collect();
        let total = items.len() as u64 + matching.count() as u64;
        Self { items, total, limit }
    }

    /// True if `items` isn't all.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        (self.items.len() as u64) < self.total
    }
}

/// What `GET /v1/rules` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleQuery {
    /// Only this segment's; an unknown one is [`crate::BackendError::UnknownSegment`].
    pub segment: Option<String>,
    /// Most items, 1 to [`LIMIT_MAX`].
    pub limit: u32,
}

/// What `GET /v1/flows` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowQuery {
    /// Only conversations of which this is one end.
    pub address: Option<AddressFilter>,
    /// Most items, 1 to [`LIMIT_MAX`].
    pub limit: u32,
}

impl Default for RuleQuery {
    fn default() -> Self {
        Self { segment: None, limit: LIMIT_DEFAULT }
    }
}

impl Default for FlowQuery {
    fn default() -> Self {
        Self { address: None, limit: LIMIT_DEFAULT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_counts_what_it_leaves_out() {
        let cut = Listing::take(0..10, 3);
        assert_eq!(
            (cut.items.as_slice(), cut.total, cut.is_cut()),
            ([0, 1, 2].as_slice(), 10, true)
        );
        let whole = Listing::take(0..3, 3);
        assert_eq!((whole.total, whole.is_cut()), (3, false));
    }
}
