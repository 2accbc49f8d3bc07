//! Following what passes through a channel or ring, without taking part.
//!
//! A tap has the object open, read-only and without a lock, so nobody takes it for a peer. It copies
//! by `pread`: an object that is cut short cannot end its process, as an access to a mapping would.
//! `protocol::tap` and `protocol::ring_tap` find out which copies are whole.

pub(super) mod channel;
pub(super) mod ring;

use super::entry::{Kind, Passed, Sender};
use super::look;
use crate::error::{Error, Result};
use crate::layout;
use crate::layout::signals::Signal;
use crate::protocol::atomics::heavy_fence;
use crate::sys::object::{Name, Object};
use channel::ChannelTap;
use ring::RingTap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The least and the most time between two looks. In a history of 64, the most is enough for 60 000
/// samples per second.
const PAUSE: [Duration; 2] = [Duration::from_micros(500), Duration::from_millis(1)];

/// How often a tap that sees nothing asks what has become of the object.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// A look at the samples of a channel, or the messages of a ring, as they pass.
///
/// It takes no side, stores nothing, and nobody waits for it. So it can miss what is overwritten
/// before it looks: look often, and make the region with a [`history`](crate::Config::history). What
/// it misses it counts. In a ring without other means it sees whole messages only while they wait.
///
/// ```no_run
/// use villas_shm::inspect::Tap;
/// # fn main() -> villas_shm::Result<()> {
/// let mut tap = Tap::open("grid")?;
/// let mut passed = Vec::new();
/// loop {
///     tap.follow(&mut passed, 256)?;
///     passed.drain(..).for_each(|one| println!("{:?} {}: {:?}", one.from, one.position, one.what));
///     std::thread::sleep(tap.pause());
/// }
/// # }
/// ```
pub struct Tap {
    name: Name,
    object: Arc<Object>,
    what: TapOf,
    missed: u64,
    asked: Instant,
    /// How long the last look took.
    took: Duration,
}

enum TapOf {
    Channel(ChannelTap<Arc<Object>>),
    Ring(RingTap<Arc<Object>>),
}

impl Tap {
    /// Begins behind what has been sent so far.
    ///
    /// # Errors
    /// `EINVAL` name; `ENOENT` no such object; `ENOTSUP` it has nothing that a tap can follow, or the
    /// kernel has no `membarrier`; `EBADMSG`, `EPROTO` as when it is opened; `EACCES` as the system
    /// says.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Tap> {
        let name = Name::new(name)?;
        let failed = |e: Error| Error::new(e.errno(), format!("\"{name}\": {e}"));
        let object = Arc::new(look::open(&name)?);
        if !heavy_fence() {
            return Err(Error::new(
                libc::ENOTSUP,
                "the kernel refuses membarrier(2), without which no copy of what others write is known to be whole",
            ));
        }
        let what = if object.begins_with(layout::channel::MAGIC) {
            TapOf::Channel(ChannelTap::new(object.clone()).map_err(failed)?)
        } else if object.begins_with(layout::ring::MAGIC) {
            TapOf::Ring(RingTap::new(object.clone()).map_err(failed)?)
        } else {
            return Err(failed(no_tap(&name)));
        };
        Ok(Tap { name, object, what, missed: 0, asked: Instant::now(), took: Duration::ZERO })
    }

    /// Appends to `into` what has passed since the last call, of each direction at most `most`;
    /// returns how many. Never waits: call it again after [`Tap::pause`], or sooner than `history`
    /// samples pass.
    ///
    /// # Errors
    /// `ESTALE` the name leads to another region by now, or was removed and nobody has the region any
    /// more: nothing will pass. `EBADMSG` it is corrupt, or was cut short.
    pub fn follow(&mut self, into: &mut Vec<Passed>, most: usize) -> Result<usize> {
        let most = most.min(u32::MAX as usize) as u32;
        let (before, began) = (into.len(), Instant::now());
        let missed = match &mut self.what {
            TapOf::Channel(tap) => tap.follow(into, most),
            TapOf::Ring(tap) => tap.follow(into, most),
        };
        let missed = missed.map_err(|e| Error::new(e.errno(), format!("\"{}\": {e}", self.name)))?;
        self.missed += missed;
        self.took = began.elapsed();
        if into.len() == before && missed == 0 && self.asked.elapsed() >= ASK_EVERY {
            self.asked = Instant::now();
            self.check_object()?;
        }
        Ok(into.len() - before)
    }

    fn check_object(&self) -> Result<()> {
        let name = &self.name;
        if self.object.is_replaced(name) {
            return Err(Error::new(libc::ESTALE, format!("\"{name}\" is another region by now: open again")));
        }
        if self.object.is_unlinked() && !self.object.has_any_lock() {
            return Err(Error::new(libc::ESTALE, format!("\"{name}\" was removed, and nobody has the region any more")));
        }
        Ok(())
    }

    /// How long to wait before the next look: 500 µs, or up to 1 ms if the last look took long, so that
    /// the tap of fast traffic takes about a tenth of a processor.
    pub fn pause(&self) -> Duration {
        (9 * self.took).clamp(PAUSE[0], PAUSE[1])
    }

    /// How many samples or messages have passed unseen since it was opened. Of a ring, that includes
    /// messages that their producers gave up, if they are overwritten.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// What it follows.
    pub fn kind(&self) -> Kind {
        match self.what {
            TapOf::Channel(_) => Kind::Channel,
            TapOf::Ring(_) => Kind::Ring,
        }
    }

    /// What the values of this sender's samples are, if the region says.
    pub fn signals(&self, from: Sender) -> &[Signal] {
        match (&self.what, from) {
            (TapOf::Channel(tap), Sender::Node) => &tap.signals[0],
            (TapOf::Channel(tap), Sender::Program) => &tap.signals[1],
            _ => &[],
        }
    }
}

/// Why there is no tap of an object that begins with none of this library's numbers.
fn no_tap(name: &Name) -> Error {
    let is_wire = look::look(name.as_os_str(), 0).is_ok_and(|entry| entry.kind == Kind::Wire);
    Error::new(
        libc::ENOTSUP,
        if is_wire {
            "it is in VILLASnode's layout, where nothing tells whether a copy of a sample is whole; `show` and `top` show the \
             samples that wait in it"
        } else {
            "it is no channel and no ring"
        },
    )
}
