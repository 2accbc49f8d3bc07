//! `villas-shm bridge` becomes another program.
#![allow(missing_docs)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::*;

/// A program cannot be started while a child of another test, forked in that moment, still has the
/// descriptor by which it was written.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program of that name, which says what it is given, in a folder of its own.
fn write_bridge(directory: &Path) {
    let bridge = directory.join("villas-shm-bridge");
    fs::write(&bridge, "#!/bin/sh\nprintf '<%s>' \"$0\" \"$@\"\nexit 3\n").unwrap();
    fs::set_permissions(bridge, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_bridge_in_path_gets_all_arguments_and_its_exit_status_counts() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    write_bridge(directory.path());
    let path = format!("{}:/usr/bin:/bin", directory.path().display());
    for (given, passed) in [
        (&["n.conf", "n", "--publish", "a b", "--help", "-x"][..], "<n.conf><n><--publish><a b><--help><-x>"),
        (&["--help"], "<--help>"),
        (&["--version", "-V"], "<--version><-V>"),
        (&["-d", "debug", "n.conf"], "<-d><debug><n.conf>"),
        (&[], ""),
    ] {
        let output = tool(&["bridge"]).args(given).env("PATH", &path).output().unwrap();
        let bridge = directory.path().join("villas-shm-bridge");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("<{}>{passed}", bridge.display()));
        assert_eq!(output.status.code(), Some(3));
    }
}

#[test]
fn the_bridge_beside_the_tool_comes_before_one_in_path() {
    let _alone = alone();
    // On the tool's file system, so that it can be linked.
    let (beside, other) = (tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), tempfile::tempdir().unwrap());
    write_bridge(beside.path());
    write_bridge(other.path());
    let copy = beside.path().join("villas-shm");
    fs::hard_link(TOOL, &copy).unwrap();
    let path = format!("{}:/usr/bin:/bin", other.path().display());
    let output = assert_cmd::Command::new(copy).arg("bridge").env("PATH", path).timeout(PATIENCE).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(&format!("<{}", beside.path().display())));
}

#[test]
fn without_a_bridge_it_says_how_to_get_one() {
    let _alone = alone();
    let empty = tempfile::tempdir().unwrap();
    let output = tool(&["bridge", "n.conf", "n"]).env("PATH", empty.path()).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("make bridge") && message.contains("BRIDGE=1"), "{message}");
    assert_eq!(output.status.code(), Some(1));
}
