//! The values of options.

use std::time::Duration;

use crate::watch::Every;

/// A key as `ipcs` prints it: its 32 bits, or the number that they mean.
pub(super) fn key(text: &str) -> Result<i32, &'static str> {
    let bits = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(|bits| bits as i32),
        None => text.parse().ok(),
    };
    bits.filter(|&key| key != 0).ok_or("expected a key, decimal or 0x…; private segments have none: use --id")
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    if seconds < 0.0 {
        return Err("expected a number of seconds that is not negative".into());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

pub(super) fn pace(text: &str) -> Result<f64, &'static str> {
    number(text, |pace| pace > 0.0, "expected a number above 0, such as 10: ten times as fast as recorded")
}

pub(super) fn every(text: &str) -> Result<Every, String> {
    let wanted = "expected a number of samples, such as 10, or a time, such as 0.5s";
    match text.strip_suffix('s') {
        Some(time) => some_seconds(time).map(Every::Time).map_err(|_| wanted.into()),
        None => text.parse().ok().filter(|&count| count > 0).map(Every::Samples).ok_or_else(|| wanted.into()),
    }
}

pub(super) fn some_seconds(text: &str) -> Result<Duration, String> {
    let time = seconds(text)?;
    if time.is_zero() { Err("expected more than 0 seconds".into()) } else { Ok(time) }
}

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    if (0.05..=3600.0).contains(&interval.as_secs_f64()) { Ok(interval) } else { Err("expected 0.05 to 3600 seconds".into()) }
}

/// A number that `is_right` accepts, or what is wanted.
fn number(text: &str, is_right: impl Fn(f64) -> bool, wanted: &'static str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|&number: &f64| number.is_finite() && is_right(number)).ok_or(wanted)
}

pub(super) fn up_to(most: i64) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=most)
}

pub(super) fn two_cpus(text: &str) -> Result<[usize; 2], &'static str> {
    let pair = text.split_once(',').and_then(|(a, b)| Some([a.trim().parse().ok()?, b.trim().parse().ok()?]));
    match pair {
        Some([a, b]) if a == b => Err("expected two different processors"),
        Some(pair) => Ok(pair),
        None => Err("expected two numbers, as in 0,1"),
    }
}

pub(super) fn finite(text: &str) -> Result<f64, &'static str> {
    number(text, |_| true, "expected a number")
}

pub(super) fn not_negative(text: &str) -> Result<f64, &'static str> {
    number(text, |number| number >= 0.0, "expected a number that is not negative")
}

pub(super) fn frequency(text: &str) -> Result<f64, &'static str> {
    number(text, |number| number > 0.0, "expected a number above 0")
}

/// Within these bounds every step has a time.
pub(super) fn rate(text: &str) -> Result<f64, &'static str> {
    number(text, |rate| (1e-6..=1e9).contains(&rate), "expected a number of Hz from 1e-6 to 1e9")
}
