//! `villas-shm compare`, by its exit status.

mod common;

use common::{Node, tool};
use std::fs;
use tempfile::TempDir;

/// Files with these contents, and the command that compares them.
fn compare(options: &[&str], files: &[&str]) -> (i32, String) {
    let directory: TempDir = tempfile::tempdir().unwrap();
    let mut command = tool(&["compare"]);
    command.args(options).current_dir(&directory);
    for (index, text) in files.iter().enumerate() {
        let name = format!("{index}.dat");
        fs::write(directory.path().join(&name), text).unwrap();
        command.arg(name);
    }
    let output = command.assert().get_output().clone();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

const ONE: &str = "# a comment\n1.0(1)\t1.5\t2.5\n2.0(2)\t3.5\t4.5\n";

#[test]
fn equal_files_are_equal() {
    assert_eq!(compare(&[], &[ONE, ONE]), (0, String::new()));
    assert_eq!(compare(&["-e", "0"], &[ONE, ONE, ONE]), (0, String::new()));
    assert_eq!(compare(&[], &["", "# nothing\n"]), (0, String::new()));
    assert_eq!(compare(&[], &[ONE, "1.0(1) 1.5000000001 2.5\n\n2.0+5(2)F 3.5 4.5"]), (0, String::new()));
}

#[test]
fn each_difference_has_its_number_and_its_place() {
    let cases = [
        (1, "1.0(1) 1.5 2.5\n", "0.dat:3 has a sample more, where 1.dat ends"),
        (1, "1.0(1) 1.5 2.5\n2.0(2) 3.5 4.5\n3.0(3) 1 2\n", "1.dat:3 has a sample more, where 0.dat ends"),
        (2, "1.0(1) 1.5 2.5\n2.0(3) 3.5 4.5\n", "0.dat:3 and 1.dat:2: sequence number 2 and 3"),
        (3, "1.0(1) 1.5 2.5\n2.1000(2) 3.5 4.5\n", "timestamp 2.000000000 and 2.000001000"),
        (4, "1.0(1) 1.5 2.5\n2.0(2) 3.5 4.5 5\n", "2 values and 3"),
        (5, "1.0(1) 1.5 2.5\n2.0(2) 3.5 4.6\n", "value 1 is 4.5 and 4.6"),
    ];
    for (code, other, message) in cases {
        // Only a timestamp that is more than the tolerance apart differs.
        let (found, text) = compare(&["-e", "1e-7"], &[ONE, other]);
        assert_eq!(found, code, "{other}: {text}");
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_compared() {
    let other = "5.0(7) 1.5 2.5\n6.0(8) 3.5\n";
    assert_eq!(compare(&[], &[ONE, other]).0, 2);
    assert_eq!(compare(&["-s"], &[ONE, other]).0, 3);
    assert_eq!(compare(&["-s", "-T"], &[ONE, other]).0, 4);
    assert_eq!(compare(&["-s", "-T", "-v"], &[ONE, other]).0, 0);
    assert_eq!(compare(&["-sTv"], &[ONE, other]).0, 0);
    assert_eq!(compare(&["-e", "0.5"], &["1.0(1) 1.5", "1.0(1) 1.9"]).0, 0);
    assert_eq!(compare(&[], &["1.0(1) nan", "1.0(1) nan"]).0, 0);
}

#[test]
fn all_files_are_compared_with_the_first() {
    let near = |value: &str| format!("1.0(1) {value}\n");
    let files = [near("1.0"), near("1.4"), near("0.6")];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(compare(&["-e", "0.5"], &files).0, 0, "though the last two are further apart");
    assert_eq!(compare(&["-e", "0.3"], &files).0, 5);
    assert_eq!(compare(&[], &[ONE, ONE, "1.0(1) 1.5 2.5\n"]).0, 1);
}

#[test]
fn types_are_given_or_taken_from_a_node() {
    let (a, b, c) = ("1.0(1) 5.0+0.0i 7\n", "1.0(1) 5+0i 7\n", "1.0(1) 5+1i 7\n");
    let node = Node::new("in = { signals = \"1c1i\" }, out = { signals = \"2b\" }");
    let config = node.config.to_str().unwrap();
    for types in [&["-t", "1ci"][..], &["--node", config, "n"]] {
        assert_eq!(compare(types, &[a, b]), (0, String::new()));
        let (code, text) = compare(types, &[a, c]);
        assert!(code == 5 && text.contains("value 0 is 5.0+0.0i and 5.0+1.0i"), "{text}");
    }
    let (code, text) = compare(&[], &[a, b]);
    assert!(code == 7 && text.contains("0.dat:1: value 0: \"5.0+0.0i\"") && text.contains("-t TYPES"), "{text}");
    assert_eq!(compare(&["-t", "1x"], &[a, b]).0, 7);
    let (code, text) = compare(&["--node", config, "m"], &[a, b]);
    assert!(code == 7 && text.contains("no node is called \"m\""), "{text}");
    assert_eq!(compare(&["--node", config, "n", "-t", "1c"], &[a, b]).0, 7);
}

#[test]
fn trouble_is_above_six() {
    assert_eq!(compare(&[], &[ONE]).0, 7);
    assert_eq!(compare(&["-e", "-1"], &[ONE, ONE]).0, 7);
    assert_eq!(compare(&["-e", "x"], &[ONE, ONE]).0, 7);
    assert_eq!(compare(&["--no-such"], &[ONE, ONE]).0, 7);
    assert_eq!(compare(&["-f", "json"], &[ONE, ONE]).0, 7);
    assert_eq!(compare(&["no-such-file"], &[ONE]).0, 7);
    let (code, text) = compare(&[], &[ONE, "1.0(1) 1.5 2.5\nx\n"]);
    assert_eq!(code, 7);
    assert!(text.contains("1.dat:2: seconds"), "{text}");
    assert_eq!(compare(&["-f", "villas.human", "-t", "64f"], &[ONE, ONE]).0, 0);
}
