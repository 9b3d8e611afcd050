//! `loadlock readiness`: whether a segment, or a device, can be enforced, and what it would cost.

use clap::Args;
use loadlock_api::{LIMIT_DEFAULT, LIMIT_MAX, ReadinessReport, thousands};

use crate::exit;
use crate::failure::Failure;
use crate::output::View;
use crate::reach::Reach;
use crate::table::{Align, Table};
use crate::units::counted;

/// Arguments of `readiness`.
#[derive(Args)]
pub struct Arguments {
    /// Only this segment's devices
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Most devices to list
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

impl Arguments {
    /// Asks, and prints.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let client = self.reach.connect()?;
        let report = || client.readiness(self.segment.as_deref(), self.limit);
        self.view.show(report, |report, _| render(report))?;
        Ok(exit::OK)
    }
}

fn estimate([value, low, high]: [f64; 3]) -> String {
    format!("{value:.1} ({low:.1} to {high:.1})")
}

fn render(report: &ReadinessReport) -> String {
    let mut table = Table::new(&[
        ("DEVICE", Align::Left),
        ("SEGMENT", Align::Left),
        ("ROLE", Align::Left),
        ("DAYS", Align::Right),
        ("ADMITTED", Align::Right),
        ("HELD", Align::Right),
        ("WAITING", Align::Right),
        ("BLOCKS A MONTH", Align::Left),
        ("GAPS", Align::Left),
    ]);
    for device in &report.devices.items {
        let [admitted, held, waiting] = device.candidates.map(thousands);
        table.row([
            device.device.clone(),
            device.segment.clone(),
            device.role.clone().unwrap_or_else(|| "-".to_owned()),
            device.days.to_string(),
            admitted,
            held,
            waiting,
            estimate(device.blocks_per_month),
            device.gaps.join("; "),
        ]);
    }
    let cut = match report.devices.is_cut() {
        false => String::new(),
        true => format!(
            "the first {} of {} devices; --limit shows more\n",
            thousands(report.devices.items.len() as u64),
            thousands(report.devices.total)
        ),
    };
    format!(
        "{} of evidence; if all was enforced today, {} conversations would be blocked a month\nservices that exist and weren't seen: {}; \
         new ones within a month: {}\n{table}{cut}",
        counted(report.days.into(), "day", "days"),
        estimate(report.blocks_per_month),
        estimate(report.unseen_services),
        estimate(report.new_services_per_month)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadlock_api::{DeviceReadiness, Listing};

    #[test]
    fn a_device_has_its_cost_and_its_gaps() {
        let device = DeviceReadiness {
            device: "10.0.1.11".to_owned(),
            segment: "fab".to_owned(),
            role: None,
            days: 9,
            candidates: [12, 1, 0],
            blocks_per_month: [0.5, 0.0, 2.0],
            gaps: vec!["no weekend was seen".to_owned()],
        };
        let report = ReadinessReport {
            days: 9,
            unseen_services: [1.0, 0.0, 3.0],
            new_services_per_month: [0.5, 0.0, 1.0],
            blocks_per_month: [0.5, 0.0, 2.0],
            devices: Listing::take(vec![device], 9),
        };
        let text = render(&report);
        assert!(
            text.starts_with("9 days of evidence; if all was enforced today, 0.5 (0.0 to 2.0)")
        );
        assert!(text.contains("0.5 (0.0 to 2.0)  no weekend was seen"), "{text}");
    }
}
