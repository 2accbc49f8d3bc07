//! The tables for somebody who chooses: which interface for which job, and two systems that this
//! benchmark cannot install.

use crate::catalogue::{Section, Subject};
use crate::goals::{CHANNEL, MPMC, RUST, SLEEPING, SPSC, WIRE};
use crate::report::{Results, Table, none};
use villas_shm_measure::table::{digits, rate, time};

/// An interface, when to use it, what it costs, and its rows: of pollers and of sleepers.
type Interface = (&'static str, &'static str, &'static str, &'static str, Option<&'static str>);

const INTERFACES: [Interface; 5] = [
    (
        "channel",
        "samples with number and time, there and back; either program may die and return",
        "a header of 88 bytes",
        CHANNEL,
        Some(SLEEPING),
    ),
    (
        "channel, Rust",
        "the same from Rust, without `unsafe`",
        "a copy of the values",
        RUST,
        Some("villas-shm channel, pthread, Rust"),
    ),
    ("SPSC ring", "messages of your own type, one producer, one consumer", "a copy in and a copy out", SPSC, Some(SPSC)),
    ("MPSC or MPMC ring", "the same with several producers, or consumers", "atomic exchanges for each message", MPMC, Some(MPMC)),
    (
        "wire layout",
        "the other program is a VILLASnode",
        "VILLASnode's own queue and pool; after a death both sides open anew",
        WIRE,
        Some("villas-shm wire layout, pthread"),
    ),
];

/// Somebody else's figures: the round trip, and the streams of [`BATCHES`].
type Elsewhere = (&'static str, [f64; 4]);

/// Measured against the same yardsticks on 2026-11-29.
const ELSEWHERE: [Elsewhere; 2] =
    [("join, SPSC queue", [1.65, 0.49, 0.72, 0.72]), ("VILLASnode, polling", [3.85, 0.19, 0.28, 0.36])];

const BATCHES: [usize; 3] = [1, 16, 64];

impl Results {
    /// Which interface for which job, and its figures in this run.
    pub(crate) fn interfaces(&self) -> Table {
        let head = [
            "interface",
            "when",
            "what it costs",
            "round trip of 96 bytes",
            "152 bytes, one by one",
            "152 bytes, 64 at a time",
            "wake-up of a sleeping reader",
        ];
        let mut table = Table::new("Which interface for which job", "", &head);
        let ns = |subject, name| Some(self.outcome(subject, name)?.ns(None)?.median);
        for (interface, when, cost, polls, sleeps) in INTERFACES {
            let stream = |batch| ns(Subject::stream(152, batch), polls).map_or_else(none, rate);
            let wake = sleeps.and_then(|name| ns(Subject::of(Section::Wake), name));
            table.rows.push(vec![
                interface.into(),
                when.into(),
                cost.into(),
                ns(Subject::trip(96), polls).map_or_else(none, time),
                stream(1),
                stream(64),
                wake.map_or_else(none, time),
            ]);
        }
        let python = "[numbers of its own](python.md#speed)";
        let row =
            ["Python", "scripts, notebooks, controllers; batches are numpy arrays", "an interpreter's call", python, "", "", ""];
        table.rows.push(row.map(String::from).to_vec());
        table
    }

    /// Join and VILLASnode, and our rows that compete with them.
    pub(crate) fn elsewhere(&self) -> Table {
        let head =
            ["", "round trip of 96 bytes ÷ ping-pong", "152 bytes, one by one ÷ bare stream", "16 at a time", "64 at a time"];
        let mut table = Table::new("Beside join and VILLASnode", "", &head);
        let ours = |name| {
            let of = |subject| self.ratio(subject, name).map_or_else(none, |ratio| digits(ratio.median));
            let figures = [of(Subject::trip(96))].into_iter().chain(BATCHES.map(|batch| of(Subject::stream(152, batch))));
            [String::from(name)].into_iter().chain(figures).collect()
        };
        let theirs = |(name, figures): Elsewhere| [String::from(name)].into_iter().chain(figures.map(digits)).collect();
        let [join, villasnode] = ELSEWHERE;
        table.rows.extend([theirs(join), ours(SPSC), theirs(villasnode), ours(CHANNEL), ours(WIRE)]);
        table
    }
}
