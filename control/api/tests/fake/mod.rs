//! A control that isn't one: fixed answers, failures on demand, and a server thread. The tests of the CLI use it too.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

mod backend;
mod captures;
mod figures;
mod policy;
mod served;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use loadlock_api::*;
use tokio::sync::broadcast;

pub use captures::*;
pub use figures::*;
pub use policy::*;
pub use served::Served;

/// 2026-05-04 12:03:11 UTC.
pub const NOW_NS: u64 = 1_777_896_191_000_000_250;

/// What the next call does instead of answering.
#[derive(Clone)]
pub enum Trouble {
    Error(BackendError),
    Panic,
    Silence(Duration),
}

pub struct Fake {
    pub status: Mutex<Status>,
    pub trouble: Mutex<Option<Trouble>>,
    /// Segment, mode and author of every change.
    pub changes: Mutex<Vec<(String, Mode, String)>>,
    pub rules: Mutex<Vec<Rule>>,
    pub flows: Mutex<Vec<Flow>>,
    pub drops: Mutex<Vec<DropCount>>,
    /// Requests about policy, and who asked.
    pub asked: Mutex<Vec<(PolicyRequest, String)>>,
    pub audit_check: Mutex<AuditCheck>,
    /// The one that was asked for last.
    pub capture: Mutex<Option<Capture>>,
    events: broadcast::Sender<Notice>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            status: Mutex::new(status()),
            trouble: Mutex::new(None),
            changes: Mutex::new(Vec::new()),
            rules: Mutex::new(rules()),
            flows: Mutex::new(flows()),
            drops: Mutex::new(drops()),
            asked: Mutex::new(Vec::new()),
            audit_check: Mutex::new(audit_check()),
            capture: Mutex::new(None),
            events: broadcast::Sender::new(1_024),
        }
    }
}

impl Fake {
    pub fn send(&self, event: EventLine) {
        self.events.send(Notice::Event(Arc::new(event))).unwrap();
    }

    fn trouble(&self) -> Result<(), BackendError> {
        let trouble = self.trouble.lock().unwrap().clone();
        match trouble {
            None => Ok(()),
            Some(Trouble::Error(error)) => Err(error),
            Some(Trouble::Panic) => panic!("the fake was told to"),
            Some(Trouble::Silence(time)) => {
                std::thread::sleep(time);
                Ok(())
            }
        }
    }
}
