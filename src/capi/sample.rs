//! Group "samples".

use super::transfer::{alloc, sample};
use super::{check_array, convert, error, guard, known, not_a};
use crate::channel::AnyHandle;
use crate::channel::handle::ChannelHandle;
use crate::channel::native::Native;
use crate::channel::wire::Wire;
use crate::error::{Error, Result};
use crate::layout::sample::Raw;
use crate::waiting::Limit;
use libc::{c_int, c_uint, c_void};

/// `flags`: `ts.origin` is given.
pub const SAMPLE_HAS_TS_ORIGIN: c_int = 1;
/// `flags`: `ts.received` is given.
pub const SAMPLE_HAS_TS_RECEIVED: c_int = 2;
/// `flags`: the offset between both timestamps is meaningful.
pub const SAMPLE_HAS_OFFSET: c_int = 4;
/// `flags`: `sequence` is given.
pub const SAMPLE_HAS_SEQUENCE: c_int = 8;
/// `flags`: the values are given.
pub const SAMPLE_HAS_DATA: c_int = 16;
/// `flags`: all of the above.
pub const SAMPLE_HAS_ALL: c_int = 31;
/// `flags`: the first sample of a frame.
pub const SAMPLE_IS_FIRST: c_int = 65536;
/// `flags`: the first sample of a simulation.
pub const SAMPLE_IS_NEW_SIMULATION: c_int = 131072;
/// `flags`: a predecessor of this process had taken the sample and died before it put it, so it may have acted on it. The flag goes on with a sample that is
/// sent on, and into copies: what the predecessor has sent may reach the next one a second time, too. Clear it where that is not meant.
pub const SAMPLE_REDELIVERED: c_int = 16777216;

const _: () = {
    use crate::protocol::flags::Flags;
    assert!(SAMPLE_HAS_TS_ORIGIN == Flags::HAS_TS_ORIGIN.bits() && SAMPLE_HAS_TS_RECEIVED == Flags::HAS_TS_RECEIVED.bits());
    assert!(SAMPLE_HAS_OFFSET == Flags::HAS_OFFSET.bits() && SAMPLE_HAS_SEQUENCE == Flags::HAS_SEQUENCE.bits());
    assert!(SAMPLE_HAS_DATA == Flags::HAS_DATA.bits() && SAMPLE_IS_FIRST == Flags::NEW_FRAME.bits());
    assert!(SAMPLE_IS_NEW_SIMULATION == Flags::NEW_SIMULATION.bits() && SAMPLE_REDELIVERED == Flags::REDELIVERED.bits());
};

/// The pool of samples of a channel: `&shm->pool`.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct pool {
    /// The library's.
    pub channel: *mut c_void,
}

/// Allocates empty samples: `length`, `flags`, `sequence` and timestamps are zero, each has one reference.
///
/// @param pool the pool of an open channel, `&shm->pool`
/// @param smps filled with pointers; they stay valid until their last reference is put or written
/// @param count how many are wanted
/// @return how many there are, from 0 to `count`; fewer than `count` with `EAGAIN` when all blocks of this side are in use.
///         -1: `EINVAL` null pointer or count; `EPIPE` the channel is closed; `ESTALE` this side was taken over
///
/// Any thread. A side has `queuelen` + `spare` blocks. `shmem_shared_timed_alloc` waits for one. The pool of a `struct shmem_int`: as
/// `shmem_int_alloc`.
///
/// # Safety
/// `smps` has room for `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_alloc(pool: *mut pool, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        match known(pool.cast(), |at| not_a("pool", at), ChannelHandle::<Native>::at) {
            Ok(handle) => alloc::<Native>(move || Ok(handle), smps, count, &Limit::Now),
            Err(_) => alloc_wire(pool, smps, count),
        }
    }
}

/// # Safety
/// As for [`sample_alloc`].
#[inline(never)]
unsafe fn alloc_wire(pool: *mut pool, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { alloc::<Wire>(|| known(pool.cast(), |at| not_a("pool", at), ChannelHandle::<Wire>::at), smps, count, &Limit::Now) }
}

/// The same as `sample_alloc`.
///
/// # Safety
/// As for `sample_alloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_alloc_many(pool: *mut pool, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { sample_alloc(pool, smps, count) }
}

/// Gives one reference back. With the last one the block is free for its home side, and the pointer is no longer valid.
///
/// @param smp a sample that was allocated or received; also after the channel was closed
/// @return the references left in this process. -1: `EINVAL` not a live sample of this process (null, foreign, put or written already); nothing is changed
///
/// Any thread.
///
/// # Safety
/// None beyond C's own: any pointer may be given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_put(smp: *mut sample) -> c_int {
    match ChannelHandle::<Native>::find(smp as usize).and_then(|handle| handle.put_fast(smp as usize)) {
        Some(left) => left as c_int,
        None => put_slow(smp),
    }
}

/// For what is not a sample of a channel of one region that all is well with.
#[inline(never)]
fn put_slow(smp: *mut sample) -> c_int {
    convert(-1, || put(smp))
}

fn put(smp: *mut sample) -> Result<c_int> {
    Ok(AnyHandle::find(smp as usize)?.put(smp as usize)? as c_int)
}

/// Takes one reference more.
///
/// @param smp a sample that this process holds
/// @return the references in this process now. -1: `EINVAL` not a live sample of this process
///
/// Any thread. A writer that wants to keep a sample takes a reference before it writes.
///
/// # Safety
/// None beyond C's own: any pointer may be given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_get(smp: *mut sample) -> c_int {
    guard(-1, || get(smp))
}

fn get(smp: *mut sample) -> Result<c_int> {
    Ok(AnyHandle::find(smp as usize)?.get(smp as usize)? as c_int)
}

/// The same as `sample_put`, under today's name.
///
/// # Safety
/// As for `sample_put`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_decref(smp: *mut sample) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { sample_put(smp) }
}

/// The same as `sample_get`, under today's name.
///
/// # Safety
/// As for `sample_get`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_incref(smp: *mut sample) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { sample_get(smp) }
}

/// Does `one` with each of `count` samples, up to the first failure.
///
/// # Safety
/// `smps` has `count` pointers.
unsafe fn many(smps: *mut *mut sample, count: c_uint, one: impl Fn(*mut sample) -> Result<c_int>) -> c_int {
    guard(-1, || {
        let count = check_array(smps, count, "samples")?;
        for at in 0..count {
            // SAFETY: `at` is below the number of pointers.
            match one(unsafe { smps.add(at).read() }) {
                Ok(_) => {}
                Err(e) if at == 0 => return Err(e),
                Err(e) => {
                    error::remember(&e);
                    return Ok(at as c_int);
                }
            }
        }
        Ok(count as c_int)
    })
}

/// Gives back one reference to each of `count` samples.
///
/// @return how many were given back: fewer than `count`, with `EINVAL`, when one is not live. -1: already the first is not
///
/// # Safety
/// `smps` has `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_put_many(smps: *mut *mut sample, count: c_uint) -> c_int {
    convert(-1, || {
        let count = check_array(smps, count, "samples")?;
        // SAFETY: `at` is below the number of pointers.
        let address = |at: usize| (at < count).then(|| unsafe { smps.add(at).read() } as usize);
        let mut done = 0;
        while let Some(first) = address(done) {
            // Those of one channel go together, in one turn.
            let more = AnyHandle::find(first).map_or(0, |handle| handle.put_many(|at| address(done + at)));
            if more == 0 {
                let e = Error::invalid("not a live sample of this process: foreign, or written or put already");
                if done == 0 {
                    return Err(e);
                }
                error::remember(&e);
                break;
            }
            done += more;
        }
        Ok(done as c_int)
    })
}

/// Takes one reference more to each of `count` samples.
///
/// @return how many were referenced: fewer than `count`, with `EINVAL`, when one is not live. -1: already the first is not
///
/// # Safety
/// `smps` has `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_get_many(smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { many(smps, count, get) }
}

/// The same as `sample_put_many`, under today's name.
///
/// # Safety
/// As for `sample_put_many`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_decref_many(smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { sample_put_many(smps, count) }
}

/// The same as `sample_get_many`, under today's name.
///
/// # Safety
/// As for `sample_get_many`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_incref_many(smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { sample_get_many(smps, count) }
}

/// Copies all that a sample says: sequence number, flags, timestamps, values. The samples may be of different channels.
///
/// @param dst a sample that this process holds
/// @param src a sample that this process holds. Of a `struct shmem_int` also one whose last reference
///            a write of this side took, until it is allocated again: then it says what the reader
///            has made of it, if that changes samples in place
/// @return 0. -1: `EINVAL` not such samples, or the values do not fit; nothing is changed
///
/// A sample of a `struct shmem_shared` is copied before it is written.
///
/// # Safety
/// None beyond C's own: any pointer may be given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_copy(dst: *mut sample, src: *const sample) -> c_int {
    guard(-1, || {
        let to = live(dst)?;
        AnyHandle::find(src as usize)?.look_at(src as usize, |from| to.copy_from(from))?;
        Ok(0)
    })
}

/// A new sample of the same channel with the same contents.
///
/// @param src a sample that this process holds
/// @return the new one, with one reference. `NULL`: `EAGAIN` all blocks are in use; `EINVAL` not a live sample; `EPIPE` the channel is closed; `ESTALE`
///
/// # Safety
/// None beyond C's own: any pointer may be given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_clone(src: *mut sample) -> *mut sample {
    guard(std::ptr::null_mut(), || {
        let from = live(src)?;
        let mut made = None;
        let give = |_, sample| made = Some(sample);
        match AnyHandle::find(src as usize)? {
            AnyHandle::Native(handle) => handle.alloc(1, &Limit::Now, give)?,
            AnyHandle::Wire(handle) => handle.alloc(1, &Limit::Now, give)?,
        };
        let to: Raw = made.ok_or_else(|| Error::new(libc::EAGAIN, "all blocks of this side are in use"))?;
        if let Err(e) = to.copy_from(&from) {
            put(to.address().cast_mut().cast())?;
            return Err(e);
        }
        Ok(to.address().cast_mut().cast())
    })
}

fn live(smp: *const sample) -> Result<Raw> {
    AnyHandle::find(smp as usize)?.live(smp as usize)
}
