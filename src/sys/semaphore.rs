//! Named POSIX semaphores, for the handshake of the wire layout.
//!
//! Not opened by `sem_open`, which maps whatever it finds: another user's file, or one that is too
//! short or without allocated memory, which kills the process at its first access.

use super::mapping::Mapping;
use super::nap::nap;
use super::object::{Name, Object};
use crate::error::{Error, Result};
use nix::errno::Errno;
use std::time::{Duration, Instant};

/// Time between two looks for a post.
const NAP: Duration = Duration::from_millis(1);
/// The most posts that are taken back at once: a process that posts endlessly must not hold this
/// one up.
const DRAINED: u32 = 10_000;
/// The size of the file that the C library makes of a semaphore.
const SIZE: usize = size_of::<libc::sem_t>();

/// An open semaphore, closed when dropped. Its name stays.
pub(crate) struct Semaphore {
    mapping: Mapping,
}

/// Whose semaphore is accepted, and the permissions of a new one.
#[derive(Clone, Copy)]
pub(crate) struct Permissions {
    pub(crate) any_owner: bool,
    /// Less the umask.
    pub(crate) mode: u32,
    pub(crate) group: Option<u32>,
}

impl Semaphore {
    /// Opens the semaphore of this name; makes it with a count of 0 if there is none.
    pub(crate) fn open(name: &Name, permissions: Permissions) -> Result<Semaphore> {
        let Some(file) = name.of_semaphore() else {
            return Err(Error::new(libc::ENAMETOOLONG, format!("the name \"{name}\" is too long for that of a semaphore")));
        };
        loop {
            match Object::open(&file) {
                Ok(object) => return Semaphore::found(&object, &file, permissions),
                Err(e) if e.errno() == libc::ENOENT => {}
                Err(e) => return Err(e),
            }
            let object = Object::unnamed(SIZE as u64, permissions.mode, permissions.group)?;
            let made = Semaphore { mapping: Mapping::new(&object, SIZE)? };
            // SAFETY: memory of the right size and alignment, which no other process has yet.
            unsafe { libc::sem_init(made.raw(), 1, 0) };
            if object.link(&file)? {
                return Ok(made);
            }
            // Another process was faster.
        }
    }

    fn found(object: &Object, file: &Name, permissions: Permissions) -> Result<Semaphore> {
        object.check_owner(format_args!("the semaphore /dev/shm/{file}"), permissions.any_owner)?;
        if object.size() < SIZE as u64 {
            return Err(Error::corrupt(format!("/dev/shm/{file} is not a semaphore: it is too short; remove it")));
        }
        object.allocate(SIZE as u64)?;
        Ok(Semaphore { mapping: Mapping::new(object, SIZE)? })
    }

    fn raw(&self) -> *mut libc::sem_t {
        self.mapping.base().cast_mut().cast()
    }

    pub(crate) fn post(&self) -> Result<()> {
        // SAFETY: mapped; whatever its contents, the C library adds to a count and wakes the
        // waiters.
        Errno::result(unsafe { libc::sem_post(self.raw()) })
            .map(drop)
            .map_err(|e| Error::system(e, "cannot post the semaphore of this side's name (sem_post)"))
    }

    /// Takes back all posts that no process has taken.
    pub(crate) fn drain(&self) {
        let _ = (0..DRAINED).take_while(|_| self.take()).count();
    }

    /// Takes a post, if there is one.
    pub(crate) fn take(&self) -> bool {
        // SAFETY: mapped; the call does not wait.
        unsafe { libc::sem_trywait(self.raw()) == 0 }
    }

    /// Waits for a post. `false`: the time is over.
    pub(crate) fn wait(&self, limit: Duration) -> std::result::Result<bool, Errno> {
        // `sem_timedwait` uses the wall clock: it would wait for hours if that is set back.
        // `sem_clockwait` is younger than some C libraries in use.
        let start = Instant::now();
        while !self.take() {
            let left = limit.saturating_sub(start.elapsed()).min(NAP);
            if left.is_zero() {
                return Ok(false);
            }
            nap(left)?;
        }
        Ok(true)
    }
}

/// Removes the name of the semaphore, if there is one. Async-signal-safe.
pub(crate) fn unlink(name: &Name) {
    if let Some(file) = name.of_semaphore() {
        let _ = file.remove();
    }
}

/// Removes the semaphore if no process has it open: then no process waits for a post that would
/// never come. Async-signal-safe.
pub(crate) fn unlink_unused(name: &Name) {
    let object = name.of_semaphore().and_then(|file| Object::find(&file));
    if object.is_some_and(|object| object.is_open_elsewhere() == Some(false)) {
        unlink(name);
    }
}
