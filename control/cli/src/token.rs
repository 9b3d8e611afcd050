//! `loadlock token` and `loadlock session`: what programs and people show to be known.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use loadlock_api::{Credential, CredentialKind, Issued, Listing, NewToken, Role};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::{self, Output, View};
use crate::reach::{Reach, write_secret};
use crate::table::{Align, Table};
use crate::user::role_parser;

const S_PER_DAY: u64 = 86_400;

/// Arguments of `token`.
#[derive(Args)]
pub struct TokenArguments {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Subcommand)]
enum TokenAction {
    /// Make a token; it is shown once
    Create(Create),
    /// List the tokens that are good
    List(List),
    /// Revoke a token, at once
    Revoke(Revoke),
}

/// Arguments of `session`.
#[derive(Args)]
pub struct SessionArguments {
    #[command(subcommand)]
    action: SessionAction,
}

#[derive(Subcommand)]
enum SessionAction {
    /// List the sessions that are open
    List(List),
    /// End a session, at once
    Revoke(Revoke),
}

#[derive(Args)]
struct Create {
    /// Whose; an admin makes them for others [default: one's own]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// What it allows, at most the user's role [default: that]
    #[arg(long, value_parser = role_parser())]
    role: Option<Role>,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    /// How long it is good for
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=730))]
    days: u64,
    /// Write it to this file, for its owner alone, instead of showing it
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

#[derive(Args)]
struct Revoke {
    /// Its number
    id: u64,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

impl TokenArguments {
    /// Makes, lists or revokes tokens.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Write`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            TokenAction::Create(create) => create.run(),
            TokenAction::List(list) => list.run(CredentialKind::Token),
            TokenAction::Revoke(revoke) => revoke.run(CredentialKind::Token),
        }
    }
}

impl SessionArguments {
    /// Lists or ends sessions.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            SessionAction::List(list) => list.run(CredentialKind::Session),
            SessionAction::Revoke(revoke) => revoke.run(CredentialKind::Session),
        }
    }
}

impl Create {
    fn run(&self) -> Result<u8, Failure> {
        let new = NewToken {
            user: self.user.clone(),
            role: self.role,
            label: self.label.clone(),
            expires_in_s: self.days * S_PER_DAY,
        };
        let issued = self.reach.connect()?.issue_token(&new)?;
        match &self.to {
            Some(file) => {
                write_secret(file, &issued.secret)?;
                output::complain(&render(&issued));
            }
            None => {
                self.output.show(&issued, |issued| format!("{}\n", issued.secret))?;
                output::complain(&format!("{}; it isn't shown again", render(&issued)));
            }
        }
        Ok(exit::OK)
    }
}

impl List {
    fn run(&self, kind: CredentialKind) -> Result<u8, Failure> {
        let client = self.reach.connect()?;
        self.view.show(|| client.credentials(kind), |listing, _| render_list(listing, kind))?;
        Ok(exit::OK)
    }
}

impl Revoke {
    fn run(&self, kind: CredentialKind) -> Result<u8, Failure> {
        let done = self.reach.connect()?.revoke(kind, self.id)?;
        self.output.show(&done, |done| format!("{}\n", done.done))?;
        Ok(exit::OK)
    }
}

fn render(issued: &Issued) -> String {
    let until = LocalTime::here().seconds(issued.expires);
    format!("token {} of {}: {}, until {until}", issued.id, issued.user, issued.role)
}

fn render_list(listing: &Listing<Credential>, kind: CredentialKind) -> String {
    let mut table = Table::new(&[
        ("NUMBER", Align::Right),
        ("USER", Align::Left),
        ("ROLE", Align::Left),
        ("SINCE", Align::Left),
        ("UNTIL", Align::Left),
        ("FOR", Align::Left),
    ]);
    let zone = LocalTime::here();
    for one in &listing.items {
        table.row([
            one.id.to_string(),
            one.user.clone(),
            one.role.to_string(),
            zone.seconds(one.created),
            zone.seconds(one.expires),
            one.label.clone(),
        ]);
    }
    match listing.items.is_empty() {
        true => format!("no {}s\n", kind.name()),
        false => table.to_string(),
    }
}
