//! Commands that take over the whole terminal: `top`, and curves that move.
//!
//! The main thread draws and decides. One thread reads keys, another takes signals, and both only
//! report to the main thread. So one place restores the terminal, whatever ends the command.

mod terminal;

use std::os::fd::AsFd;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::events;
pub(crate) use terminal::Screen;

/// How long to wait for a hang-up after an error of the terminal.
const HANG_UP: Duration = Duration::from_millis(100);

/// What a command does on its screen.
pub(crate) trait Program {
    /// Draws everything.
    fn draw(&mut self, frame: &mut Frame<'_>);
    /// Reacts to a key; `false` ends the command.
    fn key(&mut self, key: KeyCode) -> bool;
    /// How long until [`Program::tick`].
    fn wait(&self) -> Duration;
    /// Looks at what has changed; `false` ends the command.
    fn tick(&mut self) -> bool;
}

/// The events of the main thread.
enum Event {
    Signal(Signal),
    /// A key, or another size of the terminal.
    Input(Input),
    /// No more keys, and why; or another thread has panicked.
    Deaf(Result<(), String>),
    /// A thread has done its work.
    Done,
}

/// What a program hears, which is caught from its making on.
pub(crate) struct Ears(mpsc::Sender<Event>, mpsc::Receiver<Event>);

impl Ears {
    /// Catches signals, also for threads that are started later.
    pub(crate) fn new() -> Result<Ears, String> {
        let (events, inbox) = mpsc::channel();
        events::catch_these_signals(&[Signal::SIGTSTP, Signal::SIGCONT], events.clone(), Event::Signal)?;
        Ok(Ears(events, inbox))
    }

    /// Starts a thread, whose panic ends the program: it has given the terminal back.
    pub(crate) fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        let done = |result: Result<(), String>| result.map_or_else(|error| Event::Deaf(Err(error)), |()| Event::Done);
        events::spawn(self.0.clone(), done, move || {
            work();
            Ok(())
        });
    }

    /// Takes over the terminal, until a key or a signal ends the program.
    pub(crate) fn run(self, program: &mut impl Program) -> Result<bool, String> {
        let Ears(events, inbox) = self;
        let mut screen = Screen::enter()?;
        let keys = events.clone();
        events::spawn(events, Event::Deaf, move || read_keys(&keys));
        match watch(program, &mut screen, &inbox) {
            Err(_) if has_hung_up(&inbox) => Ok(true),
            outcome => outcome,
        }
    }
}

/// Whether an error means that the terminal is gone. The terminal itself says so at once; its signal
/// may arrive a moment later.
fn has_hung_up(inbox: &mpsc::Receiver<Event>) -> bool {
    let stdout = std::io::stdout();
    let mut terminal = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let is_gone = poll(&mut terminal, PollTimeout::ZERO).is_ok()
        && terminal[0].revents().is_some_and(|events| events.intersects(PollFlags::POLLHUP));
    if is_gone && !events::is_ignored(Signal::SIGHUP) {
        return true;
    }
    std::iter::from_fn(|| inbox.recv_timeout(HANG_UP).ok()).any(|event| matches!(event, Event::Signal(Signal::SIGHUP)))
}

/// Draws and reacts until the end.
fn watch(program: &mut impl Program, screen: &mut Screen, inbox: &mpsc::Receiver<Event>) -> Result<bool, String> {
    loop {
        screen.draw(|frame| program.draw(frame))?;
        match inbox.recv_timeout(program.wait()) {
            Ok(Event::Signal(Signal::SIGTSTP)) => screen.suspend()?,
            // Another user of the terminal may have left it in another state.
            Ok(Event::Signal(Signal::SIGCONT)) => screen.enter_again()?,
            Ok(Event::Signal(_)) => return Ok(true),
            Ok(Event::Deaf(why)) => return why.map(|()| true),
            Ok(Event::Input(Input::Key(key))) if key.kind != KeyEventKind::Release => match key.code {
                code if key.modifiers.contains(KeyModifiers::CONTROL) => match code {
                    KeyCode::Char('c') => return Ok(true),
                    // For what other programs have written over the screen.
                    KeyCode::Char('l') => screen.enter_again()?,
                    // As the terminal itself does if no program reads single keys: to the whole
                    // group, this process included.
                    KeyCode::Char('z') => {
                        kill(Pid::from_raw(0), Signal::SIGTSTP).map_err(|errno| format!("cannot stop: {errno}"))?;
                    }
                    _ => {}
                },
                _ if key.modifiers.contains(KeyModifiers::ALT) => {}
                code => {
                    if !program.key(code) {
                        return Ok(true);
                    }
                }
            },
            Ok(Event::Input(_) | Event::Done) => {}
            Err(RecvTimeoutError::Timeout) => {
                if !program.tick() {
                    return Ok(true);
                }
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

/// Writes parts one after the other while they fit completely, each with its separator from the one
/// before.
pub(crate) fn parts(buffer: &mut Buffer, line: Rect, parts: impl IntoIterator<Item = (String, Style)>) {
    let mut x = line.x;
    for (text, style) in parts {
        let width = Span::raw(&*text).width() as u16;
        if x + width > line.right() && x > line.x {
            return;
        }
        (x, _) = buffer.set_stringn(x, line.y, text, (line.right() - x).into(), style);
    }
}

/// Names keys and what they do, as many as fit completely.
pub(crate) fn help(buffer: &mut Buffer, line: Rect, keys: &[(&str, &str)]) {
    let (bold, faint) = (Style::new().add_modifier(Modifier::BOLD), Style::new().fg(Color::DarkGray));
    let mut x = line.x;
    for (key, what) in keys {
        let width = Span::raw(format!("{key} {what}")).width() as u16;
        if x + width > line.right() && x > line.x {
            return;
        }
        let rest = |x: u16| usize::from(line.right().saturating_sub(x));
        (x, _) = buffer.set_stringn(x, line.y, key, rest(x), bold);
        (x, _) = buffer.set_stringn(x + 1, line.y, what, rest(x + 1), faint);
        x += 2;
    }
}
