//! A ring of any policy between several ends in this process, and somebody who stores anything anywhere in the region meanwhile.

use std::time::Duration;

use villas_shm::{Message, Policy, Reservation, Ring, Role};

use crate::input::{Input, Poke};
use crate::object::{Memory, Name};
use crate::{allow, ends, seeds};

const STEPS: usize = 64;
/// Long enough to be asleep at its end, and behind a claim that stays to ask for its owner.
const NAP: Duration = Duration::from_micros(20);
const NAPS: u32 = 3;
const POLICIES: [Policy; 3] = [Policy::Spsc, Policy::Mpsc, Policy::Mpmc];
/// What a call of an open ring may say when the ring is corrupt, or another seems to have taken the place.
const BROKEN: [i32; 2] = [libc::EBADMSG, libc::ESTALE];

/// What is used in place: it borrows from its end, so that it is dropped before that.
enum Slot<'r> {
    Reserved(Reservation<'r>),
    Peeked(Message<'r>),
}

/// Where the messages of a ring lie in this process, found out by what is handed out.
struct Shape {
    policy: Policy,
    element_size: usize,
    capacity: usize,
    naps: u32,
}

/// See the module's description.
pub fn live_ring(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let (policy, element_size, how) = (POLICIES[input.below(3)], 1 + input.below(41), input.byte());
    // On a busy machine a nap takes longer than all the rest.
    let naps = if how & 0xc0 == 0 { NAPS } else { 0 };
    let mut shape = Shape { policy, element_size, capacity: 1 + usize::from(how) % 9, naps };
    let name = Name::new("ring");
    let mut ends: Vec<(Role, Option<Ring>)> = match shape.policy {
        Policy::Spsc => vec![Role::Producer, Role::Consumer],
        Policy::Mpsc => vec![Role::Producer, Role::Consumer, Role::Producer],
        Policy::Mpmc => vec![Role::Producer, Role::Consumer, Role::Producer, Role::Consumer],
    }
    .into_iter()
    .map(|role| (role, Some(shape.open(&name, role).expect("a name of our own"))))
    .collect();
    let places = seeds::places_of_ring(shape.policy, shape.element_size, shape.capacity);
    let mut steps = 0;
    let mut last = None;
    // Between two times at which ends close and come again, slots may be held.
    while steps < STEPS && !input.is_empty() {
        let memory = Memory::of(&name, last).expect("nobody removes it");
        let to_reopen = {
            let mut slots = Vec::new();
            loop {
                steps += 1;
                if steps >= STEPS || input.is_empty() {
                    break None;
                }
                let which = input.below(16);
                let end = input.below(ends.len());
                match (which, &ends[end]) {
                    (0..=7, (role, Some(ring))) => call(ring, *role, &mut slots, &mut shape, &mut input),
                    (8..=14, _) => memory.poke(Poke::next(&mut input, memory.size(), &places, |at| memory.word(at))),
                    (15, _) => break Some(end),
                    _ => {}
                }
            }
        };
        last = Some(memory);
        if let Some(end) = to_reopen {
            let (role, ring) = &mut ends[end];
            let was_open = ring.take().is_some();
            if !was_open || input.byte() & 1 == 0 {
                let ways = [libc::EBUSY, libc::EPROTO, libc::EBADMSG, libc::EAGAIN];
                *ring = allow(crate::ends("an open", || shape.open(&name, *role)), &ways);
            }
        }
    }
    true
}

fn call<'r>(ring: &'r Ring, role: Role, slots: &mut Vec<Slot<'r>>, shape: &mut Shape, input: &mut Input) {
    ends("a call", || shape.call(ring, role, slots, input));
    let (pending, available) = (ring.pending(), ring.available());
    assert!(pending <= shape.capacity && available <= shape.capacity, "{pending} {available} of {}", shape.capacity);
}

impl Shape {
    fn open(&self, name: &Name, role: Role) -> villas_shm::Result<Ring> {
        Ring::open_bytes(&name.0, self.policy, role, self.element_size, self.capacity)
    }

    fn nap(&mut self, input: &mut Input) -> Duration {
        if input.byte() & 1 == 0 || self.naps == 0 {
            return Duration::ZERO;
        }
        self.naps -= 1;
        NAP
    }

    fn call<'r>(&mut self, ring: &'r Ring, role: Role, slots: &mut Vec<Slot<'r>>, input: &mut Input) {
        const WAITED: [i32; 5] = [libc::EAGAIN, libc::ETIMEDOUT, libc::EINVAL, BROKEN[0], BROKEN[1]];
        let mut message = vec![input.byte(); self.element_size];
        match (input.below(8), role) {
            (0..=1, Role::Producer) => _ = allow(ring.try_push_bytes(&message), &WAITED),
            (0..=1, Role::Consumer) => _ = allow(ring.try_pop_bytes(&mut message), &WAITED),
            (2, Role::Producer) => _ = allow(ring.timed_push_bytes(&message, self.nap(input)), &WAITED),
            (2, Role::Consumer) => _ = allow(ring.timed_pop_bytes(&mut message, self.nap(input)), &WAITED),
            (3..=4, Role::Producer) => {
                if let Some(mut slot) = allow(ring.reserve(), &WAITED) {
                    slot.write_bytes(0, &message);
                    slots.push(Slot::Reserved(slot));
                }
            }
            (3..=4, Role::Consumer) => {
                if let Some(slot) = allow(ring.peek(), &WAITED) {
                    slot.read_bytes(0, &mut message);
                    slots.push(Slot::Peeked(slot));
                }
            }
            (5..=6, _) => {
                if !slots.is_empty() {
                    match slots.swap_remove(input.below(slots.len())) {
                        Slot::Reserved(mut slot) if input.byte() & 1 == 0 => {
                            slot.write_bytes(self.element_size, &[]);
                            allow(slot.commit(), &WAITED);
                        }
                        // Aborts.
                        Slot::Reserved(slot) => drop(slot),
                        Slot::Peeked(slot) => {
                            slot.read_bytes(0, &mut message);
                        }
                    }
                }
            }
            _ => {
                let stats = ring.stats();
                // Nothing but zeros: the ring is corrupt.
                if stats.region_size != 0 {
                    assert!(stats.pending <= self.capacity as u64 && stats.available <= self.capacity as u64, "{stats:?}");
                    assert!(stats.producers + stats.consumers <= 258, "{stats:?}");
                }
                let wrong_end = match role {
                    Role::Producer => ring.try_pop_bytes(&mut message),
                    Role::Consumer => ring.try_push_bytes(&message),
                };
                assert!(allow(wrong_end, &[libc::EINVAL, libc::ESTALE]).is_none(), "an end did what the other end does");
            }
        }
        std::hint::black_box(message);
    }
}
