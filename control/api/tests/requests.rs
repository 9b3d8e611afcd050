//! Every endpoint and every error over a real socket; HTTP spoken by hand where the client wouldn't.

mod fake;

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use fake::{Fake, Served, Trouble};
use loadlock_api::*;
use serde_json::Value;

fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path().join("run/control.sock"));
    (folder, served)
}

/// Status, head and JSON of a request sent as it stands.
fn raw(served: &Served, request: &str) -> (u16, String, Value) {
    let mut stream = UnixStream::connect(&served.socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn get(served: &Served, path: &str) -> (u16, String, Value) {
    raw(served, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
}

fn put(served: &Served, path: &str, body: &str) -> (u16, String, Value) {
    let bytes = body.len();
    raw(served, &format!("PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {bytes}\r\n\r\n{body}"))
}

#[test]
fn each_endpoint_gives_what_the_backend_has() {
    let (_folder, served) = served();
    let client = served.client();
    assert_eq!(client.status().unwrap(), fake::status());
    let rules = client.rules(&RuleQuery::default()).unwrap();
    assert_eq!((rules.items, rules.total, rules.limit), (fake::rules(), 4, LIMIT_DEFAULT));
    let rules = client.rules(&RuleQuery { segment: Some("fab".to_owned()), limit: 2 }).unwrap();
    assert_eq!((rules.items.as_slice(), rules.total, rules.limit), (&fake::rules()[..2], 4, 2));
    assert_eq!(client.flows(&FlowQuery::default()).unwrap().items, fake::flows());
    let address = Some("fd00:20::5".parse().unwrap());
    let flows = client.flows(&FlowQuery { address, ..FlowQuery::default() }).unwrap();
    assert_eq!((flows.items.as_slice(), flows.total), (&fake::flows()[2..], 1));
    assert_eq!(client.drops().unwrap(), fake::drops());
}

#[test]
fn a_mode_change_names_its_author_by_the_kernels_word() {
    let (_folder, served) = served();
    let changed = served.client().set_mode("fab", Mode::Learn).unwrap();
    assert_eq!((changed.mode, changed.previous), (Mode::Learn, Mode::Enforce));
    assert_eq!((changed.policy_version, changed.generation), (38, 42));
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).unwrap();
    let author = user.map_or(format!("uid {uid}"), |user| user.name);
    assert_eq!(*served.backend.changes.lock().unwrap(), [("fab".to_owned(), Mode::Learn, author)]);
}

#[test]
fn a_bypass_needs_a_reason_and_a_sensible_time() {
    let (_folder, served) = served();
    let client = served.client();
    let body = |on, seconds, reason: &str| BypassBody { on, seconds, reason: reason.to_owned() };
    let changed = client.set_bypass("fab", &body(true, Some(60), "line 3 stands")).unwrap();
    let bypass = changed.bypass.unwrap();
    assert_eq!((bypass.reason.as_str(), changed.previous), ("line 3 stands", None));
    let status = client.status().unwrap();
    assert!(status.alarms[0].contains("segment fab: in bypass since"), "{:?}", status.alarms);
    for (wrong, word) in [
        (body(true, None, " "), "reason has 0 bytes"),
        (body(true, Some(0), "x"), "seconds is 0"),
        (body(true, Some(BYPASS_S_MAX + 1), "x"), "allowed is 1 to"),
        (body(false, Some(5), "x"), "only a bypass has a time"),
    ] {
        let error = client.set_bypass("fab", &wrong).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(
        client.set_bypass("fob", &body(true, None, "x")).unwrap_err().to_string().contains("fob")
    );
    let changed = client.set_bypass("fab", &body(false, None, "it goes again")).unwrap();
    assert_eq!((changed.bypass, changed.previous), (None, Some(bypass)));
}

#[test]
fn field_names_are_the_documented_ones() {
    let (_folder, served) = served();
    let (status, head, json) = get(&served, "/v1/status");
    assert_eq!(status, 200);
    assert!(
        head.contains("loadlock-api-version: 1") && head.contains("content-type: application/json"),
        "{head}"
    );
    assert_eq!(json["time"], "2026-05-04T12:03:11.000000250Z");
    for (pointer, value) in [
        ("/control/state", Value::from("attached")),
        ("/control/policy_version", 37.into()),
        ("/dataplane/state", "running".into()),
        ("/dataplane/memory/exchange_bytes", 268_435_456.into()),
        ("/segments/0/mode", "enforce".into()),
        ("/segments/0/side_a/received_packets", 1_234_567_890.into()),
        ("/segments/0/side_b/dropped_packets", 1_234.into()),
        ("/workers/0/latency_p99_9_ns", 11_264.into()),
        ("/workers/0/ring_capacity", 65_536.into()),
        ("/alarms", Value::Array(Vec::new())),
    ] {
        assert_eq!(json.pointer(pointer), Some(&value), "{pointer}");
    }
    let (_, _, json) = get(&served, "/v1/flows?limit=1");
    assert_eq!((&json["total"], &json["limit"]), (&3.into(), &1.into()));
    assert_eq!(json["items"][0]["verdict"], "would-deny");
    assert_eq!(json["items"][0]["client_side"], "a");
}

#[test]
fn each_bad_request_is_refused_by_code_and_status() {
    let (_folder, served) = served();
    let long = format!("{{\"mode\":\"{}\"}}", "x".repeat(BODY_BYTES_MAX));
    let mode = "/v1/segments/fab/mode";
    let cases = [
        (get(&served, "/v1/rules?limit=0"), 400, "invalid_query", "1 to 100000"),
        (get(&served, "/v1/rules?limit=100001"), 400, "invalid_query", "\"100001\""),
        (get(&served, "/v1/rules?limit=1&limit=2"), 400, "invalid_query", "comes twice"),
        (get(&served, "/v1/rules?segmnt=fab"), 400, "invalid_query", "segment, limit"),
        (get(&served, "/v1/status?x=%ff"), 400, "invalid_query", "allowed: none"),
        (get(&served, "/v1/flows?address=etch-07"), 400, "invalid_query", "etch-07"),
        (get(&served, "/v1/events?kind=lost"), 400, "invalid_query", "started, ended, denied"),
        (get(&served, "/v1/events/recent?kind=denied,x"), 400, "invalid_query", "\"x\""),
        (get(&served, "/v1/rules?segment=nope"), 404, "unknown_segment", "nope"),
        (get(&served, "/v1/statsu"), 404, "unknown_endpoint", "GET /v1/statsu"),
        (get(&served, "/"), 404, "unknown_endpoint", "GET /"),
        (get(&served, "/v2/status"), 404, "unknown_version", "speaks API v1, not v2"),
        (get(&served, mode), 405, "method_not_allowed", "doesn't take GET"),
        (put(&served, "/v1/status", "{}"), 405, "method_not_allowed", "doesn't take PUT"),
        (put(&served, mode, ""), 400, "invalid_body", "EOF"),
        (
            put(&served, "/v1/segments/fab/bindings", "{\"address\":\"10.0.1\",\"mac\":\"any\"}"),
            400,
            "invalid_body",
            "10.0.1.11",
        ),
        (
            put(&served, "/v1/segments/fba/bindings", "{\"address\":\"10.0.1.1\",\"mac\":\"any\"}"),
            404,
            "unknown_segment",
            "fba",
        ),
        (get(&served, "/v1/bindings?side=a"), 400, "invalid_query", "side"),
        (put(&served, mode, "{\"mode\":7}"), 400, "invalid_body", "expected a string"),
        (
            put(&served, mode, "{\"mode\":\"learn\",\"for\":1}"),
            400,
            "invalid_body",
            "unknown field `for`",
        ),
        (
            put(&served, mode, "{\"mode\":\"block\"}"),
            400,
            "invalid_mode",
            "learn, monitor, enforce",
        ),
        (put(&served, mode, &long), 413, "body_too_large", "4096 bytes"),
        (put(&served, "/v1/segments/%ff/mode", "{}"), 404, "unknown_endpoint", "UTF-8"),
        (
            put(&served, "/v1/segments/no/mode", "{\"mode\":\"learn\"}"),
            404,
            "unknown_segment",
            "has fab",
        ),
    ];
    for ((status, head, json), wanted, code, word) in cases {
        assert_eq!((status, json["code"].as_str()), (wanted, Some(code)), "{json}");
        assert!(json["message"].as_str().unwrap().contains(word), "{word}: {json}");
        assert!(!json["next_step"].as_str().unwrap().is_empty(), "{json}");
        assert!(head.contains("loadlock-api-version: 1"), "{head}");
    }
    assert!(served.backend.changes.lock().unwrap().is_empty());
}

#[test]
fn each_trouble_of_the_backend_is_told() {
    let (_folder, served) = served();
    let client = served.client();
    let text = str::to_owned;
    let cases = [
        (
            Trouble::Error(BackendError::Unavailable { reason: text("starting") }),
            503,
            ErrorCode::Unavailable,
        ),
        (
            Trouble::Error(BackendError::Conflict {
                reason: text("worker 0 hangs"),
                next_step: text("wait."),
            }),
            409,
            ErrorCode::Conflict,
        ),
        (
            Trouble::Error(BackendError::Store { reason: text("disk full") }),
            500,
            ErrorCode::StoreFailed,
        ),
        (Trouble::Panic, 500, ErrorCode::Internal),
    ];
    for (trouble, wanted, code) in cases {
        *served.backend.trouble.lock().unwrap() = Some(trouble);
        match client.set_mode("fab", Mode::Learn).unwrap_err() {
            ClientError::Refused { status, body } => {
                assert_eq!((status, body.code), (wanted, code))
            }
            other => panic!("{other:?}"),
        }
        assert!(client.status().is_err() && client.drops().is_err());
    }
    *served.backend.trouble.lock().unwrap() = None;
    assert!(client.status().is_ok(), "a panic of the backend must not end the server");
}

#[test]
fn a_backend_that_hangs_is_given_up_and_does_not_hang_the_rest() {
    let (_folder, served) = served();
    let silence = Trouble::Silence(Duration::from_millis(10_500));
    *served.backend.trouble.lock().unwrap() = Some(silence);
    let client = served.client();
    let error = std::thread::scope(|scope| {
        let status = scope.spawn(|| client.status().unwrap_err());
        let started = Instant::now();
        assert_eq!(get(&served, "/v1/events/recent").0, 200);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        status.join().unwrap()
    });
    match error {
        ClientError::Refused { status, body } => {
            assert_eq!((status, body.code), (504, ErrorCode::BackendTimeout));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hidden_character_leaves_the_server_escaped() {
    let (_folder, served) = served();
    served.backend.rules.lock().unwrap()[0].reason = "\u{9b}2J\u{1b}[31m\u{202e}".to_owned();
    let (_, _, json) = get(&served, "/v1/rules");
    assert_eq!(json["items"][0]["reason"], "\u{9b}2J\u{1b}[31m\u{202e}");
    let mut stream = UnixStream::connect(&served.socket).unwrap();
    stream.write_all(b"GET /v1/rules HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r"\u009b2J\u001b[31m\u202e"));
    assert!(!answer.contains(['\u{9b}', '\u{1b}', '\u{202e}']));
    let (status, _, json) = put(&served, "/v1/segments/%1b%5b2J/mode", "{\"mode\":\"learn\"}");
    assert_eq!((status, json["code"].as_str()), (404, Some("unknown_segment")));
}

#[test]
fn idle_clients_dont_lock_others_out() {
    let (_folder, served) = served();
    let mut slow = UnixStream::connect(&served.socket).unwrap();
    slow.write_all(b"PUT /v1/segments/fab/mode HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
        .unwrap();
    let idle: Vec<_> =
        (0..CONNECTIONS_MAX).map(|_| UnixStream::connect(&served.socket).unwrap()).collect();
    let started = Instant::now();
    assert!(served.client().status().is_ok());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    drop(idle);
}

#[test]
fn the_socket_is_for_owner_and_group_and_goes_with_the_server() {
    let (folder, mut served) = served();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&served.socket), 0o660);
    assert_eq!(mode(&folder.path().join("run")) & 0o007, 0);
    let stopped = served.stop();
    assert!(stopped < Duration::from_secs(2), "{stopped:?}");
    assert!(!served.socket.exists());
}

fn serve_at(socket: &std::path::Path) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(serve(
        &ServeOptions::new(socket),
        std::sync::Arc::new(Fake::default()),
        async {},
    ))
}

#[test]
fn a_left_over_socket_is_replaced_and_a_living_one_is_not() {
    let (folder, served) = served();
    let error = serve_at(&served.socket).unwrap_err();
    assert!(matches!(error, ServeError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("control.socket"), "{error}");
    assert!(served.client().status().is_ok(), "the first must not be disturbed");

    let stale = folder.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(std::fs::metadata(&stale).unwrap().file_type().is_socket());
    serve_at(&stale).unwrap();
    assert!(!stale.exists());
}

#[test]
fn a_socket_that_cannot_be_made_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(serve_at(&file), Err(ServeError::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    assert!(matches!(serve_at(&file.join("control.sock")), Err(ServeError::Folder { .. })));
    let error = serve_at(&folder.path().join("x".repeat(120))).unwrap_err();
    assert!(error.to_string().contains("107 bytes"), "{error}");
}
