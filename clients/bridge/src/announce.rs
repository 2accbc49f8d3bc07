//! The signals of what is published, which a queryable beside the key tells to who asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use villas_shm_node::log::log;
use villas_shm_node::signals::{MAX_SIGNALS, Signal, SignalType, Signals};
use zenoh::bytes::Encoding;
use zenoh::query::{Querier, Query, Queryable};
use zenoh::sample::Locality;
use zenoh::{Session, Wait};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The longest answer.
const MOST_BYTES: usize = 32 << 20;

/// One signal in an answer.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    unit: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The key at which the signals of another key are told.
pub(crate) fn key(of: &str) -> String {
    format!("{of}/@signals")
}

/// What is told; `None`: nothing is known yet, and questions are not answered.
pub(crate) type Announcement = Arc<Mutex<Option<String>>>;

/// The signals as they are told.
pub(crate) fn to_json(signals: &Signals) -> String {
    let entry =
        |signal: &Signal| Entry { name: signal.name().into(), unit: signal.unit().into(), kind: signal.kind().to_string() };
    let entries: Vec<Entry> = signals.filled_from(&[]).iter().map(entry).collect();
    serde_json::to_string(&entries).unwrap_or_default()
}

/// Reads signals as they are told.
pub(crate) fn from_json(text: &[u8]) -> Result<Signals, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("they have {} bytes, and may have at most {MOST_BYTES}", text.len()));
    }
    let entries: Vec<Entry> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if entries.len() > MAX_SIGNALS {
        return Err(format!("there are {}, but a sample has room for {MAX_SIGNALS}", entries.len()));
    }
    use SignalType::{Boolean, Complex, Float, Integer};
    let signal = |entry: Entry| {
        let kind = [Float, Integer, Boolean, Complex].into_iter().find(|kind| kind.to_string() == entry.kind);
        let kind = kind.ok_or_else(|| format!("\"{}\" is not a type of signals", entry.kind))?;
        Ok(Signal::new(entry.name, entry.unit, kind))
    };
    entries.into_iter().map(signal).collect::<Result<_, String>>().map(Signals::new)
}

/// Answers questions until it is dropped.
pub(crate) fn answer(session: &Session, publish: &str, announcement: &Announcement) -> Result<Queryable<()>, String> {
    let announcement = Arc::clone(announcement);
    let reply = move |query: Query| {
        let text = announcement.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(text) = text else { return };
        let key = query.key_expr().clone();
        if let Err(error) = query.reply(key, text).encoding(Encoding::APPLICATION_JSON).wait() {
            log!(Debug, "a question for the signals cannot be answered: {error}");
        }
    };
    let queryable = session.declare_queryable(key(publish)).allowed_origin(Locality::Remote).callback(reply);
    queryable.wait().map_err(|error| format!("cannot answer at \"{}\": {error}", key(publish)))
}

/// Where to ask for the signals of what is published under a key.
pub(crate) fn questions(session: &Session, subscribe: &str) -> Result<Querier<'static>, String> {
    let key = key(subscribe);
    let querier = session.declare_querier(key.clone()).timeout(TIMEOUT).allowed_destination(Locality::Remote);
    querier.wait().map_err(|error| format!("cannot ask at \"{key}\": {error}"))
}

/// Asks once; `told` is called with each answer, which may be none.
pub(crate) fn ask(questions: &Querier<'_>, told: impl Fn(Result<Signals, String>) + Send + Sync + 'static) -> Result<(), String> {
    let reply = move |reply: zenoh::query::Reply| {
        if let Ok(sample) = reply.result() {
            told(from_json(&sample.payload().to_bytes()));
        }
    };
    let get = questions.get().callback(reply).wait();
    get.map_err(|error| format!("cannot ask at \"{}\": {error}", questions.key_expr()))
}

/// What contradicts between the signals of the channel and those that the other side publishes.
pub(crate) fn contradiction(ours: &Signals, theirs: &Signals) -> Option<String> {
    if ours.is_empty() || theirs.is_empty() {
        return None;
    }
    if ours.len() != theirs.len() {
        return Some(format!(
            "the channel has {} signals, the other side publishes {}; only values of the channel's types are forwarded",
            ours.len(),
            theirs.len()
        ));
    }
    let index = (0..ours.len()).find(|&index| ours.kind(index) != theirs.kind(index))?;
    Some(format!(
        "signal {index} is \"{}\" of the type {} in the channel, and \"{}\" of the type {} on the other side",
        ours.name(index),
        ours.kind(index),
        theirs.name(index),
        theirs.kind(index)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_come_back_as_they_were_told() {
        let signals = Signals::new(vec![Signal::new("u_a", "V", SignalType::Float), Signal::new("on", "", SignalType::Boolean)]);
        let text = to_json(&signals);
        assert_eq!(text, r#"[{"name":"u_a","unit":"V","type":"float"},{"name":"on","unit":"","type":"boolean"}]"#);
        assert_eq!(from_json(text.as_bytes()), Ok(signals));
        assert_eq!(to_json(&"ic".parse().unwrap()).matches("signal1").count(), 1);
        assert_eq!(from_json(b"[]"), Ok(Signals::default()));
    }

    #[test]
    fn what_is_no_list_of_signals_is_refused() {
        for text in ["", "{}", "[1]", r#"[{"name":"u"}]"#, r#"[{"name":"u","unit":"","type":"double"}]"#] {
            assert!(from_json(text.as_bytes()).is_err(), "{text}");
        }
        let many = format!("[{}]", vec![r#"{"name":"","unit":"","type":"float"}"#; MAX_SIGNALS + 1].join(","));
        assert!(from_json(many.as_bytes()).unwrap_err().contains("65537"));
    }

    #[test]
    fn other_numbers_and_types_contradict_and_nothing_stated_does_not() {
        let signals = |text: &str| text.parse::<Signals>().unwrap();
        let contradict = |ours, theirs| contradiction(&signals(ours), &signals(theirs));
        assert_eq!(contradict("2fi", "2fi").or(contradict("", "i")).or(contradict("i", "")), None);
        assert!(contradict("2f", "3f").unwrap().contains("has 2 signals, the other side publishes 3"));
        assert!(contradict("2f", "fi").unwrap().contains("signal 1"));
    }
}
