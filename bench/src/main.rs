//! `make bench`: this library beside bare yardsticks and beside its alternatives.
//!
//! usage: villas-shm-bench [--quick] [--cpus A,B] [--document FILE]
//!
//! Prints tables; with `--document`, writes them and the plots there. A lost, doubled or changed
//! message ends the run with status 1.

mod capi;
mod catalogue;
mod channel;
mod document;
mod life;
mod machine;
mod many;
mod peers;
mod report;
mod ring;

use catalogue::Catalogue;
use report::{Measured, Results};
use std::path::PathBuf;
use std::process::ExitCode;
use villas_shm_measure::compare::{Plan, TOLERANCE, group};
use villas_shm_measure::rig::Rig;
use villas_shm_measure::table::columns;

struct Options {
    is_quick: bool,
    cpus: [usize; 2],
    document: Option<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { is_quick: false, cpus: [0, 1], document: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => options.is_quick = true,
            "--cpus" => {
                let text = words.next().unwrap_or_default();
                let pair = text.split_once(',').and_then(|(a, b)| Some([a.parse().ok()?, b.parse().ok()?]));
                options.cpus = pair.ok_or("--cpus wants two numbers, as in 0,1")?;
            }
            "--document" => options.document = Some(words.next().ok_or("--document wants a file")?.into()),
            _ => return Err("usage: villas-shm-bench [--quick] [--cpus A,B] [--document FILE]".into()),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    capi::load()?;
    let machine = machine::description(options.cpus);
    println!("{machine}");
    let mut catalogue = Catalogue::new(options.is_quick, options.cpus)?;
    for why in &catalogue.missing {
        println!("not measured: {why}");
    }
    let contenders = std::mem::take(&mut catalogue.contenders);
    let (mut contenders, first) = (contenders, 0);
    let idle = first + contenders.len();
    contenders.push(life::Idle::boxed());
    let sizes: &[usize] = if options.is_quick { &[1, 10] } else { &[1, 10, 100, 1000] };
    contenders.extend(sizes.iter().map(|&count| life::Many::boxed(count)));

    let mut rig = Rig::start(contenders, options.cpus)?;
    let mut results = Results::default();
    let rounds = if options.is_quick { 5 } else { 14 };
    println!(
        "{rounds} slices of some ten ms for each row; counted: the yardsticks before and after agree within {:.0} %",
        100.0 * TOLERANCE
    );
    for plan in &catalogue.groups {
        let timing = Plan { rounds, limit_ns: f64::INFINITY, slice_ns: plan.slice_ns() };
        let outcomes = group(&mut rig, plan.yard, &plan.contenders, timing, plan.timed());
        let measured = Measured { section: plan.section, bytes: plan.bytes, batch: plan.batch, outcomes };
        println!("\n{}\n{}", measured.title(), columns(&measured.table().rows));
        results.groups.push(measured);
    }
    let seconds: u32 = if options.is_quick { 2 } else { 10 };
    rig.open(idle);
    let took = rig.run(idle, u64::from(seconds) * 10, None);
    rig.close(idle);
    results.idle = Some((took.cpu_ns / (2.0 * took.ns), f64::from(seconds)));
    for number in 0..sizes.len() {
        rig.open(idle + 1 + number);
        rig.run(idle + 1 + number, 1, None);
        rig.close(idle + 1 + number);
        results.scales.push(life::last_scale());
    }
    rig.stop();
    for table in results.tables().iter().skip(2 + results.groups.len()).chain([&results.goals(), &results.behind()]) {
        println!("\n{}\n{}", table.title, columns(&table.rows));
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
