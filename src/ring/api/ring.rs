//! Rings for Rust.

use super::message::{Message, Reservation};
use crate::error::{Error, Result};
use crate::nothing::Call;
use crate::pod::Plain;
use crate::protocol::ring_words::{Policy, Role};
use crate::readiness::duplicate;
use crate::ring::buffers::{ToFill, ToPush};
use crate::ring::handle::{Outcome, RingHandle};
use crate::ring::open::Wanted;
use crate::ring::stats::RingStats;
use crate::sys::object::Name;
use crate::waiting::Limit;
use std::ffi::OsStr;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Bytes of an element unless asked for otherwise.
pub(crate) const DEFAULT_ELEMENT_SIZE: u64 = 1472;
/// Elements of a ring unless asked for otherwise.
pub(crate) const DEFAULT_CAPACITY: u64 = 144;

/// In place of a type: messages are bytes, of a size that is known when the ring is opened.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(());

/// One end of a ring, open in this process: a producer's or a consumer's. Any thread may use it;
/// dropping it closes it.
///
/// Threads that share a `Ring` take turns; threads that open the ring each for itself work side by
/// side, where the policy allows it. A wait ends with `EINTR` when a signal handler ran, and with
/// `EPIPE` when the ring is closed.
///
/// ```
/// use villas_shm::{Policy, Ring, Role};
/// # let name = format!("villas-doc-ring-{}", std::process::id());
/// let producer = Ring::<[f64; 3]>::open(&name, Policy::Spsc, Role::Producer, 144)?;
/// let consumer = Ring::<[f64; 3]>::open(&name, Policy::Spsc, Role::Consumer, 144)?;
/// producer.push(&[50.0, 230.0, 0.5])?;
/// assert_eq!(consumer.pop()?, [50.0, 230.0, 0.5]);
/// assert_eq!(consumer.try_pop().unwrap_err().message(), "the ring is empty");
/// # Ring::unlink(&name)?;
/// # Ok::<(), villas_shm::Error>(())
/// ```
///
/// Messages of a size that is not known at compile time are bytes:
///
/// ```
/// use villas_shm::{Policy, Ring, Role};
/// # let name = format!("villas-doc-bytes-{}", std::process::id());
/// let producer = Ring::open_bytes(&name, Policy::Mpmc, Role::Producer, 5, 10)?;
/// let consumer = Ring::open_bytes(&name, Policy::Mpmc, Role::Consumer, 5, 10)?;
/// producer.push_bytes(b"hello")?;
/// let mut message = [0; 5];
/// consumer.pop_bytes(&mut message)?;
/// assert_eq!(&message, b"hello");
/// # Ring::unlink(&name)?;
/// # Ok::<(), villas_shm::Error>(())
/// ```
pub struct Ring<T = Bytes> {
    pub(super) handle: &'static RingHandle,
    pub(super) element_size: usize,
    capacity: usize,
    messages: PhantomData<fn(T) -> T>,
}

impl<T> std::fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ring({} × {} bytes)", self.capacity, self.element_size)
    }
}

fn done<R>(call: Call, outcome: Result<Outcome<R>>) -> Result<R> {
    outcome?.map_err(|why| call.error(why))
}

impl<T> Ring<T> {
    fn open_sized(name: &OsStr, policy: Policy, role: Role, element_size: usize, capacity: usize) -> Result<Ring<T>> {
        let opened = Wanted::new(name, policy, role, element_size as u64, capacity as u64)?.open()?;
        Ok(Ring::of(opened.handle, element_size, capacity))
    }

    /// An end that is open.
    pub(super) fn of(handle: &'static RingHandle, element_size: usize, capacity: usize) -> Ring<T> {
        Ring { handle, element_size, capacity, messages: PhantomData }
    }

    /// Bytes of a message.
    pub fn element_size(&self) -> usize {
        self.element_size
    }

    /// Messages that the ring holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Messages that fit; exact while nobody else is at work. A slot that a live consumer has
    /// peeked at and not released is not room.
    pub fn available(&self) -> usize {
        self.handle.fill().map_or(0, |(_, available)| available as usize)
    }

    /// Messages that can be taken; exact while nobody else is at work. A slot that was given up
    /// behind messages counts until they are taken, and a slot that a dead producer had claimed
    /// counts until a call of another has settled that.
    pub fn pending(&self) -> usize {
        self.handle.fill().map_or(0, |(pending, _)| pending as usize)
    }

    /// Whether no message fits.
    pub fn is_full(&self) -> bool {
        self.available() == 0
    }

    /// Whether no message can be taken.
    pub fn is_empty(&self) -> bool {
        self.pending() == 0
    }

    /// Counters and fill levels. Asks the kernel for each participant: not for a hot loop.
    pub fn stats(&self) -> RingStats {
        self.handle.stats().unwrap_or_default()
    }

    /// A descriptor for an event loop: of a consumer's end readable while a pop or peek would not
    /// wait, of a producer's *readable* while a push would not. Level-triggered. It may be readable
    /// without a reason, so use the calls that do not wait: one that finds nothing makes it not
    /// readable. Each call returns a duplicate, which the caller owns; once the ring is closed, it
    /// stays readable. It tells of no death.
    ///
    /// The first call in a process starts two threads, which serve all descriptors.
    ///
    /// # Errors
    /// The ring is closed, or its place was taken over; a limit of descriptors, memory or threads.
    pub fn fd(&self) -> Result<OwnedFd> {
        self.handle.fd(duplicate)
    }

    /// Changes permission bits and owner of the ring's object, which is made with mode 0600;
    /// `None`: as it is. The umask does not apply. A process that has it open keeps its access.
    ///
    /// # Errors
    /// `EINVAL` mode; `EPERM` the system does not let this user do that: then nothing is changed;
    /// `EPIPE` closed.
    pub fn set_permissions(&self, mode: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.handle.set_permissions(mode, uid, gid)
    }

    /// Ends the waits of this `Ring` that have begun, with `EINTR`; if there is none, the next one
    /// ends so. Async-signal-safe.
    pub fn interrupt(&self) {
        let _ = self.handle.interrupt();
    }

    fn reservation(&self, limit: &Limit) -> Result<Reservation<'_, T>> {
        done(Call::Push, self.handle.reserve(limit)).map(|message| Reservation { ring: self, message })
    }

    fn message(&self, limit: &Limit) -> Result<Message<'_, T>> {
        done(Call::Pop, self.handle.peek(limit)).map(|message| Message { ring: self, message })
    }

    /// A slot of the ring to write a message to. Does not wait.
    ///
    /// # Errors
    /// `EAGAIN` full; `EINVAL` a consumer's end, or an SPSC ring one slot of which is reserved;
    /// `EBADMSG` corrupt.
    pub fn reserve(&self) -> Result<Reservation<'_, T>> {
        self.reservation(&Limit::Now)
    }

    /// As [`Ring::reserve`], but waits for at most `timeout`, without limit for `None`.
    ///
    /// # Errors
    /// As [`Ring::reserve`]; `ETIMEDOUT`; `EINTR`.
    pub fn timed_reserve(&self, timeout: Option<Duration>) -> Result<Reservation<'_, T>> {
        self.reservation(&Limit::timeout(timeout))
    }

    /// The oldest message, in the ring: it is taken, and its slot is free when it is dropped. Does
    /// not wait.
    ///
    /// # Errors
    /// `EAGAIN` empty; `EINVAL` a producer's end, or an SPSC ring one message of which is held;
    /// `EBADMSG` corrupt.
    pub fn peek(&self) -> Result<Message<'_, T>> {
        self.message(&Limit::Now)
    }

    /// As [`Ring::peek`], but waits for at most `timeout`, without limit for `None`.
    ///
    /// # Errors
    /// As [`Ring::peek`]; `ETIMEDOUT`; `EINTR`.
    pub fn timed_peek(&self, timeout: Option<Duration>) -> Result<Message<'_, T>> {
        self.message(&Limit::timeout(timeout))
    }
}

impl<T: Plain> Ring<T> {
    /// Opens an end of the ring `name`, of messages of type `T`; creates the ring if there is none.
    ///
    /// # Errors
    /// `EINVAL` name, or capacity not from 1 to 2^20; `EPROTO` the ring has another policy, element
    /// size or capacity; `EBUSY` a live process has this role, of which there is one (or all 256
    /// places); `EBADMSG` the name leads to something else; `EACCES`, `ENOSPC` as the system says.
    pub fn open(name: impl AsRef<OsStr>, policy: Policy, role: Role, capacity: usize) -> Result<Ring<T>> {
        Ring::open_sized(name.as_ref(), policy, role, size_of::<T>(), capacity)
    }

    fn push_within(&self, message: &T, limit: &Limit) -> Result<()> {
        // SAFETY: a `T` is a message of this ring.
        done(Call::Push, self.handle.push(limit, unsafe { ToPush::new(std::ptr::from_ref(message).cast()) }))
    }

    fn pop_within(&self, limit: &Limit) -> Result<T> {
        let mut message = MaybeUninit::<T>::uninit();
        // SAFETY: a message of this ring has as many bytes as a `T`.
        done(Call::Pop, self.handle.pop(limit, unsafe { ToFill::new(message.as_mut_ptr().cast()) }))?;
        // SAFETY: all bytes were written, and any bytes are a valid `T`.
        Ok(unsafe { message.assume_init() })
    }

    /// Publishes a message; waits for room.
    ///
    /// # Errors
    /// `EINTR`; `EINVAL` a consumer's end; `EPIPE` closed; `EBADMSG` corrupt; `ESTALE`.
    pub fn push(&self, message: &T) -> Result<()> {
        self.push_within(message, &Limit::Forever)
    }

    /// As [`Ring::push`], but does not wait.
    ///
    /// # Errors
    /// As [`Ring::push`]; `EAGAIN` full.
    pub fn try_push(&self, message: &T) -> Result<()> {
        self.push_within(message, &Limit::Now)
    }

    /// As [`Ring::push`], but waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`Ring::push`]; `ETIMEDOUT`.
    pub fn timed_push(&self, message: &T, timeout: Duration) -> Result<()> {
        self.push_within(message, &Limit::timeout(Some(timeout)))
    }

    /// Publishes messages from the front of `messages`, as many as fit; how many.
    ///
    /// # Errors
    /// As [`Ring::try_push`], when there is no room for the first.
    pub fn push_many(&self, messages: &[T]) -> Result<usize> {
        // SAFETY: as in `push_within`.
        done(Call::Push, self.handle.push_many(messages.len(), unsafe { ToPush::new(messages.as_ptr().cast()) }))
    }

    /// Takes the oldest message; waits for one.
    ///
    /// # Errors
    /// `EINTR`; `EINVAL` a producer's end; `EPIPE` closed; `EBADMSG` corrupt; `ESTALE`.
    pub fn pop(&self) -> Result<T> {
        self.pop_within(&Limit::Forever)
    }

    /// As [`Ring::pop`], but does not wait.
    ///
    /// # Errors
    /// As [`Ring::pop`]; `EAGAIN` empty.
    pub fn try_pop(&self) -> Result<T> {
        self.pop_within(&Limit::Now)
    }

    /// As [`Ring::pop`], but waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`Ring::pop`]; `ETIMEDOUT`.
    pub fn timed_pop(&self, timeout: Duration) -> Result<T> {
        self.pop_within(&Limit::timeout(Some(timeout)))
    }

    /// Appends up to `most` messages to `messages`, as many as there are; how many.
    ///
    /// # Errors
    /// As [`Ring::try_pop`], when there is none.
    pub fn pop_many(&self, messages: &mut Vec<T>, most: usize) -> Result<usize> {
        let most = most.min(self.capacity);
        messages.reserve(most);
        let room = messages.spare_capacity_mut().as_mut_ptr();
        // SAFETY: as in `pop_within`; there is room for `most`.
        let count = done(Call::Pop, self.handle.pop_many(most, unsafe { ToFill::new(room.cast()) }))?;
        // SAFETY: so many more were written.
        unsafe { messages.set_len(messages.len() + count) };
        Ok(count)
    }
}

impl Ring<Bytes> {
    /// Opens an end of the ring `name`, of messages of `element_size` bytes; creates the ring if
    /// there is none.
    ///
    /// # Errors
    /// As [`Ring::open`]; `EINVAL` also for an element size that is not from 1 to 2^20.
    pub fn open_bytes(name: impl AsRef<OsStr>, policy: Policy, role: Role, element_size: usize, capacity: usize) -> Result<Ring> {
        Ring::open_sized(name.as_ref(), policy, role, element_size, capacity)
    }

    /// Removes the name of a ring, or of whatever has the name: that is not checked. Processes that
    /// have it open keep it.
    ///
    /// # Errors
    /// `EINVAL` name; `ENOENT` no such object; `EACCES`.
    pub fn unlink(name: impl AsRef<OsStr>) -> Result<()> {
        Name::new(name)?.unlink()
    }

    fn check_length(&self, length: usize) -> Result<()> {
        if length == self.element_size {
            return Ok(());
        }
        Err(Error::invalid(format!("the message has {length} bytes, but those of this ring have {}", self.element_size)))
    }

    fn push_within(&self, message: &[u8], limit: &Limit) -> Result<()> {
        self.check_length(message.len())?;
        // SAFETY: the message is as long as those of the ring.
        unsafe { self.push_at(message.as_ptr(), limit) }
    }

    fn pop_within(&self, message: &mut [u8], limit: &Limit) -> Result<()> {
        self.check_length(message.len())?;
        // SAFETY: the message is as long as those of the ring.
        unsafe { self.pop_at(message.as_mut_ptr(), limit) }
    }

    /// # Safety
    /// `from` leads to a message.
    unsafe fn push_at(&self, from: *const u8, limit: &Limit) -> Result<()> {
        // SAFETY: as the caller promises.
        done(Call::Push, self.handle.push(limit, unsafe { ToPush::new(from) }))
    }

    /// # Safety
    /// `to` leads to room for a message.
    unsafe fn pop_at(&self, to: *mut u8, limit: &Limit) -> Result<()> {
        // SAFETY: as the caller promises.
        done(Call::Pop, self.handle.pop(limit, unsafe { ToFill::new(to) }))
    }

    /// As [`Ring::timed_push_bytes`], by address: for memory that other threads may write
    /// meanwhile.
    ///
    /// # Errors
    /// As [`Ring::timed_push_bytes`].
    ///
    /// # Safety
    /// `from` leads to [`element_size`](Ring::element_size) readable bytes.
    pub unsafe fn timed_push_from(&self, from: *const u8, timeout: Option<Duration>) -> Result<()> {
        // SAFETY: as the caller promises.
        unsafe { self.push_at(from, &Limit::timeout(timeout)) }
    }

    /// As [`Ring::timed_pop_bytes`], by address.
    ///
    /// # Errors
    /// As [`Ring::timed_pop_bytes`].
    ///
    /// # Safety
    /// `to` leads to [`element_size`](Ring::element_size) writable bytes.
    pub unsafe fn timed_pop_into(&self, to: *mut u8, timeout: Option<Duration>) -> Result<()> {
        // SAFETY: as the caller promises.
        unsafe { self.pop_at(to, &Limit::timeout(timeout)) }
    }

    /// Publishes as many of `count` messages as fit; how many. Does not wait.
    ///
    /// # Errors
    /// As [`Ring::push_many`].
    ///
    /// # Safety
    /// `from` leads to `count` times [`element_size`](Ring::element_size) readable bytes.
    pub unsafe fn push_many_from(&self, from: *const u8, count: usize) -> Result<usize> {
        // SAFETY: as the caller promises.
        done(Call::Push, self.handle.push_many(count, unsafe { ToPush::new(from) }))
    }

    /// Takes up to `most` messages, as many as there are; how many. Does not wait.
    ///
    /// # Errors
    /// As [`Ring::pop_many`].
    ///
    /// # Safety
    /// `to` leads to `most` times [`element_size`](Ring::element_size) writable bytes.
    pub unsafe fn pop_many_into(&self, to: *mut u8, most: usize) -> Result<usize> {
        // SAFETY: as the caller promises.
        done(Call::Pop, self.handle.pop_many(most, unsafe { ToFill::new(to) }))
    }

    /// Publishes a message; waits for room.
    ///
    /// # Errors
    /// As [`Ring::push`]; `EINVAL` also for a message of another length.
    pub fn push_bytes(&self, message: &[u8]) -> Result<()> {
        self.push_within(message, &Limit::Forever)
    }

    /// As [`Ring::push_bytes`], but does not wait.
    ///
    /// # Errors
    /// As [`Ring::push_bytes`]; `EAGAIN` full.
    pub fn try_push_bytes(&self, message: &[u8]) -> Result<()> {
        self.push_within(message, &Limit::Now)
    }

    /// As [`Ring::push_bytes`], but waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`Ring::push_bytes`]; `ETIMEDOUT`.
    pub fn timed_push_bytes(&self, message: &[u8], timeout: Duration) -> Result<()> {
        self.push_within(message, &Limit::timeout(Some(timeout)))
    }

    /// Takes the oldest message; waits for one.
    ///
    /// # Errors
    /// As [`Ring::pop`]; `EINVAL` also for a `message` of another length.
    pub fn pop_bytes(&self, message: &mut [u8]) -> Result<()> {
        self.pop_within(message, &Limit::Forever)
    }

    /// As [`Ring::pop_bytes`], but does not wait.
    ///
    /// # Errors
    /// As [`Ring::pop_bytes`]; `EAGAIN` empty.
    pub fn try_pop_bytes(&self, message: &mut [u8]) -> Result<()> {
        self.pop_within(message, &Limit::Now)
    }

    /// As [`Ring::pop_bytes`], but waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`Ring::pop_bytes`]; `ETIMEDOUT`.
    pub fn timed_pop_bytes(&self, message: &mut [u8], timeout: Duration) -> Result<()> {
        self.pop_within(message, &Limit::timeout(Some(timeout)))
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // What is still out was forgotten (`std::mem::forget`): no value leads there any more.
        let _ = self.handle.abandon();
    }
}

#[cfg(test)]
#[path = "../../tests/unit/ring/api/ring.rs"]
mod tests;
