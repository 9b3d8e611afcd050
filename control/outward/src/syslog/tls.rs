//! TLS to a syslog server, checked against the configured authorities.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use loadlock_settings::{SyslogSettings, Target};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::net;

/// A stream on which the handshake is done, so that what is written then isn't written to a stranger.
pub(super) fn connect(
    target: &Target,
    settings: &SyslogSettings,
) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let config = Arc::new(config(settings)?);
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| format!("{} is no name of a TLS server; correct the target", target.host))?;
    let mut connection =
        ClientConnection::new(config, name).map_err(|error| format!("can't begin TLS: {error}"))?;
    let mut stream = net::tcp(target)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| {
            format!("TLS failed: {error}; check certificates, names and clocks")
        })?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// Read at every connection, so that renewed certificates need no restart.
fn config(settings: &SyslogSettings) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &settings.ca_file {
        for authority in certificates(file)? {
            roots.add(authority).map_err(|error| unusable(file, &error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("can't begin TLS: {error}"))?
        .with_root_certificates(roots);
    match (&settings.certificate_file, &settings.key_file) {
        (Some(certificate), Some(key_file)) => {
            let key = PrivateKeyDer::from_pem_file(key_file)
                .map_err(|error| unusable(key_file, &error.to_string()))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(|error| unusable(certificate, &error.to_string()))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unusable(file, &error.to_string()))?;
    match found.is_empty() {
        true => Err(unusable(file, "there is no certificate in it")),
        false => Ok(found),
    }
}

fn unusable(file: &Path, problem: &str) -> String {
    format!(
        "can't use {}: {problem}; correct the file, or its key in [outward.syslog]",
        file.display()
    )
}

/// Has the server closed the stream?
pub(super) fn look(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> Result<(), String> {
    let StreamOwned { conn, sock } = stream;
    let mut shared: &TcpStream = sock;
    let mut joined = rustls::Stream::new(conn, &mut shared);
    net::look(sock, &mut joined)
}
