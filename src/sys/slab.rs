//! Memory whose type is stable: a node is never given back to the allocator, so that a stale pointer to one still points to a
//! node, whose own state says that it is not in use.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

struct Node<T: 'static> {
    value: T,
    next: AtomicPtr<Node<T>>,
}

/// All nodes of one type; the list only grows.
pub(crate) struct Slab<T: 'static>(AtomicPtr<Node<T>>);

impl<T: Sync> Slab<T> {
    pub(crate) const fn new() -> Self {
        Slab(AtomicPtr::new(ptr::null_mut()))
    }

    /// The first node that `claim` accepts, else a new one, which it must accept.
    pub(crate) fn take(&self, claim: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> &'static T {
        if let Some(found) = self.iter().find(|node| claim(node)) {
            return found;
        }
        let node: &'static Node<T> = Box::leak(Box::new(Node { value: make(), next: AtomicPtr::default() }));
        let claimed = claim(&node.value);
        debug_assert!(claimed);
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            node.next.store(head, Ordering::Relaxed);
            // Release: whoever finds the node finds its contents and its link (acquire in `iter`).
            match self.0.compare_exchange(head, ptr::from_ref(node).cast_mut(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return &node.value,
                Err(now) => head = now,
            }
        }
    }

    /// Every node there ever was. Async-signal-safe.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static T> {
        // SAFETY: nodes live for ever.
        let mut at = unsafe { self.0.load(Ordering::Acquire).as_ref() };
        std::iter::from_fn(move || {
            let node = at?;
            // SAFETY: as above.
            at = unsafe { node.next.load(Ordering::Acquire).as_ref() };
            Some(&node.value)
        })
    }
}
