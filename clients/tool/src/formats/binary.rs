//! The format `villas.binary`: messages one behind the other, as VILLASnode sends them by UDP.
//!
//! ```text
//!  0  version 2 (4 bits) | type, 0: data (2 bits) | 0 (2 bits)
//!  1  number of the source, which is not used
//!  2  number of values, 16 bits
//!  4  sequence number, 32 bits
//!  8  seconds, 32 bits
//! 12  nanoseconds, 32 bits
//! 16  values: a 32-bit float, or an unsigned integer
//! ```
//!
//! All in network byte order. A boolean is written as the integer 0 or 1.

use std::io::Read;

use super::losses::{Loss, Losses};
use super::{Input, ReadError};
use crate::record::value::is_true;
use crate::record::{Record, Time};
use crate::signals::{SignalType, Signals};

const HEADER: usize = 16;

/// Bytes of one read.
const CHUNK: usize = 256 << 10;

/// The error if a signal has a type that the format has not.
pub(super) fn check(signals: &Signals) -> Result<(), String> {
    match (0..signals.len()).find(|&index| signals.kind(index) == SignalType::Complex) {
        None => Ok(()),
        Some(index) => Err(format!(
            "signal {index} (\"{}\") is complex, and villas.binary has only floats and integers: choose another format",
            signals.name(index)
        )),
    }
}

/// Appends one sample.
pub(super) fn print(record: &Record, signals: &Signals, losses: &mut Losses, out: &mut Vec<u8>) -> Result<(), String> {
    let Ok(count) = u16::try_from(record.values.len()) else {
        return Err(format!("{} values, but a message of villas.binary has room for 65535", record.values.len()));
    };
    let mut low = |number: u64, loss| {
        losses.add(loss, u64::from(number > u64::from(u32::MAX)));
        (number as u32).to_be_bytes()
    };
    out.extend_from_slice(&[0x20, 0]);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&low(record.sequence.unwrap_or_default(), Loss::Sequence));
    let Time { sec, nsec } = record.origin.unwrap_or_default();
    // Seconds before 1970 are beyond 32 bits, too.
    out.extend_from_slice(&low(sec as u64, Loss::Seconds));
    out.extend_from_slice(&nsec.to_be_bytes());
    losses.add(Loss::NoTime, u64::from(record.origin.is_none()));
    losses.add(Loss::NoSequence, u64::from(record.sequence.is_none()));
    losses.add(Loss::Received, u64::from(record.received.is_some()));
    losses.add(Loss::Frame, u64::from(record.new_frame));
    for (index, &bits) in record.values.iter().enumerate() {
        let word = match signals.kind(index) {
            SignalType::Integer => {
                losses.add(Loss::Integer, u64::from(bits > u64::from(u32::MAX)));
                bits as u32
            }
            SignalType::Boolean => u32::from(is_true(bits)),
            SignalType::Float | SignalType::Complex => {
                let single = f64::from_bits(bits) as f32;
                losses.add(Loss::Digits, u64::from(f64::from(single).to_bits() != bits));
                single.to_bits()
            }
        };
        out.extend_from_slice(&word.to_be_bytes());
    }
    Ok(())
}

/// Reads messages.
pub(super) struct Messages {
    input: Input,
    buffer: Vec<u8>,
    /// Where the next message begins in the buffer.
    start: usize,
    /// Where it begins in the stream.
    offset: u64,
    /// Messages read.
    pub(super) samples: u64,
}

impl Messages {
    pub(super) fn new(input: Input) -> Self {
        Self { input, buffer: Vec::new(), start: 0, offset: 0, samples: 0 }
    }

    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    /// Whether a whole message is buffered.
    pub(super) fn is_ready(&self) -> bool {
        let rest = &self.buffer[self.start..];
        rest.len() >= HEADER && rest.len() >= length(rest)
    }

    /// Reads the next message, of at most `limit` values.
    pub(super) fn read(&mut self, signals: &Signals, limit: usize, record: &mut Record) -> Result<bool, ReadError> {
        loop {
            self.check_start()?;
            if self.is_ready() {
                break;
            }
            if self.fill()? > 0 {
                continue;
            }
            let rest = self.buffer.len() - self.start;
            self.start = self.buffer.len();
            if rest == 0 {
                return Ok(false);
            }
            self.samples += 1;
            return Err(ReadError::Malformed(format!("the file ends within this message, after {rest} bytes")));
        }
        let message = &self.buffer[self.start..][..length(&self.buffer[self.start..])];
        self.start += message.len();
        self.offset += message.len() as u64;
        self.samples += 1;
        let count = (message.len() - HEADER) / 4;
        if count > limit {
            return Err(ReadError::Malformed(format!("{count} values, but a sample has room for {limit}")));
        }
        let nsec = word(message, 12);
        if nsec >= 1_000_000_000 {
            return Err(ReadError::Malformed(format!("{nsec} nanoseconds are a second or more")));
        }
        record.oddities.clear();
        record.origin = Some(Time { sec: word(message, 8).into(), nsec });
        record.received = None;
        record.sequence = Some(word(message, 4).into());
        record.new_frame = false;
        record.values.clear();
        record.values.extend((0..count).map(|index| {
            let word = word(message, HEADER + 4 * index);
            match signals.kind(index) {
                SignalType::Integer => word.into(),
                SignalType::Boolean => u64::from_ne_bytes([u8::from(word != 0), 0, 0, 0, 0, 0, 0, 0]),
                SignalType::Float | SignalType::Complex => f64::from(f32::from_bits(word)).to_bits(),
            }
        }));
        Ok(true)
    }

    /// An error if what is buffered does not begin like a message.
    fn check_start(&self) -> Result<(), ReadError> {
        match self.buffer.get(self.start) {
            Some(first) if first & 0xfc != 0x20 => Err(ReadError::Fatal(format!(
                "byte {} is {first:#04x} where a message of villas.binary begins with 0x20: version 2, data",
                self.offset
            ))),
            _ => Ok(()),
        }
    }

    /// Reads once, after the buffered bytes.
    fn fill(&mut self) -> Result<usize, ReadError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let end = self.buffer.len();
        self.buffer.resize(end + CHUNK, 0);
        let count = self.input.read(&mut self.buffer[end..]);
        self.buffer.truncate(end + *count.as_ref().unwrap_or(&0));
        Ok(count?)
    }
}

/// The length of the message that begins with this header.
fn length(header: &[u8]) -> usize {
    HEADER + 4 * usize::from(u16::from_be_bytes([header[2], header[3]]))
}

fn word(message: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]])
}
