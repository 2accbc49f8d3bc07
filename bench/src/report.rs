//! The results as tables.

use crate::catalogue::{Section, Subject};
use crate::idle::Idleness;
use crate::life::Scale;
use villas_shm_measure::compare::{Outcome, PERCENTILES, Place, Spread, percentile};
use villas_shm_measure::table::{bytes, digits, rate, time};

/// The results of a group. The yardstick's outcome comes first.
pub(crate) struct Measured {
    pub(crate) subject: Subject,
    pub(crate) outcomes: Vec<Outcome>,
}

/// All results.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) groups: Vec<Measured>,
    pub(crate) idle: Option<Idleness>,
    pub(crate) scales: Vec<Scale>,
}

/// A table with its heading and what is to be said of it.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, text: &str, head: &[&str]) -> Table {
        let head = head.iter().map(|&cell| cell.into()).collect();
        Table { title: title.into(), text: text.into(), rows: vec![head] }
    }
}

pub(crate) fn none() -> String {
    "–".into()
}

/// The least number of counted slices for a comparison with a goal or a peer.
pub(crate) const LEAST_COUNTED: usize = 3;

impl Measured {
    pub(crate) fn ratio(&self, of: &Outcome, place: Option<Place>) -> Option<Spread> {
        if self.subject.is_rate() { of.rate_ratio(place) } else { of.ratio(place) }
    }

    pub(crate) fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.name == name)
    }

    /// Pairs of one of our rows and a peer that is faster, both with their ratios.
    fn behind(&self) -> Vec<(Judged<'_>, Judged<'_>)> {
        let judged = |outcome| {
            let ratio = self.ratio(outcome, None).filter(|ratio| ratio.count >= LEAST_COUNTED)?;
            Some((outcome.name.as_str(), ratio))
        };
        behind(&self.outcomes.iter().skip(1).filter_map(judged).collect::<Vec<_>>(), self.subject.is_rate())
    }

    pub(crate) fn table(&self) -> Table {
        let has_times = self.outcomes.iter().any(|outcome| outcome.times(None).is_some());
        let first = if self.subject.is_rate() { "rate" } else { "time" };
        let mut head: Vec<String> = ["", "ratio", "spread", "near", "far", "counted", first].map(String::from).into();
        if has_times {
            head.extend(PERCENTILES.map(|percentile| format!("p{percentile}")));
            head.push("max".into());
        }
        let is_life = matches!(self.subject.section, Section::Creation | Section::Opening);
        if !is_life {
            head.extend(["CPU s/million", "memory"].map(String::from));
        }
        let mut rows = vec![head];
        for outcome in &self.outcomes {
            rows.push(self.row(outcome, has_times, is_life));
        }
        Table { title: self.subject.title(), text: String::new(), rows }
    }

    fn row(&self, outcome: &Outcome, has_times: bool, is_life: bool) -> Vec<String> {
        let (counted, all) = outcome.counted();
        let place = |place| {
            self.ratio(outcome, Some(place)).map_or_else(none, |spread| format!("{} (n={})", digits(spread.median), spread.count))
        };
        let ratio = self.ratio(outcome, None);
        let ns = outcome.ns(None).map(|spread| if self.subject.is_rate() { rate(spread.median) } else { time(spread.median) });
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
            let is_known = !matches!(self.subject.section, Section::Asleep | Section::Wake | Section::WakeCost);
            let cpu = outcome.cpu_ns().filter(|_| is_known);
            row.push(cpu.map_or_else(none, |spread| digits(spread.median / 1e3)));
            row.push(bytes(outcome.memory as f64));
        }
        row
    }
}

/// A name and its ratio.
type Judged<'a> = (&'a str, Spread);

/// Alternatives between processes, like ours; queues between threads are no peers.
pub(crate) fn is_peer(name: &str) -> bool {
    !(is_ours(name) || name.starts_with("bare") || name.ends_with(", threads"))
}

pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with("villas-shm")
}

/// A peer is ahead if its spread does not overlap ours.
fn behind<'a>(rows: &[Judged<'a>], more_is_better: bool) -> Vec<(Judged<'a>, Judged<'a>)> {
    let is_ahead = |peer: Spread, ours: Spread| if more_is_better { peer.low > ours.high } else { peer.high < ours.low };
    let ours = rows.iter().filter(|row| is_ours(row.0));
    let ahead = |&ours: &Judged<'a>| {
        let peers = rows.iter().filter(move |row| is_peer(row.0) && is_ahead(row.1, ours.1));
        peers.map(move |&peer| (ours, peer))
    };
    ours.flat_map(ahead).collect()
}

/// Two figures with enough digits to see which is larger.
pub(crate) fn apart(one: f64, other: f64) -> (String, String) {
    let (first, second) = (digits(one), digits(other));
    if first != second || one == other {
        return (first, second);
    }
    let with = |decimals: usize| (format!("{one:.decimals$}"), format!("{other:.decimals$}"));
    (3..9).map(with).find(|pair| pair.0 != pair.1).unwrap_or((first, second))
}

impl Results {
    pub(crate) fn group(&self, subject: Subject) -> Option<&Measured> {
        self.groups.iter().find(|group| group.subject == subject)
    }

    pub(crate) fn outcome(&self, subject: Subject, name: &str) -> Option<&Outcome> {
        self.group(subject)?.outcome(name)
    }

    /// The ratio of the contender of this name to its yardstick.
    pub(crate) fn ratio(&self, subject: Subject, name: &str) -> Option<Spread> {
        let group = self.group(subject)?;
        group.ratio(group.outcome(name)?, None)
    }

    /// Our rows in which a peer is faster.
    pub(crate) fn behind(&self) -> Table {
        let mut table = Table::new("Behind a peer", "", &["", "ours", "its ratio", "peer", "the peer's ratio"]);
        for group in &self.groups {
            for (ours, peer) in group.behind() {
                let (our_ratio, its_ratio) = apart(ours.1.median, peer.1.median);
                table.rows.push(vec![group.subject.title(), ours.0.into(), our_ratio, peer.0.into(), its_ratio]);
            }
        }
        table.text = if table.rows.len() == 1 {
            table.rows.clear();
            "In no row is a peer ahead of this library by more than the spreads of the two.".into()
        } else {
            "Rows in which a peer takes less time, or has a higher rate, by more than the spreads of the two. Rows whose spreads \
             overlap are not listed: another run may turn their order."
                .into()
        };
        table
    }

    /// The tables of the groups.
    pub(crate) fn tables(&self) -> Vec<Table> {
        self.groups.iter().map(Measured::table).collect()
    }

    /// What is not measured in slices beside a yardstick.
    pub(crate) fn others(&self) -> Vec<Table> {
        let mut tables = Vec::new();
        if let Some(idle) = self.idle {
            let text = format!("Of one side, while both wait; {} s of each. Both sleep 50 ms at a time.", digits(idle.seconds));
            let mut table = Table::new("Idle sides", &text, &["", "processor time"]);
            for (name, part) in [("bare futex", idle.futex), ("villas-shm channel, pthread", idle.channel)] {
                table.rows.push(vec![name.into(), format!("{} %", digits(100.0 * part))]);
            }
            tables.push(table);
        }
        if !self.scales.is_empty() {
            let text = "`queuelen` and `spare` of each channel are 16. The memory of the process excludes shared memory.";
            let head =
                ["channels open in one process", "create", "open", "descriptors", "memory of the process", "shared memory"];
            let mut table = Table::new("Many channels", text, &head);
            for scale in &self.scales {
                table.rows.push(vec![
                    scale.channels.to_string(),
                    time(scale.create_ns),
                    time(scale.open_ns),
                    digits(scale.descriptors),
                    bytes(scale.private_bytes),
                    bytes(scale.region_bytes),
                ]);
            }
            tables.push(table);
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From so much less to so much more than the median.
    fn spread(median: f64, wide: f64) -> Spread {
        Spread { median, low: median - wide, high: median + wide, count: 5 }
    }

    fn names<'a>(pairs: &[(Judged<'a>, Judged<'a>)]) -> Vec<(&'a str, &'a str)> {
        pairs.iter().map(|pair| (pair.0.0, pair.1.0)).collect()
    }

    #[test]
    fn only_peers_between_processes_are_ahead_of_ours() {
        let rows =
            [("villas-shm a", 1.0), ("villas-shm b", 3.0), ("pipe, polling", 2.0), ("rtrb, threads", 9.0), ("bare line", 9.0)];
        let rows = rows.map(|(name, median)| (name, spread(median, 0.1)));
        assert_eq!(names(&behind(&rows, true)), [("villas-shm a", "pipe, polling")]);
        assert_eq!(names(&behind(&rows, false)), [("villas-shm b", "pipe, polling")]);
    }

    #[test]
    fn a_peer_whose_spread_overlaps_ours_is_not_ahead() {
        let rows =
            [("villas-shm a", spread(1.0, 0.3)), ("pipe, polling", spread(1.5, 0.3)), ("pipe, blocking", spread(1.7, 0.3))];
        assert_eq!(names(&behind(&rows, true)), [("villas-shm a", "pipe, blocking")]);
    }
}
