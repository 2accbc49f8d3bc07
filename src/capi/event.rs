//! Group "events".

use super::error::Call;
use super::{error, guard, within};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::memory::tag::Tag;
use crate::waiting::Limit;
use libc::{c_int, timespec};

/// A counter of signals, on which processes wait for what others write into shared memory: put it into a segment, or any other memory that
/// they share and may write, at an address that is a multiple of 8. Zeroed memory is an event without signals.
///
/// Each waiter has a number of its own, how many signals it has seen. So every waiter gets every signal, none can be lost, and nobody
/// takes another's. What was written before a signal is there for who has seen it. An event is no lock: to take turns, have one for each direction.
///
/// An event has no owner. A waiter that dies changes nothing for the others. A signal of a process that dies is there or not; if it
/// dies within the call, those who sleep may learn of it 50 ms later. Nobody can know whether a process is left that would signal: wait with a limit.
///
/// Any thread of any process may call all functions at any time.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct shmem_event {
    /// The library's. Not to be touched, but to zero it while nobody uses it.
    pub _private: u64,
}

/// # Safety
/// `event` is null or leads to a `struct shmem_event` that stays.
unsafe fn known<'m>(event: *const shmem_event) -> Result<Event<'m>> {
    let tag = event.cast::<Tag>();
    // A handle would take the signal for a change of its kind. SAFETY: aligned, and readable as the
    // caller promises.
    if !tag.is_null() && tag.is_aligned() && unsafe { &*tag }.is_any() {
        return Err(Error::invalid("the pointer leads to a handle of this library, not to a struct shmem_event"));
    }
    // SAFETY: as the caller promises.
    unsafe { Event::at(event.cast_mut().cast()) }
}

/// A wait: how many signals are new, at most `INT_MAX`; 0 sets `errno`.
///
/// # Safety
/// `event` as for `known`; `seen` is null or valid.
unsafe fn wait(
    event: *const shmem_event,
    seen: *mut u64,
    how: impl FnOnce(&Event<'_>, &mut u64) -> std::result::Result<u64, i32>,
) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        let event = unsafe { known(event) }?;
        // SAFETY: as above; the number is the calling thread's own.
        let seen =
            unsafe { seen.as_mut() }.ok_or_else(|| Error::invalid("seen, the number of signals seen, is a null pointer"))?;
        Ok(how(&event, seen).map_or_else(
            |why| {
                error::note(Call::Wait, why);
                0
            },
            |fresh| c_int::try_from(fresh).unwrap_or(c_int::MAX),
        ))
    })
}

/// Adds a signal, and wakes all who wait.
///
/// @param event in memory that this process may write
/// @return 0. -1: `EINVAL` null, a handle of this library, or its address is not a multiple of 8
///
/// Async-signal-safe unless it fails. No system call when nobody sleeps. One that is stopped, or loses its processor, between the count and the wake-up delays
/// the wake-ups of others by up to 50 ms.
///
/// # Safety
/// `event` is null or leads to a `struct shmem_event`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_event_signal(event: *mut shmem_event) -> c_int {
    guard(-1, || {
        // SAFETY: as the caller promises.
        unsafe { known(event) }?.signal();
        Ok(0)
    })
}

/// How many signals there were since the memory was zeroed: `*seen` for a waiter who wants only those that come from now on.
///
/// @param event may be in memory that this process may only read
/// @return the number; 0 also with `EINVAL`: null, or its address is not a multiple of 8
///
/// # Safety
/// `event` is null or leads to a `struct shmem_event`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_event_count(event: *const shmem_event) -> u64 {
    // SAFETY: as the caller promises.
    guard(0, || Ok(unsafe { known(event) }?.count()))
}

/// Waits for a signal that is not among the first `*seen`.
///
/// @param event in memory that this process may write
/// @param seen  the waiter's own number; 0 at first, so that signals before the wait count too. Set to the number of all signals so far
/// @return how many are new. 0: none yet, call again: `EAGAIN` 100 ms are over, `EINTR` a signal handler ran and
///         interrupted a sleep (one that runs just before is not seen). -1: `EINVAL` a null pointer, or an address that is not a multiple of 8
///
/// # Safety
/// `event` is null or leads to a `struct shmem_event`, `seen` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_event_wait(event: *mut shmem_event, seen: *mut u64) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { wait(event, seen, |event, seen| event.plain_wait(seen)) }
}

/// The same as `shmem_event_wait`; does not wait.
///
/// @param event may be in memory that this process may only read
/// @return as `shmem_event_wait`; 0 with `EAGAIN`
///
/// # Safety
/// As for `shmem_event_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_event_try_wait(event: *const shmem_event, seen: *mut u64) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { wait(event, seen, |event, seen| event.within(seen, &Limit::Now)) }
}

/// The same as `shmem_event_wait`; waits for so long.
///
/// @param timeout relative; `NULL`: without limit
/// @return as `shmem_event_wait`; 0 with `ETIMEDOUT` when the time is over, or `EINTR`
///
/// # Safety
/// As for `shmem_event_wait`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_event_timed_wait(event: *mut shmem_event, seen: *mut u64, timeout: *const timespec) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| wait(event, seen, |event, seen| event.within(seen, limit))) }
}
