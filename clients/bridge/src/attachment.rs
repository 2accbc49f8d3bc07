//! What a bridge says of a message beside its samples, as Zenoh's attachment: 64-bit words in
//! little-endian order.
//!
//! ```text
//! word 0   1, the version of this layout
//! word 1   incarnation of the publisher: random, not 0
//! word 2   how many samples it has published on this key before the first of this message
//! word 3   time of publishing, in nanoseconds since 1970
//! word 4…  only if a sample is marked as redelivered: bit i of the words is sample i
//! ```

const VERSION: u64 = 1;
const WORDS: usize = 4;

/// What stands before the marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Tells the runs of a publisher apart.
    pub(crate) incarnation: u64,
    /// The number of the first sample.
    pub(crate) counter: u64,
    /// Nanoseconds since 1970.
    pub(crate) published: u64,
}

/// Which samples of a message are marked as redelivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(Vec<u64>);

impl Marks {
    /// Whether the sample at `index` is marked.
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

/// The attachment of a message with `samples` samples, of which those at `marked` are marked.
pub(crate) fn encode(head: Head, samples: usize, marked: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut words = Vec::with_capacity(WORDS);
    words.extend([VERSION, head.incarnation, head.counter, head.published]);
    for index in marked {
        if words.len() == WORDS {
            words.resize(WORDS + samples.div_ceil(64), 0);
        }
        words[WORDS + index / 64] |= 1 << (index % 64);
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Reads an attachment, or says what is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Head, Marks), String> {
    if bytes.len() % 8 != 0 || bytes.len() < 8 * WORDS {
        return Err(format!("its attachment has {} bytes, and not {} or a few words more", bytes.len(), 8 * WORDS));
    }
    let mut words = bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
    let mut next = || words.next().unwrap_or_default();
    let version = next();
    if version != VERSION {
        return Err(format!("its attachment is of version {version}, and only {VERSION} is known here"));
    }
    let head = Head { incarnation: next(), counter: next(), published: next() };
    if head.incarnation == 0 {
        return Err("its attachment names the incarnation 0, which no bridge has".into());
    }
    Ok((head, Marks(words.collect())))
}

/// Whether the marks are those of a message with so many samples, and the counter has room for them.
pub(crate) fn check(head: Head, marks: &Marks, samples: usize) -> Result<(), String> {
    if !marks.0.is_empty() && marks.0.len() != samples.div_ceil(64) {
        return Err(format!("its attachment has {} words of marks for {samples} samples", marks.0.len()));
    }
    match head.counter.checked_add(samples as u64) {
        Some(_) => Ok(()),
        None => Err(format!("its attachment has the counter {}, which is out of range", head.counter)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { incarnation: 7, counter: 1 << 40, published: 5 };

    #[test]
    fn an_attachment_without_marks_has_four_words() {
        let bytes = encode(HEAD, 64, std::iter::empty());
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..16], [1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decode(&bytes), Ok((HEAD, Marks::default())));
    }

    #[test]
    fn marks_come_back_at_their_places() {
        let (head, marks) = decode(&encode(HEAD, 65, [0, 63, 64].into_iter())).unwrap();
        let marked: Vec<usize> = (0..200).filter(|&index| marks.contains(index)).collect();
        assert_eq!((head, marked), (HEAD, vec![0, 63, 64]));
        assert!(check(head, &marks, 65).is_ok() && check(head, &marks, 128).is_ok());
        assert!(check(head, &marks, 64).unwrap_err().contains("2 words of marks for 64 samples"));
    }

    #[test]
    fn what_no_bridge_writes_is_refused_with_its_reason() {
        let good = encode(HEAD, 1, std::iter::empty());
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            decode(&bytes).unwrap_err()
        };
        assert!(decode(b"").is_err() && decode(&good[..31]).unwrap_err().contains("31 bytes"));
        assert!(with(0, 2).contains("version 2"));
        assert!(with(8, 0).contains("incarnation 0"));
        let last = Head { counter: u64::MAX, ..HEAD };
        assert!(check(last, &Marks::default(), 0).is_ok() && check(last, &Marks::default(), 1).is_err());
    }
}
