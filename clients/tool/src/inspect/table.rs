//! The table of `ls`. Columns that do not fit go to a second line below; if that does not suffice,
//! names are shortened.

use villas_shm::inspect::{Entry, Kind, State};

use super::words;

const HEADINGS: [&str; 11] = ["KIND", "NAME", "SIZE", "MODE", "OWNER", "USERS", "STATE", "AGE", "QUEUED", "FREE", "PEERS"];
const NAME: usize = 1;
/// Columns of numbers, which are aligned to the right.
const NUMBERS: [usize; 4] = [2, 3, 5, 7];
/// From these columns on, columns go to a second line: first peers, then queues and blocks too.
const FIRST_TO_GO: [usize; 3] = [11, 10, 8];
const INDENT: &str = "    ";
const SHORTEST_NAME: usize = 12;

type Row = [String; 11];

/// The table, at most `width` columns wide if a width is given.
pub(super) fn table(entries: &[Entry], width: Option<usize>) -> String {
    let mut rows: Vec<Row> = vec![HEADINGS.map(String::from)];
    rows.extend(entries.iter().map(row));
    let width = width.unwrap_or(usize::MAX);
    let wide = |columns: usize, rows: &[Row]| widths(rows, columns).iter().map(|w| w + 1).sum::<usize>() - 1;
    let columns = FIRST_TO_GO.into_iter().find(|&columns| wide(columns, &rows) <= width).unwrap_or(FIRST_TO_GO[2]);
    let excess = wide(columns, &rows).saturating_sub(width);
    if excess > 0 {
        let longest = widths(&rows, columns)[NAME].saturating_sub(excess).max(SHORTEST_NAME);
        rows.iter_mut().for_each(|row| row[NAME] = shorten(&row[NAME], longest));
    }
    let widths = widths(&rows, columns);
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        text.push_str(&line(row, &widths));
        if at > 0 {
            below(&row[columns..], &HEADINGS[columns..], width, &mut text);
        }
    }
    text
}

fn row(entry: &Entry) -> Row {
    let unknown = |text: &'static str| if text == "unknown" { "?" } else { text };
    let queues: Vec<String> = entry.queues.iter().map(words::queue).collect();
    let blocks = entry.blocks.map_or(String::new(), |(free, total)| format!("{free}/{total}"));
    let mut peers: Vec<String> = entry.peers.iter().map(words::peer).collect();
    if entry.peers.is_empty() {
        peers = words::attached(entry);
    }
    let is_worth_a_note = matches!(entry.state, State::Corrupt | State::Unknown) || entry.kind == Kind::Unknown;
    peers.extend(entry.note.iter().filter(|_| is_worth_a_note).map(|note| words::plain(note)));
    [
        unknown(words::kind(entry)).into(),
        words::name(entry),
        words::size(entry.size),
        format!("{:04o}", entry.mode),
        words::owner(entry.uid),
        words::users(entry),
        unknown(words::state(entry)).into(),
        words::age(entry.created),
        queues.join(" "),
        blocks,
        peers.join(", "),
    ]
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn widths(rows: &[Row], columns: usize) -> Vec<usize> {
    (0..columns).map(|column| rows.iter().map(|row| length(&row[column])).max().unwrap_or(0)).collect()
}

fn line(row: &Row, widths: &[usize]) -> String {
    let cell = |(column, &width): (usize, &usize)| {
        let text = &row[column];
        if NUMBERS.contains(&column) { format!("{text:>width$}") } else { format!("{text:<width$}") }
    };
    let cells: Vec<String> = widths.iter().enumerate().map(cell).collect();
    format!("{}\n", cells.join(" ").trim_end())
}

/// The columns that did not fit, with their headings, in lines of at most `width`.
fn below(cells: &[String], headings: &[&str], width: usize, text: &mut String) {
    let parts = cells.iter().zip(headings).filter(|(cell, _)| !cell.is_empty());
    let said: Vec<String> = parts
        .map(|(cell, heading)| if *heading == "PEERS" { cell.clone() } else { format!("{} {cell}", heading.to_lowercase()) })
        .collect();
    let said = said.join("; ");
    let mut at = usize::MAX;
    for word in said.split_whitespace() {
        if at.saturating_add(1 + length(word)) > width {
            text.push_str(if at == usize::MAX { INDENT } else { "\n    " });
            at = INDENT.len();
        } else {
            text.push(' ');
            at += 1;
        }
        text.push_str(word);
        at += length(word);
    }
    if at != usize::MAX {
        text.push('\n');
    }
}

/// Beginning and end of a text that is too long.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    let length = length(text);
    if length <= most || most == 0 {
        return text.chars().take(most).collect();
    }
    let end = most / 2;
    let start: String = text.chars().take(most - 1 - end).collect();
    let tail: String = text.chars().skip(length - end).collect();
    format!("{start}…{tail}")
}
