//! The OpenAPI document, made from the endpoints and the types on the wire.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::endpoint::{Endpoint, Least};
use super::endpoints;
use crate::error::{ErrorBody, ErrorCode};

/// The document that `GET /v1/openapi.json` gives: JSON with sorted keys, two spaces an indent, and a line break at the end.
#[must_use]
pub fn openapi() -> String {
    let endpoints = endpoints::all();
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |name: String, schema| {
        schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
    };
    let mut of_refusals = Vec::new();
    ErrorBody::schemas(&mut of_refusals);
    of_refusals.push((ErrorCode::name().into_owned(), ErrorCode::schema()));
    of_refusals.push((ErrorBody::name().into_owned(), ErrorBody::schema()));
    let of_endpoints = endpoints.iter().flat_map(|endpoint| endpoint.schemas.clone());
    for (name, schema) in of_endpoints.chain(of_refusals) {
        add(name, schema);
    }
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for endpoint in &endpoints {
        let path = paths.entry(endpoint.path).or_default();
        path.insert(endpoint.method.to_lowercase(), operation(endpoint));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Loadlock",
            "version": crate::API_VERSION.to_string(),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Control's API, over its Unix socket and over TLS. `x-role` is the least role that an operation needs.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "responses": { "refused": {
                "description": "Refused. The body's code says why, and has its status.",
                "content": content("application/json", json!({ "$ref": "#/components/schemas/ErrorBody" })),
            } },
        },
    });
    // Values made above have texts for keys; they can't fail to be written.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn content(kind: &str, schema: Value) -> Value {
    json!({ kind: { "schema": schema } })
}

fn operation(endpoint: &Endpoint) -> Value {
    let in_path = endpoint.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        )
    });
    let in_query = endpoint.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": "string" } })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let (schema, kind) = endpoint.answer.clone().unwrap_or((json!({}), "application/json"));
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({ "description": endpoint.summary, "content": content(kind, schema) }),
    );
    responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/refused" }));
    let (role, security) = match endpoint.least {
        Least::Anyone => ("anyone".to_owned(), json!([])),
        Least::Role(role) => (role.to_string(), json!([{ "bearer": [] }])),
    };
    let mut operation = json!({
        "summary": endpoint.summary,
        "operationId": operation_id(endpoint),
        "x-role": role,
        "security": security,
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &endpoint.body {
        operation["requestBody"] =
            json!({ "required": true, "content": content("application/json", body.clone()) });
    }
    operation
}

/// `put_segments_mode` of `PUT /v1/segments/{segment}/mode`.
fn operation_id(endpoint: &Endpoint) -> String {
    let parts = endpoint.path.split('/').skip(2);
    let words =
        parts.map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => format!("by_{name}"),
            None => part.replace(['-', '.'], "_"),
        });
    let words: Vec<String> = words.collect();
    format!("{}_{}", endpoint.method.to_lowercase(), words.join("_"))
}
