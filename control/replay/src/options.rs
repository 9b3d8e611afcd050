//! What a replay is asked to do.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use loadlock_exchange::Infrastructure;
use loadlock_learn::AdmissionPolicy;
use loadlock_packet::MacAddress;
use loadlock_packet::negotiation::{Helper, Helpers};
use loadlock_pipeline::{Capacity, Timeouts};

use crate::error::OptionError;
use crate::time::{self, NS_PER_SECOND};

/// Segment name where neither the options nor a policy gives one.
pub const SEGMENT_DEFAULT: &str = "replay";
/// Allowlist entries that a policy may need: as `exchange.rule_capacity` of the configuration.
pub const RULE_CAPACITY: usize = 131_072;
/// Time-outs of the flow table: the defaults of `[flows]` in the configuration.
pub const TIMEOUTS: Timeouts = Timeouts {
    tcp_opening_ns: 30 * NS_PER_SECOND,
    tcp_open_ns: 432_000 * NS_PER_SECOND,
    tcp_closing_ns: 120 * NS_PER_SECOND,
    udp_ns: 180 * NS_PER_SECOND,
    icmp_ns: 30 * NS_PER_SECOND,
    other_ns: 600 * NS_PER_SECOND,
    grace_ns: 120 * NS_PER_SECOND,
    denied_report_ns: 10 * NS_PER_SECOND,
    fragment_ns: 30 * NS_PER_SECOND,
};
/// Most conversations held at a time. A capture with fewer packets gets tables of its own size, which can't be full.
pub const CAPACITY_MAX: Capacity = Capacity { narrow: 1 << 20, wide: 1 << 18, fragments: 1 << 16 };
/// Infrastructure classes that pass without a rule: the configuration's default.
pub const INFRASTRUCTURE: Infrastructure =
    Infrastructure { arp: true, neighbour_discovery: true, link_local: true };

/// Everything about a replay. [`ReplayOptions::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The capture: pcap or pcapng, plain or gzip. It is read twice, so it must be a file and not a pipe.
    pub capture: PathBuf,
    /// Segment whose rules judge. `None`: the one that the policy file names, else [`SEGMENT_DEFAULT`].
    pub segment: Option<String>,
    /// Up to where the segment learns. `None`: the first half, or nothing where a policy is given.
    pub learn_until: Option<LearnUntil>,
    /// What of the things seen becomes a rule.
    pub admission: AdmissionPolicy,
    /// Suppliers' declarations: port lists or MUD files. What they cover is admitted without further evidence.
    pub declared: Vec<PathBuf>,
    /// The devices that the declarations are for, where they don't say it themselves.
    pub declared_for: Vec<IpAddr>,
    /// Folder for a MUD file of each role that was found.
    pub save_mud: Option<PathBuf>,
    /// Policy in force from the first packet on.
    pub policy: Option<PathBuf>,
    /// Where the report goes, as JSON.
    pub report: Option<Output>,
    /// Where the verdicts go, one JSON object per line and packet.
    pub verdicts: Option<Output>,
    /// Where the policy goes that is in force at the end, as TOML.
    pub save_policy: Option<Output>,
    /// Where the sides of all stations go, for [`ReplayOptions::sides`] of another replay.
    pub save_sides: Option<Output>,
    /// Stations that are on side A.
    pub side_a: Vec<MacAddress>,
    /// Stations that are on side B.
    pub side_b: Vec<MacAddress>,
    /// File with the sides of stations: lines of a MAC address and `a` or `b`.
    pub sides: Option<PathBuf>,
    /// Frame classes that pass without a rule.
    pub infrastructure: Infrastructure,
    /// Protocols whose negotiated ports are opened.
    pub helpers: Helpers,
    /// A capture that ends within a packet is no error.
    pub allow_truncated: bool,
    /// Frames count without their VLAN tags: for captures taken where one direction is tagged and the other isn't, of which every
    /// conversation would be two.
    pub ignore_vlans: bool,
    /// Time-outs of the flow table.
    pub timeouts: Timeouts,
    /// Most conversations held at a time.
    pub capacity_max: Capacity,
}

impl ReplayOptions {
    /// The defaults: learn from the first half, enforce on the second, write nothing.
    #[must_use]
    pub fn new(capture: impl Into<PathBuf>) -> Self {
        Self {
            capture: capture.into(),
            segment: None,
            learn_until: None,
            admission: AdmissionPolicy::RecordAll,
            declared: Vec::new(),
            declared_for: Vec::new(),
            save_mud: None,
            policy: None,
            report: None,
            verdicts: None,
            save_policy: None,
            save_sides: None,
            side_a: Vec::new(),
            side_b: Vec::new(),
            sides: None,
            infrastructure: INFRASTRUCTURE,
            helpers: Helpers::NONE,
            allow_truncated: false,
            ignore_vlans: false,
            timeouts: TIMEOUTS,
            capacity_max: CAPACITY_MAX,
        }
    }

    /// Up to where the segment learns, with the default for these options.
    #[must_use]
    pub fn learn_until_or_default(&self) -> LearnUntil {
        let default = if self.policy.is_some() { 0.0 } else { 0.5 };
        self.learn_until.unwrap_or(LearnUntil::Fraction(default))
    }
}

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, replaced as a whole.
    File(PathBuf),
}

impl From<PathBuf> for Output {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdout } else { Self::File(path) }
    }
}

/// The moment at which learning ends and enforcing begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LearnUntil {
    /// This part of the capture's time span, 0 to 1; of its packets where its times can't be believed. 0 enforces from
    /// the first packet on, 1 learns from every packet.
    Fraction(f64),
    /// So long after the first packet.
    Elapsed {
        /// Time after the first packet.
        ns: u64,
    },
    /// This time by the capture's clock.
    At {
        /// ns since 1970.
        time_ns: u64,
    },
}

impl FromStr for LearnUntil {
    type Err = OptionError;

    /// Reads `0.5`, `280s` (also `ms`, `m`, `h`, `d`) or `2016-10-10T07:42:01Z`.
    fn from_str(text: &str) -> Result<Self, OptionError> {
        let refused = || OptionError::LearnUntil { found: text.to_owned() };
        if let Some(time_ns) = time::from_rfc3339(text) {
            return Ok(Self::At { time_ns });
        }
        if let Some(ns) = time::duration_ns(text) {
            return Ok(Self::Elapsed { ns });
        }
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match text.parse::<f64>() {
            Ok(fraction) if plain && (0.0..=1.0).contains(&fraction) => {
                Ok(Self::Fraction(fraction))
            }
            _ => Err(refused()),
        }
    }
}

/// Reads infrastructure classes: `arp`, `nd` and `link-local` with commas between them, or `none`.
///
/// # Errors
/// The word that is none of them.
pub fn parse_infrastructure(text: &str) -> Result<Infrastructure, OptionError> {
    let mut classes = Infrastructure { arp: false, neighbour_discovery: false, link_local: false };
    if text == "none" {
        return Ok(classes);
    }
    for word in text.split(',') {
        match word {
            "arp" => classes.arp = true,
            "nd" => classes.neighbour_discovery = true,
            "link-local" => classes.link_local = true,
            _ => return Err(OptionError::Infrastructure { found: word.to_owned() }),
        }
    }
    Ok(classes)
}

/// Reads helpers: `ftp`, `dcerpc` and `tftp` with commas between them, or `none`.
///
/// # Errors
/// The word that is none of them.
pub fn parse_helpers(text: &str) -> Result<Helpers, OptionError> {
    if text == "none" {
        return Ok(Helpers::NONE);
    }
    text.split(',').try_fold(Helpers::NONE, |helpers, word| match Helper::from_name(word) {
        Some(helper) => Ok(helpers.with(helper)),
        None => Err(OptionError::Helper { found: word.to_owned() }),
    })
}

/// Reads MAC addresses with commas between them.
///
/// # Errors
/// The text that is no station's address.
pub fn parse_macs(text: &str) -> Result<Vec<MacAddress>, OptionError> {
    let one = |word: &str| {
        station_from_text(word).ok_or_else(|| OptionError::Mac { found: word.to_owned() })
    };
    text.split(',').map(one).collect()
}

/// Six pairs of hexadecimal digits with colons between them; `None` for anything else, and for a group address.
pub(crate) fn station_from_text(text: &str) -> Option<MacAddress> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next()?;
        if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    let mac = MacAddress(bytes);
    (parts.next().is_none() && !mac.is_group()).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learn_until_takes_a_fraction_a_duration_or_a_time() {
        let read = |text: &str| text.parse::<LearnUntil>();
        assert_eq!(read("0"), Ok(LearnUntil::Fraction(0.0)));
        assert_eq!(read("0.25"), Ok(LearnUntil::Fraction(0.25)));
        assert_eq!(read("1"), Ok(LearnUntil::Fraction(1.0)));
        assert_eq!(read("280s"), Ok(LearnUntil::Elapsed { ns: 280_000_000_000 }));
        assert_eq!(read("1.5h"), Ok(LearnUntil::Elapsed { ns: 5_400_000_000_000 }));
        let at = LearnUntil::At { time_ns: 1_476_085_321_000_000_000 };
        assert_eq!(read("2016-10-10T07:42:01Z"), Ok(at));
        for text in ["", "1.1", "-0.5", "inf", "nan", "1e-1", "280", "s", "5w", "2016-10-10"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn infrastructure_and_macs_are_read() {
        assert_eq!(parse_infrastructure("arp,nd,link-local"), Ok(INFRASTRUCTURE));
        assert!(!parse_infrastructure("none").unwrap().arp);
        assert!(parse_infrastructure("arp,dhcp").is_err());
        let both = Helpers::NONE.with(Helper::Ftp).with(Helper::Rpc);
        assert_eq!(parse_helpers("ftp,dcerpc"), Ok(both));
        assert_eq!(parse_helpers("none"), Ok(Helpers::NONE));
        assert!(parse_helpers("sip").is_err());
        assert_eq!(parse_macs("02:00:00:00:00:01,02:00:00:00:00:0f").unwrap().len(), 2);
        assert!(parse_macs("01:00:5e:00:00:01").is_err());
        assert!(parse_macs("").is_err());
    }

    #[test]
    fn defaults_are_those_of_the_configuration() {
        let reference = loadlock_settings::reference();
        let settings = loadlock_settings::Settings::parse(&reference, "reference.toml").unwrap();
        assert_eq!(settings.flows.timeouts(), TIMEOUTS);
        assert_eq!(settings.exchange.rule_capacity as usize, RULE_CAPACITY);
        assert_eq!(settings.segments[0].infrastructure, INFRASTRUCTURE);
    }
}
