//! One process of the crash sweep: a node or a program that is killed before its n-th store to shared memory.
//!
//! usage: crash-child program|node REGION MODE COUNT GENERATION KILL_AT
//!
//! It logs what happened to it, a line for each event, in one `write` each: `r NUMBER FLAGS` a sample was returned by a
//! read; `w NUMBER` a write has returned; `a 0` the channel is open.

use std::io::Write;
use std::time::Duration;
use villas_shm::{Channel, Config, Error, Sample};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(5));

fn log(line: &str) {
    // One system call, unbuffered: what was logged has happened, also after a SIGKILL.
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
        "program" => program(region, count),
        "node" => node(region, mode == "polling", count, generation),
        other => panic!("no such role: {other}"),
    }
}

/// Sends back what it reads, in turn as it is, as a copy, and as it is with a reference kept for a while; ends with a
/// sample whose number is `count` or more, or, if there cannot be one, with the node.
fn program(region: &str, count: u64) -> Result<(), Error> {
    let channel = Channel::timed_open(region, PATIENCE)?;
    log("a 0\n");
    let mut samples = Vec::new();
    loop {
        match channel.read(&mut samples, 3) {
            Err(e) if count == u64::MAX && e.errno() == libc::EPIPE => return Ok(()),
            other => other?,
        };
        for sample in samples.drain(..) {
            let number = sample.sequence();
            if number >= count {
                return Ok(());
            }
            log(&format!("r {number} {}\n", sample.flags()));
            match echo(&channel, sample, number) {
                Err(e) if count == u64::MAX && e.errno() == libc::EPIPE => return Ok(()),
                other => other?,
            }
        }
    }
}

fn echo(channel: &Channel, sample: Sample, number: u64) -> Result<(), Error> {
    let mut out = match number % 3 {
        0 => vec![sample],
        1 => vec![copy(channel, &sample)?],
        _ => {
            let kept = sample.clone();
            let mut out = vec![sample];
            let sent = channel.timed_write(&mut out, PATIENCE);
            match sent {
                Ok(1) => return Ok(()),
                // The predecessor had kept a reference when it sent the sample on: that one is still out.
                Err(e) if e.errno() == libc::EINVAL => vec![copy(channel, &kept)?],
                other => panic!("write: {other:?}"),
            }
        }
    };
    let sent = channel.timed_write(&mut out, PATIENCE)?;
    assert_eq!(sent, 1, "the node does not read");
    Ok(())
}

fn copy(channel: &Channel, sample: &Sample) -> Result<Sample, Error> {
    let mut fresh = Vec::new();
    assert_eq!(channel.timed_alloc(&mut fresh, 1, PATIENCE)?, 1, "no block became free");
    let mut copy = fresh.pop().expect("one was allocated");
    copy.copy_from(sample)?;
    Ok(copy)
}

/// Writes `count` samples, numbered from `generation << 32`, and reads what comes back, until all of this generation have.
fn node(region: &str, polling: bool, count: u64, generation: u64) -> Result<(), Error> {
    let config = Config { polling, queuelen: 3, spare: 2, samplelen: 2, ..Config::default() };
    let channel = Channel::create(region, &config)?;
    log("a 0\n");
    channel.wait(PATIENCE)?;
    let (mut written, mut back, mut samples) = (0, 0, Vec::new());
    while back < count {
        if written < count
            && let Ok(mut sample) = channel.alloc()
        {
            let number = generation << 32 | written;
            sample.set_sequence(number);
            sample.write_values(&[number as f64, -(number as f64)])?;
            let mut out = vec![sample];
            if channel.write(&mut out)? == 1 {
                log(&format!("w {number}\n"));
                written += 1;
                continue;
            }
        }
        channel.read(&mut samples, 2)?;
        for sample in samples.drain(..) {
            log(&format!("r {} {}\n", sample.sequence(), sample.flags()));
            assert_eq!(sample.get(0), sample.sequence() as f64, "torn");
            back += u64::from(sample.sequence() >> 32 == generation);
        }
    }
    Ok(())
}
