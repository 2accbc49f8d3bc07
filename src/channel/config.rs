//! The parameters of a channel.

use crate::error::{Error, Result};

/// Entries of each queue unless asked for otherwise.
pub(crate) const DEFAULT_QUEUELEN: u32 = 512;
/// Values of a sample unless asked for otherwise.
pub(crate) const DEFAULT_SAMPLELEN: u32 = 64;
/// Blocks that each side can have in hand besides, unless asked for otherwise.
const DEFAULT_SPARE: u32 = 64;
/// This user only, unless asked for otherwise.
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
    /// Samples that each side can have in hand besides those that are queued: 1 to 2^20, default 64.
    pub spare: u32,
    /// Permission bits of the shared memory object, less the umask; default 0600.
    pub permissions: u32,
    /// Its group; `None`: as the system has it for new files. A user that is not root must be a
    /// member of it (`PermissionDenied`).
    pub group: Option<u32>,
    /// Accept an object of another user.
    pub any_owner: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            polling: false,
            queuelen: DEFAULT_QUEUELEN,
            samplelen: DEFAULT_SAMPLELEN,
            spare: DEFAULT_SPARE,
            permissions: DEFAULT_PERMISSIONS,
            group: None,
            any_owner: false,
        }
    }
}

impl Config {
    /// All defaults.
    pub fn new() -> Config {
        Config::default()
    }

    /// With polling mode, or without.
    pub fn polling(self, polling: bool) -> Config {
        Config { polling, ..self }
    }

    /// With queues of this length.
    pub fn queuelen(self, queuelen: u32) -> Config {
        Config { queuelen, ..self }
    }

    /// With samples of so many values.
    pub fn samplelen(self, samplelen: u32) -> Config {
        Config { samplelen, ..self }
    }

    /// With so many samples in hand.
    pub fn spare(self, spare: u32) -> Config {
        Config { spare, ..self }
    }

    /// With these permission bits.
    pub fn permissions(self, permissions: u32) -> Config {
        Config { permissions, ..self }
    }

    /// Of this group.
    pub fn group(self, group: u32) -> Config {
        Config { group: Some(group), ..self }
    }

    /// Accepting an object of another user, or not.
    pub fn any_owner(self, any_owner: bool) -> Config {
        Config { any_owner, ..self }
    }

    /// Of a C caller, for whom 0 is the default.
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

    /// Permission bits of the object that is made.
    pub(crate) fn permission_bits(&self) -> Result<u32> {
        match self.permissions {
            0 => Err(Error::invalid("permissions are 0: nobody could open the region; 0o600 is this user only")),
            permissions @ 1..=0o777 => Ok(permissions),
            permissions => Err(Error::invalid(format!("permissions are {permissions:o}, but must be from 0 to 777 (octal)"))),
        }
    }
}
