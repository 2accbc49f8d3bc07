//! `villas-shm convert`: text to samples to text, without shared memory.
//!
//! A yardstick for the speed of `pipe`.

use std::io::Write;

use crate::human::{header, parse, print};
use crate::lines::{Lines, Next};
use crate::log::log;
use crate::record::{Record, Remarks};
use crate::signals::{MAX_SIGNALS, Signals};
use crate::standard;

/// Bytes of text that are gathered before a write.
const CHUNK: usize = 64 << 10;

/// Runs the command; returns whether every line was a sample or a comment.
pub(crate) fn run(signals: &Signals) -> Result<bool, String> {
    let (mut lines, mut stdout) = (Lines::new(standard::stdin()?), standard::stdout()?);
    let mut record = Record::default();
    let mut output = Vec::with_capacity(2 * CHUNK);
    let mut remarks = Remarks::default();
    let mut header_printed = false;
    let mut good = true;
    loop {
        let number = lines.number() + 1;
        match lines.next().map_err(|error| format!("cannot read standard input: {error}"))? {
            Next::End => break,
            Next::TooLong => {
                log!(Error, "standard input, line {number}: too long to be a sample");
                good = false;
            }
            Next::Line(line) => match parse(line, signals, MAX_SIGNALS, &mut record) {
                Ok(false) => {}
                Ok(true) => {
                    remarks.say(format_args!("standard input, line {number}"), &record);
                    if !header_printed {
                        header(signals, record.values.len(), record.received.is_some(), &mut output);
                        header_printed = true;
                    }
                    print(&record, signals, &mut output);
                }
                Err(malformed) => {
                    log!(Error, "standard input, line {number}: {malformed}");
                    good = false;
                }
            },
        }
        if output.len() >= CHUNK {
            if !standard::has_reader(stdout.write_all(&output))? {
                return Ok(good);
            }
            output.clear();
        }
    }
    standard::has_reader(stdout.write_all(&output))?;
    Ok(good)
}
