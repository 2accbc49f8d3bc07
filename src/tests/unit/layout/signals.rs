//! Of `layout/signals`.

use super::*;
use std::time::{Duration, Instant};

fn signal(name: &str) -> Signal {
    Signal::new(name, "V", SignalType::Float)
}

fn table_of(signals: &[Signal]) -> Result<SignalTable> {
    SignalTable::checked(&signals.iter().map(Signal::borrow).collect::<Vec<_>>())
}

/// The outcome of reading a table of `count` signals.
fn read(bytes: &[u8], count: usize) -> std::result::Result<Vec<Signal>, (i32, String)> {
    let table = decode(bytes, count).and_then(|found| SignalTable::checked(&found));
    table.map(|table| table.to_vec()).map_err(|e| (e.errno(), e.to_string()))
}

#[test]
fn a_table_gives_the_signals_that_were_written_into_it() {
    let longest = Signal::new("n".repeat(MOST_NAME), "u".repeat(MOST_UNIT), SignalType::Complex);
    let all =
        [signal("u_a"), Signal::new("Größe ⌀", "", SignalType::Integer), longest, Signal::new(" ", "°C", SignalType::Boolean)];
    let bytes = encode(all.iter().map(Signal::borrow));
    assert_eq!(bytes.len() as u64, size(all.iter().map(Signal::borrow)));
    assert_eq!(read(&bytes, all.len()).unwrap(), all);
    for (at, signal) in all.iter().enumerate() {
        assert_eq!(table_of(&all).unwrap().find(signal.name()), Some(at));
    }
    assert_eq!(read(&[], 0).unwrap(), []);
}

#[test]
fn a_table_that_is_wrong_in_one_place_is_refused_with_the_place() {
    let all = [signal("first"), Signal::new("second", "A", SignalType::Integer)];
    let good = encode(all.iter().map(Signal::borrow));
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let texts = 2 * RECORD;
    let rows: Vec<(Vec<u8>, usize, &str)> = vec![
        (good.clone(), 1, "bytes follow"),
        (good.clone(), 3, "cannot hold"),
        (good.clone(), usize::MAX, "cannot hold"),
        (good.clone(), 0, "bytes follow"),
        (good[..good.len() - 1].to_vec(), 2, "signal 1 has texts beyond the end"),
        ([&good[..], &[0]].concat(), 2, "1 bytes follow"),
        (with(4, 0), 2, "signal 0 has type 0"),
        (with(RECORD + 4, 5), 2, "signal 1 has type 5"),
        (with(15, 1), 2, "signal 0 has a reserved field"),
        (with(texts, 0xff), 2, "signal 0 has a text that is not UTF-8"),
        (with(texts + 1, b'\n'), 2, "signal 0 has a control character in its name"),
        (with(texts + 5, 0), 2, "signal 0 has a control character in its unit"),
        (encode([signal("")].iter().map(Signal::borrow)), 1, "signal 0 has no name"),
        (encode([signal(&"n".repeat(256))].iter().map(Signal::borrow)), 1, "signal 0 has a name of 256 bytes"),
        (encode([Signal::new("n", "u".repeat(64), SignalType::Float)].iter().map(Signal::borrow)), 1, "a unit of 64 bytes"),
        (encode([signal("a\u{85}")].iter().map(Signal::borrow)), 1, "control character"),
        (encode([signal("b"), signal("a"), signal("b")].iter().map(Signal::borrow)), 3, "signals 0 and 2 have one name, \"b\""),
    ];
    for (bytes, count, why) in rows {
        let (errno, text) = read(&bytes, count).expect_err(why);
        assert_eq!(errno, libc::EBADMSG, "{text}");
        assert!(text.contains(why), "{text}: not {why}");
    }
}

#[test]
fn as_many_signals_as_there_can_be_are_read_and_found_in_well_under_a_second() {
    let all: Vec<Signal> = (0..65_536).map(|number| signal(&format!("signal_{number}"))).collect();
    let start = Instant::now();
    let bytes = encode(all.iter().map(Signal::borrow));
    let table = SignalTable::checked(&decode(&bytes, all.len()).unwrap()).unwrap();
    assert!(all.iter().enumerate().all(|(at, signal)| table.find(signal.name()) == Some(at)));
    assert!(table.find("signal_").is_none() && table.find("signal_65536").is_none());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}, in a build without optimisation");
}
