//! Group "channel, one region": what the values of its samples are.

use super::channel::{handle, shmem_shared};
use super::{Found, guard};
use crate::channel::Direction;
use crate::channel::backend::Backend;
use crate::channel::handle::ChannelHandle;
use crate::channel::signals::Expected;
use crate::error::{Error, Result};
use crate::layout::channel::MAX_SAMPLELEN;
use crate::layout::signals::{Signal, SignalEntry, SignalType};
use libc::{c_char, c_int};
use std::ffi::CStr;

/// A direction of a channel: what this handle reads. A node's output is its program's input.
pub const SHMEM_IN: c_int = 0;
/// A direction of a channel: what this handle writes.
pub const SHMEM_OUT: c_int = 1;

/// `type` of `struct shmem_signal`: member `f` of `union signal_data`.
pub const SHMEM_SIGNAL_FLOAT: c_int = 1;
/// `type` of `struct shmem_signal`: member `i` of `union signal_data`.
pub const SHMEM_SIGNAL_INTEGER: c_int = 2;
/// `type` of `struct shmem_signal`: member `b` of `union signal_data`.
pub const SHMEM_SIGNAL_BOOLEAN: c_int = 3;
/// `type` of `struct shmem_signal`: member `z` of `union signal_data`.
pub const SHMEM_SIGNAL_COMPLEX: c_int = 4;

/// What a value of a sample is. Value 0 of a sample is that of signal 0, and so on. Texts are UTF-8
/// without control characters.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmem_signal {
    /// 1 to 255 bytes; no other signal of its direction has it.
    pub name: *const c_char,
    /// At most 63 bytes; empty: none. `NULL` in a caller's list: none, or to
    /// `shmem_shared_expect_signals`: any.
    pub unit: *const c_char,
    /// `SHMEM_SIGNAL_*`. 0 in a list for `shmem_shared_expect_signals`: any.
    pub r#type: c_int,
}

// A list that the library gives out is one of these.
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<shmem_signal>() == size_of::<SignalEntry>() && offset_of!(shmem_signal, r#type) == SignalEntry::KIND_AT);
};

fn direction(number: c_int) -> Result<Direction> {
    match number {
        SHMEM_IN => Ok(Direction::In),
        SHMEM_OUT => Ok(Direction::Out),
        _ => Err(Error::invalid(format!("the direction is {number}, but must be SHMEM_IN or SHMEM_OUT"))),
    }
}

/// # Safety
/// `text` is null or a C string.
unsafe fn utf8<'t>(text: *const c_char) -> Result<Option<&'t str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: a C string, as the caller promises.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    std::str::from_utf8(bytes).map(Some).map_err(|_| Error::invalid(format!("\"{}\" is not UTF-8", bytes.escape_ascii())))
}

/// A caller's list.
///
/// # Safety
/// `signals` leads to `count` signals, whose texts are null or C strings.
unsafe fn list<'s>(signals: *const shmem_signal, count: usize, what: &str) -> Result<Vec<Expected<'s>>> {
    let wrong = |why: String| Error::invalid(format!("{what}: {why}"));
    if count > MAX_SAMPLELEN as usize {
        return Err(wrong(format!("there are {count} signals, but a sample has at most {MAX_SAMPLELEN} values")));
    }
    if count > 0 && signals.is_null() {
        return Err(wrong(format!("the list of {count} signals is a null pointer")));
    }
    let read = |at: usize| {
        let wrong = |why: &str| wrong(format!("signal {at}: {why}"));
        // SAFETY: one of the caller's, as it promises.
        let signal = unsafe { signals.add(at).read() };
        // SAFETY: null or C strings, as the caller promises.
        let (name, unit) = unsafe { (utf8(signal.name), utf8(signal.unit)) };
        let name = name.map_err(|e| wrong(e.message()))?.ok_or_else(|| wrong("its name is a null pointer"))?;
        let kind = SignalType::from_number(signal.r#type.into());
        if kind.is_none() && signal.r#type != 0 {
            return Err(wrong(&format!("its type is {}, but must be 1 to 4 (SHMEM_SIGNAL_*)", signal.r#type)));
        }
        Ok(Expected { name, unit: unit.map_err(|e| wrong(e.message()))?, kind })
    };
    (0..count).map(read).collect()
}

/// The signals of a `struct shmem_conf`.
///
/// # Safety
/// As for [`list`].
pub(super) unsafe fn named(signals: *const shmem_signal, count: usize, what: &str) -> Result<Vec<Signal>> {
    // SAFETY: the caller's promise is passed on.
    let list = unsafe { list(signals, count, what) }?;
    let named = list.into_iter().enumerate().map(|(at, signal)| match signal.kind {
        Some(kind) => Ok(Signal::new(signal.name, signal.unit.unwrap_or_default(), kind)),
        None => Err(Error::invalid(format!("{what}: signal {at}: its type is 0, but must be 1 to 4 (SHMEM_SIGNAL_*)"))),
    });
    named.collect()
}

/// # Safety
/// `count` is null or valid.
pub(super) unsafe fn signals<E: Backend>(
    found: Found<&'static ChannelHandle<E>>,
    way: c_int,
    count: *mut usize,
) -> *const shmem_signal {
    guard(std::ptr::null(), || {
        let (handle, way) = (found?, direction(way)?);
        if count.is_null() {
            return Err(Error::invalid("count is a null pointer"));
        }
        let (first, length) = handle.signals(way, |named| (named.first(), named.len()))?;
        // SAFETY: not null, so valid.
        unsafe { count.write(length) };
        Ok(first.cast())
    })
}

/// # Safety
/// `name` is null or a C string.
pub(super) unsafe fn index<E: Backend>(found: Found<&'static ChannelHandle<E>>, way: c_int, name: *const c_char) -> c_int {
    guard(-1, || {
        let (handle, way) = (found?, direction(way)?);
        // SAFETY: as the caller promises.
        let name = unsafe { utf8(name) }?.ok_or_else(|| Error::invalid("the name of the signal is a null pointer"))?;
        handle.signal_index(way, name).map(|index| index as c_int)
    })
}

/// # Safety
/// As for [`list`].
pub(super) unsafe fn expect<E: Backend>(
    found: Found<&'static ChannelHandle<E>>,
    way: c_int,
    expected: *const shmem_signal,
    count: usize,
) -> c_int {
    guard(-1, || {
        let (handle, way) = (found?, direction(way)?);
        // SAFETY: the caller's promise is passed on.
        handle.expect_signals(way, unsafe { list(expected, count, "signals") }?.into_iter())?;
        Ok(0)
    })
}

/// Gives the signals of a direction: what the values of its samples are. The node names them when
/// it creates the region.
///
/// @param shm       an open channel
/// @param direction `SHMEM_IN` or `SHMEM_OUT`
/// @param count     filled with their number; 0: the node named none
/// @return the first of them, which the library owns: the list is valid until the channel is
///         closed. It is a pointer also for 0 signals. `NULL`: `EINVAL` the direction, or `count`
///         is `NULL`; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` leads to a channel, `count` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_signals(
    shm: *mut shmem_shared,
    direction: c_int,
    count: *mut usize,
) -> *const shmem_signal {
    // SAFETY: the caller's promise is passed on.
    unsafe { signals(handle(shm), direction, count) }
}

/// Finds a signal by its name.
///
/// @param shm       an open channel
/// @param direction `SHMEM_IN` or `SHMEM_OUT`
/// @param name      of the signal
/// @return its place in the list and among the values of a sample, from 0. -1: `ENOENT` no signal
///         has the name: the sentence of `shmem_last_error` has those that there are; `EINVAL` the
///         direction, or the name is not UTF-8; a handle error (`EINVAL`, `EPIPE`)
///
/// # Safety
/// `shm` leads to a channel, `name` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_signal_index(shm: *mut shmem_shared, direction: c_int, name: *const c_char) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { index(handle(shm), direction, name) }
}

/// Compares the signals of a direction with those that the program expects, so that it does not
/// take one value for another.
///
/// @param shm       an open channel
/// @param direction `SHMEM_IN` or `SHMEM_OUT`
/// @param expected  signals, in order; a `unit` of `NULL` and a `type` of 0 stand for any.
///                  Read during the call only
/// @param count     how many they are
/// @return 0: they are as expected. -1: `EPROTO` they are not: the sentence of `shmem_last_error`
///         has the first difference; `EINVAL` the direction or the list; a handle error (`EINVAL`,
///         `EPIPE`)
///
/// # Safety
/// `shm` leads to a channel, `expected` to `count` signals.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_shared_expect_signals(
    shm: *mut shmem_shared,
    direction: c_int,
    expected: *const shmem_signal,
    count: usize,
) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { expect(handle(shm), direction, expected, count) }
}
