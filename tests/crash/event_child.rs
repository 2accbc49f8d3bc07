//! One process of the crash sweep of events: signals one event and waits for another, and is killed
//! before its n-th store to an event.
//!
//! usage: event-child SEGMENT COUNT KILL_AT
//!
//! The segment has the event that it signals, the one that answers, and a value, which it sets to
//! the signal's number before each signal. It logs each event as a line, in one `write`: `s NUMBER`
//! is about to signal, `w NUMBER` has signalled, `r NUMBER` has seen so many answers.

use std::io::Write;
use std::time::{Duration, Instant};
use villas_shm::{Error, Segment, SegmentOptions};

/// By the clock, which runs while the machine stalls.
const PATIENCE: Duration = Duration::from_secs(60);

fn log(kind: char, number: u64) {
    // One unbuffered system call: what was logged has happened, even after a SIGKILL.
    std::io::stdout().write_all(format!("{kind} {number}\n").as_bytes()).expect("the parent reads the log");
    std::io::stdout().flush().expect("the parent reads the log");
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, count, kill_at] = &arguments[..] else {
        panic!("usage: event-child SEGMENT COUNT KILL_AT");
    };
    let count: u64 = count.parse().expect("a number");
    let segment = Segment::open(name, &SegmentOptions::default())?;
    let (asked, answered) = (segment.event(0)?, segment.event(8)?);
    if kill_at != "never" {
        villas_shm::crash::arm(kill_at.parse().expect("a number"));
    }
    let mut seen = answered.count();
    for _ in 0..count {
        let number = asked.count() + 1;
        // Every second signal finds a sleeper: bit 0 says so.
        let start = Instant::now();
        while number % 2 == 0 && segment.get::<u64>(0)? & 1 == 0 {
            assert!(start.elapsed() < PATIENCE, "nobody waits");
            std::thread::yield_now();
        }
        segment.set(16, number)?;
        log('s', number);
        asked.signal();
        log('w', number);
        assert_eq!(answered.timed_wait(&mut seen, Some(PATIENCE)).unwrap_or(0), 1, "one answer for each");
        log('r', seen);
    }
    Ok(())
}
