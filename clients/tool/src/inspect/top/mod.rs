//! `villas-shm top`: what `ls` shows, live.

mod detail;
mod draw;
mod list;
mod rates;

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;

use super::words;
use crate::cli::TopArgs;
use crate::screen::{Ears, Program, Screen};
use list::List;

/// The second look comes sooner than later ones, because the first has no rates.
const FIRST: Duration = Duration::from_millis(250);
/// The intervals that `+` and `-` step through, in milliseconds.
const INTERVALS: [u64; 9] = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

pub(crate) fn run(args: &TopArgs) -> Result<bool, String> {
    Screen::check("top", "\"villas-shm ls\" prints the same once")?;
    let ears = Ears::new()?;
    let mut top = Top {
        list: List::new(args.sort, args.name.as_deref().map(words::text).unwrap_or_default()),
        interval: args.interval,
        next: Instant::now() + FIRST.min(args.interval),
        is_paused: false,
        filter: None,
        page: 1,
    };
    top.list.look();
    ears.run(&mut top)
}

/// The command, without its terminal.
struct Top {
    list: List,
    interval: Duration,
    /// When it looks next.
    next: Instant,
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

    fn type_filter(&mut self, key: KeyCode) {
        let Some(typed) = &mut self.filter else { return };
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
    }

    fn set_interval(&mut self, interval: Duration) {
        if interval != self.interval {
            self.interval = interval;
            self.next = Instant::now() + interval;
        }
    }
}

impl Program for Top {
    fn draw(&mut self, frame: &mut Frame<'_>) {
        self.page = draw::draw(frame, &mut self.view());
    }

    fn key(&mut self, key: KeyCode) -> bool {
        if self.filter.is_some() {
            self.type_filter(key);
            return true;
        }
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Up | KeyCode::Char('k') => self.list.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.list.step(1),
            KeyCode::PageUp => self.list.step_lines(-(self.page as isize)),
            KeyCode::PageDown => self.list.step_lines(self.page as isize),
            KeyCode::Home => self.list.step(isize::MIN),
            KeyCode::End => self.list.step(isize::MAX),
            KeyCode::Char('s') => self.list.sort_by_next(),
            KeyCode::Char('r') => self.list.reverse(),
            KeyCode::Char('/') => self.filter = Some(self.list.filter().into()),
            KeyCode::Char('+') => self.set_interval(longer(self.interval)),
            KeyCode::Char('-') => self.set_interval(shorter(self.interval)),
            KeyCode::Char(' ') => {
                self.is_paused = !self.is_paused;
                self.next = Instant::now();
            }
            _ => {}
        }
        true
    }

    fn wait(&self) -> Duration {
        if self.is_paused { Duration::MAX } else { self.next.saturating_duration_since(Instant::now()) }
    }

    fn tick(&mut self) -> bool {
        self.list.look();
        self.next = Instant::now() + self.interval;
        true
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
