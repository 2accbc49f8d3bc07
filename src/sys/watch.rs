//! Waiting for an object to appear.

use super::object;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::AsFd;
use std::time::Duration;

/// Reports new names in the directory of the objects.
pub(crate) struct Watch(Option<Inotify>);

/// Between two looks when nothing is reported: other reasons to look again (a maker that died) come without a report.
const SLICE: Duration = Duration::from_millis(100);
/// The same where the kernel gives no watch (it limits their number per user).
const BLIND_SLICE: Duration = Duration::from_millis(5);

impl Watch {
    pub(crate) fn new() -> Watch {
        let start = || {
            let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
            let events = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
            watch.add_watch(object::directory(), events).ok()?;
            Some(watch)
        };
        Watch(start())
    }

    /// Waits for a report, a slice, or `limit`. `false`: a signal handler ran.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let slice = limit.min(if self.0.is_some() { SLICE } else { BLIND_SLICE });
        let millis = slice.as_micros().div_ceil(1000) as u16;
        let mut fds = Vec::new();
        if let Some(watch) = &self.0 {
            fds.push(PollFd::new(watch.as_fd(), PollFlags::POLLIN));
        }
        let woken = poll(&mut fds, PollTimeout::from(millis));
        if let Some(watch) = &self.0 {
            while watch.read_events().is_ok() {}
        }
        woken != Err(nix::errno::Errno::EINTR)
    }
}
