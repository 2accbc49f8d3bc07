//! Bytes that are no file of the format: an error, and nothing worse.

use super::*;

/// Reads to the end, without the many warnings; returns how many samples and errors there were.
fn exhaust(format: Format, bytes: Vec<u8>) -> (usize, usize) {
    crate::log::without(|| read_all(format, bytes))
}

fn read_all(format: Format, bytes: Vec<u8>) -> (usize, usize) {
    let most = 64 + 8 * bytes.len();
    let (mut reader, mut record) = (reader(format, bytes, &"fibc".parse().unwrap()), Record::default());
    let (mut samples, mut errors) = (0, 0);
    while samples + errors < most {
        match reader.read(&mut record) {
            Ok(true) => {
                samples += 1;
                let times = [record.origin, record.received];
                assert!(times.iter().flatten().all(|time| time.nsec < 1_000_000_000), "{record:?}");
            }
            Ok(false) => return (samples, errors),
            Err(error) => {
                errors += 1;
                let (what, is_fatal) = match error {
                    ReadError::Malformed(what) => (what, false),
                    ReadError::Fatal(what) => (what, true),
                };
                assert!(!what.is_empty() && !what.contains('\n'), "{what:?}");
                if is_fatal {
                    return (samples, errors);
                }
            }
        }
    }
    panic!("{format:?}: {samples} samples and {errors} errors, and no end");
}

fn valid(format: Format) -> Vec<u8> {
    let types = if format == Format::Binary { "fibf" } else { "fibc" };
    let record = |index: u64| Record {
        origin: Some(crate::record::Time { sec: 1_700_000_000, nsec: index as u32 }),
        received: (index % 2 == 0).then_some(crate::record::Time { sec: 1_700_000_001, nsec: 0 }),
        sequence: (index % 3 > 0).then_some(index),
        new_frame: index % 5 == 0,
        values: [1.5_f64.to_bits(), index, index % 2, 0][..1 + index as usize % 4].to_vec(),
        ..Record::default()
    };
    written(format, &types.parse().unwrap(), &(0..20).map(record).collect::<Vec<_>>(), 7).0
}

#[test]
fn bytes_at_random_are_errors() {
    let mut noise = Noise(3);
    for format in FORMATS {
        for len in [0, 1, 3, 4, 8, 16, 100, 1000] {
            for _ in 0..50 {
                let bytes: Vec<u8> = (0..len).map(|_| noise.next() as u8).collect();
                let (samples, errors) = exhaust(format, bytes);
                assert!(len < 100 || samples == 0 && errors > 0, "{format:?}");
            }
        }
    }
}

#[test]
fn a_file_that_ends_anywhere_gives_what_is_whole() {
    for format in FORMATS {
        let bytes = valid(format);
        let all = exhaust(format, bytes.clone());
        assert_eq!(all, (20, 0), "{format:?}");
        let mut last = 0;
        for len in 0..bytes.len() {
            let (samples, errors) = exhaust(format, bytes[..len].to_vec());
            // A line that was cut may be a sample of its own, or none.
            assert!(samples + 1 >= last && samples <= 20 && errors <= 1, "{format:?} at {len}: {samples}, {errors}");
            last = last.max(samples);
        }
    }
}

#[test]
fn a_file_that_was_changed_anywhere_is_read_or_an_error() {
    let mut noise = Noise(11);
    for format in FORMATS {
        let bytes = valid(format);
        for _ in 0..1000 {
            let mut changed = bytes.clone();
            for _ in 0..1 + noise.below(4) {
                let at = noise.below(changed.len());
                match noise.below(4) {
                    0 => changed[at] = noise.next() as u8,
                    1 => changed[at] ^= 1 << noise.below(8),
                    2 => drop(changed.remove(at)),
                    _ => changed.insert(at, [0, 0xff, b'-', b'9'][noise.below(4)]),
                }
            }
            exhaust(format, changed);
        }
    }
}

#[test]
fn a_length_in_a_file_costs_no_memory() {
    // The length of a message's description, and that of its body, of which nothing follows.
    for start in [&[0xff; 8][..], b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xf0\xff\xff\x7f"] {
        assert_eq!(exhaust(Format::Arrow, start.to_vec()).0, 0);
    }
    let mut message = vec![0x20, 0, 0xff, 0xff];
    message.extend_from_slice(&[0; 100]);
    assert_eq!(exhaust(Format::Binary, message), (0, 1));
}
