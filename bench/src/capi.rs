//! The C interface as a C program uses it: from the shared library, each call through a pointer.

use std::ffi::{CStr, CString, c_void};
use std::path::PathBuf;
use std::sync::OnceLock;
use villas_shm_measure::capi::c_name;
use villas_shm_measure::functions::Functions;

/// A function of a library.
pub(crate) fn symbol(library: *mut c_void, name: &str) -> Result<*mut c_void, String> {
    // SAFETY: an open library, and a C string.
    let at = unsafe { libc::dlsym(library, c_name(name).as_ptr()) };
    if at.is_null() { Err(format!("the library has no {name}")) } else { Ok(at) }
}

static API: OnceLock<Functions> = OnceLock::new();

/// Loads a shared library, which is never unloaded.
pub(crate) fn library(path: &std::path::Path) -> Result<*mut c_void, String> {
    let text = CString::new(path.to_string_lossy().as_bytes()).map_err(|e| e.to_string())?;
    // SAFETY: runs the libraries' own initialisers; the paths are those of this project's build.
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

/// Where cargo and make put what they build: beside this program.
pub(crate) fn beside(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.parent().unwrap_or(std::path::Path::new(".")).join(name)
}

/// Loads the library, once, before the fork.
pub(crate) fn load() -> Result<(), String> {
    let library = library(&beside("libvillas_shm.so"))?;
    // SAFETY: the library of this project's build, whose header this is.
    let loaded = unsafe { Functions::find(|name| symbol(library, name)) }?;
    let _ = API.set(loaded);
    Ok(())
}

/// The functions; requires [`load`].
#[inline(always)]
pub(crate) fn api() -> &'static Functions {
    API.get().unwrap_or_else(|| villas_shm_measure::rig::fail("the library is not loaded"))
}

/// Ends the run with the library's message.
#[cold]
pub(crate) fn failed(call: &str, gave: i64) -> ! {
    villas_shm_measure::capi::failed(call, gave, &last_error())
}

/// The library's message about the last failure.
pub(crate) fn last_error() -> String {
    api().last_error()
}
