//! A control that isn't one: fixed answers, failures on demand, and a server thread. The tests of the CLI use it too.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use loadlock_api::*;
use tokio::sync::{broadcast, oneshot};

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
    events: broadcast::Sender<Arc<EventLine>>,
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
            events: broadcast::Sender::new(1_024),
        }
    }
}

impl Fake {
    pub fn send(&self, event: EventLine) {
        self.events.send(Arc::new(event)).unwrap();
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

impl Backend for Fake {
    fn status(&self) -> Result<Status, BackendError> {
        let mut status = self.status.lock().unwrap().clone();
        status.alarms = status.find_alarms();
        self.trouble().map(|()| status)
    }

    fn set_mode(
        &self,
        segment: &str,
        mode: Mode,
        author: &str,
    ) -> Result<ModeChanged, BackendError> {
        self.trouble()?;
        let mut status = self.status.lock().unwrap();
        let known = status.segments.iter().map(|segment| segment.name.clone()).collect();
        let Some(at) = status.segments.iter().position(|one| one.name == segment) else {
            return Err(BackendError::UnknownSegment { found: segment.to_owned(), known });
        };
        self.changes.lock().unwrap().push((segment.to_owned(), mode, author.to_owned()));
        let previous = std::mem::replace(&mut status.segments[at].mode, mode);
        status.control.policy_version += 1;
        status.control.generation += 1;
        let (policy_version, generation) =
            (status.control.policy_version, status.control.generation);
        Ok(ModeChanged { segment: segment.to_owned(), mode, previous, policy_version, generation })
    }

    fn set_bypass(
        &self,
        segment: &str,
        change: &BypassBody,
        author: &str,
    ) -> Result<BypassChanged, BackendError> {
        self.trouble()?;
        let mut status = self.status.lock().unwrap();
        let known = status.segments.iter().map(|segment| segment.name.clone()).collect();
        let Some(at) = status.segments.iter().position(|one| one.name == segment) else {
            return Err(BackendError::UnknownSegment { found: segment.to_owned(), known });
        };
        let bypass = change.on.then(|| Bypass {
            since: Time::from_ns(NOW_NS),
            until: change.seconds.map(|seconds| Time::from_ns(NOW_NS + seconds * 1_000_000_000)),
            author: author.to_owned(),
            reason: change.reason.clone(),
        });
        let previous = std::mem::replace(&mut status.segments[at].bypass, bypass.clone());
        Ok(BypassChanged { segment: segment.to_owned(), bypass, previous, in_force: true })
    }

    fn rules(&self, query: &RuleQuery) -> Result<Listing<Rule>, BackendError> {
        self.trouble()?;
        if let Some(segment) = query.segment.as_ref().filter(|segment| *segment != "fab") {
            return Err(BackendError::UnknownSegment {
                found: segment.clone(),
                known: vec!["fab".to_owned()],
            });
        }
        Ok(Listing::take(self.rules.lock().unwrap().clone(), query.limit))
    }

    fn bindings(&self, query: &RuleQuery) -> Result<Listing<Binding>, BackendError> {
        self.trouble()?;
        Ok(Listing::take(bindings(), query.limit))
    }

    fn renew_binding(
        &self,
        segment: &str,
        renewal: &BindingRenewal,
        author: &str,
    ) -> Result<BindingRenewed, BackendError> {
        self.trouble()?;
        if segment != "fab" {
            let (found, known) = (segment.to_owned(), vec!["fab".to_owned()]);
            return Err(BackendError::UnknownSegment { found, known });
        }
        let previous = bindings().remove(0);
        let binding = Binding {
            address: Some(renewal.address.to_string()),
            mac: Some(renewal.mac.clone()),
            reason: format!("renewed by {author}"),
            words: format!("{} is {} on side a", renewal.address, renewal.mac),
            ..previous.clone()
        };
        let previous = (previous.address == binding.address).then_some(previous);
        let time = Time::from_ns(0);
        Ok(BindingRenewed { binding, previous, time, policy_version: 38, generation: 42 })
    }

    fn learning(
        &self,
        request: LearningRequest,
        author: &str,
    ) -> Result<LearningAnswer, BackendError> {
        self.trouble()?;
        let window = |number, body: WindowBody| Window {
            number,
            segment: body.segment,
            from: Time::from_ns(1),
            until: Time::from_ns(1 + u64::from(body.seconds) * 1_000_000_000),
            open: true,
            monitor: body.monitor,
            author: author.to_owned(),
            reason: body.reason,
        };
        Ok(match request {
            LearningRequest::Questions { limit } => {
                LearningAnswer::Questions(Listing::take([question()], limit))
            }
            LearningRequest::Answer { id, .. } if id != question().id => {
                return Err(BackendError::Conflict {
                    reason: format!("there is no open question \"{id}\""),
                    next_step: "list them".to_owned(),
                });
            }
            LearningRequest::Answer { .. } => LearningAnswer::Answered(Answered {
                number: 1,
                policy_version: 2,
                generation: 3,
                rules: [4, 5],
            }),
            LearningRequest::Answers { limit } => {
                LearningAnswer::Answers(Listing::take(Vec::new(), limit))
            }
            LearningRequest::Readiness { limit, .. } => {
                LearningAnswer::Readiness(Box::new(ReadinessReport {
                    days: 9,
                    unseen_services: [1.0, 0.0, 3.0],
                    new_services_per_month: [0.5, 0.0, 1.0],
                    blocks_per_month: [0.5, 0.0, 2.0],
                    devices: Listing::take(Vec::new(), limit),
                }))
            }
            LearningRequest::Windows { limit } => {
                LearningAnswer::Windows(Listing::take(Vec::new(), limit))
            }
            LearningRequest::OpenWindow(body) => LearningAnswer::Window(window(1, body)),
            LearningRequest::CloseWindow { number } => {
                let (segment, reason) = ("fab".to_owned(), "closed".to_owned());
                let body = WindowBody { segment, seconds: 0, monitor: false, reason };
                LearningAnswer::Window(window(number, body))
            }
        })
    }

    fn explain(&self, query: &ExplanationQuery) -> Result<Listing<Explanation>, BackendError> {
        self.trouble()?;
        let explanation = Explanation {
            subject: format!("{} {}", query.kind.name(), query.subject),
            decision: "admitted".to_owned(),
            reasons: vec!["days: 9 of 2 needed".to_owned()],
            evidence: vec!["12 conversations on 9 days".to_owned()],
            would_change: vec!["a person's refusal".to_owned()],
            owner: None,
            first_used: None,
            last_used: None,
        };
        Ok(Listing::take(vec![explanation], query.limit))
    }

    fn flows(&self, query: &FlowQuery) -> Result<Listing<Flow>, BackendError> {
        self.trouble()?;
        let wanted = |flow: &Flow| {
            let is_end = |address: AddressFilter| {
                [&flow.client, &flow.server].contains(&&address.to_string())
            };
            query.address.is_none_or(is_end)
        };
        Ok(Listing::take(
            self.flows.lock().unwrap().clone().into_iter().filter(wanted),
            query.limit,
        ))
    }

    fn drops(&self) -> Result<Vec<DropCount>, BackendError> {
        self.trouble().map(|()| self.drops.lock().unwrap().clone())
    }

    fn policy(&self, request: PolicyRequest, author: &str) -> Result<PolicyAnswer, BackendError> {
        self.trouble()?;
        self.asked.lock().unwrap().push((request.clone(), author.to_owned()));
        Ok(policy_answer(&request))
    }

    fn account(
        &self,
        request: AccountRequest,
        actor: &Actor,
    ) -> Result<AccountAnswer, BackendError> {
        self.trouble()?;
        match request {
            AccountRequest::Login { body, .. } if body.password != "right" => {
                Err(BackendError::WrongLogin)
            }
            AccountRequest::Users => Ok(AccountAnswer::Users(Listing::take(Vec::new(), 1))),
            AccountRequest::Credentials(_) => {
                Ok(AccountAnswer::Credentials(Listing::take(Vec::new(), 1)))
            }
            _ => Ok(AccountAnswer::Done(Done { done: format!("by {}", actor.name) })),
        }
    }

    /// The secret of each role is `secret-of-` and its name.
    fn authenticate(&self, secret: &str) -> Result<Option<Identity>, BackendError> {
        let role = secret.strip_prefix("secret-of-").and_then(Role::from_name);
        Ok(role.map(|role| Identity { user: format!("the-{role}"), role }))
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<EventLine>> {
        self.events.subscribe()
    }
}

/// A server on a thread of its own, with a runtime of one thread; stops when dropped.
pub struct Served {
    pub backend: Arc<Fake>,
    pub socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn start(socket: PathBuf) -> Self {
        Self::start_with(ServeOptions::new(&socket))
    }

    pub fn start_with(options: ServeOptions) -> Self {
        let socket = options.socket.clone();
        let backend = Arc::new(Fake::default());
        let (stop, stopped) = oneshot::channel();
        let served = backend.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let shutdown = async {
                let _ = stopped.await;
            };
            runtime.block_on(serve(&options, served, shutdown)).unwrap();
        });
        let started = Instant::now();
        while Client::connect(&socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "the server doesn't start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { backend, socket, stop: Some(stop), thread: Some(thread) }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket).unwrap()
    }

    /// Stops the server in order, and says how long that took.
    pub fn stop(&mut self) -> Duration {
        let started = Instant::now();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        started.elapsed()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

pub fn status() -> Status {
    let port = |name: &str, packets: u64, dropped: u64| PortStatus {
        port: name.to_owned(),
        link_up: true,
        speed_mbps: Some(10_000),
        received_packets: packets,
        received_bytes: packets * 412,
        forwarded_packets: packets - dropped,
        forwarded_bytes: (packets - dropped) * 412,
        dropped_packets: dropped,
        ..PortStatus::default()
    };
    Status {
        version: "0.1.0".to_owned(),
        time: Time::from_ns(NOW_NS),
        uptime_s: 273_604,
        control: ControlStatus {
            state: ControlState::Attached,
            policy_version: 37,
            generation: 41,
            store_path: "/var/lib/loadlock/store.db".to_owned(),
            evidence_keys: 1_204,
            events_received: 88_412_907,
            records_refused: 0,
            last_error: None,
        },
        dataplane: DataplaneStatus {
            state: DataplaneState::Running,
            pid: Some(4_711),
            starts: 1,
            heartbeat_age_ms: Some(12),
            memory: MemoryStatus {
                exchange_path: "/dev/hugepages/loadlock".to_owned(),
                exchange_bytes: 268_435_456,
                rule_capacity: 100_000,
                policy_bytes: 6_800_384,
            },
        },
        segments: vec![SegmentStatus {
            name: "fab".to_owned(),
            mode: Mode::Enforce,
            rules: 128,
            handling: Handling::Judged,
            bypass: None,
            side_a: port("fab-a", 1_234_567_890, 567),
            side_b: port("fab-b", 987_654_321, 1_234),
        }],
        workers: vec![WorkerStatus {
            index: 0,
            core: 2,
            generation: Some(41),
            heartbeat_age_ms: Some(0),
            flows_narrow: 1_204,
            flows_wide: 38,
            flow_capacity_narrow: 1_048_576,
            flow_capacity_wide: 262_144,
            flows_started: 90_112,
            flows_ended: 88_870,
            table_bytes: 141_557_824,
            table_huge_bytes: 141_557_824,
            events_sent: 88_412_907,
            bursts: 402_113_000,
            empty_polls: 9_402_113_000,
            latency_p50_ns: Some(1_840),
            latency_p99_ns: Some(5_120),
            latency_p99_9_ns: Some(11_264),
            latency_max_ns: Some(184_320),
            ring_used: 12,
            ring_capacity: 65_536,
            ..WorkerStatus::default()
        }],
        outward: Vec::new(),
        alarms: Vec::new(),
    }
}

pub fn bindings() -> Vec<Binding> {
    let host = Binding {
        segment: "fab".to_owned(),
        vlan: "untagged".to_owned(),
        side: Side::A,
        address: Some("10.0.1.11".to_owned()),
        mac: Some("02:00:00:00:00:01".to_owned()),
        held: "mac-ip".to_owned(),
        reason: "learned".to_owned(),
        words: "10.0.1.11 is 02:00:00:00:00:01 on side a".to_owned(),
    };
    let routed = Binding {
        side: Side::B,
        address: Some("10.9.0.1".to_owned()),
        mac: None,
        held: "ip".to_owned(),
        reason: "learned; behind a router".to_owned(),
        words: "10.9.0.1 is any station on side b".to_owned(),
        ..host.clone()
    };
    let station = Binding {
        address: None,
        words: "station 02:00:00:00:00:01 is on side a".to_owned(),
        ..host.clone()
    };
    vec![host, routed, station]
}

pub fn rules() -> Vec<Rule> {
    let rule = |id, client: &str, server: &str, service: &str, reason: &str| Rule {
        id,
        segment: "fab".to_owned(),
        vlan: "untagged".to_owned(),
        client: client.to_owned(),
        client_side: Some(Side::A),
        server: server.to_owned(),
        service: service.to_owned(),
        opens: Opens::Client,
        midstream: false,
        reason: reason.to_owned(),
        owner: None,
        words: format!("{client} (side A) → {server} {service}, opened by the client"),
    };
    vec![
        rule(1, "10.0.1.11", "10.0.2.5", "tcp/5000", "learned: 14 conversations"),
        rule(2, "10.0.1.12", "10.0.2.5", "tcp/5000", "learned: 9 conversations"),
        rule(812, "10.0.1.0/24", "10.0.2.53", "udp/53", "DNS for all tools, ticket 4711"),
        rule(813, "fd00:10::11", "fd00:20::5", "icmpv6/echo", "learned: 2 conversations"),
    ]
}

pub fn flows() -> Vec<Flow> {
    let flow = |client: &str, port, server: &str, service: &str, verdict, age_s: u64| Flow {
        segment: "fab".to_owned(),
        vlan: "untagged".to_owned(),
        client: client.to_owned(),
        client_port: port,
        client_side: Side::A,
        server: server.to_owned(),
        service: service.to_owned(),
        initiator: Side::A,
        state: FlowState::Open,
        rule: (verdict == Verdict::Allow).then_some(1),
        verdict,
        started: Time::from_ns(NOW_NS - age_s * 1_000_000_000),
        client_packets: 1_204 + age_s,
        client_bytes: 88_412 + age_s * 100,
        server_packets: 1_180,
        server_bytes: 1_204_551,
    };
    vec![
        flow("10.0.1.13", Some(50_112), "10.0.2.9", "tcp/445", Verdict::WouldDeny, 4),
        flow("10.0.1.11", Some(49_152), "10.0.2.5", "tcp/5000", Verdict::Allow, 86_400),
        flow("fd00:10::11", None, "fd00:20::5", "icmpv6/echo", Verdict::Allow, 90_000),
    ]
}

pub fn drops() -> Vec<DropCount> {
    let drop = |port: &str, reason: &str, meaning: &str, dropped, would_deny| DropCount {
        segment: "fab".to_owned(),
        port: port.to_owned(),
        reason: reason.to_owned(),
        meaning: meaning.to_owned(),
        dropped_packets: dropped,
        would_deny_packets: would_deny,
    };
    vec![
        drop("fab-a", "no_rule", "no rule permits this conversation", 560, 12),
        drop("fab-a", "ipv4_length", "IPv4 total length and frame contradict each other", 7, 0),
        drop(
            "fab-b",
            "wrong_direction",
            "a rule permits the conversation, but not that this side opens it",
            1_234,
            0,
        ),
    ]
}

/// Events that differ in their time and the number in their words.
pub fn event(number: u64, kind: EventKind) -> EventLine {
    let denied = kind == EventKind::Denied;
    EventLine {
        time: Time::from_ns(NOW_NS + number * 1_000_000),
        kind,
        segment: "fab".to_owned(),
        words: format!("10.0.1.66:{} → 10.0.2.5 tcp/445", 40_000 + number),
        vlan: "untagged".to_owned(),
        client: "10.0.1.66".to_owned(),
        client_port: Some(40_000),
        client_side: Side::A,
        server: "10.0.2.5".to_owned(),
        service: "tcp/445".to_owned(),
        initiator: Side::A,
        verdict: if denied { Verdict::Deny } else { Verdict::Allow },
        reason: denied.then(|| "no_rule".to_owned()),
        rule: None,
        started: None,
        midstream: false,
        client_packets: number,
        client_bytes: 60 * number,
        server_packets: 0,
        server_bytes: 0,
    }
}

pub fn policy_version(number: u64, state: &str) -> PolicyVersion {
    PolicyVersion {
        number,
        state: state.to_owned(),
        author: "anna".to_owned(),
        approver: Some("bert".to_owned()),
        reason: "new recipe server".to_owned(),
        ticket: "CHG-7".to_owned(),
        created: Time::from_ns(NOW_NS),
        applied: None,
        previous: Some(number - 1),
        sha256: "ab".repeat(32),
    }
}

fn rule_change(rule: u32) -> RuleChange {
    RuleChange {
        rule,
        segment: "fab".to_owned(),
        words: "10.0.1.7 → 10.0.2.1 tcp/5000".to_owned(),
        other: None,
        reason: "learned".to_owned(),
    }
}

pub fn shadow() -> ShadowStatus {
    let row = |service: &str, then: &str| ShadowRow {
        segment: "fab".to_owned(),
        client: "etch-07 (10.0.1.7)".to_owned(),
        server: "10.0.2.1".to_owned(),
        service: service.to_owned(),
        now: "allow".to_owned(),
        then: then.to_owned(),
        conversations: 1_204,
        last: Time::from_ns(NOW_NS),
    };
    let rows = vec![
        row("tcp/445", "deny: no rule permits this conversation"),
        row("tcp/5000", "allow: rule 7"),
    ];
    ShadowStatus {
        draft: "version 12".to_owned(),
        author: "anna".to_owned(),
        started: Time::from_ns(NOW_NS),
        would_allow: 1_204,
        would_deny: 1_204,
        left_out: 0,
        rows: Listing::take(rows, 10),
    }
}

pub fn device() -> Device {
    Device {
        name: "etch-07".to_owned(),
        addresses: vec!["10.0.1.7".to_owned()],
        segment: Some("fab".to_owned()),
        side: Some("a".to_owned()),
        vlan: None,
        role: Some("etcher".to_owned()),
        zone: None,
        mode: Some(Mode::Quarantine),
        inventory: [("model".to_owned(), "K\u{1b}[2J".to_owned())].into(),
        vendor_by_mac: None,
    }
}

/// A fixed answer of the right kind.
fn policy_answer(request: &PolicyRequest) -> PolicyAnswer {
    let none = || Listing::take(Vec::new(), 10);
    let diff = PolicyDiff {
        from: 11,
        to: 12,
        added: none(),
        removed: Listing::take(vec![rule_change(812)], 10),
        widened: none(),
        narrowed: none(),
        shadowed: none(),
        unused: none(),
        modes: Vec::new(),
    };
    match request {
        PolicyRequest::List { limit } => PolicyAnswer::Versions(Listing::take(
            vec![policy_version(12, "proposed"), policy_version(11, "in force")],
            *limit,
        )),
        PolicyRequest::Show(number) => PolicyAnswer::Text(PolicyText {
            version: policy_version(number.unwrap_or(11), "in force"),
            modes: vec![("fab".to_owned(), Mode::Enforce)],
            source: "format = 1\n".to_owned(),
            rules: "format = 1\n".to_owned(),
            audit: Vec::new(),
        }),
        PolicyRequest::Diff { .. } => PolicyAnswer::Diff(diff),
        PolicyRequest::Propose(_) => PolicyAnswer::Proposed(Proposed {
            version: policy_version(12, "proposed"),
            diff,
            failing: Vec::new(),
        }),
        PolicyRequest::Step { step: Step::Approve | Step::Reject, number, .. } => {
            PolicyAnswer::Version(policy_version(*number, "approved"))
        }
        PolicyRequest::Assert(_) => PolicyAnswer::Assertions(vec![AssertionResult {
            name: "no tool reaches a tool on 445".to_owned(),
            holds: false,
            counterexample: Some("etch-07 → etch-08 tcp/445: rule 9 permits it".to_owned()),
        }]),
        PolicyRequest::Test(..) => PolicyAnswer::Test(TestResult {
            judged: 7,
            span: None,
            changes: Listing::take(Vec::new(), 10),
        }),
        PolicyRequest::Tuple(_) => PolicyAnswer::Tuple(vec![TupleAnswer {
            segment: "fab".to_owned(),
            tuple: "10.0.1.7 → 10.0.2.1 tcp/5001".to_owned(),
            verdict: "deny".to_owned(),
            why: "no rule permits it".to_owned(),
            nearest: vec!["rule 812: differs in service (tcp/5000 there)".to_owned()],
            next_steps: Vec::new(),
        }]),
        PolicyRequest::StartShadow(_) | PolicyRequest::StopShadow | PolicyRequest::Shadow(_) => {
            PolicyAnswer::Shadow(shadow())
        }
        PolicyRequest::Devices(_) => PolicyAnswer::Devices(Listing::take([device()], 1)),
        PolicyRequest::Device(_) => PolicyAnswer::Device(device()),
        PolicyRequest::IsItMe(device) => PolicyAnswer::IsItMe(IsItMe {
            device: device.clone(),
            answer: format!("no: Loadlock has blocked nothing of {device}"),
            watching_since: Time::from_ns(NOW_NS),
            forgotten: 0,
            denials: Vec::new(),
        }),
        _ => PolicyAnswer::Changed(PolicyChanged {
            version: policy_version(12, "in force"),
            generation: 41,
            confirm_by: None,
            next_step: None,
        }),
    }
}

pub fn question() -> Question {
    Question {
        id: "0123456789ab".to_owned(),
        kind: QuestionKind::Held,
        words: "may it?".to_owned(),
        segments: vec!["fab".to_owned()],
        tuples: vec!["10.0.1.11 → 10.0.2.1 tcp/445".to_owned()],
        tuples_total: 1,
    }
}
