//! `loadlock policy …`: versions from proposal to force and back.

mod capture;
mod render;
mod shadow;

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use loadlock_api::{
    ALLOW_FOR_S_MAX, Client, Draft, LIMIT_DEFAULT, LIMIT_MAX, Proposal, RollBack, Step, StepBody,
};

use crate::exit;
use crate::failure::Failure;
use crate::output::{self, Output, View};
use crate::reach::Reach;

pub(crate) use render::changed;

/// More than reading a policy of the longest text takes.
const POLICY_TIME: Duration = Duration::from_secs(60);

/// Arguments of `policy`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the versions, newest first
    List(List),
    /// One version: who, why, what was done to it, and its document
    Show(Show),
    /// What changes from one version to another, in meaning
    Diff(Diff),
    /// Propose a policy document; nothing changes yet
    #[command(visible_alias = "import")]
    Propose(Propose),
    /// Approve a proposal
    Approve(Judge),
    /// Reject a proposal; needs a note
    Reject(Judge),
    /// Put an approved version in force
    Apply(Apply),
    /// Keep a version that was applied with --confirm-within
    Confirm(Ends),
    /// Put the content of an older version in force again
    Rollback(Rollback),
    /// Write a version's document, to be changed and proposed again
    Export(Export),
    /// What a draft would change for what was seen, by the dataplane's own classifier: kept evidence, or a capture
    Test(Test),
    /// Let a draft judge live traffic beside the policy in force; it forwards and drops nothing
    Shadow(shadow::Arguments),
    /// Check what must hold, over the whole header space; code 1 if something doesn't
    Assert(Assert),
}

/// How to reach control, and how to answer.
#[derive(Args)]
pub(crate) struct Ends {
    #[command(flatten)]
    pub reach: Reach,
    #[command(flatten)]
    pub output: Output,
}

impl Ends {
    /// Connects, with time enough for a long policy.
    pub fn connect(&self) -> Result<Client, Failure> {
        Ok(self.reach.connect()?.with_timeout(POLICY_TIME))
    }
}

#[derive(Args)]
struct List {
    /// Most versions to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

#[derive(Args)]
struct Show {
    /// The version [default: the one in force]
    version: Option<u64>,
    #[command(flatten)]
    ends: Ends,
}

#[derive(Args)]
struct Diff {
    /// The older version [default: the one in force]
    from: Option<u64>,
    /// The newer version [default: the one in force]
    to: Option<u64>,
    /// Most rules of each kind
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    ends: Ends,
}

#[derive(Args)]
struct Propose {
    /// The policy document; - for standard input
    file: PathBuf,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The ticket it belongs to
    #[arg(long, value_name = "TEXT", default_value = "")]
    ticket: String,
    #[command(flatten)]
    ends: Ends,
}

#[derive(Args)]
struct Judge {
    /// The version
    version: u64,
    /// Reason or remark
    #[arg(long, visible_alias = "reason", value_name = "TEXT", default_value = "")]
    note: String,
    #[command(flatten)]
    ends: Ends,
}

#[derive(Args)]
struct Apply {
    /// The version
    version: u64,
    /// Take it back unless `policy confirm` comes within this time, such as 10m; at most 1h
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    confirm_within: Option<u64>,
    /// Remark
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    #[command(flatten)]
    ends: Ends,
}

#[derive(Args)]
struct Rollback {
    /// The version to go back to [default: what was in force before a person last changed it]
    version: Option<u64>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    ends: Ends,
}

#[derive(Args)]
struct Export {
    /// The version [default: the one in force]
    version: Option<u64>,
    /// All rules one by one, learned ones too, instead of the document that people wrote
    #[arg(long)]
    rules: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Args)]
struct Which {
    /// The draft, a policy document; - for standard input
    #[arg(conflicts_with = "version")]
    file: Option<PathBuf>,
    /// A stored version instead [default: the one in force]
    #[arg(long, value_name = "N")]
    version: Option<u64>,
}

#[derive(Args)]
struct Test {
    #[command(flatten)]
    which: Which,
    /// Judge this capture by both policies, packet by packet, instead of the kept evidence
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// The segment that the capture was taken on, if the policies have several
    #[arg(long, value_name = "NAME", requires = "capture")]
    segment: Option<String>,
    /// Most changes to list
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    ends: Ends,
}

#[derive(Args)]
struct Assert {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    ends: Ends,
}

impl Which {
    fn draft(&self) -> Result<Draft, Failure> {
        let Some(file) = &self.file else {
            return Ok(Draft { version: self.version, ..Draft::default() });
        };
        let (text, place) = read(file)?;
        Ok(Draft { version: None, text: Some(text), place })
    }
}

/// A file's text and its name in messages.
fn read(file: &std::path::Path) -> Result<(String, String), Failure> {
    let place = file.display().to_string();
    let text = if place == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    match text {
        Ok(text) => Ok((text, place)),
        Err(source) => Err(Failure::Input { path: file.to_owned(), source }),
    }
}

/// A time such as `90s`, `10m`, `8h` or `2d`, in seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let refused = || {
        format!(
            "allowed is a number above 0 with s, m, h or d behind it, such as 10m, up to {} days",
            ALLOW_FOR_S_MAX / 86_400
        )
    };
    let unit = text.chars().last().ok_or_else(refused)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(refused()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| refused())?;
    count
        .checked_mul(factor)
        .filter(|time| (1..=ALLOW_FOR_S_MAX).contains(time))
        .ok_or_else(refused)
}

impl Arguments {
    /// Does what is asked.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Input`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            Action::List(list) => {
                let client = list.reach.connect()?;
                list.view.show(|| client.policy_versions(list.limit), render::versions)?;
            }
            Action::Show(show) => {
                let text = show.ends.connect()?.policy_text(show.version)?;
                show.ends.output.show(&text, render::text)?;
            }
            Action::Diff(diff) => {
                let answer = diff.ends.connect()?.policy_diff(diff.from, diff.to, diff.limit)?;
                diff.ends.output.show(&answer, render::difference)?;
            }
            Action::Propose(propose) => propose.run()?,
            Action::Approve(judge) => judge.run(Step::Approve)?,
            Action::Reject(judge) => judge.run(Step::Reject)?,
            Action::Apply(apply) => {
                let confirm_within_s =
                    apply.confirm_within.map(|time| u32::try_from(time).unwrap_or(u32::MAX));
                let details = StepBody { note: apply.note.clone(), confirm_within_s };
                let answer = apply.ends.connect()?.apply_version(apply.version, &details)?;
                apply.ends.output.show(&answer, changed)?;
            }
            Action::Confirm(ends) => {
                let answer = ends.connect()?.confirm_policy()?;
                ends.output.show(&answer, changed)?;
            }
            Action::Rollback(rollback) => {
                let details = RollBack { to: rollback.version, reason: rollback.reason.clone() };
                let answer = rollback.ends.connect()?.roll_back(&details)?;
                rollback.ends.output.show(&answer, changed)?;
            }
            Action::Export(export) => export.run()?,
            Action::Test(test) => test.run()?,
            Action::Shadow(arguments) => arguments.run()?,
            Action::Assert(assert) => return assert.run(),
        }
        Ok(exit::OK)
    }
}

impl Propose {
    fn run(&self) -> Result<(), Failure> {
        let (text, place) = read(&self.file)?;
        let (reason, ticket) = (self.reason.clone(), self.ticket.clone());
        let proposal = Proposal { text, place, reason, ticket };
        let proposed = self.ends.connect()?.propose(&proposal)?;
        self.ends.output.show(&proposed, render::proposed)?;
        Ok(())
    }
}

impl Judge {
    fn run(&self, step: Step) -> Result<(), Failure> {
        let details = StepBody { note: self.note.clone(), confirm_within_s: None };
        let version = self.ends.connect()?.judge_version(self.version, step, &details)?;
        self.ends.output.show(&version, render::version)?;
        Ok(())
    }
}

impl Export {
    fn run(&self) -> Result<(), Failure> {
        let text = self.reach.connect()?.with_timeout(POLICY_TIME).policy_text(self.version)?;
        output::write(&render::document(&text, self.rules))?;
        Ok(())
    }
}

impl Test {
    fn run(&self) -> Result<(), Failure> {
        if let Some(capture) = &self.capture {
            return capture::run(self, capture);
        }
        let result = self.ends.connect()?.test_policy(&self.which.draft()?, self.limit)?;
        self.ends.output.show(&result, render::test)?;
        Ok(())
    }
}

impl Assert {
    fn run(&self) -> Result<u8, Failure> {
        let results = self.ends.connect()?.check_assertions(&self.which.draft()?)?;
        self.ends.output.show(&results, |results| render::assertions(results))?;
        Ok(if results.iter().all(|result| result.holds) { exit::OK } else { exit::NO })
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_have_a_unit() {
        for (text, expected) in [("90s", 90), ("10m", 600), ("8h", 28_800), ("2d", 172_800)] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for text in ["", "10", "0h", "h", "1w", "-1h", "31d", "99999999999999999999h", "8ü"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
