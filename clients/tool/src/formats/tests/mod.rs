//! Each format gives back what it can hold, says what it cannot, and reads any bytes.

mod noise;
mod round;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::{Format, Input, Output, ReadError, Reader, Writer};
use crate::record::Record;
use crate::signals::Signals;

const FORMATS: [Format; 6] = [Format::Human, Format::Csv, Format::Tsv, Format::Json, Format::Binary, Format::Arrow];

/// What a writer writes.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The samples in a format, flushed after each of `batch`, and what was lost.
fn written(format: Format, signals: &Signals, records: &[Record], batch: usize) -> (Vec<u8>, Vec<String>) {
    let bytes = Written::default();
    let mut writer = Writer::new(Output::new("a test", bytes.clone(), format), signals.clone()).unwrap();
    for (index, record) in records.iter().enumerate() {
        writer.write(record).unwrap();
        if (index + 1) % batch == 0 {
            assert!(writer.flush().unwrap());
        }
    }
    let losses = writer.finish().unwrap();
    let bytes = bytes.0.lock().unwrap().clone();
    (bytes, losses)
}

fn reader(format: Format, bytes: Vec<u8>, types: &Signals) -> Reader {
    Reader::new(Input::new("a test", io::Cursor::new(bytes)), format, types)
}

/// All samples of a file, which has no errors, and its signals.
fn read(format: Format, bytes: Vec<u8>, types: &Signals) -> (Vec<Record>, Signals) {
    let (mut reader, mut record, mut records) = (reader(format, bytes, types), Record::default(), Vec::new());
    while reader.read(&mut record).unwrap_or_else(|error| panic!("{}: {error:?}", reader.place())) {
        records.push(record.clone());
    }
    (records, reader.signals().clone())
}

/// A generator of all bit patterns alike (an xorshift; quality does not matter here).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In range 0 .. `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 8) as usize % end
    }

    fn is_one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}
