//! A mapped region of any layout, and the processes that hold a place in it. A channel has two
//! places, its sides; a ring has one for each participant.
//!
//! ## Who is alive
//!
//! Each process that holds a place is an *incarnation* of it, with a number. It locks the byte of
//! that number (open-file-description lock, far beyond the region's end). The kernel unlocks the
//! byte when the last descriptor and the last mapping of the description are gone, however the
//! process ended. A forked child inherits neither (`sys::fork`, `sys::mapping`), but a child made
//! behind the C library's back may keep the byte locked. Therefore the next incarnation takes the
//! next byte, and a process that the holder names and that is certainly gone counts as dead despite
//! the lock. If nothing can be known, a holder counts as alive.
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

/// How long to retry taking a place while a rival takes it, because the rival may give up. Zero for
/// the fuzzer, whose rivals never give up.
pub(crate) const RIVAL_PATIENCE: Duration = Duration::from_millis(usual_or(50, 0) as u64);

/// How long to retry while a rival removes the region. That takes microseconds unless the rival
/// loses its processor or is stopped.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(1);
/// Time between two attempts.
pub(crate) const RIVAL_NAP: Duration = Duration::from_micros(200);

/// Whether to retry attempts that began at `start`, with this patience (zero: never) with a rival
/// that holds a lock on `object`.
pub(crate) fn is_patient(start: Instant, patience: Duration, object: &Object) -> bool {
    let waited = start.elapsed();
    waited < patience || waited < REMOVAL_PATIENCE && !patience.is_zero() && object.is_being_removed()
}

/// How often the holder may change while its next incarnation is being locked: once for each faster
/// rival. A process that changes it endlessly breaks the rules, and must not keep others from their
/// deadlines.
const CLAIM_LOOKS: u32 = 8;

/// The error of a process whose place another process holds by now.
#[cold]
pub(crate) fn taken_over() -> Error {
    Error::new(libc::ESTALE, "this process was taken for dead (its locks were gone) and its place was taken over: open again")
}

/// The error of an open that would create a missing region. An object without a size will not
/// become a region, because regions appear complete.
pub(crate) fn without_size(name: &Name) -> Error {
    Error::corrupt(format!(
        "\"{name}\" is an object without a size: another program is making it, or has left it; remove it or take another name"
    ))
}

/// How this process found a region. The name is stored inline, not on the heap, because a signal
/// handler may drop it.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Named(Name),
    /// By a descriptor: it has no name.
    Unnamed,
}

impl Origin {
    /// Whether the name leads to `object`. Always true without a name.
    pub(crate) fn leads_to(&self, object: &Object) -> Result<bool> {
        match self {
            Origin::Named(name) => object.is_named(name),
            Origin::Unnamed => Ok(true),
        }
    }

    /// Whether no process can find the region by its name any more. False without a name: such a
    /// region is handed over by descriptor.
    pub(crate) fn is_lost(&self, object: &Object) -> bool {
        matches!(self, Origin::Named(name) if object.is_unlinked() || object.is_replaced(name))
    }

    /// Whether the name leads to another object.
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
    /// The place is reserved, as this incarnation.
    Reserved(u64),
    /// A live process holds the place.
    Held,
    /// Another process is about to take the place.
    Contended,
}

/// A mapped region, before this process holds a place in it. Field order: the mapping is dropped
/// before the object, and with that the locks.
///
/// An open keeps it in a box, because its half kilobyte would otherwise lie on the stack of each
/// function on the way.
pub(crate) struct Region<L: Layout> {
    pub(crate) view: L,
    _mapping: Mapping,
    pub(crate) object: Object,
    pub(crate) origin: Origin,
    me: Identity,
}

impl<L: Layout> Region<L> {
    /// Maps and checks an existing region.
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
        // SAFETY: the mapping is page-aligned and has at least this many bytes.
        let facts = unsafe { L::read(mapping.base(), size) }.map_err(|e| Error::new(e.errno(), format!("{origin}: {e}")))?;
        Ok((mapping, facts))
    }

    /// Makes a region, to be linked to its name.
    pub(crate) fn fresh(facts: L::Facts, name: Name, mode: u32, group: Option<u32>) -> Result<Box<Self>> {
        Self::made(Object::unnamed(L::size(&facts), mode, group)?, Origin::Named(name), facts)
    }

    /// Makes a region of sealed size without a name, and a descriptor of it to hand over.
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
        // SAFETY: the mapping has the length in the facts (`read` compares it, `fresh` makes it
        // so), and is dropped with the view.
        let view = unsafe { L::view(mapping.base(), facts) };
        Box::new(Region { view, _mapping: mapping, object, origin, me: Identity::mine() })
    }

    /// Whether the holder of `place` is alive, as far as can be known.
    pub(crate) fn is_alive(&self, place: L::Place) -> bool {
        let holder = self.view.holder(place);
        let incarnation = holder.incarnation.observe(); // S1
        incarnation != 0 && self.is_incarnation_alive(place, incarnation, true)
    }

    /// Whether an incarnation is alive. If that cannot be known, it counts as alive.
    pub(crate) fn is_incarnation_alive(&self, place: L::Place, incarnation: u64, thorough: bool) -> bool {
        self.ask_incarnation(place, incarnation, thorough).unwrap_or(true)
    }

    /// The pid of the last holder of `place`, if it means to this process what it means to that one.
    pub(crate) fn process(&self, place: L::Place) -> Option<u32> {
        self.view.holder(place).identity().pid_for(&self.me)
    }

    /// As [`Region::is_incarnation_alive`], but an error if the system does not answer.
    fn ask_incarnation(&self, place: L::Place, incarnation: u64, thorough: bool) -> Result<bool> {
        let _whole = Uncancelled::new();
        let holder = self.view.holder(place);
        let byte = L::first_byte(place) | (incarnation & ((1 << L::INCARNATION_BITS) - 1));
        Ok(self.ask_lock(byte, thorough)? && !holder.identity().is_gone(&self.me, thorough))
    }

    /// Whether another open description holds the lock of a byte. If a `thorough` check finds that
    /// the program has closed the region's descriptor, the object is opened again by its name. If
    /// that fails, the byte counts as locked.
    fn ask_lock(&self, byte: u64, thorough: bool) -> Result<bool> {
        let is_locked = self.object.ask_lock(byte)?;
        if !is_locked || !thorough {
            return Ok(is_locked);
        }
        let Origin::Named(name) = self.origin else { return Ok(true) };
        let again = if self.object.is_ours() { None } else { Object::find(&name) };
        match again {
            Some(object) if object.identity() == self.object.identity() => object.ask_lock(byte),
            _ => Ok(true),
        }
    }

    /// Reserves the next incarnation of `place`, which no process may hold. [`Region::announce`]
    /// must follow.
    pub(crate) fn claim(&self, place: L::Place) -> Result<u64> {
        self.claim_or(place, RIVAL_PATIENCE, || self.contended(place))
    }

    /// The error for a rival that has claimed `place` without entering it. The rival is unknown:
    /// the holder names its predecessor.
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

    /// As [`Region::claim`]. If a rival stays between its claim and its entry for longer than
    /// `patience`, `contended` makes the error.
    pub(crate) fn claim_or(&self, place: L::Place, patience: Duration, contended: impl FnOnce() -> Error) -> Result<u64> {
        let start = Instant::now();
        loop {
            match self.try_claim(place)? {
                Claim::Reserved(incarnation) => return Ok(incarnation),
                Claim::Held => return Err(self.busy(place)),
                // A rival holds the byte for the few system calls between this claim and
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

    /// Whether any process holds a place in a region whose header cannot be trusted. All layout
    /// versions have their locks beyond the end.
    pub(crate) fn has_any_lock(object: &Object) -> bool {
        object.has_any_lock()
    }

    /// Enters this process as the claimed incarnation, so that a peer finds it.
    pub(crate) fn announce(&self, place: L::Place, incarnation: u64) {
        self.view.holder(place).occupy(incarnation, &self.me);
    }
}
