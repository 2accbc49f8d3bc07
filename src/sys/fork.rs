//! A hook for the child of a `fork`.

/// Has `child` run in every child of `fork(3)` of this process, from now on. Only async-signal-safe things may happen there.
pub(crate) fn on_child(child: extern "C" fn()) -> bool {
    // SAFETY: `child` is a function for the whole life of the library; the C library forgets it when the library is unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(child)) == 0 }
}
