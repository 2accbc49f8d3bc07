//! A map from addresses to values: a table of two levels over the address space, with one entry for
//! each step of `mapping::STEP`. Reading takes two loads and no lock; writing is a store, so a
//! signal handler may do it.

use crate::sys::mapping::STEP;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::atomic::{AtomicPtr, Ordering};

const ADDRESS_BITS: u32 = 47;
const LEAF_BITS: u32 = 13;
const LEAF: usize = 1 << LEAF_BITS;
const ROOT: usize = 1 << (ADDRESS_BITS - STEP.trailing_zeros() - LEAF_BITS);

type Leaf<T> = [AtomicPtr<T>; LEAF];

/// See the module's description. Leaves are never freed: one covers 16 GiB of addresses.
pub(crate) struct AddressMap<T: 'static> {
    root: [AtomicPtr<Leaf<T>>; ROOT],
}

impl<T: Sync> AddressMap<T> {
    pub(crate) const fn new() -> Self {
        AddressMap { root: [const { AtomicPtr::new(std::ptr::null_mut()) }; ROOT] }
    }

    fn leaf(&self, address: usize) -> Option<&Leaf<T>> {
        let leaf = self.root.get(address / (STEP * LEAF))?.load(Ordering::Acquire);
        // SAFETY: leaves are made by `set` and are never freed.
        unsafe { leaf.as_ref() }
    }

    /// The value at `address`.
    #[inline(always)]
    pub(crate) fn get(&self, address: usize) -> Option<&'static T> {
        let entry = self.leaf(address)?[address / STEP % LEAF].load(Ordering::Acquire);
        // SAFETY: entries are null or come from a `&'static T`.
        unsafe { entry.as_ref() }
    }

    /// Enters `what` for `length` bytes from `start`, a multiple of the step. `false`: the
    /// addresses are beyond the table, or there is no memory for the entries.
    pub(crate) fn set(&self, start: usize, length: usize, what: &'static T) -> bool {
        for address in (start..start + length).step_by(STEP) {
            let Some(root) = self.root.get(address / (STEP * LEAF)) else {
                return false;
            };
            if root.load(Ordering::Acquire).is_null() {
                // Not by `Box`, which ends the process if there is no memory, and may build the
                // leaf on the stack first.
                // SAFETY: the layout has a size.
                let made = unsafe { alloc_zeroed(Layout::new::<Leaf<T>>()) }.cast::<Leaf<T>>();
                if made.is_null() {
                    return false;
                }
                if root.compare_exchange(std::ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire).is_err() {
                    // SAFETY: another thread was first, and no thread has seen this leaf.
                    unsafe { dealloc(made.cast(), Layout::new::<Leaf<T>>()) };
                }
            }
            if let Some(leaf) = self.leaf(address) {
                leaf[address / STEP % LEAF].store(std::ptr::from_ref(what).cast_mut(), Ordering::Release);
            }
        }
        true
    }

    /// Removes the entries. Async-signal-safe.
    pub(crate) fn clear(&self, start: usize, length: usize) {
        for address in (start..start + length).step_by(STEP) {
            if let Some(leaf) = self.leaf(address) {
                leaf[address / STEP % LEAF].store(std::ptr::null_mut(), Ordering::Release);
            }
        }
    }
}
