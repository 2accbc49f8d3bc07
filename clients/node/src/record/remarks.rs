//! Warnings about parts of a line that were not taken literally.

use std::fmt;

use super::Record;
use crate::log::log;

/// How many empty cells are mentioned.
const DESCRIBED: u32 = 100;

/// A part of a line that was not taken literally. Columns count bytes, from 1.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The value at `index` is missing: it became NaN.
    Empty { index: usize, column: usize },
    /// The cell after the last tab is empty: no value was taken.
    OpenEnd { column: usize },
    /// The nanoseconds are a second or more.
    Carried { nanos: u64, column: usize },
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { index, column } => write!(f, "value {index} is empty, NaN is taken (column {column})"),
            Self::OpenEnd { column } => {
                write!(f, "the line ends with a tab, no value is taken behind it (column {column}); write nan for an empty cell")
            }
            Self::Carried { nanos, column } => write!(
                f,
                "{nanos} nanoseconds are a second or more and carried into the seconds (column {column}): the digits behind the point are no decimal fraction"
            ),
        }
    }
}

/// Warns of oddities: of each empty cell, up to a limit, and of each other kind once.
#[derive(Debug, Default)]
pub struct Remarks {
    empty: u32,
    has_open_end: bool,
    has_carried: bool,
}

impl Remarks {
    /// Warns of the oddities of a record that was read at `place`, such as `standard input, line
    /// 5`.
    #[inline]
    pub fn say(&mut self, place: fmt::Arguments<'_>, record: &Record) {
        for oddity in &record.oddities {
            if self.is_due(oddity) {
                let last = if self.empty == DESCRIBED { "; further empty cells are not mentioned" } else { "" };
                log!(Warning, "{place}: {oddity}{last}");
            }
        }
    }

    #[cold]
    fn is_due(&mut self, oddity: &Oddity) -> bool {
        match oddity {
            Oddity::Empty { .. } => {
                self.empty = (self.empty + 1).min(DESCRIBED + 1);
                self.empty <= DESCRIBED
            }
            Oddity::OpenEnd { .. } => !std::mem::replace(&mut self.has_open_end, true),
            Oddity::Carried { .. } => !std::mem::replace(&mut self.has_carried, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_mentioned_once_and_empty_cells_a_hundred_times() {
        let mut remarks = Remarks::default();
        for count in 0..1000 {
            assert_eq!(remarks.is_due(&Oddity::Empty { index: 1, column: 9 }), count < DESCRIBED);
            assert_eq!(remarks.is_due(&Oddity::OpenEnd { column: 9 }), count == 0);
            assert_eq!(remarks.is_due(&Oddity::Carried { nanos: 1_000_000_000, column: 3 }), count == 0);
        }
    }
}
