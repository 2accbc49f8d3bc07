//! `bench`: how fast channels are on the user's machine. The crate `villas-shm-measure` does all
//! the measuring.

mod print;
mod target;

use std::time::{Duration, Instant};

use villas_shm_measure::SAMPLE_HEADER;
use villas_shm_measure::capi::{Channel, Own};
use villas_shm_measure::channel::Shape;
use villas_shm_measure::compare::{Outcome, Plan, Timed, group};
use villas_shm_measure::contender::{Contender, Exchange, Work};
use villas_shm_measure::functions::LINKED;
use villas_shm_measure::rig::{self, Rig, allowed_cpus};
use villas_shm_measure::yardsticks::{BareStream, BareTrip, Futex};

use crate::cli::{BenchArgs, Mode};
use crate::log::log;
use crate::standard;
use target::Target;

/// Nanoseconds of a turn, and of a turn in which both sides sleep for each sample.
const TURN: f64 = 10e6;
const TURN_ASLEEP: f64 = 25e6;
/// The least number of turns of each row. If the time is too short for them, they are shorter, down
/// to a tenth.
const LEAST: f64 = 3.0;
const SHORTEST: f64 = 0.1;
/// How many times longer than asked measuring may take on a busy machine, apart from one turn of
/// each row.
const LONGEST: f64 = 1.25;

/// The subject of a row, and its figures.
pub(crate) struct Row {
    pub(crate) shape: Shape,
    pub(crate) work: Work,
    pub(crate) yardstick: String,
    pub(crate) outcome: Outcome,
}

/// A yardstick and the channels that are measured beside it.
struct Group {
    work: Work,
    yard: usize,
    channels: Vec<(usize, Shape)>,
}

impl Group {
    fn timed(&self) -> Timed {
        match self.work {
            Work::Trip => Timed::Apart,
            Work::Stream { .. } => Timed::Not,
            Work::Asleep | Work::Wake | Work::WakeCost => Timed::Same,
        }
    }

    fn turn(&self) -> f64 {
        if self.timed() == Timed::Same { TURN_ASLEEP } else { TURN }
    }

    /// Nanoseconds of a round: a turn of each channel and of the yardstick, each with another turn
    /// of the yardstick.
    fn round(&self) -> f64 {
        let passes = if self.timed() == Timed::Apart { 2.0 } else { 1.0 };
        (1 + self.channels.len()) as f64 * 2.0 * passes * self.turn()
    }
}

/// A channel through the C interface, as most programs use it.
fn channel(shape: Shape, work: Work) -> Box<dyn Contender> {
    Exchange::boxed(Channel::<Own, 0>::new(shape, Own::new(&LINKED)), work)
}

#[derive(Default)]
struct Groups {
    contenders: Vec<Box<dyn Contender>>,
    groups: Vec<Group>,
}

impl Groups {
    fn add(&mut self, contender: Box<dyn Contender>) -> usize {
        self.contenders.push(contender);
        self.contenders.len() - 1
    }

    fn group(&mut self, work: Work, yard: Box<dyn Contender>, shapes: &[Shape]) {
        let yard = self.add(yard);
        let channels = shapes.iter().map(|&shape| (self.add(channel(shape, work)), shape)).collect();
        self.groups.push(Group { work, yard, channels });
    }

    fn of(args: &BenchArgs) -> Groups {
        let mut groups = Groups::default();
        let sleeps = args.mode.contains(&Mode::Pthread);
        for values in args.values.iter().map(|&values| values as usize) {
            let words = SAMPLE_HEADER / 8 + values;
            let shapes = |batch| {
                let shape = move |mode: &Mode| Shape { values, polling: *mode == Mode::Polling, batch };
                args.mode.iter().map(shape).collect::<Vec<_>>()
            };
            groups.group(Work::Trip, BareTrip::of(words), &shapes(None));
            for batch in args.batch.iter().map(|&batch| batch as usize) {
                groups.group(Work::Stream { batch }, BareStream::of(words, batch), &shapes(Some(batch)));
            }
            if sleeps {
                let shape = Shape { values, polling: false, batch: None };
                for work in [Work::Asleep, Work::Wake] {
                    groups.group(work, Exchange::boxed(Futex::new(), work), &[shape]);
                }
            }
        }
        groups
    }

    /// How many rounds the time has room for, and the fraction of a full turn that each turn then
    /// has.
    fn rounds(&self, duration: Duration) -> (usize, f64) {
        let round: f64 = self.groups.iter().map(Group::round).sum();
        let fit = duration.as_nanos() as f64 / round;
        (fit.max(LEAST) as usize, (fit / LEAST).clamp(SHORTEST, 1.0))
    }
}

fn cpus(wanted: Option<[usize; 2]>) -> Result<[usize; 2], String> {
    if let Some(cpus) = wanted {
        return Ok(cpus);
    }
    match allowed_cpus()?[..] {
        [first, second, ..] => Ok([first, second]),
        _ => Err("two processors are needed, and this process may use one".into()),
    }
}

fn measure(args: &BenchArgs, cpus: [usize; 2]) -> Result<Vec<Row>, String> {
    let mut groups = Groups::of(args);
    let (rounds, part) = groups.rounds(args.duration);
    let mut rig = Rig::start(std::mem::take(&mut groups.contenders), cpus)?;
    let mut rows = Vec::new();
    let (began, all) = (Instant::now(), LONGEST * args.duration.as_nanos() as f64);
    let mut rest: f64 = groups.groups.iter().map(Group::round).sum();
    rig::set_last_words(print::early(&rows, args, cpus));
    for plan in &groups.groups {
        // A group's share of the time left; less than planned if earlier groups took longer than
        // theirs.
        let limit_ns = (all - began.elapsed().as_nanos() as f64).max(0.0) * plan.round() / rest;
        rest -= plan.round();
        let channels: Vec<usize> = plan.channels.iter().map(|channel| channel.0).collect();
        let mut outcomes =
            group(&mut rig, plan.yard, &channels, Plan { rounds, limit_ns, slice_ns: part * plan.turn() }, plan.timed())
                .into_iter();
        // A user has no use for the yardstick compared with itself.
        let yardstick = outcomes.next().map_or(String::new(), |outcome| outcome.name);
        for (outcome, &(_, shape)) in outcomes.zip(&plan.channels) {
            rows.push(Row { shape, work: plan.work, yardstick: yardstick.clone(), outcome });
        }
        rig::set_last_words(print::early(&rows, args, cpus));
        log!(Debug, "measured beside {yardstick}");
    }
    rig.stop();
    Ok(rows)
}

pub(crate) fn run(args: &BenchArgs) -> Result<bool, String> {
    let mut args = BenchArgs {
        mode: args.mode.clone(),
        values: args.values.clone(),
        batch: args.batch.clone(),
        plot: args.plot.clone(),
        ..*args
    };
    // A value that is asked for twice is measured once.
    args.values.sort_unstable();
    args.values.dedup();
    args.batch.sort_unstable();
    args.batch.dedup();
    args.mode.sort_by_key(|mode| *mode as u8);
    args.mode.dedup();
    let cpus = cpus(args.cpus)?;
    // Checked before measuring, so that no run ends with output that cannot be written.
    standard::stdout()?;
    let plot = args.plot.as_deref().map(Target::check).transpose()?;
    let rows = measure(&args, cpus)?;
    if let Some(target) = plot {
        target.write(&print::plot(&rows, cpus))?;
    }
    let text = if args.json { print::json(&rows, cpus, args.duration, true) } else { print::table(&rows, cpus) };
    standard::print(&text).map(|()| true)
}
