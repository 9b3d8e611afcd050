//! The command `loadlock`: control, the offline tools and every client verb.
//!
//! ```text
//!   main ──► one file a verb ──► reach (socket) ──► loadlock_api::Client
//!                 │
//!                 ├─► table, units, local_time ──► output        text for people
//!                 └─► loadlock_api::to_json ─────► output        -o json for programs
//!   failure (what went wrong, on stderr) ──► exit (the code)
//! ```
//!
//! A verb is a file with `Arguments` and `Arguments::run`, and an arm in [`Verb`]. Nothing here decides anything about packets or
//! policy, and nothing but [`output`] writes to the terminal; [`top`] takes it over whole.
//!
//! Tested by strings of each rendering, and by the built program against a fake control behind a real socket (`tests/`).

#![forbid(unsafe_code)]

mod allow;
mod audit;
mod backup;
mod bindings;
mod bundle;
mod bypass;
mod check;
mod completions;
mod control;
mod device;
mod drops;
mod evaluate;
mod exit;
mod explain;
mod failure;
mod flows;
mod generate;
mod isitme;
mod island;
mod local_time;
mod login;
mod man;
mod mode;
mod observe;
mod openapi;
mod output;
mod packets;
mod policy;
mod questions;
mod reach;
mod readiness;
mod reload;
mod replay;
mod rules;
mod run;
mod status;
mod table;
mod token;
mod top;
mod units;
mod user;
mod window;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Inline microsegmentation: learns what each device needs, forwards that and drops the rest.
#[derive(Parser)]
#[command(name = "loadlock", version, after_help = exit::table(), arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Is all well? Processes, segments, ports, workers and alarms
    Status(status::Arguments),
    /// Change what a segment does with frames that no rule permits
    Mode(mode::Arguments),
    /// Forward everything of a segment, unjudged, and end it
    Bypass(bypass::Arguments),
    /// The rules of the policy in force
    Rules(rules::Arguments),
    /// Policy versions: propose, approve, apply, roll back, compare, test
    Policy(policy::Arguments),
    /// Who did what, and whether the log that says so is whole
    Audit(audit::Arguments),
    /// Permit something for a time
    Allow(allow::Arguments),
    /// Cut a zone off, or let it back
    Island(island::Arguments),
    /// The site's devices: their modes, and their inventory
    Device(device::Arguments),
    /// Has Loadlock blocked this device, since when, and why
    Isitme(isitme::Arguments),
    /// Capture the frames of a device that are denied, with the reasons, as pcapng
    Packets(packets::Arguments),
    /// Which station has which address, and giving an address to another
    Bindings(bindings::Arguments),
    /// Why something is permitted or not, on what evidence, and what would change it
    Explain(explain::Arguments),
    /// What learning asks people, and their answers
    Questions(questions::Arguments),
    /// Whether a segment can be enforced, and what it would cost
    Readiness(readiness::Arguments),
    /// Announced times in which other things happen than normally
    Window(window::Arguments),
    /// The workers' load, rates, drops, rings and tables, on the whole terminal, as they change
    Top(top::Arguments),
    /// The live conversations
    Flows(flows::Arguments),
    /// Dropped packets by segment, port and reason
    Drops(drops::Arguments),
    /// Conversations as they start, end or are denied
    Observe(observe::Arguments),
    /// Users of the API: add, list, change, remove
    User(user::Arguments),
    /// Tokens for programs: make, list, revoke
    Token(token::TokenArguments),
    /// Open sessions: list, end
    Session(token::SessionArguments),
    /// Open a session with control of another machine
    Login(login::LoginArguments),
    /// End that session
    Logout(login::LogoutArguments),
    /// Change one's own password
    Password(login::PasswordArguments),
    /// The API as an OpenAPI document
    Openapi(openapi::Arguments),
    /// Collect what support needs to see into one file, without secrets
    SupportBundle(bundle::Arguments),
    /// Take over the changed configuration file while control runs, and say what needs a restart
    Reload(reload::Arguments),
    /// Check a configuration file, and whether it fits this machine
    Check(check::Arguments),
    /// Make a synthetic capture of a scenario, with ground truth
    Generate(generate::Arguments),
    /// Measure how good learning is, beside two baselines
    Evaluate(evaluate::Arguments),
    /// Judge a capture: the same pipeline and learner, with the capture's time, without DPDK or root
    Replay(replay::Arguments),
    /// Start both processes and keep them running
    Run(run::Arguments),
    /// Write the whole store to one file, checked, while control runs
    Backup(backup::Backup),
    /// Put a backup in the store's place; control must be stopped
    Restore(backup::Restore),
    /// The daemon that learns, keeps versions and publishes
    Control(control::Arguments),
    /// Print what a shell needs to complete verbs and options
    Completions(completions::Arguments),
    /// Write the manual pages, one for each verb
    Man(man::Arguments),
}

impl Verb {
    /// The exit code, or why there is none.
    fn run(&self) -> Result<u8, Failure> {
        match self {
            Self::Status(arguments) => arguments.run(),
            Self::Mode(arguments) => arguments.run(),
            Self::Bypass(arguments) => arguments.run(),
            Self::Rules(arguments) => arguments.run(),
            Self::Policy(arguments) => arguments.run(),
            Self::Audit(arguments) => arguments.run(),
            Self::Allow(arguments) => arguments.run(),
            Self::Island(arguments) => arguments.run(),
            Self::Device(arguments) => arguments.run(),
            Self::Isitme(arguments) => arguments.run(),
            Self::Packets(arguments) => arguments.run(),
            Self::Bindings(arguments) => arguments.run(),
            Self::Explain(arguments) => arguments.run(),
            Self::Questions(arguments) => arguments.run(),
            Self::Readiness(arguments) => arguments.run(),
            Self::Window(arguments) => arguments.run(),
            Self::Top(arguments) => arguments.run(),
            Self::Flows(arguments) => arguments.run(),
            Self::Drops(arguments) => arguments.run(),
            Self::Observe(arguments) => arguments.run(),
            Self::User(arguments) => arguments.run(),
            Self::Token(arguments) => arguments.run(),
            Self::Session(arguments) => arguments.run(),
            Self::Login(arguments) => arguments.run(),
            Self::Logout(arguments) => arguments.run(),
            Self::Password(arguments) => arguments.run(),
            Self::Openapi(arguments) => arguments.run(),
            Self::SupportBundle(arguments) => arguments.run(),
            Self::Reload(arguments) => arguments.run(),
            Self::Check(arguments) => arguments.run(),
            Self::Generate(arguments) => arguments.run(),
            Self::Evaluate(arguments) => arguments.run(),
            Self::Replay(arguments) => arguments.run(),
            Self::Run(arguments) => arguments.run(),
            Self::Backup(arguments) => arguments.run(),
            Self::Restore(arguments) => arguments.run(),
            Self::Control(arguments) => arguments.run(),
            Self::Completions(arguments) => arguments.run(),
            Self::Man(arguments) => arguments.run(),
        }
    }
}

fn main() -> ExitCode {
    // Wrong usage ends within `parse`, with clap's own code, which is exit::USAGE.
    match Arguments::parse().verb.run() {
        Ok(code) => code.into(),
        Err(failure) if failure.is_reader_gone() => exit::OK.into(),
        Err(failure) => {
            output::complain(&failure.to_string());
            failure.code().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_names_every_verb_and_every_exit_code() {
        let help = Arguments::command().render_long_help().to_string();
        for verb in Arguments::command().get_subcommands() {
            assert!(
                help.contains(&format!("  {}  ", verb.get_name())),
                "{}: {help}",
                verb.get_name()
            );
            assert!(verb.get_about().is_some(), "{} isn't explained", verb.get_name());
        }
        for (code, name, _) in exit::CODES {
            assert!(help.contains(&format!("  {code}  {name} ")), "{name}: {help}");
        }
    }
}
