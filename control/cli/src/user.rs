//! `loadlock user`: who may use the API.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use loadlock_api::{Listing, NewUser, Role, User, UserChange};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::login::PasswordSource;
use crate::output::{Output, View};
use crate::reach::Reach;
use crate::table::{Align, Table};

/// Arguments of `user`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Add a user; asks for the password
    Add(Add),
    /// List users
    List(List),
    /// Give a user another role, at once
    Role(SetRole),
    /// Set a user's password, which ends its sessions and lifts a lock
    Password(SetPassword),
    /// Let a user do nothing any more
    Disable(Named),
    /// Let a user in again
    Enable(Named),
    /// Remove a user with its tokens and sessions
    Remove(Named),
}

#[derive(Args)]
struct Add {
    /// Name: 1 to 32 of a-z, 0-9, . _ and -
    name: String,
    /// viewer sees; operator proposes, applies what is approved, cuts off; approver decides what is permitted; admin manages users
    #[arg(long, value_parser = role_parser())]
    role: Role,
    /// No password: it has tokens only
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
    #[command(flatten)]
    password: PasswordSource,
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
struct SetRole {
    /// Name of the user
    name: String,
    /// Its role from now on
    #[arg(value_parser = role_parser())]
    role: Role,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct SetPassword {
    /// Name of the user
    name: String,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Named {
    /// Name of the user
    name: String,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

/// Roles by name, for every verb that takes one.
pub fn role_parser() -> impl TypedValueParser<Value = Role> {
    let names = PossibleValuesParser::new(Role::ALL.map(Role::name));
    names.try_map(|name| Role::from_name(&name).ok_or("no such role"))
}

impl Arguments {
    /// Lists or changes users.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Input`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            Action::Add(add) => {
                let client = add.reach.connect()?;
                let prompt = format!("Password for {}", add.name);
                let password = match add.no_password {
                    true => None,
                    false => Some(add.password.read(&prompt, true)?),
                };
                let new = NewUser { name: add.name.clone(), role: add.role, password };
                add.output.show(&client.add_user(&new)?, render)?;
            }
            Action::List(list) => {
                let client = list.reach.connect()?;
                list.view.show(|| client.users(), |users, _| render_list(users))?;
            }
            Action::Role(set) => {
                let change = UserChange { role: Some(set.role), ..UserChange::default() };
                let user = set.reach.connect()?.change_user(&set.name, &change)?;
                set.output.show(&user, render)?;
            }
            Action::Password(set) => {
                let client = set.reach.connect()?;
                let password = set.password.read(&format!("Password for {}", set.name), true)?;
                let change = UserChange { password: Some(password), ..UserChange::default() };
                set.output.show(&client.change_user(&set.name, &change)?, render)?;
            }
            Action::Disable(named) => named.enable(false)?,
            Action::Enable(named) => named.enable(true)?,
            Action::Remove(named) => {
                let done = named.reach.connect()?.remove_user(&named.name)?;
                named.output.show(&done, |done| format!("{}\n", done.done))?;
            }
        }
        Ok(exit::OK)
    }
}

impl Named {
    fn enable(&self, enabled: bool) -> Result<(), Failure> {
        let change = UserChange { enabled: Some(enabled), ..UserChange::default() };
        let user = self.reach.connect()?.change_user(&self.name, &change)?;
        Ok(self.output.show(&user, render)?)
    }
}

fn state(user: &User) -> &'static str {
    match (user.enabled, user.locked) {
        (false, _) => "disabled",
        (true, true) => "locked",
        (true, false) => "enabled",
    }
}

fn render(user: &User) -> String {
    let password = if user.has_password { "with a password" } else { "without a password" };
    format!("user {}: {}, {}, {password}\n", user.name, user.role, state(user))
}

fn render_list(users: &Listing<User>) -> String {
    let mut table = Table::new(&[
        ("USER", Align::Left),
        ("ROLE", Align::Left),
        ("STATE", Align::Left),
        ("PASSWORD", Align::Left),
        ("TOKENS", Align::Right),
        ("SESSIONS", Align::Right),
        ("SINCE", Align::Left),
    ]);
    let zone = LocalTime::here();
    for user in &users.items {
        table.row([
            user.name.clone(),
            user.role.to_string(),
            state(user).to_owned(),
            if user.has_password { "yes" } else { "no" }.to_owned(),
            user.tokens.to_string(),
            user.sessions.to_string(),
            zone.seconds(user.created),
        ]);
    }
    match users.items.is_empty() {
        true => "no users: over the Unix socket the system says who somebody is\n".to_owned(),
        false => table.to_string(),
    }
}
