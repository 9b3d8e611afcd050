//! The client's end of the event stream.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use tokio::time::timeout;

use super::{Client, ClientError, filter_parameters};
use crate::event::StreamItem;
use crate::event_filter::EventFilter;
use crate::server::STREAM_SIGN_OF_LIFE;

const ENDPOINT: &str = "GET /v1/events";
/// Longest line of the stream in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Events as they come. Each call of `next` waits; `None` means that control ended the stream in order, an error that it
/// didn't. In both cases [`EventStream::reconnect`] goes on behind the last event.
pub struct EventStream<'client> {
    client: &'client Client,
    path: String,
    /// Id of the last event that was read whole.
    last_id: Option<String>,
    /// `id:` of the event being read. It counts only when the event is whole, or a cut would lose that event.
    id: Option<String>,
    body: Option<Incoming>,
    /// What has arrived and isn't read yet.
    buffer: Vec<u8>,
    /// How much of `buffer` is read.
    read: usize,
    /// `data:` of the event being read.
    data: Option<String>,
}

impl<'client> EventStream<'client> {
    pub(super) fn open(client: &'client Client, filter: &EventFilter) -> Result<Self, ClientError> {
        let parameters = filter_parameters(filter);
        let mut stream = Self {
            client,
            path: format!("/v1/events?{}", parameters.trim_start_matches('&')),
            last_id: None,
            id: None,
            body: None,
            buffer: Vec::new(),
            read: 0,
            data: None,
        };
        stream.reconnect()?;
        Ok(stream)
    }

    /// Opens the stream again behind the last event that `next` gave. What is gone meanwhile is told as lost.
    ///
    /// # Errors
    /// [`ClientError`]; try again later if [`ClientError::is_unreachable`].
    pub fn reconnect(&mut self) -> Result<(), ClientError> {
        self.body = None;
        self.buffer.clear();
        self.read = 0;
        self.id = None;
        self.data = None;
        let mut request = Request::builder().uri(&self.path).header("host", "loadlock");
        if let Some(id) = &self.last_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Full::new(Bytes::new())).map_err(|source| {
            ClientError::Broken { endpoint: ENDPOINT.to_owned(), source: source.into() }
        })?;
        let client = self.client;
        let answer = async { timeout(client.time, client.send(ENDPOINT, request)).await };
        let response = client.runtime.block_on(answer).map_err(|_| client.too_late(ENDPOINT))??;
        self.body = Some(response.into_body());
        Ok(())
    }

    /// The next line without its end; `None` at the stream's end.
    fn line(&mut self) -> Result<Option<String>, ClientError> {
        let mut searched = self.read;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let line = &self.buffer[self.read..searched + at];
                let text = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
                self.read = searched + at + 1;
                return Ok(Some(text));
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                return Err(broken("a line is longer than 1 MiB".into()));
            }
            match self.chunk()? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Some(body) = &mut self.body else {
            return Ok(None);
        };
        let silence = STREAM_SIGN_OF_LIFE * 3;
        loop {
            let frame =
                self.client.runtime.block_on(async { timeout(silence, body.frame()).await });
            let Ok(frame) = frame else {
                self.body = None;
                let socket = self.client.target.place().to_owned();
                return Err(ClientError::Timeout {
                    socket,
                    endpoint: ENDPOINT.to_owned(),
                    after: silence,
                });
            };
            match frame {
                None => {
                    self.body = None;
                    return Ok(None);
                }
                Some(Err(source)) => {
                    self.body = None;
                    return Err(broken(source.into()));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

impl Iterator for EventStream<'_> {
    type Item = Result<StreamItem, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.line() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.id = Some(value.to_owned()),
                // The server writes each event on one line.
                "data" => self.data = Some(value.to_owned()),
                "" if line.is_empty() => {
                    self.last_id = self.id.take().or(self.last_id.take());
                    if let Some(json) = self.data.take() {
                        let item = StreamItem::from_json(&json);
                        return Some(item.map_err(|source| ClientError::Unreadable {
                            endpoint: ENDPOINT.to_owned(),
                            source,
                        }));
                    }
                }
                _ => {}
            }
        }
    }
}

fn broken(source: Box<dyn std::error::Error + Send + Sync>) -> ClientError {
    ClientError::Broken { endpoint: ENDPOINT.to_owned(), source }
}
