//! The measured functions of the C interface, as the linker or a loader finds them.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

/// `struct sample`, without the values that follow it.
#[repr(C)]
pub struct Sample {
    /// Set by the sender.
    pub sequence: u64,
    /// Number of values.
    pub length: c_uint,
    capacity: c_uint,
    /// Which parts are valid.
    pub flags: c_int,
    private: [u64; 4],
    /// When it was made.
    pub origin: libc::timespec,
    received: libc::timespec,
}

const _: () = assert!(size_of::<Sample>() == crate::SAMPLE_HEADER);

impl Sample {
    /// Its values.
    #[inline(always)]
    #[must_use]
    pub fn data(at: *mut Sample) -> *mut u64 {
        at.wrapping_add(1).cast()
    }
}

/// `struct shmem_conf`.
#[repr(C)]
#[derive(Default)]
#[allow(missing_docs)]
pub struct Conf {
    pub polling: c_int,
    pub queuelen: c_int,
    pub samplelen: c_int,
    pub size: usize,
    pub spare: c_int,
    pub permissions: c_uint,
    pub flags: c_uint,
    pub reserved: c_uint,
}

/// `struct shmem_dir`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Direction {
    pub base: *mut c_void,
    pub length: usize,
    pub shared: *mut c_void,
}

/// `struct shmem_int`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Int {
    pub read: Direction,
    pub write: Direction,
    channel: *mut c_void,
    check: usize,
    reserved: [usize; 8],
}

/// `SHMEM_SPSC`.
pub const SPSC: c_int = 1;
/// `SHMEM_MPSC`.
pub const MPSC: c_int = 2;
/// `SHMEM_MPMC`.
pub const MPMC: c_int = 3;
/// `SHMEM_PRODUCER`.
pub const PRODUCER: c_int = 1;
/// `SHMEM_CONSUMER`.
pub const CONSUMER: c_int = 2;

macro_rules! functions {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        /// Pointers to the functions. A call goes through a pointer, like every call of a shared
        /// library.
        #[allow(missing_docs)]
        pub struct Functions { $(pub $name: unsafe extern "C" fn($($argument),*) -> $result,)* }

        unsafe extern "C" { $(fn $name($(_: $argument),*) -> $result;)* }

        /// The functions of the Rust library that this crate is linked with.
        pub static LINKED: Functions = Functions { $($name,)* };

        impl Functions {
            /// The functions that `find` finds by name.
            ///
            /// # Errors
            /// Those of `find`.
            ///
            /// # Safety
            /// `find` returns the function that has this name in the header.
            pub unsafe fn find(find: impl Fn(&str) -> Result<*mut c_void, String>) -> Result<Functions, String> {
                Ok(Functions { $($name: {
                    let at = find(stringify!($name))?;
                    // SAFETY: the function of that name has this type, by the header.
                    unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) -> $result>(at) }
                },)* })
            }
        }
    };
}

functions! {
    shmem_last_error() -> *const c_char;
    sample_alloc(*mut c_void, *mut *mut Sample, c_uint) -> c_int;
    sample_put(*mut Sample) -> c_int;
    sample_put_many(*mut *mut Sample, c_uint) -> c_int;
    shmem_shared_create(*const c_char, *const Conf) -> *mut c_void;
    shmem_shared_timed_open(*const c_char, *mut *mut c_void, *const libc::timespec) -> *mut c_void;
    shmem_shared_open(*const c_char, *mut *mut c_void) -> *mut c_void;
    shmem_shared_wait(*mut c_void, *const libc::timespec) -> c_int;
    shmem_shared_read(*mut c_void, *mut *mut Sample, c_uint) -> c_int;
    shmem_shared_write(*mut c_void, *mut *mut Sample, c_uint) -> c_int;
    shmem_shared_close(*mut c_void, *mut c_void) -> c_int;
    shmem_shared_unlink(*const c_char) -> c_int;
    shmem_int_timed_open(*const c_char, *const c_char, *mut Int, *const Conf, *const libc::timespec) -> c_int;
    shmem_int_alloc(*mut Int, *mut *mut Sample, c_uint) -> c_int;
    shmem_int_read(*mut Int, *mut *mut Sample, c_uint) -> c_int;
    shmem_int_write(*mut Int, *mut *mut Sample, c_uint) -> c_int;
    shmem_int_close(*mut Int) -> c_int;
    shmem_ring_open(*const c_char, c_int, c_int, usize, usize) -> *mut c_void;
    shmem_ring_push(*mut c_void, *const c_void) -> c_int;
    shmem_ring_push_many(*mut c_void, *const c_void, c_uint) -> c_int;
    shmem_ring_pop(*mut c_void, *mut c_void) -> c_int;
    shmem_ring_pop_many(*mut c_void, *mut c_void, c_uint) -> c_int;
    shmem_ring_timed_reserve(*mut c_void, *const libc::timespec) -> *mut c_void;
    shmem_ring_commit(*mut c_void, *mut c_void) -> c_int;
    shmem_ring_timed_peek(*mut c_void, *const libc::timespec) -> *const c_void;
    shmem_ring_release(*mut c_void, *const c_void) -> c_int;
    shmem_ring_close(*mut c_void) -> c_int;
    shmem_ring_unlink(*const c_char) -> c_int;
}

// LINKED refers to this crate's functions.
use villas_shm as _;

impl Functions {
    /// The library's message about the last failure in this thread.
    #[must_use]
    pub fn last_error(&self) -> String {
        // SAFETY: a C string of this thread, or null.
        let text = unsafe { (self.shmem_last_error)() };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: as above.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}
