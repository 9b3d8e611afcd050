//! Which DPDK versions the build script takes.

#[path = "../build/version.rs"]
mod version;

use version::{Version, VersionError, judge};

#[test]
fn the_three_lts_lines_are_taken() {
    for (text, year) in [("22.11.11\n", 22), ("23.11.2", 23), ("24.11.0-rc1", 24)] {
        assert_eq!(judge(text), Ok(Version { year, month: 11 }), "{text}");
    }
    assert_eq!(judge("24.03"), Ok(Version { year: 24, month: 3 }));
}

#[test]
fn what_lies_outside_is_refused_with_the_range() {
    for text in ["19.11.14", "21.11.0", "22.07.0", "25.03.0", "25.11"] {
        let error = judge(text).expect_err(text);
        assert_eq!(error, VersionError::Unsupported { found: text.to_owned() });
        let message = error.to_string();
        assert!(message.contains(text) && message.contains(">= 22.11, < 25"), "{message}");
    }
}

#[test]
fn what_is_no_version_is_refused() {
    for text in ["", "main", "22", "x.11"] {
        assert!(matches!(judge(text), Err(VersionError::Unreadable { .. })), "{text}");
    }
}
