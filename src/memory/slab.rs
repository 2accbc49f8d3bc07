//! Memory whose type is stable: a node is never given back to the allocator, so that a stale pointer to one still points to a
//! node, whose own state says that it is not in use.
//!
//! A node that is given back is not taken again soon: a thread that goes on calling with a handle that another has closed finds it closed for as long as
//! [`REST`] more are opened, and not the next one that was opened, at the same address.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// So many others are taken before a node that was given back is taken again.
pub(crate) const REST: u64 = 256;

/// What lies in a node, and knows whether it is in use.
pub(crate) trait Reused {
    /// Takes it, if nobody uses it (acquire).
    fn claim(&self) -> bool;
    /// Gives back what was claimed (release).
    fn unclaim(&self);
}

/// What is looked at to find one lies on a line.
#[repr(C)]
struct Node<T: 'static> {
    next: AtomicPtr<Node<T>>,
    /// Which taking has first found that nobody uses it. 0: none has, or it is in use. Written by who has claimed it.
    rests_since: AtomicU64,
    value: T,
}

/// All nodes of one type; the list only grows.
pub(crate) struct Slab<T: 'static> {
    first: AtomicPtr<Node<T>>,
    /// Counts the nodes that were taken.
    takings: AtomicU64,
}

impl<T: Reused> Node<T> {
    /// Takes the node, if that is `wanted` and it has rested for long enough at the taking `now`. Notes when its rest begins.
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
    /// Claims a node, a new one if none has rested for long enough.
    pub(crate) fn take(&self, make: impl FnOnce() -> T) -> &'static T {
        let now = self.takings.fetch_add(1, Ordering::Relaxed) + 1;
        // All are looked at, so that each one's rest begins in time.
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
            // Release: whoever finds the node finds its contents and its link (acquire in `nodes`).
            match self.first.compare_exchange(head, ptr::from_ref(node).cast_mut(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return &node.value,
                Err(now) => head = now,
            }
        }
    }

    /// Every node there ever was. Async-signal-safe.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static T> {
        self.nodes().map(|node| &node.value)
    }

    fn nodes(&self) -> impl Iterator<Item = &'static Node<T>> {
        // SAFETY: nodes live for ever.
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
