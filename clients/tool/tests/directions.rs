//! `villas-shm pipe` in one direction, at the other end, and for a time: `-s`, `-r`, `-x`, `-T`.

mod common;

use common::{Node, PATIENCE, Running, Signal, is_running, kill, lines, samples, sequence, tool, until};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use villas_shm::{Channel, Error, Sample};

fn program(node: &Node) -> Channel {
    Channel::timed_open(&node.region, Some(PATIENCE)).unwrap()
}

#[track_caller]
fn take(program: &Channel, count: usize) -> Vec<Sample> {
    let mut samples = Vec::new();
    until("samples come", || {
        let missing = count - samples.len();
        let _ = program.read(&mut samples, missing);
        samples.len() == count
    });
    samples
}

/// Writes samples numbered from `first`, waiting for room; those that are too many for a tool that has ended by then go nowhere.
#[track_caller]
fn write(program: &Channel, first: u64, count: u64) {
    let is_done = |written: Result<usize, Error>| written.map_or_else(|e| e.errno() == Errno::EPIPE as i32, |count| count == 1);
    for number in first..first + count {
        let mut samples = Vec::new();
        until("there is a block", || program.alloc().map(|sample| samples.push(sample)).is_ok());
        samples[0].set_sequence(number);
        samples[0].write_values(&[number as f64]).unwrap();
        until("there is room", || is_done(program.write(&mut samples)));
    }
}

/// Ends well, with so many samples printed.
#[track_caller]
fn well(running: Running, printed: usize) -> String {
    let (status, output, messages) = running.wait();
    assert_eq!((status.code(), samples(&output).len()), (Some(0), printed), "{messages}");
    output
}

/// Nothing that ends the tool happens within a time that would show it.
#[track_caller]
fn goes_on(running: &Running) {
    let start = Instant::now();
    until("some time has passed", || start.elapsed() > Duration::from_millis(400));
    assert!(is_running(running.child.id()), "{}", running.stderr());
}

#[test]
fn sending_ends_when_the_peer_has_read_everything() {
    let node = Node::new("");
    let mut running = node.start(&["-s", "--linger", "1e9"]);
    running.send(&lines(0, 100));
    drop(running.stdin.take());
    goes_on(&running);
    let program = program(&node);
    drop(take(&program, 60));
    goes_on(&running);
    assert_eq!(take(&program, 40)[39].sequence(), 99);
    assert_eq!(well(running, 0), "", "it prints nothing, no header either");
}

#[test]
fn a_client_that_echoes_does_not_hold_up_sending() {
    let node = Node::with_client("queuelen = 8", 4);
    let output = node.pipe(&["-s"]).write_stdin(lines(0, 5_000)).assert().success().get_output().clone();
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("villas-shm: sent 5000, received"));
}

#[test]
fn sending_to_nobody_is_ended_by_the_time() {
    let send = || {
        let node = Node::new("");
        let start = Instant::now();
        let mut running = node.start(&["-s", "-T", "1.3"]);
        // The time may be over already.
        let _ = running.stdin.take().unwrap().write_all(lines(0, 10).as_bytes());
        let (status, _, messages) = running.wait_for(Duration::from_secs(10));
        assert!(start.elapsed() >= Duration::from_millis(1300), "{:?}", start.elapsed());
        assert!(!node.region_exists());
        messages.contains("10 samples were sent but not taken").then_some((status, messages))
    };
    let (status, messages) = (0..10).find_map(|_| send()).expect("they are sent within the time");
    assert_eq!(status.code(), Some(1), "{messages}");
    assert!(messages.contains("none has opened the region \""), "{messages}");
}

#[test]
fn sending_to_nobody_is_ended_by_linger_and_says_what_is_unread() {
    // With the end of the input in the queue, and without.
    for (count, queued, rest) in [(10, 10, ""), (100, 16, ", and the rest of the input was not sent")] {
        let node = Node::new("queuelen = 16");
        let mut running = node.start(&["-s", "--linger", "0.2"]);
        // The tool may have ended by then.
        let _ = running.stdin.take().unwrap().write_all(lines(0, count).as_bytes());
        let (status, _, messages) = running.wait_for(Duration::from_secs(20));
        assert_eq!(status.code(), Some(1), "{messages}");
        let message = format!("{queued} samples were sent but not taken{rest}: no program has opened");
        assert!(messages.contains(&message), "{messages}");
        assert!(messages.contains(&format!("sent {queued}, received 0, redelivered 0, waited ")), "{messages}");
        assert!(!messages.contains("samples/s"), "{messages}");
    }
}

#[test]
fn sending_to_a_program_that_has_left_is_ended_by_linger_and_says_what_is_unread() {
    // Without a program the queue takes nothing, so that the input does not come to its end.
    for (count, rest) in [(10, ""), (100, ", and the rest of the input was not sent")] {
        let node = Node::new("queuelen = 16");
        let mut running = node.start(&["-s", "--linger", "1.5"]);
        let _ = running.stdin.as_mut().unwrap().write_all(lines(0, count).as_bytes());
        let program = program(&node);
        drop(take(&program, 4));
        drop(program);
        drop(running.stdin.take());
        until("it says what it waits for", || running.stderr().contains("the last one has left, and "));
        let (status, _, messages) = running.wait_for(Duration::from_secs(20));
        assert_eq!(status.code(), Some(1), "{messages}");
        let message = format!("samples were sent but not taken{rest}: the program has left");
        assert!(messages.contains(&message), "{messages}");
        let sent: u64 = messages.split("villas-shm: sent ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
        assert!(messages.contains(&format!("{} {message}", sent - 4)) && (sent == count || !rest.is_empty()), "{messages}");
    }
}

#[test]
fn a_program_that_is_there_may_take_its_time() {
    let node = Node::new("");
    let mut running = node.start(&["-s", "--linger", "0"]);
    let program = program(&node);
    running.send(&lines(0, 10));
    drop(running.stdin.take());
    until("it says what it waits for", || running.stderr().contains("waiting for the program: 10 sent to it are unread"));
    assert!(is_running(running.child.id()));
    drop(take(&program, 10));
    well(running, 0);
}

#[test]
fn sending_survives_the_death_of_the_reader() {
    let node = Node::new("");
    let mut running = node.start(&["-s", "--linger", "1e9"]);
    running.send(&lines(0, 10));
    drop(running.stdin.take());
    let first = program(&node);
    drop(take(&first, 4));
    drop(first);
    goes_on(&running);
    let second = program(&node);
    assert_eq!(take(&second, 6)[0].sequence(), 4);
    well(running, 0);
}

#[test]
fn receiving_reads_no_input() {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let (mut reader, mut writer) = (File::from(reader), File::from(writer));
    writer.write_all(lines(0, 10).as_bytes()).unwrap();
    let node = Node::new("");
    let running = node.start_from(Stdio::from(reader.try_clone().unwrap()), &["-r", "-l", "3"]);
    let program = program(&node);
    write(&program, 0, 3);
    well(running, 3);
    let mut samples = Vec::new();
    assert_eq!(program.try_read(&mut samples, 10).unwrap_or(0), 0, "nothing was sent");
    drop(writer);
    let mut left = String::new();
    reader.read_to_string(&mut left).unwrap();
    assert_eq!(left, lines(0, 10), "the input is there for somebody else");
}

#[test]
fn receiving_goes_on_without_samples_unless_linger_is_given() {
    let node = Node::new("");
    let running = node.start_from(Stdio::null(), &["-r"]);
    let program = program(&node);
    write(&program, 0, 1);
    goes_on(&running);
    let start = Instant::now();
    until("the default of linger has passed", || start.elapsed() > Duration::from_millis(2_300));
    write(&program, 1, 1);
    until("it still prints", || running.printed() == 2);
    running.signal(Signal::SIGINT);
    well(running, 2);
    drop(program);
    let running = node.start_from(Stdio::null(), &["-r", "--linger", "0.2"]);
    well(running, 0);
}

#[test]
fn receiving_ends_with_the_program() {
    let node = Node::new("exec = [ \"true\" ]");
    node.pipe(&["-r"]).assert().success();
    let node = Node::new("exec = [ \"false\" ]");
    node.pipe(&["-r"]).assert().code(1);
    let node = Node::new("exec = [ \"true\" ]");
    let output = node.pipe(&["-r", "-l", "5"]).assert().code(1).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("true ended early (exit status: 0)"));
}

#[test]
fn with_a_number_to_receive_it_waits_beyond_linger() {
    let node = Node::new("");
    let mut running = node.start(&["-l", "3", "--linger", "0"]);
    drop(running.stdin.take());
    let program = program(&node);
    write(&program, 0, 2);
    until("two are printed", || running.printed() == 2);
    goes_on(&running);
    write(&program, 2, 5);
    assert_eq!(sequence(&well(running, 3)), [0, 1, 2]);
}

#[test]
fn an_endless_session_is_ended_by_the_time() {
    for mode in ["pthread", "polling"] {
        let exchange = || {
            let node = Node::with_client(&format!("mode = \"{mode}\""), 64);
            let start = Instant::now();
            let mut running = node.start(&["-T", "0.7"]);
            let mut stdin = running.stdin.take().unwrap();
            let writer = std::thread::spawn(move || {
                (0..u64::MAX).step_by(100).find(|&first| stdin.write_all(lines(first, 100).as_bytes()).is_err())
            });
            let (status, output, messages) = running.wait_for(Duration::from_secs(5));
            assert!(start.elapsed() >= Duration::from_millis(700), "{:?}", start.elapsed());
            writer.join().unwrap();
            // On a busy machine the client may be too late to take the last ones.
            let all_taken = !messages.contains("were sent but not taken");
            assert_eq!(status.code(), Some(i32::from(!all_taken)), "{messages}");
            let numbers = sequence(&output);
            assert!(numbers.iter().copied().zip(0..).all(|(found, number)| found == number), "{numbers:?}");
            !numbers.is_empty()
        };
        assert!((0..10).any(|_| exchange()), "nothing comes back within the time");
    }
}

#[test]
fn a_time_ends_it_though_nothing_moves() {
    // Neither a reader of its output, nor input, nor a peer.
    let node = Node::new("");
    let running = node.start(&["-T", "0.3"]);
    well(running, 0);
    let node = Node::new("");
    let running = node.start(&["-T", "1e19"]);
    until("the region is there", || node.region_exists());
    running.signal(Signal::SIGTERM);
    well(running, 0);
}

/// The tool at the other end of the same node.
fn other_end(node: &Node, options: &[&str]) -> Running {
    node.start(&[&["-x"][..], options].concat())
}

#[test]
fn two_tools_are_the_two_ends_of_a_channel() {
    let node = Node::new("in = { signals = \"2i\" }, out = { signals = \"1f1b\" }");
    let mut program = other_end(&node, &["-L", "1"]);
    until("it says what it waits for", || program.stderr().contains(&format!("waiting for the region \"{}\"", node.region)));
    let mut tool = node.start(&["-l", "1"]);
    tool.send("1.0(7)\t0.5\t1\n");
    until("it arrives", || program.printed() == 1);
    assert!(program.stdout().ends_with("(7)\t0.5\t1\n"), "{}", program.stdout());
    // The program sends what the node receives: integers.
    program.send("2.0(8)\t9223372036854775807\t-1\n");
    let output = well(tool, 1);
    assert!(output.ends_with("(8)\t9223372036854775807\t-1\n"), "{output}");
    well(program, 1);
}

#[test]
fn the_other_end_leaves_the_region_and_starts_no_program() {
    let node = Node::new("exec = [ \"sh\", \"-c\", \"echo started; exec sleep 100\" ]");
    let creator = Channel::create(&node.region, &villas_shm::Config::default()).unwrap();
    let mut running = other_end(&node, &["-s"]);
    running.send(&lines(0, 3));
    drop(running.stdin.take());
    assert_eq!(take(&creator, 3)[2].sequence(), 2);
    let (status, output, messages) = running.wait();
    assert!(status.success() && output.is_empty(), "{messages}");
    assert!(messages.contains("not started") && !messages.contains("started\n"), "{messages}");
    assert!(node.region_exists());
    drop(creator);
    Channel::unlink(&node.region).unwrap();
}

#[test]
fn the_other_end_uses_the_regions_own_sizes() {
    let node = Node::new("samplelen = 64; queuelen = 512");
    let small = villas_shm::Config::new().samplelen(2).queuelen(3);
    let creator = Channel::create(&node.region, &small).unwrap();
    let mut running = other_end(&node, &["-s"]);
    running.send("1.0(0) 1 2 3\n");
    running.send(&lines(1, 10));
    drop(running.stdin.take());
    assert_eq!(take(&creator, 10).len(), 10);
    let (status, _, messages) = running.wait();
    assert_eq!(status.code(), Some(1));
    assert!(messages.contains("line 1: 3 values, but a sample has room for 2"), "{messages}");
    drop(creator);
    Channel::unlink(&node.region).unwrap();
}

#[test]
fn the_other_end_ends_with_the_node() {
    // All done: no error, though the input is still open with -r, which does not read it.
    let node = Node::new("");
    let mut tool = node.start(&["-s", "-L", "2"]);
    let program = other_end(&node, &["-r"]);
    tool.send(&lines(0, 2));
    until("they arrive", || program.printed() == 2);
    well(tool, 0);
    well(program, 2);

    // The node goes while there is something to send.
    let mut tool = node.start(&[]);
    let program = other_end(&node, &[]);
    tool.send(&lines(0, 1));
    until("the other end has opened it", || program.printed() == 1);
    tool.signal(Signal::SIGKILL);
    tool.wait();
    let (status, _, messages) = program.wait();
    assert_eq!(status.code(), Some(1), "{messages}");
    assert!(messages.contains("the other end has closed or died before all was done"), "{messages}");
    fs::remove_file(Path::new("/dev/shm").join(&node.region)).unwrap();
}

#[test]
fn an_other_end_that_is_killed_has_a_successor() {
    let node = Node::new("");
    let mut tool = node.start(&["-s", "--linger", "1e9"]);
    let first = other_end(&node, &["-r"]);
    tool.send(&lines(0, 10));
    until("they arrive", || first.printed() == 10);
    kill(first.child.id(), Signal::SIGKILL);
    first.wait();
    tool.send(&lines(10, 10));
    drop(tool.stdin.take());
    let second = other_end(&node, &["-r"]);
    well(tool, 0);
    let (status, output, messages) = second.wait();
    assert!(status.success(), "{messages}");
    assert!(sequence(&output).ends_with(&(10..20).collect::<Vec<_>>()), "{output}");
}

#[test]
fn waiting_for_a_node_can_be_ended() {
    let node = Node::new("");
    let running = other_end(&node, &[]);
    until("it waits", || running.stderr().contains("waiting for the region"));
    running.signal(Signal::SIGTERM);
    assert_eq!(well(running, 0), "");
    let output = node.pipe(&["-x", "-T", "0.1"]).write_stdin("").assert().code(1).get_output().clone();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains(&format!("cannot open the region \"{}\"", node.region)), "{messages}");
}

#[test]
fn an_end_that_is_taken_is_an_error() {
    let node = Node::new("");
    let running = node.start(&[]);
    let _program = program(&node);
    let output = node.pipe(&["-x"]).write_stdin("").assert().code(1).get_output().clone();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains(&node.region) && messages.contains(&std::process::id().to_string()), "{messages}");
    running.signal(Signal::SIGTERM);
    well(running, 0);
    tool(&["pipe", "-x"]).arg(&node.config).arg("m").assert().code(1);
}
