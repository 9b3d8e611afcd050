//! Why control didn't answer, or not as wished.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::ErrorBody;

/// Why a request failed.
#[derive(Debug)]
pub enum ClientError {
    /// There is no socket.
    Missing {
        /// The socket.
        socket: PathBuf,
    },
    /// There is a socket, and nobody behind it.
    NobodyListens {
        /// The socket.
        socket: PathBuf,
    },
    /// This user may not use the socket.
    PermissionDenied {
        /// The socket.
        socket: PathBuf,
    },
    /// Connecting failed otherwise.
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Control listens and doesn't answer. A change may yet happen.
    Timeout {
        /// The socket.
        socket: PathBuf,
        /// The request.
        endpoint: String,
        /// How long it was waited.
        after: Duration,
    },
    /// The connection ended before the answer did.
    Broken {
        /// The request.
        endpoint: String,
        /// What happened.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Something else than Loadlock answers.
    NotLoadlock {
        /// The socket.
        socket: PathBuf,
    },
    /// Control speaks another version of the API.
    OtherVersion {
        /// The socket.
        socket: PathBuf,
        /// Its version.
        found: String,
    },
    /// The answer isn't what this version of the API says.
    Unreadable {
        /// The request.
        endpoint: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Control refused, and says why.
    Refused {
        /// HTTP status.
        status: u16,
        /// Why, and what to do.
        body: Box<ErrorBody>,
    },
    /// The name of the server isn't one.
    Server {
        /// What was given.
        found: String,
    },
    /// The authorities to trust can't be read.
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The server can't be trusted, or doesn't speak TLS.
    Tls {
        /// Which.
        server: String,
        /// What is wrong.
        source: io::Error,
    },
    /// A token with characters that no token has.
    Secret,
    /// This process has no means to wait for an answer.
    Runtime {
        /// What the system said.
        source: io::Error,
    },
}

impl ClientError {
    /// True if control couldn't be reached, or ended the connection: the same request may succeed later.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::NobodyListens { .. }
            | Self::PermissionDenied { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::NotLoadlock { .. }
            | Self::OtherVersion { .. }
            | Self::Tls { .. }
            | Self::Runtime { .. } => true,
            Self::Unreadable { .. }
            | Self::Refused { .. }
            | Self::Server { .. }
            | Self::Authorities { .. }
            | Self::Secret => false,
        }
    }

    pub(super) fn from_connect(socket: &Path, source: io::Error) -> Self {
        let socket = socket.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { socket },
            io::ErrorKind::ConnectionRefused => Self::NobodyListens { socket },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { socket },
            _ => Self::Connect { socket, source },
        }
    }

    /// A peer whose words aren't HTTP isn't Loadlock; all else is a broken connection.
    pub(super) fn from_hyper(socket: &Path, endpoint: &str, source: hyper::Error) -> Self {
        if source.is_parse() {
            return Self::NotLoadlock { socket: socket.to_owned() };
        }
        Self::Broken { endpoint: endpoint.to_owned(), source: source.into() }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { socket } => write!(
                f,
                "loadlock control isn't running, or listens elsewhere: there is no {}\n    fix: start it, or name its socket \
                 with --socket or its configuration with --config.",
                socket.display()
            ),
            Self::NobodyListens { socket } => write!(
                f,
                "loadlock control isn't running: nobody listens on {}\n    fix: start it; look at its log for why it ended.",
                socket.display()
            ),
            Self::PermissionDenied { socket } => write!(
                f,
                "this user may not use {}\n    fix: use sudo, or become a member of the group that owns the socket and \
                 its folder.",
                socket.display()
            ),
            Self::Connect { socket, source } => {
                write!(
                    f,
                    "can't connect to {}: {source}\n    fix: check the path given with --socket.",
                    socket.display()
                )
            }
            Self::Timeout { socket, endpoint, after } => write!(
                f,
                "control listens on {} but didn't answer {endpoint} within {:.1} s; a change may yet happen\n    fix: look at \
                 its log; packets are judged by the last policy meanwhile.",
                socket.display(),
                after.as_secs_f64()
            ),
            Self::Broken { endpoint, source } => write!(
                f,
                "control ended the connection during {endpoint}: {source}\n    fix: look at `loadlock status` and at control's \
                 log, then try again."
            ),
            Self::NotLoadlock { socket } => write!(
                f,
                "something answers on {}, but it isn't loadlock control\n    fix: check the path given with --socket.",
                socket.display()
            ),
            Self::OtherVersion { socket, found } => write!(
                f,
                "control on {} speaks version {} of the API, this program version {}\n    fix: use the loadlock that control \
                 was started from.",
                socket.display(),
                crate::printable(found),
                crate::API_VERSION
            ),
            Self::Unreadable { endpoint, source } => write!(
                f,
                "control's answer to {endpoint} isn't understood: {source}\n    fix: use the loadlock that control was started \
                 from."
            ),
            Self::Server { found } => write!(
                f,
                "\"{}\" is no server; allowed is https://HOST or https://HOST:PORT\n    fix: name it so with --server.",
                crate::printable(found)
            ),
            Self::Authorities { path, reason } => write!(
                f,
                "{} can't be used to know the server by: {reason}\n    fix: name a PEM file with its authority's certificate with --ca.",
                path.display()
            ),
            Self::Tls { server, source } => write!(
                f,
                "{server} can't be trusted: {source}\n    fix: name its authority's certificate with --ca; if that is right, somebody may be in \
                 between."
            ),
            Self::Secret => f.write_str(
                "the token has characters that no token has\n    fix: give a file that holds the token and nothing else with --token-file.",
            ),
            Self::Refused { body, .. } => body.fmt(f),
            Self::Runtime { source } => {
                write!(
                    f,
                    "this process can't wait for answers: {source}\n    fix: raise its limit of open files."
                )
            }
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect { source, .. } | Self::Runtime { source } | Self::Tls { source, .. } => {
                Some(source)
            }
            Self::Broken { source, .. } => Some(&**source),
            Self::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command line's tests meet it in truth, as a user without rights.
    #[test]
    fn a_closed_folder_is_told() {
        let error = ClientError::from_connect(
            Path::new("/run/x.sock"),
            io::ErrorKind::PermissionDenied.into(),
        );
        assert!(matches!(error, ClientError::PermissionDenied { .. }), "{error}");
    }
}
