//! The identity of a process, and whether it is gone.

use super::fork;
use super::trial::IS_FUZZED;
use nix::errno::Errno;
use once_cell::race::OnceBox;
use std::ffi::{CStr, OsStr};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A process, as the holder of a place in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// Clock ticks from boot to its start; 0 unknown.
    pub(crate) start_time: u64,
    /// Distinguishes its pid and time namespaces and the source of `start_time` from others; 0
    /// unknown.
    pub(crate) namespace: u64,
    /// The first 16 bytes of its program's name.
    pub(crate) program: [u64; 2],
}

/// Reads a small file of `/proc` into `buffer`, without the heap.
fn small_file<'b>(path: std::fmt::Arguments<'_>, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let mut text = [0; 48];
    let mut rest = &mut text[..];
    rest.write_fmt(path)?;
    let used = 48 - rest.len();
    let mut file = std::fs::File::open(OsStr::from_bytes(&text[..used]))?;
    let n = file.read(buffer)?;
    Ok(&buffer[..n])
}

/// What a `stat` file of `/proc` says of a process: one look, so that its parts belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    /// Its first thread has ended, and so has each other one: it waits for its parent.
    is_zombie: bool,
    /// Clock ticks from boot.
    start_time: u64,
}

/// The status of a process, taken from its first thread.
///
/// A process must read the same of itself as others read of it. An emulator (`qemu-user`) answers
/// `/proc/self/stat` and `/proc/PID/stat` for its own process itself, with other numbers than the
/// kernel gives to others. It passes this path on to the kernel.
fn status(pid: u32) -> Option<Status> {
    status_in(format_args!("/proc/{pid}/task/{pid}/stat"))
}

/// Fields 3 (state), 20 (number of threads) and 22 (start time), counted from the end of the
/// program's name, which may contain anything.
fn status_in(path: std::fmt::Arguments<'_>) -> Option<Status> {
    // The first 22 fields fit: the name has at most 64 bytes, and each number 20 digits.
    let mut buffer = [0; 512];
    let text = small_file(path, &mut buffer).ok()?;
    let behind_name = text.iter().rposition(|&c| c == b')')? + 2;
    let mut fields = text[behind_name..].split(|&c| c == b' ');
    let has_ended = matches!(fields.next()?, b"Z" | b"X");
    let mut number = |skipped: usize| std::str::from_utf8(fields.nth(skipped)?).ok()?.parse::<u64>().ok();
    // The first thread of a process may end before the others.
    let threads = number(16)?;
    Some(Status { is_zombie: has_ended && threads <= 1, start_time: number(1)? })
}

/// The source of start times, as part of [`Identity::namespace`]. A process with another source has
/// another number there, or none.
const SOURCE: u64 = u64::from_be_bytes(*b"TaskStat");

/// What two processes must share for pids and start times to mean the same to both: the pid
/// namespace, the time namespace, and the source of the start time. 0 unknown.
fn namespace() -> u64 {
    let inode = |what: &CStr| nix::sys::stat::stat(what).map_or(0, |s| s.st_ino);
    match inode(c"/proc/self/ns/pid") {
        0 => 0,
        pid => pid ^ inode(c"/proc/self/ns/time").rotate_left(32) ^ SOURCE,
    }
}

/// Whether `/proc` belongs to this process's pid namespace.
fn is_proc_ours(pid: u32) -> bool {
    std::fs::read_link("/proc/self").is_ok_and(|own| own.as_os_str() == pid.to_string().as_str())
}

/// The file mode creation mask of this thread, from `/proc`: `umask(2)` cannot return it without
/// changing it.
pub(crate) fn umask() -> nix::Result<u32> {
    // The second line, after the name.
    let mut buffer = [0; 256];
    let text = small_file(format_args!("/proc/thread-self/status"), &mut buffer)
        .map_err(|e| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    let line = text.split(|&c| c == b'\n').find_map(|line| line.strip_prefix(b"Umask:"));
    let mask = line.and_then(|line| u32::from_str_radix(std::str::from_utf8(line).ok()?.trim(), 8).ok());
    mask.ok_or(Errno::EIO)
}

/// Bytes that the system can still give without taking them from other processes. `None`: `/proc`
/// does not say.
pub(crate) fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes =
        |what: &str| text.lines().find_map(|line| line.strip_prefix(what)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Some(kilobytes("MemAvailable:")?.saturating_add(kilobytes("SwapFree:")?).saturating_mul(1024))
}

/// The identity of this process, once known; forked children have their own. Concurrent threads
/// each look it up: a child of a fork could wait forever for a thread that it does not have.
static MINE: OnceBox<Identity> = OnceBox::new();
static IS_CHILD: AtomicBool = AtomicBool::new(false);

fn in_child() {
    IS_CHILD.store(true, Relaxed);
}

impl Identity {
    /// This process. Its name is the one at the first call: reading `/proc` each time costs a fifth
    /// of opening a region.
    pub(crate) fn mine() -> Identity {
        let known = || {
            if fork::on_child(in_child).is_err() {
                // A child could not tell that it is one, so all look it up each time.
                in_child();
            }
            Box::new(Identity::look_up())
        };
        if !IS_CHILD.load(Relaxed) {
            let mine = MINE.get_or_init(known);
            // Compared because a child may be forked around the C library.
            if mine.pid == std::process::id() {
                return *mine;
            }
        }
        Identity::look_up()
    }

    fn look_up() -> Identity {
        let pid = std::process::id();
        let mut name = [0; 16];
        let _ = small_file(format_args!("/proc/self/comm"), &mut name);
        let mut program = [0; 2];
        for (i, &c) in name.iter().take_while(|&&c| c != b'\n').enumerate() {
            program[i / 8] |= u64::from(c) << (8 * (i % 8));
        }
        let start_time = if is_proc_ours(pid) { status(pid).map_or(0, |s| s.start_time) } else { 0 };
        Identity { pid, start_time, namespace: namespace(), program }
    }

    /// The program's name as text that is safe for a terminal: in a region, another process wrote
    /// it.
    pub(crate) fn program_name(&self) -> String {
        let bytes = self.program.iter().flat_map(|w| w.to_le_bytes()).take_while(|&c| c != 0).collect::<Vec<_>>();
        String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    }

    /// Describes the process to people, in terms that the process `observer` can use to find it.
    pub(crate) fn described_to(&self, observer: &Identity) -> String {
        let place = if self.namespace == observer.namespace { "" } else { " in another pid namespace" };
        let name = match self.program_name() {
            unknown if unknown.is_empty() => unknown, // no /proc
            name => format!(" ({name})"),
        };
        format!("process {}{name}{place}", self.pid)
    }

    /// Whether pid and start time mean the same to `observer` as to this process: both are known,
    /// in the same namespaces and from the same source. If not, only the locks tell whether it is
    /// alive.
    fn is_comparable(&self, observer: &Identity) -> bool {
        let is_known = |who: &Identity| who.pid != 0 && who.start_time != 0 && who.namespace != 0;
        is_known(self) && is_known(observer) && self.namespace == observer.namespace
    }

    /// The pid, if it means to `observer` what it means to this process.
    pub(crate) fn pid_for(&self, observer: &Identity) -> Option<u32> {
        self.is_comparable(observer).then_some(self.pid)
    }

    /// `true` only if the process is certainly gone: its parent knows that it has ended. A
    /// `thorough` check, three system calls instead of one, also detects a zombie, and another process
    /// that has the pid. Nothing can be known of a process that is not comparable.
    pub(crate) fn is_gone(&self, observer: &Identity, thorough: bool) -> bool {
        // Nearly all processes that the fuzzer's regions name are this one; only the rest are
        // checked.
        if IS_FUZZED && self == observer {
            return false;
        }
        if !self.is_comparable(observer) {
            return false;
        }
        if thorough {
            // Without an answer (`hidepid`), the pid alone tells.
            if let Some(status) = status(self.pid) {
                return status.is_zombie || status.start_time != self.start_time;
            }
        }
        let Ok(pid) = libc::pid_t::try_from(self.pid) else { return false };
        // SAFETY: the call takes two plain integers; signal 0 only asks.
        unsafe { libc::kill(pid, 0) != 0 && Errno::last() == Errno::ESRCH }
    }
}

#[cfg(test)]
#[path = "../tests/unit/sys/process.rs"]
mod tests;
