//! What a call says that has found nothing, or no room, in time: in C and in Rust the same.

use crate::error::{Error, strerror};
use std::ffi::CStr;

/// The kinds of calls that find nothing, or no room, in time.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    Read,
    Write,
    Alloc,
    Push,
    Pop,
    /// For an event.
    Wait,
}

impl Call {
    /// The sentence for an errno that is no failure to be described. `None`: there is none of its
    /// own.
    pub(crate) fn sentence(self, errno: i32) -> Option<&'static CStr> {
        Some(match (self, errno) {
            (Call::Read, libc::EAGAIN) => c"no sample has come yet: call again",
            (Call::Read, libc::ETIMEDOUT) => c"no sample has come within the time",
            (Call::Read, libc::EINTR) => c"a signal handler ran, or the read was interrupted, before a sample came: call again",
            (Call::Write, libc::EAGAIN) => c"the queue is full: the samples that were not taken are still the caller's",
            (Call::Write, libc::ETIMEDOUT) => {
                c"the queue was still full when the time was over: the samples that were not taken are still the caller's"
            }
            (Call::Write, libc::EINTR) => {
                c"a signal handler ran, or the write was interrupted, before all was taken: the rest is still the caller's"
            }
            (Call::Write, libc::EPIPE) => {
                c"the peer closed or died, or the channel was closed, before all was taken: the rest is still the caller's"
            }
            (Call::Write, libc::EINVAL) => {
                c"the next sample cannot be sent: it is not live, of another channel, too long, or still out"
            }
            (Call::Alloc, libc::EAGAIN) => {
                c"all blocks of this side are in use: put samples, or wait until the peer has put what it has"
            }
            (Call::Alloc, libc::ETIMEDOUT) => c"too few blocks of this side were free before the time was over",
            (Call::Alloc, libc::EINTR) => {
                c"a signal handler ran, or the wait was interrupted, before enough blocks were free: call again"
            }
            (Call::Alloc, libc::EPIPE) => {
                c"too few blocks are free, and the peer, which has the others, closed or died, or the channel was closed"
            }
            (Call::Write | Call::Alloc, libc::ESTALE) => {
                c"only a part was done: this side was taken over, or the name no longer leads to this region; open again"
            }
            (Call::Push, libc::EAGAIN) => c"the ring is full: the message was not given",
            (Call::Push, libc::ETIMEDOUT) => c"the ring was still full when the time was over: the message was not given",
            (Call::Push, libc::EINTR) => {
                c"a signal handler ran, or the wait was interrupted, before the ring had room: the message was not given"
            }
            (Call::Pop, libc::EAGAIN) => c"the ring is empty",
            (Call::Pop, libc::ETIMEDOUT) => c"no message has come within the time",
            (Call::Pop, libc::EINTR) => c"a signal handler ran, or the wait was interrupted, before a message came: call again",
            (Call::Wait, libc::EAGAIN) => c"no signal has come yet: call again",
            (Call::Wait, libc::ETIMEDOUT) => c"no signal has come within the time",
            (Call::Wait, libc::EINTR) => c"a signal handler ran before a signal came: call again",
            _ => return None,
        })
    }

    /// The error for it.
    #[cold]
    pub(crate) fn error(self, errno: i32) -> Error {
        match self.sentence(errno).map(CStr::to_str) {
            Some(Ok(sentence)) => Error::new(errno, sentence),
            _ => Error::new(errno, strerror(errno)),
        }
    }
}
