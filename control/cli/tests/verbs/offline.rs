//! What needs no control, or only to carry its answers elsewhere.

use std::process::Command;

use loadlock_api::Status;

use crate::{CONFIGURATION, fake, outcome, program, run, served, write};

#[test]
fn check_reports_all_mistakes_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good.toml", CONFIGURATION);
    let (code, out, err) = run(&["check", "--file-only", good.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains("no mistakes, this machine wasn't looked at: 1 segment, 2 ports, 1 worker\n")
            && out.contains("\nmemory "),
        "{out}"
    );

    let bad = CONFIGURATION
        .replace("worker_cores = [1]", "worker_cors = [1]")
        .replace("\"fab-b\"\n\n", "\"fab-c\"\n\n");
    let bad = write(folder.path(), "bad.toml", &bad);
    let (code, out, err) = run(&["check", bad.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.contains("worker_cors") && err.contains("mistakes in"), "{err}");

    let (code, out, _) = run(&["check", "--reference"]);
    assert_eq!(code, 0);
    assert!(out.contains("worker_cores = "), "{out}");
}

#[test]
fn generate_writes_what_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/scenarios/demo.toml");
    let (out, labels, sides) =
        (folder.path().join("x.pcap"), folder.path().join("x.jsonl"), folder.path().join("sides"));
    let mut command = program(&["generate", scenario, "--split", "0.5", "--seed", "7"]);
    command.arg("--out").arg(&out).arg("--labels").arg(&labels).arg("--sides").arg(&sides);
    let (code, text, err) = outcome(&mut command);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(text.contains("of them attacks") && out.exists() && labels.exists(), "{text}");
    assert_eq!(std::fs::read_dir(sides).unwrap().count(), 4);
}

#[test]
fn help_of_every_verb_explains_its_arguments() {
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    println!("{help}");
    for verb in ["status", "mode", "rules", "top", "flows", "drops", "observe", "check", "generate"]
    {
        assert!(help.contains(&format!("  {verb} ")), "{verb}: {help}");
        assert_eq!(run(&[verb, "--help"]).0, 0);
    }
    assert!(help.contains("Exit codes:\n  0  ok"), "{help}");
    assert_eq!(run(&[]).0, 2);
}

#[test]
fn a_support_bundle_has_the_answers_and_no_secrets() {
    let (folder, served) = served();
    let text = format!(
        "{CONFIGURATION}\n[control]\nsocket = {:?}\n# token = \"tok-4711\"\n",
        served.socket
    );
    let config = write(folder.path(), "loadlock.toml", &text);
    let bundle = folder.path().join("bundle.tar.gz");
    let make = || outcome(program(&["support-bundle"]).arg(&bundle).arg("--config").arg(&config));
    let (code, out, err) = make();
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("look through it"), "{out}");
    assert_eq!(make().0, 8, "never written over");
    let unpacked = folder.path().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar").arg("xzf").arg(&bundle).arg("-C").arg(&unpacked).status();
    assert!(tar.unwrap().success());
    let unpacked = unpacked.join("loadlock");
    let mut names: Vec<String> = std::fs::read_dir(&unpacked)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    println!("{names:?}");
    for name in ["status.json", "configuration.toml", "events.json", "machine-proc-meminfo"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    for name in &names {
        let text = std::fs::read_to_string(unpacked.join(name)).unwrap();
        assert!(!text.contains("tok-4711"), "{name}");
    }
    let status = std::fs::read_to_string(unpacked.join("status.json")).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&status).unwrap(), fake::status());
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    for (shell, mark) in
        [("bash", "complete -F"), ("zsh", "#compdef loadlock"), ("fish", "complete -c loadlock")]
    {
        let (code, script, err) = run(&["completions", shell]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(script.contains(mark) && script.contains("isitme"), "{shell}: {script}");
    }
    assert_eq!(run(&["completions", "cmd"]).0, 2);

    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("made/man1");
    let (code, out, err) = run(&["man", "--dir", pages.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains(" pages in "), "{out}");
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("loadlock.1").contains("Exit codes"));
    assert!(
        page("loadlock-status.1").contains("fail\\-on\\-alarm"),
        "{}",
        page("loadlock-status.1")
    );
    assert!(page("loadlock-policy-apply.1").contains("confirm"));
    let file = write(folder.path(), "file", "");
    let (code, _, err) = run(&["man", "--dir", file.join("x").to_str().unwrap()]);
    assert!(code == 8 && err.contains("fix: name a place"), "{err}");
}
