//! The parameters of a channel.

use crate::error::{Error, Result};

/// Entries of each queue unless asked for otherwise.
pub(crate) const DEFAULT_QUEUELEN: u32 = 512;
/// Values of a sample unless asked for otherwise.
pub(crate) const DEFAULT_SAMPLELEN: u32 = 64;
/// Blocks that each side can have in hand besides, unless asked for otherwise.
pub(crate) const DEFAULT_SPARE: u32 = 64;

/// The parameters of a region. Zero means the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `true`: who waits spins and never sleeps. `false` (`pthread` mode): spins a little, then sleeps.
    pub polling: bool,
    /// Samples that can be queued in each direction: 1 to 2^20, default 512.
    pub queuelen: u32,
    /// Values that a sample can have: 1 to 65536, default 64.
    pub samplelen: u32,
    /// Samples that each side can have in hand besides those that are queued: 1 to 2^20, default 64.
    pub spare: u32,
    /// Permission bits of the shared memory object, less the umask; default 0600.
    pub permissions: u32,
    /// Its group; `None`: as the system has it for new files. Who is not root must be a member of it (`EPERM`).
    pub group: Option<u32>,
    /// Accept an object of another user.
    pub any_owner: bool,
}

/// A parameter, 0 of which means the default.
pub(crate) fn or(value: u32, default: u32) -> u32 {
    if value == 0 { default } else { value }
}

impl Config {
    /// Permission bits of the object that is made.
    pub(crate) fn permission_bits(&self) -> Result<u32> {
        let permissions = or(self.permissions, 0o600);
        if permissions & !0o777 != 0 {
            return Err(Error::invalid(format!("permissions are {permissions:o}, but must be from 0 to 777 (octal)")));
        }
        Ok(permissions)
    }
}
