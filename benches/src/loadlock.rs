//! Our dataplane on the same captures, with this program in control's place.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use loadlock_exchange::{
    ControlExchange, DataplaneState, Infrastructure, Mode, PolicyImage, PortTally, RuleEntry,
    SegmentPolicy, WORKER_COUNTERS, WorkerCounter, seed,
};
use loadlock_settings::Settings;

use crate::load::Load;
use crate::process::Process;

/// Where the dataplane's frames come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The load's captures, over and over; what is sent vanishes.
    Captures,
    /// Another process, over shared memory.
    Memif,
}

/// How the dataplane is started. [`Setup::established`] is what most cases measure.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub dataplane: PathBuf,
    /// What the ports receive.
    pub load: Load,
    /// From where.
    pub ports: Ports,
    /// The compiled rules.
    pub rules: Vec<RuleEntry>,
    /// Mode of the one segment.
    pub mode: Mode,
    /// Conversations that a flow table holds.
    pub capacity: u32,
    /// For how long running conversations are adopted after the start.
    pub grace_s: u32,
    /// One burst in this many is timed.
    pub latency_sample_bursts: u32,
    /// CPU of the worker, 0 or 1; the main thread, which sleeps, has the other.
    pub worker_core: u16,
    /// Further lines of `[control]`.
    pub control: String,
    /// Descriptors of a memif ring as a power of two; None: the driver's 10.
    pub memif_ring_log2: Option<u8>,
    /// Packet buffers; None: what the load's captures need.
    pub mbufs: Option<u32>,
    /// Whether the process takes its memory from hugepages; only then does its speed say something.
    pub hugepages: bool,
    /// Where configuration, exchange and log lie; no two running dataplanes share it.
    pub folder: PathBuf,
}

impl Setup {
    /// An enforced allowlist, and a flow table that holds every conversation of the load.
    #[must_use]
    pub fn established(
        dataplane: &Path,
        load: &Load,
        rules: Vec<RuleEntry>,
        folder: &Path,
    ) -> Self {
        Self {
            dataplane: dataplane.to_owned(),
            load: load.clone(),
            ports: Ports::Captures,
            rules,
            mode: Mode::Enforce,
            capacity: load.conversations().max(65_536),
            grace_s: 86_400,
            latency_sample_bursts: 64,
            worker_core: 1,
            control: String::new(),
            memif_ring_log2: None,
            mbufs: None,
            hugepages: true,
            folder: folder.to_owned(),
        }
    }

    /// Of EAL's runtime files, which there are without hugepages only.
    pub(crate) fn prefix(&self) -> String {
        format!("loadlock-bench-{}-{}", std::process::id(), self.worker_core)
    }

    fn exchange(&self) -> PathBuf {
        self.folder.join("exchange")
    }

    /// The configuration.
    #[must_use]
    pub fn settings_text(&self) -> String {
        let (narrow, wide) =
            if self.load.frames.narrow() { (self.capacity, 1024) } else { (1024, self.capacity) };
        format!(
            r#"[dataplane]
main_core = {main_core}
worker_cores = [{worker_core}]
file_prefix = "{prefix}"
hugepages = {hugepages}
mbufs = {mbufs}
policy_wait_ms = 600000
watchdog_ms = 10000
latency_sample_bursts = {sample}
[exchange]
path = "{exchange}"
rule_capacity = {rules}
[flows]
narrow_capacity = {narrow}
wide_capacity = {wide}
midstream_grace_s = {grace}
[[port]]
name = "a"
{port_a}
[[port]]
name = "b"
{port_b}
[[segment]]
name = "bench"
side_a = "a"
side_b = "b"
mode = "enforce"
[control]
core = {main_core}
{control}
"#,
            main_core = 1 - self.worker_core,
            control = self.control,
            worker_core = self.worker_core,
            prefix = self.prefix(),
            hugepages = self.hugepages,
            mbufs = self.mbufs.unwrap_or_else(|| self.load.mbufs()),
            sample = self.latency_sample_bursts,
            grace = self.grace_s,
            exchange = self.exchange().display(),
            rules = self.rules.len().max(1024),
            port_a = self.port_text(0),
            port_b = self.port_text(1),
        )
    }

    fn port_text(&self, port: usize) -> String {
        match self.ports {
            Ports::Captures => {
                let capture = [&self.load.side_a, &self.load.side_b][port].display();
                format!(
                    "device = \"net_pcap\"\noptions = {{ rx_pcap = \"{capture}\", infinite_rx = true }}"
                )
            }
            Ports::Memif => format!(
                "device = \"net_memif\"\noptions = {{ role = \"server\", id = {port}, socket = \"{}\", socket-abstract = false }}",
                self.memif_socket().display()
            ),
        }
    }

    fn memif_socket(&self) -> PathBuf {
        self.folder.join("memif")
    }

    /// The `--vdev` texts of the process at the far ends of both ports.
    #[must_use]
    pub fn memif_far_ends(&self) -> [String; 2] {
        let ring = self.memif_ring_log2.map_or(String::new(), |log2| format!(",rsize={log2}"));
        [0, 1].map(|port| {
            let socket = self.memif_socket();
            format!(
                "net_memif{port},role=client,id={port},socket={},socket-abstract=no{ring}",
                socket.display()
            )
        })
    }

    /// The policy, compiled with a seed of its own.
    ///
    /// # Errors
    /// It doesn't fit the exchange.
    pub fn compile(&self, version: u64) -> io::Result<PolicyImage> {
        let infrastructure =
            Infrastructure { arp: true, neighbour_discovery: true, link_local: true };
        let segment = SegmentPolicy { mode: self.mode, infrastructure, ..SegmentPolicy::CLOSED };
        let capacity = self.rules.len().max(1024);
        PolicyImage::compile(version, &[segment], &self.rules, seed()?, capacity)
            .map_err(io::Error::other)
    }
}

/// A running dataplane. It ends when this goes out of scope.
pub struct Dataplane {
    /// Control's end.
    pub exchange: ControlExchange,
    process: Process,
    _runtime: RuntimeFolder,
}

/// What EAL leaves behind without hugepages.
pub(crate) struct RuntimeFolder(pub(crate) PathBuf);

impl Drop for RuntimeFolder {
    fn drop(&mut self) {
        // It isn't there with hugepages.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Dataplane {
    /// Starts the dataplane and returns when it waits for a policy, with everything loaded.
    ///
    /// # Errors
    /// It can't start; the message has what it printed.
    pub fn waiting(setup: &Setup) -> io::Result<Self> {
        // What the last run left would be adopted, its policy too.
        match std::fs::remove_file(setup.exchange()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let config = setup.folder.join("loadlock.toml");
        std::fs::write(&config, setup.settings_text())?;
        let settings = Settings::load(&config).map_err(io::Error::other)?;
        let mut command = Command::new(&setup.dataplane);
        command.arg("--config").arg(&config);
        let mut process = Process::start(command, &setup.folder.join("loadlock.log"))?;
        let path = settings.exchange.path.clone();
        let exchange = process.wait_for("the dataplane", Duration::from_secs(120), || {
            let attached = ControlExchange::attach(&path, settings.dimensions()).ok();
            Ok(attached.filter(|exchange| exchange.dataplane().state == DataplaneState::Waiting))
        })?;
        let runtime = RuntimeFolder(Path::new("/var/run/dpdk").join(setup.prefix()));
        Ok(Self { exchange, process, _runtime: runtime })
    }

    /// Starts the dataplane, publishes the policy and returns when the worker runs.
    ///
    /// # Errors
    /// As [`Dataplane::waiting`].
    pub fn start(setup: &Setup) -> io::Result<Self> {
        let image = setup.compile(1)?;
        let mut dataplane = Self::waiting(setup)?;
        let Self { exchange, process, .. } = &mut dataplane;
        exchange.publish(&image).map_err(io::Error::other)?;
        process.wait_for("the worker", Duration::from_secs(20), || {
            Ok((exchange.dataplane().state == DataplaneState::Running).then_some(()))
        })?;
        Ok(dataplane)
    }

    /// Ends the process and hands over control's end, on which nothing changes any more.
    #[must_use]
    pub fn stop(self) -> ControlExchange {
        drop(self.process);
        self.exchange
    }

    /// Conversations in the flow tables, as of the worker's last report.
    #[must_use]
    pub fn flows(&self) -> u64 {
        flows(&self.exchange)
    }

    /// Waits until `wanted` conversations are in the flow table.
    ///
    /// # Errors
    /// They aren't after a minute.
    pub fn wait_for_flows(&mut self, wanted: u32) -> io::Result<()> {
        let Self { exchange, process, .. } = self;
        process.wait_for("all conversations", Duration::from_secs(60), || {
            drain(exchange);
            Ok((flows(exchange) >= u64::from(wanted)).then_some(()))
        })
    }

    /// Lets it run for `duration`, with its events drained, and returns what happened meanwhile.
    pub fn observe(&mut self, duration: Duration) -> Observed {
        let (start, tally, values) = (Instant::now(), self.tally(), self.values());
        while start.elapsed() < duration {
            drain(&mut self.exchange);
            std::thread::sleep(Duration::from_millis(50).min(duration));
        }
        let seconds = start.elapsed().as_secs_f64();
        Observed {
            seconds,
            before: tally,
            after: self.tally(),
            values,
            values_after: self.values(),
        }
    }

    /// As [`Process::cpu_taken_away`], of the worker.
    #[must_use]
    pub fn cpu_taken_away(&self) -> f64 {
        self.process.cpu_taken_away()
    }

    /// Both ports' figures together.
    #[must_use]
    pub fn tally(&self) -> PortTally {
        tally(&self.exchange)
    }

    /// The worker's counters.
    #[must_use]
    pub fn values(&self) -> [u64; WORKER_COUNTERS] {
        self.exchange.worker_values(0)
    }
}

fn flows(exchange: &ControlExchange) -> u64 {
    let values = exchange.worker_values(0);
    values[WorkerCounter::FlowsNarrow as usize] + values[WorkerCounter::FlowsWide as usize]
}

/// Both ports' figures together.
#[must_use]
pub fn tally(exchange: &ControlExchange) -> PortTally {
    let mut sum = PortTally::default();
    sum.add(&exchange.port_tally(0));
    sum.add(&exchange.port_tally(1));
    sum
}

/// Takes all events of all rings; returns how many.
pub fn drain(exchange: &mut ControlExchange) -> u64 {
    let mut taken = 0;
    for events in &mut exchange.events {
        while events.next_record().is_some() {
            taken += 1;
        }
        events.release();
    }
    taken
}

/// What happened in a time.
#[derive(Clone, Debug)]
pub struct Observed {
    seconds: f64,
    before: PortTally,
    after: PortTally,
    values: [u64; WORKER_COUNTERS],
    values_after: [u64; WORKER_COUNTERS],
}

impl Observed {
    /// By how much a counter grew.
    #[must_use]
    pub fn counted(&self, counter: WorkerCounter) -> u64 {
        self.values_after[counter as usize] - self.values[counter as usize]
    }

    /// Frames received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.after.received_packets - self.before.received_packets
    }

    /// Frames forwarded a second, if every received one was.
    ///
    /// # Errors
    /// Some weren't; they are named by reason. A dropped frame is cheap, so its rate isn't one of forwarding.
    pub fn forwarded_pps(&self) -> io::Result<f64> {
        let forwarded = self.after.forwarded_packets - self.before.forwarded_packets;
        if self.received() != forwarded {
            return Err(self.unlike("forwarded", forwarded));
        }
        Ok(forwarded as f64 / self.seconds)
    }

    /// Frames denied a second, if every received one was.
    ///
    /// # Errors
    /// Some were forwarded.
    pub fn denied_pps(&self) -> io::Result<f64> {
        let dropped = self.after.dropped_packets() - self.before.dropped_packets();
        if self.received() != dropped {
            return Err(self.unlike("dropped", dropped));
        }
        Ok(dropped as f64 / self.seconds)
    }

    fn unlike(&self, what: &str, packets: u64) -> io::Error {
        io::Error::other(format!(
            "of {} frames received in the measured time {packets} were {what}, and all should have been; dropped by reason \
             since start: {:?}",
            self.received(),
            self.after.dropped
        ))
    }
}
