//! The rings, with death as an event: a participant is killed before any of its stores, and others
//! find it dead at any later time.
//!
//! Loom watches the contents of a slot as a cell. So it reports a message that is seen before it is
//! written, or overwritten before it is read, even if the values happen to be right.

use crate::harness::{at_most, explore, until_killed};
use crate::protocol::atomics::Shared64;
use crate::protocol::mpmc::{self, Claimed, Obstacle, Ticket};
use crate::protocol::mpmc_look;
use crate::protocol::ring_words::{Cause, RingWords};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use std::sync::Arc;

/// One more than the deaths that a test may have in one place.
const INCARNATIONS: usize = 3;

pub(crate) struct Shared {
    tail: Shared64,
    head: Shared64,
    slots: Vec<(Shared64, UnsafeCell<u64>)>,
    skipped: AtomicUsize,
    lost: AtomicUsize,
    /// For each place: its incarnation, and the incarnations that the kernel knows to be dead.
    places: Vec<(Shared64, [Shared64; INCARNATIONS])>,
}

/// A ring as a participant sees it, which has come as this incarnation of whatever place it has.
#[derive(Clone)]
pub(crate) struct Ring(Arc<Shared>, u64);

impl RingWords for Ring {
    fn capacity(&self) -> u32 {
        self.0.slots.len() as u32
    }
    fn tail(&self) -> &Shared64 {
        &self.0.tail
    }
    fn head(&self) -> &Shared64 {
        &self.0.head
    }
    fn word(&self, index: u32) -> &Shared64 {
        &self.0.slots[index as usize].0
    }
    fn count(&self, cause: Cause, messages: u32) {
        match cause {
            Cause::Skipped => self.0.skipped.fetch_add(messages as usize, SeqCst),
            Cause::Lost => self.0.lost.fetch_add(messages as usize, SeqCst),
        };
    }
}

impl Ring {
    pub(crate) fn new(capacity: usize, places: usize) -> Ring {
        Ring::that_stands(capacity, places, 0, 0)
    }

    /// With these values of the indices and of all words.
    pub(crate) fn that_stands(capacity: usize, places: usize, index: u64, word: u64) -> Ring {
        let place = |_| (Shared64::new(0), std::array::from_fn(|_| Shared64::new(0)));
        let shared = Arc::new(Shared {
            tail: Shared64::new(index),
            head: Shared64::new(index),
            slots: (0..capacity).map(|_| (Shared64::new(word), UnsafeCell::new(0))).collect(),
            skipped: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            places: (0..places).map(place).collect(),
        });
        Ring(shared, 0)
    }

    /// The ring as a newcomer sees it which takes the number of the first holder of a place.
    pub(crate) fn taken_over(&self, place: u32) -> Ring {
        mpmc::settle_all(self, place).unwrap();
        self.0.places[place as usize].0.publish(1);
        Ring(self.0.clone(), 1)
    }

    pub(crate) fn write(&self, index: u32, value: u64) {
        // SAFETY: loom reports the access if it is not ordered with others.
        self.0.slots[index as usize].1.with_mut(|at| unsafe { *at = value });
    }

    pub(crate) fn read(&self, index: u32) -> u64 {
        // SAFETY: as above.
        self.0.slots[index as usize].1.with(|at| unsafe { *at })
    }

    /// What the kernel does at a death.
    pub(crate) fn die(&self, place: u32) {
        let (incarnation, dead) = &self.0.places[place as usize];
        dead[incarnation.get() as usize].publish(1);
    }

    /// As `ring::liveness` does. `me` has no claim of its own while it looks for one.
    pub(crate) fn settle_if_dead(&self, me: u32, claim: &Obstacle) -> bool {
        let Some(owner) = claim.owner() else { return false };
        let (incarnation, dead) = &self.0.places[owner as usize];
        let now = incarnation.observe();
        let is_dead = if owner == me { now == self.1 } else { dead[now as usize].observe() != 0 };
        is_dead && mpmc::settle(self, claim).unwrap()
    }

    /// One attempt, and more only if a dead owner's claim was in the way. No thread waits, because
    /// waiting makes the model large.
    pub(crate) fn get(&self, me: u32, attempt: impl Fn(&Ring) -> Claimed) -> Option<Ticket> {
        loop {
            match attempt(self) {
                Ok(ticket) => return Some(ticket),
                Err(obstacle) if self.settle_if_dead(me, &obstacle) => thread::yield_now(),
                Err(_) => return None,
            }
        }
    }

    pub(crate) fn slots(&self, ticket: &Ticket) -> impl Iterator<Item = u32> + use<> {
        let (first, capacity) = (ticket.index, self.capacity());
        (0..ticket.count()).map(move |at| (first + at) % capacity)
    }

    /// Publishes as many of the values as one run has room for; how many. 0: full.
    pub(crate) fn push_run(&self, me: u32, values: &[u64]) -> usize {
        let Some(ticket) = self.get(me, |ring| mpmc::claim(ring, me, values.len() as u32).unwrap()) else { return 0 };
        self.slots(&ticket).zip(values).for_each(|(slot, &value)| self.write(slot, value));
        ticket.publish(self).unwrap();
        ticket.count() as usize
    }

    /// Takes up to `most` values of a run. None: empty, or the oldest is still being written.
    pub(crate) fn pop_run(&self, me: u32, most: u32) -> Vec<u64> {
        let Some(ticket) = self.get(me, |ring| mpmc::take(ring, me, most).unwrap()) else { return Vec::new() };
        let values = self.slots(&ticket).map(|slot| self.read(slot)).collect();
        ticket.release(self).unwrap();
        values
    }

    /// `false`: full.
    pub(crate) fn push(&self, me: u32, value: u64) -> bool {
        self.push_run(me, &[value]) == 1
    }

    /// `None`: empty, or the oldest message is still being written.
    pub(crate) fn pop(&self, me: u32) -> Option<u64> {
        self.pop_run(me, 1).pop()
    }

    /// Takes what is left when all other threads have ended.
    pub(crate) fn drain(&self, me: u32) -> Vec<u64> {
        std::iter::from_fn(|| self.pop(me)).collect()
    }

    pub(crate) fn skipped(&self) -> usize {
        self.0.skipped.load(SeqCst)
    }

    pub(crate) fn lost(&self) -> usize {
        self.0.lost.load(SeqCst)
    }

    /// Checks that all slots can be filled and emptied again. Once suffices: they are then as
    /// before, one lap on.
    pub(crate) fn assert_whole(&self, me: u32) {
        let fill = mpmc_look::fill(self).unwrap();
        assert_eq!((fill.between, fill.has_room, fill.has_message), (0, true, false));
        for value in 0..u64::from(self.capacity()) {
            assert!(self.push(me, value), "less room than the capacity");
        }
        assert!(!self.push(me, 0), "more room than the capacity");
        for value in 0..u64::from(self.capacity()) {
            assert_eq!(self.pop(me), Some(value));
        }
    }
}

/// Pushes the values; returns those that the ring accepted.
fn pushes(ring: &Ring, me: u32, values: &[u64]) -> Vec<u64> {
    values.iter().copied().filter(|&value| ring.push(me, value)).collect()
}

/// Checks that each pushed message came out once, each producer's in order.
pub(crate) fn assert_same(given: &[&[u64]], taken: &[&[u64]]) {
    let mut all: Vec<u64> = taken.concat();
    for values in taken {
        for producer in given {
            let of_one: Vec<u64> = values.iter().copied().filter(|v| producer.contains(v)).collect();
            assert!(of_one.is_sorted(), "{given:?} came as {taken:?}");
        }
    }
    let mut expected = given.concat();
    all.sort_unstable();
    expected.sort_unstable();
    assert_eq!(all, expected, "{given:?} came as {taken:?}");
}

#[test]
fn messages_of_two_producers_come_out_whole_once_and_in_each_ones_order() {
    for capacity in [1, 2] {
        explore(Some(2), move || {
            let ring = Ring::new(capacity, 3);
            let theirs = ring.clone();
            let first = thread::spawn(move || pushes(&theirs, 1, &[11, 12]));
            let theirs = ring.clone();
            let second = thread::spawn(move || pushes(&theirs, 2, &[21]));
            let mut taken: Vec<u64> = (0..2).filter_map(|_| ring.pop(0)).collect();
            let (first, second) = (first.join().unwrap(), second.join().unwrap());
            taken.extend(ring.drain(0));
            assert!(first.len() + second.len() >= capacity, "room was left unused");
            assert_same(&[&first, &second], &[&taken]);
            ring.assert_whole(0);
        });
    }
}

#[test]
fn two_consumers_share_the_messages() {
    explore(Some(2), || {
        let ring = Ring::new(2, 3);
        let mut given = pushes(&ring, 0, &[1, 2]);
        let theirs = ring.clone();
        let other = thread::spawn(move || theirs.pop(1));
        let theirs = ring.clone();
        let writer = thread::spawn(move || pushes(&theirs, 0, &[3]));
        let mut mine: Vec<u64> = (0..2).filter_map(|_| ring.pop(2)).collect();
        let other: Vec<u64> = other.join().unwrap().into_iter().collect();
        given.extend(writer.join().unwrap());
        assert!(!mine.is_empty(), "one of two can be had");
        mine.extend(ring.drain(2));
        assert_same(&[&given], &[&mine, &other]);
        ring.assert_whole(0);
    });
}

/// A producer is killed before each of its stores, beside a live producer and a live consumer.
#[test]
fn a_dead_producer_stops_nobody_and_what_it_published_is_delivered() {
    for (capacity, fuel) in [(1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (2, 4)] {
        explore(Some(2), move || {
            let ring = Ring::new(capacity, 3);
            let theirs = ring.clone();
            let dead = thread::spawn(move || {
                let mut published = Vec::new();
                let killed = until_killed(fuel, || {
                    for value in [11, 12] {
                        if theirs.push(1, value) {
                            published.push(value);
                        }
                    }
                });
                theirs.die(1);
                (killed, published)
            });
            let theirs = ring.clone();
            let writer = thread::spawn(move || pushes(&theirs, 0, &[21, 22]));
            let mut taken: Vec<u64> = (0..2).filter_map(|_| ring.pop(2)).collect();
            let (killed, published) = dead.join().unwrap();
            let given = writer.join().unwrap();
            taken.extend(ring.drain(2));
            // If it was killed after its last store, `push` has not returned, and the message is
            // there.
            let mut of_dead = published.clone();
            of_dead.extend(taken.iter().filter(|v| **v < 20 && !published.contains(v)));
            assert!(of_dead.len() <= published.len() + usize::from(killed));
            assert_same(&[&of_dead, &given], &[&taken]);
            assert!(ring.skipped() <= usize::from(killed) && ring.lost() == 0);
            ring.assert_whole(0);
        });
    }
}

/// A consumer is killed before each of its stores, beside a live consumer and a live producer.
#[test]
fn a_dead_consumer_stops_nobody_and_its_message_is_counted() {
    for (capacity, fuel) in [(1, 0), (1, 1), (1, 2), (2, 1), (2, 2)] {
        explore(Some(2), move || {
            let ring = Ring::new(capacity, 3);
            let mut given = pushes(&ring, 0, &[1, 2]);
            let theirs = ring.clone();
            let dead = thread::spawn(move || {
                let mut got = Vec::new();
                until_killed(fuel, || {
                    if let Ok(ticket) = mpmc::take(&theirs, 1, 1).unwrap() {
                        got.push(theirs.read(ticket.index));
                        ticket.release(&theirs).unwrap();
                    }
                });
                theirs.die(1);
                got
            });
            let theirs = ring.clone();
            let writer = thread::spawn(move || pushes(&theirs, 0, &[3, 4]));
            let mut mine: Vec<u64> = ring.pop(2).into_iter().collect();
            let got = dead.join().unwrap();
            given.extend(writer.join().unwrap());
            mine.extend(ring.drain(2));
            mpmc::settle_all(&ring, 1).unwrap();
            // Claimed and counted as lost, whether the consumer had read it or not; or read and
            // released.
            let missing: Vec<u64> = given.iter().copied().filter(|v| !mine.contains(v)).collect();
            assert!(missing.len() <= 1 && got.len() <= missing.len());
            assert!(ring.lost() <= missing.len() && missing.len() <= got.len() + ring.lost());
            assert_same(&[&given], &[&mine, &missing]);
            assert_eq!(ring.skipped(), 0);
            ring.assert_whole(0);
        });
    }
}

/// A newcomer that takes over a dead producer's number settles its claims. A consumer that judged
/// the dead one meanwhile does no harm to the newcomer's claims.
#[test]
fn a_newcomer_with_a_dead_ones_number_keeps_what_it_claims() {
    for fuel in [1, 2] {
        explore(at_most(3, 4), move || {
            let ring = Ring::new(1, 3);
            let theirs = ring.clone();
            let producers = thread::spawn(move || {
                until_killed(fuel, || {
                    theirs.push(1, 11);
                });
                theirs.die(1);
                pushes(&theirs.taken_over(1), 1, &[12, 13])
            });
            let mut taken: Vec<u64> = (0..3).filter_map(|_| ring.pop(2)).collect();
            let given = producers.join().unwrap();
            taken.extend(ring.drain(2));
            assert_same(&[&given], &[&taken]);
            assert_eq!((ring.skipped(), ring.lost()), (1, 0));
            ring.assert_whole(0);
        });
    }
}

#[test]
fn a_place_that_is_given_up_stops_nobody() {
    explore(Some(2), || {
        let ring = Ring::new(2, 3);
        let theirs = ring.clone();
        let other = thread::spawn(move || {
            if let Ok(ticket) = mpmc::claim(&theirs, 1, 1).unwrap() {
                ticket.abort(&theirs).unwrap();
            }
            pushes(&theirs, 1, &[11])
        });
        let theirs = ring.clone();
        let writer = thread::spawn(move || pushes(&theirs, 0, &[21]));
        let mut taken: Vec<u64> = (0..2).filter_map(|_| ring.pop(2)).collect();
        let (other, given) = (other.join().unwrap(), writer.join().unwrap());
        taken.extend(ring.drain(2));
        assert_same(&[&other, &given], &[&taken]);
        assert_eq!((ring.skipped(), ring.lost()), (0, 0));
        ring.assert_whole(0);
    });
}
