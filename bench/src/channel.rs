//! The library's channel in its own and in VILLASnode's layout, through the C interface of the
//! shared library.

use crate::capi::{api, failed, last_error};
use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use villas_shm_measure::capi::{Calls, Channel, LIMIT, Own, c_name, conf};
use villas_shm_measure::channel::Shape;
use villas_shm_measure::functions::{Int, Sample};
use villas_shm_measure::rig::Side;

/// VILLASnode's layout: a region for each direction.
pub(crate) struct Wire {
    shm: MaybeUninit<Int>,
}

impl Calls for Wire {
    #[inline(always)]
    fn alloc(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: an open channel; the array is as long as is said.
        unsafe { (api().shmem_int_alloc)(self.shm.as_mut_ptr(), samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    #[inline(always)]
    fn write(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: as above.
        unsafe { (api().shmem_int_write)(self.shm.as_mut_ptr(), samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    #[inline(always)]
    fn read(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: as above.
        unsafe { (api().shmem_int_read)(self.shm.as_mut_ptr(), samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    #[inline(always)]
    fn put(&mut self, sample: &*mut Sample) -> c_int {
        // SAFETY: a sample that was read and not yet put.
        unsafe { (api().sample_put)(*sample) }
    }

    #[inline(always)]
    fn put_many(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: samples that were read and not yet put.
        unsafe { (api().sample_put_many)(samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    fn open(&mut self, shape: &Shape, side: Side, name: &str) -> Result<(), String> {
        let names = ["out", "in"].map(|way| c_name(&format!("{name}-{way}")));
        let (write, read) = if side == Side::Node { (&names[0], &names[1]) } else { (&names[1], &names[0]) };
        // SAFETY: C strings and structs that live through the call.
        let gave =
            unsafe { (api().shmem_int_timed_open)(write.as_ptr(), read.as_ptr(), self.shm.as_mut_ptr(), &conf(shape), &LIMIT) };
        if gave < 0 { Err(format!("cannot open the channel {name} in VILLASnode's layout: {}", last_error())) } else { Ok(()) }
    }

    fn close(&mut self) {
        // SAFETY: an open channel.
        let gave = unsafe { (api().shmem_int_close)(self.shm.as_mut_ptr()) };
        if gave != 0 {
            failed("shmem_int_close", gave.into());
        }
    }

    fn name() -> &'static str {
        "wire layout"
    }

    fn last_error(&self) -> String {
        last_error()
    }
}

fn shape<const V: usize>(polling: bool, batch: Option<usize>) -> Shape {
    Shape { values: V, polling, batch }
}

pub(crate) fn own<const V: usize>(polling: bool, batch: Option<usize>) -> Channel<Own, V> {
    Channel::new(shape::<V>(polling, batch), Own::new(api()))
}

pub(crate) fn echoing<const V: usize>(polling: bool) -> Channel<Own, V> {
    let mut channel = own(polling, None);
    channel.echoes_in_place = true;
    channel
}

pub(crate) fn wire<const V: usize>(polling: bool, batch: Option<usize>) -> Channel<Wire, V> {
    Channel::new(shape::<V>(polling, batch), Wire { shm: MaybeUninit::uninit() })
}
