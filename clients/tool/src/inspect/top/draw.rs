//! The screen: a summary line, the list, the selected object, the keys.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use villas_shm::inspect::{Entry, State};

use super::super::{table, words};
use super::list::{Item, List};
use super::{detail, rates};
use crate::cli::Sort;
use crate::screen;

/// A lower screen does not show the selected object in full.
const ROOM_FOR_DETAIL: u16 = 14;
const KEYS: [(&str, &str); 9] = [
    ("q", "quit"),
    ("↑↓", "mark"),
    ("s", "sort"),
    ("r", "reverse"),
    ("/", "filter"),
    ("+-", "interval"),
    ("space", "pause"),
    ("PgUp PgDn Home End", "scroll"),
    ("^Z", "stop"),
];
const FAINT: Style = Style::new().fg(Color::DarkGray);
const KEY: Style = Style::new().add_modifier(Modifier::BOLD);

/// What to draw.
pub(super) struct View<'a> {
    pub(super) interval: Duration,
    pub(super) is_paused: bool,
    /// The filter, while it is typed.
    pub(super) typed: Option<&'a str>,
    pub(super) list: &'a mut List,
}

/// Draws everything; returns how many lines the list has.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View<'_>) -> usize {
    let area = frame.area();
    let mut left = area;
    if left.height >= 3 {
        summary(frame, cut_top(&mut left), view);
        let keys = cut_bottom(&mut left, 1);
        match view.typed {
            Some(typed) => typing(frame, keys, typed),
            None => screen::help(frame.buffer_mut(), keys, &KEYS),
        }
    }
    if area.height >= ROOM_FOR_DETAIL {
        if let Some(item) = view.list.marked() {
            let named = detail::signals(item, area);
            let below = cut_bottom(&mut left, (area.height / 3).min(9) + named.len() as u16);
            marked(frame, below, item, named);
        }
    }
    let columns = Columns::fit(left.width, view.list);
    if left.height >= 2 {
        headings(frame, cut_top(&mut left), &columns, view.list.sort());
    }
    let height = usize::from(left.height);
    for (y, (at, queue)) in (left.y..).zip(view.list.page(height)) {
        let line = Rect { y, height: 1, ..left };
        row(frame, line, &columns, &view.list.items[at], queue, view.list.is_marked(at));
    }
    if let Some(trouble) = &view.list.trouble {
        frame.buffer_mut().set_stringn(left.x, left.y, trouble, left.width.into(), Style::new().fg(Color::Red));
    } else if view.list.items.is_empty() && left.height > 0 {
        frame.buffer_mut().set_stringn(left.x, left.y, nothing(view.list), left.width.into(), FAINT);
    }
    height
}

fn nothing(list: &List) -> String {
    match list.filter() {
        "" => "there is nothing in shared memory".into(),
        filter => format!("nothing in shared memory has \"{}\" in its name", words::plain(filter)),
    }
}

fn cut_top(left: &mut Rect) -> Rect {
    let line = Rect { height: 1, ..*left };
    (left.y, left.height) = (left.y + 1, left.height - 1);
    line
}

fn cut_bottom(left: &mut Rect, height: u16) -> Rect {
    left.height -= height;
    Rect { y: left.y + left.height, height, ..*left }
}

fn summary(frame: &mut Frame<'_>, line: Rect, view: &View<'_>) {
    let list = &view.list;
    let count = list.items.len();
    let mut said = vec![(format!("{count} {}", if count == 1 { "object" } else { "objects" }), KEY)];
    said.extend(list.counts().into_iter().enumerate().map(|(at, (state, count))| {
        let separator = if at == 0 { ": " } else { ", " };
        (format!("{separator}{count} {state}"), state_style(state))
    }));
    let pace = if view.is_paused { "paused".into() } else { format!("every {} s", view.interval.as_secs_f64()) };
    let (sort, is_reversed) = list.sort();
    said.push((format!("  by {}{}", sort.word(), if is_reversed { " reversed" } else { "" }), FAINT));
    said.push((format!("  {pace}"), if view.is_paused { Style::new().fg(Color::Yellow) } else { FAINT }));
    if !list.filter().is_empty() {
        said.push((format!("  names with \"{}\"", words::plain(list.filter())), FAINT));
    }
    screen::parts(frame.buffer_mut(), line, said);
}

fn typing(frame: &mut Frame<'_>, line: Rect, typed: &str) {
    let typed = words::plain(typed);
    screen::parts(frame.buffer_mut(), line, [("names with: ".into(), KEY), (typed, Style::new()), ("█".into(), Style::new())]);
    let hint = "Enter filters, Esc leaves it";
    let width = hint.len() as u16;
    if line.width > 3 * width {
        frame.buffer_mut().set_string(line.right() - width, line.y, hint, FAINT);
    }
}

/// The object in full, and in the lowest lines the names of its signals.
fn marked(frame: &mut Frame<'_>, mut area: Rect, item: &Item, named: Vec<Line<'static>>) {
    let signals = cut_bottom(&mut area, named.len() as u16);
    frame.render_widget(Paragraph::new(named), signals);
    let rule = "─".repeat(area.width.into());
    frame.buffer_mut().set_stringn(area.x, area.y, rule, area.width.into(), FAINT);
    let title = format!(" {} {} ", words::kind(&item.entry), item.name);
    let room = usize::from(area.width.saturating_sub(4));
    frame.buffer_mut().set_stringn(area.x + 2, area.y, table::shorten(&title, room), room, KEY);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    frame.render_widget(Paragraph::new(detail::lines(item)).wrap(Wrap { trim: true }), below);
}

/// The columns that fit, with their places.
struct Columns(Vec<(Column, u16, u16)>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Kind,
    State,
    Direction,
    Written,
    Read,
    Queued,
    Free,
    Users,
    Size,
    Peers,
}

use Column::{Direction, Free, Kind, Name, Peers, Queued, Read, Size, State as StateColumn, Users, Written};

/// The columns in order, each with its width and its priority: 0 is always shown, and takes the
/// rest of the width.
const COLUMNS: [(Column, u16, u8); 11] = [
    (Kind, 7, 5),
    (Name, SHORTEST_NAME, 0),
    (StateColumn, 7, 1),
    (Direction, 2, 3),
    (Written, 7, 2),
    (Read, 7, 4),
    (Queued, 17, 2),
    (Free, 8, 6),
    (Users, 5, 9),
    (Size, 5, 8),
    (Peers, 18, 7),
];
const SHORTEST_NAME: u16 = 12;
/// Names may be shortened to this width to make room for peers.
const READABLE_NAME: u16 = 18;
/// A name beyond this width takes no room from peers.
const LONG_NAME: u16 = 32;

impl Columns {
    fn fit(width: u16, list: &List) -> Columns {
        let longest = list.items.iter().map(|item| Span::raw(&*item.name).width()).max().unwrap_or(0) as u16;
        let mut chosen = vec![Name];
        let mut taken = SHORTEST_NAME;
        let mut by_rank = COLUMNS;
        by_rank.sort_by_key(|column| column.2);
        for (column, wide, _) in by_rank.into_iter().skip(1) {
            // Columns that are also shown below the list take no room from names.
            let name = match column {
                Peers => longest.min(READABLE_NAME),
                Users | Size => longest.min(LONG_NAME),
                _ => SHORTEST_NAME,
            };
            if taken + 1 + wide + name.saturating_sub(SHORTEST_NAME) <= width {
                taken += 1 + wide;
                chosen.push(column);
            }
        }
        let spare = width.saturating_sub(taken);
        let wanted = longest.clamp(SHORTEST_NAME, LONG_NAME) - SHORTEST_NAME;
        let for_name = if chosen.contains(&Peers) { spare.min(wanted) } else { spare };
        let mut x = 0;
        let placed = COLUMNS.into_iter().filter(|(column, ..)| chosen.contains(column)).map(|(column, wide, _)| {
            let wide = match column {
                Name => (wide + for_name).min(width),
                Peers => wide + spare - for_name,
                _ => wide,
            };
            let at = x;
            x += wide + 1;
            (column, at, wide)
        });
        Columns(placed.collect())
    }
}

fn is_number(column: Column) -> bool {
    matches!(column, Written | Read | Users | Size)
}

fn headings(frame: &mut Frame<'_>, line: Rect, columns: &Columns, (sort, is_reversed): (Sort, bool)) {
    let style = Style::new().fg(Color::Black).bg(Color::Cyan).add_modifier(Modifier::BOLD);
    frame.buffer_mut().set_style(line, style);
    for &(column, x, width) in &columns.0 {
        let (text, by) = match column {
            Kind => ("KIND", None),
            Name => ("NAME", Some(Sort::Name)),
            StateColumn => ("STATE", Some(Sort::State)),
            Direction => ("", None),
            Written => ("WRITE/s", Some(Sort::Rate)),
            Read => ("READ/s", None),
            Queued => ("QUEUED", Some(Sort::Fill)),
            Free => ("FREE", None),
            Users => ("USERS", None),
            Size => ("SIZE", Some(Sort::Size)),
            Peers => ("PEERS", None),
        };
        let arrow = if is_reversed { "▲" } else { "▼" };
        let mark = if by == Some(sort) { arrow } else { "" };
        // The arrow of a full column is in the gap after it.
        let text = if is_number(column) { format!("{text:>w$}{mark}", w = width.into()) } else { format!("{text}{mark}") };
        frame.buffer_mut().set_stringn(line.x + x, line.y, text, usize::from(width) + 1, style);
    }
}

/// A line of an object: one of its queues.
fn row(frame: &mut Frame<'_>, line: Rect, columns: &Columns, item: &Item, at: usize, is_marked: bool) {
    let entry = &item.entry;
    let state = if words::state(entry) == "unknown" { "?" } else { words::state(entry) };
    let queue = entry.queues.get(at);
    let rates = item.rates.as_ref().and_then(|rates| rates.queue(at));
    for &(column, x, width) in &columns.0 {
        let wide = usize::from(width);
        let is_first = at == 0;
        let (text, style) = match column {
            Kind if is_first => (words::kind(entry).into(), Style::new()),
            Name if is_first => (table::shorten(&item.name, wide), Style::new()),
            StateColumn if is_first => (state.into(), state_style(words::state(entry))),
            Direction if entry.queues.len() > 1 => (["→", "←"][at % 2].into(), FAINT),
            Written if queue.is_some() => (rates::say(rates.map(|r| r.written)), Style::new()),
            Read if queue.is_some() => (rates::say(rates.map(|r| r.read)), Style::new()),
            Queued => match queue {
                Some(queue) => {
                    let number = words::queue(queue);
                    let bar = bar(queue.depth, queue.capacity, wide.saturating_sub(number.len() + 1).min(8));
                    (format!("{bar} {number}"), fill_style(queue.depth, queue.capacity))
                }
                None => continue,
            },
            Free if is_first => match entry.blocks {
                // A pool is full if nothing of it is free.
                Some((free, total)) => (bar(free, total, wide), fill_style(total.saturating_sub(free), total)),
                None => continue,
            },
            Users if is_first => (words::users(entry), Style::new()),
            Size if is_first => (words::size(entry.size), Style::new()),
            Peers => (peers(entry, at), Style::new()),
            _ => continue,
        };
        let text = if is_number(column) { format!("{text:>wide$}") } else { text };
        frame.buffer_mut().set_stringn(line.x + x, line.y, text, wide, style);
    }
    if is_marked {
        frame.buffer_mut().set_style(line, Style::new().add_modifier(Modifier::REVERSED));
    }
}

/// The peers in a line: one in each, if there are as many lines as peers.
fn peers(entry: &Entry, at: usize) -> String {
    let peers: Vec<String> = entry.peers.iter().map(words::peer).collect();
    match (&entry.note, at) {
        (Some(note), 0) if entry.state == State::Corrupt => words::plain(note),
        _ if peers.len() > 1 && peers.len() == entry.queues.len() => peers[at].clone(),
        (_, 1..) => String::new(),
        _ if peers.is_empty() => words::attached(entry).join(", "),
        _ => peers.join(", "),
    }
}

fn state_style(state: &str) -> Style {
    match state {
        "live" => Style::new().fg(Color::Green),
        "stale" => Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD),
        "corrupt" => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        _ => FAINT,
    }
}

fn fill_style(depth: u64, capacity: u64) -> Style {
    match depth as f64 / capacity.max(1) as f64 {
        fill if fill >= 0.9 => Style::new().fg(Color::Red),
        fill if fill >= 0.5 => Style::new().fg(Color::Yellow),
        _ => Style::new().fg(Color::Green),
    }
}

/// A bar of `width` cells. It is empty only for zero, and full only for `total`.
fn bar(value: u64, total: u64, width: usize) -> String {
    const EIGHTHS: [char; 8] = ['·', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let steps = 8 * width;
    let filled = match (value, total) {
        (0, _) | (_, 0) => 0,
        _ if value >= total => steps,
        _ => ((value as f64 / total as f64 * steps as f64) as usize).clamp(1.min(steps), steps.saturating_sub(1)),
    };
    (0..width).map(|cell| if filled >= 8 * (cell + 1) { '█' } else { EIGHTHS[filled.saturating_sub(8 * cell).min(7)] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_empty_only_for_nothing_and_full_only_for_all() {
        let bars = [(0, 8, "····"), (1, 1000, "▏···"), (4, 8, "██··"), (3, 8, "█▌··"), (999, 1000, "███▉"), (8, 8, "████")];
        for (value, total, text) in bars {
            assert_eq!(bar(value, total, 4), text);
        }
        assert_eq!((bar(3, 0, 2), bar(9, 8, 2), bar(1, 2, 0)), ("··".into(), "██".into(), String::new()));
    }
}
