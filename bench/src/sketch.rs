//! The channel's layout without the library: `sketch.c`, which make builds.

use crate::capi::{beside, library};
use std::ffi::{c_int, c_uint, c_void};
use std::sync::OnceLock;
use villas_shm_measure::clock::{now_ns, ns_between, ns_per_tick, ticks};
use villas_shm_measure::contender::{Contender, Work};
use villas_shm_measure::rig::{Run, Side, fail};
use villas_shm_measure::{SharedWords, Times};

pub(crate) const NAME: &str = "bare sketch of the channel";

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of `sketch.c`.
        struct Api { $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        /// Must be called before the fork.
        pub(crate) fn load() -> Result<(), String> {
            let library = library(&beside("libvillas-bench-sketch.so"))?;
            let api = Api { $($name: {
                let at = crate::capi::symbol(library, stringify!($name))?;
                // SAFETY: the function of that name has this type, by sketch.c.
                unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(at) }
            },)* };
            let _ = API.set(api);
            Ok(())
        }
    };
}

functions! {
    sketch_bytes(c_uint) -> usize;
    sketch_open(*mut c_void, c_int, c_uint) -> *mut c_void;
    sketch_close(*mut c_void);
    sketch_trips(*mut c_void, u64, u64) -> u64;
    sketch_echoes(*mut c_void, u64, u64) -> u64;
    sketch_send(*mut c_void, u64, u64, c_uint);
    sketch_receive(*mut c_void, u64, u64, c_uint) -> u64;
}

static API: OnceLock<Api> = OnceLock::new();

fn api() -> &'static Api {
    API.get().unwrap_or_else(|| fail("the sketch is not loaded"))
}

/// Round trips or a stream of samples, by loops in C, as there is no interface to call.
pub(crate) struct Sketch {
    values: c_uint,
    work: Work,
    memory: SharedWords,
    bytes: usize,
    side: *mut c_void,
    /// The number of the next sample; each process counts for itself.
    next: u64,
}

impl Sketch {
    /// Must be called before the fork, and after [`load`].
    pub(crate) fn boxed(values: usize, work: Work) -> Box<dyn Contender> {
        let values = values as c_uint;
        // SAFETY: takes a number.
        let bytes = unsafe { (api().sketch_bytes)(values) };
        let memory = SharedWords::zeroed(bytes.div_ceil(8));
        Box::new(Sketch { values, work, memory, bytes, side: std::ptr::null_mut(), next: 1 })
    }

    /// The numbers of the next `count` samples.
    fn take(&mut self, count: u64) -> (u64, u64) {
        let first = self.next;
        self.next += count;
        (first, self.next)
    }

    fn check(&self, (first, end): (u64, u64), sum: u64) {
        let count = end - first;
        let numbers = count.wrapping_mul(first).wrapping_add(count * count.saturating_sub(1) / 2);
        if sum != u64::from(self.values).wrapping_mul(numbers) {
            fail("the sketch's values do not add up");
        }
    }
}

impl Contender for Sketch {
    fn name(&self) -> String {
        NAME.into()
    }

    fn open(&mut self, side: Side, _name: &str) -> Result<(), String> {
        if side == Side::Node {
            self.memory.renew(self.bytes.div_ceil(8));
        }
        self.next = 1;
        // SAFETY: as much memory as the sketch wants, on a page of its own.
        self.side = unsafe { (api().sketch_open)(self.memory.at().cast(), (side == Side::Program).into(), self.values) };
        Ok(())
    }

    fn close(&mut self) {
        // SAFETY: an open side, which is not used again.
        unsafe { (api().sketch_close)(self.side) };
    }

    fn memory(&self) -> Option<u64> {
        Some(self.bytes as u64)
    }

    fn node(&mut self, run: &Run, count: u64, times: Option<&mut Times>) -> f64 {
        let (first, end) = self.take(count);
        // SAFETY: an open side, which only this thread uses.
        let trips = |first, end| unsafe { (api().sketch_trips)(self.side, first, end) };
        let from = now_ns();
        let sum = match (self.work, times) {
            (Work::Stream { batch }, _) => {
                // SAFETY: as above.
                unsafe { (api().sketch_send)(self.side, first, end, batch as c_uint) };
                run.await_program();
                return (now_ns() - from) as f64;
            }
            (_, None) => trips(first, end),
            (_, Some(times)) => {
                let rate = ns_per_tick();
                (first..end).fold(0u64, |sum, number| {
                    let sent = ticks();
                    let sum = sum.wrapping_add(trips(number, number + 1));
                    times.saturating_record(ns_between(sent, ticks(), rate).max(1));
                    sum
                })
            }
        };
        let ns = now_ns() - from;
        self.check((first, end), sum);
        ns as f64
    }

    fn program(&mut self, _run: &Run, count: u64) {
        let (first, end) = self.take(count);
        // SAFETY: an open side, which only this thread uses.
        let sum = unsafe {
            match self.work {
                Work::Stream { batch } => (api().sketch_receive)(self.side, first, end, batch as c_uint),
                _ => (api().sketch_echoes)(self.side, first, end),
            }
        };
        self.check((first, end), sum);
    }
}
