//! Every field of a ring of each policy set to 0, 1, all ones, one more and one less, and what must come of it, for who takes either role.
//!
//! The rows are made from the structs. A field that the table does not know leaves a gap or an overlap, and the test says where.

use super::{Apart, CONSUMER, Counters, Facts, Head, PLACES, PRODUCER, RawFacts, stride, word_offset};
use crate::layout::slot::Slot;
use crate::ring::{Policy, Role};
use crate::sys::object::{Name, Object};
use crate::{Bytes, Ring};
use std::mem::{offset_of, size_of};

/// What must come of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is used within bounds: the first message goes or comes, or there is none.
    Used,
    /// The same; the first push or pop is `EBADMSG`.
    Garbled,
    /// Opening gives this errno.
    Refused(i32),
}
use Outcome::{Garbled, Refused, Used};

const BROKEN: Outcome = Refused(libc::EBADMSG);

/// A value in place of another.
#[derive(Clone, Copy)]
struct Row {
    policy: Policy,
    role: Role,
    value: u64,
    /// Which word of the field.
    index: usize,
}

type Rule = fn(Row) -> Outcome;

struct Field {
    name: String,
    at: usize,
    bytes: usize,
    width: usize,
    rule: Rule,
}

const ELEMENT: usize = 40;
const CAPACITY: u32 = 4;
/// What the dead have done.
const PUSHED: usize = 3;
const POPPED: usize = 1;

fn open(name: &str, policy: Policy, role: Role) -> crate::Result<Ring<Bytes>> {
    Ring::open_bytes(name, policy, role, ELEMENT, CAPACITY as usize)
}

fn always_used(_: Row) -> Outcome {
    Used
}
fn always_broken(_: Row) -> Outcome {
    BROKEN
}
fn version(row: Row) -> Outcome {
    Refused(if row.value == 0 { libc::EAGAIN } else { libc::EPROTO })
}
/// Rings of both kinds for many have the same layout.
fn policy(row: Row) -> Outcome {
    let is_shared = |policy: u64| policy == Policy::Mpsc as u64 || policy == Policy::Mpmc as u64;
    if is_shared(row.value) && is_shared(row.policy as u64) { Refused(libc::EPROTO) } else { BROKEN }
}
/// So do elements of nearly the same size.
fn element_size(row: Row) -> Outcome {
    if row.value > 0 && row.value < 100 && stride(row.value) == stride(ELEMENT as u64) { Refused(libc::EPROTO) } else { BROKEN }
}
/// A position that no ring reaches.
fn position(row: Row) -> Outcome {
    if row.policy == Policy::Spsc && row.value == u64::MAX { BROKEN } else { Used }
}
/// A slot's word that no step of a ring leads to, and which stands where the next step is to be made.
fn word(row: Row) -> Outcome {
    let next = if row.role == Role::Producer { PUSHED } else { POPPED };
    if row.policy != Policy::Spsc && row.index == next && row.value == u64::MAX { Garbled } else { Used }
}
/// Beyond what a lock's place can be, in the place that there is no other of. Of those of which each takes one another is found.
fn incarnation(row: Row, place: u32) -> Outcome {
    let only = match (row.policy, row.role) {
        (Policy::Spsc, Role::Producer) => Some(PRODUCER),
        (Policy::Spsc | Policy::Mpsc, Role::Consumer) => Some(CONSUMER),
        _ => None,
    };
    if only == Some(place) && row.value == u64::MAX { BROKEN } else { Used }
}

fn fields(facts: &Facts) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut add = |name: String, at: usize, end: usize, width: usize, rule: Rule| {
        fields.push(Field { name, at, bytes: end - at, width, rule });
    };
    macro_rules! struct_at {
        ($struct:ty, $base:expr, $end:expr; $($field:ident $width:literal $rule:expr),+ $(,)?) => {{
            let starts = [$((stringify!($field), offset_of!($struct, $field), $width, $rule as Rule)),+];
            for (i, &(name, at, width, rule)) in starts.iter().enumerate() {
                let end = starts.get(i + 1).map_or($end, |next| next.1);
                add(format!("{}: {name}", stringify!($struct)), $base + at, $base + end, width, rule);
            }
        }};
    }
    struct_at!(RawFacts, 0, offset_of!(Head, tail);
        magic 8 always_broken, version 4 version, policy 4 policy, total_size 8 always_broken, element_size 4 element_size,
        capacity 4 always_broken, stride 4 always_broken, places 4 always_broken, slots 8 always_broken, created 8 always_used,
        _reserved 8 always_used);
    // The word itself, and what is left of its two lines.
    struct_at!(Head, 0, offset_of!(Head, counters); tail 8 tail_and_rest, head 8 tail_and_rest, bells 4 always_used);
    struct_at!(Counters, offset_of!(Head, counters), offset_of!(Head, _zero) - offset_of!(Head, counters);
        skipped 8 always_used, lost 8 always_used, waits 8 always_used, wakeups 8 always_used);
    add("nothing".to_owned(), offset_of!(Head, _zero), PLACES as usize, 8, always_used);
    for place in 0..facts.places {
        let rule: Rule = match place {
            PRODUCER => |row| incarnation(row, PRODUCER),
            CONSUMER => |row| incarnation(row, CONSUMER),
            _ => always_used,
        };
        let base = PLACES as usize + place as usize * size_of::<Slot>();
        struct_at!(Slot, base, offset_of!(Slot, role) + 4; incarnation 8 rule, closed 8 always_used, pid 4 always_used, role 4 always_used);
        add("Slot: the rest".to_owned(), base + offset_of!(Slot, role) + 4, base + size_of::<Slot>(), 8, always_used);
    }
    let end = PLACES as usize + facts.places as usize * size_of::<Slot>();
    if end < facts.slots as usize {
        add("nothing".to_owned(), end, facts.slots as usize, 8, always_used);
    }
    let words: [Rule; CAPACITY as usize] = [
        |row| word(Row { index: 0, ..row }),
        |row| word(Row { index: 1, ..row }),
        |row| word(Row { index: 2, ..row }),
        |row| word(Row { index: 3, ..row }),
    ];
    for (slot, &rule) in words.iter().enumerate() {
        let (base, behind) = (facts.slots as usize + slot * facts.stride as usize, word_offset(ELEMENT as u64) as usize);
        add(format!("message {slot}"), base, base + behind, 8, always_used);
        add(format!("word {slot}"), base + behind, base + behind + 8, 8, rule);
        add(format!("behind word {slot}"), base + behind + 8, base + facts.stride as usize, 8, always_used);
    }
    fields
}

fn tail_and_rest(row: Row) -> Outcome {
    if row.index == 0 { position(row) } else { Used }
}

/// A ring of two dead processes: its object, which nobody has a lock on, and its bytes as they left them.
fn ring_of_the_dead(name: &str, policy: Policy) -> (Object, Vec<u8>) {
    let (producer, consumer) = (open(name, policy, Role::Producer).unwrap(), open(name, policy, Role::Consumer).unwrap());
    for _ in 0..PUSHED {
        producer.push_bytes(&[7; ELEMENT]).unwrap();
    }
    for _ in 0..POPPED {
        consumer.pop_bytes(&mut [0; ELEMENT]).unwrap();
    }
    let object = Object::open(&Name::new(name).unwrap()).unwrap();
    let mut bytes = vec![0; object.size() as usize];
    assert_eq!(object.read_at(0, &mut bytes), Ok(bytes.len()));
    (object, bytes)
}

fn outcome_of(name: &str, policy: Policy, role: Role) -> Outcome {
    let ring = match open(name, policy, role) {
        Err(e) => return Refused(e.errno()),
        Ok(ring) => ring,
    };
    let mut message = [0; ELEMENT];
    let mut once = || match role {
        Role::Producer => ring.try_push_bytes(&message).map_or_else(|e| e.errno(), |()| 0),
        Role::Consumer => ring.try_pop_bytes(&mut message).map_or_else(|e| e.errno(), |()| 0),
    };
    let first = once();
    for errno in (0..3 * CAPACITY).map(|_| once()).chain([first]) {
        assert!([0, libc::EAGAIN, libc::EBADMSG].contains(&errno), "errno {errno}");
    }
    ring.stats();
    if first == libc::EBADMSG { Garbled } else { Used }
}

fn write(object: &Object, bytes: &[u8], at: usize) {
    assert_eq!(nix::sys::uio::pwrite(object, bytes, at as i64), Ok(bytes.len()));
}

fn try_all(policy: Policy) {
    let name = format!("villas-fields-{}-{}", policy.name(), std::process::id());
    let facts = Facts::new(policy, ELEMENT as u64, CAPACITY.into()).unwrap();
    let (object, image) = ring_of_the_dead(&name, policy);
    let mut end = 0;
    let (mut rows, mut wrong) = (0, Vec::new());
    for field in fields(&facts) {
        assert_eq!(field.at, end, "\"{}\" does not begin where the field before it ends", field.name);
        end += field.bytes;
        for (index, at) in (field.at..field.at + field.bytes).step_by(field.width).enumerate() {
            let mut before = [0; 8];
            before[..field.width].copy_from_slice(&image[at..at + field.width]);
            let (before, most) = (u64::from_le_bytes(before), u64::MAX >> (64 - 8 * field.width));
            let mut values = vec![0, 1, most, before.wrapping_add(1) & most, before.wrapping_sub(1) & most];
            values.sort_unstable();
            values.dedup();
            for value in values.into_iter().filter(|&value| value != before) {
                for role in [Role::Producer, Role::Consumer] {
                    write(&object, &image, 0);
                    write(&object, &value.to_le_bytes()[..field.width], at);
                    let stated = (field.rule)(Row { policy, role, value, index });
                    let found = outcome_of(&name, policy, role);
                    rows += 1;
                    if found != stated {
                        wrong.push(format!(
                            "{} [{index}] {before:#x} -> {value:#x}, {role:?}: {found:?}, not {stated:?}",
                            field.name
                        ));
                    }
                }
            }
        }
    }
    Ring::unlink(&name).unwrap();
    assert_eq!(end, image.len());
    println!("{rows} rows");
    assert!(wrong.is_empty(), "{policy:?}: {} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_field_of_an_spsc_ring_at_its_edges_has_the_outcome_that_is_stated() {
    try_all(Policy::Spsc);
}

#[test]
fn each_field_of_an_mpsc_ring_at_its_edges_has_the_outcome_that_is_stated() {
    try_all(Policy::Mpsc);
}

#[test]
fn each_field_of_an_mpmc_ring_at_its_edges_has_the_outcome_that_is_stated() {
    try_all(Policy::Mpmc);
}

/// `Apart` keeps words of different writers on lines of their own.
const _: () = assert!(size_of::<Apart<u64>>() == 128);
