//! A tap beside full traffic of two processes that are killed and started again, and beside rings.
//! Each copy without a mark must be whole, and one that was sent.
//!
//! It has a `main` of its own, which is also that of its child processes. `TAP_KILLS` says how many
//! are killed; 20 by default.

use std::collections::HashMap;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use villas_shm::inspect::{Passed, Sender, Tap, Waiting};
use villas_shm::{Channel, Config, Error, Policy, Result, Ring, Role, Sample};

/// By the clock; only to find a hang.
const PATIENCE: Duration = Duration::from_secs(100);
const VALUES: usize = 7;
const NODE: u64 = 0x6e6f_6465;
const PROGRAM: u64 = 0x7072_6f67;

/// The value number `at` of what `who` has sent with this number.
fn value(who: u64, number: u64, at: usize) -> u64 {
    (who ^ number.rotate_left(17)).wrapping_add(at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn fill(sample: &mut Sample, who: u64, number: u64) {
    sample.set_len(VALUES).expect("so many fit");
    sample.set_sequence(number);
    (0..VALUES).for_each(|at| sample.set_bits(at, value(who, number, at)));
}

fn is_whole(who: u64, number: u64, values: &[u64]) -> bool {
    values.len() == VALUES && values.iter().enumerate().all(|(at, &found)| found == value(who, number, at))
}

fn config() -> Config {
    Config::new().samplelen(VALUES as u32).queuelen(64).history(32)
}

/// Sends as fast as the program reads, and throws away what comes back. Ends with the program.
fn node(name: &str) -> Result<()> {
    let channel = Channel::create(name, &config())?;
    let mut number = channel.stats().written;
    let (mut samples, mut answers) = (Vec::new(), Vec::new());
    loop {
        channel.timed_alloc(&mut samples, 5, None)?;
        for sample in &mut samples {
            fill(sample, NODE, number);
            number += 1;
        }
        while !samples.is_empty() {
            match channel.timed_write(&mut samples, Some(Duration::from_millis(10))) {
                Err(e) if !e.is_transient() => return Err(e),
                _ => {}
            }
            while channel.try_read(&mut answers, 64).is_ok() {
                answers.clear();
            }
        }
    }
}

/// Sends every second sample back, changed in place.
fn program(name: &str) -> Result<()> {
    let channel = Channel::timed_open(name, Some(PATIENCE))?;
    let (mut samples, mut answers) = (Vec::new(), Vec::new());
    loop {
        match channel.read(&mut samples, 8) {
            Err(e) if !e.is_transient() => return Err(e),
            _ => {}
        }
        for mut sample in samples.drain(..) {
            if sample.sequence() % 2 == 0 {
                let number = sample.sequence();
                fill(&mut sample, PROGRAM, number);
                answers.push(sample);
            }
        }
        while !answers.is_empty() {
            match channel.timed_write(&mut answers, Some(Duration::from_millis(10))) {
                Err(e) if !e.is_transient() => return Err(e),
                _ => {}
            }
        }
    }
}

fn start(role: &str, name: &str) -> Child {
    let me = std::env::current_exe().expect("this program");
    Command::new(me).args(["child", role, name]).spawn().expect("a child process")
}

/// What a tap of one region has seen.
#[derive(Default)]
struct Seen {
    /// Behind the last position, of each sender.
    next: HashMap<Sender, u64>,
    gaps: u64,
    whole: u64,
    marked: u64,
    marked_whole: u64,
}

impl Seen {
    fn add(&mut self, one: Passed) {
        let Waiting::Sample { sequence, values, .. } = &one.what else { panic!("{one:?}") };
        let next = self.next.entry(one.from).or_insert(one.position);
        assert!(one.position >= *next, "{one:?} after position {next}");
        self.gaps += one.position - *next;
        *next = one.position + 1;
        let is_right = match one.from {
            Sender::Node => *sequence == one.position && is_whole(NODE, *sequence, values),
            _ => is_whole(PROGRAM, *sequence, values),
        };
        if one.may_have_changed {
            self.marked += 1;
            self.marked_whole += u64::from(is_right);
        } else {
            assert!(is_right, "not as it was sent: {one:?}");
            self.whole += 1;
        }
    }
}

fn beside_processes_that_are_killed(kills: u32) {
    let name = format!("villas-tap-traffic-{}", std::process::id());
    let roles = ["node", "program"];
    let mut children = roles.map(|role| start(role, &name));
    let begin = Instant::now();
    let mut random = 88_172_645_463_325_252_u64;
    let mut draw = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let open = || loop {
        match Tap::open(&name) {
            Err(e) if e.errno() == libc::ENOENT => assert!(begin.elapsed() < PATIENCE, "{e}"),
            tap => return tap.unwrap(),
        }
    };
    let (mut tap, mut seen, mut regions) = (open(), Seen::default(), 1);
    let (mut whole, mut marked, mut missed, mut killed) = (0, 0, 0, 0);
    let mut until = 500;
    let mut passed = Vec::new();
    while killed < kills || seen.whole < 100 {
        assert!(begin.elapsed() < PATIENCE, "{killed} killed, {} seen", seen.whole + seen.marked);
        match tap.follow(&mut passed, 256) {
            Err(e) if e.errno() == libc::ESTALE => {
                (whole, marked, missed) = (whole + seen.whole, marked + seen.marked, missed + tap.missed());
                (tap, seen, regions, until) = (open(), Seen::default(), regions + 1, 500);
            }
            count => _ = count.unwrap(),
        }
        passed.drain(..).for_each(|one| seen.add(one));
        assert!(seen.gaps <= tap.missed(), "{} are missing, {} were counted", seen.gaps, tap.missed());
        if killed < kills && seen.whole + seen.marked >= until {
            // One of them, the other, or both, by SIGKILL.
            let which = draw(5);
            for (at, child) in children.iter_mut().enumerate().filter(|(at, _)| which == 4 || which % 2 == *at as u64) {
                child.kill().unwrap();
                child.wait().unwrap();
                killed += 1;
                *child = start(roles[at], &name);
            }
            until = seen.whole + seen.marked + 200 + draw(2000);
        }
        // Those that have seen their peer's end have ended, too.
        for (child, role) in children.iter_mut().zip(roles) {
            if child.try_wait().unwrap().is_some() {
                *child = start(role, &name);
            }
        }
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let _ = Channel::unlink(&name);
    (whole, marked, missed) = (whole + seen.whole, marked + seen.marked, missed + tap.missed());
    println!("channel: {killed} killed, {regions} regions; {whole} unmarked, {marked} marked, {missed} missed");
}

fn beside_a_ring(policy: Policy, messages: u64) {
    let name = format!("villas-tap-traffic-{policy:?}-{}", std::process::id());
    let open = |role| Ring::<[u64; 8]>::open(&name, policy, role, 50).unwrap();
    let (producers, consumers) = match policy {
        Policy::Spsc => (1, 1),
        Policy::Mpsc => (2, 1),
        Policy::Mpmc => (2, 2),
    };
    let (rings, ends): (Vec<_>, Vec<_>) =
        ((0..producers).map(|_| open(Role::Producer)).collect(), (0..consumers).map(|_| open(Role::Consumer)).collect());
    let mut tap = Tap::open(&name).unwrap();
    Ring::unlink(&name).unwrap();
    let message = |number: u64| std::array::from_fn::<u64, 8, _>(|at| if at == 0 { number } else { value(NODE, number, at) });
    let is_over = AtomicBool::new(false);
    let begin = Instant::now();
    let is_late = || begin.elapsed() > PATIENCE;
    let (mut whole, mut marked, mut torn, mut next) = (0_u64, 0_u64, 0_u64, 0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = rings
            .iter()
            .enumerate()
            .map(|(at, ring)| {
                scope.spawn(move || {
                    let mut number = at as u64;
                    while number < messages {
                        // In batches of one to eight.
                        let batch: Vec<_> = (0..1 + number % 8).map(|ahead| message(number + ahead * producers)).collect();
                        let count = ring.push_many(&batch).or_else(|e| if e.is_transient() { Ok(0) } else { Err(e) }).unwrap();
                        assert!(!is_late(), "no room");
                        number += count as u64 * producers;
                    }
                })
            })
            .collect();
        for ring in &ends {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut taken = Vec::new();
                while !is_over.load(Relaxed) {
                    let found = ring.pop_many(&mut taken, 8);
                    assert!(found.is_ok_and(|count| count > 0) || !is_late() || is_over.load(Relaxed), "no message");
                    taken.clear();
                }
            });
        }
        let mut passed = Vec::new();
        loop {
            let have_ended = threads.iter().all(|thread| thread.is_finished());
            let count = tap.follow(&mut passed, 64).unwrap();
            for one in passed.drain(..) {
                let Waiting::Message(bytes) = &one.what else { panic!("{one:?}") };
                let words: Vec<u64> = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
                let is_right = words[..] == message(words[0]);
                assert!(is_right || policy == Policy::Spsc && one.may_have_changed, "torn: {one:?}");
                assert!(one.position >= next, "{one:?} after position {next}");
                next = one.position + 1;
                whole += u64::from(!one.may_have_changed);
                marked += u64::from(one.may_have_changed);
                torn += u64::from(!is_right);
            }
            if have_ended && count == 0 {
                break;
            }
            assert!(!is_late(), "the traffic does not end");
        }
        is_over.store(true, Relaxed);
    });
    assert!(whole + marked + tap.missed() >= messages, "{whole} + {marked} + {} of {messages}", tap.missed());
    println!("{policy:?}: {whole} unmarked, {marked} marked, of which {torn} torn, {} missed", tap.missed());
}

fn main() -> std::result::Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let ["child", role, name] = &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // It ends with its peer; the parent starts it again.
        let ended = if *role == "node" { node(name) } else { program(name) };
        let Err(e) = ended else { return Ok(()) };
        let expected = [libc::EPIPE, libc::ESTALE, libc::ENOENT, libc::EBUSY, libc::EAGAIN, libc::ETIMEDOUT];
        return if expected.contains(&e.errno()) { Ok(()) } else { Err(e) };
    }
    let kills = std::env::var("TAP_KILLS").map_or(20, |kills| kills.parse().expect("TAP_KILLS is a number"));
    beside_processes_that_are_killed(kills);
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        beside_a_ring(policy, 20_000 * u64::from(kills));
    }
    Ok(())
}
