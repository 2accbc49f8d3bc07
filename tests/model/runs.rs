//! Runs of slots, in rings with many producers or consumers: joined, split, given up, late.

use crate::error::Result;
use crate::harness::{at_most, explore, explore_kills, until_killed};
use crate::protocol::atomics::Shared64;
use crate::protocol::mpmc::{self, Ticket};
use crate::protocol::mpmc_look;
use crate::protocol::ring_words::RingWords;
use crate::ring::{Ring, assert_same};
use loom::thread;

/// A ring that has passed so many messages: the runs of a test then end beyond the ring's end.
fn ring_after(capacity: usize, passed: u64) -> Ring {
    let ring = Ring::new(capacity, 3);
    for value in 0..passed {
        assert!(ring.push(0, value));
        assert_eq!(ring.pop(0), Some(value));
    }
    ring
}

/// Gives the values, run after run, until the ring is full; which ones it has accepted.
fn gives(ring: &Ring, me: u32, values: &[u64]) -> Vec<u64> {
    let mut given = 0;
    while given < values.len() {
        match ring.push_run(me, &values[given..]) {
            0 => break,
            more => given += more,
        }
    }
    values[..given].to_vec()
}

#[test]
fn runs_of_two_producers_come_out_whole_once_and_in_each_ones_order() {
    for (capacity, passed) in [(2, 0), (3, 2)] {
        explore(Some(2), move || {
            let ring = ring_after(capacity, passed);
            let theirs = ring.clone();
            let first = thread::spawn(move || gives(&theirs, 1, &[11, 12]));
            let theirs = ring.clone();
            let second = thread::spawn(move || gives(&theirs, 2, &[21, 22]));
            let mut taken = ring.pop_run(0, 2);
            taken.extend(ring.pop_run(0, 1));
            let (first, second) = (first.join().unwrap(), second.join().unwrap());
            taken.extend(ring.drain(0));
            assert!(first.len() + second.len() >= capacity, "room was left unused");
            assert_same(&[&first, &second], &[&taken]);
            ring.assert_whole(0);
        });
    }
}

#[test]
fn two_consumers_split_a_run_beside_a_producer_that_needs_its_slots() {
    for passed in [0, 1] {
        explore(Some(2), move || {
            let ring = ring_after(3, passed);
            let mut given = gives(&ring, 0, &[1, 2, 3]);
            assert_eq!(given.len(), 3);
            let theirs = ring.clone();
            let other = thread::spawn(move || theirs.pop_run(1, 1));
            let theirs = ring.clone();
            let writer = thread::spawn(move || gives(&theirs, 0, &[4, 5]));
            let mut mine = ring.pop_run(2, 2);
            let other = other.join().unwrap();
            given.extend(writer.join().unwrap());
            assert!(!mine.is_empty() && !other.is_empty(), "three can be had");
            mine.extend(ring.drain(2));
            assert_same(&[&given], &[&mine, &other]);
            ring.assert_whole(0);
        });
    }
}

#[test]
fn two_producers_split_free_slots_beside_a_consumer() {
    for passed in [0, 1] {
        explore(Some(2), move || {
            let ring = ring_after(3, passed);
            // From here on, all three slots are one run.
            assert_eq!(gives(&ring, 0, &[1, 2, 3]), ring.pop_run(0, 3));
            let theirs = ring.clone();
            let first = thread::spawn(move || gives(&theirs, 1, &[11]));
            let theirs = ring.clone();
            let second = thread::spawn(move || gives(&theirs, 2, &[21, 22]));
            let mut taken = ring.pop_run(0, 3);
            let (first, second) = (first.join().unwrap(), second.join().unwrap());
            assert_eq!((first.len(), second.len()), (1, 2));
            taken.extend(ring.drain(0));
            assert_same(&[&first, &second], &[&taken]);
            ring.assert_whole(0);
        });
    }
}

/// Others use the slots for more than a lap while a producer is about to split free slots.
fn producer_splits_late(capacity: usize, preemptions: Option<usize>) {
    explore(preemptions, move || {
        let ring = ring_after(capacity, 0);
        let values = [1, 2, 3];
        assert_eq!(gives(&ring, 0, &values[..capacity]), ring.pop_run(0, 3));
        let theirs = ring.clone();
        let late = thread::spawn(move || gives(&theirs, 1, &[11]));
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        for (values, most) in [(&[21, 22][..], 2), (&[23][..], 1), (&[24, 25][..], 2)] {
            given.extend(gives(&ring, 0, values));
            taken.extend(ring.pop_run(0, most));
        }
        let late = late.join().unwrap();
        taken.extend(ring.drain(0));
        assert_same(&[&late, &given], &[&taken]);
        ring.assert_whole(0);
    });
}

#[test]
fn a_producer_that_splits_late_harms_nobody() {
    producer_splits_late(2, at_most(2, 3));
}

#[test]
fn a_producer_that_splits_a_run_of_three_late_harms_nobody() {
    producer_splits_late(3, at_most(1, 2));
}

/// As a producer, a consumer.
fn consumer_splits_late(capacity: usize, preemptions: Option<usize>) {
    explore(preemptions, move || {
        let ring = ring_after(capacity, 0);
        let values = [1, 2, 3];
        let mut given = gives(&ring, 0, &values[..capacity]);
        let theirs = ring.clone();
        let late = thread::spawn(move || theirs.pop_run(1, 1));
        let mut taken = Vec::new();
        for (most, values) in [(2, &[4, 5][..]), (1, &[6][..]), (2, &[7, 8][..])] {
            taken.extend(ring.pop_run(0, most));
            given.extend(gives(&ring, 0, values));
        }
        let late = late.join().unwrap();
        taken.extend(ring.drain(0));
        assert_same(&[&given], &[&taken, &late]);
        ring.assert_whole(0);
    });
}

#[test]
fn a_consumer_that_splits_late_harms_nobody() {
    consumer_splits_late(2, at_most(2, 3));
}

#[test]
fn a_consumer_that_splits_a_run_of_three_late_harms_nobody() {
    consumer_splits_late(3, at_most(1, 2));
}

/// A producer of runs is killed before each of its stores.
#[test]
fn a_run_of_a_dead_producer_comes_whole_or_is_skipped() {
    for (capacity, passed) in [(2, 0), (3, 2)] {
        explore_kills(at_most(2, 3), move |fuel| {
            let ring = ring_after(capacity, passed);
            assert_eq!(gives(&ring, 0, &[1, 2]), ring.pop_run(0, 2));
            let theirs = ring.clone();
            let dead = thread::spawn(move || {
                let mut given = 0;
                let killed = until_killed(fuel, || {
                    given += theirs.push_run(1, &[11]);
                    given += theirs.push_run(1, &[12, 13]);
                });
                theirs.die(1);
                (killed, given)
            });
            let mut taken = ring.pop_run(2, 2);
            let mut own = gives(&ring, 0, &[21, 22]);
            taken.extend(ring.pop_run(2, 2));
            let (killed, given) = dead.join().unwrap();
            own.extend(gives(&ring, 0, &[23]));
            taken.extend(ring.drain(2));
            let of_dead: Vec<u64> = taken.iter().copied().filter(|v| *v < 20).collect();
            assert!(of_dead.len() >= given && (killed || of_dead.len() == given));
            assert_same(&[&of_dead, &own], &[&taken]);
            assert!(ring.skipped() <= 2 * usize::from(killed) && ring.lost() == 0);
            ring.assert_whole(2);
        });
    }
}

/// A consumer that splits runs is killed before each of its stores.
#[test]
fn what_a_dead_consumer_had_taken_of_a_run_is_counted_and_the_rest_delivered() {
    for passed in [0, 2] {
        explore_kills(at_most(2, 3), move |fuel| {
            let ring = ring_after(3, passed);
            let mut given = gives(&ring, 0, &[1, 2, 3]);
            let theirs = ring.clone();
            let dead = thread::spawn(move || {
                let mut got = Vec::new();
                until_killed(fuel, || {
                    for most in [2, 1] {
                        if let Ok(ticket) = mpmc::take(&theirs, 1, most).unwrap() {
                            got.extend(theirs.slots(&ticket).map(|slot| theirs.read(slot)));
                            ticket.release(&theirs).unwrap();
                        }
                    }
                });
                theirs.die(1);
                got
            });
            // For these, the dead one's slots are needed.
            given.extend(gives(&ring, 0, &[4]));
            let mut mine = ring.pop_run(2, 1);
            given.extend(gives(&ring, 0, &[5, 6]));
            let got = dead.join().unwrap();
            given.extend(gives(&ring, 0, &[7]));
            mine.extend(ring.drain(2));
            mpmc::settle_all(&ring, 1).unwrap();
            let missing: Vec<u64> = given.iter().copied().filter(|v| !mine.contains(v)).collect();
            assert!(got.iter().all(|v| missing.contains(v)), "{got:?} came twice");
            assert!(missing.len() <= got.len() + ring.lost() && ring.lost() <= missing.len());
            assert_same(&[&given], &[&mine, &missing]);
            assert_eq!(ring.skipped(), 0);
            ring.assert_whole(2);
        });
    }
}

/// Publishes a run of up to `most` messages that nobody writes: a participant that was taken for
/// dead writes beside others, and the model is to look at the words alone. How many.
fn publish(ring: &Ring, me: u32, most: u32) -> usize {
    let ticket = ring.get(me, |ring| mpmc::claim(ring, me, most).unwrap());
    ticket.map_or(0, |ticket| done(ticket.publish(ring), ticket))
}

/// Takes up to `most` messages, unread; how many.
fn consume(ring: &Ring, me: u32, most: u32) -> usize {
    let ticket = ring.get(me, |ring| mpmc::take(ring, me, most).unwrap());
    ticket.map_or(0, |ticket| done(ticket.release(ring), ticket))
}

/// 0: another has given it up.
fn done(result: Result<()>, ticket: Ticket) -> usize {
    match result {
        Ok(()) => ticket.count() as usize,
        Err(e) => {
            assert_eq!(e.errno(), libc::ESTALE);
            0
        }
    }
}

/// Others find it dead between any two of its steps.
#[test]
fn a_producer_that_was_taken_for_dead_publishes_its_run_wholly_or_not_at_all() {
    explore(at_most(2, 3), || {
        let ring = ring_after(3, 2);
        assert_eq!(gives(&ring, 0, &[1, 2, 3]), ring.pop_run(0, 3));
        let theirs = ring.clone();
        let late = thread::spawn(move || {
            theirs.die(1);
            publish(&theirs, 1, 2)
        });
        let (mut given, mut taken) = (0, 0);
        for count in [2, 1] {
            given += publish(&ring, 0, count);
            taken += consume(&ring, 0, 2);
        }
        given += late.join().unwrap();
        mpmc::settle_all(&ring, 1).unwrap();
        while taken < given {
            let more = consume(&ring, 0, 3);
            assert!(more > 0, "{taken} of {given} came");
            taken += more;
        }
        assert_eq!((taken, ring.lost()), (given, 0));
        ring.assert_whole(0);
    });
}

/// A newcomer has the number of a producer that was taken for dead. That goes on, to a claim that
/// comes after the newcomer, too, until it is killed before one of its stores, or to the end.
#[test]
fn a_newcomer_keeps_what_it_claims_beside_one_that_had_its_number_and_goes_on() {
    explore_kills(at_most(2, 3), |fuel| {
        let ring = ring_after(2, 1);
        let theirs = ring.clone();
        let late = thread::spawn(move || {
            let mut given = 0;
            until_killed(fuel, || given += publish(&theirs, 1, 2));
            given
        });
        ring.die(1);
        let ring = ring.taken_over(1);
        let (mut given, mut taken) = (0, 0);
        for count in [1, 2] {
            let ticket = ring.get(1, |ring| mpmc::claim(ring, 1, count).unwrap());
            given += ticket.map_or(0, |ticket| {
                ticket.publish(&ring).unwrap();
                ticket.count() as usize
            });
            taken += consume(&ring, 1, 2);
        }
        given += late.join().unwrap();
        while taken < given {
            let more = consume(&ring, 1, 2);
            assert!(more > 0, "{taken} of {given} came");
            taken += more;
        }
        // A claim of one that was killed is met, and given up.
        assert_eq!(consume(&ring, 1, 2), 0);
        ring.assert_whole(1);
        assert_eq!((taken, ring.lost()), (given, 0));
    });
}

/// A producer is killed before each of its stores: what it had claimed by then takes room, whether
/// `tail` says so or not.
#[test]
fn a_claim_of_a_dead_producer_takes_room() {
    explore_kills(None, |fuel| {
        let ring = ring_after(3, 2);
        until_killed(fuel, || {
            for count in [1, 2] {
                publish(&ring, 1, count);
            }
        });
        let mut left = 3 - mpmc_look::fill(&ring).unwrap().between;
        while let Ok(ticket) = mpmc::claim(&ring, 0, 1).unwrap() {
            ticket.publish(&ring).unwrap();
            left -= 1;
        }
        assert_eq!(left, 0);
    });
}

#[test]
fn a_consumer_that_was_taken_for_dead_frees_what_it_took_once() {
    explore(at_most(2, 3), || {
        let ring = ring_after(3, 2);
        let mut given = publish(&ring, 0, 3);
        let theirs = ring.clone();
        let late = thread::spawn(move || {
            theirs.die(1);
            consume(&theirs, 1, 2)
        });
        let mut taken = 0;
        for count in [1, 2, 2] {
            given += publish(&ring, 0, count);
            taken += consume(&ring, 2, 2);
        }
        taken += late.join().unwrap();
        mpmc::settle_all(&ring, 1).unwrap();
        while taken + ring.lost() < given {
            let more = consume(&ring, 2, 3);
            assert!(more > 0, "{taken} of {given} came, {} were lost", ring.lost());
            taken += more;
        }
        assert_eq!((taken + ring.lost(), ring.skipped()), (given, 0));
        ring.assert_whole(0);
    });
}

#[test]
fn a_run_that_is_given_up_stops_nobody() {
    explore(Some(2), || {
        let ring = ring_after(2, 1);
        let theirs = ring.clone();
        let other = thread::spawn(move || {
            if let Ok(ticket) = mpmc::claim(&theirs, 1, 2).unwrap() {
                ticket.abort(&theirs).unwrap();
            }
        });
        let theirs = ring.clone();
        let writer = thread::spawn(move || gives(&theirs, 0, &[21, 22]));
        let mut taken = ring.pop_run(2, 2);
        other.join().unwrap();
        let given = writer.join().unwrap();
        taken.extend(ring.drain(2));
        assert_same(&[&given], &[&taken]);
        assert_eq!((ring.skipped(), ring.lost()), (0, 0));
        ring.assert_whole(0);
    });
}

/// The lap of a word has 46 bits, from bit 18 on.
const LAP_AT: u32 = 18;

#[test]
fn runs_cross_the_lap_at_which_laps_begin_again() {
    explore(at_most(2, 3), || {
        let last_lap = u64::MAX >> LAP_AT;
        // Slot 1 of three: two bits of an index.
        let ring = Ring::that_stands(3, 3, last_lap << 2, last_lap << LAP_AT);
        assert!(ring.push(0, 1) && ring.pop(0) == Some(1));
        let theirs = ring.clone();
        let other = thread::spawn(move || gives(&theirs, 1, &[11, 12, 13]));
        let mut taken = ring.pop_run(0, 2);
        let own = gives(&ring, 0, &[21, 22]);
        taken.extend(ring.pop_run(0, 1));
        let other = other.join().unwrap();
        taken.extend(ring.drain(0));
        assert_same(&[&other, &own], &[&taken]);
        ring.assert_whole(0);
    });
}

/// A word inside runs that are always the same is not written for as long: it may be of any lap.
#[test]
fn a_run_can_be_split_whatever_the_word_inside_it_says() {
    for stale in [1 << 45, (1 << 46) - 1, 2, 3] {
        explore(None, move || {
            let ring = ring_after(2, 0);
            assert_eq!(gives(&ring, 0, &[1, 2]), ring.pop_run(0, 2));
            let word: &Shared64 = ring.word(1);
            word.set(stale << LAP_AT);
            assert!(ring.push(0, 3) && ring.push(0, 4) && !ring.push(0, 5));
            assert_eq!(ring.drain(0), [3, 4]);
            ring.assert_whole(0);
            assert_eq!(gives(&ring, 0, &[1, 2]), ring.pop_run(0, 2));
            assert_eq!(gives(&ring, 0, &[5, 6]), [5, 6]);
            ring.word(1).set(stale << LAP_AT);
            assert_eq!((ring.pop(0), ring.pop(0), ring.pop(0)), (Some(5), Some(6), None));
            ring.assert_whole(0);
        });
    }
}
