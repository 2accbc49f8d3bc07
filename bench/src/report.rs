//! The results as tables and plots.

use crate::catalogue::Section;
use crate::life::Scale;
use villas_shm_measure::compare::{Outcome, PERCENTILES, Place, percentile};
use villas_shm_measure::plot::{Line, Plot, logarithmic_axis, mark, percentile_axis, percentiles};
use villas_shm_measure::table::{bytes, digits, rate, time};

/// The results of a group. The yardstick's outcome comes first.
pub(crate) struct Measured {
    pub(crate) section: Section,
    pub(crate) bytes: usize,
    pub(crate) batch: usize,
    pub(crate) outcomes: Vec<Outcome>,
}

/// All results.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) groups: Vec<Measured>,
    /// The fraction of processor time that a process used while both sides waited, and for how many
    /// seconds.
    pub(crate) idle: Option<(f64, f64)>,
    pub(crate) scales: Vec<Scale>,
}

/// A table with its heading.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) text: &'static str,
    pub(crate) rows: Vec<Vec<String>>,
}

fn none() -> String {
    "–".into()
}

fn is_rate(section: Section) -> bool {
    matches!(section, Section::Stream | Section::FourAndFour)
}

impl Measured {
    pub(crate) fn title(&self) -> String {
        match self.section {
            Section::Trip => format!("Round trips of {} bytes", self.bytes),
            Section::Asleep => "Round trips when both sides sleep, 96 bytes".into(),
            Section::Wake => "One message to a receiver that sleeps: until it has it".into(),
            Section::WakeCost => "The same: what the call costs that sends it".into(),
            Section::Stream if self.batch == 1 => format!("Streams of {} bytes, one by one", self.bytes),
            Section::Stream => format!("Streams of {} bytes, {} at a time", self.bytes, self.batch),
            Section::FourAndFour => "Four threads of one process give, four of the other take, 152 bytes".into(),
            Section::Creation => "Creating the default region, and removing it".into(),
            Section::Opening => "Opening it, and closing".into(),
        }
    }

    fn ratio(&self, of: &Outcome, place: Option<Place>) -> Option<villas_shm_measure::compare::Spread> {
        if is_rate(self.section) { of.rate_ratio(place) } else { of.ratio(place) }
    }

    fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.name == name)
    }

    /// The median ratio of the contender of this name, and the number of its slices.
    fn median(&self, name: &str) -> Option<Got> {
        let outcome = self.outcome(name)?;
        Some(Got { figure: self.ratio(outcome, None)?.median, counted: Some(outcome.counted()) })
    }

    /// Pairs of one of our rows and a peer that is faster, both with their median ratios.
    fn behind(&self) -> Vec<(Judged<'_>, Judged<'_>)> {
        let judged = |outcome| {
            let ratio = self.ratio(outcome, None).filter(|ratio| ratio.count >= LEAST_COUNTED)?;
            Some((outcome.name.as_str(), ratio.median))
        };
        behind(&self.outcomes.iter().skip(1).filter_map(judged).collect::<Vec<_>>(), is_rate(self.section))
    }

    pub(crate) fn table(&self) -> Table {
        let has_times = self.outcomes.iter().any(|outcome| outcome.times(None).is_some());
        let first = if is_rate(self.section) { "rate" } else { "time" };
        let mut head: Vec<String> = ["", "ratio", "spread", "near", "far", "counted", first].map(String::from).into();
        if has_times {
            head.extend(PERCENTILES.map(|percentile| format!("p{percentile}")));
            head.push("max".into());
        }
        let is_life = matches!(self.section, Section::Creation | Section::Opening);
        if !is_life {
            head.extend(["CPU s/million", "memory"].map(String::from));
        }
        let mut rows = vec![head];
        for outcome in &self.outcomes {
            rows.push(self.row(outcome, has_times, is_life));
        }
        Table { title: self.title(), text: "", rows }
    }

    fn row(&self, outcome: &Outcome, has_times: bool, is_life: bool) -> Vec<String> {
        let (counted, all) = outcome.counted();
        let place = |place| {
            self.ratio(outcome, Some(place)).map_or_else(none, |spread| format!("{} (n={})", digits(spread.median), spread.count))
        };
        let ratio = self.ratio(outcome, None);
        let ns = outcome.ns(None).map(|spread| if is_rate(self.section) { rate(spread.median) } else { time(spread.median) });
        let mut row = vec![
            outcome.name.clone(),
            ratio.map_or_else(none, |spread| digits(spread.median)),
            ratio.map_or_else(none, |spread| format!("{} to {}", digits(spread.low), digits(spread.high))),
            place(Place::Near),
            place(Place::Far),
            format!("{counted}/{all}"),
            ns.unwrap_or_else(none),
        ];
        if has_times {
            let times = outcome.times(None);
            let at = |at: f64| times.as_ref().and_then(|times| percentile(times, at));
            row.extend(PERCENTILES.map(|part| at(part).map_or_else(none, |ns| time(ns as f64))));
            row.push(times.as_ref().map_or_else(none, |times| time(times.max() as f64)));
        }
        if !is_life {
            // Processes that watch the other side fall asleep use their processor time for that.
            let is_known = !matches!(self.section, Section::Asleep | Section::Wake | Section::WakeCost);
            let cpu = outcome.cpu_ns().filter(|_| is_known);
            row.push(cpu.map_or_else(none, |spread| digits(spread.median / 1e3)));
            row.push(bytes(outcome.memory as f64));
        }
        row
    }
}

/// A name and its median ratio.
type Judged<'a> = (&'a str, f64);

/// Alternatives between processes, like ours; queues between threads are no peers.
fn is_peer(name: &str) -> bool {
    !(is_ours(name) || name.starts_with("bare") || name.ends_with(", threads"))
}

fn is_ours(name: &str) -> bool {
    name.starts_with("villas-shm")
}

fn behind<'a>(rows: &[Judged<'a>], more_is_better: bool) -> Vec<(Judged<'a>, Judged<'a>)> {
    let is_ahead = |peer: f64, ours: f64| if more_is_better { peer > ours } else { peer < ours };
    let ours = rows.iter().filter(|row| is_ours(row.0));
    let ahead = |&ours: &Judged<'a>| {
        let peers = rows.iter().filter(move |row| is_peer(row.0) && is_ahead(row.1, ours.1));
        peers.map(move |&peer| (ours, peer))
    };
    ours.flat_map(ahead).collect()
}

/// Two figures with enough digits to see which is larger.
fn apart(one: f64, other: f64) -> (String, String) {
    let (first, second) = (digits(one), digits(other));
    if first != second || one == other {
        return (first, second);
    }
    let with = |decimals: usize| (format!("{one:.decimals$}"), format!("{other:.decimals$}"));
    (3..9).map(with).find(|pair| pair.0 != pair.1).unwrap_or((first, second))
}

/// The least number of counted slices for a comparison with a goal or a peer.
const LEAST_COUNTED: usize = 3;

/// The result for a goal.
#[derive(Clone, Copy)]
struct Got {
    figure: f64,
    /// How many slices count, and how many there are; `None`: not measured in slices.
    counted: Option<(usize, usize)>,
}

/// The row of a goal.
fn judged(what: &str, limit: f64, least: bool, got: Option<Got>, unit: &str) -> Vec<String> {
    let sign = if least { '≥' } else { '≤' };
    let counted = got.and_then(|got| got.counted);
    let enough = got.filter(|_| counted.is_none_or(|counted| counted.0 >= LEAST_COUNTED));
    let verdict = enough.map(|got| if least { got.figure >= limit } else { got.figure <= limit });
    vec![
        what.into(),
        format!("{sign} {limit}{unit}"),
        got.map_or_else(none, |got| format!("{}{unit}", apart(got.figure, limit).0)),
        counted.map_or_else(none, |(count, all)| format!("{count}/{all}")),
        verdict.map_or("not measured", |is_met| if is_met { "met" } else { "missed" }).into(),
    ]
}

/// A goal of the design: a ratio, or an absolute figure.
struct Goal {
    section: Section,
    bytes: usize,
    batch: usize,
    name: &'static str,
    what: &'static str,
    limit: f64,
    least: bool,
}

const CHANNEL: &str = "villas-shm channel, polling";
const SLEEPING: &str = "villas-shm channel, pthread";
const SPSC: &str = "villas-shm SPSC ring, copying";

const GOALS: &[Goal] = &[
    goal(Section::Trip, 96, 1, CHANNEL, "round trip of one value, polling ÷ ping-pong of 96 bytes", 1.25, false),
    goal(Section::Stream, 152, 64, CHANNEL, "stream of 8 values, batch 64 ÷ bare stream", 0.75, true),
    goal(Section::Stream, 152, 1, CHANNEL, "stream of 8 values, batch 1 ÷ bare stream", 0.5, true),
    goal(Section::Asleep, 96, 1, SLEEPING, "round trip, both asleep ÷ futex", 1.15, false),
    goal(Section::Wake, 96, 1, SLEEPING, "wake-up ÷ futex", 1.15, false),
    goal(Section::Trip, 96, 1, SPSC, "SPSC ring, round trip of 96 bytes ÷ ping-pong", 1.0, false),
    goal(Section::Stream, 152, 64, SPSC, "SPSC ring, stream of 152 bytes, batch 64 ÷ bare stream", 1.0, true),
    goal(Section::Stream, 152, 1, SPSC, "SPSC ring, stream, batch 1 ÷ bare stream", 0.6, true),
    goal(Section::FourAndFour, 152, 1, "villas-shm MPMC ring", "MPMC, 4 + 4 threads ÷ a ring behind a mutex", 1.0, true),
    goal(Section::Creation, 0, 1, "villas-shm: create, close, unlink, default region", "creation ÷ the bare calls", 1.2, false),
];

const fn goal(
    section: Section,
    bytes: usize,
    batch: usize,
    name: &'static str,
    what: &'static str,
    limit: f64,
    least: bool,
) -> Goal {
    Goal { section, bytes, batch, name, what, limit, least }
}

impl Results {
    fn group(&self, section: Section, bytes: usize, batch: usize) -> Option<&Measured> {
        self.groups.iter().find(|group| (group.section, group.bytes, group.batch) == (section, bytes, batch))
    }

    /// Each goal, and whether it was met in this run.
    pub(crate) fn goals(&self) -> Table {
        let mut rows = vec![["", "goal", "measured", "counted", ""].map(String::from).to_vec()];
        for goal in GOALS {
            let got = self.group(goal.section, goal.bytes, goal.batch).and_then(|group| group.median(goal.name));
            rows.push(judged(goal.what, goal.limit, goal.least, got, ""));
        }
        rows.push(judged("busy exchange, pthread mode ÷ polling mode", 1.2, false, self.busy(), ""));
        rows.push(judged("the program's open and close", 200.0, false, self.opening_us(), " µs"));
        let idle = self.idle.map(|(part, _)| Got { figure: 100.0 * part, counted: None });
        rows.push(judged("CPU of an idle side, pthread mode", 0.1, false, idle, " %"));
        Table { title: "Goals".into(), text: "", rows }
    }

    fn busy(&self) -> Option<Got> {
        let trips = self.group(Section::Trip, 96, 1)?;
        let (pthread, polling) = (trips.median(SLEEPING)?, trips.median(CHANNEL)?);
        Some(Got { figure: pthread.figure / polling.figure, counted: pthread.counted.min(polling.counted) })
    }

    fn opening_us(&self) -> Option<Got> {
        let outcome = self.group(Section::Opening, 0, 1)?.outcome("villas-shm: the program's open and close")?;
        Some(Got { figure: outcome.ns(None)?.median / 1e3, counted: Some(outcome.counted()) })
    }

    /// Our rows in which a peer is faster.
    pub(crate) fn behind(&self) -> Table {
        let mut rows = vec![["", "ours", "its ratio", "peer", "the peer's ratio"].map(String::from).to_vec()];
        for group in &self.groups {
            for (ours, peer) in group.behind() {
                let (our_ratio, its_ratio) = apart(ours.1, peer.1);
                rows.push(vec![group.title(), ours.0.into(), our_ratio, peer.0.into(), its_ratio]);
            }
        }
        let text = if rows.len() == 1 {
            "No row of this library."
        } else {
            "Rows of this library in which a peer's median is better, by however little: less time, or a higher rate."
        };
        Table { title: "Behind a peer".into(), text, rows }
    }

    /// All tables, in the order of the report.
    pub(crate) fn tables(&self) -> Vec<Table> {
        let mut tables = vec![self.goals(), self.behind()];
        tables.extend(self.groups.iter().map(Measured::table));
        if !self.scales.is_empty() {
            let head =
                ["channels open in one process", "create", "open", "descriptors", "memory of the process", "shared memory"];
            let mut rows = vec![head.map(String::from).to_vec()];
            for scale in &self.scales {
                rows.push(vec![
                    scale.channels.to_string(),
                    time(scale.create_ns),
                    time(scale.open_ns),
                    digits(scale.descriptors),
                    bytes(scale.private_bytes),
                    bytes(scale.region_bytes),
                ]);
            }
            let text = "`queuelen` and `spare` of each channel are 16. The memory of the process excludes shared memory.";
            tables.push(Table { title: "Many channels".into(), text, rows });
        }
        tables
    }

    /// The plots, each with its file's name.
    pub(crate) fn plots(&self, machine: &str) -> Vec<(String, String)> {
        let mut plots = Vec::new();
        for (section, file, title) in [
            (Section::Trip, "round-trip.svg", "Round trip of 96 bytes (a sample of one value) between two processes"),
            (Section::Asleep, "asleep.svg", "Round trip of 96 bytes when both sides sleep"),
            (Section::Wake, "wake-up.svg", "From the sender's call to a receiver that slept"),
        ] {
            if let Some(group) = self.group(section, 96, 1) {
                plots.push((file.into(), latency(group, title, machine).svg()));
            }
        }
        plots.push(("stream-batch.svg".into(), self.by_batch(machine).svg()));
        plots.push(("stream-size.svg".into(), self.by_size(machine).svg()));
        plots
    }

    /// Throughput by batch size. A contender without batches is a point.
    fn by_batch(&self, machine: &str) -> Plot {
        let groups = |batch| self.group(Section::Stream, 152, batch).map(|group| (batch as f64, group));
        let groups: Vec<_> = [1, 16, 64].into_iter().filter_map(groups).collect();
        let mut x = logarithmic_axis("messages in one call, or between two stores of the index", |at| at.to_string());
        x.marks = groups.iter().map(|group| (group.0, group.0.to_string())).collect();
        Plot {
            title: "Stream of 152-byte messages (samples of 8 values), by batch".into(),
            subtitle: "rate in proportion to a bare ring's, higher is better".into(),
            machine: machine.into(),
            x,
            y: logarithmic_axis("× bare stream", |at| at.to_string()),
            lines: throughput(&groups, "bare stream"),
        }
    }

    /// Throughput by message size, one message at a time.
    fn by_size(&self, machine: &str) -> Plot {
        let groups: Vec<_> = [96, 152, 600, 1472, 65536]
            .into_iter()
            .filter_map(|size| self.group(Section::Stream, size, 1).map(|group| (size as f64, group)))
            .collect();
        let mut x = logarithmic_axis("bytes of a message", |at| at.to_string());
        let name = |size: f64| if size == 65536.0 { "64 Ki".into() } else { size.to_string() };
        x.marks = groups.iter().map(|group| (group.0, name(group.0))).collect();
        Plot {
            title: "Stream, one message at a time, by size".into(),
            subtitle: "rate in proportion to a bare ring's, higher is better".into(),
            machine: machine.into(),
            x,
            y: logarithmic_axis("× bare stream", |at| at.to_string()),
            lines: throughput(&groups, "bare stream; from 1472 bytes on: memcpy"),
        }
    }
}

fn latency(group: &Measured, title: &str, machine: &str) -> Plot {
    let line = |(number, outcome): (usize, &Outcome)| Line {
        name: outcome.name.clone(),
        points: outcome.times(None).map(|times| percentiles(&times)).unwrap_or_default(),
        is_yardstick: outcome.name.starts_with("bare"),
        is_ours: number > 0 && outcome.name.starts_with("villas-shm"),
        has_marks: false,
    };
    Plot {
        title: title.into(),
        subtitle: "lower is better".into(),
        machine: machine.into(),
        x: percentile_axis(),
        y: logarithmic_axis("time", |ns| mark(&time(ns))),
        lines: group.outcomes.iter().enumerate().map(line).collect(),
    }
}

/// One line for each contender of these groups, in the first group's order: its ratio to the
/// yardstick. The rates are in the tables; a line of rates would show how the machine changed from
/// one group to the next.
fn throughput(groups: &[(f64, &Measured)], yardstick: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for &(x, group) in groups {
        for (number, outcome) in group.outcomes.iter().enumerate() {
            let Some(ratio) = group.ratio(outcome, None) else { continue };
            // The yardstick's own name contains size and batch.
            let name = if number == 0 { yardstick } else { &outcome.name };
            let at = lines.iter().position(|line| line.name == name).unwrap_or_else(|| {
                lines.push(Line {
                    name: name.into(),
                    points: Vec::new(),
                    is_yardstick: number == 0,
                    is_ours: number > 0 && name.starts_with("villas-shm"),
                    has_marks: true,
                });
                lines.len() - 1
            });
            lines[at].points.push((x, ratio.median));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(limit: f64, least: bool, figure: f64, counted: usize) -> [String; 3] {
        let row = judged("", limit, least, Some(Got { figure, counted: Some((counted, 5)) }), "");
        [row[2].clone(), row[3].clone(), row[4].clone()]
    }

    #[test]
    fn a_goal_that_is_missed_by_little_has_the_digits_that_say_so() {
        assert_eq!(row(1.0, true, 0.9962, 4), ["0.996", "4/5", "missed"]);
        assert_eq!(row(1.2, false, 1.20004, 4), ["1.20004", "4/5", "missed"]);
        assert_eq!(row(1.2, false, 1.2, 4), ["1.20", "4/5", "met"]);
        assert_eq!(row(0.75, true, 0.52, 4), ["0.52", "4/5", "missed"]);
    }

    #[test]
    fn a_goal_is_not_judged_by_two_slices() {
        assert_eq!(row(1.2, false, 1.0, 2), ["1.00", "2/5", "not measured"]);
        assert_eq!(judged("", 1.0, true, None, "")[2..], ["–", "–", "not measured"]);
    }

    #[test]
    fn only_peers_between_processes_are_ahead_of_ours() {
        let rows =
            [("villas-shm a", 1.0), ("villas-shm b", 3.0), ("pipe, polling", 2.0), ("rtrb, threads", 9.0), ("bare line", 9.0)];
        assert_eq!(behind(&rows, true), [(rows[0], rows[2])]);
        assert_eq!(behind(&rows, false), [(rows[1], rows[2])]);
    }
}
