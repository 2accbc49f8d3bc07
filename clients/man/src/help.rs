//! The end of a command's help: exit statuses, keys, columns.

use crate::inline::Names;
use crate::roff::{Page, bold};

/// A heading is no longer than this.
const HEADING_WORDS: usize = 3;

/// Prints it as sections. "Keys:" alone in a line is a heading, "Exit status: 0" a heading and a
/// sentence. Indented lines are a list, whose terms and texts stand in two columns.
pub(crate) fn print(page: &mut Page, text: &str) {
    let names = Names::default();
    let lines: Vec<&str> = text.lines().collect();
    let mut has_heading = false;
    let mut follows = false;
    let is_heading = |line: &str| heading(line).is_some_and(|(_, rest)| rest.is_empty());
    let is_one = |a: &&str, b: &&str| is_indented(a) == is_indented(b) && !a.is_empty() && !b.is_empty() && !is_heading(b);
    for part in lines.chunk_by(is_one) {
        if is_indented(part[0]) {
            items(part).into_iter().for_each(|(term, text)| page.item(&bold(&term), &names.roff(&text)));
            follows = true;
            continue;
        }
        let mut sentences = part.join(" ");
        if let Some((heading, rest)) = heading(&sentences) {
            page.section(&heading.to_uppercase());
            (has_heading, follows) = (true, false);
            sentences = rest.to_owned();
        }
        if !sentences.trim().is_empty() {
            if !has_heading {
                page.section("NOTES");
                has_heading = true;
            }
            page.paragraph(&names.roff(&sentences), follows);
            follows = true;
        }
    }
}

fn is_indented(line: &str) -> bool {
    line.starts_with(' ')
}

fn heading(text: &str) -> Option<(&str, &str)> {
    let (heading, rest) = text.split_once(':')?;
    let words = heading.split(' ').count();
    let is_heading = words <= HEADING_WORDS && heading.starts_with(char::is_uppercase);
    is_heading.then(|| (heading, rest.trim_start()))
}

/// The terms of a list, and their texts.
fn items(lines: &[&str]) -> Vec<(String, String)> {
    let chars: Vec<Vec<char>> = lines.iter().map(|line| line.chars().collect()).collect();
    let indent = |line: &[char]| line.iter().take_while(|c| **c == ' ').count();
    let left = chars.iter().map(|line| indent(line)).min().unwrap_or(0);
    // Where the texts begin: behind the first two blanks after a term, or as far as the further
    // lines are indented.
    let after_blanks = |line: &Vec<char>| {
        let end = (left + 1..line.len()).find(|&at| line[at - 1] == ' ' && line[at] == ' ')?;
        (end..line.len()).find(|&at| line[at] != ' ')
    };
    let column = chars.iter().filter(|line| indent(line) == left).find_map(after_blanks);
    let mut items: Vec<(String, String)> = Vec::new();
    for line in &chars {
        let text = |from: usize| line[from..].iter().collect::<String>().trim().to_owned();
        let is_split = |&at: &usize| at < line.len() && line[at - 1] == ' ' && line[at] != ' ';
        match (items.last_mut(), column.filter(is_split)) {
            (Some((_, all)), _) if indent(line) > left => *all = format!("{all} {}", text(0)).trim_start().to_owned(),
            (_, Some(at)) => items.push((line[left..at].iter().collect::<String>().trim().to_owned(), text(at))),
            _ => items.push((text(0), String::new())),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
Keys:
  q, Esc     quit
  up, down, left
             move the
             mark
  .bin .b, .c

Exit status: 0;
1 for errors.";

    #[test]
    fn headings_lists_and_sentences_are_found() {
        let mut page = Page::default();
        print(&mut page, HELP);
        let wanted = ".SH KEYS\n.TP\n\\fBq, Esc\\fP\nquit\n.TP\n\\fBup, down, left\\fP\nmove the mark\n.TP\n\\fB.bin .b, .c\\fP\n\
                      .SH EXIT STATUS\n0; 1 for errors.\n";
        assert_eq!(page.into_text(), wanted);
    }
}
