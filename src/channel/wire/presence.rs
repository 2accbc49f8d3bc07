//! Whether another process has a region open to stay.
//!
//! A peer opens a region, maps it, and keeps both until it ends. But any process may have it open
//! for a moment: a look of `villas-shm`, a copy, a dump. The lease that is asked for
//! (`is_open_elsewhere`) does not tell these apart. Mistaking an observer for a peer would complete
//! a handshake with no one, and the end of the observer's look would count as the peer's death. So
//! a refused lease counts only if another process also maps pages of the region, which an observer
//! never does. If the kernel does not say that, the lease counts if it is refused at every question
//! for a long time.
//!
//! A peer is not seen to map the region before it has touched the region's head, or while its pages
//! are swapped out. It is seen when it reads; and most peers are accepted because of their post,
//! which says the same.

use super::liveness::Mapped;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A process that has a region open for this long is no mere observer.
const STAY: Duration = Duration::from_secs(1);
/// As [`STAY`], for a close.
const CLOSE_STAY: Duration = Duration::from_millis(20);
/// This many questions in a row must have had the same answer, however long they took.
const LEAST: u32 = 20;

/// What was seen of one region so far. Relaxed: it guards nothing, and concurrent threads only
/// count each other's questions.
pub(super) struct Presence {
    start: Instant,
    /// When the current run of questions that found it open began, in microseconds after the start.
    since: AtomicU64,
    /// The number of questions in that run.
    count: AtomicU32,
}

impl Presence {
    pub(super) fn new() -> Presence {
        Presence { start: Instant::now(), since: AtomicU64::new(0), count: AtomicU32::new(0) }
    }

    /// Whether another process has the region open for more than a moment. Must be asked
    /// repeatedly. `None`: the kernel does not say whether any process has it open.
    pub(super) fn ask(&self, region: &Mapped) -> Option<bool> {
        let lasting = self.question(region)?;
        Some(lasting.is_some_and(|lasting| region.is_mapped_elsewhere().unwrap_or(lasting >= STAY)))
    }

    /// As [`Presence::ask`], for a close. A close has less time, and its errors do less harm: after
    /// a premature yes, a peer still in its handshake finds nothing; a late yes has waited for a
    /// peer that touched nothing.
    pub(super) fn ask_at_close(&self, region: &Mapped) -> bool {
        let Some(Some(lasting)) = self.question(region) else { return false };
        lasting >= CLOSE_STAY || region.is_mapped_elsewhere() == Some(true)
    }

    /// For how long every question has found the region open. `Some(None)`: this one has not.
    fn question(&self, region: &Mapped) -> Option<Option<Duration>> {
        if !region.object.is_open_elsewhere()? {
            self.count.store(0, Relaxed);
            return Some(None);
        }
        let now = self.start.elapsed().as_micros() as u64;
        let count = self.count.load(Relaxed).saturating_add(1);
        if count == 1 {
            self.since.store(now, Relaxed);
        }
        self.count.store(count, Relaxed);
        let since = if count < LEAST { now } else { self.since.load(Relaxed) };
        Some(Some(Duration::from_micros(now.saturating_sub(since))))
    }
}
