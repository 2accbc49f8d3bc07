//! The bodies of the functions that move samples, for channels of either layout.
//!
//! Each is a copy for each `CALLER`, so that it is inlined there: shared, it would be called through memory.

use super::sample::sample;
use super::{check_array, convert, error};
use crate::channel::ends::Ends;
use crate::channel::handle::{Count, Handle};
use crate::error::Result;
use crate::layout::sample::Raw;
use crate::patience::Limit;
use libc::{c_int, c_uint};

/// The return value and `errno` of a call that moves samples.
#[inline(always)]
fn counted(done: Count) -> c_int {
    if done.why != 0 {
        error::set_errno(done.why);
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
pub(super) unsafe fn read<const CALLER: u8, E: Ends>(
    handle: impl FnOnce() -> Result<&'static Handle<E>>,
    smps: *mut *mut sample,
    cnt: c_uint,
    limit: Option<&Limit>,
) -> c_int {
    convert(-1, || {
        let most = check_array(smps, cnt)?;
        let handle = handle()?;
        if most == 0 {
            return Ok(0);
        }
        // SAFETY: no more than `most` are given, and the array has room for so many.
        let give = unsafe { into(smps) };
        let done = match limit {
            None => handle.plain_read(most, give),
            Some(limit) => handle.read(most, limit, give),
        };
        Ok(counted(done?))
    })
}

/// Sends samples.
///
/// # Safety
/// `smps` has `cnt` pointers.
#[inline(always)]
pub(super) unsafe fn write<const CALLER: u8, E: Ends>(
    handle: impl FnOnce() -> Result<&'static Handle<E>>,
    smps: *mut *mut sample,
    cnt: c_uint,
    limit: &Limit,
) -> c_int {
    convert(-1, || {
        let most = check_array(smps, cnt)?;
        let handle = handle()?;
        if most == 0 {
            return Ok(0);
        }
        // SAFETY: `at` is below the number of pointers.
        let done = handle.write(limit, |at| (at < most).then(|| unsafe { smps.add(at).read() } as usize))?;
        Ok(counted(done))
    })
}

/// Hands out samples.
///
/// # Safety
/// `smps` has room for `cnt` pointers.
#[inline(always)]
pub(super) unsafe fn alloc<const CALLER: u8, E: Ends>(
    handle: impl FnOnce() -> Result<&'static Handle<E>>,
    smps: *mut *mut sample,
    cnt: c_uint,
    limit: &Limit,
) -> c_int {
    convert(-1, || {
        let most = check_array(smps, cnt)?;
        let handle = handle()?;
        if most == 0 {
            return Ok(0);
        }
        // SAFETY: as above.
        Ok(counted(handle.alloc(most, limit, unsafe { into(smps) })?))
    })
}
