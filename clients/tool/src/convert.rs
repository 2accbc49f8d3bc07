//! `villas-shm convert`: samples from one file to another, in any format.

use std::path::Path;

use crate::formats::{Format, Output, ReadError, Reader, Writer, refuse_same_file};
use crate::log::log;
use crate::progress::Progress;
use crate::record::Record;
use crate::signals::Signals;

/// What the command line says.
pub(crate) struct Options<'a> {
    /// Where samples are read, `-`: standard input.
    pub(crate) input: &'a Path,
    /// Where they are written, `-`: standard output.
    pub(crate) output: &'a Path,
    /// Else the formats of the names.
    pub(crate) input_format: Option<Format>,
    pub(crate) output_format: Option<Format>,
    /// What the values are, where the input does not say.
    pub(crate) types: Signals,
}

/// Runs the command; returns whether everything in the input was a sample or a comment.
pub(crate) fn run(options: &Options<'_>) -> Result<bool, String> {
    let mut reader = Reader::open(options.input, options.input_format, &options.types)?;
    refuse_same_file(options.input, Some(options.output))?;
    let output = Output::create(options.output, options.output_format)?;
    let (format, mut progress) = (output.format(), Progress::new(output.is_stdout()));
    let mut output = Some(output);
    let (mut writer, mut record, mut good) = (None, Record::default(), true);
    loop {
        match reader.read(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(ReadError::Malformed(what)) => {
                log!(Error, "{}: {what}", reader.place());
                good = false;
                continue;
            }
            Err(ReadError::Fatal(what)) => return Err(format!("cannot read {}: {what}", reader.name())),
        }
        if let Some(output) = output.take() {
            writer = Some(Writer::new(output, reader.signals().clone())?);
        }
        let Some(writer) = &mut writer else { continue };
        writer.write(&record)?;
        progress.step(false, || reader.progress());
        if writer.is_full() && !writer.flush()? {
            return Ok(good);
        }
    }
    if let Some(output) = output {
        writer = Some(Writer::new(output, reader.signals().clone())?);
    }
    for loss in writer.map_or(Ok(Vec::new()), Writer::finish)? {
        log!(Warning, "{}: {loss}", format.name());
    }
    Ok(good)
}
