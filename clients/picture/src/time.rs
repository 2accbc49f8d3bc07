//! Marks of an axis of time, in nanoseconds.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use crate::numbers;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Earlier times are no dates, but seconds of a clock that has begun at zero.
const FIRST_DATE: i64 = 2 * 365 * DAY;
/// Less than this is marked by seconds, and the label says from when on they count.
const SHORT: i64 = 12 * SECOND;

/// Steps below a month. A week begins on Monday.
const STEPS: [i64; 23] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    8 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
];
const MONTHS: [i64; 4] = [1, 2, 3, 6];

/// The marks of an axis of time, and its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// Where the marks are, and their texts.
    pub marks: Vec<(i64, String)>,
    /// What is counted, in which unit, from when on.
    pub label: String,
}

/// At most about `most` marks between two points in time, which are nanoseconds since 1970: dates
/// and hours of UTC, or seconds if they are too near to 1970 to be dates.
#[must_use]
pub fn marks(from: i64, to: i64, most: usize) -> Times {
    let (Some(first), Some(_)) = (civil_time(from), civil_time(to)) else { return seconds(from, to, most, 0, "time") };
    if from < FIRST_DATE {
        return seconds(from, to, most, 0, "time");
    }
    if to - from < SHORT {
        let base = from.div_euclid(SECOND) * SECOND;
        return seconds(from, to, most, base, &format!("time after {} UTC", first.strftime("%Y-%m-%d %H:%M:%S")));
    }
    let least = (to - from) / most.max(1) as i64;
    let marks = match STEPS.into_iter().find(|&step| step >= least) {
        Some(step) => clock(from, to, step),
        None => calendar(from, to, least),
    };
    Times { marks, label: format!("UTC, from {}", first.strftime("%Y-%m-%d %H:%M")) }
}

/// As [`marks`], for times that count from `base`, in the unit that makes short texts.
#[must_use]
pub fn seconds(from: i64, to: i64, most: usize, base: i64, what: &str) -> Times {
    let span = to.saturating_sub(from);
    let (unit, name) =
        [(SECOND, "s"), (1_000_000, "ms"), (1000, "µs")].into_iter().find(|unit| span >= 2 * unit.0).unwrap_or((1, "ns"));
    let place = |time: i64| time.saturating_sub(base) as f64 / unit as f64;
    let marks = numbers::marks(place(from), place(to), most);
    let marks = marks.into_iter().map(|(at, text)| (base.saturating_add((at * unit as f64).round() as i64), text));
    Times { marks: marks.collect(), label: format!("{what}, {name}") }
}

/// Multiples of a step below a month.
fn clock(from: i64, to: i64, step: i64) -> Vec<(i64, String)> {
    // Multiples of weeks count from a Monday; the first one after 1970 is the 5th of January.
    let origin = if step > 2 * DAY { 4 * DAY } else { 0 };
    let first = (from - origin).div_euclid(step) + i64::from((from - origin).rem_euclid(step) > 0);
    let times = (first..).map(|at| origin + at * step).take_while(|&time| time <= to);
    let text = |time| {
        let format = if time % DAY == 0 {
            "%b %-d"
        } else if step < MINUTE {
            "%H:%M:%S"
        } else {
            "%H:%M"
        };
        civil_time(time).map_or(String::new(), |at| at.strftime(format).to_string())
    };
    times.map(|time| (time, text(time))).collect()
}

/// The first days of months or years.
fn calendar(from: i64, to: i64, least: i64) -> Vec<(i64, String)> {
    let month = MONTHS.into_iter().find(|months| months * 30 * DAY >= least);
    let years = numbers::round_up(least as f64 / (365 * DAY) as f64).max(1.0) as i64;
    let (step, format) = month.map_or((12 * years, "%Y"), |months| (months, "%b %Y"));
    let start = civil_time(from).map_or(Date::constant(1970, 1, 1), |time| time.date());
    let start = civil::date((i64::from(start.year()) / years.max(1) * years) as i16, 1, 1);
    let dates = (0..).map_while(|at: i64| start.checked_add((at * step).months()).ok());
    let times = dates.filter_map(|date| Some((nanoseconds(date.to_datetime(civil::Time::midnight()))?, date)));
    let marks = times.skip_while(|time| time.0 < from).take_while(|time| time.0 <= to);
    marks.map(|(time, date)| (time, date.strftime(format).to_string())).collect()
}

fn civil_time(time: i64) -> Option<DateTime> {
    Timestamp::from_nanosecond(time.into()).ok().map(|time| TimeZone::UTC.to_datetime(time))
}

fn nanoseconds(time: DateTime) -> Option<i64> {
    TimeZone::UTC.to_timestamp(time).ok()?.as_nanosecond().try_into().ok()
}

/// Reads a point in time: seconds since 1970, or a date with or without an hour, in UTC unless it
/// says another zone. Nanoseconds since 1970.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return time.as_nanosecond().try_into().ok();
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return nanoseconds(time);
    }
    let seconds: f64 = text.parse().ok()?;
    let whole = seconds.floor();
    let nanos = (whole as i64).checked_mul(SECOND)?.checked_add(((seconds - whole) * 1e9).round() as i64)?;
    seconds.is_finite().then_some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(from: &str, to: &str, most: usize) -> (String, String) {
        let times = marks(parse(from).unwrap(), parse(to).unwrap(), most);
        let texts: Vec<String> = times.marks.into_iter().map(|mark| mark.1).collect();
        (texts.join(" "), times.label)
    }

    #[test]
    fn marks_are_where_clocks_and_calendars_have_them() {
        for (from, to, wanted) in [
            ("2016-01-01", "2016-01-08", "Jan 1 Jan 2 Jan 3 Jan 4 Jan 5 Jan 6 Jan 7 Jan 8"),
            ("2016-01-01", "2017-01-01", "Jan 2016 Mar 2016 May 2016 Jul 2016 Sep 2016 Nov 2016 Jan 2017"),
            ("2016-02-10", "2016-03-20", "Feb 15 Feb 22 Feb 29 Mar 7 Mar 14"),
            ("2016-01-01", "2016-01-02", "Jan 1 03:00 06:00 09:00 12:00 15:00 18:00 21:00 Jan 2"),
            ("2016-01-01T10:00", "2016-01-01T10:01", "10:00:00 10:00:10 10:00:20 10:00:30 10:00:40 10:00:50 10:01:00"),
            ("1999-05-01", "2031-01-01", "2000 2005 2010 2015 2020 2025 2030"),
        ] {
            assert_eq!(texts(from, to, 8).0, wanted, "{from} {to}");
        }
        assert_eq!(texts("2016-01-01", "2016-01-08", 8).1, "UTC, from 2016-01-01 00:00");
    }

    #[test]
    fn a_short_time_is_marked_by_seconds_after_a_whole_one() {
        let (marks, label) = texts("2016-01-01T10:00:07.250Z", "2016-01-01T10:00:07.450Z", 5);
        assert_eq!((&*marks, &*label), ("250 300 350 400 450", "time after 2016-01-01 10:00:07 UTC, ms"));
        let (marks, label) = texts("0", "30", 6);
        assert_eq!((&*marks, &*label), ("0 5 10 15 20 25 30", "time, s"));
    }

    #[test]
    fn any_two_times_have_an_axis() {
        for (from, to) in [(0, 0), (i64::MIN, i64::MAX), (0, i64::MAX), (i64::MAX - 1, i64::MAX), (FIRST_DATE, i64::MAX)] {
            assert!(marks(from, to, 6).marks.len() < 20, "{from} {to}");
        }
    }

    #[test]
    fn points_in_time_are_read_as_seconds_or_dates() {
        for (text, time) in [
            ("1451606400", Some(1_451_606_400 * SECOND)),
            ("2016-01-01", Some(1_451_606_400 * SECOND)),
            ("2016-01-01T02:00+02:00", Some(1_451_606_400 * SECOND)),
            ("2016-01-01 00:00:01.5", Some(1_451_606_401 * SECOND + SECOND / 2)),
            ("-0.5", Some(-SECOND / 2)),
            ("1e300", None),
            ("nan", None),
            ("noon", None),
        ] {
            assert_eq!(parse(text), time, "{text}");
        }
    }
}
