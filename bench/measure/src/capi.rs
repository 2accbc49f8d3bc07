//! The library's channel through the C interface: what a C program does for each sample.

use crate::channel::{FLAGS, Shape};
use crate::contender::{Transport, fill, sum};
use crate::functions::{Conf, Functions, Sample};
use crate::rig::{Side, fail};
use std::ffi::{CString, c_int, c_uint, c_void};
use std::ptr::null_mut;

/// The most samples in one call.
const MOST: usize = 64;

/// The library's configuration of a channel of this shape.
#[must_use]
pub fn conf(shape: &Shape) -> Conf {
    Conf {
        polling: shape.polling.into(),
        queuelen: shape.queuelen() as c_int,
        samplelen: shape.values as c_int,
        size: size_of::<Conf>(),
        spare: shape.spare() as c_int,
        ..Conf::default()
    }
}

/// A program's calls, which both layouts of a channel have. The samples are arrays, as in C.
pub trait Calls {
    /// Allocates up to as many samples as the array has; returns how many.
    fn alloc(&mut self, samples: &mut [*mut Sample]) -> c_int;
    /// Writes as many samples as there is room for; returns how many.
    fn write(&mut self, samples: &mut [*mut Sample]) -> c_int;
    /// Reads as many samples as there are; returns how many.
    fn read(&mut self, samples: &mut [*mut Sample]) -> c_int;
    /// Puts a sample that was read; returns 0.
    fn put(&mut self, sample: &*mut Sample) -> c_int;
    /// Puts samples that were read; returns how many.
    fn put_many(&mut self, samples: &mut [*mut Sample]) -> c_int;
    /// As for [`crate::contender::Contender::open`].
    ///
    /// # Errors
    /// A sentence for people.
    fn open(&mut self, shape: &Shape, side: Side, name: &str) -> Result<(), String>;
    /// As for [`crate::contender::Contender::close`].
    fn close(&mut self);
    /// As for [`crate::contender::Contender::unlink`].
    fn unlink(&mut self, _name: &str) {}
    /// For people.
    fn name() -> &'static str;
    /// The library's message about a failure.
    fn last_error(&self) -> String;
}

/// Ends the run with the library's message.
#[cold]
pub fn failed(call: &str, gave: i64, why: &str) -> ! {
    let error = std::io::Error::last_os_error();
    fail(&format!("{call} gave {gave}: {error}: {why}"))
}

/// The time limit of an open.
pub const LIMIT: libc::timespec = libc::timespec { tv_sec: 10, tv_nsec: 0 };

/// The library's own layout: one region.
pub struct Own {
    functions: &'static Functions,
    shm: *mut c_void,
    base: *mut c_void,
}

impl Own {
    /// A closed channel.
    #[must_use]
    pub fn new(functions: &'static Functions) -> Own {
        Own { functions, shm: null_mut(), base: null_mut() }
    }
}

/// A name for C.
///
/// # Panics
/// It has a zero byte.
#[must_use]
pub fn c_name(name: &str) -> CString {
    CString::new(name).expect("a name without zero bytes")
}

impl Calls for Own {
    #[inline(always)]
    fn alloc(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: the pool is the first member of an open channel; the array is as long as is said.
        unsafe { (self.functions.sample_alloc)(self.shm, samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    #[inline(always)]
    fn write(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: an open channel; the array is as long as is said.
        unsafe { (self.functions.shmem_shared_write)(self.shm, samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    #[inline(always)]
    fn read(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: as above.
        unsafe { (self.functions.shmem_shared_read)(self.shm, samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    #[inline(always)]
    fn put(&mut self, sample: &*mut Sample) -> c_int {
        // SAFETY: a sample that was read and not yet put.
        unsafe { (self.functions.sample_put)(*sample) }
    }

    #[inline(always)]
    fn put_many(&mut self, samples: &mut [*mut Sample]) -> c_int {
        // SAFETY: samples that were read and not yet put.
        unsafe { (self.functions.sample_put_many)(samples.as_mut_ptr(), samples.len() as c_uint) }
    }

    fn open(&mut self, shape: &Shape, side: Side, name: &str) -> Result<(), String> {
        let text = c_name(name);
        // SAFETY: C strings and structs that live through the calls.
        let is_open = unsafe {
            match side {
                Side::Node => {
                    self.shm = (self.functions.shmem_shared_create)(text.as_ptr(), &conf(shape));
                    !self.shm.is_null() && (self.functions.shmem_shared_wait)(self.shm, &LIMIT) == 0
                }
                Side::Program => {
                    self.shm = (self.functions.shmem_shared_timed_open)(text.as_ptr(), &mut self.base, &LIMIT);
                    !self.shm.is_null()
                }
            }
        };
        is_open.then_some(()).ok_or_else(|| format!("cannot open the channel {name}: {}", self.last_error()))
    }

    fn close(&mut self) {
        // SAFETY: an open channel, which is not used again.
        let gave = unsafe { (self.functions.shmem_shared_close)(self.shm, self.base) };
        if gave != 0 {
            failed("shmem_shared_close", gave.into(), &self.last_error());
        }
        (self.shm, self.base) = (null_mut(), null_mut());
    }

    fn unlink(&mut self, name: &str) {
        // SAFETY: a C string.
        let gave = unsafe { (self.functions.shmem_shared_unlink)(c_name(name).as_ptr()) };
        if gave != 0 {
            failed("shmem_shared_unlink", gave.into(), &self.last_error());
        }
    }

    fn name() -> &'static str {
        "channel"
    }

    fn last_error(&self) -> String {
        self.functions.last_error()
    }
}

/// A channel of samples with `V` values, as one process sees it; 0: with as many values as the
/// shape has.
pub struct Channel<C, const V: usize> {
    shape: Shape,
    calls: C,
    /// The program sends back the received sample itself.
    pub echoes_in_place: bool,
}

impl<C, const V: usize> Channel<C, V> {
    /// A closed channel.
    ///
    /// # Panics
    /// If `V` is not 0 and the shape has another number of values.
    pub fn new(shape: Shape, calls: C) -> Self {
        assert!(V == 0 || V == shape.values, "{V} values, and {} in the shape", shape.values);
        Channel { shape, calls, echoes_in_place: false }
    }

    /// The number of values, known to the compiler if `V` is not 0.
    #[inline(always)]
    fn values(&self) -> usize {
        if V == 0 { self.shape.values } else { V }
    }
}

impl<C: Calls, const V: usize> Channel<C, V> {
    #[cold]
    fn failed(&self, call: &str, gave: c_int) -> ! {
        failed(call, gave.into(), &self.calls.last_error())
    }

    #[inline(always)]
    fn write_all(&mut self, mut samples: &mut [*mut Sample]) {
        while !samples.is_empty() {
            let taken = self.calls.write(samples);
            if taken < 0 {
                self.failed("write", taken);
            }
            samples = &mut samples[taken as usize..];
        }
    }

    /// Reads samples from number `first` on, checks them and adds them up.
    #[inline(always)]
    fn read(&mut self, first: u64, samples: &mut [*mut Sample]) -> (usize, u64) {
        // 0: no sample within 100 ms; the rig's alarm ends this.
        let taken = loop {
            match self.calls.read(samples) {
                0 => {}
                taken if taken > 0 => break taken as usize,
                failure => self.failed("read", failure),
            }
        };
        let mut total = 0u64;
        for (number, &sample) in (first..).zip(&samples[..taken]) {
            // SAFETY: a sample that was read and not yet put, of at least as many values as it has.
            let (sequence, length) = unsafe { ((*sample).sequence, (*sample).length as usize) };
            if sequence != number || length != self.values() {
                fail(&format!("sample {sequence} with {length} values came where {number} was due"));
            }
            // SAFETY: as above.
            total = total.wrapping_add(unsafe { sum(Sample::data(sample), self.values()) });
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
        self.values() as u64
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
        let (mut number, end, values) = (first, first + count as u64, self.values());
        while number < end {
            let want = MOST.min((end - number) as usize);
            let got = self.calls.alloc(&mut samples[..want]);
            if got < 0 {
                self.failed("alloc", got);
            }
            let got = got as usize;
            for &sample in &samples[..got] {
                // SAFETY: a sample that was allocated and not yet written, with room for the
                // values.
                unsafe {
                    (*sample).sequence = number;
                    (*sample).flags = FLAGS.bits();
                    (*sample).origin = libc::timespec { tv_sec: number as i64, tv_nsec: 0 };
                    (*sample).length = values as c_uint;
                    fill(Sample::data(sample), values, number);
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
        let put = if most == 1 { 1 + self.calls.put(&samples[0]) } else { self.calls.put_many(&mut samples[..taken]) };
        if put != taken as c_int {
            self.failed("put", put);
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
