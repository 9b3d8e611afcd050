//! From a parsed TOML document to [`Settings`], table by table.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use loadlock_exchange::{Identity, Infrastructure, Midstream, Mode, RingFullPolicy, TableFull};
use loadlock_packet::negotiation::{Helper, Helpers};

use crate::device::Device;
use crate::drivers::Driver;
use crate::findings::Findings;
use crate::keys::{API, CONTROL, DATAPLANE, EXCHANGE, FLOWS, PORT, SEGMENT, TABLES};
use crate::nearest::nearest;
use crate::problem::Problem;
use crate::schema::Table;
use crate::scope::{Located, Scope, table_with};
use crate::settings::{
    Answer, ApiSettings, Clock, ControlSettings, CoreId, DataplaneSettings, ExchangeSettings,
    FlowSettings, HugepageSize, Idle, LogLevel, PortIndex, PortName, PortSettings, Rss,
    SegmentName, SegmentSettings, Settings,
};

mod outward;
mod relay;
mod tuning;

/// The document while it is read.
pub(crate) struct Document<'read, 'text> {
    pub(crate) root: &'read DeTable<'text>,
    pub(crate) folder: &'read Path,
}

impl<'read, 'text> Document<'read, 'text> {
    /// Reads everything; mistakes go to `findings`, and then the result must not be used.
    pub(crate) fn read(&self, findings: &mut Findings<'text>) -> Settings {
        refuse_unknown_tables(self.root, findings);
        let dataplane = read_dataplane(&mut self.scope(&DATAPLANE, findings));
        let exchange = read_exchange(&mut self.scope(&EXCHANGE, findings));
        let flows = read_flows(&mut self.scope(&FLOWS, findings));
        let ports = self.read_ports(findings, &dataplane);
        let segments = self.read_segments(findings, &ports, &dataplane);
        let control = read_control(&mut self.scope(&CONTROL, findings));
        let api = read_api(&mut self.scope(&API, findings));
        let outward = self.read_outward(findings);
        Settings {
            dataplane,
            exchange,
            flows,
            ports,
            segments,
            control,
            api,
            outward,
            place: String::new(),
            lines: BTreeMap::new(),
            values: BTreeMap::new(),
        }
    }

    /// A scope on a `[table]`, its unknown keys already refused.
    fn scope<'scope>(
        &self,
        schema: &'static Table,
        findings: &'scope mut Findings<'text>,
    ) -> Scope<'scope, 'text>
    where
        'read: 'scope,
    {
        let mut content = None;
        let mut header_line = None;
        if let Some(value) = find_table(self.root, schema.name) {
            let line = findings.line_of(&value.span());
            header_line = Some(line);
            findings.lines.insert(schema.name.to_owned(), line);
            match value.get_ref() {
                DeValue::Table(table) => content = Some(table),
                _ => refuse_shape(findings, schema, &value.span()),
            }
        }
        let mut scope = Scope {
            findings,
            schema,
            path: schema.name.to_owned(),
            header_line,
            content,
            folder: self.folder,
        };
        scope.refuse_unknown_keys();
        scope
    }

    /// Calls `read` with a scope on each entry of a `[[table]]`, and refuses too few or too many of them.
    fn each_entry<T>(
        &self,
        schema: &'static Table,
        findings: &mut Findings<'text>,
        mut read: impl FnMut(&mut Scope<'_, 'text>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.root.get(schema.name) else {
            report_missing_entries(findings, schema);
            return Vec::new();
        };
        let Some(entries) = value.get_ref().as_array() else {
            refuse_shape(findings, schema, &value.span());
            return Vec::new();
        };
        let mut results = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let line = findings.line_of(&entry.span());
            let Some(content) = entry.get_ref().as_table() else {
                refuse_shape(findings, schema, &entry.span());
                continue;
            };
            let mut path = entry_path(schema, content, index);
            if findings.lines.contains_key(&path) {
                // A name given twice is refused later; until then each entry needs a path of its own.
                path = format!("{}[#{}]", schema.name, index + 1);
            }
            findings.lines.insert(path.clone(), line);
            let mut scope = Scope {
                findings,
                schema,
                path,
                header_line: Some(line),
                content: Some(content),
                folder: self.folder,
            };
            scope.refuse_unknown_keys();
            results.push(read(&mut scope));
        }
        refuse_entry_count(findings, schema, entries.len(), &value.span());
        results
    }

    fn read_ports(
        &self,
        findings: &mut Findings<'text>,
        dataplane: &DataplaneSettings,
    ) -> Vec<PortSettings> {
        let mut ports = self.each_entry(&PORT, findings, |scope| PortSettings {
            name: PortName(scope.name("name")),
            device: crate::options::device(scope),
            mtu: scope.integer("mtu"),
            promiscuous: scope.flag("promiscuous"),
            rx_descriptors: or_if_zero(scope.integer("rx_descriptors"), dataplane.rx_descriptors),
            tx_descriptors: or_if_zero(scope.integer("tx_descriptors"), dataplane.tx_descriptors),
            pool: tuning::pool(scope, dataplane),
            tx_fast_free: tuning::fast_free(scope),
            path: scope.path.clone(),
        });
        // EAL wants a distinct name for each virtual device: the driver's with a number.
        let mut used: BTreeMap<Driver, usize> = BTreeMap::new();
        for port in &mut ports {
            if let Device::Virtual(device) = &mut port.device {
                let next = used.entry(device.driver).or_default();
                device.index = *next;
                *next += 1;
            }
        }
        ports
    }

    fn read_segments(
        &self,
        findings: &mut Findings<'text>,
        ports: &[PortSettings],
        dataplane: &DataplaneSettings,
    ) -> Vec<SegmentSettings> {
        self.each_entry(&SEGMENT, findings, |scope| SegmentSettings {
            name: SegmentName(scope.name("name")),
            side_a: read_side(scope, "side_a", ports),
            side_b: read_side(scope, "side_b", ports),
            workers: tuning::workers(scope, dataplane),
            mode: match scope.choice("mode").as_str() {
                "monitor" => Mode::Monitor,
                "enforce" => Mode::Enforce,
                _ => Mode::Learn,
            },
            infrastructure: read_infrastructure(scope),
            midstream: Midstream::from_name(&scope.choice("midstream")).unwrap_or_default(),
            identity: ["identity_a", "identity_b"]
                .map(|side| Identity::from_name(&scope.choice(side)).unwrap_or(Identity::MacIp)),
            helpers: read_helpers(scope),
            bypass: relay::read(scope),
            link_hold: read_link_hold(scope),
            control_dead: read_answer(scope, "control_dead"),
            no_policy: read_answer(scope, "no_policy"),
            policy_corrupt: read_answer(scope, "policy_corrupt"),
            table_full: match read_answer(scope, "table_full") {
                Answer::Static => TableFull::Static,
                Answer::Open => TableFull::Open,
                Answer::Closed => TableFull::Closed,
            },
            ring_full: match read_answer(scope, "ring_full") {
                Answer::Closed => RingFullPolicy::Closed,
                Answer::Static | Answer::Open => RingFullPolicy::Static,
            },
            path: scope.path.clone(),
        })
    }
}

/// The table of this name, which may have a dot in it: `[outward.file]` is `file` in `outward`.
fn find_table<'read, 'text>(
    root: &'read DeTable<'text>,
    name: &str,
) -> Option<&'read Located<'text>> {
    match name.split_once('.') {
        None => root.get(name),
        Some((around, name)) => root.get(around)?.get_ref().as_table()?.get(name),
    }
}

/// Notes every table or root key that doesn't exist.
fn refuse_unknown_tables(root: &DeTable<'_>, findings: &mut Findings<'_>) {
    for (name, value) in root {
        let known: Vec<&'static str> = TABLES.iter().map(|table| table.name).collect();
        let written = name.get_ref().as_ref();
        if known.contains(&written) {
            continue;
        }
        if refuse_unknown_in_group(written, value, findings) {
            continue;
        }
        let near = nearest(written, known.iter().copied());
        let problem = Problem::Unknown {
            nearest: near.map(str::to_owned),
            elsewhere: table_with(written),
            known,
        };
        let line = findings.line_of(&name.span());
        findings.report(Some(line), written, problem);
    }
}

/// If tables of the group `name` exist, such as `[outward.file]`, notes those in `value` that don't. False if there is no such group.
fn refuse_unknown_in_group(name: &str, value: &Located<'_>, findings: &mut Findings<'_>) -> bool {
    let of_group = |table: &&&'static Table| table.name.split_once('.').map(|(group, _)| group);
    let tables: Vec<_> = TABLES.iter().filter(|table| of_group(table) == Some(name)).collect();
    let Some(first) = tables.first() else {
        return false;
    };
    let Some(content) = value.get_ref().as_table() else {
        refuse_shape(findings, first, &value.span());
        return true;
    };
    for (written, _) in content {
        let path = format!("{name}.{}", written.get_ref());
        if tables.iter().any(|table| table.name == path) {
            continue;
        }
        let known: Vec<&'static str> = tables.iter().map(|table| table.name).collect();
        let problem = Problem::Unknown {
            nearest: nearest(&path, known.iter().copied()).map(str::to_owned),
            elsewhere: table_with(written.get_ref()),
            known,
        };
        let line = findings.line_of(&written.span());
        findings.report(Some(line), path, problem);
    }
    true
}

/// Notes `[port]` for `[[port]]` and the like.
fn refuse_shape(findings: &mut Findings<'_>, schema: &Table, span: &Range<usize>) {
    let problem = Problem::TableShape { header: schema.header() };
    let line = findings.line_of(span);
    findings.report(Some(line), schema.name, problem);
}

/// Path of an entry: by its name where it has a usable one, else by its number from 1.
fn entry_path(schema: &Table, content: &DeTable<'_>, index: usize) -> String {
    let name = content.get("name").and_then(|name| name.get_ref().as_str());
    match name {
        Some(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()) => {
            format!("{}[{name}]", schema.name)
        }
        _ => format!("{}[#{}]", schema.name, index + 1),
    }
}

/// Notes a `[[table]]` that is missing altogether.
fn report_missing_entries(findings: &mut Findings<'_>, schema: &Table) {
    let Some(repeated) = schema.repeated else {
        return;
    };
    let problem = Problem::Missing {
        allowed: format!("{} to {} entries", repeated.minimum, repeated.maximum),
        example: format!("{} sections, as shown in the reference.", schema.header()),
    };
    findings.report(None, schema.name, problem);
}

/// Notes too few or too many entries of a `[[table]]`.
fn refuse_entry_count(
    findings: &mut Findings<'_>,
    schema: &Table,
    found: usize,
    span: &Range<usize>,
) {
    let Some(repeated) = schema.repeated else {
        return;
    };
    if !(repeated.minimum..=repeated.maximum).contains(&found) {
        let problem =
            Problem::EntryCount { found, minimum: repeated.minimum, maximum: repeated.maximum };
        let line = findings.line_of(span);
        findings.report(Some(line), schema.name, problem);
    }
}

fn or_if_zero(number: u16, of_all: u16) -> u16 {
    if number == 0 { of_all } else { number }
}

fn read_dataplane(scope: &mut Scope<'_, '_>) -> DataplaneSettings {
    let hugepage_dir = scope.path("hugepage_dir");
    let memory_mib: u32 = scope.integer("memory_mib");
    DataplaneSettings {
        main_core: CoreId(scope.integer("main_core")),
        worker_cores: scope.cores("worker_cores"),
        burst_packets: scope.integer("burst_packets"),
        file_prefix: scope.name("file_prefix"),
        hugepages: scope.flag("hugepages"),
        hugepage_dir: (!hugepage_dir.as_os_str().is_empty()).then_some(hugepage_dir),
        hugepage_size: match scope.choice("hugepage_size").as_str() {
            "2M" => HugepageSize::Bytes(2 << 20),
            "1G" => HugepageSize::Bytes(1 << 30),
            _ => HugepageSize::Any,
        },
        memory_mib: (memory_mib != 0).then_some(memory_mib),
        mbufs: scope.integer("mbufs"),
        mbuf_cache: scope.integer("mbuf_cache"),
        mbuf_data_bytes: scope.integer("mbuf_data_bytes"),
        rx_descriptors: scope.integer("rx_descriptors"),
        tx_descriptors: scope.integer("tx_descriptors"),
        tx_retries: scope.integer("tx_retries"),
        idle: match scope.choice("idle").as_str() {
            "pause" => Idle::Pause,
            "power" => Idle::Power,
            _ => Idle::Spin,
        },
        idle_pause: std::time::Duration::from_micros(scope.integer("idle_pause_us")),
        rss: match scope.choice("rss").as_str() {
            "device" => Rss::Device,
            _ => Rss::Symmetric,
        },
        rss_key: scope.rss_key("rss_key"),
        numa_required: scope.choice("numa") == "require",
        clock: match scope.choice("clock").as_str() {
            "capture" => Clock::Capture,
            _ => Clock::Tsc,
        },
        policy_wait: std::time::Duration::from_millis(scope.integer("policy_wait_ms")),
        watchdog: std::time::Duration::from_millis(scope.integer("watchdog_ms")),
        restarts_when_hung: scope.choice("worker_hung") == "restart",
        control_silence: scope.seconds("control_silence_s"),
        latency_sample_bursts: scope.integer("latency_sample_bursts"),
        age_step_entries: scope.integer("age_step_entries"),
    }
}

fn read_exchange(scope: &mut Scope<'_, '_>) -> ExchangeSettings {
    ExchangeSettings {
        path: scope.path("path"),
        event_ring_events: scope.integer("event_ring_events"),
        rule_capacity: scope.integer("rule_capacity"),
    }
}

fn read_flows(scope: &mut Scope<'_, '_>) -> FlowSettings {
    FlowSettings {
        narrow_capacity: scope.integer("narrow_capacity"),
        wide_capacity: scope.integer("wide_capacity"),
        fragment_capacity: scope.integer("fragment_capacity"),
        tcp_half_open: scope.seconds("tcp_half_open_s"),
        tcp_established: scope.seconds("tcp_established_s"),
        tcp_closing: scope.seconds("tcp_closing_s"),
        udp: scope.seconds("udp_s"),
        icmp: scope.seconds("icmp_s"),
        other: scope.seconds("other_s"),
        fragment: scope.seconds("fragment_s"),
        midstream_grace: scope.seconds("midstream_grace_s"),
        denied_report: scope.seconds("denied_report_s"),
    }
}

fn read_control(scope: &mut Scope<'_, '_>) -> ControlSettings {
    ControlSettings {
        core: CoreId(scope.integer("core")),
        socket: scope.path("socket"),
        store: scope.path("store"),
        version_interval: scope.seconds("version_interval_s"),
        retention_days: scope.integer("retention_days"),
        retention_bytes: scope.integer::<u64>("retention_mib") << 20,
        records_all: scope.choice("admission") == "record-all",
        another_approver: scope.choice("approver") == "another-person",
        flow_view_capacity: scope.integer("flow_view_capacity"),
        log: match scope.choice("log").as_str() {
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "debug" => LogLevel::Debug,
            _ => LogLevel::Info,
        },
    }
}

fn read_api(scope: &mut Scope<'_, '_>) -> ApiSettings {
    ApiSettings {
        socket_role: scope.choice("socket_role"),
        tls_listen: scope.listen("tls_listen"),
        tls_certificate: scope.path("tls_certificate"),
        tls_key: scope.path("tls_key"),
        connections: scope.integer("connections"),
        requests_per_s: scope.integer("requests_per_s"),
    }
}

fn read_infrastructure(scope: &mut Scope<'_, '_>) -> Infrastructure {
    let classes = scope.choices("infrastructure");
    let has = |class: &str| classes.iter().any(|chosen| chosen == class);
    Infrastructure {
        arp: has("arp"),
        neighbour_discovery: has("nd"),
        link_local: has("link-local"),
    }
}

fn read_link_hold(scope: &mut Scope<'_, '_>) -> Option<std::time::Duration> {
    let hold = std::time::Duration::from_millis(scope.integer("link_hold_ms"));
    (scope.choice("link_down") == "propagate").then_some(hold)
}

fn read_answer(scope: &mut Scope<'_, '_>, key: &str) -> Answer {
    match scope.choice(key).as_str() {
        "open" => Answer::Open,
        "closed" => Answer::Closed,
        _ => Answer::Static,
    }
}

fn read_helpers(scope: &mut Scope<'_, '_>) -> Helpers {
    let chosen = scope.choices("helpers");
    let known = chosen.iter().filter_map(|name| Helper::from_name(name));
    known.fold(Helpers::NONE, Helpers::with)
}

/// The port that a segment's side names.
fn read_side(scope: &mut Scope<'_, '_>, side: &str, ports: &[PortSettings]) -> PortIndex {
    let (name, value) = scope.text_at(scope.schema.key(side));
    let position = ports.iter().position(|port| port.name.as_str() == name);
    if let (Some(value), None) = (value, position) {
        let usable = |port: &&PortSettings| scope.findings.is_sound(&format!("{}.name", port.path));
        let known = ports.iter().filter(usable);
        let known: Vec<String> = known.map(|port| port.name.to_string()).collect();
        let near = nearest(&name, known.iter().map(String::as_str)).map(str::to_owned);
        let problem = Problem::NoSuchPort {
            found: scope.findings.excerpt(&value.span()),
            nearest: near,
            known,
        };
        scope.findings.report_at(&scope.path_of(side), problem);
    }
    PortIndex(position.unwrap_or(0))
}
