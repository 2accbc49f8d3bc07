//! Attempts to move messages, each in one turn: done, or what to wait for.

use super::buffers::{ToFill, ToPush};
use super::core::{Core, Out};
use super::liveness::{RingHint, RingLiveness};
use crate::error::{Error, Result};
use crate::layout::ring::{RingBell, RingView};
use crate::protocol::mpmc::{self, Obstacle, Ticket};
use crate::protocol::ring_words::{RingWords, Role};
use crate::protocol::run_word::MAX_RUN;
use crate::protocol::spsc::{self, AHEAD};
use std::time::{Duration, Instant};

/// Done, or what to wait for.
pub(super) type Tried<T> = std::result::Result<T, RingHint>;

#[cold]
fn wrong_role(role: Role) -> Error {
    Error::invalid(match role {
        Role::Producer => "this end of the ring is a producer's: it cannot take messages",
        Role::Consumer => "this end of the ring is a consumer's: it cannot give messages",
    })
}

#[cold]
fn is_out(what: &'static str) -> Error {
    Error::invalid(what)
}

const RESERVED: &str = "a slot of this SPSC ring is reserved: commit or abort it first";
const PEEKED: &str = "a message of this SPSC ring is peeked at: release it first";

// The sole ends work on copies of their state and of the view, which the compiler keeps in registers:
// for all that it knows, a message could be written over the originals.

/// Publishes one message of the one producer, for which there is room.
#[inline(always)]
pub(super) fn put_next(view: &RingView, ring: &mut spsc::Producer, message: ToPush) {
    let (view, mut next) = (*view, *ring);
    message.write(0, view.message(next.index()), view.length());
    next.publish(&view, 1);
    if next.known_room() > AHEAD {
        view.expect(next.index() + AHEAD, true);
    }
    *ring = next;
}

/// Publishes a batch of the one producer, for which there is room.
#[inline(always)]
fn put_run(view: &RingView, ring: &mut spsc::Producer, count: u32, messages: ToPush) {
    let (view, mut next) = (*view, *ring);
    let (mut at, room) = (0, next.known_room());
    for slots in next.run(count) {
        for index in slots {
            if at + AHEAD < room {
                view.expect(index + AHEAD, true);
            }
            messages.write(at as usize, view.message(index), view.length());
            next.stage(&view, index, at);
            at += 1;
        }
    }
    next.publish(&view, count);
    *ring = next;
}

/// Takes one message of the one consumer, which is there.
#[inline(always)]
pub(super) fn get_next(view: &RingView, ring: &mut spsc::Consumer, room: ToFill) {
    let (view, mut next) = (*view, *ring);
    room.read(0, view.message(next.index()), view.length());
    next.release(&view, 1);
    if next.known_messages(&view, false) > AHEAD {
        view.expect(next.index() + AHEAD, false);
    }
    *ring = next;
}

/// Takes up to `most` messages of the one consumer, as many as are there.
#[inline(always)]
fn get_run(view: &RingView, ring: &mut spsc::Consumer, most: u32, room: ToFill) -> u32 {
    let (view, mut next) = (*view, *ring);
    // First, although nothing may be there: streams in batches were measured to be faster so.
    let (mut count, messages) = (0, next.known_messages(&view, true));
    'run: for slots in next.run(most) {
        for index in slots {
            if !next.is_there(&view, index, count) {
                break 'run;
            }
            if count + AHEAD < messages {
                view.expect(index + AHEAD, false);
            }
            room.read(count as usize, view.message(index), view.length());
            count += 1;
        }
    }
    if count > 0 {
        next.release(&view, count);
        *ring = next;
    }
    count
}

/// Publishes message `at`. Rings no bell.
#[inline(always)]
fn put(liveness: &RingLiveness, core: &mut Core, messages: ToPush, at: usize) -> Result<Tried<()>> {
    let view = liveness.view();
    match core {
        Core::Producer(ring, false) => {
            if ring.room(view, 1)? == 0 {
                return Ok(Err(RingHint::Head(ring.head())));
            }
            put_next(view, ring, messages);
        }
        Core::Shared { role: Role::Producer, .. } => match mpmc::claim(view, liveness.place, 1)? {
            Ok(ticket) => {
                messages.write(at, view.message(ticket.index), view.length());
                ticket.publish(view)?;
            }
            Err(obstacle) => return Ok(Err(RingHint::Slot(obstacle))),
        },
        Core::Producer(..) => return Err(is_out(RESERVED)),
        Core::Consumer(..) | Core::Shared { .. } => return Err(wrong_role(Role::Consumer)),
    }
    Ok(Ok(()))
}

/// Takes a message, to place `at`. Rings no bell.
#[inline(always)]
fn get(liveness: &RingLiveness, core: &mut Core, room: ToFill, at: usize) -> Result<Tried<()>> {
    let view = liveness.view();
    match core {
        Core::Consumer(ring, false) => {
            if !ring.comes(view, 1) {
                return Ok(Err(ring.hint()));
            }
            get_next(view, ring, room);
        }
        Core::Shared { role: Role::Consumer, .. } => match mpmc::take(view, liveness.place, 1)? {
            Ok(ticket) => {
                room.read(at, view.message(ticket.index), view.length());
                ticket.release(view)?;
            }
            Err(obstacle) => return Ok(Err(RingHint::Slot(obstacle))),
        },
        Core::Consumer(..) => return Err(is_out(PEEKED)),
        Core::Producer(..) | Core::Shared { .. } => return Err(wrong_role(Role::Producer)),
    }
    Ok(Ok(()))
}

/// Publishes one message and notifies.
#[inline(always)]
pub(super) fn put_and_notify(liveness: &RingLiveness, core: &mut Core, message: ToPush) -> Result<Tried<()>> {
    let tried = put(liveness, core, message, 0)?;
    if tried.is_ok() {
        liveness.notify(RingBell::Data);
    }
    Ok(tried)
}

/// Takes one message and notifies.
#[inline(always)]
pub(super) fn get_and_notify(liveness: &RingLiveness, core: &mut Core, room: ToFill) -> Result<Tried<()>> {
    let tried = get(liveness, core, room, 0)?;
    if tried.is_ok() {
        liveness.notify(RingBell::Room);
    }
    Ok(tried)
}

/// Publishes up to `most` messages and notifies; with one publication, or one for each run where
/// several may be.
#[inline(always)]
pub(super) fn put_many(liveness: &RingLiveness, core: &mut Core, most: usize, messages: ToPush) -> Result<Tried<usize>> {
    let view = liveness.view();
    let count = match core {
        Core::Producer(ring, false) => {
            let wanted = most.min(view.capacity() as usize) as u32;
            let count = wanted.min(ring.room(view, wanted)?);
            if count == 0 {
                return Ok(Err(RingHint::Head(ring.head())));
            }
            put_run(view, ring, count, messages);
            count as usize
        }
        Core::Shared { role: Role::Producer, .. } => match in_runs(most, |at| put_shared_run(liveness, at, most - at, messages))?
        {
            Ok(count) => count,
            Err(hint) => return Ok(Err(hint)),
        },
        _ => return Ok(put(liveness, core, messages, 0)?.map(|()| 0)),
    };
    liveness.notify(RingBell::Data);
    Ok(Ok(count))
}

/// Takes up to `most` messages and notifies.
#[inline(always)]
pub(super) fn get_many(liveness: &RingLiveness, core: &mut Core, most: usize, room: ToFill) -> Result<Tried<usize>> {
    let view = liveness.view();
    let count = match core {
        Core::Consumer(ring, false) => {
            let most = most.min(view.capacity() as usize) as u32;
            let count = get_run(view, ring, most, room);
            if count == 0 {
                return Ok(Err(ring.hint()));
            }
            count as usize
        }
        Core::Shared { role: Role::Consumer, .. } => match in_runs(most, |at| get_shared_run(liveness, at, most - at, room))? {
            Ok(count) => count,
            Err(hint) => return Ok(Err(hint)),
        },
        _ => return Ok(get(liveness, core, room, 0)?.map(|()| 0)),
    };
    liveness.notify(RingBell::Room);
    Ok(Ok(count))
}

/// Where several may be: claims a run of up to `most` slots and publishes messages in it, the first
/// of which is message `at` of the batch; how many.
#[inline(always)]
fn put_shared_run(liveness: &RingLiveness, at: usize, most: usize, messages: ToPush) -> Result<Tried<usize>> {
    let view = liveness.view();
    let ticket = match mpmc::claim(view, liveness.place, as_run(most))? {
        Ok(ticket) => ticket,
        Err(obstacle) => return Ok(Err(RingHint::Slot(obstacle))),
    };
    let count = each_slot(view, &ticket, ticket.count() > LONG_RUN, |nth, index| {
        messages.write(at + nth, view.message(index), view.length())
    });
    ticket.publish(view)?;
    Ok(Ok(count))
}

/// Where several may be: takes up to `most` messages, which are one run; how many.
#[inline(always)]
fn get_shared_run(liveness: &RingLiveness, at: usize, most: usize, room: ToFill) -> Result<Tried<usize>> {
    let view = liveness.view();
    let ticket = match mpmc::take(view, liveness.place, as_run(most))? {
        Ok(ticket) => ticket,
        Err(obstacle) => return Ok(Err(RingHint::Slot(obstacle))),
    };
    let count = each_slot(view, &ticket, false, |nth, index| room.read(at + nth, view.message(index), view.length()));
    ticket.release(view)?;
    Ok(Ok(count))
}

fn as_run(most: usize) -> u32 {
    most.min(MAX_RUN as usize) as u32
}

/// Fetching ahead pays in longer runs: a third more messages of 96 bytes in batches of 64, but a
/// third fewer in batches of 16. It does not pay for a consumer.
const LONG_RUN: u32 = 4 * AHEAD;

/// Passes the slots of a run to `work`, with their numbers in it; gives how many there are.
/// `fetches`: it is about to write them.
#[inline(always)]
fn each_slot(view: &RingView, ticket: &Ticket, fetches: bool, mut work: impl FnMut(usize, u32)) -> usize {
    let (count, capacity) = (ticket.count(), view.capacity());
    let after = |index: u32, more: u32| if index + more < capacity { index + more } else { index + more - capacity };
    let mut index = ticket.index;
    for nth in 0..count {
        if fetches && nth + AHEAD < count {
            view.expect(after(index, AHEAD), true);
        }
        work(nth as usize, index);
        index = after(index, 1);
    }
    count as usize
}

/// Moves run after run, each beginning with the message whose number it is given, until `most` are
/// moved or one cannot be; how many messages, if any.
#[inline(always)]
fn in_runs(most: usize, mut one: impl FnMut(usize) -> Result<Tried<usize>>) -> Result<Tried<usize>> {
    let mut at = 0;
    while at < most {
        match one(at) {
            Ok(Ok(count)) => at += count,
            Ok(Err(hint)) if at == 0 => return Ok(Err(hint)),
            Err(e) if at == 0 => return Err(e),
            _ => break,
        }
    }
    Ok(Ok(at))
}

/// Reserves a slot, whose message is where the result says.
#[inline(always)]
pub(super) fn reserve(liveness: &RingLiveness, core: &mut Core) -> Result<Tried<*mut u8>> {
    let view = liveness.view();
    let index = match core {
        Core::Producer(ring, is_reserved @ false) => {
            if ring.room(view, 1)? == 0 {
                return Ok(Err(RingHint::Head(ring.head())));
            }
            *is_reserved = true;
            ring.index()
        }
        Core::Shared { role: Role::Producer, out } => match mpmc::claim(view, liveness.place, 1)? {
            Ok(ticket) => keep(liveness, out, ticket)?,
            Err(obstacle) => return Ok(Err(RingHint::Slot(obstacle))),
        },
        Core::Producer(..) => return Err(is_out(RESERVED)),
        Core::Consumer(..) | Core::Shared { .. } => return Err(wrong_role(Role::Consumer)),
    };
    Ok(Ok(view.message(index)))
}

/// Holds the oldest message, which is where the result says.
#[inline(always)]
pub(super) fn peek(liveness: &RingLiveness, core: &mut Core) -> Result<Tried<*mut u8>> {
    let view = liveness.view();
    let index = match core {
        Core::Consumer(ring, is_peeked @ false) => {
            if !ring.comes(view, 1) {
                return Ok(Err(ring.hint()));
            }
            *is_peeked = true;
            ring.index()
        }
        Core::Shared { role: Role::Consumer, out } => match mpmc::take(view, liveness.place, 1)? {
            Ok(ticket) => keep(liveness, out, ticket)?,
            Err(obstacle) => return Ok(Err(RingHint::Slot(obstacle))),
        },
        Core::Consumer(..) => return Err(is_out(PEEKED)),
        Core::Producer(..) | Core::Shared { .. } => return Err(wrong_role(Role::Producer)),
    };
    Ok(Ok(view.message(index)))
}

/// Keeps the claim on a slot until that is given back; which slot.
#[inline(always)]
fn keep(liveness: &RingLiveness, out: &mut Out, ticket: Ticket) -> Result<u32> {
    if out.add(&ticket) { Ok(ticket.index) } else { Err(give_up(liveness, &ticket)) }
}

/// Gives up a claim as if this process were dead, as others take it to be.
#[cold]
fn give_up(liveness: &RingLiveness, ticket: &Ticket) -> Error {
    let settled = mpmc::settle(liveness.view(), &Obstacle { index: ticket.index, word: ticket.claim() });
    liveness.ring_all();
    settled.err().unwrap_or_else(mpmc::given_up)
}

impl spsc::Consumer {
    fn hint(&self) -> RingHint {
        let (index, word) = self.awaited();
        RingHint::Message(index, word)
    }
}

/// For so long one attempt takes claims of the dead out of its way, thousands of them; the next one
/// goes on.
const CLEARING: Duration = Duration::from_millis(50);

/// Makes attempts until one is done, or what is in its way is not a claim of the dead.
pub(super) fn attempt_past_the_dead<T>(
    liveness: &RingLiveness,
    core: &mut Core,
    is_about_to_sleep: bool,
    try_once: &mut impl FnMut(&RingLiveness, &mut Core) -> Result<Tried<T>>,
) -> Result<Tried<T>> {
    let mut tried = try_once(liveness, core)?;
    let mut begin = None;
    // No more claims than slots: new ones that come all the time must not keep this call from
    // looking at its own clock.
    for _ in 0..liveness.view().capacity() {
        match tried {
            Err(RingHint::Slot(obstacle)) if liveness.clear_way(&obstacle, core.has_made(&obstacle), is_about_to_sleep)? => {
                tried = try_once(liveness, core)?
            }
            _ => break,
        }
        if begin.get_or_insert_with(Instant::now).elapsed() > CLEARING {
            break;
        }
    }
    Ok(tried)
}

#[cold]
pub(super) fn not_reserved() -> Error {
    Error::invalid("the pointer does not lead to a slot that is reserved by this handle: it was committed or aborted already")
}

#[cold]
pub(super) fn not_peeked() -> Error {
    Error::invalid("the pointer does not lead to a message that this handle peeks at: it was released already")
}
