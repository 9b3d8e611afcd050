//! The chart that the README shows, written as SVG: packets per second of every program, by number of flows.
//!
//! Bars with text beside them need no drawing library; what varies are widths and places.

use std::fmt::{self, Write as _};

use crate::report::{Comparison, Program};

const WIDTH: f64 = 860.0;
const NAMES: f64 = 215.0;
const FIGURES: f64 = 190.0;
const BAR: f64 = 15.0;
const STEP: f64 = 20.0;
const TITLE: f64 = 62.0;
const GROUP: f64 = 34.0;
/// Ours, and the peers'.
const COLOURS: [&str; 2] = ["#0b7285", "#adb5bd"];

/// Draws the comparisons one below the other on a common scale. `footnote` names the machine.
///
/// # Errors
/// None; writing to a text succeeds.
pub fn svg(comparisons: &[&Comparison], footnote: &str) -> Result<String, fmt::Error> {
    let programs = comparisons.iter().map(|comparison| comparison.programs.len()).sum::<usize>();
    let height = TITLE + comparisons.len() as f64 * GROUP + programs as f64 * STEP + 40.0;
    let most = comparisons
        .iter()
        .flat_map(|comparison| &comparison.programs)
        .map(|program| program.pps.max)
        .fold(1.0, f64::max);
    let mut text = String::new();
    writeln!(
        text,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13" fill="#212529">
<rect width="100%" height="100%" fill="#fff"/>
<text x="16" y="28" font-size="17" font-weight="bold">Packets per second of one core, 60-byte frames, both directions mixed</text>
<text x="16" y="48" fill="#495057">Median of alternating runs; the line goes from the least to the most. × is the ratio to testpmd macswap.</text>"##
    )?;
    let mut y = TITLE;
    for comparison in comparisons {
        y += GROUP - 8.0;
        let (flows, rules) = (grouped(comparison.flows), grouped(comparison.rules));
        writeln!(
            text,
            r#"<text x="16" y="{y}" font-weight="bold">{flows} flows (Loadlock: {rules} rules)</text>"#
        )?;
        y += 8.0;
        for (at, program) in comparison.programs.iter().enumerate() {
            bar(&mut text, program, COLOURS[at.min(1)], y, (WIDTH - NAMES - FIGURES) / most)?;
            y += STEP;
        }
    }
    writeln!(
        text,
        r##"<text x="16" y="{}" font-size="11" fill="#495057">{}</text>"##,
        y + 26.0,
        escaped(footnote)
    )?;
    text += "</svg>\n";
    Ok(text)
}

fn bar(text: &mut String, program: &Program, colour: &str, y: f64, scale: f64) -> fmt::Result {
    let Program { name, pps, ratio_to_macswap, .. } = program;
    let [median, min, max] = [pps.median, pps.min, pps.max].map(|pps| NAMES + pps * scale);
    let (middle, base) = (y + BAR / 2.0, y + BAR - 3.0);
    writeln!(
        text,
        r#"<text x="{}" y="{base}" text-anchor="end">{}</text>"#,
        NAMES - 8.0,
        escaped(name)
    )?;
    writeln!(
        text,
        r#"<rect x="{NAMES}" y="{y}" width="{:.1}" height="{BAR}" fill="{colour}"/>"#,
        median - NAMES
    )?;
    writeln!(
        text,
        r##"<line x1="{min:.1}" x2="{max:.1}" y1="{middle}" y2="{middle}" stroke="#212529" stroke-width="1.5"/>"##
    )?;
    let ratio = ratio_to_macswap.map_or(String::new(), |ratio| format!(" · {:.2} ×", ratio.median));
    writeln!(
        text,
        r#"<text x="{:.1}" y="{base}">{:.1} Mpps{ratio}</text>"#,
        max.max(median) + 8.0,
        pps.median / 1e6
    )
}

/// With commas between thousands.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let places = digits.char_indices().flat_map(|(at, digit)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    });
    places.collect()
}

/// For the text of an SVG.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Run;

    #[test]
    fn every_program_has_its_bar() {
        let run = |pps| vec![Run { pps, cpu_taken_away: 0.0 }];
        let runs = [("loadlock".to_owned(), run(1e6)), ("a < b".to_owned(), run(2e6))];
        let comparison = Comparison::of("flows", (1_048_576, "frames"), 100_000, &runs);
        let svg = svg(&[&comparison], "here").unwrap();
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("1,048,576 flows") && svg.contains("a &lt; b"), "{svg}");
    }
}
