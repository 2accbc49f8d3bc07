//! Of `memory/slab`.

use super::*;
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

#[derive(Default)]
struct Place(AtomicBool);

impl Reused for Place {
    fn claim(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }
    fn unclaim(&self) {
        self.0.store(false, Ordering::Release);
    }
}

#[test]
fn what_was_given_back_is_taken_again_after_many_others_and_then_it_is() {
    let slab: Slab<Place> = Slab::new();
    let mut order = Vec::new();
    for _ in 0..4 * REST {
        let place = slab.take(Place::default);
        order.push(ptr::from_ref(place));
        place.unclaim();
    }
    for window in order.windows(REST as usize) {
        assert_eq!(window.iter().collect::<HashSet<_>>().len(), window.len(), "one came again too soon");
    }
    assert!(slab.iter().count() as u64 <= REST + 2, "{} were made", slab.iter().count());
}

#[test]
fn what_is_in_use_is_not_taken() {
    let slab: Slab<Place> = Slab::new();
    let used: HashSet<_> = (0..10).map(|_| ptr::from_ref(slab.take(Place::default))).collect();
    assert_eq!(used.len(), 10);
    for _ in 0..3 * REST {
        let place = slab.take(Place::default);
        assert!(!used.contains(&ptr::from_ref(place)));
        place.unclaim();
    }
}
