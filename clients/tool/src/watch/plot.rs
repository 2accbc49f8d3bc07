//! `watch --plot`: what passes, as live curves.

use std::sync::mpsc;

use villas_shm::inspect::{Kind, Sender};

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
    let mut source = Source::open(&options.name, options.duration, never)?;
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
    live::run(title, feed.clone(), move |feed| fill(&options, &mut source, &senders, feed))?;
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
    let (unnamed, named): (Vec<Signals>, Vec<Signals>) = stated.partition(|signals| signals.len() == 0);
    let numbered = options.signals.iter().filter(|name| !unnamed.is_empty() && is_numbered(name)).cloned();
    let all = named.iter().flat_map(|signals| (0..signals.len()).map(|at| signals.name(at).into_owned()));
    all.chain(numbered).collect()
}

/// Whether values have such a name that nobody has named.
fn is_numbered(name: &str) -> bool {
    name.strip_prefix("signal").is_some_and(|number| number.parse().is_ok_and(|at: usize| Signals::default().name(at) == name))
}

/// Puts samples into the feed; returns whether the curves stay on the screen.
fn fill(options: &Options, source: &mut Source, senders: &[Sender], feed: &live::Feed) -> Result<bool, String> {
    let mut choice = Choice::new(options, Direction::Both, source.tap())?;
    let stated = |source: &Source| senders.iter().map(|&from| source.tap().signals(from).to_vec()).collect::<Vec<_>>();
    let (mut region, mut signals) = (source.region(), stated(source));
    let (mut batch, mut shown) = (Vec::new(), 0);
    while source.next(&mut batch)? {
        if source.region() != region {
            region = source.region();
            choice = Choice::new(options, Direction::Both, source.tap())?;
            let before = std::mem::replace(&mut signals, stated(source));
            if before != signals {
                feed.lock().forget();
            }
        }
        for one in batch.drain(..) {
            let Some(stream) = senders.iter().position(|&from| from == one.from) else { continue };
            let Some((Shown::Record(_, record), signals)) = choice.of(source.tap(), one)? else { continue };
            feed.add(stream, signals, [(record.origin.filter(is_stated), &record.values[..])]);
            shown += 1;
            if options.limit.is_some_and(|limit| shown >= limit) {
                return Ok(false);
            }
        }
        feed.lock().missed = source.missed();
    }
    Ok(source.is_removed())
}

/// A program that leaves times out sends zeros. Curves need a time: that at which they have come.
fn is_stated(time: &Time) -> bool {
    (time.sec, time.nsec) != (0, 0)
}
