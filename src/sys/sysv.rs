//! System V shared memory: segments that a key or an id names.

use nix::errno::Errno;
use std::ptr::NonNull;

/// `madvise`: allocate now, and say so when there is no memory. Linux 5.14.
const MADV_POPULATE_WRITE: libc::c_int = 23;

/// Finds the segment of a key, or makes one: `shmget(2)`.
pub(crate) fn get(key: i32, size: usize, flags: i32) -> nix::Result<i32> {
    // SAFETY: no memory of ours is involved.
    Errno::result(unsafe { libc::shmget(key, size, flags) })
}

/// What the system knows about a segment: `IPC_STAT`, which its readers may ask.
pub(crate) fn status(id: i32) -> nix::Result<libc::shmid_ds> {
    // SAFETY: a struct of integers, for which zero is a value.
    let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the struct.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut status) })?;
    Ok(status)
}

/// Changes owner and permission bits to those of `status`: `IPC_SET`, for the owner and the
/// creator.
pub(crate) fn set(id: i32, mut status: libc::shmid_ds) -> nix::Result<()> {
    // SAFETY: the kernel reads the struct.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut status) }).map(drop)
}

/// Removes a segment: `IPC_RMID`. Its key is free at once; its memory lives until the last process
/// has detached it.
pub(crate) fn remove(id: i32) -> nix::Result<()> {
    // SAFETY: no memory of ours is involved.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// An attached segment, detached when dropped.
pub(crate) struct Attachment(NonNull<u8>);

// SAFETY: an attachment belongs to no thread.
unsafe impl Send for Attachment {}
// SAFETY: only its address can be asked for.
unsafe impl Sync for Attachment {}

impl Attachment {
    pub(crate) fn new(id: i32, writable: bool) -> nix::Result<Attachment> {
        let flags = if writable { 0 } else { libc::SHM_RDONLY };
        // SAFETY: at an address of the kernel's choice.
        let base = unsafe { libc::shmat(id, std::ptr::null(), flags) };
        if base as isize == -1 {
            return Err(Errno::last());
        }
        NonNull::new(base.cast()).map(Attachment).ok_or(Errno::EFAULT)
    }

    /// Has the kernel allocate all of a segment of `size` bytes that is attached for writing.
    pub(crate) fn populate(&self, size: usize) -> nix::Result<()> {
        loop {
            // SAFETY: the range is the attachment, whose contents stay as they are.
            let done = Errno::result(unsafe { libc::madvise(self.0.as_ptr().cast(), size, MADV_POPULATE_WRITE) });
            return match done {
                Ok(_) => Ok(()),
                Err(Errno::EINTR) => continue,
                // An older kernel, which allocates a page when it is first touched.
                Err(Errno::EINVAL) => Ok(()),
                Err(_) => Err(Errno::ENOMEM),
            };
        }
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.0.as_ptr()
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // SAFETY: attached once, detached once; dropping it promises that nothing points into it
        // any more.
        unsafe { libc::shmdt(self.0.as_ptr().cast()) };
    }
}
