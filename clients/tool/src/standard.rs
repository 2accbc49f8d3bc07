//! The tool's standard input and output.
//!
//! Output that cannot be written is an error everywhere, unless its reader has left: that reader
//! has seen enough, as `head` has. `io::stdout()` is not used: it treats what is written to a
//! closed descriptor as written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use nix::libc;

/// Keeps closed descriptors closed. Rust's runtime opens `/dev/null` in their place, so that all
/// output seems to be written. The runtime leaves open descriptors alone, and this runs before it.
/// It opens `/dev/null` too, but for writing in place of an input and for reading in place of an
/// output, so that it answers with `EBADF`, as a closed descriptor does.
#[allow(unsafe_code)]
extern "C" fn keep_closed() {
    for (descriptor, flags) in [(libc::STDIN_FILENO, libc::O_WRONLY), (libc::STDOUT_FILENO, libc::O_RDONLY)] {
        // SAFETY: system calls with a constant path. An open takes the lowest free number, which is
        // this one, because those below are taken by now.
        unsafe {
            if libc::fcntl(descriptor, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), flags);
            }
        }
    }
}

// SAFETY: the section holds pointers to functions, which libc calls before `main`; this one needs
// nothing of Rust's runtime.
#[allow(unsafe_code)]
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = keep_closed;

/// Standard output without a buffer; an error if it is closed.
pub(crate) fn stdout() -> Result<File, String> {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    // Writes nothing, but checks the descriptor.
    stdout.and_then(|mut stdout| stdout.write(&[]).map(|_| stdout)).map_err(failed)
}

/// Standard input without a buffer; an error if it is closed.
pub(crate) fn stdin() -> Result<File, String> {
    let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    // Reads nothing, but checks the descriptor.
    let checked = stdin.and_then(|mut stdin| stdin.read(&mut []).map(|_| stdin));
    checked.map_err(|error| format!("cannot read standard input: {error}"))
}

/// Writes the whole text. It is no failure if the reader has left.
pub(crate) fn print(text: &str) -> Result<(), String> {
    has_reader(stdout()?.write_all(text.as_bytes())).map(drop)
}

/// For a write to standard output: whether it still has a reader.
pub(crate) fn has_reader(written: io::Result<()>) -> Result<bool, String> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: io::Error) -> String {
    format!("cannot write standard output: {error}")
}
