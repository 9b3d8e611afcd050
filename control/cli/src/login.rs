//! `loadlock login`, `logout` and `password`: sessions over TLS, and one's own password.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use loadlock_api::{Login, PasswordChange};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::{self, Output};
use crate::reach::{Reach, write_secret};

/// Where a password comes from.
#[derive(Args)]
pub struct PasswordSource {
    /// Read the password from the first line of a file, or of standard input for -, instead of asking for it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// The password; asked for `prompt` on the terminal unless a file is named. A new one is asked for twice.
    ///
    /// # Errors
    /// [`Failure::Input`].
    pub fn read(&self, prompt: &str, is_new: bool) -> Result<String, Failure> {
        let path = self.password_file.clone().unwrap_or_else(|| "the terminal".into());
        let failed = |source| Failure::Input { path: path.clone(), source };
        let Some(file) = &self.password_file else {
            if !io::stdin().is_terminal() {
                let reason =
                    "there is none to ask for a password; name a file with --password-file";
                return Err(failed(io::Error::other(reason)));
            }
            let password = rpassword::prompt_password(format!("{prompt}: ")).map_err(failed)?;
            if is_new && rpassword::prompt_password("Again: ").map_err(failed)? != password {
                return Err(failed(io::Error::other("the two passwords differ")));
            }
            return Ok(password);
        };
        let text = match file.as_os_str() == "-" {
            true => {
                let mut line = String::new();
                io::stdin().lock().read_line(&mut line).map_err(failed)?;
                line
            }
            false => std::fs::read_to_string(file).map_err(failed)?,
        };
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

/// Arguments of `login`.
#[derive(Args)]
pub struct LoginArguments {
    /// Name of the user
    user: String,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    reach: Reach,
}

impl LoginArguments {
    /// Opens a session and keeps it for the next verbs with the same `--server`.
    ///
    /// # Errors
    /// [`Failure::Usage`] without a server, [`Failure::Client`], [`Failure::Input`], [`Failure::Write`].
    pub fn run(&self) -> Result<u8, Failure> {
        let file = self.reach.session_file().ok_or_else(no_server)?;
        let client = self.reach.connect_unknown()?;
        let password = self.password.read(&format!("Password of {}", self.user), false)?;
        let issued = client.login(&Login { user: self.user.clone(), password })?;
        write_secret(&file, &issued.secret)?;
        // The secret is in the file, and nowhere else.
        output::complain(&format!(
            "{} is logged in as {} until {}; `loadlock logout` ends it",
            issued.user,
            issued.role,
            LocalTime::here().seconds(issued.expires)
        ));
        Ok(exit::OK)
    }
}

/// Arguments of `logout`.
#[derive(Args)]
pub struct LogoutArguments {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

impl LogoutArguments {
    /// Ends the session, and forgets it here even if control does no longer know it.
    ///
    /// # Errors
    /// [`Failure::Usage`] without a server, [`Failure::Client`], [`Failure::Write`].
    pub fn run(&self) -> Result<u8, Failure> {
        let file = self.reach.session_file().ok_or_else(no_server)?;
        let ended = self.reach.connect()?.logout();
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::Write { path: file, source });
            }
            _ => {}
        }
        self.output.show(&ended?, |done| format!("{}\n", done.done))?;
        Ok(exit::OK)
    }
}

/// Arguments of `password`.
#[derive(Args)]
pub struct PasswordArguments {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

impl PasswordArguments {
    /// Changes the password of who is logged in; asks for both.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Input`].
    pub fn run(&self) -> Result<u8, Failure> {
        let client = self.reach.connect()?;
        let source = PasswordSource { password_file: None };
        let old = source.read("Password now", false)?;
        let new = source.read("New password", true)?;
        let done = client.change_password(&PasswordChange { old, new })?;
        self.output.show(&done, |done| format!("{}\n", done.done))?;
        Ok(exit::OK)
    }
}

fn no_server() -> Failure {
    Failure::Usage(
        "logging in is for control of another machine; over the Unix socket the system says who you are\n    fix: name it with \
         --server https://HOST.".to_owned(),
    )
}
