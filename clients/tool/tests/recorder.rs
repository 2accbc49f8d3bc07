//! `villas-shm pipe` as recorder and player: files, pace, time of sending; progress on a terminal.

mod common;
#[path = "common/terminal.rs"]
mod terminal;

use std::fs;
use std::time::{Duration, Instant};

use common::{Node, samples, tool};
use terminal::Terminal;

#[test]
fn a_recording_in_any_format_is_what_was_played() {
    for (input, output) in [("in.arrow", "out.csv"), ("in.json", "out.arrow"), ("in.tsv", "out.json")] {
        let node = Node::with_client("signals = ( { name = \"p\", unit = \"kW\" }, { name = \"q\" } )", 5);
        let (input, output) = (node.path(input), node.path(output));
        let text: String =
            (0..5000).map(|number| format!("{number}.000000001({number})\t{}\t-0.1\n", number as f64 / 7.0)).collect();
        tool(&["convert", "-", input.to_str().unwrap()]).write_stdin(text).assert().success();
        let options = ["-i", input.to_str().unwrap(), "-o", output.to_str().unwrap()];
        let said = node.pipe(&options).assert().success().stdout("").get_output().stderr.clone();
        assert!(String::from_utf8(said).unwrap().contains("sent 5000, received 5000"));
        tool(&["compare", "-e", "0"]).args([&input, &output]).assert().success();
        if output.extension().unwrap() == "csv" {
            let header = "# secs,nsecs,offset,sequence,p[kW],q";
            assert!(fs::read_to_string(output).unwrap().starts_with(header));
        }
    }
}

#[test]
fn binary_goes_through_pipes_and_losses_are_said() {
    let node = Node::with_client("", 1);
    let text = "1.0(1)\t1.5\n2.0(2)\t2.5\n";
    let input =
        tool(&["convert", "--output-format", "villas.binary"]).write_stdin(text).assert().success().get_output().stdout.clone();
    let output = node.pipe(&["-f", "villas.binary"]).write_stdin(input.clone()).assert().success().get_output().clone();
    assert_eq!(output.stdout, input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("warning: times of reception left out: 2"), "{said}");
}

#[test]
fn values_of_other_types_than_the_regions_are_refused() {
    let node = Node::with_client("signals = \"fi\"", 1);
    let path = node.path("in.arrow");
    tool(&["convert", "-", path.to_str().unwrap()]).write_stdin("1.0(1)\t1.5\t2\n").assert().success();
    let said = node.pipe(&["-i", path.to_str().unwrap()]).assert().code(1).get_output().stderr.clone();
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("in.arrow: value 1 (\"signal1\") is of the type float, and not integer, which is wanted here"),
        "{said}"
    );
}

#[test]
fn files_that_are_missing_or_the_same_are_named_before_anything_begins() {
    let node = Node::with_client("", 1);
    let path = node.path("a.dat");
    let said = |options: &[&str]| String::from_utf8(node.pipe(options).assert().code(1).get_output().stderr.clone()).unwrap();
    let text = said(&["-i", path.to_str().unwrap()]);
    assert!(text.contains("a.dat: No such file") && !node.region_exists(), "{text}");
    fs::write(&path, "1.0(1)\t1\n").unwrap();
    let text = said(&["-i", path.to_str().unwrap(), "-o", path.to_str().unwrap()]);
    assert!(text.contains("cannot be written at the same time"), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "1.0(1)\t1\n");
    let text = said(&["--pace=0"]);
    assert!(text.contains("expected a number above 0"), "{text}");
}

/// Samples of a second and a half, of which three are at the same time and one is before the first.
const PACED: &str = "100.000000000(0)\t0\n100.500000000(1)\t1\n100.500000000(2)\t2\n99.000000000(3)\t3\n103.000000000(4)\t4\n";

#[test]
fn a_paced_recording_takes_the_time_that_it_took() {
    let node = Node::with_client("", 1);
    let path = node.path("in.dat");
    fs::write(&path, PACED).unwrap();
    let start = Instant::now();
    let output = node.pipe(&["-i", path.to_str().unwrap(), "--pace=2"]).assert().success().get_output().clone();
    // Never early; how late says the machine.
    assert!(start.elapsed() >= Duration::from_millis(1500));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("sent at the recorded pace, 2 times as fast; late by p50 "), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let back = samples(&text);
    assert_eq!(back.len(), 5);
    // The timestamps stay, and what has the same moment is not behind the next one.
    assert!(back[3].starts_with("99.000000000+") && back[3].contains("(3)"), "{}", back[3]);
}

#[test]
fn a_paced_sender_does_not_wait_for_ever_for_somebody_to_come() {
    let node = Node::new("exec = [ \"sleep\", \"1000\" ]");
    for options in [&["--pace", "--linger", "0", "--grace", "0"][..], &["--pace", "-s", "--linger", "0", "--grace", "0"]] {
        let assert = node.pipe(options).write_stdin("1.0(0)\t1\n").assert().code(1);
        let said = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(said.contains("no program has opened the region in time (--linger SECONDS gives it more time)"), "{said}");
    }
}

#[test]
fn a_paced_sender_is_stopped_while_it_waits() {
    let node = Node::with_client("", 1);
    let mut running = node.start(&["--pace"]);
    running.send("1.0(0)\t1\n1000000.0(1)\t2\n");
    common::until("the first sample has come back", || running.printed() >= 1);
    running.signal(common::Signal::SIGINT);
    let (status, _, said) = running.finish();
    assert!(status.success() && said.contains("sent at the recorded pace; late by p50"), "{said}");
}

#[test]
fn samples_sent_now_have_the_present_as_their_time_and_keep_their_numbers() {
    let node = Node::with_client("", 1);
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let output = node.pipe(&["--now"]).write_stdin("1.0(7)\t1\n2.0(9)\t2\n").assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    for (line, number) in samples(&text).into_iter().zip(["(7)", "(9)"]) {
        let seconds: u64 = line.split('.').next().unwrap().parse().unwrap();
        assert!(seconds >= before && line.contains(number), "{line}");
    }
}

#[test]
fn a_bar_shows_what_takes_long_and_goes_away() {
    let node = Node::with_client("", 1);
    let path = node.path("in.dat");
    // Four seconds, in small steps.
    let text: String = (0..80).map(|number| format!("{number}.0({number})\t1\n")).collect();
    fs::write(&path, text).unwrap();
    let arguments = ["pipe", "--pace=20", "-s", "-i", path.to_str().unwrap(), node.config.to_str().unwrap(), "n"];
    let mut terminal = Terminal::new(100, 20, &arguments);
    terminal.until("a bar", |screen| screen.iter().any(|line| line.contains(" samples/s ") && line.ends_with(" left")));
    terminal.until("the end", |screen| {
        let has = |text: &str| screen.iter().any(|line| line.contains(text));
        has("sent 80") && !has(" left")
    });
    assert!(terminal.end().success());
}
