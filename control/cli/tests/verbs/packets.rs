//! Captures of a device: what is written, what is said, and what is never written over.

use loadlock_capture::CaptureReader;

use crate::{ask, fake, outcome, program, run, served};

#[test]
fn frames_are_written_as_pcapng_with_reasons_and_losses_are_said() {
    let (folder, served) = served();
    let file = folder.path().join("etch.pcapng");
    let file = file.to_str().unwrap();
    let out = ask(&served, &["packets", "etch-07", file]);
    assert_eq!(
        out,
        format!(
            "3 frames of etch-07 (10.0.1.7) to {file}; ended: its time is over\n\
             12,345 more weren't captured: they came faster than they could be taken\n"
        )
    );
    let mut reader = CaptureReader::open(file.as_ref()).unwrap();
    for expected in fake::captured_frames() {
        let packet = reader.next().unwrap().expect("as many as were captured");
        assert_eq!((packet.time_ns, packet.wire_bytes), (expected.time.ns(), 1_514));
        assert_eq!(packet.data, [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    }
    assert!(reader.next().unwrap().is_none());
    let bytes = std::fs::read(file).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("deny no_rule: no rule permits\\u{1b} this") && has("allow by rule 812"));
    assert!(has("fab a") && has("fab b") && has("unjudged"));

    let (code, out, err) =
        outcome(program(&["packets", "etch-07", file, "--socket"]).arg(&served.socket));
    assert_eq!((code, out.as_str()), (8, ""), "{err}");
    assert!(err.contains("exists"), "{err}");
    assert_eq!(std::fs::read(file).unwrap(), bytes, "what is there is never written over");
}

#[test]
fn standard_output_has_the_capture_alone() {
    let (_folder, served) = served();
    let output = program(&["packets", "etch-07", "--socket"]).arg(&served.socket).output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("3 frames of etch-07 (10.0.1.7) to standard output; ended"), "{said}");
}

#[test]
fn what_is_refused_leaves_no_file() {
    let (folder, served) = served();
    let file = folder.path().join("none.pcapng");
    let (code, _, err) =
        outcome(program(&["packets", "nobody", "--socket"]).arg(&served.socket).arg(&file));
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("neither a device"), "{err}");
    assert!(!file.exists());
    for (wrong, word) in [
        (["--for", "11m"], "up to 10 min"),
        (["--for", "0s"], "such as"),
        (["--frames", "0"], "1..=10000"),
        (["--frames", "10001"], "1..=10000"),
    ] {
        let (code, _, err) = run(&[&["packets", "etch-07"], &wrong[..]].concat());
        assert!(code == 2 && err.contains(word), "{wrong:?}: {err}");
    }
}
