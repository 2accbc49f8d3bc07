//! Tests with regions that VILLASnode wrote (`tests/wire/images`): this library reads them,
//! continues them, and makes the same, except for pointers.

use super::heap::{Heap, alloc_one};
use crate::channel::backend::Backend;
use crate::channel::wire::Wire;
use crate::error::Result;
use crate::layout::sample::Raw;
use crate::layout::wire::{HEAD, STOPPED, Which, WireFacts, WireView};
use crate::protocol::bounded::{claim_empty, claim_full};
use crate::protocol::flags::Flags;
use std::ops::Range;
use std::path::Path;

/// `false`: no room.
fn write_one(wire: &mut Wire, sample: &Raw) -> Result<bool> {
    let (sent, outcome) = wire.write(0, 1, |_| sample.address() as usize);
    outcome.map(|()| sent == 1)
}

/// The difference in length between this library's region and VILLASnode's.
const TRAILER: usize = 128;

/// `MODE-qQUEUELEN-sSAMPLELEN-STATE.img`
pub(super) struct Image {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    polling: bool,
    queuelen: u32,
    samplelen: u32,
    state: String,
}

impl Image {
    fn read(path: &Path) -> Image {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let parts: Vec<&str> = name.strip_suffix(".img").unwrap().splitn(4, '-').collect();
        let [mode, queuelen, samplelen, state] = parts[..] else { panic!("what is {name}?") };
        Image {
            bytes: std::fs::read(path).unwrap(),
            polling: mode == "polling",
            queuelen: queuelen[1..].parse().unwrap(),
            samplelen: samplelen[1..].parse().unwrap(),
            state: state.into(),
            name,
        }
    }

    /// The images of the repository, and those in the directory that `VILLASNODE_IMAGES` names.
    pub(super) fn all() -> Vec<Image> {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/images").to_string();
        let mut images = Vec::new();
        for directory in std::iter::once(own).chain(std::env::var("VILLASNODE_IMAGES").ok()) {
            let files = std::fs::read_dir(&directory).unwrap_or_else(|e| panic!("{directory}: {e}"));
            let paths = files.map(|file| file.unwrap().path());
            images.extend(paths.filter(|path| path.extension().is_some_and(|e| e == "img")).map(|path| Image::read(&path)));
        }
        assert!(images.len() >= 12, "only {} images", images.len());
        images.sort_by(|a, b| a.name.cmp(&b.name));
        images
    }

    fn facts(&self) -> WireFacts {
        WireFacts::new(self.polling, self.queuelen, self.samplelen).unwrap()
    }

    /// The numbers of the samples that are queued.
    fn queued(&self) -> Range<u64> {
        match self.state.as_str() {
            "fresh" => 0..0,
            "5-queued" => 0..5,
            "3-queued-1-held" | "closed" => 2..5,
            other => panic!("{}: what is {other}?", self.name),
        }
    }

    /// How many blocks a dead process holds.
    fn lost(&self) -> u32 {
        u32::from(self.queued().start > 0)
    }
}

fn flags_of(k: u64) -> i32 {
    let frame = if k == 4 { Flags::NEW_FRAME } else { Flags::NONE };
    (Flags::HAS_TS_ORIGIN | Flags::HAS_SEQUENCE | Flags::HAS_DATA | frame).bits()
}

fn check(sample: &Raw, k: u64, image: &str) {
    let header = sample.header();
    assert_eq!((header.sequence.get(), u64::from(sample.len())), (1000 + k, k + 1), "{image}: sample {k}");
    assert_eq!(header.flags.get() as i32, flags_of(k), "{image}: sample {k}");
    assert_eq!([header.origin[0].get(), header.origin[1].get()], [1_700_000_000 + k, 123_456_789], "{image}: sample {k}");
    assert_eq!([header.received[0].get(), header.received[1].get()], [0, 0], "{image}: sample {k}");
    for v in 0..sample.len() {
        let value = f64::from_bits(sample.value(v).get());
        assert_eq!(value, k as f64 + f64::from(v) / 10.0, "{image}: value {v} of sample {k}");
    }
}

fn fill(sample: &Raw, k: u64) {
    let header = sample.header();
    header.sequence.set(1000 + k);
    header.length.set(k as u32 + 1);
    header.flags.set(flags_of(k) as u32);
    header.origin[0].set(1_700_000_000 + k);
    header.origin[1].set(123_456_789);
    for v in 0..sample.len() {
        sample.value(v).set((k as f64 + f64::from(v) / 10.0).to_bits());
    }
}

fn read_all(wire: &mut Wire) -> Vec<Raw> {
    let mut samples = Vec::new();
    while wire.read(3, |_, sample| samples.push(sample)).unwrap() > 0 {}
    samples
}

fn alloc_all(wire: &mut Wire) -> Vec<Raw> {
    std::iter::from_fn(|| alloc_one(wire)).collect()
}

fn address(sample: &Raw) -> usize {
    sample.address() as usize
}

#[test]
fn each_image_is_what_this_library_would_make_of_its_parameters() {
    for image in Image::all() {
        let heap = Heap::of(&image.bytes);
        let view = heap.attach().unwrap_or_else(|e| panic!("{}: {e}", image.name));
        assert_eq!(*view.facts(), image.facts(), "{}", image.name);
        let state = view.queue(Which::Samples).state.observe();
        assert_eq!(state == STOPPED, image.state == "closed", "{}", image.name);
    }
}

#[test]
fn the_samples_of_each_image_are_read_as_they_were_written() {
    for image in Image::all() {
        let heap = Heap::of(&image.bytes);
        let mut wire = Wire::new(heap.attach().unwrap(), None).unwrap();
        let samples = read_all(&mut wire);
        assert_eq!(samples.len(), image.queued().count(), "{}", image.name);
        for (k, sample) in image.queued().zip(&samples) {
            check(sample, k, &image.name);
            assert_eq!(wire.put(address(sample)), Some(0), "{}", image.name);
        }
    }
}

#[test]
fn each_image_goes_on_as_a_live_region() {
    for image in Image::all() {
        let heap = Heap::of(&image.bytes);
        let mut wire = Wire::new(heap.attach().unwrap(), None).unwrap();
        for sample in read_all(&mut wire) {
            wire.put(address(&sample)).unwrap();
        }
        let blocks = (image.queuelen - image.lost()) as usize;
        // A few more rounds than cells, so that every position is used repeatedly.
        for round in 0..5 {
            let samples = alloc_all(&mut wire);
            assert_eq!(samples.len(), blocks, "{}: round {round}", image.name);
            assert!(samples.iter().map(address).collect::<std::collections::HashSet<_>>().len() == blocks);
            for (k, sample) in samples.iter().enumerate() {
                fill(sample, k as u64 % u64::from(image.samplelen));
                assert!(write_one(&mut wire, sample).unwrap(), "{}: sample {k}", image.name);
            }
            let read = read_all(&mut wire);
            assert_eq!(read.len(), blocks, "{}: round {round}", image.name);
            for (k, sample) in read.iter().enumerate() {
                check(sample, k as u64 % u64::from(image.samplelen), &image.name);
                assert_eq!(wire.put(address(sample)), Some(0));
            }
        }
        assert_eq!(wire.own.held(), 0);
    }
}

#[test]
fn a_block_that_an_image_shows_held_comes_back_when_its_holder_puts_it() {
    for image in Image::all().iter().filter(|image| image.lost() == 1) {
        let heap = Heap::of(&image.bytes);
        let view = heap.attach().unwrap();
        let mut wire = Wire::new(view, None).unwrap();
        let mut free = alloc_all(&mut wire);
        let queued = read_all(&mut wire);
        free.extend(&queued);
        let known: Vec<usize> = free.iter().map(address).collect();
        let held = (0..image.queuelen).find(|&block| !known.contains(&(view.blocks().address(block) as usize))).unwrap();
        check(&view.blocks().raw(held), 1, &image.name);
        // As the process that holds it would: the last reference, then the block.
        assert_eq!(view.references(held).add(u32::MAX), 1, "{}", image.name);
        let free = view.ends(Which::Free);
        claim_empty(&free, 1).unwrap().fill(&free, |_| view.data_of(Which::Free, held));
        assert_eq!(alloc_all(&mut wire).len(), 1, "{}", image.name);
    }
}

/// A writer of several died with the second half of a run claimed and not filled.
#[test]
fn what_lies_behind_the_claims_of_a_dead_writer_is_read_by_a_last_read() {
    let (_heap, view) = Heap::made(WireFacts::new(true, 8, 4).unwrap());
    let mut wire = Wire::new(view, None).unwrap();
    let samples: Vec<Raw> = std::iter::from_fn(|| alloc_one(&mut wire)).take(4).collect();
    samples.iter().enumerate().for_each(|(k, sample)| fill(sample, k as u64));
    let write = |wire: &mut Wire, range: Range<usize>| {
        let (sent, outcome) = wire.write(range.start, range.end, |at| address(&samples[at]));
        assert!(outcome.is_ok() && sent == range.end);
    };
    write(&mut wire, 0..2);
    let claimed = claim_empty(&view.ends(Which::Samples), 3).unwrap();
    assert_eq!(claimed.count(), 3);
    write(&mut wire, 2..4);
    let read = |wire: &mut Wire, last: bool| {
        let mut numbers = Vec::new();
        let give = |_, sample: Raw| numbers.push(sample.header().sequence.get());
        if last { wire.read_last(3, give) } else { wire.read(3, give) }.unwrap();
        numbers
    };
    assert_eq!(read(&mut wire, false), [1000, 1001]);
    assert_eq!(read(&mut wire, false), [0u64; 0], "the writer may still be at work");
    assert_eq!(read(&mut wire, true), [1002, 1003]);
    assert_eq!(read(&mut wire, true), [0u64; 0]);
}

/// The peer moves `tail` as far as it can and fills no cell: a call skips some, and comes back.
#[test]
fn a_last_read_does_not_follow_a_tail_without_an_end() {
    let (_heap, view) = Heap::made(WireFacts::new(false, 4096, 2).unwrap());
    let mut wire = Wire::new(view, None).unwrap();
    let queue = view.queue(Which::Samples);
    queue.tail.publish(view.cells(Which::Samples));
    assert_eq!(wire.read_last(3, |_, _| panic!("there is no sample")).unwrap(), 0);
    let skipped = queue.head.get();
    assert!((1..=1000).contains(&skipped), "{skipped} cells");
}

/// Where VILLASnode keeps addresses of its own process; this library leaves them zero.
fn pointers(heap: &Heap, view: &WireView) -> Vec<Range<usize>> {
    let facts = view.facts();
    let cells = |which: Which| std::ptr::from_ref(view.cell(which, 0)) as usize - heap.base() as usize;
    let (queue, pool) = (cells(Which::Samples), cells(Which::Free));
    let queue_end = queue + 16 * view.cells(Which::Samples) as usize;
    let pool_end = pool + 16 * view.cells(Which::Free) as usize;
    assert!(pool_end < facts.total_size() as usize);
    // The memory type's name, its two functions, its first chunk; each chunk's neighbours.
    let chunks = [48, HEAD as usize, queue_end, pool - 32, pool_end];
    [0..8, 24..32, 32..40, 40..48].into_iter().chain(chunks.map(|at| at..at + 16)).collect()
}

/// A region of this library, brought into the state of an image; where its pointers are; and how many
/// blocks it has taken ahead of their use.
fn imitate(image: &Image) -> (Vec<u8>, Vec<Range<usize>>, usize) {
    let (heap, view) = Heap::made(image.facts());
    let mut wire = Wire::new(view, None).unwrap();
    if image.state != "fresh" {
        let samples: Vec<Raw> = (0..5).map(|_| alloc_one(&mut wire).unwrap()).collect();
        for (k, sample) in samples.iter().enumerate() {
            fill(sample, k as u64);
            assert!(write_one(&mut wire, sample).unwrap());
        }
    }
    if image.lost() > 0 {
        let mut taken = Vec::new();
        assert_eq!(wire.read(2, |_, sample| taken.push(sample)).unwrap(), 2);
        wire.put(address(&taken[0])).unwrap();
    }
    if image.state == "closed" {
        view.queue(Which::Samples).state.publish(STOPPED);
    }
    wire.give_back();
    (heap.bytes(), pointers(&heap, &view), wire.own.kept())
}

#[test]
fn a_region_of_this_library_is_byte_for_byte_that_of_villasnode_but_for_pointers_and_the_trailer() {
    for image in Image::all() {
        let (made, pointers, ahead) = imitate(&image);
        assert_eq!(made.len(), image.bytes.len() + TRAILER, "{}", image.name);
        // VILLASnode takes one block when it needs one.
        let heap = Heap::of(&image.bytes);
        let view = heap.attach().unwrap();
        for _ in 0..ahead {
            claim_full(&view.ends(Which::Free), 1, |_, _| true).unwrap().empty(&view.ends(Which::Free));
        }
        for (at, (ours, theirs)) in made.iter().zip(&heap.bytes()).enumerate() {
            if pointers.iter().any(|range| range.contains(&at)) {
                assert_eq!(*ours, 0, "{}: a pointer at {at}", image.name);
            } else {
                assert_eq!(ours, theirs, "{}: at {at}", image.name);
            }
        }
    }
}
