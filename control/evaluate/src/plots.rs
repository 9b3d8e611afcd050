//! Charts of a run, as SVG: learning curve, forecast against what came, blocked conversations per day.

use std::path::{Path, PathBuf};

use plotters::prelude::{
    BLACK, BLUE, ChartBuilder, Color, GREEN, IntoDrawingArea, LineSeries, PathElement, RED,
    RGBColor, SVGBackend, WHITE,
};

use crate::error::EvaluateError;
use crate::measures::CONTESTANTS;
use crate::site::SiteRun;

/// A line of a chart.
struct Line {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

const COLOURS: [RGBColor; 3] = [BLUE, RED, GREEN];
const SIZE: (u32, u32) = (860, 420);

/// Writes the charts beside the report. Returns their paths.
pub(crate) fn write(
    report: &Path,
    subject: &str,
    run: &SiteRun,
) -> Result<Vec<PathBuf>, EvaluateError> {
    let stem = report.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let beside = |name: &str| report.with_file_name(format!("{stem}-{name}.svg"));
    let curve = [0, 1].map(|at| Line {
        name: CONTESTANTS[at],
        colour: COLOURS[at],
        points: run.curve.iter().map(|p| (f64::from(p.day), 1.0 - p.recall[at])).collect(),
    });
    let of = |name, colour, read: fn(&crate::site::CurvePoint) -> f64| Line {
        name,
        colour,
        points: run.curve.iter().map(|point| (f64::from(point.day), read(point))).collect(),
    };
    let forecast = [
        of("expected", BLUE, |point| point.forecast[0]),
        of("lower bound", BLACK, |point| point.forecast[1]),
        of("upper bound", BLACK, |point| point.forecast[2]),
        of("came", RED, |point| point.came),
    ];
    let blocked = [0, 1, 2].map(|at| Line {
        name: CONTESTANTS[at],
        colour: COLOURS[at],
        points: (0u32..)
            .zip(&run.blocked_by_day[at])
            .map(|(day, count)| (f64::from(day), f64::from(*count)))
            .collect(),
    });
    let charts: [(&str, &str, &str, &[Line]); 3] = [
        (
            "curve",
            "share of later connections not permitted, if enforced on this day",
            "share",
            &curve,
        ),
        (
            "forecast",
            "blocks in the month after, if enforced on this day",
            "connections",
            &forecast,
        ),
        ("blocked", "benign connections blocked", "connections", &blocked),
    ];
    let mut files = Vec::new();
    for (name, title, unit, lines) in charts {
        let file = beside(name);
        draw(&file, &format!("{subject}: {title}"), unit, lines)
            .map_err(|problem| EvaluateError::Plot { file: file.clone(), problem })?;
        files.push(file);
    }
    Ok(files)
}

fn draw(file: &Path, title: &str, unit: &str, lines: &[Line]) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let points = || lines.iter().flat_map(|line| &line.points);
    let right = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let top = points().map(|(_, y)| *y).fold(0.0, f64::max).max(1e-6) * 1.05;
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| words(&error))?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 15))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..right, 0.0..top)
        .map_err(|error| words(&error))?;
    chart.configure_mesh().x_desc("day").y_desc(unit).draw().map_err(|error| words(&error))?;
    for line in lines {
        let colour = line.colour;
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), &colour))
            .map_err(|error| words(&error))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()
        .map_err(|error| words(&error))?;
    area.present().map_err(|error| words(&error))
}
