//! The bodies of the functions that move samples, for channels of either layout.
//!
//! Each has a fast path, which is copied into its callers and does nothing but what a call does that finds all as usual, and a slow path, which
//! finds out what is not. The fast path so needs few registers and no memory beyond that of the channel.

use super::error::Call;
use super::{Found, check_array, convert, error};
use crate::channel::backend::Backend;
use crate::channel::count::Count;
use crate::channel::handle::ChannelHandle;
use crate::error::Result;
use crate::layout::sample::Raw;
use crate::waiting::Limit;
use libc::{c_int, c_uint};

/// A sample in shared memory; laid out by hand in the header.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct sample {
    _private: [u8; 0],
}

/// Puts samples into an array of pointers, each at its place.
///
/// # Safety
/// The array has room for each place that is given.
#[inline(always)]
unsafe fn into(smps: *mut *mut sample) -> impl FnMut(usize, Raw) + Copy {
    // SAFETY: as the caller promises.
    move |at, sample| unsafe { smps.add(at).write(sample.address().cast_mut().cast()) }
}

/// Moves samples: by `fast`, and, if those are fewer than `least`, on from there by `slow`, which is
/// told how many are moved and how many are wanted.
#[inline(always)]
fn transfer<E: Backend>(
    call: Call,
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    count: c_uint,
    least: usize,
    fast: impl FnOnce(&ChannelHandle<E>) -> Result<usize>,
    slow: impl FnOnce(&ChannelHandle<E>, usize, usize) -> Result<Count>,
) -> c_int {
    let mut done = 0;
    if let Ok(handle) = handle() {
        // What is wrong with the array otherwise is found out on the slow path.
        if count.wrapping_sub(1) < c_int::MAX as c_uint && !smps.is_null() {
            match fast(handle) {
                Ok(moved) if moved >= least => return moved as c_int,
                Ok(moved) => done = moved,
                Err(e) => return convert(-1, || Err(e)),
            }
        }
    }
    transfer_slow(call, handle, smps, count, done, slow)
}

#[inline(never)]
fn transfer_slow<E: Backend>(
    call: Call,
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    count: c_uint,
    done: usize,
    slow: impl FnOnce(&ChannelHandle<E>, usize, usize) -> Result<Count>,
) -> c_int {
    convert(-1, || {
        let most = check_array(smps, count, "samples")?;
        let handle = handle()?;
        if most == 0 {
            return Ok(0);
        }
        let done = slow(handle, done, most)?;
        if done.why != 0 {
            error::note(call, done.why);
        }
        Ok(done.count as c_int)
    })
}

/// Receives samples; `None`: with the limit of a plain read.
///
/// # Safety
/// `smps` has room for `count` pointers.
#[inline(always)]
pub(super) unsafe fn read<E: Backend>(
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    count: c_uint,
    limit: Option<&Limit>,
) -> c_int {
    let (patient, limit) = (!matches!(limit, Some(Limit::Now)), limit.unwrap_or(&Limit::PLAIN));
    // SAFETY: no more than `count` are given, and the array has room for so many.
    let give = unsafe { into(smps) };
    let fast = move |handle: &ChannelHandle<E>| handle.read_fast(count as usize, patient, give);
    let slow = move |handle: &ChannelHandle<E>, _, most| handle.read_slow(most, limit, give);
    transfer(Call::Read, handle, smps, count, 1, fast, slow)
}

/// Sends samples.
///
/// # Safety
/// `smps` has `count` pointers.
#[inline(always)]
pub(super) unsafe fn write<E: Backend>(
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    count: c_uint,
    limit: &Limit,
) -> c_int {
    // SAFETY: places are below the number of pointers.
    let address = move |at| unsafe { smps.add(at).read() } as usize;
    let fast = move |handle: &ChannelHandle<E>| Ok(handle.write_fast(count as usize, address));
    let slow = move |handle: &ChannelHandle<E>, sent, wanted| handle.write_slow(sent, wanted, limit, address);
    transfer(Call::Write, handle, smps, count, count as usize, fast, slow)
}

/// Hands out samples.
///
/// # Safety
/// `smps` has room for `count` pointers.
#[inline(always)]
pub(super) unsafe fn alloc<E: Backend>(
    handle: impl Fn() -> Found<&'static ChannelHandle<E>>,
    smps: *mut *mut sample,
    count: c_uint,
    limit: &Limit,
) -> c_int {
    // SAFETY: no more than `count` are given, and the array has room for so many.
    let give = unsafe { into(smps) };
    let fast = move |handle: &ChannelHandle<E>| Ok(handle.alloc_fast(count as usize, give));
    let slow = move |handle: &ChannelHandle<E>, had, most| handle.alloc_slow(had, most, limit, give);
    transfer(Call::Alloc, handle, smps, count, count as usize, fast, slow)
}
