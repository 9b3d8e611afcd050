//! The two text formats: Prometheus' own (version 0.0.4), and OpenMetrics 1.0.
//!
//! Written here because the crate `prometheus-client` has OpenMetrics only, which promtool can't check, and wants to own the
//! counters, which are in the exchange.

use std::fmt::{Display, Write};

/// How figures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// What a client that sends this `Accept` header wants.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        match accept.contains("application/openmetrics-text") {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// The `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What kind of figures a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Labels of a sample: names from the code, values from the configuration.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// The text as it grows.
pub(super) struct Text {
    format: Format,
    out: String,
    /// Of the current family, with `_total`.
    name: &'static str,
}

impl Text {
    pub fn new(format: Format) -> Self {
        Self { format, out: String::with_capacity(16 << 10), name: "" }
    }

    /// Begins a family. A counter's name ends in `_total`; all its samples follow.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.name = name;
        let (family, kind) = match (kind, self.format) {
            // OpenMetrics names the family without the suffix.
            (Kind::Counter, Format::OpenMetrics) => {
                (name.strip_suffix("_total").unwrap_or(name), "counter")
            }
            (Kind::Counter, Format::Prometheus) => (name, "counter"),
            (Kind::Gauge, _) => (name, "gauge"),
            (Kind::Histogram, _) => (name, "histogram"),
        };
        let _ = writeln!(self.out, "# HELP {family} {help}\n# TYPE {family} {kind}");
    }

    /// A sample of the family.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.suffixed("", labels, value);
    }

    /// A sample of the family with a suffix to its name.
    fn suffixed(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        for (at, (name, value)) in labels.iter().enumerate() {
            self.out.push(if at == 0 { '{' } else { ',' });
            let _ = write!(self.out, "{name}=\"{}\"", escaped(value));
        }
        let _ = writeln!(self.out, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A histogram: samples up to each bound, which are texts so that they read the same in every answer.
    pub fn histogram(
        &mut self,
        labels: Labels<'_>,
        bounds: &[(&str, u64)],
        samples: &[(u64, u64)],
    ) {
        let sum_ns: u128 = samples.iter().map(|(ns, n)| u128::from(*ns) * u128::from(*n)).sum();
        let count: u64 = samples.iter().map(|(_, count)| count).sum();
        let below = |bound: u64| -> u64 {
            samples.iter().filter(|(ns, _)| *ns <= bound).map(|(_, count)| count).sum()
        };
        for (bound, bound_ns) in bounds {
            self.suffixed("_bucket", &[labels, &[("le", bound)]].concat(), below(*bound_ns));
        }
        self.suffixed("_bucket", &[labels, &[("le", "+Inf")]].concat(), count);
        self.suffixed("_sum", labels, seconds(sum_ns));
        self.suffixed("_count", labels, count);
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// Nanoseconds as seconds, exactly.
pub(super) fn seconds(ns: u128) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// A label's value between its quotes.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}
