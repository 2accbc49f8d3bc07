//! `watch --plot`: what passes, as live curves.

use std::sync::mpsc;

use villas_shm::inspect::{Kind, Passed, Sender, Tap};

use super::choice::{Choice, Shown, signals_of};
use super::{Direction, Options, Source};
use crate::plot::{self, live};
use crate::record::Time;
use crate::screen::Screen;
use crate::signals::Signals;

/// Draws until the end; returns how many were missed.
pub(super) fn run(options: &Options) -> Result<u64, String> {
    if options.output.as_os_str() != "-" {
        return Err("--plot draws and does not record: start another watch with -o FILE beside it; each sees what passes".into());
    }
    Screen::check("watch --plot", "without --plot it prints lines")?;
    // The screen takes the signals: the source ends when the command does.
    let (_running, never) = mpsc::channel();
    let mut source = Source::open(&options.name, options.duration, never)?.waiting();
    if source.kind() == Kind::Ring && options.types.is_none() {
        return Err("the messages of a ring are bytes: -t says which values they hold, such as -t 2f".into());
    }
    let senders = senders(options, source.kind());
    let chosen = plot::Choice::new(&options.signals);
    chosen.check(&names(options, &source, &senders))?;
    let marks: Vec<&str> = senders.iter().copied().map(mark).collect();
    let feed = live::Feed::new(&marks, chosen);
    let title = options.name.to_string_lossy().into_owned();
    // The feed chooses the signals.
    let options = Options { signals: Vec::new(), ..options.clone() };
    live::run(title, feed.clone(), move |feed| fill(&options, &mut source, &senders, feed).map(|()| false))?;
    let missed = feed.lock().missed;
    Ok(missed)
}

/// Those whose samples are drawn.
fn senders(options: &Options, kind: Kind) -> Vec<Sender> {
    let direction = options.direction.unwrap_or(Direction::Both);
    match kind {
        Kind::Ring => vec![Sender::Producer],
        _ => [Sender::Node, Sender::Program].into_iter().filter(|&from| direction.has(from)).collect(),
    }
}

fn mark(from: Sender) -> &'static str {
    match from {
        Sender::Node => "→",
        Sender::Program => "←",
        _ => "",
    }
}

/// The names by which signals can be chosen. Where none are stated, those that were asked for may
/// come.
fn names(options: &Options, source: &Source, senders: &[Sender]) -> Vec<String> {
    let stated = senders.iter().map(|&from| signals_of(options, source.tap(), from));
    let (unnamed, named): (Vec<Signals>, Vec<Signals>) = stated.partition(|signals| signals.is_empty());
    let numbered = options.signals.iter().filter(|name| !unnamed.is_empty() && is_numbered(name)).cloned();
    let all = named.iter().flat_map(|signals| (0..signals.len()).map(|at| signals.name(at).into_owned()));
    all.chain(numbered).collect()
}

/// Whether values have such a name that nobody has named.
fn is_numbered(name: &str) -> bool {
    name.strip_prefix("signal").is_some_and(|number| number.parse().is_ok_and(|at: usize| Signals::default().name(at) == name))
}

/// Puts samples into the feed until the end.
fn fill(options: &Options, source: &mut Source, senders: &[Sender], feed: &live::Feed) -> Result<(), String> {
    let mut filler = Filler { choice: Choice::new(options, Direction::Both, source.tap())?, senders, left: options.limit };
    let stated = |source: &Source| senders.iter().map(|&from| source.tap().signals(from).to_vec()).collect::<Vec<_>>();
    let (mut region, mut signals) = (source.region(), stated(source));
    let mut batch = Vec::new();
    loop {
        let is_over = !source.next(&mut batch)?;
        let is_next = source.region() != region;
        // A look that waits until the screen is drawn comes too late for what passes meanwhile.
        let Some(mut history) = (if is_over || is_next { Some(feed.lock()) } else { feed.try_lock() }) else { continue };
        history.missed = source.missed();
        history.is_gone = source.is_gone();
        if !filler.fill(source.tap(), &mut batch, &mut history)? || is_over {
            return Ok(());
        }
        if is_next {
            region = source.region();
            filler.choice = Choice::new(options, Direction::Both, source.tap())?;
            let before = std::mem::replace(&mut signals, stated(source));
            if before != signals {
                history.forget();
            }
        }
    }
}

struct Filler<'o> {
    choice: Choice<'o>,
    senders: &'o [Sender],
    /// So many samples are drawn until the end.
    left: Option<u64>,
}

impl Filler<'_> {
    /// Puts a batch into the history; returns whether more are wanted.
    fn fill(&mut self, tap: &Tap, batch: &mut Vec<Passed>, history: &mut live::History) -> Result<bool, String> {
        for one in batch.drain(..) {
            let Some(stream) = self.senders.iter().position(|&from| from == one.from) else { continue };
            let Some((Shown::Record(_, record), signals)) = self.choice.of(tap, one)? else { continue };
            history.add(stream, signals, record.origin.filter(is_stated), &record.values);
            self.left = self.left.map(|left| left.saturating_sub(1));
            if self.left == Some(0) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A program that leaves times out sends zeros. Curves need a time: that at which they have come.
fn is_stated(time: &Time) -> bool {
    (time.sec, time.nsec) != (0, 0)
}
