//! Live curves in a terminal, of samples that come through a pipe.

mod common;
#[path = "common/terminal.rs"]
mod terminal;

use std::fs::{File, OpenOptions};
use std::io::Write;

use common::{Signal, TOOL, hang_up_by_default, until};
use nix::sys::stat::Mode;
use tempfile::TempDir;
use terminal::Terminal;

/// A named pipe whose samples are shown.
struct Shown {
    _folder: TempDir,
    pipe: File,
    terminal: Terminal,
}

impl Shown {
    fn new(columns: u16, rows: u16, args: &[&str]) -> Shown {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        // Open for reading too: neither end waits for the other.
        let pipe = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let name = path.to_str().unwrap();
        let terminal = Terminal::new(columns, rows, &[&["plot", "--live", name], args].concat());
        Shown { _folder: folder, pipe, terminal }
    }

    /// Ten seconds of a ramp from 0 to 100 and of a switch that changes in the middle.
    fn feed(&mut self) {
        let mut text = String::from("# seconds.nanoseconds(sequence)\tlevel[m]\tvalve\n");
        for at in 0..=100 {
            text += &format!("{}.{:09}({at})\t{at}\t{}\n", 1_700_000_000 + at / 10, at % 10 * 100_000_000, u8::from(at > 50));
        }
        self.pipe.write_all(text.as_bytes()).unwrap();
    }
}

fn dots(line: &str) -> usize {
    line.chars().filter(|c| ('\u{2801}'..'\u{2900}').contains(c)).count()
}

#[test]
fn curves_names_units_and_newest_values_are_shown_at_every_size() {
    for (columns, rows) in [(160, 45), (100, 30), (80, 24), (60, 16), (40, 12)] {
        let mut shown = Shown::new(columns, rows, &["-t", "fb"]);
        shown.terminal.until_shown("no samples yet");
        shown.feed();
        shown.terminal.until_shown("level");
        shown.terminal.until("values and units", |screen| {
            let text = screen.join("\n");
            text.contains("100 m") && text.contains("10 s") && text.contains(" 0 s") && text.contains("q quit")
        });
        shown.terminal.until("a ramp", |screen| screen.iter().filter(|line| dots(line) > 0).count() >= 3);
        assert!(shown.terminal.screen().iter().all(|line| line.chars().count() <= columns.into()));
    }
}

#[test]
fn keys_change_time_scale_choice_and_pause() {
    let mut shown = Shown::new(100, 30, &["-t", "fb"]);
    shown.feed();
    let terminal = &shown.terminal;
    terminal.until_shown("100 m");
    terminal.until_shown("true┤");
    // The second curve is marked and hidden: its axis goes.
    terminal.press("j\r");
    terminal.until("no axis of the valve", |screen| !screen.iter().any(|line| line.contains("true┤")));
    terminal.press("a");
    terminal.until_shown("true┤");
    terminal.press("o");
    terminal.until("only the valve", |screen| !screen.iter().any(|line| line.contains("50┤")));
    terminal.press("ak\x1b[C");
    terminal.until_shown("  20 s");
    terminal.press("\x1b[D\x1b[D");
    terminal.until_shown("  5 s");
    let has_mark = |screen: &[String], mark: &str| screen.iter().any(|line| line.trim_start().starts_with(mark));
    terminal.until("five seconds reach from 50 to 100", |screen| has_mark(screen, "60┤") && !has_mark(screen, "20┤"));
    terminal.press("--");
    terminal.until("a longer axis", |screen| has_mark(screen, "0┤") && has_mark(screen, "100┤"));
    terminal.press("0 ");
    terminal.until_shown("paused");
    terminal.until("the scale is automatic again", |screen| has_mark(screen, "60┤"));
    shown.pipe.write_all(b"1700000020.0\t7\t1\n").unwrap();
    shown.terminal.until_shown("7 m");
    assert!(has_mark(&shown.terminal.screen(), "60┤"), "a pause holds the curves\n{}", shown.terminal.text());
    shown.terminal.press(" ");
    shown.terminal.until("the curves go on", |screen| !has_mark(screen, "60┤"));
    shown.terminal.press("q");
    assert!(shown.terminal.end().success());
    shown.terminal.assert_restored();
}

#[test]
fn every_end_gives_the_terminal_back() {
    hang_up_by_default();
    for end in [None, Some(Signal::SIGTERM), Some(Signal::SIGINT), Some(Signal::SIGHUP)] {
        let mut shown = Shown::new(80, 24, &[]);
        shown.feed();
        shown.terminal.until_shown("100 m");
        // The cursor goes after the first screen has come.
        until("the terminal is taken", || shown.terminal.is_taken() && shown.terminal.is_raw());
        match end {
            Some(signal) => shown.terminal.signal(signal),
            None => shown.terminal.press("\x03"),
        }
        assert!(shown.terminal.end().success());
        shown.terminal.assert_restored();
    }
}

#[test]
fn a_terminal_that_changes_its_size_is_filled_anew() {
    let mut shown = Shown::new(160, 45, &[]);
    shown.feed();
    shown.terminal.until_shown("100 m");
    for (columns, rows) in [(40, 12), (1, 1), (10, 3), (100, 30)] {
        shown.terminal.resize(columns, rows);
    }
    shown.terminal.until("the last size", |screen| screen.len() == 30 && screen[29].starts_with("q quit"));
    shown.terminal.until_shown("100 m");
}

#[test]
fn what_is_no_sample_is_said_and_the_curves_stay() {
    let mut shown = Shown::new(100, 24, &[]);
    shown.feed();
    shown.pipe.write_all(b"1700000011.0\tx\n").unwrap();
    shown.terminal.until_shown("pipe:103: value 0");
    shown.terminal.until_shown("100 m");
    shown.terminal.press("q");
    assert_eq!(shown.terminal.end().code(), Some(1));
    shown.terminal.assert_restored();
    shown.terminal.until_shown("error: ");
}

#[test]
fn warnings_do_not_disturb_the_screen() {
    let mut shown = Shown::new(100, 24, &[]);
    shown.feed();
    shown.pipe.write_all(b"1700000011.0\t\t5\n1700000012.0\t33\t5\n").unwrap();
    shown.terminal.until_shown("33 m");
    assert!(!shown.terminal.text().contains("warning"), "{}", shown.terminal.text());
    shown.terminal.press("q");
    assert!(shown.terminal.end().success());
    shown.terminal.assert_restored();
}

#[test]
fn a_terminal_is_no_source_of_samples() {
    let mut terminal = Terminal::new(100, 24, &["plot", "--live"]);
    assert_eq!(terminal.end().code(), Some(1));
    terminal.assert_restored();
    terminal.until_shown("--live needs samples: name a FILE");
}

#[test]
fn standard_input_is_shown_while_keys_come_from_the_terminal() {
    let mut command = pty_process::blocking::Command::new("sh");
    command = command.env("TERM", "xterm-256color").arg("-c").arg(format!("'{TOOL}' signal sine -r 100 | '{TOOL}' plot --live"));
    let mut terminal = Terminal::start(100, 24, command);
    terminal.until_shown("sine");
    terminal.until("a curve", |screen| screen.iter().map(|line| dots(line)).sum::<usize>() > 5);
    terminal.press("q");
    assert!(terminal.end().success());
    terminal.assert_restored();
}
