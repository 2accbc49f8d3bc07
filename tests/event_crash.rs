//! Processes that signal events and wait for them, killed by SIGKILL before each of their stores: a
//! signal is complete or absent, no waiter sleeps on because another died, and nothing is left for
//! a successor to repair.

#[path = "crash/deadline.rs"]
mod deadline;

use deadline::Deadline;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use villas_shm::{Segment, SegmentOptions};

/// The longest wait for a signal that was already given: a slice of a sleep, and the delay of a
/// busy machine.
const SOON: Duration = Duration::from_secs(20);
/// Longer than the test takes to report a wait that sleeps on.
const LONG: Duration = Duration::from_secs(60);
const COUNT: u64 = 6;

struct Name(String);

impl Drop for Name {
    fn drop(&mut self) {
        let _ = Segment::unlink(&self.0);
    }
}

/// The survivor: waits for signals, and answers each.
struct Survivor {
    segment: Segment,
    /// The other process is dead: do not wait for it.
    is_alone: AtomicBool,
    /// The number of the last signal.
    last: AtomicU64,
}

impl Survivor {
    /// Answers signals; returns how many it has seen in the end.
    fn answer(&self) -> u64 {
        let event = |at| self.segment.event(at).expect("it is in the segment");
        let (asked, answered, mut seen) = (event(0), event(8), 0);
        while seen < self.last.load(SeqCst) {
            let fresh = asked.timed_wait(&mut seen, Some(LONG)).unwrap_or(0);
            let (value, there) = (self.segment.get::<u64>(16).expect("it is in the segment"), asked.count());
            assert!(value >= seen && there >= seen, "{seen} seen, {there} there, {value} told of");
            for number in seen - fresh + 1..=seen {
                // Every second answer finds a sleeper.
                while number % 2 == 1 && self.word(8) & 1 == 0 && !self.is_alone.load(SeqCst) {
                    std::thread::yield_now();
                }
                answered.signal();
            }
        }
        seen
    }

    /// An event's word: twice the signals, and bit 0 for sleepers.
    fn word(&self, at: usize) -> u64 {
        self.segment.get(at).expect("it is in the segment")
    }

    fn count(&self, at: usize) -> u64 {
        self.word(at) >> 1
    }
}

fn spawn(name: &Name, kill_at: Option<u64>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_event-child"))
        .args([&name.0, &COUNT.to_string(), &kill_at.map_or("never".into(), |n| n.to_string())])
        .stdout(Stdio::piped())
        .spawn()
        .expect("event-child starts")
}

/// Lets a child run to its end. Returns how many signals it began and gave, and whether it was
/// killed.
fn end_of(mut child: Child) -> (u64, u64, bool) {
    use std::os::unix::process::ExitStatusExt;
    let mut log = String::new();
    child.stdout.take().expect("its output is a pipe").read_to_string(&mut log).expect("the log is text");
    let status = child.wait().expect("it is our child");
    assert!(status.success() || status.signal() == Some(libc::SIGKILL), "the child failed: {status}");
    let count = |kind| log.lines().filter(|line| line.starts_with(kind)).count() as u64;
    (count('s'), count('w'), !status.success())
}

fn await_that(context: &str, what: &str, mut condition: impl FnMut() -> bool) {
    let mut deadline = Deadline::within(SOON);
    while !condition() {
        assert!(!deadline.is_over(), "{context}: not within {SOON:?}: {what}");
        std::thread::yield_now();
    }
}

/// A process is killed before store `kill_at`, and another takes its place. `false`: it ended
/// before.
fn process_dies(kill_at: u64) -> bool {
    let name = Name(format!("villas-crash-{}-event", std::process::id()));
    let context = format!("store {kill_at}");
    let options = SegmentOptions { size: 4096, create: true, exclusive: true, ..SegmentOptions::default() };
    let segment = Segment::open(&name.0, &options).expect("the name is free");
    let survivor = Arc::new(Survivor { segment, is_alone: AtomicBool::new(false), last: AtomicU64::new(u64::MAX) });
    let (end, ended) = mpsc::channel();
    let theirs = survivor.clone();
    // Not joined: a thread that sleeps on must not keep this test from reporting it.
    std::thread::spawn(move || {
        let _ = end.send(theirs.answer());
    });

    let (begun, given, was_killed) = end_of(spawn(&name, Some(kill_at)));
    survivor.is_alone.store(true, SeqCst);
    let count = survivor.count(0);
    assert!((given..=begun).contains(&count) && begun <= given + 1, "{context}: {begun} begun, {given} given, {count} there");
    await_that(&context, "all that was signalled is answered", || survivor.count(8) == count);
    if was_killed {
        survivor.is_alone.store(false, SeqCst);
        assert_eq!(end_of(spawn(&name, None)), (COUNT, COUNT, false), "{context}: the successor");
        assert_eq!((survivor.count(0), survivor.count(8)), (count + COUNT, count + COUNT), "{context}: with the successor");
    }
    // The survivor hears this process too. A process that died asleep costs the next signal one
    // system call, and no more.
    let (last, event) = (survivor.count(0) + 1, survivor.segment.event(0).expect("it is in the segment"));
    survivor.is_alone.store(true, SeqCst);
    survivor.last.store(last, SeqCst);
    survivor.segment.set(16, last).expect("it is in the segment");
    event.signal();
    let mut seen = None;
    await_that(&context, "the survivor ends", || {
        seen = ended.try_recv().ok();
        seen.is_some()
    });
    assert_eq!(seen, Some(last), "{context}: the survivor");
    event.signal();
    assert_eq!((survivor.word(0), survivor.word(8)), ((last + 1) << 1, last << 1), "{context}: somebody sleeps, it says");
    was_killed
}

#[test]
fn a_process_that_is_killed_at_any_store_to_an_event_leaves_nobody_asleep() {
    let start = Instant::now();
    let stores = (0..).find(|&kill_at| !process_dies(kill_at)).expect("it ends");
    // One store for each signal, and for every second one the wake-up of a sleeper, and a sleep.
    assert!(stores >= 2 * COUNT, "only {stores} stores: the process did not do its work");
    println!("signal and wait: killed before each of its {stores} stores, {:.1} s", start.elapsed().as_secs_f64());
}
