//! The API over TLS, and the limits that hold for whoever comes from outside.

mod fake;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fake::{Fake, Served, event};
use loadlock_api::*;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

struct Bench {
    folder: tempfile::TempDir,
    tls: TlsOptions,
    authority: PathBuf,
}

/// A certificate for 127.0.0.1 that vouches for itself, and a port that was free a moment ago.
fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let authority = certificate.clone();
    Bench { folder, tls: TlsOptions { listen, certificate, key }, authority }
}

impl Bench {
    fn options(&self) -> ServeOptions {
        let socket = self.folder.path().join("control.sock");
        ServeOptions { tls: Some(self.tls.clone()), ..ServeOptions::new(&socket) }
    }

    fn url(&self) -> String {
        format!("https://{}", self.tls.listen)
    }

    fn client(&self, role: &str) -> Client {
        let client = Client::connect_tls(&self.url(), Some(&self.authority)).unwrap();
        client.with_secret(&format!("secret-of-{role}")).unwrap()
    }

    /// What comes back for a request sent as it stands; empty if the connection is cut.
    fn raw(&self, request: &str) -> String {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.authority).unwrap()).unwrap();
        let config =
            ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, connect(self.tls.listen));
        let mut answer = Vec::new();
        if stream.write_all(request.as_bytes()).is_ok() {
            // A connection that is cut off gives what came until then.
            let _ = stream.read_to_end(&mut answer);
        }
        String::from_utf8(answer).unwrap()
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.raw(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"))
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream
}

fn refused(error: ClientError) -> (u16, ErrorCode) {
    match error {
        ClientError::Refused { status, body } => (status, body.code),
        other => panic!("{other}"),
    }
}

#[test]
fn the_client_works_over_tls_with_a_token() {
    let bench = bench();
    let served = Served::start_with(bench.options());
    let viewer = bench.client("viewer");
    assert_eq!(viewer.status().unwrap(), fake::status());
    assert_eq!(
        refused(viewer.set_mode("fab", Mode::Learn).unwrap_err()),
        (403, ErrorCode::Forbidden)
    );
    bench.client("approver").set_mode("fab", Mode::Learn).unwrap();
    let changes = served.backend.changes.lock().unwrap().clone();
    assert_eq!(changes, [("fab".to_owned(), Mode::Learn, "the-approver".to_owned())]);
    let mut events = viewer.events(&EventFilter::default()).unwrap();
    served.backend.send(event(7, EventKind::Denied));
    assert_eq!(
        events.next().unwrap().unwrap(),
        StreamItem::Event(Box::new(event(7, EventKind::Denied)))
    );
}

#[test]
fn nobody_is_anybody_without_a_token_and_the_answer_is_always_the_same() {
    let bench = bench();
    let _served = Served::start_with(ServeOptions { requests_per_s: 10_000, ..bench.options() });
    let document: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods["get"].is_object() {
            let plain = bench.get(path, "");
            assert!(plain.starts_with("HTTP/1.1 401 "), "{path}: {plain}");
            assert!(plain.contains("www-authenticate: Bearer"), "{plain}");
            asked += 1;
        }
    }
    assert!(asked > 15, "{asked}");
    let body = |answer: String| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let plain = body(bench.get("/v1/status", ""));
    for header in ["Bearer x", "Bearer loadlock_1_ff", "Basic cm9vdDo=", "bearer", "Bearer \u{fc}"]
    {
        assert_eq!(body(bench.get("/v1/status", &format!("authorization: {header}\r\n"))), plain);
    }
    let client = Client::connect_tls(&bench.url(), Some(&bench.authority)).unwrap();
    let login = Login { user: "alice".to_owned(), password: "wrong".to_owned() };
    assert_eq!(refused(client.login(&login).err().unwrap()), (401, ErrorCode::Unauthenticated));
}

#[test]
fn a_server_that_cant_be_trusted_is_told() {
    let bench = bench();
    let _served = Served::start_with(bench.options());
    let other = self::bench();
    let error = Client::connect_tls(&bench.url(), Some(&other.authority)).unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }) && error.is_unreachable(), "{error}");
    assert!(error.to_string().contains("--ca"), "{error}");
    let error = Client::connect_tls(&bench.url(), Some(Path::new("/nowhere"))).unwrap_err();
    assert!(matches!(error, ClientError::Authorities { .. }), "{error}");
    let error = Client::connect_tls("http://127.0.0.1", None).unwrap_err();
    assert!(matches!(error, ClientError::Server { .. }), "{error}");
    let client = Client::connect_tls(&bench.url(), Some(&bench.authority)).unwrap();
    assert!(matches!(client.with_secret("a\r\nx-evil: 1"), Err(ClientError::Secret)));
    let mut plain = connect(bench.tls.listen);
    plain.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "no answer without TLS");
}

#[test]
fn files_that_cant_serve_are_refused_before_anything_listens() {
    let bench = bench();
    let other = self::bench();
    let options = bench.options();
    let serve_with = |tls: TlsOptions| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = ServeOptions { tls: Some(tls), ..options.clone() };
        let served = runtime.block_on(serve(&options, Arc::new(Fake::default()), async {}));
        assert!(!options.socket.exists());
        match served {
            Err(ServeError::Tls(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let missing = PathBuf::from("/nowhere/key.pem");
    let error = serve_with(TlsOptions { key: missing.clone(), ..bench.tls.clone() });
    assert!(error.to_string().contains("api.tls_key: /nowhere/key.pem"), "{error}");
    let error = serve_with(TlsOptions { certificate: missing, ..bench.tls.clone() });
    assert!(error.to_string().contains("api.tls_certificate"), "{error}");
    let swapped = TlsOptions { certificate: bench.tls.key.clone(), ..bench.tls.clone() };
    assert!(matches!(serve_with(swapped), TlsError::File { .. }));
    let foreign = TlsOptions { key: other.tls.key.clone(), ..bench.tls.clone() };
    assert!(matches!(serve_with(foreign), TlsError::Pair { .. }));
    let held = TcpListener::bind(bench.tls.listen).unwrap();
    assert!(matches!(serve_with(bench.tls.clone()), TlsError::Listen { .. }));
    drop(held);
    for mode in [0o644, 0o660, 0o604, 0o620] {
        std::fs::set_permissions(&bench.tls.key, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = serve_with(bench.tls.clone());
        assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
    }
}

#[test]
fn a_client_that_asks_too_often_is_told_and_the_socket_isnt_affected() {
    let bench = bench();
    let served = Served::start_with(ServeOptions { requests_per_s: 2, ..bench.options() });
    let token = "authorization: Bearer secret-of-viewer\r\n";
    let request = format!("GET /v1/drops HTTP/1.1\r\nhost: x\r\n{token}\r\n").repeat(9);
    let last = format!("GET /v1/drops HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{token}\r\n");
    let answers = bench.raw(&(request + &last));
    let count = |status: &str| answers.matches(&format!("HTTP/1.1 {status} ")).count();
    assert!((4..=6).contains(&count("200")) && count("200") + count("429") == 10, "{answers}");
    assert!(answers.contains("too_many_requests") && answers.contains("the next may come in"));
    assert!((0..50).all(|_| served.client().status().is_ok()));
}

#[test]
fn one_address_holds_a_quarter_of_the_connections_and_no_more() {
    let bench = bench();
    let _served = Served::start_with(ServeOptions { connections: 8, ..bench.options() });
    let idle: Vec<_> = (0..2).map(|_| connect(bench.tls.listen)).collect();
    let started = Instant::now();
    let mut cut = connect(bench.tls.listen);
    let ended = cut.read(&mut [0]);
    assert!(matches!(ended, Ok(0) | Err(_)) && started.elapsed() < Duration::from_secs(2));
    drop(idle);
    std::thread::sleep(Duration::from_millis(300));
    assert!(bench.client("viewer").status().is_ok());
}

#[test]
fn log_ins_have_a_rate_of_their_own() {
    let bench = bench();
    let _served = Served::start_with(bench.options());
    let client = bench.client("viewer");
    let login = Login { user: "alice".to_owned(), password: "wrong".to_owned() };
    let attempt = || refused(client.login(&login).err().unwrap()).0;
    assert!((0..10).all(|_| attempt() == 401));
    assert!((0..30).any(|_| attempt() == 429));
    assert!(client.status().is_ok());
}
