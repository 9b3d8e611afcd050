//! Which DPDK releases this crate builds against, decided from the version text pkg-config prints.
//!
//! In a file of its own so that `tests/version.rs` can include it: a build script has no tests.

use std::fmt;

/// A DPDK release, as `year.month`: 22.11 is `{ year: 22, month: 11 }`. The patch number doesn't matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Two-digit year.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u16,
}

/// The oldest release whose API the shims use (`rte_dev_bus`, `rte_dev_devargs`).
pub const OLDEST: Version = Version { year: 22, month: 11 };

/// The first release line nobody has looked at yet.
pub const FIRST_UNKNOWN: Version = Version { year: 25, month: 0 };

/// Why a version was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum VersionError {
    /// The text isn't `year.month[.patch]`.
    Unreadable {
        /// What pkg-config printed.
        found: String,
    },
    /// The release is outside the range.
    Unsupported {
        /// What pkg-config printed.
        found: String,
    },
}

impl fmt::Display for VersionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { found } => write!(
                formatter,
                "libdpdk.pc gives the version \"{found}\", which isn't year.month[.patch]"
            ),
            Self::Unsupported { found } => write!(
                formatter,
                "found DPDK {found}, allowed are the LTS lines 22.11, 23.11 and 24.11 (>= 22.11, < 25)"
            ),
        }
    }
}

/// Reads and judges the text of `pkg-config --modversion libdpdk`.
pub fn judge(text: &str) -> Result<Version, VersionError> {
    let found = text.trim();
    let mut parts = found.split('.').map(leading_number);
    let (Some(Some(year)), Some(Some(month))) = (parts.next(), parts.next()) else {
        return Err(VersionError::Unreadable { found: found.to_owned() });
    };
    let version = Version { year, month };
    if version < OLDEST || version >= FIRST_UNKNOWN {
        return Err(VersionError::Unsupported { found: found.to_owned() });
    }
    Ok(version)
}

/// The digits a part begins with: release candidates read `23.11.0-rc1`, or `23.11-rc1` in old files.
fn leading_number(part: &str) -> Option<u16> {
    let end = part.find(|character: char| !character.is_ascii_digit()).unwrap_or(part.len());
    part[..end].parse().ok()
}
