//! The client: blocking, one connection a request.

mod accounts;
mod audit;
mod captures;
mod error;
mod learning;
mod policy;
mod stream;
mod target;

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use tokio::time::timeout;

pub use error::ClientError;
pub use stream::EventStream;
pub use target::TLS_PORT_DEFAULT;
use target::{Stream, Target};

use crate::binding::{Binding, BindingRenewal, BindingRenewed};
use crate::bypass::{BypassBody, BypassChanged};
use crate::event::EventLine;
use crate::event_filter::EventFilter;
use crate::explanation::{Explanation, ExplanationQuery};
use crate::listing::{FlowQuery, Listing, RuleQuery};
use crate::policy::{Mode, ModeChange, ModeChanged, Rule};
use crate::reload::{ReloadBody, Reloaded};
use crate::status::Status;
use crate::traffic::{DropCount, Flow};

/// Time for a request unless [`Client::with_timeout`] says otherwise: more than the server gives its core.
const REQUEST_TIME: Duration = Duration::from_secs(15);
/// Longest answer in bytes: the longest listing, with room.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A way to a control: on this machine, or over TLS. Every method waits for the answer; one thread at a time uses it.
#[derive(Debug)]
pub struct Client {
    target: Target,
    /// `authorization`, if a token or session is to be shown.
    secret: Option<HeaderValue>,
    time: Duration,
    runtime: Runtime,
}

impl Client {
    /// Finds out that somebody listens on `socket`.
    ///
    /// # Errors
    /// Why nobody does, or why this user may not ask: [`ClientError::Missing`], [`ClientError::NobodyListens`],
    /// [`ClientError::PermissionDenied`], [`ClientError::Connect`].
    ///
    /// # Panics
    /// Within a tokio runtime, like every method: it waits.
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        Self::reach(Target::Unix(socket.to_owned()))
    }

    /// Finds out that `server`, `https://HOST[:PORT]`, can be trusted: by the authorities in the PEM file, or by those that this system
    /// trusts.
    ///
    /// # Errors
    /// [`ClientError::Server`], [`ClientError::Authorities`], [`ClientError::Tls`], and those of [`Client::connect`].
    ///
    /// # Panics
    /// As [`Client::connect`].
    pub fn connect_tls(server: &str, authorities: Option<&Path>) -> Result<Self, ClientError> {
        Self::reach(Target::tls(server, authorities)?)
    }

    fn reach(target: Target) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| ClientError::Runtime { source })?;
        let client = Self { target, secret: None, time: REQUEST_TIME, runtime };
        client.runtime.block_on(client.open())?;
        Ok(client)
    }

    /// Shows this token or session with every request.
    ///
    /// # Errors
    /// [`ClientError::Secret`] if it can't be one.
    pub fn with_secret(mut self, secret: &str) -> Result<Self, ClientError> {
        let value = HeaderValue::from_str(&format!("Bearer {}", secret.trim()));
        let mut value = value.map_err(|_| ClientError::Secret)?;
        value.set_sensitive(true);
        self.secret = Some(value);
        Ok(self)
    }

    /// Gives each request this long.
    #[must_use]
    pub fn with_timeout(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// `GET /v1/status`.
    ///
    /// # Errors
    /// [`ClientError`]; that holds for every request.
    pub fn status(&self) -> Result<Status, ClientError> {
        self.ask(Method::GET, "/v1/status", None)
    }

    /// `PUT /v1/segments/{segment}/mode`. The change is durable and published when this returns; after
    /// [`ClientError::Timeout`] it may yet happen.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_mode(&self, segment: &str, mode: Mode) -> Result<ModeChanged, ClientError> {
        let body = crate::to_json(&ModeChange { mode: mode.name().to_owned() }).unwrap_or_default();
        let path = format!("/v1/segments/{}/mode", percent_encoded(segment));
        self.ask(Method::PUT, &path, Some(body))
    }

    /// `PUT /v1/segments/{segment}/bypass`. Durable, and done by a dataplane that runs, when this returns.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_bypass(
        &self,
        segment: &str,
        change: &BypassBody,
    ) -> Result<BypassChanged, ClientError> {
        let body = crate::to_json(change).unwrap_or_default();
        let path = format!("/v1/segments/{}/bypass", percent_encoded(segment));
        self.ask(Method::PUT, &path, Some(body))
    }

    /// `POST /v1/reload`. What is in the answer's `changed` counts when this returns.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn reload(&self, body: &ReloadBody) -> Result<Reloaded, ClientError> {
        self.send_json(Method::POST, "/v1/reload", body)
    }

    /// `GET /v1/rules`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn rules(&self, query: &RuleQuery) -> Result<Listing<Rule>, ClientError> {
        self.ask(Method::GET, &of_segment("rules", query), None)
    }

    /// `GET /v1/bindings`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn bindings(&self, query: &RuleQuery) -> Result<Listing<Binding>, ClientError> {
        self.ask(Method::GET, &of_segment("bindings", query), None)
    }

    /// `PUT /v1/segments/{segment}/bindings`. The change is durable and published when this returns; after
    /// [`ClientError::Timeout`] it may yet happen.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn renew_binding(
        &self,
        segment: &str,
        renewal: &BindingRenewal,
    ) -> Result<BindingRenewed, ClientError> {
        let body = crate::to_json(renewal).unwrap_or_default();
        let path = format!("/v1/segments/{}/bindings", percent_encoded(segment));
        self.ask(Method::PUT, &path, Some(body))
    }

    /// `GET /v1/explanations`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn explain(&self, query: &ExplanationQuery) -> Result<Listing<Explanation>, ClientError> {
        let path = format!(
            "/v1/explanations?about={}&subject={}&limit={}",
            query.kind.name(),
            percent_encoded(&query.subject),
            query.limit
        );
        self.ask(Method::GET, &path, None)
    }

    /// `GET /v1/flows`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn flows(&self, query: &FlowQuery) -> Result<Listing<Flow>, ClientError> {
        let mut path = format!("/v1/flows?limit={}", query.limit);
        if let Some(address) = query.address {
            path.push_str(&format!("&address={}", percent_encoded(&address.to_string())));
        }
        self.ask(Method::GET, &path, None)
    }

    /// `GET /v1/drops`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn drops(&self) -> Result<Vec<DropCount>, ClientError> {
        self.ask(Method::GET, "/v1/drops", None)
    }

    /// `GET /v1/events/recent`: the newest `limit` events that control kept, oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn recent_events(
        &self,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Listing<EventLine>, ClientError> {
        let path = format!("/v1/events/recent?limit={limit}{}", filter_parameters(filter));
        self.ask(Method::GET, &path, None)
    }

    /// `GET /v1/events`: every event from now on that fits.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn events(&self, filter: &EventFilter) -> Result<EventStream<'_>, ClientError> {
        EventStream::open(self, filter)
    }

    /// Sends a value as the body, and reads the whole answer.
    pub(crate) fn send_json<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        // The API's own types can't fail to serialise.
        self.ask(method, path, Some(crate::to_json(body).unwrap_or_default()))
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<T, ClientError> {
        let endpoint = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let request = Request::builder().method(method).uri(path).header("host", "loadlock");
        // Paths are made above, of ASCII; a request that can't be built would be a defect here.
        let request =
            request.body(Full::new(Bytes::from(body.unwrap_or_default()))).map_err(|source| {
                ClientError::Broken { endpoint: endpoint.clone(), source: source.into() }
            })?;
        let answer = async {
            let response = self.send(&endpoint, request).await?;
            let bytes = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            bytes
                .map(|body| body.to_bytes())
                .map_err(|source| ClientError::Broken { endpoint: endpoint.clone(), source })
        };
        let bytes = self
            .runtime
            .block_on(async { timeout(self.time, answer).await })
            .map_err(|_| self.too_late(&endpoint))??;
        serde_json::from_slice(&bytes)
            .map_err(|source| ClientError::Unreadable { endpoint, source })
    }

    fn too_late(&self, endpoint: &str) -> ClientError {
        ClientError::Timeout {
            socket: self.target.place().to_owned(),
            endpoint: endpoint.to_owned(),
            after: self.time,
        }
    }

    async fn open(&self) -> Result<Box<dyn Stream>, ClientError> {
        let stream = timeout(self.time, self.target.open()).await;
        stream.map_err(|_| self.too_late("connect"))?
    }

    /// Sends a request and checks the head of the answer.
    async fn send(
        &self,
        endpoint: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let broken =
            |source: hyper::Error| ClientError::from_hyper(self.target.place(), endpoint, source);
        if let Some(secret) = &self.secret {
            request.headers_mut().insert(AUTHORIZATION, secret.clone());
        }
        let stream = TokioIo::new(self.open().await?);
        let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
        // Its error is the request's too, or comes when the answer is there.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        let Some(version) = response.headers().get(crate::API_VERSION_HEADER) else {
            return Err(ClientError::NotLoadlock { socket: self.target.place().to_owned() });
        };
        let version = version.to_str().unwrap_or("?").to_owned();
        if version != crate::API_VERSION.to_string() {
            return Err(ClientError::OtherVersion {
                socket: self.target.place().to_owned(),
                found: version,
            });
        }
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refused(endpoint, response).await)
    }
}

/// Reads why a request was refused.
async fn refused(endpoint: &str, response: Response<Incoming>) -> ClientError {
    let (endpoint, status) = (endpoint.to_owned(), response.status().as_u16());
    let body = Limited::new(response.into_body(), 1 << 20).collect().await;
    match body.map(|body| serde_json::from_slice(&body.to_bytes())) {
        Ok(Ok(body)) => ClientError::Refused { status, body: Box::new(body) },
        Ok(Err(source)) => ClientError::Unreadable { endpoint, source },
        Err(source) => ClientError::Broken { endpoint, source },
    }
}

/// Path of a listing that may be one segment's.
fn of_segment(what: &str, query: &RuleQuery) -> String {
    let mut path = format!("/v1/{what}?limit={}", query.limit);
    if let Some(segment) = &query.segment {
        path.push_str(&format!("&segment={}", percent_encoded(segment)));
    }
    path
}

fn filter_parameters(filter: &EventFilter) -> String {
    let parameters = filter.parameters().into_iter();
    parameters.map(|(name, value)| format!("&{name}={}", percent_encoded(&value))).collect()
}

/// Everything but RFC 3986's unreserved characters as `%20`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into())
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_kind_stays_one_part_of_a_path() {
        assert_eq!(percent_encoded("fab-1"), "fab-1");
        assert_eq!(percent_encoded("a/b?c=d&e ü\n"), "a%2Fb%3Fc%3Dd%26e%20%C3%BC%0A");
    }
}
