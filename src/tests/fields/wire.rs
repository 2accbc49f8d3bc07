//! Every field of a region of the wire layout set to 0, 1, all ones, one more and one less, and the
//! expected outcome for a reader and for a writer; or, in what this library appends, for an open.
//!
//! The rows are made from the structs ([`crate::tests::edges`]). Values that are used are used as
//! in `exercise`, which checks each step.

use super::*;
use crate::channel::wire::tests::exercise::exercise;
use crate::layout::signals::{self, Signal, SignalTable, SignalType};
use crate::memory::zeroed::Table;
use crate::tests::edges::{BROKEN, EdgeOutcome, Field, broken, field, fields_of, try_each, used};

use EdgeOutcome::{Refused, Used};

const NOT_READY: EdgeOutcome = Refused(libc::EAGAIN);

type WireRow = crate::tests::edges::Row<()>;
type WireRule = crate::tests::edges::Rule<()>;

fn queue_state(row: WireRow) -> EdgeOutcome {
    match row.value {
        0 => NOT_READY,
        value if value == u64::from(STOPPED) => Used,
        _ => BROKEN,
    }
}
fn pool_state(row: WireRow) -> EdgeOutcome {
    if row.value == 0 { NOT_READY } else { BROKEN }
}
/// A queue may have two cells; fewer, or a number that is no power of two, is no queue.
fn samples_mask(row: WireRow) -> EdgeOutcome {
    if row.value == 1 { Used } else { BROKEN }
}
fn mode(row: WireRow) -> EdgeOutcome {
    if row.value == u64::from(MODE_POLLING) { Used } else { BROKEN }
}

/// Beside the trailer's end, the trailer is none, and the region VILLASnode's.
fn signals_size(row: WireRow) -> EdgeOutcome {
    if row.value.checked_next_multiple_of(8) == Some(SIGNALS_SIZE.next_multiple_of(8)) { BROKEN } else { Used }
}
fn signal_type(row: WireRow) -> EdgeOutcome {
    if (1..=4).contains(&row.value) { Used } else { BROKEN }
}
fn text(row: WireRow) -> EdgeOutcome {
    if (0x20..0x7f).contains(&row.value) { Used } else { BROKEN }
}

/// Bytes of the table of signals of the region here.
const SIGNALS_SIZE: u64 = 2 * 16 + 5;

fn signals_of_the_region() -> [Signal; 2] {
    [Signal::new("u_a", "V", SignalType::Float), Signal::new("n", "", SignalType::Integer)]
}

fn queue(base: usize, mask: WireRule) -> Vec<Field<()>> {
    fields_of!(WireQueue, base, size_of::<WireQueue>();
        state 4 queue_state, _0 4 used, mask 8 mask, cells 8 broken, _1 8 used, tail 8 used, _2 8 used, head 8 used)
}

fn fields(size: usize) -> Vec<Field<()>> {
    let mut fields = vec![
        field("memory type and the first chunk: addresses of its maker", 0, SHARED as usize, 8, used as WireRule),
        field("polling", SHARED as usize, offset_of!(Shared, queue), 4, used),
    ];
    let signalled = SHARED as usize + offset_of!(Shared, queue);
    fields.extend(queue(signalled, samples_mask));
    let (condition, mutex) = (offset_of!(Signalled, condition), offset_of!(Signalled, mutex));
    let (mode_at, flags_at) = (offset_of!(Signalled, mode), offset_of!(Signalled, flags));
    fields.push(field("mode", signalled + mode_at, flags_at - mode_at, 4, mode));
    fields.push(field("flags", signalled + flags_at, condition - flags_at, 4, used));
    fields.extend(fields_of!(Condition, signalled + condition, size_of::<Condition>();
        waiters 8 used, group_start 8 used, references 4 used, sizes 4 used, inner 4 used, waiting 4 used, signals 4 used));
    fields.extend(fields_of!(GlibcMutex, signalled + mutex, size_of::<GlibcMutex>();
        lock 4 used, _count 4 used, _owner 4 used, _users 4 used, kind 4 broken, _rest 4 used));
    let (pool, its_queue) = (SHARED as usize + offset_of!(Shared, pool), offset_of!(WirePool, queue));
    fields.extend(fields_of!(WirePool, pool, its_queue;
        state 4 pool_state, _padding 4 used, buffer 8 broken, length 8 broken, block_size 8 broken, alignment 8 used));
    fields.extend(queue(pool + its_queue, broken));
    let trailer = size - TRAILER as usize;
    let table = trailer - SIGNALS_SIZE.next_multiple_of(8) as usize;
    fields.push(field("chunks, cells and blocks", HEAD as usize, table - HEAD as usize, 8, used));
    for record in [table, table + 16] {
        fields.push(field("lengths", record, 4, 2, broken));
        fields.push(field("type", record + 4, 4, 4, signal_type));
        fields.push(field("zero", record + 8, 8, 8, broken));
    }
    fields.push(field("texts", table + 32, 5, 1, text));
    fields.push(field("up to a multiple of 8", table + 37, 3, 1, used));
    fields.extend(fields_of!(Trailer, trailer, TRAILER as usize;
        magic 8 used, version 4 used, _padding 4 used, length 8 used, signals_size 8 signals_size,
        signal_count 4 broken, _reserved 4 used, holder 8 used));
    fields
}

/// A fresh region of this library.
fn image() -> Vec<u8> {
    let table = signals::encode(signals_of_the_region().iter().map(Signal::borrow));
    let facts = WireFacts::new(false, 5, 4).unwrap().with_signals(SIGNALS_SIZE);
    let size = facts.total_size() as usize;
    let mut memory: Table<u8> = Table::new(size, "a test").unwrap();
    // SAFETY: page-aligned, as long as the facts say, and it outlives the view.
    let view = unsafe { WireView::new(memory.as_mut_ptr(), facts) };
    view.initialise();
    view.fresh_trailer(2, &table).holder().occupy(1, &crate::sys::process::Identity::mine());
    memory.to_vec()
}

fn outcome_of(bytes: &[u8]) -> EdgeOutcome {
    let mut memory: Table<u8> = Table::new(bytes.len(), "a test").unwrap();
    memory.copy_from_slice(bytes);
    // SAFETY: page-aligned, so many bytes.
    match unsafe { WireFacts::read(memory.as_ptr(), bytes.len() as u64) } {
        Err(e) => Refused(e.errno()),
        Ok(facts) => {
            assert!(exercise(bytes).attached);
            let size = bytes.len() as u64;
            // SAFETY: page-aligned, so many bytes.
            let Some(trailer) = (unsafe { Trailer::find(memory.as_ptr(), size) }) else { return Used };
            let read = trailer.signals(size, facts.capacity()).and_then(|(at, length, count)| {
                let table = &bytes[at as usize..(at + length) as usize];
                SignalTable::checked(&signals::decode(table, count)?)
            });
            read.map_or_else(|e| Refused(e.errno()), |_| Used)
        }
    }
}

#[test]
fn each_field_of_a_wire_region_at_its_edges_has_the_outcome_that_is_stated() {
    let image = image();
    assert_eq!(outcome_of(&image), Used);
    try_each(&image, &fields(image.len()), &[()], |(), bytes| outcome_of(bytes));
}
