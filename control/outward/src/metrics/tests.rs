use super::*;

#[test]
fn every_family_is_explained_and_every_counter_is_a_total() {
    let text = write_metrics(&families::example(), &[SinkStatus::default()], Format::Prometheus);
    let mut kind = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, found) = rest.split_once(' ').unwrap();
            kind = found;
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(text.contains(&format!("# HELP {name} ")), "{line}");
        } else if !line.starts_with('#') {
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert_eq!(kind, "gauge");
}

#[test]
fn a_histogram_counts_up() {
    let text = write_metrics(&families::example(), &[], Format::Prometheus);
    for line in [
        "loadlock_worker_latency_seconds_bucket{worker=\"0\",le=\"0.000001\"} 3",
        "loadlock_worker_latency_seconds_bucket{worker=\"0\",le=\"0.00001\"} 4",
        "loadlock_worker_latency_seconds_bucket{worker=\"0\",le=\"+Inf\"} 4",
        "loadlock_worker_latency_seconds_sum{worker=\"0\"} 0.000011700",
        "loadlock_worker_latency_seconds_count{worker=\"0\"} 4",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} isn't in:\n{text}");
    }
}

#[test]
fn open_metrics_names_families_without_total_and_ends() {
    let text = write_metrics(&families::example(), &[], Format::OpenMetrics);
    assert!(text.contains("# TYPE loadlock_worker_bursts counter\n"));
    assert!(text.contains("loadlock_worker_bursts_total{worker=\"0\"} 0\n"));
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(
        Format::accepted("application/openmetrics-text;version=1.0.0,*/*"),
        Format::OpenMetrics
    );
    assert_eq!(Format::accepted("text/html"), Format::Prometheus);
}
