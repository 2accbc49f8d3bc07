//! The library's rings, through the C interface.

use crate::capi::{api, failed, last_error};
use std::ffi::{c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use villas_shm_measure::capi::c_name;
use villas_shm_measure::contender::{Transport, fill, sum};
use villas_shm_measure::functions::{CONSUMER, MPMC, MPSC, PRODUCER, SPSC};
use villas_shm_measure::rig::Side;
use villas_shm_measure::yardsticks::queue_length;

/// The most messages in one call: they pass through an array of the process.
pub(crate) const MOST: usize = 64;

/// Two rings of messages of `W` words, as one process sees them.
pub(crate) struct Rings<const W: usize> {
    policy: c_int,
    in_place: bool,
    batch: Option<usize>,
    out: *mut c_void,
    back: *mut c_void,
    items: Vec<[u64; W]>,
}

impl<const W: usize> Rings<W> {
    /// `batch`: of a stream, messages at a time.
    pub(crate) fn new(policy: c_int, in_place: bool, batch: Option<usize>) -> Self {
        let items = vec![[0; W]; batch.unwrap_or(1).min(MOST)];
        Rings { policy, in_place, batch, out: null_mut(), back: null_mut(), items }
    }

    fn open_ring(&self, name: &str, role: c_int) -> Result<*mut c_void, String> {
        let capacity = queue_length(W, self.batch);
        // SAFETY: a C string that lives through the call.
        let ring = unsafe { (api().shmem_ring_open)(c_name(name).as_ptr(), self.policy, role, 8 * W, capacity) };
        if ring.is_null() { Err(format!("cannot open the ring {name}: {}", last_error())) } else { Ok(ring) }
    }

    #[inline(always)]
    fn send_in_place(&mut self, number: u64) {
        // SAFETY: an open ring; a reserved slot has room for `W` words until it is committed.
        unsafe {
            let slot = (api().shmem_ring_timed_reserve)(self.out, null());
            if slot.is_null() {
                failed("reserve", 0);
            }
            fill(slot.cast(), W, number);
            if (api().shmem_ring_commit)(self.out, slot) != 0 {
                failed("commit", -1);
            }
        }
    }

    #[inline(always)]
    fn receive_in_place(&mut self) -> u64 {
        // SAFETY: an open ring; the message has `W` words until it is released.
        unsafe {
            let message = (api().shmem_ring_timed_peek)(self.back, null());
            if message.is_null() {
                failed("peek", 0);
            }
            let total = sum(message.cast(), W);
            if (api().shmem_ring_release)(self.back, message) != 0 {
                failed("release", -1);
            }
            total
        }
    }
}

pub(crate) fn policy_name(policy: c_int) -> &'static str {
    match policy {
        SPSC => "SPSC",
        MPSC => "MPSC",
        MPMC => "MPMC",
        _ => "?",
    }
}

impl<const W: usize> Transport for Rings<W> {
    fn name(&self) -> String {
        format!("villas-shm {} ring, {}", policy_name(self.policy), if self.in_place { "in place" } else { "copying" })
    }

    fn words(&self) -> u64 {
        W as u64
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        let names = [format!("{name}-out"), format!("{name}-in")];
        let (out, back) = if side == Side::Node { (&names[0], &names[1]) } else { (&names[1], &names[0]) };
        self.out = self.open_ring(out, PRODUCER)?;
        self.back = self.open_ring(back, CONSUMER)?;
        Ok(())
    }

    fn close(&mut self) {
        for ring in [self.out, self.back] {
            // SAFETY: an open ring, which is not used again.
            let gave = unsafe { (api().shmem_ring_close)(ring) };
            if gave != 0 {
                failed("shmem_ring_close", gave.into());
            }
        }
    }

    fn unlink(&mut self, name: &str) {
        for way in ["out", "in"] {
            // SAFETY: a C string.
            let gave = unsafe { (api().shmem_ring_unlink)(c_name(&format!("{name}-{way}")).as_ptr()) };
            if gave != 0 {
                failed("shmem_ring_unlink", gave.into());
            }
        }
    }

    #[inline(always)]
    fn send(&mut self, first: u64, count: usize) {
        if self.in_place {
            (first..first + count as u64).for_each(|number| self.send_in_place(number));
            return;
        }
        let items = &mut self.items[..count];
        for (item, number) in items.iter_mut().zip(first..) {
            // SAFETY: an array of `W` words.
            unsafe { fill(item.as_mut_ptr(), W, number) };
        }
        let mut sent = 0;
        while sent < count {
            let rest = items[sent..].as_ptr().cast();
            // SAFETY: an open ring, and as many messages as is said.
            let gave = unsafe {
                if count == 1 {
                    1 + (api().shmem_ring_push)(self.out, rest)
                } else {
                    (api().shmem_ring_push_many)(self.out, rest, (count - sent) as c_uint)
                }
            };
            if gave < 0 || (count == 1 && gave == 0) {
                failed("push", gave.into());
            }
            sent += gave as usize;
        }
    }

    #[inline(always)]
    fn receive(&mut self, _first: u64, most: usize) -> (usize, u64) {
        if self.in_place {
            return (1, self.receive_in_place());
        }
        let most = most.min(self.items.len());
        let to = self.items.as_mut_ptr().cast();
        let taken = loop {
            // SAFETY: an open ring, and room for as many messages as is said.
            let taken = unsafe {
                if most == 1 {
                    1 + (api().shmem_ring_pop)(self.back, to)
                } else {
                    (api().shmem_ring_pop_many)(self.back, to, most as c_uint)
                }
            };
            // 0: empty, if the call does not wait; the rig's alarm ends this.
            if taken > 0 {
                break taken;
            }
            if taken < 0 || most == 1 {
                failed("pop", taken.into());
            }
        };
        let mut total = 0u64;
        for item in &self.items[..taken as usize] {
            // SAFETY: an array of `W` words.
            total = total.wrapping_add(unsafe { sum(item.as_ptr(), W) });
        }
        (taken as usize, total)
    }
}
