//! Samples as record batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float32Array, PrimitiveArray, RecordBatch, StructArray, types};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::super::losses::{Loss, Losses};
use super::{NAMES, NANOS, TYPE, UNIT};
use crate::record::value::{is_true, split};
use crate::record::{Record, Time};
use crate::signals::{Signal, SignalType, Signals};

/// Bytes of values that are gathered for a batch.
const BATCH: usize = 512 << 10;

/// The columns of the samples that are gathered for the next batch.
pub(in super::super) struct Columns {
    writer: StreamWriter<Vec<u8>>,
    schema: SchemaRef,
    kinds: Vec<SignalType>,
    times: Nullable<i64>,
    received: Nullable<i64>,
    sequences: Nullable<u64>,
    frames: Vec<bool>,
    /// Of each signal; as long as `lengths`.
    values: Vec<Vec<u64>>,
    /// How many values each sample has.
    lengths: Vec<usize>,
}

/// A column of which some rows may have no value.
#[derive(Default)]
struct Nullable<T> {
    values: Vec<T>,
    valid: Vec<bool>,
}

impl<T: Default> Nullable<T> {
    fn push(&mut self, value: Option<T>) {
        self.valid.push(value.is_some());
        self.values.push(value.unwrap_or_default());
    }

    fn take(&mut self) -> (Vec<T>, Option<NullBuffer>) {
        let valid = std::mem::take(&mut self.valid);
        let nulls = valid.contains(&false).then(|| valid.into());
        (std::mem::take(&mut self.values), nulls)
    }
}

impl Columns {
    /// Begins a stream with `count` signals.
    pub(in super::super) fn new(signals: &Signals, count: usize) -> Result<Self, String> {
        let kinds: Vec<_> = (0..count).map(|index| signals.kind(index)).collect();
        let schema = Arc::new(schema(signals, count));
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?;
        Ok(Self {
            writer,
            schema,
            kinds,
            times: Nullable::default(),
            received: Nullable::default(),
            sequences: Nullable::default(),
            frames: Vec::new(),
            values: vec![Vec::new(); count],
            lengths: Vec::new(),
        })
    }

    /// Takes a sample; values beyond the columns are lost.
    pub(in super::super) fn push(&mut self, record: &Record, losses: &mut Losses) {
        self.times.push(nanos(record.origin, losses));
        self.received.push(nanos(record.received, losses));
        self.sequences.push(record.sequence);
        self.frames.push(record.new_frame);
        self.lengths.push(record.values.len());
        losses.add(Loss::Column, record.values.len().saturating_sub(self.values.len()) as u64);
        let values = record.values.iter().copied().chain(std::iter::repeat(0));
        for (column, bits) in self.values.iter_mut().zip(values) {
            column.push(bits);
        }
    }

    /// Whether there is enough for a batch.
    pub(in super::super) fn is_full(&self) -> bool {
        self.lengths.len() * (NAMES.len() + self.values.len()) * size_of::<u64>() >= BATCH
    }

    /// Appends what was gathered to `out`, as a batch.
    pub(in super::super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        if !self.lengths.is_empty() {
            let batch = self.batch().map_err(failed)?;
            self.writer.write(&batch).map_err(failed)?;
        }
        out.append(self.writer.get_mut());
        Ok(())
    }

    /// Appends what was gathered, and the end of the stream.
    pub(in super::super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        self.flush(out)?;
        self.writer.finish().map_err(failed)?;
        out.append(self.writer.get_mut());
        Ok(())
    }

    fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let lengths = std::mem::take(&mut self.lengths);
        let (sequences, no_sequence) = self.sequences.take();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(time_column(self.times.take())),
            Arc::new(time_column(self.received.take())),
            Arc::new(PrimitiveArray::<types::UInt64Type>::new(sequences.into(), no_sequence)),
            Arc::new(BooleanArray::from(std::mem::take(&mut self.frames))),
        ];
        let shortest = lengths.iter().copied().min().unwrap_or_default();
        for (index, (values, &kind)) in self.values.iter_mut().zip(&self.kinds).enumerate() {
            let nulls = (index >= shortest).then(|| lengths.iter().map(|&length| index < length).collect());
            columns.push(column(kind, std::mem::take(values), nulls));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

fn column(kind: SignalType, values: Vec<u64>, nulls: Option<NullBuffer>) -> ArrayRef {
    let len = values.len();
    match kind {
        // The bits as they stand: no value is touched.
        SignalType::Float => {
            let values = ScalarBuffer::new(Buffer::from_vec(values), 0, len);
            Arc::new(PrimitiveArray::<types::Float64Type>::new(values, nulls))
        }
        SignalType::Integer => {
            let values = ScalarBuffer::new(Buffer::from_vec(values), 0, len);
            Arc::new(PrimitiveArray::<types::Int64Type>::new(values, nulls))
        }
        SignalType::Boolean => {
            let values = BooleanBuffer::collect_bool(len, |row| is_true(values[row]));
            Arc::new(BooleanArray::new(values, nulls))
        }
        SignalType::Complex => {
            let (real, imaginary): (Vec<f32>, Vec<f32>) = values.into_iter().map(split).unzip();
            let parts: Vec<ArrayRef> = vec![Arc::new(Float32Array::from(real)), Arc::new(Float32Array::from(imaginary))];
            Arc::new(StructArray::new(parts_of_complex(), parts, nulls))
        }
    }
}

fn time_column((values, nulls): (Vec<i64>, Option<NullBuffer>)) -> PrimitiveArray<types::TimestampNanosecondType> {
    PrimitiveArray::new(values.into(), nulls).with_timezone("UTC")
}

fn schema(signals: &Signals, count: usize) -> Schema {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let types = [time.clone(), time, DataType::UInt64, DataType::Boolean];
    let heads = NAMES.into_iter().zip(types).map(|(name, data)| Field::new(name, data, name != NAMES[3]));
    let fields = (0..count).map(|index| {
        let kind = signals.kind(index);
        let data = match kind {
            SignalType::Float => DataType::Float64,
            SignalType::Integer => DataType::Int64,
            SignalType::Boolean => DataType::Boolean,
            SignalType::Complex => DataType::Struct(parts_of_complex()),
        };
        let unit = signals.get(index).map_or("", Signal::unit);
        let metadata = HashMap::from([(TYPE.into(), kind.to_string()), (UNIT.into(), unit.into())]);
        Field::new(signals.name(index), data, true).with_metadata(metadata)
    });
    Schema::new(heads.chain(fields).collect::<Vec<_>>())
}

fn parts_of_complex() -> Fields {
    ["real", "imag"].map(|name| Field::new(name, DataType::Float32, false)).to_vec().into()
}

/// A time as the columns hold it: from 1677 to 2262.
#[inline]
fn nanos(time: Option<Time>, losses: &mut Losses) -> Option<i64> {
    let Time { sec, nsec } = time?;
    let nanos = i64::try_from(i128::from(sec) * i128::from(NANOS) + i128::from(nsec)).ok();
    losses.add(Loss::Time, u64::from(nanos.is_none()));
    nanos
}

fn failed(error: ArrowError) -> String {
    format!("cannot write Arrow: {error}")
}
