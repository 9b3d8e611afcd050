//! `GET /metrics` by plain HTTP, within limits of number and time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{Format, write_metrics};
use crate::board::{Board, Boards};
use crate::sinks::Source;

/// Most connections at a time; more wait. A Prometheus has one.
const CONNECTIONS_MAX: usize = 8;
/// Time for a request's head to arrive.
const ARRIVAL_TIME: Duration = Duration::from_secs(5);
/// Time for a whole connection.
const CONNECTION_TIME: Duration = Duration::from_secs(30);
/// Between two attempts to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);
/// The longest time that a request to stop isn't noticed.
const STOP_NOTICED: Duration = Duration::from_millis(100);

/// What an answer is made from.
#[derive(Clone)]
struct Answerer {
    source: Arc<dyn Source>,
    board: Arc<Board>,
    boards: Boards,
}

/// Listens and answers until `stop`. An address that can't be had is tried again: it may belong to an interface that isn't up yet.
pub(crate) async fn serve(
    listen: SocketAddr,
    source: Arc<dyn Source>,
    board: Arc<Board>,
    boards: Boards,
    stop: &AtomicBool,
) {
    let answerer = Answerer { source, board: board.clone(), boards };
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut listener = None;
    while !stop.load(Ordering::Relaxed) {
        let Some(open) = &listener else {
            match TcpListener::bind(listen).await {
                Ok(open) => {
                    board.connected();
                    listener = Some(open);
                }
                Err(error) => {
                    board.failed(&format!(
                        "can't listen: {error}; free the port, or change outward.metrics.listen"
                    ));
                    let _ = timeout(LISTEN_AGAIN, stopped(stop)).await;
                }
            }
            continue;
        };
        let client = async {
            let permit = room.clone().acquire_owned().await;
            (permit, open.accept().await)
        };
        match timeout(STOP_NOTICED, client).await {
            Ok((permit, Ok((stream, _)))) => {
                let answerer = answerer.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    serve_one(stream, answerer).await;
                });
            }
            // Out of file descriptors, mostly: others must end first.
            Ok((_, Err(_))) => sleep(STOP_NOTICED).await,
            Err(_) => {}
        }
    }
}

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        sleep(STOP_NOTICED).await;
    }
}

async fn serve_one(stream: TcpStream, answerer: Answerer) {
    let service = service_fn(move |request| {
        let answerer = answerer.clone();
        async move { Ok::<_, Infallible>(answer(request, answerer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ARRIVAL_TIME)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // An error is the client's going away; there is nobody left to tell.
    let _ = timeout(CONNECTION_TIME, pin!(connection)).await;
}

async fn answer(request: Request<Incoming>, answerer: Answerer) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return respond(StatusCode::NOT_FOUND, Format::Prometheus, "only /metrics is here\n");
    }
    if request.method() != Method::GET {
        return respond(StatusCode::METHOD_NOT_ALLOWED, Format::Prometheus, "use GET\n");
    }
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let Answerer { source, board, boards } = answerer;
    // It waits for the core's turn.
    match tokio::task::spawn_blocking(move || source.figures()).await {
        Ok(Some(figures)) => {
            board.sent(1);
            respond(StatusCode::OK, format, write_metrics(&figures, &boards.report(), format))
        }
        _ => {
            board.lost(1);
            let text = "control's core doesn't answer; look at its log\n";
            respond(StatusCode::SERVICE_UNAVAILABLE, Format::Prometheus, text)
        }
    }
}

fn respond(status: StatusCode, format: Format, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
