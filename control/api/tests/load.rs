//! How many requests a second the API answers, and how long each takes: an even rate, whatever the answers take.

mod fake;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use fake::Served;

const RATE_PER_S: u32 = 1_000;
const SECONDS: u32 = 10;
const THREADS: u32 = 8;

/// The time from when a request was due to when its answer was whole.
fn ask(socket: &Path, due: Instant) -> Duration {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::with_capacity(4_096);
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    due.elapsed()
}

/// On one core: `scripts/perf/measure` binds client and server to the same, `scripts/perf/live` does so with a real control, whose socket
/// `LOADLOCK_SOCKET` names.
#[test]
#[ignore = "a measurement, in release: scripts/perf/measure and scripts/perf/live run it"]
fn a_thousand_requests_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let own;
    let socket = match std::env::var_os("LOADLOCK_SOCKET") {
        Some(socket) => socket.into(),
        None => {
            own = Served::start(folder.path().join("control.sock"));
            own.socket.clone()
        }
    };
    let start = Instant::now() + Duration::from_millis(100);
    let due = |number: u32| start + Duration::from_secs(1) * number / RATE_PER_S;
    let (socket, due) = (&socket, &due);
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let threads = (0..THREADS).map(|thread| {
            scope.spawn(move || {
                let own = (thread..RATE_PER_S * SECONDS).step_by(THREADS as usize);
                let times = own.map(|number| {
                    std::thread::sleep(due(number).saturating_duration_since(Instant::now()));
                    ask(socket, due(number))
                });
                times.collect::<Vec<_>>()
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let took = start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{:.0} requests/s for {took:.1} s: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
        times.len() as f64 / took,
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}
