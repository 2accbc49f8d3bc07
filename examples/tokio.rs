//! Doubles what many nodes send, and sends it back: a task for each, all in one thread, beside
//! whatever else a program does with tokio. A task survives every restart of its node.
//!
//! usage: tokio NAME...

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;
use villas_shm::{Channel, ErrorKind, Sample};

/// Between two looks for a node.
const PAUSE: Duration = Duration::from_secs(1);

/// A channel whose calls wait in tokio.
struct AsyncChannel {
    channel: Channel,
    to_read: AsyncFd<OwnedFd>,
    to_write: AsyncFd<OwnedFd>,
}

/// Readable is all that a descriptor of a channel ever becomes, also when there is room.
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is this program's own, and open until it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

impl AsyncChannel {
    fn new(channel: Channel) -> io::Result<AsyncChannel> {
        let (to_read, to_write) = (register(channel.read_fd()?)?, register(channel.write_fd()?)?);
        Ok(AsyncChannel { channel, to_read, to_write })
    }

    /// Appends up to `most` samples to `samples` as soon as there is one.
    async fn read(&self, samples: &mut Vec<Sample>, most: usize) -> io::Result<usize> {
        loop {
            let mut ready = self.to_read.readable().await?;
            match self.channel.try_read(samples, most) {
                // Only after a read that found nothing: what comes from then on wakes this task.
                Err(error) if error.is_transient() => ready.clear_ready(),
                done => return Ok(done?),
            }
        }
    }

    /// Writes all of `samples`, and removes those that were written.
    async fn write(&self, samples: &mut Vec<Sample>) -> io::Result<()> {
        while !samples.is_empty() {
            let mut ready = self.to_write.readable().await?;
            match self.channel.write(samples) {
                Err(error) if error.is_transient() => ready.clear_ready(),
                // If these were not all, the next write says that there is no room.
                done => drop(done?),
            }
        }
        Ok(())
    }
}

/// Repeats a call that does not wait until it succeeds, or fails for good.
async fn patiently<T>(mut call: impl FnMut() -> villas_shm::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.is_transient() || error.kind() == ErrorKind::NotFound => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return Ok(done?),
        }
    }
}

/// Doubles what comes. `samples` are those that are still to be sent.
async fn double(channel: &AsyncChannel, samples: &mut Vec<Sample>) -> io::Result<Infallible> {
    loop {
        channel.write(samples).await?;
        channel.read(samples, 64).await?;
        for sample in &mut *samples {
            for index in 0..sample.len() {
                sample.set(index, 2.0 * sample.get(index)); // your computation
            }
        }
    }
}

/// Serves one node after another of a region, for as long as any can come.
async fn serve_region(name: &str, channel: &AsyncChannel) -> io::Result<Infallible> {
    let mut samples = Vec::new();
    loop {
        println!("{name}: connected");
        let Err(end) = double(channel, &mut samples).await;
        if end.kind() != io::ErrorKind::BrokenPipe {
            return Err(end);
        }
        println!("{name}: the node has gone");
        patiently(|| channel.channel.wait(Some(Duration::ZERO))).await?;
    }
}

async fn serve(name: String) -> io::Result<Infallible> {
    loop {
        let channel = AsyncChannel::new(patiently(|| Channel::open(&name)).await?)?;
        let Err(end) = serve_region(&name, &channel).await;
        // The kind of `ErrorKind::Stale`.
        if end.kind() != io::ErrorKind::StaleNetworkFileHandle {
            return Err(end);
        }
        println!("{name}: the region has gone");
    }
}

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks: JoinSet<_> = std::env::args().skip(1).map(serve).collect();
        // A task ends only if it fails.
        match tasks.join_next().await {
            Some(ended) => ended?.map(|never| match never {}),
            None => Err(io::Error::other("usage: tokio NAME...")),
        }
    })
}
