//! The three plots: a few lines each, ours in one family of colours, those of others in grey. All
//! contenders are in the tables.

use crate::catalogue::Subject;
use crate::goals::{CHANNEL, MPMC, PIPE, SPSC, WIRE};
use crate::report::{Results, is_ours, is_peer};
use villas_shm_measure::plot::{Line, Plot, Style, logarithmic_axis, mark, percentile_axis, percentiles};
use villas_shm_measure::table::time;
use villas_shm_picture::axis::Axis;

/// Contenders, each with its name in the plot; those that were not measured are left out.
type Names = &'static [(&'static str, &'static str)];

const TRIPS: Names = &[
    ("bare ping-pong of 96 bytes", "bare ping-pong"),
    (PIPE, "pipe"),
    ("iceoryx2, polling", "iceoryx2"),
    (CHANNEL, "channel"),
    (SPSC, "SPSC ring"),
    (MPMC, "MPMC ring"),
    (WIRE, "wire layout"),
];

const STREAMS: Names = &[
    (PIPE, "pipe"),
    ("iceoryx2, polling", "iceoryx2"),
    ("Unix seqpacket, polling", "Unix seqpacket"),
    (CHANNEL, "channel"),
    (SPSC, "SPSC ring"),
    (MPMC, "MPMC ring"),
    (WIRE, "wire layout"),
];

// More lines say less.
const _: () = assert!(TRIPS.len() <= 7 && STREAMS.len() <= 7);

/// A line for each of these contenders that has points.
fn lines(names: Names, has_marks: bool, points: impl Fn(&str) -> Vec<(f64, f64)>) -> Vec<Line> {
    let style = |at: usize| {
        let number = |is_alike: fn(&str) -> bool| names[..at].iter().filter(|name| is_alike(name.0)).count();
        match names[at].0 {
            name if is_ours(name) => Style::ours(number(is_ours)),
            name if is_peer(name) => Style::peer(number(is_peer)),
            _ => Style::yardstick(),
        }
    };
    let line = |(at, &(contender, name)): (usize, &(&str, &str))| Line {
        name: name.into(),
        points: points(contender),
        style: style(at),
        has_marks,
    };
    names.iter().enumerate().map(line).collect()
}

/// Places of the percentile axis that are shown: to 99.9 %. Behind, the machine's own interruptions
/// take over.
const SHOWN: f64 = 3.0;

impl Results {
    /// Each plot with its file's name.
    pub(crate) fn plots(&self, machine: &str) -> [(&'static str, String); 3] {
        [("round-trip.svg", self.trips()), ("stream-batch.svg", self.by_batch()), ("stream-size.svg", self.by_size())]
            .map(|(file, plot)| (file, Plot { machine: machine.into(), ..plot }.svg()))
    }

    fn trips(&self) -> Plot {
        let points = |name: &str| {
            let times = self.outcome(Subject::trip(96), name).and_then(|outcome| outcome.times(None));
            let points = times.map(|times| percentiles(&times)).unwrap_or_default();
            points.into_iter().filter(|point| point.0 <= SHOWN).collect()
        };
        Plot {
            title: "A message of 96 bytes there and back, both sides polling".into(),
            subtitle: "lower is better".into(),
            machine: String::new(),
            x: Axis { ends: Some((0.0, SHOWN)), ..percentile_axis() },
            y: logarithmic_axis("time", |ns| mark(&time(ns))),
            lines: lines(TRIPS, false, points),
        }
    }

    /// A contender without batches is a point.
    fn by_batch(&self) -> Plot {
        let subjects = [1, 16, 64].map(|batch| (batch, Subject::stream(152, batch)));
        self.streams("Messages of 152 bytes in one direction", "messages in one call", &subjects)
    }

    fn by_size(&self) -> Plot {
        let subjects = [96, 152, 600, 1472, 65536].map(|bytes| (bytes, Subject::stream(bytes, 1)));
        self.streams("Messages in one direction, one by one", "bytes of a message", &subjects)
    }

    /// Rates in proportion to the yardstick's: a line of rates would show how the machine changed
    /// from one group to the next. They are in the tables.
    fn streams(&self, title: &str, label: &str, subjects: &[(usize, Subject)]) -> Plot {
        let points = |name: &str| {
            let point = |&(x, subject): &(usize, Subject)| Some((x as f64, self.ratio(subject, name)?.median));
            subjects.iter().filter_map(point).collect()
        };
        let mut x = logarithmic_axis(label, |at| at.to_string());
        let measured = subjects.iter().filter(|&&(_, subject)| self.group(subject).is_some());
        x.marks = measured.map(|&(x, _)| (x as f64, if x == 65536 { "64 Ki".into() } else { x.to_string() })).collect();
        Plot {
            title: title.into(),
            subtitle: "rate in proportion to a bare ring's; higher is better".into(),
            machine: String::new(),
            x,
            y: logarithmic_axis("× bare ring", |at| at.to_string()),
            lines: lines(STREAMS, true, points),
        }
    }
}
