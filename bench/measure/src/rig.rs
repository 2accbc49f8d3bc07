//! Two processes, each pinned to its own processor, and the orders of the first to the second.
//!
//! The *node* is the process that calls [`Rig::start`], which forks the *program*. Both have all
//! contenders, closed at first, and each opens them for itself. All waits here are under an alarm,
//! which also ends a call that never returns. A third process sleeps until both have ended and
//! removes what a failed run has left in `/dev/shm`.

use crate::clock::{cpu_ns, now_ns};
use crate::contender::Contender;
use crate::{Line, Shared, Times, Zeroable};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The longest time of a slice, in seconds.
const DEADLINE_S: u32 = 30;
/// Nanoseconds from the other process's falling asleep to the next turn: lets a virtual processor
/// halt.
const SETTLE_NS: u64 = 50_000;

const OPEN: u32 = 1;
const CLOSE: u32 = 2;
const RUN: u32 = 3;
const STOP: u32 = 4;

/// Which of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that measures.
    Node,
    /// The other one.
    Program,
}

/// Each word has one writer.
#[repr(C)]
pub(crate) struct Words {
    order: Line<AtomicU64>, // the node's, with the three below, which are written before it
    operation: AtomicU32,
    contender: AtomicU32,
    count: AtomicU64,
    started: Line<AtomicU64>, // the program's: the order that it works on
    finished: Line<AtomicU64>,
    program_cpu: AtomicU64,
    note: Line<AtomicU64>, // whoever the contender says
    rest: Line<AtomicU32>, // the node's
}

// SAFETY: atomics only.
unsafe impl Zeroable for Words {}

/// What the rig gives a contender during a slice.
pub struct Run<'r> {
    words: &'r Words,
    order: u64,
    peer: &'r File,
}

impl Run<'_> {
    /// For the node's part: waits until the program's part is over.
    pub fn await_program(&self) {
        // Acquire: pairs with the program's release of `finished`, so that its note is seen.
        while self.words.finished.0.load(Ordering::Acquire) != self.order {}
    }

    /// Returns when the other process has been asleep for a little while; returns how long that
    /// took, in nanoseconds. It asks the kernel, so it need not know how long a contender spins.
    pub fn await_peer_asleep(&self) -> u64 {
        let from = now_ns();
        let mut stat = [0; 256];
        loop {
            let length = self.peer.read_at(&mut stat, 0).unwrap_or(0);
            if length == 0 {
                fail("the other process is gone");
            }
            // The second field, in parentheses, may contain anything; " S" follows a sleeper's.
            let end = stat[..length].iter().rposition(|&byte| byte == b')').unwrap_or(0);
            if stat.get(end + 2) == Some(&b'S') {
                break;
            }
        }
        let settled = now_ns() + SETTLE_NS;
        while now_ns() < settled {}
        now_ns() - from
    }

    /// A number for the other process, which reads it after a later message.
    pub fn set_note(&self, note: u64) {
        // Relaxed: the message that follows publishes it.
        self.words.note.0.store(note, Ordering::Relaxed);
    }

    /// The number from [`Run::set_note`].
    #[must_use]
    pub fn note(&self) -> u64 {
        self.words.note.0.load(Ordering::Relaxed)
    }

    /// For the program's part of work that only the node does: sleeps until [`Run::end_rest`], and
    /// leaves the processor free.
    pub fn rest(&self) {
        let done = self.order as u32;
        loop {
            let seen = self.words.rest.0.load(Ordering::Acquire);
            if seen == done {
                return;
            }
            futex_wait(&self.words.rest.0, seen);
        }
    }

    /// For the node's part: ends the program's [`Run::rest`].
    pub fn end_rest(&self) {
        self.words.rest.0.store(self.order as u32, Ordering::Release);
        futex_wake(&self.words.rest.0);
    }
}

/// Sleeps while the word is `seen`; the waker may be in either process.
pub fn futex_wait(word: &AtomicU32, seen: u32) {
    // SAFETY: the word is live for the call, and the kernel only reads it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen, std::ptr::null::<libc::timespec>()) };
}

/// Wakes one sleeper.
pub fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word is live for the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// The times of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Nanoseconds per item.
    pub ns: f64,
    /// Nanoseconds of processor time per item, of both processes.
    pub cpu_ns: f64,
}

/// The two processes, as the node sees them.
pub struct Rig {
    words: Shared<Words>,
    contenders: Vec<Box<dyn Contender>>,
    names: Vec<&'static str>,
    program: Pid,
    janitor: Pid,
    pipe: Option<OwnedFd>,
    peer: File,
    order: u64,
    cpus: [usize; 2],
}

static PROGRAM: AtomicI32 = AtomicI32::new(0);
/// The present activity, for an alarm's message: `DOING_LENGTH` bytes at `DOING`, which are never
/// freed.
static DOING: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static DOING_LENGTH: AtomicU32 = AtomicU32::new(0);

fn doing(what: &'static str) {
    DOING_LENGTH.store(0, Ordering::Relaxed);
    DOING.store(what.as_ptr().cast_mut(), Ordering::Relaxed);
    DOING_LENGTH.store(what.len() as u32, Ordering::Relaxed);
}

/// What the node prints to standard output if it ends early: the results so far, set after the
/// fork.
static LAST_WORDS: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LAST_WORDS_LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Sets what the node prints to standard output if a slice does not end, a signal ends the run, or
/// a contender fails. Never freed, because a signal handler reads it.
pub fn set_last_words(text: String) {
    let text: &'static str = text.leak();
    // Only this thread reads it, perhaps in a handler: releases keep the compiler from pairing the
    // old text with the new length.
    LAST_WORDS_LENGTH.store(0, Ordering::Relaxed);
    LAST_WORDS.store(text.as_ptr().cast_mut(), Ordering::Release);
    LAST_WORDS_LENGTH.store(text.len(), Ordering::Release);
}

/// Async-signal-safe.
fn print_last_words() {
    let (mut at, mut rest) = (LAST_WORDS.load(Ordering::Relaxed), LAST_WORDS_LENGTH.load(Ordering::Relaxed));
    while rest > 0 {
        // SAFETY: writes bytes that are never freed.
        let written = unsafe { libc::write(1, at.cast(), rest) };
        if written <= 0 {
            return;
        }
        (at, rest) = (at.wrapping_add(written as usize), rest - written as usize);
    }
}

/// Ends both processes, after a message.
pub fn fail(message: &str) -> ! {
    let length = DOING_LENGTH.load(Ordering::Relaxed) as usize;
    let mut during = "";
    if length > 0 {
        // SAFETY: `doing` keeps the text of a `&'static str` there; this is the thread that sets
        // it.
        let bytes = unsafe { std::slice::from_raw_parts(DOING.load(Ordering::Relaxed), length) };
        during = std::str::from_utf8(bytes).unwrap_or("");
    }
    let process = if PROGRAM.load(Ordering::Relaxed) == 0 { "program" } else { "node" };
    // Must not panic if the reader has left.
    let _ = writeln!(std::io::stderr(), "bench: {process}: {message}, during: {during}");
    print_last_words();
    // SAFETY: ends the process, whose memory is not used any more.
    unsafe { libc::_exit(end_program()) }
}

/// Async-signal-safe. Returns the exit status of a failure.
fn end_program() -> i32 {
    let program = PROGRAM.load(Ordering::Relaxed);
    if program > 0 {
        // SAFETY: system calls with numbers. The child's end no longer matters.
        unsafe {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            libc::kill(program, libc::SIGKILL);
            libc::waitpid(program, std::ptr::null_mut(), 0);
        }
    }
    1
}

extern "C" fn on_signal(number: libc::c_int) {
    let what: &[u8] = match number {
        libc::SIGALRM => b"bench: no end within 30 s, during: ",
        libc::SIGCHLD => b"bench: the program ended early, during: ",
        _ => b"bench: ended by a signal, during: ",
    };
    let (at, length) = (DOING.load(Ordering::Relaxed), DOING_LENGTH.load(Ordering::Relaxed) as usize);
    // SAFETY: writes bytes that are never freed, and ends the process.
    unsafe {
        libc::write(2, what.as_ptr().cast(), what.len());
        libc::write(2, at.cast(), length);
        libc::write(2, b"\n".as_ptr().cast(), 1);
        print_last_words();
        libc::_exit(end_program());
    }
}

fn handle(signals: &[Signal]) {
    for &number in signals {
        // SAFETY: the handler calls only what is async-signal-safe.
        let _ = unsafe { signal(number, SigHandler::Handler(on_signal)) };
    }
}

fn pin(cpu: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|e| format!("cannot run on processor {cpu}: {e}"))
}

/// The processors that this process may use.
///
/// # Errors
/// The system does not say.
pub fn allowed_cpus() -> Result<Vec<usize>, String> {
    let set =
        nix::sched::sched_getaffinity(Pid::from_raw(0)).map_err(|e| format!("cannot see which processors there are: {e}"))?;
    Ok((0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect())
}

/// Pins this thread; for contenders that have threads.
///
/// # Errors
/// There is no such processor.
pub fn pin_thread(cpu: usize) -> Result<(), String> {
    pin(cpu)
}

fn stat_of(process: Pid) -> Result<File, String> {
    File::open(format!("/proc/{process}/stat")).map_err(|e| format!("/proc/{process}/stat: {e}"))
}

/// The prefix of all names of this run in shared memory.
#[must_use]
pub fn prefix(node: u32) -> String {
    format!("villas-bench-{node}-")
}

/// The name of one contender: no such name is a prefix of another.
fn object_name(node: u32, index: usize) -> String {
    format!("{}{index:03}", prefix(node))
}

/// Whether an object in `/dev/shm` has a name with this prefix, or is its semaphore.
fn belongs(object: &std::ffi::OsStr, name: &str) -> bool {
    let object = object.to_string_lossy();
    object.strip_prefix("sem.").unwrap_or(&object).starts_with(name)
}

/// Bytes of the objects in `/dev/shm` whose names have this prefix.
#[must_use]
pub fn bytes_of(name: &str) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let objects = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    objects
        .filter(|object| belongs(&object.file_name(), name))
        .filter_map(|object| object.metadata().ok())
        .map(|of| of.blocks() * 512)
        .sum()
}

fn sweep(prefix: &str) {
    for object in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if belongs(&object.file_name(), prefix) {
            // One peer has a directory there.
            let _ = std::fs::remove_file(object.path()).or_else(|_| std::fs::remove_dir_all(object.path()));
        }
    }
}

impl Rig {
    /// Forks the program, and pins both processes, the node to the first processor. A contender's
    /// number is its place in the list.
    ///
    /// # Errors
    /// One of the processors does not exist or cannot be used; no memory; no process.
    pub fn start(contenders: Vec<Box<dyn Contender>>, cpus: [usize; 2]) -> Result<Rig, String> {
        if cpus[0] == cpus[1] {
            return Err(format!("both processes would run on processor {}: two are needed", cpus[0]));
        }
        // Tried before the fork, because only the node can report a reason; the first processor
        // last, because the node stays there.
        pin(cpus[1])?;
        pin(cpus[0])?;
        let _ = crate::clock::ns_per_tick();
        let names = contenders.iter().map(|contender| &*Box::leak(contender.name().into_boxed_str())).collect();
        let words = Shared::<Words>::zeroed();
        let (read, write) = pipe().map_err(|e| format!("pipe: {e}"))?;
        let node = nix::unistd::getpid();
        // SAFETY: this process has one thread, so the child may do anything.
        let janitor = match unsafe { fork() }.map_err(|e| format!("fork: {e}"))? {
            ForkResult::Child => {
                drop(write);
                tidy_up_after(read, &prefix(node.as_raw() as u32));
            }
            ForkResult::Parent { child } => child,
        };
        drop(read);
        handle(&[Signal::SIGALRM, Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT]);
        // SAFETY: as above.
        match unsafe { fork() }.map_err(|e| format!("fork: {e}"))? {
            ForkResult::Parent { child } => {
                PROGRAM.store(child.as_raw(), Ordering::Relaxed);
                let peer = stat_of(child)?;
                Ok(Rig { words, contenders, names, program: child, janitor, pipe: Some(write), peer, order: 0, cpus })
            }
            ForkResult::Child => program(&words, contenders, names, node, cpus[1]),
        }
    }

    /// The processors of the two.
    #[must_use]
    pub fn cpus(&self) -> [usize; 2] {
        self.cpus
    }

    /// A contender.
    #[must_use]
    pub fn contender(&self, index: usize) -> &dyn Contender {
        &*self.contenders[index]
    }

    fn order(&mut self, operation: u32, index: usize, count: u64) {
        self.order += 1;
        nix::unistd::alarm::set(DEADLINE_S);
        self.words.operation.store(operation, Ordering::Relaxed);
        self.words.contender.store(index as u32, Ordering::Relaxed);
        self.words.count.store(count, Ordering::Relaxed);
        // Release: pairs with the program's acquire, so that it sees the three words above.
        self.words.order.0.store(self.order, Ordering::Release);
    }

    /// Has both processes open a contender; returns the bytes of shared memory that it takes.
    pub fn open(&mut self, index: usize) -> u64 {
        doing(self.names[index]);
        let name = object_name(std::process::id(), index);
        self.order(OPEN, index, 0);
        if let Err(message) = self.contenders[index].open(Side::Node, &name) {
            fail(&message);
        }
        self.await_finished();
        let bytes = self.contenders[index].memory().unwrap_or_else(|| bytes_of(&name));
        self.contenders[index].unlink(&name);
        bytes
    }

    /// Has both processes close a contender.
    pub fn close(&mut self, index: usize) {
        doing(self.names[index]);
        self.order(CLOSE, index, 0);
        self.contenders[index].close();
        self.await_finished();
        nix::unistd::alarm::cancel();
    }

    fn await_finished(&self) {
        while self.words.finished.0.load(Ordering::Acquire) != self.order {
            std::hint::spin_loop();
        }
    }

    /// Runs a slice of `count` items; with `times`, each is timed for itself.
    pub fn run(&mut self, index: usize, count: u64, times: Option<&mut Times>) -> Took {
        doing(self.names[index]);
        self.order(RUN, index, count);
        while self.words.started.0.load(Ordering::Acquire) != self.order {
            std::hint::spin_loop();
        }
        let run = Run { words: &self.words, order: self.order, peer: &self.peer };
        let cpu = cpu_ns();
        let ns = self.contenders[index].node(&run, count, times);
        let own = cpu_ns() - cpu;
        self.await_finished();
        let cpu = own + self.words.program_cpu.load(Ordering::Relaxed);
        Took { ns: ns / count as f64, cpu_ns: cpu as f64 / count as f64 }
    }

    /// Ends the program.
    pub fn stop(mut self) {
        doing("stop");
        LAST_WORDS_LENGTH.store(0, Ordering::Relaxed);
        // SAFETY: restores a process's initial disposition.
        let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
        self.order(STOP, 0, 0);
        let _ = waitpid(self.program, None);
        PROGRAM.store(0, Ordering::Relaxed);
        drop(self.pipe.take());
        let _ = waitpid(self.janitor, None);
        nix::unistd::alarm::cancel();
    }
}

/// Waits for the end of both processes, which have the pipe's other end, then removes what is left.
fn tidy_up_after(read: OwnedFd, prefix: &str) -> ! {
    for number in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: no handler is set.
        let _ = unsafe { signal(number, SigHandler::SigIgn) };
    }
    let _ = File::from(read).read(&mut [0]);
    sweep(prefix);
    // SAFETY: ends the process; nothing of its parent must be flushed.
    unsafe { libc::_exit(0) }
}

fn program(words: &Words, mut contenders: Vec<Box<dyn Contender>>, names: Vec<&'static str>, node: Pid, cpu: usize) -> ! {
    // Signals that a terminal or a supervisor sends to both are for the node, with which this
    // process ends.
    for number in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: no handler is set.
        let _ = unsafe { signal(number, SigHandler::SigIgn) };
    }
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    let peer = stat_of(node).unwrap_or_else(|message| fail(&message));
    pin(cpu).unwrap_or_else(|message| fail(&message));
    for order in 1.. {
        while words.order.0.load(Ordering::Acquire) != order {
            std::hint::spin_loop();
        }
        nix::unistd::alarm::set(DEADLINE_S);
        let index = words.contender.load(Ordering::Relaxed) as usize;
        doing(names[index]);
        match words.operation.load(Ordering::Relaxed) {
            OPEN => {
                let opened = contenders[index].open(Side::Program, &object_name(node.as_raw() as u32, index));
                opened.unwrap_or_else(|message| fail(&message));
            }
            CLOSE => contenders[index].close(),
            RUN => {
                let run = Run { words, order, peer: &peer };
                let count = words.count.load(Ordering::Relaxed);
                let cpu = cpu_ns();
                words.started.0.store(order, Ordering::Release);
                contenders[index].program(&run, count);
                words.program_cpu.store(cpu_ns() - cpu, Ordering::Relaxed);
            }
            _ => break,
        }
        // Release: pairs with the node's acquire, so that it sees what the program has done.
        words.finished.0.store(order, Ordering::Release);
    }
    // SAFETY: ends the process; nothing of its parent must be flushed.
    unsafe { libc::_exit(0) }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Already stopped, or left early because of an error of the node: then the program must not
        // keep spinning.
        if PROGRAM.swap(0, Ordering::Relaxed) > 0 {
            // SAFETY: restores a process's initial disposition.
            let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
            let _ = kill(self.program, Signal::SIGKILL);
            let _ = waitpid(self.program, None);
        }
    }
}
