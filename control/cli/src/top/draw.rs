//! The figures on a terminal of any size: what doesn't fit is counted, and tables lose their less telling columns first.

use loadlock_api::{PortStatus, WorkerStatus, printable, thousands};
use ratatui::Frame;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use super::figures::{Dropped, Figures};
use crate::local_time::LocalTime;
use crate::status::{link, verdict};
use crate::table::{Align, folded_to};
use crate::units::{bit_rate, counted, latency, packet_rate};

/// A column: its title, how it stands, and when it goes if room is short, the highest first; 0 stays.
type Column = (&'static str, Align, u8);

const WORKERS: [Column; 12] = [
    ("WORKER", Align::Right, 0),
    ("CORE", Align::Right, 7),
    ("LOAD", Align::Right, 0),
    ("POLLS", Align::Right, 6),
    ("RECEIVED", Align::Right, 9),
    ("FRAMES/BURST", Align::Right, 3),
    ("CYCLES/FRAME", Align::Right, 2),
    ("FLOWS IPV4", Align::Right, 4),
    ("OTHER", Align::Right, 5),
    ("RING", Align::Right, 2),
    ("P50", Align::Right, 8),
    ("P99", Align::Right, 1),
];
const PORTS: [Column; 9] = [
    ("PORT", Align::Left, 0),
    ("SEGMENT", Align::Left, 7),
    ("LINK", Align::Left, 5),
    ("RECEIVED", Align::Right, 0),
    ("", Align::Right, 4),
    ("FORWARDED", Align::Right, 1),
    ("", Align::Right, 6),
    ("DROPPED", Align::Right, 0),
    ("LOST BEFORE", Align::Right, 3),
];
const DROPS: [Column; 6] = [
    ("DROPPED", Align::Right, 0),
    ("IN ALL", Align::Right, 2),
    ("WOULD DENY", Align::Right, 3),
    ("IN ALL", Align::Right, 4),
    ("REASON", Align::Left, 0),
    ("MEANING", Align::Left, 5),
];

const TITLE: Style = Style::new().add_modifier(Modifier::REVERSED);
const ALARM: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const WELL: Style = Style::new().fg(Color::Green).add_modifier(Modifier::BOLD);
const PLAIN: Style = Style::new();

/// Lines of one kind that stay together: a title, if there is one, and what can be left out from the end.
struct Section {
    title: Option<String>,
    lines: Vec<String>,
    style: Style,
    /// Lines that it has before others get more.
    floor: usize,
}

impl Section {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn wanted(&self) -> usize {
        self.lines.len() + usize::from(self.title.is_some())
    }

    /// At most `room` lines; the last says how many are left out, if any are.
    fn shown(&self, room: usize) -> Vec<(String, Style)> {
        let titles = self.title.iter().map(|title| (title.clone(), TITLE));
        let mut shown: Vec<(String, Style)> = titles.take(room).collect();
        let room = room - shown.len();
        let fitting = if self.lines.len() <= room { room } else { room.saturating_sub(1) };
        shown.extend(self.lines.iter().take(fitting).map(|line| (line.clone(), self.style)));
        if self.lines.len() > room && room > 0 {
            let left_out = thousands((self.lines.len() - fitting) as u64);
            shown.push((format!("  … {left_out} more; a taller terminal shows them"), PLAIN));
        }
        shown
    }
}

/// Draws everything. Pure: the same figures, zone and size give the same cells.
pub fn draw(frame: &mut Frame, figures: &Figures, zone: &LocalTime) {
    let area = frame.area();
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    for (row, (text, style)) in lines(figures, zone, width, height).into_iter().enumerate() {
        // Titles to the end of the line; `lines` gives no more than there are rows.
        let text = if style == TITLE { format!("{text:<width$}") } else { text };
        let Ok(y) = u16::try_from(row) else { break };
        frame.buffer_mut().set_line(area.x, area.y + y, &Line::styled(text, style), area.width);
    }
}

/// At most `height` lines, the answer first.
fn lines(figures: &Figures, zone: &LocalTime, width: usize, height: usize) -> Vec<(String, Style)> {
    let status = figures.status();
    let well = if status.alarms.is_empty() { WELL } else { ALARM };
    let mut lines =
        vec![(verdict(status, zone).trim_end().to_owned(), well), (in_force(figures), PLAIN)];
    if let Some(trouble) = figures.trouble() {
        let first = trouble.lines().next().unwrap_or_default();
        let old = format!("no newer figures: {}", printable(first));
        lines.push((old, ALARM));
    }
    let foot = format!(
        "q leaves; every {} s; latency and IN ALL are since the start",
        figures.interval_s()
    );

    let sections: Vec<Section> = [
        alarms(figures, width),
        table(&WORKERS, workers(figures), width, 4),
        table(&PORTS, ports(figures), width, 5),
        table(&DROPS, drops(figures), width, 4),
    ]
    .into_iter()
    .filter(|section| !section.is_empty())
    .collect();
    let room = height.saturating_sub(lines.len() + 1);
    let rooms = shared(&sections, room);
    // An empty line between sections, if that costs nothing.
    let spare = room - rooms.iter().sum::<usize>();
    let divided = spare >= sections.len();
    for (section, room) in sections.iter().zip(rooms) {
        if divided {
            lines.push((String::new(), PLAIN));
        }
        lines.extend(section.shown(room));
    }
    lines.truncate(height.saturating_sub(1));
    lines.resize(height.saturating_sub(1), (String::new(), PLAIN));
    if height > 0 {
        lines.push((foot, Style::new().add_modifier(Modifier::DIM)));
    }
    lines
}

/// How many lines each section gets: first all their floors, in their order, then what they want, in their order.
fn shared(sections: &[Section], mut room: usize) -> Vec<usize> {
    let mut rooms = vec![0; sections.len()];
    for is_floor in [true, false] {
        for (section, has) in sections.iter().zip(&mut rooms) {
            let wanted = section.wanted();
            let wanted = if is_floor { wanted.min(section.floor) } else { wanted };
            let more = wanted.saturating_sub(*has).min(room);
            *has += more;
            room -= more;
        }
    }
    rooms
}

/// What judges.
fn in_force(figures: &Figures) -> String {
    let status = figures.status();
    let policy = match status.control.policy_version {
        0 => "no policy yet".to_owned(),
        version => format!(
            "policy version {}, generation {}",
            thousands(version),
            thousands(status.control.generation)
        ),
    };
    let rules: u64 = status.segments.iter().map(|segment| segment.rules).sum();
    format!(
        "{policy}, {} of {}; dataplane {}",
        thousands(rules),
        counted(status.dataplane.memory.rule_capacity, "rule", "rules"),
        status.dataplane.state
    )
}

fn alarms(figures: &Figures, width: usize) -> Section {
    let alarms = figures.status().alarms.iter();
    let folded = alarms.map(|alarm| folded_to("! ", alarm, width.max(20)));
    let lines = folded.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    Section { title: None, lines: lines.collect(), style: ALARM, floor: 3 }
}

fn share(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn rate(pps: Option<u64>) -> String {
    pps.map_or("–".to_owned(), packet_rate)
}

fn bits(bits_per_s: Option<u64>) -> String {
    bits_per_s.map_or("–".to_owned(), bit_rate)
}

fn filled(used: u64, room: u64) -> String {
    share((room > 0).then(|| used as f64 / room as f64))
}

fn workers(figures: &Figures) -> Vec<[String; 12]> {
    let row = |worker: &WorkerStatus| {
        let work = figures.work(worker);
        let number = |value: Option<f64>, decimals: usize| {
            value.map_or("–".to_owned(), |value| format!("{value:.decimals$}"))
        };
        // What the ring refused is said beside how full it is: a loss that has been stays true.
        let refused = match worker.events_refused {
            0 => String::new(),
            refused => format!(", {} refused", thousands(refused)),
        };
        [
            worker.index.to_string(),
            worker.core.to_string(),
            share(work.load),
            share(work.polls),
            rate(work.received_pps),
            number(work.packets_per_burst, 1),
            number(work.cycles_per_packet, 0),
            filled(worker.flows_narrow, worker.flow_capacity_narrow),
            filled(worker.flows_wide, worker.flow_capacity_wide),
            format!("{}{refused}", filled(worker.ring_used, worker.ring_capacity)),
            latency(worker.latency_p50_ns),
            latency(worker.latency_p99_ns),
        ]
    };
    figures.status().workers.iter().map(row).collect()
}

fn ports(figures: &Figures) -> Vec<[String; 9]> {
    let row = |segment: &str, port: &PortStatus| {
        let traffic = figures.traffic(port);
        [
            port.port.clone(),
            segment.to_owned(),
            link(port),
            rate(traffic.received_pps),
            bits(traffic.received_bits_per_s),
            rate(traffic.forwarded_pps),
            bits(traffic.forwarded_bits_per_s),
            rate(traffic.dropped_pps),
            rate(traffic.lost_pps),
        ]
    };
    let segments = figures.status().segments.iter();
    let rows = segments.flat_map(|segment| {
        [row(&segment.name, &segment.side_a), row(&segment.name, &segment.side_b)]
    });
    rows.collect()
}

fn drops(figures: &Figures) -> Vec<[String; 6]> {
    let row = |drop: Dropped| {
        [
            rate(drop.dropped_pps),
            thousands(drop.dropped),
            rate(drop.would_deny_pps),
            thousands(drop.would_deny),
            drop.reason,
            drop.meaning,
        ]
    };
    figures.dropped().into_iter().map(row).collect()
}

/// Rows under their titles, in as many columns as fit.
fn table<const CELLS: usize>(
    columns: &[Column; CELLS],
    rows: Vec<[String; CELLS]>,
    width: usize,
    floor: usize,
) -> Section {
    let rows = rows.into_iter().map(|row| row.map(|cell| printable(&cell).into_owned()));
    let titles = columns.map(|(title, ..)| title.to_owned());
    let rows: Vec<[String; CELLS]> = std::iter::once(titles).chain(rows).collect();
    // As many cells as a terminal gives to them, which aren't always as many as there are characters.
    let cells = |text: &str| Line::from(text).width();
    let widths: [usize; CELLS] =
        std::array::from_fn(|at| rows.iter().map(|row| cells(&row[at])).max().unwrap_or(0));
    let mut kept: Vec<usize> = (0..CELLS).collect();
    let needed = |kept: &[usize]| kept.iter().map(|at| widths[*at] + 2).sum::<usize>();
    while needed(&kept) > width + 2 {
        let droppable = kept.iter().copied().filter(|at| columns[*at].2 > 0);
        let Some(least) = droppable.max_by_key(|at| columns[*at].2) else { break };
        kept.retain(|at| *at != least);
    }
    let mut lines = rows.iter().map(|row| {
        let mut line = String::new();
        for at in &kept {
            let fill = " ".repeat(widths[*at] - cells(&row[*at]));
            match columns[*at].1 {
                Align::Right => line.push_str(&format!("{fill}{}  ", row[*at])),
                Align::Left | Align::Wide => line.push_str(&format!("{}{fill}  ", row[*at])),
            }
        }
        line.truncate(line.trim_end().len());
        line
    });
    let title = lines.next();
    let lines: Vec<String> = lines.collect();
    Section { title, lines, style: PLAIN, floor }
}

#[cfg(test)]
mod tests;
