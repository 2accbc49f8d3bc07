//! shmem(7): a page by hand, with what the header's first comment says of all functions.

use crate::header::{Header, paragraphs};
use crate::inline::Names;
use crate::roff::{Page, bold};

/// The page, of which the line `@header@` stands for the header's sections and `@program@` for the
/// program.
pub(crate) fn page(template: &str, program: &str, header: &Header) -> String {
    let names = Names { functions: header.functions().map(|function| function.name.as_str()).collect(), parameters: Vec::new() };
    let mut page = Page::new("shmem", 7);
    // Its tables are for tbl(1), as this line says to man(1).
    let mut text = String::from("'\\\" t\n");
    for line in template.lines() {
        match line {
            "@header@" => sections(&mut page, &header.head, &names),
            "@program@" => page.code(program),
            line => page.raw(line),
        }
    }
    text.push_str(&page.into_text());
    text
}

/// A part of a section.
enum Block<'a> {
    Paragraph(&'a [String]),
    /// Each begins with "- ".
    Bullets(&'a [String]),
    /// Each begins with its number in brackets.
    Notes(&'a [String]),
    /// The rows of a table, without its head and rule; the columns where its cells begin, and the
    /// titles.
    Table(Table<'a>),
}

struct Table<'a> {
    titles: Vec<String>,
    starts: Vec<usize>,
    rows: Vec<&'a str>,
}

fn sections(page: &mut Page, head: &[String], names: &Names) {
    let is_rule = |line: &String| line.len() > 3 && line.chars().all(|c| c == '=');
    let starts: Vec<usize> = (1..head.len()).filter(|&at| is_rule(&head[at])).collect();
    for (number, &at) in starts.iter().enumerate() {
        let end = starts.get(number + 1).map_or(head.len(), |next| next - 1);
        page.section(&head[at - 1].to_uppercase());
        let mut follows = false;
        for block in blocks(&head[at + 1..end]) {
            print(page, &block, names, follows);
            follows = true;
        }
    }
}

fn blocks(lines: &[String]) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block> = Vec::new();
    for part in lines.split(|line| line.is_empty()).filter(|part| !part.is_empty()) {
        let rule = part.iter().position(|line| line.contains("---"));
        match (rule, blocks.last_mut()) {
            (Some(rule), _) => blocks.push(Block::Table(table(part, rule))),
            _ if part[0].starts_with("- ") => blocks.push(Block::Bullets(part)),
            _ if part[0].trim().starts_with('[') => blocks.push(Block::Notes(part)),
            (None, Some(Block::Table(table))) if part[0].starts_with("  ") => {
                table.rows.push("");
                table.rows.extend(part.iter().map(String::as_str));
            }
            _ => blocks.push(Block::Paragraph(part)),
        }
    }
    blocks
}

/// A table with a rule of dashes below its titles.
fn table(part: &[String], rule: usize) -> Table<'_> {
    let dashes = &part[rule];
    let begins = |&at: &usize| dashes[at..].starts_with('-') && (at == 0 || dashes[..at].ends_with(' '));
    let mut starts: Vec<usize> = (0..dashes.len()).filter(begins).collect();
    // What stands left of the rule is a column without a title.
    if part[rule + 1..].iter().any(|row| row.get(..starts[0]).is_some_and(|left| !left.trim().is_empty())) {
        starts.insert(0, 0);
    }
    let titles = cells(&part[rule - 1], &starts);
    Table { titles, starts, rows: part[rule + 1..].iter().map(String::as_str).collect() }
}

fn cells(row: &str, starts: &[usize]) -> Vec<String> {
    let ends = starts.iter().skip(1).copied().chain([row.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| row.get(start..end.min(row.len())).unwrap_or_default().trim().to_owned())
        .collect()
}

/// Items whose further lines are indented.
fn items(lines: &[String], begins: impl Fn(&str) -> bool) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in lines {
        match items.last_mut() {
            Some(item) if !begins(line) => *item = format!("{item} {}", line.trim()),
            _ => items.push(line.trim().to_owned()),
        }
    }
    items
}

fn print(page: &mut Page, block: &Block, names: &Names, follows: bool) {
    match block {
        Block::Paragraph(lines) => page.paragraph(&names.roff(&paragraphs(lines).join(" ")), follows),
        Block::Bullets(lines) => {
            for item in items(lines, |line| line.starts_with("- ")) {
                page.raw(".IP \\(bu 2");
                page.paragraph(&names.roff(&item[2..]), false);
            }
        }
        Block::Notes(lines) => {
            for item in items(lines, |line| line.trim_start().starts_with('[')) {
                let (tag, text) = item.split_once(' ').expect("a number and a note");
                page.raw(&format!(".IP {tag} 4"));
                page.paragraph(&names.roff(text), false);
            }
        }
        Block::Table(table) if table.starts[0] == 0 => print_list(page, table, names),
        Block::Table(table) => print_table(page, table, names),
    }
}

/// A table that is as wide as it is.
fn print_table(page: &mut Page, table: &Table, names: &Names) {
    let row =
        |cells: &[String], print: &dyn Fn(&str) -> String| cells.iter().map(|cell| print(cell)).collect::<Vec<_>>().join("|");
    // Without a word on functions, which all of the first column are.
    let plain = Names::default();
    // Less indented than text, so that the longest row fits on a terminal of 80 columns.
    page.raw(".in 4n\n.TS\ntab(|);");
    page.raw(&format!("{} l.", vec!["l1"; table.starts.len() - 1].join(" ")));
    let titles = |part: fn(&str) -> &str| row(&table.titles, &|cell| format!("\\fI{}\\fP", plain.roff(part(cell))));
    page.raw(&titles(|title| title.split_once(", ").map_or(title, |(first, _)| first)));
    page.raw(&titles(|title| title.split_once(", ").map_or("", |(_, second)| second)));
    for line in &table.rows {
        let mut cells = cells(line, &table.starts);
        // A row for each of several functions.
        for name in cells[0].clone().split(", ") {
            cells[0] = name.to_owned();
            page.raw(&row(&cells, &|cell| if names.functions.contains(cell) { bold(cell) } else { plain.roff(cell) }));
        }
    }
    page.raw(".TE\n.in");
}

/// A table of sentences: for each row what each column says of it.
fn print_list(page: &mut Page, table: &Table, names: &Names) {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in &table.rows {
        let cells = cells(line, &table.starts);
        match rows.last_mut() {
            Some(row) if cells[0].is_empty() => row.iter_mut().zip(cells).for_each(|(all, more)| *all = format!("{all} {more}")),
            _ => rows.push(cells),
        }
    }
    for row in rows {
        for (number, (title, cell)) in table.titles.iter().zip(&row).skip(1).enumerate() {
            let text = format!("{}: {}", names.roff(title), names.roff(cell.trim()));
            if number == 0 {
                page.item(&bold(row[0].trim()), &text);
            } else {
                page.raw(".IP");
                page.paragraph(&text, false);
            }
        }
    }
}
