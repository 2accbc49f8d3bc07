//! Live curves in the terminal: of a channel (`watch --plot`), or of standard input
//! (`plot --live`).
//!
//! A thread of its own puts samples into a [`Feed`]; the screen shows what is there.

mod draw;
mod history;
mod view;

use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;

use crate::formats::{ReadError, Reader};
use crate::log;
use crate::record::Record;
use crate::screen::{Ears, Program, Screen};
pub(crate) use history::{Feed, History};
use view::View;

/// The command, without its terminal.
struct Live {
    view: View,
    feed: Feed,
}

impl Program for Live {
    fn draw(&mut self, frame: &mut Frame<'_>) {
        let history = self.feed.lock();
        self.view.count(&history);
        draw::draw(frame, &mut self.view, &history);
    }

    fn key(&mut self, key: KeyCode) -> bool {
        self.view.key(key, &self.feed)
    }

    fn wait(&self) -> Duration {
        self.view.wait()
    }

    /// Goes on, unless the source has said that nothing is left to look at.
    fn tick(&mut self) -> bool {
        !matches!(self.feed.lock().end, Some(Ok(false)))
    }
}

/// Shows what `source` puts into the feed, until a key or a signal ends it. `source` returns whether
/// its curves stay on the screen until then; its error is shown, and returned at the end.
pub(crate) fn run(
    title: String,
    feed: Feed,
    source: impl FnOnce(&Feed) -> Result<bool, String> + Send + 'static,
) -> Result<bool, String> {
    // Before the source's thread starts: it must not take the signals.
    let ears = Ears::new()?;
    let filled = feed.clone();
    let mut live = Live { view: View::new(title), feed: feed.clone() };
    let outcome = log::without(|| {
        ears.spawn(move || filled.end(source(&filled)));
        ears.run(&mut live)
    });
    match (outcome, feed.lock().end.take()) {
        (Ok(_), Some(Err(error))) => Err(error),
        (outcome, _) => outcome,
    }
}

/// Shows the samples of a file or a stream as they come.
pub(super) fn of_file(mut reader: Reader, title: String, feed: Feed) -> Result<bool, String> {
    Screen::check("plot --live", "without --live the curves are printed once")?;
    run(title, feed, move |feed| {
        let mut record = Record::default();
        loop {
            match reader.read(&mut record) {
                Ok(true) => feed.add(0, reader.signals(), [(record.origin, &record.values[..])]),
                Ok(false) => return Ok(true),
                Err(ReadError::Malformed(what)) => return Err(format!("{}: {what}", reader.place())),
                Err(ReadError::Fatal(what)) => return Err(format!("{}: {what}", reader.name())),
            }
        }
    })
}
