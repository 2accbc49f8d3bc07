//! The terminal: taken over for the whole screen, and restored afterwards.

use std::io::{self, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal, raise};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::layout::{Position, Rect};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

/// Whether there is something to restore. Relaxed: only the terminal is shared, and one caller
/// restores all of it.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// No terminal that people look at is larger, and each cell takes memory: a terminal that claims to
/// be larger is drawn on only in its upper left corner.
const LARGEST: Rect = Rect::new(0, 0, 1000, 500);

/// ratatui 0.29 numbers the cells with 16 bits (`Buffer::pos_of`). A terminal with more cells is
/// drawn on only in its upper part.
const MOST_CELLS: u16 = u16::MAX;

/// The terminal, restored when this is dropped, and before a panic is reported.
pub(crate) struct Screen {
    /// Never dropped: its drop shows the cursor, which [`leave`] has done already. If the terminal
    /// is gone, the drop would print an error on a standard error that is gone too, and panic.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<io::Stdout>>>,
    /// The area that is drawn on.
    area: Rect,
}

impl Screen {
    /// Whether there is a terminal to draw on for a command; else the error says what is to be done
    /// `instead`.
    pub(crate) fn check(command: &str, instead: &str) -> Result<(), String> {
        if !io::stdout().is_terminal() {
            return Err(format!("{command} needs a terminal as standard output: {instead}"));
        }
        match std::env::var("TERM").as_deref() {
            Ok("dumb") | Ok("") | Err(_) => {
                Err(format!("{command} cannot draw on this terminal (TERM is \"dumb\" or not set): {instead}"))
            }
            Ok(_) => Ok(()),
        }
    }

    pub(crate) fn enter() -> Result<Screen, String> {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Otherwise the panic's message would vanish with the screen.
            leave();
            report(panic);
        }));
        let options = TerminalOptions { viewport: Viewport::Fixed(Rect::ZERO) };
        let terminal = Terminal::with_options(CrosstermBackend::new(io::stdout()), options).map_err(failed)?;
        let mut screen = Screen { terminal: ManuallyDrop::new(terminal), area: Rect::ZERO };
        screen.enter_again()?;
        Ok(screen)
    }

    /// Takes the terminal over again, whatever its state, and forgets its contents.
    pub(crate) fn enter_again(&mut self) -> Result<(), String> {
        let _ = disable_raw_mode();
        IS_TAKEN.store(true, Ordering::Relaxed);
        enable_raw_mode().map_err(failed)?;
        execute!(io::stdout(), EnterAlternateScreen).map_err(failed)?;
        self.area = Rect::ZERO;
        self.fit()
    }

    /// Fits the screen to the terminal's present size, and starts over if that has changed.
    fn fit(&mut self) -> Result<(), String> {
        let size = self.terminal.size().map_err(failed)?;
        let mut area = Rect::from((Position::ORIGIN, size)).intersection(LARGEST);
        area.height = area.height.min(MOST_CELLS / area.width.max(1));
        if area == self.area {
            return Ok(());
        }
        self.area = area;
        // This clears the screen, too.
        self.terminal.resize(area).map_err(failed)
    }

    /// Draws, and returns the result of `draw`.
    pub(crate) fn draw<T>(&mut self, draw: impl FnOnce(&mut Frame<'_>) -> T) -> Result<T, String> {
        self.fit()?;
        let mut outcome = None;
        self.terminal.draw(|frame| outcome = Some(draw(frame))).map_err(failed)?;
        outcome.ok_or_else(|| "nothing was drawn".into())
    }

    /// Restores the terminal and stops the process until it is continued. If no process could
    /// continue it, the kernel does not stop it.
    pub(crate) fn suspend(&mut self) -> Result<(), String> {
        leave();
        let stop = SigSet::from(Signal::SIGTSTP);
        let stopped = stop.thread_unblock().and_then(|()| raise(Signal::SIGTSTP)).and_then(|()| stop.thread_block());
        stopped.map_err(|errno| format!("cannot stop: {errno}"))?;
        self.enter_again()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Restores the terminal, once: a second time would move the cursor back over later output. If the
/// terminal is gone, there is nothing to restore.
fn leave() {
    if !IS_TAKEN.swap(false, Ordering::Relaxed) {
        return;
    }
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = io::stdout().flush();
}

fn failed(error: io::Error) -> String {
    format!("cannot draw on the terminal: {error}")
}
