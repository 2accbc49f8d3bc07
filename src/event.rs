//! The Rust interface of events.

use crate::error::Result;
use crate::nothing::Call;
use crate::protocol::atomics::{Shared64, relax};
use crate::protocol::event::{EventFutex, count, doze, signal, take};
use crate::sys::Slept;
use crate::sys::futex;
use crate::sys::thread::is_confined;
use crate::waiting::Limit;
use std::time::{Duration, Instant};

/// Looks at the word between two looks at the clock.
const LOOKS: u32 = 64;
/// How long to spin before sleeping: about the cost of a sleep and a wake-up.
const SPIN: Duration = Duration::from_micros(50);

/// A counter of signals in shared memory, on which processes wait. It occupies 8 bytes of the
/// user's memory, aligned to 8; zeroed bytes are an event without signals.
///
/// Each waiter keeps its own number of signals that it has seen. So every waiter gets every signal,
/// none is lost, and no waiter can take another's. A waiter that has seen a signal also sees
/// everything written before the signal. An event has no owner and is no lock.
///
/// Any thread of any process may use it. The death of a waiter changes nothing for the others; the
/// signal of a dying process is either complete or absent. An event cannot tell whether any
/// signaller is left: wait with a limit.
///
/// ```
/// use villas_shm::{Segment, SegmentOptions};
/// # let name = format!("villas-doc-event-{}", std::process::id());
/// let segment = Segment::open(&name, &SegmentOptions { size: 4096, create: true, ..Default::default() })?;
/// # Segment::unlink(&name)?;
/// std::thread::scope(|scope| -> villas_shm::Result<()> {
///     scope.spawn(|| {
///         segment.set(8, 50.02)?;
///         segment.event(0).map(|changed| changed.signal())
///     });
///     let (changed, mut seen) = (segment.event(0)?, 0);
///     assert_eq!(changed.timed_wait(&mut seen, None)?, 1);
///     assert_eq!((segment.get::<f64>(8)?, seen), (50.02, 1));
///     assert!(changed.try_wait(&mut seen).is_err(), "nothing new");
///     Ok(())
/// })?;
/// # Ok::<(), villas_shm::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Event<'m> {
    word: &'m Shared64,
}

impl EventFutex for Event<'_> {
    fn word(&self) -> &Shared64 {
        self.word
    }
    fn sleep(&self, seen: u64, slice: Duration) -> Slept {
        futex::wait(self.word.low_half(), seen as u32, slice)
    }
    fn wake(&self) {
        futex::wake(self.word.low_half());
    }
}

impl<'m> Event<'m> {
    pub(crate) fn new(word: &'m Shared64) -> Event<'m> {
        Event { word }
    }

    /// The event at an address, in memory that was mapped by other means.
    ///
    /// # Safety
    /// `at` is null, or points to 8 bytes that stay mapped for reading and writing for `'m` and are
    /// used only as an event.
    ///
    /// # Errors
    /// `InvalidInput` null, or not aligned.
    pub unsafe fn at(at: *mut u64) -> Result<Event<'m>> {
        // SAFETY: as the caller promises.
        unsafe { crate::layout::segment::event(at) }.map(Event::new)
    }

    /// Adds a signal and wakes all waiters. Makes no system call if no thread sleeps.
    /// Async-signal-safe.
    pub fn signal(&self) {
        signal(self);
    }

    /// The number of signals since the memory was zeroed.
    pub fn count(&self) -> u64 {
        count(self)
    }

    /// Returns how many signals came after the first `seen`, and sets `seen` to the total. Does not
    /// wait.
    ///
    /// # Errors
    /// `WouldBlock` there is none.
    pub fn try_wait(&self, seen: &mut u64) -> Result<u64> {
        self.within(seen, &Limit::Now).map_err(|why| Call::Wait.error(why))
    }

    /// Waits for signals after the first `seen`, for at most 100 ms. Returns how many came, and
    /// sets `seen` to the total.
    ///
    /// # Errors
    /// `WouldBlock` none within 100 ms; `Interrupted` a signal handler ran: call again.
    pub fn wait(&self, seen: &mut u64) -> Result<u64> {
        self.plain_wait(seen).map_err(|why| Call::Wait.error(why))
    }

    /// Waits for signals after the first `seen`, for at most `timeout`; `None`: without limit.
    /// Returns how many came, and sets `seen` to the total.
    ///
    /// # Errors
    /// `TimedOut`; `Interrupted` a signal handler ran.
    pub fn timed_wait(&self, seen: &mut u64, timeout: Option<Duration>) -> Result<u64> {
        self.within(seen, &Limit::timeout(timeout)).map_err(|why| Call::Wait.error(why))
    }

    pub(crate) fn plain_wait(&self, seen: &mut u64) -> std::result::Result<u64, i32> {
        self.within(seen, &Limit::PLAIN)
    }

    /// Waits for signals after the first `seen`: spins for a short time, then sleeps in slices.
    /// `Err`: the `errno` that says why there are none.
    pub(crate) fn within(&self, seen: &mut u64, limit: &Limit) -> std::result::Result<u64, i32> {
        let some = |fresh| (fresh > 0).then_some(fresh);
        if let Some(fresh) = some(take(self, seen)) {
            return Ok(fresh);
        }
        let begin = Instant::now();
        let (deadline, why) = match *limit {
            Limit::Now => return Err(libc::EAGAIN),
            Limit::For(time, why) => (begin.checked_add(time), why),
            Limit::Forever => (None, libc::ETIMEDOUT),
        };
        let mut confined = None;
        loop {
            let now = Instant::now();
            let mut end = None;
            if deadline.is_some_and(|deadline| now >= deadline) {
                end = Some(why);
            } else if now < begin + SPIN {
                self.spin(*seen);
                // The signaller may be waiting for the only processor.
                if count(self) == *seen && *confined.get_or_insert_with(is_confined) {
                    std::thread::yield_now();
                }
            } else {
                let left = deadline.map_or(Duration::MAX, |deadline| deadline - now);
                if doze(self, *seen, left) == Slept::Signal {
                    end = Some(libc::EINTR);
                }
            }
            match (some(take(self, seen)), end) {
                (Some(fresh), _) => return Ok(fresh),
                (None, Some(why)) => return Err(why),
                (None, None) => {}
            }
        }
    }

    fn spin(&self, seen: u64) {
        for _ in 0..LOOKS {
            if count(self) != seen {
                break;
            }
            relax();
        }
    }
}
