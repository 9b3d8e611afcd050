//! What may change while the server runs.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::rate::Rates;
use super::tls::{self, TlsError, TlsOptions};
use crate::role::Role;

/// What the server does at this moment, for who may change it.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// What users of the socket may do without a token.
    pub socket_role: Role,
    /// Requests a second of one client.
    pub requests_per_s: u32,
    /// Shown by TLS connections that begin; `None`: the one that was read at the start.
    pub certificate: Option<Certificate>,
}

/// A certificate with its key, read and found to fit.
#[derive(Clone, Debug)]
pub struct Certificate(pub(super) Arc<ServerConfig>);

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// [`TlsError`]: a file, or that they don't fit.
    pub fn read(options: &TlsOptions) -> Result<Self, TlsError> {
        tls::config(options).map(|config| Self(Arc::new(config)))
    }
}

pub(super) type Live = watch::Receiver<LiveOptions>;

/// The acceptor for a connection that begins now.
pub(super) fn acceptor(live: &Live, at_start: &TlsAcceptor) -> TlsAcceptor {
    match &live.borrow().certificate {
        Some(certificate) => TlsAcceptor::from(certificate.0.clone()),
        None => at_start.clone(),
    }
}

/// Sets these rates whenever they change. Never returns.
pub(super) async fn keep_rates(mut live: Live, rates: &[&Rates]) -> ! {
    loop {
        if live.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        let per_s = f64::from(live.borrow_and_update().requests_per_s.max(1));
        for rates in rates {
            rates.set(per_s, per_s * 2.0);
        }
    }
}
