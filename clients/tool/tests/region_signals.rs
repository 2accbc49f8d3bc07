//! Names, units and types of values in the region: who fills them in, who learns them, who is refused.

mod common;

use common::{Node, PATIENCE, Running, Signal as Kill, client, kill, samples, tool, until};
use std::fs;
use villas_shm::{Channel, Direction, Signal, SignalType};

const OUT: &str = "out = { signals = ( { name = \"u\", unit = \"V\" }, { name = \"on\", type = \"boolean\" },
    { type = \"integer\" }, { name = \"z\", unit = \"Ω\", type = \"complex\" } ) }";
const OUT_HEADER: &str = "# seconds.nanoseconds+offset(sequence)\tu[V]\ton\tsignal2\tz[Ω]";

/// A program's configuration for the region of a node.
fn program_of(node: &Node, keys: &str) -> Node {
    let program = Node::new("");
    write(&program, &format!("name = \"{}\"\n{keys}", node.region));
    program
}

fn write(node: &Node, keys: &str) {
    fs::write(&node.config, format!("nodes = {{ n = {{ type = \"shmem\"\n{keys}\n}} }}\n")).unwrap();
}

/// A node that runs, once its region is there.
fn start(node: &Node) -> Running {
    let running = node.start(&[]);
    until("the region is there", || node.region_exists());
    running
}

fn stop(running: Running) {
    running.signal(Kill::SIGTERM);
    let (status, _, messages) = running.wait();
    assert!(status.success(), "{messages}");
}

fn signals(of: &[(&str, &str, SignalType)]) -> Vec<Signal> {
    of.iter().map(|&(name, unit, kind)| Signal::new(name, unit, kind)).collect()
}

/// What a command prints, as it succeeds.
fn stdout(arguments: &[&str]) -> String {
    String::from_utf8(tool(arguments).assert().success().get_output().stdout.clone()).unwrap()
}

/// What `pipe -x` says, which is refused at once.
fn refused(program: &Node) -> String {
    let output = program.pipe(&["-x", "-r"]).assert().code(1).get_output().clone();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_region_names_what_the_configuration_names_for_its_program() {
    use SignalType::{Boolean, Complex, Float, Integer};
    let out = signals(&[("u", "V", Float), ("on", "", Boolean), ("signal2", "", Integer), ("z", "Ω", Complex)]);
    let count = signals(&[("p0", "MW", Complex), ("p1", "MW", Complex)]);
    let types = signals(&[("signal0", "", Float), ("signal1", "", Integer)]);
    for (keys, from_node, to_node) in [
        (OUT.into(), &out, &Vec::new()),
        (format!("{OUT}; in = {{ signals = \"fi\" }}"), &out, &types),
        ("signals = { count = 2, name = \"p\", unit = \"MW\", type = \"complex\" }".into(), &count, &count),
        (String::new(), &Vec::new(), &Vec::new()),
    ] {
        let node = Node::new(&keys);
        let running = node.start(&["-t", "9i"]);
        let program = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
        assert_eq!((program.signals(Direction::In), program.signals(Direction::Out)), (&**from_node, &**to_node), "{keys}");
        stop(running);
    }
}

#[test]
fn the_other_end_knows_from_the_region_what_it_reads_and_writes() {
    let node = Node::new(&format!("{OUT}; in = {{ signals = ( {{ name = \"tap\", type = \"integer\" }} ) }}; samplelen = 5"));
    let program = program_of(&node, "");
    let mut writer = start(&node);
    // What the region says counts, and not -t.
    let mut reader = program.start(&["-x", "-t", "9c"]);
    writer.send("1.0(1)\t230.5\t1\t-9223372036854775807\t1.5-2.5i\t0.25\n");
    until("it has come", || reader.printed() == 1);
    reader.send("2.0(2)\t9007199254740993\n");
    until("it has come back", || writer.printed() == 1);
    let (status, output, messages) = reader.finish();
    assert!(status.success(), "{messages}");
    // A value beyond the names is a float.
    assert_eq!(output.lines().next().unwrap(), format!("{OUT_HEADER}\tsignal4"));
    assert!(samples(&output)[0].ends_with("(1)\t230.5\t1\t-9223372036854775807\t1.5-2.5i\t0.25"), "{output}");
    let (status, back, messages) = writer.finish();
    assert!(status.success(), "{messages}");
    assert_eq!(back.lines().next(), Some("# seconds.nanoseconds+offset(sequence)\ttap"));
    assert!(samples(&back)[0].ends_with("(2)\t9007199254740993"), "{back}");
}

#[test]
fn a_program_that_expects_other_signals_is_refused_with_the_difference() {
    let node = Node::new(&format!("{OUT}; in = {{ signals = \"2f\" }}"));
    let running = start(&node);
    for (keys, why) in [
        (
            "out = { signals = \"fbi\" }",
            "in_signals: there are 4, of which signal 3 is \"z\" [Ω], complex; expected 3. Correct the signals of \"out\"",
        ),
        ("out = { signals = \"fbif\" }", "signal 3 is \"z\" [Ω], complex; expected \"z\" [Ω], float"),
        (
            "in = { signals = { count = 2, name = \"p\" } }",
            "out_signals: signal 0 is \"signal0\", float; expected \"p0\", float. Correct the signals of \"in\"",
        ),
        ("in = { signals = { count = 2, unit = \"kV\" } }", "expected \"signal0\" [kV], float"),
    ] {
        let said = refused(&program_of(&node, keys));
        assert!(said.contains("the channel has other signals than expected, ") && said.contains(why), "{said}");
        assert!(said.contains("in the configuration, or leave them out to take those of the region."), "{said}");
        assert!(node.region_exists());
    }
    stop(running);
}

#[test]
fn the_region_fills_in_what_a_program_does_not_state() {
    let node = Node::new(OUT);
    let running = start(&node);
    for keys in [
        OUT,
        "out = { signals = \"fbic\" }",
        "out = { signals = ( { name = \"u\" }, { type = \"boolean\" }, { type = \"integer\" }, { type = \"complex\", unit = \"Ω\" } ) }",
    ] {
        let output = program_of(&node, keys).pipe(&["-x", "-r", "-T", "0"]).assert().success().get_output().clone();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{OUT_HEADER}\n"), "{keys}");
    }
    stop(running);
}

#[test]
fn where_the_region_names_nothing_the_configuration_and_then_the_option_count() {
    let node = Node::new("");
    let running = start(&node);
    for (keys, header) in [("out = { signals = ( { name = \"u\", type = \"integer\" } ) }", "u"), ("", "signal0\tsignal1")] {
        let output = program_of(&node, keys).pipe(&["-x", "-r", "-T", "0", "-t", "2c"]).assert().success().get_output().clone();
        let expected = format!("# seconds.nanoseconds+offset(sequence)\t{header}\n");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
    stop(running);
}

#[test]
fn a_node_comes_back_to_its_program_only_with_the_same_signals() {
    let node = Node::new(OUT);
    let mut running = start(&node);
    let program = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
    kill(running.child.id(), Kill::SIGKILL);
    let _ = running.child.wait();
    let other = program_of(&node, &OUT.replace("\"u\"", "\"i\""));
    let output = other.pipe(&[]).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("out_signals: signal 0 is \"u\" [V], float; expected \"i\" [V], float"), "{said}");
    let running = node.start(&[]);
    until("it is back", || program.peer_alive());
    stop(running);
}

#[test]
fn what_a_region_cannot_hold_is_refused_with_its_place() {
    for (keys, why) in [
        (
            "in = { signals = ( { name = \"u\" },\n{ name = \"u\" } ) }",
            ":3: signals 0 and 1 of \"in.signals\" have one name, \"u\"",
        ),
        ("signals = \"9f\"\nsamplelen = 8", ":3: \"samplelen\" is 8, but there are 9 signals: leave it out, or raise it"),
    ] {
        let node = Node::new(keys);
        let output = node.pipe(&["-r"]).assert().code(1).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{said}");
        assert!(!node.region_exists());
    }
}

/// The keys of the two regions of VILLASnode's layout.
fn two(node: &Node, keys: &str) -> String {
    let region = &node.region;
    format!("in = {{ name = \"{region}-in\" }}; out = {{ name = \"{region}-out\" }}\n{keys}")
}

#[test]
fn in_villasnodes_layout_each_end_learns_what_it_reads() {
    let (node, program) = (Node::new(""), Node::new(""));
    let named = two(&node, "").replace("-out\" }", &format!("-out\"; {}", OUT.strip_prefix("out = {").unwrap()));
    write(&node, &named);
    write(&program, &two(&node, ""));
    let mut writer = node.start(&[]);
    let reader = program.start(&["-x", "-r"]);
    writer.send("1.0(1)\t230.5\t1\t-9223372036854775807\t1.5-2.5i\n");
    until("it has come", || reader.printed() == 1);
    let shown = stdout(&["show", &format!("{}-out", node.region)]);
    assert!(shown.contains("  signals, writer to reader:\n    0  u        V  float\n"), "{shown}");
    let shown = stdout(&["show", &format!("{}-in", node.region)]);
    assert!(shown.contains("  signals, writer to reader: none named\n"), "{shown}");
    stop(writer);
    let (_, output, messages) = reader.wait();
    assert_eq!(output.lines().next(), Some(OUT_HEADER), "{messages}");
    assert!(samples(&output)[0].ends_with("(1)\t230.5\t1\t-9223372036854775807\t1.5-2.5i"), "{output}");

    // An end that expects other signals is refused. The other one sees its end, or waits for another.
    write(&program, &named.replace("\"u\"", "\"i\""));
    let writer = node.start(&["-r"]);
    let (status, _, said) = program.start(&["-x", "-r"]).wait();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("in_signals: signal 0 is \"u\" [V], float; expected \"i\" [V], float. Correct the signals of \"out\""),
        "{said}"
    );
    stop(writer);
}

#[test]
fn in_villasnodes_layout_a_peer_that_names_nothing_is_taken_as_the_configuration_says() {
    let node = Node::new("");
    let (region, client) = (&node.region, client().display());
    let exec = format!(
        "exec = [ \"{client}\", \"{region}-in\", \"{region}-out\" ]; signals = ( {{ name = \"n\", type = \"integer\" }} )"
    );
    write(&node, &two(&node, &exec));
    let output = node.pipe(&[]).write_stdin("1.0(1)\t9007199254740993\n").assert().success().get_output().clone();
    let back = String::from_utf8(output.stdout).unwrap();
    assert_eq!(back.lines().next(), Some("# seconds.nanoseconds+offset(sequence)\tn"));
    assert!(samples(&back)[0].ends_with("\t9007199254740993"), "{back}");
}
