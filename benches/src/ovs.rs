//! Open vSwitch with DPDK, in a database and with sockets of its own, on the same captures.
//!
//! An Open vSwitch that the machine runs for itself isn't touched. Both ports are `net_pcap` devices that it makes itself; one
//! polling thread on CPU 1 does the work.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::load::{Load, allowed_pairs};
use crate::process::Process;
use crate::report::Run;

/// Where Debian's `openvswitch-switch-dpdk` puts the daemon.
const VSWITCHD: &str = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// Frames that fit into its packet buffers, of which one pool has 262,144 (`MAX_NB_MBUF`), less those of queues and caches.
pub const FRAMES_MAX: u32 = 220_000;

/// What the switch is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// What comes in on one port goes out on the other.
    PortToPort,
    /// One flow for each client, its server and the service, in each direction; else dropped.
    Exact,
    /// The same allowlist for new connections, with connection tracking; answers by the tracked state.
    Conntrack,
}

/// Whether the daemon is there.
#[must_use]
pub fn installed() -> bool {
    Path::new(VSWITCHD).is_file()
}

/// Runs it for `seconds` and returns the packets per second that both ports sent together.
///
/// # Errors
/// It can't start, doesn't take a port or a rule, or forwards less than it receives.
pub fn run(rules: Rules, load: &Load, seconds: u32, folder: &Path) -> io::Result<Run> {
    let switch = Switch::start(load, folder)?;
    let flows = folder.join("ovs-flows");
    fs::write(&flows, flow_table(rules, load)?)?;
    switch.tool("ovs-ofctl", &["-OOpenFlow13", "add-flows", "br0"], Some(&flows))?;
    // Until connections are tracked and the caches are filled; the second pass over the capture is the first that counts.
    std::thread::sleep(Duration::from_millis(1500));
    let (start, before) = (Instant::now(), switch.counters()?);
    std::thread::sleep(Duration::from_secs(u64::from(seconds)));
    let (elapsed, after) = (start.elapsed(), switch.counters()?);
    let (received, sent) = (after.received - before.received, after.sent - before.sent);
    // The counters of two ports aren't read at the same moment.
    if sent * 100 < received * 98 {
        let why = format!("{received} frames received, {sent} sent; rules {rules:?}");
        return Err(io::Error::other(why));
    }
    let pps = sent as f64 / elapsed.as_secs_f64();
    Ok(Run { pps, cpu_taken_away: switch.process.cpu_taken_away() })
}

fn flow_table(rules: Rules, load: &Load) -> io::Result<String> {
    let mut text = String::from("table=0,priority=0,actions=drop\n");
    if rules == Rules::PortToPort {
        text += "table=0,priority=9,in_port=1,actions=output:2\n";
        text += "table=0,priority=9,in_port=2,actions=output:1\n";
        return Ok(text);
    }
    let (table, permitted) = match rules {
        Rules::Conntrack => (1, "ct_state=+trk+new,"),
        _ => (0, ""),
    };
    if rules == Rules::Conntrack {
        text += "table=0,priority=9,tcp,ct_state=-trk,actions=ct(table=1)\n";
        text += "table=1,priority=9,in_port=1,tcp,ct_state=+trk+est,actions=output:2\n";
        text += "table=1,priority=9,in_port=2,tcp,ct_state=+trk+est,actions=output:1\n";
        text += "table=1,priority=0,actions=drop\n";
    }
    for (client, server, service) in allowed_pairs(load)? {
        let forward = match rules {
            Rules::Conntrack => "ct(commit),output:2",
            _ => "output:2",
        };
        let failed = |error: std::fmt::Error| io::Error::other(error);
        writeln!(
            text,
            "table={table},priority=5,in_port=1,tcp,{permitted}nw_src={client},nw_dst={server},tp_dst={service},actions={forward}"
        )
        .map_err(failed)?;
        if rules == Rules::Exact {
            writeln!(
                text,
                "table=0,priority=5,in_port=2,tcp,nw_src={server},nw_dst={client},tp_src={service},actions=output:1"
            )
            .map_err(failed)?;
        }
    }
    Ok(text)
}

struct Counters {
    received: u64,
    sent: u64,
}

/// A running switch with one bridge, `br0`, and the captures on its ports 1 and 2.
struct Switch {
    folder: PathBuf,
    // In this order they end: the switch before its database.
    process: Process,
    _database: Process,
}

impl Switch {
    fn start(load: &Load, folder: &Path) -> io::Result<Self> {
        let folder = folder.join("ovs");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let database = folder.join("conf.db");
        tool(&folder, "ovsdb-tool", &["create", &text(&database), SCHEMA], None)?;
        let socket = folder.join("db.sock");
        let mut command = with_folder(Command::new("ovsdb-server"), &folder);
        command.arg(&database).arg(format!("--remote=punix:{}", socket.display()));
        command.arg(format!("--unixctl={}", folder.join("ovsdb.ctl").display()));
        let mut server = Process::start(command, &folder.join("ovsdb.log"))?;
        let time = Duration::from_secs(20);
        server.wait_for("ovsdb-server", time, || Ok(socket.exists().then_some(())))?;
        let vsctl = |arguments: &[&str]| tool(&folder, "ovs-vsctl", arguments, None);
        vsctl(&["--no-wait", "init"])?;
        let extra = "other_config:dpdk-extra=--no-pci --in-memory --no-telemetry";
        vsctl(&[
            "--no-wait",
            "set",
            "Open_vSwitch",
            ".",
            "other_config:dpdk-init=true",
            "other_config:dpdk-lcore-mask=0x1",
            "other_config:pmd-cpu-mask=0x2",
            "other_config:dpdk-socket-mem=1024",
            extra,
        ])?;
        let mut command = with_folder(Command::new(VSWITCHD), &folder);
        command.arg(format!("unix:{}", socket.display()));
        command.arg(format!("--unixctl={}", folder.join("vswitchd.ctl").display()));
        let mut switch = Process::start(command, &folder.join("vswitchd.log"))?;
        let control = folder.join("vswitchd.ctl");
        switch.wait_for("ovs-vswitchd", Duration::from_secs(60), || {
            Ok(control.exists().then_some(()))
        })?;
        let port = |index: u32, path: &Path| {
            format!("options:dpdk-devargs=net_pcap{index},rx_pcap={},infinite_rx=1", path.display())
        };
        let mut arguments: Vec<String> =
            ["--timeout=60", "add-br", "br0", "--", "set", "bridge", "br0"]
                .map(str::to_owned)
                .into();
        arguments.extend(["datapath_type=netdev", "fail_mode=secure"].map(str::to_owned));
        for (number, path) in [(1, &load.side_a), (2, &load.side_b)] {
            arguments.extend(["--", "add-port", "br0"].map(str::to_owned));
            arguments.extend([format!("p{number}"), "--".to_owned(), "set".to_owned()]);
            arguments.extend([
                "Interface".to_owned(),
                format!("p{number}"),
                "type=dpdk".to_owned(),
            ]);
            arguments.extend([port(number, path), format!("ofport_request={number}")]);
        }
        vsctl(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Self { folder, process: switch, _database: server })
    }

    fn tool(&self, program: &str, arguments: &[&str], file: Option<&Path>) -> io::Result<String> {
        tool(&self.folder, program, arguments, file)
    }

    fn counters(&self) -> io::Result<Counters> {
        let control = text(&self.folder.join("vswitchd.ctl"));
        let said = self.tool("ovs-appctl", &["-t", &control, "dpctl/show", "-s"], None)?;
        Ok(counters(&said))
    }
}

/// Sums of what all physical ports received and sent, from `dpctl/show -s`.
fn counters(said: &str) -> Counters {
    let mut counters = Counters { received: 0, sent: 0 };
    let mut counts = false;
    for line in said.lines().map(str::trim) {
        if line.starts_with("port ") {
            counts = line.contains("(dpdk");
        }
        let packets = |start: &str| -> Option<u64> {
            line.strip_prefix(start)?.split_whitespace().next()?.parse().ok()
        };
        if counts {
            counters.received += packets("RX packets:").unwrap_or(0);
            counters.sent += packets("TX packets:").unwrap_or(0);
        }
    }
    counters
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn with_folder(mut command: Command, folder: &Path) -> Command {
    for name in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"] {
        command.env(name, folder);
    }
    command
}

fn tool(
    folder: &Path,
    program: &str,
    arguments: &[&str],
    file: Option<&Path>,
) -> io::Result<String> {
    let mut command = with_folder(Command::new(program), folder);
    let output = command.args(arguments).args(file).output()?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // ovs-vsctl succeeds though a port doesn't come up, and says so.
    if !output.status.success() || !output.stderr.is_empty() {
        let (status, stderr) = (output.status, said(&output.stderr));
        let log = fs::read_to_string(folder.join("vswitchd.log")).unwrap_or_default();
        return Err(io::Error::other(format!(
            "{program} {arguments:?}: {status}: {stderr}\n{log}"
        )));
    }
    Ok(said(&output.stdout))
}

#[cfg(test)]
mod tests {
    #[test]
    fn counters_are_those_of_the_physical_ports() {
        let said = "netdev@ovs-netdev:\n  port 0: ovs-netdev (tap)\n    RX packets:7 errors:0\n    TX packets:7 errors:0\n  \
                    port 1: p1 (dpdk: configured_rx_queues=1)\n    RX packets:40 errors:0\n    TX packets:2 errors:1\n";
        let counters = super::counters(said);
        assert_eq!((counters.received, counters.sent), (40, 2));
    }
}
