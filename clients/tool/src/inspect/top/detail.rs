//! The lower part of the screen: the marked object in full.

use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use villas_shm::inspect::{Entry, PeerState};

use super::super::{show, table, words};
use super::list::Item;
use super::rates;
use crate::record::value;
use crate::signals::{Signal, SignalType};

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

fn line(heading: &str, mut what: Vec<Span<'static>>) -> Line<'static> {
    what.insert(0, Span::styled(format!("{heading}: "), Style::new().fg(Color::Cyan)));
    Line::from(what)
}

/// The signals of each direction that has any, in lines that fit on the screen: few on a low one.
pub(super) fn signals(item: &Item, screen: Rect) -> Vec<Line<'static>> {
    let (width, most) = (usize::from(screen.width), usize::from(screen.height / 16).clamp(1, 4));
    let queues = &item.entry.queues;
    let heading = |at| if queues.len() > 1 { ["signals →", "signals ←"][at % 2] } else { "signals" };
    let named = queues.iter().enumerate().filter(|(_, queue)| !queue.signals.is_empty());
    named.flat_map(|(at, queue)| named_in(heading(at), &queue.signals, show::newest_values(queue), width, most)).collect()
}

/// At most so many lines: as many signals as fit, and how many more there are.
fn named_in(heading: &str, signals: &[Signal], newest: &[u64], width: usize, most: usize) -> Vec<Line<'static>> {
    let mut lines = vec![line(heading, Vec::new())];
    for (at, signal) in signals.iter().enumerate() {
        let left = signals.len() - at;
        let (separator, more) = if left == 1 { ("", String::new()) } else { (", ", format!("… {} more", left - 1)) };
        let text = format!("{}{separator}", table::shorten(&title(signal, newest.get(at)), width / 2));
        let fits = |line: &Line, rest: &str| line.width() + Span::raw(format!("{text}{rest}")).width() <= width;
        if lines.len() < most && !fits(&lines[lines.len() - 1], "") {
            lines.push(Line::default());
        }
        let rest = if lines.len() < most { "" } else { &more };
        let here = lines.len() - 1;
        if !fits(&lines[here], rest) {
            lines[here].push_span(format!("… {left} more"));
            break;
        }
        lines[here].push_span(text);
    }
    lines
}

/// Its name and unit, and the newest value if that can be seen.
fn title(signal: &Signal, newest: Option<&u64>) -> String {
    let mut title = words::plain(signal.name());
    if !signal.unit().is_empty() {
        title += &format!("[{}]", words::plain(signal.unit()));
    }
    match (newest, signal.kind()) {
        (Some(&bits), kind) => format!("{title} = {}", value::show(kind, bits)),
        (None, SignalType::Float) => title,
        (None, kind) => format!("{title} ({kind})"),
    }
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
