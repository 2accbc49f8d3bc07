//! Channels of one region.
//!
//! `open` creates and finds the region, all threads share `liveness`, and one thread at a time uses
//! the protocol's [`Half`].

mod liveness;
mod open;

use super::backend::Backend;
use super::handle::{ChannelHandle, Registered};
use super::registry::Registry;
use super::stats::Stats;
use crate::error::Result;
use crate::layout::channel::ChannelView;
use crate::layout::sample::Raw;
use crate::memory::tag::HandleKind;
use crate::protocol::channel_words::ChannelWords;
use crate::protocol::half::{Half, Written};
use liveness::{NativeHint, NativeLiveness};
pub(crate) use open::{create, create_fd, open, open_fd, recreate_fd, timed_open};

/// This process's ends of the queues of a channel in one region.
pub(crate) type Native = Half<ChannelView>;

static REGISTRY: Registry<ChannelHandle<Native>> = Registry::new();

impl Registered for Native {
    #[inline(always)]
    fn registry() -> &'static Registry<ChannelHandle<Native>> {
        &REGISTRY
    }
}

impl Backend for Native {
    type Liveness = NativeLiveness;
    const KIND: HandleKind = HandleKind::Native;

    #[inline(always)]
    fn read(&mut self, most: usize, mut give: impl FnMut(usize, Raw)) -> Result<usize> {
        self.read(most, |at, _, block| give(at, block))
    }
    #[inline(always)]
    fn read_last(&mut self, most: usize, give: impl FnMut(usize, Raw)) -> Result<usize> {
        Backend::read(self, most, give)
    }
    #[inline(always)]
    fn has_input_soon(&mut self) -> bool {
        Half::has_input_soon(self)
    }
    fn entry_hint(&self) -> NativeHint {
        NativeHint::Entry(self.lookout())
    }
    #[inline(always)]
    fn write(&mut self, sent: usize, count: usize, address: impl FnMut(usize) -> usize) -> (usize, Result<()>) {
        let (sent, written) = self.write(sent, count, address);
        (sent, if sent == count || written == Written::Full { Ok(()) } else { Err(written.error()) })
    }
    #[inline(always)]
    fn notify_data(&mut self, _: &NativeLiveness) {
        Half::notify_data(self);
    }
    fn room_hint(&self) -> NativeHint {
        NativeHint::Room(self.room_lookout())
    }
    #[inline(always)]
    fn alloc(&mut self, most: usize, mut give: impl FnMut(usize, Raw)) -> usize {
        self.alloc(most, |at, _, block| give(at, block))
    }
    #[inline(always)]
    fn put(&mut self, address: usize) -> Option<u32> {
        Half::put(self, address)
    }
    #[inline(always)]
    fn put_all(&mut self, next: impl FnMut(usize) -> Option<usize>) -> usize {
        Half::put_all(self, next)
    }
    #[cold]
    fn drop_reference(&mut self, address: usize) -> Option<u32> {
        Half::drop_reference(self, address)
    }
    fn notify_room(&self) {
        Half::notify_room(self);
    }
    fn get(&mut self, address: usize) -> u32 {
        Half::get(self, address)
    }
    fn live(&self, address: usize) -> Option<Raw> {
        let (number, block) = self.words().block_at(address)?;
        self.pool().is_held(number).then_some(block)
    }
    fn stats(&self, liveness: &NativeLiveness) -> Stats {
        let view = liveness.view();
        let counters = view.counters(self.side());
        Stats {
            written: self.written(),
            read: self.taken(),
            queued_in: self.queued_in(),
            queued_out: self.queued_out(),
            redelivered: self.redelivered(),
            waits: counters.waits.get(),
            wakeups: counters.wakeups.get(),
            blocks: u64::from(view.facts().blocks()),
            blocks_free: u64::from(self.pool().free(view)),
            held: u64::from(self.pool().held()),
            held_own: u64::from(self.pool().held_own()),
            region_size: view.facts().total_size,
        }
    }
}
