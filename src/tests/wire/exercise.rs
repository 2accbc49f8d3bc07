//! Does everything that an open channel does with a region that any program may have made, for
//! tests and for the fuzzer. The contents may be anything; an access outside, an endless loop or a
//! panic is a bug.

use super::heap::{Heap, alloc_one};
use crate::channel::backend::Backend;
use crate::channel::wire::{Wire, doorbell};
use crate::error::Result;
use crate::layout::sample::Raw;
use crate::layout::signals::{self, SignalTable};
use crate::layout::trailer::Trailer;
use crate::layout::wire::{Which, WireFacts, WireView};
use std::time::Duration;

/// The result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exercised {
    /// It was accepted as a region.
    pub(crate) attached: bool,
    pub(crate) received: usize,
    pub(crate) allocated: usize,
    /// How often corruption was found after that.
    pub(crate) refused: usize,
}

/// See the module's description.
pub(crate) fn exercise(bytes: &[u8]) -> Exercised {
    let mut outcome = Exercised::default();
    for role in [as_the_peers, as_the_own] {
        let region = Heap::of(bytes);
        // SAFETY: so many bytes are there.
        let trailer = unsafe { Trailer::find(region.base(), bytes.len() as u64) };
        trailer.map(|trailer| trailer.holder().identity());
        let Ok(view) = region.attach() else { continue };
        outcome.attached = true;
        if let Some(trailer) = trailer {
            outcome.refused += usize::from(look_at_signals(&region, bytes.len() as u64, trailer, &view).is_err());
        }
        role(view, &mut outcome);
        use_the_bell(&view);
    }
    outcome
}

/// As an open does that finds a peer of this library.
fn look_at_signals(region: &Heap, size: u64, trailer: &Trailer, view: &WireView) -> Result<()> {
    let (at, length, count) = trailer.signals(size, view.facts().capacity())?;
    // SAFETY: within the region, as was checked.
    let table = unsafe { signals::copy(region.base().add(at as usize), length) }?;
    let table = SignalTable::checked(&signals::decode(&table, count)?)?;
    assert!(table.iter().enumerate().all(|(at, signal)| table.find(signal.name) == Some(at)));
    Ok(())
}

/// A channel that reads from the region: samples are looked at, kept, copied, sent back, put.
fn as_the_peers(view: WireView, outcome: &mut Exercised) {
    let Ok(facts) = WireFacts::new(true, 4, 3) else { return };
    let (_heap, own) = Heap::made(facts);
    let Ok(mut wire) = Wire::new(own, Some(view)) else { return };
    transfer(&mut wire, outcome);
}

/// A channel that writes into the region and reads from it.
fn as_the_own(view: WireView, outcome: &mut Exercised) {
    let Ok(mut wire) = Wire::new(view, None) else { return };
    transfer(&mut wire, outcome);
}

/// More than the cells of the test images, so that positions repeat.
const ROUNDS: usize = 40;

fn transfer(wire: &mut Wire, outcome: &mut Exercised) {
    let mut kept = Vec::new();
    for round in 0..ROUNDS {
        let last = round % 5 == 4;
        let mut samples = Vec::new();
        let received =
            if last { wire.read_last(3, |_, raw| samples.push(raw)) } else { wire.read(3, |_, raw| samples.push(raw)) };
        match received {
            Ok(count) => assert_eq!(count, samples.len()),
            Err(e) => {
                assert!(e.errno() == libc::EBADMSG && samples.is_empty(), "{e}");
                outcome.refused += 1;
            }
        }
        outcome.received += samples.len();
        samples.iter().for_each(|sample| look(wire, sample));
        match round % 3 {
            0 => give_back(wire, &samples),
            1 => send(wire, &samples),
            _ => kept.append(&mut samples),
        }
        wire.has_input_soon();
        samples.clear();
        outcome.allocated += wire.alloc(1 + round % 2, |_, sample| samples.push(sample));
        for sample in &samples {
            sample.header().length.set(sample.capacity());
            (0..sample.capacity()).for_each(|index| sample.value(index).set(u64::from(index)));
        }
        if round % 7 == 6 { kept.append(&mut samples) } else { send(wire, &samples) }
    }
    for sample in kept {
        // If the region names a sample twice, the late put is refused.
        wire.put(sample.address() as usize);
    }
}

fn look(wire: &mut Wire, sample: &Raw) {
    let address = sample.address() as usize;
    assert!(wire.live(address).is_some());
    (0..sample.len()).for_each(|index| _ = std::hint::black_box(sample.value(index).get()));
    if wire.get(address) > 0 {
        assert!(wire.put(address).is_some());
    }
    // No sample begins there.
    assert!(wire.live(address + 8).is_none());
    if let Some(copy) = alloc_one(wire) {
        let _ = copy.copy_from(sample);
        wire.put(copy.address() as usize);
    }
}

fn address(sample: &Raw) -> usize {
    sample.address() as usize
}

fn give_back(wire: &mut Wire, samples: &[Raw]) {
    assert_eq!(wire.put_all(|at| samples.get(at).map(address)), samples.len());
}

/// As a program does: the rest is given back.
fn send(wire: &mut Wire, samples: &[Raw]) {
    let (sent, _) = wire.write(0, samples.len(), |at| address(&samples[at]));
    give_back(wire, &samples[sent..]);
}

/// Without glibc's broadcast: in a region that a hostile peer has corrupted it may wait forever, as
/// documented.
fn use_the_bell(view: &WireView) {
    doorbell::is_anyone_waiting(view);
    if let Some(waiter) = doorbell::Waiter::new(view, Duration::ZERO) {
        let position = view.queue(Which::Samples).head.get();
        view.cell(Which::Samples, position).sequence.observe();
        // This takes longer than everything else, so the fuzzer does it in some regions only.
        if cfg!(test) || view.queue(Which::Samples).tail.get() & 7 == 7 {
            waiter.sleep(Duration::ZERO);
        }
    }
    doorbell::shake(view);
}
