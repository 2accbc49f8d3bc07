//! The program that a node starts: found, started, watched, stopped.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::log::log;

/// How long a program may take to end after SIGTERM.
const TERM_TIME: Duration = Duration::from_secs(2);

/// Time between two checks whether the wait for a program's end has become urgent.
const SLICE: Duration = Duration::from_millis(100);

/// A program that runs, or has ended and was not yet reaped.
pub struct Program {
    name: String,
    child: Child,
    /// Closed once the program has ended.
    ended: Receiver<()>,
}

impl Program {
    /// Starts `words[0]` with the other words as arguments. Another thread calls `on_end` when the
    /// program has ended.
    ///
    /// The program reads nothing, because this tool's standard input and output are for samples.
    /// Its output goes to this tool's standard error.
    pub fn start(words: &[String], on_end: impl FnOnce() + Send + 'static) -> Result<Self, String> {
        let (name, arguments) = words.split_first().ok_or("no program is named")?;
        let child = Self::spawn(Path::new(name), arguments)
            .or_else(|error| match beside_this_tool(name) {
                Some(path) if error.kind() == io::ErrorKind::NotFound => Self::spawn(&path, arguments),
                _ => Err(error),
            })
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound if !name.contains('/') => {
                    format!("cannot start \"{name}\": found neither in PATH nor beside this tool")
                }
                _ => format!("cannot start \"{name}\": {error}"),
            })?;
        log!(Debug, "started {name}, process {}", child.id());
        let ended = watch(child.id(), on_end);
        Ok(Self { name: name.clone(), child, ended })
    }

    fn spawn(path: &Path, arguments: &[String]) -> io::Result<Child> {
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::null()).stdout(io::stderr().as_fd().try_clone_to_owned()?);
        // The tool takes its signals from a queue, and blocks them for that.
        let mask = SigSet::empty();
        // SAFETY: between fork and exec only `pthread_sigmask` is called, which is
        // async-signal-safe.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || Ok(mask.thread_set_mask()?));
        }
        command.spawn()
    }

    /// The name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The message that it ended too early, and how.
    pub fn ended_early(&mut self) -> String {
        match self.status() {
            Some(status) => format!("{} ended early ({status})", self.name),
            None => format!("{} ended early", self.name),
        }
    }

    /// How the program ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for `grace` until the program ends by itself. After that, or if `is_urgent` returns
    /// true, it gets SIGTERM, then SIGKILL. On return it is dead and reaped.
    pub fn stop(mut self, grace: Duration, mut is_urgent: impl FnMut() -> bool) -> io::Result<ExitStatus> {
        let start = Instant::now();
        let ends_by_itself = loop {
            let left = grace.saturating_sub(start.elapsed());
            if self.ends_within(SLICE.min(left)) {
                break true;
            }
            if is_urgent() {
                log!(Info, "{} gets SIGTERM at once", self.name);
                break false;
            }
            if left.is_zero() {
                let seconds = grace.as_secs_f64();
                log!(
                    Warning,
                    "{} did not end by itself within {seconds} s and gets SIGTERM (--grace SECONDS gives it more time)",
                    self.name
                );
                break false;
            }
        };
        // The pid is signalled only while the program is not reaped: until then it is still the
        // program's.
        if !ends_by_itself && self.child.try_wait()?.is_none() {
            let _ = kill(pid(self.child.id()), Signal::SIGTERM);
            if !self.ends_within(TERM_TIME) {
                log!(Warning, "{} did not end within {} s of SIGTERM and is killed", self.name, TERM_TIME.as_secs());
                self.child.kill()?;
            }
        }
        self.child.wait()
    }

    fn ends_within(&self, limit: Duration) -> bool {
        self.ended.recv_timeout(limit) != Err(RecvTimeoutError::Timeout)
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id as i32)
}

/// Waits for the end without reaping, so that only the owner of the `Child` frees the pid.
fn watch(id: u32, on_end: impl FnOnce() + Send + 'static) -> Receiver<()> {
    let (sender, ended) = channel();
    thread::spawn(move || {
        while waitid(Id::Pid(pid(id)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::errno::Errno::EINTR) {}
        drop(sender);
        on_end();
    });
    ended
}

/// Where a program without a folder in its name may be, if not in PATH.
pub fn beside_this_tool(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return None;
    }
    Some(std::env::current_exe().ok()?.parent()?.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.splitn(3, ' ').map(String::from).collect()
    }

    #[test]
    fn the_end_of_a_program_is_told() {
        let (sender, told) = channel();
        let mut program = Program::start(&words("sh -c exit\u{20}3"), move || sender.send(()).unwrap()).unwrap();
        told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(program.status().unwrap().code(), Some(3));
        assert_eq!(program.stop(Duration::MAX, || false).unwrap().code(), Some(3));
    }

    #[test]
    fn a_program_is_stopped_by_sigterm_when_its_time_is_over_or_it_is_urgent() {
        use std::os::unix::process::ExitStatusExt;
        let program = Program::start(&words("sleep 100"), || ()).unwrap();
        assert_eq!(program.stop(Duration::ZERO, || false).unwrap().signal(), Some(Signal::SIGTERM as i32));
        let program = Program::start(&words("sleep 100"), || ()).unwrap();
        assert_eq!(program.stop(Duration::MAX, || true).unwrap().signal(), Some(Signal::SIGTERM as i32));
    }

    #[test]
    fn a_program_that_ends_by_itself_gets_no_signal() {
        let program = Program::start(&words("sleep 0.3"), || ()).unwrap();
        assert_eq!(program.stop(Duration::MAX, || false).unwrap().code(), Some(0));
    }

    #[test]
    fn a_program_that_somebody_else_has_reaped_is_not_signalled() {
        let program = Program::start(&words("true"), || ()).unwrap();
        nix::sys::wait::waitpid(pid(program.child.id()), None).unwrap();
        assert!(program.stop(Duration::MAX, || false).is_err());
    }

    #[test]
    fn a_program_has_no_signals_blocked_though_the_tool_has() {
        let (events, _signals) = channel();
        crate::events::catch_signals(events, |signal| signal).unwrap();
        let grep = ["grep", "-q", "SigBlk:.0*$", "/proc/self/status"].map(String::from);
        let program = Program::start(&grep, || ()).unwrap();
        program.ended.recv_timeout(Duration::from_secs(10)).unwrap_err();
        assert_eq!(program.stop(Duration::MAX, || false).unwrap().code(), Some(0));
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = Program::start(&words("no-such-program"), || ()).err().unwrap();
        assert!(error.contains("\"no-such-program\"") && error.contains("PATH"), "{error}");
        let error = Program::start(&words("/no/such"), || ()).err().unwrap();
        assert!(error.contains("\"/no/such\"") && error.contains("No such file"), "{error}");
        let error = Program::start(&words("/"), || ()).err().unwrap();
        assert!(error.contains("ermission"), "{error}");
    }
}
