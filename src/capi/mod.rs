//! The C interface: converts, nothing else.
//!
//! An exported function is a plain `extern "C" fn` whose body is a closure that returns a [`Result`], then one
//! conversion. A panic does not cross the border: it becomes an error, or ends the process (`convert`). The order here
//! is the order of the header.
// What is exported to C must be `pub` for cbindgen, though no Rust code can reach or need use it.
#![allow(unreachable_pub, dead_code)]

mod channel;
mod channel_control;
mod channel_samples;
mod descriptor;
mod endpoint;
mod error;
mod event;
mod ring;
mod ring_control;
mod ring_messages;
mod sample;
mod segment;
mod signals;
mod transfer;
mod wire;

use crate::channel::handle::CPart;
use crate::error::{Error, Result};
use crate::memory::tag::Tag;
use crate::sys::thread::Uncancelled;
use crate::waiting::Limit;
use libc::{c_char, c_int, c_void, timespec};
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const _: () = assert!(size_of::<CPart>() == size_of::<channel::shmem_shared>());

/// Runs `body`; on an error sets `errno` and the sentence of `shmem_last_error`, and gives `failure`.
///
/// For the functions of the hot path. A panic in one ends the process (an `extern "C"` function cannot unwind): there
/// are none but in checks of private state that cannot fail, and to go on after one would be worse. `catch_unwind`,
/// which passes all through memory, costs a stalled load or two here, a tenth of a round trip.
#[inline(always)]
fn convert<T>(failure: T, body: impl FnOnce() -> Result<T>) -> T {
    match body() {
        Ok(value) => value,
        Err(e) => {
            error::remember(&e);
            failure
        }
    }
}

/// The same; a panic becomes `EIO`.
fn guard<T>(failure: T, body: impl FnOnce() -> Result<T>) -> T {
    let _whole = Uncancelled::new();
    let caught = catch_unwind(AssertUnwindSafe(body));
    convert(failure, || caught.unwrap_or_else(|_| Err(Error::new(libc::EIO, "internal error of the library: please report it"))))
}

/// The same for what a signal handler may call: sets `errno` only.
fn guard_signal_safe(body: impl FnOnce() -> Result<()>) -> c_int {
    let _whole = Uncancelled::new();
    match body() {
        Ok(()) => 0,
        Err(e) => {
            error::set_errno(e.errno());
            -1
        }
    }
}

/// The handle behind a pointer; `unknown` is the error if there is none.
///
/// # Safety
/// `pointer` is null, or leads to readable memory as large as a pointer.
#[inline(always)]
unsafe fn known<H>(pointer: *const c_void, unknown: Unknown, at: unsafe fn(*const c_void) -> Option<H>) -> Found<H> {
    let found = if !pointer.is_null() && pointer.cast::<Tag>().is_aligned() {
        // SAFETY: aligned, and readable as the caller promises.
        unsafe { at(pointer) }
    } else {
        None
    };
    found.ok_or(Wrong(pointer, unknown))
}

/// A handle, if a pointer leads to an open one.
type Found<H> = std::result::Result<H, Wrong>;

/// The error of a pointer that does not.
type Unknown = fn(*const c_void) -> Error;

/// A pointer that does not, and what makes the error. An [`Error`] owns memory, which a fast path
/// would have to look after; it drops this for nothing, and the slow path looks again.
#[derive(Clone, Copy)]
struct Wrong(*const c_void, Unknown);

impl From<Wrong> for Error {
    #[inline(always)]
    fn from(Wrong(pointer, unknown): Wrong) -> Error {
        unknown(pointer)
    }
}

#[cold]
fn not_a(what: &'static str, pointer: *const c_void) -> Error {
    if pointer.is_null() {
        return Error::invalid(format!("the {what} is a null pointer"));
    }
    Error::invalid(format!("the pointer does not lead to a {what}: it is of another kind, or none of this library's"))
}

/// Checks an array of `count` elements, which are `what`.
#[inline(always)]
fn check_array<T>(array: *const T, count: u32, what: &'static str) -> Result<usize> {
    if count > i32::MAX as u32 || array.is_null() && count > 0 {
        return Err(no_array(count, what));
    }
    Ok(count as usize)
}

#[cold]
fn no_array(count: u32, what: &'static str) -> Error {
    if count > i32::MAX as u32 {
        return Error::invalid(format!("the count is {count}: negative, or too large"));
    }
    Error::invalid(format!("the array of {what} is a null pointer"))
}

/// Checks the `size` of a struct `S` of the caller's, which C calls `name`, and its parameter `what`.
fn check_size<S>(size: usize, what: &str, name: &str) -> Result<()> {
    let known = size_of::<S>();
    if size != 0 && size < known {
        return Err(Error::invalid(format!("{what}.size is {size}, but must be sizeof(struct {name}), {known}, or 0")));
    }
    Ok(())
}

/// Fills a struct of the caller's, as [`check_size`] has it, with what is known now.
///
/// # Safety
/// `to` is null, or leads to a struct of the size that it says in its first field.
unsafe fn fill<S>(to: *mut S, what: &str, name: &str, now: impl FnOnce() -> Result<S>) -> Result<c_int> {
    if to.is_null() {
        return Err(Error::invalid(format!("{what} is a null pointer")));
    }
    // SAFETY: as the caller promises.
    check_size::<S>(unsafe { to.cast::<usize>().read() }, what, name)?;
    let now = now()?;
    // SAFETY: the struct has at least the fields of this version.
    unsafe { to.write(now) };
    Ok(0)
}

/// # Safety
/// `name` is null or a C string.
unsafe fn text<'n>(name: *const c_char) -> Result<&'n OsStr> {
    if name.is_null() {
        return Err(Error::invalid("the name is a null pointer"));
    }
    // SAFETY: a C string, as the caller promises.
    Ok(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()))
}

/// The limit of a relative time; null is none.
///
/// # Safety
/// `time` is null or leads to a `struct timespec`.
unsafe fn limit(time: *const timespec) -> Result<Limit> {
    // SAFETY: null or valid, as the caller promises.
    let Some(time) = (unsafe { time.as_ref() }) else { return Ok(Limit::timeout(None)) };
    let seconds = u64::try_from(time.tv_sec);
    match (seconds, u32::try_from(time.tv_nsec)) {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Limit::timeout(Some(Duration::new(seconds, nanos)))),
        _ => Err(Error::invalid(format!(
            "the timeout of {} s and {} ns is not possible: both must be positive, nanoseconds below 10^9",
            time.tv_sec, time.tv_nsec
        ))),
    }
}

/// Makes a call that waits for so long, if that is a time.
///
/// # Safety
/// As for [`limit`].
#[inline(always)]
unsafe fn within(time: *const timespec, call: impl FnOnce(&Limit) -> c_int) -> c_int {
    // SAFETY: the caller's promise is passed on.
    match convert(None, || Ok(Some(unsafe { limit(time) }?))) {
        Some(limit) => call(&limit),
        None => -1,
    }
}
