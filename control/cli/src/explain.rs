//! `loadlock explain`: why something is permitted or not, on what evidence, and what would change it.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use loadlock_api::{
    Client, EventFilter, EventKind, EventLine, Explanation, ExplanationKind, ExplanationQuery,
    LIMIT_MAX, Listing, Time, TupleAnswer, TupleQuery, printable, thousands,
};
use loadlock_exchange::DropReason;
use serde::Serialize;

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::Output;
use crate::reach::Reach;
use crate::units::counted;

/// What is to be explained.
#[derive(Clone, Copy, ValueEnum)]
enum About {
    /// A rule in force, by its number
    Rule,
    /// What was seen: `CLIENT SERVER SERVICE`, or some of these words
    Candidate,
    /// A convicted source, by its address
    Conviction,
    /// A conversation: `CLIENT SERVER SERVICE`; the rule that decides it, or the nearest ones and what differs
    Tuple,
    /// A denial, by the id that `observe` shows in brackets: why, which rule is nearest, and who else does it
    Drop,
}

impl About {
    /// `None`: a conversation, about which the policy itself is asked.
    fn kind(self) -> Option<ExplanationKind> {
        match self {
            Self::Rule => Some(ExplanationKind::Rule),
            Self::Candidate => Some(ExplanationKind::Candidate),
            Self::Conviction => Some(ExplanationKind::Conviction),
            Self::Tuple | Self::Drop => None,
        }
    }
}

/// Arguments of `explain`.
#[derive(Args)]
pub struct Arguments {
    /// What is to be explained
    #[arg(value_enum)]
    about: About,
    /// Which: a rule's number, words of a candidate such as `10.0.1.11 10.0.2.1 tcp/5000`, a source's address; of candidates and
    /// convictions, nothing for all
    subject: Vec<String>,
    /// Of a tuple: only this segment
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Of a tuple: its VLAN, such as 10 or 10.20 [default: untagged]
    #[arg(long, value_name = "VLAN")]
    vlan: Option<String>,
    /// Most explanations
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

impl Arguments {
    /// Asks, and prints the explanations.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        if matches!(self.about, About::Drop) {
            return self.drop();
        }
        let Some(kind) = self.about.kind() else { return self.tuple() };
        let subject = self.subject.join(" ");
        let query = ExplanationQuery { kind, subject, limit: self.limit };
        let explanations = self.reach.connect()?.explain(&query)?;
        self.output.show(&explanations, render)?;
        Ok(exit::OK)
    }

    fn drop(&self) -> Result<u8, Failure> {
        let [id] = self.subject.as_slice() else {
            return Err(Failure::Usage(
                "explain drop takes one word, the id of a denial\n    fix: `loadlock observe --kind denied` shows them in brackets."
                    .to_owned(),
            ));
        };
        let id = id.trim_matches(['[', ']']).to_lowercase();
        let client = self.reach.connect()?;
        let denied =
            client.recent_events(&EventFilter::of_kinds(&[EventKind::Denied]), LIMIT_MAX)?;
        let drops = explained(&client, &id, &denied.items)?;
        if drops.is_empty() {
            return Err(Failure::Usage(format!(
                "control keeps no denial with the id \"{}\"; it keeps the latest {}, since its start\n    fix: `loadlock observe --kind denied` shows them; \
                 of older ones ask `loadlock isitme DEVICE` or `loadlock explain tuple`.",
                printable(&id),
                counted(denied.total, "denial", "denials")
            )));
        }
        self.output.show(&drops, |drops| drops.iter().map(render_drop).collect())?;
        Ok(exit::OK)
    }

    fn tuple(&self) -> Result<u8, Failure> {
        let joints = |text: &String| matches!(text.as_str(), "→" | "->" | ">");
        let words: Vec<&String> = self.subject.iter().filter(|word| !joints(word)).collect();
        let [client, server, service] = words.as_slice() else {
            return Err(Failure::Usage(format!(
                "explain tuple takes three words, found {}\n    fix: give client, server and service, such as 10.0.1.11 10.0.2.1 tcp/5000.",
                words.len()
            )));
        };
        let query = TupleQuery {
            client: (*client).clone(),
            server: (*server).clone(),
            service: (*service).clone(),
            segment: self.segment.clone(),
            vlan: self.vlan.clone(),
        };
        let answers = self.reach.connect()?.explain_tuple(&query)?;
        self.output.show(&answers, |answers| tuples(answers))?;
        Ok(exit::OK)
    }
}

/// A kind of conversation that was denied.
#[derive(Serialize)]
struct ExplainedDrop {
    id: String,
    /// The latest of them.
    event: EventLine,
    /// What the reason means.
    meaning: String,
    /// Reports kept of this kind, and when the first of them came.
    reports: u64,
    since: Time,
    /// Other clients that were denied the same service of the same server.
    others: Vec<String>,
    /// What the policy in force says of it now.
    policy: Vec<TupleAnswer>,
}

fn explained(
    client: &Client,
    id: &str,
    denied: &[EventLine],
) -> Result<Vec<ExplainedDrop>, Failure> {
    let mut drops: Vec<ExplainedDrop> = Vec::new();
    for event in denied.iter().rev().filter(|event| event.denial_id().as_deref() == Some(id)) {
        let same = |drop: &&mut ExplainedDrop| {
            let key = |event: &EventLine| {
                (event.client.clone(), event.server.clone(), event.service.clone())
            };
            key(&drop.event) == key(event)
        };
        if let Some(known) = drops.iter_mut().find(same) {
            known.reports += 1;
            known.since = known.since.min(event.time);
            continue;
        }
        let asks = |other: &&EventLine| {
            other.client != event.client
                && (&other.server, &other.service) == (&event.server, &event.service)
        };
        let others: BTreeSet<&String> =
            denied.iter().filter(asks).map(|other| &other.client).collect();
        let query = TupleQuery {
            client: event.client.clone(),
            server: event.server.clone(),
            service: event.service.clone(),
            segment: Some(event.segment.clone()),
            vlan: Some(event.vlan.clone()),
        };
        let reason = event.reason.as_deref().unwrap_or_default();
        let known = DropReason::ALL.iter().find(|known| known.name() == reason);
        drops.push(ExplainedDrop {
            id: id.to_owned(),
            event: event.clone(),
            meaning: known.map_or(reason, |known| known.meaning()).to_owned(),
            reports: 1,
            since: event.time,
            others: others.into_iter().cloned().collect(),
            // Some frames are denied for what they are, which no rule is about.
            policy: client.explain_tuple(&query).unwrap_or_default(),
        });
    }
    Ok(drops)
}

fn render_drop(drop: &ExplainedDrop) -> String {
    let zone = LocalTime::here();
    let mut text = format!(
        "{} on segment {}\n  {}: {}\n  reported: {}, {} to {}\n",
        printable(&drop.event.words),
        printable(&drop.event.segment),
        drop.event.verdict,
        printable(&drop.meaning),
        counted(drop.reports, "time", "times"),
        zone.seconds(drop.since),
        zone.seconds(drop.event.time)
    );
    const SHOWN_MAX: usize = 10;
    let others: Vec<_> = drop.others.iter().take(SHOWN_MAX).map(|other| printable(other)).collect();
    let more = match drop.others.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {}", counted(more as u64, "other", "others")),
    };
    text.push_str(&match others.is_empty() {
        true => "  who else: nobody, of what control keeps\n".to_owned(),
        false => format!("  who else: {}{more}\n", others.join(", ")),
    });
    if !drop.policy.is_empty() {
        text.push_str("the policy in force says\n");
        text.push_str(&tuples(&drop.policy));
    }
    text
}

fn tuples(answers: &[TupleAnswer]) -> String {
    let mut text = String::new();
    for answer in answers {
        let (tuple, why) = (printable(&answer.tuple), printable(&answer.why));
        text.push_str(&format!(
            "{tuple} on segment {}: {}\n  why: {why}\n",
            printable(&answer.segment),
            answer.verdict
        ));
        for (name, lines) in [("near", &answer.nearest), ("next", &answer.next_steps)] {
            for line in lines {
                text.push_str(&format!("  {name}: {}\n", printable(line)));
            }
        }
    }
    text
}

fn render(explanations: &Listing<Explanation>) -> String {
    let mut text = String::new();
    for explanation in &explanations.items {
        text.push_str(&format!("{}: {}\n", explanation.subject, explanation.decision));
        let lists = [
            ("why", &explanation.reasons),
            ("evidence", &explanation.evidence),
            ("would change it", &explanation.would_change),
        ];
        for (name, lines) in lists {
            for line in lines {
                text.push_str(&format!("  {name}: {line}\n"));
            }
        }
        if let Some(owner) = &explanation.owner {
            text.push_str(&format!("  owner: {owner}\n"));
        }
        if let (Some(first), Some(last)) = (&explanation.first_used, &explanation.last_used) {
            text.push_str(&format!("  used: {first} to {last}\n"));
        }
    }
    if explanations.is_cut() {
        text.push_str(&format!(
            "the first {} of {}; --limit shows more\n",
            thousands(explanations.items.len() as u64),
            thousands(explanations.total)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_says_what_it_is() {
        let explanation = Explanation {
            subject: "10.0.1.11 → 10.0.2.1 tcp/445".to_owned(),
            decision: "held".to_owned(),
            reasons: vec!["file sharing".to_owned()],
            evidence: vec!["2 conversations".to_owned()],
            would_change: vec!["a person's approval".to_owned()],
            owner: None,
            first_used: None,
            last_used: None,
        };
        let text = render(&Listing::take(vec![explanation.clone(), explanation], 1));
        assert_eq!(
            text,
            "10.0.1.11 → 10.0.2.1 tcp/445: held\n  why: file sharing\n  evidence: 2 conversations\n  \
             would change it: a person's approval\nthe first 1 of 2; --limit shows more\n"
        );
    }
}
