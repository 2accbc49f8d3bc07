//! The Arrow IPC stream: batches of columns, which pandas, polars, DuckDB and others read.
//!
//! | column | type | |
//! |---|---|---|
//! | `time` | `timestamp[ns, UTC]` | null: the sample has none |
//! | `received` | `timestamp[ns, UTC]` | null: the sample has none |
//! | `sequence` | `uint64` | null: the sample has none |
//! | `new_frame` | `bool` | whether it is the first sample of a frame |
//! | one for each signal, by its name | `double`, `int64`, `bool`, or `struct<real: float, imag: float>` | nulls behind the end of a short sample |
//!
//! The metadata of a signal's column has its `type` and its `unit`.

mod read;
mod write;

pub(super) use read::Batches;
pub(super) use write::Columns;

/// The columns before the signals.
const NAMES: [&str; 4] = ["time", "received", "sequence", "new_frame"];

/// The keys of a signal's metadata.
const TYPE: &str = "type";
const UNIT: &str = "unit";

const NANOS: i64 = 1_000_000_000;
