//! Configurations, through the real program: what a region looks like that was made from one.

mod common;

use common::{Node, PATIENCE, Signal, client, repository, sequence, tool};
use std::fs;
use villas_shm::Channel;

/// The region that a running tool has made: queue length, sample length, polling.
#[track_caller]
fn region(node: &Node) -> (u32, u32, bool) {
    let running = node.start(&[]);
    let program = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
    let config = program.config();
    running.signal(Signal::SIGTERM);
    let (status, _, messages) = running.wait();
    assert!(status.success() && !messages.contains("warning"), "{messages}");
    (config.queuelen, config.samplelen, config.polling)
}

#[test]
fn a_region_is_what_the_configuration_says() {
    for (keys, expected) in [
        ("", (512, 64, false)),
        ("queuelen = 7; samplelen = 3; mode = \"polling\"", (7, 3, true)),
        ("queuelen = 32, samplelen = 4, polling = true", (32, 4, true)),
        ("polling = false", (512, 64, false)),
        ("vectorize = 600", (600, 64, false)),
        ("in = { vectorize = 700 }; out = { vectorize = 5 }", (700, 64, false)),
        ("out = { vectorize = 800 }", (800, 64, false)),
        ("vectorize = 600; queuelen = 20", (20, 64, false)),
        ("in = { signals = \"2f3i\" }; out = { signals = { count = 9, type = \"boolean\" } }", (512, 9, false)),
        ("in = { signals = ( { name = \"u\" }, { unit = \"A\", type = \"complex\" } ) }", (512, 2, false)),
        ("in = { signals = \"64f\" }; samplelen = 70", (512, 70, false)),
    ] {
        assert_eq!(region(&Node::new(keys)), expected, "{keys}");
    }
}

/// Writes a configuration in several files; the node `n` in the first one echoes.
#[track_caller]
fn echoes(file: &str, text: &str, included: &str) -> Node {
    let node = Node::new("");
    let fill = |text: &str| text.replace("REGION", &node.region).replace("CLIENT", &client().display().to_string());
    fs::write(node.path("part.conf"), fill(included)).unwrap();
    fs::write(node.path(file), fill(text)).unwrap();
    let mut command = tool(&["pipe"]);
    // Included files are found beside the file that names them, wherever the tool is started.
    command.arg(node.path(file)).arg("n").write_stdin("1.0(3)\t1\t2\n");
    let output = command.assert().success().get_output().clone();
    assert_eq!(sequence(&String::from_utf8(output.stdout).unwrap()), [3]);
    node
}

#[test]
fn libconfig_with_includes_and_json_run() {
    let part = "type = \"shmem\"; name = \"REGION\"\n";
    echoes("main.conf", "nodes = { n = {\n@include \"part.conf\"\nexec = ( \"CLIENT\", \"-w\", \"10\", \"REGION\" ) } }", part);
    let json = r#"{ "paths": [ { "in": "n", "hooks": [] } ], "stats": 1.5, "nodes": { "other": { "type": "socket" },
        "n": { "type": "shmem", "name": "REGION", "exec": [ "CLIENT", "-w", "10", "REGION" ] } } }"#;
    echoes("main.json", json, "");
    let around = "stats = 3.0; logging = { level = 5 }; http = { port = 80; };
        paths = ( { in = \"n\", out = [ \"other\" ], hooks = ( { type = \"print\" } ) } );
        nodes = { other = { type = \"socket\", in = { address = \"*:1\" } },
                  n = { type = \"shmem\", name = \"REGION\", exec = [ \"CLIENT\", \"-w\", \"10\", \"REGION\" ] } }";
    echoes("main.conf", around, "");
}

#[test]
fn an_error_in_an_included_file_names_that_file() {
    let node = Node::new("\n@include \"part.conf\"");
    fs::write(node.path("part.conf"), "samplelen = 4\nquelen = 5\n").unwrap();
    let output = node.pipe(&[]).write_stdin("").assert().code(1).get_output().clone();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("part.conf:2: unknown key \"quelen\" in node \"n\""), "{text}");
}

#[test]
fn the_example_has_every_key_and_runs() {
    let text = fs::read_to_string(repository("etc/shmem.conf")).unwrap();
    for key in ["type", "name", "queuelen", "samplelen", "mode", "polling", "vectorize", "exec", "in", "out", "signals", "unit"] {
        assert!(text.contains(&format!("{key} = ")), "{key}");
    }
    let node = Node::new("");
    let text = text.replace("villas-example", &node.region).replace("\"villas-shmem\"", &format!("\"{}\"", client().display()));
    fs::write(&node.config, text).unwrap();
    let mut command = tool(&["pipe"]);
    command.arg(&node.config).arg("example").write_stdin(common::week());
    let output = command.assert().success().get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("# seconds.nanoseconds+offset(sequence)\tPV1[pu]\tPV5[pu]\tWP1[pu]\tWP7[pu]\tHydro1[pu]\t"));
    assert_eq!(common::samples(&text).len(), 672);
}
