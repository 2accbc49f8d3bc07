//! What a format could not hold of the samples that were written in it.

/// One kind of loss; `KINDS` has a sentence for each.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    NoTime,
    Seconds,
    Time,
    Received,
    NoSequence,
    Sequence,
    Frame,
    Digits,
    Integer,
    NotFinite,
    Column,
}

/// Each kind, with its sentence; in the order of the enum.
const KINDS: [(Loss, &str); 11] = [
    (Loss::NoTime, "samples without a time got the time 0"),
    (Loss::Seconds, "times before 1970 or after 2106 kept the lower 32 bits of their seconds"),
    (Loss::Time, "times before 1677 or after 2262 left out"),
    (Loss::Received, "times of reception left out"),
    (Loss::NoSequence, "samples without a sequence number got 0"),
    (Loss::Sequence, "sequence numbers kept their lower 32 bits"),
    (Loss::Frame, "marks of the first sample of a frame left out"),
    (Loss::Digits, "floats rounded to 32 bits"),
    (Loss::Integer, "integers kept their lower 32 bits, without a sign"),
    (Loss::NotFinite, "infinite values, and NaNs with a sign or payload, written as null"),
    (Loss::Column, "values beyond the columns left out, which are as many as the first sample has"),
];

/// How often each kind was met.
#[derive(Debug, Default)]
pub struct Losses([u64; KINDS.len()]);

impl Losses {
    /// Counts losses.
    #[inline]
    pub fn add(&mut self, loss: Loss, count: u64) {
        self.0[loss as usize] += count;
    }

    /// A sentence for each kind that was met, with its number.
    pub fn sentences(&self) -> Vec<String> {
        let met = KINDS.iter().map(|(loss, sentence)| (self.0[*loss as usize], sentence)).filter(|&(count, _)| count > 0);
        met.map(|(count, sentence)| format!("{sentence}: {count}")).collect()
    }
}
