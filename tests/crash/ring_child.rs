//! One participant of a ring, or side B of an endpoint, in the crash sweep, killed before its n-th
//! store to shared memory.
//!
//! usage: ring-child produce|consume|reserve|peek|answer|leave NAME POLICY FIRST END KILL_AT
//!
//! It gives the messages FIRST to END - 1, or takes messages until one has number END or more. It
//! logs each event as a line, in one `write`: `p NUMBER` is about to give the message, `w NUMBER`
//! has given it, `a NUMBER` has aborted it, `q 0` is about to take one or several, `r NUMBER` has
//! received it (before its release, if it was peeked at), `d NUMBER` has released it.

use std::io::Write;
use std::ops::Range;
use std::time::{Duration, Instant};
use villas_shm::{Endpoint, EndpointSide, Error, Policy, Ring, Role};

/// By the clock, which runs while the machine stalls; the test itself finds a hang sooner.
const PATIENCE: Duration = Duration::from_secs(60);
const CAPACITY: usize = 3;

fn log(kind: char, number: u64) {
    // One unbuffered system call: what was logged has happened, even after a SIGKILL.
    std::io::stdout().write_all(format!("{kind} {number}\n").as_bytes()).expect("the parent reads the log");
    std::io::stdout().flush().expect("the parent reads the log");
}

/// A message has its number in each word.
type Message = [u64; 5];

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, name, policy, first, end, kill_at] = &arguments[..] else {
        panic!("usage: ring-child produce|consume|reserve|peek|answer|leave NAME POLICY FIRST END KILL_AT");
    };
    let [first, end] = [first, end].map(|text| text.parse::<u64>().expect("a number"));
    let policy = match policy.as_str() {
        "spsc" => Policy::Spsc,
        "mpsc" => Policy::Mpsc,
        _ => Policy::Mpmc,
    };
    if kill_at != "never" {
        villas_shm::crash::arm(kill_at.parse().expect("a number"));
    }
    let open = |role| Ring::<Message>::open(name, policy, role, CAPACITY);
    match what.as_str() {
        "produce" => produce(&open(Role::Producer)?, policy, first..end),
        "reserve" => reserve(&open(Role::Producer)?, first..end),
        "consume" => consume(&open(Role::Consumer)?, end),
        "peek" => peek(&open(Role::Consumer)?, end),
        "answer" => answer(&Endpoint::open(name, policy, EndpointSide::B, CAPACITY)?, end),
        "leave" => leave(&Endpoint::open(name, policy, EndpointSide::B, CAPACITY)?),
        other => panic!("no such role: {other}"),
    }
}

/// Gives one message, then two at once, and so on; a sole producer only if there is room for both.
fn produce(ring: &Ring<Message>, policy: Policy, numbers: Range<u64>) -> Result<(), Error> {
    let mut number = numbers.start;
    while number < numbers.end {
        if number % 3 == 0 {
            log('p', number);
            ring.timed_push(&[number; 5], PATIENCE)?;
            log('w', number);
            number += 1;
            continue;
        }
        let batch: Vec<Message> = (number..number + 2).map(|n| [n; 5]).collect();
        for message in &batch {
            log('p', message[0]);
        }
        let start = Instant::now();
        while policy == Policy::Spsc && ring.available() < batch.len() {
            assert!(start.elapsed() < PATIENCE, "the consumer takes nothing");
            std::thread::yield_now();
        }
        let mut given = 0;
        while given < batch.len() {
            let more = ring.push_many(&batch[given..]).or_else(|e| if e.errno() == libc::EAGAIN { Ok(0) } else { Err(e) })?;
            for message in &batch[given..given + more] {
                log('w', message[0]);
            }
            given += more;
        }
        number += 2;
    }
    Ok(())
}

/// Makes messages in place; aborts every fourth.
fn reserve(ring: &Ring<Message>, numbers: Range<u64>) -> Result<(), Error> {
    for number in numbers {
        log('p', number);
        let mut slot = ring.timed_reserve(Some(PATIENCE))?;
        slot.write(&[number; 5]);
        if number % 4 == 3 {
            drop(slot);
            log('a', number);
        } else {
            slot.commit()?;
            log('w', number);
        }
    }
    Ok(())
}

fn receive(message: Message) -> u64 {
    assert!(message.iter().all(|&word| word == message[0]), "torn: {message:?}");
    log('r', message[0]);
    message[0]
}

/// Takes messages one by one and in batches.
fn consume(ring: &Ring<Message>, end: u64) -> Result<(), Error> {
    let mut messages = Vec::new();
    loop {
        log('q', 0);
        if receive(ring.timed_pop(PATIENCE)?) >= end {
            return Ok(());
        }
        log('q', 0);
        match ring.pop_many(&mut messages, 2) {
            Err(e) if e.errno() == libc::EAGAIN => {}
            other => {
                other?;
            }
        }
        for message in messages.drain(..) {
            if receive(message) >= end {
                return Ok(());
            }
        }
    }
}

/// Takes messages in place.
fn peek(ring: &Ring<Message>, end: u64) -> Result<(), Error> {
    loop {
        log('q', 0);
        let message = ring.timed_peek(Some(PATIENCE))?;
        let number = receive(message.get());
        drop(message);
        log('d', number);
        if number >= end {
            return Ok(());
        }
    }
}

/// Sends back each message except the last.
fn answer(endpoint: &Endpoint<Message>, end: u64) -> Result<(), Error> {
    loop {
        log('q', 0);
        let number = receive(endpoint.receive(Some(PATIENCE))?);
        if number >= end {
            return Ok(());
        }
        log('p', number);
        endpoint.send(&[number; 5], Some(PATIENCE))?;
        log('w', number);
    }
}

/// Leaves as many messages as there is room for, for a later participant: one, and the others at
/// once.
fn leave(endpoint: &Endpoint<Message>) -> Result<(), Error> {
    let batch: Vec<Message> = (1..CAPACITY as u64).map(|number| [number; 5]).collect();
    log('p', 0);
    endpoint.send(&[0; 5], Some(PATIENCE))?;
    log('w', 0);
    for message in &batch {
        log('p', message[0]);
    }
    assert_eq!(endpoint.outgoing().push_many(&batch)?, batch.len(), "nobody else has sent anything");
    for message in &batch {
        log('w', message[0]);
    }
    Ok(())
}
