//! How far the values of two files are apart.

use std::fmt::Write;

use crate::record::value::split;
use crate::signals::{SignalType, Signals};

/// Of two files: what the values of each signal have in differences.
#[derive(Debug, Default)]
pub(super) struct Distances(Vec<Distance>);

#[derive(Clone, Debug, Default)]
struct Distance {
    /// Values compared.
    compared: u64,
    /// Values that differ.
    count: u64,
    largest: f64,
    sum: f64,
    /// Differing values without a distance: one is NaN, or they are infinite.
    without: u64,
    /// Where the first of them is.
    first: String,
}

impl Distances {
    /// A sample with `len` values was compared.
    pub(super) fn count(&mut self, len: usize) {
        if self.0.len() < len {
            self.0.resize(len, Distance::default());
        }
        self.0[..len].iter_mut().for_each(|distance| distance.compared += 1);
    }

    /// The values of a signal differ, by `by` if that can be said.
    pub(super) fn add(&mut self, index: usize, by: f64, place: impl FnOnce() -> String) {
        let distance = &mut self.0[index];
        if distance.count == 0 {
            distance.first = place();
        }
        distance.count += 1;
        if by.is_finite() {
            distance.largest = distance.largest.max(by);
            distance.sum += by;
        } else {
            distance.without += 1;
        }
    }

    /// A line for each signal that differs; nothing if none does.
    pub(super) fn table(&self, signals: &Signals, file: Option<&str>) -> String {
        let mut text = String::new();
        for (index, distance) in self.0.iter().enumerate().filter(|(_, distance)| distance.count > 0) {
            let file = file.map_or(String::new(), |file| format!("{file}: "));
            let Distance { compared, count, without, first, .. } = distance;
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{file}{}: {count} of {compared} values differ", signals.title(index));
            if count > without {
                let mean = distance.sum / (count - without) as f64;
                let _ = write!(text, ", by at most {}, on average {}", short(distance.largest), short(mean));
            }
            if *without > 0 {
                let _ = write!(text, ", {without} of them NaN or infinite");
            }
            let _ = write!(text, "; first at {first}");
        }
        text
    }
}

/// With four digits.
fn short(value: f64) -> String {
    let text = format!("{value:.3e}");
    text.parse::<f64>().map_or(text.clone(), |value| if (1e-4..1e7).contains(&value) { value.to_string() } else { text })
}

/// How far two values are apart; not finite: that cannot be said. Of complex values, the part that
/// differs more counts.
pub(super) fn distance(kind: SignalType, a: u64, b: u64) -> f64 {
    let floats = |a: f64, b: f64| (a - b).abs();
    match kind {
        SignalType::Float => floats(f64::from_bits(a), f64::from_bits(b)),
        SignalType::Integer => (a as i64).abs_diff(b as i64) as f64,
        SignalType::Boolean => 1.0,
        SignalType::Complex => {
            let ((a_real, a_imaginary), (b_real, b_imaginary)) = (split(a), split(b));
            let (real, imaginary) = (floats(a_real.into(), b_real.into()), floats(a_imaginary.into(), b_imaginary.into()));
            // A maximum would leave out a NaN.
            if real.is_nan() || imaginary.is_nan() { f64::NAN } else { real.max(imaginary) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_largest_mean_and_first_are_counted_by_signal() {
        let signals = Signals::new(vec![villas_shm::Signal::new("u", "V", SignalType::Float)]);
        let mut distances = Distances::default();
        for (row, by) in [(1, 0.5), (2, 1.5), (3, f64::NAN)] {
            distances.count(2);
            distances.add(0, by, || format!("a:{row}"));
        }
        distances.count(1);
        let line = "\nu[V]: 3 of 4 values differ, by at most 1.5, on average 1, 1 of them NaN or infinite; first at a:1";
        assert_eq!(distances.table(&signals, None), line);
        assert_eq!(Distances::default().table(&signals, None), "");
    }

    #[test]
    fn a_figure_has_four_digits() {
        for (value, text) in [(0.5877852522924731, "0.5878"), (2e-12, "2.000e-12"), (123456.0, "123500"), (1e300, "1.000e300")] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn the_distance_is_that_of_the_values_type() {
        use crate::record::value::join;
        assert_eq!(distance(SignalType::Integer, u64::MAX, 1), 2.0);
        assert_eq!(distance(SignalType::Complex, join(1.0, 2.0), join(1.5, 5.0)), 3.0);
        assert!(distance(SignalType::Complex, join(f32::NAN, 2.0), join(1.5, 5.0)).is_nan());
        assert_eq!(distance(SignalType::Float, f64::INFINITY.to_bits(), 0), f64::INFINITY);
    }
}
