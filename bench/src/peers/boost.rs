//! Boost.Interprocess' `message_queue`, through `boost/queue.cpp`, which make builds if Boost's
//! headers are installed.

use crate::capi::{beside, library};
use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;
use villas_shm_measure::capi::c_name;
use villas_shm_measure::contender::{Transport, fill, sum};
use villas_shm_measure::rig::{Side, fail};
use villas_shm_measure::yardsticks::queue_length;

/// The functions of `queue.cpp`.
struct Api {
    open: unsafe extern "C" fn(*const c_char, usize, usize) -> *mut c_void,
    send: unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int,
    receive: unsafe extern "C" fn(*mut c_void, *mut c_void, usize, c_int) -> c_int,
    close: unsafe extern "C" fn(*mut c_void),
    remove: unsafe extern "C" fn(*const c_char),
}

static API: OnceLock<Api> = OnceLock::new();

/// Must be called before the fork.
pub(crate) fn load() -> Result<(), String> {
    let library = library(&beside("libvillas-bench-boost.so"))?;
    let symbol = |name: &std::ffi::CStr| {
        // SAFETY: an open library and a C string.
        let at = unsafe { libc::dlsym(library, name.as_ptr()) };
        if at.is_null() { Err(format!("no {name:?}")) } else { Ok(at) }
    };
    // SAFETY: these functions have these types, by queue.cpp.
    let api = unsafe {
        Api {
            open: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const c_char, usize, usize) -> *mut c_void>(symbol(
                c"bench_open",
            )?),
            send: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int>(
                symbol(c"bench_send")?,
            ),
            receive: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void, *mut c_void, usize, c_int) -> c_int>(
                symbol(c"bench_receive")?,
            ),
            close: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(symbol(c"bench_close")?),
            remove: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const c_char)>(symbol(c"bench_remove")?),
        }
    };
    let _ = API.set(api);
    Ok(())
}

fn api() -> &'static Api {
    API.get().unwrap_or_else(|| fail("Boost's queue is not loaded"))
}

/// Two queues of messages of `W` words.
pub(crate) struct Boost<const W: usize> {
    sleeps: bool,
    batch: Option<usize>,
    out: *mut c_void,
    back: *mut c_void,
    item: Box<[u64; W]>,
}

impl<const W: usize> Boost<W> {
    pub(crate) fn new(sleeps: bool, batch: Option<usize>) -> Self {
        Boost { sleeps, batch, out: std::ptr::null_mut(), back: std::ptr::null_mut(), item: Box::new([0; W]) }
    }

    fn open_queue(&self, name: &str) -> Result<*mut c_void, String> {
        // SAFETY: a C string.
        let queue = unsafe { (api().open)(c_name(name).as_ptr(), queue_length(W, self.batch), 8 * W) };
        if queue.is_null() { Err(format!("cannot open Boost's queue {name}")) } else { Ok(queue) }
    }
}

impl<const W: usize> Transport for Boost<W> {
    fn name(&self) -> String {
        format!("Boost message_queue, {}", if self.sleeps { "blocking" } else { "polling" })
    }

    fn words(&self) -> u64 {
        W as u64
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        let names = [format!("{name}-out"), format!("{name}-in")];
        let (out, back) = if side == Side::Node { (&names[0], &names[1]) } else { (&names[1], &names[0]) };
        self.out = self.open_queue(out)?;
        self.back = self.open_queue(back)?;
        Ok(())
    }

    fn close(&mut self) {
        // SAFETY: open queues, which are not used again.
        unsafe {
            (api().close)(self.out);
            (api().close)(self.back);
        }
    }

    fn unlink(&mut self, name: &str) {
        for way in ["out", "in"] {
            // SAFETY: a C string.
            unsafe { (api().remove)(c_name(&format!("{name}-{way}")).as_ptr()) };
        }
    }

    #[inline(always)]
    fn send(&mut self, first: u64, count: usize) {
        for number in first..first + count as u64 {
            // SAFETY: an array of `W` words, and an open queue of such messages.
            unsafe {
                fill(self.item.as_mut_ptr(), W, number);
                while (api().send)(self.out, self.item.as_ptr().cast(), 8 * W, self.sleeps.into()) == 0 {}
            }
        }
    }

    #[inline(always)]
    fn receive(&mut self, _first: u64, _most: usize) -> (usize, u64) {
        // SAFETY: an array of `W` words, and an open queue of such messages.
        unsafe {
            while (api().receive)(self.back, self.item.as_mut_ptr().cast(), 8 * W, self.sleeps.into()) == 0 {}
            (1, sum(self.item.as_ptr(), W))
        }
    }
}
