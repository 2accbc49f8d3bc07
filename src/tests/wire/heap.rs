//! Regions in the heap, for tests: of exactly their size, so that the address sanitizer sees an
//! access outside.

use crate::channel::backend::Backend;
use crate::channel::wire::Wire;
use crate::error::Result;
use crate::layout::sample::Raw;
use crate::layout::wire::{WireFacts, WireView};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

const PAGE: usize = 4096;

pub(super) fn alloc_one(wire: &mut Wire) -> Option<Raw> {
    let mut sample = None;
    wire.alloc(1, |_, raw| sample = Some(raw));
    sample
}

/// Memory that begins on a page, as a mapping does.
pub(in crate::channel::wire) struct Heap {
    base: *mut u8,
    layout: Layout,
}

impl Heap {
    pub(super) fn zeroed(size: usize) -> Heap {
        let Ok(layout) = Layout::from_size_align(size.max(1), PAGE) else { panic!("a region of {size} bytes") };
        // SAFETY: the size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        if base.is_null() {
            handle_alloc_error(layout);
        }
        Heap { base, layout }
    }

    pub(super) fn of(bytes: &[u8]) -> Heap {
        let heap = Heap::zeroed(bytes.len());
        // SAFETY: both have this length, and do not overlap.
        unsafe { heap.base.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        heap
    }

    /// A region of this library, without its trailer's contents.
    pub(in crate::channel::wire) fn made(facts: WireFacts) -> (Heap, WireView) {
        let heap = Heap::zeroed(facts.total_size() as usize);
        // SAFETY: as long as the facts say; callers drop the view first.
        let view = unsafe { WireView::new(heap.base, facts) };
        view.initialise();
        (heap, view)
    }

    /// Attaches to the contents.
    pub(super) fn attach(&self) -> Result<WireView> {
        // SAFETY: so many bytes are there; callers drop the view first.
        unsafe { Ok(WireView::new(self.base, WireFacts::read(self.base, self.layout.size() as u64)?)) }
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.base
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> Vec<u8> {
        // SAFETY: so many bytes are there, and callers let nobody write at the same time.
        unsafe { std::slice::from_raw_parts(self.base, self.layout.size()) }.to_vec()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.base, self.layout) };
    }
}
