//! The wire layout: a region as VILLASnode 1.2 makes it with glibc, one for each direction, and
//! what this library appends. On aarch64 the mutex has 48 bytes, and all behind it lies 8 further.
//!
//! ```text
//!    0  memory type   name ptr, flags u32, alignment u64 at 16, 2 ptrs, first chunk ptr   48 bytes
//!   48  chunk         prev ptr, next ptr, length u64 (without its header), used u8 at 24    32
//!   80  shared        polling i32; then at
//!   88    signalled queue   queue 296, mode i32 at 296, flags i32, condition 48 at 304,
//!                           mutex 40 at 352
//!  480    pool              state i32, buffer i64 at 8, length u64, block size u64,
//!                           alignment u64, queue 296 at 40
//!  816  chunk
//!  848  cells of the queue     16 × cells: sequence u64, data i64
//!   …   chunk, gap, blocks     block size × queue length, from a multiple of 64
//!   …   chunk, cells of the pool's queue
//!   …   chunk                  the rest, unused; ends where VILLASnode's region ends
//!   …   signals                this library's alone, as `signals` has them, up to a multiple of 8
//!   …   trailer 128            this library's alone: the region's maker
//! ```
//!
//! A queue is state i32, mask u64 at 72, cells i64 at 80, tail u64 at 152, head u64 at 224. Offsets
//! of cells count from their queue, of the pool's blocks from the pool; `data` counts from the
//! queue. Pointers are the maker's and are never followed.
//!
//! What attaching needs is computed from the fields, checked against the size, and kept privately.

#[cfg(test)]
#[path = "../tests/fields/wire.rs"]
mod fields;

use super::blocks::Blocks;
use super::channel::{MAX_QUEUELEN, MAX_SAMPLELEN};
use super::glibc::{Condition, GlibcMutex, MUTEX, MUTEX_KIND};
use super::sample;
use super::trailer::{TRAILER, Trailer};
use crate::error::{Error, Result};
use crate::protocol::atomics::{self, Shared32, Shared64};
use crate::protocol::bounded::BoundedWords;
use crate::sys::condition;
use std::mem::{offset_of, size_of};

/// The state of a queue or pool that may be used.
pub(crate) const INITIALISED: u32 = 1;
/// The state of a queue whose writer has closed.
pub(crate) const STOPPED: u32 = 5;

const MODE_PTHREAD: u32 = 1;
const MODE_POLLING: u32 = 2;

const CHUNK: u64 = 32;
const FIRST_CHUNK: u64 = 48;
const SHARED: u64 = FIRST_CHUNK + CHUNK;
const QUEUE: u64 = SHARED + 8;
const POOL: u64 = SHARED + offset_of!(Shared, pool) as u64;
const POOL_QUEUE: u64 = POOL + 40;
pub(crate) const HEAD: u64 = SHARED + size_of::<Shared>() as u64;
pub(crate) const CELL: u64 = size_of::<Cell>() as u64;

/// A bounded queue of Dmitry Vyukov's.
#[repr(C)]
pub(crate) struct WireQueue {
    pub(crate) state: Shared32,
    _0: [u32; 17],
    mask: Shared64,
    cells: Shared64,
    _1: [u64; 8],
    pub(crate) tail: Shared64,
    _2: [u64; 8],
    pub(crate) head: Shared64,
    _3: [u64; 8],
}

/// A place in a queue. Its sequence is its position when it is empty, one more when it is full.
#[repr(C)]
pub(crate) struct Cell {
    pub(crate) sequence: Shared64,
    pub(crate) data: Shared64,
}

#[repr(C)]
struct Signalled {
    queue: WireQueue,
    mode: Shared32,
    flags: Shared32,
    condition: Condition,
    mutex: GlibcMutex,
}

#[repr(C)]
struct WirePool {
    state: Shared32,
    _padding: u32,
    buffer: Shared64,
    length: Shared64,
    block_size: Shared64,
    alignment: Shared64,
    queue: WireQueue,
}

#[repr(C)]
struct Shared {
    polling: Shared32,
    _padding: u32,
    queue: Signalled,
    pool: WirePool,
}

#[repr(C)]
struct Chunk {
    _prev: u64,
    _next: u64,
    length: Shared64,
    used: Shared32,
    _padding: u32,
}

const _: () = {
    assert!(size_of::<WireQueue>() == 296 && offset_of!(WireQueue, mask) == 72 && offset_of!(WireQueue, cells) == 80);
    assert!(offset_of!(WireQueue, tail) == 152 && offset_of!(WireQueue, head) == 224);
    assert!(size_of::<Signalled>() == 352 + MUTEX && offset_of!(Signalled, mode) == 296);
    assert!(offset_of!(Signalled, condition) == 304 && offset_of!(Signalled, mutex) == 352);
    assert!(size_of::<WirePool>() == 336 && offset_of!(WirePool, queue) == 40);
    assert!(size_of::<Shared>() == 696 + MUTEX && offset_of!(Shared, pool) == 360 + MUTEX && HEAD == 776 + MUTEX as u64);
    assert!(size_of::<Cell>() == 16 && size_of::<Chunk>() == 32);
};

/// The facts of a region, checked and kept in private memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireFacts {
    pub(crate) polling: bool,
    /// Blocks of the pool; no more samples can be queued.
    pub(crate) blocks: u32,
    pub(crate) block_size: u32,
    /// Of the queue and of the pool's queue: powers of two.
    pub(crate) cells: [u64; 2],
    /// Where the cells begin in the region.
    pub(crate) cells_at: [u64; 2],
    pub(crate) pool_at: u64,
    /// Without the table of signals and the trailer.
    length: u64,
    signals_size: u64,
}

impl WireFacts {
    /// The layout that VILLASnode makes of these parameters; longer where VILLASnode's own sum is
    /// too short for it.
    pub(crate) fn new(polling: bool, queuelen: u32, samplelen: u32) -> Result<WireFacts> {
        let check = |what: &str, value: u32, most: u32| {
            if (1..=most).contains(&value) {
                Ok(())
            } else {
                Err(Error::invalid(format!("{what} is {value}, but must be from 1 to {most}")))
            }
        };
        check("queuelen", queuelen, MAX_QUEUELEN)?;
        check("samplelen", samplelen, MAX_SAMPLELEN)?;
        let block_size = sample::block_size(samplelen);
        let count = u64::from(queuelen);
        // With one cell a full queue looks like an empty one.
        let cells = count.next_power_of_two().max(2);
        let queue_at = HEAD + CHUNK;
        let pool_at = (queue_at + CELL * cells + CHUNK).next_multiple_of(sample::LINE as u64);
        let pool_cells_at = pool_at + block_size * count + CHUNK;
        let used = pool_cells_at + CELL * cells + CHUNK;
        let villas = FIRST_CHUNK + size_of::<Shared>() as u64 + count * (2 * CELL + block_size) + 4 * CHUNK + 1024;
        let length = villas.max(used).next_multiple_of(8);
        if block_size * count >= (1 << 32) * sample::LINE as u64 {
            return Err(Error::invalid(format!(
                "queuelen {queuelen} with samplelen {samplelen} takes more memory than a region can have"
            )));
        }
        Ok(WireFacts {
            polling,
            blocks: queuelen,
            block_size: block_size as u32,
            cells: [cells; 2],
            cells_at: [queue_at, pool_cells_at],
            pool_at,
            length,
            signals_size: 0,
        })
    }

    /// With a table of signals of so many bytes.
    pub(crate) fn with_signals(self, signals_size: u64) -> WireFacts {
        WireFacts { signals_size, ..self }
    }

    /// Bytes of a region of this library.
    pub(crate) fn total_size(&self) -> u64 {
        self.trailer_at() + TRAILER
    }

    fn trailer_at(&self) -> u64 {
        self.length + self.signals_size.next_multiple_of(8)
    }

    /// How many values fit into a block.
    pub(crate) fn capacity(&self) -> u32 {
        (self.block_size - sample::DATA as u32) / 8
    }

    /// Reads and checks the facts of a region of `size` bytes, which any program may have made.
    /// `EAGAIN`: its maker is still at work.
    ///
    /// # Safety
    /// At `base`, page-aligned, are `size` mapped bytes.
    pub(crate) unsafe fn read(base: *const u8, size: u64) -> Result<WireFacts> {
        let wrong = |what: &str| Err(Error::corrupt(format!("not a region of the wire layout, or corrupt: {what}")));
        if size < HEAD {
            return wrong(&format!("it has only {size} bytes"));
        }
        // SAFETY: long enough, aligned, all atomics.
        let shared = unsafe { &*base.add(SHARED as usize).cast::<Shared>() };
        let states = [shared.queue.queue.state.observe(), shared.pool.queue.state.observe(), shared.pool.state.observe()];
        if states.contains(&0) {
            return Err(Error::new(libc::EAGAIN, "the region is not ready yet: its maker is still at work"));
        }
        if !matches!(states, [INITIALISED | STOPPED, INITIALISED | STOPPED, INITIALISED]) {
            return wrong(&format!("the states of its queues and pool are {states:?}"));
        }
        let mode = shared.queue.mode.get();
        if mode != MODE_PTHREAD && mode != MODE_POLLING {
            return wrong(&format!("its mode is {mode}"));
        }
        if mode == MODE_PTHREAD && shared.queue.mutex.kind.get() != MUTEX_KIND {
            return wrong("its mutex is of another kind than plain and process-shared");
        }
        let (length, block_size) = (shared.pool.length.get(), shared.pool.block_size.get());
        let least = sample::block_size(1);
        if block_size < least || block_size > sample::block_size(MAX_SAMPLELEN) || block_size % sample::LINE as u64 != 0 {
            return wrong(&format!("its blocks have {block_size} bytes"));
        }
        let blocks = length / block_size;
        if blocks == 0 || blocks > u64::from(MAX_QUEUELEN) || length % block_size != 0 {
            return wrong(&format!("its pool has {length} bytes, in blocks of {block_size}"));
        }
        let pool_at = POOL.wrapping_add(shared.pool.buffer.get());
        let mut parts = vec![(0, HEAD), (pool_at, length)];
        let (mut cells, mut cells_at) = ([0; 2], [0; 2]);
        for (i, (queue, at)) in [(&shared.queue.queue, QUEUE), (&shared.pool.queue, POOL_QUEUE)].into_iter().enumerate() {
            cells[i] = queue.mask.get().wrapping_add(1);
            cells_at[i] = at.wrapping_add(queue.cells.get());
            if cells[i] < 2 || cells[i] > 2 * u64::from(MAX_QUEUELEN) || !cells[i].is_power_of_two() {
                return wrong(&format!("a queue has {} cells", cells[i]));
            }
            if cells_at[i] % 8 != 0 {
                return wrong(&format!("the cells of a queue begin at {:#x}", cells_at[i]));
            }
            parts.push((cells_at[i], CELL * cells[i]));
        }
        if cells[1] < blocks {
            return wrong(&format!("its pool has {blocks} blocks, but room for {}", cells[1]));
        }
        if pool_at % sample::LINE as u64 != 0 {
            return wrong(&format!("its blocks begin at {pool_at:#x}"));
        }
        parts.sort_unstable();
        let mut end = 0;
        for (at, length) in parts {
            if at < end || at > size || size - at < length {
                return wrong("its parts overlap, or reach beyond its end");
            }
            end = at + length;
        }
        Ok(WireFacts {
            polling: mode == MODE_POLLING,
            blocks: blocks as u32,
            block_size: block_size as u32,
            cells,
            cells_at,
            pool_at,
            length: size,
            signals_size: 0,
        })
    }
}

/// Which of the two queues of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Of samples, from the maker to its peer.
    Samples = 0,
    /// Of free blocks.
    Free = 1,
}

/// A queue of a region, with its cells.
#[derive(Clone, Copy)]
pub(crate) struct WireEnds<'v> {
    queue: &'v WireQueue,
    cells: *const u8,
    mask: u64,
}

impl WireEnds<'_> {
    #[inline(always)]
    fn cell(&self, position: u64) -> &Cell {
        // SAFETY: the cells lie within the mapping, 8-aligned; the mask keeps the index among them.
        unsafe { &*self.cells.cast::<Cell>().add((position & self.mask) as usize) }
    }
}

impl BoundedWords for WireEnds<'_> {
    #[inline(always)]
    fn cells(&self) -> u64 {
        self.mask + 1
    }
    #[inline(always)]
    fn tail(&self) -> &Shared64 {
        &self.queue.tail
    }
    #[inline(always)]
    fn head(&self) -> &Shared64 {
        &self.queue.head
    }
    #[inline(always)]
    fn sequence(&self, position: u64) -> &Shared64 {
        &self.cell(position).sequence
    }
    #[inline(always)]
    fn data(&self, position: u64) -> &Shared64 {
        &self.cell(position).data
    }
}

/// A mapped region whose facts have been checked.
#[derive(Clone, Copy)]
pub(crate) struct WireView {
    base: *const u8,
    blocks: Blocks,
    facts: WireFacts,
}

// SAFETY: a view only leads to atomics, which every thread may use.
unsafe impl Send for WireView {}
// SAFETY: as above.
unsafe impl Sync for WireView {}

impl WireView {
    /// # Safety
    /// `base` must be the page-aligned start of a mapping as long as `facts` say, which stays for
    /// as long as the view is used.
    pub(crate) unsafe fn new(base: *const u8, facts: WireFacts) -> WireView {
        // SAFETY: the pool lies within the mapping, 64-aligned, `capacity` values fit into a block.
        let blocks = unsafe { Blocks::new(base.add(facts.pool_at as usize), facts.blocks, facts.block_size, facts.capacity()) };
        WireView { base, blocks, facts }
    }

    pub(crate) fn facts(&self) -> &WireFacts {
        &self.facts
    }

    pub(crate) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    #[inline(always)]
    fn shared(&self) -> &Shared {
        // SAFETY: a region is longer than this (checked by `WireFacts::read`), 8-aligned, all
        // atomics.
        unsafe { &*self.base.add(SHARED as usize).cast::<Shared>() }
    }

    #[inline(always)]
    pub(crate) fn queue(&self, which: Which) -> &WireQueue {
        match which {
            Which::Samples => &self.shared().queue.queue,
            Which::Free => &self.shared().pool.queue,
        }
    }

    pub(crate) fn condition(&self) -> &Condition {
        &self.shared().queue.condition
    }

    pub(crate) fn mutex(&self) -> &GlibcMutex {
        &self.shared().queue.mutex
    }

    /// Cells of a queue.
    #[inline(always)]
    pub(crate) fn cells(&self, which: Which) -> u64 {
        self.facts.cells[which as usize]
    }

    /// A queue, for `protocol::bounded`.
    #[inline(always)]
    pub(crate) fn ends(&self, which: Which) -> WireEnds<'_> {
        let cells = self.base.wrapping_add(self.facts.cells_at[which as usize] as usize);
        WireEnds { queue: self.queue(which), cells, mask: self.cells(which) - 1 }
    }

    /// The cell of a position.
    #[inline(always)]
    pub(crate) fn cell(&self, which: Which, position: u64) -> &Cell {
        let ends = self.ends(which);
        // SAFETY: as in `WireEnds::cell`, for as long as the view is used.
        unsafe { &*std::ptr::from_ref(ends.cell(position)) }
    }

    /// What `data` of a cell says of `block`.
    #[inline(always)]
    pub(crate) fn data_of(&self, which: Which, block: u32) -> u64 {
        let at = self.facts.pool_at + u64::from(block) * u64::from(self.facts.block_size);
        at.wrapping_sub(if which == Which::Samples { QUEUE } else { POOL_QUEUE })
    }

    /// The block that `data` of a cell names, if it names one.
    #[inline(always)]
    pub(crate) fn block_of(&self, which: Which, data: u64) -> Option<u32> {
        let at = data.wrapping_add(if which == Which::Samples { QUEUE } else { POOL_QUEUE });
        self.blocks.at((self.base as usize).wrapping_add(at as usize)).map(|(block, _)| block)
    }

    /// References to a block, of all processes.
    #[inline(always)]
    pub(crate) fn references(&self, block: u32) -> &Shared32 {
        // SAFETY: within the block's header, 4-aligned.
        unsafe { &*self.blocks.address(block).add(40).cast::<Shared32>() }
    }

    /// Writes what VILLASnode expects in a sample besides what it says: no signals, and where its
    /// pool is.
    #[inline(always)]
    pub(crate) fn complete(&self, block: u32) {
        let header = self.blocks.header(block);
        header.positions[0][0].set(0);
        header.positions[0][1].set(0);
        let at = self.facts.pool_at + u64::from(block) * u64::from(self.facts.block_size);
        header.positions[1][1].set(POOL.wrapping_sub(at));
    }

    /// Writes everything into a fresh, zeroed region; what it leaves zero is VILLASnode's pointers.
    pub(crate) fn initialise(&self) {
        let facts = self.facts;
        let chunk = |at: u64, end: u64, used: bool| {
            // SAFETY: the chunk lies within the region, 8-aligned.
            let chunk = unsafe { &*self.base.add(at as usize).cast::<Chunk>() };
            chunk.length.set(end - at - CHUNK);
            chunk.used.set(u32::from(used));
        };
        // SAFETY: within the region, 8-aligned.
        unsafe { &*self.base.add(16).cast::<Shared64>() }.set(1);
        let queue_end = facts.cells_at[0] + CELL * facts.cells[0];
        let pool_end = facts.cells_at[1] - CHUNK;
        let free_end = facts.cells_at[1] + CELL * facts.cells[1];
        chunk(FIRST_CHUNK, HEAD, true);
        chunk(HEAD, queue_end, true);
        chunk(queue_end, pool_end, true);
        chunk(pool_end, free_end, true);
        chunk(free_end, facts.length, false);

        let shared = self.shared();
        let sides = [(Which::Samples, QUEUE), (Which::Free, POOL_QUEUE)];
        for (which, at) in sides {
            let queue = self.queue(which);
            queue.mask.set(self.cells(which) - 1);
            queue.cells.set(facts.cells_at[which as usize] - at);
            for position in 0..self.cells(which) {
                self.cell(which, position).sequence.set(position);
            }
        }
        for block in 0..facts.blocks {
            let cell = self.cell(Which::Free, u64::from(block));
            cell.data.set(self.data_of(Which::Free, block));
            cell.sequence.set(u64::from(block) + 1);
        }
        self.queue(Which::Free).tail.set(u64::from(facts.blocks));
        shared.polling.set(u32::from(facts.polling));
        shared.queue.mode.set(if facts.polling { MODE_POLLING } else { MODE_PTHREAD });
        if !facts.polling {
            shared.queue.mutex.kind.set(MUTEX_KIND);
            // SAFETY: the condition's words, all atomics.
            let words = unsafe { &*std::ptr::from_ref(self.condition()).cast::<[Shared32; condition::WORDS]>() };
            words.iter().zip(condition::fresh()).for_each(|(word, fresh)| word.set(fresh));
        }
        shared.pool.buffer.set(facts.pool_at - POOL);
        shared.pool.length.set(u64::from(facts.blocks) * u64::from(facts.block_size));
        shared.pool.block_size.set(u64::from(facts.block_size));
        shared.pool.alignment.set(sample::LINE as u64);
        for state in [&shared.queue.queue.state, &shared.pool.queue.state, &shared.pool.state] {
            state.publish(INITIALISED);
        }
    }

    /// Writes the table of signals into a fresh region of this library, and its trailer.
    pub(crate) fn fresh_trailer(&self, count: usize, table: &[u8]) -> &Trailer {
        assert!(table.len() as u64 == self.facts.signals_size);
        // SAFETY: the mapping of such a region is longer than `length` by the table and the
        // trailer; no other process has it so far.
        let trailer = unsafe {
            atomics::store_bytes(table.as_ptr(), self.base.add(self.facts.length as usize).cast_mut(), table.len());
            &*self.base.add(self.facts.trailer_at() as usize).cast::<Trailer>()
        };
        trailer.fill(self.facts.length, table.len(), count);
        trailer
    }
}
