//! A segment's memory: the user's bytes, which any process that has it may change at any time.

use crate::error::{Error, Result};
use crate::pod::Plain;
use crate::protocol::atomics::Shared64;

/// The memory of a segment. Values are copied in and out: a reference would promise that nobody
/// else changes them.
#[derive(Debug)]
pub(crate) struct SegmentView {
    base: *mut u8,
    size: usize,
    writable: bool,
}

// SAFETY: memory of a segment belongs to no thread.
unsafe impl Send for SegmentView {}
// SAFETY: all processes may use it at once anyhow.
unsafe impl Sync for SegmentView {}

impl SegmentView {
    /// # Safety
    /// `size` bytes from `base` on are mapped for as long as the view lives, for writing too if
    /// `writable`; nobody in this process forms a reference to them other than to the atomic words.
    pub(crate) unsafe fn new(base: *mut u8, size: usize, writable: bool) -> SegmentView {
        SegmentView { base, size, writable }
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn get<T: Plain>(&self, offset: usize) -> Result<T> {
        let from = self.place(offset, size_of::<T>(), align_of::<T>())?;
        // SAFETY: within the memory, aligned, and any bytes are a `T`. Volatile: others may change
        // them meanwhile.
        Ok(unsafe { from.cast::<T>().read_volatile() })
    }

    pub(crate) fn set<T: Plain>(&self, offset: usize, value: T) -> Result<()> {
        let to = self.writable_place(offset, size_of::<T>(), align_of::<T>())?;
        // SAFETY: as above, and writable.
        unsafe { to.cast::<T>().write_volatile(value) };
        Ok(())
    }

    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let from = self.place(offset, bytes.len(), 1)?;
        // SAFETY: within the memory, which is not the caller's. What another process changes
        // meanwhile is copied half old, half new.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let to = self.writable_place(offset, bytes.len(), 1)?;
        // SAFETY: as above, and writable.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// The word of the event at this offset.
    pub(crate) fn event(&self, offset: usize) -> Result<&Shared64> {
        let at = self.writable_place(offset, size_of::<Shared64>(), align_of::<Shared64>())?;
        // SAFETY: within the memory, and writable.
        unsafe { event(at.cast()) }
    }

    /// Where a value goes.
    fn place(&self, offset: usize, length: usize, align: usize) -> Result<*mut u8> {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(Error::invalid(format!(
                "{length} bytes at offset {offset} end behind the segment, which has {} bytes",
                self.size
            )));
        }
        let at = self.base.wrapping_add(offset);
        if at as usize % align != 0 {
            return Err(Error::invalid(format!("offset {offset} is not aligned: this type wants a multiple of {align}")));
        }
        Ok(at)
    }

    fn writable_place(&self, offset: usize, length: usize, align: usize) -> Result<*mut u8> {
        if !self.writable {
            return Err(Error::new(libc::EACCES, "this process has attached the segment for reading only"));
        }
        self.place(offset, length, align)
    }
}

/// The word of an event of the user's.
///
/// # Safety
/// `at` is null, or leads to 8 bytes that are mapped for reading and writing for as long as `'m`.
pub(crate) unsafe fn event<'m>(at: *const u64) -> Result<&'m Shared64> {
    if at.is_null() {
        return Err(Error::invalid("the event is a null pointer"));
    }
    if !at.is_aligned() {
        return Err(Error::invalid(format!("the event at {at:p} is not aligned: its address must be a multiple of 8")));
    }
    // SAFETY: mapped and aligned; the word is only used atomically.
    Ok(unsafe { &*at.cast() })
}
