//! The results as Markdown.

use super::Scenario;
use super::result::{Found, Limit, Point, Results};

/// One point in one line, for the terminal.
#[must_use]
pub fn line(point: &Point) -> String {
    let lost = if point.lost_packets > 0.0 {
        format!(", {:.0} lost", point.lost_packets)
    } else {
        String::new()
    };
    let limit =
        point.limit.map_or(String::new(), |limit| format!(", limit: {}", limit_text(limit)));
    format!(
        "{:<16} sent {:.3} Mpps, received {:.3}{lost}{limit}",
        point.label,
        point.sent_pps / 1e6,
        point.received_pps / 1e6
    )
}

fn limit_text(limit: Limit) -> &'static str {
    match limit {
        Limit::Line => "the line",
        Limit::Generator => "the generator",
        Limit::Device => "the appliance",
    }
}

/// All scenarios, each with its table, its plot (a file beside the report) and its warnings first.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "# Load test\n\n{}, generator on {} with {} CPUs{}, DPDK {}, kernel {}. Mpps: millions of frames a second of both directions \
         together. Frame sizes are with FCS.\n",
        machine.date,
        machine.processor,
        machine.cpus,
        if machine.virtual_machine { " (virtual machine)" } else { "" },
        machine.dpdk,
        machine.kernel,
    );
    for found in &results.scenarios {
        text += &scenario(found);
    }
    text
}

fn scenario(found: &Found) -> String {
    let known = Scenario::ALL.into_iter().find(|scenario| scenario.name() == found.scenario);
    let title = known.map_or(found.scenario.as_str(), |scenario| scenario.title());
    let mut text = format!("\n## {title}\n\nGenerator: {}.\n", found.generator);
    if let Some(failure) = &found.failure {
        text += &format!("\n**Failed:** {failure}\n");
    }
    for warning in &found.warnings {
        text += &format!("\n> Warning: {warning}\n");
    }
    if found.points.is_empty() {
        return text + "\nNothing was measured.\n";
    }
    text +=
        "\n| | sent, Mpps | received, Mpps | Gb/s | lost | limit |\n|---|---|---|---|---|---|\n";
    for point in &found.points {
        // With preamble and gap, as the wire is filled.
        let gbps = point.frame_bytes.map(|bytes| point.received_pps * (bytes + 20.0) * 8.0 / 1e9);
        text += &format!(
            "| {} | {:.3} | {:.3} | {} | {:.0} | {} |\n",
            point.label,
            point.sent_pps / 1e6,
            point.received_pps / 1e6,
            gbps.map_or("–".to_owned(), |gbps| format!("{gbps:.2}")),
            point.lost_packets,
            point.limit.map_or("–", limit_text),
        );
    }
    let with_latency = found.points.iter().filter(|point| !point.latency_ns.is_empty());
    let mut rows = String::new();
    for point in with_latency {
        for at in &point.latency_ns {
            rows += &format!(
                "| {} | {:.0} % | {:.1} | {:.1} | {:.1} | {:.1} |\n",
                point.label,
                at.load_percent,
                at.p50 / 1e3,
                at.p99 / 1e3,
                at.p99_9 / 1e3,
                at.max / 1e3
            );
        }
    }
    if !rows.is_empty() {
        text += "\nLatency, port to port, in µs:\n\n| | of the loss-free rate | p50 | p99 | p99.9 | max |\n|---|---|---|---|---|---|\n";
        text += &rows;
    }
    text + &format!("\n![{title}]({}.svg)\n", found.scenario)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::traffic::result::LatencyAt;

    fn point(label: &str, limit: Limit) -> Point {
        let latency = LatencyAt { load_percent: 90.0, p50: 1e3, p99: 2e3, p99_9: 3e3, max: 4e3 };
        Point {
            label: label.to_owned(),
            frame_bytes: Some(64.0),
            flows: Some(4.0),
            seconds: 1.0,
            offered_pps: 2e6,
            sent_pps: 2e6,
            received_pps: 1.5e6,
            lost_packets: 5.0,
            leaked_packets: 0.0,
            generator_kept_up: true,
            limit: Some(limit),
            latency_ns: vec![latency],
        }
    }

    #[test]
    fn a_report_has_every_point_and_names_the_limit() {
        let found = Found {
            scenario: "rfc2544".to_owned(),
            generator: "Pktgen 26.02".to_owned(),
            points: vec![point("64 bytes", Limit::Generator)],
            warnings: vec!["64 bytes: the generator is the limit".to_owned()],
            failure: None,
            samples: Vec::new(),
        };
        let text = markdown(&Results { machine: Machine::here(), scenarios: vec![found] });
        assert!(text.contains("| 64 bytes | 2.000 | 1.500 | 1.01 | 5 | the generator |"), "{text}");
        assert!(text.contains("| 64 bytes | 90 % | 1.0 | 2.0 | 3.0 | 4.0 |"), "{text}");
        assert!(text.contains("> Warning: 64 bytes") && text.contains("(rfc2544.svg)"), "{text}");
    }
}
