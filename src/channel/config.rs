//! The parameters of a channel.

use crate::error::{Error, Result};
use crate::layout::signals::Signal;

/// Entries of each queue, by default.
pub(crate) const DEFAULT_QUEUELEN: u32 = 512;
/// Values of a sample, by default.
pub(crate) const DEFAULT_SAMPLELEN: u32 = 64;
/// Blocks that each side can hold beyond those queued, by default.
const DEFAULT_SPARE: u32 = 64;
/// Only this user, by default.
const DEFAULT_PERMISSIONS: u32 = 0o600;

/// The parameters of a region.
///
/// ```
/// use villas_shm::Config;
/// let config = Config::new().queuelen(1024).samplelen(8);
/// assert_eq!((config.queuelen, config.spare), (1024, 64));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `true`: a waiter spins and never sleeps. `false` (`pthread` mode): it spins a little, then
    /// sleeps.
    pub polling: bool,
    /// Samples that can be queued in each direction: 1 to 2^20, default 512.
    pub queuelen: u32,
    /// Values that a sample can have: 1 to 65536, default 64.
    pub samplelen: u32,
    /// Samples that each side can hold beyond those queued: 1 to 2^20, default 64.
    pub spare: u32,
    /// How many other blocks a side uses before it uses a block again, if so many are free: 0 to 2^20,
    /// default 0. The more, the longer a tap ([`inspect::Tap`](crate::inspect::Tap)) can still copy a
    /// sample after it has passed. A channel in VILLASnode's layout has no taps, and ignores it.
    pub history: u32,
    /// Permission bits of the shared memory object, less the umask; default 0600.
    pub permissions: u32,
    /// Group of the object; `None`: the system's choice for new files. A user other than root must
    /// be a member of it (`PermissionDenied`).
    pub group: Option<u32>,
    /// Accept an object of another user.
    pub any_owner: bool,
    /// What the values are that this side reads; empty: the region does not say. In VILLASnode's
    /// layout: what a peer of this library must write, if it says what that is.
    pub in_signals: Vec<Signal>,
    /// What the values are that this side writes; empty: the region does not say.
    pub out_signals: Vec<Signal>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            polling: false,
            queuelen: DEFAULT_QUEUELEN,
            samplelen: DEFAULT_SAMPLELEN,
            spare: DEFAULT_SPARE,
            history: 0,
            permissions: DEFAULT_PERMISSIONS,
            group: None,
            any_owner: false,
            in_signals: Vec::new(),
            out_signals: Vec::new(),
        }
    }
}

impl Config {
    /// All parameters at their defaults.
    pub fn new() -> Config {
        Config::default()
    }

    /// Sets [`Config::polling`].
    pub fn polling(self, polling: bool) -> Config {
        Config { polling, ..self }
    }

    /// Sets [`Config::queuelen`].
    pub fn queuelen(self, queuelen: u32) -> Config {
        Config { queuelen, ..self }
    }

    /// Sets [`Config::samplelen`].
    pub fn samplelen(self, samplelen: u32) -> Config {
        Config { samplelen, ..self }
    }

    /// Sets [`Config::spare`].
    pub fn spare(self, spare: u32) -> Config {
        Config { spare, ..self }
    }

    /// Sets [`Config::history`].
    pub fn history(self, history: u32) -> Config {
        Config { history, ..self }
    }

    /// Sets [`Config::permissions`].
    pub fn permissions(self, permissions: u32) -> Config {
        Config { permissions, ..self }
    }

    /// Sets [`Config::group`].
    pub fn group(self, group: u32) -> Config {
        Config { group: Some(group), ..self }
    }

    /// Sets [`Config::any_owner`].
    pub fn any_owner(self, any_owner: bool) -> Config {
        Config { any_owner, ..self }
    }

    /// Sets [`Config::in_signals`].
    pub fn in_signals(self, signals: impl IntoIterator<Item = Signal>) -> Config {
        Config { in_signals: signals.into_iter().collect(), ..self }
    }

    /// Sets [`Config::out_signals`].
    pub fn out_signals(self, signals: impl IntoIterator<Item = Signal>) -> Config {
        Config { out_signals: signals.into_iter().collect(), ..self }
    }

    /// For a C caller, whose 0 means the default.
    #[allow(dead_code)] // without the C interface
    pub(crate) fn with_zeros(self) -> Config {
        let or = |value, default| if value == 0 { default } else { value };
        Config {
            queuelen: or(self.queuelen, DEFAULT_QUEUELEN),
            samplelen: or(self.samplelen, DEFAULT_SAMPLELEN),
            spare: or(self.spare, DEFAULT_SPARE),
            permissions: or(self.permissions, DEFAULT_PERMISSIONS),
            ..self
        }
    }

    /// The permission bits to create the object with.
    pub(crate) fn permission_bits(&self) -> Result<u32> {
        match self.permissions {
            0 => Err(Error::invalid("permissions are 0: nobody could open the region; 0o600 is this user only")),
            permissions @ 1..=0o777 => Ok(permissions),
            permissions => Err(Error::invalid(format!("permissions are {permissions:o}, but must be from 0 to 777 (octal)"))),
        }
    }
}
