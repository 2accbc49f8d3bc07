//! Two sides that wait for what does not come: a channel's, and bare futexes that sleep as long at a
//! time. An item is one call, which ends after 100 ms.

use crate::capi::{api, failed, last_error};
use crate::life::{close, conf, create, unlink};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::AtomicU32;
use villas_shm_measure::capi::{LIMIT, c_name};
use villas_shm_measure::clock::now_ns;
use villas_shm_measure::contender::Contender;
use villas_shm_measure::rig::{Rig, Run, Side};
use villas_shm_measure::{Line, Shared, Times, Zeroable};

/// The fractions of processor time that a process used while both sides waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idleness {
    pub(crate) channel: f64,
    pub(crate) futex: f64,
    /// Seconds of each.
    pub(crate) seconds: f64,
}

/// Measures an [`Idle`] and a [`BareIdle`], in turns of so many calls.
pub(crate) fn measure(rig: &mut Rig, both: [usize; 2], turns: u32, calls: u64) -> Idleness {
    let mut used = [0.0; 2];
    for index in both {
        rig.open(index);
    }
    for _ in 0..turns {
        for (used, index) in used.iter_mut().zip(both) {
            let took = rig.run(index, calls, None);
            *used += took.cpu_ns / (2.0 * took.ns) / f64::from(turns);
        }
    }
    for index in both {
        rig.close(index);
    }
    Idleness { channel: used[0], futex: used[1], seconds: f64::from(turns) * calls as f64 / 10.0 }
}

/// How long the library sleeps at a time.
const SLICE: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A word for each process, to sleep on.
#[repr(C)]
pub(crate) struct Words([Line<AtomicU32>; 2]);

// SAFETY: atomics only.
unsafe impl Zeroable for Words {}

/// Each process sleeps on a futex, in slices.
pub(crate) struct BareIdle(Shared<Words>);

impl BareIdle {
    /// Must be called before the fork.
    pub(crate) fn boxed() -> Box<dyn Contender> {
        Box::new(BareIdle(Shared::zeroed()))
    }

    fn wait(&self, side: Side, count: u64) -> f64 {
        let (word, from) = (&self.0.0[usize::from(side == Side::Program)].0, now_ns());
        for _ in 0..2 * count {
            // SAFETY: the word and the time are live for the call, and the kernel only reads them.
            unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, 0, std::ptr::from_ref(&SLICE)) };
        }
        (now_ns() - from) as f64
    }
}

impl Contender for BareIdle {
    fn name(&self) -> String {
        "bare futex, both sides wait".into()
    }

    fn open(&mut self, _side: Side, _name: &str) -> Result<(), String> {
        Ok(())
    }

    fn close(&mut self) {}

    fn node(&mut self, _run: &Run, count: u64, _times: Option<&mut Times>) -> f64 {
        self.wait(Side::Node, count)
    }

    fn program(&mut self, _run: &Run, count: u64) {
        self.wait(Side::Program, count);
    }
}

/// Both sides of a channel in `pthread` mode wait for samples.
pub(crate) struct Idle {
    shm: *mut c_void,
    base: *mut c_void,
}

impl Idle {
    pub(crate) fn boxed() -> Box<dyn Contender> {
        Box::new(Idle { shm: null_mut(), base: null_mut() })
    }

    fn wait(&self, count: u64) -> f64 {
        let from = now_ns();
        for _ in 0..count {
            let mut sample = [null_mut()];
            // SAFETY: an open channel, and an array of one.
            let gave = unsafe { (api().shmem_shared_read)(self.shm, sample.as_mut_ptr(), 1) };
            if gave != 0 {
                failed("shmem_shared_read", gave.into());
            }
        }
        (now_ns() - from) as f64
    }
}

impl Contender for Idle {
    fn name(&self) -> String {
        "villas-shm channel, pthread, both sides wait".into()
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        let text = c_name(name);
        if side == Side::Node {
            self.shm = create(&text, &conf(false));
            // SAFETY: an open channel.
            let gave = unsafe { (api().shmem_shared_wait)(self.shm, &LIMIT) };
            return if gave == 0 { Ok(()) } else { Err(last_error()) };
        }
        // SAFETY: a C string and pointers that live through the call.
        self.shm = unsafe { (api().shmem_shared_timed_open)(text.as_ptr(), &mut self.base, &LIMIT) };
        if self.shm.is_null() { Err(last_error()) } else { Ok(()) }
    }

    fn close(&mut self) {
        close(self.shm, self.base);
    }

    fn unlink(&mut self, name: &str) {
        unlink(&c_name(name));
    }

    fn node(&mut self, _run: &Run, count: u64, _times: Option<&mut Times>) -> f64 {
        self.wait(count)
    }

    fn program(&mut self, _run: &Run, count: u64) {
        self.wait(count);
    }
}
