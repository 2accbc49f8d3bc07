//! Tests with regions that are nearly right: mutations of what VILLASnode and this library write,
//! and noise ([`crate::tests::prng`]).

use super::exercise::exercise;
use super::heap::Heap;
#[cfg(target_arch = "x86_64")]
use super::images::Image;
use crate::channel::backend::Backend;
use crate::channel::wire::Wire;
use crate::layout::sample::Raw;
use crate::layout::wire::{HEAD, WireFacts, WireView};
use crate::tests::prng::{Prng, try_cases};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

/// The 8-byte words of a region's head that have a meaning: state, mask, cells, tail and head of
/// both queues, mode, condition and mutex, and the pool's own description. On x86-64.
const WORDS: [usize; 28] = [
    88, 160, 168, 240, 312, 384, 392, 400, 408, 416, 424, 432, 440, 448, 456, 464, 480, 488, 496, 504, 512, 520, 592, 600, 672,
    744, 848, 856,
];

/// Where the cells begin.
const BODY: usize = HEAD as usize + 32;

/// Where a word of the head is on this machine: all behind the mutex moves with its size.
fn here(at: usize) -> usize {
    if at < 480 { at } else { at + BODY - 848 }
}

fn put_word(region: &mut [u8], at: usize, word: u64) {
    if let Some(place) = region.get_mut(at..at + 8) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

fn get_word(region: &[u8], at: usize) -> u64 {
    region.get(at..at + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().unwrap()))
}

/// A number at an edge, or near the previous value.
fn interesting(prng: &mut Prng, before: u64, size: usize) -> u64 {
    let near = prng.one_of(&[1, 2, 8, 16, 32, 64, 128, 640, 4096]);
    match prng.below(8) {
        0 => before.wrapping_add(near),
        1 => before.wrapping_sub(near),
        2 => prng.one_of(&[0, 1, 2, 3, 5, u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64, u32::MAX.into(), 1 << 32]),
        3 => (size as u64).wrapping_sub(near),
        4 => before ^ 1 << prng.below(64),
        5 => prng.one_of(&[88, here(480) as u64, here(520) as u64]).wrapping_neg().wrapping_add(near),
        6 => prng.next() >> prng.below(64),
        _ => before.wrapping_mul(near),
    }
}

fn mutate(prng: &mut Prng, region: &mut Vec<u8>) {
    let size = region.len();
    match prng.below(10) {
        0..=2 => {
            let at = here(prng.one_of(&WORDS));
            let word = interesting(prng, get_word(region, at), size);
            put_word(region, at, word);
        }
        3..=5 => {
            // Cells and samples: after the head.
            let at = BODY + 8 * prng.below(size.saturating_sub(BODY) / 8);
            let word = interesting(prng, get_word(region, at), size);
            put_word(region, at, word);
        }
        6 => {
            let at = prng.below(size);
            if let Some(byte) = region.get_mut(at) {
                *byte ^= 1 << prng.below(8);
            }
        }
        7 => {
            let length = 8 * (1 + prng.below(32));
            let (from, to) = (8 * prng.below(size / 8), 8 * prng.below(size / 8));
            if from + length <= size && to + length <= size {
                region.copy_within(from..from + length, to);
            }
        }
        8 => {
            let from = prng.below(size);
            let length = 1 + prng.below(256);
            let byte = prng.one_of(&[0, 0xff, 0x41, 1]);
            region.iter_mut().skip(from).take(length).for_each(|b| *b = byte);
        }
        _ => region.resize(
            prng.one_of(&[size.saturating_sub(8), size + 8, size / 2, HEAD as usize, HEAD as usize - 1, 2 * size, size + 4096]),
            0xa5,
        ),
    }
}

/// The inputs of mutations: the small images, and a region of this library with its trailer.
fn seeds() -> Vec<Vec<u8>> {
    #[cfg(target_arch = "x86_64")]
    let images = Image::all().into_iter().map(|image| image.bytes).filter(|bytes| bytes.len() < 100_000);
    #[cfg(not(target_arch = "x86_64"))]
    let images = std::iter::empty();
    let (heap, view) = Heap::made(WireFacts::new(false, 5, 4).unwrap());
    let me = crate::sys::process::Identity::mine();
    view.fresh_trailer(0, &[]).holder().occupy(1, &me);
    images.chain([heap.bytes()]).collect()
}

fn mutant(seeds: &[Vec<u8>], prng: &mut Prng) -> Vec<u8> {
    let mut region = seeds[prng.below(seeds.len())].clone();
    if prng.below(200) == 0 {
        region.iter_mut().for_each(|byte| *byte = prng.next() as u8);
    }
    for _ in 0..prng.below(6) {
        mutate(prng, &mut region);
    }
    region
}

#[test]
fn regions_that_are_nearly_right_are_used_or_refused_and_never_lead_outside() {
    let seeds = seeds();
    let (mut attached, mut refused, mut received, mut allocated) = (0, 0, 0, 0);
    let cases = try_cases(|prng| {
        let outcome = exercise(&mutant(&seeds, prng));
        attached += u64::from(outcome.attached);
        refused += outcome.refused as u64;
        received += outcome.received as u64;
        allocated += outcome.allocated as u64;
    });
    println!(
        "{cases} cases: {attached} attached, {received} samples received, {allocated} allocated, {refused} refusals after that"
    );
    // Some were refused at once and some were not; some of the accepted ones were found corrupt
    // later.
    assert!(attached > cases / 4 && attached < cases * 19 / 20, "{attached} of {cases} attached");
    assert!(received > cases && allocated > cases && refused > 0, "{received} {allocated} {refused}");
}

/// Every one of the words, with every edge value, one at a time.
#[test]
fn no_single_word_of_the_head_leads_outside() {
    let mut refused = 0;
    let seeds = seeds();
    for seed in &seeds {
        for at in WORDS.map(here) {
            let before = get_word(seed, at);
            let size = seed.len() as u64;
            let near =
                [before ^ 1, before + 1, before.wrapping_sub(1), before + 8, before.wrapping_sub(8), before * 2, before << 32];
            let edges =
                [0, 1, 2, 3, 7, size, size - 8, size - 64, u64::MAX, u64::MAX - 7, 1 << 63, (1 << 63) - 1, 1 << 31, 1 << 32];
            for word in near.into_iter().chain(edges) {
                let mut region = seed.clone();
                put_word(&mut region, at, word);
                refused += u64::from(!exercise(&region).attached);
            }
        }
    }
    assert!(refused > 200 * seeds.len() as u64, "only {refused} were refused, of {} regions", seeds.len());
}

#[test]
fn a_region_of_any_length_is_refused_or_used() {
    let head = HEAD as usize;
    for seed in seeds() {
        for length in (0..seed.len()).step_by(8).chain([head - 1, head, head + 1, seed.len() - 1]) {
            let outcome = exercise(&seed[..length]);
            assert!(!outcome.attached || length > head, "{length} bytes");
        }
    }
}

/// Stores random bytes into a region until told to stop.
fn scribble(view_base: usize, size: usize, stop: &AtomicBool, seed: u64) {
    let mut prng = Prng(seed);
    while !stop.load(Relaxed) {
        let at = prng.below(size);
        // SAFETY: within the region, which lives until this thread has been joined.
        let byte = unsafe { &*((view_base + at) as *const AtomicU8) };
        byte.store(prng.next() as u8, Relaxed);
    }
}

/// Facts are read once; all that can change later is checked at each use.
#[test]
fn a_region_that_changes_under_the_hands_never_leads_outside() {
    for (round, seed) in seeds().iter().enumerate() {
        let heap = Heap::of(seed);
        let view = heap.attach().unwrap();
        let stop = AtomicBool::new(false);
        let base = heap.base() as usize;
        std::thread::scope(|scope| {
            scope.spawn(|| scribble(base, seed.len(), &stop, round as u64));
            for _ in 0..100 {
                use_region(view);
            }
            stop.store(true, Relaxed);
        });
    }
}

fn use_region(view: WireView) {
    let mut wire = Wire::new(view, None).unwrap();
    let pool = view.blocks().address(0) as usize..view.blocks().address(view.facts().blocks) as usize;
    for most in [1, 2, 5].into_iter().cycle().take(20) {
        let mut samples = Vec::new();
        let _ = wire.read(most, |_, sample| samples.push(sample));
        for sample in &samples {
            assert!(pool.contains(&(sample.address() as usize)));
            (0..sample.len()).for_each(|index| _ = std::hint::black_box(sample.value(index).get()));
        }
        let address = |samples: &[Raw], at: usize| samples.get(at).map(|sample| sample.address() as usize);
        assert_eq!(wire.put_all(|at| address(&samples, at)), samples.len());
        samples.clear();
        wire.alloc(most, |_, sample| samples.push(sample));
        let (sent, _) = wire.write(0, samples.len(), |at| address(&samples, at).unwrap());
        assert_eq!(wire.put_all(|at| address(&samples, sent + at)), samples.len() - sent);
    }
    assert_eq!(wire.own.held(), 0);
}
