//! A look at a region in VILLASnode's layout.

use super::entry::{Entry, Kind, Parameter, Queue, State, Waiting};
use super::snapshot::{Snapshot, sample};
use crate::channel::wire::ALIVE;
use crate::error::{Error, Result};
use crate::layout::signals::{self, SignalTable};
use crate::layout::wire::{CELL, HEAD, STOPPED, Which, WireView};
use crate::sys::object::Object;
use crate::sys::process::Identity;

/// Looks whether it is one; if not, it stays what it is.
pub(super) fn look(entry: &mut Entry, object: &Object, waiting: usize) -> Result<()> {
    let size = object.size();
    if size < HEAD {
        return Ok(());
    }
    // A sparse object may be larger than any address space.
    let Ok(region) = Snapshot::new(object, size) else { return Ok(()) };
    region.load(0, HEAD)?;
    let trailer = region.trailer()?;
    let facts = match region.wire_facts(size) {
        Ok(facts) => facts,
        Err(_) if trailer.is_none() => return Ok(()),
        Err(e) => {
            entry.kind = Kind::Wire;
            return Err(Error::corrupt(e.to_string()));
        }
    };
    entry.kind = Kind::Wire;
    let view = region.wire_view(facts);
    let is_closed = view.queue(Which::Samples).state.observe() == STOPPED;
    let mut is_held = false;
    if let Some(trailer) = trailer {
        let holder = trailer.holder();
        entry.created = Some(holder.attached());
        is_held = entry.add_peer("writer", holder, &Identity::mine(), object.is_locked(ALIVE), is_closed);
    } else {
        entry.note = Some("made by VILLASnode".into());
    }
    // Its reader holds no lock; a VILLASnode none at all.
    entry.state = match entry.state_by_attachments() {
        _ if is_held => State::Live,
        State::Unused => State::Stale,
        state => state,
    };
    entry.parameters = vec![
        ("mode", Parameter::Word(if facts.polling { "polling" } else { "pthread" })),
        ("queuelen", Parameter::Number(facts.blocks.into())),
        ("samplelen", Parameter::Number(facts.capacity().into())),
    ];
    let (read, written) = indices(&view, Which::Samples);
    let waiting = next_samples(&region, &view, waiting)?;
    entry.queues.push(Queue {
        direction: "writer to reader",
        depth: written.wrapping_sub(read),
        capacity: facts.blocks.into(),
        written,
        read,
        waiting,
        newest: None,
        signals: Vec::new(),
    });
    let (taken, given) = indices(&view, Which::Free);
    entry.blocks = Some((given.wrapping_sub(taken), facts.blocks.into()));
    if let Some(trailer) = trailer {
        let (at, length, count) = trailer.signals(size, facts.capacity())?;
        region.load(at, length)?;
        entry.queues[0].signals = SignalTable::checked(&signals::decode(&region.bytes(at, length), count)?)?.to_vec();
    }
    Ok(())
}

/// Head and tail of a queue. They are written by many, and loaded one after the other: what makes
/// no sense is an empty or a full one.
fn indices(view: &WireView, which: Which) -> (u64, u64) {
    let queue = view.queue(which);
    let (head, tail) = (queue.head.observe(), queue.tail.observe());
    let depth = (tail.wrapping_sub(head) as i64).clamp(0, view.facts().blocks.into());
    (head, head.wrapping_add(depth as u64))
}

/// Copies of the samples that are next.
fn next_samples(region: &Snapshot<&Object>, view: &WireView, most: usize) -> Result<Vec<Waiting>> {
    let facts = *view.facts();
    let head = view.queue(Which::Samples).head.observe();
    let cell_at = |position: u64| facts.cells_at[0] + CELL * (position & (facts.cells[0] - 1));
    let block_size = u64::from(facts.block_size);
    let mut found = Vec::new();
    for position in (0..facts.cells[0].min(most as u64)).map(|ahead| head.wrapping_add(ahead)) {
        region.load(cell_at(position), CELL)?;
        let cell = view.cell(Which::Samples, position);
        if cell.sequence.observe() != position.wrapping_add(1) {
            break;
        }
        let Some(block) = view.block_of(Which::Samples, cell.data.get()) else {
            return Err(Error::corrupt("its queue names a place at which no block begins"));
        };
        region.load(facts.pool_at + u64::from(block) * block_size, block_size)?;
        found.push((position, sample(view.blocks().raw(block))));
    }
    // A block that was taken since may have been written anew.
    region.load(0, HEAD)?;
    let head = view.queue(Which::Samples).head.observe();
    Ok(found.into_iter().filter(|(position, _)| position.wrapping_sub(head) as i64 >= 0).map(|(_, sample)| sample).collect())
}
