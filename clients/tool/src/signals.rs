//! The meaning of a sample's values: the signals of one direction.

use std::fmt;
use std::str::FromStr;

/// The most values of a sample.
pub(crate) const MAX_SIGNALS: usize = 65_536;

/// The type of one value; every value occupies 8 bytes in a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalType {
    /// A double.
    Float,
    /// A signed 64-bit integer.
    Integer,
    /// One byte, 0 or 1.
    Boolean,
    /// Two single-precision floats, the real part first.
    Complex,
}

impl SignalType {
    /// The type that a letter of a format string such as `64f` stands for.
    fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'f' => Self::Float,
            'i' => Self::Integer,
            'b' => Self::Boolean,
            'c' => Self::Complex,
            _ => return None,
        })
    }
}

impl FromStr for SignalType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "float" => Self::Float,
            "integer" => Self::Integer,
            "boolean" => Self::Boolean,
            "complex" => Self::Complex,
            _ => {
                return Err(format!("\"{name}\" is not a signal type (float, integer, boolean, complex)"));
            }
        })
    }
}

/// One signal as a configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    /// For the header line; `signalN` if there is none.
    pub(crate) name: Option<String>,
    /// For the header line.
    pub(crate) unit: Option<String>,
    /// How the value is read and printed.
    pub(crate) kind: SignalType,
}

/// The signals of one direction; values beyond the list, or of an empty list, are floats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signals(Vec<Signal>);

impl Signals {
    /// A list of named signals.
    pub(crate) fn new(list: Vec<Signal>) -> Self {
        Self(list)
    }

    /// This many unnamed signals of one type.
    pub(crate) fn repeat(count: usize, kind: SignalType) -> Self {
        Self(vec![Signal { name: None, unit: None, kind }; count])
    }

    /// How many signals the configuration names.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The type of the value at `index`.
    #[inline]
    pub(crate) fn kind(&self, index: usize) -> SignalType {
        self.0.get(index).map_or(SignalType::Float, |signal| signal.kind)
    }

    /// The signal at `index`, if the list has it.
    pub(crate) fn get(&self, index: usize) -> Option<&Signal> {
        self.0.get(index)
    }

    /// Shows the signal at `index` as a header line names it: `name[unit]`.
    pub(crate) fn title(&self, index: usize) -> impl fmt::Display + '_ {
        struct Title<'a>(Option<&'a Signal>, usize);
        impl fmt::Display for Title<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0.and_then(|signal| signal.name.as_deref()) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "signal{}", self.1)?,
                }
                match self.0.and_then(|signal| signal.unit.as_deref()) {
                    Some(unit) => write!(f, "[{unit}]"),
                    None => Ok(()),
                }
            }
        }
        Title(self.0.get(index), index)
    }
}

/// A format string: counts and letters, such as `64f` or `2f3ib`.
impl FromStr for Signals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut list = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (count, tail) = rest.split_at(digits);
            let kind = tail
                .chars()
                .next()
                .and_then(SignalType::from_letter)
                .ok_or_else(|| format!("\"{text}\" is not a list of types such as \"64f\" (f, i, b, c)"))?;
            // Only a number too large to hold fails here: it is too large for a sample, too.
            let count = if count.is_empty() { 1 } else { count.parse().unwrap_or(usize::MAX) };
            if count > MAX_SIGNALS - list.len() {
                return Err(format!("\"{text}\" has more than {MAX_SIGNALS} signals"));
            }
            list.extend(Self::repeat(count, kind).0);
            rest = &tail[1..];
        }
        Ok(Self(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_string_repeats_its_types() {
        let signals: Signals = "2fi3b".parse().unwrap();
        assert_eq!(signals.len(), 6);
        let kinds: Vec<_> = (0..8).map(|i| signals.kind(i)).collect();
        use SignalType::{Boolean, Float, Integer};
        assert_eq!(kinds, [Float, Float, Integer, Boolean, Boolean, Boolean, Float, Float]);
    }

    #[test]
    fn a_bad_format_string_is_refused() {
        for text in ["64", "x", "3q", "f4"] {
            assert!(text.parse::<Signals>().unwrap_err().contains(text));
        }
        for text in ["65537f", "65536fi", "99999999999999999999999f"] {
            assert!(text.parse::<Signals>().unwrap_err().contains("65536"));
        }
        assert_eq!("65536f".parse::<Signals>().unwrap().len(), 65_536);
    }

    #[test]
    fn a_title_has_name_and_unit() {
        let signals = Signals::new(vec![
            Signal { name: Some("u".into()), unit: Some("V".into()), kind: SignalType::Float },
            Signal { name: None, unit: None, kind: SignalType::Float },
        ]);
        assert_eq!(signals.title(0).to_string(), "u[V]");
        assert_eq!(signals.title(1).to_string(), "signal1");
        assert_eq!(signals.title(2).to_string(), "signal2");
    }
}
