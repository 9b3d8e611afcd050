//! Sockets to receivers: every wait has an end.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use loadlock_settings::Target;

/// For a connection to be made, and for a write to be taken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The addresses of a target; at least one.
fn addresses(target: &Target) -> Result<Vec<SocketAddr>, String> {
    let found = (target.host.as_str(), target.port).to_socket_addrs();
    let found: Vec<_> = found
        .map_err(|error| {
            format!("can't find {}: {error}; check the name and the DNS server", target.host)
        })?
        .collect();
    match found.is_empty() {
        true => Err(format!("{} has no address; check the DNS entry", target.host)),
        false => Ok(found),
    }
}

/// A stream to the target.
pub(crate) fn tcp(target: &Target) -> Result<TcpStream, String> {
    let mut last = None;
    for address in addresses(target)? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                // Without them a receiver that hangs would keep this sink from ever giving up.
                let set = stream
                    .set_write_timeout(Some(PATIENCE))
                    .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
                    .and_then(|()| stream.set_nodelay(true));
                return set.map(|()| stream).map_err(|error| unreachable(&error));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(String::new, |error| unreachable(&error)))
}

fn unreachable(error: &io::Error) -> String {
    format!("can't connect: {error}; check the receiver, and firewalls on the way")
}

/// A socket that sends to the target and hears from nobody else.
pub(crate) fn udp(target: &Target) -> Result<UdpSocket, String> {
    let address = addresses(target)?[0];
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let bound = UdpSocket::bind(any);
    let socket = bound.and_then(|socket| socket.connect(address).map(|()| socket));
    socket.map_err(|error| unreachable(&error))
}

/// Has the other end closed the stream? What it says otherwise is read and thrown away; it has nothing to say.
pub(crate) fn look(stream: &TcpStream, mut read: impl Read) -> Result<(), String> {
    let set = |nonblocking| stream.set_nonblocking(nonblocking).map_err(|error| broken(&error));
    set(true)?;
    let mut heard = [0; 1024];
    let found = read.read(&mut heard);
    set(false)?;
    match found {
        Ok(0) => Err("the receiver has closed the connection; look at its log".to_owned()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(broken(&error)),
    }
}

/// A stream that was there and isn't any more.
pub(crate) fn broken(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            "the receiver has taken nothing for 5 s; look at its load".to_owned()
        }
        _ => format!("the connection broke: {error}; look at the receiver's log"),
    }
}

/// A datagram that wasn't taken.
pub(crate) fn refused(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            "the machine is there and nothing listens on the port; check the receiver".to_owned()
        }
        _ => format!("can't send: {error}; check the route to the receiver"),
    }
}
