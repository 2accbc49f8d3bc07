//! The algorithms of a channel under loom: its queues, its pool, deaths and repairs, sleeps.

use crate::harness::{Mapped, at_most, explore, explore_kills, until_killed};
use crate::protocol::channel_words::{ChannelBell, ChannelWords, Side};
use crate::protocol::doorbell;
use crate::protocol::flags::Flags;
use crate::protocol::half::{Half, Sizes, Written};
use loom::thread;

const ONE_EACH: Sizes = Sizes { queuelen: 1, entries: 1, home_blocks: 1, history: 0 };
/// Enough that no thread waits.
const AMPLE: Sizes = Sizes { queuelen: 4, entries: 4, home_blocks: 4, history: 0 };
/// More blocks than fit into the queue.
const SPARE: Sizes = Sizes { queuelen: 1, entries: 1, home_blocks: 2, history: 0 };
const TWO_EACH: Sizes = Sizes { queuelen: 2, entries: 2, home_blocks: 2, history: 0 };

fn region(sizes: Sizes) -> Mapped {
    Mapped::new(sizes.entries, 2 * sizes.home_blocks)
}

fn half(words: &Mapped, side: Side, sizes: Sizes) -> Half<Mapped> {
    Half::recover(words.clone(), side, sizes).unwrap()
}

fn both(sizes: Sizes) -> (Mapped, Half<Mapped>, Half<Mapped>) {
    let words = region(sizes);
    let (a, b) = (half(&words, Side::A, sizes), half(&words, Side::B, sizes));
    (words, a, b)
}

impl Half<Mapped> {
    fn alloc_one(&mut self) -> Option<u32> {
        let mut got = None;
        self.alloc(1, |_, block, _| got = Some(block));
        got
    }

    /// `false`: no room.
    fn try_send(&mut self, block: u32) -> bool {
        match self.write(0, 1, |_| block as usize) {
            (1, Written::All) => true,
            (0, Written::Full) => false,
            other => panic!("{other:?}"),
        }
    }
}

fn alloc(half: &mut Half<Mapped>) -> u32 {
    loop {
        match half.alloc_one() {
            Some(block) => return block,
            None => thread::yield_now(),
        }
    }
}

fn send(half: &mut Half<Mapped>, block: u32) {
    while !half.try_send(block) {
        thread::yield_now();
    }
    half.notify_data();
}

/// Allocates a block, and sends it with this value.
fn send_value(half: &mut Half<Mapped>, words: &Mapped, value: u64) -> u32 {
    let block = alloc(half);
    words.change(block, |c| c.value = value);
    send(half, block);
    block
}

fn receive(half: &mut Half<Mapped>) -> u32 {
    let mut got = None;
    while half.read(1, |_, block, _| got = Some(block)).unwrap() == 0 {
        thread::yield_now();
    }
    got.unwrap()
}

/// A thread that receives the values 1 to `last`, puts each, and gives its side back.
fn reader(mut b: Half<Mapped>, words: &Mapped, last: u64) -> thread::JoinHandle<Half<Mapped>> {
    let words = words.clone();
    thread::spawn(move || {
        for value in 1..=last {
            let block = receive(&mut b);
            assert_eq!(words.with(block, |c| c.value), value);
            assert_eq!(b.put(block as usize), Some(0));
        }
        b
    })
}

fn assert_all_free(a: &Half<Mapped>, b: &Half<Mapped>, words: &Mapped, sizes: Sizes) {
    assert_eq!(a.pool().free(words), sizes.home_blocks, "blocks at home on side A");
    assert_eq!(b.pool().free(words), sizes.home_blocks, "blocks at home on side B");
}

#[test]
fn samples_cross_whole_and_in_order_through_a_queue_of_one() {
    explore(at_most(3, 4), || {
        let (words, mut a, b) = both(ONE_EACH);
        let reader = reader(b, &words, 3);
        for value in 1..=3 {
            send_value(&mut a, &words, value);
        }
        let b = reader.join().unwrap();
        assert_all_free(&a, &b, &words, ONE_EACH);
    });
}

#[test]
fn a_full_queue_takes_no_more_though_blocks_are_left() {
    explore(at_most(3, 4), || {
        let (words, mut a, b) = both(SPARE);
        let reader = reader(b, &words, 2);
        let blocks = [alloc(&mut a), alloc(&mut a)];
        for (value, block) in (1..).zip(blocks) {
            words.change(block, |c| c.value = value);
            send(&mut a, block);
        }
        let b = reader.join().unwrap();
        assert_all_free(&a, &b, &words, SPARE);
    });
}

#[test]
fn a_block_that_is_echoed_is_never_handed_out_in_between() {
    explore(None, || {
        let (words, mut a, mut b) = both(ONE_EACH);
        let theirs = words.clone();
        let echo = thread::spawn(move || {
            let block = receive(&mut b);
            theirs.change(block, |c| c.value += 1);
            send(&mut b, block);
            b
        });
        let block = send_value(&mut a, &words, 1);
        // There is one block, and it is queued: whatever a thread sees of its header, it is not
        // free.
        assert_eq!(a.alloc_one(), None);
        let back = receive(&mut a);
        assert_eq!((back, words.with(back, |c| c.value)), (block, 2));
        assert_eq!(a.put(back as usize), Some(0));
        let b = echo.join().unwrap();
        assert_all_free(&a, &b, &words, ONE_EACH);
        assert!(a.alloc_one().is_some());
    });
}

/// A block that a waiting reader has prepared is written without another look.
#[test]
fn a_block_that_was_prepared_is_in_nobody_elses_hands() {
    explore(at_most(3, 4), || {
        let (words, mut a, b) = both(TWO_EACH);
        let reader = reader(b, &words, 3);
        for value in 1..=3 {
            send_value(&mut a, &words, value);
            assert!(!a.has_input_soon());
        }
        let b = reader.join().unwrap();
        assert_all_free(&a, &b, &words, TWO_EACH);
    });
}

#[test]
fn a_reference_that_stays_keeps_the_block() {
    explore(None, || {
        let (words, mut a, mut b) = both(ONE_EACH);
        let reader = thread::spawn(move || {
            let block = receive(&mut b);
            assert_eq!(b.put(block as usize), Some(0));
            b
        });
        let block = alloc(&mut a);
        assert_eq!(a.get(block as usize), 2);
        send(&mut a, block);
        assert_eq!(a.alloc_one(), None);
        let b = reader.join().unwrap();
        assert_eq!(a.alloc_one(), None);
        assert_eq!(a.put(block as usize), Some(0));
        assert_all_free(&a, &b, &words, ONE_EACH);
    });
}

/// Side B, which reads, echoes or puts, is killed at each of its stores; its successor continues
/// while side A writes.
#[test]
fn a_reader_that_is_killed_at_any_store_loses_nothing_and_leaks_nothing() {
    explore_kills(at_most(2, 3), |fuel| {
        let words = region(TWO_EACH);
        let mut a = half(&words, Side::A, TWO_EACH);
        let theirs = words.clone();
        let program = thread::spawn(move || {
            let mut returned = Vec::new();
            let killed = until_killed(fuel, || {
                let mut b = half(&theirs, Side::B, TWO_EACH);
                for value in 1..=2 {
                    let block = receive(&mut b);
                    returned.push(theirs.with(block, |c| c.value));
                    if value == 1 {
                        b.put(block as usize);
                    } else {
                        send(&mut b, block);
                    }
                }
            });
            let mut b = half(&theirs, Side::B, TWO_EACH);
            // Samples that were read and not put come again, marked; samples that were not read
            // come unmarked.
            while killed && returned.iter().max() != Some(&2) {
                let block = receive(&mut b);
                let contents = theirs.with(block, |c| *c);
                let again = returned.contains(&contents.value);
                assert!(!again || Flags::from_bits(contents.flags).contains(Flags::REDELIVERED), "twice, unmarked");
                returned.push(contents.value);
                assert_eq!(b.put(block as usize), Some(0));
            }
            // The sample that the first reader took last may come again too.
            let (mut last, mut echoes_again) = (None, 0);
            while b.read(1, |_, block, _| last = Some(block)).unwrap() > 0 {
                let block = last.unwrap();
                let contents = theirs.with(block, |c| *c);
                assert!(Flags::from_bits(contents.flags).contains(Flags::REDELIVERED));
                echoes_again += usize::from(contents.value == 2);
                b.put(block as usize);
            }
            (b, returned, echoes_again)
        });
        for value in 1..=2 {
            send_value(&mut a, &words, value);
        }
        let (b, mut returned, echoes_again) = program.join().unwrap();
        returned.dedup();
        assert!(returned.contains(&1) && returned.contains(&2), "lost: {returned:?}");
        let (mut last, mut echoes) = (None, 0);
        while a.read(1, |_, block, _| last = Some(block)).unwrap() > 0 {
            a.put(last.unwrap() as usize);
            echoes += 1;
        }
        assert!(echoes + echoes_again <= 1, "sent on, and delivered again");
        assert_all_free(&a, &b, &words, TWO_EACH);
    });
}

/// Side A, which writes, is killed at each of its stores; its successor continues while side B
/// reads.
#[test]
fn a_writer_that_is_killed_at_any_store_loses_no_written_sample_and_leaks_nothing() {
    explore_kills(at_most(3, 4), |fuel| {
        let words = region(AMPLE);
        let mut b = half(&words, Side::B, AMPLE);
        let theirs = words.clone();
        let node = thread::spawn(move || {
            let mut written = 0;
            let killed = until_killed(fuel, || {
                let mut a = half(&theirs, Side::A, AMPLE);
                for value in 1..=2 {
                    send_value(&mut a, &theirs, value);
                    written = value;
                }
            });
            let mut a = half(&theirs, Side::A, AMPLE);
            // The interrupted sample may have been sent or not: the next one tells the reader
            // which.
            if killed {
                send_value(&mut a, &theirs, 9);
            }
            (a, written, killed)
        });
        let mut seen = Vec::new();
        let read = |b: &mut Half<Mapped>, seen: &mut Vec<u64>| {
            let mut got = None;
            if b.read(1, |_, block, _| got = Some(block)).unwrap() == 0 {
                return false;
            }
            let block = got.unwrap();
            seen.push(words.with(block, |c| c.value));
            assert_eq!(b.put(block as usize), Some(0));
            true
        };
        for _ in 0..2 {
            if !read(&mut b, &mut seen) {
                thread::yield_now();
            }
        }
        let (a, written, killed) = node.join().unwrap();
        while read(&mut b, &mut seen) {}
        let last = if killed { seen.pop() } else { None };
        assert_eq!(last, killed.then_some(9));
        let values: Vec<u64> = (1..=seen.len() as u64).collect();
        assert_eq!(seen, values, "out of order, torn or doubled");
        assert!(seen.len() as u64 >= written && seen.len() as u64 <= written + 1, "{seen:?} of {written} written");
        assert_all_free(&a, &b, &words, AMPLE);
    });
}

#[test]
fn nobody_sleeps_through_a_notification() {
    explore(None, || {
        let (words, mut a, mut b) = both(ONE_EACH);
        let theirs = words.clone();
        let reader = thread::spawn(move || {
            let mut got = None;
            loop {
                let armed = doorbell::arm(&theirs.doorbell(Side::B, Side::B, ChannelBell::Data));
                if b.read(1, |_, block, _| got = Some(block)).unwrap() > 0 {
                    break;
                }
                doorbell::sleep(&theirs.doorbell(Side::B, Side::B, ChannelBell::Data), armed, doorbell::SLICE);
            }
            b.put(got.unwrap() as usize);
        });
        let block = alloc(&mut a);
        send(&mut a, block);
        reader.join().unwrap();
    });
}

#[test]
fn a_writer_that_sleeps_for_room_or_for_a_block_is_woken() {
    explore(at_most(4, 5), || {
        let (words, mut a, mut b) = both(ONE_EACH);
        let block = alloc(&mut a);
        send(&mut a, block);
        let reader = thread::spawn(move || {
            let block = receive(&mut b);
            b.put(block as usize);
        });
        let block = loop {
            let armed = doorbell::arm(&words.doorbell(Side::A, Side::A, ChannelBell::Room));
            match a.alloc_one() {
                Some(block) => break block,
                None => doorbell::sleep(&words.doorbell(Side::A, Side::A, ChannelBell::Room), armed, doorbell::SLICE),
            };
        };
        loop {
            let armed = doorbell::arm(&words.doorbell(Side::A, Side::A, ChannelBell::Room));
            if a.try_send(block) {
                break;
            }
            doorbell::sleep(&words.doorbell(Side::A, Side::A, ChannelBell::Room), armed, doorbell::SLICE);
        }
        reader.join().unwrap();
    });
}
