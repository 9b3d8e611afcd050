//! The name nearest in spelling, for "did you mean".

/// Below this likeness (1 is equal) a hint would mislead more than it helps.
const LIKENESS_MIN: f64 = 0.5;

/// The candidate nearest to `found`, or `None` if none resembles it.
///
/// The measure is the Damerau-Levenshtein distance by length, since swapped letters are the commonest slip.
pub(crate) fn nearest<'a>(
    found: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let found = found.to_lowercase();
    let mut best: Option<(f64, &'a str)> = None;
    for candidate in candidates {
        let likeness = strsim::normalized_damerau_levenshtein(&found, candidate);
        let better = best.is_none_or(|(highest, _)| likeness > highest);
        if likeness >= LIKENESS_MIN && better {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_swapped_and_missing_letters() {
        let keys = ["mbufs", "mbuf_cache", "burst_packets"];
        assert_eq!(nearest("mbusf", keys), Some("mbufs"));
        assert_eq!(nearest("brust_packet", keys), Some("burst_packets"));
        assert_eq!(nearest("MBUF_CACHE", keys), Some("mbuf_cache"));
    }

    #[test]
    fn gives_no_hint_for_something_else() {
        assert_eq!(nearest("zzz", ["mbufs", "clock"]), None);
        assert_eq!(nearest("", ["mbufs"]), None);
    }
}
