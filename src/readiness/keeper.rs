//! The thread that looks after what no doorbell tells of: deaths of peers, and flags that must be
//! raised after a time.
//!
//! It holds one pidfd for each peer process, however many channels it shares with this one, and
//! sleeps in one `poll`, for a slice at most, because the program may close the numbers. A probe of each peer once a second tells what a pidfd cannot: a pid in use
//! by another process, a name that is gone, a side that was taken over. A peer without a pidfd
//! (another pid namespace, a VILLASnode, a kernel without them) is probed once in a slice.

use super::{Client, Helpers, PeerProcess, Polled, Wish};
use crate::error::Result;
use crate::protocol::doorbell::SLICE;
use crate::protocol::mutex::Mutex;
use crate::sys::futex;
use crate::sys::own_fd::{EventFd, PidFd, poll};
use crate::sys::thread::start_helper;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicPtr, AtomicU32};
use std::time::{Duration, Instant};

/// Between two probes of a peer that has a pidfd.
const LONG: Duration = Duration::from_secs(1);
/// The sleep of a thread without handles.
const IDLE: Duration = Duration::from_secs(3600);

/// The thread, as others see it.
pub(super) struct Keeper {
    inbox: Mutex<Vec<Client>>,
    is_started: Mutex<bool>,
    /// Raised when the thread is to look at all handles. Never freed, as others may be raising it
    /// while the thread makes another.
    control: AtomicPtr<EventFd>,
    /// On this the thread sleeps while there is no handle: a program may have closed `control`.
    calls: AtomicU32,
}

impl Keeper {
    pub(super) fn new() -> Keeper {
        Keeper {
            inbox: Mutex::new(Vec::new()),
            is_started: Mutex::new(false),
            control: AtomicPtr::default(),
            calls: AtomicU32::new(0),
        }
    }

    /// Starts the thread, unless it runs.
    pub(super) fn start(&self, helpers: &'static Helpers) -> Result<()> {
        let mut is_started = self.is_started.lock();
        if !*is_started {
            let control = EventFd::new()?;
            start_helper("villas-shm-peer", move || Keeping { helpers, wards: Vec::new(), peers: BTreeMap::new() }.run())?;
            self.control.store(Box::into_raw(Box::new(control)), Release);
            *is_started = true;
        }
        Ok(())
    }

    pub(super) fn add(&self, client: Client) {
        self.inbox.lock().push(client);
        self.rouse();
    }

    /// What the caller has stored is seen by the look that follows: the thread loads `calls` (SeqCst)
    /// before it looks, and sleeps only while the number stays, or its descriptor is not raised.
    pub(super) fn rouse(&self) {
        self.calls.fetch_add(1, SeqCst);
        futex::wake(self.calls.as_ptr());
        if let Some(control) = self.control() {
            control.raise();
        }
    }

    /// Acquire, with the release of the store: a whole `EventFd`.
    fn control(&self) -> Option<&EventFd> {
        // SAFETY: null, or never freed.
        unsafe { self.control.load(Acquire).as_ref() }.filter(|control| control.is_ours())
    }

    /// The number to poll, not raised. -1: there is none; the thread looks once in a slice anyhow.
    fn renewed(&self) -> i32 {
        if self.control().is_none() {
            if let Ok(control) = EventFd::new() {
                self.control.store(Box::into_raw(Box::new(control)), Release);
            }
        }
        self.control().map_or(-1, |control| {
            control.lower();
            control.number()
        })
    }
}

/// A handle that has descriptors.
struct Ward {
    client: Client,
    peer: PeerProcess,
    /// The peer's number at the last probe.
    number: u64,
    next_probe: Instant,
}

/// The keeper at work.
struct Keeping {
    helpers: &'static Helpers,
    wards: Vec<Ward>,
    /// The processes of the peers.
    peers: BTreeMap<u32, PidFd>,
}

impl Keeping {
    fn run(mut self) {
        let keeper = &self.helpers.keeper;
        drop(keeper.is_started.lock()); // until its maker has given it its descriptor
        let mut answered = keeper.calls.load(SeqCst).wrapping_sub(1);
        let mut next_look = Instant::now();
        loop {
            // Lowered before the look at all handles: what comes after it raises it again.
            let control = keeper.renewed();
            let (calls, now) = (keeper.calls.load(SeqCst), Instant::now());
            if calls != answered || now >= next_look {
                answered = calls;
                next_look = self.look(now);
            }
            if self.wards.is_empty() {
                self.peers.clear();
                futex::wait(keeper.calls.as_ptr(), calls, IDLE);
                continue;
            }
            let numbers: Vec<i32> = std::iter::once(control).chain(self.peers.values().map(PidFd::number)).collect();
            let mut dead = Vec::new();
            poll(&numbers, SLICE.min(next_look.saturating_duration_since(now)), |ready| {
                dead.extend(self.peers.iter().find(|(_, fd)| fd.number() == ready).map(|(pid, _)| *pid));
            });
            for pid in dead {
                // Its number may also be closed: then the probe finds it alive, and opens another.
                self.peers.remove(&pid);
                let ended = self.wards.iter_mut().filter(|ward| ward.peer == PeerProcess::Process(pid));
                ended.for_each(|ward| ward.next_probe = now);
                next_look = now;
            }
        }
    }

    /// Looks at all handles, and returns when to look again.
    fn look(&mut self, now: Instant) -> Instant {
        let fresh = std::mem::take(&mut *self.helpers.keeper.inbox.lock());
        let ward = |client| Ward { client, peer: PeerProcess::Unneeded, number: 0, next_probe: now };
        self.wards.extend(fresh.into_iter().map(ward));
        let due = self.raise_due().map(|due| now + due);
        if self.probe_due(now) {
            self.open_peers();
        }
        self.wards.iter().map(|ward| ward.next_probe).chain(due).min().unwrap_or(now + LONG)
    }

    /// Raises the flags whose time has come; forgets closed handles. Returns the time until the
    /// next.
    fn raise_due(&mut self) -> Option<Duration> {
        let now = self.helpers.micros();
        let mut next = None;
        self.wards.retain(|ward| {
            let seen = ward.client.visit(|polled| [Wish::Read, Wish::Write].map(|wish| raise_if_due(polled, wish, now)));
            seen.iter().flatten().flatten().for_each(|due| next = Some(next.unwrap_or(*due).min(*due)));
            seen.is_some()
        });
        next.map(|due| Duration::from_micros(due.saturating_sub(now)))
    }

    /// Probes the peers of handles that are due. Returns whether there were any.
    fn probe_due(&mut self, now: Instant) -> bool {
        let mut any = false;
        for ward in &mut self.wards {
            let (last, is_due) = (ward.number, now >= ward.next_probe);
            let probed = ward.client.visit(|polled| {
                let number = polled.peer_number();
                (is_due || number != last).then(|| {
                    polled.readiness().kept_peer.store(number, Relaxed);
                    (number, polled.tend())
                })
            });
            let Some(Some((number, peer))) = probed else { continue };
            (ward.number, ward.peer) = (number, peer);
            ward.next_probe = self.helpers.next(if peer == PeerProcess::Unknown { SLICE } else { LONG });
            any = true;
        }
        any
    }

    /// Opens a pidfd for each peer that has none, and closes the others'.
    fn open_peers(&mut self) {
        let Keeping { wards, peers, helpers } = self;
        peers.retain(|pid, _| wards.iter().any(|ward| ward.peer == PeerProcess::Process(*pid)));
        for ward in wards {
            let PeerProcess::Process(pid) = ward.peer else { continue };
            if peers.contains_key(&pid) {
                continue;
            }
            // It may have ended before this, and its pid may be another's: the next probe tells.
            match PidFd::open(pid) {
                Ok(fd) => drop(peers.insert(pid, fd)),
                Err(_) => ward.peer = PeerProcess::Unknown,
            }
            ward.next_probe = helpers.next(SLICE);
        }
    }
}

/// Raises the flag if its time has come and there is a reason; returns the time of the next look.
fn raise_if_due(polled: &dyn Polled, wish: Wish, now: u64) -> Option<u64> {
    let descriptor = polled.readiness().get(wish)?;
    let due = descriptor.due.load(Acquire);
    if due == 0 || due > now {
        return (due != 0).then_some(due);
    }
    let again = descriptor.again.load(Relaxed);
    let is_over = again == 0 || polled.may_go_on(wish);
    let next = if is_over { 0 } else { now + again };
    // Another rest may have set a new time since.
    if descriptor.due.compare_exchange(due, next, Relaxed, Relaxed).is_ok() && is_over {
        polled.raise(wish);
    }
    (!is_over).then_some(next)
}
