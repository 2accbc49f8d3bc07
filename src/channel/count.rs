//! How many samples went through.

use crate::error::Result;
use crate::nothing::Call;

/// How many samples went through, and why not more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) count: usize,
    /// An `errno`; 0 if all samples that were asked for went through.
    pub(crate) why: i32,
}

impl Count {
    /// The Rust result: how many were moved, or why none was.
    pub(super) fn or_error(self, call: Call) -> Result<usize> {
        if self.count == 0 && self.why != 0 { Err(call.error(self.why)) } else { Ok(self.count) }
    }
}

/// If anything was moved, the result is its count, whatever came after it.
pub(super) fn counted(count: usize, done: Result<std::result::Result<(), i32>>) -> Result<Count> {
    match done {
        Ok(Ok(())) => Ok(Count { count, why: 0 }),
        Ok(Err(why)) => Ok(Count { count, why }),
        Err(e) if count > 0 => Ok(Count { count, why: e.errno() }),
        Err(e) => Err(e),
    }
}
