//! What a forked child inherits: none of the channels and rings.
//!
//! glibc calls three handlers around each `fork(3)`. They are registered when the library is
//! loaded: a later call that registered them would hold glibc's lock of handlers, and a concurrent
//! fork would leave that lock taken in the child forever. No handler takes a lock, because a fork
//! may come from a signal handler that interrupted any call of the library.
//!
//! `_Fork`, raw `clone` and `vfork` call no handler. Their children must not use the library before
//! they call `exec`.
//!
//! | edge | one side | the other side |
//! |---|---|---|
//! | F1 | forker: `BEGUN` + 1, full fence, then the kernel copies the table of descriptors | closer: closes a descriptor, full fence, loads `DONE`, then `BEGUN` |
//! | F2 | what a hook works on, then the hook, release | child: the hook, acquire, then what it works on |
//!
//! F1: a closer that finds both numbers equal has closed its descriptor before any later fork
//! copies it. Otherwise the copy may have the descriptor, and its entry must stay (`descriptors`).

use crate::error::{Error, Result};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, fence};

/// Number of forks of this process whose prepare handler has run.
static BEGUN: AtomicU32 = AtomicU32::new(0);
/// How many of them are over, as this process sees it.
static DONE: AtomicU32 = AtomicU32::new(0);

/// What each part of the library must do in the child: a function pointer, or null.
static HOOKS: [AtomicPtr<()>; 8] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 8];

static IS_REGISTERED: AtomicBool = AtomicBool::new(false);

// Runs before all constructors of a statically linked program: one of them may open a channel.
#[used]
#[unsafe(link_section = ".init_array.00099")]
static AT_LOAD: extern "C" fn() = at_load;

extern "C" fn at_load() {
    // SAFETY: the handlers are functions for as long as the library is loaded; glibc forgets them
    // when it is unloaded.
    let registered = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) == 0 };
    IS_REGISTERED.store(registered, Release); // F2
}

extern "C" fn before() {
    BEGUN.fetch_add(1, SeqCst); // F1
    fence(SeqCst); // F1
}

/// Called also after a failed fork.
extern "C" fn in_parent() {
    DONE.fetch_add(1, SeqCst); // F1
}

/// The child has one thread, which calls this before `fork` returns.
extern "C" fn in_child() {
    for hook in &HOOKS {
        let hook = hook.load(Acquire); // F2
        if !hook.is_null() {
            // SAFETY: `on_child` stores nothing but such functions.
            let hook = unsafe { std::mem::transmute::<*mut (), fn()>(hook) };
            hook();
        }
    }
    // Forks that other threads of the parent had begun are not the child's.
    DONE.store(BEGUN.load(Relaxed), SeqCst); // F1
}

/// Makes every future child of a fork run `hook`, which must be async-signal-safe. Costs a load or
/// two once `hook` is registered. `ENOMEM`: glibc could not register the handlers.
pub(crate) fn on_child(hook: fn()) -> Result<()> {
    if !IS_REGISTERED.load(Acquire) {
        // F2
        return Err(Error::new(libc::ENOMEM, "the C library has no memory to register the fork handlers (pthread_atfork)"));
    }
    let hook = hook as *mut ();
    for place in &HOOKS {
        // F2
        match place.compare_exchange(std::ptr::null_mut(), hook, Release, Relaxed) {
            Ok(_) => return Ok(()),
            Err(there) if there == hook => return Ok(()),
            Err(_) => {}
        }
    }
    unreachable!("the library has fewer parts than there are places for hooks")
}

/// Whether, at some moment of this call, no fork of this process was under way.
pub(super) fn is_quiet() -> bool {
    fence(SeqCst); // F1
    // In this order: `DONE` never exceeds `BEGUN`, so equal numbers were equal at the first load.
    let done = DONE.load(SeqCst); // F1
    done == BEGUN.load(SeqCst) // F1
}
