//! Of `protocol/bounded`.

use super::*;

const CELLS: u64 = 32;

/// A queue in which somebody pushes and pulls an element whenever a second cell is looked at.
struct Busy {
    tail: Shared64,
    head: Shared64,
    cells: Vec<[Shared64; 2]>,
}

impl BoundedWords for &Busy {
    fn cells(&self) -> u64 {
        CELLS
    }
    fn tail(&self) -> &Shared64 {
        &self.tail
    }
    fn head(&self) -> &Shared64 {
        &self.head
    }
    fn sequence(&self, position: u64) -> &Shared64 {
        let tail = self.tail.get();
        if position == tail + 1 {
            self.cells[(tail % CELLS) as usize][0].set(tail + CELLS);
            self.tail.set(tail + 1);
            self.head.set(tail + 1);
        }
        &self.cells[(position % CELLS) as usize][0]
    }
    fn data(&self, position: u64) -> &Shared64 {
        &self.cells[(position % CELLS) as usize][1]
    }
}

#[test]
fn who_pushes_one_by_one_cannot_keep_a_run_from_its_room() {
    let word = |value| Shared64::new(value);
    let queue = Busy { tail: word(0), head: word(0), cells: (0..CELLS).map(|at| [word(at), word(0)]).collect() };
    assert!(claim_empty(&&queue, 16).is_none(), "others are always first");
    let tail = queue.tail.get();
    push_all(|| &queue, &[7, 8, 9], |item| item.into());
    let first = queue.tail.get() - 3;
    assert!(first > tail);
    for (position, item) in (first..).zip(7..=9) {
        assert_eq!(((&queue).data(position).get(), queue.cells[(position % CELLS) as usize][0].get()), (item, position + 1));
    }
}

#[test]
fn a_full_queue_is_left_as_it_is() {
    let word = |value| Shared64::new(value);
    let queue = Busy { tail: word(CELLS), head: word(0), cells: (0..CELLS).map(|at| [word(at + 1), word(0)]).collect() };
    push_all(|| &queue, &[7, 8], |item| item.into());
    assert_eq!((queue.tail.get(), queue.head.get()), (CELLS, 0));
}
