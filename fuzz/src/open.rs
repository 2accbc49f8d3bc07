//! Regions of any bytes: opened, and used if the library takes them for what they say they are.

use std::time::Duration;

use villas_shm::{Channel, Policy, Ring, Role, Segment, SegmentOptions, fuzzing};

use crate::input::{Input, Poke};
use crate::object::Stage;
use crate::seeds;
use crate::side::Side;
use crate::{allow, ends};

/// Calls on what was opened.
const CALLS: usize = 24;

/// Any bytes as the region of a channel that a program opens, or a node creates again.
pub fn open_channel(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let region = seeds::region(&mut input, seeds::channels());
    Stage::with(&region, |stage| channel_on(stage, how, &mut input))
}

fn channel_on(stage: &Stage, how: u8, input: &mut Input) -> bool {
    let name = &stage.name.0;
    // A node that lives, as far as its lock tells.
    let node = (how & 4 != 0).then(|| stage.lock(1 << 60 | 1));
    let ways = [libc::EAGAIN, libc::EBADMSG, libc::EBUSY, libc::ENOENT, libc::EPROTO, libc::ENOSPC];
    let opened = ends("an open", || match how & 3 {
        0 if how & 32 != 0 => Channel::create(name, &seeds::with_signals()),
        0 => Channel::create(name, &seeds::channel()),
        1 => Channel::create(name, &seeds::channel().queuelen(2)),
        _ => Channel::open(name),
    });
    let Some(channel) = allow(opened, &ways) else { return false };
    let mut side = Side::new(channel, how & 24 == 0);
    for _ in 0..CALLS {
        if input.is_empty() {
            break;
        }
        side.call(input);
    }
    drop((side, node));
    true
}

/// Any bytes as a ring, for each policy and role.
pub fn open_ring(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let region = seeds::region(&mut input, seeds::rings());
    // Mostly as what it says it is, so that it gets past the door.
    let said = if region.len() >= 0x20 { region[12] } else { 0 };
    let (policy, element_size, capacity) = match (how >> 1 & 7, said) {
        (0, _) => (Policy::Spsc, 8, 3),
        (1, _) => (Policy::Mpmc, 8, 3),
        (_, 3) => (Policy::Mpmc, number(&region, 24), number(&region, 28)),
        (_, 2) => (Policy::Mpsc, number(&region, 24), number(&region, 28)),
        _ => (Policy::Spsc, number(&region, 24), number(&region, 28)),
    };
    let role = if how & 1 == 0 { Role::Producer } else { Role::Consumer };
    let ways = [libc::EAGAIN, libc::EBADMSG, libc::EBUSY, libc::EPROTO, libc::EINVAL];
    Stage::with(&region, |stage| {
        let opened = ends("an open", || Ring::open_bytes(&stage.name.0, policy, role, element_size, capacity));
        let Some(ring) = allow(opened, &ways) else { return false };
        ends("the calls", || use_ring(&ring, role, &mut input));
        true
    })
}

fn number(region: &[u8], at: usize) -> usize {
    region.get(at..at + 4).map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
}

fn use_ring(ring: &Ring, role: Role, input: &mut Input) {
    let ways = [libc::EAGAIN, libc::ETIMEDOUT, libc::EBADMSG, libc::ESTALE];
    let mut message = vec![1; ring.element_size()];
    for _ in 0..CALLS {
        match (input.below(4), role) {
            (0, Role::Producer) => _ = allow(ring.try_push_bytes(&message), &ways),
            (0, Role::Consumer) => _ = allow(ring.try_pop_bytes(&mut message), &ways),
            (1, Role::Producer) => {
                if let Some(mut slot) = allow(ring.reserve(), &ways) {
                    slot.write_bytes(0, &message);
                    allow(slot.commit(), &ways);
                }
            }
            (1, Role::Consumer) => _ = allow(ring.peek(), &ways).map(|slot| slot.read_bytes(0, &mut message)),
            (2, Role::Producer) => _ = allow(ring.timed_push_bytes(&message, Duration::ZERO), &ways),
            (2, Role::Consumer) => _ = allow(ring.timed_pop_bytes(&mut message, Duration::ZERO), &ways),
            _ => {
                let (stats, most) = (ring.stats(), ring.capacity());
                assert!(ring.pending() <= most && ring.available() <= most && stats.pending <= most as u64, "{stats:?}");
            }
        }
        if input.is_empty() {
            break;
        }
    }
}

/// Any bytes as a segment: values, bytes and events anywhere in it and beyond, while the events' words are stored to.
pub fn open_event(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let options = SegmentOptions { size: input.below(3) * 40, read_only: input.byte() == 0, ..SegmentOptions::default() };
    let region: Vec<u8> = (0..input.byte()).map(|at| at ^ 0x5a).collect();
    Stage::with(&region, |stage| segment_on(stage, &region, &options, &mut input))
}

fn segment_on(stage: &Stage, region: &[u8], options: &SegmentOptions, input: &mut Input) -> bool {
    let opened = ends("an open", || Segment::open(&stage.name.0, options));
    let Some(segment) = allow(opened, &[libc::EPROTO, libc::EBADMSG, libc::EAGAIN]) else { return false };
    assert_eq!(segment.size(), region.len());
    let mut seen = [0; 4];
    let mut naps = 2;
    for _ in 0..4 * CALLS {
        if input.is_empty() {
            break;
        }
        let offset = match input.byte() {
            byte @ 0..=239 => usize::from(byte),
            byte => usize::MAX - usize::from(byte & 15),
        };
        let fits = |length: usize, align: usize| {
            offset.checked_add(length).is_some_and(|end| end <= region.len() && offset % align == 0)
        };
        match input.below(6) {
            0 => assert_eq!(segment.get::<u32>(offset).is_ok(), fits(4, 4)),
            1 => assert_eq!(segment.set(offset, input.word()).is_ok(), fits(8, 8) && !options.read_only),
            2 => {
                let mut to = vec![0; input.byte().into()];
                assert_eq!(segment.read(offset, &mut to).is_ok(), fits(to.len(), 1));
            }
            3 => {
                let from = vec![3; input.byte().into()];
                assert_eq!(segment.write(offset, &from).is_ok(), fits(from.len(), 1) && !options.read_only);
            }
            4 => {
                if let Some(memory) = stage.memory() {
                    memory.poke(Poke::next(input, memory.size(), &[0, 8, 16, 24], |at| memory.word(at)));
                }
            }
            _ => {
                let event = segment.event(offset);
                assert_eq!(event.is_ok(), fits(8, 8) && !options.read_only);
                let Ok(event) = event else { continue };
                let seen = &mut seen[offset / 8 % 4];
                event.signal();
                assert!(event.count() <= u64::MAX >> 1);
                let _ = ends("a try", || event.try_wait(seen));
                if naps > 0 && input.byte() == 1 {
                    naps -= 1;
                    let _ = ends("a wait", || event.timed_wait(seen, Some(Duration::from_micros(20))));
                }
            }
        }
    }
    true
}

/// Any bytes as a region of VILLASnode's layout, in the heap, where the sanitizer sees every step outside.
pub fn wire(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let region = seeds::region(&mut input, seeds::wires());
    ends("a wire channel", || fuzzing::wire(&region))
}
