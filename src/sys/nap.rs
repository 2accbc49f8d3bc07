//! A sleep that a signal handler ends.

use nix::errno::Errno;
use std::time::Duration;

/// Sleeps for `time`. `EINTR`: a signal handler ran.
pub(crate) fn nap(time: Duration) -> Result<(), Errno> {
    let time = libc::timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos().into() };
    // SAFETY: the time lives across the call; what is left of it is not asked for.
    Errno::result(unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) }).map(|_| ())
}
