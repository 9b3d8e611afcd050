//! What stands on terminals of several sizes.

use loadlock_api::WorkerStatus;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::local_time::tests::summer;
use crate::top::figures::Sample;
use crate::top::figures::tests::{figures, later, sample};

/// The cells as lines, without the spaces at their ends.
fn shown(figures: &Figures, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, figures, &summer())).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| row(y).trim_end().to_owned() + "\n").collect()
}

fn with(change: impl FnOnce(&mut Sample)) -> Figures {
    let mut figures = Figures::new(sample(), 1);
    let mut later = later();
    change(&mut later);
    figures.take(Ok(later));
    figures
}

#[test]
fn eighty_by_twenty_four_has_every_kind_of_figure() {
    let text = shown(&figures(), 80, 24);
    println!("{text}");
    assert_eq!(text, include_str!("80x24.txt"));
}

#[test]
fn a_wide_terminal_has_every_column() {
    let text = shown(&figures(), 120, 40);
    println!("{text}");
    for title in WORKERS.iter().chain(&PORTS).map(|column| column.0).chain(["MEANING"]) {
        assert!(text.contains(title), "{title}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn no_size_panics_and_the_answer_is_always_first() {
    let many = with(|later| {
        later.status.alarms =
            (0..9).map(|at| format!("alarm {at}: {}", "word ".repeat(50))).collect();
        let worker = later.status.workers[0].clone();
        later.status.workers =
            (0..64).map(|index| WorkerStatus { index, ..worker.clone() }).collect();
        let segment = later.status.segments[0].clone();
        later.status.segments = vec![segment; 16];
    });
    let nothing = with(|later| {
        later.status.workers.clear();
        later.status.segments.clear();
        later.drops.clear();
    });
    for figures in [&many, &nothing] {
        let sizes = [0, 1, 2, 5, 11, 30, 79]
            .into_iter()
            .flat_map(|width| [0, 1, 2, 3, 4, 7, 12, 24].map(|height| (width, height)));
        for (width, height) in sizes {
            if width == 0 || height == 0 {
                assert!(
                    lines(figures, &summer(), width.into(), height.into()).len() <= height.into()
                );
                continue;
            }
            let text = shown(figures, width, height);
            assert_eq!(text.lines().count(), usize::from(height));
        }
    }
    let text = shown(&many, 80, 24);
    println!("{text}");
    assert!(text.starts_with("NOT well: 9 alarms, "), "{text}");
    for words in ["! alarm 0", "WORKER", "PORT", "DROPPED", "more; a taller terminal", "q leaves"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn hostile_names_move_no_cursor() {
    let hostile = "\u{1b}[2J\u{202e}\u{9b}31m\nx";
    let mut figures = with(|later| {
        later.status.segments[0].name = hostile.to_owned();
        later.status.segments[0].side_a.port = hostile.to_owned();
        later.status.version = hostile.to_owned();
        later.status.alarms = vec![format!("segment {hostile}: the link is down")];
        later.drops[0].reason = hostile.to_owned();
        later.drops[0].meaning = "宽 字".to_owned();
    });
    figures.take(Err(format!("{hostile}\nnext line")));
    let text = shown(&figures, 120, 40);
    println!("{text}");
    assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
    assert!(text.contains("\\u{1b}[2J\\u{202e}\\u{9b}31m\\u{a}x"), "{text}");
}

#[test]
fn a_loss_stays_in_sight_and_trouble_is_said_beside_the_old_figures() {
    let mut figures = with(|later| later.status.workers[0].events_refused = 1_204);
    figures.take(Err("can't reach control at /run/x: not running\n    fix: start it".to_owned()));
    let text = shown(&figures, 80, 24);
    println!("{text}");
    assert!(text.contains("1,204 refused"), "{text}");
    assert!(
        text.contains("no newer figures: can't reach control at /run/x: not running\n"),
        "{text}"
    );
    assert!(text.contains("12.0"), "{text}");
}
