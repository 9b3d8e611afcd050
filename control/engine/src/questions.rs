//! Questions of learning, their answers, readiness, windows: what the API asks of the core thread.

use std::collections::BTreeSet;
use std::time::Instant;

use loadlock_api::{
    AnswerBody, Answered, BackendError, DeviceReadiness, LearningAnswer, LearningRequest, Listing,
    Question, QuestionKind, ReadinessReport, WindowBody,
};
use loadlock_exchange::Mode;
use loadlock_learn::{
    CardKind, Decisions, Estimate, ProposalKind, SiteReadiness, Subject, SubjectKind,
};
use loadlock_packet::SegmentId;
use loadlock_store::{Answer as Stored, NewAnswer};
use sha2::{Digest, Sha256};

use crate::core::{Core, now_ns};
use crate::said::Entry;

/// A question with what it is about.
struct Asked {
    question: Question,
    subject: Subject,
}

impl Core {
    /// Answers a request; what it changes is durable and published then.
    pub(crate) fn learning(
        &mut self,
        request: LearningRequest,
        author: &str,
    ) -> Result<LearningAnswer, BackendError> {
        Ok(match request {
            LearningRequest::Questions { limit } => {
                let asked = self.asked(&self.decide());
                let questions = asked.into_iter().map(|asked| asked.question);
                LearningAnswer::Questions(Listing::take(questions, limit))
            }
            LearningRequest::Answer { id, body } => {
                LearningAnswer::Answered(self.answer(&id, &body, author)?)
            }
            LearningRequest::Answers { limit } => {
                let latest = self.said.given.iter().rev().cloned();
                LearningAnswer::Answers(Listing::take(latest, limit))
            }
            LearningRequest::Readiness { segment, limit } => {
                LearningAnswer::Readiness(Box::new(self.readiness(segment.as_deref(), limit)?))
            }
            LearningRequest::Windows { limit } => {
                let latest = (0..self.said.windows.len()).rev().map(|at| self.window(at));
                LearningAnswer::Windows(Listing::take(latest, limit))
            }
            LearningRequest::OpenWindow(body) => {
                LearningAnswer::Window(self.open_window(body, author)?)
            }
            LearningRequest::CloseWindow { number } => {
                LearningAnswer::Window(self.close_window(number, author)?)
            }
        })
    }

    pub(crate) fn segment_names(&self) -> Vec<String> {
        self.settings.segments.iter().map(|segment| segment.name.to_string()).collect()
    }

    /// The open questions, the most urgent first: what is blocked now, then what is held, then what waits.
    fn asked(&self, decisions: &Decisions) -> Vec<Asked> {
        let proposals = self.drift.proposals(decisions);
        let drift = proposals.iter().map(|proposal| {
            let kind = match proposal.kind {
                ProposalKind::Move => QuestionKind::Move,
                ProposalKind::RollOut => QuestionKind::RollOut,
                ProposalKind::NewDevice => QuestionKind::NewDevice,
                ProposalKind::Incident => QuestionKind::Incident,
            };
            (kind, proposal.words.clone(), Subject::from(proposal))
        });
        let cards = decisions.cards(self.admission().cards_max).cards;
        let review = decisions.review_cards();
        let cards = cards.iter().chain(&review).map(|card| {
            let kind = match card.kind {
                CardKind::Held => QuestionKind::Held,
                CardKind::Waiting => QuestionKind::Waiting,
                CardKind::Convicted => QuestionKind::Convicted,
                CardKind::Claimed => QuestionKind::Claimed,
            };
            (kind, card.words.clone(), Subject::from(card))
        });
        let is_known = |subject: &Subject| {
            let answers = &self.said.answers;
            subject.kind == SubjectKind::Permit
                && subject.tuples.iter().all(|tuple| {
                    answers.approved.contains(tuple) || answers.declined.contains(tuple)
                })
        };
        drift
            .chain(cards)
            .filter(|(.., subject)| !is_known(subject))
            .map(|(kind, words, subject)| self.question(kind, words, subject))
            .filter(|asked| !self.said.answered.contains(&asked.question.id))
            .collect()
    }

    fn question(&self, kind: QuestionKind, words: String, subject: Subject) -> Asked {
        let names = self.segment_names();
        let about = subject.tuples.iter().map(|tuple| tuple.segment);
        let about = about.chain(subject.devices.iter().map(|device| device.segment));
        let about: BTreeSet<SegmentId> = about.collect();
        let segments = about.iter().filter_map(|segment| names.get(segment.index()).cloned());
        let shown = subject.tuples.iter().take(Question::TUPLES_SHOWN);
        let question = Question {
            id: id(kind, &subject, &names),
            kind,
            words,
            segments: segments.collect(),
            tuples: shown.map(ToString::to_string).collect(),
            tuples_total: subject.tuples.len() as u64,
        };
        Asked { question, subject }
    }

    fn answer(
        &mut self,
        id: &str,
        body: &AnswerBody,
        author: &str,
    ) -> Result<Answered, BackendError> {
        let mut asked =
            self.asked(&self.decide()).into_iter().filter(|asked| asked.question.id == id);
        // Two with one id would be an attacker's doing: then neither is answered.
        let (Some(Asked { question, subject }), None) = (asked.next(), asked.next()) else {
            return Err(BackendError::Conflict {
                reason: format!(
                    "there is no open question \"{id}\": it was answered, or is about something else by now"
                ),
                next_step: "`loadlock questions list` has those that are open".to_owned(),
            });
        };
        let before = self.state.policy.rules().len() as u64;
        let segments = question.segments.clone();
        let tuples = subject.tuples.clone();
        let entry = Entry::Answer {
            id: id.to_owned(),
            kind: question.kind.name().to_owned(),
            words: question.words.clone(),
            approve: body.approve,
            subject,
        };
        let number = self.say(entry, author, &body.reason)?;
        tuples.iter().for_each(|tuple| self.drift.forget(tuple));
        let what = if body.approve { "approved" } else { "rejected" };
        let reason = format!("answer {number}: {what} {}: {}", question.words, body.reason.trim());
        // An answer is a person's decision: it changes enforced segments too.
        self.decided_segments = segments.into_iter().collect();
        let made = self.make_version(self.state.modes.clone(), author, &reason);
        self.decided_segments.clear();
        made.map_err(|reason| BackendError::Store { reason })?;
        self.wait_for_workers()?;
        Ok(Answered {
            number,
            policy_version: self.state.number.0,
            generation: self.generation,
            rules: [before, self.state.policy.rules().len() as u64],
        })
    }

    /// Puts an entry into the store, and takes it from there.
    fn say(&mut self, entry: Entry, author: &str, reason: &str) -> Result<u64, BackendError> {
        let content = NewAnswer {
            created_ns: now_ns(),
            author: author.to_owned(),
            reason: reason.trim().to_owned(),
            content: entry.encode(&self.segment_names()),
        };
        let number = self
            .storage
            .append_answer(content.clone())
            .map_err(|error| BackendError::Store { reason: error.to_string() })?;
        tracing::info!(number, author, "an answer is stored");
        self.said.take(&Stored { number, content }, entry);
        Ok(number)
    }

    fn readiness(
        &self,
        segment: Option<&str>,
        limit: u32,
    ) -> Result<ReadinessReport, BackendError> {
        let names = self.segment_names();
        if let Some(segment) = segment.filter(|segment| !names.iter().any(|name| name == segment)) {
            return Err(self.unknown_segment(segment));
        }
        let windows = self.said.windows.iter();
        let windows: Vec<(u64, u64)> =
            windows.map(|window| (window.from.ns(), window.until.ns())).collect();
        let site: SiteReadiness = self.decide().readiness(&windows);
        let triple =
            |estimate: Estimate| [estimate.value, estimate.interval.0, estimate.interval.1];
        let devices = site.devices.iter().filter_map(|found| {
            let name = names.get(found.device.segment.index())?;
            segment.is_none_or(|wanted| wanted == name).then(|| DeviceReadiness {
                device: found.device.address(),
                segment: name.clone(),
                role: found.role.clone(),
                days: found.days,
                candidates: found.tuples.map(|count| count as u64),
                blocks_per_month: triple(found.blocks_per_month),
                gaps: found.gaps.clone(),
            })
        });
        Ok(ReadinessReport {
            days: site.days,
            unseen_services: triple(site.unseen),
            new_services_per_month: triple(site.new_per_month),
            blocks_per_month: triple(site.blocks_per_month()),
            devices: Listing::take(devices, limit),
        })
    }

    fn window(&self, at: usize) -> loadlock_api::Window {
        let now = now_ns();
        let window = self.said.windows[at].clone();
        let open = (window.from.ns()..window.until.ns()).contains(&now);
        loadlock_api::Window { open, ..window }
    }

    fn open_window(
        &mut self,
        body: WindowBody,
        author: &str,
    ) -> Result<loadlock_api::Window, BackendError> {
        if !self.segment_names().contains(&body.segment) {
            return Err(self.unknown_segment(&body.segment));
        }
        let from_ns = now_ns();
        let until_ns = from_ns + u64::from(body.seconds) * 1_000_000_000;
        let WindowBody { segment, monitor, reason, .. } = body;
        self.say(Entry::Window { segment, from_ns, until_ns, monitor }, author, &reason)?;
        self.windows_changed();
        self.wait_for_workers()?;
        Ok(self.window(self.said.windows.len() - 1))
    }

    fn close_window(
        &mut self,
        number: u64,
        author: &str,
    ) -> Result<loadlock_api::Window, BackendError> {
        let known = self.said.windows.iter().position(|window| window.number == number);
        let Some(at) = known.filter(|at| self.window(*at).open) else {
            return Err(BackendError::Conflict {
                reason: format!("window {number} isn't open"),
                next_step: "`loadlock window list` has those that are".to_owned(),
            });
        };
        self.say(Entry::Closed { window: number, until_ns: now_ns() }, author, "closed")?;
        self.windows_changed();
        self.wait_for_workers()?;
        Ok(self.window(at))
    }

    /// Tells the learner which windows there are, publishes what follows from them, and notes when that changes by itself.
    pub(crate) fn windows_changed(&mut self) {
        let now = now_ns();
        let names = self.segment_names();
        let windows = self.said.windows.iter().filter_map(|window| {
            let at = names.iter().position(|name| *name == window.segment)?;
            Some(loadlock_learn::Window {
                segment: Some(SegmentId::new(at)?),
                from_ns: window.from.ns(),
                until_ns: window.until.ns(),
            })
        });
        self.learner.announce(windows.collect());
        let ends = self.said.windows.iter().map(|window| window.until.ns());
        self.window_end_ns = ends.filter(|end| *end > now).min();
        self.publish_due = Some(Instant::now());
    }

    /// The modes that are published: an enforced segment in a window that says so only reports.
    pub(crate) fn modes_in_force(&self) -> Vec<Mode> {
        let names = self.segment_names();
        let reports = |name: &String| {
            (0..self.said.windows.len()).any(|at| {
                let window = &self.said.windows[at];
                window.monitor && window.segment == *name && self.window(at).open
            })
        };
        let modes = self.state.modes.iter().zip(&names);
        modes
            .map(|(mode, name)| match mode {
                Mode::Enforce if reports(name) => Mode::Monitor,
                mode => *mode,
            })
            .collect()
    }
}

/// Sixteen hexadecimal digits of a hash over all that the answer decides about. Sources and stations keep their question when only what
/// they did grows.
fn id(kind: QuestionKind, subject: &Subject, segments: &[String]) -> String {
    let about = match subject.kind {
        SubjectKind::Convicted | SubjectKind::Claimed => {
            Subject { tuples: Vec::new(), ..subject.clone() }
        }
        SubjectKind::Permit | SubjectKind::Moved => {
            Subject { devices: Vec::new(), ..subject.clone() }
        }
    };
    let entry = Entry::Answer {
        id: String::new(),
        kind: kind.name().to_owned(),
        words: String::new(),
        approve: true,
        subject: about,
    };
    let hash = Sha256::digest(entry.encode(segments));
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
