//! In which VLANs a rule holds.

use std::fmt;

use loadlock_packet::VlanStack;

use crate::error::Refused;

/// Highest VLAN id (IEEE 802.1Q: 4095 is reserved).
const VLAN_ID_MAX: u16 = 4094;

/// The VLANs in which a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VlanMatch {
    /// Every one, and frames without a tag.
    Any,
    /// Exactly these tags.
    Exactly(VlanStack),
}

const ALLOWED: &str = "\"untagged\", \"any\", a VLAN id from 1 to 4094, or two ids as a text such as \"10.20\" (outer first; \"0.20\" is \
                       VLAN 20 inside a priority tag)";

impl VlanMatch {
    /// What holds in a file whose rule doesn't name a VLAN: frames without a tag. A rule thereby permits nothing that
    /// it doesn't say; on a trunk the omission shows in monitor mode.
    pub const DEFAULT: Self = Self::Exactly(VlanStack::UNTAGGED);

    /// One VLAN by its id.
    ///
    /// # Errors
    /// What is allowed.
    pub fn from_id(id: i64) -> Result<Self, Refused> {
        match u16::try_from(id) {
            Ok(id @ 1..=VLAN_ID_MAX) => Ok(Self::Exactly(VlanStack::new(id, 0))),
            Ok(0) => Err(Refused { allowed: ALLOWED, instead: Some("untagged".to_owned()) }),
            _ => Err(Refused { allowed: ALLOWED, instead: None }),
        }
    }

    /// Reads `any`, `untagged`, one id, or two with a point between them.
    ///
    /// # Errors
    /// What is allowed.
    pub fn from_text(text: &str) -> Result<Self, Refused> {
        let refused = Refused { allowed: ALLOWED, instead: None };
        let id = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<u16>().ok()).flatten().filter(|id| *id <= VLAN_ID_MAX)
        };
        match (text, text.split_once('.')) {
            ("any", _) => Ok(Self::Any),
            ("untagged", _) => Ok(Self::DEFAULT),
            (_, Some((outer, inner))) => match (id(outer), id(inner)) {
                (Some(outer), Some(inner @ 1..)) => Ok(Self::Exactly(VlanStack::new(outer, inner))),
                _ => Err(refused),
            },
            _ => Self::from_id(i64::from(id(text).ok_or(refused)?)),
        }
    }

    /// True if the rule holds for a frame with these tags.
    #[must_use]
    pub fn contains(self, vlans: VlanStack) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(exactly) => exactly == vlans,
        }
    }
}

impl fmt::Display for VlanMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Exactly(vlans) => vlans.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["any", "untagged", "1", "4094", "10.20", "0.20", "4094.4094"] {
            assert_eq!(VlanMatch::from_text(text).unwrap().to_string(), text);
        }
        assert_eq!(VlanMatch::from_id(10), VlanMatch::from_text("10"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "0", "4095", "10.0", "10.4095", "10.20.30", "+1", "-1", "ten", "0x10", "."]
        {
            assert!(VlanMatch::from_text(text).is_err(), "{text}");
        }
        assert_eq!(VlanMatch::from_id(0).unwrap_err().instead.as_deref(), Some("untagged"));
        assert!(VlanMatch::from_id(4095).is_err());
        assert!(VlanMatch::from_id(-1).is_err());
    }
}
