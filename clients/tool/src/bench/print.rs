//! The results, for the terminal, as JSON, and as a plot; `bench --help` describes the first two.

use std::time::Duration;

use serde_json::{Map, Value, json};
use villas_shm_measure::compare::{PERCENTILES, Place, Spread, percentile};
use villas_shm_measure::contender::Work;
use villas_shm_measure::plot::{Line, Plot, Style, logarithmic_axis, mark, percentile_axis, percentiles};
use villas_shm_measure::table::{bytes, columns, digits, rate, time};

use super::Row;
use crate::cli::BenchArgs;

impl Row {
    fn word(&self) -> &'static str {
        match self.work {
            Work::Trip => "round trip",
            Work::Asleep => "asleep",
            Work::Wake | Work::WakeCost => "wake-up",
            Work::Stream { .. } => "stream",
        }
    }

    fn batch(&self) -> usize {
        if let Work::Stream { batch } = self.work { batch } else { 1 }
    }

    fn is_stream(&self) -> bool {
        matches!(self.work, Work::Stream { .. })
    }

    fn ratio(&self, place: Option<Place>) -> Option<Spread> {
        if self.is_stream() { self.outcome.rate_ratio(place) } else { self.outcome.ratio(place) }
    }

    /// None if each side watches the other fall asleep, because then the processor time is that of
    /// the watching.
    fn cpu_ns(&self) -> Option<f64> {
        let is_known = matches!(self.work, Work::Trip | Work::Stream { .. });
        self.outcome.cpu_ns().filter(|_| is_known).map(|spread| spread.median)
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".into())
}

/// Two tables: one for items that are timed one by one, one for streams.
pub(super) fn table(rows: &[Row], cpus: [usize; 2]) -> String {
    let mut text = format!("on processors {} and {}; ratios are to bare memory\n", cpus[0], cpus[1]);
    for is_stream in [false, true] {
        let mut head: Vec<String> = ["", "mode", "values", "ratio", "near", "far", "counted"].map(String::from).into();
        if is_stream {
            head.extend(["batch", "rate"].map(String::from));
        } else {
            head.extend(PERCENTILES.map(|percentile| format!("p{percentile}")));
            head.push("max".into());
        }
        head.extend(["CPU s/million", "memory"].map(String::from));
        let lines = rows.iter().filter(|row| row.is_stream() == is_stream).map(line);
        text.push('\n');
        text += &columns(&std::iter::once(head).chain(lines).collect::<Vec<_>>());
    }
    let (counted, all) = rows.iter().map(|row| row.outcome.counted()).fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
    if 2 * counted < all {
        text += "\nMost turns did not count, as bare memory was not as fast before them as after: the machine is busy, or moves its processors.\n\
                 Stop other work, or measure for longer: --duration SECONDS.\n";
    }
    text
}

fn line(row: &Row) -> Vec<String> {
    let (counted, all) = row.outcome.counted();
    let median = |place| or_dash(row.ratio(place).map(|spread| digits(spread.median)));
    let mut cells = vec![
        row.word().into(),
        row.shape.mode().into(),
        row.shape.values.to_string(),
        median(None),
        median(Some(Place::Near)),
        median(Some(Place::Far)),
        format!("{counted}/{all}"),
    ];
    if row.is_stream() {
        cells.push(row.batch().to_string());
        cells.push(or_dash(row.outcome.ns(None).map(|spread| rate(spread.median))));
    } else {
        let times = row.outcome.times(None);
        let at = |at: f64| times.as_ref().and_then(|times| percentile(times, at));
        cells.extend(PERCENTILES.map(|part| or_dash(at(part).map(|ns| time(ns as f64)))));
        cells.push(or_dash(times.as_ref().map(|times| time(times.max() as f64))));
    }
    cells.push(or_dash(row.cpu_ns().map(|ns| digits(ns / 1e3))));
    cells.push(bytes(row.outcome.memory as f64));
    cells
}

fn spread(spread: Option<Spread>) -> Value {
    spread.map_or(Value::Null, |of| json!({ "median": of.median, "low": of.low, "high": of.high, "turns": of.count }))
}

/// What a run prints if it ends early.
pub(super) fn early(rows: &[Row], args: &BenchArgs, cpus: [usize; 2]) -> String {
    if args.json {
        return json(rows, cpus, args.duration, false);
    }
    format!("ended early; what was measured until then:\n{}", table(rows, cpus))
}

pub(super) fn json(rows: &[Row], cpus: [usize; 2], duration: Duration, complete: bool) -> String {
    let rows: Vec<Value> = rows.iter().map(row).collect();
    let duration = duration.as_secs_f64();
    format!("{:#}\n", json!({ "version": 1, "cpus": cpus, "duration": duration, "complete": complete, "rows": rows }))
}

fn row(row: &Row) -> Value {
    let (counted, all) = row.outcome.counted();
    let times = row.outcome.times(None).map(|times| {
        let at = |part: f64| (format!("p{part}"), json!(percentile(&times, part)));
        let mut figures: Map<String, Value> = PERCENTILES.map(at).into_iter().collect();
        figures.insert("max".into(), json!(times.max()));
        figures
    });
    json!({
        "work": row.word(), "mode": row.shape.mode(), "values": row.shape.values, "batch": row.batch(),
        "bytes": row.shape.bytes(), "yardstick": row.yardstick, "samples": row.outcome.items, "turns": all,
        "counted": counted, "ratio": spread(row.ratio(None)), "near": spread(row.ratio(Some(Place::Near))),
        "far": spread(row.ratio(Some(Place::Far))), "ns": spread(row.outcome.ns(None)), "cpu_ns": row.cpu_ns(),
        "memory": row.outcome.memory, "percentiles": times,
    })
}

/// Percentiles of the round trips.
pub(super) fn plot(rows: &[Row], cpus: [usize; 2]) -> String {
    let line = |(number, row): (usize, &Row)| {
        let values = if row.shape.values == 1 { "1 value".into() } else { format!("{} values", row.shape.values) };
        Line {
            name: format!("{}, {}, {values}", row.word(), row.shape.mode()),
            points: row.outcome.times(None).map(|times| percentiles(&times)).unwrap_or_default(),
            style: Style::coloured(number, row.work == Work::Trip),
            has_marks: false,
        }
    };
    let plot = Plot {
        title: "Samples through a channel".into(),
        subtitle: "lower is better".into(),
        machine: format!("villas-shm bench on processors {} and {}", cpus[0], cpus[1]),
        x: percentile_axis(),
        y: logarithmic_axis("time", |ns| mark(&time(ns))),
        lines: rows.iter().filter(|row| !row.is_stream()).enumerate().map(line).collect(),
    };
    plot.svg()
}
