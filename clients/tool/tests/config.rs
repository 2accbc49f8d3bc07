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

/// What the tool says of a node `n` of which only its region is made, with the files written beside
/// each other.
#[track_caller]
fn loaded(files: &[(&str, &str)], environment: &[(&str, &str)], code: i32) -> String {
    let node = Node::new("");
    for (name, text) in files {
        fs::create_dir_all(node.path(name).parent().unwrap()).unwrap();
        fs::write(node.path(name), text.replace("REGION", &node.region)).unwrap();
    }
    let mut command = tool(&["pipe", "-r", "-T", "0.01"]);
    command.current_dir("/").env_clear().arg(node.path(files[0].0)).arg("n");
    for (name, value) in environment {
        command.env(name, value.replace("REGION", &node.region));
    }
    let output = command.assert().code(code).get_output().clone();
    String::from_utf8(output.stderr).unwrap().replace(&format!("{}/", node.directory.path().display()), "")
}

#[test]
fn variables_of_the_environment_stand_in_any_string() {
    let conf = "nodes = { n = { type = \"${T}mem\", name = \"${R}\", mode = \"${M}\" \"ing\" } }\nother = [ \"${}$ ${\" ]";
    let json = r#"{ "nodes": { "n": { "type": "${T}mem", "name": "${R}", "mode": "${M}ing" } }, "other": [ "${}$ ${" ] }"#;
    // A value may name another variable.
    let environment = [("T", "sh"), ("R", "${WHOLE}"), ("WHOLE", "REGION"), ("M", "poll")];
    for (file, text) in [("a.conf", conf), ("a.json", json)] {
        loaded(&[(file, text)], &environment, 0);
        let messages = loaded(&[(file, text)], &environment[..3], 1);
        assert!(messages.contains(&format!("{file}:1: the environment variable M is not set")), "{messages}");
        let messages = loaded(&[(file, text)], &[("T", "sh"), ("R", "x${R}"), ("M", "poll")], 1);
        assert!(messages.contains(&format!("{file}:1: more than 100 environment variables in a string")), "{messages}");
    }
    let messages = loaded(&[("a.conf", "nodes = {\n@include \"${NONE}/x.conf\"\n}")], &[], 1);
    assert!(messages.contains("a.conf:2: the environment variable NONE is not set"), "{messages}");
}

#[test]
fn a_pattern_includes_files_in_the_order_of_their_names() {
    let main = "nodes = {\n@include \"${SUB}/node_*.conf\"\n}";
    let one = "n = { type = \"shmem\", name = \"REGION\" }";
    let files = [
        ("main.conf", main),
        ("parts/node_b.conf", "m = { type = \"shmem\" }"),
        ("parts/node_a.conf", one),
        // Neither hidden nor of the pattern.
        ("parts/.node_x.conf", "="),
        ("parts/node_c.conf~", "="),
    ];
    loaded(&files, &[("SUB", "parts")], 0);
    let messages = loaded(&files, &[("SUB", "none")], 1);
    assert!(messages.contains("main.conf:2: cannot include none/node_*.conf: there is no such file; looked in \""), "{messages}");
    let twice = [files[0], files[2], ("parts/node_b.conf", one)];
    let messages = loaded(&twice, &[("SUB", "parts")], 1);
    assert!(messages.contains("parts/node_b.conf:1: \"n\" is set twice, first at parts/node_a.conf:1"), "{messages}");
}

#[test]
fn a_string_of_json_includes_files_of_either_syntax() {
    let files = [
        ("main.json", r#"{ "nodes": "@include parts/*.*" }"#),
        ("parts/a.json", r#"{ "n": { "type": "shmem", "name": "other", "in": { "signals": "@include ../signals/*.json" } } }"#),
        ("parts/b.conf", "n = { name = \"REGION\", @include \"deep/mode.conf\" }"),
        ("parts/deep/mode.conf", "mode = \"polling\""),
        ("signals/a.json", r#"[ { "name": "u", "init": 1 } ]"#),
        ("signals/b.json", r#"[ { "name": "i", "init": 1 } ]"#),
    ];
    let messages = loaded(&files, &[], 0);
    assert!(
        messages.contains("signals/a.json:1: ignored in node \"n\", since they mean nothing here: in.signals.init"),
        "{messages}"
    );
    for (file, text, message) in [
        ("signals/b.json", "{}", "signals/b.json:1: a list and a group are included in one place; the other one is at"),
        ("signals/b.json", "[ }", "signals/b.json:1: "),
        ("parts/b.conf", "x = \"@include b.conf\"", "files include each other more than 10 deep"),
        ("parts/b.conf", "x = \"@include none\"", "parts/b.conf:1: cannot include none: there is no such file; looked in \""),
    ] {
        let files = files.map(|(name, old)| (name, if name == file { text } else { old }));
        let messages = loaded(&files, &[], 1);
        assert!(messages.contains(message), "{messages}");
    }
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
