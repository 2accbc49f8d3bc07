//! Between a sample in shared memory and a record.

use villas_shm::{Error, Sample, Timespec, flags};

use crate::human::{Record, Time};

/// Any of the flags that say which parts of the header are valid.
const HAS_ANY: i32 = flags::HAS_TS_ORIGIN | flags::HAS_TS_RECEIVED | flags::HAS_OFFSET | flags::HAS_SEQUENCE | flags::HAS_DATA;

/// Fills a sample that is to be sent; a record without a sequence number gets `sequence`.
pub(super) fn fill(sample: &mut Sample, record: &Record, sequence: u64) -> Result<(), Error> {
    let origin = record.origin.unwrap_or_default();
    sample.set_sequence(record.sequence.unwrap_or(sequence));
    sample.set_origin(Timespec { sec: origin.sec, nsec: i64::from(origin.nsec) });
    let frame = if record.new_frame { flags::NEW_FRAME } else { 0 };
    sample.set_flags(flags::HAS_TS_ORIGIN | flags::HAS_SEQUENCE | flags::HAS_DATA | frame);
    sample.set_len(record.values.len())?;
    for (index, &bits) in record.values.iter().enumerate() {
        sample.set_bits(index, bits);
    }
    Ok(())
}

/// Takes a sample that was received at `now` apart. `as_it_stands`: one without any flag has a valid header.
pub(super) fn take(sample: &Sample, now: Time, as_it_stands: bool, record: &mut Record) {
    let marks = sample.flags();
    let has = |flag| (as_it_stands && marks & HAS_ANY == 0) || marks & flag != 0;
    let origin = sample.origin();
    record.origin = has(flags::HAS_TS_ORIGIN).then(|| Time::carried(origin.sec, origin.nsec));
    record.received = Some(now);
    record.sequence = has(flags::HAS_SEQUENCE).then(|| sample.sequence());
    record.new_frame = marks & flags::NEW_FRAME != 0;
    record.values.clear();
    record.values.extend((0..sample.len()).map(|index| sample.get_bits(index)));
}
