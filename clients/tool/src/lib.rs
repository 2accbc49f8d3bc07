//! `villas-shm`, the command-line tool of the villas-shm library.
//!
//! It takes the place of VILLASnode on the node side of a channel. It creates the channel from a
//! VILLASnode configuration, and converts between text and shared memory.
//!
//! It is a library so that `clients/man` can read the command line.

#![deny(unsafe_code)]
// They panic if the reader has left.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod bridge;
mod cli;
mod compare;
mod convert;
mod formats;
mod generate;
mod human;
mod inspect;
mod lines;
mod pipe;
mod plot;
mod progress;
mod screen;
mod standard;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use villas_shm_node::{config, encoding, events, exec, log, record, signals};

use cli::{Cli, Command, CompareArgs, ConvertArgs, PipeArgs, SignalArgs, WatchArgs};
use config::NodeConfig;
use log::log;
use signals::Signals;

/// The command line.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    events::start_from_defaults();
    log::begin("villas-shm", |line| progress::aside(|| log::to_stderr(line)));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => return usage(&message),
    };
    log::set_level(cli.debug);
    match cli.command {
        Command::Pipe(args) => outcome(pipe(args)),
        Command::Signal(args) => outcome(signal(&args).map(|()| true)),
        Command::Compare(args) => compare(&args),
        Command::Ls(args) => outcome(inspect::ls(&args)),
        Command::Show(args) => outcome(inspect::show(&args)),
        Command::Top(args) => outcome(inspect::top(&args)),
        Command::Watch(args) => watch(args),
        Command::Rm(args) => outcome(inspect::rm(&args)),
        Command::Clean(args) => outcome(inspect::clean(&args)),
        Command::Bench(args) => outcome(bench::run(&args)),
        Command::Plot(args) => outcome(plot(&args)),
        Command::Convert(args) => outcome(convert(args)),
        Command::Bridge(args) => failure(&bridge::replace(args, cli.debug), 1),
    }
}

/// Whether all went well, or the error.
fn outcome(result: Result<bool, String>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => failure(&message, 1),
    }
}

fn failure(message: &str, code: u8) -> ExitCode {
    log!(Error, "{message}");
    ExitCode::from(code)
}

/// Help and version are no failures; bad usage has the exit status that the command documents.
fn usage(message: &clap::Error) -> ExitCode {
    if message.use_stderr() {
        // If the terminal is gone, there is no way to report it.
        let _ = message.print();
    } else {
        let print = || standard::has_reader(message.print().and_then(|()| std::io::stdout().flush()));
        match standard::stdout().and_then(|_| print()) {
            Ok(_) => return ExitCode::SUCCESS,
            Err(error) => log!(Error, "{error}"),
        }
    }
    let is_command = |word: &std::ffi::OsString| Cli::command().get_subcommands().any(|command| word == command.get_name());
    let command = std::env::args_os().skip(1).find(is_command);
    ExitCode::from(if command.is_some_and(|word| word == "compare") { compare::TROUBLE } else { 1 })
}

fn pipe(args: PipeArgs) -> Result<bool, String> {
    let config = config::load(&args.config, &args.node).map_err(|error| error.to_string())?;
    let linger = args.linger.or((!args.receive_only).then_some(pipe::LINGER));
    let [input_format, output_format] = args.formats.both();
    if !args.receive_only && !args.send_only {
        formats::refuse_same_file(&args.input, Some(&args.output))?;
    }
    let input = (!args.receive_only).then(|| formats::Source::open(&args.input, input_format)).transpose()?;
    let output = (!args.send_only).then(|| formats::Output::create(&args.output, output_format)).transpose()?;
    let options = pipe::Options {
        input,
        output,
        pace: args.pace,
        now: args.now,
        send_limit: args.send_limit,
        receive_limit: args.receive_limit,
        time_limit: args.time_limit,
        linger,
        grace: args.grace,
        types: args.types.unwrap_or_default(),
    };
    pipe::run(config, options, args.swap)
}

fn watch(args: WatchArgs) -> ExitCode {
    let options = watch::Options {
        name: args.name,
        signals: args.signals,
        types: args.types,
        limit: args.limit,
        every: args.every,
        duration: args.duration,
        direction: args.direction,
        format: args.format,
        output: args.output,
        plot: args.plot,
    };
    match watch::run(&options) {
        Ok(false) if args.strict => ExitCode::from(2),
        Ok(_) => ExitCode::SUCCESS,
        Err(message) => failure(&message, 1),
    }
}

fn convert(args: ConvertArgs) -> Result<bool, String> {
    let [input_format, output_format] = args.formats.both();
    let options = convert::Options {
        input: &args.input,
        output: &args.output,
        input_format,
        output_format,
        types: value_types(args.types.as_ref(), &args.node, |node| node.input.signals)?,
    };
    convert::run(&options)
}

/// The types of `-t`, or of the node of `--node`.
fn value_types(types: Option<&Signals>, node: &[String], pick: fn(NodeConfig) -> Signals) -> Result<Signals, String> {
    match node {
        [config, node] => config::load(config.as_ref(), node).map(pick).map_err(|error| error.to_string()),
        _ => Ok(types.cloned().unwrap_or_default()),
    }
}

fn signal(args: &SignalArgs) -> Result<(), String> {
    let shape = generate::Shape {
        rate: args.rate,
        frequency: args.frequency,
        amplitude: args.amplitude,
        offset: args.offset,
        deviation: args.deviation,
        phase: args.phase,
    };
    let types = value_types(args.types.as_ref(), &args.node, |node| node.output.signals)?;
    let values = args.values.map_or(types.len().max(1), |values| values as usize);
    generate::run(generate::Options {
        kind: args.kind,
        shape,
        values,
        format: args.format,
        types,
        limit: args.limit,
        is_paced: !args.no_wait,
    })
}

fn plot(args: &plot::PlotArgs) -> Result<bool, String> {
    let types = value_types(args.types.as_ref(), &args.node, |node| node.input.signals)?;
    plot::run(args, &types)
}

fn compare(args: &CompareArgs) -> ExitCode {
    let types = match value_types(args.types.as_ref(), &args.node, |node| node.input.signals) {
        Ok(types) => types,
        Err(message) => return failure(&message, compare::TROUBLE),
    };
    let options = compare::Options {
        format: args.format,
        types,
        epsilon: args.epsilon,
        values: !args.no_values,
        timestamps: !args.no_timestamps,
        sequence: !args.no_sequence,
    };
    match compare::run(&args.files, &options) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some((difference, message))) => {
            // The exit status also says it, if the reader has left.
            match standard::print(&format!("{message}\n")) {
                Ok(()) => ExitCode::from(difference as u8),
                Err(error) => failure(&error, compare::TROUBLE),
            }
        }
        Err(message) => failure(&message, compare::TROUBLE),
    }
}
