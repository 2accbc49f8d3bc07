//! The two parts of an open channel of any layout, which a gate holds (`protocol::gate`).
//!
//! All threads share [`Liveness`]: the mapped memory, and what is known of the peer. One thread at
//! a time uses [`Backend`]: this process's ends of the two queues, and its references. The handle
//! (`handle`) and the waiting (`crate::waiting`) use both. Samples are identified by their
//! addresses, as programs know them.

use super::config::Config;
use super::signals::Direction;
use super::stats::Stats;
use crate::error::{Error, Result};
use crate::layout::sample::Raw;
use crate::layout::signals::SignalTable;
use crate::memory::tag::HandleKind;
use crate::protocol::gate::{Common, Idle};
use crate::readiness::Resting;
use crate::waiting::{Pace, Watched};

/// Time between two thorough probes.
pub(super) const THOROUGH_MICROS: u64 = 1_000_000;

/// What is known of the peer without asking the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownPeer {
    /// There has been no peer.
    Never,
    /// The peer is this incarnation. It was alive at the last probe, or has not been probed.
    Present(u64),
    /// The peer has closed, or was seen alive and has died.
    Gone,
}

/// The common part.
pub(crate) trait Liveness: Common + Resting + Send + Sync {
    fn pace(&self) -> &Pace;
    /// What is known of the peer.
    fn peer(&self) -> KnownPeer;
    /// Whether the peer is gone without having closed.
    fn has_peer_died(&self) -> bool;
    /// Asks the kernel whether the peer is alive.
    fn probe_peer(&self) -> bool;
    /// Whether this process still holds its side.
    fn has_tenure(&self) -> bool;
    /// `ESTALE` when another process has taken this side over.
    fn check_tenure(&self) -> Result<()>;
    /// Why nothing more will come from a peer that is gone.
    fn end(&self) -> Error;
    /// Whether no other peer can follow one that is gone.
    fn is_final(&self) -> bool;
    /// `ESTALE` if the name now leads to another region.
    fn replaced(&self) -> Option<Error>;
    /// `ESTALE` if there has been no live peer for a second and none can come, because the name
    /// leads nowhere or elsewhere. Probes find this out ([`Liveness::probe_peer`]). For calls that
    /// would have to wait.
    fn lost(&self) -> Option<Error>;

    /// For a wait for a free block.
    fn block_hint(&self) -> Self::Hint;
    /// For a wait for another peer than the present one.
    fn peer_hint(&self) -> Self::Hint;
    /// Wakes the threads of this side. Async-signal-safe.
    fn notify_own(&self);

    /// Waits for what a close needs before it begins.
    fn before_close(&self) {}
    /// Address and length of the regions in this process, its own region first.
    fn spans(&self) -> [(usize, usize); 2];
    /// The parameters stored in the region, without its signals.
    fn config(&self) -> Config;
    /// The signals that the region names.
    fn signals(&self, direction: Direction) -> &SignalTable;
}

/// The core. Where a call takes an address, `None` or 0 means that this process holds no sample
/// there.
pub(crate) trait Backend: Idle + Sized + Send + 'static {
    type Liveness: Liveness;
    /// Distinguishes the handles of this layout from those of the other.
    const KIND: HandleKind;
    /// Whether a side has no more blocks than fit into its queue. Then a writer runs out of blocks
    /// before it runs out of room, so an allocation must tell it that the peer is gone.
    const IS_POOL_SHORT: bool = false;

    /// Receives up to `most` samples, each through `give`. Returns an error only if it concerns the
    /// first one.
    fn read(&mut self, most: usize, give: impl FnMut(usize, Raw)) -> Result<usize>;
    /// As [`Backend::read`], from a peer that is gone and will finish nothing that it has begun.
    fn read_last(&mut self, most: usize, give: impl FnMut(usize, Raw)) -> Result<usize>;
    /// Looks for a sample for a short while.
    fn has_input_soon(&mut self) -> bool;
    /// For a wait for the next sample.
    fn entry_hint(&self) -> <Self::Liveness as Watched>::Hint;
    /// Sends the samples number `sent` to `count - 1`, whose addresses `address` gives; each send
    /// gives up one reference. Returns how many of the `count` are sent then. `Ok`: all, or as many
    /// as there was room for.
    fn write(&mut self, sent: usize, count: usize, address: impl FnMut(usize) -> usize) -> (usize, Result<()>);
    /// Wakes the peer's readers after a write.
    fn notify_data(&mut self, liveness: &Self::Liveness);
    /// For a wait for room.
    fn room_hint(&self) -> <Self::Liveness as Watched>::Hint;
    /// Hands out up to `most` empty samples, each through `give`; returns how many. Fewer than
    /// `most` means that no more are free.
    fn alloc(&mut self, most: usize, give: impl FnMut(usize, Raw)) -> usize;
    /// Gives up a reference; returns how many are left.
    fn put(&mut self, address: usize) -> Option<u32>;
    /// Gives up one reference to each sample whose address `next` gives, until it gives none or one
    /// that this process does not hold; returns how many. Wakes nobody: [`Backend::notify_room`]
    /// must follow.
    fn put_all(&mut self, next: impl FnMut(usize) -> Option<usize>) -> usize;
    /// Gives up a reference in a process that no longer holds its side: stores nothing in the
    /// region.
    fn drop_reference(&mut self, address: usize) -> Option<u32>;
    /// Gives back the blocks that were put and are kept for a run. Called before each wait, and when
    /// a call finds nothing.
    fn give_back(&mut self) {}
    /// Wakes the threads of both sides that wait for a block.
    fn notify_room(&self);
    /// Adds a reference; returns how many there are.
    fn get(&mut self, address: usize) -> u32;
    /// The sample, if this process holds it.
    fn live(&self, address: usize) -> Option<Raw>;
    /// The block at `address`, if this side may read it although it was sent. Valid until the turn
    /// ends.
    fn sent(&self, _address: usize) -> Option<Raw> {
        None
    }
    fn stats(&self, liveness: &Self::Liveness) -> Stats;
}
