//! Marks of an axis of numbers: at multiples of 1, 2 or 5 times a power of ten.

/// The power of ten at or below a positive figure.
fn power(figure: f64) -> i32 {
    figure.log10().floor() as i32
}

/// The smallest of 1, 2, 5, 10 … times a power of ten that is at least this.
#[must_use]
pub fn round_up(least: f64) -> f64 {
    let unit = 10f64.powi(power(least));
    [1.0, 2.0, 5.0, 10.0].map(|digit| digit * unit).into_iter().find(|&step| step >= least * (1.0 - 1e-9)).unwrap_or(least)
}

/// The ends of an axis on which these figures have room.
#[must_use]
pub fn ends(low: f64, high: f64) -> (f64, f64) {
    // Figures at both ends of what a double holds are too far apart for one.
    let [low, high] = [low, high].map(|end| end.clamp(f64::MIN / 4.0, f64::MAX / 4.0));
    let least = 1e-9 * low.abs().max(high.abs());
    let room = match high - low {
        span if span > least => 0.06 * span,
        _ if low == 0.0 => 1.0,
        _ => 0.1 * low.abs(),
    };
    (low - room, high + room)
}

/// At most about `most` marks between two figures, but at least two, and their texts.
#[must_use]
pub fn marks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let marks = multiples(low, high, round_up((high - low) / most.max(1) as f64));
    if marks.len() < 2 { multiples(low, high, round_up((high - low) / 4.0)) } else { marks }
}

/// The multiples of a step between two figures.
fn multiples(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    if !step.is_normal() || !(first..=last).contains(&first) || last - first > 1000.0 {
        return Vec::new();
    }
    let figures = (0..=(last - first) as usize).map(|at| (first + at as f64) * step);
    figures.map(|figure| (figure, text(figure, low.abs().max(high.abs()), step))).collect()
}

/// A figure with as many digits as tell it from its neighbours one `step` away; `largest` on the
/// axis decides whether all of them have exponents.
fn text(figure: f64, largest: f64, step: f64) -> String {
    if figure == 0.0 {
        return "0".into();
    }
    let digits = power(step * 1.000_001);
    if (1e-3..1e6).contains(&largest) || (largest < 1e12 && digits > -3 && largest / step > 1e4) {
        return format!("{figure:.*}", digits.min(0).unsigned_abs() as usize);
    }
    let own = power(figure.abs() * 1.000_000_001);
    format!("{:.*}e{own}", (own - digits).max(0) as usize, figure / 10f64.powi(own))
}

/// A value in about six digits, as it stands beside a curve.
#[must_use]
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let own = power(value.abs());
    let text = if (-4..6).contains(&own) { format!("{value:.*}", (5 - own) as usize) } else { format!("{value:.4e}") };
    let (digits, exponent) = text.split_once('e').map_or((&*text, String::new()), |(digits, e)| (digits, format!("e{e}")));
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, most: usize) -> Vec<String> {
        marks(low, high, most).into_iter().map(|mark| mark.1).collect()
    }

    #[test]
    fn marks_are_round_and_their_texts_short() {
        assert_eq!(texts(-0.06, 1.06, 6), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(-260.0, 260.0, 5), ["-200", "0", "200"]);
        assert_eq!(texts(-350.0, 350.0, 2), ["-200", "0", "200"]);
        assert_eq!(texts(49.98, 50.021, 4), ["49.98", "50.00", "50.02"]);
        assert_eq!(texts(0.0, 4.2e9, 5), ["0", "1e9", "2e9", "3e9", "4e9"]);
        assert_eq!(texts(-3e-7, 3e-7, 3), ["-2e-7", "0", "2e-7"]);
        assert_eq!(texts(0.0, 1.3e-5, 5), ["0", "5e-6", "1.0e-5"]);
        assert_eq!(texts(1e9, 1e9 + 4.0, 4), ["1000000000", "1000000001", "1000000002", "1000000003", "1000000004"]);
    }

    #[test]
    fn marks_are_at_multiples_of_one_two_or_five_and_inside() {
        for power in -300..300 {
            for (low, high) in [(-1.0, 1.0), (0.3, 7.7), (-9.9, -9.1)] {
                let (low, high) = (low * 10f64.powi(power), high * 10f64.powi(power));
                let marks = marks(low, high, 6);
                assert!((2..=7).contains(&marks.len()), "{low} {high} {marks:?}");
                assert!(marks.iter().all(|mark| (low..=high).contains(&mark.0)), "{low} {high} {marks:?}");
                let texts: std::collections::BTreeSet<&str> = marks.iter().map(|mark| &*mark.1).collect();
                assert_eq!(texts.len(), marks.len(), "{marks:?}");
                for (figure, text) in &marks {
                    let off = (text.parse::<f64>().unwrap() - figure).abs();
                    assert!(off < 1e-3 * (high - low), "{text} for {figure}");
                }
            }
        }
    }

    #[test]
    fn every_figure_has_an_axis() {
        for (low, high) in [(0.0, 0.0), (5.0, 5.0), (f64::MIN, f64::MAX), (-1e-320, 1e-320), (f64::MAX, f64::MAX), (1e300, 1e300)]
        {
            let ends = ends(low, high);
            assert!(ends.0 < ends.1 && (ends.1 - ends.0).is_finite(), "{low} {high} {ends:?}");
            assert!(marks(ends.0, ends.1, 5).len() < 10);
        }
    }

    #[test]
    fn a_value_is_said_shortly() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-230.123_456, "-230.123"),
            (50.0004, "50.0004"),
            (1e-9, "1e-9"),
            (-1.5e12, "-1.5e12"),
            (0.000_123, "0.000123"),
            (100_000.0, "100000"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
