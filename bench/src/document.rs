//! `docs/performance.md`: each full run rewrites the text between the marks.

use crate::report::{Results, Table};
use std::fs;
use std::path::Path;
use villas_shm_measure::table::{markdown, replaced};

const BEGIN: &str = "<!-- make bench writes from here … -->\n";
const END: &str = "<!-- … to here -->\n";

/// The directory of the plots, relative to the document.
const PLOTS: &str = "performance";

const ALT: &[(&str, &str)] = &[
    ("round-trip.svg", "Percentiles of the round trip of 96 bytes, each contender a line, logarithmic time"),
    ("asleep.svg", "Percentiles of the round trip of 96 bytes when both sides sleep"),
    ("wake-up.svg", "Percentiles of the time until a sleeping receiver has a message"),
    ("stream-batch.svg", "Throughput of 152-byte messages by batch size, in proportion to a bare stream"),
    ("stream-size.svg", "Throughput by message size, in proportion to a bare stream"),
];

/// Writes the tables and the plots.
pub(crate) fn write(document: &Path, results: &Results, machine: &str, missing: &[String]) -> Result<(), String> {
    let error = |error: std::io::Error| format!("{}: {error}", document.display());
    let text = fs::read_to_string(document).map_err(error)?;
    let replaced = replaced(&text, BEGIN, END, &section(results, machine, missing))
        .ok_or_else(|| format!("{}: no marks", document.display()))?;
    let directory = document.with_file_name(PLOTS);
    fs::create_dir_all(&directory).map_err(error)?;
    for (file, svg) in results.plots(machine) {
        fs::write(directory.join(&file), svg).map_err(|error| format!("{file}: {error}"))?;
    }
    fs::write(document, replaced).map_err(error)
}

fn section(results: &Results, machine: &str, missing: &[String]) -> String {
    let mut text = wrapped(&format!("Measured by `make bench` on {machine}."));
    for why in missing {
        text += &wrapped(&format!("Not measured: {why}."));
    }
    let tables = results.tables();
    let (goals, others) = tables.split_at(2);
    goals.iter().for_each(|table| add(&mut text, table));
    text += "\n### Plots\n";
    for (file, alt) in ALT {
        text += &format!("\n![{alt}]({PLOTS}/{file})\n");
    }
    others.iter().for_each(|table| add(&mut text, table));
    text
}

fn add(text: &mut String, table: &Table) {
    *text += &format!("\n### {}\n\n", table.title);
    if !table.text.is_empty() {
        *text += &format!("{}\n", wrapped(table.text));
    }
    *text += &markdown(&table.rows);
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
