//! The programs on a host: this test binary again, in another role, because nothing else is certain to be installed.

use std::env;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, exit};
use std::thread;
use std::time::Duration;

use super::Host;

/// TCP service that the test makes known.
pub const TCP_PORT: u16 = 5000;
/// UDP service that the test makes known.
pub const UDP_PORT: u16 = 5001;
/// TCP service beside it that nobody uses while learning.
pub const OTHER_PORT: u16 = 5999;

/// Line that tells that all servers listen.
pub const READY: &str = "the servers listen";
/// Exit code of a try that was answered; none that a panic or libtest gives.
pub const ANSWERED: i32 = 40;
/// Exit code of a try without any answer.
pub const SILENT: i32 = 41;

const ROLE: &str = "LOADLOCK_LIVE_ROLE";
/// A retransmission of a SYN fits in.
const CONNECT_PATIENCE: Duration = Duration::from_millis(2_500);
const UDP_TRIES: usize = 6;
const UDP_PATIENCE: Duration = Duration::from_millis(400);

/// This binary in a role on a host.
pub fn command(host: &Host, role: &str) -> Command {
    let mut command = host.command(env::current_exe().unwrap());
    command.args(["--exact", "role", "--nocapture"]).env(ROLE, role);
    command
}

/// Plays the role that this process was started for, and ends it; returns if there is none.
pub fn play_role() {
    let Ok(role) = env::var(ROLE) else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let outcome = match words[..] {
        ["serve"] => serve().map(|()| 0),
        ["talk", "tcp", to] => talk_tcp(to.parse().unwrap()),
        ["talk", "udp", to] => talk_udp(to.parse().unwrap()),
        ["often", to, connections] => often(to.parse().unwrap(), connections.parse().unwrap()),
        _ => panic!("no such role: {role}"),
    };
    let code = outcome.unwrap_or_else(|error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => SILENT,
        _ => panic!("{role}: {error}"),
    });
    exit(code);
}

/// Serves until the test closes the other end of stdin, be it by its own end.
fn serve() -> io::Result<()> {
    for port in [TCP_PORT, OTHER_PORT] {
        let listener = TcpListener::bind(("::", port))?;
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || echo(stream?));
            }
        });
    }
    let socket = UdpSocket::bind(("::", UDP_PORT))?;
    thread::spawn(move || {
        let mut request = [0; 64];
        while let Ok((bytes, from)) = socket.recv_from(&mut request) {
            let _ = socket.send_to(&request[..bytes], from);
        }
    });
    println!("{READY}");
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

fn echo(stream: TcpStream) -> io::Result<()> {
    let mut answers = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        writeln!(answers, "{}", line?)?;
    }
    Ok(())
}

fn talk_tcp(to: SocketAddr) -> io::Result<i32> {
    let mut stream = TcpStream::connect_timeout(&to, CONNECT_PATIENCE)?;
    stream.set_read_timeout(Some(CONNECT_PATIENCE))?;
    let request = format!("from {}\n", stream.local_addr()?);
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    assert_eq!(answer, request);
    Ok(ANSWERED)
}

/// Each connection from a port of its own, closed by the client.
fn often(to: SocketAddr, connections: usize) -> io::Result<i32> {
    const AT_A_TIME: usize = 32;
    let threads: Vec<_> = (0..AT_A_TIME)
        .map(|first| {
            thread::spawn(move || {
                (first..connections).step_by(AT_A_TIME).try_for_each(|_| talk_tcp(to).map(drop))
            })
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().unwrap())?;
    Ok(ANSWERED)
}

fn talk_udp(to: SocketAddr) -> io::Result<i32> {
    let own = if to.is_ipv4() { "0.0.0.0" } else { "::" };
    let socket = UdpSocket::bind((own, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(UDP_PATIENCE))?;
    let mut answer = [0; 64];
    for _ in 0..UDP_TRIES {
        socket.send(b"request")?;
        match socket.recv(&mut answer) {
            Ok(bytes) => {
                assert_eq!(&answer[..bytes], b"request");
                return Ok(ANSWERED);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(SILENT)
}
