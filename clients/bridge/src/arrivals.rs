//! What has arrived of the samples that others have published: by their incarnations and counters,
//! each sample once, and those that are missing.

use std::time::{Duration, Instant};

/// So many publishers are known at a time; the one that has been silent for longest is forgotten.
const MOST: usize = 16;

/// A publisher that has been silent for so long does not publish any more.
const SILENT: Duration = Duration::from_secs(10);

/// What is known of one run of a publisher.
struct Publisher {
    incarnation: u64,
    /// The number of the next sample.
    expected: u64,
    last: Instant,
}

/// The publishers of one key.
#[derive(Default)]
pub(crate) struct Arrivals {
    known: Vec<Publisher>,
    has_begun: bool,
}

/// What a message is, beside its samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// So many samples have been published and have not arrived.
    pub(crate) missing: u64,
    /// So many had been published before this bridge heard of the first publisher: they are no
    /// loss.
    pub(crate) before: u64,
    /// So many of the first samples have arrived already, or come after later ones.
    pub(crate) late: u64,
    /// Another publisher has published since this one was heard last.
    pub(crate) is_one_of_two: bool,
    /// This publisher was not known.
    pub(crate) is_new: bool,
}

impl Arrivals {
    /// Notes a message of `count` samples, the first of which has this number. The sum of both does
    /// not overflow.
    pub(crate) fn note(&mut self, incarnation: u64, counter: u64, count: u64, now: Instant) -> Arrival {
        let mut arrival = Arrival::default();
        let place = self.known.iter().position(|publisher| publisher.incarnation == incarnation);
        let mut publisher = match place {
            // The last one of the list was heard last.
            Some(place) => {
                arrival.is_one_of_two = place + 1 < self.known.len();
                self.known.remove(place)
            }
            None => {
                arrival.is_new = true;
                let expected = if self.has_begun { 0 } else { counter };
                arrival.before = expected;
                Publisher { incarnation, expected, last: now }
            }
        };
        self.has_begun = true;
        arrival.late = publisher.expected.saturating_sub(counter).min(count);
        arrival.missing = counter.saturating_sub(publisher.expected);
        publisher.expected = publisher.expected.max(counter + count);
        publisher.last = now;
        if self.known.len() == MOST {
            self.known.remove(0);
        }
        self.known.push(publisher);
        arrival
    }

    /// How many publish.
    pub(crate) fn publishing(&self, now: Instant) -> usize {
        self.known.iter().filter(|publisher| now.saturating_duration_since(publisher.last) < SILENT).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes messages of (incarnation, counter, count); what each was: (missing, before, late).
    fn note(messages: &[(u64, u64, u64)]) -> Vec<(u64, u64, u64)> {
        let mut arrivals = Arrivals::default();
        let now = Instant::now();
        let note = |&(incarnation, counter, count): &_| arrivals.note(incarnation, counter, count, now);
        messages.iter().map(note).map(|arrival| (arrival.missing, arrival.before, arrival.late)).collect()
    }

    #[test]
    fn samples_in_order_are_neither_missing_nor_late() {
        assert_eq!(note(&[(5, 0, 3), (5, 3, 1), (5, 4, 0), (5, 4, 2)]), [(0, 0, 0); 4]);
    }

    #[test]
    fn a_gap_is_counted_and_what_comes_out_of_it_later_is_late() {
        let messages = [(5, 0, 2), (5, 7, 2), (5, 2, 3), (5, 8, 4), (5, 12, 1)];
        assert_eq!(note(&messages), [(0, 0, 0), (5, 0, 0), (0, 0, 3), (0, 0, 1), (0, 0, 0)]);
    }

    #[test]
    fn what_was_published_before_the_first_message_is_no_gap() {
        assert_eq!(note(&[(5, 1000, 2), (5, 1003, 1)]), [(0, 1000, 0), (1, 0, 0)]);
    }

    #[test]
    fn a_publisher_that_begins_anew_begins_at_zero() {
        assert_eq!(note(&[(5, 0, 2), (6, 0, 2), (7, 3, 1)]), [(0, 0, 0), (0, 0, 0), (3, 0, 0)]);
    }

    #[test]
    fn two_publishers_are_told_from_one_that_has_begun_anew() {
        let mut arrivals = Arrivals::default();
        let now = Instant::now();
        assert!(!arrivals.note(5, 0, 1, now).is_one_of_two);
        assert!(!arrivals.note(6, 0, 1, now).is_one_of_two);
        assert!(!arrivals.note(6, 1, 1, now).is_one_of_two);
        let again = arrivals.note(5, 1, 1, now);
        assert!(again.is_one_of_two && !again.is_new && again.missing == 0);
        assert_eq!(arrivals.publishing(now), 2);
        assert_eq!(arrivals.publishing(now + SILENT), 0);
    }

    #[test]
    fn the_list_of_publishers_is_bounded() {
        let mut arrivals = Arrivals::default();
        for incarnation in 1..1000 {
            arrivals.note(incarnation, 0, 1, Instant::now());
        }
        assert_eq!(arrivals.known.len(), MOST);
        assert!(!arrivals.note(999, 1, 1, Instant::now()).is_new);
        assert!(arrivals.note(1, 1, 1, Instant::now()).is_new);
    }
}
