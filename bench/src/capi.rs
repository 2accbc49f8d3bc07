//! The C interface, as a C program has it: from the shared library, each call through a pointer.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;
use std::sync::OnceLock;
pub(crate) use villas_shm_measure::capi::{Conf, Sample};

/// `struct shmem_dir`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Direction {
    pub(crate) base: *mut c_void,
    pub(crate) length: usize,
    pub(crate) shared: *mut c_void,
}

/// `struct shmem_int`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Int {
    pub(crate) read: Direction,
    pub(crate) write: Direction,
    channel: *mut c_void,
    check: usize,
    reserved: [usize; 8],
}

pub(crate) const SPSC: c_int = 1;
pub(crate) const MPSC: c_int = 2;
pub(crate) const MPMC: c_int = 3;
pub(crate) const PRODUCER: c_int = 1;
pub(crate) const CONSUMER: c_int = 2;

macro_rules! functions {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        /// The functions that are measured.
        #[allow(missing_docs)]
        pub(crate) struct Api { $(pub(crate) $name: unsafe extern "C" fn($($argument),*) -> $result,)* }

        impl Api {
            fn of(library: *mut c_void) -> Result<Api, String> {
                Ok(Api { $($name: {
                    let at = symbol(library, concat!(stringify!($name), "\0"))?;
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
    shmem_shared_timedopen(*const c_char, *mut *mut c_void, *const libc::timespec) -> *mut c_void;
    shmem_shared_open(*const c_char, *mut *mut c_void) -> *mut c_void;
    shmem_shared_wait(*mut c_void, *const libc::timespec) -> c_int;
    shmem_shared_read(*mut c_void, *mut *mut Sample, c_uint) -> c_int;
    shmem_shared_write(*mut c_void, *mut *mut Sample, c_uint) -> c_int;
    shmem_shared_close(*mut c_void, *mut c_void) -> c_int;
    shmem_shared_unlink(*const c_char) -> c_int;
    shmem_int_timedopen(*const c_char, *const c_char, *mut Int, *const Conf, *const libc::timespec) -> c_int;
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

fn symbol(library: *mut c_void, name: &str) -> Result<*mut c_void, String> {
    // SAFETY: an open library, and a name that ends with a zero byte.
    let at = unsafe { libc::dlsym(library, name.as_ptr().cast()) };
    if at.is_null() { Err(format!("the library has no {}", name.trim_end_matches('\0'))) } else { Ok(at) }
}

static API: OnceLock<Api> = OnceLock::new();

/// A shared library, for good.
pub(crate) fn library(path: &std::path::Path) -> Result<*mut c_void, String> {
    let text = CString::new(path.to_string_lossy().as_bytes()).map_err(|e| e.to_string())?;
    // SAFETY: runs what libraries run when they are loaded; the paths are those of this project's build.
    let library = unsafe { libc::dlopen(text.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if library.is_null() {
        // SAFETY: the text of the last error, or null.
        let why = unsafe { libc::dlerror() };
        if why.is_null() {
            return Err("cannot be loaded".into());
        }
        // SAFETY: a C string, until the next call of this kind.
        return Err(unsafe { CStr::from_ptr(why) }.to_string_lossy().into_owned());
    }
    Ok(library)
}

/// Where cargo and make put what is built: beside this program.
pub(crate) fn beside(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.parent().unwrap_or(std::path::Path::new(".")).join(name)
}

/// Loads the library, once, before the fork.
pub(crate) fn load() -> Result<(), String> {
    let loaded = Api::of(library(&beside("libvillas_shm.so"))?)?;
    let _ = API.set(loaded);
    Ok(())
}

/// The functions; [`load`] has loaded them.
#[inline(always)]
pub(crate) fn api() -> &'static Api {
    API.get().unwrap_or_else(|| villas_shm_measure::rig::fail("the library is not loaded"))
}

/// Ends the run with what the library says.
#[cold]
pub(crate) fn failed(call: &str, gave: i64) -> ! {
    villas_shm_measure::capi::failed(call, gave, &last_error())
}

/// The library's sentence about what failed.
pub(crate) fn last_error() -> String {
    // SAFETY: a C string of this thread, or null.
    let text = unsafe { (api().shmem_last_error)() };
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A name for C.
pub(crate) fn c_name(name: &str) -> CString {
    CString::new(name).expect("a name without zero bytes")
}

pub(crate) use villas_shm_measure::capi::LIMIT;
