//! `watch --plot`: live curves of what passes.

mod common;
#[path = "common/terminal.rs"]
mod terminal;
#[path = "common/traffic.rs"]
mod traffic;

use std::time::Duration;

use common::tool;
use terminal::Terminal;
use traffic::{Messages, Traffic};
use villas_shm::{Channel, Config, Policy, Signal, SignalType};

fn plot(columns: u16, rows: u16, arguments: &[&str]) -> Terminal {
    Terminal::new(columns, rows, &[&["watch", "--plot"], arguments].concat())
}

fn has(screen: &[String], text: &str) -> bool {
    screen.iter().any(|line| line.contains(text))
}

fn has_curves(screen: &[String]) -> bool {
    screen.iter().flat_map(|line| line.chars()).filter(|char| ('\u{2801}'..'\u{2900}').contains(char)).count() > 3
}

#[test]
fn both_directions_are_drawn_with_names_and_units_at_every_size() {
    let traffic = Traffic::new("plot", 200);
    for (columns, rows) in [(160, 45), (80, 24), (40, 12)] {
        let mut terminal = plot(columns, rows, &[&traffic.name]);
        terminal.until("curves of both directions", |screen| has(screen, "→u") && has_curves(screen));
        terminal.press("\x1b[F");
        terminal.until("the last curve", |screen| has(screen, "←back") && has(screen, " V"));
        terminal.press("q");
        assert!(terminal.end().success());
        terminal.assert_restored();
    }
    traffic.go_on();
}

#[test]
fn signals_and_a_direction_are_chosen() {
    let traffic = Traffic::new("plot-chosen", 200);
    let terminal = plot(100, 30, &[&traffic.name, "--signals", "back,w"]);
    terminal.until("two curves", |screen| has(screen, "→w") && has(screen, "←back"));
    assert!(!has(&terminal.screen(), "→u"), "{}", terminal.text());
    let terminal = plot(100, 30, &[&traffic.name, "--direction", "in"]);
    terminal.until_shown("←back");
    assert!(!has(&terminal.screen(), "→u"), "{}", terminal.text());
    let mut terminal = plot(100, 30, &[&traffic.name, "--signals", "bakc"]);
    assert_eq!(terminal.end().code(), Some(1));
    terminal.until_shown("did you mean \"back\"?");
}

#[test]
fn a_number_of_samples_and_a_time_end_it() {
    let traffic = Traffic::new("plot-ends", 200);
    for arguments in [["-n", "50"], ["--duration", "0.5"]] {
        let mut terminal = plot(100, 30, &[&[&*traffic.name], &arguments[..]].concat());
        assert!(terminal.end().success());
        terminal.assert_restored();
    }
}

#[test]
fn what_was_missed_is_on_the_screen_and_said_at_the_end() {
    // Two blocks: what is not seen at once is gone.
    let traffic = Traffic::new("plot-missed", 0);
    let mut terminal = plot(100, 30, &["--strict", &traffic.name]);
    terminal.until("some are missed", |screen| screen[0].contains(" missed"));
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(2));
    terminal.assert_restored();
    terminal.until_shown("larger \"history\"");
}

#[test]
fn a_node_that_comes_back_is_followed() {
    let traffic = Traffic::new("plot-next", 200);
    let mut terminal = plot(100, 30, &[&traffic.name]);
    terminal.until("curves", |screen| has(screen, "→u") && has_curves(screen));
    let name = traffic.name.clone();
    drop(traffic);
    terminal.until("no region", |screen| has(screen, "no region now") && has(screen, "→u") && has_curves(screen));
    let traffic = Traffic::new("plot-next", 200);
    terminal.until("the region", |screen| has(screen, "→u") && !has(screen, "no region now"));
    drop(traffic);
    terminal.press("q");
    assert!(terminal.end().success());
    terminal.assert_restored();

    // With other signals.
    let config = |signal| Config::new().samplelen(1).out_signals([Signal::new(signal, "A", SignalType::Float)]);
    let first = Channel::create(&name, &config("first")).unwrap();
    let mut terminal = plot(100, 30, &[&name]);
    terminal.until("no samples", |screen| has(screen, "no samples yet"));
    send(&first, 1.5);
    terminal.until("a value", |screen| has(screen, "→first") && has(screen, "1.5 A"));
    // The name is never without a region: the next one is renamed over it.
    let other = format!("{name}-other");
    let second = Channel::create(&other, &config("second")).unwrap();
    std::fs::rename(format!("/dev/shm/{other}"), format!("/dev/shm/{name}")).unwrap();
    terminal.until("the other signals", |screen| {
        send(&second, 2.5);
        has(screen, "→second") && has(screen, "2.5 A") && !has(screen, "→first")
    });
    Channel::unlink(&name).unwrap();
    terminal.press("q");
    assert!(terminal.end().success());
}

/// Sends one value, without a time; a full queue loses it.
fn send(node: &Channel, value: f64) {
    if let Ok(mut sample) = node.alloc() {
        sample.write_values(&[value]).unwrap();
        let _ = node.timed_write(&mut vec![sample], Some(Duration::ZERO));
    }
}

#[test]
fn messages_of_a_ring_are_drawn_by_their_types() {
    let ring = Messages::new("plot-ring", Policy::Spsc);
    let terminal = plot(100, 30, &["-t", "2f", &ring.name]);
    terminal.until("two values", |screen| has(screen, "signal1") && has(screen, "-2") && has(screen, "1.5"));
    let mut terminal = plot(100, 30, &[&ring.name]);
    assert_eq!(terminal.end().code(), Some(1));
    terminal.until_shown("such as -t 2f");
}

#[test]
fn it_neither_records_nor_draws_without_a_terminal() {
    let traffic = Traffic::new("plot-refused", 200);
    for (arguments, why) in [
        (&["-o", "x.dat"][..], "start another watch with -o FILE beside it"),
        (&[], "watch --plot needs a terminal"),
        (&["-f", "csv"], "--plot"),
    ] {
        let output = tool(&[&["watch", "--plot", &traffic.name], arguments].concat()).output().unwrap();
        let messages = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{messages}");
        assert!(messages.contains(why), "{messages}");
    }
}
