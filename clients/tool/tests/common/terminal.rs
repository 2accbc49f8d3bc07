//! A pseudo-terminal, with a program on it and somebody who reads its screen.
#![allow(dead_code, unreachable_pub)]

use std::io::{Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::sys::termios::{Termios, tcgetattr};
use pty_process::Size;
use pty_process::blocking::{Command, Pts, Pty, open};
use vt100::Parser;

use super::common::{Deadline, PATIENCE, Signal, TOOL, kill, until};

pub struct Terminal {
    pty: Arc<Pty>,
    /// Kept open: what was written would go with the last one that has it.
    pts: Pts,
    child: Child,
    parser: Arc<Mutex<Parser>>,
    before: Termios,
}

/// The rows of the emulator for so many of the terminal: vt100 0.15 panics when a line wraps on a
/// screen of one row (`Grid::col_wrap`).
fn emulated(rows: u16) -> u16 {
    rows.max(2)
}

impl Terminal {
    /// The tool in a terminal of this size.
    pub fn new(columns: u16, rows: u16, arguments: &[&str]) -> Terminal {
        Terminal::start(columns, rows, Command::new(TOOL).args(arguments).env("TERM", "xterm-256color"))
    }

    pub fn start(columns: u16, rows: u16, command: Command) -> Terminal {
        Self::start_claiming((columns, rows), columns, rows, command)
    }

    /// The same in a terminal that claims to have another size than it has.
    pub fn start_claiming(claimed: (u16, u16), columns: u16, rows: u16, mut command: Command) -> Terminal {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(claimed.1, claimed.0)).unwrap();
        let before = tcgetattr(&pts).unwrap();
        let child = command.spawn_borrowed(&pts).unwrap();
        let pty = Arc::new(pty);
        let parser = Arc::new(Mutex::new(Parser::new(emulated(rows), columns, 0)));
        let (from, to) = (Arc::clone(&pty), Arc::clone(&parser));
        // Ends with the test's process: the terminal stays open.
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = (&*from).read(&mut piece) {
                to.lock().unwrap().process(&piece[..count]);
            }
        });
        Terminal { pty, pts, child, parser, before }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        self.parser.lock().unwrap().set_size(emulated(rows), columns);
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    /// The lines of the screen, without the spaces at their ends.
    pub fn screen(&self) -> Vec<String> {
        let parser = self.parser.lock().unwrap();
        let (_, columns) = parser.screen().size();
        let (_, terminal_size::Height(rows)) = terminal_size::terminal_size_of(&self.pts).unwrap();
        parser.screen().rows(0, columns).take(rows.into()).map(|line| line.trim_end().to_string()).collect()
    }

    pub fn text(&self) -> String {
        self.screen().join("\n")
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub fn until(&self, what: &str, is_so: impl Fn(&[String]) -> bool) {
        let mut deadline = Deadline::within(PATIENCE);
        while !is_so(&self.screen()) {
            assert!(!deadline.is_over(), "in vain: {what}; the screen is\n{}", self.text());
        }
    }

    #[track_caller]
    pub fn until_shown(&self, text: &str) {
        self.until(text, |screen| screen.iter().any(|line| line.contains(text)));
    }

    /// Waits until a line of the list has all of this in it: a screen is not drawn at once.
    #[track_caller]
    pub fn until_line(&self, parts: &[&str]) {
        self.until(&format!("{parts:?}"), |screen| {
            let mut list = screen.iter().skip(1).take_while(|line| !line.starts_with("──"));
            list.any(|line| parts.iter().all(|part| line.contains(part)))
        });
    }

    pub fn is_taken(&self) -> bool {
        let parser = self.parser.lock().unwrap();
        parser.screen().alternate_screen() && parser.screen().hide_cursor()
    }

    /// Whether keys come one by one.
    pub fn is_raw(&self) -> bool {
        tcgetattr(&self.pts).unwrap() != self.before
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// The terminal is as it was before the program came.
    #[track_caller]
    pub fn assert_restored(&self) {
        assert!(!self.is_raw(), "the settings of the terminal have changed");
        until("the screen is given back", || {
            let parser = self.parser.lock().unwrap();
            !parser.screen().alternate_screen() && !parser.screen().hide_cursor()
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
