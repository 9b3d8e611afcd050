//! `top` on a terminal of its own, which util-linux's `script` makes.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fake::Served;
use crate::{run, served};

/// The program on a terminal of 80 by 24.
fn on_terminal(served: &Served) -> Child {
    let (program, socket) = (env!("CARGO_BIN_EXE_loadlock"), served.socket.display());
    let line = format!("stty rows 24 cols 80 && exec '{program}' top --socket '{socket}'");
    Command::new("script")
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script of util-linux, package bsdutils")
}

/// Reads what is drawn until it contains `words`; all of it so far.
fn until(child: &mut Child, seen: &mut String, words: &str) {
    let (started, mut bytes) = (Instant::now(), [0; 4_096]);
    while !seen.contains(words) {
        assert!(started.elapsed() < Duration::from_secs(15), "no {words:?} in {seen:?}");
        let count = child.stdout.as_mut().unwrap().read(&mut bytes).unwrap();
        assert!(count > 0, "ended without {words:?}: {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

#[test]
fn a_key_leaves_and_the_terminal_is_as_before() {
    let (_folder, mut served) = served();
    for key in ["q", "\u{1b}", "\u{3}"] {
        let (mut child, mut seen) = (on_terminal(&served), String::new());
        until(&mut child, &mut seen, "WORKER");
        assert!(seen.contains("\u{1b}[?1049h"), "the other screen: {seen:?}");
        if key == "\u{3}" {
            // Control goes away: the figures stay, and the keys work.
            served.stop();
            until(&mut child, &mut seen, "no newer figures");
        }
        child.stdin.as_mut().unwrap().write_all(key.as_bytes()).unwrap();
        until(&mut child, &mut seen, "\u{1b}[?1049l");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{seen:?}");
        assert!(seen.contains("\u{1b}[?25h"), "the cursor is back: {seen:?}");
    }
}

#[test]
fn without_a_terminal_it_is_refused_with_what_does_instead() {
    let (_folder, served) = served();
    let (code, out, err) = run(&["top", "--socket", served.socket.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("status --watch") && err.contains("-o json"), "{err}");
    assert_eq!(run(&["top", "--interval", "0"]).0, 2);
}
