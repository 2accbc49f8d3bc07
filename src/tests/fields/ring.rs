//! Every field of a ring of each policy set to 0, 1, all ones, one more and one less, and what must come of it, for who takes either role.
//!
//! The rows are made from the structs ([`crate::tests::edges`]).

use super::{Apart, CONSUMER, Counters, Facts, Head, PLACES, PRODUCER, RawFacts, stride, word_offset};
use crate::layout::holder::Slot;
use crate::ring::{Policy, Role};
use crate::sys::object::{Name, Object};
use crate::tests::edges::{BROKEN, Field, Outcome, Rule, broken, field, fields_of, try_each, used};
use crate::{Bytes, Ring};
use std::mem::{offset_of, size_of};

use Outcome::{Garbled, Refused, Used};

/// Who takes a role of the ring of two dead processes.
#[derive(Clone, Copy, Debug)]
struct Who {
    policy: Policy,
    role: Role,
}

type Row = crate::tests::edges::Row<Who>;

const ELEMENT: usize = 40;
const CAPACITY: u32 = 4;
/// What the dead have done.
const PUSHED: usize = 3;
const POPPED: usize = 1;

fn open(name: &str, policy: Policy, role: Role) -> crate::Result<Ring<Bytes>> {
    Ring::open_bytes(name, policy, role, ELEMENT, CAPACITY as usize)
}

fn version(row: Row) -> Outcome {
    Refused(if row.value == 0 { libc::EAGAIN } else { libc::EPROTO })
}
/// Rings of both kinds for many have the same layout.
fn policy(row: Row) -> Outcome {
    let is_shared = |policy: u64| policy == Policy::Mpsc as u64 || policy == Policy::Mpmc as u64;
    if is_shared(row.value) && is_shared(row.who.policy as u64) { Refused(libc::EPROTO) } else { BROKEN }
}
/// So do elements of nearly the same size.
fn element_size(row: Row) -> Outcome {
    if row.value > 0 && row.value < 100 && stride(row.value) == stride(ELEMENT as u64) { Refused(libc::EPROTO) } else { BROKEN }
}
/// A position that no ring reaches.
fn position(row: Row) -> Outcome {
    if row.who.policy == Policy::Spsc && row.value == u64::MAX { BROKEN } else { Used }
}
/// A slot's word that no step of a ring leads to, and which stands where the next step is to be made.
fn word(row: Row) -> Outcome {
    let next = if row.who.role == Role::Producer { PUSHED } else { POPPED };
    if row.who.policy != Policy::Spsc && row.index == next && row.value == u64::MAX { Garbled } else { Used }
}
/// Beyond what a lock's place can be, in the place that there is no other of. Of those of which each takes one another is found.
fn incarnation(row: Row, place: u32) -> Outcome {
    let only = match (row.who.policy, row.who.role) {
        (Policy::Spsc, Role::Producer) => Some(PRODUCER),
        (Policy::Spsc | Policy::Mpsc, Role::Consumer) => Some(CONSUMER),
        _ => None,
    };
    if only == Some(place) && row.value == u64::MAX { BROKEN } else { Used }
}

fn fields(facts: &Facts) -> Vec<Field<Who>> {
    let mut fields = fields_of!(RawFacts, 0, offset_of!(Head, tail);
        magic 8 broken, version 4 version, policy 4 policy, total_size 8 broken, element_size 4 element_size,
        capacity 4 broken, stride 4 broken, places 4 broken, slots 8 broken, created 8 used, _reserved 8 used);
    // The word itself, and what is left of its two lines.
    fields.extend(fields_of!(Head, 0, offset_of!(Head, counters); tail 8 tail_and_rest, head 8 tail_and_rest, bells 4 used));
    fields.extend(fields_of!(Counters, offset_of!(Head, counters), offset_of!(Head, _zero) - offset_of!(Head, counters);
        skipped 8 used, lost 8 used, waits 8 used, wakeups 8 used));
    let zero = offset_of!(Head, _zero);
    fields.push(field("nothing", zero, PLACES as usize - zero, 8, used));
    for place in 0..facts.places {
        let rule: Rule<Who> = match place {
            PRODUCER => |row| incarnation(row, PRODUCER),
            CONSUMER => |row| incarnation(row, CONSUMER),
            _ => used,
        };
        let base = PLACES as usize + place as usize * size_of::<Slot>();
        let end = offset_of!(Slot, role) + 4;
        fields.extend(fields_of!(Slot, base, end; incarnation 8 rule, closed 8 used, pid 4 used, role 4 used));
        fields.push(field("the slot's rest", base + end, size_of::<Slot>() - end, 8, used));
    }
    let end = PLACES as usize + facts.places as usize * size_of::<Slot>();
    if end < facts.slots as usize {
        fields.push(field("nothing", end, facts.slots as usize - end, 8, used));
    }
    let words: [Rule<Who>; CAPACITY as usize] = [
        |row| word(Row { index: 0, ..row }),
        |row| word(Row { index: 1, ..row }),
        |row| word(Row { index: 2, ..row }),
        |row| word(Row { index: 3, ..row }),
    ];
    for (slot, &rule) in words.iter().enumerate() {
        let (base, behind) = (facts.slots as usize + slot * facts.stride as usize, word_offset(ELEMENT as u64) as usize);
        fields.push(field(&format!("message {slot}"), base, behind, 8, used));
        fields.push(field(&format!("word {slot}"), base + behind, 8, 8, rule));
        fields.push(field(&format!("behind word {slot}"), base + behind + 8, facts.stride as usize - behind - 8, 8, used));
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

fn outcome_of(name: &str, Who { policy, role }: Who) -> Outcome {
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

fn try_all(policy: Policy) {
    let name = format!("villas-fields-{}-{}", policy.name(), std::process::id());
    let facts = Facts::new(policy, ELEMENT as u64, CAPACITY.into()).unwrap();
    let (object, image) = ring_of_the_dead(&name, policy);
    let everyone = [Role::Producer, Role::Consumer].map(|role| Who { policy, role });
    try_each(&image, &fields(&facts), &everyone, |who, bytes| {
        assert_eq!(nix::sys::uio::pwrite(&object, bytes, 0), Ok(bytes.len()));
        outcome_of(&name, who)
    });
    Ring::unlink(&name).unwrap();
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
