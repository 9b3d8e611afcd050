//! Syslog servers: by datagrams (RFC 5426), by streams with octet counting (RFC 6587), the same in TLS (RFC 5425).

mod message;
mod tls;

use std::io::{ErrorKind, Write};
use std::net::{TcpStream, UdpSocket};

use loadlock_settings::{SyslogSettings, Target, Transport};
use rustls::{ClientConnection, StreamOwned};

use crate::delivery::{Delivery, Outlet};
use crate::item::Item;
use crate::net;
use message::Writer;

/// One server.
pub(crate) struct SyslogServer {
    target: Target,
    settings: SyslogSettings,
    writer: Writer,
    link: Link,
}

enum Link {
    None,
    Datagrams(UdpSocket),
    Stream(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl SyslogServer {
    pub fn new(target: Target, settings: &SyslogSettings) -> Self {
        let writer = Writer::new(settings.cef);
        Self { target, settings: settings.clone(), writer, link: Link::None }
    }
}

impl Drop for SyslogServer {
    /// Says good-bye, so that the server's log has no error.
    fn drop(&mut self) {
        if let Link::Tls(stream) = &mut self.link {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

impl Outlet for SyslogServer {
    fn connect(&mut self) -> Result<(), String> {
        self.link = Link::None;
        self.link = match self.target.transport {
            Transport::Udp => Link::Datagrams(net::udp(&self.target)?),
            Transport::Tcp => Link::Stream(net::tcp(&self.target)?),
            Transport::Tls => Link::Tls(Box::new(tls::connect(&self.target, &self.settings)?)),
        };
        Ok(())
    }

    fn deliver(&mut self, items: &[Item]) -> Delivery {
        if let Err(failure) = self.idle() {
            return Delivery { failure: Some(failure), ..Delivery::default() };
        }
        let messages: Vec<String> = items.iter().map(|item| self.writer.message(item)).collect();
        match &mut self.link {
            Link::None => Delivery::default(),
            Link::Datagrams(socket) => send(socket, &messages),
            Link::Stream(stream) => write(stream, &messages),
            Link::Tls(stream) => {
                let mut delivery = write(&mut **stream, &messages);
                // What TLS holds back was taken, and is written with the next batch at the latest.
                if delivery.failure.is_none()
                    && let Err(error) = stream.flush()
                {
                    delivery.failure = Some(net::broken(&error));
                }
                delivery
            }
        }
    }

    fn idle(&mut self) -> Result<(), String> {
        match &mut self.link {
            Link::None | Link::Datagrams(_) => Ok(()),
            Link::Stream(stream) => net::look(stream, &*stream),
            Link::Tls(stream) => tls::look(stream),
        }
    }
}

fn send(socket: &UdpSocket, messages: &[String]) -> Delivery {
    let mut delivery = Delivery::default();
    for message in messages {
        match socket.send(message.as_bytes()) {
            Ok(_) => {}
            // The answer to an earlier datagram, which is lost; this one wasn't sent.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                delivery.failure = Some(net::refused(&error));
                return delivery;
            }
            Err(error) => {
                delivery.taken += 1;
                delivery.lost += 1;
                delivery.failure = Some(net::refused(&error));
                return delivery;
            }
        }
        delivery.taken += 1;
    }
    delivery
}

/// Writes frames until one fails. A frame that was written in part is offered again: the receiver drops the half with the connection.
fn write(stream: &mut impl Write, messages: &[String]) -> Delivery {
    let mut delivery = Delivery::default();
    for message in messages {
        if let Err(error) = stream.write_all(frame(message).as_bytes()) {
            delivery.failure = Some(net::broken(&error));
            return delivery;
        }
        delivery.taken += 1;
    }
    delivery
}

/// Length in bytes, a space, the message: RFC 6587, section 3.4.1, and RFC 5425, section 4.3.
fn frame(message: &str) -> String {
    format!("{} {message}", message.len())
}
