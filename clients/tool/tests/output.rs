//! Output that cannot be written, and readers that have seen enough.

mod common;

use common::{Node, PATIENCE, TOOL, lines, soon};
use std::fs::{self, File};
use std::process::{Command, ExitStatus, Stdio};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

/// A way to start the tool, with what its standard output is.
type Start<'a> = (&'a str, &'a dyn Fn(&[&str]) -> Command);

fn closed(arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" >&-", TOOL]).args(arguments);
    command
}

fn full(arguments: &[&str]) -> Command {
    let mut command = Command::new(TOOL);
    command.args(arguments).stdout(File::options().write(true).open("/dev/full").unwrap());
    command
}

fn no_reader(arguments: &[&str]) -> Command {
    let mut command = Command::new(TOOL);
    command.args(arguments).stdout(pipe2(OFlag::O_CLOEXEC).unwrap().1);
    command
}

fn run(mut command: Command, input: &std::path::Path) -> (ExitStatus, String) {
    let child = command.stdin(File::open(input).unwrap()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    soon(PATIENCE, "the tool ends", || child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn output_that_cannot_be_written_is_an_error_of_every_command() {
    let node = Node::with_client("", 1);
    let object = Node::new("");
    fs::write(std::path::Path::new("/dev/shm").join(&object.region), "bytes").unwrap();
    let (a, b) = (node.path("a.dat"), node.path("b.dat"));
    fs::write(&a, lines(0, 10)).unwrap();
    fs::write(&b, lines(1, 10)).unwrap();
    let (a, b, config) = (a.to_str().unwrap(), b.to_str().unwrap(), node.config.to_str().unwrap());
    let name = object.region.as_str();
    let commands: [&[&str]; 16] = [
        &["--help"],
        &["--version"],
        &["pipe", "-h"],
        &["ls"],
        &["ls", "--json"],
        &["show", name],
        &["show", "--json", name],
        &["show", "--hex", name],
        &["clean", "--dry-run"],
        &["signal", "sine", "-n", "-l", "10"],
        &["signal", "sine", "-n", "-l", "100000"],
        &["convert"],
        &["pipe", "--linger", "20", config, "n"],
        &["bench", "--duration", "0.1", "--values", "1", "--batch", "1", "--mode", "polling"],
        &["compare", "--help"],
        &["compare", a, b],
    ];
    let failures: [Start<'_>; 2] = [("Bad file descriptor", &closed), ("No space left", &full)];
    for arguments in commands {
        let code = if arguments[0] == "compare" { 7 } else { 1 };
        for (why, start) in failures {
            let (status, messages) = run(start(arguments), a.as_ref());
            assert_eq!(status.code(), Some(code), "{arguments:?}, {why}: {messages}");
            assert!(messages.contains(&format!("cannot write standard output: {why}")), "{arguments:?}: {messages}");
        }
        // As for every filter: whoever read has seen enough.
        let (status, messages) = run(no_reader(arguments), a.as_ref());
        assert_eq!(status.code(), Some(if arguments == ["compare", a, b] { 2 } else { 0 }), "{arguments:?}: {messages}");
        assert!(!messages.contains("error"), "{arguments:?}: {messages}");
    }
    // What prints nothing needs nobody who reads it.
    for (_, start) in failures {
        assert!(run(start(&["compare", a, a]), a.as_ref()).0.success());
        assert!(run(start(&["pipe", "-s", config, "n"]), a.as_ref()).0.success());
    }
    fs::remove_file(std::path::Path::new("/dev/shm").join(name)).unwrap();
}

#[test]
fn a_closed_standard_input_is_no_empty_one() {
    let node = Node::new("");
    let closed = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" <&-", TOOL]).args(arguments);
        command.output().unwrap()
    };
    let config = node.config.to_str().unwrap();
    for arguments in [&["pipe", config, "n"][..], &["convert"]] {
        let output = closed(arguments);
        let messages = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{messages}");
        assert!(messages.contains("cannot read standard input: Bad file descriptor"), "{messages}");
    }
    assert!(closed(&["pipe", "-r", "-T", "0.1", config, "n"]).status.success());
}
