//! Taps under loom: what a tap calls whole was sent so, whatever the two sides do meanwhile.
//!
//! Both sides of the channel run in one thread. A tap stores nothing, so only the order in which it
//! sees their stores matters, and that is any that the memory model allows.

use crate::error::Result;
use crate::harness::{Mapped, at_most, explore};
use crate::protocol::channel_words::Side;
use crate::protocol::half::{Half, Sizes};
use crate::protocol::tap::{Follower, Sightings, Tapped};
use loom::thread;

const SIZES: Sizes = Sizes { queuelen: 1, entries: 1, home_blocks: 1, history: 0 };

/// The words themselves: each load is fresh.
struct Live(Mapped);

impl Tapped for Live {
    type Words = Mapped;
    type Copy = [u64; 2];
    fn words(&self) -> &Mapped {
        &self.0
    }
    fn fetch_taken(&mut self) -> Result<()> {
        Ok(())
    }
    fn fetch_entries(&mut self, _from: Side, _position: u64, _count: u32) -> Result<()> {
        Ok(())
    }
    fn fetch_headers(&mut self, _blocks: &[u32]) -> Result<()> {
        Ok(())
    }
    fn copy(&mut self, blocks: &[u32], mut take: impl FnMut(usize, [u64; 2])) -> Result<()> {
        blocks.iter().enumerate().for_each(|(at, &block)| take(at, self.0.values(block)));
        Ok(())
    }
}

/// Both sides of a channel, used by one thread.
struct Ends {
    words: Mapped,
    a: Half<Mapped>,
    b: Half<Mapped>,
}

impl Ends {
    fn new() -> Ends {
        let words = Mapped::tapped(SIZES.entries, 2 * SIZES.home_blocks);
        let half = |side| Half::recover(words.clone(), side, SIZES).unwrap();
        Ends { a: half(Side::A), b: half(Side::B), words }
    }

    fn of(&mut self, side: Side) -> &mut Half<Mapped> {
        if side == Side::A { &mut self.a } else { &mut self.b }
    }

    fn alloc(&mut self, value: u64) -> u32 {
        let mut got = None;
        assert_eq!(self.a.alloc(1, |_, block, _| got = Some(block)), 1);
        self.words.fill(got.unwrap(), value);
        got.unwrap()
    }

    fn send(&mut self, from: Side, block: u32) {
        assert_eq!(self.of(from).write(0, 1, |_| block as usize).0, 1);
    }

    fn read(&mut self, side: Side) -> u32 {
        let mut got = None;
        assert_eq!(self.of(side).read(1, |_, block, _| got = Some(block)).unwrap(), 1);
        got.unwrap()
    }

    /// A sample from A to B, which B leaves as it is.
    fn pass(&mut self, value: u64) {
        let block = self.alloc(value);
        self.send(Side::A, block);
        assert_eq!(self.read(Side::B), block);
        assert_eq!(self.b.put(block as usize), Some(0));
    }
}

/// Lets a tap look at what `from` sends while `work` runs, and checks what it sees: with `is_right`,
/// told the position and the copy, whether it is marked or not.
fn look_beside(from: Side, work: impl FnOnce(&mut Ends) + Send + 'static, is_right: impl Fn(u64, [u64; 2], bool) -> bool) {
    let mut ends = Ends::new();
    if from == Side::B {
        // So that both sides have sent different numbers of samples.
        ends.pass(0);
    }
    let mut tap = Live(ends.words.clone());
    let mut follower = Follower::new(&mut tap, from, SIZES.entries, SIZES.queuelen, SIZES.home_blocks).unwrap();
    let exchange = thread::spawn(move || {
        work(&mut ends);
        ends
    });
    let Sightings { seen, missed } = follower.follow(&mut tap, 1).unwrap();
    assert_eq!(seen.len() as u64 + missed, follower.next, "each one that has passed was seen or missed");
    for one in seen {
        let copy = one.copy.unwrap();
        assert!(
            is_right(one.position, copy, one.may_have_changed),
            "{copy:?} at {}, marked {}",
            one.position,
            one.may_have_changed
        );
    }
    drop(exchange.join().unwrap());
}

fn is_as_sent(position: u64, copy: [u64; 2]) -> bool {
    copy == [position + 1; 2]
}

#[test]
fn a_tap_sees_no_part_of_what_is_filled_in_after_a_hand_out() {
    explore(at_most(3, 5), || {
        let work = |ends: &mut Ends| {
            ends.pass(1);
            ends.alloc(2);
        };
        look_beside(Side::A, work, |position, copy, _| is_as_sent(position, copy));
    });
}

#[test]
fn a_tap_is_not_misled_by_a_send_and_another_hand_out() {
    explore(at_most(3, 4), || {
        let work = |ends: &mut Ends| {
            // Those between a send and the next hand-out are the reader's.
            ends.words.leave_fences_out();
            ends.pass(1);
            ends.pass(2);
            ends.alloc(3);
        };
        look_beside(Side::A, work, |position, copy, _| is_as_sent(position, copy));
    });
}

#[test]
fn a_tap_marks_what_the_reader_has_edited() {
    explore(at_most(3, 5), || {
        let work = |ends: &mut Ends| {
            let block = ends.alloc(1);
            ends.send(Side::A, block);
            assert_eq!(ends.read(Side::B), block);
            ends.words.fill(block, 9);
            ends.send(Side::B, block);
        };
        look_beside(Side::A, work, |position, copy, is_marked| is_marked || is_as_sent(position, copy));
    });
}

#[test]
fn a_tap_sees_an_answer_as_it_was_sent_or_marks_it() {
    explore(at_most(3, 4), || {
        let work = |ends: &mut Ends| {
            let block = ends.alloc(7);
            ends.send(Side::A, block);
            assert_eq!(ends.read(Side::B), block);
            ends.words.fill(block, 1);
            ends.send(Side::B, block);
            assert_eq!(ends.read(Side::A), block);
            assert_eq!(ends.a.put(block as usize), Some(0));
            ends.alloc(2);
        };
        // A leaves the answer alone until it hands the block out again.
        look_beside(Side::B, work, |position, copy, _| is_as_sent(position, copy));
    });
}

/// The tap looks when all is over, and at more than one.
#[test]
fn a_tap_counts_what_it_was_too_late_for() {
    explore(None, || {
        let mut ends = Ends::new();
        let mut tap = Live(ends.words.clone());
        let mut follower = Follower::new(&mut tap, Side::A, SIZES.entries, SIZES.queuelen, SIZES.home_blocks).unwrap();
        (1..=3).for_each(|value| ends.pass(value));
        let found = follower.follow(&mut tap, 9).unwrap();
        let seen: Vec<_> = found.seen.iter().map(|one| (one.position, one.copy.unwrap(), one.may_have_changed)).collect();
        assert_eq!((seen, found.missed, follower.next), (vec![(2, [3, 3], true)], 2, 3));
    });
}
