//! How many samples went through.

use crate::error::Result;

/// How many samples went through, and why not more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) count: usize,
    /// An `errno`; 0 when all that was asked for went through.
    pub(crate) why: i32,
}

/// What was moved counts, whatever came after it.
pub(super) fn counted(count: usize, done: Result<std::result::Result<(), i32>>) -> Result<Count> {
    match done {
        Ok(Ok(())) => Ok(Count { count, why: 0 }),
        Ok(Err(why)) => Ok(Count { count, why }),
        Err(e) if count > 0 => Ok(Count { count, why: e.errno() }),
        Err(e) => Err(e),
    }
}
