//! Why there is no connection. Zenoh says that in its log only, at the level debug.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The part of Zenoh that connects.
const SPEAKER: &str = "zenoh::net::runtime::orchestrator";

/// How what it says begins, and where its reason does.
const BEGINNING: &str = "Unable to connect";
const REASON: &str = "! ";

static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Listens to Zenoh's log.
pub(crate) fn listen() {
    if tracing::subscriber::set_global_default(Listener).is_err() {
        unreachable!("nobody else listens to the log");
    }
}

/// Why the last attempt to connect has failed.
pub(crate) fn last() -> Option<String> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Without the places in Zenoh's source, and the time of the next attempt.
fn extract(message: &str) -> Option<String> {
    let (_, reason) = message.strip_prefix(BEGINNING)?.split_once(REASON)?;
    let reason = reason.split(". Retry in").next().unwrap_or(reason);
    Some(plain(reason).to_owned())
}

/// What Zenoh says, without the place in its source.
pub(crate) fn plain(said: &str) -> &str {
    said.split(" at /").next().unwrap_or(said)
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == SPEAKER && *metadata.level() <= Level::DEBUG
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message);
    }

    // There are no spans, as none is enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Message;

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            if let Some(reason) = extract(&format!("{value:?}")) {
                *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_without_what_is_zenohs_own() {
        let said = "Unable to connect to configured peer tls/h:1! no link: BadSignature at /a/b.rs:7. Retry in 2s.";
        assert_eq!(extract(said).as_deref(), Some("no link: BadSignature"));
        assert_eq!(extract("Unable to connect to tcp/h:1! refused. Retry in 2s.").as_deref(), Some("refused"));
        assert_eq!(extract("Try to connect: tcp/h:1"), None);
    }
}
