//! Participants of rings and endpoints, killed by SIGKILL before each of their stores to shared
//! memory, beside survivors: each message arrives once or is counted, no participant is stuck, no
//! slot is lost. Successors are killed before each store of their repair, too, up to the end of the
//! first thing that they do with the ring.

#[path = "crash/deadline.rs"]
mod deadline;
#[path = "crash/repairs.rs"]
mod repairs;

use deadline::Deadline;
use repairs::{Fate, Least, Strides, repair_sweep};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use villas_shm::{Endpoint, EndpointSide, Policy, Ring, Role};

const PATIENCE: Duration = Duration::from_secs(20);
const CAPACITY: usize = 3;
/// Messages of each producer; a multiple of three, because it gives one message and two at once by
/// turns.
const COUNT: u64 = 9;
/// Of the messages that a participant gives or takes at once.
const LONGEST_RUN: u64 = 2;
/// Messages from this number on are this process's own.
const OWN: u64 = 100;

type Message = [u64; 5];

/// The name of a ring, or of an endpoint, removed at the end of the test.
struct Name(String);

impl Name {
    fn new(what: &str, policy: Policy) -> Name {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Name(format!("villas-crash-{}-{}-{what}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed), word(policy)))
    }
}

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

/// A child that gives the messages `numbers`, or takes messages until it gets one that is none of
/// these.
fn spawn(what: &str, name: &Name, policy: Policy, numbers: Range<u64>, kill_at: Option<u64>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ring-child"))
        .args([what, &name.0, word(policy), &numbers.start.to_string(), &numbers.end.to_string()])
        .arg(kill_at.map_or("never".into(), |n| n.to_string()))
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

    fn all(&self, kind: char) -> impl Iterator<Item = u64> {
        self.events.iter().filter(move |e| e.0 == kind).map(|e| e.1)
    }
}

/// All numbers of this kind, in order.
fn numbers(logs: &[Log], kind: char) -> Vec<u64> {
    logs.iter().flat_map(|log| log.all(kind)).collect()
}

fn set(numbers: &[u64]) -> BTreeSet<u64> {
    numbers.iter().copied().collect()
}

fn deaths(logs: &[Log]) -> usize {
    logs.iter().filter(|log| log.was_killed).count()
}

/// Inside: a child whose last log is one of `begins`. Beyond: a child that has logged one of
/// `ends`.
fn fate_of(logs: &[Log], begins: &str, ends: &str) -> Fate {
    let deaths = deaths(logs);
    let was_inside = deaths > 0 && logs[0].events.last().is_some_and(|event| begins.contains(event.0));
    let was_beyond = deaths > 0 && logs[deaths - 1].events.iter().any(|event| ends.contains(event.0));
    Fate { deaths, was_inside, was_beyond }
}

/// The places that a newcomer finds. If there is a place that no dead process has left, it takes
/// that one and has nothing to repair.
#[derive(Clone, Copy)]
enum Places {
    Fresh,
    /// Dead processes have left all places of a role that may have several.
    Dead,
}

/// The bytes of a ring whose places are all held, in roles that may have several. In a copy their
/// holders are dead, because it has no locks.
fn image_of_the_dead(policy: Policy) -> Vec<u8> {
    let name = Name::new("image", policy);
    let open = || Ring::<Message>::open(&name.0, policy, Role::Producer, CAPACITY);
    let held: Vec<_> = std::iter::from_fn(|| open().ok()).collect();
    assert_eq!(open().err().map(|e| e.errno()), Some(libc::EBUSY), "{} places", held.len());
    std::fs::read(format!("/dev/shm/{}", name.0)).expect("it is there")
}

fn prepare(name: &Name, policy: Policy, places: Places) {
    static IMAGES: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    let image = match (places, policy) {
        (Places::Fresh, _) | (_, Policy::Spsc) => return,
        (_, Policy::Mpsc) => &IMAGES[0],
        (_, Policy::Mpmc) => &IMAGES[1],
    };
    let image = image.get_or_init(|| image_of_the_dead(policy));
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(format!("/dev/shm/{}", name.0));
    file.expect("the name is free").write_all(image).expect("there is room");
}

fn open(name: &Name, policy: Policy, role: Role) -> Ring<Message> {
    Ring::open(&name.0, policy, role, CAPACITY).expect("the place is free")
}

/// Takes a message and checks its words; `None`: none has come within the time.
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

/// Checks that the ring can be filled and emptied, several times.
fn assert_whole(producer: &Ring<Message>, consumer: &Ring<Message>, context: &str) {
    let mut deadline = Deadline::within(Duration::from_secs(2));
    let mut is_late = || deadline.is_over();
    let short = Duration::from_millis(1);
    for _ in 0..3 {
        for _ in 0..CAPACITY {
            while let Err(e) = producer.timed_push(&[99; 5], short) {
                assert!(e.errno() == libc::ETIMEDOUT && !is_late(), "{context}: a slot is lost: {e}");
            }
        }
        assert!(producer.try_push(&[99; 5]).is_err(), "{context}: more than the capacity");
        for _ in 0..CAPACITY {
            let taken = std::iter::repeat_with(|| pop(consumer, short)).find(|taken| taken.is_some() || is_late());
            assert_eq!(taken.flatten(), Some(99), "{context}");
        }
        assert_eq!((producer.available(), consumer.pending()), (CAPACITY, 0), "{context}");
    }
}

/// All messages left before a mark, which is pushed as soon as there is room.
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

/// A producer is killed before store `kills[0]`, its successor before `kills[1]`, while this
/// process consumes (and produces, if several may).
fn producer_dies(what: &str, policy: Policy, places: Places, kills: &[u64]) -> Fate {
    let name = Name::new(what, policy);
    let context = format!("{what}, {policy:?}, stores {kills:?}");
    prepare(&name, policy, places);
    let consumer = open(&name, policy, Role::Consumer);
    let other = (policy != Policy::Spsc).then(|| open(&name, policy, Role::Producer));
    let (mut taken, mut own, mut logs, mut deadline) = (Vec::new(), OWN, Vec::new(), Deadline::within(PATIENCE));
    for (&kill_at, begin) in kills.iter().zip((0..).step_by(COUNT as usize)) {
        let mut child = spawn(what, &name, policy, begin..begin + COUNT, Some(kill_at));
        for look in 0.. {
            if child.try_wait().expect("it is our child").is_some() {
                break;
            }
            assert!(!deadline.is_over(), "{context}: it hangs: {taken:?}");
            // Half of the room is left to the child.
            if look % 2 == 0 && other.as_ref().is_some_and(|other| other.try_push(&[own; 5]).is_ok()) {
                own += 1;
            }
            taken.extend(pop(&consumer, Duration::from_micros(200)));
        }
        logs.push(Log::of(child));
        if !logs.last().is_some_and(|log: &Log| log.was_killed) {
            break;
        }
    }
    let producer = other.unwrap_or_else(|| open(&name, policy, Role::Producer));
    taken.extend(drain(&producer, &consumer, &context));
    let (own_taken, of_children): (Vec<u64>, Vec<u64>) = taken.into_iter().partition(|n| *n >= OWN);
    assert_eq!(own_taken, (OWN..own).collect::<Vec<_>>(), "{context}");
    assert!(of_children.windows(2).all(|w| w[0] < w[1]), "{context}: out of order or doubled: {of_children:?}");
    let came = set(&of_children);
    let [begun, given, aborted] = ['p', 'w', 'a'].map(|kind| set(&numbers(&logs, kind)));
    assert!(given.is_subset(&came), "{context}: lost: {given:?} given, {came:?} came");
    assert!(came.is_subset(&begun) && came.is_disjoint(&aborted), "{context}: {begun:?} begun, {came:?} came");
    let stats = consumer.stats();
    assert!(stats.skipped <= LONGEST_RUN * deaths(&logs) as u64 && stats.lost == 0, "{context}: {stats:?}");
    if policy == Policy::Spsc && what == "produce" {
        // A batch of two, for which there was room, is published completely or not at all.
        for batch in (1..OWN).step_by(3) {
            assert_eq!(came.contains(&batch), came.contains(&(batch + 1)), "{context}: half a batch: {came:?}");
        }
    }
    assert_whole(&producer, &consumer, &context);
    fate_of(&logs, "p", "wa")
}

/// A consumer is killed before store `kills[0]`, its successor before `kills[1]`, while this
/// process produces; then another takes their place.
fn consumer_dies(what: &str, policy: Policy, places: Places, kills: &[u64]) -> Fate {
    let name = Name::new(what, policy);
    let context = format!("{what}, {policy:?}, stores {kills:?}");
    prepare(&name, policy, places);
    let producer = open(&name, policy, Role::Producer);
    let (mut next, mut end, mut logs, mut deadline) = (0, COUNT, Vec::new(), Deadline::within(PATIENCE));
    for &kill_at in kills {
        let mut child = spawn(what, &name, policy, 0..COUNT, Some(kill_at));
        // One more, which ends the child.
        end += 1;
        while child.try_wait().expect("it is our child").is_none() {
            assert!(!deadline.is_over(), "{context}: it hangs");
            // Runs of two and of one by turns, so that the child splits some.
            let run: Vec<Message> = (next..end.min(next + 1 + next % 2)).map(|number| [number; 5]).collect();
            next += producer.push_many(&run).unwrap_or(0) as u64;
            std::thread::yield_now();
        }
        logs.push(Log::of(child));
        if !logs.last().is_some_and(|log: &Log| log.was_killed) {
            break;
        }
    }
    let consumer = open(&name, policy, Role::Consumer);
    let mut taken = Vec::new();
    while next < end {
        assert!(!deadline.is_over(), "{context}: stuck at {next}");
        next += u64::from(producer.try_push(&[next; 5]).is_ok());
        taken.extend(pop(&consumer, Duration::from_millis(1)));
    }
    taken.extend(drain(&producer, &consumer, &context));
    assert_whole(&producer, &consumer, &context);
    let (stats, deaths) = (consumer.stats(), deaths(&logs) as u64);
    let received = numbers(&logs, 'r');
    let all = [&received[..], &taken].concat();
    assert!(all.is_sorted(), "{context}: out of order: {received:?}, then {taken:?}");
    let came = set(&all);
    let (missing, twice) = ((0..end).filter(|n| !came.contains(n)).count() as u64, (all.len() - came.len()) as u64);
    if policy == Policy::Spsc {
        // Messages that it had peeked at and not released come to the successor. A pop that has not
        // returned may have taken its batch.
        assert_eq!((stats.lost, stats.skipped), (0, 0), "{context}");
        assert!(twice <= if what == "peek" { deaths } else { 0 }, "{context}: {received:?}, then {taken:?}");
    } else {
        assert_eq!(twice, 0, "{context}: offered again: {received:?}, then {taken:?}");
        assert!(stats.lost <= LONGEST_RUN * deaths && stats.skipped == 0, "{context}: {stats:?}");
    }
    // Released inside a pop that has not returned.
    let in_pops = if what == "consume" { LONGEST_RUN * deaths } else { 0 };
    // A successor may be killed after it has given up a claim and before it has counted that.
    let uncounted = if policy == Policy::Spsc { 0 } else { LONGEST_RUN * deaths.saturating_sub(1) };
    let counted = stats.lost;
    assert!(missing <= counted + in_pops + uncounted, "{context}: {missing} lost, {counted} counted: {received:?}, {taken:?}");
    fate_of(&logs, if what == "peek" { "qr" } else { "q" }, if what == "peek" { "d" } else { "r" })
}

fn open_side(side: EndpointSide, name: &Name, policy: Policy, context: &str) -> Endpoint<Message> {
    Endpoint::open(&name.0, policy, side, CAPACITY).unwrap_or_else(|e| panic!("{context}: {side:?}: {e}"))
}

/// Checks that what came is what was given, in order, each message once, and perhaps the one that
/// was being given.
fn check_given(came: &[u64], logs: &[Log], context: &str) {
    let [begun, given] = ['p', 'w'].map(|kind| set(&numbers(logs, kind)));
    assert!(came.windows(2).all(|w| w[0] < w[1]), "{context}: out of order or doubled: {came:?}");
    let came = set(came);
    assert!(given.is_subset(&came) && came.is_subset(&begun), "{context}: {begun:?} begun, {given:?} given, {came:?} came");
}

/// Side B answers side A, and is killed before store `kills[0]`, its successor before `kills[1]`;
/// then another takes their place.
fn answerer_dies(what: &str, policy: Policy, kills: &[u64]) -> Fate {
    let name = Name::new(what, policy);
    let context = format!("{what}, {policy:?}, stores {kills:?}");
    let a = open_side(EndpointSide::A, &name, policy, &context);
    let (mut next, mut came, mut logs, mut deadline) = (0, Vec::new(), Vec::new(), Deadline::within(PATIENCE));
    while logs.last().is_none_or(|log: &Log| log.was_killed) {
        assert!(logs.len() <= kills.len(), "{context}: the last one is not armed");
        let mut child = spawn(what, &name, policy, 0..COUNT, kills.get(logs.len()).copied());
        // The message that ends a child, once for each.
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
    let deaths = deaths(&logs) as u64;
    let b = open_side(EndpointSide::B, &name, policy, &context);
    came.extend(drain(b.outgoing(), a.incoming(), &context));
    check_given(&came, &logs, &context);
    let received: Vec<u64> = numbers(&logs, 'r').into_iter().filter(|n| *n < COUNT).collect();
    assert!(received.windows(2).all(|w| w[0] < w[1]), "{context}: asked twice or out of order: {received:?}");
    let left = drain(a.outgoing(), b.incoming(), &context);
    assert!(left.iter().all(|&number| number >= COUNT), "{context}: not answered: {left:?}");
    // One for each child in a pop that has not returned.
    let (asked, answered) = (a.outgoing().stats(), a.incoming().stats());
    assert!(COUNT - received.len() as u64 <= deaths, "{context}: lost: {received:?}, {asked:?}");
    assert!(asked.lost <= deaths && asked.skipped == 0, "{context}: {asked:?}");
    assert!(answered.skipped <= deaths && answered.lost == 0, "{context}: {answered:?}");
    assert_whole(a.outgoing(), b.incoming(), &context);
    assert_whole(b.outgoing(), a.incoming(), &context);
    fate_of(&logs, "p", "w")
}

/// Side B creates the endpoint alone, leaves messages and closes; it is killed before store
/// `kill_at`. `false`: it ended before.
fn leaver_dies(what: &str, policy: Policy, kill_at: u64) -> bool {
    let name = Name::new(what, policy);
    let context = format!("{what}, {policy:?}, store {kill_at}");
    let log = Log::of(spawn(what, &name, policy, 0..COUNT, Some(kill_at)));
    let was_killed = log.was_killed;
    let (a, b) = (open_side(EndpointSide::A, &name, policy, &context), open_side(EndpointSide::B, &name, policy, &context));
    check_given(&drain(b.outgoing(), a.incoming(), &context), &[log], &context);
    assert_eq!(drain(a.outgoing(), b.incoming(), &context), [], "{context}: nobody has sent that");
    assert_whole(a.outgoing(), b.incoming(), &context);
    assert_whole(b.outgoing(), a.incoming(), &context);
    was_killed
}

const POLICIES: [Policy; 3] = [Policy::Spsc, Policy::Mpsc, Policy::Mpmc];

fn sweep(what: &str, least: u64, dies: impl Fn(Policy, u64) -> bool) {
    for policy in POLICIES {
        let start = Instant::now();
        let stores = (0..).find(|&kill_at| !dies(policy, kill_at)).expect("it ends");
        println!("{what}, {policy:?}: killed before each of its {stores} stores, {:.1} s", start.elapsed().as_secs_f64());
        assert!(stores > least, "only {stores} stores: the process did not do its work");
    }
}

fn sweep_repairs(what: &str, strides: &Strides, dies: impl Fn(Policy, &[u64]) -> Fate) {
    for policy in POLICIES {
        let least = Least { repair: 5, inside: 20 };
        repair_sweep(&format!("{what}, {policy:?}"), "at it", strides, &least, |kills| dies(policy, kills));
    }
}

#[test]
fn a_producer_that_is_killed_at_any_store_stops_nobody() {
    sweep("produce", 35, |policy, kill_at| producer_dies("produce", policy, Places::Fresh, &[kill_at]).deaths > 0);
}

#[test]
fn a_producer_that_is_killed_at_any_store_of_reserve_commit_and_abort_stops_nobody() {
    sweep("reserve", 35, |policy, kill_at| producer_dies("reserve", policy, Places::Fresh, &[kill_at]).deaths > 0);
}

#[test]
fn a_consumer_that_is_killed_at_any_store_stops_nobody() {
    sweep("consume", 12, |policy, kill_at| consumer_dies("consume", policy, Places::Fresh, &[kill_at]).deaths > 0);
}

#[test]
fn a_consumer_that_is_killed_at_any_store_of_peek_and_release_stops_nobody() {
    sweep("peek", 12, |policy, kill_at| consumer_dies("peek", policy, Places::Fresh, &[kill_at]).deaths > 0);
}

#[test]
fn a_side_of_an_endpoint_that_is_killed_at_any_store_stops_neither_direction() {
    sweep("answer", 60, |policy, kill_at| answerer_dies("answer", policy, &[kill_at]).deaths > 0);
}

#[test]
fn a_side_that_is_killed_while_it_makes_or_closes_an_endpoint_stops_nobody() {
    sweep("leave", 25, |policy, kill_at| leaver_dies("leave", policy, kill_at));
}

const PRODUCERS: Strides = Strides { inside: 1, elsewhere: 5 };
const CONSUMERS: Strides = Strides { inside: 2, elsewhere: 5 };
const SIDES: Strides = Strides { inside: 4, elsewhere: 20 };

#[test]
fn a_producer_that_is_killed_while_it_repairs_leaves_the_repair_to_the_next() {
    sweep_repairs("produce", &PRODUCERS, |policy, kills| producer_dies("produce", policy, Places::Dead, kills));
}

#[test]
fn a_producer_in_place_that_is_killed_while_it_repairs_leaves_the_repair_to_the_next() {
    sweep_repairs("reserve", &PRODUCERS, |policy, kills| producer_dies("reserve", policy, Places::Dead, kills));
}

#[test]
fn a_consumer_that_is_killed_while_it_repairs_leaves_the_repair_to_the_next() {
    sweep_repairs("consume", &CONSUMERS, |policy, kills| consumer_dies("consume", policy, Places::Dead, kills));
}

#[test]
fn a_consumer_in_place_that_is_killed_while_it_repairs_leaves_the_repair_to_the_next() {
    sweep_repairs("peek", &CONSUMERS, |policy, kills| consumer_dies("peek", policy, Places::Dead, kills));
}

#[test]
fn a_side_of_an_endpoint_that_is_killed_while_it_repairs_leaves_the_repair_to_the_next() {
    sweep_repairs("answer", &SIDES, |policy, kills| answerer_dies("answer", policy, kills));
}
