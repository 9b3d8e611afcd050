//! Where control is.

use std::path::{Path, PathBuf};

use clap::Args;
use loadlock_api::{Client, SOCKET_DEFAULT};
use loadlock_settings::Settings;

use crate::failure::Failure;

/// `--socket` and `--config`, of every client verb.
#[derive(Args)]
pub struct Reach {
    /// Control's socket [default: that of --config, else /run/loadlock/control.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Configuration file that names the socket
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
}

impl Reach {
    /// Connects to control.
    ///
    /// # Errors
    /// The configuration's mistakes, or why control can't be reached.
    pub fn connect(&self) -> Result<Client, Failure> {
        let socket = match (&self.socket, &self.config) {
            (Some(socket), _) => socket.clone(),
            (None, Some(config)) => Settings::load(config)?.control.socket,
            (None, None) => Path::new(SOCKET_DEFAULT).to_owned(),
        };
        Ok(Client::connect(&socket)?)
    }
}
