//! A look at a ring.

use super::entry::{Entry, Parameter, Queue, Waiting};
use super::snapshot::Snapshot;
use super::tap::ring::{RingPages, newest_message};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::layout::ring::{RingFacts, RingView, VERSION};
use crate::protocol::mpmc;
use crate::protocol::ring_words::{Policy, RingWords, Role};
use crate::sys::object::Object;
use crate::sys::process::Identity;

/// A ring in use changes between the loads of its indices: a contradiction counts only if it stays.
const ATTEMPTS: u32 = 100;

pub(super) fn look(entry: &mut Entry, object: &Object, waiting: usize) -> Result<()> {
    let least = RingView::LEAST as u64;
    if object.size() < least {
        return Err(Error::corrupt(format!("it has only {} bytes", object.size())));
    }
    let head = Snapshot::new(object, least)?;
    head.load(0, least)?;
    let facts = head.facts::<RingView>(object.size())?;
    if object.has_holes() {
        return Err(Error::corrupt(format!("it has no memory behind part of its {} bytes", object.size())));
    }
    let region = Snapshot::new(object, facts.total_size)?;
    region.load(0, facts.slots)?;
    let view: RingView = region.view(facts);

    entry.version = Some(VERSION);
    entry.created = Some(view.created());
    entry.parameters = vec![
        ("policy", Parameter::Word(facts.policy.name())),
        ("element size", Parameter::Number(facts.element_size.into())),
        ("capacity", Parameter::Number(facts.capacity.into())),
    ];
    let counters = view.counters();
    entry.counters = vec![
        ("waits", counters.waits.get()),
        ("wake-ups", counters.wakeups.get()),
        ("skipped", counters.skipped.get()),
        ("lost", counters.lost.get()),
    ];
    look_at_peers(entry, &view, object);
    entry.queues.push(queue(&region, &view, waiting)?);
    Ok(())
}

fn look_at_peers(entry: &mut Entry, view: &RingView, object: &Object) {
    let me = Identity::mine();
    let mut is_held = false;
    for place in 0..view.facts().places {
        let slot = view.holder(place);
        let incarnation = slot.incarnation.observe();
        // A holder that has closed has left the ring.
        if incarnation == 0 || slot.closed.observe() == incarnation {
            continue;
        }
        let role = match Role::from_number(slot.role.get().into()) {
            Ok(Role::Producer) => "producer",
            Ok(Role::Consumer) => "consumer",
            Err(_) => "participant",
        };
        let byte = RingView::first_byte(place) | (incarnation & ((1 << RingView::INCARNATION_BITS) - 1));
        is_held |= entry.add_peer(role, slot, &me, object.is_locked(byte), false);
    }
    entry.peers.sort_by_key(|peer| std::cmp::Reverse(peer.role));
    entry.judge(is_held, object);
}

fn queue(region: &Snapshot<&Object>, view: &RingView, waiting: usize) -> Result<Queue> {
    let facts = *view.facts();
    let mut before = None;
    for _ in 0..ATTEMPTS {
        region.load(0, RingView::LEAST as u64)?;
        let indices = (view.tail().get(), view.head().get());
        match passed(&facts, view) {
            Ok((written, read)) => {
                let newest = match waiting {
                    0 => None,
                    _ => newest_message(&mut RingPages { region, view: *view }).unwrap_or(None),
                };
                let waiting = next_messages(region, view, waiting)?;
                let depth = written.wrapping_sub(read);
                return Ok(Queue {
                    direction: "",
                    depth,
                    capacity: facts.capacity.into(),
                    written,
                    read,
                    waiting,
                    newest,
                    signals: Vec::new(),
                });
            }
            Err(e) if before == Some(indices) => return Err(e),
            Err(_) => before = Some(indices),
        }
    }
    Err(Error::new(libc::EAGAIN, "it changes too fast for its state to be seen"))
}

/// How many messages were written and read.
fn passed(facts: &RingFacts, view: &RingView) -> Result<(u64, u64)> {
    let (tail, head) = (view.tail().get(), view.head().get());
    let (written, read) = match facts.policy {
        Policy::Spsc => (tail, head),
        Policy::Mpsc | Policy::Mpmc => (mpmc::passed(facts.capacity, tail)?, mpmc::passed(facts.capacity, head)?),
    };
    match written.wrapping_sub(read) as i64 {
        // The reader may have gone on between the two loads, or the writer died before it said what
        // it had written.
        depth if depth < 0 && depth >= -i64::from(facts.capacity) => Ok((read, read)),
        depth if (0..=i64::from(facts.capacity)).contains(&depth) => Ok((written, read)),
        _ => Err(Error::corrupt("the ring is corrupt: head and tail are further apart than its capacity")),
    }
}

/// Copies of the messages that are next, without a step towards taking them.
fn next_messages(region: &Snapshot<&Object>, view: &RingView, most: usize) -> Result<Vec<Waiting>> {
    let facts = *view.facts();
    let head = view.head().get();
    let most = most.min(facts.capacity as usize) as u32;
    let mut slots: Vec<(u32, u64)> = match facts.policy {
        Policy::Spsc => {
            let slot = |at| ((head.wrapping_add(at) % u64::from(facts.capacity)) as u32, head.wrapping_add(at + 1));
            (0..u64::from(most)).map(slot).collect()
        }
        Policy::Mpsc | Policy::Mpmc => mpmc::next_slots(view, most)?,
    };
    let is_shared = facts.policy != Policy::Spsc;
    if is_shared {
        // The last first: so a message that is missed before a seen one has been taken, or is not
        // published; it has not come since.
        slots.reverse();
    }
    let at = |index: u32| facts.slots + u64::from(index) * u64::from(facts.stride);
    let mut found = Vec::new();
    for (index, full) in slots {
        region.load(at(index), facts.stride.into())?;
        if view.word(index).observe() == full {
            found.push((index, full, Waiting::Message(region.bytes(at(index), facts.element_size.into()))));
        } else if !is_shared {
            break;
        }
    }
    // What was taken since may have been overwritten while it was copied.
    region.load(0, RingView::LEAST as u64)?;
    let read = view.head().get();
    let mut whole = Vec::new();
    for (index, full, message) in found {
        let stands = if is_shared {
            region.load(at(index), facts.stride.into())?;
            view.word(index).observe() == full
        } else {
            full > read
        };
        if stands {
            whole.push(message);
        }
    }
    if is_shared {
        whole.reverse();
    }
    Ok(whole)
}
