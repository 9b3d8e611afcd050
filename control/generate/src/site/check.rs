//! From the file to a checked site: all mistakes at once.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use super::file::{AttackTable, ChangeTable, SiteFile, SiteTable, TalkTable};
use super::schedule::{DAY_NS, SECOND_NS, Schedule};
use super::{Attack, AttackKind, Change, ChangeKind, Site, SiteDevice, Talk, Transport};
use crate::random::SplitMix64;
use crate::scenario::{ScenarioError, ScenarioProblem, unix_seconds};

const HOUR_NS: u64 = 3_600 * SECOND_NS;
const DAYS_MAX: u32 = 366;
const DEVICES_MAX: u32 = 2_000;

impl Site {
    /// True if the text describes a site, and not a line of packets as [`Scenario`](crate::Scenario) reads.
    #[must_use]
    pub fn is_site(text: &str) -> bool {
        let table: Result<toml::Table, _> = text.parse();
        table.is_ok_and(|table| table.contains_key("site") || table.contains_key("base"))
    }

    /// Reads a site and the files that it is based on. `variants` are switched on besides those of the file.
    ///
    /// # Errors
    /// [`ScenarioError`], with all mistakes of the content at once.
    pub fn open(path: &Path, variants: &[String]) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        let site = read(path, 0)?;
        Check::new(&site, variants)
            .run(&site)
            .map_err(|problems| ScenarioError::Invalid { file, problems })
    }
}

fn read(path: &Path, depth: u8) -> Result<SiteFile, ScenarioError> {
    const DEPTH_MAX: u8 = 4;
    let file = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|source| ScenarioError::Read { file: file.clone(), source })?;
    let own: SiteFile = toml::from_str(&text)
        .map_err(|source| ScenarioError::Syntax { file: file.clone(), source: Box::new(source) })?;
    let Some(base) = &own.base else { return Ok(own) };
    if depth >= DEPTH_MAX {
        let allowed = format!("at most {DEPTH_MAX} files based on one another");
        let problem = problem("base", base, &allowed);
        return Err(ScenarioError::Invalid { file, problems: vec![problem] });
    }
    let mut whole = read(&path.with_file_name(base), depth + 1)?;
    if let Some(table) = own.site {
        let of_base = whole.site.get_or_insert_default();
        let SiteTable { start, days, learn_days, bays, gateway_mac, variants } = table;
        of_base.start = start.or(of_base.start);
        of_base.days = days.or(of_base.days);
        of_base.learn_days = learn_days.or(of_base.learn_days);
        of_base.bays = bays.or(of_base.bays);
        of_base.gateway_mac = gateway_mac.or(of_base.gateway_mac.take());
        of_base.variants.extend(variants);
    }
    whole.host.extend(own.host);
    whole.model.extend(own.model);
    whole.talk.extend(own.talk);
    whole.change.extend(own.change);
    whole.attack.extend(own.attack);
    Ok(whole)
}

fn problem(key: &str, found: impl ToString, allowed: &str) -> ScenarioProblem {
    ScenarioProblem { key: key.to_owned(), found: found.to_string(), allowed: allowed.to_owned() }
}

struct Check {
    problems: Vec<ScenarioProblem>,
    variants: HashSet<String>,
    /// Devices of each model, and each host, by name.
    named: HashMap<String, Vec<usize>>,
    devices: Vec<SiteDevice>,
    classes: Vec<String>,
    start_ns: u64,
}

impl Check {
    fn new(site: &SiteFile, variants: &[String]) -> Self {
        let of_file = site.site.iter().flat_map(|site| &site.variants);
        Self {
            problems: Vec::new(),
            variants: of_file.chain(variants).cloned().collect(),
            named: HashMap::new(),
            devices: Vec::new(),
            classes: Vec::new(),
            start_ns: 0,
        }
    }

    fn run(mut self, file: &SiteFile) -> Result<Site, Vec<ScenarioProblem>> {
        let table = file.site.clone().unwrap_or_default();
        self.variants(file);
        let start = table.start.as_ref().and_then(unix_seconds);
        if start.is_none() {
            self.refuse("site.start", "nothing or no UTC time", "such as 2026-03-16T00:00:00Z");
        }
        self.start_ns = start.unwrap_or(0) * SECOND_NS;
        let days = self.within("site.days", table.days, 1, DAYS_MAX);
        let learn_days = self.within("site.learn_days", table.learn_days, 1, days);
        let bays = self.within("site.bays", table.bays.map(u32::from), 1, 16) as u8;
        let gateway = table.gateway_mac.as_deref().unwrap_or("00:00:5e:00:01:01");
        let gateway_mac = self.mac("site.gateway_mac", gateway, 6);
        self.devices(file, bays, gateway_mac);
        let mut changes: Vec<Change> = Vec::new();
        for table in &file.change {
            if self.is_on(table.variant.as_ref()) {
                changes.extend(self.change(table));
            }
        }
        let by_name: HashMap<&str, usize> =
            changes.iter().enumerate().map(|(at, change)| (change.name.as_str(), at)).collect();
        let all: HashSet<&str> = file.change.iter().map(|change| change.name.as_str()).collect();
        let mut talks = Vec::new();
        for table in &file.talk {
            if self.is_on(table.variant.as_ref()) {
                talks.extend(self.talk(table, &by_name, &all));
            }
        }
        let mut attacks = Vec::new();
        for table in &file.attack {
            if self.is_on(table.variant.as_ref()) {
                attacks.extend(self.attack(table, days));
            }
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        Ok(Site {
            start_ns: self.start_ns,
            days,
            learn_days,
            bays,
            gateway_mac,
            devices: self.devices,
            talks,
            changes,
            attacks,
            classes: self.classes,
        })
    }

    fn refuse(&mut self, key: &str, found: impl ToString, allowed: &str) {
        self.problems.push(problem(key, found, allowed));
    }

    fn is_on(&self, variant: Option<&String>) -> bool {
        variant.is_none_or(|variant| self.variants.contains(variant))
    }

    /// Every variant that is asked for must be somewhere in the file.
    fn variants(&mut self, file: &SiteFile) {
        let talks = file.talk.iter().map(|table| &table.variant);
        let changes = file.change.iter().map(|table| &table.variant);
        let attacks = file.attack.iter().map(|table| &table.variant);
        let mut known: Vec<&String> = talks.chain(changes).chain(attacks).flatten().collect();
        known.sort_unstable();
        known.dedup();
        let mut asked: Vec<String> = self.variants.iter().cloned().collect();
        asked.sort_unstable();
        for variant in asked {
            if !known.contains(&&variant) {
                let list = known.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
                self.refuse("site.variants", variant, &format!("one of {list}"));
            }
        }
    }

    fn within(&mut self, key: &str, value: Option<u32>, min: u32, max: u32) -> u32 {
        match value {
            Some(value) if (min..=max).contains(&value) => value,
            other => {
                let found = other.map_or("nothing".to_owned(), |value| value.to_string());
                self.refuse(key, found, &format!("{min} to {max}"));
                min
            }
        }
    }

    fn mac(&mut self, key: &str, text: &str, bytes: usize) -> [u8; 6] {
        let parsed: Option<Vec<u8>> =
            text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
        let mut mac = [0; 6];
        match parsed.filter(|parsed| parsed.len() == bytes && parsed[0] & 1 == 0) {
            Some(parsed) => mac[..bytes].copy_from_slice(&parsed),
            None => self.refuse(key, text, &format!("{bytes} bytes such as 00:1b:21, no group")),
        }
        mac
    }

    fn devices(&mut self, file: &SiteFile, bays: u8, gateway_mac: [u8; 6]) {
        let mut addresses: HashMap<Ipv4Addr, String> = HashMap::new();
        let mut number = 0u32;
        for model in &file.model {
            let key = format!("model {}", model.name);
            if !(1..=DEVICES_MAX).contains(&model.count) {
                let allowed = format!("1 to {DEVICES_MAX}");
                self.refuse(&format!("{key}.count"), model.count, &allowed);
                continue;
            }
            let mut mac = self.mac(&format!("{key}.oui"), &model.oui, 3);
            let (first, last) = model.client_ports;
            if first > last || first == 0 {
                let found = format!("[{first}, {last}]");
                self.refuse(&format!("{key}.client_ports"), found, "a first and a last port");
            }
            for at in 0..model.count {
                let [_, b2, b1, b0] = number.to_be_bytes();
                mac[3..].copy_from_slice(&[b2 | 0x10, b1, b0]);
                let device = SiteDevice {
                    name: model.name.clone(),
                    address: Ipv4Addr::from(u32::from(model.first).saturating_add(at)),
                    mac,
                    bay: Some((number % u32::from(bays)) as u8),
                    client_ports: (first.min(last), last),
                    open: model.open.clone(),
                };
                number += 1;
                self.add(device, &key, &mut addresses);
            }
        }
        for host in &file.host {
            let device = SiteDevice {
                name: host.name.clone(),
                address: host.address,
                mac: gateway_mac,
                bay: None,
                client_ports: (49_152, 65_535),
                open: host.open.clone(),
            };
            self.add(device, &format!("host {}", host.name), &mut addresses);
        }
        if number == 0 {
            self.refuse("model", "nothing", "at least one model with at least one device");
        }
    }

    fn add(&mut self, device: SiteDevice, key: &str, addresses: &mut HashMap<Ipv4Addr, String>) {
        if let Some(other) = addresses.insert(device.address, key.to_owned()) {
            let allowed = format!("an address of its own; this one is that of {other}");
            self.refuse(key, device.address, &allowed);
        }
        self.named.entry(device.name.clone()).or_default().push(self.devices.len());
        self.devices.push(device);
    }

    /// Devices by the names of models and hosts; `*` is every model.
    fn find<'n>(&mut self, key: &str, names: impl Iterator<Item = &'n str>) -> Vec<usize> {
        let mut found = Vec::new();
        for name in names {
            if name == "*" {
                let tools = 0..self.devices.len();
                found.extend(tools.filter(|at| self.devices[*at].bay.is_some()));
            } else if let Some(devices) = self.named.get(name) {
                found.extend(devices);
            } else {
                let mut known: Vec<&str> = self.named.keys().map(String::as_str).collect();
                known.sort_unstable();
                let allowed = format!("* (every model) or one of {}", known.join(", "));
                self.refuse(key, name, &allowed);
            }
        }
        found
    }

    fn class(&mut self, name: &str) -> u16 {
        let known = self.classes.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.classes.push(name.to_owned());
            self.classes.len() - 1
        }) as u16
    }

    fn talk(
        &mut self,
        table: &TalkTable,
        changes: &HashMap<&str, usize>,
        all: &HashSet<&str>,
    ) -> Option<Talk> {
        let key = format!("talk {}", table.name);
        let from = self.find(&format!("{key}.from"), table.from.iter());
        let to = self.find(&format!("{key}.to"), table.to.iter());
        let (transport, port) = self.service(&key, &table.service)?;
        let schedule = self.schedule(&key, table)?;
        if !(0.0..=1.0).contains(&table.share) {
            self.refuse(&format!("{key}.share"), table.share, "0 to 1");
        }
        let mut change = |name: &Option<String>, which: &str| {
            let name = name.as_deref()?;
            if !all.contains(name) {
                self.refuse(&format!("{key}.{which}"), name, "the name of a change");
            }
            Some(changes.get(name).copied())
        };
        let (after, until) = (change(&table.after, "after"), change(&table.until, "until"));
        if after == Some(None) {
            // Its change isn't in this variant.
            return None;
        }
        Some(Talk {
            class: self.class(&table.name),
            from,
            to,
            transport,
            port,
            schedule,
            share: table.share,
            one_way: table.one_way,
            duration_ns: (table.seconds.unwrap_or(1.0).max(0.001) * 1e9) as u64,
            bytes: table.bytes.unwrap_or((400, 800)),
            data_ports: table.data_ports,
            data_active: table.data_active,
            after: after.flatten(),
            until: until.flatten(),
        })
    }

    fn service(&mut self, key: &str, text: &str) -> Option<(Transport, u16)> {
        let parsed = match text.split_once('/') {
            _ if text == "icmp" => Some((Transport::Icmp, 0)),
            Some(("tcp", port)) => port.parse().ok().map(|port| (Transport::Tcp, port)),
            Some(("udp", port)) => port.parse().ok().map(|port| (Transport::Udp, port)),
            _ => None,
        };
        if parsed.is_none() {
            self.refuse(&format!("{key}.service"), text, "tcp/PORT, udp/PORT or icmp");
        }
        parsed
    }

    fn schedule(&mut self, key: &str, table: &TalkTable) -> Option<Schedule> {
        let at_ns = match table.at.as_deref().map(time_of_day) {
            None => 2 * HOUR_NS,
            Some(Some(at_ns)) => at_ns,
            Some(None) => {
                let found = table.at.clone().unwrap_or_default();
                self.refuse(&format!("{key}.at"), found, "a time of day such as 02:30");
                0
            }
        };
        let is_calendar = table.at.is_some() && table.month_day.is_none() && !table.month_staggered;
        let mut found = Vec::new();
        if let Some(every_s) = table.every_s.filter(|every| *every >= 1.0) {
            let jitter = table.jitter.unwrap_or(0.2).clamp(0.0, 1.0);
            found.push(Schedule::Every { ns: (every_s * 1e9) as u64, jitter });
        }
        if let Some(days) = table.per_days.filter(|days| *days > 0.0) {
            found.push(Schedule::Rare { mean_ns: (days * DAY_NS as f64) as u64 });
        }
        if is_calendar {
            let weekdays = self.weekdays(key, &table.weekdays);
            found.push(Schedule::Days { weekdays, at_ns });
        }
        if let Some(day) = table.month_day {
            found.push(Schedule::Month { day: Some(day.clamp(1, 28)), at_ns });
        }
        if table.month_staggered {
            found.push(Schedule::Month { day: None, at_ns });
        }
        if table.shifts {
            found.push(Schedule::Shifts);
        }
        if found.len() != 1 {
            self.refuse(
                key,
                format!("{} schedules", found.len()),
                "exactly one of every_s (from 1 on), per_days, at, month_day, month_staggered and shifts",
            );
            return None;
        }
        found.pop()
    }

    fn weekdays(&mut self, key: &str, names: &[String]) -> u8 {
        const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let mut days = 0;
        for name in names {
            match NAMES.iter().position(|known| known == name) {
                Some(at) => days |= 1 << at,
                None => self.refuse(&format!("{key}.weekdays"), name, "mon to sun"),
            }
        }
        if names.is_empty() { 0x7f } else { days }
    }

    fn moment(&self, day: f64) -> u64 {
        self.start_ns + (day.max(0.0) * DAY_NS as f64) as u64
    }

    fn change(&mut self, table: &ChangeTable) -> Option<Change> {
        let key = format!("change {}", table.name);
        let model = |check: &mut Self| {
            check.find(&format!("{key}.model"), table.model.as_deref().into_iter())
        };
        let kind = match table.kind.as_str() {
            "roll-out" => ChangeKind::RollOut { devices: model(self).into_iter().collect() },
            "swap" => {
                let mut devices = model(self);
                devices.truncate(table.count.unwrap_or(1) as usize);
                ChangeKind::Swap { devices: devices.into_iter().collect() }
            }
            "move" => {
                let host = self.find(&format!("{key}.host"), table.host.as_deref().into_iter());
                let (Some(host), Some(to)) = (host.first().copied(), table.to) else {
                    self.refuse(
                        &key,
                        "no host or no address",
                        "host = a host's name, to = its new address",
                    );
                    return None;
                };
                ChangeKind::Move { host, to }
            }
            other => {
                self.refuse(&format!("{key}.kind"), other, "roll-out, swap or move");
                return None;
            }
        };
        Some(Change {
            name: table.name.clone(),
            kind,
            from_ns: self.moment(table.day),
            hours_ns: (table.hours.unwrap_or(8.0).max(0.0) * HOUR_NS as f64) as u64,
            announced: table.announced,
        })
    }

    fn attack(&mut self, table: &AttackTable, days: u32) -> Option<Attack> {
        let key = format!("attack {}", table.name);
        let (kind, needs_model, needs_ports, needs_target) = match table.kind.as_str() {
            "scan" => (AttackKind::Scan, false, true, false),
            "open-scan" => (AttackKind::OpenScan, false, true, false),
            "worm" => (AttackKind::Worm, true, false, true),
            "infected" => (AttackKind::Infected, true, false, true),
            "spoof-ip" => (AttackKind::SpoofIp, true, true, false),
            "spoof-mac" => (AttackKind::SpoofMac, true, true, false),
            "exfiltration" => (AttackKind::Exfiltration, true, true, true),
            other => {
                let allowed =
                    "scan, open-scan, worm, infected, spoof-ip, spoof-mac or exfiltration";
                self.refuse(&format!("{key}.kind"), other, allowed);
                return None;
            }
        };
        let mut devices = self.find(&format!("{key}.model"), table.model.as_deref().into_iter());
        let scans = matches!(kind, AttackKind::Scan | AttackKind::OpenScan);
        let missing = [
            (needs_model && devices.is_empty(), "model = the model that is attacked"),
            (needs_ports && table.ports.is_empty(), "ports = which are tried"),
            (needs_target && table.target.is_none(), "target = an address"),
            (scans && table.source.is_none(), "source = the address from which"),
        ];
        for (is_missing, allowed) in missing {
            if is_missing {
                self.refuse(&key, "nothing", allowed);
            }
        }
        if devices.len() > 1 {
            // One of the model, the same in every run of the same file.
            let at =
                SplitMix64::for_part(table.name.len() as u64, &[7]).below(devices.len() as u64);
            devices = vec![devices[at as usize]];
        }
        let from_ns = self.moment(table.day);
        let hours = table.hours.unwrap_or(f64::from(days) * 24.0);
        Some(Attack {
            class: self.class(&table.name),
            kind,
            from_ns,
            until_ns: from_ns + (hours * HOUR_NS as f64) as u64,
            every_ns: (table.every_s.unwrap_or(1.0).max(0.001) * 1e9) as u64,
            source: table.source.unwrap_or(Ipv4Addr::UNSPECIFIED),
            sources: table.sources.unwrap_or(1).clamp(1, 10_000),
            devices,
            ports: table.ports.clone(),
            target: table.target.unwrap_or(Ipv4Addr::UNSPECIFIED),
            unused: table.unused.unwrap_or(0.0).clamp(0.0, 1.0),
        })
    }
}

fn time_of_day(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * HOUR_NS + minute * 60 * SECOND_NS)
}
