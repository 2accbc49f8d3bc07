//! System V shared memory: segments that have a key or an id.

use nix::errno::Errno;
use std::ptr::NonNull;

/// `madvise`: allocate now, and fail if there is no memory. Linux 5.14.
const MADV_POPULATE_WRITE: libc::c_int = 23;

/// Finds the segment of a key, or creates one: `shmget(2)`.
pub(crate) fn get(key: i32, size: usize, flags: i32) -> nix::Result<i32> {
    // SAFETY: no memory of ours is involved.
    Errno::result(unsafe { libc::shmget(key, size, flags) })
}

/// What the system knows of a segment: `IPC_STAT`, allowed to its readers.
pub(crate) fn status(id: i32) -> nix::Result<libc::shmid_ds> {
    // SAFETY: a struct of integers, for which zero is a value.
    let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the struct.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut status) })?;
    Ok(status)
}

/// The key of a segment. C libraries give it different names and the same place, the first.
pub(crate) fn key_of(permissions: &libc::ipc_perm) -> i32 {
    // SAFETY: an initialised `key_t` lies there.
    unsafe { *std::ptr::from_ref(permissions).cast::<libc::key_t>() }
}

/// Changes owner and permission bits to those of `status`: `IPC_SET`, for the owner and the
/// creator.
pub(crate) fn set(id: i32, mut status: libc::shmid_ds) -> nix::Result<()> {
    // SAFETY: the kernel reads the struct.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut status) }).map(drop)
}

/// Removes a segment: `IPC_RMID`. Its key is free at once; its memory is freed when the last
/// process detaches it.
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

    /// Has the kernel allocate all memory of a segment of `size` bytes that is attached for
    /// writing.
    pub(crate) fn populate(&self, size: usize) -> nix::Result<()> {
        loop {
            // SAFETY: the range is the attachment, whose contents stay as they are.
            let done = Errno::result(unsafe { libc::madvise(self.0.as_ptr().cast(), size, MADV_POPULATE_WRITE) });
            return match done {
                Ok(_) => Ok(()),
                Err(Errno::EINTR) => continue,
                // An older kernel allocates a page at its first use.
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
        // SAFETY: attached once, detached once; dropping it promises that no pointer into it is
        // left.
        unsafe { libc::shmdt(self.0.as_ptr().cast()) };
    }
}
