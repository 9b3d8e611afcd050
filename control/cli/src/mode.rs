//! `loadlock mode set`: what a segment does with frames that no rule permits.

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use loadlock_api::{Mode, ModeChanged, thousands};

use crate::exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::reach::Reach;

/// Arguments of `mode`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Set a segment's mode; returns when it is stored and published
    Set(Set),
}

#[derive(Args)]
struct Set {
    /// Name of the segment
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    segment: String,
    /// learn: forward and learn; monitor: forward and report what would be denied; enforce: drop what no rule permits
    #[arg(value_parser = mode_parser())]
    mode: Mode,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

fn mode_parser() -> impl TypedValueParser<Value = Mode> {
    let names = PossibleValuesParser::new(Mode::ALL.map(Mode::name));
    names.try_map(|name| Mode::from_name(&name).ok_or("no such mode"))
}

impl Arguments {
    /// Changes the mode.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let Action::Set(set) = &self.action;
        let changed = set.reach.connect()?.set_mode(&set.segment, set.mode)?;
        set.output.show(&changed, render)?;
        Ok(exit::OK)
    }
}

fn render(changed: &ModeChanged) -> String {
    let segment = loadlock_api::printable(&changed.segment);
    let from = if changed.previous == changed.mode {
        format!("already {}", changed.mode)
    } else {
        format!("{} → {}", changed.previous, changed.mode)
    };
    let publication = match changed.generation {
        0 => "in force as soon as the dataplane runs".to_owned(),
        generation => format!("in force as generation {}", thousands(generation)),
    };
    format!(
        "segment {segment}: {from}, policy version {}, {publication}\n",
        thousands(changed.policy_version)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_what_it_replaced_and_whether_it_is_in_force() {
        let mut changed = ModeChanged {
            segment: "fab".to_owned(),
            mode: Mode::Enforce,
            previous: Mode::Learn,
            policy_version: 1_038,
            generation: 42,
        };
        assert_eq!(
            render(&changed),
            "segment fab: learn → enforce, policy version 1,038, in force as generation 42\n"
        );
        changed.previous = Mode::Enforce;
        changed.generation = 0;
        assert_eq!(
            render(&changed),
            "segment fab: already enforce, policy version 1,038, in force as soon as the dataplane runs\n"
        );
    }
}
