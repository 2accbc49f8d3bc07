//! Four threads of one process give, four of the other take: an MPMC ring, beside a ring behind a
//! process-shared mutex.

use crate::capi::{api, failed, last_error};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use villas_shm_measure::capi::c_name;
use villas_shm_measure::clock::now_ns;
use villas_shm_measure::contender::{Contender, fill, sum};
use villas_shm_measure::functions::{CONSUMER, MPMC, PRODUCER};
use villas_shm_measure::rig::{Run, Side, fail};
use villas_shm_measure::{Shared, Times, Zeroable};

const WORDS: usize = 19;
const CAPACITY: usize = 1024;
const THREADS: u64 = 4;

type Item = [u64; WORDS];

/// Everything except the mutex and the conditions is accessed with the mutex held.
#[repr(C)]
struct Locked {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    data: UnsafeCell<libc::pthread_cond_t>,
    room: UnsafeCell<libc::pthread_cond_t>,
    ring: UnsafeCell<(u64, u64, [Item; CAPACITY])>,
}

// SAFETY: cells of integers; zeroed ones are initialised before use.
unsafe impl Zeroable for Locked {}

impl Locked {
    fn new() -> Shared<Locked> {
        let locked = Shared::<Locked>::zeroed();
        // SAFETY: initialises what no thread uses yet.
        unsafe {
            let mut mutex: libc::pthread_mutexattr_t = std::mem::zeroed();
            let mut cond: libc::pthread_condattr_t = std::mem::zeroed();
            libc::pthread_mutexattr_init(&raw mut mutex);
            libc::pthread_mutexattr_setpshared(&raw mut mutex, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_condattr_init(&raw mut cond);
            libc::pthread_condattr_setpshared(&raw mut cond, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutex_init(locked.mutex.get(), &raw const mutex);
            libc::pthread_cond_init(locked.data.get(), &raw const cond);
            libc::pthread_cond_init(locked.room.get(), &raw const cond);
        }
        locked
    }

    fn push(&self, item: &Item) {
        // SAFETY: the ring is touched with the mutex held.
        unsafe {
            libc::pthread_mutex_lock(self.mutex.get());
            let ring = self.ring.get();
            let is_full = || (*ring).1 - (*ring).0 == CAPACITY as u64;
            while is_full() {
                libc::pthread_cond_wait(self.room.get(), self.mutex.get());
            }
            (*ring).2[(*ring).1 as usize % CAPACITY] = *item;
            (*ring).1 += 1;
            libc::pthread_cond_signal(self.data.get());
            libc::pthread_mutex_unlock(self.mutex.get());
        }
    }

    fn pop(&self, item: &mut Item) {
        // SAFETY: as above.
        unsafe {
            libc::pthread_mutex_lock(self.mutex.get());
            let ring = self.ring.get();
            let is_empty = || (*ring).1 == (*ring).0;
            while is_empty() {
                libc::pthread_cond_wait(self.data.get(), self.mutex.get());
            }
            *item = (*ring).2[(*ring).0 as usize % CAPACITY];
            (*ring).0 += 1;
            libc::pthread_cond_signal(self.room.get());
            libc::pthread_mutex_unlock(self.mutex.get());
        }
    }
}

/// An end of the library's ring, for one thread.
#[derive(Clone, Copy)]
struct End(*mut c_void);

// SAFETY: any thread may use a ring.
unsafe impl Send for End {}

/// Four threads on each side; each item passes once.
pub(crate) struct FourAndFour {
    /// `None`: the library's ring.
    locked: Option<Shared<Locked>>,
    ends: Vec<End>,
}

// SAFETY: the mutex protects all shared data.
unsafe impl Sync for Locked {}

impl FourAndFour {
    /// Must be called before the fork.
    pub(crate) fn boxed(is_locked: bool) -> Box<dyn Contender> {
        Box::new(FourAndFour { locked: is_locked.then(Locked::new), ends: Vec::new() })
    }

    /// Runs four threads, each with a quarter of the items; returns the sum of all words that were
    /// taken.
    fn quarters(&self, count: u64, gives: bool) -> u64 {
        let locked = self.locked.as_deref();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let range = count * number / THREADS..count * (number + 1) / THREADS;
                    let end = self.ends.get(number as usize).copied();
                    scope.spawn(move || if gives { give(locked, end, range) } else { take(locked, end, range) })
                })
                .collect();
            let sums = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| fail("a thread panicked")));
            sums.fold(0, u64::wrapping_add)
        })
    }
}

fn give(locked: Option<&Locked>, end: Option<End>, range: std::ops::Range<u64>) -> u64 {
    let mut item = [0; WORDS];
    for number in range {
        // SAFETY: an array of as many words.
        unsafe { fill(item.as_mut_ptr(), WORDS, number) };
        match (locked, end) {
            (Some(ring), _) => ring.push(&item),
            // SAFETY: an open ring of such messages.
            (None, Some(End(ring))) => match unsafe { (api().shmem_ring_push)(ring, item.as_ptr().cast()) } {
                0 => {}
                failure => failed("shmem_ring_push", failure.into()),
            },
            (None, None) => fail("the ring is closed"),
        }
    }
    0
}

fn take(locked: Option<&Locked>, end: Option<End>, range: std::ops::Range<u64>) -> u64 {
    let (mut item, mut total) = ([0; WORDS], 0u64);
    for _ in range {
        match (locked, end) {
            (Some(ring), _) => ring.pop(&mut item),
            // SAFETY: an open ring of such messages.
            (None, Some(End(ring))) => match unsafe { (api().shmem_ring_pop)(ring, item.as_mut_ptr().cast()) } {
                0 => {}
                failure => failed("shmem_ring_pop", failure.into()),
            },
            (None, None) => fail("the ring is closed"),
        }
        // SAFETY: an array of as many words.
        total = total.wrapping_add(unsafe { sum(item.as_ptr(), WORDS) });
    }
    total
}

impl Contender for FourAndFour {
    fn name(&self) -> String {
        if self.locked.is_some() { "ring behind a process-shared mutex" } else { "villas-shm MPMC ring" }.into()
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        if self.locked.is_some() {
            return Ok(());
        }
        let (text, role) = (c_name(name), if side == Side::Node { PRODUCER } else { CONSUMER });
        for _ in 0..THREADS {
            // SAFETY: a C string that lives through the call.
            let ring = unsafe { (api().shmem_ring_open)(text.as_ptr(), MPMC, role, 8 * WORDS, CAPACITY) };
            if ring.is_null() {
                return Err(format!("cannot open the ring {name}: {}", last_error()));
            }
            self.ends.push(End(ring));
        }
        Ok(())
    }

    fn close(&mut self) {
        for End(ring) in self.ends.drain(..) {
            // SAFETY: an open ring, which is not used again.
            let gave = unsafe { (api().shmem_ring_close)(ring) };
            if gave != 0 {
                failed("shmem_ring_close", gave.into());
            }
        }
    }

    fn unlink(&mut self, name: &str) {
        if self.locked.is_none() {
            // SAFETY: a C string.
            unsafe { (api().shmem_ring_unlink)(c_name(name).as_ptr()) };
        }
    }

    fn memory(&self) -> Option<u64> {
        self.locked.as_ref().map(|_| size_of::<Locked>() as u64)
    }

    fn node(&mut self, run: &Run, count: u64, _times: Option<&mut Times>) -> f64 {
        let from = now_ns();
        self.quarters(count, true);
        run.await_program();
        (now_ns() - from) as f64
    }

    fn program(&mut self, _run: &Run, count: u64) {
        let total = self.quarters(count, false);
        if total != (WORDS as u64).wrapping_mul(count * (count - 1) / 2) {
            fail("the messages do not add up: one was lost, came twice or was changed");
        }
    }
}
