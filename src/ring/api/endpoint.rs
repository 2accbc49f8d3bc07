//! Endpoints: two rings, `NAME_AB` and `NAME_BA`, seen from side A or B.

use super::ring::{Bytes, Ring};
use crate::error::{Error, Result};
use crate::memory::slab::{Reused, Slab};
use crate::memory::tag::{HandleKind, Tag};
use crate::pod::Plain;
use crate::protocol::ring_words::{Policy, Role};
use crate::ring::handle::RingHandle;
use crate::ring::open::Wanted;
use crate::sys::object::{NAME_MAX, without_slashes};
use std::ffi::{OsStr, OsString, c_void};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Duration;

/// The side of an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointSide {
    /// Sends by `NAME_AB`, receives by `NAME_BA`.
    A = 1,
    /// The other way round.
    B = 2,
}

impl EndpointSide {
    pub(crate) fn from_number(number: i64) -> Result<EndpointSide> {
        match number {
            1 => Ok(EndpointSide::A),
            2 => Ok(EndpointSide::B),
            _ => Err(Error::invalid(format!("the side is {number}, but must be 1 (A) or 2 (B)"))),
        }
    }

    /// The endings of the names of the rings by which this side sends and receives.
    fn endings(self) -> (&'static str, &'static str) {
        match self {
            EndpointSide::A => ("_AB", "_BA"),
            EndpointSide::B => ("_BA", "_AB"),
        }
    }
}

/// The name of one of the rings.
fn ring_name(name: &OsStr, ending: &str) -> Result<OsString> {
    let bare = without_slashes(name);
    if bare.is_empty() {
        return Err(Error::invalid("the name is empty: give it letters or digits"));
    }
    let (most, length) = (NAME_MAX - ending.len(), bare.len());
    if length > most {
        return Err(Error::invalid(format!(
            "the name has {length} bytes, at most {most} are possible: its rings are called NAME{ending}"
        )));
    }
    let mut name = bare.to_owned();
    name.push(ending);
    Ok(name)
}

/// Removes both rings. What is left is an error only if both were missing, or one cannot be
/// removed.
pub(crate) fn unlink(name: &OsStr) -> Result<()> {
    let (first, second) = (Ring::unlink(ring_name(name, "_AB")?), Ring::unlink(ring_name(name, "_BA")?));
    let is_missing = |r: &Result<()>| r.as_ref().is_err_and(|e| e.errno() == libc::ENOENT);
    match (is_missing(&first), is_missing(&second)) {
        (true, false) => second,
        (false, true) => first,
        _ => first.and(second),
    }
}

/// One end of a duplex connection: it sends by one ring and receives by another. Any thread may use
/// it; dropping it closes it.
///
/// ```
/// use villas_shm::{Endpoint, EndpointSide, Policy};
/// # let name = format!("villas-doc-endpoint-{}", std::process::id());
/// let a = Endpoint::open(&name, Policy::Spsc, EndpointSide::A, 128)?;
/// let b = Endpoint::open(&name, Policy::Spsc, EndpointSide::B, 128)?;
/// a.outgoing().push(&1)?;
/// assert_eq!(b.incoming().pop()?, 1);
/// b.outgoing().push(&2)?;
/// assert_eq!(a.receive(None)?, 2);
/// # Endpoint::unlink(&name)?;
/// # Ok::<(), villas_shm::Error>(())
/// ```
#[derive(Debug)]
pub struct Endpoint<T = Bytes> {
    outgoing: Ring<T>,
    incoming: Ring<T>,
}

/// Opens both rings of a side, or neither, and then leaves no name behind.
fn open_both(
    name: &OsStr,
    policy: Policy,
    side: EndpointSide,
    element_size: u64,
    capacity: u64,
) -> Result<(&'static RingHandle, &'static RingHandle)> {
    let (out, back) = side.endings();
    let mut outgoing = Wanted::new(ring_name(name, out)?, policy, Role::Producer, element_size, capacity)?;
    let mut incoming = Wanted::new(ring_name(name, back)?, policy, Role::Consumer, element_size, capacity)?;
    // Before either of them gets its name: one alone would be in the way of another try.
    outgoing.prepare()?;
    incoming.prepare()?;
    let outgoing = outgoing.open()?;
    match incoming.open() {
        Ok(incoming) => Ok((outgoing.handle, incoming.handle)),
        Err(e) => {
            outgoing.undo();
            Err(e)
        }
    }
}

impl<T> Endpoint<T> {
    fn open_sized(name: &OsStr, policy: Policy, side: EndpointSide, element_size: usize, capacity: usize) -> Result<Endpoint<T>> {
        let (outgoing, incoming) = open_both(name, policy, side, element_size as u64, capacity as u64)?;
        let ring = |handle| Ring::of(handle, element_size, capacity);
        Ok(Endpoint { outgoing: ring(outgoing), incoming: ring(incoming) })
    }

    /// The ring by which this side sends.
    pub fn outgoing(&self) -> &Ring<T> {
        &self.outgoing
    }

    /// The ring by which this side receives.
    pub fn incoming(&self) -> &Ring<T> {
        &self.incoming
    }

    /// A descriptor that is readable while a receive would not wait: [`Ring::fd`] of
    /// [`Endpoint::incoming`].
    ///
    /// # Errors
    /// As [`Ring::fd`].
    pub fn read_fd(&self) -> Result<OwnedFd> {
        self.incoming.fd()
    }

    /// A descriptor that is *readable* while a send would not wait: [`Ring::fd`] of
    /// [`Endpoint::outgoing`].
    ///
    /// # Errors
    /// As [`Ring::fd`].
    pub fn write_fd(&self) -> Result<OwnedFd> {
        self.outgoing.fd()
    }
}

impl<T: Plain> Endpoint<T> {
    /// Opens `side` of the endpoint `name`; creates the rings if there are none.
    ///
    /// # Errors
    /// As [`Ring::open`].
    pub fn open(name: impl AsRef<OsStr>, policy: Policy, side: EndpointSide, capacity: usize) -> Result<Endpoint<T>> {
        Endpoint::open_sized(name.as_ref(), policy, side, size_of::<T>(), capacity)
    }

    /// Sends a message; waits for room for so long, without limit for `None`.
    ///
    /// # Errors
    /// As [`Ring::timed_push`].
    pub fn send(&self, message: &T, timeout: Option<Duration>) -> Result<()> {
        match timeout {
            None => self.outgoing.push(message),
            Some(timeout) => self.outgoing.timed_push(message, timeout),
        }
    }

    /// Receives a message; waits for one for so long, without limit for `None`.
    ///
    /// # Errors
    /// As [`Ring::timed_pop`].
    pub fn receive(&self, timeout: Option<Duration>) -> Result<T> {
        match timeout {
            None => self.incoming.pop(),
            Some(timeout) => self.incoming.timed_pop(timeout),
        }
    }
}

impl Endpoint<Bytes> {
    /// As [`Endpoint::open`], for messages of `element_size` bytes.
    ///
    /// # Errors
    /// As [`Ring::open_bytes`].
    pub fn open_bytes(
        name: impl AsRef<OsStr>,
        policy: Policy,
        side: EndpointSide,
        element_size: usize,
        capacity: usize,
    ) -> Result<Endpoint> {
        Endpoint::open_sized(name.as_ref(), policy, side, element_size, capacity)
    }

    /// Removes the names of both rings. Processes that have them open keep them.
    ///
    /// # Errors
    /// `EINVAL` name; `ENOENT` there is neither; `EACCES`.
    pub fn unlink(name: impl AsRef<OsStr>) -> Result<()> {
        unlink(name.as_ref())
    }
}

/// The two rings of an endpoint, as the C interface has them: in memory whose type is stable, like handles.
#[repr(C)]
pub(crate) struct Pair {
    tag: Tag,
    /// Entered in the list of pairs as somebody's.
    is_used: AtomicBool,
    is_open: AtomicBool,
    outgoing: AtomicPtr<RingHandle>,
    incoming: AtomicPtr<RingHandle>,
}

static PAIRS: Slab<Pair> = Slab::new();

impl Reused for Pair {
    fn claim(&self) -> bool {
        !self.is_used.swap(true, Ordering::Acquire)
    }
    fn unclaim(&self) {
        self.is_used.store(false, Ordering::Release);
    }
}

impl Pair {
    pub(crate) fn open(
        name: &OsStr,
        policy: Policy,
        side: EndpointSide,
        element_size: u64,
        capacity: u64,
    ) -> Result<&'static Pair> {
        let (outgoing, incoming) = open_both(name, policy, side, element_size, capacity)?;
        outgoing.join_endpoint();
        incoming.join_endpoint();
        let make = || Pair {
            tag: Tag::default(),
            is_used: AtomicBool::new(false),
            is_open: AtomicBool::new(false),
            outgoing: AtomicPtr::default(),
            incoming: AtomicPtr::default(),
        };
        let pair = PAIRS.take(make);
        pair.outgoing.store(std::ptr::from_ref(outgoing).cast_mut(), Ordering::Relaxed);
        pair.incoming.store(std::ptr::from_ref(incoming).cast_mut(), Ordering::Relaxed);
        pair.tag.mark(HandleKind::Endpoint);
        pair.is_open.store(true, Ordering::Release);
        Ok(pair)
    }

    /// The pair at `pointer`, if there is one.
    ///
    /// # Safety
    /// `pointer` leads to readable memory as large as a [`Tag`], aligned as one.
    #[inline(always)]
    pub(crate) unsafe fn at(pointer: *const c_void) -> Option<&'static Pair> {
        // SAFETY: as the caller promises.
        let is_one = unsafe { &*pointer.cast::<Tag>() }.is(HandleKind::Endpoint);
        // SAFETY: only pairs have this tag, and they live for ever.
        is_one.then(|| unsafe { &*pointer.cast::<Pair>() })
    }

    #[inline(always)]
    fn ring(&self, which: &AtomicPtr<RingHandle>) -> Option<&'static RingHandle> {
        // SAFETY: handles live for ever, and an open pair has its two.
        self.is_open.load(Ordering::Acquire).then(|| unsafe { &*which.load(Ordering::Relaxed) })
    }

    /// The ring by which it sends; `None`: see [`Pair::closed`].
    #[inline(always)]
    pub(crate) fn outgoing(&self) -> Option<&'static RingHandle> {
        self.ring(&self.outgoing)
    }

    /// The ring by which it receives; `None`: see [`Pair::closed`].
    #[inline(always)]
    pub(crate) fn incoming(&self) -> Option<&'static RingHandle> {
        self.ring(&self.incoming)
    }

    /// The error of a call on one that is closed.
    #[cold]
    pub(crate) fn closed() -> Error {
        Error::new(libc::EPIPE, "this endpoint is closed in this process")
    }

    /// Closes both. Async-signal-safe.
    pub(crate) fn close(&self) -> Result<()> {
        self.close_by(RingHandle::close)
    }

    /// Closes it, and gives back what is reserved or peeked at. Not async-signal-safe.
    pub(crate) fn abandon(&self) -> Result<()> {
        self.close_by(RingHandle::abandon)
    }

    fn close_by(&self, close: impl Fn(&RingHandle) -> Result<()>) -> Result<()> {
        let already = || Error::invalid("this endpoint is closed already");
        let (Some(outgoing), Some(incoming)) = (self.outgoing(), self.incoming()) else { return Err(already()) };
        if !self.is_open.swap(false, Ordering::AcqRel) {
            return Err(already());
        }
        let done = [close(outgoing), close(incoming)];
        self.unclaim();
        done.into_iter().collect()
    }
}
