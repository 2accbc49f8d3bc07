//! `villas-shm top`: what `ls` shows, live.
//!
//! The main thread looks, draws and decides. One thread reads keys, another takes signals, and both
//! only report to the main thread. So one place restores the terminal, whatever ends the command.

mod detail;
mod draw;
mod list;
mod rates;
mod screen;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::words;
use crate::cli::TopArgs;
use crate::events;
use list::List;
use screen::Screen;

/// The second look comes sooner than later ones, because the first has no rates.
const FIRST: Duration = Duration::from_millis(250);
/// How long to wait for a hang-up after an error of the terminal.
const HANG_UP: Duration = Duration::from_millis(100);
/// The intervals that `+` and `-` step through, in milliseconds.
const INTERVALS: [u64; 9] = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

/// The events of the main thread.
enum Event {
    Signal(Signal),
    /// A key, or another size of the terminal.
    Input(Input),
    /// No more keys, and why.
    Deaf(Result<(), String>),
}

pub(crate) fn run(args: &TopArgs) -> Result<bool, String> {
    Screen::check()?;
    let (events, inbox) = mpsc::channel();
    events::catch_these_signals(&[Signal::SIGTSTP, Signal::SIGCONT], events.clone(), Event::Signal)?;
    let mut top = Top {
        list: List::new(args.sort, args.name.as_deref().map(words::text).unwrap_or_default()),
        interval: args.interval,
        is_paused: false,
        filter: None,
        page: 1,
    };
    top.list.look();
    let mut screen = Screen::enter()?;
    let keys = events.clone();
    events::spawn(events, Event::Deaf, move || read_keys(&keys));
    match watch(&mut top, &mut screen, &inbox) {
        Err(_) if has_hung_up(&inbox) => Ok(true),
        outcome => outcome,
    }
}

/// Whether an error means that the terminal is gone: its signal may arrive a moment later.
fn has_hung_up(inbox: &mpsc::Receiver<Event>) -> bool {
    std::iter::from_fn(|| inbox.recv_timeout(HANG_UP).ok()).any(|event| matches!(event, Event::Signal(Signal::SIGHUP)))
}

/// Draws and reacts until the end.
fn watch(top: &mut Top, screen: &mut Screen, inbox: &mpsc::Receiver<Event>) -> Result<bool, String> {
    let mut next = Instant::now() + FIRST.min(top.interval);
    loop {
        top.page = screen.draw(|frame| draw::draw(frame, &mut top.view()))?;
        let left = if top.is_paused { Duration::MAX } else { next.saturating_duration_since(Instant::now()) };
        match inbox.recv_timeout(left) {
            Ok(Event::Signal(Signal::SIGTSTP)) => screen.suspend()?,
            // Another user of the terminal may have left it in another state.
            Ok(Event::Signal(Signal::SIGCONT)) => screen.enter_again()?,
            Ok(Event::Signal(_)) => return Ok(true),
            Ok(Event::Deaf(why)) => return why.map(|()| true),
            Ok(Event::Input(Input::Key(key))) if key.kind != KeyEventKind::Release => {
                let interval = top.interval;
                match top.key(key) {
                    Then::GoOn => {}
                    Then::LookAgain => next = Instant::now(),
                    // As the terminal itself does if no program reads single keys: to the whole
                    // group, this process included.
                    Then::Suspend => kill(Pid::from_raw(0), Signal::SIGTSTP).map_err(|errno| format!("cannot stop: {errno}"))?,
                    Then::Quit => return Ok(true),
                }
                if top.interval != interval {
                    next = Instant::now() + top.interval;
                }
            }
            Ok(Event::Input(_)) => {}
            Err(RecvTimeoutError::Timeout) => {
                top.list.look();
                next = Instant::now() + top.interval;
            }
            Err(RecvTimeoutError::Disconnected) => return Err("the thread that reads keys has ended".into()),
        }
    }
}

fn read_keys(events: &mpsc::Sender<Event>) -> Result<(), String> {
    loop {
        let input = event::read().map_err(|error| format!("cannot read from the terminal: {error}"))?;
        if events.send(Event::Input(input)).is_err() {
            return Ok(());
        }
    }
}

/// The effect of a key.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    LookAgain,
    Suspend,
    Quit,
}

/// The command, without its terminal.
struct Top {
    list: List,
    interval: Duration,
    is_paused: bool,
    /// The filter that is being typed.
    filter: Option<String>,
    /// Lines that the list has on the screen.
    page: usize,
}

impl Top {
    fn view(&mut self) -> draw::View<'_> {
        draw::View { interval: self.interval, is_paused: self.is_paused, typed: self.filter.as_deref(), list: &mut self.list }
    }

    fn key(&mut self, key: KeyEvent) -> Then {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Then::Quit,
                KeyCode::Char('z') => Then::Suspend,
                _ => Then::GoOn,
            };
        }
        if key.modifiers.contains(KeyModifiers::ALT) {
            return Then::GoOn;
        }
        if self.filter.is_some() {
            return self.type_filter(key.code);
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Then::Quit,
            KeyCode::Up | KeyCode::Char('k') => self.list.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.list.step(1),
            KeyCode::PageUp => self.list.step_lines(-(self.page as isize)),
            KeyCode::PageDown => self.list.step_lines(self.page as isize),
            KeyCode::Home => self.list.step(isize::MIN),
            KeyCode::End => self.list.step(isize::MAX),
            KeyCode::Char('s') => self.list.sort_by_next(),
            KeyCode::Char('r') => self.list.reverse(),
            KeyCode::Char('/') => self.filter = Some(self.list.filter().into()),
            KeyCode::Char('+') => self.interval = longer(self.interval),
            KeyCode::Char('-') => self.interval = shorter(self.interval),
            KeyCode::Char(' ') => {
                self.is_paused = !self.is_paused;
                return if self.is_paused { Then::GoOn } else { Then::LookAgain };
            }
            _ => {}
        }
        Then::GoOn
    }

    fn type_filter(&mut self, key: KeyCode) -> Then {
        let Some(typed) = &mut self.filter else { return Then::GoOn };
        match key {
            KeyCode::Char(letter) => typed.push(letter),
            KeyCode::Backspace => _ = typed.pop(),
            KeyCode::Enter => {
                let typed = self.filter.take().unwrap_or_default();
                self.list.set_filter(typed);
                // Objects that were filtered out have not been looked at.
                self.list.look();
            }
            KeyCode::Esc => self.filter = None,
            _ => {}
        }
        Then::GoOn
    }
}

fn longer(interval: Duration) -> Duration {
    INTERVALS.map(Duration::from_millis).into_iter().find(|&step| step > interval).unwrap_or(interval)
}

fn shorter(interval: Duration) -> Duration {
    INTERVALS.map(Duration::from_millis).into_iter().rev().find(|&step| step < interval).unwrap_or(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_steps_through_round_figures_and_stops_at_the_ends() {
        let of = Duration::from_millis;
        assert_eq!((longer(of(1000)), longer(of(700)), longer(of(60_000))), (of(2000), of(1000), of(60_000)));
        assert_eq!((shorter(of(1000)), shorter(of(700)), shorter(of(50))), (of(500), of(500), of(50)));
    }
}
