//! A deadline in productive time: of each step between two looks, at most five milliseconds count,
//! however long the machine or this process has stalled.

use std::time::{Duration, Instant};

const LONGEST_STEP: Duration = Duration::from_millis(5);

pub(crate) struct Deadline {
    left: Duration,
    last: Instant,
}

impl Deadline {
    pub(crate) fn within(left: Duration) -> Deadline {
        Deadline { left, last: Instant::now() }
    }

    /// Must be called at each look.
    pub(crate) fn is_over(&mut self) -> bool {
        let step = std::mem::replace(&mut self.last, Instant::now()).elapsed();
        self.left = self.left.saturating_sub(step.min(LONGEST_STEP));
        self.left.is_zero()
    }
}
