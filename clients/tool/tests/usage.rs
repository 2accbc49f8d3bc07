//! Options, configuration errors, and what they say.

mod common;

use common::{Node, tool};
use std::fs;

#[test]
fn help_and_version_are_shown() {
    for command in [&["-h"][..], &["--help"], &["pipe", "-h"], &["compare", "--help"]] {
        let output = tool(command).assert().success().get_output().clone();
        assert!(String::from_utf8(output.stdout).unwrap().contains("Usage: villas-shm"));
    }
    for command in [&["-V"][..], &["pipe", "-V"]] {
        let output = tool(command).assert().success().get_output().clone();
        assert!(String::from_utf8(output.stdout).unwrap().contains(env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn bad_usage_is_an_error() {
    for command in [
        &[][..],
        &["pip"],
        &["pipe"],
        &["pipe", "a.conf"],
        &["pipe", "-l", "x", "a.conf", "n"],
        &["pipe", "--linger", "-1", "a.conf", "n"],
        &["pipe", "-f", "json", "a.conf", "n"],
        &["pipe", "-t", "8x", "a.conf", "n"],
        &["pipe", "-T", "soon", "a.conf", "n"],
        &["signal"],
        &["-d", "loud", "pipe", "a.conf", "n"],
    ] {
        let output = tool(command).assert().code(1).get_output().clone();
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{command:?}");
    }
}

#[test]
fn options_that_exclude_each_other_are_named() {
    for (options, first, second) in [(["-s", "-r"], "-s", "-r"), (["-s", "-l1"], "-s", "-l <N>"), (["-r", "-L1"], "-r", "-L <N>")]
    {
        let output = tool(&["pipe", "a.conf", "n"]).args(options).assert().code(1).get_output().clone();
        let message = format!("the argument '{first}' cannot be used with '{second}'");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(&message), "{text}");
    }
}

#[test]
fn exit_statuses_are_in_the_help() {
    for (command, statuses) in [
        ("pipe", &["0  success", "1  bad usage"][..]),
        ("signal", &["0, also", "1 for"]),
        ("compare", &["0  equal", "5  values", "7  "]),
    ] {
        for option in ["-h", "--help"] {
            let output = tool(&[command, option]).assert().success().get_output().clone();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.contains("Exit status:") && statuses.iter().all(|status| text.contains(status)), "{text}");
        }
    }
}

#[track_caller]
fn refused(keys: &str, message: &str) {
    let node = Node::new(keys);
    let output = node.pipe(&[]).write_stdin("1.0(1) 1\n").assert().code(1).get_output().clone();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("test.conf:") && text.contains(message), "{keys}: {text}");
    assert!(!node.region_exists());
}

#[test]
fn configuration_errors_name_key_file_and_line() {
    refused("\nquelen = 5", "test.conf:3: unknown key \"quelen\"");
    refused("in = { name = \"other\" }", "node \"n\" has a \"name\" for one region and another in \"in\" or \"out\"");
    refused("mode = \"fast\"", "\"mode\"");
    refused("queuelen = ", "'}' stands where a value is expected");
}

#[test]
fn a_missing_file_or_node_is_an_error() {
    let output = tool(&["pipe", "no-such.conf", "n"]).assert().code(1).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("no-such.conf: No such file"));
    let node = Node::new("");
    let output = tool(&["pipe"]).arg(&node.config).arg("m").assert().code(1).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("no node is called \"m\"; there are: n"));
}

#[test]
fn a_name_that_no_region_can_have_is_an_error() {
    let node = Node::new("");
    fs::write(&node.config, "nodes = { n = { type = \"shmem\"; name = \"a/b\" } }").unwrap();
    let output = node.pipe(&[]).write_stdin("").assert().code(1).get_output().clone();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("cannot create the region \"a/b\""), "{text}");
}

#[test]
fn keys_without_a_meaning_are_warned_about_once() {
    let node = Node::new("enabled = true; hooks = ()");
    let output = node.pipe(&["-l", "0"]).write_stdin("").assert().success().get_output().clone();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.matches("warning").count(), 1, "{text}");
    assert!(text.contains("test.conf:2") && text.contains("enabled, hooks"), "{text}");
    let output = node.pipe(&["-l", "0", "-d", "error"]).write_stdin("").assert().success().get_output().clone();
    assert!(output.stderr.is_empty());
}
