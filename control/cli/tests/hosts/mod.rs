//! Hosts with the kernel's own TCP, UDP, ICMP, ARP and neighbour discovery, on both sides of a segment.
//!
//! ```text
//!  namespace …a1 ─┐                                            ┌─ namespace …b1
//!                 ├─ bridge a ─ …pa ═ appliance ═ …pb ─ bridge b ┤
//!  namespace …a2 ─┘                                            └─ namespace …b2
//! ```
//! The bridges have a namespace of their own; only the two ports are in that of the test. Names carry the test's process id.
//! A drop takes everything away, also when the test panics. Needs root, `ip`, `ethtool`, `ping` and `iperf3`.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of this module")]

pub mod ftp;
mod roles;
mod transfer;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use loadlock_api::Side;

use crate::appliance::wait_until;

pub use roles::{OTHER_PORT, TCP_PORT, UDP_PORT, play_role};
pub use transfer::Transfer;

/// What a kernel would leave to a card: frames must leave a host whole, with their checksums and no longer than the MTU.
const OFFLOADS: [&str; 8] = ["rx", "tx", "tso", "gso", "gro", "sg", "rxvlan", "txvlan"];

/// Neither duplicate address detection, which takes a second, nor questions for routers that aren't there.
const QUIET_IPV6: &str = "cd /proc/sys/net/ipv6/conf && for i in all default; do \
     echo 0 > $i/accept_dad; echo 0 > $i/router_solicitations; echo 0 > $i/accept_ra; done";

const NO_IPV6: &str =
    "cd /proc/sys/net/ipv6/conf && for i in all default; do echo 1 > $i/disable_ipv6; done";

/// The ports, the bridges and every host that has joined.
pub struct Network {
    tag: String,
    namespaces: Vec<String>,
}

impl Network {
    /// Both ports and bridges, without a host. Nothing in it sends a frame by itself.
    pub fn new() -> Self {
        let mut network = Self { tag: format!("ll{}", std::process::id()), namespaces: Vec::new() };
        let switch = network.add_namespace("sw");
        run(in_namespace(&switch, "sh").args(["-c", NO_IPV6]));
        for side in [Side::A, Side::B] {
            let (port, name) = (network.port(side), side.name());
            let (bridge, uplink) = (format!("bridge-{name}"), format!("uplink-{name}"));
            ip(&format!(
                "-n {switch} link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
            ));
            ip(&format!("-n {switch} link set {bridge} up"));
            ip(&format!("link add {port} type veth peer name {uplink} netns {switch}"));
            fs::write(format!("/proc/sys/net/ipv6/conf/{port}/disable_ipv6"), "1").unwrap();
            run(without_offloads(&mut Command::new("ethtool"), &port));
            ip(&format!("link set {port} promisc on up"));
            run(without_offloads(&mut in_namespace(&switch, "ethtool"), &uplink));
            ip(&format!("-n {switch} link set {uplink} master {bridge} up"));
        }
        network
    }

    /// The interface that is the appliance's port on a side.
    pub fn port(&self, side: Side) -> String {
        format!("{}p{}", self.tag, side.name())
    }

    /// What the kernel counted at a port, such as `rx_packets`. Nothing but the appliance sends there.
    pub fn kernel_count(&self, side: Side, counter: &str) -> u64 {
        let path = format!("/sys/class/net/{}/statistics/{counter}", self.port(side));
        fs::read_to_string(path).unwrap().trim().parse().unwrap()
    }

    /// A new host at a side's bridge.
    pub fn join(&mut self, side: Side, number: u8) -> Host {
        let (switch, name) = (format!("{}sw", self.tag), format!("{}{number}", side.name()));
        let namespace = self.add_namespace(&name);
        let low = number + if side == Side::A { 10 } else { 20 };
        let ipv4 = Ipv4Addr::new(10, 77, 0, low);
        let ipv6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, low.into());
        run(in_namespace(&namespace, "sh").args(["-c", QUIET_IPV6]));
        ip(&format!("link add eth0 netns {namespace} type veth peer name {name} netns {switch}"));
        run(without_offloads(&mut in_namespace(&namespace, "ethtool"), "eth0"));
        run(without_offloads(&mut in_namespace(&switch, "ethtool"), &name));
        ip(&format!("-n {switch} link set {name} master bridge-{} up", side.name()));
        ip(&format!("-n {namespace} address add {ipv4}/24 dev eth0"));
        ip(&format!("-n {namespace} address add {ipv6}/64 dev eth0 nodad"));
        ip(&format!("-n {namespace} link set lo up"));
        ip(&format!("-n {namespace} link set eth0 up"));
        Host { namespace, ipv4, ipv6 }
    }

    fn add_namespace(&mut self, name: &str) -> String {
        let namespace = format!("{}{name}", self.tag);
        ip(&format!("netns add {namespace}"));
        self.namespaces.push(namespace.clone());
        namespace
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The ports first: a namespace lives on while anything uses it, and its links with it.
        for side in [Side::A, Side::B] {
            let _ = Command::new("ip").args(["link", "delete", &self.port(side)]).output();
        }
        for namespace in &self.namespaces {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).output();
        }
    }
}

/// One host.
pub struct Host {
    namespace: String,
    /// Its IPv4 address.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address.
    pub ipv6: Ipv6Addr,
}

impl Host {
    /// Runs a program on this host to its end; its code, and all that it wrote.
    pub fn run(&self, program: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::null());
        let mut child =
            Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        child.end()
    }

    /// Starts a program on this host that runs until the value is dropped.
    pub fn spawn(&self, program: &str, arguments: &[&str]) -> Running {
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// Its station's address.
    pub fn mac(&self) -> String {
        let (_, text) = self.run("cat", &["/sys/class/net/eth0/address"]);
        text.trim().to_owned()
    }

    /// Opens so many connections to a server's [`TCP_PORT`], 32 at a time, and has a line sent back on each.
    pub fn connect_often(&self, to: SocketAddr, connections: usize) -> Try {
        let mut command = roles::command(self, &format!("often {to} {connections}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        Try { talk: Talk::Tcp(to), from: self.namespace.clone(), child: Running(child) }
    }

    /// Answers on [`TCP_PORT`], [`OTHER_PORT`] and [`UDP_PORT`], IPv4 and IPv6, until the value is dropped.
    pub fn serve(&self) -> Running {
        let mut command = roles::command(self, "serve");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let running = Running(child);
        let is_ready = lines.any(|line| line.contains(roles::READY));
        assert!(is_ready, "the servers of {} didn't start", self.namespace);
        // After a minute the test harness says that it runs still: on a closed pipe it would end.
        std::thread::spawn(move || lines.for_each(drop));
        running
    }

    /// Starts one try to talk to somebody.
    pub fn start(&self, talk: Talk) -> Try {
        let mut command = match talk {
            Talk::Ping(address) => {
                let mut command = self.command("ping");
                command.args(["-n", "-q", "-c", "3", "-i", "0.3", "-W", "1"]);
                command.arg(address.to_string());
                command
            }
            _ => roles::command(self, &format!("talk {talk}")),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        Try { talk, from: self.namespace.clone(), child: Running(child) }
    }

    /// From now on all its new conversations come from this port.
    pub fn send_from(&self, port: u16) {
        let range = format!("echo {port} {port} > /proc/sys/net/ipv4/ip_local_port_range");
        run(self.command("sh").args(["-c", &range]));
    }

    /// Forgets who has which address on the link; the next frame needs ARP or neighbour discovery again.
    pub fn forget_neighbours(&self) {
        // A neighbour that just asks for this host is known again at once.
        wait_until("all neighbours forgotten", Duration::from_secs(10), || {
            ip(&format!("-n {} neighbour flush dev eth0", self.namespace));
            self.neighbours().is_empty()
        });
    }

    /// Everybody whose address on the link it knows.
    pub fn neighbours(&self) -> String {
        let listed = ip(&format!("-n {} neighbour show dev eth0", self.namespace));
        let known = listed.lines().filter(|line| line.contains("lladdr"));
        known.map(|line| format!("{line}\n")).collect()
    }

    /// A program on this host. `ip netns exec` becomes the program, so the child's id is the program's.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        in_namespace(&self.namespace, program)
    }
}

/// One way to talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// A new TCP connection from a new port, a line there and back.
    Tcp(SocketAddr),
    /// A UDP request from a new port, sent again until it is answered.
    Udp(SocketAddr),
    /// Three echo requests.
    Ping(IpAddr),
}

impl std::fmt::Display for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(to) => write!(f, "tcp {to}"),
            Self::Udp(to) => write!(f, "udp {to}"),
            Self::Ping(to) => write!(f, "ping {to}"),
        }
    }
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer.
    Answered,
    /// Frames went out, nothing came back.
    Silent,
    /// Otherwise: refused, no route, an address that ARP didn't find.
    Failed(String),
}

/// A try under way.
pub struct Try {
    talk: Talk,
    from: String,
    child: Running,
}

impl Try {
    /// Waits for its end, which is a matter of seconds.
    pub fn end(mut self) -> (String, Outcome) {
        let what = format!("{}: {}", self.from, self.talk);
        let (code, text) = self.child.end();
        let is_silent = match self.talk {
            Talk::Ping(_) => code == Some(1) && text.contains(" 100% packet loss"),
            _ => code == Some(roles::SILENT),
        };
        let is_answered = match self.talk {
            Talk::Ping(_) => code == Some(0),
            _ => code == Some(roles::ANSWERED),
        };
        // ping counts hosts that nobody has the address of as lost packets with "+3 errors".
        let outcome = match (is_answered, is_silent && !text.contains("errors")) {
            (true, _) => Outcome::Answered,
            (_, true) => Outcome::Silent,
            _ => Outcome::Failed(format!("code {code:?}: {text}")),
        };
        (what, outcome)
    }
}

/// A child; a drop kills it.
pub struct Running(Child);

impl Running {
    /// Waits for its end: its code, and all that it wrote.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        if let Some(output) = self.0.stdout.take() {
            text += &std::io::read_to_string(output).unwrap();
        }
        if let Some(output) = self.0.stderr.take() {
            text += &std::io::read_to_string(output).unwrap();
        }
        (self.0.wait().unwrap().code(), text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn in_namespace(namespace: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

fn without_offloads<'a>(ethtool: &'a mut Command, interface: &str) -> &'a mut Command {
    ethtool.args(["-K", interface]);
    ethtool.args(OFFLOADS.into_iter().flat_map(|offload| [offload, "off"]))
}

fn ip(arguments: &str) -> String {
    run(Command::new("ip").args(arguments.split_whitespace()))
}

/// Runs a command to its end; panics with what it wrote if it fails.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {text}{err}", output.status);
    text
}
