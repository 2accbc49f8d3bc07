//! VILLASnode's queue, whose cells are claimed in runs, with death as an event.
//!
//! Loom watches a companion of each cell, and the contents of a block, as cells of its own. So it
//! reports what is read before it is written, or overwritten before it is read.

use crate::harness::{at_most, explore, explore_kills, until_killed};
use crate::protocol::atomics::{Shared32, Shared64};
use crate::protocol::bounded::{BoundedWords, claim_empty, claim_full, claim_seen, give_up, see_empty, skip_unfilled};
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

struct Cell {
    sequence: Shared64,
    data: Shared64,
    contents: UnsafeCell<u64>,
}

struct Words {
    tail: Shared64,
    head: Shared64,
    cells: Vec<Cell>,
}

#[derive(Clone)]
struct Queue(Arc<Words>);

impl Queue {
    fn new(cells: u64) -> Queue {
        Queue::after(cells, 0)
    }

    /// An empty queue that has passed so many elements.
    fn after(cells: u64, passed: u64) -> Queue {
        let cell = |index: u64| {
            let position = passed.wrapping_add(index.wrapping_sub(passed) % cells);
            Cell { sequence: Shared64::new(position), data: Shared64::new(0), contents: UnsafeCell::new(0) }
        };
        let [tail, head] = [passed; 2].map(Shared64::new);
        Queue(Arc::new(Words { tail, head, cells: (0..cells).map(cell).collect() }))
    }

    fn cell(&self, position: u64) -> &Cell {
        &self.0.cells[(position % self.cells()) as usize]
    }

    /// Pushes as many of the values as one run takes; returns how many.
    fn push(&self, values: &[u64]) -> usize {
        self.fill(claim_empty(self, values.len()), values)
    }

    /// As `push`, with a look before it, as a writer has.
    fn push_after_a_look(&self, values: &[u64]) -> usize {
        let seen = see_empty(self, values.len());
        if seen.count() == 0 { 0 } else { self.fill(claim_seen(self, seen, seen.count()), values) }
    }

    fn fill(&self, run: Option<crate::protocol::bounded::Run>, values: &[u64]) -> usize {
        let Some(run) = run else { return 0 };
        let (count, first) = (run.count(), run.position());
        run.fill(self, |at| {
            // SAFETY: loom reports the access if it is not ordered with others.
            self.cell(first + at as u64).contents.with_mut(|contents| unsafe { *contents = values[at] });
            values[at]
        });
        count
    }

    /// Pulls up to `most` values in one run.
    fn pull(&self, most: usize) -> Vec<u64> {
        let mut values = Vec::new();
        let run = claim_full(self, most, |at, data| {
            values.truncate(at);
            values.push(data);
            true
        });
        let Some(run) = run else { return Vec::new() };
        values.truncate(run.count());
        for (position, value) in (run.position()..).zip(&values) {
            // SAFETY: as above.
            assert_eq!(self.cell(position).contents.with(|contents| unsafe { *contents }), *value);
        }
        run.empty(self);
        values
    }

    /// What is left when all other threads have ended. `last`: one of them died.
    fn drain(&self, last: bool) -> Vec<u64> {
        let mut values = Vec::new();
        loop {
            let more = self.pull(2);
            if more.is_empty() && !(last && skip_unfilled(self)) {
                return values;
            }
            values.extend(more);
        }
    }
}

impl BoundedWords for Queue {
    fn cells(&self) -> u64 {
        self.0.cells.len() as u64
    }
    fn tail(&self) -> &Shared64 {
        &self.0.tail
    }
    fn head(&self) -> &Shared64 {
        &self.0.head
    }
    fn sequence(&self, position: u64) -> &Shared64 {
        &self.cell(position).sequence
    }
    fn data(&self, position: u64) -> &Shared64 {
        &self.cell(position).data
    }
}

/// Checks that each value that was given came out once, those of one producer in order.
fn assert_same(given: &[&[u64]], taken: &[&[u64]]) {
    for values in taken {
        for producer in given {
            let of_one: Vec<u64> = values.iter().copied().filter(|value| producer.contains(value)).collect();
            assert!(of_one.is_sorted(), "{given:?} came as {taken:?}");
        }
    }
    let [mut all, mut expected] = [taken.concat(), given.concat()];
    all.sort_unstable();
    expected.sort_unstable();
    assert_eq!(all, expected, "{given:?} came as {taken:?}");
}

#[test]
fn runs_cross_whole_and_in_order() {
    explore(at_most(3, 4), || {
        let queue = Queue::new(2);
        let theirs = queue.clone();
        let consumer = thread::spawn(move || {
            let mut values = Vec::new();
            while values.len() < 4 {
                let more = theirs.pull(2);
                if more.is_empty() {
                    thread::yield_now();
                }
                values.extend(more);
            }
            values
        });
        let mut given = 0;
        while given < 4 {
            let values = [given + 1, given + 2];
            let pushed = queue.push(&values[..if given == 3 { 1 } else { 2 }]);
            if pushed == 0 {
                thread::yield_now();
            }
            given += pushed as u64;
        }
        assert_eq!(consumer.join().unwrap(), [1, 2, 3, 4]);
    });
}

#[test]
fn runs_of_two_producers_never_overlap() {
    explore(at_most(2, 3), || {
        let queue = Queue::new(4);
        let theirs = queue.clone();
        let first = thread::spawn(move || theirs.push(&[11, 12]));
        let theirs = queue.clone();
        let second = thread::spawn(move || {
            // The other may take a part of the room that was seen.
            let pushed = theirs.push_after_a_look(&[21, 22]);
            pushed + theirs.push(&[21, 22][pushed..])
        });
        let mut taken = queue.pull(3);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (2, 2));
        taken.extend(queue.drain(false));
        assert_same(&[&[11, 12], &[21, 22]], &[&taken]);
    });
}

#[test]
fn runs_of_two_consumers_never_overlap_and_free_their_cells_for_a_producer() {
    explore(at_most(2, 3), || {
        let queue = Queue::new(2);
        assert_eq!(queue.push(&[1, 2]), 2);
        let theirs = queue.clone();
        let other = thread::spawn(move || theirs.pull(2));
        let theirs = queue.clone();
        let producer = thread::spawn(move || theirs.push(&[3, 4]));
        let mut mine = queue.pull(1);
        let other = other.join().unwrap();
        let pushed = producer.join().unwrap();
        mine.extend(queue.drain(false));
        assert_same(&[&[1, 2, 3, 4][..2 + pushed]], &[&mine, &other]);
    });
}

/// Others use the cells for more than a lap, across the position at which positions begin again,
/// while a producer or a consumer is about to claim what it has seen.
#[test]
fn who_has_seen_cells_of_an_earlier_lap_claims_none_of_them() {
    for is_producer in [true, false] {
        explore(at_most(2, 3), move || {
            let queue = Queue::after(2, u64::MAX - 1);
            let theirs = queue.clone();
            let late = thread::spawn(move || match is_producer {
                true => (theirs.push_after_a_look(&[11, 12]), Vec::new()),
                false => (0, theirs.pull(2)),
            });
            let (mut given, mut taken) = (Vec::new(), Vec::new());
            for values in [[21, 22], [23, 24]] {
                given.extend_from_slice(&values[..queue.push(&values)]);
                taken.extend(queue.pull(2));
            }
            let (pushed, its) = late.join().unwrap();
            taken.extend(queue.drain(false));
            assert_same(&[&[11, 12][..pushed], &given], &[&taken, &its]);
        });
    }
}

/// A producer is killed before each of its stores, beside another that lives.
#[test]
fn a_dead_producer_leaves_the_beginning_of_its_run_and_hides_no_other() {
    explore_kills(at_most(2, 3), |fuel| {
        let queue = Queue::new(4);
        let theirs = queue.clone();
        let dead = thread::spawn(move || until_killed(fuel, || assert_eq!(theirs.push(&[11, 12]), 2)));
        let theirs = queue.clone();
        let alive = thread::spawn(move || theirs.push(&[21, 22]));
        let mut taken = queue.pull(1);
        let killed = dead.join().unwrap();
        assert_eq!(alive.join().unwrap(), 2);
        taken.extend(queue.drain(true));
        let of_the_dead: Vec<u64> = taken.iter().copied().filter(|value| *value < 20).collect();
        assert_eq!(of_the_dead, [11, 12][..of_the_dead.len()]);
        assert!(killed || of_the_dead.len() == 2);
        assert_same(&[&of_the_dead, &[21, 22]], &[&taken]);
    });
}

/// A consumer is killed before each of its stores, beside another that lives, and a producer.
#[test]
fn a_dead_consumer_takes_its_run_along_and_nothing_else() {
    explore_kills(at_most(2, 3), |fuel| {
        let queue = Queue::new(4);
        assert_eq!(queue.push(&[1, 2, 3]), 3);
        let theirs = queue.clone();
        let dead = thread::spawn(move || {
            let mut values = Vec::new();
            let killed = until_killed(fuel, || values = theirs.pull(2));
            (killed, values)
        });
        let theirs = queue.clone();
        let producer = thread::spawn(move || theirs.push(&[4, 5]));
        let mut taken = queue.pull(1);
        let ((killed, its), pushed) = (dead.join().unwrap(), producer.join().unwrap());
        taken.extend(queue.drain(false));
        let given = &[1, 2, 3, 4, 5][..3 + pushed];
        let (missing, left): (Vec<u64>, Vec<u64>) =
            given.iter().partition(|value| !taken.contains(value) && !its.contains(value));
        assert!(missing.is_empty() || killed && missing.len() <= 2, "{missing:?} are missing");
        assert!(missing.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{missing:?} are missing");
        assert_same(&[&left], &[&taken, &its]);
    });
}

/// Two processes hold a block and give it up; whoever is last hands it out again.
#[test]
fn a_block_is_free_once_after_all_uses_of_it() {
    explore(None, || {
        let block = Arc::new((Shared32::new(3), UnsafeCell::new(7u64)));
        let release = |shares: u32| {
            let block = block.clone();
            move || {
                // SAFETY: loom reports the access if it is not ordered with others.
                assert_eq!(block.1.with(|contents| unsafe { *contents }), 7);
                let is_free = give_up(&block.0, shares);
                if is_free {
                    block.0.set(0);
                    // SAFETY: as above.
                    block.1.with_mut(|contents| unsafe { *contents = 8 });
                }
                is_free
            }
        };
        let other = thread::spawn(release(2));
        let mine = release(1)();
        assert_eq!(u32::from(other.join().unwrap()) + u32::from(mine), 1);
        assert_eq!(block.0.get(), 0);
    });
}

/// This side sends a block of which it keeps a reference, as `WireRegion::stage` does; its peer is a
/// VILLASnode, which only ever takes one off the references.
#[test]
fn a_block_that_is_sent_and_kept_is_free_once_after_both_have_put_it() {
    explore(None, || {
        let queue = Queue::new(2);
        let block = Arc::new((Shared32::new(1), UnsafeCell::new(7u64)));
        let put = |block: &(Shared32, UnsafeCell<u64>), is_last: &dyn Fn(&Shared32) -> bool| {
            // SAFETY: loom reports the access if it is not ordered with others.
            assert_eq!(block.1.with(|contents| unsafe { *contents }), 7);
            let is_free = is_last(&block.0);
            if is_free {
                block.0.set(0);
                // SAFETY: as above.
                block.1.with_mut(|contents| unsafe { *contents = 8 });
            }
            u32::from(is_free)
        };
        let (theirs, its) = (queue.clone(), block.clone());
        let villasnode = thread::spawn(move || {
            while theirs.pull(1).is_empty() {
                thread::yield_now();
            }
            put(&its, &|references| references.add(u32::MAX) == 1)
        });
        block.0.add(1);
        assert_eq!(queue.push(&[1]), 1);
        let mine = put(&block, &|references| give_up(references, 1));
        assert_eq!(villasnode.join().unwrap() + mine, 1);
        assert_eq!(block.0.get(), 0);
    });
}
