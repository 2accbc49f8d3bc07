//! Whether somebody has a region open to stay.
//!
//! A peer opens a region, maps it, and keeps both until it ends. But anybody may have it open for a
//! moment: a look of `villas-shm`, a copy, a dump. The lease that is asked for
//! (`is_open_elsewhere`) does not tell these apart. Mistaking an observer for a peer would complete
//! a handshake with no one, and the end of its look would count as the peer's death. So a lease
//! that is refused counts only if pages of the region are mapped elsewhere, too, which a look never
//! does. Where the kernel does not say that, it counts if it is refused at every question for a
//! long time.
//!
//! A peer that has not touched the region's head so far, or whose pages are swapped out, is not
//! seen to map it. It is seen when it reads; and most are let in by their post, which says the
//! same.

use super::liveness::Mapped;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A process that has a region open for so long does not only look at it.
const STAY: Duration = Duration::from_secs(1);
/// As [`STAY`], for a close.
const CLOSE_STAY: Duration = Duration::from_millis(20);
/// So many questions in a row must have had the same answer, however long it took to ask them.
const LEAST: u32 = 20;

/// What was seen of one region so far. Relaxed: it guards nothing, and threads that ask at once
/// only count each other's questions.
pub(super) struct Presence {
    start: Instant,
    /// Microseconds from the start to the first of the last questions that found it open.
    since: AtomicU64,
    /// How many these were.
    count: AtomicU32,
}

impl Presence {
    pub(super) fn new() -> Presence {
        Presence { start: Instant::now(), since: AtomicU64::new(0), count: AtomicU32::new(0) }
    }

    /// Whether another process has the region open, certainly not only for a moment. To be asked
    /// again and again. `None`: the kernel does not say whether anybody has it open.
    pub(super) fn ask(&self, region: &Mapped) -> Option<bool> {
        let lasting = self.question(region)?;
        Some(lasting.is_some_and(|lasting| region.is_mapped_elsewhere().unwrap_or(lasting >= STAY)))
    }

    /// As [`Presence::ask`] for a close, which has less time, and in which an error does less harm:
    /// a yes that comes too early lets a peer that is still at its handshake find nothing; one that
    /// comes too late has waited for a peer that has touched nothing.
    pub(super) fn ask_at_close(&self, region: &Mapped) -> bool {
        let Some(Some(lasting)) = self.question(region) else { return false };
        lasting >= CLOSE_STAY || region.is_mapped_elsewhere() == Some(true)
    }

    /// For how long every question has found it open. `Some(None)`: this one has not.
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
