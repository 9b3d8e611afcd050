//! TCP conversations with right sequence numbers: nothing for Wireshark's analysis to complain about.

use std::net::IpAddr;

use crate::frame::{Tcp, TcpFlags};
use crate::random::SplitMix64;

use super::{ConversationError, Direction, Host, Pace, TimedFrame};

/// Bytes of data in a full segment over IPv4; over IPv6 a frame is 20 bytes longer, within 1514 + tag.
const SEGMENT_BYTES_MAX: usize = 1440;
/// Between segments sent back to back: what a full frame takes at about 1 Gbit/s, in whole microseconds.
const SEGMENT_GAP_NS: u64 = 12_000;

/// One end of a connection.
#[derive(Debug, Clone, Copy)]
struct End {
    host: Host,
    port: u16,
    /// Next sequence number to send.
    sequence: u32,
    identification: u16,
}

/// An open TCP connection that makes frames as it is used; [`TcpSession::take_frames`] hands them out.
#[derive(Debug, Clone)]
pub struct TcpSession {
    ends: [End; 2],
    pace: Pace,
    clock_ns: u64,
    frames: Vec<TimedFrame>,
}

/// What the other end says to a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynAnswer {
    /// Nothing: filtered, or cut off by the appliance. The SYN is repeated after 1 s and after 3 s.
    Silence,
    /// A reset: the port is closed.
    Reset,
    /// SYN and ACK: the port is open; the scanner resets the connection.
    Accept,
}

impl TcpSession {
    /// Opens a connection with a full handshake.
    ///
    /// # Errors
    /// [`ConversationError`] when the hosts can't talk.
    pub fn open(
        pace: Pace,
        client: &Host,
        server: &Host,
        client_port: u16,
        server_port: u16,
    ) -> Result<Self, ConversationError> {
        let mut session = Self::prepare(pace, client, server, client_port, server_port)?;
        session.emit(Direction::ToServer, TcpFlags::SYN, &[])?;
        session.clock_ns += pace.half_trip_ns;
        session.emit(Direction::ToClient, TcpFlags::SYN | TcpFlags::ACK, &[])?;
        session.clock_ns += pace.half_trip_ns;
        session.emit(Direction::ToServer, TcpFlags::ACK, &[])?;
        Ok(session)
    }

    /// Sends `data` in as many segments as it needs; the other end acknowledges every second segment and the last one.
    /// Nothing happens when `data` is empty.
    ///
    /// # Errors
    /// None for a session that could be opened, except a [`ConversationError::Frame`] that can't occur within the
    /// limits.
    pub fn send(&mut self, direction: Direction, data: &[u8]) -> Result<(), ConversationError> {
        if data.is_empty() {
            return Ok(());
        }
        self.clock_ns += self.pace.think_ns;
        let segments = data.len().div_ceil(SEGMENT_BYTES_MAX);
        for (index, segment) in data.chunks(SEGMENT_BYTES_MAX).enumerate() {
            let is_last = index + 1 == segments;
            let push = if is_last { TcpFlags::PSH } else { TcpFlags::NONE };
            self.clock_ns += SEGMENT_GAP_NS;
            self.emit(direction, TcpFlags::ACK | push, segment)?;
            if is_last || index % 2 == 1 {
                self.clock_ns += self.pace.half_trip_ns;
                self.emit(direction.reversed(), TcpFlags::ACK, &[])?;
            }
        }
        Ok(())
    }

    /// Moves the session's clock to `time_ns`, if that is later: the connection is idle until then.
    pub fn wait_until(&mut self, time_ns: u64) {
        self.clock_ns = self.clock_ns.max(time_ns);
    }

    /// Time of the last frame.
    pub fn clock_ns(&self) -> u64 {
        self.clock_ns
    }

    /// Closes the connection with FIN from the end that sends in `direction`, then from the other.
    ///
    /// # Errors
    /// As [`TcpSession::send`].
    pub fn close(&mut self, direction: Direction) -> Result<(), ConversationError> {
        self.clock_ns += self.pace.think_ns;
        self.emit(direction, TcpFlags::FIN | TcpFlags::ACK, &[])?;
        self.clock_ns += self.pace.half_trip_ns;
        self.emit(direction.reversed(), TcpFlags::FIN | TcpFlags::ACK, &[])?;
        self.clock_ns += self.pace.half_trip_ns;
        self.emit(direction, TcpFlags::ACK, &[])
    }

    /// Hands out the frames made since the last call, in time order.
    pub fn take_frames(&mut self) -> Vec<TimedFrame> {
        std::mem::take(&mut self.frames)
    }

    /// A session before its SYN. Initial sequence numbers come from the endpoints and the time, so that they differ
    /// from conversation to conversation and yet are the same in every run.
    fn prepare(
        pace: Pace,
        client: &Host,
        server: &Host,
        client_port: u16,
        server_port: u16,
    ) -> Result<Self, ConversationError> {
        let (from, to) = client.addresses_with(server)?.pair();
        let ports = u64::from(client_port) << 16 | u64::from(server_port);
        let parts = [address_bits(from), address_bits(to), ports];
        let mut random = SplitMix64::for_part(pace.start_ns, &parts);
        let mut end = |host: &Host, port| End {
            host: *host,
            port,
            sequence: random.next_u64() as u32,
            identification: random.next_u64() as u16,
        };
        Ok(Self {
            ends: [end(client, client_port), end(server, server_port)],
            pace,
            clock_ns: pace.start_ns,
            frames: Vec::new(),
        })
    }

    /// Makes one segment at the clock's time and counts its sequence numbers.
    fn emit(
        &mut self,
        direction: Direction,
        flags: TcpFlags,
        data: &[u8],
    ) -> Result<(), ConversationError> {
        let (from, to) = match direction {
            Direction::ToServer => (0, 1),
            Direction::ToClient => (1, 0),
        };
        let (sender, receiver) = (self.ends[from], self.ends[to]);
        let mut tcp = Tcp::new(sender.port, receiver.port).sequence(sender.sequence).flags(flags);
        let is_syn = flags.0 & TcpFlags::SYN.0 != 0;
        if is_syn {
            tcp = tcp.segment_bytes_max(1460);
        }
        if flags.0 & TcpFlags::ACK.0 != 0 {
            tcp = tcp.acknowledgement(receiver.sequence);
        }
        let bytes = sender
            .host
            .packet_to(&receiver.host, sender.identification)?
            .tcp(tcp)
            .payload(data)
            .build()?;
        self.frames.push(TimedFrame { time_ns: self.clock_ns, side: sender.host.side, bytes });
        let is_fin = flags.0 & TcpFlags::FIN.0 != 0;
        let counted = data.len() as u32 + u32::from(is_syn) + u32::from(is_fin);
        let end = &mut self.ends[from];
        end.sequence = end.sequence.wrapping_add(counted);
        end.identification = end.identification.wrapping_add(1);
        Ok(())
    }
}

/// Bits of an address that tell hosts apart, for seeding.
fn address_bits(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() ^ (address.to_bits() >> 64)) as u64,
    }
}

/// A whole conversation: handshake, the exchanges with that many bytes of filler each, close by the client.
///
/// # Errors
/// [`ConversationError`] when the hosts can't talk.
pub fn tcp_conversation(
    pace: Pace,
    client: &Host,
    server: &Host,
    client_port: u16,
    server_port: u16,
    exchanges: &[(Direction, usize)],
) -> Result<Vec<TimedFrame>, ConversationError> {
    let mut session = TcpSession::open(pace, client, server, client_port, server_port)?;
    let mut filler = SplitMix64::new(pace.start_ns);
    for (direction, bytes) in exchanges {
        session.send(*direction, &filler.bytes(*bytes))?;
    }
    session.close(Direction::ToServer)?;
    Ok(session.take_frames())
}

/// A SYN and what comes of it, as a scanner makes.
///
/// # Errors
/// [`ConversationError`] when the hosts can't talk.
pub fn tcp_attempt(
    pace: Pace,
    client: &Host,
    server: &Host,
    client_port: u16,
    server_port: u16,
    answer: SynAnswer,
) -> Result<Vec<TimedFrame>, ConversationError> {
    let mut session = TcpSession::prepare(pace, client, server, client_port, server_port)?;
    let first_sequence = session.ends[0].sequence;
    session.emit(Direction::ToServer, TcpFlags::SYN, &[])?;
    match answer {
        SynAnswer::Silence => {
            for later_ns in [1_000_000_000, 3_000_000_000] {
                session.ends[0].sequence = first_sequence;
                session.clock_ns = pace.start_ns + later_ns;
                session.emit(Direction::ToServer, TcpFlags::SYN, &[])?;
            }
        }
        SynAnswer::Reset => {
            // A reset to a SYN has sequence 0 (RFC 9293 section 3.10.7.1).
            session.ends[1].sequence = 0;
            session.clock_ns += pace.half_trip_ns;
            session.emit(Direction::ToClient, TcpFlags::RST | TcpFlags::ACK, &[])?;
        }
        SynAnswer::Accept => {
            session.clock_ns += pace.half_trip_ns;
            session.emit(Direction::ToClient, TcpFlags::SYN | TcpFlags::ACK, &[])?;
            session.clock_ns += pace.half_trip_ns;
            session.emit(Direction::ToServer, TcpFlags::RST, &[])?;
        }
    }
    Ok(session.take_frames())
}
