//! The Rust interface of samples.

use crate::channel::any_handle::AnyHandle;
use crate::error::{Error, Result};
use crate::layout::sample::{Header, Raw};
use crate::protocol::atomics::Shared64;
use crate::protocol::flags::Flags;
use crate::sys::clock::Timespec;

/// A reference to a sample in shared memory. Cloning adds a reference to the same sample; dropping
/// gives it back.
///
/// Any holder of a sample may change it. So may another process, at any time, if it is broken or
/// hostile. Therefore values are copied in and out, and there is no slice of them.
///
/// ```
/// use villas_shm::{Channel, Config, Flags, Timespec};
/// # let name = format!("villas-doc-sample-{}", std::process::id());
/// let node = Channel::create(&name, &Config::new().samplelen(8))?;
/// # Channel::unlink(&name)?;
/// let mut sample = node.alloc()?;
/// assert_eq!((sample.len(), sample.capacity()), (0, 8));
/// sample.write_values(&[230.1, 229.8, 230.4])?;
/// sample.set_origin(Timespec { sec: 1_700_000_000, nsec: 0 });
/// sample.set_flags(Flags::HAS_DATA | Flags::HAS_TS_ORIGIN);
/// assert!(sample.write_values(&[0.0; 9]).is_err());
/// let mut values = [0.0; 8];
/// assert_eq!(sample.read_values(&mut values), 3);
/// assert_eq!(values[1], 229.8);
/// # Ok::<(), villas_shm::Error>(())
/// ```
pub struct Sample {
    holder: AnyHandle,
    raw: Raw,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sample").field("sequence", &self.sequence()).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Sample {
    pub(crate) fn new(holder: AnyHandle, raw: Raw) -> Sample {
        Sample { holder, raw }
    }

    /// The address, by which the library identifies the sample.
    pub(crate) fn address(&self) -> usize {
        self.raw.address() as usize
    }

    /// Gives the reference away without putting it.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }

    #[inline(always)]
    fn header(&self) -> &Header {
        self.raw.header()
    }

    /// The sequence number.
    pub fn sequence(&self) -> u64 {
        self.header().sequence.get()
    }

    /// Sets the sequence number. Also set the flag [`Flags::HAS_SEQUENCE`].
    pub fn set_sequence(&mut self, sequence: u64) {
        self.header().sequence.set(sequence);
    }

    /// The number of values.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.raw.len() as usize
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of values that fit.
    pub fn capacity(&self) -> usize {
        self.raw.capacity() as usize
    }

    /// Sets the number of values.
    ///
    /// # Errors
    /// `InvalidInput` more than [`Sample::capacity`].
    pub fn set_len(&mut self, len: usize) -> Result<()> {
        if len > self.capacity() {
            return Err(Error::invalid(format!("{len} values do not fit into a sample of {}", self.capacity())));
        }
        self.header().length.set(len as u32);
        Ok(())
    }

    /// The flags.
    pub fn flags(&self) -> Flags {
        Flags::from_bits(self.header().flags.get() as i32)
    }

    /// Sets the flags.
    pub fn set_flags(&mut self, flags: Flags) {
        self.header().flags.set(flags.bits() as u32);
    }

    /// When the sample was made at its source.
    pub fn origin(&self) -> Timespec {
        timespec(&self.header().origin)
    }

    /// Sets when the sample was made.
    pub fn set_origin(&mut self, at: Timespec) {
        set_timespec(&self.header().origin, at);
    }

    /// When the sample was received.
    pub fn received(&self) -> Timespec {
        timespec(&self.header().received)
    }

    /// Sets when the sample was received.
    pub fn set_received(&mut self, at: Timespec) {
        set_timespec(&self.header().received, at);
    }

    /// Value `index` as a float.
    ///
    /// # Panics
    /// If `index` is not below [`Sample::capacity`].
    #[inline(always)]
    pub fn get(&self, index: usize) -> f64 {
        f64::from_bits(self.get_bits(index))
    }

    /// Sets value `index`; does not change the length.
    ///
    /// # Panics
    /// If `index` is not below [`Sample::capacity`].
    #[inline(always)]
    pub fn set(&mut self, index: usize, value: f64) {
        self.set_bits(index, value.to_bits());
    }

    /// The 8 bytes of value `index`: a float, an integer, a boolean in the lowest byte, or two
    /// floats of 4 bytes.
    ///
    /// # Panics
    /// If `index` is not below [`Sample::capacity`].
    #[inline(always)]
    pub fn get_bits(&self, index: usize) -> u64 {
        self.value(index).get()
    }

    /// Sets the 8 bytes of value `index`; does not change the length.
    ///
    /// # Panics
    /// If `index` is not below [`Sample::capacity`].
    #[inline(always)]
    pub fn set_bits(&mut self, index: usize, bits: u64) {
        self.value(index).set(bits);
    }

    #[inline(always)]
    fn value(&self, index: usize) -> &Shared64 {
        self.raw.value(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Where the values lie: [`Sample::capacity`] of 8 bytes each, 8-aligned, as long as a reference to
    /// the sample is held. For copies between them and another language's arrays.
    ///
    /// A broken or hostile peer may write them at any time, so never make a slice or a reference of
    /// it: copy by `ptr::copy_nonoverlapping`.
    pub fn as_ptr(&self) -> *mut u64 {
        self.raw.values().cast()
    }

    /// Copies out as many values as there are and as fit into `values`; returns how many.
    pub fn read_values(&self, values: &mut [f64]) -> usize {
        self.raw.read(values)
    }

    /// Copies values in and sets the length to their number.
    ///
    /// # Errors
    /// `InvalidInput` they do not fit; nothing is changed.
    pub fn write_values(&mut self, values: &[f64]) -> Result<()> {
        self.set_len(values.len())?;
        self.raw.write(values);
        Ok(())
    }

    /// Gives samples back, those of one channel together: cheaper than to drop one after the other.
    pub fn put_all(samples: &mut Vec<Sample>) {
        if samples.len() == 1 {
            return samples.clear();
        }
        let mut done = 0;
        while let Some(first) = samples.get(done) {
            let address = |at| samples.get(done + at).map(Sample::address);
            // If one cannot be put, the others still are, as if each were dropped.
            done += first.holder.put_many(address).max(1);
        }
        forget_first(samples, samples.len());
    }

    /// Copies sequence number, flags, timestamps and values from `other`.
    ///
    /// # Errors
    /// `InvalidInput` the values do not fit; nothing is changed.
    pub fn copy_from(&mut self, other: &Sample) -> Result<()> {
        self.raw.copy_from(&other.raw)
    }
}

/// Removes samples whose references are given away. All of them, as a rule: then nothing moves.
pub(super) fn forget_first(samples: &mut Vec<Sample>, count: usize) {
    if count == samples.len() {
        // SAFETY: shorter; a sample that is not dropped keeps its reference.
        unsafe { samples.set_len(0) };
    } else {
        samples.drain(..count).for_each(Sample::forget);
    }
}

fn timespec(words: &[Shared64; 2]) -> Timespec {
    Timespec { sec: words[0].get() as i64, nsec: words[1].get() as i64 }
}

fn set_timespec(words: &[Shared64; 2], at: Timespec) {
    words[0].set(at.sec as u64);
    words[1].set(at.nsec as u64);
}

impl Clone for Sample {
    fn clone(&self) -> Sample {
        let counted = self.holder.get(self.address());
        assert!(counted.is_ok(), "a sample has at most 2^31 references");
        Sample { holder: self.holder, raw: self.raw }
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = self.holder.put(self.address());
    }
}
