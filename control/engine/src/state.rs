//! The policy that control stands for: rules and modes of one stored version.

use std::collections::HashSet;
use std::sync::Arc;

use loadlock_exchange::{Mode, ModeEntry, PolicyImage, seed};
use loadlock_packet::SegmentId;
use loadlock_policy::{AddressMode, Document, Policy, PolicyFile, SegmentDefinition};
use loadlock_settings::Settings;
use loadlock_store::{NewVersion, SegmentMode, Version, VersionNumber};

use crate::error::EngineError;
use crate::identity::held;

/// A version in working form. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub number: VersionNumber,
    /// All rules.
    pub policy: Arc<Policy>,
    /// What people wrote.
    pub document: Arc<Document>,
    /// In the order of the configured segments.
    pub modes: Vec<Mode>,
}

impl State {
    /// Reads a stored version. Segments that it doesn't know have the configured mode.
    pub fn of(version: &Version, settings: &Settings) -> Result<Self, EngineError> {
        let place = format!("policy version {}", version.number);
        let unread = |errors| EngineError::StoredPolicy { version: version.number, errors };
        let policy = Arc::new(PolicyFile::parse(&version.content.rules, &place).map_err(unread)?);
        let document = Document::parse(&version.content.source, &place).map_err(unread)?;
        let stored = &version.content.modes;
        let modes = settings.segments.iter().map(|segment| {
            let of_segment = stored.iter().find(|mode| mode.segment == segment.name.as_str());
            of_segment.and_then(|mode| Mode::from_name(&mode.mode)).unwrap_or(segment.mode)
        });
        let document = Arc::new(document);
        Ok(Self { number: version.number, policy, document, modes: modes.collect() })
    }

    /// What is in force before anything was stored: the configured modes, no rule.
    pub fn configured(settings: &Settings) -> Self {
        Self {
            number: VersionNumber(0),
            policy: Arc::default(),
            document: Arc::default(),
            modes: settings.segments.iter().map(|segment| segment.mode).collect(),
        }
    }

    /// This state as a version to be stored.
    pub fn to_version(
        &self,
        settings: &Settings,
        now_ns: u64,
        author: &str,
        reason: &str,
        ticket: &str,
    ) -> NewVersion {
        let modes = settings.segments.iter().zip(&self.modes);
        NewVersion {
            created_ns: now_ns,
            author: author.to_owned(),
            reason: reason.to_owned(),
            ticket: ticket.to_owned(),
            modes: modes
                .map(|(segment, mode)| SegmentMode {
                    segment: segment.name.to_string(),
                    mode: mode.name().to_owned(),
                })
                .collect(),
            source: self.document.text().to_owned(),
            rules: self.policy.to_toml(),
        }
    }

    /// Is this segment, by name, learning?
    pub fn is_learning(&self, settings: &Settings, segment: &str) -> bool {
        let position = settings.segments.iter().position(|known| known.name.as_str() == segment);
        position.and_then(|at| self.modes.get(at)) == Some(&Mode::Learn)
    }

    /// Compiles for the exchange. Rules of segments that aren't configured any more are left out: they are nobody's
    /// traffic. The text says why it can't be done.
    pub fn compile(&self, settings: &Settings) -> Result<PolicyImage, String> {
        let segments: Vec<SegmentDefinition> = settings
            .segments
            .iter()
            .zip(settings.segment_policies())
            .zip(&self.modes)
            .map(|((segment, policy), mode)| SegmentDefinition {
                name: segment.name.to_string(),
                policy: loadlock_exchange::SegmentPolicy { mode: *mode, ..policy },
            })
            .collect();
        let known = |rule: &&loadlock_policy::Rule| {
            segments.iter().any(|segment| segment.name == *rule.parts().segment)
        };
        let bound = Policy::default()
            .with_bindings(held(self, settings), "stored bindings")
            .map_err(|error| error.to_string())?;
        let own;
        let policy = if self.policy.rules().iter().all(|rule| known(&rule)) {
            &*self.policy
        } else {
            let rules = self.policy.rules().iter().filter(known).cloned().collect();
            own = Policy::from_rules(rules, "stored rules").map_err(|error| error.to_string())?;
            &own
        };
        let seed = seed().map_err(|error| format!("/dev/urandom gives no seed: {error}"))?;
        let capacity = settings.dimensions().rule_capacity;
        let image = policy.compile_with(bound.bindings(), &segments, self.number.0, seed, capacity);
        let image = image.map_err(|error| {
            let cause = std::error::Error::source(&error);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        })?;
        let modes = self.device_modes(settings);
        image.set_modes(&modes, capacity).map_err(|error| error.to_string())
    }

    /// The modes of single devices, on the segments that are configured. A device that names its segment goes before one of any.
    fn device_modes(&self, settings: &Settings) -> Vec<ModeEntry> {
        let (named, any): (Vec<_>, Vec<_>) =
            self.document.device_modes().into_iter().partition(|mode| mode.segment.is_some());
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        for AddressMode { segment: own, vlans, address, mode } in named.into_iter().chain(any) {
            for (at, segment) in settings.segments.iter().enumerate() {
                let here = own.as_deref().is_none_or(|own| own == segment.name.as_str());
                if let Some(segment) = SegmentId::new(at).filter(|_| here)
                    && seen.insert((segment, address))
                {
                    entries.push(ModeEntry { segment, vlans, address, mode });
                }
            }
        }
        entries
    }
}
