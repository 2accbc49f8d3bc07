//! The calls of the C library as the linker has them made: those for `/dev/shm` go to the model.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::Ordering::Relaxed;

use super::{DEVICE, FIRST, IS_ON, name, ours, returned, state};

/// What the C library has under the names that are wrapped.
pub(super) mod real {
    use std::ffi::{c_char, c_int, c_void};

    unsafe extern "C" {
        #[link_name = "__real_open"]
        pub(crate) fn open(path: *const c_char, flags: c_int, mode: u32) -> c_int;
        #[link_name = "__real_open64"]
        pub(crate) fn open64(path: *const c_char, flags: c_int, mode: u32) -> c_int;
        #[link_name = "__real_close"]
        pub(crate) fn close(fd: c_int) -> c_int;
        #[link_name = "__real_fcntl"]
        pub(crate) fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int;
        #[link_name = "__real_fstat"]
        pub(crate) fn fstat(fd: c_int, status: *mut libc::stat) -> c_int;
        #[link_name = "__real_lstat"]
        pub(crate) fn lstat(path: *const c_char, status: *mut libc::stat) -> c_int;
        #[link_name = "__real_statx"]
        pub(crate) fn statx(fd: c_int, path: *const c_char, flags: c_int, mask: u32, status: *mut libc::statx) -> c_int;
        #[link_name = "__real_fstatvfs"]
        pub(crate) fn fstatvfs(fd: c_int, status: *mut libc::statvfs) -> c_int;
        #[link_name = "__real_linkat"]
        pub(crate) fn linkat(from: c_int, path: *const c_char, to: c_int, name: *const c_char, flags: c_int) -> c_int;
        #[link_name = "__real_unlink"]
        pub(crate) fn unlink(path: *const c_char) -> c_int;
        #[link_name = "__real_posix_fallocate"]
        pub(crate) fn posix_fallocate(fd: c_int, offset: i64, length: i64) -> c_int;
        #[link_name = "__real_ftruncate64"]
        pub(crate) fn ftruncate64(fd: c_int, length: i64) -> c_int;
        #[link_name = "__real_pread"]
        pub(crate) fn pread(fd: c_int, to: *mut c_void, count: usize, offset: i64) -> isize;
        #[link_name = "__real_pwrite64"]
        pub(crate) fn pwrite64(fd: c_int, from: *const c_void, count: usize, offset: i64) -> isize;
        #[link_name = "__real_mmap"]
        pub(crate) fn mmap(at: *mut c_void, length: usize, access: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
        #[link_name = "__real_munmap"]
        pub(crate) fn munmap(at: *mut c_void, length: usize) -> c_int;
    }
}

// SAFETY of all below: as the C library's function of the name; the arguments are what its callers promise. `fcntl` and `open` take their last argument
// as a variadic function does for the integers and addresses that are passed to them.

fn open(path: *const c_char, flags: c_int, mode: u32) -> Option<c_int> {
    // SAFETY: as above.
    let path = unsafe { ours(path) }?;
    Some(returned(state().open(path, flags, mode)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_open(path: *const c_char, flags: c_int, mode: u32) -> c_int {
    // SAFETY: as above.
    open(path, flags, mode).unwrap_or_else(|| unsafe { real::open(path, flags, mode) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_open64(path: *const c_char, flags: c_int, mode: u32) -> c_int {
    // SAFETY: as above.
    open(path, flags, mode).unwrap_or_else(|| unsafe { real::open64(path, flags, mode) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_close(fd: c_int) -> c_int {
    if fd < FIRST {
        // SAFETY: as above.
        return unsafe { real::close(fd) };
    }
    returned(state().close(fd))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fcntl(fd: c_int, command: c_int, argument: usize) -> c_int {
    if fd < FIRST {
        // SAFETY: as above.
        return unsafe { real::fcntl(fd, command, argument) };
    }
    returned(state().control(fd, command, argument))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fstat(fd: c_int, status: *mut libc::stat) -> c_int {
    if fd < FIRST {
        // SAFETY: as above.
        return unsafe { real::fstat(fd, status) };
    }
    returned(state().status_of(fd).map(|found| {
        // SAFETY: as above.
        unsafe { status.write(found) };
        0
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_lstat(path: *const c_char, to: *mut libc::stat) -> c_int {
    // SAFETY: as above.
    let Some(path) = (unsafe { ours(path) }) else { return unsafe { real::lstat(path, to) } };
    returned(state().status_at(name(path)).map(|status| {
        // SAFETY: as above.
        unsafe { to.write(status) };
        0
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_statx(fd: c_int, path: *const c_char, flags: c_int, mask: u32, to: *mut libc::statx) -> c_int {
    let found = if fd >= FIRST {
        state().status_of(fd)
    // SAFETY: as above.
    } else if let Some(path) = (!path.is_null()).then(|| unsafe { ours(path) }).flatten() {
        state().status_at(name(path))
    } else {
        // SAFETY: as above.
        return unsafe { real::statx(fd, path, flags, mask, to) };
    };
    returned(found.map(|status| {
        // SAFETY: integers, for which zero is valid.
        let mut all: libc::statx = unsafe { std::mem::zeroed() };
        all.stx_mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
        all.stx_dev_minor = DEVICE as u32;
        all.stx_ino = status.st_ino;
        all.stx_nlink = status.st_nlink as u32;
        all.stx_mode = status.st_mode as u16;
        (all.stx_uid, all.stx_gid) = (status.st_uid, status.st_gid);
        all.stx_size = status.st_size as u64;
        all.stx_blksize = status.st_blksize as u32;
        all.stx_blocks = status.st_blocks as u64;
        // SAFETY: as above.
        unsafe { to.write(all) };
        0
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fstatvfs(fd: c_int, status: *mut libc::statvfs) -> c_int {
    if fd < FIRST {
        // SAFETY: as above.
        return unsafe { real::fstatvfs(fd, status) };
    }
    // SAFETY: as above.
    unsafe { libc::statvfs(c"/dev/shm".as_ptr(), status) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_linkat(from: c_int, path: *const c_char, to: c_int, name_of: *const c_char, flags: c_int) -> c_int {
    // SAFETY: as above.
    let Some(path_of) = (unsafe { ours(name_of) }) else { return unsafe { real::linkat(from, path, to, name_of, flags) } };
    // SAFETY: as above.
    let own =
        unsafe { CStr::from_ptr(path) }.to_str().ok().and_then(|path| path.strip_prefix("/proc/thread-self/fd/")?.parse().ok());
    returned(state().link(own.expect("a descriptor of this thread"), name(path_of)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_unlink(path: *const c_char) -> c_int {
    // SAFETY: as above.
    let Some(path) = (unsafe { ours(path) }) else { return unsafe { real::unlink(path) } };
    returned(state().unlink(name(path)).map(|()| 0))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_posix_fallocate(fd: c_int, offset: i64, length: i64) -> c_int {
    if fd < FIRST {
        // SAFETY: as above.
        return unsafe { real::posix_fallocate(fd, offset, length) };
    }
    let allocated = state().allocate(fd, offset as usize, (offset + length) as usize);
    allocated.err().unwrap_or(0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_ftruncate64(fd: c_int, length: i64) -> c_int {
    if fd < FIRST {
        // SAFETY: as above.
        return unsafe { real::ftruncate64(fd, length) };
    }
    returned(state().resize(fd, length as usize))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_pread(fd: c_int, to: *mut c_void, count: usize, offset: i64) -> isize {
    if fd < FIRST {
        // SAFETY: as above.
        return unsafe { real::pread(fd, to, count, offset) };
    }
    let read = state().bytes(fd, offset as usize).map(|(bytes, left)| {
        // SAFETY: within the object, and what the caller has room for.
        unsafe { to.cast::<u8>().copy_from(bytes, count.min(left)) };
        count.min(left) as c_int
    });
    returned(read) as isize
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_pwrite64(fd: c_int, from: *const c_void, count: usize, offset: i64) -> isize {
    if fd < FIRST {
        // SAFETY: as above.
        return unsafe { real::pwrite64(fd, from, count, offset) };
    }
    let mut state = state();
    let allocated = state.allocate(fd, offset as usize, offset as usize + count);
    let written = allocated.and_then(|()| state.bytes(fd, offset as usize)).map(|(bytes, _)| {
        // SAFETY: within the object, and what the caller has.
        unsafe { bytes.copy_from(from.cast(), count) };
        count as c_int
    });
    returned(written) as isize
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_mmap(
    at: *mut c_void,
    length: usize,
    access: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> *mut c_void {
    if fd < FIRST {
        // SAFETY: as above.
        return unsafe { real::mmap(at, length, access, flags, fd, offset) };
    }
    assert!(at.is_null() && offset == 0 && flags == libc::MAP_SHARED, "a mapping that is not modelled");
    let view = state().map(fd, length, access);
    view.map_or_else(
        |errno| {
            returned(Err(errno));
            libc::MAP_FAILED
        },
        |view| view.cast(),
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_munmap(at: *mut c_void, length: usize) -> c_int {
    if IS_ON.load(Relaxed) && state().unmap(at.cast(), length) {
        return 0;
    }
    // SAFETY: as above.
    unsafe { real::munmap(at, length) }
}
