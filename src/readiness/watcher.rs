//! The threads that listen to doorbells.
//!
//! The kernel looks at the words of a sleep one by one, 0.16 us each, so a thread with a hundred
//! words would be late for one that changes often. The first watcher, the *front*, has few words:
//! those that rang lately. The others have those that are quiet, up to 127 each. Where `futex_waitv`
//! is missing or forbidden (Linux 5.16), each word has a thread.
//!
//! No thread sleeps for longer than a slice before it hears all its words, because a notifier may
//! die after it has changed a word and before it wakes. Then it also looks whether something has
//! come without a bell.

use super::{Client, Polled, Wish};
use crate::error::Result;
use crate::protocol::atomics::Shared32;
use crate::protocol::doorbell::SLICE;
use crate::protocol::mutex::Mutex;
use crate::protocol::readiness::{Flag, Listener};
use crate::sys::Slept;
use crate::sys::futex::{self, Awaited, MOST_AWAITED, Roused};
use crate::sys::thread::start_helper;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::time::{Duration, Instant};

/// The words of a watcher: one of a sleep's is the watcher's own.
const MOST: usize = MOST_AWAITED - 1;
/// While the front has more words than these, those that have not rung for a slice leave it.
const FEW: usize = 8;
/// A quiet word that changes this often within a slice goes to the front.
const BUSY: u32 = 2;
/// After so many changes that no wake-up told of, all words are heard.
const MOST_REPEATS: u32 = 8;
/// The sleep of a thread without words.
const IDLE: Duration = Duration::from_secs(3600);

/// A doorbell's word that a thread listens to.
pub(super) struct Watch {
    client: Client,
    wish: Wish,
    /// Which of the words of [`super::Polled::bells`].
    part: usize,
    listener: Listener,
    /// For the kernel only: the memory may be unmapped at any time outside a visit.
    address: *mut u32,
    /// The value with which to sleep.
    seen: u32,
    /// How often it rang in this slice.
    changes: u32,
}

// SAFETY: the address is only ever handed to the kernel.
unsafe impl Send for Watch {}

/// What a look at a word has found.
#[derive(PartialEq, Eq)]
enum Heard {
    /// The word has another value than before.
    Change,
    /// It has not.
    Silence,
    /// The handle is closed.
    End,
}

/// A handle's descriptor, for what its bell tells.
struct Answer<'p>(&'p dyn Polled, Wish);

impl Flag for Answer<'_> {
    fn raise(&self) {
        self.0.answer(self.1);
    }
    /// Only calls that find nothing do that.
    fn take_down(&self) {}
}

impl Watch {
    /// Everything that changes from now on is heard.
    pub(super) fn new(client: Client, wish: Wish, part: usize, word: &Shared32) -> Watch {
        let address = word.as_ptr();
        Watch { client, wish, part, listener: Listener::new(word), address, seen: word.get(), changes: 0 }
    }

    /// Raises the flag if the bell has rung; if it `looks`, also if something has come without it.
    fn hear(&mut self, woke: bool, looks: bool) -> Heard {
        let Watch { client, wish, part, listener, .. } = self;
        let heard = client.visit(|polled| {
            let word = polled.bells(*wish)[*part]?;
            let heard = listener.hear(word, polled.counts(), woke, &Answer(polled, *wish));
            if looks {
                if polled.may_go_on(*wish) {
                    polled.raise(*wish);
                }
                polled.readiness().note_peer(polled.peer_number());
            }
            Some(heard)
        });
        let Some(Some((now, rang))) = heard else { return Heard::End };
        self.changes += u32::from(rang);
        if std::mem::replace(&mut self.seen, now) == now { Heard::Silence } else { Heard::Change }
    }
}

/// A thread, as others see it.
pub(super) struct Watcher {
    /// Changes when something is in the inbox.
    control: AtomicU32,
    inbox: Mutex<Vec<Watch>>,
    /// Words that it has or was promised.
    count: AtomicUsize,
}

impl Watcher {
    /// Hands it a word, for which it has a place.
    pub(super) fn add(&self, watch: Watch) {
        self.inbox.lock().push(watch);
        self.control.fetch_add(1, Release); // with the load in `run`
        futex::wake(self.control.as_ptr());
    }

    fn reserve(&self, most: usize) -> bool {
        self.count.fetch_update(AcqRel, Relaxed, |count| (count < most).then_some(count + 1)).is_ok()
    }

    fn leave(&self) {
        self.count.fetch_sub(1, AcqRel);
    }
}

/// All watchers of this process. They stay forever; the first is the front.
pub(super) struct Watchers {
    list: Mutex<Vec<&'static Watcher>>,
    /// The most words of one. The front has more than few only while many change often.
    most: usize,
}

impl Watchers {
    pub(super) fn new() -> Watchers {
        let most = if futex::can_wait_for_any() { MOST } else { 1 };
        Watchers { list: Mutex::new(Vec::new()), most }
    }

    /// Reserves places for this many words. Starts threads as needed.
    pub(super) fn reserve(&'static self, count: usize) -> Result<Vec<&'static Watcher>> {
        let mut places: Vec<&Watcher> = Vec::new();
        while places.len() < count {
            match self.place(true) {
                Ok(place) => places.push(place),
                Err(e) => {
                    places.iter().for_each(|place| place.leave());
                    return Err(e);
                }
            }
        }
        Ok(places)
    }

    /// Reserves a place: at the front, if that may be and few are there.
    fn place(&'static self, may_be_front: bool) -> Result<&'static Watcher> {
        let mut list = self.list.lock();
        for (at, watcher) in list.iter().enumerate() {
            let most = if at > 0 { self.most } else { FEW.min(self.most) };
            if (at > 0 || may_be_front) && watcher.reserve(most) {
                return Ok(watcher);
            }
        }
        let made = Watcher { control: AtomicU32::new(0), inbox: Mutex::new(Vec::new()), count: AtomicUsize::new(1) };
        let raw = Box::into_raw(Box::new(made));
        // SAFETY: stays forever, unless its thread cannot be started.
        let made: &'static Watcher = unsafe { &*raw };
        start_helper("villas-shm-poll", move || Listening::new(self, made).run()).inspect_err(|_| {
            // SAFETY: as no thread was started, nothing has it.
            drop(unsafe { Box::from_raw(raw) });
        })?;
        list.push(made);
        Ok(made)
    }

    fn front(&self) -> Option<&'static Watcher> {
        self.list.lock().first().copied()
    }
}

/// A watcher at work.
struct Listening {
    all: &'static Watchers,
    me: &'static Watcher,
    watches: Vec<Watch>,
    /// The last word that changed: probably the next to change.
    last: usize,
    slice_ends: Instant,
}

impl Listening {
    fn new(all: &'static Watchers, me: &'static Watcher) -> Listening {
        Listening { all, me, watches: Vec::new(), last: 0, slice_ends: Instant::now() }
    }

    fn run(mut self) {
        let mut awaited = Vec::with_capacity(MOST_AWAITED);
        let mut repeats = 0u32;
        loop {
            let control = self.me.control.load(Acquire);
            self.watches.append(&mut self.me.inbox.lock());
            let now = Instant::now();
            if now >= self.slice_ends {
                self.slice_ends = now + SLICE;
                self.hear_all(true);
                self.redistribute();
            }
            let limit = if self.watches.is_empty() { IDLE } else { self.slice_ends - now };
            awaited.clear();
            awaited.push(Awaited::new(self.me.control.as_ptr(), control));
            awaited.extend(self.watches.iter().map(|watch| Awaited::new(watch.address, watch.seen)));
            match self.sleep(&awaited, limit) {
                Roused::By(0) | Roused::Late => {}
                Roused::By(index) => {
                    self.last = index - 1;
                    self.hear(true);
                }
                Roused::Changed => {
                    // A word that changes all the time must not hide the others.
                    repeats += 1;
                    if self.hear(false) != Heard::Change || repeats % MOST_REPEATS == 0 {
                        self.hear_all(false);
                    }
                }
            }
        }
    }

    /// As `futex::wait_any`, also where the kernel does not have it.
    fn sleep(&self, awaited: &[Awaited], limit: Duration) -> Roused {
        if self.all.most > 1 {
            return futex::wait_any(awaited, limit);
        }
        let (index, slept) = match self.watches.first() {
            Some(watch) => (1, futex::wait(watch.address, watch.seen, limit)),
            None => (0, futex::wait(self.me.control.as_ptr(), awaited[0].seen(), limit)),
        };
        if slept == Slept::Woken { Roused::By(index) } else { Roused::Late }
    }

    /// Hears the last word that changed.
    fn hear(&mut self, woke: bool) -> Heard {
        let at = self.last;
        let Some(watch) = self.watches.get_mut(at) else { return Heard::Silence };
        let heard = watch.hear(woke, false);
        if heard == Heard::End {
            self.remove(at);
        }
        heard
    }

    fn hear_all(&mut self, looks: bool) {
        for at in (0..self.watches.len()).rev() {
            match self.watches[at].hear(false, looks) {
                Heard::Change => self.last = at,
                Heard::Silence => {}
                Heard::End => drop(self.remove(at)),
            }
        }
    }

    fn remove(&mut self, at: usize) -> Watch {
        self.me.leave();
        self.watches.swap_remove(at)
    }

    /// Hands busy words to the front, and quiet ones from there to others.
    fn redistribute(&mut self) {
        let Some(front) = self.all.front() else { return };
        let is_front = std::ptr::eq(front, self.me);
        for at in (0..self.watches.len()).rev() {
            let changes = std::mem::take(&mut self.watches[at].changes);
            let to = if is_front {
                (changes == 0 && self.watches.len() > FEW).then(|| self.all.place(false).ok()).flatten()
            } else {
                (changes >= BUSY && front.reserve(self.all.most)).then_some(front)
            };
            if let Some(to) = to {
                to.add(self.remove(at));
            }
        }
    }
}
