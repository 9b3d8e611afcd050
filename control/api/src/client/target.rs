//! Where a client's control is: behind a Unix socket, or over TLS.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::ClientError;

/// Port of `https://HOST` without one.
pub const TLS_PORT_DEFAULT: u16 = 8443;
/// The authorities that this system trusts, on Debian.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Bytes to and from control.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(super) enum Target {
    Unix(PathBuf),
    Tls(Box<TlsTarget>),
}

pub(super) struct TlsTarget {
    /// `https://host:port`, as messages name it.
    place: PathBuf,
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place().fmt(f)
    }
}

impl Target {
    /// Reads `https://HOST[:PORT]`, and whose certificates are trusted: those of `authorities` (PEM), else of this system.
    pub(super) fn tls(server: &str, authorities: Option<&Path>) -> Result<Self, ClientError> {
        let (host, port) =
            parts(server).ok_or_else(|| ClientError::Server { found: server.to_owned() })?;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| ClientError::Server { found: server.to_owned() })?;
        let authorities = authorities.unwrap_or(Path::new(SYSTEM_AUTHORITIES));
        let failed =
            |reason: String| ClientError::Authorities { path: authorities.to_owned(), reason };
        let bytes = std::fs::read(authorities).map_err(|source| failed(source.to_string()))?;
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok);
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(failed("it holds no certificate in PEM".to_owned()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let place = match host.contains(':') {
            true => format!("https://[{host}]:{port}").into(),
            false => format!("https://{host}:{port}").into(),
        };
        Ok(Self::Tls(Box::new(TlsTarget { place, host, port, name, connector })))
    }

    /// The socket, or the server's address, as messages name it.
    pub(super) fn place(&self) -> &Path {
        match self {
            Self::Unix(socket) => socket,
            Self::Tls(target) => &target.place,
        }
    }

    pub(super) async fn open(&self) -> Result<Box<dyn Stream>, ClientError> {
        let failed = |source: io::Error| ClientError::from_connect(self.place(), source);
        match self {
            Self::Unix(socket) => UnixStream::connect(socket)
                .await
                .map(|stream| Box::new(stream) as _)
                .map_err(failed),
            Self::Tls(target) => {
                let address = (target.host.as_str(), target.port);
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                let secured = target.connector.connect(target.name.clone(), stream).await;
                secured.map(|stream| Box::new(stream) as _).map_err(|source| ClientError::Tls {
                    server: target.place.display().to_string(),
                    source,
                })
            }
        }
    }
}

/// Host and port of `https://HOST[:PORT]`, with nothing behind it but a slash.
fn parts(server: &str) -> Option<(String, u16)> {
    let rest = server.strip_prefix("https://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some(""))?)
        }
        None => rest.split_once(':').unwrap_or((rest, "")),
    };
    let port = if port.is_empty() { TLS_PORT_DEFAULT } else { port.parse().ok()? };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_host)).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_host_and_port_and_nothing_else() {
        let of = |text: &str| parts(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(of("https://fab-gw").unwrap(), "fab-gw 8443");
        assert_eq!(of("https://10.0.0.1:443/").unwrap(), "10.0.0.1 443");
        assert_eq!(of("https://[fd00::1]:9").unwrap(), "fd00::1 9");
        assert_eq!(of("https://[fd00::1]").unwrap(), "fd00::1 8443");
        for text in [
            "http://a",
            "a:8443",
            "https://",
            "https://a:x",
            "https://a/b",
            "https://u@a",
            "https://a:1:2",
            "https://a\r\nb",
            "https://[fd00::1",
            "https://a:99999",
        ] {
            assert!(parts(text).is_none(), "{text}");
        }
    }
}
