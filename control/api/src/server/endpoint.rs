//! What an endpoint is: one value from which its route, its authorisation, its query check and its description are made.

use std::convert::Infallible;

use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::BODY_BYTES_MAX;
use super::guard::{self, Guard};
use super::routes::Shared;
use crate::listing::Listing;
use crate::role::Role;

/// A query parameter: its name, and what it is for.
pub(super) type Parameter = (&'static str, &'static str);

/// Who may use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Least {
    /// Also who isn't known: logging in.
    Anyone,
    /// Who has this role or a higher one.
    Role(Role),
}

impl From<Role> for Least {
    fn from(role: Role) -> Self {
        Self::Role(role)
    }
}

type Schemas = Vec<(String, RefOr<Schema>)>;

/// One method of one path. There is no other way to get a route, so none is without a role.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) least: Least,
    pub(super) summary: &'static str,
    pub(super) query: &'static [Parameter],
    /// Schema of the body, if it takes one.
    pub(super) body: Option<Value>,
    /// Schema and content type of the answer.
    pub(super) answer: Option<(Value, &'static str)>,
    /// Named schemas that body and answer refer to.
    pub(super) schemas: Schemas,
    body_bytes_max: usize,
    route: MethodRouter<Shared>,
}

fn endpoint<H: Handler<T, Shared>, T: 'static>(
    (method, filter): (&'static str, MethodFilter),
    path: &'static str,
    least: impl Into<Least>,
    summary: &'static str,
    handler: H,
) -> Endpoint {
    Endpoint {
        method,
        path,
        least: least.into(),
        summary,
        query: &[],
        body: None,
        answer: None,
        schemas: Vec::new(),
        body_bytes_max: BODY_BYTES_MAX,
        route: on(filter, handler),
    }
}

/// `GET path`.
pub(super) fn get<H: Handler<T, Shared>, T: 'static>(
    path: &'static str,
    least: impl Into<Least>,
    summary: &'static str,
    handler: H,
) -> Endpoint {
    endpoint(("GET", MethodFilter::GET), path, least, summary, handler)
}

/// `PUT path`.
pub(super) fn put<H: Handler<T, Shared>, T: 'static>(
    path: &'static str,
    least: impl Into<Least>,
    summary: &'static str,
    handler: H,
) -> Endpoint {
    endpoint(("PUT", MethodFilter::PUT), path, least, summary, handler)
}

/// `POST path`.
pub(super) fn post<H: Handler<T, Shared>, T: 'static>(
    path: &'static str,
    least: impl Into<Least>,
    summary: &'static str,
    handler: H,
) -> Endpoint {
    endpoint(("POST", MethodFilter::POST), path, least, summary, handler)
}

/// `DELETE path`.
pub(super) fn delete<H: Handler<T, Shared>, T: 'static>(
    path: &'static str,
    least: impl Into<Least>,
    summary: &'static str,
    handler: H,
) -> Endpoint {
    endpoint(("DELETE", MethodFilter::DELETE), path, least, summary, handler)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

impl Endpoint {
    /// The query parameters it takes; every other one is refused before the handler is called.
    pub(super) fn query(mut self, query: &'static [Parameter]) -> Self {
        self.query = query;
        self
    }

    /// Takes a body of this type.
    pub(super) fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(self.named::<T>());
        self
    }

    /// Takes bodies longer than [`BODY_BYTES_MAX`].
    pub(super) fn up_to(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// Answers with one value of this type.
    pub(super) fn answers<T: ToSchema>(mut self) -> Self {
        self.answer = Some((self.named::<T>(), "application/json"));
        self
    }

    /// Answers with a [`Listing`] of this type.
    pub(super) fn lists<T: ToSchema>(mut self) -> Self {
        let item = self.named::<T>();
        let mut schema = serde_json::to_value(Listing::<T>::schema()).unwrap_or_default();
        schema["properties"]["items"]["items"] = item;
        self.answer = Some((schema, "application/json"));
        self
    }

    /// Answers with an array of this type.
    pub(super) fn answers_each<T: ToSchema>(mut self) -> Self {
        let schema = json!({ "type": "array", "items": self.named::<T>() });
        self.answer = Some((schema, "application/json"));
        self
    }

    /// Answers with a stream of server-sent events, each with one value of this type as its data.
    pub(super) fn streams<T: ToSchema>(mut self) -> Self {
        self.answer = Some((self.named::<T>(), "text/event-stream"));
        self
    }

    /// Answers with JSON that no type here describes.
    pub(super) fn answers_object(mut self) -> Self {
        self.answer = Some((json!({ "type": "object" }), "application/json"));
        self
    }

    fn named<T: ToSchema>(&mut self) -> Value {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        reference(&T::name())
    }

    /// As refusals name it.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Its route, behind the guard that asks who the caller is.
    pub(super) fn into_route(self, shared: &Shared) -> (&'static str, MethodRouter<Shared>) {
        let guard = Guard {
            shared: shared.clone(),
            least: self.least,
            query: self.query,
            is_long: self.body_bytes_max > BODY_BYTES_MAX,
        };
        let guarded = axum::middleware::from_fn_with_state(guard, guard::admit);
        let limit = DefaultBodyLimit::max(self.body_bytes_max);
        (self.path, self.route.layer::<_, Infallible>(guarded).layer(limit))
    }
}
