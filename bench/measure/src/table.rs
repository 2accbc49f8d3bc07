//! Figures in a readable form, and tables of them.

/// Three digits: `87`, `8.71`, `871`.
#[must_use]
pub fn digits(figure: f64) -> String {
    let decimals = match figure.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.0995 => 2,
        _ => 3,
    };
    format!("{figure:.decimals$}")
}

fn scaled(figure: f64, units: &[(f64, &str)]) -> String {
    let (scale, unit) = units.iter().rev().find(|(scale, _)| figure >= 0.9995 * scale).unwrap_or(&units[0]);
    format!("{} {unit}", digits(figure / scale))
}

/// A time, given in nanoseconds.
#[must_use]
pub fn time(ns: f64) -> String {
    scaled(ns, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")])
}

/// A rate of items, given in nanoseconds for each.
#[must_use]
pub fn rate(ns: f64) -> String {
    scaled(1e9 / ns, &[(1.0, "/s"), (1e3, "k/s"), (1e6, "M/s"), (1e9, "G/s")])
}

/// An amount of memory.
#[must_use]
pub fn bytes(count: f64) -> String {
    scaled(count, &[(1.0, "B"), (1024.0, "KiB"), (1024.0 * 1024.0, "MiB"), (1024.0 * 1024.0 * 1024.0, "GiB")])
}

/// A table for a terminal: the first column aligned left, the others right, with two spaces
/// between.
#[must_use]
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - cell.chars().count());
            line += &if at == 0 { format!("{cell}{space}") } else { format!("  {space}{cell}") };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A table in Markdown; the first row is the heading. Columns of figures are aligned right.
#[must_use]
pub fn markdown(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
    let is_figure = |cell: &String| cell.starts_with(|c: char| c.is_ascii_digit() || "–≤≥".contains(c));
    let rule = |at: usize| if rows[1..].iter().filter_map(|row| row.get(at)).any(is_figure) { "---:|" } else { "---|" };
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text += &line(row);
        if number == 0 {
            text += &format!("|---|{}\n", (1..row.len()).map(rule).collect::<String>());
        }
    }
    text
}

/// The text with the section between two marks replaced; `None`: a mark is missing.
#[must_use]
pub fn replaced(text: &str, begin: &str, end: &str, section: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{section}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        for (ns, text) in
            [(0.0, "0 ns"), (0.5, "0.50 ns"), (87.14, "87.1 ns"), (999.8, "1.00 µs"), (45_200.0, "45.2 µs"), (3e9, "3.00 s")]
        {
            assert_eq!(time(ns), text);
        }
        assert_eq!((rate(5.0), rate(25_000.0)), ("200 M/s".into(), "40.0 k/s".into()));
        assert_eq!((bytes(65_536.0), bytes(100.0)), ("64.0 KiB".into(), "100 B".into()));
    }

    #[test]
    fn columns_are_aligned_and_lines_end_where_the_text_ends() {
        let rows = [vec!["row".into(), "p50".into()], vec!["a long one".into(), "7 µs".into()]];
        assert_eq!(columns(&rows), "row          p50\na long one  7 µs\n");
    }

    #[test]
    fn markdown_has_a_rule_below_the_heading_that_aligns_figures() {
        let rows = [["a", "b", "c"], ["1", "2 µs", "met"], ["2", "–", "missed"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(markdown(&rows), "| a | b | c |\n|---|---:|---|\n| 1 | 2 µs | met |\n| 2 | – | missed |\n");
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let once = replaced("a\n<b>\nold\n<e>\nc\n", "<b>\n", "<e>\n", "new").unwrap();
        assert_eq!(once, "a\n<b>\n\nnew\n<e>\nc\n");
        assert_eq!(replaced(&once, "<b>\n", "<e>\n", "new").unwrap(), once);
        assert_eq!(replaced("a\n", "<b>\n", "<e>\n", "new"), None);
    }
}
