//! Who may what: every role at every endpoint, from the OpenAPI document that is checked in.

mod fake;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fake::Served;
use loadlock_api::*;
use serde_json::Value;

const CHECKED_IN: &str = include_str!("../openapi.json");

fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path().join("run/control.sock"));
    (folder, served)
}

/// The status of a request with these headers; the body isn't waited for, so that streams answer too.
fn status(served: &Served, method: &str, path: &str, headers: &str) -> u16 {
    let mut stream = UnixStream::connect(&served.socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: 2\r\n\r\n{{}}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ')
        .nth(1)
        .unwrap_or_else(|| panic!("no answer to {method} {path}"))
        .parse()
        .unwrap()
}

struct Operation {
    method: String,
    path: String,
    /// `None`: anyone.
    least: Option<Role>,
}

/// Every operation of the document, with 1 for each part of a path that is open.
fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(CHECKED_IN).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for (method, operation) in methods.as_object().unwrap() {
            let role = operation["x-role"].as_str().unwrap();
            let least = Role::from_name(role);
            assert!(least.is_some() || role == "anyone", "{method} {path} has the role {role}");
            operations.push(Operation { method: method.to_uppercase(), path: path.clone(), least });
        }
    }
    operations
}

#[test]
fn the_checked_in_document_is_what_the_types_say() {
    let renew = "cargo run --bin loadlock -- openapi > control/api/openapi.json";
    assert!(
        openapi() == CHECKED_IN,
        "control/api/openapi.json isn't what endpoints and types say; look at what changed, then\n    {renew}"
    );
    assert!(operations().len() > 30);
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document: Value = serde_json::from_str(CHECKED_IN).unwrap();
    let mut open = vec![&document];
    let mut count = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                if let Some(reference) = object.get("$ref") {
                    let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{pointer}");
                    count += 1;
                }
                open.extend(object.values());
            }
            Value::Array(array) => open.extend(array),
            _ => {}
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn each_endpoint_admits_the_roles_it_says_and_no_other() {
    let (_folder, served) = served();
    for Operation { method, path, least } in operations() {
        for role in Role::ALL {
            let headers = format!("authorization: Bearer secret-of-{role}\r\n");
            let status = status(&served, &method, &path, &headers);
            let is_refused = least.is_some_and(|least| role < least);
            assert_eq!(status == 403, is_refused, "{role}: {method} {path} gives {status}");
            assert!(
                status != 401 && status != 404 || path.contains("segments"),
                "{path}: {status}"
            );
            if is_refused {
                let reached = !served.backend.asked.lock().unwrap().is_empty();
                assert!(!reached, "{role}: {method} {path} reached the backend");
            }
            served.backend.asked.lock().unwrap().clear();
        }
        if least.is_some() {
            for header in [
                "authorization: Bearer wrong\r\n",
                "authorization: Basic c2VjcmV0\r\n",
                "authorization: Bearer \r\n",
                "authorization: \r\n",
                "authorization: Bearer secret-of-admin\r\nauthorization: Bearer secret-of-viewer\r\n",
            ] {
                assert_eq!(status(&served, &method, &path, header), 401, "{header}{method} {path}");
            }
        }
    }
    assert!(served.backend.changes.lock().unwrap().is_empty(), "{{}} is no mode change");
}

#[test]
fn a_token_names_the_author_and_without_one_the_kernel_does() {
    let (_folder, served) = served();
    let path = "/v1/policy/confirmation";
    assert_eq!(status(&served, "POST", path, "authorization: bearer secret-of-operator\r\n"), 200);
    assert_eq!(status(&served, "POST", path, ""), 200);
    let asked = served.backend.asked.lock().unwrap();
    let authors: Vec<&str> = asked.iter().map(|(_, author)| author.as_str()).collect();
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap();
    assert_eq!(authors, ["the-operator", &user.name]);
}
