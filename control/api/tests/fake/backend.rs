//! What the fake answers.

use std::sync::Arc;

use loadlock_api::*;
use tokio::sync::broadcast;

use super::policy::policy_answer;
use super::{Fake, NOW_NS, audit, bindings, capture, captured_frames, question};

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

    fn start_capture(&self, body: &CaptureBody, author: &str) -> Result<Capture, BackendError> {
        self.trouble()?;
        if body.device == "nobody" {
            return Err(BackendError::Conflict {
                reason: "\"nobody\" is neither a device of the policy in force nor an address"
                    .to_owned(),
                next_step: "give an address".to_owned(),
            });
        }
        *self.capture.lock().unwrap() = Some(capture(body, author));
        Ok(Capture { ended: None, frames: 0, lost: 0, ..capture(body, author) })
    }

    /// A frame an answer.
    fn captured(&self, query: CaptureQuery) -> Result<CapturePage, BackendError> {
        let capture = self.stop_capture(query.id)?;
        let frames = captured_frames().into_iter().filter(|frame| frame.number > query.after);
        let frames: Vec<_> = frames.take(1).collect();
        let ended = capture.ended.clone().filter(|_| frames.is_empty());
        Ok(CapturePage { capture: Capture { ended, ..capture }, frames })
    }

    fn stop_capture(&self, id: u64) -> Result<Capture, BackendError> {
        self.trouble()?;
        let capture = self.capture.lock().unwrap().clone();
        capture.filter(|capture| capture.id == id).ok_or_else(|| BackendError::Conflict {
            reason: format!("capture {id} is forgotten"),
            next_step: "start another one".to_owned(),
        })
    }

    fn reload(&self, body: &ReloadBody, _: &str) -> Result<Reloaded, BackendError> {
        self.trouble()?;
        let change = |key: &str, old: &str, new: &str| KeyChange {
            key: key.to_owned(),
            old: old.to_owned(),
            new: new.to_owned(),
        };
        Ok(Reloaded {
            file: "/etc/loadlock/loadlock.toml".to_owned(),
            dry_run: body.dry_run,
            changed: vec![change("control.log", "\"info\"", "\"debug\"")],
            certificate_read: true,
            needs_control: vec![change("api.connections", "64", "128")],
            needs_dataplane: vec![change("flows.udp_s", "180", "60")],
            needs_both: vec![change("segment", "fab", "fab, ward")],
            by_verb: vec![change("segment[fab].mode", "\"learn\"", "\"enforce\"")],
        })
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

    fn audit(&self, query: &AuditQuery) -> Result<AuditLog, BackendError> {
        self.trouble()?;
        let fits = |line: &AuditLine| {
            query.actor.as_ref().is_none_or(|actor| line.actor == *actor)
                && query.action.as_ref().is_none_or(|action| line.action == *action)
                && query.since.is_none_or(|since| line.time >= since)
                && query.before.is_none_or(|before| line.number < before)
        };
        let lines = audit().into_iter().filter(fits);
        Ok(AuditLog { entries: Listing::take(lines, query.limit), damaged: 0 })
    }

    fn check_audit(&self) -> Result<AuditCheck, BackendError> {
        self.trouble().map(|()| self.audit_check.lock().unwrap().clone())
    }

    /// The secret of each role is `secret-of-` and its name.
    fn authenticate(&self, secret: &str) -> Result<Option<Identity>, BackendError> {
        let role = secret.strip_prefix("secret-of-").and_then(Role::from_name);
        Ok(role.map(|role| Identity { user: format!("the-{role}"), role }))
    }

    fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.events.subscribe()
    }
}
