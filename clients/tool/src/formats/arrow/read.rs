//! Record batches as samples, also those of other programs.

use std::cell::Cell;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use arrow_array::cast::AsArray;
use arrow_array::types::{self, ArrowPrimitiveType};
use arrow_array::{Array, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, UInt64Array};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::super::{Input, ReadError};
use super::{NAMES, NANOS, TYPE, UNIT};
use crate::record::value::{join, missing, no_missing};
use crate::record::{Record, Time};
use crate::signals::{Signal, SignalType, Signals};

/// Bytes of one read. A batch is gathered as its bytes come: a length in the stream costs nothing.
const CHUNK: usize = 256 << 10;

/// Reads a stream.
pub(in super::super) struct Batches {
    input: Input,
    decoder: StreamDecoder,
    /// What was read and not yet decoded.
    bytes: Buffer,
    has_schema: bool,
    batch: Option<Batch>,
    /// The row that comes next.
    row: usize,
    /// Rows read, also those that were no samples.
    pub(in super::super) samples: u64,
    at_end: bool,
}

impl Batches {
    pub(in super::super) fn new(input: Input) -> Self {
        let (decoder, bytes) = (StreamDecoder::new(), Buffer::from_vec(Vec::<u8>::new()));
        Self { input, decoder, bytes, has_schema: false, batch: None, row: 0, samples: 0, at_end: false }
    }

    pub(in super::super) fn input(&self) -> &Input {
        &self.input
    }

    /// Whether there is a row that needs no further batch.
    pub(in super::super) fn is_ready(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| self.row < batch.rows)
    }

    /// Reads the next sample, with at most `limit` values, and once before that the `signals`.
    pub(in super::super) fn read(&mut self, signals: &mut Signals, limit: usize, record: &mut Record) -> Result<bool, ReadError> {
        while !self.is_ready() {
            if self.at_end {
                return Ok(false);
            }
            self.advance(signals)?;
        }
        let Some(batch) = &self.batch else { return Ok(false) };
        let row = self.row;
        self.row += 1;
        self.samples += 1;
        batch.read(row, signals, limit, record).map_err(ReadError::Malformed)?;
        Ok(true)
    }

    /// Reads until there is another batch, or the end.
    fn advance(&mut self, signals: &mut Signals) -> Result<(), ReadError> {
        self.batch = None;
        if self.bytes.is_empty() {
            let mut chunk = vec![0; CHUNK];
            let count = self.input.read(&mut chunk)?;
            chunk.truncate(count);
            if count == 0 {
                self.at_end = true;
                let cut = |_| ReadError::Malformed("the stream ends within a batch, which is lost".into());
                self.decoder.finish().map_err(cut)?;
            }
            if !self.has_schema && chunk.starts_with(b"ARROW1") {
                let what = "this is an Arrow file, with a table of contents: write an Arrow stream (pyarrow.ipc.new_stream)";
                return Err(ReadError::Fatal(what.into()));
            }
            self.bytes = Buffer::from_vec(chunk);
        }
        // The decoder panics where columns are described wrongly. It is not used again.
        let decoded = quietly(|| self.decoder.decode(&mut self.bytes));
        let batch = match decoded {
            Ok(Ok(batch)) => batch,
            Ok(Err(error)) => return Err(ReadError::Fatal(format!("no Arrow stream: {error}"))),
            Err(_) => return Err(ReadError::Fatal("no Arrow stream: it describes its columns wrongly".into())),
        };
        if let Some(schema) = self.decoder.schema().filter(|_| !self.has_schema) {
            self.has_schema = true;
            *signals =
                Signals::new(schema.fields().iter().filter_map(|field| signal(field).transpose()).collect::<Result<_, _>>()?);
        }
        if let Some(batch) = batch {
            self.batch = Some(Batch::new(&batch).map_err(ReadError::Fatal)?);
            self.row = 0;
        }
        Ok(())
    }
}

thread_local! {
    /// Whether a panic of this thread becomes an error, and says nothing of itself.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Catches a panic, of which standard error shows nothing.
fn quietly<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                usual(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    IS_QUIET.set(false);
    result
}

/// The signal of a column, unless it is one of those before the signals.
fn signal(field: &Field) -> Result<Option<Signal>, ReadError> {
    let metadata = |key: &str| field.metadata().get(key).map_or("", String::as_str);
    if is_head(field) {
        return Ok(None);
    }
    let kind = match field.data_type() {
        DataType::Boolean => SignalType::Boolean,
        DataType::Float64 | DataType::Float32 => SignalType::Float,
        other if other.is_integer() => SignalType::Integer,
        DataType::Struct(parts) if parts.len() == 2 && parts.iter().all(|part| part.data_type() == &DataType::Float32) => {
            SignalType::Complex
        }
        other => {
            let what = format!("column \"{}\" is of the type {other}, which no signal has", field.name());
            return Err(ReadError::Fatal(what));
        }
    };
    Ok(Some(Signal::new(field.name().as_str(), metadata(UNIT), kind)))
}

/// Whether this is a column before the signals, and not a signal of that name.
fn is_head(field: &Field) -> bool {
    NAMES.contains(&field.name().as_str()) && !field.metadata().contains_key(TYPE)
}

/// The columns of a batch.
struct Batch {
    rows: usize,
    times: Option<Times>,
    received: Option<Times>,
    sequences: Option<UInt64Array>,
    frames: Option<BooleanArray>,
    columns: Vec<Column>,
}

enum Column {
    Float(Float64Array),
    Integer(Int64Array),
    Boolean(BooleanArray),
    Complex { real: Float32Array, imaginary: Float32Array, nulls: Option<NullBuffer> },
}

impl Batch {
    fn new(batch: &RecordBatch) -> Result<Self, String> {
        let schema = batch.schema_ref();
        let head = |name| head(schema, name).map(|index| batch.column(index).as_ref());
        let columns = schema.fields().iter().zip(batch.columns()).filter(|(field, _)| !is_head(field));
        Ok(Self {
            rows: batch.num_rows(),
            times: head(NAMES[0]).map(|array| Times::new(NAMES[0], array)).transpose()?,
            received: head(NAMES[1]).map(|array| Times::new(NAMES[1], array)).transpose()?,
            sequences: head(NAMES[2]).map(sequences).transpose()?,
            frames: head(NAMES[3]).map(|array| array.as_boolean_opt().cloned().ok_or("new_frame is no boolean")).transpose()?,
            columns: columns.map(|(field, array)| Column::new(field, array)).collect::<Result<_, _>>()?,
        })
    }

    fn read(&self, row: usize, signals: &Signals, limit: usize, record: &mut Record) -> Result<(), String> {
        record.oddities.clear();
        record.origin = self.times.as_ref().and_then(|times| times.get(row));
        record.received = self.received.as_ref().and_then(|times| times.get(row));
        record.sequence = self.sequences.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row));
        record.new_frame = self.frames.as_ref().is_some_and(|array| array.is_valid(row) && array.value(row));
        record.values.clear();
        // Nulls at the end are no values; others are values that are missing.
        let len = self.columns.iter().rposition(|column| column.get(row).is_some()).map_or(0, |last| last + 1);
        if len > limit {
            return Err(format!("{len} values, but a sample has room for {limit}"));
        }
        for (index, column) in self.columns[..len].iter().enumerate() {
            let kind = signals.kind(index);
            let bits = column.get(row).or_else(|| missing(kind));
            record.values.push(bits.ok_or_else(|| format!("value {index} is null, and {}", no_missing(kind)))?);
        }
        Ok(())
    }
}

fn head(schema: &Schema, name: &str) -> Option<usize> {
    schema.fields().iter().position(|field| field.name() == name && is_head(field))
}

impl Column {
    fn new(field: &Field, array: &dyn Array) -> Result<Self, String> {
        Ok(match array.data_type() {
            DataType::Float64 => Self::Float(array.as_primitive().clone()),
            DataType::Float32 => Self::Float(array.as_primitive::<types::Float32Type>().unary(f64::from)),
            DataType::Boolean => Self::Boolean(array.as_boolean().clone()),
            DataType::Struct(_) => {
                let parts = array.as_struct();
                let part = |at: usize| parts.column(at).as_primitive_opt::<types::Float32Type>().cloned();
                let (Some(real), Some(imaginary)) = (part(0), part(1)) else {
                    return Err(format!("column \"{}\" is no complex signal", field.name()));
                };
                Self::Complex { real, imaginary, nulls: parts.nulls().cloned() }
            }
            _ => Self::Integer(integers(array).ok_or_else(|| {
                format!("column \"{}\" has integers beyond 9223372036854775807, which no signal has", field.name())
            })?),
        })
    }

    /// The bits of the value; `None` for null.
    #[inline]
    fn get(&self, row: usize) -> Option<u64> {
        match self {
            Self::Float(array) => array.is_valid(row).then(|| array.value(row).to_bits()),
            Self::Integer(array) => array.is_valid(row).then(|| array.value(row) as u64),
            Self::Boolean(array) => {
                array.is_valid(row).then(|| u64::from_ne_bytes([u8::from(array.value(row)), 0, 0, 0, 0, 0, 0, 0]))
            }
            Self::Complex { real, imaginary, nulls } => {
                nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)).then(|| join(real.value(row), imaginary.value(row)))
            }
        }
    }
}

/// A column of integers of any width; `None`: one is too large, or it has no integers.
fn integers(array: &dyn Array) -> Option<Int64Array> {
    fn widened<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &dyn Array) -> Option<Int64Array> {
        Some(array.as_primitive::<T>().unary(Into::into))
    }
    match array.data_type() {
        DataType::Int64 => Some(array.as_primitive().clone()),
        DataType::Int32 => widened::<types::Int32Type>(array),
        DataType::Int16 => widened::<types::Int16Type>(array),
        DataType::Int8 => widened::<types::Int8Type>(array),
        DataType::UInt32 => widened::<types::UInt32Type>(array),
        DataType::UInt16 => widened::<types::UInt16Type>(array),
        DataType::UInt8 => widened::<types::UInt8Type>(array),
        DataType::UInt64 => {
            let array = array.as_primitive::<types::UInt64Type>();
            let fits = array.iter().flatten().all(|value| i64::try_from(value).is_ok());
            fits.then(|| array.unary(|value| value as i64))
        }
        _ => None,
    }
}

fn sequences(array: &dyn Array) -> Result<UInt64Array, String> {
    match array.as_primitive_opt::<types::UInt64Type>() {
        Some(array) => Ok(array.clone()),
        None => match integers(array) {
            Some(array) if array.iter().flatten().all(|number| number >= 0) => Ok(array.unary(|number| number as u64)),
            _ => Err("sequence has no integers, or some below zero".into()),
        },
    }
}

/// A column of times of any unit.
struct Times {
    array: Int64Array,
    per_second: i64,
}

impl Times {
    fn new(name: &str, array: &dyn Array) -> Result<Self, String> {
        let DataType::Timestamp(unit, _) = array.data_type() else {
            return Err(format!("column \"{name}\" is of the type {}, and not a timestamp", array.data_type()));
        };
        let (array, per_second) = match unit {
            TimeUnit::Second => (array.as_primitive::<types::TimestampSecondType>().reinterpret_cast(), 1),
            TimeUnit::Millisecond => (array.as_primitive::<types::TimestampMillisecondType>().reinterpret_cast(), 1_000),
            TimeUnit::Microsecond => (array.as_primitive::<types::TimestampMicrosecondType>().reinterpret_cast(), 1_000_000),
            TimeUnit::Nanosecond => (array.as_primitive::<types::TimestampNanosecondType>().reinterpret_cast(), NANOS),
        };
        Ok(Self { array, per_second })
    }

    fn get(&self, row: usize) -> Option<Time> {
        let part = |count: i64| Time {
            sec: count.div_euclid(self.per_second),
            nsec: (count.rem_euclid(self.per_second) * (NANOS / self.per_second)) as u32,
        };
        self.array.is_valid(row).then(|| part(self.array.value(row)))
    }
}
