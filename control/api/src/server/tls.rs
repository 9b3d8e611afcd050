//! The TLS entrance: certificate, key, and what is refused before anything listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// What the group may do with the key at most is read it; others nothing.
const KEY_MODE_FORBIDDEN: u32 = 0o037;

/// Where to listen, and with which certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Address and port.
    pub listen: SocketAddr,
    /// PEM file: the certificate, then those up to the authority's.
    pub certificate: PathBuf,
    /// PEM file with the private key, which only its owner may write and only owner and group may read.
    pub key: PathBuf,
}

/// Why nothing listens for TLS.
#[derive(Debug)]
pub enum TlsError {
    /// A file can't be read, or holds no PEM of its kind.
    File {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The private key's mode lets others at it.
    KeyMode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Certificate and key don't fit.
    Pair {
        /// What is wrong.
        reason: String,
    },
    /// The address can't be had.
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { key, path, reason } => write!(
                f,
                "api.{key}: {} can't be used: {reason}\n    fix: name a PEM file that control's user may read, or set api.tls_listen = \
                 \"\" to do without TLS.",
                path.display()
            ),
            Self::KeyMode { path, mode } => write!(
                f,
                "api.tls_key: {} has mode {mode:04o}, so that others may use the private key; allowed are 0600, 0640 and less\n    \
                 fix: chmod 0600 it, and think about a new key.",
                path.display()
            ),
            Self::Pair { reason } => write!(
                f,
                "api.tls_certificate and api.tls_key don't work together: {reason}\n    fix: name a certificate and its own key."
            ),
            Self::Listen { address, source } => write!(
                f,
                "api.tls_listen: can't listen on {address}: {source}\n    fix: name an address of this machine and a port that is free."
            ),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Reads the files and listens. TLS 1.2 and 1.3, rustls' own choice of suites.
pub(super) async fn listen(options: &TlsOptions) -> Result<(TcpListener, TlsAcceptor), TlsError> {
    let config = config(options)?;
    let listener = TcpListener::bind(options.listen).await;
    let listener =
        listener.map_err(|source| TlsError::Listen { address: options.listen, source })?;
    Ok((listener, TlsAcceptor::from(Arc::new(config))))
}

pub(super) fn config(options: &TlsOptions) -> Result<ServerConfig, TlsError> {
    let certificate = bytes("tls_certificate", &options.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| TlsError::File {
        key: "tls_certificate",
        path: options.certificate.clone(),
        reason: "it holds no certificate in PEM".to_owned(),
    })?;
    let bytes = bytes("tls_key", &options.key)?;
    check_mode(&options.key)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| TlsError::File {
        key: "tls_key",
        path: options.key.clone(),
        reason: "it holds no private key in PEM without a password".to_owned(),
    })?;
    let pair = |error: tokio_rustls::rustls::Error| TlsError::Pair { reason: error.to_string() };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(pair)?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn bytes(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source: io::Error| TlsError::File {
        key,
        path: path.to_owned(),
        reason: source.to_string(),
    };
    std::fs::read(path).map_err(failed)
}

fn check_mode(path: &Path) -> Result<(), TlsError> {
    let metadata = std::fs::metadata(path).map_err(|source| TlsError::File {
        key: "tls_key",
        path: path.to_owned(),
        reason: source.to_string(),
    })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & KEY_MODE_FORBIDDEN == 0 {
        return Ok(());
    }
    Err(TlsError::KeyMode { path: path.to_owned(), mode })
}
