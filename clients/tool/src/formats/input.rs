//! The bytes of a file or of standard input, and how many of them were read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
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
        Self::open_in(path, Ok)
    }

    /// The same, read by what `wrap` makes of the file.
    pub(crate) fn open_in<R: Read + Send + 'static>(
        path: &Path,
        wrap: impl FnOnce(File) -> io::Result<R>,
    ) -> Result<Self, String> {
        let (name, file) = if path.as_os_str() == "-" {
            (STDIN.into(), standard::stdin()?)
        } else {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
            (name, file)
        };
        let data = file.metadata().map_err(|error| format!("{name}: {error}"))?;
        // Reading would say so only later.
        if data.is_dir() {
            return Err(format!("{name}: this is a directory"));
        }
        let size = data.is_file().then_some(data.len());
        let stream = wrap(file).map_err(|error| format!("cannot read {name}: {error}"))?;
        Ok(Self { size, ..Self::new(name, stream) })
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
