//! Where samples come from: a tap that is looked at again and again, until an end.

use std::ffi::OsString;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use villas_shm::inspect::{Kind, Passed, Tap};

use crate::log::log;

/// The time between two looks for a region.
const SELDOM: Duration = Duration::from_millis(20);
/// Samples of each direction that one look takes.
const MOST: usize = 1024;

/// See the module's description.
pub(crate) struct Source {
    name: OsString,
    tap: Tap,
    /// How many regions have had the name.
    regions: u64,
    /// Of regions before this one.
    missed: u64,
    signals: Receiver<Signal>,
    end: Option<Instant>,
    is_over: bool,
    /// Whether another region may come when this one is removed.
    waits: bool,
    is_gone: bool,
}

impl Source {
    /// Begins behind what was sent so far. Ends after `duration`, by one of `signals` or when they
    /// end, or with the region.
    pub(crate) fn open(name: &OsString, duration: Option<Duration>, signals: Receiver<Signal>) -> Result<Self, String> {
        let tap = Tap::open(name).map_err(|error| error.to_string())?;
        let end = duration.and_then(|duration| Instant::now().checked_add(duration));
        Ok(Self { name: name.clone(), tap, regions: 1, missed: 0, signals, end, is_over: false, waits: false, is_gone: false })
    }

    /// When the region is removed, this one waits for another.
    pub(crate) fn waiting(self) -> Self {
        Self { waits: true, ..self }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.tap.kind()
    }

    pub(crate) fn tap(&self) -> &Tap {
        &self.tap
    }

    /// The number of the region that it follows, from 1: a node may replace it.
    pub(crate) fn region(&self) -> u64 {
        self.regions
    }

    /// Whether there is no region now.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// How many have passed unseen.
    pub(crate) fn missed(&self) -> u64 {
        self.missed + self.tap.missed()
    }

    /// Waits for the next look, and appends to `batch` what has passed since the last one, which may
    /// be nothing; `false` at the end.
    pub(crate) fn next(&mut self, batch: &mut Vec<Passed>) -> Result<bool, String> {
        if self.is_over {
            return Ok(false);
        }
        // What has passed before the end is still taken.
        self.is_over = self.end.is_some_and(|end| Instant::now() >= end) || self.is_told_to_stop();
        if self.is_gone {
            return self.next_region();
        }
        match self.tap.follow(batch, MOST) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Errno::ESTALE as i32 => self.next_region(),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Waits for the next look.
    fn is_told_to_stop(&self) -> bool {
        let time = if self.is_gone { SELDOM } else { self.tap.pause() };
        !matches!(self.signals.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }

    /// Goes on with the region that the name leads to now; `false`: there is none.
    fn next_region(&mut self) -> Result<bool, String> {
        match Tap::open(&self.name) {
            Ok(tap) => {
                log!(Info, "a node has replaced the region; what it sends follows");
                self.missed += self.tap.missed();
                self.tap = tap;
                self.regions += 1;
                self.is_gone = false;
                Ok(true)
            }
            Err(error) if error.errno() == Errno::ENOENT as i32 && self.waits => {
                self.is_gone = true;
                Ok(true)
            }
            Err(error) if error.errno() == Errno::ENOENT as i32 => {
                log!(Info, "the region was removed");
                Ok(false)
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
