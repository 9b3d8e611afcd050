//! Which keys each section of a document has, of which kind, and which it must have.

use super::device::DEVICE_KEYS;
use super::sections::{Kind, Section};

const NAME: (&str, &str) = ("name", "a name, unique among its kind");
const FROM: (&str, &str) =
    ("from", "who asks: \"device:NAME\", \"role:NAME\", \"zone:NAME\", an address, or \"any\"");
const TO: (&str, &str) =
    ("to", "who answers: \"device:NAME\", \"role:NAME\", \"zone:NAME\", an address, or \"any\"");
const REASON: (&str, &str) = ("reason", "a sentence that says why");
const OWNER: (&str, &str) = ("owner", "who answers for it");

pub(super) static DEVICE: Section = Section {
    name: "device",
    keys: &DEVICE_KEYS,
    kinds: &[
        Kind::Text,
        Kind::Texts,
        Kind::Text,
        Kind::Text,
        Kind::Vlan,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
    ],
    mandatory: &[NAME, ("address", "its address, or several in brackets")],
};
pub(super) static ZONE: Section = Section {
    name: "zone",
    keys: &["name", "network"],
    kinds: &[Kind::Text, Kind::Texts],
    mandatory: &[NAME],
};
pub(super) static SERVICE: Section = Section {
    name: "service",
    keys: &["name", "port"],
    kinds: &[Kind::Text, Kind::Texts],
    mandatory: &[NAME, ("port", "what is talked, such as \"tcp/5000\", or several in brackets")],
};
pub(super) static PERMIT: Section = Section {
    name: "permit",
    keys: &[
        "from",
        "to",
        "service",
        "segment",
        "vlan",
        "opens",
        "midstream",
        "reason",
        "owner",
        "expires",
    ],
    kinds: &[
        Kind::Texts,
        Kind::Texts,
        Kind::Texts,
        Kind::Text,
        Kind::Vlan,
        Kind::Text,
        Kind::Switch,
        Kind::Text,
        Kind::Text,
        Kind::Time,
    ],
    mandatory: &[
        FROM,
        TO,
        ("service", "what they talk: a service's name, or such as \"tcp/5000\""),
        REASON,
        OWNER,
    ],
};
const REFUSAL_KEYS: &[&str] = &["from", "to", "service", "segment", "reason", "owner"];
const REFUSAL_KINDS: &[Kind] =
    &[Kind::Texts, Kind::Texts, Kind::Texts, Kind::Text, Kind::Text, Kind::Text];
pub(super) static DENY: Section = Section {
    name: "deny",
    keys: REFUSAL_KEYS,
    kinds: REFUSAL_KINDS,
    mandatory: &[FROM, TO, REASON, OWNER],
};
pub(super) static HOLD: Section = Section {
    name: "hold",
    keys: REFUSAL_KEYS,
    kinds: REFUSAL_KINDS,
    mandatory: &[FROM, TO, REASON, OWNER],
};
pub(super) static ISLAND: Section = Section {
    name: "island",
    keys: &["zone", "reason", "owner"],
    kinds: &[Kind::Text, Kind::Text, Kind::Text],
    mandatory: &[("zone", "the name of a zone"), REASON, OWNER],
};
pub(super) static ASSERT: Section = Section {
    name: "assert",
    keys: &["name", "always", "from", "to", "service", "segment", "vlan"],
    kinds: &[
        Kind::Text,
        Kind::Switch,
        Kind::Texts,
        Kind::Texts,
        Kind::Texts,
        Kind::Text,
        Kind::Vlan,
    ],
    mandatory: &[
        NAME,
        ("always", "true: all of it must be permitted; false: none of it may be"),
        FROM,
        TO,
    ],
};
