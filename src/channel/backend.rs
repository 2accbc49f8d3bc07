//! What an open channel is made of, whatever its layout: two parts, which a gate holds (`protocol::gate`).
//!
//! [`Liveness`] is what all threads share: the mapped memory, and what is known of the peer. [`Backend`] is what one thread at a
//! time works on: this process's ends of the two queues, and its references. The handle (`handle`) and the waiting
//! (`crate::waiting`) are written against both. Samples are named by their addresses, as programs know them.

use super::config::Config;
use super::stats::Stats;
use crate::error::{Error, Result};
use crate::layout::sample::Raw;
use crate::memory::tag::HandleKind;
use crate::protocol::gate::{Common, Idle};
use crate::waiting::{Pace, Watched};

/// Between two thorough probes.
pub(super) const THOROUGH_MICROS: u64 = 1_000_000;

/// What is known of the peer, without asking the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownPeer {
    /// There has been none.
    Never,
    /// There is this incarnation; it was alive when it was looked at last, or has not been looked at.
    Present(u64),
    /// It has closed, or was seen alive and has died.
    Gone,
}

/// The common part.
pub(crate) trait Liveness: Common + Watched + Send + Sync {
    fn pace(&self) -> &Pace;
    /// What is known of the peer.
    fn peer(&self) -> KnownPeer;
    /// Asks the kernel whether the peer is alive.
    fn probe_peer(&self) -> bool;
    /// Whether this process still holds its side.
    fn has_tenure(&self) -> bool;
    /// `ESTALE` when another process has taken this side over.
    fn check_tenure(&self) -> Result<()>;
    /// Why nothing more will come from a peer that is gone.
    fn end(&self) -> Error;
    /// Whether nobody comes after a peer that is gone.
    fn is_final(&self) -> bool;
    /// `ESTALE` when the name leads to another region by now.
    fn replaced(&self) -> Option<Error>;
    /// `ESTALE` when there has been no live peer for a second, and none can come since the name
    /// leads nowhere, or elsewhere. For calls that would have to wait; found out by probes
    /// ([`Liveness::probe_peer`]).
    fn lost(&self) -> Option<Error>;

    /// For a wait for a free block.
    fn block_hint(&self) -> Self::Hint;
    /// For a wait for another peer than there is now.
    fn peer_hint(&self) -> Self::Hint;
    /// Wakes the threads of this side. Async-signal-safe.
    fn notify_own(&self);

    /// What a close waits for before it begins.
    fn before_close(&self) {}
    /// Where the regions lie in this process: address and length; the own one first.
    fn spans(&self) -> [(usize, usize); 2];
    /// The parameters, as they are in the region.
    fn config(&self) -> Config;
}

/// The core. `None` and 0 where a reference is asked for: this process holds no sample at the address.
pub(crate) trait Backend: Idle + Sized + Send + 'static {
    type Liveness: Liveness;
    /// Tells the handles of one layout from those of another.
    const KIND: HandleKind;
    /// Whether a side has no more blocks than fit into its queue: a writer then finds no block before it finds no room, so that
    /// asking for one must tell it that the peer is gone.
    const IS_POOL_SHORT: bool = false;

    /// Receives up to `most` samples, each given to `give`. An error only when there was none before it.
    fn read(&mut self, most: usize, give: impl FnMut(usize, Raw)) -> Result<usize>;
    /// The same from a peer that is gone and will finish nothing that it has begun.
    fn read_last(&mut self, most: usize, give: impl FnMut(usize, Raw)) -> Result<usize>;
    /// Looks for a short while whether a sample comes.
    fn has_input_soon(&mut self) -> bool;
    /// For a wait for the next sample.
    fn entry_hint(&self) -> <Self::Liveness as Watched>::Hint;
    /// Sends the `count` samples whose addresses `address` gives by their place, from `sent` on, each giving up one reference. How many
    /// are sent then. `Ok`: all, or as many as there was room for.
    fn write(&mut self, sent: usize, count: usize, address: impl FnMut(usize) -> usize) -> (usize, Result<()>);
    /// Tells the peer's readers that something was written.
    fn notify_data(&mut self, liveness: &Self::Liveness);
    /// For a wait for room.
    fn room_hint(&self) -> <Self::Liveness as Watched>::Hint;
    /// Hands out up to `most` empty samples, each given to `give`; how many. Fewer: no more are free.
    fn alloc(&mut self, most: usize, give: impl FnMut(usize, Raw)) -> usize;
    /// One reference less; how many are left.
    fn put(&mut self, address: usize) -> Option<u32>;
    /// One reference less to each of the samples whose addresses `next` gives by their place, until it gives none or one that
    /// is not held here; how many. Wakes nobody: [`Backend::notify_room`] must follow.
    fn put_all(&mut self, next: impl FnMut(usize) -> Option<usize>) -> usize;
    /// One reference less for a process that no longer holds its side: stores nothing in the region.
    fn drop_reference(&mut self, address: usize) -> Option<u32>;
    /// Wakes who waits for a block, on either side.
    fn notify_room(&self);
    /// One reference more; how many there are then.
    fn get(&mut self, address: usize) -> u32;
    /// The sample, if this process holds it.
    fn live(&self, address: usize) -> Option<Raw>;
    /// The block at `address`, if it may be read though it was sent: until the turn is over.
    fn sent(&self, _address: usize) -> Option<Raw> {
        None
    }
    fn stats(&self, liveness: &Self::Liveness) -> Stats;
}
