//! A draft beside the policy in force: what it would do with the conversations that are reported.
//!
//! The dataplane isn't asked: it reports every conversation that begins and every kind that is denied, and the very classifier judges those here by the
//! draft's tables, as if all segments were enforced. Bounded, in memory, and gone with control.

use std::collections::HashMap;

use loadlock_api::{BackendError, Listing, ShadowRow, ShadowStatus, Time};
use loadlock_exchange::{Event, EventKind, Mode, Policy as Compiled, PolicyImage};
use loadlock_learn::Tuple;
use loadlock_packet::Network;
use loadlock_pipeline::{Verdict, first_verdict};
use loadlock_settings::Settings;

use crate::answers::verdict_words;
use crate::core::Core;
use crate::state::State;

/// Kinds of conversations kept; those that come later are in the sums alone.
const KINDS_MAX: usize = 50_000;

/// A draft that judges.
pub(crate) struct Shadow {
    draft: String,
    author: String,
    started_ns: u64,
    image: PolicyImage,
    header: Compiled,
    kinds: HashMap<Tuple, Seen>,
    would_allow: u64,
    would_deny: u64,
    left_out: u64,
}

#[derive(Clone, Copy)]
struct Seen {
    now: &'static str,
    then: Verdict,
    conversations: u64,
    last_ns: u64,
}

impl Seen {
    /// What would change first.
    fn order(&self) -> u8 {
        match (self.now, self.then.forwards()) {
            ("allow", false) => 0,
            ("deny" | "would-deny", true) => 1,
            _ => 2,
        }
    }
}

impl Shadow {
    /// Compiles a draft. The text says why it can't be done.
    pub fn new(
        state: &State,
        settings: &Settings,
        draft: String,
        author: String,
        started_ns: u64,
    ) -> Result<Self, String> {
        let modes = state.modes.iter().map(|mode| (*mode).max(Mode::Enforce)).collect();
        let image = State { modes, ..state.clone() }.compile(settings)?;
        let header = Compiled::read(image.words()).map_err(|error| error.to_string())?;
        let kinds = HashMap::new();
        let (would_allow, would_deny, left_out) = (0, 0, 0);
        Ok(Self {
            draft,
            author,
            started_ns,
            image,
            header,
            kinds,
            would_allow,
            would_deny,
            left_out,
        })
    }

    /// Takes what was reported into account: conversations that begin, and denials.
    pub fn observe(&mut self, event: &Event) {
        if event.flags.repeated {
            return;
        }
        let now = match event.kind {
            EventKind::Started => "allow",
            EventKind::Denied(_) if event.flags.forwarded => "would-deny",
            EventKind::Denied(_) => "deny",
            EventKind::Ended | EventKind::Counted => return,
        };
        let view = self.header.view(self.image.words(), 1);
        let then = first_verdict(&view, &event.key, event.initiator);
        let tuple = Tuple::new(&event.key, event.initiator);
        // Where nothing is dropped a conversation is reported as it begins, and its denial besides: one conversation.
        let is_told = now == "would-deny" && self.kinds.contains_key(&tuple);
        if !is_told {
            let sum = if then.forwards() { &mut self.would_allow } else { &mut self.would_deny };
            *sum += 1;
        }
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&tuple) {
            self.left_out += 1;
            return;
        }
        let new = Seen { now, then, conversations: 0, last_ns: event.time_ns };
        let seen = self.kinds.entry(tuple).or_insert(new);
        seen.conversations += u64::from(!is_told);
        seen.last_ns = seen.last_ns.max(event.time_ns);
        (seen.now, seen.then) = (now, then);
    }
}

impl Core {
    pub(crate) fn start_shadow(&mut self, shadow: Box<Shadow>) {
        tracing::info!(
            draft = shadow.draft,
            author = shadow.author,
            "a draft judges beside the policy in force"
        );
        self.shadow = Some(shadow);
    }

    /// How the draft does.
    pub(crate) fn shadow_status(&self, limit: u32) -> Result<ShadowStatus, BackendError> {
        let shadow = self.shadow.as_ref().ok_or_else(|| BackendError::Conflict {
            reason: "no draft judges beside the policy in force".to_owned(),
            next_step: "`loadlock policy shadow start FILE` starts one; it ends with control"
                .to_owned(),
        })?;
        let mut kinds: Vec<_> = shadow.kinds.iter().collect();
        kinds.sort_by_key(|(tuple, seen)| {
            (seen.order(), std::cmp::Reverse(seen.conversations), **tuple)
        });
        let rows = kinds.into_iter().map(|(tuple, seen)| {
            let segment = self.settings.segments.get(tuple.segment.index());
            let name = |network: Network| self.name_of(network, tuple.segment.index());
            ShadowRow {
                segment: segment.map(|segment| segment.name.to_string()).unwrap_or_default(),
                client: name(tuple.client),
                server: name(tuple.server),
                service: tuple
                    .service()
                    .map_or_else(|| format!("{:?}", tuple.kind), |service| service.to_string()),
                now: seen.now.to_owned(),
                then: verdict_words(seen.then),
                conversations: seen.conversations,
                last: Time::from_ns(seen.last_ns),
            }
        });
        Ok(ShadowStatus {
            draft: shadow.draft.clone(),
            author: shadow.author.clone(),
            started: Time::from_ns(shadow.started_ns),
            would_allow: shadow.would_allow,
            would_deny: shadow.would_deny,
            left_out: shadow.left_out,
            rows: Listing::take(rows, limit),
        })
    }

    /// Ends it; its last figures are the answer.
    pub(crate) fn stop_shadow(&mut self) -> Result<ShadowStatus, BackendError> {
        let status = self.shadow_status(loadlock_api::LIMIT_DEFAULT)?;
        self.shadow = None;
        Ok(status)
    }
}
