//! VILLASnode's protobuf messages, one behind the other without allocations: `encode` writes what
//! the structs of the tests would, `decode` reads what they write.
//!
//! ```text
//! Message   { repeated Sample samples = 1 }
//! Sample    { required Type type = 1 (DATA 1, START 2, STOP 3); optional uint64 sequence = 2;
//!             optional Timestamp ts_origin = 3, ts_received = 4; optional bool new_frame = 5;
//!             repeated Value values = 100 }
//! Timestamp { required uint32 sec = 1, nsec = 2 }
//! Value     { oneof: double f = 1; int64 i = 2; bool b = 3; Complex z = 4 }
//! Complex   { required float real = 1, imag = 2 }
//! ```
//!
//! Seconds before 1970 or after 2106 are written with all their 64 bits, of which a reader of 32
//! bits keeps the lower ones.

use prost::bytes::BufMut;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_varint, encoded_len_varint, skip_field};
use villas_shm_node::record::value::{is_true, join, split};
use villas_shm_node::record::{Record, Time};
use villas_shm_node::signals::{SignalType, Signals};

use crate::batch::{Batch, Fault};

/// The key of a value and its length, which is below 128: field 100, delimited by a length.
const VALUE: [u8; 2] = [0xa2, 0x06];

/// What stands before the 8 bytes of a float.
const FLOAT: [u8; 4] = [VALUE[0], VALUE[1], 9, 0x09];

/// The bytes of a float.
const BYTES_OF_FLOAT: usize = FLOAT.len() + 8;

const DATA: u64 = 1;

/// Appends a message with one sample to `buffer`. Messages one behind the other are one message.
pub(crate) fn encode(record: &Record, signals: &Signals, buffer: &mut Vec<u8>) {
    let mut room = [0; 64];
    let header = header(record, &mut room);
    // It stands before what it is the length of, and is right if all values are floats.
    let guessed = header.len() + BYTES_OF_FLOAT * record.values.len();
    buffer.push(0x0a);
    let begin = buffer.len();
    encode_varint(guessed as u64, buffer);
    let inner = buffer.len();
    buffer.extend_from_slice(header);
    let mut values = &record.values[..];
    while let Some(&bits) = values.first() {
        let index = record.values.len() - values.len();
        match signals.kind(index) {
            SignalType::Float => {
                let kinds = (index..record.values.len()).map(|index| signals.kind(index));
                let (floats, rest) = values.split_at(kinds.take_while(|kind| *kind == SignalType::Float).count());
                encode_floats(floats, buffer);
                values = rest;
                continue;
            }
            SignalType::Integer => {
                let length = 1 + encoded_len_varint(bits) as u8;
                buffer.extend_from_slice(&[VALUE[0], VALUE[1], length, 0x10]);
                encode_varint(bits, buffer);
            }
            SignalType::Boolean => buffer.extend_from_slice(&[VALUE[0], VALUE[1], 2, 0x18, u8::from(is_true(bits))]),
            SignalType::Complex => {
                let (real, imaginary) = split(bits);
                buffer.extend_from_slice(&[VALUE[0], VALUE[1], 12, 0x22, 10, 0x0d]);
                buffer.extend_from_slice(&real.to_le_bytes());
                buffer.push(0x15);
                buffer.extend_from_slice(&imaginary.to_le_bytes());
            }
        }
        values = &values[1..];
    }
    let length = buffer.len() - inner;
    if length != guessed {
        let mut right = Vec::new();
        encode_varint(length as u64, &mut right);
        buffer.splice(begin..inner, right);
    }
}

/// What stands before the values.
fn header<'a>(record: &Record, room: &'a mut [u8; 64]) -> &'a [u8] {
    let mut rest = &mut room[..];
    rest.put_slice(&[0x08, DATA as u8]);
    if let Some(sequence) = record.sequence {
        rest.put_u8(0x10);
        encode_varint(sequence, &mut rest);
    }
    for (key, time) in [(0x1a, record.origin), (0x22, record.received)] {
        if let Some(time) = time {
            let (sec, nsec) = (time.sec as u64, time.nsec.into());
            let length = 2 + encoded_len_varint(sec) + encoded_len_varint(nsec);
            rest.put_slice(&[key, length as u8, 0x08]);
            encode_varint(sec, &mut rest);
            rest.put_u8(0x10);
            encode_varint(nsec, &mut rest);
        }
    }
    if record.new_frame {
        rest.put_slice(&[0x28, 1]);
    }
    let left = rest.len();
    &room[..room.len() - left]
}

fn encode_floats(values: &[u64], buffer: &mut Vec<u8>) {
    let begin = buffer.len();
    buffer.resize(begin + BYTES_OF_FLOAT * values.len(), 0);
    for (place, bits) in buffer[begin..].chunks_exact_mut(BYTES_OF_FLOAT).zip(values) {
        place[..FLOAT.len()].copy_from_slice(&FLOAT);
        place[FLOAT.len()..].copy_from_slice(&bits.to_le_bytes());
    }
}

/// Reads a message into `batch`. A sample that does not fit the signals is a fault there; an error
/// is one of the message.
pub(crate) fn decode(mut bytes: &[u8], signals: &Signals, batch: &mut Batch) -> Result<(), String> {
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (1, Field::Bytes(inner)) => batch.add(|record, limit| sample(inner, signals, limit, record))?,
            (1, _) => return Err(other_field()),
            _ => {}
        }
    }
    Ok(())
}

/// The contents of a field.
enum Field<'a> {
    Number(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(&'a [u8]),
    Other,
}

/// Takes a number off the front of a message.
#[inline]
fn number(bytes: &mut &[u8]) -> Result<u64, String> {
    match bytes {
        [first @ 0..0x80, rest @ ..] => {
            let number = (*first).into();
            *bytes = rest;
            Ok(number)
        }
        _ => decode_varint(bytes).map_err(garbage),
    }
}

/// Takes a field off the front of a message: its number and contents.
#[inline]
fn field<'a>(bytes: &mut &'a [u8]) -> Result<(u32, Field<'a>), String> {
    let (tag, wire_type) = decode_key(bytes).map_err(garbage)?;
    let contents = match wire_type {
        WireType::Varint => Field::Number(number(bytes)?),
        WireType::SixtyFourBit => Field::Fixed64(*take(bytes)?),
        WireType::ThirtyTwoBit => Field::Fixed32(*take(bytes)?),
        WireType::LengthDelimited => {
            let length = number(bytes)?;
            let split = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
            let (inner, rest) = split.ok_or_else(truncated)?;
            *bytes = rest;
            Field::Bytes(inner)
        }
        WireType::StartGroup | WireType::EndGroup => {
            skip_field(wire_type, tag, bytes, DecodeContext::default()).map_err(garbage)?;
            Field::Other
        }
    };
    Ok((tag, contents))
}

/// The bytes of a float, if the next field is one.
#[inline]
fn float(bytes: &[u8]) -> Option<&[u8; 8]> {
    // With lengths that the compiler knows.
    let (head, rest) = bytes.split_first_chunk()?;
    if *head == FLOAT { rest.first_chunk() } else { None }
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], String> {
    let (first, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
    *bytes = rest;
    Ok(first)
}

#[cold]
fn garbage(what: impl std::fmt::Display) -> String {
    format!("it is no protobuf message of samples: {what}")
}

#[cold]
fn truncated() -> String {
    garbage("it ends within a field")
}

#[cold]
fn other_field() -> String {
    garbage("a field is of another type")
}

/// Reads one sample; what does not fit the signals is a fault.
fn sample(mut bytes: &[u8], signals: &Signals, limit: usize, record: &mut Record) -> Result<Option<Fault>, String> {
    let mut fault = None;
    let mut kind = None;
    let mut count = 0;
    while !bytes.is_empty() {
        // Most values are floats, as every writer of protobuf writes them.
        while let (Some(float), true) = (float(bytes), count < limit && signals.kind(count) == SignalType::Float) {
            record.values.push(u64::from_le_bytes(*float));
            bytes = &bytes[BYTES_OF_FLOAT..];
            count += 1;
        }
        if bytes.is_empty() {
            break;
        }
        match field(&mut bytes)? {
            (100, Field::Bytes(inner)) => {
                if count < limit {
                    match value(inner, signals.kind(count))? {
                        Some(bits) => record.values.push(bits),
                        None => {
                            fault.get_or_insert(Fault::Type { index: count, wanted: signals.kind(count) });
                        }
                    }
                }
                count += 1;
            }
            (1, Field::Number(number)) => kind = Some(number),
            (2, Field::Number(number)) => record.sequence = Some(number),
            (3, Field::Bytes(inner)) => record.origin = Some(time(inner)?),
            (4, Field::Bytes(inner)) => record.received = Some(time(inner)?),
            (5, Field::Number(number)) => record.new_frame = number != 0,
            (1..=5 | 100, _) => return Err(other_field()),
            _ => {}
        }
    }
    if count > limit {
        fault = Some(Fault::TooMany { values: count, limit });
    }
    match kind {
        Some(DATA) => Ok(fault),
        kind => Ok(Some(Fault::NoData { kind })),
    }
}

fn time(mut bytes: &[u8]) -> Result<Time, String> {
    let (mut sec, mut nsec) = (0, 0);
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (1, Field::Number(number)) => sec = number as i64,
            (2, Field::Number(number)) => nsec = number as i64,
            (1 | 2, _) => return Err(other_field()),
            _ => {}
        }
    }
    Ok(Time::carried(sec, nsec))
}

/// The 8 bytes of a value; `None` if it is of another type.
#[inline]
fn value(mut bytes: &[u8], kind: SignalType) -> Result<Option<u64>, String> {
    let mut bits = None;
    while !bytes.is_empty() {
        bits = match (field(&mut bytes)?, kind) {
            ((1, Field::Fixed64(double)), SignalType::Float) => Some(u64::from_le_bytes(double)),
            ((2, Field::Number(integer)), SignalType::Integer) => Some(integer),
            ((3, Field::Number(number)), SignalType::Boolean) => {
                Some(u64::from_ne_bytes([u8::from(number != 0), 0, 0, 0, 0, 0, 0, 0]))
            }
            ((4, Field::Bytes(inner)), SignalType::Complex) => Some(complex(inner)?),
            ((1..=4, _), _) => None,
            _ => bits,
        };
    }
    Ok(bits)
}

fn complex(mut bytes: &[u8]) -> Result<u64, String> {
    let (mut real, mut imaginary) = (0.0, 0.0);
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (1, Field::Fixed32(float)) => real = f32::from_le_bytes(float),
            (2, Field::Fixed32(float)) => imaginary = f32::from_le_bytes(float),
            (1 | 2, _) => return Err(other_field()),
            _ => {}
        }
    }
    Ok(join(real, imaginary))
}

#[cfg(test)]
#[path = "protobuf_tests.rs"]
mod tests;
