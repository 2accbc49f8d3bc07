//! Conversion between a sample in shared memory and a record.

use villas_shm::{Error, Flags, Sample, Timespec};

use crate::record::{Record, Time};

/// Any of the flags for the valid parts of the header.
const HAS_ANY: Flags =
    Flags::HAS_TS_ORIGIN.union(Flags::HAS_TS_RECEIVED).union(Flags::HAS_OFFSET).union(Flags::HAS_SEQUENCE).union(Flags::HAS_DATA);

/// Fills a sample to be sent; a record without a sequence number gets `sequence`.
pub fn fill(sample: &mut Sample, record: &Record, sequence: u64) -> Result<(), Error> {
    let origin = record.origin.unwrap_or_default();
    sample.set_sequence(record.sequence.unwrap_or(sequence));
    sample.set_origin(Timespec { sec: origin.sec, nsec: i64::from(origin.nsec) });
    let frame = if record.new_frame { Flags::NEW_FRAME } else { Flags::NONE };
    sample.set_flags(Flags::HAS_TS_ORIGIN | Flags::HAS_SEQUENCE | Flags::HAS_DATA | frame);
    sample.set_len(record.values.len())?;
    for (index, &bits) in record.values.iter().enumerate() {
        sample.set_bits(index, bits);
    }
    Ok(())
}

/// Reads a sample that was received at `now`. `as_it_stands`: the header of a sample without flags
/// is valid.
pub fn take(sample: &Sample, now: Time, as_it_stands: bool, record: &mut Record) {
    let marks = sample.flags();
    let has = |flag| (as_it_stands && !marks.intersects(HAS_ANY)) || marks.contains(flag);
    let origin = sample.origin();
    record.origin = has(Flags::HAS_TS_ORIGIN).then(|| Time::carried(origin.sec, origin.nsec));
    record.received = Some(now);
    record.sequence = has(Flags::HAS_SEQUENCE).then(|| sample.sequence());
    record.new_frame = marks.contains(Flags::NEW_FRAME);
    record.values.clear();
    record.values.extend((0..sample.len()).map(|index| sample.get_bits(index)));
}
