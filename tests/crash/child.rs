//! One process of the crash sweep: a node or a program, killed before its n-th store to shared
//! memory.
//!
//! usage: crash-child program|node REGION MODE COUNT GENERATION KILL_AT
//!
//! It logs each event as a line, in one `write`:
//!
//! | line | |
//! |---|---|
//! | `a NUMBER` | the channel is open, and this side has sent so many samples since the region was created |
//! | `r NUMBER FLAGS` | a read returned a sample |
//! | `s NUMBER WAY` | it is about to be sent, by the program in this way: 0 as it is, 1 as a copy, 2 as it is with a reference kept |
//! | `x NUMBER` | it was refused, because it is still out |
//! | `w NUMBER` | the write has returned |
//! | `e NUMBER` | its last reference here is about to be given back |
//! | `p NUMBER` | this process holds nothing of it any more |

use std::io::Write;
use std::time::Duration;
use villas_shm::{Channel, Config, Error, Flags, Sample};

/// By the clock, which runs while the machine stalls; the test itself finds a hang sooner.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

const AS_IT_IS: u64 = 0;
const COPY: u64 = 1;
const KEPT: u64 = 2;

fn log(line: &str) {
    // One unbuffered system call: what was logged has happened, even after a SIGKILL.
    std::io::stdout().write_all(line.as_bytes()).expect("the parent reads the log");
    std::io::stdout().flush().expect("the parent reads the log");
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, region, mode, count, generation, kill_at] = &arguments[..] else {
        panic!("usage: crash-child program|node REGION MODE COUNT GENERATION KILL_AT");
    };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let (count, generation) = (number(count), number(generation));
    if kill_at != "never" {
        villas_shm::crash::arm(number(kill_at));
    }
    match role.as_str() {
        "program" => program(region, count, generation),
        "node" => node(region, mode == "polling", count, generation),
        other => panic!("no such role: {other}"),
    }
}

/// Sends back what it reads, in one of three ways. Ends with a sample whose number is `count` or
/// more, or, if none can come, with the node.
fn program(region: &str, count: u64, generation: u64) -> Result<(), Error> {
    let channel = Channel::timed_open(region, PATIENCE)?;
    log(&format!("a {}\n", channel.stats().written));
    let mut samples = Vec::new();
    loop {
        match channel.read(&mut samples, 3) {
            Err(e) if count == u64::MAX && e.errno() == libc::EPIPE => return Ok(()),
            Err(e) if e.is_transient() => continue,
            other => other?,
        };
        for sample in samples.drain(..) {
            let number = sample.sequence();
            if number >= count {
                return Ok(());
            }
            log(&format!("r {number} {}\n", sample.flags().bits()));
            match send_back(&channel, sample, number, generation) {
                Err(e) if count == u64::MAX && e.errno() == libc::EPIPE => return Ok(()),
                other => other?,
            }
        }
    }
}

/// A successor sends the same sample in another way than its predecessor.
fn send_back(channel: &Channel, mut sample: Sample, number: u64, generation: u64) -> Result<(), Error> {
    // Redelivered to this side, which says nothing of how often the other side gets it.
    if sample.flags().contains(Flags::REDELIVERED) {
        sample.set_flags(sample.flags() & !Flags::REDELIVERED);
    }
    let way = (number + generation) % 3;
    if way == COPY {
        return send_copy(channel, sample, number, generation);
    }
    let kept = (way == KEPT).then(|| sample.clone());
    let mut out = vec![sample];
    log(&format!("s {number} {way}\n"));
    match channel.timed_write(&mut out, PATIENCE) {
        Ok(sent) => {
            assert_eq!(sent, 1, "the node does not read");
            log(&format!("w {number}\n"));
            drop(kept);
            log(&format!("p {number}\n"));
            Ok(())
        }
        // A predecessor had kept a reference when it sent the sample on: that one is still out.
        Err(e) if e.errno() == libc::EINVAL => {
            log(&format!("x {number}\n"));
            drop(kept);
            send_copy(channel, out.pop().expect("it was not sent"), number, generation)
        }
        Err(e) => Err(e),
    }
}

/// A copy names the process that made it.
fn send_copy(channel: &Channel, sample: Sample, number: u64, generation: u64) -> Result<(), Error> {
    let mut copy = copy(channel, &sample)?;
    copy.set(1, 1.0 + generation as f64);
    let mut out = vec![copy];
    log(&format!("s {number} {COPY}\n"));
    assert_eq!(channel.timed_write(&mut out, PATIENCE)?, 1, "the node does not read");
    log(&format!("w {number}\n"));
    drop(sample);
    log(&format!("p {number}\n"));
    Ok(())
}

fn copy(channel: &Channel, sample: &Sample) -> Result<Sample, Error> {
    let mut fresh = Vec::new();
    assert_eq!(channel.timed_alloc(&mut fresh, 1, PATIENCE)?, 1, "no block became free");
    let mut copy = fresh.pop().expect("one was allocated");
    copy.copy_from(sample)?;
    Ok(copy)
}

/// Writes `count` samples, numbered from `generation << 32`, and reads what comes back until all of
/// this generation have.
fn node(region: &str, polling: bool, count: u64, generation: u64) -> Result<(), Error> {
    let config = Config::new().polling(polling).queuelen(3).spare(2).samplelen(2);
    let channel = Channel::create(region, &config)?;
    log(&format!("a {}\n", channel.stats().written));
    channel.wait(PATIENCE)?;
    let (mut written, mut back, mut samples) = (0, 0, Vec::new());
    while back < count {
        let free = if written < count { channel.alloc().ok() } else { None };
        if let Some(mut sample) = free {
            let number = generation << 32 | written;
            sample.set_sequence(number);
            sample.write_values(&[number as f64, -(number as f64)])?;
            let mut out = vec![sample];
            log(&format!("s {number} {AS_IT_IS}\n"));
            match channel.write(&mut out) {
                Err(e) if e.is_transient() => {}
                other => {
                    other?;
                    log(&format!("w {number}\n"));
                    written += 1;
                    continue;
                }
            }
        }
        match channel.read(&mut samples, 2) {
            Err(e) if e.is_transient() => {}
            other => drop(other?),
        }
        for sample in samples.drain(..) {
            let number = sample.sequence();
            log(&format!("r {number} {}\n", sample.flags().bits()));
            assert_eq!(sample.get(0), number as f64, "torn");
            log(&format!("e {number}\n"));
            drop(sample);
            log(&format!("p {number}\n"));
            back += u64::from(number >> 32 == generation);
        }
    }
    Ok(())
}
