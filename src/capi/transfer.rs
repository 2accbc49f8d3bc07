//! The bodies of the functions that move samples, for channels of either layout.
//!
//! Each has a fast path, which is copied into its callers and does nothing but what a call does that finds all as usual, and a slow path, which
//! finds out what is not. The fast path so needs few registers and no memory beyond that of the channel.

use super::error::Call;
use super::sample::sample;
use super::{Found, check_array, convert, error};
use crate::channel::backend::Backend;
use crate::channel::handle::{ChannelHandle, Count, READ_LIMIT};
use crate::error::Error;
use crate::layout::sample::Raw;
use crate::waiting::Limit;
use libc::{c_int, c_uint};

/// The return value and `errno` of a call that moves samples.
#[inline(always)]
fn counted(call: Call, done: Count) -> c_int {
    if done.why != 0 {
        error::note(call, done.why);
    }
    done.count as c_int
}

/// Puts samples into an array of pointers, each at its place.
///
/// # Safety
/// The array has room for each place that is given.
#[inline(always)]
unsafe fn into(smps: *mut *mut sample) -> impl FnMut(usize, Raw) {
    // SAFETY: as the caller promises.
    move |at, sample| unsafe { smps.add(at).write(sample.address().cast_mut().cast()) }
}

/// Receives samples; `None`: with the limit of a plain read.
///
/// # Safety
/// `smps` has room for `cnt` pointers.
#[inline(always)]
pub(super) unsafe fn read<E: Backend>(
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    cnt: c_uint,
    limit: Option<&Limit>,
) -> c_int {
    let patient = !matches!(limit, Some(Limit::Now));
    if let Ok(handle) = handle() {
        if is_some_array(smps, cnt) {
            // SAFETY: no more than `cnt` are given, and the array has room for so many.
            match handle.read_fast(cnt as usize, patient, unsafe { into(smps) }) {
                Ok(0) => {}
                Ok(count) => return count as c_int,
                Err(e) => return failed(&e),
            }
        }
    }
    // SAFETY: the caller's promise is passed on.
    unsafe { read_slow(handle, smps, cnt, limit.unwrap_or(&READ_LIMIT)) }
}

/// # Safety
/// As for [`read`].
#[inline(never)]
unsafe fn read_slow<E: Backend>(
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    cnt: c_uint,
    limit: &Limit,
) -> c_int {
    convert(-1, || {
        let most = check_array(smps, cnt, "samples")?;
        let handle = handle()?;
        if most == 0 {
            return Ok(0);
        }
        // SAFETY: no more than `most` are given, and the array has room for so many.
        Ok(counted(Call::Read, handle.read_slow(most, limit, unsafe { into(smps) })?))
    })
}

/// Sends samples.
///
/// # Safety
/// `smps` has `cnt` pointers.
#[inline(always)]
pub(super) unsafe fn write<E: Backend>(
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    cnt: c_uint,
    limit: &Limit,
) -> c_int {
    let mut sent = 0;
    if let Ok(handle) = handle() {
        if is_some_array(smps, cnt) {
            // SAFETY: places are below the number of pointers.
            sent = handle.write_fast(cnt as usize, move |at| unsafe { smps.add(at).read() } as usize);
            if sent == cnt as usize {
                return cnt as c_int;
            }
        }
    }
    // SAFETY: the caller's promise is passed on.
    unsafe { write_slow(handle, smps, sent, cnt, limit) }
}

/// # Safety
/// As for [`write`]; the first `sent` have been sent.
#[inline(never)]
unsafe fn write_slow<E: Backend>(
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    sent: usize,
    cnt: c_uint,
    limit: &Limit,
) -> c_int {
    convert(-1, || {
        let count = check_array(smps, cnt, "samples")?;
        let handle = handle()?;
        if count == 0 {
            return Ok(0);
        }
        // SAFETY: places are below the number of pointers.
        Ok(counted(Call::Write, handle.write_slow(sent, count, limit, |at| unsafe { smps.add(at).read() } as usize)?))
    })
}

/// Hands out samples.
///
/// # Safety
/// `smps` has room for `cnt` pointers.
#[inline(always)]
pub(super) unsafe fn alloc<E: Backend>(
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    cnt: c_uint,
    limit: &Limit,
) -> c_int {
    let mut count = 0;
    if let Ok(handle) = handle() {
        if is_some_array(smps, cnt) {
            // SAFETY: no more than `cnt` are given, and the array has room for so many.
            count = handle.alloc_fast(cnt as usize, unsafe { into(smps) });
            if count == cnt as usize {
                return cnt as c_int;
            }
        }
    }
    // SAFETY: the caller's promise is passed on.
    unsafe { alloc_slow(handle, smps, count, cnt, limit) }
}

/// # Safety
/// As for [`alloc`]; the first `count` have been handed out.
#[inline(never)]
unsafe fn alloc_slow<E: Backend>(
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    count: usize,
    cnt: c_uint,
    limit: &Limit,
) -> c_int {
    convert(-1, || {
        let most = check_array(smps, cnt, "samples")?;
        let handle = handle()?;
        if most == 0 {
            return Ok(0);
        }
        // SAFETY: no more than `most` are given, and the array has room for so many.
        Ok(counted(Call::Alloc, handle.alloc_slow(count, most, limit, unsafe { into(smps) })?))
    })
}

/// Whether there is an array and it is not empty; what is wrong with it otherwise is found out on the slow path.
#[inline(always)]
fn is_some_array(smps: *mut *mut sample, cnt: c_uint) -> bool {
    cnt.wrapping_sub(1) < c_int::MAX as c_uint && !smps.is_null()
}

#[cold]
fn failed(e: &Error) -> c_int {
    error::remember(e);
    -1
}
