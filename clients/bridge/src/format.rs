//! Samples as the bytes of a message, and back.

use std::borrow::Cow;

use villas_shm::{Error, Flags, Sample, Timespec};
use villas_shm_node::json;
use villas_shm_node::losses::Losses;
use villas_shm_node::record::{Record, Time};
use villas_shm_node::sample::take;
use villas_shm_node::signals::Signals;
use zenoh::bytes::Encoding;

use crate::batch::{Batch, Fault};
use crate::cli::Format;
use crate::protobuf;

impl Format {
    /// What says so in a message.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            Self::Protobuf => Encoding::APPLICATION_PROTOBUF,
            Self::Json => Encoding::APPLICATION_JSON,
        }
    }

    /// A message that names no encoding, as those that come from MQTT, is JSON if it begins so.
    fn of(encoding: &Encoding, bytes: &[u8]) -> Option<Self> {
        if *encoding == Encoding::default() {
            return Some(if bytes.first() == Some(&b'{') { Self::Json } else { Self::Protobuf });
        }
        [Self::Protobuf, Self::Json].into_iter().find(|format| format.encoding() == *encoding)
    }
}

/// Makes bytes of samples.
pub(crate) struct Encoder {
    format: Format,
    signals: Signals,
    /// The header of a sample without flags is valid.
    as_it_stands: bool,
    record: Record,
    losses: Losses,
}

impl Encoder {
    pub(crate) fn new(format: Format, signals: Signals, as_it_stands: bool) -> Self {
        Self { format, signals, as_it_stands, record: Record::default(), losses: Losses::default() }
    }

    /// Appends the bytes of a sample; those of several one behind the other are a message.
    pub(crate) fn encode(&mut self, sample: &Sample, message: &mut Vec<u8>) {
        take(sample, Time::default(), self.as_it_stands, &mut self.record);
        let received = sample.received();
        let is_received = sample.flags().contains(Flags::HAS_TS_RECEIVED);
        self.record.received = is_received.then(|| Time::carried(received.sec, received.nsec));
        match self.format {
            Format::Protobuf => protobuf::encode(&self.record, &self.signals, message),
            Format::Json => json::print(&self.record, &self.signals, &mut self.losses, message),
        }
    }

    /// What the format could not hold, a sentence each.
    pub(crate) fn losses(&self) -> Vec<String> {
        self.losses.sentences()
    }
}

/// Reads a message into `batch`, by what it says of its encoding.
pub(crate) fn decode(encoding: &Encoding, bytes: &[u8], signals: &mut Signals, batch: &mut Batch) -> Result<(), BadMessage> {
    match Format::of(encoding, bytes) {
        Some(Format::Protobuf) => protobuf::decode(bytes, signals, batch).map_err(BadMessage::Garbage),
        Some(Format::Json) => {
            for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
                let read = |record: &mut Record, limit| match json::parse(line, signals, false, limit, record) {
                    Ok(_) => Ok(None),
                    Err(what) => Ok(Some(Fault::Line(what))),
                };
                batch.add(read).map_err(BadMessage::Garbage)?;
            }
            Ok(())
        }
        None => Err(BadMessage::Encoding(encoding.to_string())),
    }
}

/// Why nothing of a message is forwarded.
#[derive(Debug)]
pub(crate) enum BadMessage {
    /// It is no message of its encoding.
    Garbage(String),
    /// Its encoding is not known here.
    Encoding(String),
    /// It has too many bytes.
    Size(usize),
    /// It is a deletion.
    Deletion,
    /// Its attachment is not a bridge's.
    Attachment(String),
}

impl BadMessage {
    /// Its key in the statistics.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Garbage(_) => "garbage",
            Self::Encoding(_) => "encoding",
            Self::Size(_) => "size",
            Self::Deletion => "deletion",
            Self::Attachment(_) => "attachment",
        }
    }

    /// What is wrong, and what to do.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Garbage(what) | Self::Attachment(what) => what.into(),
            Self::Encoding(encoding) => {
                format!("its encoding is \"{encoding}\", and must be application/protobuf or application/json").into()
            }
            Self::Size(size) => format!("it has {size} bytes, and may have at most {MOST_BYTES}").into(),
            Self::Deletion => "it deletes the key, which means nothing here".into(),
        }
    }
}

/// A message may have no more bytes.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// Fills a sample of the channel.
pub(crate) fn fill(sample: &mut Sample, record: &Record, is_redelivered: bool) -> Result<(), Error> {
    let mut flags = Flags::HAS_DATA;
    let timespec = |time: Time| Timespec { sec: time.sec, nsec: time.nsec.into() };
    if let Some(origin) = record.origin {
        sample.set_origin(timespec(origin));
        flags |= Flags::HAS_TS_ORIGIN;
    }
    if let Some(received) = record.received {
        sample.set_received(timespec(received));
        flags |= Flags::HAS_TS_RECEIVED;
    }
    if let Some(sequence) = record.sequence {
        sample.set_sequence(sequence);
        flags |= Flags::HAS_SEQUENCE;
    }
    if record.new_frame {
        flags |= Flags::NEW_FRAME;
    }
    if is_redelivered {
        flags |= Flags::REDELIVERED;
    }
    sample.set_flags(flags);
    sample.set_len(record.values.len())?;
    for (index, &bits) in record.values.iter().enumerate() {
        sample.set_bits(index, bits);
    }
    Ok(())
}
