//! Of `protocol/bounded`.

use super::*;

const CELLS: u64 = 32;

/// A queue in which somebody pushes and pulls an element whenever a second cell is looked at.
struct Busy {
    tail: Shared64,
    head: Shared64,
    cells: Vec<[Shared64; 2]>,
}

impl BoundedWords for Busy {
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
    assert!(claim_empty(&queue, 16).is_none(), "others are always first");
    let Some(run) = claim_room(&queue, 16) else { panic!("no room") };
    assert_eq!(run.count(), 1);
    let position = run.position;
    run.fill(&queue, |_| 7);
    assert_eq!((queue.data(position).get(), queue.tail.get()), (7, position + 1));
}

#[test]
fn a_full_queue_has_no_room() {
    let word = |value| Shared64::new(value);
    let queue = Busy { tail: word(CELLS), head: word(0), cells: (0..CELLS).map(|at| [word(at + 1), word(0)]).collect() };
    assert!(claim_room(&queue, 16).is_none());
}
