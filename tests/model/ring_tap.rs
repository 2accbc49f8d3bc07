//! Taps of rings under loom. As in `tap`, those who push and pop run in one thread.

use crate::error::Result;
use crate::harness::{at_most, explore};
use crate::protocol::atomics::Shared64;
use crate::protocol::mpmc;
use crate::protocol::ring_tap::{RingFollower, TappedRing};
use crate::protocol::ring_words::{Cause, Policy, RingWords};
use crate::protocol::spsc;
use loom::thread;
use std::sync::Arc;

/// A ring with messages of two words.
struct Shared {
    tail: Shared64,
    head: Shared64,
    words: Vec<Shared64>,
    messages: Vec<[Shared64; 2]>,
}

#[derive(Clone)]
struct Watched(Arc<Shared>);

impl Watched {
    fn new(capacity: usize) -> Watched {
        let word = || Shared64::new(0);
        let words = (0..capacity).map(|_| word()).collect();
        let messages = (0..capacity).map(|_| [word(), word()]).collect();
        Watched(Arc::new(Shared { tail: word(), head: word(), words, messages }))
    }

    fn write(&self, index: u32, value: u64) {
        self.0.messages[index as usize].iter().for_each(|word| word.set(value));
    }
}

impl RingWords for Watched {
    fn capacity(&self) -> u32 {
        self.0.words.len() as u32
    }
    fn tail(&self) -> &Shared64 {
        &self.0.tail
    }
    fn head(&self) -> &Shared64 {
        &self.0.head
    }
    fn word(&self, index: u32) -> &Shared64 {
        &self.0.words[index as usize]
    }
    fn count(&self, _cause: Cause, _messages: u32) {}
}

impl TappedRing for Watched {
    type Words = Watched;
    type Copy = [u64; 2];
    fn words(&self) -> &Watched {
        self
    }
    fn fetch_indices(&mut self) -> Result<()> {
        Ok(())
    }
    fn fetch_slots(&mut self, _index: u32, _count: u32) -> Result<()> {
        Ok(())
    }
    fn copy(&self, index: u32) -> [u64; 2] {
        self.0.messages[index as usize].each_ref().map(Shared64::get)
    }
}

/// Lets a tap look once while `work` runs, at up to the capacity. `may_tear`: a marked copy may be
/// wrong.
fn look_beside(capacity: usize, policy: Policy, may_tear: bool, work: impl FnOnce(Watched) + Send + 'static) {
    let mut shared = Watched::new(capacity);
    let mut follower = RingFollower::new(&mut shared, policy).unwrap();
    let theirs = shared.clone();
    let exchange = thread::spawn(move || work(theirs));
    let found = follower.follow(&mut shared, capacity as u32).unwrap();
    assert_eq!(found.seen.len() as u64 + found.missed, follower.next, "each one that has passed was seen or missed");
    for one in found.seen {
        let copy = one.copy.unwrap();
        assert!(copy == [one.position + 1; 2] || may_tear && one.may_have_changed, "{copy:?} at {}", one.position);
    }
    exchange.join().unwrap();
}

#[test]
fn a_tap_sees_spsc_messages_whole_while_they_wait() {
    explore(at_most(3, 4), || {
        look_beside(1, Policy::Spsc, true, |ring| {
            let mut producer = spsc::Producer::recover(&ring, true).unwrap();
            let mut consumer = spsc::Consumer::recover(&ring).unwrap();
            for value in 1..=2 {
                assert_eq!(producer.room(&ring, 1).unwrap(), 1);
                ring.write(producer.index(), value);
                producer.publish(&ring, 1);
                assert!(consumer.comes(&ring, 1));
                consumer.release(&ring, 1);
            }
        });
    });
}

#[test]
fn a_tap_marks_spsc_messages_that_a_batch_may_be_about_to_overwrite() {
    explore(at_most(2, 3), || {
        look_beside(2, Policy::Spsc, true, |ring| {
            let mut producer = spsc::Producer::recover(&ring, true).unwrap();
            let mut consumer = spsc::Consumer::recover(&ring).unwrap();
            for batch in [[1, 2], [3, 4]] {
                assert_eq!(producer.room(&ring, 2).unwrap(), 2);
                let slots = producer.run(2).into_iter().flatten();
                for ((at, value), index) in (0..).zip(batch).zip(slots) {
                    ring.write(index, value);
                    producer.stage(&ring, index, at);
                }
                if batch == [1, 2] {
                    producer.publish(&ring, 2);
                    consumer.release(&ring, 2);
                }
            }
        });
    });
}

/// Pushes a run of these values.
fn push_run(ring: &Watched, values: &[u64]) {
    let Ok(ticket) = mpmc::claim(ring, 1, values.len() as u32).unwrap() else { panic!("no room") };
    assert_eq!(ticket.count() as usize, values.len());
    for (slot, &value) in (ticket.index..).zip(values) {
        ring.write(slot % ring.capacity(), value);
    }
    ticket.publish(ring).unwrap();
}

/// Takes so many messages of a run, and writes this value into each, if any.
fn pop_run(ring: &Watched, count: u32, edit: Option<u64>) {
    let Ok(ticket) = mpmc::take(ring, 1, count).unwrap() else { panic!("no message") };
    assert_eq!(ticket.count(), count);
    for slot in ticket.index..ticket.index + count {
        edit.into_iter().for_each(|value| ring.write(slot % ring.capacity(), value));
    }
    ticket.release(ring).unwrap();
}

#[test]
fn a_tap_sees_mpmc_messages_whole_until_their_slot_is_claimed() {
    explore(at_most(3, 4), || {
        look_beside(1, Policy::Mpmc, false, |ring| {
            for value in 1..=2 {
                push_run(&ring, &[value]);
                pop_run(&ring, 1, None);
            }
        });
    });
}

#[test]
fn a_tap_sees_runs_whole_until_a_run_that_begins_before_them_is_claimed() {
    explore(at_most(2, 3), || {
        look_beside(2, Policy::Mpmc, false, |ring| {
            push_run(&ring, &[1, 2]);
            pop_run(&ring, 1, None);
            pop_run(&ring, 1, None);
            push_run(&ring, &[3, 4]);
        });
    });
}

#[test]
fn a_tap_marks_what_a_consumer_has_taken_of_a_run_as_it_may_have_changed_it() {
    explore(at_most(3, 4), || {
        look_beside(2, Policy::Mpmc, true, |ring| {
            push_run(&ring, &[1, 2]);
            pop_run(&ring, 1, Some(9));
        });
    });
}
