//! A look at a channel in one region.

use super::entry::{Entry, Parameter, Queue, Waiting};
use super::snapshot::{Snapshot, sample};
use super::tap::channel::{Pages, newest_sample};
use crate::channel::signals;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::layout::channel::{ChannelFacts, ChannelView, ENTRIES, VERSION};
use crate::protocol::channel_words::{Block, ChannelWords, Side};
use crate::protocol::queue::QueueReader;
use crate::sys::object::Object;
use crate::sys::process::Identity;

/// What comes before a block's values.
const HEADER: u64 = 64;
/// Blocks that are longer are not loaded whole to see whether they are free.
const LONG: u64 = 1024;

pub(super) fn look(entry: &mut Entry, object: &Object, waiting: usize) -> Result<()> {
    let head = Snapshot::new(object, ENTRIES)?;
    if object.size() < ENTRIES {
        return Err(Error::corrupt(format!("it has only {} bytes", object.size())));
    }
    head.load(0, ENTRIES)?;
    let facts = head.facts::<ChannelView>(object.size())?;
    if object.has_holes() {
        return Err(Error::corrupt(format!("it has no memory behind part of its {} bytes", object.size())));
    }
    let region = Snapshot::new(object, facts.total_size)?;
    region.load(0, facts.pool)?;
    let view: ChannelView = region.view(facts);

    entry.version = Some(VERSION);
    entry.created = Some(view.raw_facts().created.get());
    entry.parameters = vec![
        ("mode", Parameter::Word(if facts.polling { "polling" } else { "pthread" })),
        ("queuelen", Parameter::Number(facts.queuelen.into())),
        ("samplelen", Parameter::Number(facts.samplelen.into())),
        ("spare", Parameter::Number(facts.spare.into())),
        ("history", Parameter::Number(facts.history.into())),
    ];
    look_at_peers(entry, &view, object);
    for side in [Side::A, Side::B] {
        let counters = view.counters(side);
        let names = match side {
            Side::A => ["node waits", "node wake-ups", "node redelivered"],
            Side::B => ["program waits", "program wake-ups", "program redelivered"],
        };
        entry
            .counters
            .extend(names.into_iter().zip([&counters.waits, &counters.wakeups, &counters.redelivered].map(|c| c.get())));
    }
    for from in [Side::A, Side::B] {
        entry.queues.push(queue(&region, &view, from, waiting)?);
    }
    entry.blocks = Some((count_free(&region, &view)?, facts.blocks().into()));
    region.load(facts.signals(), facts.signals_size)?;
    let tables = signals::tables(&facts, &region.bytes(facts.signals(), facts.signals_size))?;
    entry.queues.iter_mut().zip(&tables).for_each(|(queue, signals)| queue.signals = signals.to_vec());
    Ok(())
}

fn look_at_peers(entry: &mut Entry, view: &ChannelView, object: &Object) {
    let me = Identity::mine();
    let mut is_held = false;
    for (side, role) in [(Side::A, "node"), (Side::B, "program")] {
        let holder = view.holder(side);
        let incarnation = holder.incarnation.observe();
        if incarnation == 0 {
            continue;
        }
        let byte =
            <ChannelView as Layout>::first_byte(side) | (incarnation & ((1 << <ChannelView as Layout>::INCARNATION_BITS) - 1));
        is_held |= entry.add_peer(role, holder, &me, object.is_locked(byte), holder.closed.observe() == incarnation);
    }
    entry.judge(is_held, object);
}

/// The queue that `from` writes; its entries are loaded.
fn queue(region: &Snapshot<&Object>, view: &ChannelView, from: Side, waiting: usize) -> Result<Queue> {
    let facts = *view.facts();
    let reader = from.other();
    let consumer = QueueReader::recover(view, reader, facts.entries);
    let read = consumer.position();
    let depth = consumer.pending(view).min(u64::from(facts.queuelen));
    let mut found = Vec::new();
    for position in (0..waiting as u64).map(|ahead| read.wrapping_add(ahead)) {
        let Some(block) = consumer.peek_at(view, position) else { break };
        if block >= facts.blocks() {
            return Err(Error::corrupt(format!("a queue names block {block} of {}", facts.blocks())));
        }
        region.load(facts.pool + u64::from(block) * u64::from(facts.block_size), facts.block_size.into())?;
        found.push((position, sample(view.block(block))));
    }
    if waiting > 0 {
        // A block that was taken since may have been written anew.
        region.load(0, ENTRIES)?;
        let read = view.taken(reader).observe();
        found.retain(|(position, _)| *position >= read);
    }
    let is_wanted = waiting > 0;
    let waiting: Vec<Waiting> = found.into_iter().map(|(_, sample)| sample).collect();
    let direction = if from == Side::A { "node to program" } else { "program to node" };
    // It is an extra: a region that contradicts itself is found out elsewhere.
    let newest = if is_wanted { newest_sample(&mut Pages { region, view: *view }, from).unwrap_or(None) } else { None };
    Ok(Queue {
        direction,
        depth,
        capacity: facts.queuelen.into(),
        written: read.wrapping_add(depth),
        read,
        waiting,
        newest,
        signals: Vec::new(),
    })
}

/// How many blocks neither side owes the other.
fn count_free(region: &Snapshot<&Object>, view: &ChannelView) -> Result<u64> {
    let facts = *view.facts();
    let mut free = 0;
    for side in [Side::A, Side::B] {
        let used = view.used(side).observe();
        if used > u64::from(facts.home_blocks) {
            return Err(Error::corrupt(format!("{used} of {} blocks are said to be in use", facts.home_blocks)));
        }
        let first = side as u32 * facts.home_blocks;
        let blocks = first..first + used as u32;
        load_headers(region, &facts, blocks.clone())?;
        let is_back = |from: Side, number| {
            let block = view.block(number);
            block.done(from.other()).get() == block.sent(from).get()
        };
        let busy = blocks.filter(|&block| !is_back(Side::A, block) || !is_back(Side::B, block)).count();
        free += u64::from(facts.home_blocks) - busy as u64;
    }
    Ok(free)
}

fn load_headers(region: &Snapshot<&Object>, facts: &ChannelFacts, blocks: std::ops::Range<u32>) -> Result<()> {
    let size = u64::from(facts.block_size);
    let at = |block: u32| facts.pool + u64::from(block) * size;
    if size <= LONG {
        return region.load(at(blocks.start), size * blocks.len() as u64);
    }
    blocks.into_iter().try_for_each(|block| region.load(at(block), HEADER))
}
