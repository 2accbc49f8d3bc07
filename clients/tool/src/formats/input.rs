//! The bytes of a file or of standard input, and how many of them were read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Format;
use crate::standard;

/// A file that is open, and in which format.
pub(crate) struct Source {
    name: String,
    file: File,
    /// Bytes in all, of a regular file.
    size: Option<u64>,
    format: Format,
}

impl Source {
    /// A file, or standard input for `-`, in `format`, else in that of the name.
    pub(crate) fn open(path: &Path, format: Option<Format>) -> Result<Self, String> {
        let format = format.unwrap_or_else(|| Format::of_path(path));
        if path.as_os_str() == "-" {
            let file = standard::stdin()?;
            return Ok(Self { name: STDIN.into(), size: size(&file)?, file, format });
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
        let size = size(&file).map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { name, file, size, format })
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Its bytes.
    pub(crate) fn bytes(self) -> Input {
        self.bytes_by(|file| file)
    }

    /// Its bytes, read by what `wrap` makes of the file.
    pub(crate) fn bytes_by<R: Read + Send + 'static>(self, wrap: impl FnOnce(File) -> R) -> Input {
        Input { size: self.size, ..Input::new(self.name, wrap(self.file)) }
    }
}

/// The size of a regular file; a directory is an error, which reading would tell only later.
fn size(file: &File) -> Result<Option<u64>, String> {
    let data = file.metadata().map_err(|error| error.to_string())?;
    if data.is_dir() { Err("this is a directory".into()) } else { Ok(data.is_file().then_some(data.len())) }
}

/// A stream of bytes with a name for messages.
pub(crate) struct Input {
    name: String,
    stream: Box<dyn Read + Send>,
    /// Bytes read.
    done: u64,
    /// Bytes in all, of a regular file.
    size: Option<u64>,
}

impl Input {
    /// A stream that is open.
    pub(crate) fn new(name: impl Into<String>, stream: impl Read + Send + 'static) -> Self {
        Self { name: name.into(), stream: Box::new(stream), done: 0, size: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How much was read, and of how much, in bytes; `None` if that cannot be known.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        self.size.map(|size| (self.done, size))
    }
}

/// An error if a file to read is to be written, too: it would be empty before it is read.
pub(crate) fn refuse_same_file(input: &Path, output: Option<&Path>) -> Result<(), String> {
    let data = |path: &Path| path.metadata().ok().filter(|data| data.is_file()).map(|data| (data.dev(), data.ino()));
    match output {
        Some(output) if data(input).is_some_and(|file| Some(file) == data(output)) => {
            Err(format!("{} is read and cannot be written at the same time: name another file", output.display()))
        }
        _ => Ok(()),
    }
}

/// The name of standard input.
pub(super) const STDIN: &str = "standard input";

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.done += count as u64;
        Ok(count)
    }
}
