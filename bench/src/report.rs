//! What was measured, as tables and plots.

use crate::catalogue::Section;
use crate::life::Scale;
use villas_shm_measure::compare::{Outcome, PERCENTILES, Place};
use villas_shm_measure::plot::{Line, Plot, logarithmic_axis, mark, percentile_axis, percentiles};
use villas_shm_measure::table::{bytes, digits, rate, time};

/// A group, measured. The yardstick's outcome comes first.
pub(crate) struct Measured {
    pub(crate) section: Section,
    pub(crate) bytes: usize,
    pub(crate) batch: usize,
    pub(crate) outcomes: Vec<Outcome>,
}

/// All that was measured.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) groups: Vec<Measured>,
    /// Part of the time that a process was on a processor, both sides waiting, and for how many seconds.
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

    /// The median ratio of a contender whose name is given; none: nothing counted, or it is not there.
    fn median(&self, name: &str) -> Option<(f64, f64)> {
        let outcome = self.outcomes.iter().find(|outcome| outcome.name == name)?;
        Some((self.ratio(outcome, None)?.median, outcome.ns(None)?.median))
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
            let at = |percentile: f64| match &times {
                // Fewer than one item beyond: that would be the maximum under another name.
                Some(times) if times.len() as f64 * (1.0 - percentile / 100.0) >= 1.0 => {
                    time(times.value_at_percentile(percentile) as f64)
                }
                _ => none(),
            };
            row.extend(PERCENTILES.map(at));
            row.push(times.as_ref().map_or_else(none, |times| time(times.max() as f64)));
        }
        if !is_life {
            // Those who watch the other side fall asleep are busy with that.
            let is_known = !matches!(self.section, Section::Asleep | Section::Wake | Section::WakeCost);
            let cpu = outcome.cpu_ns().filter(|_| is_known);
            row.push(cpu.map_or_else(none, |spread| digits(spread.median / 1e3)));
            row.push(bytes(outcome.memory as f64));
        }
        row
    }
}

/// A goal of the design: a ratio, or a figure of its own.
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
        let mut rows = vec![["", "goal", "measured", ""].map(String::from).to_vec()];
        let mut judge = |what: &str, limit: f64, least: bool, got: Option<f64>, unit: &str| {
            let is_met = got.map(|got| if least { got >= limit } else { got <= limit });
            rows.push(vec![
                what.into(),
                format!("{} {limit}{unit}", if least { '≥' } else { '≤' }),
                got.map_or_else(none, |got| format!("{}{unit}", digits(got))),
                is_met.map_or("not measured", |is_met| if is_met { "met" } else { "missed" }).into(),
            ]);
        };
        for goal in GOALS {
            let got = self.group(goal.section, goal.bytes, goal.batch).and_then(|group| group.median(goal.name));
            judge(goal.what, goal.limit, goal.least, got.map(|got| got.0), "");
        }
        let trips = self.group(Section::Trip, 96, 1);
        let busy = trips.and_then(|group| Some(group.median(SLEEPING)?.0 / group.median(CHANNEL)?.0));
        judge("busy exchange, pthread mode ÷ polling mode", 1.2, false, busy, "");
        let open = self.group(Section::Opening, 0, 1).and_then(|group| group.median("villas-shm: the program's open and close"));
        judge("the program's open and close", 200.0, false, open.map(|open| open.1 / 1e3), " µs");
        judge("CPU of an idle side, pthread mode", 0.1, false, self.idle.map(|(part, _)| 100.0 * part), " %");
        Table { title: "Goals".into(), text: "", rows }
    }

    /// All tables, in the order of the report.
    pub(crate) fn tables(&self) -> Vec<Table> {
        let mut tables = vec![self.goals()];
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
            let text = "For each channel, `queuelen` and `spare` 16; the memory of the process is without what is shared.";
            tables.push(Table { title: "Many channels".into(), text, rows });
        }
        tables
    }

    /// The plots, by the names of their files.
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

    /// Throughput by the number of messages at a time. Who has no batches is a point.
    fn by_batch(&self, machine: &str) -> Plot {
        let groups = |batch| self.group(Section::Stream, 152, batch).map(|group| (batch as f64, group));
        let groups: Vec<_> = [1, 16, 64].into_iter().filter_map(groups).collect();
        let mut x = logarithmic_axis("messages in one call, or between two stores of the index", |at| at.to_string());
        x.marks = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0].map(|at| (at, at.to_string())).into();
        Plot {
            title: "Stream of 152-byte messages (samples of 8 values), by batch".into(),
            subtitle: "rate in proportion to a bare ring's, higher is better".into(),
            machine: machine.into(),
            x,
            y: logarithmic_axis("× bare stream", |at| at.to_string()),
            lines: throughput(&groups),
        }
    }

    /// Throughput by size, one by one.
    fn by_size(&self, machine: &str) -> Plot {
        let groups: Vec<_> = [96, 152, 600, 1472, 65536]
            .into_iter()
            .filter_map(|size| self.group(Section::Stream, size, 1).map(|group| (size as f64, group)))
            .collect();
        let mut x = logarithmic_axis("bytes of a message", |at| at.to_string());
        let names = [(96.0, "96"), (152.0, "152"), (600.0, "600"), (1472.0, "1472"), (8192.0, "8 Ki"), (65536.0, "64 Ki")];
        x.marks = names.map(|(at, name)| (at, name.into())).into();
        Plot {
            title: "Stream, one message at a time, by size".into(),
            subtitle: "rate in proportion to a bare ring's, higher is better".into(),
            machine: machine.into(),
            x,
            y: logarithmic_axis("× bare stream", |at| at.to_string()),
            lines: throughput(&groups),
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

/// One line for each contender of these groups, in the order of the first: its ratio to the yardstick. The rates themselves are in the tables; a line
/// of them would show how the machine wandered from one group to the next.
fn throughput(groups: &[(f64, &Measured)]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for &(x, group) in groups {
        for (number, outcome) in group.outcomes.iter().enumerate() {
            let Some(ratio) = group.ratio(outcome, None) else { continue };
            // The yardstick's name has size and batch in it; its line does not.
            let name = if number == 0 { "bare stream" } else { &outcome.name };
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
