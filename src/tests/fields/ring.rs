//! Every field of a ring of each policy set to 0, 1, all ones, one more and one less, and the
//! expected outcome for a newcomer in either role.
//!
//! The rows are made from the structs ([`crate::tests::edges`]).

use super::{Apart, CONSUMER, PLACES, PRODUCER, RawRingFacts, RingCounters, RingFacts, RingHead, stride, word_offset};
use crate::layout::holder::Holder;
use crate::ring::{Policy, Role};
use crate::sys::object::{Name, Object};
use crate::tests::edges::{BROKEN, EdgeOutcome, Field, Rule, broken, field, fields_of, try_each, used};
use crate::{Bytes, Ring};
use std::mem::{offset_of, size_of};

use EdgeOutcome::{Garbled, Refused, Used};

/// The role that a newcomer takes in the ring of two dead processes.
#[derive(Clone, Copy, Debug)]
struct Participant {
    policy: Policy,
    role: Role,
}

type RingRow = crate::tests::edges::Row<Participant>;

const ELEMENT: usize = 40;
const CAPACITY: u32 = 4;
/// What the dead processes did.
const PUSHED: usize = 3;
const POPPED: usize = 1;

fn open(name: &str, policy: Policy, role: Role) -> crate::Result<Ring<Bytes>> {
    Ring::open_bytes(name, policy, role, ELEMENT, CAPACITY as usize)
}

fn version(row: RingRow) -> EdgeOutcome {
    Refused(if row.value == 0 { libc::EAGAIN } else { libc::EPROTO })
}
/// The two kinds of rings for many have the same layout.
fn policy(row: RingRow) -> EdgeOutcome {
    let is_shared = |policy: u64| policy == Policy::Mpsc as u64 || policy == Policy::Mpmc as u64;
    if is_shared(row.value) && is_shared(row.who.policy as u64) { Refused(libc::EPROTO) } else { BROKEN }
}
/// Elements of nearly the same size have the same layout, too.
fn element_size(row: RingRow) -> EdgeOutcome {
    if row.value > 0 && row.value < 100 && stride(row.value) == stride(ELEMENT as u64) { Refused(libc::EPROTO) } else { BROKEN }
}
/// A position that no ring reaches.
fn position(row: RingRow) -> EdgeOutcome {
    if row.who.policy == Policy::Spsc && row.value == u64::MAX { BROKEN } else { Used }
}
/// The index of consumers one run back, where nothing is left: `head` passes a run before that is
/// free again.
fn head(row: RingRow) -> EdgeOutcome {
    let is_back = row.value == 0 || row.value == u64::MAX;
    if row.who.policy != Policy::Spsc && row.who.role == Role::Consumer && is_back { Garbled } else { position(row) }
}
/// A slot's word that no step of a ring leads to, at the place of the next step.
fn word(row: RingRow) -> EdgeOutcome {
    let next = if row.who.role == Role::Producer { PUSHED } else { POPPED };
    if row.who.policy != Policy::Spsc && row.index == next && row.value == u64::MAX { Garbled } else { Used }
}
/// Beyond every lock's place, in the only place of its role. In the other roles a newcomer finds
/// another place.
fn incarnation(row: RingRow, place: u32) -> EdgeOutcome {
    let only = match (row.who.policy, row.who.role) {
        (Policy::Spsc, Role::Producer) => Some(PRODUCER),
        (Policy::Spsc | Policy::Mpsc, Role::Consumer) => Some(CONSUMER),
        _ => None,
    };
    if only == Some(place) && row.value == u64::MAX { BROKEN } else { Used }
}

fn fields(facts: &RingFacts) -> Vec<Field<Participant>> {
    let mut fields = fields_of!(RawRingFacts, 0, offset_of!(RingHead, tail);
        magic 8 broken, version 4 version, policy 4 policy, total_size 8 broken, element_size 4 element_size,
        capacity 4 broken, stride 4 broken, places 4 broken, slots 8 broken, created 8 used, _reserved 8 used);
    // The word itself, and what is left of its two lines.
    fields.extend(
        fields_of!(RingHead, 0, offset_of!(RingHead, counters); tail 8 tail_and_rest, head 8 head_and_rest, doorbells 4 used),
    );
    fields.extend(
        fields_of!(RingCounters, offset_of!(RingHead, counters), offset_of!(RingHead, _zero) - offset_of!(RingHead, counters);
        skipped 8 used, lost 8 used, waits 8 used, wakeups 8 used),
    );
    let zero = offset_of!(RingHead, _zero);
    fields.push(field("nothing", zero, PLACES as usize - zero, 8, used));
    for place in 0..facts.places {
        let rule: Rule<Participant> = match place {
            PRODUCER => |row| incarnation(row, PRODUCER),
            CONSUMER => |row| incarnation(row, CONSUMER),
            _ => used,
        };
        let base = PLACES as usize + place as usize * size_of::<Holder>();
        let end = offset_of!(Holder, role) + 4;
        fields.extend(fields_of!(Holder, base, end; incarnation 8 rule, closed 8 used, pid 4 used, role 4 used));
        fields.push(field("the slot's rest", base + end, size_of::<Holder>() - end, 8, used));
    }
    let end = PLACES as usize + facts.places as usize * size_of::<Holder>();
    if end < facts.slots as usize {
        fields.push(field("nothing", end, facts.slots as usize - end, 8, used));
    }
    let words: [Rule<Participant>; CAPACITY as usize] = [
        |row| word(RingRow { index: 0, ..row }),
        |row| word(RingRow { index: 1, ..row }),
        |row| word(RingRow { index: 2, ..row }),
        |row| word(RingRow { index: 3, ..row }),
    ];
    for (slot, &rule) in words.iter().enumerate() {
        let (base, behind) = (facts.slots as usize + slot * facts.stride as usize, word_offset(ELEMENT as u64) as usize);
        fields.push(field(&format!("message {slot}"), base, behind, 8, used));
        fields.push(field(&format!("word {slot}"), base + behind, 8, 8, rule));
        fields.push(field(&format!("behind word {slot}"), base + behind + 8, facts.stride as usize - behind - 8, 8, used));
    }
    fields
}

fn tail_and_rest(row: RingRow) -> EdgeOutcome {
    if row.index == 0 { position(row) } else { Used }
}

fn head_and_rest(row: RingRow) -> EdgeOutcome {
    if row.index == 0 { head(row) } else { Used }
}

/// A ring of two dead processes: its object, on which no process has a lock, and its bytes as they
/// left them.
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

fn outcome_of(name: &str, Participant { policy, role }: Participant) -> EdgeOutcome {
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
    let facts = RingFacts::new(policy, ELEMENT as u64, CAPACITY.into()).unwrap();
    let (object, image) = ring_of_the_dead(&name, policy);
    let everyone = [Role::Producer, Role::Consumer].map(|role| Participant { policy, role });
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
