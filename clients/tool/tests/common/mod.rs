//! What the tests of the tool share. Each of them uses a part of it.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use assert_cmd::Command;
pub use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;

/// No test may take longer than this for one thing.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const TOOL: &str = env!("CARGO_BIN_EXE_villas-shm");

/// The tool, with a time limit.
pub fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(TOOL);
    command.args(arguments).timeout(PATIENCE);
    command
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

pub fn week() -> String {
    fs::read_to_string(repository("examples/grid-week.dat")).unwrap()
}

/// A deadline in time in which something could happen: of each step between two looks, which takes some two milliseconds, no more than
/// twenty count, however long the machine or this process has stood still.
pub struct Deadline {
    left: Duration,
    last: Instant,
}

impl Deadline {
    pub fn within(left: Duration) -> Self {
        Self { left, last: Instant::now() }
    }

    /// To be asked at each look; waits for the next.
    pub fn is_over(&mut self) -> bool {
        thread::sleep(Duration::from_millis(2));
        let step = std::mem::replace(&mut self.last, Instant::now()).elapsed();
        self.left = self.left.saturating_sub(step.min(Duration::from_millis(20)));
        self.left.is_zero()
    }
}

/// Waits for a condition.
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    soon(PATIENCE, what, condition);
}

/// The same within a shorter time.
#[track_caller]
pub fn soon(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let mut deadline = Deadline::within(limit);
    while !condition() {
        assert!(!deadline.is_over(), "not within {limit:?}: {what}");
    }
}

/// A folder, a configuration in it, and the name of a region that nobody else has.
pub struct Node {
    pub directory: TempDir,
    pub region: String,
    pub config: PathBuf,
}

impl Node {
    /// A node `n` with these keys beside its type and name; `REGION` in them is the region's name.
    pub fn new(keys: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let region = format!("villas-tool-test-{}-{count}", std::process::id());
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("test.conf");
        let keys = keys.replace("REGION", &region);
        fs::write(&config, format!("nodes = {{ n = {{ type = \"shmem\"; name = \"{region}\"\n{keys}\n}} }}\n")).unwrap();
        Self { directory, region, config }
    }

    /// A node that starts the example client.
    pub fn with_client(keys: &str, vectorize: u32) -> Self {
        let client = client().display();
        Self::new(&format!("{keys}\nexec = [ \"{client}\", \"-w\", \"10\", \"REGION\", \"{vectorize}\" ]"))
    }

    /// `villas-shm pipe` for this node, with options before its arguments. It ends when all has come back; a client that is slow to
    /// begin, or stands still with the machine, is waited for longer than by default.
    pub fn pipe(&self, options: &[&str]) -> Command {
        let mut command = tool(&["pipe"]);
        if !["--linger", "-r"].iter().any(|option| options.contains(option)) {
            command.args(["--linger", "20"]);
        }
        command.args(options).arg(&self.config).arg("n");
        command
    }

    /// The same as a process of its own, to talk to while it runs.
    pub fn start(&self, options: &[&str]) -> Running {
        self.start_from(Stdio::piped(), options)
    }

    /// The same with another standard input.
    pub fn start_from(&self, stdin: Stdio, options: &[&str]) -> Running {
        let mut child = std::process::Command::new(TOOL)
            .arg("pipe")
            .args(options)
            .arg(&self.config)
            .arg("n")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = Gathered::new(child.stdout.take().unwrap());
        let stderr = Gathered::new(child.stderr.take().unwrap());
        Running { child, stdin, stdout, stderr }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn region_exists(&self) -> bool {
        Path::new("/dev/shm").join(&self.region).exists()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.region_exists() {
            let _ = fs::remove_file(Path::new("/dev/shm").join(&self.region));
            assert!(thread::panicking(), "{} was left behind", self.region);
        }
    }
}

/// A stream that a thread reads as it comes, so that its writer never waits.
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

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn all(self) -> String {
        self.thread.join().unwrap();
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// A `villas-shm pipe` that runs.
pub struct Running {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    stdout: Gathered,
    stderr: Gathered,
}

impl Running {
    pub fn send(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The lines that were printed; one that has come by half is not among them yet.
    pub fn stdout(&self) -> String {
        let mut text = self.stdout.so_far();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text
    }

    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// How many samples were printed.
    pub fn printed(&self) -> usize {
        samples(&self.stdout()).len()
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.child.id(), signal);
    }

    /// The processes that it has started.
    pub fn programs(&self) -> Vec<u32> {
        children(self.child.id())
    }

    /// Its one program, once that runs what it was started for.
    pub fn program(&self) -> u32 {
        until("the program starts", || !self.programs().is_empty());
        self.programs()[0]
    }

    /// Waits for the end; gives the status, what was printed, and the messages.
    pub fn finish(mut self) -> (ExitStatus, String, String) {
        drop(self.stdin.take());
        self.wait()
    }

    /// The same with standard input left open.
    pub fn wait(self) -> (ExitStatus, String, String) {
        self.wait_for(PATIENCE)
    }

    /// The same, for so long at most.
    #[track_caller]
    pub fn wait_for(mut self, limit: Duration) -> (ExitStatus, String, String) {
        let mut status = None;
        soon(limit, "the tool ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), self.stdout.all(), self.stderr.all())
    }
}

/// The tests may have been started by `nohup`, which the tool would inherit.
pub fn hang_up_by_default() {
    use nix::sys::signal::{SigHandler, signal};
    // SAFETY: no handler is installed.
    unsafe { signal(Signal::SIGHUP, SigHandler::SigDfl) }.unwrap();
}

pub fn kill(process: u32, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(process as i32), signal).unwrap();
}

/// Whether a process runs; one that has ended and waits to be reaped does not.
pub fn is_running(process: u32) -> bool {
    stat(process).is_some_and(|(state, _)| state != "Z")
}

/// Whether a thread of the process sits in a write to its standard output; `None` where that cannot be told.
pub fn writes_to_stdout(process: u32) -> Option<bool> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let mut calls = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        calls.push(fs::read_to_string(task.ok()?.path().join("syscall")).ok()?);
    }
    // The number of the call, and its first argument; the tool writes to a duplicate of its output.
    Some(calls.iter().any(|call| call.starts_with("1 ")))
}

/// A letter, as in `/proc`.
pub fn state(process: u32) -> Option<String> {
    stat(process).map(|(state, _)| state)
}

/// State and parent of a process.
fn stat(process: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field, in parentheses, may contain anything.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    Some((fields.next()?.into(), fields.next()?.parse().ok()?))
}

pub fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|&process| stat(process).is_some_and(|(_, other)| other == parent)).collect()
}

/// The lines that are no comments.
pub fn samples(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

/// So many lines of samples, numbered from `first`.
pub fn lines(first: u64, count: u64) -> String {
    (first..first + count).map(|number| format!("1451606400.{number:09}({number})\t{number}.5\n")).collect()
}

/// The sequence numbers of all samples.
pub fn sequence(text: &str) -> Vec<u64> {
    let number = |line: &str| line[line.find('(').unwrap() + 1..line.find(')').unwrap()].parse().unwrap();
    samples(text).into_iter().map(number).collect()
}

/// The example client: that of the environment, else one that is built here.
pub fn client() -> &'static Path {
    static CLIENT: OnceLock<PathBuf> = OnceLock::new();
    CLIENT.get_or_init(|| match std::env::var_os("VILLAS_SHMEM_CLIENT") {
        Some(path) => fs::canonicalize(path).expect("the client that VILLAS_SHMEM_CLIENT names"),
        None => build_client(),
    })
}

/// Compiles the example client against the shared library that Cargo built with the tool.
fn build_client() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("client-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let library = shared_library();
    for name in ["libvillas_shm.so", "libvillas_shm.so.0"] {
        let _ = symlink(&library, directory.join(name));
    }
    let client = directory.join("villas-shmem");
    let compiler = std::env::var_os("CC").unwrap_or("cc".into());
    let output = std::process::Command::new(compiler)
        .args(["-std=c11", "-pthread", "-O2", "-Wall"])
        .arg("-I")
        .arg(repository("include"))
        .arg(repository("clients/shmem/villas-shmem.c"))
        .arg("-o")
        .arg(&client)
        .arg("-L")
        .arg(&directory)
        .arg("-lvillas_shm")
        .arg(format!("-Wl,-rpath,{}", directory.display()))
        .output()
        .expect("a C compiler: set CC, or VILLAS_SHMEM_CLIENT to a client that was built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    client
}

/// Beside the tool, or where Cargo puts it when it is built as a dependency: the newer of the two.
fn shared_library() -> PathBuf {
    let target = Path::new(TOOL).parent().unwrap();
    let candidates = [target.join("deps/libvillas_shm.so"), target.join("libvillas_shm.so")];
    let age = |path: &PathBuf| fs::metadata(path).and_then(|data| data.modified()).ok();
    candidates.into_iter().filter(|path| path.exists()).max_by_key(age).expect("libvillas_shm.so")
}
