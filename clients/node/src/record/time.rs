//! Points in time as formats print them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const NANOS: i64 = 1_000_000_000;

/// A point in time: seconds since 1970, and nanoseconds within the second, which always count
/// forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds, negative before 1970.
    pub sec: i64,
    /// In range 0 .. 1 000 000 000.
    pub nsec: u32,
}

impl Time {
    /// From two numbers that a peer wrote and that may be anything: nanoseconds below zero or
    /// beyond a second are carried into the seconds.
    #[inline]
    pub fn carried(sec: i64, nsec: i64) -> Self {
        Self { sec: sec.saturating_add(nsec.div_euclid(NANOS)), nsec: nsec.rem_euclid(NANOS) as u32 }
    }

    /// From the parts of a text: a sign, which applies to the whole, and two numbers; `None` if the
    /// seconds do not fit. Nanoseconds of a second or more are carried.
    #[inline]
    pub fn from_parts(negative: bool, seconds: u64, nanos: u64) -> Option<Self> {
        if !negative && nanos < NANOS as u64 {
            return Some(Self { sec: i64::try_from(seconds).ok()?, nsec: nanos as u32 });
        }
        let all = i128::from(seconds) * i128::from(NANOS) + i128::from(nanos);
        Self::default().plus_nanos(if negative { -all } else { all })
    }

    /// The reverse of [`Time::from_parts`].
    #[inline]
    pub fn parts(self) -> (bool, u64, u32) {
        if self.sec < 0 {
            (true, self.sec.unsigned_abs() - u64::from(self.nsec > 0), (NANOS as u32 - self.nsec) % NANOS as u32)
        } else {
            (false, self.sec as u64, self.nsec)
        }
    }

    /// The present.
    pub fn now() -> Self {
        // A clock before 1970 counts as 1970.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { sec: since.as_secs() as i64, nsec: since.subsec_nanos() }
    }

    /// This time plus this many nanoseconds; `None` if the result does not fit.
    pub fn plus_nanos(self, nanos: i128) -> Option<Self> {
        let all = (i128::from(self.sec) * i128::from(NANOS) + i128::from(self.nsec)).checked_add(nanos)?;
        let sec = i64::try_from(all.div_euclid(i128::from(NANOS))).ok()?;
        Some(Self { sec, nsec: all.rem_euclid(i128::from(NANOS)) as u32 })
    }

    /// The time from `earlier` to this one, as a sign, seconds and nanoseconds.
    pub fn since(self, earlier: Self) -> (bool, u64, u32) {
        let (negative, from, to) = if self < earlier { (true, self, earlier) } else { (false, earlier, self) };
        let seconds = to.sec.abs_diff(from.sec);
        if to.nsec >= from.nsec {
            (negative, seconds, to.nsec - from.nsec)
        } else {
            (negative, seconds - 1, to.nsec + NANOS as u32 - from.nsec)
        }
    }

    /// The distance between two times in seconds.
    pub fn distance(self, other: Self) -> f64 {
        let (_, sec, nsec) = self.since(other);
        sec as f64 + f64::from(nsec) * 1e-9
    }
}

/// In the format: `-0.500000000` is half a second before zero.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, seconds, nanos) = self.parts();
        write!(f, "{}{seconds}.{nanos:09}", if negative { "-" } else { "" })
    }
}

/// Appends seconds, `.` and all nine digits of the nanoseconds.
pub fn print_parts(seconds: u64, nanos: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
    out.push(b'.');
    print_nanos(nanos, out);
}

/// Appends all nine digits of the nanoseconds.
pub fn print_nanos(mut nanos: u32, out: &mut Vec<u8>) {
    let mut text = *b"000000000";
    for digit in text.iter_mut().rev() {
        *digit += (nanos % 10) as u8;
        nanos /= 10;
    }
    out.extend_from_slice(&text);
}

/// An offset in seconds, which may have a sign, as nanoseconds: exact if it has at most nine
/// decimals.
pub fn parse_nanos(text: &[u8]) -> Option<i128> {
    let negative = text.starts_with(b"-");
    let sign = usize::from(negative || text.starts_with(b"+"));
    let (seconds, rest) = number(&text[sign..])?;
    let fraction = rest.strip_prefix(b".").unwrap_or(rest);
    if fraction.len() > 9 || !fraction.iter().all(u8::is_ascii_digit) {
        let seconds: f64 = fast_float2::parse(text).ok()?;
        // 1e20 s exceeds every possible time; a cast would hide that.
        return (seconds.abs() < 1e20).then(|| (seconds * 1e9).round() as i128);
    }
    let padded = fraction.iter().map(|byte| byte - b'0').chain(std::iter::repeat(0)).take(9);
    let nanos = padded.fold(0, |sum, digit| sum * 10 + i128::from(digit));
    let all = i128::from(seconds) * 1_000_000_000 + nanos;
    Some(if negative { -all } else { all })
}

/// Decimal digits at the start of `text` that fit into 64 bits, and the text after them.
pub fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut digits = 0;
    for &byte in text {
        if !byte.is_ascii_digit() {
            break;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        digits += 1;
    }
    (digits > 0).then_some((value, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_that_of_the_whole_time() {
        for (parts, time, text) in [
            ((true, 0, 500_000_000), Time { sec: -1, nsec: 500_000_000 }, "-0.500000000"),
            ((true, 3, 1), Time { sec: -4, nsec: 999_999_999 }, "-3.000000001"),
            ((true, 3, 0), Time { sec: -3, nsec: 0 }, "-3.000000000"),
            ((false, 3, 1), Time { sec: 3, nsec: 1 }, "3.000000001"),
            ((true, 1 << 63, 0), Time { sec: i64::MIN, nsec: 0 }, "-9223372036854775808.000000000"),
        ] {
            let (negative, seconds, nanos) = parts;
            assert_eq!(Time::from_parts(negative, seconds, u64::from(nanos)), Some(time));
            assert_eq!((time.parts(), time.to_string()), (parts, text.into()));
        }
        assert_eq!(Time::from_parts(true, 0, 0), Some(Time::default()));
        assert_eq!(Time::from_parts(true, 1 << 63, 1), None);
        assert_eq!(Time::from_parts(false, 1 << 63, 0), None);
    }

    #[test]
    fn nanoseconds_of_a_text_are_carried_with_its_sign() {
        assert_eq!(Time::from_parts(false, 0, 1_000_000_000), Some(Time { sec: 1, nsec: 0 }));
        assert_eq!(Time::from_parts(true, 1, 1_500_000_000), Some(Time { sec: -3, nsec: 500_000_000 }));
        assert_eq!(Time::from_parts(false, i64::MAX as u64, 1_000_000_000), None);
    }

    #[test]
    fn nanoseconds_out_of_range_are_carried() {
        assert_eq!(Time::carried(5, 1_500_000_000), Time { sec: 6, nsec: 500_000_000 });
        assert_eq!(Time::carried(5, -1), Time { sec: 4, nsec: 999_999_999 });
        assert_eq!(Time::carried(i64::MAX, i64::MAX).sec, i64::MAX);
    }

    #[test]
    fn a_difference_has_a_sign() {
        let (a, b) = (Time { sec: 1, nsec: 900_000_000 }, Time { sec: 3, nsec: 100_000_000 });
        assert_eq!(b.since(a), (false, 1, 200_000_000));
        assert_eq!(a.since(b), (true, 1, 200_000_000));
        assert_eq!(a.since(a), (false, 0, 0));
        let far = Time { sec: i64::MAX, nsec: 0 }.since(Time { sec: i64::MIN, nsec: 1 });
        assert_eq!(far, (false, u64::MAX - 1, 999_999_999));
    }

    #[test]
    fn a_sum_that_is_too_large_is_none() {
        assert_eq!(Time { sec: i64::MAX, nsec: 999_999_999 }.plus_nanos(1), None);
        assert_eq!(Time::default().plus_nanos(-1), Some(Time { sec: -1, nsec: 999_999_999 }));
        assert_eq!(Time::default().plus_nanos(i128::MAX), None);
    }
}
