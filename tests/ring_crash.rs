//! Participants of rings and endpoints, killed by SIGKILL before each of their stores to shared memory, beside survivors: what was given arrives once,
//! or is counted; nobody is stuck; no slot is lost.

#[path = "crash/deadline.rs"]
mod deadline;

use deadline::Deadline;
use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use villas_shm::{Endpoint, EndpointSide, Policy, Ring, Role};

const PATIENCE: Duration = Duration::from_secs(20);
const CAPACITY: usize = 3;
const COUNT: u64 = 9;

type Message = [u64; 5];

/// The name of a ring, or of an endpoint, that goes with the test.
struct Name(String);

impl Drop for Name {
    fn drop(&mut self) {
        let _ = Ring::unlink(&self.0);
        let _ = Endpoint::unlink(&self.0);
    }
}

fn word(policy: Policy) -> &'static str {
    match policy {
        Policy::Spsc => "spsc",
        Policy::Mpsc => "mpsc",
        Policy::Mpmc => "mpmc",
    }
}

fn spawn(what: &str, name: &Name, policy: Policy, kill_at: Option<u64>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ring-child"))
        .args([what, &name.0, word(policy), &COUNT.to_string(), &kill_at.map_or("never".into(), |n| n.to_string())])
        .stdout(Stdio::piped())
        .spawn()
        .expect("ring-child starts")
}

/// The numbers that a child has logged for each kind of event, and whether it was killed.
struct Log {
    events: Vec<(char, u64)>,
    was_killed: bool,
}

impl Log {
    fn of(mut child: Child) -> Log {
        use std::os::unix::process::ExitStatusExt;
        let mut text = String::new();
        child.stdout.take().expect("its output is a pipe").read_to_string(&mut text).expect("the log is text");
        let status = child.wait().expect("it is our child");
        assert!(status.success() || status.signal() == Some(libc::SIGKILL), "the child failed: {status}");
        let event = |line: &str| (line.chars().next().expect("an event"), line[2..].parse().expect("a number"));
        Log { events: text.lines().map(event).collect(), was_killed: !status.success() }
    }

    fn all(&self, kind: char) -> BTreeSet<u64> {
        self.events.iter().filter(|e| e.0 == kind).map(|e| e.1).collect()
    }
}

fn open(name: &Name, policy: Policy, role: Role) -> Ring<Message> {
    Ring::open(&name.0, policy, role, CAPACITY).expect("the place is free")
}

/// Takes a message with its words checked; `None`: none has come within the time.
fn pop(ring: &Ring<Message>, within: Duration) -> Option<u64> {
    match ring.timed_pop(within) {
        Ok(message) => {
            assert!(message.iter().all(|&word| word == message[0]), "torn: {message:?}");
            Some(message[0])
        }
        Err(e) if e.errno() == libc::ETIMEDOUT => None,
        Err(e) => panic!("{e:?}"),
    }
}

/// The ring can be filled and emptied, several times over.
fn assert_whole(producer: &Ring<Message>, consumer: &Ring<Message>, context: &str) {
    for _ in 0..3 {
        for _ in 0..CAPACITY {
            producer.timed_push(&[99; 5], Duration::from_secs(2)).unwrap_or_else(|e| panic!("{context}: a slot is lost: {e}"));
        }
        assert!(producer.try_push(&[99; 5]).is_err(), "{context}: more than the capacity");
        for _ in 0..CAPACITY {
            assert_eq!(pop(consumer, Duration::from_secs(2)), Some(99), "{context}");
        }
        assert_eq!((producer.available(), consumer.pending()), (CAPACITY, 0), "{context}");
    }
}

/// All that is left before a mark, which is pushed as soon as there is room.
fn drain(producer: &Ring<Message>, consumer: &Ring<Message>, context: &str) -> Vec<u64> {
    let (mut taken, mut is_marked, mut deadline) = (Vec::new(), false, Deadline::within(Duration::from_secs(2)));
    while taken.last() != Some(&u64::MAX) {
        assert!(!deadline.is_over(), "{context}: stuck after {taken:?}");
        is_marked = is_marked || producer.try_push(&[u64::MAX; 5]).is_ok();
        taken.extend(pop(consumer, Duration::from_millis(1)));
    }
    taken.pop();
    assert!(consumer.try_pop().is_err(), "{context}: more behind the mark");
    taken
}

/// A producer is killed before store `kill_at`, while this process consumes (and produces, where several may). `false`: it ended before.
fn producer_dies(what: &str, policy: Policy, kill_at: u64) -> bool {
    let name = Name(format!("villas-crash-{}-{what}-{}", std::process::id(), word(policy)));
    let context = format!("{what}, {policy:?}, store {kill_at}");
    let consumer = open(&name, policy, Role::Consumer);
    let other = (policy != Policy::Spsc).then(|| open(&name, policy, Role::Producer));
    let mut child = spawn(what, &name, policy, Some(kill_at));
    let (mut taken, mut own, mut deadline) = (Vec::new(), 100, Deadline::within(PATIENCE));
    while child.try_wait().expect("it is our child").is_none() {
        assert!(!deadline.is_over(), "{context}: it hangs: {taken:?}");
        if let Some(other) = &other
            && other.try_push(&[own; 5]).is_ok()
        {
            own += 1;
        }
        taken.extend(pop(&consumer, Duration::from_micros(200)));
    }
    let log = Log::of(child);
    let producer = other.unwrap_or_else(|| open(&name, policy, Role::Producer));
    taken.extend(drain(&producer, &consumer, &context));
    let of_child: Vec<u64> = taken.iter().copied().filter(|n| *n < 100).collect();
    let own_taken: Vec<u64> = taken.iter().copied().filter(|n| *n >= 100).collect();
    assert_eq!(own_taken, (100..own).collect::<Vec<_>>(), "{context}");
    assert!(of_child.windows(2).all(|w| w[0] < w[1]), "{context}: out of order or doubled: {of_child:?}");
    let of_child: BTreeSet<u64> = of_child.into_iter().collect();
    let (begun, given, aborted) = (log.all('p'), log.all('w'), log.all('a'));
    assert!(given.is_subset(&of_child), "{context}: lost: {given:?} given, {of_child:?} came");
    assert!(of_child.is_subset(&begun) && of_child.is_disjoint(&aborted), "{context}: {begun:?} begun, {of_child:?} came");
    let stats = consumer.stats();
    assert!(stats.skipped <= u64::from(log.was_killed) && stats.lost == 0, "{context}: {stats:?}");
    if policy == Policy::Spsc && what == "produce" && log.was_killed {
        // A batch of two, for which there was room, is published wholly or not at all.
        assert_ne!(of_child.len() % 3, 2, "{context}: half a batch: {of_child:?}");
    }
    assert_whole(&producer, &consumer, &context);
    log.was_killed
}

/// A consumer is killed before store `kill_at`, while this process produces, and another takes its place. `false`: it ended before.
fn consumer_dies(what: &str, policy: Policy, kill_at: u64) -> bool {
    let name = Name(format!("villas-crash-{}-{what}-{}", std::process::id(), word(policy)));
    let context = format!("{what}, {policy:?}, store {kill_at}");
    let producer = open(&name, policy, Role::Producer);
    let mut child = spawn(what, &name, policy, Some(kill_at));
    let (mut next, mut deadline) = (0, Deadline::within(PATIENCE));
    while child.try_wait().expect("it is our child").is_none() {
        assert!(!deadline.is_over(), "{context}: it hangs");
        if next <= COUNT && producer.timed_push(&[next; 5], Duration::from_millis(1)).is_ok() {
            next += 1;
        }
    }
    let log = Log::of(child);
    let consumer = open(&name, policy, Role::Consumer);
    let mut taken = Vec::new();
    loop {
        if next <= COUNT && producer.try_push(&[next; 5]).is_ok() {
            next += 1;
        }
        match pop(&consumer, Duration::from_millis(if next <= COUNT { 1 } else { 100 })) {
            Some(number) => taken.push(number),
            None if next > COUNT => break,
            None => assert!(!deadline.is_over(), "{context}: stuck at {next}"),
        }
    }
    assert!(taken.windows(2).all(|w| w[0] < w[1]), "{context}: out of order or doubled: {taken:?}");
    assert_whole(&producer, &consumer, &context);
    let (logged, taken): (BTreeSet<u64>, BTreeSet<u64>) = (log.all('r'), taken.into_iter().collect());
    let stats = consumer.stats();
    let missing = (0..=COUNT).filter(|n| !logged.contains(n) && !taken.contains(n)).count() as u64;
    let twice = logged.intersection(&taken).count();
    if policy == Policy::Spsc {
        // What it had peeked at and not released comes to the successor. A pop that has not returned may have taken its batch.
        assert_eq!((stats.lost, stats.skipped), (0, 0), "{context}");
        assert!(twice <= usize::from(what == "peek" && log.was_killed), "{context}: {logged:?}, then {taken:?}");
    } else {
        assert_eq!(twice, 0, "{context}: offered again: {logged:?}, then {taken:?}");
        assert!(stats.lost <= u64::from(log.was_killed) && stats.skipped == 0, "{context}: {stats:?}");
    }
    // Released inside a pop that has not returned: one, or the first of a batch of two.
    let in_pop = if what == "consume" && log.was_killed { 2 } else { 0 };
    assert!(missing <= stats.lost + in_pop, "{context}: {missing} lost, {} counted: {logged:?}, {taken:?}", stats.lost);
    log.was_killed
}

fn open_side(side: EndpointSide, name: &Name, policy: Policy, context: &str) -> Endpoint<Message> {
    Endpoint::open(side, &name.0, policy, CAPACITY).unwrap_or_else(|e| panic!("{context}: {side:?}: {e}"))
}

/// What came is what was given, in order, each once, and perhaps what was being given.
fn check_given(came: &[u64], logs: &[&Log], context: &str) {
    let all = |kind| logs.iter().flat_map(|log| log.all(kind)).collect::<BTreeSet<u64>>();
    let (begun, given) = (all('p'), all('w'));
    assert!(came.windows(2).all(|w| w[0] < w[1]), "{context}: out of order or doubled: {came:?}");
    let came: BTreeSet<u64> = came.iter().copied().collect();
    assert!(given.is_subset(&came) && came.is_subset(&begun), "{context}: {begun:?} begun, {given:?} given, {came:?} came");
}

/// Side B answers side A, and is killed before store `kill_at`; another takes its place. `false`: it ended before.
fn answerer_dies(what: &str, policy: Policy, kill_at: u64) -> bool {
    let name = Name(format!("villas-crash-{}-{what}-{}", std::process::id(), word(policy)));
    let context = format!("{what}, {policy:?}, store {kill_at}");
    let a = open_side(EndpointSide::A, &name, policy, &context);
    let (mut next, mut came, mut logs, mut deadline) = (0, Vec::new(), Vec::new(), Deadline::within(PATIENCE));
    while logs.last().is_none_or(|log: &Log| log.was_killed) {
        let mut child = spawn(what, &name, policy, logs.is_empty().then_some(kill_at));
        // The message that ends it, once to each.
        next = next.min(COUNT);
        while child.try_wait().expect("it is our child").is_none() {
            assert!(!deadline.is_over(), "{context}: it hangs: {next} asked, {came:?} came");
            if next <= COUNT && a.outgoing().try_push(&[next; 5]).is_ok() {
                next += 1;
            }
            came.extend(pop(a.incoming(), Duration::from_micros(200)));
        }
        logs.push(Log::of(child));
    }
    let was_killed = logs.len() > 1;
    let b = open_side(EndpointSide::B, &name, policy, &context);
    came.extend(drain(b.outgoing(), a.incoming(), &context));
    check_given(&came, &logs.iter().collect::<Vec<_>>(), &context);
    let received: Vec<u64> = logs.iter().flat_map(|log| &log.events).filter(|e| e.0 == 'r' && e.1 < COUNT).map(|e| e.1).collect();
    assert!(received.windows(2).all(|w| w[0] < w[1]), "{context}: asked twice or out of order: {received:?}");
    let left = drain(a.outgoing(), b.incoming(), &context);
    assert!(left.iter().all(|&number| number >= COUNT), "{context}: not answered: {left:?}");
    // One in a pop that has not returned.
    let (asked, answered) = (a.outgoing().stats(), a.incoming().stats());
    assert!(COUNT - received.len() as u64 <= u64::from(was_killed), "{context}: lost: {received:?}, {asked:?}");
    assert!(asked.lost <= u64::from(was_killed) && asked.skipped == 0, "{context}: {asked:?}");
    assert!(answered.skipped <= u64::from(was_killed) && answered.lost == 0, "{context}: {answered:?}");
    assert_whole(a.outgoing(), b.incoming(), &context);
    assert_whole(b.outgoing(), a.incoming(), &context);
    was_killed
}

/// Side B, alone, makes the endpoint, leaves messages and closes, and is killed before store `kill_at`. `false`: it ended before.
fn leaver_dies(what: &str, policy: Policy, kill_at: u64) -> bool {
    let name = Name(format!("villas-crash-{}-{what}-{}", std::process::id(), word(policy)));
    let context = format!("{what}, {policy:?}, store {kill_at}");
    let log = Log::of(spawn(what, &name, policy, Some(kill_at)));
    let (a, b) = (open_side(EndpointSide::A, &name, policy, &context), open_side(EndpointSide::B, &name, policy, &context));
    check_given(&drain(b.outgoing(), a.incoming(), &context), &[&log], &context);
    assert_eq!(drain(a.outgoing(), b.incoming(), &context), [], "{context}: nobody has sent that");
    assert_whole(a.outgoing(), b.incoming(), &context);
    assert_whole(b.outgoing(), a.incoming(), &context);
    log.was_killed
}

fn sweep(what: &str, policy: Policy, least: u64, dies: impl Fn(&str, Policy, u64) -> bool) {
    let start = Instant::now();
    let stores = (0..).find(|&kill_at| !dies(what, policy, kill_at)).expect("it ends");
    assert!(stores > least, "only {stores} stores: the process did not do its work");
    println!("{what}, {policy:?}: killed before each of its {stores} stores, {:.1} s", start.elapsed().as_secs_f64());
}

#[test]
fn a_producer_that_is_killed_at_any_store_stops_nobody() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        sweep("produce", policy, 35, producer_dies);
    }
}

#[test]
fn a_producer_that_is_killed_at_any_store_of_reserve_commit_and_abort_stops_nobody() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        sweep("reserve", policy, 35, producer_dies);
    }
}

#[test]
fn a_consumer_that_is_killed_at_any_store_stops_nobody() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        sweep("consume", policy, 12, consumer_dies);
    }
}

#[test]
fn a_consumer_that_is_killed_at_any_store_of_peek_and_release_stops_nobody() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        sweep("peek", policy, 12, consumer_dies);
    }
}

#[test]
fn a_side_of_an_endpoint_that_is_killed_at_any_store_stops_neither_direction() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        sweep("answer", policy, 60, answerer_dies);
    }
}

#[test]
fn a_side_that_is_killed_while_it_makes_or_closes_an_endpoint_stops_nobody() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        sweep("leave", policy, 25, leaver_dies);
    }
}
