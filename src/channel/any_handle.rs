//! A handle of either layout.

use super::handle::ChannelHandle;
use super::native::Native;
use super::wire::Wire;
use crate::error::{Error, Result};
use crate::layout::sample::Raw;

/// See the module's description.
#[derive(Clone, Copy)]
pub(crate) enum AnyHandle {
    Native(&'static ChannelHandle<Native>),
    Wire(&'static ChannelHandle<Wire>),
}

/// Evaluates one expression for a handle of either layout.
macro_rules! each {
    ($any:expr, $handle:ident => $work:expr) => {
        match $any {
            AnyHandle::Native($handle) => $work,
            AnyHandle::Wire($handle) => $work,
        }
    };
}
pub(super) use each;

impl AnyHandle {
    /// The channel whose region contains `address`.
    #[inline(always)]
    pub(crate) fn find(address: usize) -> Result<AnyHandle> {
        match ChannelHandle::<Native>::find(address) {
            Some(handle) => Ok(AnyHandle::Native(handle)),
            None => AnyHandle::find_wire(address),
        }
    }

    #[cold]
    fn find_wire(address: usize) -> Result<AnyHandle> {
        let handle = ChannelHandle::<Wire>::find(address);
        handle.map(AnyHandle::Wire).ok_or_else(|| {
            Error::invalid(if address == 0 {
                "the sample is a null pointer"
            } else {
                "not a sample of any channel that this process has open"
            })
        })
    }

    #[inline(always)]
    pub(crate) fn put(self, address: usize) -> Result<u32> {
        each!(self, handle => handle.put(address))
    }

    #[inline(always)]
    pub(crate) fn put_many(self, next: impl FnMut(usize) -> Option<usize>) -> usize {
        each!(self, handle => handle.put_many(next))
    }

    pub(crate) fn get(self, address: usize) -> Result<u32> {
        each!(self, handle => handle.get(address))
    }

    pub(crate) fn live(self, address: usize) -> Result<Raw> {
        each!(self, handle => handle.live(address))
    }

    pub(crate) fn look_at<R>(self, address: usize, look: impl FnOnce(&Raw) -> Result<R>) -> Result<R> {
        each!(self, handle => handle.look_at(address, look))
    }
}

impl std::fmt::Debug for AnyHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        each!(self, handle => write!(f, "ChannelHandle({:p})", std::ptr::from_ref(*handle)))
    }
}
