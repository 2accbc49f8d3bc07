//! Type-stable memory: a node never goes back to the allocator. So a stale pointer to a node still
//! points to a node, whose own state says that it is not in use.
//!
//! A node that was given back rests. A thread that goes on using a handle that another thread has
//! closed finds it closed until [`REST`] more have been opened; it does not find the next opened
//! handle at the same address.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// How many other nodes are taken before a node that was given back is reused.
pub(crate) const REST: u64 = 256;

/// The contents of a node, which know whether they are in use.
pub(crate) trait Reused {
    /// Claims it, if it is not in use (acquire).
    fn claim(&self) -> bool;
    /// Gives up the claim (release).
    fn unclaim(&self);
}

/// What a search loads of a node is on one cache line.
#[repr(C)]
struct Node<T: 'static> {
    next: AtomicPtr<Node<T>>,
    /// The number of the taking that first found it unused. 0: none has, or it is in use. Only the
    /// claimant writes it.
    rests_since: AtomicU64,
    value: T,
}

/// All nodes of one type; the list only grows.
pub(crate) struct Slab<T: 'static> {
    first: AtomicPtr<Node<T>>,
    /// Number of takings so far.
    takings: AtomicU64,
}

impl<T: Reused> Node<T> {
    /// Takes the node if it is `wanted` and has rested long enough at the taking `now`. Records
    /// when its rest begins.
    fn take(&self, now: u64, wanted: bool) -> bool {
        let is_resting = |since: u64| since != 0 && now.saturating_sub(since) <= REST;
        if is_resting(self.rests_since.load(Ordering::Relaxed)) || !self.value.claim() {
            return false;
        }
        let since = self.rests_since.load(Ordering::Relaxed);
        let is_taken = wanted && since != 0 && !is_resting(since);
        if is_taken {
            self.rests_since.store(0, Ordering::Relaxed);
        } else {
            if since == 0 {
                self.rests_since.store(now, Ordering::Relaxed);
            }
            self.value.unclaim();
        }
        is_taken
    }
}

impl<T: 'static> Slab<T> {
    pub(crate) const fn new() -> Self {
        Slab { first: AtomicPtr::new(ptr::null_mut()), takings: AtomicU64::new(0) }
    }
}

impl<T: Reused + Sync> Slab<T> {
    /// Claims a node; makes a new one if none has rested long enough.
    pub(crate) fn take(&self, make: impl FnOnce() -> T) -> &'static T {
        let now = self.takings.fetch_add(1, Ordering::Relaxed) + 1;
        // The search visits all nodes, so that each one's rest begins in time.
        let mut found: Option<&'static Node<T>> = None;
        for node in self.nodes() {
            if node.take(now, found.is_none()) {
                found = Some(node);
            }
        }
        if let Some(found) = found {
            return &found.value;
        }
        let node = Node { next: AtomicPtr::default(), rests_since: AtomicU64::new(0), value: make() };
        let node: &'static Node<T> = Box::leak(Box::new(node));
        let claimed = node.value.claim();
        debug_assert!(claimed);
        let mut head = self.first.load(Ordering::Relaxed);
        loop {
            node.next.store(head, Ordering::Relaxed);
            // Release: a thread that finds the node sees its contents and its link (acquire in
            // `nodes`).
            match self.first.compare_exchange(head, ptr::from_ref(node).cast_mut(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return &node.value,
                Err(now) => head = now,
            }
        }
    }

    /// All nodes ever made. Async-signal-safe.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static T> {
        self.nodes().map(|node| &node.value)
    }

    fn nodes(&self) -> impl Iterator<Item = &'static Node<T>> {
        // SAFETY: nodes live forever.
        let mut at = unsafe { self.first.load(Ordering::Acquire).as_ref() };
        std::iter::from_fn(move || {
            let node = at?;
            // SAFETY: as above.
            at = unsafe { node.next.load(Ordering::Acquire).as_ref() };
            Some(node)
        })
    }
}

#[cfg(test)]
#[path = "../tests/unit/memory/slab.rs"]
mod tests;
