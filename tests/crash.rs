//! Real processes, killed by SIGKILL before each of their stores to shared memory, restarted, and their survivors:
//! nothing is lost, nothing comes twice unmarked, no block is leaked, nothing out of order.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use villas_shm::{Channel, Config, Sample, flags::REDELIVERED};

const DEADLINE: Duration = Duration::from_secs(20);

/// A region's name that goes with the test.
struct Name(String);

impl Name {
    fn new(what: &str) -> Name {
        Name(format!("villas-crash-{}-{what}", std::process::id()))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = Channel::unlink(&self.0);
    }
}

fn config(polling: bool) -> Config {
    Config { polling, queuelen: 3, spare: 2, samplelen: 2, ..Config::default() }
}

fn spawn(role: &str, name: &Name, polling: bool, count: u64, generation: u64, kill_at: Option<u64>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_crash-child"))
        .args([role, &name.0, if polling { "polling" } else { "pthread" }])
        .args([count.to_string(), generation.to_string(), kill_at.map_or("never".into(), |n| n.to_string())])
        .stdout(Stdio::piped())
        .spawn()
        .expect("crash-child starts")
}

/// What a child has logged: `(event, number, flags)`.
fn log_of(child: &mut Child) -> Vec<(char, u64, i32)> {
    let mut text = String::new();
    child.stdout.take().expect("its output is a pipe").read_to_string(&mut text).expect("the log is text");
    let event = |line: &str| {
        let mut words = line.split(' ');
        let kind = words.next().and_then(|w| w.chars().next()).expect("an event");
        let number = words.next().and_then(|w| w.parse().ok()).expect("a number");
        (kind, number, words.next().map_or(0, |w| w.parse().expect("flags")))
    };
    text.lines().map(event).collect()
}

/// Waits for a child; `true` when it was killed, `false` when it ended well.
fn was_killed(child: &mut Child) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let status = child.wait().expect("it is our child");
    assert!(status.success() || status.signal() == Some(libc::SIGKILL), "the child failed: {status}");
    !status.success()
}

/// A survivor that may see `EPIPE` while the other side is down.
fn down(result: Result<usize, villas_shm::Error>) -> usize {
    match result {
        Ok(count) => count,
        Err(e) if e.errno() == libc::EPIPE => 0,
        Err(e) => panic!("{e:?}"),
    }
}

/// All blocks of the survivor's side are free once the other has ended well.
fn assert_nothing_leaked(channel: &Channel) {
    let stats = channel.stats();
    assert_eq!((stats.held, stats.queued_in, stats.queued_out), (0, 0, 0), "{stats:?}");
    assert_eq!(stats.blocks_free, stats.blocks / 2, "blocks leaked: {stats:?}");
}

/// The program is killed before store `kill_at`, then another takes its place. `false`: it ended before that store.
fn program_dies(polling: bool, kill_at: u64) -> bool {
    const COUNT: u64 = 7;
    let name = Name::new(&format!("program-{polling}"));
    let node = Channel::create(&name.0, &config(polling)).expect("the name is free");
    let mut program = spawn("program", &name, polling, COUNT, 0, Some(kill_at));
    let (mut killed, mut first_log) = (false, Vec::new());
    let (mut next, mut samples): (u64, Vec<Sample>) = (0, Vec::new());
    let mut echoes: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
    let mut stop_is_out = false;
    let start = Instant::now();
    let last_log = loop {
        assert!(start.elapsed() < DEADLINE, "store {kill_at}: it hangs; {next} written, back {echoes:?}");
        // The last sample, which ends the program, is sent when all others are back, and once more to its successor.
        let may_write = next < COUNT || (echoes.len() as u64 == COUNT && !stop_is_out);
        if may_write && let Ok(mut sample) = node.alloc() {
            sample.set_sequence(next);
            sample.write_values(&[next as f64, 0.5]).expect("two values fit");
            let written = down(node.write(&mut vec![sample])) as u64;
            stop_is_out = next >= COUNT && written == 1;
            next += written;
        }
        down(node.try_read(&mut samples, 4));
        for sample in samples.drain(..) {
            assert_eq!((sample.len(), sample.get(0)), (2, sample.sequence() as f64), "torn");
            echoes.entry(sample.sequence()).or_default().push(sample.flags());
        }
        if program.try_wait().expect("it is our child").is_some() {
            let log = log_of(&mut program);
            let dead = was_killed(&mut program);
            if killed || !dead {
                assert!(!dead, "the second one is not armed");
                break log;
            }
            (killed, first_log) = (true, log);
            stop_is_out = false;
            program = spawn("program", &name, polling, COUNT, 0, None);
        }
    };
    let numbers = |log: &[(char, u64, i32)]| log.iter().map(|e| e.1).collect::<Vec<_>>();
    let before = numbers(&first_log);
    assert!(before.is_sorted(), "store {kill_at}: out of order: {before:?}");
    assert!(numbers(&last_log).is_sorted(), "store {kill_at}: out of order: {last_log:?}");
    for number in 0..COUNT {
        let again = last_log.iter().filter(|e| e.1 == number).count();
        let seen = before.iter().filter(|&&n| n == number).count();
        assert!(seen + again >= 1, "store {kill_at}: {number} is lost: {before:?}, then {last_log:?}");
        assert!(seen <= 1 && again <= 1, "store {kill_at}: {number} came twice to one process");
        let marked = last_log.iter().any(|e| e.1 == number && e.2 & REDELIVERED != 0);
        assert!(seen + again == 1 || marked, "store {kill_at}: {number} came again unmarked");
        let back = echoes.get(&number).map_or(&[][..], Vec::as_slice);
        assert!(!back.is_empty(), "store {kill_at}: the echo of {number} is lost: {last_log:?}");
        assert!(back[1..].iter().all(|f| f & REDELIVERED != 0), "store {kill_at}: {number} came back twice: {back:?}");
    }
    assert_nothing_leaked(&node);
    killed
}

/// The node is killed before store `kill_at`, then another takes its place. `false`: it ended before that store.
fn node_dies(polling: bool, kill_at: u64) -> bool {
    const COUNT: u64 = 6;
    let name = Name::new(&format!("node-{polling}"));
    let mut node = spawn("node", &name, polling, COUNT, 0, Some(kill_at));
    let (mut generation, mut killed, mut written) = (0, false, 0);
    let mut program: Option<Channel> = None;
    let (mut samples, mut out): (Vec<Sample>, Vec<Sample>) = (Vec::new(), Vec::new());
    let mut seen: Vec<u64> = Vec::new();
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < DEADLINE, "store {kill_at}: it hangs; seen {seen:?}");
        match &program {
            None => program = Channel::timed_open(&name.0, Some(Duration::from_millis(20))).ok(),
            Some(channel) => {
                down(channel.try_read(&mut samples, 4));
                seen.extend(samples.iter().map(Sample::sequence));
                for sample in &samples {
                    assert_eq!((sample.len(), sample.get(1)), (2, -(sample.sequence() as f64)), "torn");
                    assert_eq!(sample.flags() & REDELIVERED, 0, "nobody died on this side");
                }
                out.append(&mut samples);
                down(channel.write(&mut out));
            }
        }
        if let Some(status) = node.try_wait().expect("it is our child") {
            let writes = log_of(&mut node).iter().filter(|e| e.0 == 'w').count() as u64;
            if generation == 0 {
                written = writes;
            }
            if status.success() {
                assert_eq!(writes, COUNT);
                break;
            }
            assert!(was_killed(&mut node) && !killed, "the second one is not armed");
            (killed, generation) = (true, 1);
            node = spawn("node", &name, polling, COUNT, 1, None);
        }
    }
    // A node that died before a program came was replaced, with all that it had written; else every write arrived, in
    // order, and the one that was cut off or not.
    let (first, second): (Vec<u64>, Vec<u64>) = seen.iter().partition(|n| *n >> 32 == 0);
    assert!(seen.is_sorted(), "store {kill_at}: out of order: {seen:?}");
    let expected: Vec<u64> = (0..first.len() as u64).collect();
    assert_eq!(first, expected, "store {kill_at}: twice or with a gap");
    let was_replaced = first.is_empty() && killed;
    assert!(
        was_replaced || (written..=written + 1).contains(&(first.len() as u64)),
        "store {kill_at}: {written} written, {first:?} came"
    );
    if generation == 1 {
        assert_eq!(second, (0..COUNT).map(|n| 1 << 32 | n).collect::<Vec<_>>(), "store {kill_at}");
    }
    let channel = program.expect("it was open");
    drop(out);
    let stats = channel.stats();
    assert_eq!((stats.held, stats.blocks_free), (0, stats.blocks / 2), "store {kill_at}: blocks leaked: {stats:?}");
    killed
}

fn sweep(what: &str, dies: impl Fn(u64) -> bool) {
    let start = Instant::now();
    let stores = (0..).find(|&kill_at| !dies(kill_at)).expect("it ends");
    assert!(stores > 50, "only {stores} stores: the process did not do its work");
    println!("{what}: killed before each of its {stores} stores, {:.1} s", start.elapsed().as_secs_f64());
}

#[test]
fn a_program_that_is_killed_at_any_store_loses_nothing_in_pthread_mode() {
    sweep("program, pthread", |kill_at| program_dies(false, kill_at));
}

#[test]
fn a_program_that_is_killed_at_any_store_loses_nothing_in_polling_mode() {
    sweep("program, polling", |kill_at| program_dies(true, kill_at));
}

#[test]
fn a_node_that_is_killed_at_any_store_loses_nothing_in_pthread_mode() {
    sweep("node, pthread", |kill_at| node_dies(false, kill_at));
}

#[test]
fn a_node_that_is_killed_at_any_store_loses_nothing_in_polling_mode() {
    sweep("node, polling", |kill_at| node_dies(true, kill_at));
}
