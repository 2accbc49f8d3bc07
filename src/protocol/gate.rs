//! The gate of a side: threads of one process pass it one at a time. One of them, the owner, passes
//! it for free.
//!
//! A [`Gate`] holds two values. The *core* is for the thread whose turn it is. The *common* part is
//! for every thread inside, waiting ones included. Both are dropped when the gate is closed, the
//! last thread has left, and the core says that it is idle.
//!
//! The gate is a biased lock. Where fences can be asymmetric (`atomics`), the first thread that
//! comes owns the gate and marks itself inside with a plain store. A second thread revokes the bias
//! for good; from then on all threads use the lock. The lock is in private memory and dies with the
//! process. Calls try the fast path [`Gate::enter_as_owner`] first, which needs no record of how
//! the thread came in; if it fails, they take [`Gate::enter`].
//!
//! | edge | hot side | rare side |
//! |---|---|---|
//! | G1 | owner: store `busy` = INSIDE, light fence, load `owner` | stranger: store `owner` = SHARED, heavy fence, load `busy` |
//! | G2 | owner enters: as G1; owner leaves: store `busy` = OUTSIDE, light fence, load `state` | closer: store `state` and `owner` = REVOKED, heavy fence, load `busy` |
//! | G3 | owner leaves: store `busy`, release | stranger or closer: load `busy`, acquire: what the owner did is seen |
//! | G4 | guest comes or leaves: change `guests`, full fence, load `state` | closer: store `state`, heavy fence, load `guests` |
//! | G5 | filler or clearer: the contents, then `state` = OPEN or EMPTY, release | guest or claimer: `state`, acquire: the contents are whole, or gone |
//!
//! For G1, G2 and G4 at least one of the two sees the other's store (`atomics`, asymmetric fences).

use crate::protocol::atomics::{AtomicU32, AtomicUsize, Ordering, fence, heavy_fence_here, is_asymmetric, light_fence_here};
use crate::protocol::mutex::{Mutex, MutexGuard, lock};
use crate::sys::processor::SharedCell;
use crate::sys::thread::{self, Standing};
use Ordering::{Acquire, Relaxed, Release, SeqCst};

/// A gate's common part, which is told when all threads have left a closed gate.
pub(crate) trait Common {
    /// No thread is inside, and from now on threads come in only to give something back. May be
    /// called more than once.
    fn on_deserted(&self);
}

/// A gate's core, which says whether it may be dropped.
pub(crate) trait Idle {
    /// Whether nothing of the core is in use.
    fn is_idle(&self) -> bool;
    /// No thread is inside, and others may be told of it next ([`Common::on_deserted`]).
    fn settle(&mut self) {}
}

// state
const EMPTY: u32 = 0;
const FILLING: u32 = 1;
const OPEN: u32 = 2;
const CLOSING: u32 = 3;
const CLEARING: u32 = 4;
const FORKED: u32 = 5;
// owner
const NOBODY: usize = 0;
const SHARED: usize = 1;
/// A closer revoked the bias without waiting: the owner may still be inside.
const REVOKED: usize = 2;
// busy
const OUTSIDE: u32 = 0;
const INSIDE: u32 = 1;
const WAITING: u32 = 2;

/// See the module's description.
pub(crate) struct Gate<S, C> {
    owner: AtomicUsize,
    /// The only thread that may ever own this gate, however often it is refilled. So `busy` has one
    /// writer, even if that thread is late at a gate that was closed and refilled meanwhile.
    candidate: AtomicUsize,
    /// Where the owner is; only the candidate writes it.
    busy: AtomicU32,
    state: AtomicU32,
    /// Threads inside that did not come in as the owner.
    guests: AtomicU32,
    lock: Mutex<()>,
    common: SharedCell<Option<S>>,
    core: SharedCell<Option<C>>,
}

// SAFETY: only the thread whose turn it is accesses `core`; threads share `common` by reference.
// Another thread may have made either.
unsafe impl<S: Send + Sync, C: Send> Sync for Gate<S, C> {}
// SAFETY: as above.
unsafe impl<S: Send + Sync, C: Send> Send for Gate<S, C> {}

impl<S: Common, C: Idle> Gate<S, C> {
    pub(crate) fn new() -> Self {
        Gate {
            owner: AtomicUsize::new(NOBODY),
            candidate: AtomicUsize::new(NOBODY),
            busy: AtomicU32::new(OUTSIDE),
            state: AtomicU32::new(EMPTY),
            guests: AtomicU32::new(0),
            lock: Mutex::new(()),
            common: SharedCell::new(None),
            core: SharedCell::new(None),
        }
    }

    /// Reserves an empty gate for [`Gate::fill`].
    pub(crate) fn claim(&self) -> bool {
        self.state.compare_exchange(EMPTY, FILLING, Acquire, Relaxed).is_ok() // G5
    }

    /// Opens a claimed gate.
    pub(crate) fn fill(&self, common: S, core: C) {
        debug_assert_eq!(self.state.load(Relaxed), FILLING);
        self.owner.store(NOBODY, Relaxed);
        // SAFETY: the state FILLING is this thread's alone, and nobody is inside an empty gate.
        unsafe { *self.common.get_mut() = Some(common) };
        // SAFETY: as above.
        unsafe { *self.core.get_mut() = Some(core) };
        self.state.store(OPEN, SeqCst); // G5
    }

    /// Gives up a claimed gate.
    pub(crate) fn unclaim(&self) {
        self.state.store(EMPTY, Release); // G5
    }

    /// Whether the gate has been closed.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Relaxed) != OPEN
    }

    /// As [`Gate::is_closed`], ordered with other words of the caller and of the closer (SeqCst).
    pub(crate) fn is_closed_by_now(&self) -> bool {
        self.state.load(SeqCst) != OPEN // G4: a look
    }

    /// Takes this thread's turn by the fast path, without a lock, if the thread owns the gate.
    #[inline(always)]
    pub(crate) fn enter_as_owner(&self) -> Option<Turn<'_, S, C>> {
        // Made only while this thread is inside, because dropping a `Turn` leaves the gate.
        if self.come_as_owner() { Some(Turn { gate: self }) } else { None }
    }

    /// Takes this thread's turn. `late`: even while the gate is closing. `None`: it is closed.
    #[inline(always)]
    pub(crate) fn enter(&self, late: bool) -> Option<Pass<'_, S, C>> {
        if self.come_as_owner() { Some(Pass { gate: self, lock: None }) } else { self.enter_as_guest(late) }
    }

    /// Comes in as the owner. `false`: this thread is not the owner, or no longer, and is not
    /// inside.
    #[inline(always)]
    fn come_as_owner(&self) -> bool {
        let me = thread::id();
        if self.owner.load(Relaxed) != me {
            return false;
        }
        self.busy.store(INSIDE, Relaxed);
        light_fence_here(); // G1, G2
        let is_owner = self.owner.load(Relaxed) == me;
        if !is_owner {
            self.leave_as_owner();
        }
        is_owner
    }

    /// # Safety
    /// The contents are there, and it is this thread's turn for as long as they are used.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    unsafe fn parts(&self) -> (&S, &mut C) {
        // SAFETY: as the caller promises.
        unsafe {
            let common = (*self.common.get()).as_ref().unwrap_unchecked();
            (common, (*self.core.get_mut()).as_mut().unwrap_unchecked())
        }
    }

    #[inline(always)]
    fn leave_as_owner(&self) {
        self.busy.store(OUTSIDE, Release); // G3
        light_fence_here(); // G2
        if self.is_closed() {
            self.clear();
        }
    }

    #[cold]
    #[inline(never)]
    fn enter_as_guest(&self, late: bool) -> Option<Pass<'_, S, C>> {
        let visit = self.come(late)?;
        std::mem::forget(visit);
        Some(Pass { gate: self, lock: Some(self.take_turn()) })
    }

    /// Takes the lock, then waits until the owner is not in its turn.
    fn take_turn(&self) -> MutexGuard<'_, ()> {
        let lock = lock(&self.lock);
        match self.owner.load(Relaxed) {
            SHARED => {}
            NOBODY => {
                let me = thread::id();
                let first = self.candidate.compare_exchange(NOBODY, me, Relaxed, Relaxed).unwrap_or_else(|first| first);
                // Without asymmetric fences the owner would pay as much as the lock costs.
                let is_owner = (first == NOBODY || first == me) && is_asymmetric();
                let owner = if is_owner { me } else { SHARED };
                // A compare-and-swap, so that it does not overwrite the REVOKED of a concurrent
                // closer.
                let _ = self.owner.compare_exchange(NOBODY, owner, Relaxed, Relaxed);
            }
            me if me == thread::id() => {}
            _ => {
                self.owner.store(SHARED, Relaxed);
                heavy_fence_here(); // G1
                let mut patience = Standing::new();
                while self.busy.load(Acquire) == INSIDE {
                    // G3
                    patience.give_way();
                }
            }
        }
        lock
    }

    /// Comes in without a turn, to use only the common part. Async-signal-safe. `None`: the gate is
    /// closed.
    pub(crate) fn visit(&self) -> Option<Visit<'_, S, C>> {
        self.come(false)
    }

    fn come(&self, late: bool) -> Option<Visit<'_, S, C>> {
        self.guests.fetch_add(1, SeqCst); // G4
        fence(SeqCst); // G4
        let visit = Visit { gate: self };
        let mut patience = Standing::new();
        loop {
            match self.state.load(SeqCst) {
                // G4, G5
                OPEN => return Some(visit),
                CLOSING if late => return Some(visit),
                // The clearing thread either finds this guest and goes back to CLOSING, or found
                // nobody and ends with EMPTY.
                CLEARING if late => patience.give_way(),
                _ => return None,
            }
        }
    }

    /// Abandons the gate in the child of a fork, which has no other thread to be ordered with. A
    /// gate in use belongs to the parent, and its state may be half changed, so the child never
    /// uses it again. The child may use a free gate, unless a thread of the parent was just finding
    /// out that it is closed: the child would count that thread as inside forever.
    pub(crate) fn abandon(&self) {
        // G5: alone in the child.
        if self.state.load(SeqCst) != EMPTY || !self.is_deserted() {
            // G2, G5: no other thread is there to see it.
            self.owner.store(SHARED, SeqCst);
            self.state.store(FORKED, SeqCst); // G5
        }
    }

    /// Keeps the gate in the child of a fork that has the contents too. None of the threads that
    /// were inside exist in the child, and the forking thread is in no call. Called before the
    /// child does anything else, so no thread is there to be ordered with.
    pub(crate) fn keep(&self) {
        self.guests.store(0, SeqCst); // G4
    }

    fn is_deserted(&self) -> bool {
        // In this order: an owner that continues as a guest counts itself as a guest before it
        // leaves as the owner.
        self.busy.load(Acquire) == OUTSIDE && self.guests.load(SeqCst) == 0 // G2, G3, G4
    }

    /// Drops the contents of a closed gate if no thread is inside and the core is idle. Each thread
    /// that leaves a closed gate calls it.
    #[cold]
    fn clear(&self) {
        let _whole = thread::Uncancelled::new();
        while self.state.compare_exchange(CLOSING, CLEARING, SeqCst, Relaxed).is_ok() {
            // G2, G4
            heavy_fence_here(); // G2
            if self.is_deserted() {
                // SAFETY: no thread is inside, and in this state none comes in: the core is this
                // thread's.
                let mut core = unsafe { (*self.core.get_mut()).as_mut() };
                if let Some(core) = &mut core {
                    core.settle();
                }
                // SAFETY: the contents are there until they are taken below; only a shared
                // reference is made.
                if let Some(common) = unsafe { (*self.common.get()).as_ref() } {
                    common.on_deserted();
                }
                let idle = core.is_none_or(|core| core.is_idle());
                if idle {
                    // SAFETY: as above; nothing refers to the contents any more.
                    drop(unsafe { (*self.core.get_mut()).take() });
                    // SAFETY: as above.
                    drop(unsafe { (*self.common.get_mut()).take() });
                    self.state.store(EMPTY, SeqCst); // G5
                    return;
                }
                // Something is still in use: the thread that gives the last of it back calls this
                // again.
                self.state.store(CLOSING, SeqCst); // G4: for the next one that clears
                return;
            }
            self.state.store(CLOSING, SeqCst); // G2, G4
            heavy_fence_here(); // G2
            // Threads that left meanwhile found CLEARING and gave up: clear for them. Any thread
            // still inside will clear when it leaves.
            if !self.is_deserted() {
                return;
            }
        }
    }
}

/// This thread is inside; it may look at the common part.
pub(crate) struct Visit<'g, S: Common, C: Idle> {
    gate: &'g Gate<S, C>,
}

impl<S: Common, C: Idle> Visit<'_, S, C> {
    /// Looks at the common part.
    #[inline(always)]
    pub(crate) fn with<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        // SAFETY: this thread is inside, so the contents are there until it leaves; only shared
        // references are given out.
        look(unsafe { (*self.gate.common.get()).as_ref().unwrap_unchecked() })
    }

    /// Closes the gate. `false`: another did.
    pub(crate) fn close(&self) -> bool {
        let closed = self.gate.state.compare_exchange(OPEN, CLOSING, SeqCst, Relaxed).is_ok(); // G2, G4
        if closed {
            // This spares the owner a load of the state when it comes. No thread clears the gate
            // before this visit ends, and the one that clears fences first (G2). A swap, not a
            // store: then this and the compare-and-swap of the first thread that comes see which of
            // them was first. The standard promises the same of a store, but loom does not model
            // it.
            self.gate.owner.swap(REVOKED, SeqCst);
        }
        closed
    }
}

impl<S: Common, C: Idle> Drop for Visit<'_, S, C> {
    fn drop(&mut self) {
        self.gate.guests.fetch_sub(1, SeqCst); // G4
        fence(SeqCst); // G4
        if self.gate.state.load(SeqCst) != OPEN {
            // G4
            self.gate.clear();
        }
    }
}

/// This thread's turn, as the owner's.
pub(crate) struct Turn<'g, S: Common, C: Idle> {
    gate: &'g Gate<S, C>,
}

impl<S: Common, C: Idle> Turn<'_, S, C> {
    /// The common part and the core. The core is this thread's alone.
    #[inline(always)]
    pub(crate) fn parts(&mut self) -> (&S, &mut C) {
        // SAFETY: as for `Pass::parts`.
        unsafe { self.gate.parts() }
    }
}

impl<S: Common, C: Idle> Drop for Turn<'_, S, C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.gate.leave_as_owner();
    }
}

/// This thread's turn.
pub(crate) struct Pass<'g, S: Common, C: Idle> {
    gate: &'g Gate<S, C>,
    /// `None`: as the owner.
    lock: Option<MutexGuard<'g, ()>>,
}

impl<'g, S: Common, C: Idle> Pass<'g, S, C> {
    /// The common part and the core. The core is this thread's alone.
    #[inline(always)]
    pub(crate) fn parts(&mut self) -> (&S, &mut C) {
        // SAFETY: this thread is inside, so the contents are there. It is its turn, so no other
        // thread uses the core, and `&mut self` keeps this thread from doing so twice.
        unsafe { self.gate.parts() }
    }

    /// Gives others their turn; this thread stays inside.
    #[inline(always)]
    pub(crate) fn pause(mut self) -> Paused<'g, S, C> {
        let (gate, lock) = (self.gate, self.lock.take());
        std::mem::forget(self);
        let as_owner = lock.is_none();
        if as_owner {
            gate.busy.store(WAITING, Release); // G3
        }
        Paused { gate, as_owner }
    }
}

impl<S: Common, C: Idle> Drop for Pass<'_, S, C> {
    #[inline(always)]
    fn drop(&mut self) {
        let gate = self.gate;
        match self.lock.take() {
            None => gate.leave_as_owner(),
            Some(lock) => {
                drop(lock);
                drop(Visit { gate });
            }
        }
    }
}

/// This thread is inside and has given others their turn.
pub(crate) struct Paused<'g, S: Common, C: Idle> {
    gate: &'g Gate<S, C>,
    as_owner: bool,
}

impl<'g, S: Common, C: Idle> Paused<'g, S, C> {
    /// Looks at the common part.
    #[inline(always)]
    pub(crate) fn with<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        // SAFETY: as for `Visit::with`.
        look(unsafe { (*self.gate.common.get()).as_ref().unwrap_unchecked() })
    }

    /// Whether the gate has been closed meanwhile.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    /// Takes this thread's turn again.
    #[inline(always)]
    pub(crate) fn resume(self) -> Pass<'g, S, C> {
        let Paused { gate, as_owner } = self;
        std::mem::forget(self);
        if as_owner {
            gate.busy.store(INSIDE, Relaxed);
            light_fence_here(); // G1
            if gate.owner.load(Relaxed) == thread::id() {
                return Pass { gate, lock: None };
            }
            // The bias was revoked: count as a guest before leaving as the owner, so that this
            // thread stays inside throughout.
            gate.guests.fetch_add(1, SeqCst); // G4
            gate.busy.store(OUTSIDE, Release); // G3
        }
        Pass { gate, lock: Some(gate.take_turn()) }
    }
}

impl<S: Common, C: Idle> Drop for Paused<'_, S, C> {
    fn drop(&mut self) {
        if self.as_owner {
            self.gate.leave_as_owner();
        } else {
            drop(Visit { gate: self.gate });
        }
    }
}
