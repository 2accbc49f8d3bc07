//! Samples that were taken from the channel and not yet published, as the bytes that they become in
//! a message.

use std::collections::VecDeque;
use std::time::Instant;

/// A message holds no more bytes, unless one sample has more.
const MOST_BYTES: usize = 4 << 20;

/// One sample.
struct Entry {
    bytes: usize,
    is_redelivered: bool,
    taken: Instant,
}

/// The samples, and their bytes one behind the other: no allocation for each of them.
pub(crate) struct Queue {
    entries: VecDeque<Entry>,
    bytes: VecDeque<u8>,
    capacity: usize,
}

/// Samples on their way into a message.
pub(crate) struct Cargo {
    /// One behind the other.
    pub(crate) bytes: Vec<u8>,
    pub(crate) samples: usize,
    /// Which of them are marked as redelivered.
    pub(crate) marked: Vec<usize>,
}

impl Queue {
    /// A queue for so many samples.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: VecDeque::new(), capacity }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.capacity
    }

    /// When the oldest sample was taken.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.entries.front().map(|entry| entry.taken)
    }

    /// Appends a sample.
    pub(crate) fn push(&mut self, bytes: &[u8], is_redelivered: bool, taken: Instant) {
        self.entries.push_back(Entry { bytes: bytes.len(), is_redelivered, taken });
        self.bytes.extend(bytes);
    }

    /// Removes the oldest sample.
    pub(crate) fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes.drain(..entry.bytes);
        }
    }

    /// Removes up to `most` of the oldest samples, for one message.
    pub(crate) fn take(&mut self, most: usize) -> Cargo {
        let mut cargo = Cargo { bytes: Vec::new(), samples: 0, marked: Vec::new() };
        let mut length = 0;
        while let Some(entry) = self.entries.front() {
            let is_too_long = cargo.samples > 0 && length + entry.bytes > MOST_BYTES;
            if cargo.samples == most || is_too_long {
                break;
            }
            length += entry.bytes;
            if entry.is_redelivered {
                cargo.marked.push(cargo.samples);
            }
            cargo.samples += 1;
            self.entries.pop_front();
        }
        let (front, back) = self.bytes.as_slices();
        cargo.bytes.reserve_exact(length);
        cargo.bytes.extend_from_slice(&front[..length.min(front.len())]);
        cargo.bytes.extend_from_slice(&back[..length.saturating_sub(front.len())]);
        self.bytes.drain(..length);
        cargo
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_leave_in_their_order_and_in_messages_of_at_most_so_many() {
        let mut queue = Queue::new(100);
        let mut left = Vec::new();
        // Often enough for the bytes to go round their buffer.
        for round in 0..100_u8 {
            for index in 0..3 {
                queue.push(&vec![round; 1 + usize::from(round) % 7], index == 2, Instant::now());
            }
            let cargo = queue.take(2);
            assert_eq!(cargo.samples, 2);
            left.extend(cargo.bytes);
            left.extend(queue.take(5).bytes);
            assert_eq!((queue.len(), queue.bytes.len()), (0, 0));
        }
        let expected: Vec<u8> = (0..100_u8).flat_map(|round| vec![round; 3 * (1 + usize::from(round) % 7)]).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn marks_are_those_of_the_samples_in_the_message() {
        let mut queue = Queue::new(10);
        for is_redelivered in [true, false, true, true] {
            queue.push(b"x", is_redelivered, Instant::now());
        }
        queue.drop_oldest();
        assert_eq!(queue.take(2).marked, [1]);
        assert_eq!(queue.take(2).marked, [0]);
    }

    #[test]
    fn a_message_is_bounded_in_bytes_too_but_holds_at_least_one_sample() {
        let mut queue = Queue::new(10);
        for size in [MOST_BYTES + 1, MOST_BYTES - 1, 1, 1] {
            queue.push(&vec![0; size], false, Instant::now());
        }
        assert_eq!([(); 3].map(|()| queue.take(10).samples), [1, 2, 1]);
    }
}
