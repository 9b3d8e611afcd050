//! The API's way to the core thread: commands with a reply.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use loadlock_api::{
    AccountAnswer, AccountRequest, Actor, AuditCheck, AuditLog, AuditQuery, Backend, BackendError,
    Binding, BindingRenewal, BindingRenewed, BypassBody, BypassChanged, Capture, CaptureBody,
    CapturePage, CaptureQuery, DropCount, Explanation, ExplanationQuery, Flow, FlowQuery, Identity,
    IsItMe, LearningAnswer, LearningRequest, Listing, Mode, ModeChanged, Notice, PolicyAnswer,
    PolicyChanged, PolicyRequest, ReloadBody, Reloaded, Rule, RuleQuery, ShadowStatus, Status,
};
use loadlock_outward::{Boards, Figures, Source};
use loadlock_policy::AddressMatch;
use loadlock_settings::Settings;
use tokio::sync::broadcast;

use crate::access::Access;
use crate::change::Change;
use crate::reload::Reloader;
use crate::shadow::Shadow;
use crate::state::State;
use crate::storage::StoreHandle;

type Reply<T> = Sender<Result<T, BackendError>>;

/// What the API asks the core thread for.
pub(crate) enum Command {
    Status(Reply<Status>),
    SetMode {
        segment: String,
        mode: Mode,
        author: String,
        reply: Reply<ModeChanged>,
    },
    SetBypass {
        segment: String,
        change: BypassBody,
        author: String,
        reply: Reply<BypassChanged>,
    },
    /// Of these addresses, which are to be called so.
    StartCapture {
        addresses: Vec<AddressMatch>,
        device: String,
        body: CaptureBody,
        author: String,
        reply: Reply<Capture>,
    },
    Captured(CaptureQuery, Reply<CapturePage>),
    StopCapture(u64, Reply<Capture>),
    Rules(RuleQuery, Reply<Listing<Rule>>),
    Bindings(RuleQuery, Reply<Listing<Binding>>),
    Renew {
        segment: String,
        renewal: BindingRenewal,
        author: String,
        reply: Reply<BindingRenewed>,
    },
    Explain(ExplanationQuery, Reply<Listing<Explanation>>),
    Flows(FlowQuery, Reply<Listing<Flow>>),
    Drops(Reply<Vec<DropCount>>),
    /// A draft that was compiled on another thread.
    StartShadow(Box<Shadow>, u32, Reply<ShadowStatus>),
    StopShadow(Reply<ShadowStatus>),
    Shadow(u32, Reply<ShadowStatus>),
    /// What goes to Prometheus.
    Figures(Reply<Figures>),
    /// What is in force, to work with it on another thread.
    Snapshot(Reply<State>),
    /// Something that changes what is in force.
    Change(Change, Reply<PolicyChanged>),
    /// What was denied of these addresses.
    Denials(Vec<AddressMatch>, String, Reply<IsItMe>),
    /// A configuration of which what may change differs, and the sinks it has.
    Reload(Box<Settings>, Boards, Reply<()>),
    Learning {
        request: LearningRequest,
        author: String,
        reply: Reply<LearningAnswer>,
    },
}

/// The API's end.
pub(crate) struct CoreBackend {
    commands: Sender<Command>,
    pub(crate) store: StoreHandle,
    /// What runs; replaced whole by a reload.
    settings: RwLock<Arc<Settings>>,
    /// Set once everything runs that a reload may change.
    pub(crate) reloader: OnceLock<Reloader>,
    access: Access,
    /// The latest proposal as it was read, so that applying it needn't read it again.
    pub(crate) proposed: Mutex<Option<State>>,
    events: broadcast::Sender<Notice>,
}

/// Both ends of the way.
pub(crate) fn channel(
    events: broadcast::Sender<Notice>,
    store: StoreHandle,
    settings: Settings,
    access: Access,
) -> (CoreBackend, Receiver<Command>) {
    let (commands, inbox) = unbounded();
    let backend = CoreBackend {
        commands,
        store,
        settings: RwLock::new(Arc::new(settings)),
        reloader: OnceLock::new(),
        access,
        proposed: Mutex::new(None),
        events,
    };
    (backend, inbox)
}

/// The server gives up after ten seconds; the answer to a request nobody waits for any more is thrown away.
const PATIENCE: Duration = Duration::from_secs(9);

impl CoreBackend {
    /// The configuration that runs now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events from now on.
    pub(crate) fn new_events(&self) -> broadcast::Receiver<Notice> {
        self.events.subscribe()
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    pub(crate) fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, BackendError> {
        let (reply, answer) = bounded(1);
        let unavailable = |reason: &str| BackendError::Unavailable { reason: reason.to_owned() };
        self.commands.send(command(reply)).map_err(|_| unavailable("it has ended"))?;
        match answer.recv_timeout(PATIENCE) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(unavailable("no answer for 9 s")),
            Err(RecvTimeoutError::Disconnected) => Err(unavailable("it is ending")),
        }
    }
}

impl Backend for CoreBackend {
    fn status(&self) -> Result<Status, BackendError> {
        self.ask(Command::Status)
    }

    fn set_mode(
        &self,
        segment: &str,
        mode: Mode,
        author: &str,
    ) -> Result<ModeChanged, BackendError> {
        let (segment, author) = (segment.to_owned(), author.to_owned());
        self.ask(|reply| Command::SetMode { segment, mode, author, reply })
    }

    fn set_bypass(
        &self,
        segment: &str,
        change: &BypassBody,
        author: &str,
    ) -> Result<BypassChanged, BackendError> {
        let (segment, change, author) = (segment.to_owned(), change.clone(), author.to_owned());
        self.ask(|reply| Command::SetBypass { segment, change, author, reply })
    }

    fn start_capture(&self, body: &CaptureBody, author: &str) -> Result<Capture, BackendError> {
        let (addresses, device) = self.device_called(&body.device)?;
        let (body, author) = (body.clone(), author.to_owned());
        self.ask(|reply| Command::StartCapture { addresses, device, body, author, reply })
    }

    fn captured(&self, query: CaptureQuery) -> Result<CapturePage, BackendError> {
        self.ask(|reply| Command::Captured(query, reply))
    }

    fn stop_capture(&self, id: u64) -> Result<Capture, BackendError> {
        self.ask(|reply| Command::StopCapture(id, reply))
    }

    fn reload(&self, body: &ReloadBody, author: &str) -> Result<Reloaded, BackendError> {
        self.take_over(body.dry_run, author)
    }

    fn rules(&self, query: &RuleQuery) -> Result<Listing<Rule>, BackendError> {
        self.ask(|reply| Command::Rules(query.clone(), reply))
    }

    fn bindings(&self, query: &RuleQuery) -> Result<Listing<Binding>, BackendError> {
        self.ask(|reply| Command::Bindings(query.clone(), reply))
    }

    fn renew_binding(
        &self,
        segment: &str,
        renewal: &BindingRenewal,
        author: &str,
    ) -> Result<BindingRenewed, BackendError> {
        let (segment, renewal, author) = (segment.to_owned(), renewal.clone(), author.to_owned());
        self.ask(|reply| Command::Renew { segment, renewal, author, reply })
    }

    fn explain(&self, query: &ExplanationQuery) -> Result<Listing<Explanation>, BackendError> {
        self.ask(|reply| Command::Explain(query.clone(), reply))
    }

    fn flows(&self, query: &FlowQuery) -> Result<Listing<Flow>, BackendError> {
        self.ask(|reply| Command::Flows(query.clone(), reply))
    }

    fn drops(&self) -> Result<Vec<DropCount>, BackendError> {
        self.ask(Command::Drops)
    }

    fn policy(&self, request: PolicyRequest, author: &str) -> Result<PolicyAnswer, BackendError> {
        self.answer(request, author)
    }

    fn learning(
        &self,
        request: LearningRequest,
        author: &str,
    ) -> Result<LearningAnswer, BackendError> {
        let author = author.to_owned();
        self.ask(|reply| Command::Learning { request, author, reply })
    }

    fn authenticate(&self, secret: &str) -> Result<Option<Identity>, BackendError> {
        Ok(self.access.authenticate(secret))
    }

    fn account(
        &self,
        request: AccountRequest,
        actor: &Actor,
    ) -> Result<AccountAnswer, BackendError> {
        self.access.answer(request, actor)
    }

    fn audit(&self, query: &AuditQuery) -> Result<AuditLog, BackendError> {
        self.audit_log(query)
    }

    fn check_audit(&self) -> Result<AuditCheck, BackendError> {
        self.audit_check()
    }

    fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.events.subscribe()
    }
}

impl Source for CoreBackend {
    fn figures(&self) -> Option<Figures> {
        self.ask(Command::Figures).ok()
    }

    fn alarms(&self) -> Option<Vec<String>> {
        self.ask(Command::Status).ok().map(|status| status.alarms)
    }
}
