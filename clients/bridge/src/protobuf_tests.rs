use prost::Message as _;

use super::*;

/// The messages as prost derives them: what is encoded here is decoded by it, and the reverse.
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
    ts_origin: Option<Timestamp>,
    #[prost(message, optional, tag = "4")]
    ts_received: Option<Timestamp>,
    #[prost(bool, optional, tag = "5")]
    new_frame: Option<bool>,
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
    #[prost(oneof = "OneOf", tags = "1, 2, 3, 4")]
    value: Option<OneOf>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OneOf {
    #[prost(double, tag = "1")]
    F(f64),
    #[prost(int64, tag = "2")]
    I(i64),
    #[prost(bool, tag = "3")]
    B(bool),
    #[prost(message, tag = "4")]
    Z(Complex),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Complex {
    #[prost(float, required, tag = "1")]
    real: f32,
    #[prost(float, required, tag = "2")]
    imag: f32,
}

const LIMIT: usize = 8;

fn signals() -> Signals {
    "fibc".parse().unwrap()
}

fn boolean(value: bool) -> u64 {
    u64::from_ne_bytes([value.into(), 0, 0, 0, 0, 0, 0, 0])
}

fn record() -> Record {
    Record {
        origin: Some(Time { sec: 1_700_000_000, nsec: 999_999_999 }),
        received: Some(Time { sec: 0, nsec: 1 }),
        sequence: Some(u64::MAX),
        new_frame: true,
        values: vec![(-0.1_f64).to_bits(), -7_i64 as u64, boolean(true), join(1.5, -2.5), 3_f64.to_bits()],
        oddities: Vec::new(),
    }
}

/// The same by prost.
fn derived() -> Sample {
    let values = [OneOf::F(-0.1), OneOf::I(-7), OneOf::B(true), OneOf::Z(Complex { real: 1.5, imag: -2.5 }), OneOf::F(3.0)];
    Sample {
        kind: 1,
        sequence: Some(u64::MAX),
        ts_origin: Some(Timestamp { sec: 1_700_000_000, nsec: 999_999_999 }),
        ts_received: Some(Timestamp { sec: 0, nsec: 1 }),
        new_frame: Some(true),
        values: values.map(|value| Value { value: Some(value) }).to_vec(),
    }
}

fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(record, &signals(), &mut bytes);
    bytes
}

/// The samples of a message, each with its fault.
fn decoded(bytes: &[u8]) -> Result<Vec<Result<Record, Fault>>, String> {
    let mut batch = Batch::default();
    batch.begin(LIMIT);
    decode(bytes, &signals(), &mut batch)?;
    Ok(batch.from(0).map(|(_, sample)| sample.cloned().map_err(Clone::clone)).collect())
}

fn message(samples: &[Sample]) -> Vec<u8> {
    Message { samples: samples.to_vec() }.encode_to_vec()
}

#[test]
fn prost_reads_what_is_encoded_and_the_reverse() {
    assert_eq!(encoded(&record()), message(&[derived()]));
    assert_eq!(decoded(&message(&[derived(), derived()])), Ok(vec![Ok(record()); 2]));
    assert_eq!(encoded(&Record::default()), message(&[Sample { kind: 1, ..Sample::default() }]));
    assert_eq!(decoded(&encoded(&Record::default())), Ok(vec![Ok(Record::default())]));
}

#[test]
fn every_bit_of_a_value_and_every_time_comes_back() {
    let nan = f64::from_bits(0xfff4_0000_dead_beef);
    for values in [[nan.to_bits(), u64::MAX, boolean(false), u64::MAX], [f64::INFINITY.to_bits(), 1 << 63, boolean(true), 1]] {
        for sec in [i64::MIN, -1, 1 << 32, i64::MAX] {
            let record = Record { origin: Some(Time { sec, nsec: 7 }), values: values.to_vec(), ..Record::default() };
            assert_eq!(decoded(&encoded(&record)), Ok(vec![Ok(record)]));
        }
    }
}

#[test]
fn a_long_sample_has_a_longer_length_before_it() {
    for count in [0, 9, 10, 11, 1364, 1365, 65_536] {
        let record = Record { values: vec![5; count], ..Record::default() };
        let mut bytes = Vec::new();
        encode(&record, &Signals::default(), &mut bytes);
        let read = Message::decode(&bytes[..]).unwrap();
        assert_eq!((read.samples.len(), read.samples[0].values.len()), (1, count));
    }
}

#[test]
fn a_value_of_another_type_is_a_fault_of_its_sample() {
    let right = derived();
    for index in 0..4 {
        let mut wrong = derived();
        wrong.values[index] = derived().values[(index + 1) % 4].clone();
        let samples = decoded(&message(&[right.clone(), wrong, right.clone()])).unwrap();
        assert_eq!(samples[1], Err(Fault::Type { index, wanted: signals().kind(index) }));
        assert!(samples[0].is_ok() && samples[2].is_ok());
    }
    let empty = Sample { values: vec![Value { value: None }], ..derived() };
    assert_eq!(decoded(&message(&[empty])).unwrap(), [Err(Fault::Type { index: 0, wanted: SignalType::Float })]);
}

#[test]
fn a_sample_with_too_many_values_or_without_data_is_a_fault() {
    let float = Value { value: Some(OneOf::F(1.0)) };
    let mut long = derived();
    long.values.resize(LIMIT, float.clone());
    assert!(decoded(&message(&[long.clone()])).unwrap()[0].is_ok());
    long.values.push(float);
    assert_eq!(decoded(&message(&[long])).unwrap(), [Err(Fault::TooMany { values: LIMIT + 1, limit: LIMIT })]);
    let stop = Sample { kind: 3, ..derived() };
    assert_eq!(decoded(&message(&[stop])).unwrap(), [Err(Fault::NoData { kind: Some(3) })]);
    assert_eq!(decoded(b"\x0a\x00").unwrap(), [Err(Fault::NoData { kind: None })]);
}

#[test]
fn what_is_cut_off_or_garbage_is_an_error_and_never_a_panic() {
    let good = message(&[derived(), derived()]);
    let length = good.len() / 2;
    for end in 1..good.len() {
        assert_eq!(decoded(&good[..end]).is_ok(), end == length, "{end}");
    }
    // Every byte changed to every other.
    for at in 0..length {
        for byte in 0..=255 {
            let mut bytes = good.clone();
            bytes[at] = byte;
            if let Ok(samples) = decoded(&bytes) {
                let fits = |record: &Record| record.values.len() <= LIMIT;
                assert!(samples.iter().all(|sample| sample.as_ref().map_or(true, fits)));
            }
        }
    }
    for garbage in [&b"\xff"[..], b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"{\"ts\": 1}", &[0; 9], &[0x0b; 999]] {
        assert!(decoded(garbage).unwrap_err().contains("no protobuf message"), "{garbage:?}");
    }
}

#[test]
fn unknown_fields_are_passed_over() {
    let mut bytes = message(&[derived()]);
    bytes.extend([0x12, 1, b'x', 0x18, 5, 0x25, 1, 2, 3, 4, 0x29, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(decoded(&bytes), Ok(vec![Ok(record())]));
}
