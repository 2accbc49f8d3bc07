//! `villas-shm pipe` with the example client: what goes in comes out.

mod common;

use common::{Node, Signal, client, kill, lines, repository, samples, sequence, tool, until, week};
use std::fs;
use std::process::{Command, Stdio};

/// Sends a text, and gives what comes back; all must go well.
fn echo(node: &Node, options: &[&str], text: &str) -> String {
    let output = node.pipe(options).write_stdin(text).assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn same_as_the_week(node: &Node, text: &str) {
    let path = node.path("back.dat");
    fs::write(&path, text).unwrap();
    common::tool(&["compare", "-e", "0"]).arg(repository("examples/grid-week.dat")).arg(&path).assert().success();
}

#[test]
fn the_week_comes_back_bit_for_bit_in_both_modes() {
    for mode in ["pthread", "polling"] {
        for vectorize in [1, 5, 64] {
            let node = Node::with_client(&format!("mode = \"{mode}\"; vectorize = {vectorize}"), vectorize);
            same_as_the_week(&node, &echo(&node, &[], &week()));
        }
    }
}

#[test]
fn queues_of_any_length_lose_nothing() {
    let text = lines(0, 5_000);
    for queuelen in [1, 2, 7, 600, 1000] {
        let node = Node::with_client(&format!("queuelen = {queuelen}; samplelen = 1"), 5);
        assert!(sequence(&echo(&node, &[], &text)).into_iter().eq(0..5_000), "{queuelen}");
    }
}

#[test]
fn samples_have_one_to_65536_values() {
    for count in [1, 64, 1000, 65_536] {
        let node = Node::with_client(&format!("samplelen = {count}; queuelen = 4"), 2);
        let values: Vec<String> = (0..count).map(|index| format!("\t{index}.25")).collect();
        let text: String = (0..10).map(|number| format!("1.0({number}){}\n", values.concat())).collect();
        let back = echo(&node, &[], &text);
        let back = samples(&back);
        assert_eq!(back.len(), 10);
        assert!(back[9].ends_with(&format!("(9){}", values.concat())), "{count}");
    }
}

#[test]
fn every_type_of_signal_comes_back() {
    let node = Node::with_client("signals = \"fibc\"", 1);
    let back = echo(&node, &[], "1.5(7)F\t0.1\t-9223372036854775808\t1\t1.5-2.5i\n2.0\tnan\t7\t0\t3i\n");
    let back = samples(&back);
    assert!(back[0].starts_with("1.000000005+"), "the time of reception is stamped: {}", back[0]);
    assert!(back[0].ends_with("(7)F\t0.1\t-9223372036854775808\t1\t1.5-2.5i"), "{}", back[0]);
    assert!(back[1].ends_with("(1)\tnan\t7\t0\t0.0+3.0i"), "the second of the session has number 1: {}", back[1]);
}

#[test]
fn what_one_prints_the_others_read() {
    let node = Node::with_client("", 1);
    let config = node.config.to_str().unwrap();
    for types in ["1c", "8f", "2fi3bc", "b"] {
        let text = tool(&["signal", "mixed", "-n", "-l", "20", "-t", types]).assert().success().get_output().stdout.clone();
        let back = echo(&node, &["-t", types], &String::from_utf8(text.clone()).unwrap());
        let (sent, received) = (node.path("sent.dat"), node.path("received.dat"));
        fs::write(&sent, text).unwrap();
        fs::write(&received, &back).unwrap();
        tool(&["compare", "-e", "0", "-t", types]).args([&sent, &received]).assert().success();
        let convert = tool(&["convert", "-t", types]).write_stdin(back.clone()).assert().success().get_output().stdout.clone();
        assert_eq!(samples(&String::from_utf8(convert).unwrap()), samples(&back));
    }
    // A configuration that says the types is right.
    let text = "nodes = { n = { type = \"shmem\", name = \"NAME\", exec = [ \"CLIENT\", \"-w\", \"10\", \"NAME\" ],
        signals = ( { name = \"u\", unit = \"V\", type = \"complex\" }, { name = \"on\", type = \"boolean\" } ) } }";
    let text = text.replace("NAME", &node.region).replace("CLIENT", &client().display().to_string());
    fs::write(&node.config, text).unwrap();
    let signal = tool(&["signal", "sine", "-nl", "10", "--node", config, "n"]).assert().success().get_output().stdout.clone();
    let signal = String::from_utf8(signal).unwrap();
    assert!(signal.starts_with("# seconds.nanoseconds(sequence)\tu[V]\ton\n"), "{signal}");
    assert!(samples(&signal)[1].ends_with("(1)\t0.58778524+0.0i\t1"), "{signal}");
    let back = echo(&node, &["-t", "2i"], &signal);
    let (sent, received) = (node.path("sent.dat"), node.path("received.dat"));
    fs::write(&sent, signal).unwrap();
    fs::write(&received, back).unwrap();
    tool(&["compare", "-e", "0", "--node", config, "n"]).args([&sent, &received]).assert().success();
}

#[test]
fn the_header_names_the_signals() {
    let node = Node::with_client("in = { signals = ( { name = \"u\", unit = \"V\" }, { name = \"i\" } ) }", 1);
    let back = echo(&node, &[], "1.0(1) 1 2\n");
    assert_eq!(back.lines().next(), Some("# seconds.nanoseconds+offset(sequence)\tu[V]\ti"));
    let node = Node::with_client("", 1);
    let back = echo(&node, &[], "1.0(1) 1 2\n");
    assert_eq!(back.lines().next(), Some("# seconds.nanoseconds+offset(sequence)\tsignal0\tsignal1"));
}

#[test]
fn malformed_lines_are_skipped_and_make_the_status_1() {
    let node = Node::with_client("samplelen = 2", 1);
    let input = "1.0(1) 1\nrubbish\n2.0(2) 1 2 3\r\n3.0(3) 5 6";
    let output = node.pipe(&[]).write_stdin(input).assert().code(1).get_output().clone();
    assert_eq!(sequence(&String::from_utf8(output.stdout).unwrap()), [1, 3]);
    let messages = String::from_utf8(output.stderr).unwrap();
    for message in ["line 2: seconds", "line 3: 3 values, but a sample has room for 2", "2 malformed lines were skipped"] {
        assert!(messages.contains(message), "{messages}");
    }
}

#[test]
fn empty_cells_of_integers_and_booleans_are_errors_and_of_others_nan() {
    let node = Node::with_client("signals = \"1f1i1b1c\"", 1);
    let input = "1.0(1)\t\t2\t1\t1+2i\n2.0(2)\t1\t\t1\t1+2i\n3.0(3)\t1\t2\t\t1+2i\n4.0(4)\t1\t2\tTrue\t\n-0.500000000(5)\t1\t2\t0\t1+2i\n";
    let output = node.pipe(&[]).write_stdin(input).assert().code(1).get_output().clone();
    let back = String::from_utf8(output.stdout).unwrap();
    assert_eq!(sequence(&back), [1, 4, 5]);
    let back = samples(&back);
    assert!(back[0].ends_with("(1)\tnan\t2\t1\t1.0+2.0i"), "{}", back[0]);
    assert!(back[1].ends_with("(4)\t1.0\t2\t1\tnan+nani"), "{}", back[1]);
    assert!(back[2].starts_with("-0.500000000+"), "{}", back[2]);
    let messages = String::from_utf8(output.stderr).unwrap();
    for message in [
        "warning: standard input, line 1: value 0 is empty, NaN is taken (column 8)",
        "error: standard input, line 2: value 1 is empty, and an integer cannot say that: there is no NaN (column 10)",
        "error: standard input, line 3: value 2 is empty, and a boolean is 0 or 1 (column 12)",
        "warning: standard input, line 4: value 3 is empty, NaN is taken (column 17)",
        "2 malformed lines were skipped",
    ] {
        assert!(messages.contains(message), "{message}: {messages}");
    }
}

#[test]
fn whatever_else_comes_in_the_good_samples_come_back() {
    let node = Node::with_client("samplelen = 65536; queuelen = 4", 1);
    let noise: Vec<u8> = (0..5_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let values = |count: usize| "\t0.5".repeat(count);
    let mut input = noise;
    input.extend_from_slice(format!("\n1.0(1) 1\n2.0(2){}\n3.0(3){}\n", values(65_537), values(65_536)).as_bytes());
    input.extend_from_slice(b"4.0(4) 1e999\n5.0(99999999999999999999) 1\n\n  \r\n# a comment\r\n6.0(6) 1\r\n7.0(7) 1");
    let output = node.pipe(&[]).write_stdin(input).assert().code(1).get_output().clone();
    assert_eq!(sequence(&String::from_utf8(output.stdout).unwrap()), [1, 3, 6, 7]);
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.is_ascii(), "what is shown cannot harm a terminal");
    for message in [
        "65537 values, but a sample has room for 65536 (samplelen)",
        "value 0: \"1e999\" is out of range",
        "sequence number: \"99999999999999999999)\" is not valid",
        "malformed lines were skipped",
    ] {
        assert!(messages.contains(message), "{messages}");
    }
    assert_eq!(echo(&node, &["--linger", "0"], "").lines().count(), 1, "no input: a header and no error");
}

#[test]
fn a_sample_comes_back_while_standard_input_stays_open() {
    for mode in ["pthread", "polling"] {
        let node = Node::with_client(&format!("mode = \"{mode}\""), 64);
        let mut running = node.start(&[]);
        for number in 0..20 {
            running.send(&lines(number, 1));
            until("the sample comes back", || running.printed() == number as usize + 1);
        }
        let (status, output, messages) = running.finish();
        assert!(status.success(), "{messages}");
        assert!(sequence(&output).into_iter().eq(0..20));
        assert!(messages.contains("sent 20, received 20, redelivered 0"), "{messages}");
    }
}

#[test]
fn it_stops_sending_after_so_many() {
    let node = Node::with_client("", 1);
    assert!(sequence(&echo(&node, &["-L", "10"], &lines(0, 1_000))).into_iter().eq(0..10));
    assert_eq!(echo(&node, &["-L", "0", "--linger", "0"], &lines(0, 1_000)).lines().count(), 1);
    let mut running = node.start(&["-L", "3"]);
    running.send(&lines(0, 100));
    let (status, output, messages) = running.wait();
    assert!(status.success(), "{messages}");
    assert_eq!(sequence(&output), [0, 1, 2]);
}

#[test]
fn it_ends_after_so_many_were_received() {
    let node = Node::with_client("", 1);
    let mut running = node.start(&["-l", "10"]);
    running.send(&lines(0, 10));
    let (status, output, messages) = running.wait();
    assert!(status.success(), "{messages}");
    assert!(sequence(&output).into_iter().eq(0..10));

    let mut running = node.start(&["-l", "10", "-L", "20"]);
    running.send(&lines(0, 20));
    let (status, output, messages) = running.wait();
    assert!(status.success(), "{messages}");
    assert!(sequence(&output).into_iter().eq(0..10), "never more than asked for");
    assert_eq!(sequence(&echo(&node, &["-l", "2"], &week())), [0, 1]);
}

#[test]
fn a_client_may_be_started_by_hand_before_or_after() {
    let node = Node::new("vectorize = 64");
    let start = || Command::new(client()).args(["-w", "10", &node.region, "5"]).stderr(Stdio::null()).spawn().unwrap();
    let mut early = start();
    same_as_the_week(&node, &echo(&node, &["--linger", "1e19"], &week()));
    assert!(early.wait().unwrap().success());

    let mut running = node.start(&["--linger", "20"]);
    running.send(&week());
    until("the region is there", || node.region_exists());
    let mut late = start();
    let (status, output, messages) = running.finish();
    assert!(status.success(), "{messages}");
    same_as_the_week(&node, &output);
    assert!(late.wait().unwrap().success());
}

#[test]
fn a_client_that_is_killed_and_started_again_goes_on() {
    let node = Node::new("");
    let start = || Command::new(client()).args(["-w", "10", &node.region, "5"]).stderr(Stdio::null()).spawn().unwrap();
    let mut running = node.start(&[]);
    for round in 0..5 {
        let mut client = start();
        running.send(&lines(round * 100, 100));
        until("they come back", || sequence(&running.stdout()).contains(&(round * 100 + 99)));
        kill(client.id(), Signal::SIGKILL);
        client.wait().unwrap();
        // What is sent to nobody waits for the successor.
        running.send(&lines(1_000 + round, 1));
    }
    let mut last = start();
    until("the last one comes back", || sequence(&running.stdout()).contains(&1_004));
    let (status, output, messages) = running.finish();
    assert!(status.success(), "{messages}");
    last.wait().unwrap();
    let mut numbers = sequence(&output);
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert!(numbers.into_iter().eq((0..500).chain(1_000..1_005)), "nothing is lost: {messages}");
    // Each of the dead may have had five in hand that come again, marked.
    assert!(all <= 505 + 5 * 5, "{messages}");
}
