//! The model checker's substitute for a region: words of its own, threads that can be killed, a
//! futex.
//!
//! `make loom` runs the models beside this file. They call the library's own functions: `Half` with
//! its queues and pool (`channel`), the gate, rings, events, the lock, interruptions. Loom tries
//! every interleaving of the threads, and every value that a load may see under the C11 memory
//! model (sequentially consistent accesses as acquire-release, fences in full). If a bound is
//! given, it tries interleavings with that many forced switches; `make loom-long` has wider bounds,
//! and `docs/testing.md` lists both. Loom watches the contents of a block as a cell and reports two
//! unordered uses.
//!
//! Models cannot show that a compiler fence is as good as a full fence if the other side uses
//! `membarrier` (`atomics`). Nor can they run for long, because the states grow with each step: the
//! numbers of samples, blocks and entries here are the smallest that let each edge be crossed and
//! each queue wrap.

#[path = "atomic.rs"]
pub(crate) mod atomic;

/// The turns of a gate; the library's own lock has its models in `futex_lock`.
pub(crate) mod mutex {
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    #[allow(clippy::unwrap_used)]
    pub(crate) fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
        mutex.lock().unwrap()
    }
}

use crate::protocol::atomics::{Shared32, Shared64, light_fence};
use crate::protocol::channel_words::{Block, ChannelBell, ChannelWords, Side};
use crate::protocol::doorbell::PROMISES;
use crate::sys::Slept;
use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

loom::thread_local! {
    pub(crate) static ID: Cell<usize> = Cell::new(16);
    static FUEL: Cell<u32> = Cell::new(u32::MAX);
}

/// The number of the running thread, as its test has set it.
pub(crate) fn thread_id() -> usize {
    ID.with(Cell::get)
}

/// The payload with which a killed thread unwinds.
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
    tags: Vec<Shared32>,
    /// What taps copy of each block: two words, to see whether a copy is whole. Empty without taps.
    values: Vec<[Shared64; 2]>,
    /// Whether the fences of doorbells are left out.
    is_unfenced: AtomicBool,
    taken: [Shared64; 2],
    used: [Shared64; 2],
    kept: [Shared64; 2],
    bells: [[Shared32; 2]; 2],
    contents: Vec<UnsafeCell<Contents>>,
    /// The kernel's lock of the futex, and its sleepers.
    futex: Mutex<()>,
    sleepers: Condvar,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Contents {
    pub(crate) value: u64,
    pub(crate) flags: i32,
}

/// A reference to the words, as a mapping is.
#[derive(Clone)]
pub(crate) struct Mapped(Arc<Region>);

impl Mapped {
    pub(crate) fn new(entries: u32, blocks: u32) -> Mapped {
        Mapped::made(entries, blocks, 0)
    }

    /// With contents that a tap can look at.
    pub(crate) fn tapped(entries: u32, blocks: u32) -> Mapped {
        Mapped::made(entries, blocks, blocks)
    }

    fn made(entries: u32, blocks: u32, values: u32) -> Mapped {
        let word = || Shared64::new(0);
        let entries = || (0..entries).map(|_| Shared32::new(0)).collect();
        Mapped(Arc::new(Region {
            entries: [entries(), entries()],
            positions: (0..blocks).map(|_| [[word(), word()], [word(), word()]]).collect(),
            tags: (0..blocks).map(|_| Shared32::new(0)).collect(),
            values: (0..values).map(|_| [word(), word()]).collect(),
            is_unfenced: AtomicBool::new(false),
            taken: [word(), word()],
            used: [word(), word()],
            kept: [word(), word()],
            bells: [[Shared32::new(0), Shared32::new(0)], [Shared32::new(0), Shared32::new(0)]],
            contents: (0..blocks).map(|_| UnsafeCell::new(Contents::default())).collect(),
            futex: Mutex::new(()),
            sleepers: Condvar::new(),
        }))
    }

    /// Leaves out the light fences of doorbells: for a model in which one thread is both sides, since the
    /// fences of one process order nothing of the other's; and for one of promises, which need none.
    /// A sleeper that has found no promise then only gives way.
    pub(crate) fn leave_fences_out(&self) {
        self.0.is_unfenced.store(true, Ordering::Relaxed);
    }

    /// Writes both words that taps copy.
    pub(crate) fn fill(&self, block: u32, value: u64) {
        for word in self.0.values.get(block as usize).into_iter().flatten() {
            word.set(value);
        }
    }

    /// What a tap copies.
    pub(crate) fn values(&self, block: u32) -> [u64; 2] {
        self.0.values[block as usize].each_ref().map(Shared64::get)
    }

    pub(crate) fn with<R>(&self, block: u32, look: impl FnOnce(&Contents) -> R) -> R {
        // SAFETY: loom reports the access if it is not ordered with others.
        self.0.contents[block as usize].with(|contents| look(unsafe { &*contents }))
    }

    pub(crate) fn change<R>(&self, block: u32, work: impl FnOnce(&mut Contents) -> R) -> R {
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
    fn tag(&self) -> &Shared32 {
        &self.region.0.tags[self.number as usize]
    }
    fn expect(&self) {}
    fn reset(&self) {
        self.region.change(self.number, |contents| *contents = Contents::default());
        self.region.fill(self.number, 0);
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
    fn light_fence(&self) {
        if !self.0.is_unfenced.load(Ordering::Relaxed) {
            light_fence();
        }
    }
    fn sleep(&self, side: Side, bell: ChannelBell, seen: u32, _slice: Duration) -> Slept {
        let Ok(kernel) = self.0.futex.lock() else { unreachable!("nobody panics with the lock") };
        if self.0.is_unfenced.load(Ordering::Relaxed) && seen & PROMISES == 0 {
            drop(kernel);
            loom::thread::yield_now();
        } else if self.bell(side, bell).get() == seen {
            drop(self.0.sleepers.wait(kernel));
        }
        Slept::Woken
    }
    fn wake(&self, _by: Side, _side: Side, _bell: ChannelBell) {
        drop(self.0.futex.lock());
        self.0.sleepers.notify_all();
    }
}

/// Explores with at most this many forced thread switches; `None`: all interleavings.
#[cfg(test)]
pub(crate) fn explore(preemptions: Option<usize>, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 5_000;
    builder.check(test);
}

/// The bound of a model that `make loom-long` searches further.
#[cfg(test)]
pub(crate) fn at_most(short: usize, long: usize) -> Option<usize> {
    let is_long = std::env::var_os("VILLAS_SHM_LOOM").is_some_and(|form| form == "long");
    Some(if is_long { long } else { short })
}

/// Explores with a thread that is killed before its first store, then before its second, and so on
/// until it ends by itself.
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
    /// Whether a thread of this model was killed; loom runs all of them in the test's thread.
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
