//! Standard input and output, as the tool was given them.
//!
//! Output that cannot be written is an error everywhere, except where its reader has left: that one
//! has seen enough, as `head` has. `io::stdout()` is not for output: it counts what is written to a
//! closed descriptor as written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use nix::libc;

/// Keeps closed descriptors closed. Rust's runtime opens `/dev/null` in their place, and then all
/// that is printed seems to have been written. It leaves alone what stands there already, and this
/// runs before it: `/dev/null`, which for input can only be written and for output only be read, so
/// that it answers with `EBADF` as a closed descriptor does.
#[allow(unsafe_code)]
extern "C" fn keep_closed() {
    for (descriptor, flags) in [(libc::STDIN_FILENO, libc::O_WRONLY), (libc::STDOUT_FILENO, libc::O_RDONLY)] {
        // SAFETY: system calls with a constant path. An open takes the lowest number that is free,
        // which is this one, as those below are taken by now.
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
    // Nothing is written, but the descriptor is checked.
    stdout.and_then(|mut stdout| stdout.write(&[]).map(|_| stdout)).map_err(failed)
}

/// Standard input without a buffer; an error if it is closed.
pub(crate) fn stdin() -> Result<File, String> {
    let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    // Nothing is read, but the descriptor is checked.
    let checked = stdin.and_then(|mut stdin| stdin.read(&mut []).map(|_| stdin));
    checked.map_err(|error| format!("cannot read standard input: {error}"))
}

/// Writes all of it; that the reader has left is no failure.
pub(crate) fn print(text: &str) -> Result<(), String> {
    has_reader(stdout()?.write_all(text.as_bytes())).map(drop)
}

/// Of a write to standard output: whether somebody still reads.
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
