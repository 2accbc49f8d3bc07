//! One participant of a ring, or side B of an endpoint, in the crash sweep, which is killed before its n-th store to shared memory.
//!
//! usage: ring-child produce|consume|reserve|peek|answer|leave NAME POLICY COUNT KILL_AT
//!
//! It logs what happened, a line for each event, in one `write` each: `p NUMBER` is about to give the message, `w NUMBER` has given it,
//! `a NUMBER` has aborted it, `r NUMBER` has received it (before it is released, where it is peeked at).

use std::io::Write;
use std::time::{Duration, Instant};
use villas_shm::{Endpoint, EndpointSide, Error, Policy, Ring, Role};

const PATIENCE: Duration = Duration::from_secs(5);
const CAPACITY: usize = 3;

fn log(kind: char, number: u64) {
    // One system call, unbuffered: what was logged has happened, also after a SIGKILL.
    std::io::stdout().write_all(format!("{kind} {number}\n").as_bytes()).expect("the parent reads the log");
    std::io::stdout().flush().expect("the parent reads the log");
}

/// A message says its number in each word.
type Message = [u64; 5];

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, name, policy, count, kill_at] = &arguments[..] else {
        panic!("usage: ring-child produce|consume|reserve|peek|answer|leave NAME POLICY COUNT KILL_AT");
    };
    let count: u64 = count.parse().expect("a number");
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
        "produce" => produce(&open(Role::Producer)?, policy, count),
        "reserve" => reserve(&open(Role::Producer)?, count),
        "consume" => consume(&open(Role::Consumer)?, count),
        "peek" => peek(&open(Role::Consumer)?, count),
        "answer" => answer(&Endpoint::open(EndpointSide::B, name, policy, CAPACITY)?, count),
        "leave" => leave(&Endpoint::open(EndpointSide::B, name, policy, CAPACITY)?),
        other => panic!("no such role: {other}"),
    }
}

/// Gives one message, then two at once, and so on; a sole producer only when there is room for both.
fn produce(ring: &Ring<Message>, policy: Policy, count: u64) -> Result<(), Error> {
    let mut number = 0;
    while number < count {
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

/// Makes messages in place; gives up every fourth.
fn reserve(ring: &Ring<Message>, count: u64) -> Result<(), Error> {
    for number in 0..count {
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

/// Takes messages one by one and in batches, until one of number `count` or more.
fn consume(ring: &Ring<Message>, count: u64) -> Result<(), Error> {
    let mut messages = Vec::new();
    loop {
        if receive(ring.timed_pop(PATIENCE)?) >= count {
            return Ok(());
        }
        match ring.pop_many(&mut messages, 2) {
            Err(e) if e.errno() == libc::EAGAIN => {}
            other => {
                other?;
            }
        }
        for message in messages.drain(..) {
            if receive(message) >= count {
                return Ok(());
            }
        }
    }
}

/// The same in place.
fn peek(ring: &Ring<Message>, count: u64) -> Result<(), Error> {
    loop {
        let message = ring.timed_peek(Some(PATIENCE))?;
        if receive(message.get()) >= count {
            return Ok(());
        }
    }
}

/// Sends back each message, until one of number `count` or more has come.
fn answer(endpoint: &Endpoint<Message>, count: u64) -> Result<(), Error> {
    loop {
        let number = receive(endpoint.receive(Some(PATIENCE))?);
        if number >= count {
            return Ok(());
        }
        log('p', number);
        endpoint.send(&[number; 5], Some(PATIENCE))?;
        log('w', number);
    }
}

/// Leaves as many messages as there is room for, to whoever comes later: one, and the others at once.
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
