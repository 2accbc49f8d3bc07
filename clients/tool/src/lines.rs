//! The lines of a stream, without a copy, and whether reading the next one would wait.

use std::io::{self, Read};

use memchr::memchr;

use crate::encoding;

/// A longer line is not kept: the longest sample, 65 536 values of the longest form, fits twice.
const LONGEST: usize = 4 << 20;

/// Bytes that one read asks for; the buffer grows beyond that only for longer lines.
const CHUNK: usize = 256 << 10;

/// The next item of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A line without its line feed; the last one may have had none.
    Line(&'a [u8]),
    /// A line that was too long to keep and was skipped.
    TooLong,
    /// The stream is over.
    End,
}

/// Splits a stream into lines.
pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next line begins; in range 0 ..= `end`.
    start: usize,
    /// Where the bytes read so far end; in range 0 ..= `buffer.len()`.
    end: usize,
    /// Where the line at `start` ends, if known.
    line_feed: Option<usize>,
    /// There is no line feed between `start` and here, unless `line_feed` is set.
    searched: usize,
    number: u64,
    at_end: bool,
    /// The last line had no line feed.
    is_open: bool,
}

impl<R: Read> Lines<R> {
    /// Reads lines from `input`, which needs no buffer.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            line_feed: None,
            searched: 0,
            number: 0,
            at_end: false,
            is_open: false,
        }
    }

    /// Where the lines come from.
    pub(crate) fn input(&self) -> &R {
        &self.input
    }

    /// The number of the line that `next` returned last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the line that `next` returned last had no line feed: the stream ended within it, or
    /// just behind it.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a whole line is buffered, so that `next` will not wait.
    pub(crate) fn is_ready(&mut self) -> bool {
        if self.line_feed.is_none() {
            self.line_feed = memchr(b'\n', &self.buffer[self.searched..self.end]).map(|at| self.searched + at);
            self.searched = self.end;
        }
        self.line_feed.is_some()
    }

    /// The next line; reads until there is one.
    pub(crate) fn next(&mut self) -> io::Result<Next<'_>> {
        let mut too_long = false;
        while !self.is_ready() {
            if self.end - self.start > LONGEST {
                too_long = true;
                self.start = self.end;
            }
            if self.at_end || self.fill()? == 0 {
                self.at_end = true;
                self.check_encoding()?;
                return Ok(self.last_line(too_long));
            }
        }
        self.check_encoding()?;
        let line_feed = self.line_feed.take().unwrap_or(self.end);
        let line = self.start..line_feed;
        self.start = line_feed + 1;
        self.searched = self.start;
        self.number += 1;
        // One read may complete a line that is longer than allowed here.
        if too_long || line.len() > LONGEST { Ok(Next::TooLong) } else { Ok(Next::Line(&self.buffer[line])) }
    }

    /// Lines in another encoding would be meaningless.
    fn check_encoding(&self) -> io::Result<()> {
        match encoding::wrong_encoding(&self.buffer[self.start..self.end]) {
            Some(wrong) if self.number == 0 => Err(io::Error::new(io::ErrorKind::InvalidData, wrong)),
            _ => Ok(()),
        }
    }

    /// The rest when the stream is over.
    fn last_line(&mut self, too_long: bool) -> Next<'_> {
        let line = self.start..self.end;
        self.start = self.end;
        self.is_open = too_long || !line.is_empty();
        if too_long {
            self.number += 1;
            Next::TooLong
        } else if line.is_empty() {
            Next::End
        } else {
            self.number += 1;
            Next::Line(&self.buffer[line])
        }
    }

    /// Reads once, after the buffered bytes.
    fn fill(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < CHUNK {
            self.buffer.resize((self.end + CHUNK).max(2 * self.buffer.len()), 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn all(text: &[u8], step: usize) -> Vec<String> {
        let mut lines = Lines::new(Drip(text, step));
        let mut found = Vec::new();
        loop {
            match lines.next().unwrap() {
                Next::Line(line) => found.push(String::from_utf8_lossy(line).into_owned()),
                Next::TooLong => found.push("too long".into()),
                Next::End => break,
            }
        }
        assert_eq!(lines.next().unwrap(), Next::End);
        assert_eq!(lines.number(), found.len() as u64);
        found
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(all(b"one\ntwo\n\nfour", step), ["one", "two", "", "four"]);
            assert_eq!(all(b"one\ntwo\n", step), ["one", "two"]);
            assert_eq!(all(b"\n", step), [""]);
            assert!(all(b"", step).is_empty());
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_counted() {
        let mut text = vec![b'x'; 3 * LONGEST];
        text.extend_from_slice(b"\nnext\n");
        assert_eq!(all(&text, CHUNK), ["too long", "next"]);
        assert_eq!(all(&text, 10_000), ["too long", "next"]);
        text.truncate(2 * LONGEST);
        assert_eq!(all(&text, CHUNK), ["too long"]);
        let mut lines = Lines::new(&text[..]);
        lines.next().unwrap();
        assert!(lines.buffer.len() <= 4 * LONGEST, "memory stays bounded");
    }

    #[test]
    fn another_encoding_is_an_error() {
        for start in [&b"\xff\xfe1\0\n\0"[..], b"\xfe\xff\x001", b"1\0.\0"] {
            let error = Lines::new(start).next().map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
        assert_eq!(all(b"1\n\xff\xfe\n", 1).len(), 2, "only where the text begins");
    }

    #[test]
    fn it_says_whether_the_next_line_would_wait() {
        let mut lines = Lines::new(&b"one\ntwo\nthr"[..]);
        assert!(!lines.is_ready());
        assert_eq!(lines.next().unwrap(), Next::Line(b"one"));
        assert!(lines.is_ready());
        assert_eq!(lines.next().unwrap(), Next::Line(b"two"));
        assert!(!lines.is_ready() && !lines.is_open());
        assert_eq!(lines.next().unwrap(), Next::Line(b"thr"));
        assert!(lines.is_open());
        assert_eq!(lines.number(), 3);
    }
}
