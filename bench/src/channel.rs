//! The library's channel in its own and in VILLASnode's layout, through the C interface.

use crate::capi::{Conf, Int, LIMIT, Sample, api, c_name, failed, last_error};
use std::ffi::{c_int, c_uint, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use villas_shm_measure::channel::{FLAGS, Shape};
use villas_shm_measure::contender::{Transport, fill, sum};
use villas_shm_measure::rig::{Side, fail};

/// Samples in one call at most.
const MOST: usize = 64;

fn conf(shape: &Shape) -> Conf {
    Conf {
        polling: shape.polling.into(),
        queuelen: shape.queuelen() as c_int,
        samplelen: shape.values as c_int,
        size: size_of::<Conf>(),
        spare: shape.spare() as c_int,
        ..Conf::default()
    }
}

/// The three calls that carry samples; both layouts have them.
pub(crate) trait Calls {
    fn alloc(&mut self, samples: &mut [*mut Sample]) -> c_int;
    fn write(&mut self, samples: &mut [*mut Sample]) -> c_int;
    fn read(&mut self, samples: &mut [*mut Sample]) -> c_int;
    fn open(&mut self, shape: &Shape, side: Side, name: &str) -> Result<(), String>;
    fn close(&mut self);
    fn unlink(&mut self, _name: &str) {}
    fn name() -> &'static str;
}

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
}

/// A channel of samples with `V` values, as one process sees it.
pub(crate) struct Channel<C, const V: usize> {
    shape: Shape,
    calls: C,
    /// The program sends back the very sample that came.
    echoes_in_place: bool,
}

impl<const V: usize> Channel<Own, V> {
    pub(crate) fn own(polling: bool, batch: Option<usize>) -> Self {
        let calls = Own { shm: null_mut(), base: null_mut() };
        Channel { shape: Shape { values: V, polling, batch }, calls, echoes_in_place: false }
    }

    pub(crate) fn echoing(polling: bool) -> Self {
        Channel { echoes_in_place: true, ..Self::own(polling, None) }
    }
}

impl<const V: usize> Channel<Wire, V> {
    pub(crate) fn wire(polling: bool, batch: Option<usize>) -> Self {
        let calls = Wire { shm: MaybeUninit::uninit() };
        Channel { shape: Shape { values: V, polling, batch }, calls, echoes_in_place: false }
    }
}

impl<C: Calls, const V: usize> Channel<C, V> {
    #[inline(always)]
    fn write_all(&mut self, mut samples: &mut [*mut Sample]) {
        while !samples.is_empty() {
            let taken = self.calls.write(samples);
            if taken < 0 {
                failed("write", taken.into());
            }
            samples = &mut samples[taken as usize..];
        }
    }

    /// Samples from `first` on, checked and added up.
    #[inline(always)]
    fn read(&mut self, first: u64, samples: &mut [*mut Sample]) -> (usize, u64) {
        // 0: 100 ms without a sample; the rig's alarm ends this.
        let taken = loop {
            match self.calls.read(samples) {
                0 => {}
                taken if taken > 0 => break taken as usize,
                failure => failed("read", failure.into()),
            }
        };
        let mut total = 0u64;
        for (number, &sample) in (first..).zip(&samples[..taken]) {
            // SAFETY: a sample that was read and not yet put, of at least as many values as it has.
            let (sequence, length) = unsafe { ((*sample).sequence, (*sample).length as usize) };
            if sequence != number || length != V {
                fail(&format!("sample {sequence} with {length} values came where {number} was due"));
            }
            // SAFETY: as above.
            total = total.wrapping_add(unsafe { sum(Sample::data(sample), V) });
        }
        (taken, total)
    }
}

impl<C: Calls, const V: usize> Transport for Channel<C, V> {
    fn name(&self) -> String {
        let echo = if self.echoes_in_place { ", sent back as it is" } else { "" };
        format!("villas-shm {}, {}{echo}", C::name(), self.shape.mode())
    }

    fn words(&self) -> u64 {
        V as u64
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        self.calls.open(&self.shape, side, name)
    }

    fn close(&mut self) {
        self.calls.close();
    }

    fn unlink(&mut self, name: &str) {
        self.calls.unlink(name);
    }

    #[inline(always)]
    fn send(&mut self, first: u64, count: usize) {
        let mut samples = [null_mut(); MOST];
        let (mut number, end) = (first, first + count as u64);
        while number < end {
            let want = MOST.min((end - number) as usize);
            let got = self.calls.alloc(&mut samples[..want]);
            if got < 0 {
                failed("alloc", got.into());
            }
            let got = got as usize;
            for &sample in &samples[..got] {
                // SAFETY: a sample that was allocated and not yet written, with room for the values.
                unsafe {
                    (*sample).sequence = number;
                    (*sample).flags = FLAGS;
                    (*sample).origin = libc::timespec { tv_sec: number as i64, tv_nsec: 0 };
                    (*sample).length = V as c_uint;
                    fill(Sample::data(sample), V, number);
                }
                number += 1;
            }
            self.write_all(&mut samples[..got]);
        }
    }

    #[inline(always)]
    fn receive(&mut self, first: u64, most: usize) -> (usize, u64) {
        let mut samples = [null_mut(); MOST];
        let (taken, total) = self.read(first, &mut samples[..most.min(MOST)]);
        // SAFETY: samples that were read and not yet put.
        let put = unsafe {
            if most == 1 {
                1 + (api().sample_put)(samples[0])
            } else {
                (api().sample_put_many)(samples.as_mut_ptr(), taken as c_uint)
            }
        };
        if put != taken as c_int {
            failed("put", put.into());
        }
        (taken, total)
    }

    #[inline(always)]
    fn echo(&mut self, number: u64) -> u64 {
        let mut sample = [null_mut()];
        if self.echoes_in_place {
            let (_, total) = self.read(number, &mut sample);
            self.write_all(&mut sample);
            return total;
        }
        let (_, total) = self.receive(number, 1);
        self.send(number, 1);
        total
    }
}
