//! The ways that samples can go. Each has an end in this process and one in another.

use std::error::Error;
use std::net::UdpSocket;
use std::time::Duration;

use villas_shm::{Channel, Flags, Sample, Timespec};
use zenoh::Wait;
use zenoh::bytes::Encoding;
use zenoh::handlers::FifoChannelHandler;
use zenoh::pubsub::{Publisher, Subscriber};
use zenoh::qos::CongestionControl;

use crate::payload::{self, VALUES};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// For what must come; longer than a turn of all others.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// From channel to channel, by two bridges.
    Bridge,
    /// A program with Zenoh and prost: each sample is written into a message and read out of it.
    Zenoh,
    /// Zenoh, with bytes that are always the same and that nobody reads.
    Bytes,
    /// A UDP socket, with such bytes.
    Udp,
}

impl Way {
    pub(crate) const ALL: [Way; 4] = [Way::Bridge, Way::Zenoh, Way::Bytes, Way::Udp];

    pub(crate) fn description(self) -> &'static str {
        match self {
            Way::Bridge => "channel, two bridges, channel",
            Way::Zenoh => "bare Zenoh program",
            Way::Bytes => "bare Zenoh, bytes alone",
            Way::Udp => "bare UDP socket, bytes alone",
        }
    }
}

/// Which end of which way.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) way: Way,
    pub(crate) is_near: bool,
    /// Samples in a message.
    pub(crate) batch: usize,
    /// The channel's region.
    pub(crate) region: String,
    /// The near end's port.
    pub(crate) near: u16,
    /// The far end's port.
    pub(crate) far: u16,
}

impl Place {
    /// As arguments of a program, and back.
    pub(crate) fn to_arguments(&self) -> [String; 6] {
        [
            format!("{:?}", self.way),
            self.is_near.to_string(),
            self.batch.to_string(),
            self.region.clone(),
            self.near.to_string(),
            self.far.to_string(),
        ]
    }

    pub(crate) fn from_arguments(arguments: &[String]) -> Result<Place> {
        let [way, is_near, batch, region, near, far] = arguments else { return Err("six arguments make a place".into()) };
        Ok(Place {
            way: Way::ALL.into_iter().find(|known| format!("{known:?}") == *way).ok_or("no such way")?,
            is_near: is_near.parse()?,
            batch: batch.parse()?,
            region: region.clone(),
            near: near.parse()?,
            far: far.parse()?,
        })
    }

    pub(crate) fn open(&self) -> Result<Box<dyn End>> {
        let bytes = payload::encode(0, self.batch);
        Ok(match self.way {
            Way::Bridge => Box::new(ChannelEnd {
                channel: Channel::timed_open(&self.region, Some(DEADLINE))?,
                outgoing: Vec::new(),
                incoming: Vec::new(),
                batch: self.batch,
                sequence: 0,
            }),
            Way::Zenoh => Box::new(ZenohEnd::open(self, None)?),
            Way::Bytes => Box::new(ZenohEnd::open(self, Some(bytes))?),
            Way::Udp => {
                let (own, other) = if self.is_near { (self.near, self.far) } else { (self.far, self.near) };
                let socket = UdpSocket::bind(("127.0.0.1", own))?;
                socket.set_read_timeout(Some(DEADLINE))?;
                socket.connect(("127.0.0.1", other))?;
                Box::new(UdpEnd { socket, bytes, room: vec![0; 65536], batch: self.batch })
            }
        })
    }
}

/// One end of a way.
pub(crate) trait End {
    /// Sends a message of a batch of samples.
    fn send(&mut self) -> Result<()>;

    /// Waits for samples: how many.
    fn receive(&mut self) -> Result<usize>;
}

struct ChannelEnd {
    channel: Channel,
    outgoing: Vec<Sample>,
    incoming: Vec<Sample>,
    batch: usize,
    sequence: u64,
}

impl End for ChannelEnd {
    fn send(&mut self) -> Result<()> {
        while self.outgoing.len() < self.batch {
            let most = self.batch - self.outgoing.len();
            self.channel.timed_alloc(&mut self.outgoing, most, Some(DEADLINE))?;
        }
        for sample in &mut self.outgoing {
            let sequence = self.sequence;
            self.sequence += 1;
            let values: [f64; VALUES] = std::array::from_fn(|index| payload::value(sequence, index));
            sample.write_values(&values)?;
            sample.set_sequence(sequence);
            sample.set_origin(Timespec { sec: payload::SECONDS, nsec: payload::nanoseconds(sequence).into() });
            sample.set_flags(Flags::HAS_DATA | Flags::HAS_SEQUENCE | Flags::HAS_TS_ORIGIN);
        }
        while !self.outgoing.is_empty() {
            self.channel.timed_write(&mut self.outgoing, Some(DEADLINE))?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<usize> {
        let count = self.channel.timed_read(&mut self.incoming, 256, Some(DEADLINE))?;
        for sample in &self.incoming {
            let mut values = [0.0; VALUES];
            sample.read_values(&mut values);
            assert!((0..VALUES).all(|index| values[index] == payload::value(sample.sequence(), index)), "a sample was changed");
        }
        self.incoming.clear();
        Ok(count)
    }
}

struct ZenohEnd {
    _session: zenoh::Session,
    publisher: Publisher<'static>,
    subscriber: Subscriber<FifoChannelHandler<zenoh::sample::Sample>>,
    batch: usize,
    sequence: u64,
    /// What is sent, unless it is to be made of samples each time.
    bytes: Option<Vec<u8>>,
}

impl ZenohEnd {
    fn open(place: &Place, bytes: Option<Vec<u8>>) -> Result<ZenohEnd> {
        let endpoint = format!("\"tcp/127.0.0.1:{}\"", place.near);
        let (listen, connect) = if place.is_near { (&*endpoint, "") } else { ("", &*endpoint) };
        let config = format!(
            "{{mode: \"peer\", listen: {{endpoints: [{listen}]}}, connect: {{endpoints: [{connect}]}}, \
             scouting: {{multicast: {{enabled: false}}}}}}"
        );
        let session = zenoh::open(zenoh::Config::from_json5(&config)?).wait()?;
        let [publish, subscribe] = if place.is_near { ["bench/up", "bench/down"] } else { ["bench/down", "bench/up"] };
        let subscriber = session.declare_subscriber(subscribe).wait()?;
        let publisher = session
            .declare_publisher(publish)
            .congestion_control(CongestionControl::Block)
            .encoding(Encoding::APPLICATION_PROTOBUF)
            .wait()?;
        Ok(ZenohEnd { _session: session, publisher, subscriber, batch: place.batch, sequence: 0, bytes })
    }
}

impl End for ZenohEnd {
    fn send(&mut self) -> Result<()> {
        let bytes = match &self.bytes {
            Some(bytes) => bytes.clone(),
            None => {
                self.sequence += self.batch as u64;
                payload::encode(self.sequence, self.batch)
            }
        };
        self.publisher.put(bytes).wait()
    }

    fn receive(&mut self) -> Result<usize> {
        let sample = self.subscriber.recv_timeout(DEADLINE)?.ok_or("nothing arrives")?;
        let bytes = sample.payload().to_bytes();
        match self.bytes {
            Some(_) => Ok(self.batch),
            None => Ok(payload::decode(&bytes)),
        }
    }
}

struct UdpEnd {
    socket: UdpSocket,
    bytes: Vec<u8>,
    room: Vec<u8>,
    batch: usize,
}

impl End for UdpEnd {
    fn send(&mut self) -> Result<()> {
        // The other end may not be there yet.
        match self.socket.send(&self.bytes) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionRefused => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn receive(&mut self) -> Result<usize> {
        while let Err(error) = self.socket.recv(&mut self.room) {
            if error.kind() != std::io::ErrorKind::ConnectionRefused {
                return Err(error.into());
            }
        }
        Ok(self.batch)
    }
}
