//! The Rust interface of channels.

use super::sample::{Sample, forget_first};
use crate::channel::any_handle::{AnyHandle, each};
use crate::channel::backend::Liveness;
use crate::channel::config::Config;
use crate::channel::count::Count;
use crate::channel::native;
use crate::channel::signals::Direction;
use crate::channel::stats::Stats;
use crate::channel::wire;
use crate::error::{Error, Result};
use crate::layout::sample::Raw;
use crate::layout::signals::{Signal, SignalTable};
use crate::nothing::Call;
use crate::readiness::{Wish, duplicate};
use crate::sys::object::Name;
use crate::waiting::Limit;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// As [`Vec::push`], which would build the sample elsewhere and copy it with wider loads than the
/// stores that have just written it: such a load stalls.
#[inline(always)]
fn append(samples: &mut Vec<Sample>, holder: AnyHandle, raw: Raw) {
    samples.reserve(1);
    let length = samples.len();
    samples.spare_capacity_mut()[0].write(Sample::new(holder, raw));
    // SAFETY: there was room for one more, which is written now.
    unsafe { samples.set_len(length + 1) };
}

/// A sample that was not written, and the reason.
#[derive(Debug)]
pub struct Unsent {
    /// The sample, which still belongs to the caller.
    pub sample: Sample,
    /// Why it was not written.
    pub error: Error,
}

impl std::fmt::Display for Unsent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Unsent {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<Unsent> for Error {
    /// Gives the sample back to its pool.
    fn from(unsent: Unsent) -> Error {
        unsent.error
    }
}

/// One end of a channel, open in this process. Dropping it closes it.
///
/// It is `Send` and `Sync`: calling threads take turns at a gate in this process; a single thread
/// pays for no lock. The samples that a call moves then belong to its caller alone.
///
/// ```
/// use villas_shm::{Channel, Config};
/// # let name = format!("villas-doc-channel-{}", std::process::id());
/// let node = Channel::create(&name, &Config::default())?;
/// let program = Channel::open(&name)?;
///
/// let mut sample = node.alloc()?;
/// sample.set_sequence(7);
/// sample.write_values(&[1.5, -2.0])?;
/// node.send(sample)?;
///
/// let mut received = Vec::new();
/// assert_eq!(program.read(&mut received, 10)?, 1);
/// assert_eq!((received[0].sequence(), received[0].get(1)), (7, -2.0));
/// # Channel::unlink(&name)?;
/// # Ok::<(), villas_shm::Error>(())
/// ```
#[derive(Debug)]
pub struct Channel {
    pub(crate) handle: AnyHandle,
    /// Of [`Direction::In`], of [`Direction::Out`]; its own, as another thread may close the handle.
    signals: [Vec<Signal>; 2],
}

impl Channel {
    fn of(handle: AnyHandle) -> Channel {
        let signals = [Direction::In, Direction::Out]
            .map(|direction| each!(handle, handle => handle.signals(direction, SignalTable::to_vec)).unwrap_or_default());
        Channel { handle, signals }
    }

    /// Creates the region `name` and takes its node side. If dead processes have left a region
    /// there, repairs or replaces it.
    ///
    /// # Errors
    /// `InvalidInput` name or parameters; `Busy` a live process holds the node side; `Mismatch` a
    /// program is attached to a region with other parameters or signals; `Corrupt` the name leads to something
    /// else; `PermissionDenied`, `StorageFull` from the system.
    pub fn create(name: impl AsRef<OsStr>, config: &Config) -> Result<Channel> {
        native::create(name.as_ref(), config).map(|handle| Channel::of(AnyHandle::Native(handle)))
    }

    /// Opens the region `name` and takes its program side.
    ///
    /// # Errors
    /// `InvalidInput` name; `NotFound` no such region, or its node is gone and nothing is left to
    /// read; `WouldBlock` not ready yet, or a process is about to take the side or replace the
    /// region; `Busy` a live process holds the program side; `Mismatch` another layout version;
    /// `Corrupt` not a region, or damaged; `PermissionDenied` another user's.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Channel> {
        native::open(name.as_ref()).map(|handle| Channel::of(AnyHandle::Native(handle)))
    }

    /// Opens the region `name` and takes its program side. Waits for the region for at most
    /// `timeout`; `None`: without limit.
    ///
    /// # Errors
    /// As [`Channel::open`]; `TimedOut`; `Interrupted` a signal handler ran.
    pub fn timed_open(name: impl AsRef<OsStr>, timeout: Option<Duration>) -> Result<Channel> {
        native::timed_open(name.as_ref(), Limit::timeout(timeout)).map(|handle| Channel::of(AnyHandle::Native(handle)))
    }

    /// Creates a region without a name and takes its node side. Hand the descriptor to the program
    /// by `SCM_RIGHTS` or to a child that inherits it (it is close-on-exec). It may be dropped at
    /// any time; any holder of a descriptor of the region can hand it on.
    ///
    /// The size of the region is sealed (`F_SEAL_SHRINK`, `F_SEAL_GROW`, `F_SEAL_SEAL`). So a
    /// hostile peer cannot kill this process by truncating the region, as it could a region with a
    /// name.
    ///
    /// ```
    /// use villas_shm::{Channel, Config};
    /// let (node, descriptor) = Channel::create_fd(&Config::default())?;
    /// let program = Channel::open_fd(&descriptor)?; // in another process, as a rule
    /// drop(descriptor);
    /// node.send(node.alloc()?)?;
    /// assert_eq!(program.read(&mut Vec::new(), 1)?, 1);
    /// # Ok::<(), villas_shm::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` parameters; `OutOfMemory`; `PermissionDenied` the group; `Unsupported`
    /// `/proc` is not mounted; others from the system.
    pub fn create_fd(config: &Config) -> Result<(Channel, OwnedFd)> {
        let (handle, descriptor) = native::create_fd(config)?;
        Ok((Channel::of(AnyHandle::Native(handle)), descriptor))
    }

    /// Takes the node side of the region behind a descriptor after its node has died or closed: the
    /// restart of a node that used [`Channel::create_fd`]. Repairs what a dead node has left.
    ///
    /// # Errors
    /// `InvalidInput` parameters; `Busy` a live process holds the node side; `Mismatch` the region
    /// has other parameters or signals; else as [`Channel::open_fd`].
    pub fn recreate_fd(descriptor: impl AsFd, config: &Config) -> Result<Channel> {
        let handle = native::recreate_fd(descriptor.as_fd().as_raw_fd(), config)?;
        Ok(Channel::of(AnyHandle::Native(handle)))
    }

    /// Opens the region behind a descriptor and takes its program side. The descriptor may be
    /// dropped afterwards.
    ///
    /// # Errors
    /// `Corrupt` the descriptor does not lead to a region, or the region's size is not sealed, or
    /// it is damaged; `PermissionDenied` the descriptor is not open for reading and writing, the
    /// region's permissions forbid it, or it is another user's; `Unsupported` `/proc` is not mounted;
    /// `NotFound` the node is gone and nothing is left to read; `Busy` a live process holds the
    /// program side; `WouldBlock` a process is about to take it; `Mismatch` another layout version.
    pub fn open_fd(descriptor: impl AsFd) -> Result<Channel> {
        native::open_fd(descriptor.as_fd().as_raw_fd()).map(|handle| Channel::of(AnyHandle::Native(handle)))
    }

    /// Opens a channel in the layout of VILLASnode 1.2's `shmem` node: creates the region `wname`,
    /// which this process writes, and opens `rname`, which the other side creates. Waits for
    /// `rname` for at most the given time; `None`: without limit. Either side may begin. If both
    /// names are the same, this process reads what it writes. Closing the channel removes `wname`.
    ///
    /// Reads and writes work as with any channel, with three exceptions. After the end of a peer
    /// (`Closed`) the channel must be opened anew. A received sample is written back as a copy.
    /// `pthread` mode may hang if a hostile peer has corrupted it.
    ///
    /// # Errors
    /// `InvalidInput` names or parameters; `Busy` a live process holds `wname`; `TimedOut`;
    /// `Interrupted` a signal handler ran; `Corrupt` `wname` leads to something else; `Stale`
    /// `wname` was removed during the wait; `Mismatch` the peer writes other signals than
    /// [`Config::in_signals`]; `PermissionDenied`, `StorageFull` from the system;
    /// `Unsupported` not on x86-64 Linux with glibc.
    pub fn open_wire(
        wname: impl AsRef<OsStr>,
        rname: impl AsRef<OsStr>,
        config: &Config,
        timeout: Option<Duration>,
    ) -> Result<Channel> {
        let handle = wire::open(wname.as_ref(), rname.as_ref(), config, &Limit::timeout(timeout), &|| false)?;
        Ok(Channel::of(AnyHandle::Wire(handle)))
    }

    /// As [`Channel::open_wire`] without a time limit, until `cancelled` returns true. It is called
    /// about fifty times a second.
    ///
    /// # Errors
    /// As [`Channel::open_wire`]; `Other` (`ECANCELED`) `cancelled` returned true.
    pub fn open_wire_unless(
        wname: impl AsRef<OsStr>,
        rname: impl AsRef<OsStr>,
        config: &Config,
        cancelled: impl Fn() -> bool,
    ) -> Result<Channel> {
        let handle = wire::open(wname.as_ref(), rname.as_ref(), config, &Limit::Forever, &cancelled)?;
        Ok(Channel::of(AnyHandle::Wire(handle)))
    }

    /// The size in bytes of a region that [`Channel::open_wire`] creates with these parameters.
    ///
    /// # Errors
    /// `InvalidInput` out of range.
    pub fn wire_size(config: &Config) -> Result<u64> {
        wire::total_size(config)
    }

    /// Removes the name of a region, without checking what the name leads to. Processes that have
    /// the region open keep it. A channel in VILLASnode's layout has two names.
    ///
    /// # Errors
    /// `InvalidInput` name; `NotFound` no such object; `PermissionDenied`.
    pub fn unlink(name: impl AsRef<OsStr>) -> Result<()> {
        Name::new(name)?.unlink()
    }

    /// Waits until a live peer is attached, for at most `timeout`; `None`: without limit.
    ///
    /// # Errors
    /// `TimedOut`; `Interrupted`; `Stale` as for [`Channel::read`]; `Closed` the channel is closed,
    /// or the peer is gone and the layout is VILLASnode's, where peers do not come back.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        each!(self.handle, handle => handle.wait(&Limit::timeout(timeout)))
    }

    /// An empty sample from this side's blocks. Does not wait.
    ///
    /// # Errors
    /// `WouldBlock` all are in use; `Closed` the channel is closed, or, in VILLASnode's layout, the
    /// peer that holds the blocks is known to be gone.
    pub fn alloc(&self) -> Result<Sample> {
        let mut one = None;
        let give = |_, raw| one = Some(Sample::new(self.handle, raw));
        each!(self.handle, handle => handle.alloc(1, &Limit::Now, give))?.or_error(Call::Alloc)?;
        one.ok_or_else(|| Call::Alloc.error(libc::EAGAIN))
    }

    /// Appends up to `most` empty samples to `samples`, as many as are free; returns how many. Does
    /// not wait.
    ///
    /// # Errors
    /// `WouldBlock` none is free; `Closed` as for [`Channel::alloc`]; `Stale`.
    pub fn alloc_many(&self, samples: &mut Vec<Sample>, most: usize) -> Result<usize> {
        self.alloc_within(samples, most, Limit::Now)
    }

    /// Appends `most` empty samples to `samples`. Waits for them for at most `timeout`; `None`:
    /// without limit. Returns how many: fewer only if the time is over or the wait was interrupted.
    ///
    /// # Errors
    /// If none was appended: `TimedOut`, `Interrupted`, `Closed` (also if the peer that holds the
    /// blocks is gone), `Stale`.
    pub fn timed_alloc(&self, samples: &mut Vec<Sample>, most: usize, timeout: Option<Duration>) -> Result<usize> {
        self.alloc_within(samples, most, Limit::timeout(timeout))
    }

    fn alloc_within(&self, samples: &mut Vec<Sample>, most: usize, limit: Limit) -> Result<usize> {
        let give = |_, raw| append(samples, self.handle, raw);
        each!(self.handle, handle => handle.alloc(most, &limit, give))?.or_error(Call::Alloc)
    }

    /// Appends up to `most` received samples to `samples` as soon as there is one; returns how
    /// many. Waits for at most 100 ms, so that a loop can check a flag.
    ///
    /// # Errors
    /// - `WouldBlock` nothing within 100 ms.
    /// - `Interrupted` a signal handler ran, or [`Channel::interrupt`]: call again.
    /// - `Closed` the peer closed or died, and everything it wrote has been read; later calls
    ///   succeed once another peer attaches.
    /// - `Corrupt` the region is damaged.
    /// - `Stale` open again: the name leads to another region, this side was taken over, or no peer
    ///   can come, because there has been none alive for a second and the name was removed.
    pub fn read(&self, samples: &mut Vec<Sample>, most: usize) -> Result<usize> {
        self.read_within(samples, most, Limit::PLAIN)
    }

    /// Appends up to `most` waiting samples to `samples`; returns how many. Does not wait.
    ///
    /// # Errors
    /// As [`Channel::read`]; `WouldBlock` there is none.
    pub fn try_read(&self, samples: &mut Vec<Sample>, most: usize) -> Result<usize> {
        self.read_within(samples, most, Limit::Now)
    }

    /// Appends up to `most` received samples to `samples` as soon as there is one; returns how
    /// many. Waits for at most `timeout`; `None`: without limit.
    ///
    /// # Errors
    /// As [`Channel::read`], with `TimedOut` in place of `WouldBlock`.
    pub fn timed_read(&self, samples: &mut Vec<Sample>, most: usize, timeout: Option<Duration>) -> Result<usize> {
        self.read_within(samples, most, Limit::timeout(timeout))
    }

    fn read_within(&self, samples: &mut Vec<Sample>, most: usize, limit: Limit) -> Result<usize> {
        let give = |_, raw| append(samples, self.handle, raw);
        each!(self.handle, handle => handle.read(most, &limit, give))?.or_error(Call::Read)
    }

    /// Writes samples from the front of `samples` and removes those that were written; returns how
    /// many: fewer if the queue is full. Does not wait.
    ///
    /// # Errors
    /// If none was written: `WouldBlock` the queue is full; `Closed` the peer is known to have
    /// closed or died; `InvalidInput` the first sample is not this channel's, or the peer still
    /// holds it; `Stale`.
    pub fn write(&self, samples: &mut Vec<Sample>) -> Result<usize> {
        self.write_within(samples, Limit::Now)
    }

    /// Writes all of `samples` and removes those that were written. Waits for room for at most
    /// `timeout`; `None`: without limit. Returns how many: fewer only if the time is over, the wait
    /// was interrupted, or the next sample cannot be written.
    ///
    /// # Errors
    /// As [`Channel::write`], with `TimedOut` or `Interrupted` in place of `WouldBlock`.
    pub fn timed_write(&self, samples: &mut Vec<Sample>, timeout: Option<Duration>) -> Result<usize> {
        self.write_within(samples, Limit::timeout(timeout))
    }

    fn write_within(&self, samples: &mut Vec<Sample>, limit: Limit) -> Result<usize> {
        if samples.is_empty() {
            return Ok(0);
        }
        let address = |at: usize| samples[at].address();
        let done: Result<Count> = each!(self.handle, handle => handle.write(samples.len(), &limit, address));
        let count = done?.or_error(Call::Write)?;
        // The write took the references.
        forget_first(samples, count);
        Ok(count)
    }

    /// Writes one sample. Does not wait.
    ///
    /// # Errors
    /// As [`Channel::write`]; the sample comes back in the error.
    pub fn send(&self, sample: Sample) -> std::result::Result<(), Unsent> {
        self.send_within(sample, Limit::Now)
    }

    /// Writes one sample. Waits for room for at most `timeout`; `None`: without limit.
    ///
    /// # Errors
    /// As [`Channel::timed_write`]; the sample comes back in the error.
    pub fn timed_send(&self, sample: Sample, timeout: Option<Duration>) -> std::result::Result<(), Unsent> {
        self.send_within(sample, Limit::timeout(timeout))
    }

    fn send_within(&self, sample: Sample, limit: Limit) -> std::result::Result<(), Unsent> {
        let address = |_| sample.address();
        let done: Result<Count> = each!(self.handle, handle => handle.write(1, &limit, address));
        match done.and_then(|count| count.or_error(Call::Write)) {
            Ok(_) => {
                sample.forget();
                Ok(())
            }
            Err(error) => Err(Unsent { sample, error }),
        }
    }

    /// Ends the waits of this side that have begun, with `Interrupted`; if there is none, the next
    /// one ends so. Async-signal-safe.
    pub fn interrupt(&self) {
        let _ = each!(self.handle, handle => handle.interrupt());
    }

    /// Closes the channel while other threads still use it: their calls return `Closed`, and the
    /// peer sees the end. Async-signal-safe.
    pub fn close(&self) {
        // An error means that it is closed already.
        let _ = each!(self.handle, handle => handle.close());
    }

    /// A descriptor that is readable while a read would not wait, for an event loop: because samples
    /// are there, or because the end is (`Closed`, `Stale`). Level-triggered. It may be readable
    /// without a reason, so read by [`Channel::try_read`]: one that finds nothing makes it not
    /// readable. Each call returns a duplicate, which the caller owns; once the channel is closed,
    /// it stays readable.
    ///
    /// The first call in a process starts two threads, which serve all descriptors.
    ///
    /// # Errors
    /// The channel is closed, or its side was taken over; a limit of descriptors, memory or threads;
    /// `ENOTSUP` VILLASnode's layout in `polling` mode, in which writers wake nobody.
    pub fn read_fd(&self) -> Result<OwnedFd> {
        each!(self.handle, handle => handle.fd(Wish::Read, duplicate))
    }

    /// A descriptor that is *readable* while a write or an allocation would not wait. Else as
    /// [`Channel::read_fd`]; a call that finds no room or no block makes it not readable.
    ///
    /// # Errors
    /// As [`Channel::read_fd`].
    pub fn write_fd(&self) -> Result<OwnedFd> {
        each!(self.handle, handle => handle.fd(Wish::Write, duplicate))
    }

    /// Whether the peer's process is alive, as far as can be known.
    pub fn peer_alive(&self) -> bool {
        each!(self.handle, handle => handle.is_peer_alive()).unwrap_or(false)
    }

    /// Whether the peer is known to have died: it is gone, and has not closed. After the error
    /// `Closed` of a read it tells an accident from an end.
    pub fn peer_died(&self) -> bool {
        each!(self.handle, handle => handle.look(Liveness::has_peer_died)).unwrap_or(false)
    }

    /// Counters and fill levels.
    pub fn stats(&self) -> Stats {
        each!(self.handle, handle => handle.stats()).unwrap_or_default()
    }

    /// The parameters of the region.
    pub fn config(&self) -> Config {
        let [read, written] = self.signals.clone();
        each!(self.handle, handle => handle.config()).in_signals(read).out_signals(written)
    }

    /// What the values of a direction's samples are, as the region says: value 0 is that of signal
    /// 0, and so on. Empty: it does not say, or in VILLASnode's layout the writer is a VILLASnode.
    ///
    /// ```
    /// use villas_shm::{Channel, Config, Direction, Signal, SignalType};
    /// # let name = format!("villas-doc-signals-{}", std::process::id());
    /// let config = Config::new().out_signals([Signal::new("u_a", "V", SignalType::Float)]);
    /// let node = Channel::create(&name, &config)?;
    /// let program = Channel::open(&name)?;
    /// assert_eq!(program.signals(Direction::In)[0].unit(), "V");
    /// assert_eq!(program.signal_index(Direction::In, "u_a")?, 0);
    /// # Channel::unlink(&name)?;
    /// # Ok::<(), villas_shm::Error>(())
    /// ```
    pub fn signals(&self, direction: Direction) -> &[Signal] {
        &self.signals[direction as usize]
    }

    /// Finds a signal by its name: its place among the values of a sample.
    ///
    /// # Errors
    /// `NotFound` there is none of this name; `Closed` the channel is closed.
    pub fn signal_index(&self, direction: Direction, name: &str) -> Result<usize> {
        each!(self.handle, handle => handle.signal_index(direction, name))
    }

    /// Compares the signals of a direction with those that the program expects.
    ///
    /// # Errors
    /// `Mismatch` with the first difference; `Closed` the channel is closed.
    pub fn expect_signals(&self, direction: Direction, expected: &[Signal]) -> Result<()> {
        let expected = || expected.iter().map(|signal| signal.borrow().into());
        each!(self.handle, handle => handle.expect_signals(direction, expected()))
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
    }
}
