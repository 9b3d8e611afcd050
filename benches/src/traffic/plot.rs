//! A plot of each scenario as SVG: bars of what was sent and what came back; of a long run, the rate over time.

use std::fmt::{self, Write as _};

use super::result::{Found, Limit, Point, Sample};
use crate::chart::escaped;

const WIDTH: f64 = 860.0;
const NAMES: f64 = 150.0;
const FIGURES: f64 = 230.0;
const STEP: f64 = 26.0;
const TOP: f64 = 64.0;
const PLOT_HEIGHT: f64 = 160.0;
const SENT: &str = "#ced4da";
const RECEIVED: &str = "#0b7285";

/// Draws what was found under `title`. `footnote` names the machine.
///
/// # Errors
/// None; writing to a text succeeds.
pub fn svg(found: &Found, title: &str, footnote: &str) -> Result<String, fmt::Error> {
    let bars = TOP + STEP * found.points.len() as f64;
    let over_time = if found.samples.is_empty() { 0.0 } else { PLOT_HEIGHT + 40.0 };
    let height = bars + over_time + 40.0;
    let mut text = String::new();
    writeln!(
        text,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13" fill="#212529">
<rect width="100%" height="100%" fill="#fff"/>
<text x="16" y="28" font-size="17" font-weight="bold">{}</text>
<text x="16" y="48" fill="#495057">Millions of frames a second, both directions together: came back, and (grey) sent.</text>"##,
        escaped(title)
    )?;
    let most = found.points.iter().map(|point| point.sent_pps).fold(1.0, f64::max);
    for (at, point) in found.points.iter().enumerate() {
        let scale = (WIDTH - NAMES - FIGURES) / most;
        bar(&mut text, point, TOP + STEP * at as f64, scale)?;
    }
    if !found.samples.is_empty() {
        line(&mut text, &found.samples, bars + 30.0)?;
    }
    writeln!(
        text,
        r##"<text x="16" y="{}" font-size="11" fill="#495057">{}</text>
</svg>"##,
        height - 14.0,
        escaped(footnote)
    )?;
    Ok(text)
}

fn bar(text: &mut String, point: &Point, y: f64, scale: f64) -> fmt::Result {
    let base = y + 13.0;
    writeln!(
        text,
        r#"<text x="{}" y="{base}" text-anchor="end">{}</text>"#,
        NAMES - 8.0,
        escaped(&point.label)
    )?;
    for (pps, colour) in [(point.sent_pps, SENT), (point.received_pps, RECEIVED)] {
        writeln!(
            text,
            r#"<rect x="{NAMES}" y="{y}" width="{:.1}" height="17" fill="{colour}"/>"#,
            pps * scale
        )?;
    }
    let limit = match point.limit {
        Some(Limit::Line) => ", limit: line",
        Some(Limit::Generator) => ", limit: generator",
        Some(Limit::Device) => ", limit: appliance",
        None => "",
    };
    writeln!(
        text,
        r#"<text x="{:.1}" y="{base}">{:.2} Mpps{limit}</text>"#,
        NAMES + point.sent_pps * scale + 8.0,
        point.received_pps / 1e6
    )
}

fn line(text: &mut String, samples: &[Sample], top: f64) -> fmt::Result {
    let end_s = samples.last().map_or(1.0, |sample| sample.at_s).max(1.0);
    let most = samples.iter().map(|sample| sample.sent_pps).fold(1.0, f64::max);
    for (colour, pps) in [
        (SENT, (|sample| sample.sent_pps) as fn(&Sample) -> f64),
        (RECEIVED, |sample| sample.received_pps),
    ] {
        let places: Vec<String> = samples
            .iter()
            .map(|sample| {
                let x = NAMES + sample.at_s / end_s * (WIDTH - NAMES - 30.0);
                let y = top + PLOT_HEIGHT * (1.0 - pps(sample) / most);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        writeln!(
            text,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            places.join(" ")
        )?;
    }
    writeln!(
        text,
        r#"<text x="{}" y="{}" text-anchor="end">{:.2} Mpps</text>
<text x="{}" y="{}" text-anchor="end">0 to {end_s:.0} s</text>"#,
        NAMES - 8.0,
        top + 5.0,
        most / 1e6,
        NAMES - 8.0,
        top + PLOT_HEIGHT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_its_bars_and_a_long_run_its_line() {
        let point = Point {
            label: "a < b".to_owned(),
            frame_bytes: None,
            flows: None,
            seconds: 1.0,
            offered_pps: 1e6,
            sent_pps: 1e6,
            received_pps: 5e5,
            lost_packets: 0.0,
            leaked_packets: 0.0,
            generator_kept_up: true,
            limit: Some(Limit::Generator),
            latency_ns: Vec::new(),
        };
        let sample = |at_s| Sample { at_s, sent_pps: 1e6, received_pps: 9e5 };
        let found = Found {
            scenario: "soak".to_owned(),
            generator: String::new(),
            points: vec![point],
            warnings: Vec::new(),
            failure: None,
            samples: vec![sample(1.0), sample(2.0)],
        };
        let svg = svg(&found, "title", "here").unwrap();
        assert_eq!((svg.matches("<rect").count(), svg.matches("<polyline").count()), (3, 2));
        assert!(svg.contains("a &lt; b") && svg.contains("limit: generator"), "{svg}");
    }
}
