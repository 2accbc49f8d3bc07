//! The messages of docs/bridge.md, as prost derives them: what a program that has only Zenoh and
//! prost would write.

use prost::{Message as _, Oneof};

#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(message, repeated, tag = "1")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sample {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(uint64, optional, tag = "2")]
    sequence: Option<u64>,
    #[prost(message, optional, tag = "3")]
    origin: Option<Timestamp>,
    #[prost(message, repeated, tag = "100")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Timestamp {
    #[prost(uint32, required, tag = "1")]
    sec: u32,
    #[prost(uint32, required, tag = "2")]
    nsec: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Value {
    #[prost(oneof = "Number", tags = "1, 2, 3, 4")]
    number: Option<Number>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Number {
    #[prost(double, tag = "1")]
    Float(f64),
    #[prost(int64, tag = "2")]
    Integer(i64),
    #[prost(bool, tag = "3")]
    Boolean(bool),
    #[prost(message, tag = "4")]
    Complex(Complex),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Complex {
    #[prost(float, required, tag = "1")]
    real: f32,
    #[prost(float, required, tag = "2")]
    imag: f32,
}

/// When the samples were made.
pub(crate) const SECONDS: i64 = 1_700_000_000;

pub(crate) fn nanoseconds(sequence: u64) -> u32 {
    (sequence % 1_000_000_000) as u32
}

/// Values of a sample.
pub(crate) const VALUES: usize = 8;

/// The value at `index` of a sample.
pub(crate) fn value(sequence: u64, index: usize) -> f64 {
    sequence as f64 + index as f64 / 8.0
}

/// A message of so many samples, numbered from `first` on.
pub(crate) fn encode(first: u64, samples: usize) -> Vec<u8> {
    let sample = |sequence| Sample {
        kind: 1,
        sequence: Some(sequence),
        origin: Some(Timestamp { sec: SECONDS as u32, nsec: nanoseconds(sequence) }),
        values: (0..VALUES).map(|index| Value { number: Some(Number::Float(value(sequence, index))) }).collect(),
    };
    Message { samples: (first..).take(samples).map(sample).collect() }.encode_to_vec()
}

/// How many samples a message has; each of them is looked at.
pub(crate) fn decode(bytes: &[u8]) -> usize {
    let message = Message::decode(bytes).expect("a message of samples");
    for sample in &message.samples {
        let sequence = sample.sequence.expect("a sequence number");
        assert_eq!(sample.values.len(), VALUES);
        for (index, read) in sample.values.iter().enumerate() {
            assert_eq!(read.number, Some(Number::Float(value(sequence, index))));
        }
    }
    message.samples.len()
}
