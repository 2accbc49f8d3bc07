//! Samples that were taken from the channel and not yet published, as the messages that they become.

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

/// Samples one behind the other. The first bytes are of samples that were dropped.
#[derive(Default)]
struct Message {
    bytes: Vec<u8>,
    dropped: usize,
    samples: usize,
}

/// The samples. Each is written into its message at once, which leaves as it is: nothing is copied,
/// and nothing is allocated for a sample.
pub(crate) struct Queue {
    entries: VecDeque<Entry>,
    messages: VecDeque<Message>,
    capacity: usize,
    /// So many samples make a message.
    batch: usize,
    /// How many bytes the last message had that has left: room for the next.
    usual: usize,
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
    /// A queue for `capacity` samples, of which `batch` make a message.
    pub(crate) fn new(capacity: usize, batch: usize) -> Self {
        Self { entries: VecDeque::new(), messages: VecDeque::new(), capacity, batch, usual: 0 }
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

    /// Whether a message is complete.
    pub(crate) fn has_message(&self) -> bool {
        self.messages.len() > 1 || self.messages.front().is_some_and(|message| message.samples >= self.batch)
    }

    /// When the oldest sample was taken.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.entries.front().map(|entry| entry.taken)
    }

    /// Appends a sample, whose bytes `write` appends to those before it.
    pub(crate) fn push(&mut self, is_redelivered: bool, taken: Instant, write: impl FnOnce(&mut Vec<u8>)) {
        if self.messages.back().is_none_or(|message| message.samples >= self.batch) {
            self.messages.push_back(Message { bytes: Vec::with_capacity(self.usual), ..Message::default() });
        }
        let Some(message) = self.messages.back_mut() else { return };
        let begin = message.bytes.len();
        write(&mut message.bytes);
        let bytes = message.bytes.len() - begin;
        if message.bytes.len() - message.dropped > MOST_BYTES && message.samples > 0 {
            let bytes = message.bytes.split_off(begin);
            self.messages.push_back(Message { bytes, dropped: 0, samples: 1 });
        } else {
            message.samples += 1;
        }
        self.entries.push_back(Entry { bytes, is_redelivered, taken });
    }

    /// Removes the oldest sample.
    pub(crate) fn drop_oldest(&mut self) {
        let (Some(entry), Some(message)) = (self.entries.pop_front(), self.messages.front_mut()) else { return };
        message.dropped += entry.bytes;
        message.samples -= 1;
        if message.samples == 0 {
            self.messages.pop_front();
        } else if message.dropped > message.bytes.len() / 2 {
            // It may be the one that grows.
            message.bytes.drain(..message.dropped);
            message.dropped = 0;
        }
    }

    /// Removes the oldest samples, for one message.
    pub(crate) fn take(&mut self) -> Cargo {
        let Message { mut bytes, dropped, samples } = self.messages.pop_front().unwrap_or_default();
        bytes.drain(..dropped);
        self.usual = bytes.len();
        let entries = self.entries.drain(..samples).enumerate();
        let marked = entries.filter_map(|(index, entry)| entry.is_redelivered.then_some(index)).collect();
        Cargo { bytes, samples, marked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut Queue, bytes: &[u8], is_redelivered: bool) {
        queue.push(is_redelivered, Instant::now(), |message| message.extend(bytes));
    }

    #[test]
    fn samples_leave_in_their_order_and_in_messages_of_so_many() {
        let mut queue = Queue::new(100, 2);
        let mut left = Vec::new();
        for round in 0..100_u8 {
            for _ in 0..3 {
                push(&mut queue, &vec![round; 1 + usize::from(round) % 7], false);
            }
            assert!(queue.has_message());
            let cargo = queue.take();
            assert_eq!((cargo.samples, queue.has_message()), (2, false));
            left.extend(cargo.bytes);
            left.extend(queue.take().bytes);
            assert_eq!((queue.len(), queue.oldest(), queue.take().samples), (0, None, 0));
        }
        let expected: Vec<u8> = (0..100_u8).flat_map(|round| vec![round; 3 * (1 + usize::from(round) % 7)]).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn what_was_dropped_is_in_no_message_and_marks_are_those_of_the_samples_in_it() {
        let mut queue = Queue::new(10, 4);
        for (sample, is_redelivered) in [(b"a", true), (b"b", false), (b"c", true), (b"d", true), (b"e", false), (b"f", true)] {
            push(&mut queue, sample, is_redelivered);
        }
        queue.drop_oldest();
        let cargo = queue.take();
        assert_eq!((cargo.bytes, cargo.samples, cargo.marked), (b"bcd".to_vec(), 3, vec![1, 2]));
        push(&mut queue, b"g", false);
        queue.drop_oldest();
        let cargo = queue.take();
        assert_eq!((cargo.bytes, cargo.samples, cargo.marked), (b"fg".to_vec(), 2, vec![0]));
        // A message of which all is dropped.
        push(&mut queue, b"h", true);
        queue.drop_oldest();
        queue.drop_oldest();
        push(&mut queue, b"i", false);
        let cargo = queue.take();
        assert_eq!((cargo.bytes, cargo.samples, cargo.marked.len(), queue.len()), (b"i".to_vec(), 1, 0, 0));
    }

    #[test]
    fn a_message_that_is_as_long_as_the_queue_keeps_no_bytes_of_what_was_dropped() {
        let mut queue = Queue::new(4, 4);
        for sample in 0..=255_u8 {
            if queue.is_full() {
                queue.drop_oldest();
            }
            push(&mut queue, &[sample], false);
            assert!(queue.messages[0].bytes.len() <= 2 * 4, "{}", queue.messages[0].bytes.len());
        }
        assert_eq!(queue.take().bytes, [252, 253, 254, 255]);
    }

    #[test]
    fn a_message_is_bounded_in_bytes_too_but_holds_at_least_one_sample() {
        let mut queue = Queue::new(10, 10);
        for size in [MOST_BYTES + 1, MOST_BYTES - 1, 1, 1] {
            push(&mut queue, &vec![0; size], false);
        }
        assert!(queue.has_message());
        assert_eq!(
            [(); 3].map(|()| queue.take()).map(|cargo| (cargo.samples, cargo.bytes.len())),
            [(1, MOST_BYTES + 1), (2, MOST_BYTES), (1, 1)]
        );
    }
}
