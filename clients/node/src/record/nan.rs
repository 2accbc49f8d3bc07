//! Not-a-number values, whose sign and payload survive the text.
//!
//! The usual one is `nan`, or `-nan` with its sign set. Others are written as the C library reads
//! them, `nan(0xPAYLOAD)`. Signalling ones, for which the C library has no form, are written as
//! `snan(0xPAYLOAD)`.

use std::io::Write;

/// A not-a-number of a format with `fraction` bits below its exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nan {
    /// The sign bit.
    pub(super) negative: bool,
    /// The highest bit of the fraction is clear.
    pub(super) signalling: bool,
    /// The other bits of the fraction.
    pub(super) payload: u64,
}

impl Nan {
    /// The bits of the fraction: 52 in a double, 23 in a single.
    pub(super) fn fraction(self, fraction_bits: u32) -> u64 {
        let quiet = 1 << (fraction_bits - 1);
        self.payload & (quiet - 1) | if self.signalling { 0 } else { quiet }
    }

    /// Takes the fraction of a not-a-number apart.
    pub(super) fn from_fraction(negative: bool, fraction: u64, fraction_bits: u32) -> Self {
        let quiet = 1 << (fraction_bits - 1);
        Self { negative, signalling: fraction & quiet == 0, payload: fraction & (quiet - 1) }
    }

    /// Appends the text, without a sign.
    pub(super) fn print(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.signalling { b"snan" } else { b"nan" });
        if self.signalling || self.payload != 0 {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "({:#x})", self.payload);
        }
    }

    /// Reads a sign and a not-a-number at the start of `text`; also returns its length.
    pub(super) fn parse(text: &[u8], fraction_bits: u32) -> Option<(Self, usize)> {
        let (negative, body) = match text {
            [b'-', body @ ..] => (true, body),
            [b'+', body @ ..] => (false, body),
            body => (false, body),
        };
        let (signalling, after) = match body.get(..3) {
            Some(word) if word.eq_ignore_ascii_case(b"nan") => (false, &body[3..]),
            _ if body.get(..4)?.eq_ignore_ascii_case(b"snan") => (true, &body[4..]),
            _ => return None,
        };
        let mut nan = Self { negative, signalling, payload: 0 };
        let mut rest = after;
        if after.starts_with(b"(") {
            let close = after.iter().position(|&byte| byte == b')')?;
            let digits = std::str::from_utf8(&after[1..close]).ok()?;
            nan.payload = match digits.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            rest = &after[close + 1..];
        }
        // Without any bit set it would be infinity; with too many, another number.
        let valid = nan.payload < 1 << (fraction_bits - 1) && (!signalling || nan.payload != 0);
        valid.then_some((nan, text.len() - rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        let nan = |text: &str| Nan::parse(text.as_bytes(), 52).map(|(nan, len)| (nan.negative, nan.fraction(52), len));
        assert_eq!(nan("nan"), Some((false, 1 << 51, 3)));
        assert_eq!(nan("-NaN\t"), Some((true, 1 << 51, 4)));
        assert_eq!(nan("nan(0x12) "), Some((false, 1 << 51 | 0x12, 9)));
        assert_eq!(nan("+snan(7)"), Some((false, 7, 8)));
    }

    #[test]
    fn what_is_no_nan_is_refused() {
        for text in ["", "-", "na", "snan", "snan(0)", "nan(", "nan(x)", "nan(0x8000000000000)", "inf"] {
            assert_eq!(Nan::parse(text.as_bytes(), 52), None, "{text}");
        }
    }
}
