//! The goals of the design, and whether they were met in this run.

use crate::catalogue::{Section, Subject};
use crate::report::{LEAST_COUNTED, Results, Table, apart, none};
use crate::sketch;
use villas_shm_measure::SAMPLE_HEADER;

pub(crate) const CHANNEL: &str = "villas-shm channel, polling";
pub(crate) const SLEEPING: &str = "villas-shm channel, pthread";
pub(crate) const RUST: &str = "villas-shm channel, polling, Rust";
pub(crate) const WIRE: &str = "villas-shm wire layout, polling";
pub(crate) const SPSC: &str = "villas-shm SPSC ring, copying";
pub(crate) const MPSC: &str = "villas-shm MPSC ring, copying";
pub(crate) const MPMC: &str = "villas-shm MPMC ring, copying";
pub(crate) const PIPE: &str = "pipe, polling";
pub(crate) const CREATION: &str = "villas-shm: create, close, unlink, default region";
pub(crate) const OPENING: &str = "villas-shm: the program's open and close";

/// A contender's ratio to the group's yardstick, or to that of another contender.
#[derive(Clone, Copy)]
struct Figure {
    subject: Subject,
    name: &'static str,
    beside: Option<&'static str>,
}

/// What the worst of some figures is to reach.
struct Goal {
    what: String,
    figures: Vec<Figure>,
    bound: Bound,
    /// What would be better still.
    stretch: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Least(f64),
    Most(f64),
}

impl Bound {
    fn limit(self) -> f64 {
        let (Bound::Least(limit) | Bound::Most(limit)) = self;
        limit
    }

    fn is_met(self, figure: f64, limit: f64) -> bool {
        if let Bound::Least(_) = self { figure >= limit } else { figure <= limit }
    }
}

/// The result for a goal.
#[derive(Clone, Copy)]
struct Got {
    figure: f64,
    /// How many slices count, and how many there are; `None`: not measured in slices.
    counted: Option<(usize, usize)>,
}

/// The verdict where there is none.
pub(crate) const NOT_MEASURED: &str = "not measured";

/// The batches of the streams that have goals.
const BATCHES: [usize; 3] = [1, 16, 64];

fn at_a_time(batch: usize) -> String {
    if batch == 1 { "one by one".into() } else { format!("{batch} at a time") }
}

/// The goals that are ratios of what was measured in groups, in the order of the design.
fn goals() -> Vec<Goal> {
    use Bound::{Least, Most};
    let bare = |subject, name| Figure { subject, name, beside: None };
    let beside = |subject, name, other| Figure { subject, name, beside: Some(other) };
    // The time of the Rust interface ÷ that of the C interface. The ratios of streams are rates.
    let rust_trip = |bytes| beside(Subject::trip(bytes), RUST, CHANNEL);
    let rust_stream = |(bytes, batch)| beside(Subject::stream(bytes, batch), CHANNEL, RUST);
    let streams = |bytes: [usize; 2]| bytes.into_iter().flat_map(|bytes| [(bytes, 16), (bytes, 64)]);

    let mut goals = Vec::new();
    let mut add = |what: String, figures, bound, stretch| goals.push(Goal { what, figures, bound, stretch });
    for bytes in [96, 152] {
        let figures = vec![beside(Subject::trip(bytes), CHANNEL, sketch::NAME)];
        add(format!("channel ÷ its sketch, round trip of {bytes} bytes"), figures, Most(1.15), Some(1.05));
    }
    for batch in BATCHES {
        let what = format!("channel ÷ its sketch, stream of 152 bytes, {}", at_a_time(batch));
        add(what, vec![beside(Subject::stream(152, batch), CHANNEL, sketch::NAME)], Least(0.85), Some(0.95));
    }
    for (who, name, trip, rates) in [
        ("SPSC ring", SPSC, 1.3, [(0.5, Some(0.55)), (0.72, Some(0.75)), (0.72, Some(0.75))]),
        ("wire layout", WIRE, 3.5, [(0.2, None), (0.3, None), (0.38, None)]),
    ] {
        let what = format!("{who} ÷ bare ping-pong, round trip of 96 bytes");
        add(what, vec![bare(Subject::trip(96), name)], Most(trip), None);
        for (batch, (rate, stretch)) in BATCHES.into_iter().zip(rates) {
            let what = format!("{who} ÷ bare stream, 152 bytes, {}", at_a_time(batch));
            add(what, vec![bare(Subject::stream(152, batch), name)], Least(rate), stretch);
        }
    }
    for (bytes, batch, rate) in [(96, 16, 0.38), (96, 64, 0.38), (152, 16, 0.42), (152, 64, 0.44)] {
        let subject = Subject::stream(bytes, batch);
        let figures = vec![bare(subject, MPSC), bare(subject, MPMC)];
        let what = format!("MPSC and MPMC ring ÷ bare stream, {bytes} bytes, {batch} at a time");
        add(what, figures, Least(rate), None);
    }
    let ahead =
        streams([96, 152]).flat_map(|(bytes, batch)| [MPSC, MPMC].map(|ring| beside(Subject::stream(bytes, batch), ring, PIPE)));
    add("MPSC and MPMC ring ÷ pipe, the same batches".into(), ahead.collect(), Least(1.0), None);
    let one = [rust_trip(96)].into_iter().chain(BATCHES.map(|batch| rust_stream((96, batch))));
    add("Rust ÷ C, time, round trip and streams of one value".into(), one.collect(), Most(1.2), None);
    add("Rust ÷ C, time, round trips of 8 to 173 values".into(), [152, 600, 1472].map(rust_trip).into(), Most(1.1), None);
    let eight = BATCHES.map(|batch| rust_stream((152, batch)));
    add("Rust ÷ C, time, streams of 8 values".into(), eight.into(), Most(1.1), None);
    let long = [(600, 1), (600, 16), (600, 64), (1472, 1), (1472, 64), (65536, 1)].map(rust_stream);
    add("Rust ÷ C, time, streams of 64 to 8181 values".into(), long.into(), Most(1.1), None);
    add("round trip, both sides asleep ÷ futex".into(), vec![bare(Subject::of(Section::Asleep), SLEEPING)], Most(1.15), None);
    add("wake-up of a reader ÷ futex".into(), vec![bare(Subject::of(Section::Wake), SLEEPING)], Most(1.15), None);
    let busy = vec![beside(Subject::trip(96), SLEEPING, CHANNEL)];
    add("busy exchange, pthread mode ÷ polling mode".into(), busy, Most(1.2), None);
    add("creation ÷ the bare calls".into(), vec![bare(Subject::of(Section::Creation), CREATION)], Most(1.2), None);
    goals
}

/// The row of a goal.
fn judged(what: &str, bound: Bound, stretch: Option<f64>, got: Option<Got>, unit: &str) -> Vec<String> {
    let (sign, limit) = (if let Bound::Least(_) = bound { '≥' } else { '≤' }, bound.limit());
    let counted = got.and_then(|got| got.counted);
    let enough = got.filter(|_| counted.is_none_or(|counted| counted.0 >= LEAST_COUNTED));
    let verdict = match enough {
        None => NOT_MEASURED,
        Some(got) if !bound.is_met(got.figure, limit) => "missed",
        Some(got) if stretch.is_some_and(|stretch| bound.is_met(got.figure, stretch)) => "met, and the stretch",
        Some(_) => "met",
    };
    vec![
        what.into(),
        format!("{sign} {limit}{unit}{}", stretch.map_or_else(String::new, |stretch| format!(" ({stretch})"))),
        got.map_or_else(none, |got| format!("{}{unit}", apart(got.figure, limit).0)),
        counted.map_or_else(none, |(count, all)| format!("{count}/{all}")),
        verdict.into(),
    ]
}

impl Results {
    fn got(&self, Figure { subject, name, beside }: Figure) -> Option<Got> {
        let ours = self.outcome(subject, name)?;
        let Some(other) = beside else {
            return Some(Got { figure: self.ratio(subject, name)?.median, counted: Some(ours.counted()) });
        };
        let (times, count) = ours.beside(self.outcome(subject, other)?)?;
        let figure = if subject.is_rate() { 1.0 / times } else { times };
        Some(Got { figure, counted: Some((count, ours.slices.len())) })
    }

    /// The worst of a goal's figures, and the least number of slices; `--quick` leaves some out.
    fn worst(&self, goal: &Goal) -> Option<Got> {
        let all = goal.figures.iter().filter_map(|&figure| self.got(figure));
        all.reduce(|one, other| {
            let is_worse = goal.bound.is_met(one.figure, other.figure);
            Got { figure: if is_worse { other } else { one }.figure, counted: one.counted.min(other.counted) }
        })
    }

    /// Each goal, and whether it was met in this run.
    pub(crate) fn goals(&self) -> Table {
        let text = "Where a row has more than one figure, the worst of them. In brackets: what would be better still.";
        let mut table = Table::new("Goals", text, &["", "goal", "measured", "counted", ""]);
        for goal in goals() {
            table.rows.push(judged(&goal.what, goal.bound, goal.stretch, self.worst(&goal), ""));
        }
        let once = |figure| Some(Got { figure, counted: None });
        let mut most = |what, limit, got, unit| table.rows.push(judged(what, Bound::Most(limit), None, got, unit));
        let idle = self.idle.and_then(|idle| once(idle.channel / idle.futex));
        most("processor time of an idle side, pthread mode ÷ a futex that sleeps as long", 1.5, idle, "");
        most("the program's open and close", 200.0, self.opening_us(), " µs");
        most("shared memory ÷ 1.1 × the samples' blocks + 64 KiB", 1.0, self.memory().and_then(once), "");
        let most_descriptors = self.scales.iter().map(|scale| scale.descriptors).reduce(f64::max);
        most("descriptors of a channel", 1.0, most_descriptors.and_then(once), "");
        table
    }

    fn opening_us(&self) -> Option<Got> {
        let outcome = self.outcome(Subject::of(Section::Opening), OPENING)?;
        Some(Got { figure: outcome.ns(None)?.median / 1e3, counted: Some(outcome.counted()) })
    }

    /// What a channel for round trips takes, in proportion to the most that it may.
    fn memory(&self) -> Option<f64> {
        let shape = villas_shm_measure::channel::Shape { values: 1, polling: true, batch: None };
        let blocks = 2 * (shape.queuelen() + shape.spare());
        let bytes = blocks * (SAMPLE_HEADER + 8 * shape.values).next_multiple_of(64);
        Some(self.outcome(Subject::trip(96), CHANNEL)?.memory as f64 / (1.1 * bytes as f64 + 65536.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Bound::{Least, Most};

    fn row(bound: Bound, stretch: Option<f64>, figure: f64, counted: usize) -> [String; 3] {
        let row = judged("", bound, stretch, Some(Got { figure, counted: Some((counted, 5)) }), "");
        [row[2].clone(), row[3].clone(), row[4].clone()]
    }

    #[test]
    fn a_goal_that_is_missed_by_little_has_the_digits_that_say_so() {
        assert_eq!(row(Least(1.0), None, 0.9962, 4), ["0.996", "4/5", "missed"]);
        assert_eq!(row(Most(1.2), None, 1.20004, 4), ["1.20004", "4/5", "missed"]);
        assert_eq!(row(Most(1.2), None, 1.2, 4), ["1.20", "4/5", "met"]);
        assert_eq!(row(Least(0.75), None, 0.52, 4), ["0.52", "4/5", "missed"]);
    }

    #[test]
    fn a_stretch_that_is_reached_is_said() {
        assert_eq!(row(Least(0.85), Some(0.95), 0.9, 4)[2], "met");
        assert_eq!(row(Least(0.85), Some(0.95), 0.95, 4)[2], "met, and the stretch");
        assert_eq!(row(Most(1.15), Some(1.05), 1.04, 4)[2], "met, and the stretch");
        assert_eq!(judged("", Most(1.15), Some(1.05), None, "")[1], "≤ 1.15 (1.05)");
    }

    #[test]
    fn a_goal_is_not_judged_by_two_slices() {
        assert_eq!(row(Most(1.2), None, 1.0, 2), ["1.00", "2/5", "not measured"]);
        assert_eq!(judged("", Least(1.0), None, None, "")[2..], ["–", "–", "not measured"]);
    }
}
