//! Named POSIX semaphores, for the handshake of the wire layout.

use super::object::{Name, Object};
use crate::error::{Error, Result};
use nix::errno::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// Between two looks for a post.
const NAP: Duration = Duration::from_millis(1);

/// An open semaphore, closed when dropped. Its name stays.
pub(crate) struct Semaphore {
    sem: *mut libc::sem_t,
    name: Name,
}

impl Semaphore {
    /// Opens the semaphore of this name, which is made with a count of 0 if there is none.
    pub(crate) fn open(name: &Name) -> Result<Semaphore> {
        // The C library maps whatever it finds; a look beyond the end of a file ends the process.
        if let Some(file) = name.of_semaphore()
            && Object::find(&file).is_some_and(|object| object.size() < size_of::<libc::sem_t>() as u64)
        {
            return Err(Error::corrupt(format!("/dev/shm/{file} is not a semaphore: it is too short; remove it")));
        }
        loop {
            // SAFETY: a C string.
            let sem = name.with_c_name(|path: &CStr| unsafe { libc::sem_open(path.as_ptr(), 0) });
            if sem != libc::SEM_FAILED {
                return Ok(Semaphore { sem, name: *name });
            }
            match (Errno::last(), name.of_semaphore()) {
                (Errno::ENOENT, Some(file)) => make(&file)?,
                (e, _) => return Err(Error::system(e, format_args!("cannot open the semaphore of \"{name}\""))),
            }
        }
    }

    pub(crate) fn post(&self) -> Result<()> {
        // SAFETY: open.
        Errno::result(unsafe { libc::sem_post(self.sem) })
            .map(drop)
            .map_err(|e| Error::system(e, format_args!("cannot post the semaphore of \"{}\"", self.name)))
    }

    /// Takes back what was posted and nobody has consumed.
    pub(crate) fn drain(&self) {
        // SAFETY: open.
        while unsafe { libc::sem_trywait(self.sem) } == 0 {}
    }

    /// Waits for a post. `false`: the time is over.
    pub(crate) fn wait(&self, limit: Duration) -> std::result::Result<bool, Errno> {
        // `sem_timedwait` waits by the wall clock: for hours when that is put back. `sem_clockwait` is younger than some C
        // libraries in use.
        let start = Instant::now();
        // SAFETY: open.
        while unsafe { libc::sem_trywait(self.sem) } != 0 {
            let left = limit.saturating_sub(start.elapsed()).min(NAP);
            if left.is_zero() {
                return Ok(false);
            }
            let nap = libc::timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            // SAFETY: the time lives across the call; what is left of it is not asked for.
            Errno::result(unsafe { libc::nanosleep(&raw const nap, std::ptr::null_mut()) })?;
        }
        Ok(true)
    }
}

/// Makes the file of a semaphore with a count of 0, unless there is one. It appears whole: the C library's own way, a file of another name
/// that is renamed, leaves that behind when the process is killed.
fn make(file: &Name) -> Result<()> {
    let mut bytes = [0; size_of::<libc::sem_t>()];
    let mut fresh = MaybeUninit::<libc::sem_t>::zeroed();
    // SAFETY: room for a semaphore, which needs no destruction; its bytes are integers, all of them zeroed before.
    unsafe {
        libc::sem_init(fresh.as_mut_ptr(), 1, 0);
        fresh.as_ptr().cast::<u8>().copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len());
    }
    let object = Object::unnamed(bytes.len() as u64, 0o600)?;
    object.write_all(&bytes)?;
    object.link(file).map(drop)
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once.
        unsafe { libc::sem_close(self.sem) };
    }
}

/// Removes the name of the semaphore, if there is one. Async-signal-safe.
pub(crate) fn unlink(name: &Name) {
    // SAFETY: a C string.
    name.with_c_name(|path| unsafe { libc::sem_unlink(path.as_ptr()) });
}

/// Removes it if no process has it open: then nobody waits for a post that would never come. Async-signal-safe.
pub(crate) fn unlink_unused(name: &Name) {
    let object = name.of_semaphore().and_then(|file| Object::find(&file));
    if object.is_some_and(|object| object.is_open_elsewhere() == Some(false)) {
        unlink(name);
    }
}
