//! What is said of the traffic: once a second by `--stats`, in one line at the end, and of what is
//! odd whenever it is new, at most once a second.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde::Serialize;
use villas_shm_node::log::log;

use crate::cli::{Cli, Mode};
use crate::publish;
use crate::reason;
use crate::receive::{self, News};

/// All that is known at a moment; the names are the keys of `--json`.
#[derive(Serialize)]
pub(crate) struct Snapshot<'a> {
    version: u32,
    /// Seconds since 1970.
    time: f64,
    /// Seconds that the rates and latencies are of.
    interval: f64,
    is_last: bool,
    out: Outgoing<'a>,
    #[serde(rename = "in")]
    incoming: Incoming<'a>,
    latency_us: Option<Latency>,
    peers: usize,
    routers: usize,
    /// Whether a program is at the channel's other end.
    program: bool,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    key: &'a str,
    incarnation: String,
    matched: bool,
    queue: u32,
    per_second: f64,
    #[serde(flatten)]
    counts: publish::Counts,
}

#[derive(Serialize)]
struct Incoming<'a> {
    key: &'a str,
    matched: bool,
    publishers: usize,
    per_second: f64,
    #[serde(flatten)]
    counts: receive::Counts,
}

/// From publishing to arrival, in microseconds.
#[derive(Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
    messages: u64,
}

/// What the statistics are of.
pub(crate) struct Moment {
    pub(crate) out: publish::Counts,
    pub(crate) incoming: receive::Counts,
    pub(crate) news: News,
    pub(crate) is_matched: bool,
    /// Whether a bridge publishes what this one subscribes to.
    pub(crate) has_publisher: bool,
    pub(crate) connections: (usize, usize),
    pub(crate) has_program: bool,
    pub(crate) is_last: bool,
}

/// Whether others are there for a key, and what was said of it last; `None`: nothing yet.
#[derive(Default)]
struct Others {
    said: Option<bool>,
    were_missing: bool,
}

impl Others {
    /// What is to be said of them now. One that has just connected comes soon: that nobody is there is
    /// said the second time.
    fn news(&mut self, are_there: bool, is_connected: bool) -> Option<bool> {
        let are_missing = !are_there && is_connected;
        let were_missing = std::mem::replace(&mut self.were_missing, are_missing);
        let is_settled = are_there || (are_missing && were_missing);
        (is_settled && self.said.replace(are_there) != Some(are_there)).then_some(are_there)
    }
}

/// Says what is to be said.
pub(crate) struct Reporter<'a> {
    cli: &'a Cli,
    incarnation: u64,
    last: Instant,
    out: publish::Counts,
    incoming: receive::Counts,
    /// Those of the whole run.
    latencies: Option<Histogram<u64>>,
    /// What was said last; `None`: nothing yet.
    said_connected: Option<bool>,
    said_reason: Option<String>,
    subscribers: Others,
    publishers: Others,
    had_publisher: bool,
    has_silent_publisher: bool,
    said_two: bool,
    has_reader: bool,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(cli: &'a Cli, incarnation: u64) -> Self {
        Self {
            cli,
            incarnation,
            last: Instant::now(),
            out: publish::Counts::default(),
            incoming: receive::Counts::default(),
            latencies: None,
            said_connected: None,
            said_reason: None,
            subscribers: Others::default(),
            publishers: Others::default(),
            had_publisher: false,
            has_silent_publisher: false,
            said_two: false,
            has_reader: true,
        }
    }

    /// Reports a moment, and what has changed since the last one.
    pub(crate) fn report(&mut self, mut moment: Moment) {
        match (&mut self.latencies, &moment.news.latencies) {
            // Both are made alike.
            (Some(all), Some(new)) => drop(all.add(new)),
            (all, new) => *all = all.take().or_else(|| new.clone()),
        }
        if moment.is_last {
            moment.news.latencies = self.latencies.take();
        }
        if !moment.is_last {
            self.say_connected(moment.connections != (0, 0));
            self.say_others(&moment);
        }
        self.say_changes(&moment);
        if self.cli.has_stats() && self.has_reader {
            let snapshot = self.snapshot(&moment);
            let line = if self.cli.json { serde_json::to_string(&snapshot).unwrap_or_default() } else { human(&snapshot) };
            self.print(line + "\n");
        }
        if moment.is_last {
            log!(Info, "{}", summary(&moment));
        }
        self.last = Instant::now();
        (self.out, self.incoming) = (moment.out, moment.incoming);
    }

    fn print(&mut self, line: String) {
        let result = if self.cli.json {
            io::stdout().write_all(line.as_bytes()).and_then(|()| io::stdout().flush())
        } else {
            io::stderr().write_all(line.as_bytes())
        };
        if let Err(error) = result {
            self.has_reader = false;
            if error.kind() != io::ErrorKind::BrokenPipe {
                log!(Error, "cannot write the statistics: {error}");
            }
        }
    }

    fn say_connected(&mut self, is_connected: bool) {
        let reason = if is_connected { None } else { reason::last() };
        let is_known = self.said_connected.replace(is_connected) == Some(is_connected);
        if is_known && (reason.is_none() || reason == self.said_reason) {
            return;
        }
        self.said_reason.clone_from(&reason);
        let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
        let Cli { connect, listen, .. } = self.cli;
        let tries = match (connect.join(", "), listen.join(", ")) {
            (connect, listen) if !connect.is_empty() && !listen.is_empty() => format!("trying {connect}, listening at {listen}"),
            (connect, _) if !connect.is_empty() => format!("trying {connect}"),
            (_, listen) if !listen.is_empty() => format!("listening at {listen}"),
            _ => "waiting for one".into(),
        };
        match is_connected {
            true => log!(Info, "connected"),
            false => log!(Info, "no connection to another bridge or a router: {tries}{reason}"),
        }
    }

    fn say_others(&mut self, moment: &Moment) {
        let (peers, routers) = moment.connections;
        // Without a connection that has been said.
        let is_connected = (peers, routers) != (0, 0);
        let Cli { publish, subscribe, queue, .. } = self.cli;
        let is_hidden = peers == 0 && self.cli.mode != Some(Mode::Client);
        let advice = if is_hidden { "; behind a router, both sides need --mode client" } else { "" };
        match self.subscribers.news(moment.is_matched, is_connected) {
            Some(true) => log!(Info, "\"{publish}\" has a subscriber"),
            Some(false) => log!(Info, "nobody subscribes to \"{publish}\": up to {queue} samples wait in the queue{advice}"),
            None => {}
        }
        // A publisher that tells no signals is known by its messages only.
        let has_signals = std::mem::replace(&mut self.had_publisher, moment.has_publisher) || moment.has_publisher;
        self.has_silent_publisher |= !has_signals && moment.incoming.messages > self.incoming.messages;
        match self.publishers.news(moment.has_publisher || self.has_silent_publisher, is_connected) {
            Some(true) => log!(Info, "\"{subscribe}\" has a publisher"),
            Some(false) => {
                log!(Info, "no bridge publishes under \"{subscribe}\", which is to be the other side's --publish{advice}")
            }
            None => {}
        }
    }

    fn say_changes(&mut self, moment: &Moment) {
        let (out, incoming, news) = (&moment.out, &moment.incoming, &moment.news);
        let (publish, subscribe) = (&self.cli.publish, &self.cli.subscribe);
        let change = |now: u64, before: u64| (now > before).then(|| (now - before, now));
        if let Some((new, all)) = change(out.dropped, self.out.dropped) {
            log!(Warning, "the queue for \"{publish}\" is full: {} dropped, {all} in all", samples(new));
        }
        if let Some((new, all)) = change(incoming.gaps, self.incoming.gaps) {
            log!(Warning, "{} of \"{subscribe}\" did not arrive, {all} in all", samples(new));
        }
        if let Some((new, all)) = change(incoming.late, self.incoming.late) {
            log!(Warning, "{} of \"{subscribe}\" arrived twice or late and are discarded, {all} in all", samples(new));
        }
        let [dropped, bad_samples, bad_messages] = [
            |counts: &receive::Counts| counts.dropped.values().sum(),
            |counts: &receive::Counts| counts.bad_samples.values().sum(),
            |counts: &receive::Counts| counts.bad_messages.values().sum(),
        ]
        .map(|sum: fn(&receive::Counts) -> u64| change(sum(incoming), sum(&self.incoming)));
        if let Some((new, all)) = dropped {
            let who = if moment.has_program { "" } else { ", and no program is at its other end" };
            let reasons: Vec<String> = incoming.dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            log!(
                Warning,
                "the channel took no samples for too long{who}: {} dropped, {all} in all ({})",
                samples(new),
                reasons.join(", ")
            );
        }
        if let Some(problem) = &news.problem {
            let of = |change: Option<(u64, u64)>| change.unwrap_or_default().0;
            let (messages, bad) = (of(bad_messages), of(bad_samples));
            log!(Warning, "{problem} (this second: {messages} bad messages, {bad} bad samples)");
        }
        if news.has_two_publishers && !std::mem::replace(&mut self.said_two, true) {
            log!(Warning, "two publishers use the key \"{subscribe}\" at a time: their samples are mixed");
        }
    }

    fn snapshot(&self, moment: &Moment) -> Snapshot<'a> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let interval = self.last.elapsed().as_secs_f64();
        let rate = |now: u64, before: u64| ((now - before) as f64 / interval.max(1e-3) * 10.0).round() / 10.0;
        let latencies = moment.news.latencies.as_ref();
        Snapshot {
            version: 1,
            time: now.as_secs_f64(),
            interval,
            is_last: moment.is_last,
            out: Outgoing {
                key: &self.cli.publish,
                incarnation: format!("{:016x}", self.incarnation),
                matched: moment.is_matched,
                queue: self.cli.queue,
                per_second: rate(moment.out.published, self.out.published),
                counts: moment.out,
            },
            incoming: Incoming {
                key: &self.cli.subscribe,
                matched: moment.has_publisher,
                publishers: moment.news.publishing,
                per_second: rate(moment.incoming.forwarded, self.incoming.forwarded),
                counts: moment.incoming.clone(),
            },
            latency_us: latencies.map(|latencies| Latency {
                p50: latencies.value_at_quantile(0.5) as f64 / 1e3,
                p99: latencies.value_at_quantile(0.99) as f64 / 1e3,
                max: latencies.max() as f64 / 1e3,
                messages: latencies.len(),
            }),
            peers: moment.connections.0,
            routers: moment.connections.1,
            program: moment.has_program,
        }
    }
}

fn samples(count: u64) -> String {
    if count == 1 { "1 sample".into() } else { format!("{count} samples") }
}

/// A line for people.
fn human(snapshot: &Snapshot) -> String {
    let Snapshot { out, incoming, .. } = snapshot;
    let mut text = format!("out {:.0}/s, {} in all", out.per_second, out.counts.published);
    let unmatched = if out.matched { "" } else { " without a subscriber" };
    let _ = write!(text, ", queue {}/{}{unmatched}, dropped {}", out.counts.queued, out.queue, out.counts.dropped);
    let _ = write!(text, "; in {:.0}/s, {} in all", incoming.per_second, incoming.counts.forwarded);
    let sum = |counts: &std::collections::BTreeMap<_, u64>| counts.values().sum::<u64>();
    let counts = &incoming.counts;
    let _ = write!(text, ", gaps {}, late {}, dropped {}", counts.gaps, counts.late, sum(&counts.dropped));
    let _ = write!(text, ", bad {}+{}", sum(&counts.bad_messages), sum(&counts.bad_samples));
    if let Some(Latency { p50, p99, max, .. }) = &snapshot.latency_us {
        let _ = write!(text, "; latency p50 {p50:.0} µs, p99 {p99:.0} µs, max {max:.0} µs");
    }
    text
}

/// The last line.
fn summary(Moment { out, incoming, .. }: &Moment) -> String {
    let sum = |counts: &std::collections::BTreeMap<_, u64>| counts.values().sum::<u64>();
    format!(
        "taken {}, published {} in {} messages, dropped {}, not handed over {}; received {} in {} messages, forwarded {}, dropped {}, \
         bad {} messages and {} samples, gaps {}, before {}, late {}",
        out.taken,
        out.published,
        out.messages,
        out.dropped,
        out.queued,
        incoming.received,
        incoming.messages,
        incoming.forwarded,
        sum(&incoming.dropped),
        sum(&incoming.bad_messages),
        sum(&incoming.bad_samples),
        incoming.gaps,
        incoming.before,
        incoming.late
    )
}
