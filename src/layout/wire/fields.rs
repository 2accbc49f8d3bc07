//! Every field of a region of the wire layout set to 0, 1, all ones, one more and one less, and what must come of it, for who reads from it
//! and for who writes into it.
//!
//! The rows are made from the structs. A field that the table does not know leaves a gap or an overlap, and the test says where.

use super::*;
use crate::channel::wire::exercise::exercise;
use crate::sys::table::Table;

/// What must come of a row. What is used is used as in `exercise`, which checks each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Used,
    /// Opening gives this errno.
    Refused(i32),
}
use Outcome::{Refused, Used};

const BROKEN: Outcome = Refused(libc::EBADMSG);
const NOT_READY: Outcome = Refused(libc::EAGAIN);

type Rule = fn(u64) -> Outcome;

struct Field {
    name: String,
    at: usize,
    bytes: usize,
    width: usize,
    rule: Rule,
}

fn used(_: u64) -> Outcome {
    Used
}
fn broken(_: u64) -> Outcome {
    BROKEN
}
fn queue_state(value: u64) -> Outcome {
    match value {
        0 => NOT_READY,
        value if value == u64::from(STOPPED) => Used,
        _ => BROKEN,
    }
}
fn pool_state(value: u64) -> Outcome {
    if value == 0 { NOT_READY } else { BROKEN }
}
/// A queue of two cells is one; fewer, or a number that is no power of two, are none.
fn samples_mask(value: u64) -> Outcome {
    if value == 1 { Used } else { BROKEN }
}
fn mode(value: u64) -> Outcome {
    if value == u64::from(MODE_POLLING) { Used } else { BROKEN }
}

/// The fields of a struct at `$base`, each up to the next, the last up to the struct's end.
macro_rules! struct_at {
    ($fields:ident, $struct:ty, $base:expr; $($field:ident $width:literal $rule:expr),+ $(,)?) => {{
        let starts = [$((stringify!($field), offset_of!($struct, $field), $width, $rule as Rule)),+];
        for (i, &(name, at, width, rule)) in starts.iter().enumerate() {
            let end = starts.get(i + 1).map_or(size_of::<$struct>(), |next| next.1);
            let name = format!("{} at {}: {name}", stringify!($struct), $base);
            $fields.push(Field { name, at: $base + at, bytes: end - at, width, rule });
        }
    }};
}

fn queue(fields: &mut Vec<Field>, base: usize, mask: Rule) {
    struct_at!(fields, Queue, base; state 4 queue_state, _0 4 used, mask 8 mask, cells 8 broken, _1 8 used, tail 8 used,
        _2 8 used, head 8 used);
}

fn fields(size: usize) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let plain = |name: &str, at: usize, bytes: usize| Field { name: name.to_owned(), at, bytes, width: 8, rule: used };
    fields.push(plain("memory type and the first chunk: addresses of its maker", 0, SHARED as usize));
    fields.push(Field { width: 4, ..plain("polling", SHARED as usize, offset_of!(Shared, queue)) });
    let signalled = SHARED as usize + offset_of!(Shared, queue);
    queue(&mut fields, signalled, samples_mask);
    let (condition, mutex) = (offset_of!(Signalled, condition), offset_of!(Signalled, mutex));
    let (mode_at, flags_at) = (offset_of!(Signalled, mode), offset_of!(Signalled, flags));
    fields.push(Field { rule: mode, width: 4, ..plain("mode", signalled + mode_at, flags_at - mode_at) });
    fields.push(Field { width: 4, ..plain("flags", signalled + flags_at, condition - flags_at) });
    struct_at!(fields, Condition, signalled + condition; waiters 8 used, group_start 8 used, references 4 used, sizes 4 used,
        inner 4 used, waiting 4 used, signals 4 used);
    struct_at!(fields, Mutex, signalled + mutex; lock 4 used, _count 4 used, _owner 4 used, _users 4 used, kind 4 broken,
        _rest 4 used);
    let pool = SHARED as usize + offset_of!(Shared, pool);
    struct_at!(fields, Pool, pool; state 4 pool_state, _padding 4 used, buffer 8 broken, length 8 broken, block_size 8 broken,
        alignment 8 used, queue 8 used);
    fields.pop(); // in parts:
    queue(&mut fields, pool + offset_of!(Pool, queue), broken);
    fields.push(plain("chunks, cells, blocks and the trailer", HEAD as usize, size - HEAD as usize));
    fields
}

/// A fresh region of this library.
fn image() -> Vec<u8> {
    let facts = Facts::new(false, 5, 4).unwrap();
    let size = facts.total_size() as usize;
    let mut memory: Table<u8> = Table::new(size, "a test").unwrap();
    // SAFETY: page-aligned, as long as the facts say, and it outlives the view.
    let view = unsafe { View::new(memory.as_mut_ptr(), facts) };
    view.initialise();
    view.fresh_trailer().slot().occupy(1, &crate::sys::process::Identity::mine());
    memory.to_vec()
}

fn outcome_of(bytes: &[u8]) -> Outcome {
    let mut memory: Table<u8> = Table::new(bytes.len(), "a test").unwrap();
    memory.copy_from_slice(bytes);
    // SAFETY: page-aligned, so many bytes.
    match unsafe { Facts::read(memory.as_ptr(), bytes.len() as u64) } {
        Err(e) => Refused(e.errno()),
        Ok(_) => {
            assert!(exercise(bytes).attached);
            Used
        }
    }
}

#[test]
fn each_field_of_a_wire_region_at_its_edges_has_the_outcome_that_is_stated() {
    let image = image();
    assert_eq!(outcome_of(&image), Used);
    let (mut rows, mut end, mut wrong) = (0, 0, Vec::new());
    for field in fields(image.len()) {
        assert_eq!(field.at, end, "\"{}\" does not begin where the field before it ends", field.name);
        end += field.bytes;
        for at in (field.at..end).step_by(field.width) {
            let mut before = [0; 8];
            before[..field.width].copy_from_slice(&image[at..at + field.width]);
            let (before, most) = (u64::from_le_bytes(before), u64::MAX >> (64 - 8 * field.width));
            let mut values = vec![0, 1, most, before.wrapping_add(1) & most, before.wrapping_sub(1) & most];
            values.sort_unstable();
            values.dedup();
            for value in values.into_iter().filter(|&value| value != before) {
                let mut bytes = image.clone();
                bytes[at..at + field.width].copy_from_slice(&value.to_le_bytes()[..field.width]);
                let (stated, found) = ((field.rule)(value), outcome_of(&bytes));
                rows += 1;
                if found != stated {
                    wrong.push(format!("{} {at}: {before:#x} -> {value:#x}: {found:?}, not {stated:?}", field.name));
                }
            }
        }
    }
    assert_eq!(end, image.len());
    println!("{rows} rows");
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
}
