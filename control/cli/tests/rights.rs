//! A user who may not use the socket.
//!
//! Alone in its program: it copies the built one, and another test's child that inherits the copy's open file for a moment would
//! make it "busy".

#[path = "../../api/tests/fake/mod.rs"]
mod fake;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use fake::Served;

#[test]
fn a_user_without_rights_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let closed = folder.path().join("closed");
    let _served = Served::start(closed.join("control.sock"));
    // Where the build's own folder is closed to others, they can't start the program there.
    let copy = folder.path().join("loadlock");
    std::fs::copy(env!("CARGO_BIN_EXE_loadlock"), &copy).unwrap();
    let mut command = Command::new(&copy);
    command.args(["status", "--socket"]).arg(closed.join("control.sock"));
    let is_root = std::fs::metadata("/proc/self").map(|own| own.uid()).unwrap() == 0;
    if is_root {
        command.uid(65_534).gid(65_534);
    } else {
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let output = command.output().unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o750)).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{err}");
    assert!(err.starts_with("this user may not use "), "{err}");
}
