//! A mapped region, and the processes that hold a place in it, whatever is in it: a channel has two
//! places, its sides; a ring has one for each participant.
//!
//! ## Who is alive
//!
//! Each process that holds a place is an *incarnation* of it, with a number. It locks the byte of
//! that number (open-file-description lock, far beyond the region's end), and the kernel unlocks it
//! when the last descriptor and the last mapping of the description are gone, however the process
//! ended. A forked child inherits neither (`sys::fork`, `sys::mapping`); a child made behind the C
//! library's back may keep the byte locked. So the next incarnation takes the next byte, and a
//! process that the holder names and that is certainly gone counts as dead in spite of the lock.
//! What cannot be known counts as alive.
//!
//! | edge | stores | loads | what it carries |
//! |---|---|---|---|
//! | S1 | new holder: the rest of the holder, then `incarnation`, release | others: `incarnation`, acquire, then the rest | a whole holder |

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::sys::clock::unix_time;
use crate::sys::mapping::Mapping;
use crate::sys::object::{Name, Object};
use crate::sys::process::Identity;
use crate::sys::thread::Uncancelled;
use crate::sys::trial::usual_or;
use std::fmt;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long an attempt to take over a place goes on while a rival is at it, which may yet give up.
/// The fuzzer has none: the rivals that it makes do not give up.
pub(crate) const RIVAL_PATIENCE: Duration = Duration::from_millis(usual_or(50, 0) as u64);

/// How long it goes on while a rival removes the region, which takes microseconds unless the rival
/// loses its processor or is stopped.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(1);
/// Between two attempts.
pub(crate) const RIVAL_NAP: Duration = Duration::from_micros(200);

/// Whether to go on with attempts that began at `start`, with so much patience (zero: none whatever
/// comes) with a rival that holds a lock on `object`.
pub(crate) fn is_patient(start: Instant, patience: Duration, object: &Object) -> bool {
    let waited = start.elapsed();
    waited < patience || waited < REMOVAL_PATIENCE && !patience.is_zero() && object.is_being_removed()
}

/// How often the holder may have changed when its next incarnation has been locked: once for each
/// rival that was faster. A process that changes it without end breaks the rules, and must not keep
/// others from looking at the clock.
const CLAIM_LOOKS: u32 = 8;

/// Another process holds this process's place by now.
#[cold]
pub(crate) fn taken_over() -> Error {
    Error::new(libc::ESTALE, "this process was taken for dead (its locks were gone) and its place was taken over: open again")
}

/// For an open that would make the region if there were none: an object without a size is no region
/// that is about to come, as regions appear whole.
pub(crate) fn without_size(name: &Name) -> Error {
    Error::corrupt(format!(
        "\"{name}\" is an object without a size: another program is making it, or has left it; remove it or take another name"
    ))
}

/// How this process came by a region. A name is kept in it, not on the heap, as a signal handler
/// may drop it.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Named(Name),
    /// By a descriptor: it has no name.
    Unnamed,
}

impl Origin {
    /// Whether the name leads to `object`; what has no name is what it is.
    pub(crate) fn leads_to(&self, object: &Object) -> Result<bool> {
        match self {
            Origin::Named(name) => object.is_named(name),
            Origin::Unnamed => Ok(true),
        }
    }

    /// Whether nobody can come by the name any more. What has no name is handed over otherwise.
    pub(crate) fn is_lost(&self, object: &Object) -> bool {
        matches!(self, Origin::Named(name) if object.is_unlinked() || object.is_replaced(name))
    }

    /// Whether the name leads to some other object.
    pub(crate) fn leads_elsewhere(&self, object: &Object) -> bool {
        matches!(self, Origin::Named(name) if object.is_replaced(name))
    }
}

/// For people.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Named(name) => write!(f, "\"{name}\""),
            Origin::Unnamed => f.write_str("the region of the descriptor"),
        }
    }
}

/// How an attempt to reserve a place ended.
pub(crate) enum Claim {
    /// With this incarnation.
    Reserved(u64),
    /// A live process holds the place.
    Held,
    /// Another is about to take it.
    Contended,
}

/// A mapped region, before a place in it is held. The mapping goes before the object, and with that
/// the locks.
///
/// While it is being opened it is in a box: it has half a kilobyte, which would lie on the stack of
/// each function on the way.
pub(crate) struct Region<L: Layout> {
    pub(crate) view: L,
    _mapping: Mapping,
    pub(crate) object: Object,
    pub(crate) origin: Origin,
    me: Identity,
}

impl<L: Layout> Region<L> {
    /// Maps a region that exists and checks it.
    pub(crate) fn existing(object: Object, origin: Origin) -> Result<Box<Self>> {
        let (mapping, facts) = Self::inspect(&object, &origin)?;
        Ok(Self::new(object, origin, mapping, facts))
    }

    /// Maps an object and reads its facts.
    pub(crate) fn inspect(object: &Object, origin: &Origin) -> Result<(Mapping, L::Facts)> {
        let size = object.size();
        let length = usize::try_from(size).map_err(|_| Error::corrupt("the region is larger than the address space"))?;
        if length < L::LEAST {
            return Err(if size == 0 {
                Error::new(libc::EAGAIN, format!("{origin} is not ready yet: the object has no size so far"))
            } else {
                Error::corrupt(format!("{origin} has only {size} bytes: it is not a region of this library"))
            });
        }
        if object.has_holes() {
            return Err(Error::corrupt(format!(
                "{origin} has no memory behind part of its {size} bytes: it is not a region of this library"
            )));
        }
        let mapping = Mapping::new(object, length)?;
        // SAFETY: the mapping is page-aligned and has at least so many bytes.
        let facts = unsafe { L::read(mapping.base(), size) }.map_err(|e| Error::new(e.errno(), format!("{origin}: {e}")))?;
        Ok((mapping, facts))
    }

    /// Makes a region that is to be linked to its name.
    pub(crate) fn fresh(facts: L::Facts, name: Name, mode: u32, group: Option<u32>) -> Result<Box<Self>> {
        Self::made(Object::unnamed(L::size(&facts), mode, group)?, Origin::Named(name), facts)
    }

    /// Makes a region of a sealed size that has no name, and a descriptor of it to hand over.
    pub(crate) fn sealed(facts: L::Facts, mode: u32, group: Option<u32>) -> Result<(Box<Self>, OwnedFd)> {
        let (object, descriptor) = Object::sealed(L::size(&facts), mode, group)?;
        Ok((Self::made(object, Origin::Unnamed, facts)?, descriptor))
    }

    fn made(object: Object, origin: Origin, facts: L::Facts) -> Result<Box<Self>> {
        let mapping = Mapping::new(&object, L::size(&facts) as usize)?;
        let region = Self::new(object, origin, mapping, facts);
        region.view.write(unix_time());
        Ok(region)
    }

    #[inline(never)]
    fn new(object: Object, origin: Origin, mapping: Mapping, facts: L::Facts) -> Box<Self> {
        // SAFETY: the mapping has the length that the facts say (`read` compares, `fresh` makes it
        // so), and goes with the view.
        let view = unsafe { L::view(mapping.base(), facts) };
        Box::new(Region { view, _mapping: mapping, object, origin, me: Identity::mine() })
    }

    /// Whether the holder of `place` is alive, as far as can be known.
    pub(crate) fn is_alive(&self, place: L::Place) -> bool {
        let holder = self.view.holder(place);
        let incarnation = holder.incarnation.observe(); // S1
        incarnation != 0 && self.is_incarnation_alive(place, incarnation, true)
    }

    /// What cannot be known counts as alive.
    pub(crate) fn is_incarnation_alive(&self, place: L::Place, incarnation: u64, thorough: bool) -> bool {
        self.ask_incarnation(place, incarnation, thorough).unwrap_or(true)
    }

    /// As [`Region::is_incarnation_alive`], where a question that the system does not answer is an
    /// error.
    fn ask_incarnation(&self, place: L::Place, incarnation: u64, thorough: bool) -> Result<bool> {
        let _whole = Uncancelled::new();
        let holder = self.view.holder(place);
        let byte = L::first_byte(place) | (incarnation & ((1 << L::INCARNATION_BITS) - 1));
        Ok(self.ask_lock(byte)? && !holder.identity().is_gone(&self.me, thorough))
    }

    /// Whether another open description holds the lock of a byte. A program may have closed the
    /// region's descriptor; then the name leads to the object still, or what cannot be known counts
    /// as held.
    fn ask_lock(&self, byte: u64) -> Result<bool> {
        if !self.object.ask_lock(byte)? {
            return Ok(false);
        }
        let Origin::Named(name) = self.origin else { return Ok(true) };
        let again = if self.object.is_ours() { None } else { Object::find(&name) };
        match again {
            Some(object) if object.identity() == self.object.identity() => object.ask_lock(byte),
            _ => Ok(true),
        }
    }

    /// Reserves the next incarnation of `place`, which must be held by nobody; to be followed by
    /// [`Region::announce`].
    pub(crate) fn claim(&self, place: L::Place) -> Result<u64> {
        self.claim_or(place, RIVAL_PATIENCE, || self.contended(place))
    }

    /// A rival has claimed `place` and does not enter it. Nobody knows which process that is: the
    /// holder names the one before.
    fn contended(&self, place: L::Place) -> Error {
        Error::new(
            libc::EBUSY,
            format!(
                "another process has begun to take the {} of {} and stands still in it: is one stopped, or in a debugger? Try again, or end it",
                L::describe(place),
                self.origin
            ),
        )
    }

    /// As [`Region::claim`]; if a rival stands still between its claim and its entry for longer
    /// than `patience`, `contended` makes the error.
    pub(crate) fn claim_or(&self, place: L::Place, patience: Duration, contended: impl FnOnce() -> Error) -> Result<u64> {
        let start = Instant::now();
        loop {
            match self.try_claim(place)? {
                Claim::Reserved(incarnation) => return Ok(incarnation),
                Claim::Held => return Err(self.busy(place)),
                // A rival holds the byte for the few system calls that lie between here and
                // `announce`, or until it gives up.
                Claim::Contended if is_patient(start, patience, &self.object) => std::thread::sleep(RIVAL_NAP),
                Claim::Contended => return Err(contended()),
            }
        }
    }

    /// As [`Region::claim`], without patience with rivals.
    pub(crate) fn try_claim(&self, place: L::Place) -> Result<Claim> {
        let holder = self.view.holder(place);
        for _ in 0..CLAIM_LOOKS {
            let last = holder.incarnation.observe(); // S1
            if last >= (1 << L::INCARNATION_BITS) - 1 {
                return Err(Error::corrupt(format!("{}: a holder is corrupt", self.origin)));
            }
            if last != 0 && !self.is_closed(place, last) && self.ask_incarnation(place, last, true)? {
                return Ok(Claim::Held);
            }
            if !self.object.lock(L::first_byte(place) | (last + 1))? {
                return Ok(Claim::Contended);
            }
            if holder.incarnation.observe() == last {
                // S1
                return Ok(Claim::Reserved(last + 1));
            }
            self.object.unlock(L::first_byte(place) | (last + 1));
        }
        Ok(Claim::Contended)
    }

    fn is_closed(&self, place: L::Place, incarnation: u64) -> bool {
        L::CLOSED_IS_FREE && self.view.holder(place).closed.observe() == incarnation // S2
    }

    fn busy(&self, place: L::Place) -> Error {
        let who = self.view.holder(place).identity().described_to(&self.me);
        Error::new(libc::EBUSY, format!("the {} of {} is held by {who}, which is alive", L::describe(place), self.origin))
    }

    /// Whether any process holds a side of a region whose header cannot be trusted: every version
    /// of the layout has its locks beyond the end.
    pub(crate) fn has_any_lock(object: &Object) -> bool {
        object.has_any_lock()
    }

    /// Enters this process as the claimed incarnation, so that a peer that comes finds it.
    pub(crate) fn announce(&self, place: L::Place, incarnation: u64) {
        self.view.holder(place).occupy(incarnation, &self.me);
    }
}
