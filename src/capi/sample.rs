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

/// `flags` of a sample: `ts.origin` is valid.
pub const SAMPLE_HAS_TS_ORIGIN: c_int = 1;
/// `flags` of a sample: `ts.received` is valid.
pub const SAMPLE_HAS_TS_RECEIVED: c_int = 2;
/// `flags` of a sample: the difference of both timestamps is meaningful.
pub const SAMPLE_HAS_OFFSET: c_int = 4;
/// `flags` of a sample: `sequence` is valid.
pub const SAMPLE_HAS_SEQUENCE: c_int = 8;
/// `flags` of a sample: `data` is valid.
pub const SAMPLE_HAS_DATA: c_int = 16;
/// `flags` of a sample: all `SAMPLE_HAS_*` flags.
pub const SAMPLE_HAS_ALL: c_int = 31;
/// `flags` of a sample: the first one of a frame.
pub const SAMPLE_IS_FIRST: c_int = 65536;
/// `flags` of a sample: the first one of a simulation.
pub const SAMPLE_IS_NEW_SIMULATION: c_int = 131072;
/// `flags` of a sample: this process's predecessor took the sample and died before it put it, so it
/// may have acted on it. The values are as the predecessor left them: a program that computes in
/// place may find its own result there. The library sets the flag. The flag stays in the sample
/// when it is sent on, and in its copies, because the next process may then see the predecessor's
/// results twice. Clear it if your program rules that out.
pub const SAMPLE_REDELIVERED: c_int = 16777216;

const _: () = {
    use crate::protocol::flags::Flags;
    assert!(SAMPLE_HAS_TS_ORIGIN == Flags::HAS_TS_ORIGIN.bits() && SAMPLE_HAS_TS_RECEIVED == Flags::HAS_TS_RECEIVED.bits());
    assert!(SAMPLE_HAS_OFFSET == Flags::HAS_OFFSET.bits() && SAMPLE_HAS_SEQUENCE == Flags::HAS_SEQUENCE.bits());
    assert!(SAMPLE_HAS_DATA == Flags::HAS_DATA.bits() && SAMPLE_IS_FIRST == Flags::NEW_FRAME.bits());
    assert!(SAMPLE_IS_NEW_SIMULATION == Flags::NEW_SIMULATION.bits() && SAMPLE_REDELIVERED == Flags::REDELIVERED.bits());
};

/// The pool of samples of a channel: `&shm->pool`. It lives as long as the channel.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct pool {
    /// Reserved for the library.
    pub channel: *mut c_void,
}

/// Allocates empty samples from the pool of a channel; never waits. `length`, `flags`, `sequence`
/// and the timestamps are 0. Each side of a channel of one region has `queuelen` + `spare` blocks;
/// `shmem_shared_timed_alloc` waits for a free one.
///
/// @param pool  the pool of an open channel: `&shm->pool`, or `&shm.write.shared->pool` of a
///              `struct shmem_int`
/// @param smps  filled with pointers to samples. The caller owns one reference to each, and gives
///              it up by `sample_put` or by writing the sample
/// @param count how many samples are wanted
/// @return how many samples were allocated: fewer than `count` with `EAGAIN` if all blocks of this
///         side are in use. -1: a handle error (`EINVAL`, `EPIPE`); `ESTALE` see After EPIPE and
///         ESTALE, above. In VILLASnode's layout also as `shmem_int_alloc`
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

/// libvillas' name for `sample_alloc`.
///
/// @param pool  the pool of an open channel
/// @param smps  filled with pointers to samples, one reference each
/// @param count how many samples are wanted
/// @return as `sample_alloc`
///
/// # Safety
/// As for `sample_alloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_alloc_many(pool: *mut pool, smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { sample_alloc(pool, smps, count) }
}

/// Gives up one reference to a sample. If it was the last one of this process, the block is free
/// for its home side, and the pointer is invalid. Also allowed after the channel was closed.
///
/// @param smp a sample that this process holds: allocated or received, and not yet put or written
/// @return the references that this process has left. -1: `EINVAL` not such a sample; nothing is
///         changed
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

/// Takes one more reference to a sample. A writer that keeps a sample calls this before the write.
/// Also allowed after the channel was closed.
///
/// @param smp a sample that this process holds
/// @return the references that this process has now. -1: `EINVAL` not such a sample; nothing is
///         changed
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

/// libvillas' name for `sample_put`.
///
/// @param smp a sample that this process holds
/// @return as `sample_put`
///
/// # Safety
/// As for `sample_put`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_decref(smp: *mut sample) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { sample_put(smp) }
}

/// libvillas' name for `sample_get`.
///
/// @param smp a sample that this process holds
/// @return as `sample_get`
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

/// Gives up one reference to each of some samples, in order, as `sample_put` does.
///
/// @param smps  samples that this process holds
/// @param count how many samples `smps` has
/// @return how many references were given up: fewer than `count` with `EINVAL` if this process does
///         not hold the next sample. -1: `EINVAL` already for the first one, or the array is `NULL`
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

/// Takes one more reference to each of some samples, in order, as `sample_get` does.
///
/// @param smps  samples that this process holds
/// @param count how many samples `smps` has
/// @return how many references were taken: fewer than `count` with `EINVAL` if this process does
///         not hold the next sample. -1: `EINVAL` already for the first one, or the array is `NULL`
///
/// # Safety
/// `smps` has `count` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_get_many(smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { many(smps, count, get) }
}

/// libvillas' name for `sample_put_many`.
///
/// @param smps  samples that this process holds
/// @param count how many samples `smps` has
/// @return as `sample_put_many`
///
/// # Safety
/// As for `sample_put_many`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_decref_many(smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { sample_put_many(smps, count) }
}

/// libvillas' name for `sample_get_many`.
///
/// @param smps  samples that this process holds
/// @param count how many samples `smps` has
/// @return as `sample_get_many`
///
/// # Safety
/// As for `sample_get_many`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sample_incref_many(smps: *mut *mut sample, count: c_uint) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { sample_get_many(smps, count) }
}

/// Copies the contents of a sample: sequence number, flags, timestamps, values. References stay as
/// they are. The samples may be of different channels.
///
/// Copy a sample of a `struct shmem_shared` before it is written: a written one belongs to the
/// reader. A sample that was written to a `struct shmem_int` can be copied until this side
/// allocates its block again; it then has what the reader made of it, if the reader changes samples
/// in place.
///
/// @param dst a sample that this process holds
/// @param src a sample that this process holds, or one written as above
/// @return 0. -1: `EINVAL` not such samples, or the values do not fit into `dst`; nothing is
///         changed
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

/// Allocates a sample of the same channel and copies a sample into it; never waits.
///
/// @param src a sample that this process holds
/// @return the copy; the caller owns one reference to it. `NULL`: `EAGAIN` all blocks of this side
///         are in use; `EINVAL` not such a sample; `EPIPE` and `ESTALE` as for `sample_alloc`
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
