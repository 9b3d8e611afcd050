//! The audit log in the API's types.

use loadlock_api::{AuditCheck, AuditLine, AuditLog, AuditQuery, BackendError, Listing, Time};
use loadlock_store::{Action, AuditEntry, AuditExamined, AuditFilter};

use super::{hexadecimal, store_error};
use crate::backend::CoreBackend;

impl CoreBackend {
    /// The newest entries that fit.
    pub(crate) fn audit_log(&self, query: &AuditQuery) -> Result<AuditLog, BackendError> {
        let filter = AuditFilter {
            actor: query.actor.clone(),
            action: query.action.as_deref().map(action).transpose()?,
            since_ns: query.since.map_or(0, Time::ns),
            before: query.before,
            limit: query.limit,
        };
        let page = self.store.with(move |store| store.audit_page(&filter)).map_err(store_error)?;
        let items = page.entries.into_iter().map(audit_line).collect();
        Ok(AuditLog {
            entries: Listing { items, total: page.total, limit: query.limit },
            damaged: page.damaged,
        })
    }

    /// The whole log, checked entry by entry.
    pub(crate) fn audit_check(&self) -> Result<AuditCheck, BackendError> {
        let mut examined = AuditExamined::default();
        loop {
            // In parts: what waits for the disk meanwhile, an approval or a bypass, gets its turn in between.
            let mut on = examined;
            let more;
            (examined, more) = self
                .store
                .with(move |store| store.examine_more_audit(&mut on).map(|more| (on, more)))
                .map_err(store_error)?;
            if !more {
                break;
            }
        }
        let (broken_entry, finding) = examined.broken.unzip();
        Ok(AuditCheck {
            is_whole: finding.is_none(),
            whole_entries: examined.whole,
            last_sha256: (examined.whole > 0).then(|| hexadecimal(&examined.last_sha256)),
            broken_entry,
            finding,
        })
    }
}

fn action(name: &str) -> Result<Action, BackendError> {
    Action::from_name(name).ok_or_else(|| BackendError::Invalid {
        reason: format!(
            "action: \"{name}\" isn't allowed, allowed are {}",
            Action::ALL.map(Action::name).join(", ")
        ),
        next_step: "name one of them".to_owned(),
    })
}

pub(super) fn audit_line(entry: AuditEntry) -> AuditLine {
    AuditLine {
        number: entry.number,
        time: Time::from_ns(entry.time_ns),
        actor: entry.actor,
        action: entry.action.name().to_owned(),
        version: entry.version.0,
        note: entry.note,
        sha256: hexadecimal(&entry.sha256),
    }
}
