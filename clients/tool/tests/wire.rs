//! `villas-shm pipe` with VILLASnode's two regions.

mod common;

use common::{Node, PATIENCE, Signal, client, is_running, kill, lines, repository, samples, tool, until};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use villas_shm::{Channel, Config, Flags};

/// A node with two regions, `REGION-in` and `REGION-out`.
fn two(keys: &str) -> Node {
    let node = Node::new("");
    let region = &node.region;
    let keys = keys.replace("REGION", region);
    let text = format!(
        "nodes = {{ n = {{ type = \"shmem\"; in = {{ name = \"{region}-in\" }}; out = {{ name = \"{region}-out\" }}\n{keys}\n}} }}\n"
    );
    fs::write(&node.config, text).unwrap();
    node
}

fn with_client(keys: &str, vectorize: &str) -> Node {
    two(&format!("{keys}\nexec = [ \"{}\", \"REGION-in\", \"REGION-out\", \"{vectorize}\" ]", client().display()))
}

/// What is left of a node's names.
fn leftovers(node: &Node) -> Vec<String> {
    let entries = fs::read_dir("/dev/shm").unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let stem = format!("{}-", node.region);
    names.filter(|name| name.strip_prefix("sem.").unwrap_or(name).starts_with(&stem)).collect()
}

fn equal(node: &Node, input: &str, output: &[u8]) {
    fs::write(node.path("input.dat"), input).unwrap();
    fs::write(node.path("output.dat"), output).unwrap();
    tool(&["compare", "-e", "0"]).arg(node.path("input.dat")).arg(node.path("output.dat")).assert().success();
}

#[test]
fn the_client_gives_everything_back_in_both_modes() {
    for (mode, vectorize) in [("pthread", "1"), ("pthread", "64"), ("polling", "1"), ("polling", "64")] {
        let node = with_client(&format!("mode = \"{mode}\"; queuelen = 100"), vectorize);
        let input = lines(0, 3000);
        let output = node.pipe(&[]).write_stdin(input.clone()).assert().success().get_output().clone();
        equal(&node, &input, &output.stdout);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("3000 samples read (0 marked redelivered), 3000 written back"), "{text}");
        assert_eq!(leftovers(&node), Vec::<String>::new());
    }
}

#[test]
fn with_one_name_for_both_it_reads_what_it_writes_as_villasnode_does() {
    for mode in ["pthread", "polling"] {
        let node = Node::new("");
        let region = &node.region;
        let text = format!(
            "nodes = {{ n = {{ type = \"shmem\"; out = {{ name = \"/{region}-x\" }}; in = {{ name = \"/{region}-x\" }}; queuelen = 1024; mode = \"{mode}\" }} }}"
        );
        fs::write(&node.config, text).unwrap();
        let input = tool(&["signal", "random", "-l", "100", "-n", "-v", "4"]).assert().success().get_output().stdout.clone();
        let output = node.pipe(&["-l", "100"]).write_stdin(input.clone()).assert().success().get_output().clone();
        equal(&node, std::str::from_utf8(&input).unwrap(), &output.stdout);
        assert!(!String::from_utf8(output.stderr).unwrap().contains("mistyped"));
        assert_eq!(leftovers(&node), Vec::<String>::new());
    }
}

/// The example of VILLASnode's documentation has one name twice; its program is told who holds it.
#[test]
fn names_that_look_mistyped_are_warned_about_and_run_as_the_loopback() {
    let node = Node::new("");
    let (region, client) = (&node.region, client().display());
    let text = format!(
        "nodes = {{ n = {{ type = \"shmem\", in = {{ name = \"{region}-in\" }}, out = {{ name = \"{region}-in\" }}
         exec = [ \"{client}\", \"{region}-in\", \"{region}-out\" ] }} }}"
    );
    fs::write(&node.config, text).unwrap();
    let mut running = node.start(&[]);
    until("the program has ended", || running.stderr().contains("ended early"));
    running.send(&lines(0, 10));
    drop(running.stdin.take());
    let pid = running.child.id();
    let (status, output, messages) = running.wait();
    assert_eq!((status.code(), samples(&output).len()), (Some(1), 10), "{messages}");
    assert!(messages.contains("is one of the names mistyped?"), "{messages}");
    assert!(messages.contains(&format!("\"{region}-in\" is written by process {pid} (villas-shm)")), "{messages}");
    assert_eq!(leftovers(&node), Vec::<String>::new());
}

#[test]
fn either_end_may_come_first() {
    for program_first in [false, true] {
        let node = two("");
        let start = |sends: bool| {
            let mut end = node.start(if sends { &["-s"] } else { &["-x", "-r", "-l", "50"] });
            if sends {
                end.send(&lines(0, 50));
            }
            drop(end.stdin.take());
            end
        };
        let one = start(program_first);
        until("the first has made its region", || !leftovers(&node).is_empty());
        let other = start(!program_first);
        let (sender, receiver) = if program_first { (one, other) } else { (other, one) };
        for (end, printed) in [(receiver, 50), (sender, 0)] {
            let (status, output, messages) = end.wait();
            assert_eq!((status.code(), samples(&output).len()), (Some(0), printed), "{messages}");
        }
        assert_eq!(leftovers(&node), Vec::<String>::new());
    }
}

#[test]
fn a_signal_a_time_and_the_end_of_the_program_end_the_wait_for_the_other_side() {
    let node = two("");
    let running = node.start_from(Stdio::null(), &[]);
    until("it waits", || running.stderr().contains("waiting for a program that reads"));
    kill(running.child.id(), Signal::SIGTERM);
    let (status, _, messages) = running.wait();
    assert_eq!(status.code(), Some(0), "{messages}");
    assert_eq!(leftovers(&node), Vec::<String>::new());

    let output = node.pipe(&["-T", "0.2"]).write_stdin(lines(0, 1)).assert().code(1).get_output().clone();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no program that reads") && text.contains("has come within the time limit"), "{text}");

    let node = two("exec = [ \"false\" ]");
    let output = node.pipe(&[]).write_stdin(lines(0, 1)).assert().code(1).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("false ended early (exit status: 1)"));
    assert_eq!(leftovers(&node), Vec::<String>::new());
}

#[test]
fn a_program_that_dies_ends_it_and_it_can_be_started_again() {
    let node = two("");
    for _ in 0..2 {
        let mut running = node.start(&[]);
        let region = &node.region;
        let config = Config::default();
        let program = Channel::open_wire(format!("{region}-in"), format!("{region}-out"), &config, Some(PATIENCE)).unwrap();
        running.send(&lines(0, 3));
        let mut taken = Vec::new();
        until("samples come", || {
            match program.read(&mut taken, 3) {
                Err(e) if e.is_transient() => {}
                other => drop(other.unwrap()),
            }
            taken.len() == 3
        });
        drop(taken);
        drop(program);
        let (status, _, messages) = running.wait();
        assert_eq!(status.code(), Some(1), "{messages}");
        assert!(messages.contains("the other end has closed or died before all was done"), "{messages}");
        assert_eq!(leftovers(&node), Vec::<String>::new());
    }
}

/// VILLASnode's own client sets no flags.
#[test]
fn a_sample_without_flags_is_given_the_time_of_its_reception_and_a_number() {
    let node = two("");
    let running = node.start_from(Stdio::null(), &["-l", "3"]);
    let region = &node.region;
    let program =
        Channel::open_wire(format!("{region}-in"), format!("{region}-out"), &Config::default(), Some(PATIENCE)).unwrap();
    for number in 0..3 {
        let mut sample = program.alloc().unwrap();
        sample.set_sequence(77);
        sample.write_values(&[1.5, 2.5]).unwrap();
        sample.set_flags(if number == 2 { Flags::HAS_SEQUENCE } else { Flags::NONE });
        assert_eq!(program.write(&mut vec![sample]).unwrap(), 1);
    }
    let (status, output, messages) = running.wait();
    assert_eq!(status.code(), Some(0), "{messages}");
    let numbers: Vec<&str> = samples(&output).iter().map(|line| line.split(['(', ')']).nth(1).unwrap()).collect();
    assert_eq!(numbers, ["0", "1", "77"]);
    for line in samples(&output) {
        assert!(line.ends_with("\t1.5\t2.5") && !line.starts_with("0."), "{line}");
    }
}

#[test]
fn the_example_with_two_regions_runs() {
    let node = Node::new("");
    let text = fs::read_to_string(repository("etc/villasnode.conf")).unwrap();
    let text =
        text.replace("sn1_", &format!("{}-", node.region)).replace("\"villas-shmem\"", &format!("\"{}\"", client().display()));
    fs::write(&node.config, text).unwrap();
    let week = common::week();
    let mut command = tool(&["pipe"]);
    let output = command.arg(&node.config).arg("shmem_node").write_stdin(week.clone()).assert().success().get_output().clone();
    equal(&node, &week, &output.stdout);
    assert_eq!(leftovers(&node), Vec::<String>::new());
}

#[test]
fn a_node_side_that_was_killed_is_replaced_and_cleaned() {
    let node = two("");
    let mut running = node.start(&[]);
    until("it has made its region", || Path::new("/dev/shm").join(format!("{}-out", node.region)).exists());
    kill(running.child.id(), Signal::SIGKILL);
    let _ = running.child.wait();
    assert!(!is_running(running.child.id()));
    let text = fs::read_to_string(&node.config).unwrap();
    let exec = format!("exec = [ \"{}\", \"{2}-in\", \"{2}-out\" ]\n{1}", client().display(), "}", node.region);
    let at = text.rfind("} }").unwrap();
    fs::write(&node.config, format!("{}{exec} }}\n", &text[..at])).unwrap();
    let input = lines(0, 10);
    let output = node.pipe(&[]).write_stdin(input.clone()).assert().success().get_output().clone();
    equal(&node, &input, &output.stdout);
    assert_eq!(leftovers(&node), Vec::<String>::new());
}
