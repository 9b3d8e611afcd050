//! Questions, answers, readiness, windows.

use hyper::Method;

use super::{Client, ClientError, percent_encoded};
use crate::learning::{
    AnswerBody, Answered, GivenAnswer, Question, ReadinessReport, Window, WindowBody,
};
use crate::listing::Listing;

impl Client {
    /// `GET /v1/questions`.
    ///
    /// # Errors
    /// [`ClientError`]; that holds for every request.
    pub fn questions(&self, limit: u32) -> Result<Listing<Question>, ClientError> {
        self.ask(Method::GET, &format!("/v1/questions?limit={limit}"), None)
    }

    /// `POST /v1/questions/{id}`. Durable and published when this returns.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn answer(&self, id: &str, body: &AnswerBody) -> Result<Answered, ClientError> {
        let text = crate::to_json(body).unwrap_or_default();
        self.ask(Method::POST, &format!("/v1/questions/{}", percent_encoded(id)), Some(text))
    }

    /// `GET /v1/answers`, the latest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn answers(&self, limit: u32) -> Result<Listing<GivenAnswer>, ClientError> {
        self.ask(Method::GET, &format!("/v1/answers?limit={limit}"), None)
    }

    /// `GET /v1/readiness`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn readiness(
        &self,
        segment: Option<&str>,
        limit: u32,
    ) -> Result<ReadinessReport, ClientError> {
        let mut path = format!("/v1/readiness?limit={limit}");
        if let Some(segment) = segment {
            path.push_str(&format!("&segment={}", percent_encoded(segment)));
        }
        self.ask(Method::GET, &path, None)
    }

    /// `GET /v1/windows`, the latest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn windows(&self, limit: u32) -> Result<Listing<Window>, ClientError> {
        self.ask(Method::GET, &format!("/v1/windows?limit={limit}"), None)
    }

    /// `POST /v1/windows`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn open_window(&self, body: &WindowBody) -> Result<Window, ClientError> {
        let text = crate::to_json(body).unwrap_or_default();
        self.ask(Method::POST, "/v1/windows", Some(text))
    }

    /// `PUT /v1/windows/{number}/closing`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn close_window(&self, number: u64) -> Result<Window, ClientError> {
        self.ask(Method::PUT, &format!("/v1/windows/{number}/closing"), None)
    }
}
