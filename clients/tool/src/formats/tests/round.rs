//! There and back.

use super::*;
use crate::record::Time;
use crate::signals::{Signal, SignalType};

/// A sample that this format can hold in full.
fn fitting(format: Format, signals: &Signals, noise: &mut Noise) -> Record {
    let is_binary = format == Format::Binary;
    let time = |noise: &mut Noise| {
        let shift = match format {
            Format::Binary => 32,
            // About 292 years around 1970.
            Format::Arrow => 31,
            _ => 1 + noise.below(60),
        };
        let sec = if is_binary { (noise.next() >> shift) as i64 } else { noise.next() as i64 >> shift };
        Time { sec, nsec: noise.below(1_000_000_000) as u32 }
    };
    // A text without a time has no place for the time of reception, and this one has 0.0 instead.
    let origin = (is_binary || format == Format::Human || !noise.is_one_in(5)).then(|| time(noise));
    let has_received = !is_binary && noise.is_one_in(2) && (origin.is_some() || matches!(format, Format::Json | Format::Arrow));
    let mut record = Record { origin, received: has_received.then(|| time(noise)), ..Record::default() };
    record.sequence = (is_binary || !noise.is_one_in(5)).then(|| noise.next() >> if is_binary { 32 } else { 0 });
    record.new_frame = matches!(format, Format::Human | Format::Arrow) && noise.is_one_in(3);
    // The first sample of Arrow decides how many columns there are; here the signals do.
    let len = noise.below(signals.len() + 1);
    record.values = (0..len).map(|index| value(format, signals.kind(index), noise)).collect();
    record
}

fn value(format: Format, kind: SignalType, noise: &mut Noise) -> u64 {
    let single = |bits: u64| f64::from(f32::from_bits(bits as u32)).to_bits();
    match kind {
        SignalType::Boolean => u64::from_ne_bytes([noise.below(2) as u8, 0, 0, 0, 0, 0, 0, 0]),
        SignalType::Integer if format == Format::Binary => noise.next() >> 32,
        // Its NaNs are quiet ones.
        SignalType::Float if format == Format::Binary => single(noise.next() & !(1 << 30)),
        SignalType::Float if format == Format::Json => match noise.next() {
            bits if f64::from_bits(bits).is_finite() => bits,
            _ => f64::NAN.to_bits(),
        },
        // Two parts that are finite, whatever the byte order.
        SignalType::Complex if format == Format::Json => noise.next() & !(1 << 62 | 1 << 30),
        _ => noise.next(),
    }
}

fn named(kinds: &[SignalType]) -> Signals {
    let signal = |(index, &kind): (usize, &SignalType)| {
        let (name, unit) = [("u", "V"), ("plain", ""), ("with, comma", "\""), ("ω 1", "°C")][index % 4];
        Signal::new(format!("{name}{index}"), unit, kind)
    };
    Signals::new(kinds.iter().enumerate().map(signal).collect())
}

#[test]
fn each_format_gives_back_what_it_can_hold_bit_for_bit() {
    use SignalType::{Boolean, Complex, Float, Integer};
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for format in FORMATS {
        let is_binary = format == Format::Binary;
        let kinds = [Float, Integer, Boolean, if is_binary { Float } else { Complex }, Float, Integer];
        let signals = named(&kinds);
        let records: Vec<_> = (0..10_000).map(|_| fitting(format, &signals, &mut noise)).collect();
        let (bytes, losses) = written(format, &signals, &records, 700);
        assert_eq!(losses, Vec::<String>::new(), "{format:?}");
        let (back, found) = read(format, bytes, &"fibcfi".replace('c', if is_binary { "f" } else { "c" }).parse().unwrap());
        assert_eq!(back.len(), records.len(), "{format:?}");
        for (index, (back, record)) in back.iter().zip(&records).enumerate() {
            assert_eq!(back, record, "{format:?}, sample {index}");
        }
        // Names and units, where the format has them.
        if !matches!(format, Format::Json | Format::Binary) {
            assert_eq!(found, signals, "{format:?}");
        }
    }
}

#[test]
fn arrow_says_the_types_itself_and_json_those_that_it_shows() {
    use SignalType::{Boolean, Complex, Float, Integer};
    let signals = named(&[Float, Integer, Boolean, Complex]);
    let record = Record { values: vec![1.5_f64.to_bits(), 7, 1, 0], ..Record::default() };
    let types = |format| {
        let (_, found) = read(format, written(format, &signals, std::slice::from_ref(&record), 1).0, &Signals::default());
        (0..4).map(|index| found.kind(index)).collect::<Vec<_>>()
    };
    assert_eq!(types(Format::Arrow), [Float, Integer, Boolean, Complex]);
    // An integer could be a float of a program that leaves out the point.
    assert_eq!(types(Format::Json), [Float, Float, Boolean, Complex]);
}

#[test]
fn what_a_format_cannot_hold_is_counted() {
    let lost = |format, types: &str, records: &[Record]| written(format, &types.parse().unwrap(), records, 1).1.join("; ");
    let time = |sec| Some(Time { sec, nsec: 0 });
    let empty = Record::default();
    let full = Record {
        origin: time(1 << 40),
        received: time(2),
        sequence: Some(1 << 32),
        new_frame: true,
        values: vec![0.1_f64.to_bits(), u64::MAX],
        ..Record::default()
    };
    assert_eq!(
        lost(Format::Binary, "fi", &[full.clone(), empty.clone()]),
        "samples without a time got the time 0: 1; \
         times before 1970 or after 2106 kept the lower 32 bits of their seconds: 1; \
         times of reception left out: 1; samples without a sequence number got 0: 1; \
         sequence numbers kept their lower 32 bits: 1; marks of the first sample of a frame left out: 1; \
         floats rounded to 32 bits: 1; integers kept their lower 32 bits, without a sign: 1"
    );
    assert_eq!(lost(Format::Csv, "fi", &[full.clone(), empty.clone()]), "marks of the first sample of a frame left out: 1");
    let untimed = Record { received: time(2), ..empty.clone() };
    assert_eq!(lost(Format::Tsv, "", &[untimed]), "times of reception left out: 1");
    let odd = Record { values: vec![f64::NAN.to_bits(), f64::INFINITY.to_bits(), (-f64::NAN).to_bits()], ..empty.clone() };
    let nulls = "infinite values, and NaNs with a sign or payload, written as null: 2";
    assert_eq!(lost(Format::Json, "", std::slice::from_ref(&odd)), nulls);
    assert_eq!(
        lost(Format::Arrow, "", &[empty, full, odd]),
        "times before 1677 or after 2262 left out: 1; \
         values beyond the columns left out, which are as many as the first sample has: 5"
    );
}

#[test]
fn every_sample_before_a_flush_can_be_read() {
    let signals = named(&[SignalType::Float; 3]);
    for format in FORMATS {
        let mut noise = Noise(7);
        let records: Vec<_> = (0..10).map(|_| fitting(format, &signals, &mut noise)).collect();
        let bytes = Written::default();
        let mut writer = Writer::new(Output::new("a test", bytes.clone(), format), signals.clone()).unwrap();
        for (index, record) in records.iter().enumerate() {
            writer.write(record).unwrap();
            writer.flush().unwrap();
            let so_far = bytes.0.lock().unwrap().clone();
            assert_eq!(read(format, so_far, &Signals::default()).0, records[..=index], "{format:?}");
        }
    }
}

#[test]
fn a_file_without_samples_is_a_file() {
    let signals = named(&[SignalType::Float]);
    for format in FORMATS {
        let (bytes, losses) = written(format, &signals, &[], 1);
        assert!(losses.is_empty());
        assert_eq!(read(format, bytes, &Signals::default()).0, [], "{format:?}");
    }
}
