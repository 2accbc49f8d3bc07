//! The events that the processes of one side log of a sample, and which of them are possible when
//! the processes are killed at any store.
//!
//! What has come back is counted by the side's count of sent samples and by the maker of each copy,
//! not by a mark: so a sample that is sent back twice is detected.

const REDELIVERED: i32 = villas_shm::Flags::REDELIVERED.bits();

/// An event that a child has logged: its kind, the sample's number, and flags or way.
pub(crate) type Event = (char, u64, u64);
pub(crate) type Log = Vec<Event>;

// The ways in which the program sends a sample back.
const AS_IT_IS: u64 = 0;
const COPY: u64 = 1;
const KEPT: u64 = 2;

/// For each process that was killed in a send: 1 if it had sent, or a successor did so in its
/// place; 0 if not; less if the region is no longer the same. `written` is the side's final count
/// of sent samples.
pub(crate) fn sent_after_all(logs: &[Log], written: u64) -> Vec<i64> {
    let opened_at = |log: &Log| log.iter().find(|event| event.0 == 'a').map(|event| event.1);
    let of = |(at, log): (usize, &Log)| {
        let after = logs[at + 1..].iter().find_map(opened_at).unwrap_or(written);
        let told = log.iter().filter(|event| event.0 == 'w').count() as u64;
        opened_at(log).map_or(0, |before| after as i64 - (before + told) as i64)
    };
    logs.iter().enumerate().map(of).collect()
}

/// What one process that received a sample did with it.
pub(crate) struct Passage {
    generation: usize,
    is_marked: bool,
    /// It began to send the sample in this way, and was not refused.
    way: Option<u64>,
    was_refused: bool,
    has_sent: bool,
    /// The sample was sent, by this process or for it.
    went_out: bool,
    /// It was about to put the sample.
    puts: bool,
    is_done: bool,
}

impl Passage {
    fn of(generation: usize, log: &Log, number: u64, after_all: i64) -> Option<Passage> {
        let first = log.iter().position(|event| event.0 == 'r' && event.1 == number)?;
        let mut passage = Passage {
            generation,
            is_marked: log[first].2 & REDELIVERED as u64 != 0,
            way: None,
            was_refused: false,
            has_sent: false,
            went_out: false,
            puts: false,
            is_done: false,
        };
        for event in log[first + 1..].iter().filter(|event| event.1 == number) {
            match event.0 {
                's' => passage.way = Some(event.2),
                'x' => (passage.way, passage.was_refused) = (None, true),
                'w' => passage.has_sent = true,
                'e' => passage.puts = true,
                'p' => passage.is_done = true,
                _ => panic!("it came twice to one process: {log:?}"),
            }
        }
        passage.went_out = passage.has_sent || (passage.way.is_some() && after_all == 1);
        Some(passage)
    }

    /// All passages of a sample, in order. Checks the rule of both sides: a held sample comes
    /// again, marked, until a process is done with it, and never after. `after_all` is the result
    /// of [`sent_after_all`].
    pub(crate) fn all(logs: &[Log], number: u64, after_all: &[i64], context: &str) -> Vec<Passage> {
        let of = |(at, log)| Passage::of(at, log, number, after_all[at]);
        let passages: Vec<Passage> = logs.iter().enumerate().filter_map(of).collect();
        assert!(!passages.is_empty(), "{context}: {number} is lost: {logs:?}");
        for (at, passage) in passages.iter().enumerate() {
            let comes_again = at + 1 < passages.len();
            assert!(at == 0 || passage.is_marked, "{context}: {number} came again unmarked: {logs:?}");
            // Sending a sample on as it is also gives it back, even if a successor had to complete
            // the send.
            let is_done = passage.is_done || (passage.way == Some(AS_IT_IS) && passage.went_out);
            assert!(!(is_done && comes_again), "{context}: {number} came again after it had been given back: {logs:?}");
            let may_be_done = is_done || passage.puts || passage.has_sent;
            assert!(comes_again || may_be_done, "{context}: {number} was in hand and did not come again: {logs:?}");
        }
        passages
    }
}

/// A sample that came back to the node: which process copied it (0: none, it is the node's own
/// block), and whether it was marked.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) copied_by: usize,
    pub(crate) is_marked: bool,
}

/// Checks that what came back of a sample is exactly what its `passages` through the program's
/// processes allow.
pub(crate) fn check_returns(passages: &[Passage], back: &[Arrival], context: &str) {
    let (mut copies, mut own, mut was_kept) = (0, 0, false);
    for passage in passages {
        assert!(was_kept || !passage.was_refused, "{context}: refused, though nobody kept it: {back:?}");
        was_kept |= passage.way == Some(KEPT);
        if passage.way == Some(COPY) {
            let came = back.iter().filter(|arrival| arrival.copied_by == passage.generation + 1).count();
            assert_eq!(came, usize::from(passage.went_out), "{context}: the copy of {}: {back:?}", passage.generation);
            copies += came;
        } else {
            own += usize::from(passage.went_out);
        }
    }
    assert_eq!(back.len(), own + copies, "{context}: it was sent {own} times, and {copies} copies of it: {back:?}");
    assert!(own + copies > 0, "{context}: lost on its way back");
    // A process that keeps what it sends shares the sample with the node: only then the node sees
    // the mark for its successor.
    let may_be_marked = |arrival: &Arrival| was_kept && arrival.copied_by == 0;
    assert!(back.iter().all(|arrival| !arrival.is_marked || may_be_marked(arrival)), "{context}: marked for another: {back:?}");
}
