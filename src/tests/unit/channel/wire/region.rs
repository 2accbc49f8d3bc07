//! Of `channel/wire/region`.

use super::*;
use crate::channel::backend::Backend;
use crate::channel::wire::Wire;
use crate::channel::wire::tests::heap::Heap;
use crate::layout::wire::WireFacts;

/// A region of so many blocks, all of them handed out.
fn exhausted(blocks: u32) -> (Heap, WireView, WireRegion, Vec<u32>) {
    let Ok(facts) = WireFacts::new(true, blocks, 1) else { panic!("no layout") };
    let (heap, view) = Heap::made(facts);
    let Ok(mut region) = WireRegion::new(view) else { panic!("no memory") };
    let all: Vec<u32> = std::iter::from_fn(|| region.alloc(64)).collect();
    assert_eq!(all.len(), blocks as usize);
    (heap, view, region, all)
}

fn free(view: &WireView) -> usize {
    let queue = view.queue(Which::Free);
    queue.tail.get().wrapping_sub(queue.head.get()) as usize
}

#[test]
fn of_blocks_that_are_put_few_are_missing_from_the_pool_at_any_time() {
    for (blocks, most) in [(8, 0), (16, 1), (64, 7), (256, 15)] {
        let (_heap, view, mut region, all) = exhausted(blocks);
        let mut missing = 0;
        for (at, &block) in all.iter().enumerate() {
            assert_eq!(region.put(block), Some(0));
            missing = missing.max(at + 1 - free(&view));
        }
        assert_eq!(missing, most, "of {blocks} blocks");
        region.give_back();
        assert_eq!(free(&view), blocks as usize);
    }
}

#[test]
fn blocks_that_were_put_are_there_for_the_next_allocation() {
    let Ok(facts) = WireFacts::new(true, 256, 1) else { panic!("no layout") };
    let (_heap, view) = Heap::made(facts);
    let Ok(mut wire) = Wire::new(view, None) else { panic!("no memory") };
    let mut samples = Vec::new();
    assert_eq!(wire.alloc(300, |_, sample| samples.push(sample)), 256);
    for sample in samples.drain(..5) {
        assert_eq!(wire.put(sample.address() as usize), Some(0));
    }
    assert_eq!(wire.alloc(6, |_, sample| samples.push(sample)), 5);
}
