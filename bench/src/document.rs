//! `docs/performance.md`, in which each full run rewrites what is between marks; the plots; and
//! `docs/performance-tables.md`, the same way.

use crate::report::{Results, Table};
use std::fs;
use std::path::{Path, PathBuf};
use villas_shm_measure::table::{markdown, replaced};

/// The marks around a part of this name.
fn marks(part: &str) -> (String, String) {
    (format!("<!-- make bench writes {part} from here … -->\n"), format!("<!-- … {part} to here -->\n"))
}

/// The document with all tables, beside the one that is given.
const TABLES: &str = "performance-tables.md";

/// The directory of the plots, relative to the document.
const PLOTS: &str = "performance";

/// Fails if the documents have no marks: before anything is measured.
pub(crate) fn check(document: &Path) -> Result<(), String> {
    let nothing = Results::default();
    pages(document, &nothing, "", &[]).map(drop)
}

/// Writes the two documents and the plots.
pub(crate) fn write(document: &Path, results: &Results, machine: &str, missing: &[String]) -> Result<(), String> {
    for (page, text) in pages(document, results, machine, missing)? {
        fs::write(&page, text).map_err(|error| format!("{}: {error}", page.display()))?;
    }
    let directory = document.with_file_name(PLOTS);
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for (file, svg) in results.plots(machine) {
        fs::write(directory.join(file), svg).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

/// The new texts of the two documents.
fn pages(document: &Path, results: &Results, machine: &str, missing: &[String]) -> Result<[(PathBuf, String); 2], String> {
    let interfaces = markdown(&results.interfaces().rows);
    let parts = [
        ("the interfaces", measured(machine, missing) + "\n" + &interfaces),
        ("the goals", body(&results.goals())),
        ("who is behind", body(&results.behind())),
        ("join and VILLASnode", body(&results.elsewhere())),
    ];
    let mut tables = measured(machine, missing);
    for table in results.tables().iter().chain(&results.others()) {
        tables += &format!("\n### {}\n\n{}", table.title, body(table));
    }
    let page = |page: PathBuf, parts: &[(&str, String)]| Ok::<_, String>((page.clone(), rewritten(&page, parts)?));
    Ok([page(document.into(), &parts)?, page(document.with_file_name(TABLES), &[("the tables", tables)])?])
}

/// A document with these parts replaced.
fn rewritten(document: &Path, parts: &[(&str, String)]) -> Result<String, String> {
    let mut text = fs::read_to_string(document).map_err(|error| format!("{}: {error}", document.display()))?;
    for (part, section) in parts {
        let (begin, end) = marks(part);
        text = replaced(&text, &begin, &end, section).ok_or_else(|| format!("{}: no marks for {part}", document.display()))?;
    }
    Ok(text)
}

fn measured(machine: &str, missing: &[String]) -> String {
    let mut text = wrapped(&format!("Measured by `make bench` on {machine}."));
    for why in missing {
        text += &wrapped(&format!("Not measured: {why}."));
    }
    text
}

/// A table without its title.
fn body(table: &Table) -> String {
    let text = if table.text.is_empty() { String::new() } else { wrapped(&table.text) };
    let rows = if table.rows.is_empty() { String::new() } else { markdown(&table.rows) };
    let gap = if text.is_empty() || rows.is_empty() { "" } else { "\n" };
    text + gap + &rows
}

/// Wraps a sentence to the line length of the other documents.
fn wrapped(sentence: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        let is_full = column + 1 + length > 100;
        text += match column {
            0 => "",
            _ if is_full => "\n",
            _ => " ",
        };
        column = if is_full { length } else { column + usize::from(column > 0) + length };
        text += word;
    }
    text + "\n"
}
