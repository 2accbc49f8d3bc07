//! One value: 8 bytes of a sample as text, and back.
//!
//! The bytes are a C union, so each member lies at the lowest address in the machine's byte order.

use super::nan::Nan;
use crate::signals::SignalType;

/// Appends a value in VILLASnode's form; floats with enough digits to read the same bits back.
#[inline]
pub fn print(kind: SignalType, bits: u64, out: &mut Vec<u8>) {
    match kind {
        SignalType::Float => print_double(f64::from_bits(bits), out),
        SignalType::Integer => {
            out.extend_from_slice(itoa::Buffer::new().format(bits as i64).as_bytes());
        }
        SignalType::Boolean => out.push(b'0' + u8::from(is_true(bits))),
        SignalType::Complex => {
            let (real, imaginary) = split(bits);
            print_single(real, out);
            if !imaginary.is_sign_negative() {
                out.push(b'+');
            }
            print_single(imaginary, out);
            out.push(b'i');
        }
    }
}

/// The value as text, for a message.
pub fn show(kind: SignalType, bits: u64) -> String {
    let mut text = Vec::new();
    print(kind, bits, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads a value at the start of `text`; returns its bits and its length, or the error in it.
#[inline]
pub fn parse(kind: SignalType, text: &[u8]) -> Result<(u64, usize), &'static str> {
    match kind {
        SignalType::Float => parse_double(text).map(|(value, len)| (value.to_bits(), len)),
        SignalType::Integer => parse_integer(text).map(|(value, len)| (value as u64, len)),
        SignalType::Boolean => {
            let (value, len) = match text {
                [digit @ (b'0' | b'1'), ..] => (digit - b'0', 1),
                _ if begins_with(text, b"false") => (0, 5),
                _ if begins_with(text, b"true") => (1, 4),
                _ => return Err(NO_BOOLEAN),
            };
            Ok((u64::from_ne_bytes([value, 0, 0, 0, 0, 0, 0, 0]), len))
        }
        SignalType::Complex => parse_complex(text).map(|(re, im, len)| (join(re, im), len)),
    }
}

/// In any case: programs write `True`, too.
fn begins_with(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Whether a boolean is true.
pub fn is_true(bits: u64) -> bool {
    bits.to_ne_bytes()[0] != 0
}

/// The value that means "missing", if the type has one.
pub fn missing(kind: SignalType) -> Option<u64> {
    match kind {
        SignalType::Float => Some(f64::NAN.to_bits()),
        SignalType::Complex => Some(join(f32::NAN, f32::NAN)),
        SignalType::Integer | SignalType::Boolean => None,
    }
}

/// Why a cell of a type without such a value must not be empty.
pub fn no_missing(kind: SignalType) -> &'static str {
    if kind == SignalType::Boolean { "a boolean is 0 or 1" } else { "an integer cannot say that: there is no NaN" }
}

/// The error for a text that is no value of this type.
pub fn no_value(kind: SignalType) -> &'static str {
    match kind {
        SignalType::Float => NO_NUMBER,
        SignalType::Integer => NO_INTEGER,
        SignalType::Boolean => NO_BOOLEAN,
        SignalType::Complex => NO_COMPLEX,
    }
}

/// Real and imaginary part.
pub fn split(bits: u64) -> (f32, f32) {
    let [a, b, c, d, e, f, g, h] = bits.to_ne_bytes();
    (f32::from_ne_bytes([a, b, c, d]), f32::from_ne_bytes([e, f, g, h]))
}

/// The complex value with these parts.
pub fn join(real: f32, imaginary: f32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (real.to_ne_bytes(), imaginary.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

#[inline]
fn print_double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        let bits = value.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        print_special(value.is_sign_negative(), fraction, 52, out);
    }
}

/// As [`print`], for one part of a complex value.
pub fn print_single(value: f32, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        let fraction = u64::from(value.to_bits() & ((1 << 23) - 1));
        print_special(value.is_sign_negative(), fraction, 23, out);
    }
}

#[cold]
fn print_special(negative: bool, fraction: u64, fraction_bits: u32, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    if fraction == 0 {
        out.extend_from_slice(b"inf");
    } else {
        Nan::from_fraction(negative, fraction, fraction_bits).print(out);
    }
}

const NO_NUMBER: &str = "is not a number";
const NO_INTEGER: &str = "is not an integer";
const NO_BOOLEAN: &str = "is not 0 or 1";
const NO_COMPLEX: &str = "is not a complex number such as 1.5+2.5i";
const OUT_OF_RANGE: &str = "is out of range";

#[inline]
fn parse_double(text: &[u8]) -> Result<(f64, usize), &'static str> {
    match fast_float2::parse_partial::<f64, _>(text) {
        Ok((value, len)) if value.is_finite() => Ok((value, len)),
        other => special_double(text, other.ok()),
    }
}

/// A value that is not finite: infinity by name, not a number, or a number that is too large.
#[cold]
fn special_double(text: &[u8], parsed: Option<(f64, usize)>) -> Result<(f64, usize), &'static str> {
    if let Some((nan, len)) = Nan::parse(text, 52) {
        let bits = u64::from(nan.negative) << 63 | 0x7ff << 52 | nan.fraction(52);
        return Ok((f64::from_bits(bits), len));
    }
    match parsed {
        Some((value, len)) if value.is_infinite() && names_infinity(text) => Ok((value, len)),
        Some((value, _)) if value.is_infinite() => Err(OUT_OF_RANGE),
        _ => Err(NO_NUMBER),
    }
}

/// A hexadecimal float as C prints it, `0x1.8p-1`, which VILLASnode reads. `None`: the text is not
/// one, or no double has exactly this value.
#[cold]
pub fn parse_hexadecimal(text: &[u8]) -> Option<(u64, usize)> {
    let negative = text.starts_with(b"-");
    let sign = usize::from(negative || text.starts_with(b"+"));
    let mut rest = text[sign..].strip_prefix(b"0x").or(text[sign..].strip_prefix(b"0X"))?;
    let (mut digits, mut exponent, mut has_digit, mut has_point) = (0_u64, 0_i32, false, false);
    while let [byte, after @ ..] = rest {
        match char::from(*byte).to_digit(16) {
            Some(digit) => {
                digits = digits.checked_mul(16)? + u64::from(digit);
                exponent -= if has_point { 4 } else { 0 };
                has_digit = true;
            }
            None if *byte == b'.' && !has_point => has_point = true,
            None => break,
        }
        rest = after;
    }
    if let [b'p' | b'P', after @ ..] = rest {
        let (power, len) = parse_integer(after).ok()?;
        exponent = exponent.checked_add(i32::try_from(power).ok().filter(|power| power.abs() < 10_000)?)?;
        rest = &after[len..];
    }
    // In two steps: 2^-1074 is a double, and so are both factors.
    let (half, other) = (exponent / 2, exponent - exponent / 2);
    let value = digits as f64 * 2_f64.powi(half) * 2_f64.powi(other);
    let is_exact = value * 2_f64.powi(-other) * 2_f64.powi(-half) == digits as f64 && digits as f64 as u128 == digits.into();
    let value = if negative { -value } else { value };
    (has_digit && is_exact).then_some((value.to_bits(), text.len() - rest.len()))
}

/// As [`parse`], for one part of a complex value.
pub fn parse_single(text: &[u8]) -> Result<(f32, usize), &'static str> {
    match fast_float2::parse_partial::<f32, _>(text) {
        Ok((value, len)) if value.is_finite() => Ok((value, len)),
        other => {
            if let Some((nan, len)) = Nan::parse(text, 23) {
                let bits = u32::from(nan.negative) << 31 | 0xff << 23 | nan.fraction(23) as u32;
                return Ok((f32::from_bits(bits), len));
            }
            match other {
                Ok((value, len)) if value.is_infinite() && names_infinity(text) => Ok((value, len)),
                Ok((value, _)) if value.is_infinite() => Err(OUT_OF_RANGE),
                _ => Err(NO_NUMBER),
            }
        }
    }
}

fn names_infinity(text: &[u8]) -> bool {
    let body = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    matches!(body.first(), Some(b'i' | b'I'))
}

fn parse_integer(text: &[u8]) -> Result<(i64, usize), &'static str> {
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let digits = text[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(NO_INTEGER);
    }
    let len = sign + digits;
    // Digits and a sign are ASCII, so only the range can be wrong.
    let number = std::str::from_utf8(&text[..len]).ok().and_then(|text| text.parse().ok());
    Ok((number.ok_or(OUT_OF_RANGE)?, len))
}

/// `1.5+2.5i`; also a real part alone, or an imaginary part alone (`2.5i`).
fn parse_complex(text: &[u8]) -> Result<(f32, f32, usize), &'static str> {
    let unit = |at: usize| matches!(text.get(at), Some(b'i' | b'j'));
    let (first, len) = parse_single(text)?;
    if unit(len) {
        return Ok((0.0, first, len + 1));
    }
    if !matches!(text.get(len), Some(b'+' | b'-')) {
        return Ok((first, 0.0, len));
    }
    let (second, more) = parse_single(&text[len..]).map_err(|_| NO_COMPLEX)?;
    if unit(len + more) { Ok((first, second, len + more + 1)) } else { Err(NO_COMPLEX) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SignalType::{Boolean, Complex, Float, Integer};

    fn double(text: &str) -> Result<(f64, usize), &'static str> {
        parse(Float, text.as_bytes()).map(|(bits, len)| (f64::from_bits(bits), len))
    }

    #[test]
    fn floats_are_read_in_the_usual_forms() {
        assert_eq!(double("1.5\t2"), Ok((1.5, 3)));
        assert_eq!(double("-0.99544754599999996"), Ok((-0.995447546, 20)));
        assert_eq!(double("+1e-3 "), Ok((0.001, 5)));
        assert_eq!(double("5"), Ok((5.0, 1)));
        assert_eq!(double(".5"), Ok((0.5, 2)));
        assert_eq!(double("5."), Ok((5.0, 2)));
        assert_eq!(double("-inf"), Ok((f64::NEG_INFINITY, 4)));
        assert_eq!(double("Infinity"), Ok((f64::INFINITY, 8)));
        assert!(double("nan").unwrap().0.is_nan());
    }

    #[test]
    fn hexadecimal_floats_are_read_where_a_double_is_exactly_that() {
        let hexadecimal = |text: &str| parse_hexadecimal(text.as_bytes()).map(|(bits, len)| (f64::from_bits(bits), len));
        for (text, value) in [
            ("0x1F", 31.0),
            ("-0X1.8p-1", -0.75),
            ("+0x.8", 0.5),
            ("0x1.999999999999ap-4", 0.1),
            ("0x1.fffffffffffffp+1023", f64::MAX),
            ("0x0.0000000000001p-1022", 5e-324),
            ("0x1p-1074", 5e-324),
            ("0x0p+0", 0.0),
            ("0x20000000000002p0", 9007199254740994.0),
        ] {
            assert_eq!(hexadecimal(text), Some((value, text.len())), "{text}");
        }
        assert!(hexadecimal("-0x0").is_some_and(|(value, _)| value.is_sign_negative()));
        assert_eq!(hexadecimal("0x1.8p-1\t2"), Some((0.75, 8)));
        for text in [
            "0x",
            "0x.",
            "0xp1",
            "0x1p",
            "x1",
            "1",
            "0x1p1024",
            "0x1p-1075",
            "0x20000000000001p0",
            "0x1p99999999999",
            "0x11111111111111111",
        ] {
            assert_eq!(hexadecimal(text), None, "{text}");
        }
    }

    #[test]
    fn what_no_double_can_hold_is_out_of_range() {
        assert_eq!(double("1e999"), Err(OUT_OF_RANGE));
        assert_eq!(double("-1e999"), Err(OUT_OF_RANGE));
        assert_eq!(double("1e-999"), Ok((0.0, 6)));
        assert_eq!(parse(Integer, b"9223372036854775808"), Err(OUT_OF_RANGE));
        assert_eq!(parse(Integer, b"-9223372036854775808"), Ok((1 << 63, 20)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "abc", "--1", "e5", ".", "\0"] {
            assert!(double(text).is_err(), "{text:?}");
            assert!(parse(Integer, text.as_bytes()).is_err(), "{text:?}");
            assert!(parse(Boolean, text.as_bytes()).is_err(), "{text:?}");
            assert!(parse(Complex, text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn booleans_are_read_as_digits_and_as_words() {
        for (text, value) in [("0", 0), ("1\t2", 1), ("true", 1), ("True", 1), ("FALSE ", 0)] {
            let bits = u64::from_ne_bytes([value, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(parse(Boolean, text.as_bytes()).map(|(bits, _)| bits), Ok(bits), "{text}");
        }
        assert!(parse(Boolean, b"yes").is_err());
    }

    #[test]
    fn complex_values_are_read_in_their_forms() {
        let complex = |text: &str| parse(Complex, text.as_bytes()).map(|(bits, len)| (split(bits), len));
        assert_eq!(complex("1.5+2.5i"), Ok(((1.5, 2.5), 8)));
        assert_eq!(complex("1e-5-2e+3j\t"), Ok(((1e-5, -2e3), 10)));
        assert_eq!(complex("-1.5"), Ok(((-1.5, 0.0), 4)));
        assert_eq!(complex("2.5i"), Ok(((0.0, 2.5), 4)));
        assert_eq!(complex("inf-infi"), Ok(((f32::INFINITY, f32::NEG_INFINITY), 8)));
        assert!(complex("1+2").is_err());
        assert!(complex("1+i").is_err());
    }

    #[test]
    fn values_are_shown_as_villasnode_shows_them() {
        assert_eq!(show(Integer, -7_i64 as u64), "-7");
        assert_eq!(show(Boolean, u64::from_ne_bytes([1, 9, 9, 9, 9, 9, 9, 9])), "1");
        assert_eq!(show(Boolean, u64::from_ne_bytes([0, 9, 9, 9, 9, 9, 9, 9])), "0");
        assert_eq!(show(Complex, join(1.5, 2.5)), "1.5+2.5i");
        assert_eq!(show(Complex, join(-1.5, -0.0)), "-1.5-0.0i");
        assert_eq!(show(Float, 0.1_f64.to_bits()), "0.1");
    }
}
