//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::formats::Format;
use crate::generate::Kind;
use crate::log::Level;
use crate::signals::{MAX_SIGNALS, Signals};
use crate::watch::{Direction, Every};

/// Exchange samples with other programs over shared memory.
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
    /// or when the region is removed. If it is killed, the file is whole up to its last line end.
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
}

const PIPE_STATUS: &str = "\
Exit status:
  0  success; also after SIGINT or SIGTERM, when -l is reached, and when nobody reads the output any
     more
  1  bad usage or configuration, malformed lines, output that cannot be written, an exec program
     that could not start or ended early, samples that were sent and not taken";

const SIGNAL_STATUS: &str = "\
Exit status: 0, also after SIGINT or SIGTERM and when nobody reads any more; 1 for errors.
--help has the formulas.";

const SIGNAL_FORMULAS: &str = "\
The value at step k, at the time t = k / RATE in seconds, with the values of -F, -a, -o, -D, -p and
c = F t + p / 2 pi, the periods that have passed; frac(c) is the part of c behind the point:
  sine      o + a sin(2 pi F t + p)
  square    o - a in the first half of each period, o + a in the second
  triangle  o + 4 a (|frac(c) - 1/2| - 1/4): from o + a down to o - a and up again
  ramp      o + a (t mod F): F is the period in seconds here, as in VILLASnode
  random    o + the sum of k + 1 normal deviates with the standard deviation D
  counter   o + a k
  constant  o + a (\"constants\" is the same)
  pulse     o + 1 for one step at the beginning of each period, else o
  mixed     random, sine, square, triangle, ramp, counter, constant, pulse, one value each, and again
An integer is the nearest one; a boolean is 1 where the value is above 0; a complex value has it as
its real part, and 0 as its imaginary one.

Step k is printed when it is due, with the timestamp of that moment: start + k / RATE. Steps that
cannot be printed within 0.1 s are missed: a warning says how many, and their numbers are left out.

Exit status: 0, also after SIGINT or SIGTERM and when nobody reads any more; 1 for errors.";

const COMPARE_STATUS: &str = "\
Exit status:
  0  equal
  1  different numbers of samples
  2  sequence numbers differ
  3  timestamps differ
  4  numbers of values differ
  5  values differ
  7  bad usage, a file that cannot be read, or output that cannot be written";

const CONVERT_STATUS: &str = "\
Formats, and the ends of file names that mean them:
  villas.human  any other name, and standard input and output
  csv, tsv      .csv; .tsv
  json          .json, .jsonl, .ndjson: one object a line
  villas.binary .bin, .binary: what VILLASnode's sockets send; 32-bit floats and integers
  arrow         .arrow, .arrows, .ipc: an Arrow IPC stream, which says names, units and types itself

Exit status: 0, also when nobody reads the output any more; 1 for errors, and for lines that are no
samples, which are named and left out.";

const LS_COLUMNS: &str = "\
--help describes the columns and the JSON. Exit status: 0; 1 for errors.";

const LS_JSON: &str = "\
Columns:
  KIND    channel, wire (VILLASnode's layout), ring, posix, sysv, sem (a named semaphore), ? (cannot be
          looked into)
  USERS   processes that have it mapped; + if there may be more that cannot be seen from here
  STATE   live: a live process is attached; stale: a region that no live process holds; unused: another
          object that no process has attached; corrupt: a region with contradictions; ?: unknown
  AGE     since it was made; of a System V segment, since its last change
  QUEUED  waiting/fitting, of each queue
  FREE    blocks of the pool that are free/all
  PEERS   the processes that a region names; closed or dead if not alive

JSON: an object with \"version\": 1 and \"objects\", a list; in each of its elements
  kind, state        as above, \"unknown\" for ?
  name               or null for System V, which has key and id; bytes that are no UTF-8 are U+FFFD
  name_bytes         the bytes of such a name in hexadecimal, else null
  size               bytes
  mode, uid, owner   permission bits as octal text, the user's number and name
  created            seconds since 1970, or null
  note               why the state is what it is, or null
  attached           those that have it mapped: pid, program
  attach_count       how many; null if that cannot be known
  layout_version     of a region, else null
  parameters         of a region: mode, queuelen, samplelen, spare, history; policy, element size, capacity
  peers              role, pid, program, since (seconds since 1970), state (alive, closed, dead),
                     foreign (the pid is of another pid namespace)
  queues             direction, depth, capacity, written, read; signals: name, unit, type (float,
                     integer, boolean, complex); and for `show` waiting: samples (sequence, flags,
                     origin and received as [s, ns], values as their 8 bytes in hexadecimal) or
                     messages (hexadecimal); newest: position, may_have_changed, and what, as
                     one of those; or null
  blocks             free and total, or null
  counters           events since the region was made
Later versions may add members; those that are here keep their meaning while version is 1.

Exit status: 0; 1 for errors.";

const LOOK_STATUS: &str = "\
Exit status: 0; 1 if there is no such object, or for errors.";

fn watch_status() -> String {
    let status = "\
Exit status: 0, also after SIGINT or SIGTERM and when nobody reads any more; 1 for errors; 2 with
--strict, if some were missed.";
    format!("Keys of --plot:\n{}\n\n{status}", crate::plot::KEYS)
}

const TOP_KEYS: &str = "\
Keys:
  q, Esc, Ctrl-C          quit
  arrows, j, k, PgUp, PgDn, Home, End
                          mark another object, which the lower part of the screen shows in full
  s, r                    sort by name, rate, fill, state, size; reverse the order
  /                       show only what has a text in its name
  +, -                    look less often, more often
  space                   pause, go on
  Ctrl-Z                  stop; fg goes on

--help describes the columns. Exit status: 0, also after SIGINT, SIGTERM and SIGHUP; 1 for errors.";

const TOP_COLUMNS: &str = "\
Keys:
  q, Esc, Ctrl-C          quit
  arrows, j, k, PgUp, PgDn, Home, End
                          mark another object, which the lower part of the screen shows in full
  s, r                    sort by name, rate, fill, state, size; reverse the order
  /                       show only what has a text in its name
  +, -                    look less often, more often
  space                   pause, go on
  Ctrl-Z                  stop; fg goes on

Columns, as many as fit; those of `ls`, and:
  → ←      of a channel: from the node to the program, and back
  WRITE/s  samples or messages written per second; - before the second look
  READ/s   samples or messages read per second
  QUEUED   how much of the queue is taken, as a bar, and waiting/fitting
  FREE     how much of the pool is free

Exit status: 0, also after SIGINT, SIGTERM and SIGHUP; 1 for errors, as where the output is no terminal.";

const RM_STATUS: &str = "\
Exit status: 0; 1 if something could not be removed, or for errors.";

const BENCH_STATUS: &str = "\
Exit status: 0; 1 for errors, and when a sample was lost, doubled or changed.
--help says what the columns and the JSON mean.";

const BENCH_COLUMNS: &str = "\
Rows:
  round trip       one sample there and back, again and again
  asleep           a round trip in which each side acts only when the other one sleeps (pthread mode)
  wake-up          one sample to a reader that sleeps, until the reader has it (pthread mode)
  stream           samples in one direction, a batch written and read in one call
All rows use the C interface. The Rust interface is slower for long samples: docs/performance.md.
Columns:
  ratio            to bare memory; of times (less is better), in streams of rates (more is better)
  near, far        the ratio at two distances of the processors, if both were seen
  counted          turns that count, of all turns: bare memory was equally fast before and after, within a quarter
  p50 … max        of all round trips, each timed by itself, turns that do not count included
  CPU              seconds of both processes for a million samples; memory: of the region
--json prints one object: version (1), cpus, duration (seconds), complete (false: it ended early), rows. Each row has work, mode, values, batch, bytes (of a
sample), yardstick, samples (all that were sent), turns, counted, ratio, near and far ({median, low, high, turns}; low and
high: a tenth is beyond), ns (for one sample), cpu_ns, memory (bytes), percentiles ({p50 … max} in ns). null: nothing counted;
of a percentile: fewer than one round trip was beyond, where the table has -.

If it ends early, by a signal or because a turn took more than 30 s, it prints the complete rows and no plot.

Exit status: 0; 1 for errors, when it ended early, and when a sample was lost, doubled or changed.";

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

/// A key as `ipcs` prints it: its 32 bits, or the number that they mean.
fn key(text: &str) -> Result<i32, &'static str> {
    let bits = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(|bits| bits as i32),
        None => text.parse().ok(),
    };
    bits.filter(|&key| key != 0).ok_or("expected a key, decimal or 0x…; private segments have none: use --id")
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    if seconds < 0.0 {
        return Err("expected a number of seconds that is not negative".into());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn pace(text: &str) -> Result<f64, &'static str> {
    number(text, |pace| pace > 0.0, "expected a number above 0, such as 10: ten times as fast as recorded")
}

fn every(text: &str) -> Result<Every, String> {
    let wanted = "expected a number of samples, such as 10, or a time, such as 0.5s";
    match text.strip_suffix('s') {
        Some(time) => some_seconds(time).map(Every::Time).map_err(|_| wanted.into()),
        None => text.parse().ok().filter(|&count| count > 0).map(Every::Samples).ok_or_else(|| wanted.into()),
    }
}

fn some_seconds(text: &str) -> Result<Duration, String> {
    let time = seconds(text)?;
    if time.is_zero() { Err("expected more than 0 seconds".into()) } else { Ok(time) }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    if (0.05..=3600.0).contains(&interval.as_secs_f64()) { Ok(interval) } else { Err("expected 0.05 to 3600 seconds".into()) }
}

/// A number that `is_right` accepts, or what is wanted.
fn number(text: &str, is_right: impl Fn(f64) -> bool, wanted: &'static str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|&number: &f64| number.is_finite() && is_right(number)).ok_or(wanted)
}

fn up_to(most: i64) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=most)
}

fn two_cpus(text: &str) -> Result<[usize; 2], &'static str> {
    let pair = text.split_once(',').and_then(|(a, b)| Some([a.trim().parse().ok()?, b.trim().parse().ok()?]));
    match pair {
        Some([a, b]) if a == b => Err("expected two different processors"),
        Some(pair) => Ok(pair),
        None => Err("expected two numbers, as in 0,1"),
    }
}

fn finite(text: &str) -> Result<f64, &'static str> {
    number(text, |_| true, "expected a number")
}

fn not_negative(text: &str) -> Result<f64, &'static str> {
    number(text, |number| number >= 0.0, "expected a number that is not negative")
}

fn frequency(text: &str) -> Result<f64, &'static str> {
    number(text, |number| number > 0.0, "expected a number above 0")
}

/// Within these bounds every step has a time.
fn rate(text: &str) -> Result<f64, &'static str> {
    number(text, |rate| (1e-6..=1e9).contains(&rate), "expected a number of Hz from 1e-6 to 1e9")
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
