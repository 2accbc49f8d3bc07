//! The time of day.

use std::time::SystemTime;

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// A point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timespec {
    /// Seconds since 1970.
    pub sec: i64,
    /// Nanoseconds, 0 to 999 999 999.
    pub nsec: i64,
}
