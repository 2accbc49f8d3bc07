//! The meaning of a sample's values: the signals of one direction.

use std::borrow::Cow;
use std::str::FromStr;

pub use villas_shm::{Signal, SignalType};

/// The most values of a sample.
pub const MAX_SIGNALS: usize = 65_536;

/// The type that a letter of a format string such as `64f` stands for.
fn type_of_letter(letter: char) -> Option<SignalType> {
    Some(match letter {
        'f' => SignalType::Float,
        'i' => SignalType::Integer,
        'b' => SignalType::Boolean,
        'c' => SignalType::Complex,
        _ => return None,
    })
}

/// The signals of one direction; values beyond the list, or of an empty list, are floats. A name or
/// unit that nobody has stated is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals(Vec<Signal>);

impl Signals {
    /// A list of signals.
    pub fn new(list: Vec<Signal>) -> Self {
        Self(list)
    }

    /// Adds signals.
    pub fn extend(&mut self, more: Vec<Signal>) {
        self.0.extend(more);
    }

    /// Takes names and units from the header of a file where they are not stated; whether there are
    /// any.
    pub fn take_titles(&mut self, titles: Option<Vec<Signal>>) -> bool {
        let Some(titles) = titles else { return false };
        for (index, title) in titles.into_iter().enumerate() {
            match self.0.get_mut(index) {
                None => self.0.push(title),
                Some(stated) if stated.name().is_empty() => *stated = Signal::new(title.name(), title.unit(), stated.kind()),
                Some(_) => {}
            }
        }
        true
    }

    /// An error if the values that a file says it has are of other types than these.
    pub fn expect(&self, others: &Signals, file: &str) -> Result<(), String> {
        let differs = |&index: &usize| self.kind(index) != others.kind(index);
        match (0..self.len().max(others.len())).find(differs) {
            None => Ok(()),
            Some(index) => Err(format!(
                "{file}: value {index} (\"{}\") is of the type {}, and not {}, which is wanted here",
                others.name(index),
                others.kind(index),
                self.kind(index)
            )),
        }
    }

    /// How many signals there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is said of any value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The type of the value at `index`.
    #[inline]
    pub fn kind(&self, index: usize) -> SignalType {
        self.0.get(index).map_or(SignalType::Float, Signal::kind)
    }

    /// The signal at `index`, if the list has it.
    pub fn get(&self, index: usize) -> Option<&Signal> {
        self.0.get(index)
    }

    /// The name of the signal at `index`, or VILLASnode's name for one without.
    pub fn name(&self, index: usize) -> Cow<'_, str> {
        match self.0.get(index).map_or("", Signal::name) {
            "" => format!("signal{index}").into(),
            name => name.into(),
        }
    }

    /// The signal at `index` as a header line names it: `name[unit]`.
    pub fn title(&self, index: usize) -> Cow<'_, str> {
        match self.0.get(index).map_or("", Signal::unit) {
            "" => self.name(index),
            unit => format!("{}[{unit}]", self.name(index)).into(),
        }
    }

    /// The signals as a region names them: those that a region already names fill in names and units
    /// that are not stated here, and the rest have VILLASnode's names.
    pub fn filled_from(&self, named: &[Signal]) -> Vec<Signal> {
        let fill = |(index, signal): (usize, &Signal)| {
            let other = named.get(index).filter(|other| signal.name().is_empty() || signal.name() == other.name());
            let name = other.map_or_else(|| self.name(index), |other| other.name().into());
            let unit = other.map(Signal::unit).filter(|_| signal.unit().is_empty()).unwrap_or(signal.unit());
            Signal::new(name, unit, signal.kind())
        };
        self.0.iter().enumerate().map(fill).collect()
    }
}

/// The float with this title, `name[unit]`.
pub fn of_title(title: &str) -> Signal {
    let parts = title.strip_suffix(']').and_then(|title| title.rsplit_once('['));
    let (name, unit) = parts.unwrap_or((title, ""));
    Signal::new(name, unit, SignalType::Float)
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
                .and_then(type_of_letter)
                .ok_or_else(|| format!("\"{text}\" is not a list of types such as \"64f\" (f, i, b, c)"))?;
            // Only a number too large to hold fails here: it is too large for a sample, too.
            let count = if count.is_empty() { 1 } else { count.parse().unwrap_or(usize::MAX) };
            if count > MAX_SIGNALS - list.len() {
                return Err(format!("\"{text}\" has more than {MAX_SIGNALS} signals"));
            }
            list.resize(list.len() + count, Signal::new("", "", kind));
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
        let signals = Signals::new(vec![Signal::new("u", "V", SignalType::Float), Signal::new("", "A", SignalType::Float)]);
        assert_eq!(signals.title(0), "u[V]");
        assert_eq!(signals.title(1), "signal1[A]");
        assert_eq!(signals.title(2), "signal2");
    }

    #[test]
    fn what_is_not_stated_comes_from_the_region_and_else_from_villasnode() {
        let signal = |name: &str, unit: &str| Signal::new(name, unit, SignalType::Float);
        let stated = Signals::new(vec![signal("", ""), signal("i", ""), signal("p", ""), signal("", "s"), signal("", "")]);
        let named = [signal("u", "V"), signal("i", "A"), signal("q", "VA"), signal("t", "ms")];
        let filled = [signal("u", "V"), signal("i", "A"), signal("p", ""), signal("t", "s"), signal("signal4", "")];
        assert_eq!(stated.filled_from(&named), filled);
    }
}
