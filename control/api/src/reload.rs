//! Taking over a changed configuration file, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReloadBody {
    /// Only say what would come of it.
    #[serde(default)]
    pub dry_run: bool,
}

/// A key whose value in the file isn't the one that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyChange {
    /// Path of the key, such as `control.log`, `segment[fab].helpers`; `port` or `segment` if there are others than before.
    pub key: String,
    /// What ran before, in TOML; empty: nothing.
    pub old: String,
    /// What the file says.
    pub new: String,
}

/// Answer to `POST /v1/reload`: the file has no mistake, and this is what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// The file.
    pub file: String,
    /// Nothing was changed: it was a dry run.
    pub dry_run: bool,
    /// What control took over.
    pub changed: Vec<KeyChange>,
    /// The certificate of the API was read again; false where the API isn't served over TLS.
    pub certificate_read: bool,
    /// What counts when control has been started again; conversations aren't touched by that.
    pub needs_control: Vec<KeyChange>,
    /// What counts when the dataplane has been started again, which interrupts the line.
    pub needs_dataplane: Vec<KeyChange>,
    /// What counts when both have been started again, at the same time, since they have to agree.
    pub needs_both: Vec<KeyChange>,
    /// What the file says of a first start only.
    pub by_verb: Vec<KeyChange>,
}
