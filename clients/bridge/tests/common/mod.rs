//! What the tests of the bridge share.
#![allow(missing_docs, unreachable_pub)]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use villas_shm::{Channel, Flags, Sample, Timespec};

/// Nothing may take longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a condition.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A text that no other test and no other run has.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("villas-bridge-test-{}-{}-{name}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A node of a configuration, whose region nobody else has.
pub struct Node {
    directory: TempDir,
    pub region: String,
}

impl Node {
    /// With these keys beside type and name.
    pub fn new(keys: &str) -> Self {
        let region = unique("region");
        let directory = tempfile::tempdir().unwrap();
        let text = format!("nodes = {{ n = {{ type = \"shmem\"; name = \"{region}\"\n{keys}\n}} }}\n");
        fs::write(directory.path().join("test.conf"), text).unwrap();
        Self { directory, region }
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("test.conf")
    }

    pub fn exists(&self) -> bool {
        Path::new("/dev/shm").join(&self.region).exists()
    }

    /// The program's end of the channel, once the bridge has made it.
    pub fn open(&self) -> Channel {
        Channel::timed_open(&self.region, Some(PATIENCE)).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.exists() {
            let _ = fs::remove_file(Path::new("/dev/shm").join(&self.region));
            assert!(thread::panicking(), "{} was left behind", self.region);
        }
    }
}

/// A stream that a thread reads as it comes.
struct Gathered {
    text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Gathered {
    fn new(mut stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&text);
        let thread = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut piece) {
                shared.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        Self { text, thread }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn all(self) -> String {
        self.thread.join().unwrap();
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// A bridge that runs, with `--stats --json`.
pub struct Bridge {
    child: Child,
    stdout: Gathered,
    stderr: Gathered,
}

/// How a bridge has ended.
#[derive(Debug)]
pub struct End {
    pub status: ExitStatus,
    /// The last statistics.
    pub last: Value,
    pub messages: String,
}

impl Bridge {
    /// Publishes under `keys[0]` and subscribes to `keys[1]`.
    pub fn start(node: &Node, keys: [&str; 2], options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_villas-shm-bridge"))
            .arg(node.config())
            .args(["n", "--stats", "--json", "--publish", keys[0], "--subscribe", keys[1]])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Gathered::new(child.stdout.take().unwrap());
        let stderr = Gathered::new(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// The endpoint at which a bridge that was started with `LISTEN` is reached: the kernel chose the
    /// port.
    pub fn endpoint(&self) -> String {
        let mut port = None;
        until("the bridge listens", || {
            port = listening_port(self.child.id());
            port.is_some()
        });
        format!("tcp/127.0.0.1:{}", port.unwrap())
    }

    /// Waits for statistics of which something holds; gives them.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let mut found = None;
        until(what, || {
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended before {what}: {}", self.stderr.text());
            found = last(&self.stdout.text()).filter(|statistics| holds(statistics));
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits for a message.
    pub fn says(&self, text: &str) {
        until(text, || self.stderr.text().contains(text));
    }

    /// Ends it.
    #[track_caller]
    pub fn end(mut self, signal: Signal) -> End {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
        self.ended()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> End {
        let mut status = None;
        until("the bridge ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let empty = || Gathered::new(std::io::empty());
        let stdout = std::mem::replace(&mut self.stdout, empty()).all();
        let messages = std::mem::replace(&mut self.stderr, empty()).all();
        End { status: status.unwrap(), last: last(&stdout).unwrap_or_default(), messages }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.stderr.text());
        }
    }
}

/// The last complete line.
fn last(text: &str) -> Option<Value> {
    let whole = &text[..text.rfind('\n')?];
    whole.lines().last().map(|line| serde_json::from_str(line).unwrap())
}

/// An endpoint whose port the kernel chooses.
pub const LISTEN: &str = "tcp/127.0.0.1:0";

/// The port of a TCP socket at which a process listens.
fn listening_port(process: u32) -> Option<u16> {
    let links = fs::read_dir(format!("/proc/{process}/fd")).ok()?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let sockets: Vec<String> =
        links.filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(Into::into)).collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // State 0A is LISTEN.
        let is_ours = fields[3] == "0A" && sockets.iter().any(|socket| socket == fields[9]);
        is_ours.then(|| u16::from_str_radix(fields[1].rsplit_once(':')?.1, 16).ok()).flatten()
    })
}

/// A number of the statistics, such as `out.taken`; what is missing is 0.
pub fn number(statistics: &Value, path: &str) -> u64 {
    let value = path.split('.').fold(statistics, |value, key| &value[key]);
    value.as_u64().unwrap_or_else(|| assert_null(value, path))
}

fn assert_null(value: &Value, path: &str) -> u64 {
    assert!(value.is_null(), "{path} is {value}");
    0
}

/// A sample outside shared memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    pub sequence: u64,
    pub origin: (i64, i64),
    pub bits: Vec<u64>,
    pub flags: i32,
}

/// What a program says of a sample.
pub const USUAL: Flags = Flags::HAS_DATA.union(Flags::HAS_SEQUENCE).union(Flags::HAS_TS_ORIGIN);

impl Plain {
    pub fn of(sample: &Sample) -> Self {
        let origin = sample.origin();
        let bits = (0..sample.len()).map(|index| sample.get_bits(index)).collect();
        Self { sequence: sample.sequence(), origin: (origin.sec, origin.nsec), bits, flags: sample.flags().bits() }
    }

    /// With one float.
    pub fn number(sequence: u64) -> Self {
        Self { sequence, origin: (1_700_000_000, 5), bits: vec![(sequence as f64).to_bits()], flags: USUAL.bits() }
    }
}

/// Writes samples, and waits for room.
pub fn write(channel: &Channel, samples: &[Plain]) {
    let begin = Instant::now();
    let mut block = Vec::new();
    for plain in samples {
        while block.is_empty() {
            let allocated = channel.timed_alloc(&mut block, 1, Some(PATIENCE));
            assert!(allocated.is_ok_and(|count| count == 1) || begin.elapsed() < PATIENCE, "no block");
        }
        let mut sample = block.pop().unwrap();
        sample.set_sequence(plain.sequence);
        sample.set_origin(Timespec { sec: plain.origin.0, nsec: plain.origin.1 });
        sample.set_flags(Flags::from_bits(plain.flags));
        sample.set_len(plain.bits.len()).unwrap();
        plain.bits.iter().enumerate().for_each(|(index, &bits)| sample.set_bits(index, bits));
        channel.timed_send(sample, Some(PATIENCE)).unwrap();
    }
}

/// Reads so many samples.
pub fn read(channel: &Channel, count: usize) -> Vec<Plain> {
    let mut plain = Vec::new();
    let begin = Instant::now();
    let mut samples = Vec::new();
    while plain.len() < count {
        let result = channel.timed_read(&mut samples, count - plain.len(), Some(Duration::from_secs(1)));
        assert!(result.as_ref().map_or_else(villas_shm::Error::is_transient, |_| true), "{result:?}");
        assert!(begin.elapsed() < PATIENCE, "{} of {count} samples arrived", plain.len());
        plain.extend(samples.drain(..).map(|sample| Plain::of(&sample)));
    }
    plain
}

/// The week of the examples: a power grid, 8 values each.
pub fn week() -> Vec<Plain> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/grid-week.dat")).unwrap();
    let sample = |line: &str| {
        let mut fields = line.split('\t');
        let (sec, rest) = fields.next().unwrap().split_once('.').unwrap();
        let (nsec, rest) = rest.split_once('(').unwrap();
        let bits = fields.map(|value| value.parse::<f64>().unwrap().to_bits()).collect();
        let origin = (sec.parse().unwrap(), nsec.parse().unwrap());
        Plain { sequence: rest.trim_end_matches(')').parse().unwrap(), origin, bits, flags: USUAL.bits() }
    };
    let week: Vec<Plain> = text.lines().filter(|line| !line.starts_with('#')).map(sample).collect();
    assert_eq!(week.len(), 672);
    week
}
