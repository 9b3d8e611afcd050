//! Failures that a segment has an answer to, caused under traffic and counted by `scripts/failures --quick`; without `--quick` it
//! causes all of them.
//!
//! Needs root; skipped, with a printed line, without.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

#[test]
fn each_failure_loses_and_lets_pass_what_the_configuration_says() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: network namespaces need root");
        return;
    }
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        println!("skipped: a worker needs a CPU of its own, and this machine has one");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/failures");
    let binaries = Path::new(env!("CARGO_BIN_EXE_loadlock")).parent().unwrap();
    let output =
        Command::new(script).args(["--quick", "--binaries"]).arg(binaries).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{}", text.concat());
    println!("{}", text[0]);
}
