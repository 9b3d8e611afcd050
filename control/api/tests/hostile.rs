//! Requests that mean harm, over the Unix socket.

mod fake;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fake::Served;
use loadlock_api::*;

fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path().join("run/control.sock"));
    (folder, served)
}

fn send(served: &Served, request: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(&served.socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may be refused, and closed, before all of it is sent.
    let _ = stream.write_all(request);
    stream
}

fn answer(mut stream: UnixStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn json_that_is_deep_long_or_twofold_is_refused() {
    let (_folder, served) = served();
    let deep = "[".repeat(100_000);
    let text = answer(send(&served, post("/v1/policy/versions", &deep).as_bytes()));
    assert!(text.starts_with("HTTP/1.1 400"), "{text}");
    let twice = r#"{"segment":"fab","segment":"x","seconds":1,"reason":"r"}"#;
    let text = answer(send(&served, post("/v1/windows", twice).as_bytes()));
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("duplicate field"), "{text}");
    let long = post("/v1/users", &"x".repeat(BODY_BYTES_MAX + 1));
    assert!(answer(send(&served, long.as_bytes())).starts_with("HTTP/1.1 413"));
    let huge = format!("GET /v1/status HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    assert!(answer(send(&served, huge.as_bytes())).starts_with("HTTP/1.1 431"));
    let many = format!("GET /v1/status HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert!(answer(send(&served, many.as_bytes())).starts_with("HTTP/1.1 431"));
}

#[test]
fn a_path_cant_climb_and_a_name_stays_one_name() {
    let (_folder, served) = served();
    for path in [
        "/v1/../v1/status",
        "/v1/policy/versions/../../users",
        "//v1/status",
        "/v1/status/",
        "/v1/policy/versions/1/approve/../apply",
        "/V1/status",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let text = answer(send(&served, request.as_bytes()));
        assert!(text.starts_with("HTTP/1.1 404"), "{path}: {text}");
    }
    let climbing = "GET /v1/devices/%2e%2e%2f%2e%2e%2fetc%2fpasswd%00%0d%0ax/denials HTTP/1.1\r\nhost: x\r\n\r\n";
    let text = answer(send(&served, climbing.as_bytes()));
    assert!(!text.contains("\r\nx"), "{text}");
    let asked = served.backend.asked.lock().unwrap().clone();
    let device = PolicyRequest::IsItMe("../../etc/passwd\0\r\nx".to_owned());
    assert_eq!(asked, [(device, String::new())], "one name, whatever is in it");
}

#[test]
fn smuggled_requests_and_broken_heads_get_nothing() {
    let (_folder, served) = served();
    let smuggled = b"POST /v1/policy/confirmation HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nPOST /v1/policy/confirmation HTTP/1.1\r\nhost: x\r\n\r\n";
    let text = answer(send(&served, smuggled));
    assert!(text.matches("HTTP/1.1").count() <= 1, "{text}");
    for head in [
        &b"GET /v1/status HTTP/1.1\r\nhost: x\r\nauth\x00orization: y\r\n\r\n"[..],
        b"GET /v1/status\x1b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v1/status HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    ] {
        let text = answer(send(&served, head));
        assert!(text.starts_with("HTTP/1.1 400") || text.is_empty(), "{text}");
    }
    assert!(served.client().status().is_ok());
}

#[test]
fn few_long_bodies_are_read_at_a_time() {
    let (_folder, served) = served();
    let promised =
        b"POST /v1/policy/versions HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{";
    let held: Vec<_> = (0..2).map(|_| send(&served, promised)).collect();
    std::thread::sleep(Duration::from_millis(300));
    let text = answer(send(&served, promised));
    assert!(text.starts_with("HTTP/1.1 429") && text.contains("long bodies"), "{text}");
    let short = r#"{"text":"","place":"p","reason":"r"}"#;
    let text = answer(send(&served, post("/v1/policy/versions", short).as_bytes()));
    assert!(text.starts_with("HTTP/1.1 200"), "a short one still goes: {text}");
    for stream in held {
        assert!(answer(stream).starts_with("HTTP/1.1 408"));
    }
}
