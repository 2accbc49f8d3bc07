//! The command line.

mod parse;
mod texts;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::formats::Format;
use crate::generate::Kind;
use crate::log::Level;
use crate::signals::{MAX_SIGNALS, Signals};
use crate::watch::{Direction, Every};
use parse::{every, finite, frequency, interval, key, not_negative, pace, rate, seconds, some_seconds, two_cpus, up_to};
use texts::{
    BENCH_COLUMNS, BENCH_STATUS, COMPARE_STATUS, CONVERT_STATUS, LOOK_STATUS, LS_COLUMNS, LS_JSON, PIPE_STATUS, RM_STATUS,
    SIGNAL_FORMULAS, SIGNAL_STATUS, TOP_COLUMNS, TOP_KEYS, watch_status,
};

/// Exchange samples with other programs over shared memory.
///
/// It takes the node's side of a channel as VILLASnode does, converts, compares and draws samples,
/// and shows what is in shared memory.
#[derive(Parser)]
#[command(name = "villas-shm", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Show messages of this level and above.
    #[arg(short, long = "debug", value_name = "LEVEL", default_value = "info", global = true)]
    pub(crate) debug: Level,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Send samples from standard input to a node, print those that it gives back.
    ///
    /// Creates the shared-memory region of the node NODE in the configuration file CONFIG, starts
    /// the node's `exec` program, sends samples from standard input and prints those received.
    ///
    /// After the end of standard input it ends when as many samples came back as were sent, or when
    /// nothing has arrived for --linger; with -l, when so many were received; with -s, when the
    /// program has taken all, or has left or never comes. SIGINT, SIGTERM and a reader that closes
    /// its output end it at once. It removes the region, and the program that it started sees the
    /// end (-1, EPIPE). A program that does not end within --grace is stopped; a second signal
    /// stops it at once.
    #[command(after_help = PIPE_STATUS)]
    Pipe(PipeArgs),
    /// Print samples of a test signal on standard output, RATE per second.
    #[command(after_help = SIGNAL_STATUS, after_long_help = SIGNAL_FORMULAS)]
    Signal(SignalArgs),
    /// Compare the samples in files with those in the first one.
    #[command(after_help = COMPARE_STATUS)]
    Compare(CompareArgs),
    /// List what is in shared memory on this host: regions, other POSIX objects, System V segments.
    ///
    /// It only reads and disturbs nobody. On a terminal it prints a table that fits; elsewhere one
    /// line for each object.
    #[command(after_help = LS_COLUMNS, after_long_help = LS_JSON)]
    Ls(LsArgs),
    /// Show one region in full, with the samples or messages that wait, without taking them.
    #[command(after_help = LOOK_STATUS)]
    Show(ShowArgs),
    /// Show live what `ls` shows, with rates, fill levels and peers, until `q` is pressed.
    ///
    /// It only reads and disturbs nobody. It looks at each object once every --interval.
    #[command(after_help = TOP_KEYS, after_long_help = TOP_COLUMNS)]
    Top(TopArgs),
    /// Print samples of a channel, or messages of a ring, as they pass, or record them in a file.
    ///
    /// It takes no side and disturbs nobody. What is overwritten before it looks is missed: the
    /// larger the region's history, the less. How many were missed is said at the end.
    ///
    /// On a terminal it shows both directions of a channel, → from the node, ← from the program.
    /// A file or pipe gets those of the node, or with --direction in those of the program. If a node
    /// replaces the region, it goes on with the new one. It ends by -n, --duration, SIGINT, SIGTERM,
    /// or when the region is removed; curves wait for the next region. If it is killed, the file is
    /// whole up to its last line end.
    #[command(after_help = watch_status())]
    Watch(WatchArgs),
    /// Remove an object from shared memory, unless a live process is attached.
    #[command(after_help = RM_STATUS)]
    Rm(RmArgs),
    /// Remove stale regions: those that no live process holds.
    ///
    /// It removes only regions of this library and of VILLASnode, only your own, and only if no
    /// process has them open. With a region of VILLASnode's layout goes its semaphore, sem.NAME. It
    /// says what it removes, and how many samples or messages were left in it.
    #[command(after_help = RM_STATUS)]
    Clean(CleanArgs),
    /// Measure how fast channels are on this machine.
    ///
    /// Two processes, each on a processor of its own, exchange samples through a channel. In turns
    /// of some ten milliseconds they do the same in bare memory without a library. Ratios to bare
    /// memory can be compared between machines; times and rates hold for this machine now. Nothing
    /// else should run on it.
    #[command(after_help = BENCH_STATUS, after_long_help = BENCH_COLUMNS)]
    Bench(BenchArgs),
    /// Draw the signals of files over time, in the terminal or as a picture.
    ///
    /// Signals of one unit share an axis. Each peak is drawn, however many samples there are.
    /// Integers and booleans hold until the next sample, complex values are drawn as magnitudes,
    /// NaN leaves a gap. Without FILE it reads standard input.
    #[command(after_help = crate::plot::status())]
    Plot(crate::plot::PlotArgs),
    /// Write the samples of one file into another, in any format.
    ///
    /// The names of the files decide the formats. What a format cannot hold is counted, and said at
    /// the end.
    #[command(after_help = CONVERT_STATUS)]
    Convert(ConvertArgs),
    /// Let a channel go on over Zenoh, on other machines.
    ///
    /// Starts the program villas-shm-bridge, which is beside this one or in PATH, with these
    /// arguments.
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Bridge(BridgeArgs),
}

#[derive(Args)]
pub(crate) struct BridgeArgs {
    /// Its arguments; --help lists them.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// How a waiter waits: it spins (polling), or spins a little and then sleeps (pthread).
    #[arg(long, value_delimiter = ',', default_values = ["polling", "pthread"])]
    pub(crate) mode: Vec<Mode>,
    /// Values of a sample.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,8,64", value_parser = up_to(8192))]
    pub(crate) values: Vec<u32>,
    /// Samples that a stream writes and reads in one call.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,16,64", value_parser = up_to(64))]
    pub(crate) batch: Vec<u32>,
    /// The processors of the two processes, counted from 0. Default: the first two that this
    /// process may use.
    #[arg(long, value_name = "A,B", value_parser = two_cpus)]
    pub(crate) cpus: Option<[usize; 2]>,
    /// Measure for about this time. Once each row has had a turn, none begins after a quarter more.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = some_seconds, allow_negative_numbers = true)]
    pub(crate) duration: Duration,
    /// Draw the percentiles of the round trips.
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    /// Print JSON; --help describes it.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a channel waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// A waiter spins.
    Polling,
    /// A waiter spins a little, then sleeps.
    Pthread,
}

#[derive(Args)]
pub(crate) struct PipeArgs {
    /// Only send: print nothing. What comes back is thrown away.
    #[arg(short = 's', conflicts_with_all = ["receive_limit", "output"])]
    pub(crate) send_only: bool,
    /// Only receive: read no samples. Ends by -l, -T, a signal, or with the exec
    /// program.
    #[arg(short = 'r', conflicts_with_all = ["send_only", "send_limit", "input"])]
    pub(crate) receive_only: bool,
    /// Swap the directions: be the program at the other end. Waits for a region that another
    /// process has created, sends in the direction of `in` and receives that of `out`, starts no
    /// exec program, removes nothing, and ends when the node has closed. What the region says of
    /// names, units and types counts; `signals` of the configuration must agree with it.
    #[arg(short = 'x')]
    pub(crate) swap: bool,
    /// End after N samples were received.
    #[arg(short = 'l', value_name = "N", allow_negative_numbers = true)]
    pub(crate) receive_limit: Option<u64>,
    /// Stop sending after N samples.
    #[arg(short = 'L', value_name = "N", allow_negative_numbers = true)]
    pub(crate) send_limit: Option<u64>,
    /// End after this time.
    #[arg(short = 'T', value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) time_limit: Option<Duration>,
    /// After the end of standard input, end when nothing has arrived for this time [default: 2;
    /// with -r: never]. With -s: end when no program has been there for this time, while samples
    /// are unread.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) linger: Option<Duration>,
    /// How long the exec program may take to end by itself. Then it gets SIGTERM, and SIGKILL 2 s
    /// later.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) grace: Duration,
    /// Send the samples of this file; - for standard input.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) input: PathBuf,
    /// Write received samples to this file; - for standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Send each sample when its timestamp says, counted from the first one, X times as fast as
    /// recorded. Begins when a program is there. Says at the end how late samples were sent.
    #[arg(long, value_name = "X", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = pace)]
    pub(crate) pace: Option<f64>,
    /// Give each sample the time at which it is sent as its timestamp; its number stays.
    #[arg(long)]
    pub(crate) now: bool,
    #[command(flatten)]
    pub(crate) formats: FormatsArgs,
    /// The types of the values where no region or configuration says them: counts and letters, as in
    /// 1c or 2f3ib; f float, i integer, b boolean, c complex. Those that come after are floats.
    #[arg(short, value_name = "TYPES")]
    pub(crate) types: Option<Signals>,
    /// The configuration file: libconfig syntax or JSON.
    pub(crate) config: PathBuf,
    /// The node's name in it.
    pub(crate) node: String,
}

#[derive(Args)]
pub(crate) struct SignalArgs {
    /// The form of the signal.
    #[arg(value_name = "SIGNAL")]
    pub(crate) kind: Kind,
    /// Values of each sample [default: as many as -t or --node names, else 1].
    #[arg(short, value_name = "VALUES", value_parser = clap::value_parser!(u32).range(1..=MAX_SIGNALS as i64))]
    pub(crate) values: Option<u32>,
    /// Samples per second, in Hz.
    #[arg(short, value_name = "RATE", default_value = "10", value_parser = rate, allow_negative_numbers = true)]
    pub(crate) rate: f64,
    /// End after LIMIT samples.
    #[arg(short, value_name = "LIMIT", allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
    /// Do not wait: print as fast as possible, with the timestamps that belong to the rate.
    #[arg(short = 'n')]
    pub(crate) no_wait: bool,
    /// Frequency of the signal, in Hz; of a ramp, its period in seconds.
    #[arg(short = 'F', value_name = "FREQUENCY", default_value = "1", value_parser = frequency, allow_negative_numbers = true)]
    pub(crate) frequency: f64,
    /// Amplitude.
    #[arg(short, value_name = "AMPLITUDE", default_value = "1", value_parser = finite, allow_hyphen_values = true)]
    pub(crate) amplitude: f64,
    /// Offset, added to each value.
    #[arg(short, value_name = "OFFSET", default_value = "0", value_parser = finite, allow_hyphen_values = true)]
    pub(crate) offset: f64,
    /// Standard deviation of the steps of a random walk.
    #[arg(short = 'D', value_name = "DEVIATION", default_value = "0.02", value_parser = not_negative, allow_negative_numbers = true)]
    pub(crate) deviation: f64,
    /// Phase, in radians.
    #[arg(short, value_name = "PHASE", default_value = "0", value_parser = finite, allow_hyphen_values = true)]
    pub(crate) phase: f64,
    /// The format of the output.
    #[arg(short, long, visible_alias = "output-format", value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// The types of the values: counts and letters, as in 1c or 2f3ib; f float, i integer, b boolean,
    /// c complex. Those that come after are floats.
    #[arg(short, value_name = "TYPES")]
    pub(crate) types: Option<Signals>,
    /// Instead of -t: the types, names and units of what `pipe CONFIG NODE` reads.
    #[arg(long, value_names = ["CONFIG", "NODE"], num_args = 2, conflicts_with = "types")]
    pub(crate) node: Vec<String>,
}

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// Values, and timestamps in seconds, are equal if they differ by at most EPS; 0: the same
    /// bits. Complex values are compared part by part, booleans exactly.
    #[arg(short, value_name = "EPS", default_value = "1e-6", value_parser = not_negative, allow_negative_numbers = true)]
    pub(crate) epsilon: f64,
    /// Ignore the values.
    #[arg(short = 'v')]
    pub(crate) no_values: bool,
    /// Ignore the timestamps.
    #[arg(short = 'T')]
    pub(crate) no_timestamps: bool,
    /// Ignore the sequence numbers.
    #[arg(short = 's')]
    pub(crate) no_sequence: bool,
    /// The format of all files, whatever their names.
    #[arg(short, long, visible_alias = "input-format", value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// The types of the values where a file does not say them: counts and letters, as in 1c or 2f3ib;
    /// f float, i integer, b boolean, c complex. Those that come after are floats.
    #[arg(short, value_name = "TYPES")]
    pub(crate) types: Option<Signals>,
    /// Instead of -t: the types of what `pipe CONFIG NODE` prints.
    #[arg(long, value_names = ["CONFIG", "NODE"], num_args = 2, conflicts_with = "types")]
    pub(crate) node: Vec<String>,
    /// Two files or more.
    #[arg(value_name = "FILE", required = true, num_args = 2..)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ConvertArgs {
    /// The file to read; - for standard input.
    #[arg(value_name = "IN", default_value = "-")]
    pub(crate) input: PathBuf,
    /// The file to write; - for standard output.
    #[arg(value_name = "OUT", default_value = "-")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) formats: FormatsArgs,
    /// The types of the values where the file does not say them: counts and letters, as in 1c or
    /// 2f3ib; f float, i integer, b boolean, c complex. Those that come after are floats.
    #[arg(short, value_name = "TYPES")]
    pub(crate) types: Option<Signals>,
    /// Instead of -t: the types, names and units of what `pipe CONFIG NODE` prints.
    #[arg(long, value_names = ["CONFIG", "NODE"], num_args = 2, conflicts_with = "types")]
    pub(crate) node: Vec<String>,
}

/// The formats of what is read and written, where the names of the files do not say them.
#[derive(Args)]
pub(crate) struct FormatsArgs {
    /// The format of what is read and of what is written.
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<Format>,
    /// The format of what is read.
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    input_format: Option<Format>,
    /// The format of what is written.
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    output_format: Option<Format>,
}

impl FormatsArgs {
    /// Of what is read, and of what is written.
    pub(crate) fn both(&self) -> [Option<Format>; 2] {
        [self.input_format.or(self.format), self.output_format.or(self.format)]
    }
}

#[derive(Args)]
pub(crate) struct LsArgs {
    /// Print JSON; --help describes it.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Target {
    /// The name of a POSIX object, as in /dev/shm.
    #[arg(required_unless_present_any = ["key", "id"])]
    pub(crate) name: Option<OsString>,
    /// A System V segment by its key, decimal or 0x…
    #[arg(long, value_parser = key, conflicts_with_all = ["name", "id"], allow_hyphen_values = true)]
    pub(crate) key: Option<i32>,
    /// A System V segment by its number.
    #[arg(long, conflicts_with = "name")]
    pub(crate) id: Option<i32>,
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Show the first N samples or messages that wait in each queue.
    #[arg(short = 'n', value_name = "N", default_value = "5", allow_negative_numbers = true)]
    pub(crate) waiting: usize,
    /// The types of the values of samples, instead of those that the region names: 1c, 2f3ib.
    #[arg(short, value_name = "TYPES")]
    pub(crate) types: Option<Signals>,
    /// Print the object's bytes, with their offsets, instead.
    #[arg(long, conflicts_with = "json")]
    pub(crate) hex: bool,
    /// Print JSON, as `ls` does for each object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct WatchArgs {
    /// The name of a region, as in /dev/shm.
    pub(crate) name: OsString,
    /// Show only these values, by the names that the region has for them, else signal0, signal1, …
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub(crate) signals: Vec<String>,
    /// End after N samples or messages.
    #[arg(short = 'n', value_name = "N", allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
    /// Show one of N of each direction, or at most one in a time, such as 10 or 0.5s.
    #[arg(long, value_name = "N or SECONDSs", default_value = "1", value_parser = every, allow_hyphen_values = true)]
    pub(crate) every: Every,
    /// End after this time.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) duration: Option<Duration>,
    /// Whose samples: in, of the program; out, of the node.
    #[arg(long)]
    pub(crate) direction: Option<Direction>,
    /// The format; default: that of the file's name, else villas.human.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Write to this file.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// The types of the values, instead of those that the region names; of a ring, what its messages
    /// hold, 8 bytes each: 1c, 2f3ib. Without it, a ring's messages are shown in hexadecimal.
    #[arg(short, value_name = "TYPES")]
    pub(crate) types: Option<Signals>,
    /// Draw live curves in the terminal instead, until `q` is pressed; of a complex signal u, u.re and
    /// u.im are its parts.
    #[arg(long, conflicts_with = "format")]
    pub(crate) plot: bool,
    /// Exit status 2 if some were missed.
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Args)]
pub(crate) struct TopArgs {
    /// Show only what has this text in its name; `/` changes it.
    pub(crate) name: Option<OsString>,
    /// The time between two looks, from 0.05 to 3600.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval, allow_negative_numbers = true)]
    pub(crate) interval: Duration,
    /// What to sort by.
    #[arg(long, value_name = "BY", default_value = "name")]
    pub(crate) sort: Sort,
}

/// What `top` sorts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sort {
    /// By name.
    Name,
    /// Those that most is written to first.
    Rate,
    /// Those with the fullest queue first.
    Fill,
    /// Corrupt ones first, then stale ones.
    State,
    /// The largest first.
    Size,
}

impl Sort {
    /// As it is called on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::Rate => "rate",
            Sort::Fill => "fill",
            Sort::State => "state",
            Sort::Size => "size",
        }
    }
}

#[derive(Args)]
pub(crate) struct RmArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Remove it even if a live process is attached, which keeps it until it ends.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
pub(crate) struct CleanArgs {
    /// Only say what would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
