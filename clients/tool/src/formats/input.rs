//! The bytes of a file or of standard input, and how many of them were read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::standard;

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
    /// A file, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let (name, file) = open(path)?;
        let size = file.metadata().ok().filter(|data| data.is_file()).map(|data| data.len());
        Ok(Self { size, ..Self::new(name, file) })
    }

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

/// A file, or standard input for `-`, with its name for messages.
pub(crate) fn open(path: &Path) -> Result<(String, File), String> {
    if path.as_os_str() == "-" {
        return Ok((STDIN.into(), standard::stdin()?));
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    Ok((name, file))
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
