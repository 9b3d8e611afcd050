//! The socket file: whose it is, who may use it, and when it may be replaced.

use std::fmt;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::tls::TlsError;

/// Why the API can't be served.
#[derive(Debug)]
pub enum ServeError {
    /// TLS can't be had.
    Tls(TlsError),
    /// The socket's folder can't be made.
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody answers on the socket: another control runs.
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The path is taken by something that isn't a socket.
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The socket can't be looked at, replaced, made, or given its mode.
    Socket {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Folder { path, source } => write!(
                f,
                "can't make {}, the folder of the API's socket: {source}\n    fix: make it for control's user, or change \
                 control.socket.",
                path.display()
            ),
            Self::InUse { path } => write!(
                f,
                "another control answers on {}; there may be one for each socket\n    fix: stop it, or change control.socket.",
                path.display()
            ),
            Self::NotASocket { path } => write!(
                f,
                "{} is there and isn't a socket; it is left as it is\n    fix: move it away, or change control.socket.",
                path.display()
            ),
            Self::Socket { path, action, source } => write!(
                f,
                "can't {action} the API's socket {}: {source}\n    fix: check the owner and mode of the folder; the path \
                 may have 107 bytes.",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder { source, .. } | Self::Socket { source, .. } => Some(source),
            Self::Tls(error) => error.source(),
            Self::InUse { .. } | Self::NotASocket { .. } => None,
        }
    }
}

/// A socket that listens; its file is removed when it is dropped, if it is still the same file.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl Socket {
    pub(super) fn bind(path: &Path) -> Result<Self, ServeError> {
        let failed = |action: &'static str| {
            move |source: io::Error| ServeError::Socket { path: path.to_owned(), action, source }
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o750).create(folder);
            made.map_err(|source| ServeError::Folder { path: folder.to_owned(), source })?;
        }
        make_room(path)?;
        let listener = UnixListener::bind(path).map_err(failed("make"))?;
        // Until here the mode is what the umask leaves, usually 0755, with which only the owner can connect.
        std::fs::set_permissions(path, Permissions::from_mode(0o660))
            .map_err(failed("set the mode of"))?;
        let file = std::fs::symlink_metadata(path).map_err(failed("look at"))?;
        Ok(Self { listener, path: path.to_owned(), file: (file.dev(), file.ino()) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == self.file);
        if is_ours {
            // Left behind, it is replaced at the next start: nothing is lost if this fails.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket whose owner has died; refuses everything else that is in the way.
fn make_room(path: &Path) -> Result<(), ServeError> {
    let failed = |action: &'static str| {
        move |source: io::Error| ServeError::Socket { path: path.to_owned(), action, source }
    };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
    };
    if !found.file_type().is_socket() {
        return Err(ServeError::NotASocket { path: path.to_owned() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed("remove the left-over of"))
        }
        // Connected, or its queue is full: somebody lives there.
        Ok(_) => Err(ServeError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(ServeError::InUse { path: path.to_owned() })
        }
        Err(error) => Err(failed("try")(error)),
    }
}
