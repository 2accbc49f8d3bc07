//! How `villas-shm pipe` ends: whatever happens, nothing of it stays behind.

mod common;

use common::{
    Node, PATIENCE, Signal, TOOL, client, hang_up_by_default, is_running, kill, lines, sequence, soon, tool, until,
    writes_to_stdout,
};
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use villas_shm::Channel;

#[test]
fn signals_end_it_at_once_and_cleanly() {
    hang_up_by_default();
    for mode in ["pthread", "polling"] {
        for number in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let node = Node::with_client(&format!("mode = \"{mode}\""), 64);
            let mut running = node.start(&[]);
            running.send(&lines(0, 100));
            until("they come back", || running.printed() == 100);
            let program = running.program();
            running.signal(number);
            let (status, output, messages) = running.wait_for(Duration::from_secs(1));
            assert_eq!(status.code(), Some(0), "{messages}");
            assert!(sequence(&output).into_iter().eq(0..100));
            assert!(!is_running(program) && !node.region_exists());
        }
    }
}

#[test]
fn a_hangup_that_nohup_ignores_does_not_end_it() {
    let node = Node::new("");
    let script = "trap '' HUP; exec \"$0\" pipe -d off \"$1\" n";
    let mut child = Command::new("sh").args(["-c", script, TOOL]).arg(&node.config).stdin(Stdio::piped()).spawn().unwrap();
    until("the region is there", || node.region_exists());
    kill(child.id(), Signal::SIGHUP);
    let client = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
    use std::io::Write;
    child.stdin.as_mut().unwrap().write_all(lines(0, 1).as_bytes()).unwrap();
    let mut samples = Vec::new();
    until("a sample comes", || client.read(&mut samples, 1).is_ok());
    kill(child.id(), Signal::SIGTERM);
    assert!(child.wait().unwrap().success());
}

/// As systemd-logind, Python's resource tracker and containers do.
#[test]
fn it_ends_and_says_so_when_its_name_is_removed_before_a_program_has_come() {
    let node = Node::new("");
    let running = node.start(&[]);
    until("the region is there", || node.region_exists());
    Channel::unlink(&node.region).unwrap();
    until("it says so", || running.stderr().contains("was removed"));
    let (status, _, messages) = running.wait();
    assert!(!status.success());
    assert_eq!(messages.matches("nobody can come").count(), 1, "{messages}");
    assert!(messages.contains(&node.region) && !messages.contains("cannot remove"), "{messages}");
}

#[test]
fn a_program_that_puts_nothing_is_named_as_what_holds_it_up() {
    let node = Node::new("queuelen = 16");
    let mut running = node.start(&[]);
    let mut stdin = running.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let _ = stdin.write_all(lines(0, 1000).as_bytes());
    });
    let program = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
    let (mut held, mut more) = (Vec::new(), Vec::new());
    until("it says what is wrong", || {
        match program.try_read(&mut more, 16) {
            Err(e) if e.is_transient() => {}
            other => drop(other.unwrap()),
        }
        held.append(&mut more);
        running.stderr().contains("does it put them")
    });
    assert_eq!(held.len(), 16 + 64, "all blocks of the node");
    held.clear();
    until("it goes on", || program.read(&mut more, 16).is_ok());
    running.signal(Signal::SIGTERM);
    running.wait_for(PATIENCE);
    writer.join().unwrap();
}

#[test]
fn a_stream_without_an_end_or_a_sample_can_be_ended() {
    for (source, message) in [(["yes", "nonsense"], "further ones are only counted"), (["cat", "/dev/zero"], "")] {
        let mut source = Command::new(source[0]).arg(source[1]).stdout(Stdio::piped()).spawn().unwrap();
        let node = Node::new("");
        let running = node.start_from(source.stdout.take().unwrap().into(), &[]);
        until("the region is there", || node.region_exists());
        until("it complains", || running.stderr().contains(message));
        running.signal(Signal::SIGTERM);
        let (status, _, messages) = running.wait_for(Duration::from_millis(900));
        assert_eq!(status.code(), Some(i32::from(!message.is_empty())), "{messages}");
        source.wait().unwrap();
    }
}

#[test]
fn a_signal_in_the_middle_of_a_stream_ends_it_too() {
    let node = Node::with_client("", 64);
    let mut running = node.start(&[]);
    let mut stdin = running.stdin.take().unwrap();
    // More than fits into pipes and queues; ends with the reader.
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        (0..u64::MAX).step_by(1000).find(|&first| stdin.write_all(lines(first % 1_000_000, 1000).as_bytes()).is_err())
    });
    until("samples come back", || running.printed() > 10_000);
    let program = running.program();
    running.signal(Signal::SIGTERM);
    let (status, output, messages) = running.wait();
    writer.join().unwrap();
    assert_eq!(status.code(), Some(0), "samples that are under way at that moment are no error: {messages}");
    assert!(output.ends_with('\n'), "no half line");
    assert!(sequence(&output).into_iter().zip(0..).all(|(found, number)| found == number % 1_000_000));
    assert!(!is_running(program) && !node.region_exists());
}

#[test]
fn it_ends_at_once_though_nobody_reads_its_output() {
    let node = Node::with_client("samplelen = 1000", 64);
    let mut child = Command::new(TOOL)
        .arg("pipe")
        .arg(&node.config)
        .arg("n")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let line = format!("1.0(1){}\n", "\t0.123456789".repeat(1000));
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || while stdin.write_all(line.as_bytes()).is_ok() {});
    if writes_to_stdout(child.id()).is_some() {
        until("standard output is full", || writes_to_stdout(child.id()) == Some(true));
    }
    kill(child.id(), Signal::SIGTERM);
    soon(Duration::from_secs(4), "the tool ends", || child.try_wait().unwrap().is_some());
    writer.join().unwrap();
    assert!(!node.region_exists());
}

#[test]
fn a_program_that_does_not_exist_is_an_error() {
    for (program, message) in [
        ("no-such-program", "cannot start \"no-such-program\": found neither in PATH nor beside this tool"),
        ("/no/such/program", "cannot start \"/no/such/program\": No such file"),
        ("/etc/passwd", "cannot start \"/etc/passwd\": Permission denied"),
    ] {
        let node = Node::new(&format!("exec = [ \"{program}\" ]"));
        let output = node.pipe(&[]).write_stdin(lines(0, 10)).assert().code(1).get_output().clone();
        let messages = String::from_utf8(output.stderr).unwrap();
        assert!(messages.contains(message), "{messages}");
        assert!(!node.region_exists());
    }
}

#[test]
fn a_program_that_ends_early_is_an_error() {
    for (script, how) in [("exit 3", "exit status: 3"), ("kill -9 $$", "signal: 9"), ("exit 0", "exit status: 0")] {
        let node = Node::new(&format!("exec = [ \"sh\", \"-c\", \"{script}\" ]"));
        let mut running = node.start(&[]);
        // The tool may have ended by then.
        let _ = running.stdin.as_mut().unwrap().write_all(lines(0, 10).as_bytes());
        let (status, _, messages) = running.wait();
        assert_eq!(status.code(), Some(1), "{messages}");
        assert!(messages.contains("sh ended early") && messages.contains(how), "{messages}");
    }
}

#[test]
fn a_client_that_is_killed_ends_the_session_with_an_error() {
    let node = Node::with_client("", 5);
    let mut running = node.start(&[]);
    running.send(&lines(0, 100));
    until("they come back", || running.printed() == 100);
    kill(running.program(), Signal::SIGKILL);
    let (status, output, messages) = running.wait();
    assert_eq!(status.code(), Some(1), "{messages}");
    assert!(messages.contains("ended early (signal: 9 (SIGKILL))"), "{messages}");
    assert!(sequence(&output).into_iter().eq(0..100));
}

#[test]
fn a_program_may_end_when_its_work_is_done() {
    // It takes nothing, and nothing is sent.
    let node = Node::new("exec = [ \"sh\", \"-c\", \"cat; echo printed\" ]");
    let output = node.pipe(&[]).write_stdin("").assert().success().get_output().clone();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains("printed\n"), "its output goes to standard error: {messages}");
    assert!(!String::from_utf8(output.stdout).unwrap().contains("printed"));
    let node = Node::new("exec = [ \"false\" ]");
    node.pipe(&[]).write_stdin("").assert().code(1);
}

#[test]
fn a_program_reads_nothing_and_prints_to_standard_error() {
    let node = Node::new("exec = [ \"sh\", \"-c\", \"for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done\" ]");
    let running = node.start(&[]);
    until("all three are printed", || running.stderr().lines().count() >= 3);
    let messages = running.stderr();
    let lines: Vec<_> = messages.lines().collect();
    assert_eq!(lines[0], "/dev/null");
    assert!(lines[1].starts_with("pipe:") && lines[1] == lines[2], "{messages}");
    running.finish();
}

#[test]
fn a_program_that_ignores_sigterm_is_killed() {
    let node = Node::new("exec = [ \"sh\", \"-c\", \"trap '' TERM; echo ready; while :; do sleep 0.05; done\" ]");
    let running = node.start(&[]);
    until("it is deaf", || running.stderr().contains("ready"));
    let program = running.program();
    let start = Instant::now();
    running.signal(Signal::SIGTERM);
    let (status, _, messages) = running.wait_for(Duration::from_secs(4));
    assert!(status.success(), "{messages}");
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(messages.contains("is killed"), "{messages}");
    assert!(!is_running(program));
}

#[test]
fn without_a_client_what_was_sent_is_not_taken() {
    let node = Node::new("");
    let start = Instant::now();
    let mut running = node.start(&["--linger", "0.3"]);
    running.send(&lines(0, 10));
    drop(running.stdin.take());
    let (status, _, messages) = running.wait_for(Duration::from_secs(3));
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    assert_eq!(status.code(), Some(1), "{messages}");
    assert!(messages.contains("10 samples were sent but not taken: no program has opened the region"), "{messages}");
    assert!(messages.contains("sent 10, received 0, redelivered 0, waited ") && !messages.contains("samples/s"), "{messages}");
}

#[test]
fn a_client_that_only_reads_leaves_nothing_to_complain_about() {
    let node = Node::new("");
    let mut running = node.start(&["--linger", "0.3"]);
    running.send(&lines(0, 100));
    let client = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
    let mut samples = Vec::new();
    while samples.len() < 100 {
        match client.read(&mut samples, 100) {
            Err(e) if e.is_transient() => {}
            other => drop(other.unwrap()),
        }
    }
    assert_eq!(samples[99].sequence(), 99);
    samples.clear();
    let (status, output, messages) = running.finish();
    assert!(status.success(), "{messages}");
    assert_eq!(output.lines().count(), 1, "a header and no sample");
    assert!(messages.contains("sent 100, received 0"), "{messages}");
}

#[test]
fn a_client_that_only_writes_is_heard() {
    let node = Node::new("");
    let running = node.start(&["-l", "100"]);
    let client = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
    for number in 0..200 {
        let mut sample = loop {
            if let Ok(sample) = client.alloc() {
                break sample;
            }
        };
        sample.set_sequence(number);
        sample.write_values(&[number as f64]).unwrap();
        let _ = client.timed_write(&mut vec![sample], Some(Duration::from_millis(100)));
    }
    let (status, output, messages) = running.finish();
    assert!(status.success(), "{messages}");
    assert!(sequence(&output).into_iter().eq(0..100));
    assert!(output.lines().nth(8).unwrap().ends_with("(7)\t7.0"), "{output}");
}

#[test]
fn a_client_that_writes_and_never_reads_does_not_keep_it() {
    let node = Node::new("");
    let mut running = node.start(&[]);
    running.send(&lines(0, 10));
    drop(running.stdin.take());
    let client = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
    let mut samples = Vec::new();
    until("the tool ends", || {
        if samples.is_empty() {
            let _ = client.alloc_many(&mut samples, 1);
        }
        let _ = client.write(&mut samples);
        !is_running(running.child.id())
    });
    let (status, output, messages) = running.wait();
    assert_eq!(status.code(), Some(1));
    assert!(messages.contains("10 samples were sent but not taken") && output.lines().count() > 10, "{messages}");
}

#[test]
fn a_region_that_another_tool_holds_is_left_alone() {
    let node = Node::with_client("", 64);
    let mut first = node.start(&[]);
    first.send(&lines(0, 1));
    until("the first one works", || first.printed() == 1);
    let output = node.pipe(&[]).write_stdin(lines(0, 1)).assert().code(1).get_output().clone();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains(&node.region) && messages.contains(&first.child.id().to_string()), "{messages}");
    first.send(&lines(1, 1));
    until("the first one still works", || first.printed() == 2);
    let (status, _, messages) = first.finish();
    assert!(status.success(), "{messages}");
}

#[test]
fn a_region_that_a_killed_tool_left_is_taken_over() {
    let node = Node::new("");
    let mut client = Command::new(client()).args(["-w", "10", &node.region, "5"]).stderr(Stdio::null()).spawn().unwrap();
    let mut killed = node.start(&[]);
    killed.send(&lines(0, 10));
    until("it works", || killed.printed() == 10);
    killed.signal(Signal::SIGKILL);
    assert_eq!(killed.wait().0.signal(), Some(9));
    // The client has seen the death and is gone, or will hear of the successor.
    let _ = kill_quietly(&mut client);
    let mut next = Command::new(common::client()).args(["-w", "10", &node.region, "5"]).stderr(Stdio::null()).spawn().unwrap();
    let output = node.pipe(&[]).write_stdin(lines(10, 10)).assert().success().get_output().clone();
    assert!(sequence(&String::from_utf8(output.stdout).unwrap()).into_iter().eq(10..20));
    next.wait().unwrap();
}

fn kill_quietly(client: &mut std::process::Child) -> std::io::Result<()> {
    client.kill()?;
    client.wait().map(drop)
}

#[test]
fn it_ends_well_and_quietly_when_nobody_reads_its_output_any_more() {
    let node = Node::with_client("", 64);
    let mut running = Command::new(TOOL)
        .arg("pipe")
        .arg(&node.config)
        .arg("n")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(running.stdout.take());
    use std::io::Write;
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(lines(0, 10).as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(!messages.contains("error") && !messages.contains("warning"), "{messages}");
    assert!(!node.region_exists());
}

#[test]
fn a_program_that_sees_the_end_has_time_to_write_its_results() {
    let node = Node::new("");
    let (client, region, results) = (client().display(), &node.region, node.path("results"));
    let script = format!("{client} -w 10 {region} 64; sleep 0.3; echo done > {}", results.display());
    let text = format!("nodes = {{ n = {{ type = \"shmem\", name = \"{region}\", exec = [ \"sh\", \"-c\", \"{script}\" ] }} }}");
    fs::write(&node.config, text).unwrap();
    let output = node.pipe(&["--grace", "20"]).write_stdin(lines(0, 10)).assert().success().get_output().clone();
    assert_eq!(fs::read_to_string(&results).unwrap(), "done\n");
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(!messages.contains("SIGTERM"), "{messages}");
}

/// A program that does not care for the end, of a channel at which this test is.
fn deaf(node: &Node, options: &[&str]) -> (common::Running, Channel) {
    let text = format!(
        "nodes = {{ n = {{ type = \"shmem\", name = \"{}\", exec = [ \"sh\", \"-c\", \"trap '' TERM; echo ready; while :; do sleep 0.05; done\" ] }} }}",
        node.region
    );
    fs::write(&node.config, text).unwrap();
    let mut running = node.start(options);
    let channel = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
    until("it is deaf", || running.stderr().contains("ready"));
    drop(running.stdin.take());
    (running, channel)
}

#[test]
fn a_program_that_does_not_end_by_itself_gets_sigterm_and_then_sigkill() {
    let node = Node::new("");
    let (running, _channel) = deaf(&node, &["--linger", "0", "--grace", "0.3"]);
    let program = running.program();
    let (status, _, messages) = running.wait();
    assert!(status.success(), "{messages}");
    assert!(messages.contains("sh did not end by itself within 0.3 s and gets SIGTERM"), "{messages}");
    assert!(messages.contains("sh did not end within 2 s of SIGTERM and is killed"), "{messages}");
    assert!(!is_running(program));
}

#[test]
fn a_program_that_has_not_opened_the_region_is_named_and_sees_no_end() {
    let node = Node::new("exec = [ \"sh\", \"-c\", \"while :; do sleep 0.05; done\" ]");
    let running = node.start(&["--grace", "1e9"]);
    until("it says what it waits for", || running.stderr().contains("waiting for the program that was started"));
    running.signal(Signal::SIGTERM);
    let (status, _, messages) = running.wait();
    assert!(status.success() && messages.contains(&node.region), "{messages}");
}

#[test]
fn a_second_signal_leaves_a_program_no_more_time() {
    let node = Node::new("");
    let (running, _channel) = deaf(&node, &["--grace", "1e9"]);
    running.signal(Signal::SIGTERM);
    until("it is over", || running.stderr().contains("villas-shm: sent 0"));
    running.signal(Signal::SIGTERM);
    let (status, _, messages) = running.wait();
    assert!(status.success(), "{messages}");
    assert!(messages.contains("sh gets SIGTERM at once"), "{messages}");
}

#[test]
fn a_program_sees_the_end_though_nobody_reads_the_output() {
    let node = Node::new("samplelen = 1000");
    let mut child = Command::new(TOOL)
        .arg("pipe")
        .arg(&node.config)
        .arg("n")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let channel = Channel::timed_open(&node.region, Some(PATIENCE)).unwrap();
    let mut samples = Vec::new();
    let mut write = || {
        if samples.is_empty() {
            let _ = channel.alloc_many(&mut samples, 1);
            samples.iter_mut().for_each(|sample| sample.write_values(&[0.123456789; 1000]).unwrap());
        }
        // A full queue is no end.
        channel.write(&mut samples).is_err_and(|e| !e.is_transient())
    };
    until("standard output is full", || !write() && writes_to_stdout(child.id()) != Some(false));
    kill(child.id(), Signal::SIGTERM);
    until("the channel has ended", &mut write);
    let mut status = None;
    until("the tool ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success());
}

#[test]
fn what_a_parent_ignores_or_blocks_is_as_usual_here_and_for_the_program() {
    use nix::sys::signal::{SigHandler, SigSet, signal};
    use std::os::unix::process::CommandExt;
    let node = Node::new("");
    let script = format!("grep -E 'Sig(Blk|Ign)' /proc/self/status; exec {} -w 10 {}", client().display(), node.region);
    let text =
        format!("nodes = {{ n = {{ type = \"shmem\", name = \"{}\", exec = [ \"sh\", \"-c\", \"{script}\" ] }} }}", node.region);
    fs::write(&node.config, text).unwrap();
    let mut command = Command::new(TOOL);
    command.args(["pipe", "--linger", "20"]).arg(&node.config).arg("n");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: both are system calls, and no handler is installed.
    unsafe {
        command.pre_exec(|| {
            for number in [Signal::SIGCHLD, Signal::SIGPIPE] {
                signal(number, SigHandler::SigIgn)?;
            }
            Ok(SigSet::all().thread_block()?)
        });
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines(0, 3).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{messages}");
    assert!(sequence(&String::from_utf8(output.stdout).unwrap()).into_iter().eq(0..3));
    let mask = |name: &str| {
        let line = messages.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{messages}"));
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    assert_eq!(mask("SigBlk:"), 0, "{messages}");
    let bits = [Signal::SIGCHLD, Signal::SIGPIPE].map(|number| 1 << (number as u32 - 1));
    assert_eq!(mask("SigIgn:") & (bits[0] | bits[1]), 0, "{messages}");
}

#[test]
fn a_name_that_is_another_s_by_now_stays() {
    let node = Node::new("");
    let running = node.start(&[]);
    until("the region is there", || node.region_exists());
    let path = std::path::Path::new("/dev/shm").join(&node.region);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another's").unwrap();
    let (status, _, messages) = running.wait();
    assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
    assert_eq!(status.code(), Some(1), "{messages}");
    assert_eq!(messages.matches("another region by now").count(), 1, "{messages}");
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_name_that_is_removed_is_told_once() {
    let node = Node::new("");
    let running = node.start(&["--linger", "2.5"]);
    until("the region is there", || node.region_exists());
    fs::remove_file(std::path::Path::new("/dev/shm").join(&node.region)).unwrap();
    let (_, _, messages) = running.finish();
    let told = messages.lines().filter(|line| ["removed", "no longer", "leads"].iter().any(|word| line.contains(word)));
    assert_eq!(told.count(), 1, "{messages}");
}

#[test]
fn a_program_is_found_beside_the_tool() {
    let node = Node::new("exec = [ \"villas-shmem\", \"-w\", \"10\", \"REGION\" ]");
    let (tool_copy, client_copy) = (node.path("villas-shm"), node.path("villas-shmem"));
    fs::copy(TOOL, &tool_copy).unwrap();
    // A copy could lose the way to its library.
    std::os::unix::fs::symlink(client(), &client_copy).unwrap();
    assert_cmd::Command::new(&tool_copy)
        .arg("pipe")
        .arg(&node.config)
        .arg("n")
        .env("PATH", "/no/such/folder")
        .timeout(PATIENCE)
        .write_stdin(lines(0, 10))
        .assert()
        .success();
    // What is in PATH comes first.
    let folder = node.path("bin");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/bin/echo", folder.join("villas-shmem")).unwrap();
    let mut command = assert_cmd::Command::new(&tool_copy);
    command.arg("pipe").arg(&node.config).arg("n").env("PATH", &folder).timeout(PATIENCE);
    let output = command.write_stdin("").assert().success().get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains(&format!("-w 10 {}", node.region)));

    let mut not_beside = tool(&["pipe"]);
    not_beside.arg(&node.config).arg("n").env("PATH", "/no/such/folder").write_stdin("");
    // Unless somebody has put one there: the folder is Cargo's.
    if !std::path::Path::new(TOOL).with_file_name("villas-shmem").exists() {
        not_beside.assert().code(1);
    }
}
