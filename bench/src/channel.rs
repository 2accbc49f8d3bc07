//! The library's channel in its own and in VILLASnode's layout, through the C interface of the shared library.

use crate::capi::{Int, LIMIT, Sample, api, c_name, failed, last_error};
use std::ffi::{c_int, c_uint, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use villas_shm_measure::capi::{Calls, Channel, conf};
use villas_shm_measure::channel::Shape;
use villas_shm_measure::rig::Side;

/// One region.
pub(crate) struct Own {
    shm: *mut c_void,
    base: *mut c_void,
}

impl Calls for Own {
    #[inline(always)]
    fn alloc(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: the pool is the first member of an open channel; the array is as long as is said.
        unsafe { (api().sample_alloc)(self.shm, samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    #[inline(always)]
    fn write(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: an open channel; the array is as long as is said.
        unsafe { (api().shmem_shared_write)(self.shm, samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    #[inline(always)]
    fn read(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: as above.
        unsafe { (api().shmem_shared_read)(self.shm, samples.as_mut_ptr(), samples.len() as c_uint) }
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
        let text = c_name(name);
        // SAFETY: C strings and structs that live through the calls.
        let is_open = unsafe {
            match side {
                Side::Node => {
                    self.shm = (api().shmem_shared_create)(text.as_ptr(), &conf(shape));
                    !self.shm.is_null() && (api().shmem_shared_wait)(self.shm, &LIMIT) == 0
                }
                Side::Program => {
                    self.shm = (api().shmem_shared_timedopen)(text.as_ptr(), &mut self.base, &LIMIT);
                    !self.shm.is_null()
                }
            }
        };
        is_open.then_some(()).ok_or_else(|| format!("cannot open the channel {name}: {}", last_error()))
    }

    fn close(&mut self) {
        // SAFETY: an open channel, which is not used again.
        let gave = unsafe { (api().shmem_shared_close)(self.shm, self.base) };
        if gave != 0 {
            failed("shmem_shared_close", gave.into());
        }
        (self.shm, self.base) = (null_mut(), null_mut());
    }

    fn unlink(&mut self, name: &str) {
        // SAFETY: a C string.
        let gave = unsafe { (api().shmem_shared_unlink)(c_name(name).as_ptr()) };
        if gave != 0 {
            failed("shmem_shared_unlink", gave.into());
        }
    }

    fn name() -> &'static str {
        "channel"
    }

    fn last_error(&self) -> String {
        last_error()
    }
}

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
            unsafe { (api().shmem_int_timedopen)(write.as_ptr(), read.as_ptr(), self.shm.as_mut_ptr(), &conf(shape), &LIMIT) };
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
    Channel::new(shape::<V>(polling, batch), Own { shm: null_mut(), base: null_mut() })
}

pub(crate) fn echoing<const V: usize>(polling: bool) -> Channel<Own, V> {
    let mut channel = own(polling, None);
    channel.echoes_in_place = true;
    channel
}

pub(crate) fn wire<const V: usize>(polling: bool, batch: Option<usize>) -> Channel<Wire, V> {
    Channel::new(shape::<V>(polling, batch), Wire { shm: MaybeUninit::uninit() })
}
