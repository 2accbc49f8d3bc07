//! Which signals are drawn, and which part of complex ones.

use crate::record::value::split;
use crate::signals::SignalType;

/// The part of a value that a curve shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Float,
    Integer,
    Boolean,
    Magnitude,
    Real,
    Imaginary,
}

impl Part {
    /// The figure that is drawn.
    pub(crate) fn of(self, bits: u64) -> f64 {
        let (real, imaginary) = split(bits);
        match self {
            Part::Float => f64::from_bits(bits),
            Part::Integer => bits as i64 as f64,
            Part::Boolean => f64::from(u8::from(bits != 0)),
            Part::Magnitude => f64::from(real).hypot(imaginary.into()),
            Part::Real => real.into(),
            Part::Imaginary => imaginary.into(),
        }
    }
}

/// The names of `--signals`; all signals if there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice(Vec<String>);

impl Choice {
    pub(crate) fn new(names: &[String]) -> Choice {
        Choice(names.to_vec())
    }

    pub(crate) fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// What is drawn of a signal: its place in the choice, the part, and the name of its curve.
    pub(crate) fn parts(&self, name: &str, kind: SignalType) -> Vec<(usize, Part, String)> {
        let whole = match kind {
            SignalType::Float => (Part::Float, name.into()),
            SignalType::Integer => (Part::Integer, name.into()),
            SignalType::Boolean => (Part::Boolean, name.into()),
            SignalType::Complex => (Part::Magnitude, format!("|{name}|")),
        };
        if self.is_all() {
            return vec![(0, whole.0, whole.1)];
        }
        let wanted = |(place, chosen): (usize, &String)| match chosen.strip_prefix(name)? {
            "" => Some((place, whole.0, whole.1.clone())),
            ".re" if kind == SignalType::Complex => Some((place, Part::Real, format!("Re {name}"))),
            ".im" if kind == SignalType::Complex => Some((place, Part::Imaginary, format!("Im {name}"))),
            _ => None,
        };
        self.0.iter().enumerate().filter_map(wanted).collect()
    }

    /// An error if a name is that of no signal of any file.
    pub(crate) fn check(&self, seen: &[String]) -> Result<(), String> {
        let is_seen = |chosen: &str| seen.iter().any(|name| name == chosen);
        let is_known = |chosen: &&String| {
            is_seen(chosen) || [".re", ".im"].iter().any(|part| chosen.strip_suffix(part).is_some_and(is_seen))
        };
        let Some(unknown) = self.0.iter().find(|chosen| !is_known(chosen)) else { return Ok(()) };
        if seen.is_empty() {
            return Err("--signals: there are no samples, and so no signals".into());
        }
        let near = seen.iter().find(|name| strsim::damerau_levenshtein(name, unknown) <= 2);
        let hint = near.map_or_else(|| "the signals are ".to_owned() + &some(seen), |near| format!("did you mean \"{near}\"?"));
        Err(format!("--signals: no signal is called \"{unknown}\"; {hint}"))
    }
}

/// The first names of a list.
fn some(names: &[String]) -> String {
    let more = if names.len() > 20 { ", …" } else { "" };
    names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::value::join;

    fn choice(names: &[&str]) -> Choice {
        Choice(names.iter().map(|&name| name.into()).collect())
    }

    #[test]
    fn a_complex_signal_is_drawn_as_its_magnitude_or_its_parts() {
        let value = join(3.0, -4.0);
        let drawn = |names: &[&str]| -> Vec<(String, f64)> {
            let parts = choice(names).parts("u", SignalType::Complex);
            parts.into_iter().map(|(_, part, name)| (name, part.of(value))).collect()
        };
        assert_eq!(drawn(&[]), [("|u|".into(), 5.0)]);
        assert_eq!(drawn(&["u.re", "u.im", "u"]), [("Re u".into(), 3.0), ("Im u".into(), -4.0), ("|u|".into(), 5.0)]);
        assert_eq!(drawn(&["v"]), []);
    }

    #[test]
    fn a_name_that_no_signal_has_is_an_error_that_helps() {
        let seen = ["power".to_owned(), "u".to_owned()];
        assert_eq!(choice(&["u.re", "power"]).check(&seen), Ok(()));
        let error = choice(&["u", "powre"]).check(&seen).unwrap_err();
        assert_eq!(error, "--signals: no signal is called \"powre\"; did you mean \"power\"?");
        let error = choice(&["frequency"]).check(&seen).unwrap_err();
        assert!(error.ends_with("the signals are power, u"), "{error}");
    }
}
