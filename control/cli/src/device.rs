//! `loadlock device …`: the devices of the policy in force, with modes and inventory.

mod file;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use loadlock_api::{
    Device, DeviceChange, DeviceChanges, DeviceQuery, LIMIT_DEFAULT, LIMIT_MAX, Listing, printable,
    thousands,
};
use loadlock_policy::check_device;

use crate::exit;
use crate::failure::Failure;
use crate::output::{self, View};
use crate::policy::{Ends, changed};
use crate::reach::Reach;
use crate::table::{Align, Table};
use crate::units::counted;

pub use file::DeviceMistakes;

/// Arguments of `device`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the devices
    List(List),
    /// All that is said of one device
    Show(Show),
    /// Change what is said of a device, its mode among it; in force at once, as a policy version of its own
    Set(Box<Set>),
    /// Change or add the devices of a list, all or none
    Import(Import),
    /// Write the devices as a list that can be imported again
    Export(Export),
}

#[derive(Args)]
struct Selection {
    /// Only this segment's devices
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Only devices of this role
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Only devices of this zone
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
}

impl Selection {
    fn query(&self, limit: u32) -> DeviceQuery {
        let (segment, role, zone) = (self.segment.clone(), self.role.clone(), self.zone.clone());
        DeviceQuery { segment, role, zone, limit }
    }
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    selection: Selection,
    /// Most devices to list
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

#[derive(Args)]
struct Show {
    /// Its name, or one of its addresses
    device: String,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

#[derive(Args)]
struct Set {
    /// Its name
    device: String,
    /// It is a new one; needs --address
    #[arg(long, requires = "address")]
    new: bool,
    /// learn, monitor, enforce; quarantine: nothing of it passes but ARP and the like; inherit: as its segment
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Its IP and MAC addresses, divided by commas
    #[arg(long, value_name = "ADDRESS,…")]
    address: Option<String>,
    /// The segment on which it is
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Its side: a, b or both
    #[arg(long, value_name = "SIDE")]
    side: Option<String>,
    /// Its VLAN
    #[arg(long, value_name = "VLAN")]
    vlan: Option<String>,
    /// What kind of device it is
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Where it belongs, a zone of the policy
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
    /// Who made it
    #[arg(long, value_name = "TEXT")]
    vendor: Option<String>,
    /// Its model
    #[arg(long, value_name = "TEXT")]
    model: Option<String>,
    /// Its serial number
    #[arg(long, value_name = "TEXT")]
    serial: Option<String>,
    /// Its asset tag
    #[arg(long, value_name = "TEXT")]
    asset_tag: Option<String>,
    /// Its operating system
    #[arg(long, value_name = "TEXT")]
    os: Option<String>,
    /// The version of its firmware
    #[arg(long, value_name = "TEXT")]
    firmware: Option<String>,
    /// Where it stands
    #[arg(long, value_name = "TEXT")]
    location: Option<String>,
    /// Who answers for it
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// low, medium, high or critical
    #[arg(long, value_name = "LEVEL")]
    criticality: Option<String>,
    /// The day on which its maker's support ends, such as 2027-06-30
    #[arg(long, value_name = "DATE")]
    end_of_support: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    ends: Ends,
}

/// How a list is written.
#[derive(Clone, Copy, ValueEnum)]
enum ListFormat {
    /// Comma-separated, with a line of titles; for spreadsheets.
    Csv,
    /// A JSON array, a device a line.
    Json,
}

impl ListFormat {
    /// What was asked for, else by the name's ending.
    fn of(asked: Option<Self>, path: &std::path::Path) -> Result<Self, Failure> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match (asked, ending) {
            (Some(format), _) => Ok(format),
            (None, Some("csv")) => Ok(Self::Csv),
            (None, Some("json")) => Ok(Self::Json),
            _ => Err(Failure::Usage(format!(
                "the name {} doesn't say whether it is CSV or JSON\n    fix: add --format csv or --format json.",
                printable(&path.display().to_string())
            ))),
        }
    }
}

#[derive(Args)]
struct Import {
    /// The list: CSV with a line of titles, or a JSON array; - for standard input
    file: PathBuf,
    /// How it is written [default: by the file's ending]
    #[arg(id = "list_format", long = "format", value_name = "FORMAT")]
    format: Option<ListFormat>,
    /// Only say what is wrong with it
    #[arg(long)]
    check: bool,
    /// Why
    #[arg(long, value_name = "TEXT", required_unless_present = "check", default_value = "")]
    reason: String,
    #[command(flatten)]
    ends: Ends,
}

#[derive(Args)]
struct Export {
    #[command(flatten)]
    selection: Selection,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    format: ListFormat,
    #[command(flatten)]
    reach: Reach,
}

impl Arguments {
    /// Does what is asked.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Devices`], [`Failure::Input`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            Action::List(list) => {
                let (client, query) = (list.reach.connect()?, list.selection.query(list.limit));
                list.view.show(|| client.devices(&query), render)?;
            }
            Action::Show(show) => {
                let client = show.reach.connect()?;
                show.view.show(|| client.device(&show.device), |device, _| render_one(device))?;
            }
            Action::Set(set) => set.run()?,
            Action::Import(import) => import.run()?,
            Action::Export(export) => {
                let query = export.selection.query(LIMIT_MAX);
                let devices = export.reach.connect()?.devices(&query)?;
                output::write(&match export.format {
                    ListFormat::Csv => file::to_csv(&devices.items)?,
                    ListFormat::Json => file::to_json(&devices.items)?,
                })?;
            }
        }
        Ok(exit::OK)
    }
}

impl Set {
    fn run(&self) -> Result<(), Failure> {
        let given = [
            ("mode", &self.mode),
            ("address", &self.address),
            ("segment", &self.segment),
            ("side", &self.side),
            ("vlan", &self.vlan),
            ("role", &self.role),
            ("zone", &self.zone),
            ("vendor", &self.vendor),
            ("model", &self.model),
            ("serial", &self.serial),
            ("asset_tag", &self.asset_tag),
            ("os", &self.os),
            ("firmware", &self.firmware),
            ("location", &self.location),
            ("owner", &self.owner),
            ("criticality", &self.criticality),
            ("end_of_support", &self.end_of_support),
        ];
        let mut fields = BTreeMap::new();
        for (key, value) in given {
            let Some(value) = value else { continue };
            let removes = value.is_empty() || (key == "mode" && value == "inherit");
            let value = (!removes).then(|| value.clone());
            if let Some(value) = &value
                && let Err(allowed) = check_device(key, value)
            {
                let inherit = if key == "mode" { ", or inherit" } else { "" };
                return Err(Failure::Usage(format!(
                    "--{} is \"{}\"; allowed: {allowed}{inherit}\n    fix: give one of these, or \"\" to remove it.",
                    key.replace('_', "-"),
                    printable(&value.chars().take(80).collect::<String>())
                )));
            }
            fields.insert(key.to_owned(), value);
        }
        if fields.is_empty() {
            return Err(Failure::Usage(
                "device set was told to change nothing\n    fix: give what is to be different, such as --mode quarantine."
                    .to_owned(),
            ));
        }
        let change = DeviceChange { name: self.device.clone(), create: self.new, fields };
        let changes = DeviceChanges { devices: vec![change], reason: self.reason.clone() };
        let answer = self.ends.connect()?.change_devices(&changes)?;
        self.ends.output.show(&answer, changed)?;
        Ok(())
    }
}

impl Import {
    fn run(&self) -> Result<(), Failure> {
        let format = ListFormat::of(self.format, &self.file)?;
        let failed = |source| Failure::Input { path: self.file.clone(), source };
        let limit = file::BYTES_MAX + 1;
        let mut bytes = Vec::new();
        if self.file.as_os_str() == "-" {
            std::io::stdin().take(limit).read_to_end(&mut bytes).map_err(failed)?;
        } else {
            let opened = std::fs::File::open(&self.file).map_err(failed)?;
            opened.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        }
        let place = self.file.display().to_string();
        let devices = match format {
            ListFormat::Csv => file::from_csv(&bytes, &place),
            ListFormat::Json => file::from_json(&bytes, &place),
        };
        let devices = devices.map_err(Failure::Devices)?;
        if self.check {
            let count = counted(devices.len() as u64, "device", "devices");
            output::write(&format!("no mistakes: {count}\n"))?;
            return Ok(());
        }
        let changes = DeviceChanges { devices, reason: self.reason.clone() };
        let answer = self.ends.connect()?.change_devices(&changes)?;
        self.ends.output.show(&answer, changed)?;
        Ok(())
    }
}

fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("–").to_owned()
}

fn vendor(device: &Device) -> String {
    let stated = device.inventory.get("vendor").map(String::as_str);
    or_dash(stated.or(device.vendor_by_mac.as_deref()))
}

fn render(devices: &Listing<Device>, wide: bool) -> String {
    if devices.items.is_empty() {
        return "no devices: `loadlock device set NAME --new --address …` adds one, `device import` a list\n".to_owned();
    }
    let mut table = Table::new(&[
        ("DEVICE", Align::Left),
        ("ADDRESS", Align::Left),
        ("SEGMENT", Align::Left),
        ("ROLE", Align::Left),
        ("ZONE", Align::Left),
        ("MODE", Align::Left),
        ("VENDOR", Align::Left),
        ("MODEL", Align::Left),
        ("SIDE", Align::Wide),
        ("VLAN", Align::Wide),
        ("SERIAL", Align::Wide),
        ("ASSET TAG", Align::Wide),
        ("OS", Align::Wide),
        ("FIRMWARE", Align::Wide),
        ("LOCATION", Align::Wide),
        ("OWNER", Align::Wide),
        ("CRITICALITY", Align::Wide),
        ("END OF SUPPORT", Align::Wide),
    ])
    .wide(wide);
    for device in &devices.items {
        let known = |key: &str| or_dash(device.inventory.get(key).map(String::as_str));
        table.row([
            device.name.clone(),
            device.addresses.join(", "),
            or_dash(device.segment.as_deref()),
            or_dash(device.role.as_deref()),
            or_dash(device.zone.as_deref()),
            device.mode.map_or("–".to_owned(), |mode| mode.to_string()),
            vendor(device),
            known("model"),
            or_dash(device.side.as_deref()),
            or_dash(device.vlan.as_deref()),
            known("serial"),
            known("asset_tag"),
            known("os"),
            known("firmware"),
            known("location"),
            known("owner"),
            known("criticality"),
            known("end_of_support"),
        ]);
    }
    let count = match devices.is_cut() {
        false => counted(devices.total, "device", "devices"),
        true => format!(
            "the first {} of {} devices; --limit shows up to {}",
            thousands(devices.items.len() as u64),
            thousands(devices.total),
            thousands(LIMIT_MAX.into())
        ),
    };
    format!("{table}{count}\n")
}

fn render_one(device: &Device) -> String {
    let mode = device.mode.map_or("that of its segment".to_owned(), |mode| mode.to_string());
    let mut lines = vec![
        ("device", Some(device.name.clone())),
        ("address", Some(device.addresses.join(", "))),
        ("segment", device.segment.clone()),
        ("side", device.side.clone()),
        ("vlan", device.vlan.clone()),
        ("role", device.role.clone()),
        ("zone", device.zone.clone()),
        ("mode", Some(mode)),
    ];
    let vendor = match (device.inventory.get("vendor"), &device.vendor_by_mac) {
        (None, Some(by_mac)) => Some(format!("{by_mac} (by its MAC address, IEEE list)")),
        _ => None,
    };
    lines.push(("vendor", vendor));
    let known = loadlock_policy::INVENTORY_KEYS.iter();
    lines.extend(known.map(|key| (*key, device.inventory.get(*key).cloned())));
    let line = |(name, value): (&str, Option<String>)| {
        value.map(|value| format!("{name:<15} {}\n", printable(&value)))
    };
    lines.into_iter().filter_map(line).collect()
}
