//! The screen of live curves: a summary line, panels, the curves with their newest values, the keys.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use villas_shm_picture::axis::Axis;
use villas_shm_picture::{numbers, time};

use super::super::chars::{self, Graph, Trace};
use super::super::curves::Shape;
use super::history::History;
use super::view::View;
use crate::inspect::{plain, shorten};
use crate::screen;

const KEYS: [(&str, &str); 9] = [
    ("q", "quit"),
    ("←→", "time"),
    ("space", "pause"),
    ("↑↓", "mark"),
    ("Enter", "show"),
    ("o", "only"),
    ("a", "all"),
    ("+-0", "scale"),
    ("PgUp PgDn", "move"),
];
const FAINT: Style = Style::new().fg(Color::DarkGray);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// From this width on the names are beside the curves, else below them.
const WIDE: u16 = 76;
/// The width of names and values beside the curves.
const BESIDE: std::ops::RangeInclusive<u16> = 24..=44;
/// A lower panel shows nothing that could be read.
const LEAST: u16 = 5;

/// Curves that share an axis.
struct Panel {
    unit: String,
    curves: Vec<usize>,
    y: Axis,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View, history: &History) {
    let mut area = frame.area();
    view.marked = view.marked.min(history.curves.len().saturating_sub(1));
    if area.height >= 4 {
        let keys = cut_bottom(&mut area, 1);
        screen::help(frame.buffer_mut(), keys, &KEYS);
        let top = Rect { height: 1, ..area };
        (area.y, area.height) = (area.y + 1, area.height - 1);
        let panels = panels(view, history);
        let room = usize::from(graphs_area(area, history).0.height / LEAST).max(1);
        summary(frame, top, view, history, panels.len().saturating_sub(room));
        draw_panels(frame, area, view, history, panels, room);
    }
}

/// The areas of the curves and of their names.
fn graphs_area(area: Rect, history: &History) -> (Rect, Rect) {
    let mut graphs = area;
    if area.width >= WIDE {
        let longest = history.curves.iter().map(|curve| name(history, curve).chars().count()).max().unwrap_or(0);
        let width = (longest as u16 + 20).clamp(*BESIDE.start(), (area.width / 3).clamp(*BESIDE.start(), *BESIDE.end()));
        graphs.width -= width + 1;
        (graphs, Rect { x: graphs.right() + 1, width, ..area })
    } else {
        let height = (area.height / 5).clamp(1, 6).min(history.curves.len() as u16);
        let names = cut_bottom(&mut graphs, height);
        (graphs, names)
    }
}

fn draw_panels(frame: &mut Frame<'_>, area: Rect, view: &View, history: &History, panels: Vec<Panel>, room: usize) {
    let (graphs, names) = graphs_area(area, history);
    list(frame, names, view, history);
    if panels.is_empty() {
        let text = if history.curves.is_empty() { "no samples yet" } else { "no curve is shown: a shows all" };
        frame.buffer_mut().set_stringn(graphs.x, graphs.y, text, graphs.width.into(), FAINT);
        return;
    }
    // Those around the marked one, if not all fit.
    let marked = panels.iter().position(|panel| panel.curves.contains(&view.marked)).unwrap_or(0);
    let first = marked.min(panels.len().saturating_sub(room));
    let shown = &panels[first..(first + room).min(panels.len())];
    let margin = shown.iter().map(|panel| chars::margin(&panel.y)).max().unwrap_or(0).min(graphs.width / 3);
    let times = times(view, graphs.width);
    let mut left = graphs;
    for (at, panel) in shown.iter().enumerate() {
        let count = (shown.len() - at) as u16;
        let (is_last, height) = (count == 1, (left.height - 2.min(left.height)) / count);
        let mut inside = Rect { height: if is_last { left.height } else { height }, ..left };
        (left.y, left.height) = (left.y + inside.height, left.height - inside.height);
        if !panel.unit.is_empty() && inside.height > 4 {
            let unit = format!("{:>1$}", shorten(&plain(&panel.unit), margin.into()), usize::from(margin).saturating_sub(1));
            frame.buffer_mut().set_stringn(inside.x, inside.y, unit, inside.width.into(), STRONG);
            (inside.y, inside.height) = (inside.y + 1, inside.height - 1);
        }
        // Curves of other clocks have other times, at the same places.
        for stream in 0..history.streams.len() {
            let span = view.span(history, stream);
            let trace = |&at: &usize| {
                let curve = &history.curves[at];
                Trace { envelope: curve.envelope(view.back()), shape: curve.shape, colour: chars::colour(at) }
            };
            let traces = panel.curves.iter().filter(|&&at| history.curves[at].stream == stream).map(trace).collect();
            let marks: Vec<_> = times.iter().map(|(time, text)| (span.1.saturating_add(*time), text.clone())).collect();
            let mut layer = Buffer::empty(inside);
            Graph { traces, y: &panel.y, times: is_last.then_some(&marks[..]), span, margin }.draw(inside, &mut layer);
            overlay(frame.buffer_mut(), &layer);
        }
    }
}

/// Lays what is not blank over the screen; the dots of a cell are joined.
fn overlay(screen: &mut Buffer, layer: &Buffer) {
    let dots = |symbol: &str| symbol.chars().next().map(u32::from).filter(|code| (0x2800..0x2900).contains(code));
    for (cell, position) in layer.content.iter().zip(layer.area.positions()).filter(|(cell, _)| cell.symbol() != " ") {
        let below = &mut screen[position];
        let joined = dots(below.symbol()).zip(dots(cell.symbol())).and_then(|(a, b)| char::from_u32(a | b));
        match joined {
            Some(joined) => _ = below.set_char(joined).set_fg(cell.fg),
            None => *below = cell.clone(),
        }
    }
}

/// The marks of time, in nanoseconds before the newest sample, with their unit.
fn times(view: &View, width: u16) -> Vec<(i64, String)> {
    let times = time::seconds(-view.back(), 0, usize::from(width / 12).max(2), 0, "");
    let unit = times.label.trim_start_matches(", ").to_owned();
    times.marks.into_iter().map(|(at, text)| (at, format!("{text} {unit}"))).collect()
}

/// The panels of all curves that are shown, with their scales.
fn panels(view: &mut View, history: &History) -> Vec<Panel> {
    let mut groups: Vec<(String, bool, Vec<usize>)> = Vec::new();
    for (at, curve) in history.curves.iter().enumerate().filter(|(at, _)| view.is_shown(*at)) {
        let is_switch = curve.shape == Shape::Switch;
        match groups.iter_mut().find(|group| group.0 == curve.unit && group.1 == is_switch) {
            Some(group) => group.2.push(at),
            None => groups.push((curve.unit.clone(), is_switch, vec![at])),
        }
    }
    view.drawn.clear();
    let panel = |(unit, is_switch, curves): (String, bool, Vec<usize>)| {
        if is_switch {
            let marks = vec![(0.0, "false".into()), (1.0, "true".into())];
            let y = Axis { label: String::new(), marks, ends: Some((-0.15, 1.15)), is_logarithmic: false };
            return Panel { unit, curves, y };
        }
        let (low, high) = view.scales.get(&unit).copied().unwrap_or_else(|| round(ends(view, history, &curves)));
        view.drawn.insert(unit.clone(), (low, high));
        let y =
            Axis { label: String::new(), marks: numbers::marks(low, high, 4), ends: Some((low, high)), is_logarithmic: false };
        Panel { unit, curves, y }
    };
    groups.into_iter().map(panel).collect()
}

/// The least and the largest value that is shown.
fn ends(view: &View, history: &History, curves: &[usize]) -> (f64, f64) {
    let values = curves.iter().flat_map(|&at| {
        let (curve, span) = (&history.curves[at], view.span(history, history.curves[at].stream));
        let buckets = curve.envelope(view.back()).between(span.0, span.1);
        buckets.filter(move |bucket| bucket.time >= span.0 && bucket.time <= span.1)
    });
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), bucket| (low.min(bucket.min), high.max(bucket.max)));
    (low.min(high), high.max(low))
}

/// Ends that stay where they are while values change a little.
fn round((low, high): (f64, f64)) -> (f64, f64) {
    let step = numbers::round_up((high - low) / 8.0);
    let rounded = ((low / step).floor() * step, (high / step).ceil() * step);
    let is_right = step > 1e-9 * low.abs().max(high.abs()) && (rounded.1 - rounded.0).is_finite();
    if is_right { rounded } else { numbers::ends(low, high) }
}

fn summary(frame: &mut Frame<'_>, line: Rect, view: &View, history: &History, hidden: usize) {
    let mut said = vec![(plain(&view.title), STRONG)];
    for (stream, rate) in history.streams.iter().zip(view.rates.iter().copied().chain(std::iter::repeat(0.0))) {
        said.push((format!("  {} {}/s", stream.mark, numbers::short(rate.round())), Style::new()));
    }
    if history.missed > 0 {
        said.push((format!("  {} missed", history.missed), Style::new().fg(Color::Yellow)));
    }
    said.push((format!("  {}", said_time(view.back())), STRONG));
    if view.is_paused() {
        said.push(("  paused".into(), Style::new().fg(Color::Yellow)));
    }
    if history.is_gone {
        said.push(("  no region now".into(), Style::new().fg(Color::Yellow)));
    }
    match &history.end {
        Some(Ok(_)) => said.push(("  ended".into(), Style::new().fg(Color::Yellow))),
        Some(Err(why)) => said.push((format!("  {}", plain(why)), Style::new().fg(Color::Red))),
        None => {}
    }
    if hidden > 0 {
        said.push((format!("  {hidden} more axes: ↑↓"), FAINT));
    }
    let left: usize = history.streams.iter().map(|stream| stream.left).sum();
    if left > 0 {
        said.push((format!("  {left} more signals: --signals"), FAINT));
    }
    screen::parts(frame.buffer_mut(), line, said);
}

fn said_time(nanos: i64) -> String {
    match nanos / 1_000_000 {
        millis @ ..1000 => format!("{millis} ms"),
        millis @ ..60_000 => format!("{} s", millis / 1000),
        millis @ ..3_600_000 => format!("{} min", millis / 60_000),
        millis => format!("{} h", millis / 3_600_000),
    }
}

fn name(history: &History, curve: &super::history::Curve) -> String {
    format!("{}{}", history.streams[curve.stream].mark, plain(&curve.name))
}

/// The curves with their newest values; those around the marked one, if not all fit.
fn list(frame: &mut Frame<'_>, area: Rect, view: &View, history: &History) {
    let height = usize::from(area.height);
    let first = (view.marked + 1).saturating_sub(height.div_ceil(2)).min(history.curves.len().saturating_sub(height));
    for (y, (at, curve)) in (area.y..area.bottom()).zip(history.curves.iter().enumerate().skip(first)) {
        let line = Rect { y, height: 1, ..area };
        let is_shown = view.is_shown(at);
        let style = if is_shown { Style::new() } else { FAINT };
        let unit = if curve.unit.is_empty() { String::new() } else { format!(" {}", shorten(&plain(&curve.unit), 8)) };
        let value = format!("{}{unit}", curve.value());
        let value_width = Span::raw(&*value).width() as u16;
        let buffer = frame.buffer_mut();
        buffer.set_stringn(line.x, y, if is_shown { "━━" } else { "  " }, 2, Style::new().fg(chars::colour(at)));
        let room = line.width.saturating_sub(value_width + 4);
        buffer.set_stringn(line.x + 3, y, shorten(&name(history, curve), room.into()), room.into(), style);
        let x = line.right().saturating_sub(value_width).max(line.x + 3);
        buffer.set_stringn(x, y, value, line.right().saturating_sub(x).into(), style);
        if at == view.marked {
            buffer.set_style(line, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

fn cut_bottom(left: &mut Rect, height: u16) -> Rect {
    let height = height.min(left.height);
    left.height -= height;
    Rect { y: left.y + left.height, height, ..*left }
}

#[cfg(test)]
mod tests {
    use super::super::super::choice::Choice;
    use super::super::history::Feed;
    use super::*;
    use crate::record::Time;
    use crate::signals::{Signal, SignalType, Signals};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn signals(names: &[(&str, &str)]) -> Signals {
        Signals::new(names.iter().map(|(name, unit)| Signal::new(*name, *unit, SignalType::Float)).collect())
    }

    /// Both directions of a channel, the second one half a second later.
    fn channel() -> Feed {
        let feed = Feed::new(&["→", "←"], Choice::default());
        let (there, back) = (signals(&[("voltage", "V"), ("current", "A")]), signals(&[("power", "kW"), ("state\u{1b}[2J", "")]));
        for at in 0..2000_i64 {
            let time = Some(Time { sec: 1_700_000_000 + at / 100, nsec: (at % 100 * 10_000_000) as u32 });
            let angle = at as f64 / 100.0;
            let values = |a: f64, b: f64| [a.to_bits(), b.to_bits()];
            feed.add(0, &there, [(time, &values(325.0 * angle.sin(), 10.0 * angle.cos())[..])]);
            feed.add(1, &back, [(time, &values(-3.25 * angle.sin().abs(), 4.0)[..])]);
        }
        feed.lock().missed = 7;
        feed
    }

    fn screen(columns: u16, rows: u16, view: &mut View, feed: &Feed) -> String {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(frame, view, &feed.lock())).unwrap();
        let cells = terminal.backend().buffer().content.chunks(columns.into());
        cells.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
    }

    #[test]
    fn both_directions_are_shown_with_names_units_values_and_what_was_missed() {
        let feed = channel();
        let text = screen(160, 45, &mut View::new("plant".into()), &feed);
        for wanted in ["plant  → 0/s  ← 0/s  7 missed  10 s", "→voltage", "←power", " V", " kW", "q quit", "-5 s", "0 s"]
        {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        assert!(!text.contains('\u{1b}') && text.contains("←state\\u{1b}[2J"), "{text}");
    }

    #[test]
    fn a_small_screen_shows_the_axis_of_the_marked_curve() {
        let (feed, mut view) = (channel(), View::new("plant".into()));
        let text = screen(40, 12, &mut view, &feed);
        assert!(text.contains("→voltage") && text.contains("400┤"), "{text}");
        view.marked = 2;
        let text = screen(40, 12, &mut view, &feed);
        assert!(text.contains("←power") && text.contains("-3┤") && !text.contains("400┤"), "{text}");
    }

    #[test]
    fn no_size_is_too_small() {
        let feed = channel();
        for (columns, rows) in [(1, 1), (2, 40), (200, 2), (5, 5), (20, 4), (300, 100)] {
            screen(columns, rows, &mut View::new("plant".into()), &feed);
        }
    }

    #[test]
    fn ends_of_axes_are_round_and_flat_curves_have_some() {
        assert_eq!(round((0.3, 99.0)), (0.0, 100.0));
        assert_eq!(round((5.0, 5.0)), (4.5, 5.5));
        assert_eq!(round((0.0, 0.0)), (-1.0, 1.0));
    }
}
