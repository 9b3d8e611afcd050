//! The client's errors by name, against peers that aren't control.

mod fake;

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loadlock_api::*;

/// Answers each connection with `answer`, after the request's head has arrived.
fn peer(folder: &Path, answer: &'static str) -> PathBuf {
    let socket = folder.join("peer.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    socket
}

fn error_of(answer: &'static str) -> ClientError {
    let folder = tempfile::tempdir().unwrap();
    let socket = peer(folder.path(), answer);
    Client::connect(&socket).unwrap().status().unwrap_err()
}

#[test]
fn nobody_there_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let error = Client::connect(&socket).unwrap_err();
    assert!(matches!(error, ClientError::Missing { .. }) && error.is_unreachable());
    let text = error.to_string();
    assert!(
        text.starts_with("loadlock control isn't running, or listens elsewhere: there is no /"),
        "{text}"
    );

    drop(UnixListener::bind(&socket).unwrap());
    assert!(matches!(Client::connect(&socket), Err(ClientError::NobodyListens { .. })));
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "").unwrap();
    assert!(matches!(Client::connect(&socket), Err(ClientError::NobodyListens { .. })));
    let long = folder.path().join("x".repeat(120));
    assert!(matches!(Client::connect(&long), Err(ClientError::Connect { .. })));
}

#[test]
fn another_server_or_version_is_told() {
    assert!(matches!(
        error_of("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
        ClientError::NotLoadlock { .. }
    ));
    assert!(matches!(error_of("220 mail.example ESMTP\r\n"), ClientError::NotLoadlock { .. }));
    let error =
        error_of("HTTP/1.1 404 Not Found\r\nloadlock-api-version: 2\r\ncontent-length: 0\r\n\r\n");
    assert!(matches!(&error, ClientError::OtherVersion { found, .. } if found == "2"), "{error:?}");
    assert!(
        error.to_string().contains("speaks version 2 of the API, this program version 1"),
        "{error}"
    );
    assert!(matches!(
        error_of("HTTP/1.1 200 OK\r\nloadlock-api-version: 1\r\ncontent-length: 2\r\n\r\n{}"),
        ClientError::Unreadable { .. }
    ));
    assert!(matches!(
        error_of("HTTP/1.1 500 X\r\nloadlock-api-version: 1\r\ncontent-length: 4\r\n\r\noops"),
        ClientError::Unreadable { .. }
    ));
}

#[test]
fn an_answer_that_ends_early_or_never_comes_is_told() {
    assert!(matches!(error_of(""), ClientError::Broken { .. }));
    assert!(matches!(
        error_of("HTTP/1.1 200 OK\r\nloadlock-api-version: 1\r\ncontent-length: 99\r\n\r\n{"),
        ClientError::Broken { .. }
    ));
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("silent.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let client = Client::connect(&socket).unwrap().with_timeout(Duration::from_millis(100));
    let error = client.status().unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }) && error.is_unreachable());
    assert!(error.to_string().contains("GET /v1/status within 0.1 s"), "{error}");
}
