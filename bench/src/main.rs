//! `make bench`: this library beside bare yardsticks and beside its alternatives.
//!
//! usage: villas-shm-bench [--quick] [--cpus A,B] [--only TEXT] [--document FILE]
//!
//! Prints tables; with `--only`, those whose title has this text. With `--document`, writes goals,
//! tables and plots there and beside it. A lost, doubled or changed
//! message ends the run with status 1.

mod capi;
mod catalogue;
mod channel;
mod document;
mod goals;
mod idle;
mod interfaces;
mod life;
mod machine;
mod many;
mod peers;
mod plots;
mod report;
mod ring;
mod sketch;

use catalogue::{Catalogue, Group};
use goals::NOT_MEASURED;
use idle::{BareIdle, Idle};
use report::{Measured, Results};
use std::path::PathBuf;
use std::process::ExitCode;
use villas_shm_measure::compare::{Plan, TOLERANCE, group};
use villas_shm_measure::rig::Rig;
use villas_shm_measure::table::columns;

struct Options {
    is_quick: bool,
    cpus: [usize; 2],
    only: Option<String>,
    document: Option<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { is_quick: false, cpus: [0, 1], only: None, document: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => options.is_quick = true,
            "--cpus" => {
                let text = words.next().unwrap_or_default();
                let pair = text.split_once(',').and_then(|(a, b)| Some([a.parse().ok()?, b.parse().ok()?]));
                options.cpus = pair.ok_or("--cpus wants two numbers, as in 0,1")?;
            }
            "--only" => options.only = Some(words.next().ok_or("--only wants a part of a title")?),
            "--document" => options.document = Some(words.next().ok_or("--document wants a file")?.into()),
            _ => return Err("usage: villas-shm-bench [--quick] [--cpus A,B] [--only TEXT] [--document FILE]".into()),
        }
    }
    if options.only.is_some() && options.document.is_some() {
        return Err("--only measures too little for a document".into());
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    capi::load()?;
    options.document.as_deref().map_or(Ok(()), document::check)?;
    let machine = machine::description(options.cpus);
    println!("{machine}");
    let mut catalogue = Catalogue::new(options.is_quick, options.cpus)?;
    for why in &catalogue.missing {
        println!("not measured: {why}");
    }
    let mut contenders = std::mem::take(&mut catalogue.contenders);
    let idle = contenders.len();
    contenders.extend([Idle::boxed(), BareIdle::boxed()]);
    let many = contenders.len();
    let sizes: &[usize] = if options.is_quick { &[1, 10] } else { &[1, 10, 100, 1000] };
    contenders.extend(sizes.iter().map(|&count| life::Many::boxed(count)));

    let mut rig = Rig::start(contenders, options.cpus)?;
    let mut results = Results::default();
    let rounds = if options.is_quick { 5 } else { 14 };
    println!(
        "{rounds} slices of some ten ms for each row; counted: the yardsticks before and after agree within {:.0} %",
        100.0 * TOLERANCE
    );
    let is_wanted = |group: &&Group| options.only.as_ref().is_none_or(|text| group.subject.title().contains(text));
    for plan in catalogue.groups.iter().filter(is_wanted) {
        let timing = Plan { rounds, limit_ns: f64::INFINITY, slice_ns: plan.slice_ns() };
        let outcomes = group(&mut rig, plan.yard, &plan.contenders, timing, plan.timed());
        let measured = Measured { subject: plan.subject, outcomes };
        println!("\n{}\n{}", measured.subject.title(), columns(&measured.table().rows));
        results.groups.push(measured);
    }
    if options.only.is_none() {
        let (turns, calls) = if options.is_quick { (2, 10) } else { (5, 20) };
        results.idle = Some(idle::measure(&mut rig, [idle, idle + 1], turns, calls));
        for number in 0..sizes.len() {
            rig.open(many + number);
            rig.run(many + number, 1, None);
            rig.close(many + number);
            results.scales.push(life::last_scale());
        }
    }
    rig.stop();
    for table in results.others().iter().chain([&results.goals(), &results.behind()]) {
        let is_measured = |row: &&Vec<String>| options.only.is_none() || row.last().is_none_or(|last| last != NOT_MEASURED);
        let rows: Vec<_> = table.rows.iter().filter(is_measured).cloned().collect();
        println!("\n{}\n{}\n{}", table.title, table.text, columns(&rows));
    }
    if let Some(document) = &options.document {
        document::write(document, &results, &machine, &catalogue.missing)?;
        println!("written: {}", document.display());
    }
    Ok(())
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}
