//! The text that the tool reads: sample lines, and configurations in both syntaxes.

use std::path::Path;

use crate::config::{Layout, NodeConfig, load_text};
use crate::ends;
use crate::human::{parse, print};
use crate::input::Input;
use crate::record::{Record, Time};
use crate::signals::{MAX_SIGNALS, Signals};

/// Types of the values, among them those beyond the end of a list.
const SIGNALS: [&str; 8] = ["", "i", "b", "c", "fibc", "2c3i", "b2fi", "4c"];
/// As many values as a line may have.
const LIMIT: usize = 12;

/// Lines as they stand, or, with the first bit, the samples that they are printed from: what is printed parses to the same, bit for bit.
pub fn line(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let signals: Signals = SIGNALS[usize::from(how >> 1) % SIGNALS.len()].parse().expect("types");
    if how & 1 == 1 {
        let record = sample(&mut input, &signals);
        assert_eq!(there_and_back(&record, &signals), record);
        return true;
    }
    let mut was_sample = false;
    let mut record = Record::default();
    for line in input.rest().split(|&byte| byte == b'\n') {
        match ends("a line", || parse(line, &signals, LIMIT, &mut record)) {
            Ok(true) => {
                was_sample = true;
                assert!(record.origin.is_some_and(|time| time.nsec < 1_000_000_000) && record.values.len() <= LIMIT);
                // What is odd about a line is not printed.
                record.oddities.clear();
                assert_eq!(there_and_back(&record, &signals), record, "{}", line.escape_ascii());
            }
            Ok(false) => {}
            Err(malformed) => {
                let why = malformed.to_string();
                assert!(!why.is_empty() && why.len() < 400 && !why.contains('\n'), "{why:?}");
            }
        }
    }
    was_sample
}

fn there_and_back(record: &Record, signals: &Signals) -> Record {
    let mut line = Vec::new();
    print(record, signals, &mut line);
    assert_eq!(line.pop(), Some(b'\n'));
    assert!(line.is_ascii() && !line.contains(&b'\n'), "{}", line.escape_ascii());
    let mut back = Record::default();
    let parsed = parse(&line, signals, LIMIT, &mut back);
    assert!(matches!(parsed, Ok(true)), "{}: {parsed:?}", line.escape_ascii());
    back
}

/// Any sample that a peer can send, with what its format can say of it.
fn sample(input: &mut Input, signals: &Signals) -> Record {
    let what = input.byte();
    let mut time = || Time::carried(input.word() as i64, input.word() as i64);
    let (origin, received) = (time(), (what & 1 == 1).then(&mut time));
    let sequence = (what & 2 == 2).then(|| input.word());
    let count = usize::from(what >> 3) % (LIMIT + 1);
    let value = |index| {
        let bits = input.word();
        match signals.kind(index) {
            // One byte of the eight, which is true or false.
            crate::signals::SignalType::Boolean => {
                u64::from_ne_bytes([u8::from(bits.to_ne_bytes()[0] != 0), 0, 0, 0, 0, 0, 0, 0])
            }
            _ => bits,
        }
    };
    let values = (0..count).map(value).collect();
    Record { origin: Some(origin), received, sequence, new_frame: what & 4 == 4, values, oddities: Vec::new() }
}

/// Files that a configuration may include lie here.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/includes");

/// A configuration in libconfig's syntax.
pub fn libconfig(bytes: &[u8]) -> bool {
    // What is included is a file of this directory, not a device that has no end, nor one of the user's.
    let includes = bytes.windows(8).any(|word| word == b"@include");
    if includes && bytes.iter().any(|byte| matches!(byte, b'/' | b'\\')) {
        return false;
    }
    configuration("fuzz.conf", bytes)
}

/// A configuration in JSON.
pub fn json(bytes: &[u8]) -> bool {
    configuration("fuzz.json", bytes)
}

fn configuration(file: &str, text: &[u8]) -> bool {
    let path = Path::new(DIRECTORY).join(file);
    match ends("a configuration", || load_text(&path, text, "n")) {
        Ok(config) => {
            check(&config);
            true
        }
        Err(error) => {
            check_message(&error.to_string(), text);
            false
        }
    }
}

/// What the tool and the library take for granted.
fn check(config: &NodeConfig) {
    assert!((1..=1 << 20).contains(&config.queuelen) && (1..=MAX_SIGNALS as u32).contains(&config.samplelen), "{config:?}");
    for direction in [&config.input, &config.output] {
        assert!((1..=1 << 20).contains(&direction.vectorize) && direction.signals.len() <= MAX_SIGNALS);
    }
    let names = match &config.layout {
        Layout::OneRegion(name) => vec![name],
        Layout::TwoRegions { input, output } => vec![input, output],
    };
    assert!(names.iter().all(|name| !name.is_empty()));
    assert!(config.exec.as_ref().is_none_or(|words| !words[0].is_empty() && !words.iter().any(|word| word.contains('\0'))));
}

/// `FILE: what is wrong`, or `FILE:LINE: what is wrong` with a line that the file has.
fn check_message(message: &str, text: &[u8]) {
    let rest = message.strip_prefix(DIRECTORY).and_then(|rest| rest.strip_prefix('/'));
    let (file, rest) = rest.and_then(|rest| rest.split_once(':')).unwrap_or_else(|| panic!("names no file: {message:?}"));
    let (line, why) = match rest.strip_prefix(' ') {
        Some(why) => (1, why),
        None => {
            let (line, why) = rest.split_once(": ").unwrap_or_else(|| panic!("says nothing: {message:?}"));
            (line.parse().unwrap_or_else(|_| panic!("names no line: {message:?}")), why)
        }
    };
    assert!(!why.is_empty(), "{message:?}");
    if file.starts_with("fuzz.") {
        let lines = 1 + text.iter().filter(|&&byte| byte == b'\n').count();
        assert!((1..=lines).contains(&line), "{message:?} of {lines} lines");
    }
}
