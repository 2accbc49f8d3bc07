//! The long texts of the help: formulas, columns, keys, exit statuses.

pub(super) const PIPE_STATUS: &str = "\
Exit status:
  0  success; also after SIGINT or SIGTERM, when -l is reached, and when nobody reads the output any
     more
  1  bad usage or configuration, malformed lines, output that cannot be written, an exec program
     that could not start or ended early, samples that were sent and not taken";

pub(super) const SIGNAL_STATUS: &str = "\
Exit status: 0, also after SIGINT or SIGTERM and when nobody reads any more; 1 for errors.
--help has the formulas.";

pub(super) const SIGNAL_FORMULAS: &str = "\
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

pub(super) const COMPARE_STATUS: &str = "\
Exit status:
  0  equal
  1  different numbers of samples
  2  sequence numbers differ
  3  timestamps differ
  4  numbers of values differ
  5  values differ
  7  bad usage, a file that cannot be read, or output that cannot be written";

pub(super) const CONVERT_STATUS: &str = "\
Formats, and the ends of file names that mean them:
  villas.human  any other name, and standard input and output
  csv, tsv      .csv; .tsv
  json          .json, .jsonl, .ndjson: one object a line
  villas.binary .bin, .binary: what VILLASnode's sockets send; 32-bit floats and integers
  arrow         .arrow, .arrows, .ipc: an Arrow IPC stream, which says names, units and types itself

Exit status: 0, also when nobody reads the output any more; 1 for errors, and for lines that are no
samples, which are named and left out.";

pub(super) const LS_COLUMNS: &str = "\
--help describes the columns and the JSON. Exit status: 0; 1 for errors.";

pub(super) const LS_JSON: &str = "\
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

pub(super) const LOOK_STATUS: &str = "\
Exit status: 0; 1 if there is no such object, or for errors.";

pub(super) fn watch_status() -> String {
    let status = "\
Exit status: 0, also after SIGINT or SIGTERM and when nobody reads any more; 1 for errors; 2 with
--strict, if some were missed.";
    format!("Keys of --plot:\n{}\n\n{status}", crate::plot::KEYS)
}

pub(super) const TOP_KEYS: &str = "\
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

pub(super) const TOP_COLUMNS: &str = "\
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

pub(super) const RM_STATUS: &str = "\
Exit status: 0; 1 if something could not be removed, or for errors.";

pub(super) const BENCH_STATUS: &str = "\
Exit status: 0; 1 for errors, and when a sample was lost, doubled or changed.
--help says what the columns and the JSON mean.";

pub(super) const BENCH_COLUMNS: &str = "\
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
