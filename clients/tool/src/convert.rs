//! `villas-shm convert`: text to samples to text, with no shared memory between.
//!
//! What `pipe` reaches is measured against this.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use crate::human::{Record, Remarks, header, parse, print};
use crate::lines::{Lines, Next};
use crate::log::log;
use crate::signals::{MAX_SIGNALS, Signals};

/// So much text is gathered before it is written.
const CHUNK: usize = 64 << 10;

/// Runs the command; gives whether every line was a sample or a comment.
pub(crate) fn run() -> Result<bool, String> {
    let signals = Signals::default();
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    let (mut lines, mut stdout) = (Lines::new(File::from(stdin)), File::from(stdout));
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
            Next::Line(line) => match parse(line, &signals, MAX_SIGNALS, &mut record) {
                Ok(false) => {}
                Ok(true) => {
                    remarks.say(format_args!("standard input, line {number}"), &record);
                    if !header_printed {
                        header(&signals, record.values.len(), record.received.is_some(), &mut output);
                        header_printed = true;
                    }
                    print(&record, &signals, &mut output);
                }
                Err(malformed) => {
                    log!(Error, "standard input, line {number}: {malformed}");
                    good = false;
                }
            },
        }
        if output.len() >= CHUNK {
            stdout.write_all(&output).map_err(|error| format!("cannot write standard output: {error}"))?;
            output.clear();
        }
    }
    stdout.write_all(&output).map_err(|error| format!("cannot write standard output: {error}"))?;
    Ok(good)
}
