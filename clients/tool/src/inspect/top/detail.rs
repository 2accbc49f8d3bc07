//! The lower part of the screen: the marked object in full.

use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use villas_shm::inspect::{Entry, PeerState};

use super::super::{show, words};
use super::list::Item;
use super::rates;

/// One paragraph for each part, under its heading.
pub(super) fn lines(item: &Item) -> Vec<Line<'static>> {
    let entry = &item.entry;
    let mut lines = vec![line("object", vec![object(entry).into()])];
    if let Some(note) = &entry.note {
        lines.push(line("note", vec![Span::styled(words::plain(note), Style::new().fg(Color::Yellow))]));
    }
    if !entry.peers.is_empty() {
        lines.push(line("peers", peers(entry)));
    }
    let attached = words::attached(entry);
    let colon = if attached.is_empty() { "" } else { ": " };
    lines.push(line("mapped by", vec![format!("{}{colon}{}", words::users(entry), attached.join(", ")).into()]));
    if !entry.parameters.is_empty() {
        let said = entry.parameters.iter().map(|(name, value)| format!("{name} {}", show::parameter(value)));
        lines.push(line("made with", vec![said.collect::<Vec<_>>().join(", ").into()]));
    }
    if !entry.counters.is_empty() {
        let counter = |(at, (name, count)): (usize, &(&str, u64))| {
            let rate = item.rates.as_ref().and_then(|rates| rates.counter(at));
            format!("{name} {count} ({}/s)", rates::say(rate))
        };
        let said: Vec<String> = entry.counters.iter().enumerate().map(counter).collect();
        lines.push(line("counters", vec![said.join(", ").into()]));
    }
    lines
}

fn line(heading: &'static str, mut what: Vec<Span<'static>>) -> Line<'static> {
    what.insert(0, Span::styled(format!("{heading}: "), Style::new().fg(Color::Cyan)));
    Line::from(what)
}

fn object(entry: &Entry) -> String {
    let mut text = format!(
        "{} bytes, mode {:04o}, owner {}, age {}, {}",
        entry.size,
        entry.mode,
        words::owner(entry.uid),
        words::age(entry.created),
        words::state(entry)
    );
    if let Some(version) = entry.version {
        text.push_str(&format!(", layout {version}"));
    }
    if let Some((free, total)) = entry.blocks {
        text.push_str(&format!(", {free} of {total} blocks free"));
    }
    text
}

fn peers(entry: &Entry) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for peer in &entry.peers {
        if !spans.is_empty() {
            spans.push(", ".into());
        }
        let (alive, color) = match peer.state {
            PeerState::Alive => (" alive", Color::Green),
            _ => ("", Color::Yellow),
        };
        spans.push(Span::styled(format!("{}{alive}", words::peer(peer)), Style::new().fg(color)));
    }
    spans
}
