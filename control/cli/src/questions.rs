//! `loadlock questions`: what learning asks people, and their answers.

use clap::{Args, Subcommand};
use loadlock_api::{
    AnswerBody, Answered, GivenAnswer, LIMIT_DEFAULT, LIMIT_MAX, Listing, Question, printable,
    thousands,
};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::{Output, View};
use crate::reach::Reach;
use crate::table::{Align, Table};
use crate::units::counted;

/// Arguments of `questions`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the open questions, what is blocked now first
    List(List),
    /// Yes: permit it, clear the source, or take the station for its own
    Approve(Answer),
    /// No: never permit it, or the conviction stands
    Reject(Answer),
    /// List the answers that were given, the latest first
    Answers(List),
}

#[derive(Args)]
struct List {
    /// Most to list
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

#[derive(Args)]
struct Answer {
    /// The question, by the id in the list
    id: String,
    /// Why; it is kept with the answer and your name
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

impl Arguments {
    /// Lists, or answers.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            Action::List(list) => {
                let client = list.reach.connect()?;
                list.view
                    .show(|| client.questions(list.limit), |questions, _| render(questions))?;
            }
            Action::Answers(list) => {
                let client = list.reach.connect()?;
                list.view
                    .show(|| client.answers(list.limit), |answers, _| render_answers(answers))?;
            }
            Action::Approve(answer) => answer.give(true)?,
            Action::Reject(answer) => answer.give(false)?,
        }
        Ok(exit::OK)
    }
}

impl Answer {
    fn give(&self, approve: bool) -> Result<(), Failure> {
        let body = AnswerBody { approve, reason: self.reason.clone() };
        let answered = self.reach.connect()?.answer(&self.id, &body)?;
        Ok(self.output.show(&answered, render_answered)?)
    }
}

fn cut<T>(listing: &Listing<T>) -> String {
    match listing.is_cut() {
        false => String::new(),
        true => format!(
            "the first {} of {}; --limit shows more\n",
            thousands(listing.items.len() as u64),
            thousands(listing.total)
        ),
    }
}

fn render(questions: &Listing<Question>) -> String {
    if questions.items.is_empty() {
        return "no open question\n".to_owned();
    }
    let mut text = String::new();
    for question in &questions.items {
        let segments = question.segments.join(", ");
        text.push_str(&format!(
            "{}  {}, {}: {}\n",
            question.id,
            question.kind.name(),
            printable(&segments),
            printable(&question.words)
        ));
        for tuple in &question.tuples {
            text.push_str(&format!("    {}\n", printable(tuple)));
        }
        let more = question.tuples_total - question.tuples.len() as u64;
        if more > 0 {
            text.push_str(&format!("    and {} more\n", thousands(more)));
        }
    }
    text.push_str(&cut(questions));
    text + "answer: loadlock questions approve|reject ID --reason TEXT\n"
}

fn render_answered(answered: &Answered) -> String {
    let [before, after] = answered.rules;
    format!(
        "answer {} is stored; policy version {} has {} (before: {})\n",
        thousands(answered.number),
        thousands(answered.policy_version),
        counted(after, "rule", "rules"),
        thousands(before)
    )
}

fn render_answers(answers: &Listing<GivenAnswer>) -> String {
    let mut table = Table::new(&[
        ("NUMBER", Align::Right),
        ("TIME", Align::Left),
        ("WHO", Align::Left),
        ("ANSWER", Align::Left),
        ("QUESTION", Align::Left),
        ("REASON", Align::Left),
    ]);
    let zone = LocalTime::here();
    for answer in &answers.items {
        table.row([
            answer.number.to_string(),
            zone.seconds(answer.time),
            answer.author.clone(),
            if answer.approve { "approved" } else { "rejected" }.to_owned(),
            format!("{}: {}", answer.kind, answer.words),
            answer.reason.clone(),
        ]);
    }
    format!("{table}{}", cut(answers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadlock_api::QuestionKind;

    #[test]
    fn a_question_says_what_an_approval_permits_and_how_to_give_it() {
        let question = Question {
            id: "0123456789ab".to_owned(),
            kind: QuestionKind::RollOut,
            words: "a roll-out?".to_owned(),
            segments: vec!["fab".to_owned()],
            tuples: vec!["10.0.1.11 → 10.0.2.1 tcp/8883".to_owned()],
            tuples_total: 16,
        };
        assert_eq!(
            render(&Listing::take(vec![question], 9)),
            "0123456789ab  roll-out, fab: a roll-out?\n    10.0.1.11 → 10.0.2.1 tcp/8883\n    and 15 more\n\
             answer: loadlock questions approve|reject ID --reason TEXT\n"
        );
        assert_eq!(render(&Listing::take(Vec::new(), 9)), "no open question\n");
    }
}
