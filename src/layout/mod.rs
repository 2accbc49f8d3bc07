//! All that is shared between processes: byte maps, and how the code reaches the words in them.
//!
//! The protocol (`protocol`) is written against traits of words, so that the model checker can run
//! it on words of its own; [`channel::ChannelView`] and [`ring::RingView`] are the real ones.

/// Loads and stores the words of a region that its facts hold under the same names. The magic
/// number, the version and words of other types are left to the caller.
macro_rules! stored {
    ($facts:ident in $raw:ident: $($field:ident),+) => {
        impl $raw {
            /// `facts` with what these words say.
            fn load(&self, facts: $facts) -> $facts {
                $facts { $($field: self.$field.get(),)+ ..facts }
            }
            fn store(&self, facts: &$facts) {
                $(self.$field.set(facts.$field);)+
            }
        }
    };
}

mod blocks;
pub(crate) mod channel;
pub(crate) mod glibc;
pub(crate) mod holder;
pub(crate) mod ring;
pub(crate) mod sample;
pub(crate) mod segment;
pub(crate) mod signals;
pub(crate) mod trailer;
pub(crate) mod wire;

use crate::error::Result;
use holder::Holder;

/// What a region holds: a view of it, by which its words are reached.
pub(crate) trait Layout: Copy {
    /// What never changes, checked and kept in private memory.
    type Facts: Copy;
    /// Names a place.
    type Place: Copy;
    /// Bytes without which the facts cannot be read.
    const LEAST: usize;
    /// Whether a place is free from the moment at which `closed` says so, or only when its lock is
    /// gone.
    const CLOSED_IS_FREE: bool;
    /// Incarnations have so many bits.
    const INCARNATION_BITS: u32;

    /// Reads and checks the facts of a region of `size` bytes.
    ///
    /// # Safety
    /// `base` is the page-aligned start of a mapping of at least `LEAST` bytes.
    unsafe fn read(base: *const u8, size: u64) -> Result<Self::Facts>;
    /// # Safety
    /// `base` is the page-aligned start of a mapping as long as the facts say, which stays for as
    /// long as the view is used.
    unsafe fn view(base: *const u8, facts: Self::Facts) -> Self;
    /// Writes the facts into a fresh region.
    fn write(&self, created: u64);
    /// Bytes of the region.
    fn size(facts: &Self::Facts) -> u64;
    fn holder(&self, place: Self::Place) -> &Holder;
    /// The incarnations of `place` lock bytes from here; nobody reaches those of the next place.
    fn first_byte(place: Self::Place) -> u64;
    /// The place, for people.
    fn describe(place: Self::Place) -> &'static str;
}
