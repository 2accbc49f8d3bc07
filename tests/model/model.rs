//! What the model checker needs in place of a region: words of its own, threads that can be killed, a futex.
//!
//! `make loom` runs the tests below. They call the functions that the library runs: [`Half`] with its queues and pool,
//! the gate, arming, sleeping and ringing. Loom tries every interleaving of the threads (where a bound is given, with that
//! many forced switches; `make loom-long` has wider bounds, `docs/testing.md` lists both), and every value that a load may see
//! under the C11 memory model (sequentially consistent accesses as acquire-release, fences in full). The contents of a block are a
//! cell that loom watches: two uses that are not ordered are reported.
//!
//! What it cannot show: that a compiler fence with a `membarrier` at the other end is as good as two full fences
//! (`atomics`); and long runs, since the states grow with each step. The numbers of samples, blocks and entries here are
//! the smallest that let each edge be crossed and each ring wrap.

#[path = "atomic.rs"]
pub(crate) mod atomic;

/// The turns of a gate; the library's own lock has its models in `lock`.
pub(crate) mod mutex {
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    #[allow(clippy::unwrap_used)]
    pub(crate) fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
        mutex.lock().unwrap()
    }
}

use crate::protocol::atomics::{Shared32, Shared64};
use crate::protocol::channel_words::{Block, ChannelBell, ChannelWords, Side};
use crate::sys::Slept;
use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

loom::thread_local! {
    static ID: Cell<usize> = Cell::new(16);
    static FUEL: Cell<u32> = Cell::new(u32::MAX);
}

/// The number of the running thread, as its test has set it.
pub(crate) fn thread_id() -> usize {
    ID.with(Cell::get)
}

/// What a thread that is killed unwinds with.
struct Killed;

/// Kills the thread when its fuel is used up: before the store, as a SIGKILL would.
pub(crate) fn step() {
    FUEL.with(|fuel| match fuel.get() {
        u32::MAX => {}
        0 => std::panic::resume_unwind(Box::new(Killed)),
        left => fuel.set(left - 1),
    });
}

/// The words of a region.
pub(crate) struct Region {
    entries: [Vec<Shared32>; 2],
    positions: Vec<[[Shared64; 2]; 2]>,
    taken: [Shared64; 2],
    used: [Shared64; 2],
    kept: [Shared64; 2],
    bells: [[Shared32; 2]; 2],
    contents: Vec<UnsafeCell<Contents>>,
    /// The kernel's lock of the futex, and who sleeps.
    futex: Mutex<()>,
    sleepers: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Contents {
    value: u64,
    flags: i32,
}

/// A reference to the words, as a mapping is.
#[derive(Clone)]
pub(crate) struct Mapped(Arc<Region>);

impl Mapped {
    pub(crate) fn new(entries: u32, blocks: u32) -> Mapped {
        let word = || Shared64::new(0);
        let entries = || (0..entries).map(|_| Shared32::new(0)).collect();
        Mapped(Arc::new(Region {
            entries: [entries(), entries()],
            positions: (0..blocks).map(|_| [[word(), word()], [word(), word()]]).collect(),
            taken: [word(), word()],
            used: [word(), word()],
            kept: [word(), word()],
            bells: [[Shared32::new(0), Shared32::new(0)], [Shared32::new(0), Shared32::new(0)]],
            contents: (0..blocks).map(|_| UnsafeCell::new(Contents::default())).collect(),
            futex: Mutex::new(()),
            sleepers: Condvar::new(),
        }))
    }

    fn with<R>(&self, block: u32, look: impl FnOnce(&Contents) -> R) -> R {
        // SAFETY: loom reports the access if it is not ordered with others.
        self.0.contents[block as usize].with(|contents| look(unsafe { &*contents }))
    }

    fn change<R>(&self, block: u32, work: impl FnOnce(&mut Contents) -> R) -> R {
        // SAFETY: as above.
        self.0.contents[block as usize].with_mut(|contents| work(unsafe { &mut *contents }))
    }
}

/// A block of a region; its number is its address.
pub(crate) struct Numbered {
    region: Mapped,
    number: u32,
}

impl Block for Numbered {
    fn sent(&self, side: Side) -> &Shared64 {
        &self.region.0.positions[self.number as usize][side as usize][0]
    }
    fn done(&self, side: Side) -> &Shared64 {
        &self.region.0.positions[self.number as usize][side as usize][1]
    }
    fn expect(&self) {}
    fn reset(&self) {
        self.region.change(self.number, |contents| *contents = Contents::default());
    }
    fn is_sound(&self) -> bool {
        self.region.with(self.number, |_| true)
    }
    fn mark(&self, flag: i32) {
        self.region.change(self.number, |contents| contents.flags |= flag);
    }
}

impl ChannelWords for Mapped {
    type Block = Numbered;
    fn block(&self, number: u32) -> Numbered {
        Numbered { region: self.clone(), number }
    }
    fn block_at(&self, address: usize) -> Option<(u32, Numbered)> {
        (address < self.0.positions.len()).then(|| (address as u32, self.block(address as u32)))
    }
    fn entry(&self, from: Side, slot: u32) -> &Shared32 {
        &self.0.entries[from as usize][slot as usize]
    }
    fn taken(&self, side: Side) -> &Shared64 {
        &self.0.taken[side as usize]
    }
    fn used(&self, side: Side) -> &Shared64 {
        &self.0.used[side as usize]
    }
    fn kept(&self, side: Side) -> &Shared64 {
        &self.0.kept[side as usize]
    }
    fn bell(&self, side: Side, bell: ChannelBell) -> &Shared32 {
        &self.0.bells[side as usize][bell as usize]
    }
    fn sleep(&self, side: Side, bell: ChannelBell, seen: u32, _slice: Duration) -> Slept {
        let Ok(kernel) = self.0.futex.lock() else { unreachable!("nobody panics with the lock") };
        if self.bell(side, bell).get() == seen {
            drop(self.0.sleepers.wait(kernel));
        }
        Slept::Woken
    }
    fn wake(&self, _by: Side, _side: Side, _bell: ChannelBell) {
        drop(self.0.futex.lock());
        self.0.sleepers.notify_all();
    }
}

/// Explores with at most this many forced switches of threads; `None`: all.
#[cfg(test)]
pub(crate) fn explore(preemptions: Option<usize>, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 5_000;
    builder.check(test);
}

/// The bound of a model that is searched further by `make loom-long`.
#[cfg(test)]
pub(crate) fn at_most(short: usize, long: usize) -> Option<usize> {
    let is_long = std::env::var_os("VILLAS_SHM_LOOM").is_some_and(|form| form == "long");
    Some(if is_long { long } else { short })
}

/// Explores with a thread that is killed before its first store, then before its second, and so on until it ends by itself.
#[cfg(test)]
pub(crate) fn explore_kills(preemptions: Option<usize>, test: impl Fn(u32) + Sync + Send + Copy + 'static) {
    for fuel in 0.. {
        KILLED.set(false);
        explore(preemptions, move || test(fuel));
        if !KILLED.get() {
            assert!(fuel > 0, "nobody was killed");
            break;
        }
    }
}

#[cfg(test)]
std::thread_local! {
    /// Whether a thread of this model was killed; loom runs them all in the thread of the test.
    static KILLED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` until it ends, or until the thread is killed before its store number `fuel`.
#[cfg(test)]
pub(crate) fn until_killed(fuel: u32, work: impl FnOnce()) -> bool {
    FUEL.with(|f| f.set(fuel));
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    FUEL.with(|f| f.set(u32::MAX));
    match ended {
        Ok(()) => false,
        Err(why) if why.is::<Killed>() => {
            KILLED.set(true);
            true
        }
        Err(why) => std::panic::resume_unwind(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::doorbell;
    use crate::protocol::flags::REDELIVERED;
    use crate::protocol::gate::{Common, Gate, Idle};
    use crate::protocol::half::{Half, Sizes, Written};
    use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use loom::thread;

    const ONE_EACH: Sizes = Sizes { queuelen: 1, entries: 1, home_blocks: 1 };
    /// So many that nobody waits.
    const AMPLE: Sizes = Sizes { queuelen: 4, entries: 4, home_blocks: 4 };
    /// More blocks than the queue takes.
    const SPARE: Sizes = Sizes { queuelen: 1, entries: 1, home_blocks: 2 };
    const TWO_EACH: Sizes = Sizes { queuelen: 2, entries: 2, home_blocks: 2 };

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
            // There is one block, and it is on its way: whatever is seen of its header, it is not free.
            assert_eq!(a.alloc_one(), None);
            let back = receive(&mut a);
            assert_eq!((back, words.with(back, |c| c.value)), (block, 2));
            assert_eq!(a.put(back as usize), Some(0));
            let b = echo.join().unwrap();
            assert_all_free(&a, &b, &words, ONE_EACH);
            assert!(a.alloc_one().is_some());
        });
    }

    /// What a reader finds ready while it waits is written without another look.
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

    /// Side B, which reads, echoes or puts, is killed at each of its stores; its successor goes on beside a side A that writes.
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
                // What was read and not put comes again, marked; what was not read comes unmarked.
                while killed && returned.iter().max() != Some(&2) {
                    let block = receive(&mut b);
                    let contents = theirs.with(block, |c| *c);
                    let again = returned.contains(&contents.value);
                    assert!(!again || contents.flags & REDELIVERED != 0, "twice, unmarked");
                    returned.push(contents.value);
                    assert_eq!(b.put(block as usize), Some(0));
                }
                // What the first had taken last may come again too.
                let (mut last, mut echoes_again) = (None, 0);
                while b.read(1, |_, block, _| last = Some(block)).unwrap() > 0 {
                    let block = last.unwrap();
                    let contents = theirs.with(block, |c| *c);
                    assert!(contents.flags & REDELIVERED != 0);
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

    /// Side A, which writes, is killed at each of its stores; its successor goes on beside a side B that reads.
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
                // The one that was cut off may have gone out or not: the next one tells the reader which.
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
    fn nobody_sleeps_through_a_ring() {
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

    struct Core {
        turns: UnsafeCell<u32>,
        held: u32,
        dropped: Arc<AtomicUsize>,
    }

    impl Common for () {
        fn on_deserted(&self) {}
    }

    impl Idle for Core {
        fn is_idle(&self) -> bool {
            self.held == 0
        }
    }

    impl Drop for Core {
        fn drop(&mut self) {
            self.dropped.fetch_add(1, SeqCst);
        }
    }

    fn gate(held: u32) -> (Arc<Gate<(), Core>>, Arc<AtomicUsize>) {
        let dropped = Arc::new(AtomicUsize::new(0));
        let gate = Gate::new();
        assert!(gate.claim());
        gate.fill((), Core { turns: UnsafeCell::new(0), held, dropped: dropped.clone() });
        (Arc::new(gate), dropped)
    }

    fn take_turn(gate: &Gate<(), Core>) {
        let turn = |core: &mut Core| {
            // SAFETY: loom reports the access if another thread is at it.
            core.turns.with_mut(|turns| unsafe { *turns += 1 });
        };
        // By the fast path, as all calls try first.
        match gate.enter_as_owner() {
            Some(mut short) => turn(short.parts().1),
            None => match gate.enter(false) {
                Some(mut pass) => turn(pass.parts().1),
                None => return,
            },
        }
        let Some(mut pass) = gate.enter(false) else { return };
        turn(pass.parts().1);
        turn(pass.pause().resume().parts().1);
    }

    #[test]
    fn threads_take_turns_whoever_owns_the_gate() {
        explore(at_most(3, 4), || {
            let (gate, _) = gate(0);
            take_turn(&gate); // The first thread owns it from here on.
            let shared = gate.clone();
            let other = thread::spawn(move || {
                ID.with(|id| id.set(17));
                take_turn(&shared);
            });
            take_turn(&gate);
            other.join().unwrap();
            let mut pass = gate.enter(false).unwrap();
            // SAFETY: the other thread has ended.
            pass.parts().1.turns.with(|turns| assert_eq!(unsafe { *turns }, 9));
        });
    }

    #[test]
    fn a_closed_gate_is_cleared_once_after_the_last_has_left() {
        explore(at_most(3, 4), || {
            let (gate, dropped) = gate(0);
            take_turn(&gate);
            let shared = gate.clone();
            let closer = thread::spawn(move || {
                ID.with(|id| id.set(17));
                if let Some(visit) = shared.visit() {
                    visit.close();
                }
            });
            take_turn(&gate);
            closer.join().unwrap();
            assert_eq!(dropped.load(SeqCst), 1, "cleared by whoever left last");
            assert!(gate.enter(true).is_none());
        });
    }

    #[test]
    fn who_comes_first_while_another_closes_does_not_own_the_gate() {
        explore(at_most(3, 4), || {
            let (gate, dropped) = gate(0);
            let shared = gate.clone();
            let closer = thread::spawn(move || {
                ID.with(|id| id.set(17));
                assert!(shared.visit().expect("it is open").close());
            });
            drop(gate.enter(false));
            closer.join().unwrap();
            assert_eq!(dropped.load(SeqCst), 1);
            // The short way does not ask whether the gate is closed.
            assert!(gate.enter_as_owner().is_none());
        });
    }

    #[test]
    fn a_late_put_waits_for_the_owner_who_is_still_inside_when_another_closes() {
        explore(at_most(3, 4), || {
            let (gate, dropped) = gate(1);
            take_turn(&gate);
            let shared = gate.clone();
            let other = thread::spawn(move || {
                ID.with(|id| id.set(17));
                if let Some(visit) = shared.visit() {
                    visit.close();
                }
                let mut pass = shared.enter(true).expect("a sample is out");
                let core = pass.parts().1;
                // SAFETY: loom reports the access if the owner is at it.
                core.turns.with_mut(|turns| unsafe { *turns += 1 });
                core.held -= 1;
            });
            take_turn(&gate);
            other.join().unwrap();
            assert_eq!(dropped.load(SeqCst), 1);
        });
    }

    #[test]
    fn the_last_put_after_a_close_clears_the_gate() {
        explore(at_most(3, 4), || {
            let (gate, dropped) = gate(1);
            take_turn(&gate);
            let shared = gate.clone();
            let closer = thread::spawn(move || {
                ID.with(|id| id.set(17));
                if let Some(visit) = shared.visit() {
                    visit.close();
                }
            });
            // A put is let in for as long as the core is not idle.
            gate.enter(true).expect("a sample is out").parts().1.held -= 1;
            closer.join().unwrap();
            assert_eq!(dropped.load(SeqCst), 1, "cleared by whoever left last");
            assert!(gate.enter(true).is_none());
        });
    }
}
