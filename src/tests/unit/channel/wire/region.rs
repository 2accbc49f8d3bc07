//! Of `channel/wire/region`.

use super::*;
use crate::channel::wire::tests::heap::Heap;
use crate::layout::wire::WireFacts;

#[test]
fn of_blocks_that_are_put_together_few_are_missing_from_the_pool_at_any_time() {
    let Ok(facts) = WireFacts::new(true, 256, 1) else { panic!("no layout") };
    let (_heap, view) = Heap::made(facts);
    let Ok(mut region) = WireRegion::new(view) else { panic!("no memory") };
    let blocks: Vec<u32> = std::iter::from_fn(|| region.alloc(64)).collect();
    assert_eq!(blocks.len(), 256);
    let queue = view.queue(Which::Free);
    let free = || queue.tail.get().wrapping_sub(queue.head.get()) as usize;
    for (at, &block) in blocks.iter().enumerate() {
        assert_eq!(region.put_with_others(block), Some(0));
        assert!(at + 1 - free() < 16, "of {} blocks, {} are free", at + 1, free());
    }
    region.free();
    assert_eq!(free(), 256);
}
