//! Real processes, killed by SIGKILL before each of their stores to shared memory and restarted,
//! and their survivors: nothing is lost, no block is leaked, nothing is out of order, and nothing
//! comes twice unmarked.
//!
//! Successors are killed before the stores of their repair, too. If the first process was sending,
//! they are killed before each store, and a program also until it has sent something itself.
//! Otherwise before every fifth; before each one with `REPAIRS=all` in the environment.

#[path = "crash/accounts.rs"]
mod accounts;
#[path = "crash/deadline.rs"]
mod deadline;
#[path = "crash/repairs.rs"]
mod repairs;

use accounts::{Arrival, Log, Passage, check_returns, sent_after_all};
use deadline::Deadline;
use repairs::{Fate, Least, Strides, repair_sweep};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use villas_shm::{Channel, Config, Flags, Sample};

const PATIENCE: Duration = Duration::from_secs(20);

/// A region's name, removed at the end of the test.
struct Name(String);

impl Name {
    fn new(what: &str) -> Name {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Name(format!("villas-crash-{}-{}-{what}", std::process::id(), COUNT.fetch_add(1, Relaxed)))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = Channel::unlink(&self.0);
    }
}

fn config(polling: bool) -> Config {
    Config::new().polling(polling).queuelen(3).spare(2).samplelen(2)
}

fn spawn(role: &str, name: &Name, polling: bool, count: u64, generation: u64, kill_at: Option<u64>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_crash-child"))
        .args([role, &name.0, if polling { "polling" } else { "pthread" }])
        .args([count.to_string(), generation.to_string(), kill_at.map_or("never".into(), |n| n.to_string())])
        .stdout(Stdio::piped())
        .spawn()
        .expect("crash-child starts")
}

/// What a child has logged.
fn log_of(child: &mut Child) -> Log {
    let mut text = String::new();
    child.stdout.take().expect("its output is a pipe").read_to_string(&mut text).expect("the log is text");
    let event = |line: &str| {
        let mut words = line.split(' ');
        let kind = words.next().and_then(|w| w.chars().next()).expect("an event");
        let number = words.next().and_then(|w| w.parse().ok()).expect("a number");
        (kind, number, words.next().map_or(0, |w| w.parse().expect("flags, or a way")))
    };
    text.lines().map(event).collect()
}

/// Waits for a child; `true` if it was killed, `false` if it succeeded.
fn was_killed(child: &mut Child) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let status = child.wait().expect("it is our child");
    assert!(status.success() || status.signal() == Some(libc::SIGKILL), "the child failed: {status}");
    !status.success()
}

/// The result of a survivor, which may see `EPIPE` while the other side is down.
fn down(result: Result<usize, villas_shm::Error>) -> usize {
    match result {
        Ok(count) => count,
        Err(e) if e.errno() == libc::EPIPE || e.is_transient() => 0,
        Err(e) => panic!("{e:?}"),
    }
}

/// Checks that everything has been read and put: all blocks of both sides are at home, and the
/// counters of the sides match.
fn assert_nothing_leaked(node: &Channel, program: &Channel, context: &str) {
    let (of_node, of_program) = (node.stats(), program.stats());
    for stats in [of_node, of_program] {
        assert_eq!((stats.held, stats.queued_in, stats.queued_out), (0, 0, 0), "{context}: {stats:?}");
        assert_eq!(stats.blocks_free, stats.blocks / 2, "{context}: blocks leaked: {stats:?}");
    }
    assert_eq!((of_node.written, of_program.written), (of_program.read, of_node.read), "{context}: {of_node:?}, {of_program:?}");
}

/// A successor repairs a send, so its repair must be swept; with `first_sends`, if the first
/// process was sending, also its own first send.
fn fate_of(logs: &[Log], first_sends: bool) -> Fate {
    let deaths = logs.len() - 1;
    let was_inside = deaths > 0 && logs[0].last().is_some_and(|event| event.0 == 's');
    let end = if was_inside && first_sends { "wx" } else { "a" };
    let was_beyond = deaths > 0 && logs[deaths - 1].iter().any(|event| end.contains(event.0));
    Fate { deaths, was_inside, was_beyond }
}

fn numbers_of(kind: char, log: &Log) -> Vec<u64> {
    log.iter().filter(|event| event.0 == kind).map(|event| event.1).collect()
}

/// The program is killed before store `kills[0]`, its successor before `kills[1]`, and so on; the
/// last one lives.
fn program_dies(polling: bool, kills: &[u64]) -> Fate {
    const COUNT: u64 = 7;
    let context = format!("stores {kills:?}");
    let name = Name::new(&format!("program-{polling}"));
    let node = Channel::create(&name.0, &config(polling)).expect("the name is free");
    let mut program = spawn("program", &name, polling, COUNT, 0, kills.first().copied());
    let mut logs: Vec<Log> = Vec::new();
    let (mut next, mut samples): (u64, Vec<Sample>) = (0, Vec::new());
    let mut echoes: BTreeMap<u64, Vec<Arrival>> = BTreeMap::new();
    let mut stop_is_out = false;
    let mut deadline = Deadline::within(PATIENCE);
    loop {
        assert!(!deadline.is_over(), "{context}: it hangs; {next} written, back {echoes:?}");
        // The last sample, which ends the program, is sent when all others are back, and once more
        // to its successor.
        let may_write = next < COUNT || (echoes.len() as u64 == COUNT && !stop_is_out);
        let free = if may_write { node.alloc().ok() } else { None };
        if let Some(mut sample) = free {
            sample.set_sequence(next);
            sample.write_values(&[next as f64, 0.5]).expect("two values fit");
            let written = down(node.write(&mut vec![sample])) as u64;
            stop_is_out = next >= COUNT && written == 1;
            next += written;
        }
        // Checked first: the sample that ends a program may have gone to its predecessor, before
        // the program has sent back what that one left.
        let has_ended = program.try_wait().expect("it is our child").is_some();
        while down(node.try_read(&mut samples, 4)) > 0 {
            for sample in samples.drain(..) {
                assert_eq!((sample.len(), sample.get(0)), (2, sample.sequence() as f64), "torn");
                // A copy's second value says so.
                let arrival =
                    Arrival { copied_by: sample.get(1) as usize, is_marked: sample.flags().contains(Flags::REDELIVERED) };
                echoes.entry(sample.sequence()).or_default().push(arrival);
            }
        }
        if !has_ended {
            std::thread::yield_now();
        } else {
            logs.push(log_of(&mut program));
            if !was_killed(&mut program) {
                break;
            }
            assert!(logs.len() <= kills.len(), "the last one is not armed");
            stop_is_out = false;
            program = spawn("program", &name, polling, COUNT, logs.len() as u64, kills.get(logs.len()).copied());
        }
    }
    let program = Channel::open(&name.0).expect("the program's side is free");
    let after_all = sent_after_all(&logs, program.stats().written);
    assert!(after_all.iter().all(|count| (0..=1).contains(count)), "{context}: {after_all:?} sent after all: {logs:?}");
    for log in &logs {
        assert!(numbers_of('r', log).is_sorted(), "{context}: out of order: {logs:?}");
    }
    for number in 0..COUNT {
        let passages = Passage::all(&logs, number, &after_all, &context);
        let back = echoes.get(&number).map_or(&[][..], Vec::as_slice);
        check_returns(&passages, back, &format!("{context}, sample {number}: {logs:?}"));
    }
    // A successor may have been killed while it held the sample that ends it, or before.
    while down(program.try_read(&mut samples, 4)) > 0 {
        assert!(samples.drain(..).all(|sample| sample.sequence() >= COUNT), "{context}: more than the end is left");
    }
    assert_nothing_leaked(&node, &program, &context);
    fate_of(&logs, true)
}

/// The node is killed before store `kills[0]`, its successor before `kills[1]`, and so on; the last
/// one lives.
fn node_dies(polling: bool, kills: &[u64]) -> Fate {
    const COUNT: u64 = 6;
    let context = format!("stores {kills:?}");
    let name = Name::new(&format!("node-{polling}"));
    let mut node = spawn("node", &name, polling, COUNT, 0, kills.first().copied());
    let mut logs: Vec<Log> = Vec::new();
    let mut program: Option<Channel> = None;
    let (mut samples, mut out): (Vec<Sample>, Vec<Sample>) = (Vec::new(), Vec::new());
    let mut seen: Vec<u64> = Vec::new();
    let mut returned: BTreeSet<u64> = BTreeSet::new();
    let mut deadline = Deadline::within(PATIENCE);
    loop {
        assert!(!deadline.is_over(), "{context}: it hangs; seen {seen:?}");
        match &program {
            None => program = Channel::timed_open(&name.0, Some(Duration::from_millis(20))).ok(),
            Some(channel) => {
                if down(channel.try_read(&mut samples, 4)) == 0 {
                    std::thread::yield_now();
                }
                seen.extend(samples.iter().map(Sample::sequence));
                for sample in &samples {
                    assert_eq!((sample.len(), sample.get(1)), (2, -(sample.sequence() as f64)), "torn");
                    assert_eq!(sample.flags() & Flags::REDELIVERED, Flags::NONE, "nobody died on this side");
                }
                out.append(&mut samples);
                let numbers: Vec<u64> = out.iter().map(Sample::sequence).collect();
                returned.extend(&numbers[..down(channel.write(&mut out))]);
            }
        }
        if node.try_wait().expect("it is our child").is_some() {
            logs.push(log_of(&mut node));
            if !was_killed(&mut node) {
                break;
            }
            assert!(logs.len() <= kills.len(), "the last one is not armed");
            let generation = logs.len();
            node = spawn("node", &name, polling, COUNT, generation as u64, kills.get(generation).copied());
        }
    }
    drop(out);
    let program = program.expect("it was open");
    let config = config(polling);
    let node = Channel::create(&name.0, &config).expect("the node's side is free");
    // A node that died before a program came was replaced, with everything it had written.
    // Otherwise every write arrived in order, and the interrupted one if it was completed.
    let last = logs.len() - 1;
    let after_all = sent_after_all(&logs, node.stats().written);
    assert!(seen.is_sorted(), "{context}: out of order: {seen:?}");
    for (generation, log) in logs.iter().enumerate() {
        let written = log.iter().filter(|e| e.0 == 'w').count() as i64;
        let came: Vec<u64> = seen.iter().filter(|n| **n >> 32 == generation as u64).map(|n| n & u64::from(u32::MAX)).collect();
        assert_eq!(came, (0..came.len() as u64).collect::<Vec<_>>(), "{context}: twice or with a gap");
        let more = after_all[generation];
        let was_replaced = came.is_empty() && generation < last && more <= 0;
        let is_whole = came.len() as i64 == written + more && (0..=1).contains(&more);
        assert!(was_replaced || is_whole, "{context}: {written} written and {more} after all, {came:?} came: {logs:?}");
        assert!(generation < last || came.len() as u64 == COUNT, "{context}: {came:?} came of the last");
    }
    // Each node received what the program sent back once, until a node has put it.
    for number in returned {
        Passage::all(&logs, number, &vec![0; logs.len()], &context);
    }
    assert!(logs.iter().all(|log| numbers_of('r', log).is_sorted()), "{context}: out of order: {logs:?}");
    while down(node.try_read(&mut samples, 4)) > 0 {
        samples.clear();
    }
    assert_nothing_leaked(&node, &program, &context);
    fate_of(&logs, false)
}

/// Both are killed, one of them before this store, and the next node creates the region anew.
/// `false`: neither got that far.
fn both_die(polling: bool, node_at: u64, program_at: u64) -> bool {
    const COUNT: u64 = 6;
    const ENDLESS: u64 = u64::MAX;
    let context = format!("node {node_at}, program {program_at}");
    let name = Name::new(&format!("both-{polling}"));
    let mut pair =
        [spawn("node", &name, polling, COUNT, 0, Some(node_at)), spawn("program", &name, polling, ENDLESS, 0, Some(program_at))];
    let mut deadline = Deadline::within(PATIENCE);
    let mut is_over = |pair: &mut [Child; 2]| {
        assert!(!deadline.is_over(), "{context}: it hangs");
        std::thread::sleep(Duration::from_micros(200));
        pair.iter_mut().any(|child| child.try_wait().expect("it is our child").is_some())
    };
    while !is_over(&mut pair) {}
    let ended_well = pair[0].try_wait().expect("it is our child").is_some_and(|status| status.success());
    for child in &mut pair {
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }
    // Only once there is another region: an early program would get what the dead node has left for
    // it.
    let region = || std::fs::metadata(format!("/dev/shm/{}", name.0)).map(|status| status.ino()).ok();
    let before = region();
    let mut next = spawn("node", &name, polling, COUNT, 1, None);
    while region().is_none() || region() == before {
        assert!(!deadline.is_over(), "{context}: the region is not replaced");
        std::thread::sleep(Duration::from_micros(200));
    }
    let mut program = spawn("program", &name, polling, ENDLESS, 0, None);
    while next.try_wait().expect("it is our child").is_none() {
        assert!(!deadline.is_over(), "{context}: the successors hang");
        std::thread::sleep(Duration::from_micros(200));
    }
    assert!(!was_killed(&mut next), "it is not armed");
    program.kill().expect("it is our child");
    let seen = numbers_of('r', &log_of(&mut program));
    program.wait().expect("it is our child");
    assert_eq!(seen, (0..COUNT).map(|n| 1 << 32 | n).collect::<Vec<_>>(), "{context}: of the region that was there before?");
    !ended_well
}

fn sweep_repairs(what: &str, dies: impl Fn(&[u64]) -> Fate) {
    repair_sweep(what, "in a send", &Strides { inside: 1, elsewhere: 5 }, &Least { repair: 6, inside: 51 }, dies);
}

fn sweep(what: &str, dies: impl Fn(u64) -> bool) {
    let start = Instant::now();
    let stores = (0..).find(|&kill_at| !dies(kill_at)).expect("it ends");
    assert!(stores > 50, "only {stores} stores: the process did not do its work");
    println!("{what}: killed before each of its {stores} stores, {:.1} s", start.elapsed().as_secs_f64());
}

#[test]
fn a_program_that_is_killed_at_any_store_loses_nothing_in_pthread_mode() {
    sweep("program, pthread", |kill_at| program_dies(false, &[kill_at]).deaths > 0);
}

#[test]
fn a_program_that_is_killed_at_any_store_loses_nothing_in_polling_mode() {
    sweep("program, polling", |kill_at| program_dies(true, &[kill_at]).deaths > 0);
}

#[test]
fn a_node_that_is_killed_at_any_store_loses_nothing_in_pthread_mode() {
    sweep("node, pthread", |kill_at| node_dies(false, &[kill_at]).deaths > 0);
}

#[test]
fn a_node_that_is_killed_at_any_store_loses_nothing_in_polling_mode() {
    sweep("node, polling", |kill_at| node_dies(true, &[kill_at]).deaths > 0);
}

#[test]
fn a_program_that_is_killed_while_it_repairs_leaves_the_repair_to_the_next() {
    sweep_repairs("program, pthread", |kills| program_dies(false, kills));
    sweep_repairs("program, polling", |kills| program_dies(true, kills));
}

#[test]
fn a_node_that_is_killed_while_it_repairs_leaves_the_repair_to_the_next() {
    sweep_repairs("node, pthread", |kills| node_dies(false, kills));
    sweep_repairs("node, polling", |kills| node_dies(true, kills));
}

#[test]
fn a_region_whose_sides_are_both_dead_is_replaced() {
    for polling in [false, true] {
        let mut runs = 0;
        for program_at in [3, 20, 45] {
            runs += (0..).take_while(|&node_at| both_die(polling, node_at * 3, program_at)).take(60).count();
        }
        println!("both sides dead, polling {polling}: {runs} pairs of kills");
        assert!(runs > 60, "only {runs}");
    }
}
