//! Records of conversations for flow collectors: IPFIX (RFC 7011) by UDP or TCP.
//!
//! One record when a conversation ends, one for each report of a denied one; both directions in one record (RFC 5103), the client as
//! source. What isn't IP has no record: collectors key by IP addresses. Nor has what still runs: its record comes with its end.

mod record;
mod template;

use std::io::{ErrorKind, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use loadlock_settings::{IpfixSettings, Target, Transport};

use crate::board::now;
use crate::delivery::{Delivery, Outlet};
use crate::item::Item;
use crate::net;
use record::Record;
use template::{IPV4, IPV6, Template};

/// Set id of templates (RFC 7011, section 3.3.2).
const TEMPLATE_SET: u16 = 2;
const VERSION: u16 = 10;
const HEADER_BYTES: usize = 16;
/// Longest message: fits into an Ethernet frame behind the headers of IPv6 and UDP.
const MESSAGE_BYTES_MAX: usize = 1400;

/// One collector.
pub(crate) struct Collector {
    target: Target,
    domain: u32,
    template_interval: Duration,
    link: Link,
    /// Data records sent to this collector over this connection, modulo 2^32.
    sequence: u32,
    templates_sent: Option<Instant>,
}

enum Link {
    None,
    Datagrams(UdpSocket),
    Stream(TcpStream),
}

impl Collector {
    pub fn new(target: Target, settings: &IpfixSettings) -> Self {
        Self {
            target,
            domain: settings.domain,
            template_interval: settings.template_interval,
            link: Link::None,
            sequence: 0,
            templates_sent: None,
        }
    }

    /// Sends one message with a set of its own; `records` is how many data records are in it.
    fn send(&mut self, set: &[u8], records: u32) -> Result<(), std::io::Error> {
        let seconds = u32::try_from(now().ns() / 1_000_000_000).unwrap_or(u32::MAX);
        let length = u16::try_from(HEADER_BYTES + set.len()).unwrap_or(u16::MAX);
        let mut message = Vec::with_capacity(HEADER_BYTES + set.len());
        message.extend(VERSION.to_be_bytes());
        message.extend(length.to_be_bytes());
        message.extend(seconds.to_be_bytes());
        message.extend(self.sequence.to_be_bytes());
        message.extend(self.domain.to_be_bytes());
        message.extend(set);
        match &mut self.link {
            Link::None => return Err(ErrorKind::NotConnected.into()),
            Link::Datagrams(socket) => drop(socket.send(&message)?),
            Link::Stream(stream) => stream.write_all(&message)?,
        }
        self.sequence = self.sequence.wrapping_add(records);
        Ok(())
    }

    /// By UDP again and again: a collector that was restarted can't read anything without them.
    fn send_templates_if_due(&mut self) -> Result<(), std::io::Error> {
        let is_datagrams = matches!(self.link, Link::Datagrams(_));
        let is_due = match self.templates_sent {
            None => true,
            Some(sent) => is_datagrams && sent.elapsed() >= self.template_interval,
        };
        if is_due {
            self.send(&set(TEMPLATE_SET, &[IPV4.definition(), IPV6.definition()]), 0)?;
            self.templates_sent = Some(Instant::now());
        }
        Ok(())
    }

    fn explain(&self, error: &std::io::Error) -> String {
        match self.link {
            Link::Stream(_) => net::broken(error),
            _ => net::refused(error),
        }
    }
}

/// A set: its id, its length, its records.
fn set(id: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let length = 4 + records.iter().map(Vec::len).sum::<usize>();
    let mut set = Vec::with_capacity(length);
    set.extend(id.to_be_bytes());
    set.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    records.iter().for_each(|record| set.extend(record));
    set
}

impl Outlet for Collector {
    fn connect(&mut self) -> Result<(), String> {
        self.link = Link::None;
        self.link = match self.target.transport {
            Transport::Udp => Link::Datagrams(net::udp(&self.target)?),
            Transport::Tcp | Transport::Tls => Link::Stream(net::tcp(&self.target)?),
        };
        // A connection is a transport session, and numbers count within one (RFC 7011, section 3.1).
        (self.sequence, self.templates_sent) = (0, None);
        self.idle()
    }

    fn deliver(&mut self, items: &[Item]) -> Delivery {
        if let Err(failure) = self.idle() {
            return Delivery { failure: Some(failure), ..Delivery::default() };
        }
        let mut delivery = Delivery::default();
        while delivery.taken < items.len() {
            let group = Group::of(&items[delivery.taken..]);
            if let Some(template) = group.template {
                let count = u32::try_from(group.records.len()).unwrap_or(u32::MAX);
                let message = set(template.id, &group.records);
                if let Err(error) = self.send(&message, count) {
                    delivery.failure = Some(self.explain(&error));
                    return delivery;
                }
            }
            delivery.taken += group.items;
            delivery.skipped += group.items - group.records.len();
        }
        delivery
    }

    fn idle(&mut self) -> Result<(), String> {
        if let Link::Stream(stream) = &self.link {
            net::look(stream, stream)?;
        }
        self.send_templates_if_due().map_err(|error| self.explain(&error))
    }
}

/// Items from the first on that fit into one message with one template.
struct Group {
    template: Option<&'static Template>,
    records: Vec<Vec<u8>>,
    /// With those between that have no record.
    items: usize,
}

impl Group {
    fn of(items: &[Item]) -> Self {
        let mut group = Self { template: None, records: Vec::new(), items: 0 };
        let mut room = MESSAGE_BYTES_MAX - HEADER_BYTES - 4;
        for item in items {
            if let Item::Event(event) = item
                && let Some(record) = Record::of(event)
            {
                let template = record.template();
                let is_same = group.template.is_none_or(|first| first.id == template.id);
                let bytes = record.encode();
                if !is_same || bytes.len() > room {
                    break;
                }
                room -= bytes.len();
                group.template = Some(template);
                group.records.push(bytes);
            }
            group.items += 1;
        }
        group
    }
}

#[cfg(test)]
mod tests;
