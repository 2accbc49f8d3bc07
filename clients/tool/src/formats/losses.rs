//! What a format could not hold of the samples that were written in it.

/// One kind of loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    NoTime,
    Received,
    NoSequence,
    Frame,
    NotFinite,
}

/// How often each kind was met.
#[derive(Debug, Default)]
pub(super) struct Losses([u64; 5]);

impl Losses {
    #[inline]
    pub(super) fn add(&mut self, loss: Loss, count: u64) {
        self.0[loss as usize] += count;
    }

    /// A sentence for each kind that was met.
    pub(super) fn sentences(&self) -> Vec<String> {
        let met = self.0.iter().enumerate().filter(|&(_, &count)| count > 0);
        met.map(|(kind, &n)| sentence(kind, n)).collect()
    }
}

fn sentence(kind: usize, n: u64) -> String {
    const KINDS: [Loss; 5] = [Loss::NoTime, Loss::Received, Loss::NoSequence, Loss::Frame, Loss::NotFinite];
    match KINDS[kind] {
        Loss::NoTime => format!("samples without a time got the time 0: {n}"),
        Loss::Received => format!("times of reception left out: {n}"),
        Loss::NoSequence => format!("samples without a sequence number got 0: {n}"),
        Loss::Frame => format!("marks of a frame's first sample left out: {n}"),
        Loss::NotFinite => format!("infinite values, and NaNs with a sign or payload, written as null: {n}"),
    }
}
