//! iceoryx2: publish-subscribe, with an event for sleeping receivers.

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use villas_shm_measure::contender::{Transport, fill, sum};
use villas_shm_measure::rig::{Side, fail};
use villas_shm_measure::yardsticks::queue_length;

type Ipc = ipc::Service;

/// The open ports.
struct Ports<const W: usize> {
    out: Publisher<Ipc, [u64; W], ()>,
    back: Subscriber<Ipc, [u64; W], ()>,
    bell: Option<(Notifier<Ipc>, Listener<Ipc>)>,
    _node: Node<Ipc>,
}

/// Two services of messages of `W` words.
pub(crate) struct Iceoryx<const W: usize> {
    /// Each message rings an event, on which the receiver sleeps.
    sleeps: bool,
    batch: Option<usize>,
    ports: Option<Ports<W>>,
}

impl<const W: usize> Iceoryx<W> {
    pub(crate) fn new(sleeps: bool, batch: Option<usize>) -> Self {
        Iceoryx { sleeps, batch, ports: None }
    }

    #[inline(always)]
    fn ports(&self) -> &Ports<W> {
        self.ports.as_ref().unwrap_or_else(|| fail("iceoryx2 is closed"))
    }
}

fn said(what: &str, error: impl std::fmt::Debug) -> String {
    format!("iceoryx2: {what}: {error:?}")
}

/// All its objects in `/dev/shm` have this name, and are removed with it.
fn config(name: &str) -> Result<Config, String> {
    let mut config = Config::default();
    config.global.prefix = FileName::new(format!("{name}-").as_bytes()).map_err(|error| said("prefix", error))?;
    let root = Path::new(format!("/dev/shm/{name}-iceoryx2").as_bytes()).map_err(|error| said("root", error))?;
    config.global.set_root_path(&root);
    Ok(config)
}

fn open<const W: usize>(sleeps: bool, batch: Option<usize>, side: Side, name: &str) -> Result<Ports<W>, String> {
    let node = NodeBuilder::new().config(&config(name)?).signal_handling_mode(SignalHandlingMode::Disabled);
    let node = node.create::<Ipc>().map_err(|error| said("node", error))?;
    let (out, back) = if side == Side::Node { ("out", "in") } else { ("in", "out") };
    let service = |way: &str| {
        let name = way.try_into().map_err(|error| said("name", error))?;
        let builder = node.service_builder(&name).publish_subscribe::<[u64; W]>();
        let builder = builder.max_publishers(1).max_subscribers(1).history_size(0).enable_safe_overflow(false);
        let builder = builder.subscriber_max_buffer_size(queue_length(W, batch)).subscriber_max_borrowed_samples(2);
        builder.open_or_create().map_err(|error| said("service", error))
    };
    let event = |way: &str| {
        let name = way.try_into().map_err(|error| said("name", error))?;
        node.service_builder(&name).event().open_or_create().map_err(|error| said("event", error))
    };
    let publisher = service(out)?.publisher_builder().backpressure_strategy(BackpressureStrategy::RetryUntilDelivered).create();
    let bell = if sleeps {
        let notifier = event(out)?.notifier_builder().create().map_err(|error| said("notifier", error))?;
        let listener = event(back)?.listener_builder().create().map_err(|error| said("listener", error))?;
        Some((notifier, listener))
    } else {
        None
    };
    Ok(Ports {
        out: publisher.map_err(|error| said("publisher", error))?,
        back: service(back)?.subscriber_builder().create().map_err(|error| said("subscriber", error))?,
        bell,
        _node: node,
    })
}

impl<const W: usize> Transport for Iceoryx<W> {
    fn name(&self) -> String {
        format!("iceoryx2, {}", if self.sleeps { "event" } else { "polling" })
    }

    fn words(&self) -> u64 {
        W as u64
    }

    fn open(&mut self, side: Side, name: &str) -> Result<(), String> {
        self.ports = Some(open(self.sleeps, self.batch, side, name)?);
        Ok(())
    }

    fn close(&mut self) {
        self.ports = None;
    }

    #[inline(always)]
    fn send(&mut self, first: u64, count: usize) {
        let ports = self.ports();
        for number in first..first + count as u64 {
            let mut sample = ports.out.loan_uninit().unwrap_or_else(|error| fail(&said("loan", error)));
            // SAFETY: room for `W` words, which are initialised here.
            let sent = unsafe {
                fill(sample.payload_mut().as_mut_ptr().cast(), W, number);
                sample.assume_init().send()
            };
            match sent {
                Ok(1) => {}
                other => fail(&said("send", other)),
            }
            if let Some((notifier, _)) = &ports.bell {
                notifier.notify().unwrap_or_else(|error| fail(&said("notify", error)));
            }
        }
    }

    #[inline(always)]
    fn receive(&mut self, _first: u64, _most: usize) -> (usize, u64) {
        let ports = self.ports();
        loop {
            match ports.back.receive() {
                // SAFETY: an array of `W` words.
                Ok(Some(sample)) => return (1, unsafe { sum(sample.payload().as_ptr(), W) }),
                Ok(None) => {}
                Err(error) => fail(&said("receive", error)),
            }
            if let Some((_, listener)) = &ports.bell {
                listener.blocking_wait(|_| {}).unwrap_or_else(|error| fail(&said("wait", error)));
            }
        }
    }
}
