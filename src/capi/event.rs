//! Group "events".

use super::error::Call;
use super::{error, guard, within};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::memory::tag::Tag;
use crate::waiting::Limit;
use libc::{c_int, timespec};

/// A counter of signals, by which a process learns what others wrote into shared memory. It lies in
/// a segment, or in other memory that the processes share, at a multiple of 8. Zeroed memory is an
/// event without signals, so it needs no initialiser.
///
/// Each waiter has a number of its own: how many signals it has seen. So every waiter gets every
/// signal, and none is lost. A waiter that has seen a signal sees all that was written before it.
/// An event is no lock: to take turns, use one event for each direction.
///
/// An event has no owner. The death of a waiter changes nothing for the others. If a signaller dies
/// within the call, the signal is there or not; sleepers may learn of it 50 ms later. The library
/// cannot know whether a live process is left to signal: wait with a limit.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct shmem_event {
    /// Reserved for the library. The program may zero it while no process uses the event.
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

/// Adds a signal to an event, and wakes all its waiters. Makes no system call if no waiter sleeps.
/// If this thread is stopped between the count and the wake-up, sleepers learn of the signal up to
/// 50 ms later.
///
/// @param event in memory that this process may write
/// @return 0. -1: `EINVAL` `event` is `NULL`, not at a multiple of 8, or a handle of this library
///
/// Async-signal-safe if it succeeds.
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

/// Returns how many signals an event has had since the memory was zeroed: the first `*seen` of a
/// waiter that wants only later signals.
///
/// @param event in memory that this process may read
/// @return the number. 0 also with `EINVAL`, as for `shmem_event_signal`
///
/// # Safety
/// `event` is null or leads to a `struct shmem_event`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_event_count(event: *const shmem_event) -> u64 {
    // SAFETY: as the caller promises.
    guard(0, || Ok(unsafe { known(event) }?.count()))
}

/// Waits up to 100 ms for a signal that is not among the first `*seen`.
///
/// @param event in memory that this process may write
/// @param seen  the waiter's own number, set to the number of all signals so far. It begins with 0,
///              so that signals before the wait count too
/// @return how many signals are new, at most `INT_MAX`. 0, call again: `EAGAIN` none came in time,
///         or `EINTR` a signal handler interrupted a sleep. -1: `EINVAL` `seen` is `NULL`, or as
///         for `shmem_event_signal`
///
/// # Safety
/// `event` is null or leads to a `struct shmem_event`, `seen` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_event_wait(event: *mut shmem_event, seen: *mut u64) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { wait(event, seen, |event, seen| event.plain_wait(seen)) }
}

/// Counts the signals that are not among the first `*seen`; never waits.
///
/// @param event in memory that this process may read
/// @param seen  the waiter's own number, as for `shmem_event_wait`
/// @return how many signals are new. 0: `EAGAIN` none. -1: as `shmem_event_wait`
///
/// # Safety
/// As for `shmem_event_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_event_try_wait(event: *const shmem_event, seen: *mut u64) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { wait(event, seen, |event, seen| event.within(seen, &Limit::Now)) }
}

/// Waits for a signal that is not among the first `*seen`, as long as the timeout says.
///
/// @param event   in memory that this process may write
/// @param seen    the waiter's own number, as for `shmem_event_wait`
/// @param timeout relative; `NULL`: no limit
/// @return how many signals are new. 0: `ETIMEDOUT`, or `EINTR` as for `shmem_event_wait`. -1:
///         `EINVAL` also for the timeout; else as `shmem_event_wait`
///
/// # Safety
/// As for `shmem_event_wait`; `timeout` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmem_event_timed_wait(event: *mut shmem_event, seen: *mut u64, timeout: *const timespec) -> c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { within(timeout, |limit| wait(event, seen, |event, seen| event.within(seen, limit))) }
}
