//! Each memory ordering of the library belongs to an argued edge, as ARCHITECTURE.md lists them.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Labels, each with the file that defines it.
fn edges() -> Vec<(String, String)> {
    let text = read("ARCHITECTURE.md");
    let list = text.split("```orderings\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the list of edges");
    let row = |line: &str| {
        let mut columns = line.split_whitespace().map(str::to_owned);
        (columns.next().expect("a label"), columns.next().expect("a file"))
    };
    list.lines().skip(1).map(row).collect()
}

/// The lines of a file without its tests.
fn product(text: &str) -> Vec<&str> {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text).lines().collect()
}

/// The labels that stand in a text as separate words.
fn labels<'e>(text: &str, edges: &'e [(String, String)]) -> Vec<&'e str> {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    edges.iter().map(|(label, _)| label.as_str()).filter(|label| words.contains(label)).collect()
}

fn code_of(line: &str) -> &str {
    if line.trim_start().starts_with("//") { "" } else { line.split(" // ").next().unwrap_or(line) }
}

fn comment_of(line: &str) -> &str {
    match line.trim_start().strip_prefix("//") {
        Some(comment) => comment,
        None => line.split_once(" // ").map_or("", |(_, comment)| comment),
    }
}

/// Whether a line has an ordering stronger than relaxed.
fn orders(line: &str) -> bool {
    let code = code_of(line);
    let is_declaration =
        ["use ", "fn ", "pub(crate) use "].iter().any(|word| code.trim_start().starts_with(word)) || code.contains(" fn ");
    let words = ["Acquire", "Release", "AcqRel", "SeqCst"];
    let has_word = code.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| words.contains(&word));
    // Words in shared memory: `protocol::atomics`.
    let has_call =
        [".publish(", ".observe(", ".raise(ASLEEP)", ".lower(", ".lessen(", "_fence("].iter().any(|call| code.contains(call));
    !is_declaration && (has_word || has_call)
}

#[test]
fn each_edge_is_defined_once_and_both_its_ends_are_labelled() {
    let edges = edges();
    assert!(edges.len() > 20, "{} edges", edges.len());
    let mut files: Vec<&str> = edges.iter().map(|(_, file)| file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    for (label, file) in &edges {
        let row = format!("//! | {label} | ");
        let defined: Vec<&&str> = files.iter().filter(|file| read(file).contains(&row)).collect();
        assert_eq!(defined, [&file.as_str()], "where the table of edge {label} is");
        let ends: usize = files
            .iter()
            .chain(&[
                "src/channel/handle.rs",
                "src/protocol/mpmc_look.rs",
                "src/protocol/ring_tap.rs",
                "src/ring/liveness.rs",
                "src/layout/holder.rs",
                "src/channel/wire/open.rs",
                "src/channel/wire/liveness.rs",
                "src/channel/wire/region.rs",
            ])
            .map(|file| {
                let text = read(file);
                let lines = product(&text);
                lines
                    .iter()
                    .filter(|line| !line.starts_with("//!") && labels(comment_of(line), &edges).contains(&label.as_str()))
                    .count()
            })
            .sum();
        assert!(ends >= 2, "edge {label} has {ends} ends that name it");
    }
}

#[test]
fn no_ordering_stands_without_its_edge() {
    let edges = edges();
    let mut files: Vec<&str> = edges.iter().map(|(_, file)| file.as_str()).collect();
    files.extend([
        "src/protocol/half.rs",
        "src/protocol/hand.rs",
        "src/protocol/mpmc_look.rs",
        "src/protocol/ring_tap.rs",
        "src/channel/wire/region.rs",
        "src/layout/holder.rs",
        "src/ring/liveness.rs",
    ]);
    files.sort_unstable();
    files.dedup();
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in files {
        let text = read(file);
        let lines = product(&text);
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| orders(line)) {
            seen += 1;
            // On the line, in the comment above it, or, where the line opens a block, below it.
            let mut near = comment_of(line).to_owned();
            for above in lines[..at].iter().rev().take_while(|above| above.trim_start().starts_with("//")) {
                near.push_str(above);
            }
            if line.ends_with('{') || line.ends_with('(') {
                near.push_str(lines.get(at + 1).map_or("", |below| comment_of(below)));
            }
            if labels(&near, &edges).is_empty() {
                wrong.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    assert!(seen > 100, "only {seen} orderings were found");
    assert!(wrong.is_empty(), "of {seen} orderings these name no edge:\n{}", wrong.join("\n"));
}
