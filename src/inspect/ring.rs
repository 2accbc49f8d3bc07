//! A look at a ring.

use super::entry::{Entry, Parameter, Queue, Waiting};
use super::snapshot::Snapshot;
use super::tap::ring::{RingPages, newest_message};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::layout::ring::{RingFacts, RingView, VERSION};
use crate::protocol::mpmc_look::{self, Stage};
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
        Policy::Mpsc | Policy::Mpmc => (mpmc_look::passed(facts.capacity, tail)?, mpmc_look::passed(facts.capacity, head)?),
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
    let most = most.min(view.facts().capacity as usize) as u32;
    match view.facts().policy {
        Policy::Spsc => next_of_one(region, view, most),
        Policy::Mpsc | Policy::Mpmc => next_in_runs(region, view, most),
    }
}

fn message(region: &Snapshot<&Object>, facts: &RingFacts, position: u64) -> Result<Waiting> {
    let at = facts.slots + position % u64::from(facts.capacity) * u64::from(facts.stride);
    region.load(at, facts.stride.into())?;
    Ok(Waiting::Message(region.bytes(at, facts.element_size.into())))
}

fn next_of_one(region: &Snapshot<&Object>, view: &RingView, most: u32) -> Result<Vec<Waiting>> {
    let facts = *view.facts();
    let head = view.head().get();
    let mut found = Vec::new();
    for position in (0..u64::from(most)).map(|at| head.wrapping_add(at)) {
        let copy = message(region, &facts, position)?;
        if view.word((position % u64::from(facts.capacity)) as u32).observe() != position.wrapping_add(1) {
            break;
        }
        found.push((position, copy));
    }
    // What was taken since may have been overwritten while it was copied.
    region.load(0, RingView::LEAST as u64)?;
    let read = view.head().get();
    Ok(found.into_iter().filter(|(position, _)| *position >= read).map(|(_, message)| message).collect())
}

/// Where several may be, the word of a run tells of all its messages.
fn next_in_runs(region: &Snapshot<&Object>, view: &RingView, most: u32) -> Result<Vec<Waiting>> {
    let facts = *view.facts();
    let waiting = |run: u64| -> Result<(Stage, u32, u64)> {
        let index = (run % u64::from(facts.capacity)) as u32;
        region.load_next(facts.slots + u64::from(index) * u64::from(facts.stride), facts.stride.into())?;
        let (stage, count) = mpmc_look::stage(view, run);
        Ok((stage, count, view.word(index).observe()))
    };
    let begin = mpmc_look::passed(facts.capacity, view.head().get())?;
    let end = begin.wrapping_add(most.into());
    let (mut runs, mut at) = (Vec::new(), begin);
    while (end.wrapping_sub(at) as i64) > 0 {
        let (_, count, _) = waiting(at)?;
        if count == 0 {
            break;
        }
        runs.push(at);
        at = at.wrapping_add(count.into());
    }
    // The last first: so a message that is missed before a seen one has been taken, or is not
    // published; it has not come since.
    let mut found = Vec::new();
    for &run in runs.iter().rev() {
        let (Stage::Waiting, count, word) = waiting(run)? else { continue };
        let wanted = u64::from(count).min(end.wrapping_sub(run));
        let copies = (0..wanted).map(|at| message(region, &facts, run.wrapping_add(at))).collect::<Result<Vec<_>>>()?;
        found.push((run, word, copies));
    }
    // What was taken since may have been overwritten while it was copied.
    let mut whole = Vec::new();
    for (run, word, copies) in found.into_iter().rev() {
        if waiting(run)?.2 == word {
            whole.extend(copies);
        }
    }
    Ok(whole)
}
