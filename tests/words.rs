//! A word of the sources means one thing, as ARCHITECTURE.md lists them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sources in `src`, by their paths.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let source = root().join("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    let name = |path: &Path| path.strip_prefix(&source).expect("below src").to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).expect("a source"))).collect()
}

/// A line of the list: the word, its meaning (or what to say instead), and where it may stand.
struct Row {
    word: String,
    meaning: String,
    places: Vec<String>,
}

fn list() -> Vec<Row> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let list = text.split("```words\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the list of words");
    let row = |line: &str| {
        let mut columns = line.splitn(2, "  ");
        let word = columns.next().expect("a word").trim().to_owned();
        let rest = columns.next().expect("a meaning").trim();
        let is_place =
            |part: &&str| part.ends_with(".rs") || part.split_whitespace().all(|place| root().join("src").join(place).exists());
        // The places are the last words of the line that are each a file or folder of `src`.
        let parts: Vec<&str> = rest.split_whitespace().collect();
        let first = parts.iter().rposition(|part| !is_place(part)).map_or(0, |last| last + 1);
        let places = parts[first..].iter().map(|&place| place.to_owned()).collect();
        Row { word, meaning: parts[..first].join(" "), places }
    };
    list.lines().filter(|line| !line.trim().is_empty()).map(row).collect()
}

/// Whether `line` has `word`, or its plural, as a word or as a part of a name: `ring`, `Rings`,
/// `ring_of`, `RingView`, not `string`.
fn has(line: &str, word: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    lower.match_indices(word).any(|(at, _)| {
        let end = at + word.len();
        let begins = at == 0 || {
            let (before, first) = (line.as_bytes()[at - 1], line.as_bytes()[at]);
            !before.is_ascii_alphabetic() || first.is_ascii_uppercase() && before.is_ascii_lowercase()
        };
        let rest = line[end..].strip_prefix('s').unwrap_or(&line[end..]);
        let ends = |rest: &str| rest.bytes().next().is_none_or(|next| !next.is_ascii_lowercase());
        begins && (ends(rest) || ends(&line[end..]))
    })
}

#[test]
fn words_are_found_in_names_and_prose_and_not_within_others() {
    for line in ["a ring.", "Rings of", "fn ring_of(", "RingView", "aRing", "the_rings"] {
        assert!(has(line, "ring"), "{line}");
    }
    for line in ["string", "during", "ringing", "springs", "STRINGS"] {
        assert!(!has(line, "ring"), "{line}");
    }
}

#[test]
fn each_word_stands_only_where_it_has_its_meaning() {
    let (rows, sources) = (list(), sources());
    assert!(rows.len() > 8 && sources.len() > 80, "{} words, {} sources", rows.len(), sources.len());
    let mut wrong = Vec::new();
    for Row { word, meaning, places } in &rows {
        for place in places {
            let at = root().join("src").join(place);
            assert!(at.exists(), "the list says that \"{word}\" stands in {place}, which does not exist");
        }
        for (name, text) in &sources {
            if places.iter().any(|place| Path::new(name).starts_with(place)) {
                continue;
            }
            for (number, line) in text.lines().enumerate().filter(|(_, line)| has(line, word)) {
                wrong.push(format!("src/{name}:{}: \"{word}\" ({meaning}): {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_two_types_have_the_same_name() {
    let mut where_defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, text) in sources() {
        let mut last = "";
        for line in text.lines() {
            let code = line.trim_start();
            // Test modules at the end of a file, and one type in two builds.
            if code.starts_with("mod tests {") {
                break;
            }
            let is_alternative = last.starts_with("#[cfg(loom)]") || last.starts_with("#[cfg(not(loom))]");
            last = code;
            let code = code
                .strip_prefix("pub(crate) ")
                .or(code.strip_prefix("pub(super) "))
                .or(code.strip_prefix("pub "))
                .unwrap_or(code);
            let code = code.strip_prefix("unsafe ").unwrap_or(code);
            // A type within an `impl` belongs to the trait.
            let kinds: &[&str] = if line.starts_with(' ') {
                &["struct ", "enum ", "trait "]
            } else {
                &["struct ", "enum ", "trait ", "union ", "type "]
            };
            let Some(rest) = kinds.iter().find_map(|kind| code.strip_prefix(kind)) else { continue };
            let defined: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !is_alternative && !defined.is_empty() {
                where_defined.entry(defined).or_default().push(name.clone());
            }
        }
    }
    assert!(where_defined.len() > 100, "only {} types were found", where_defined.len());
    let twice: Vec<String> = where_defined
        .iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    assert!(twice.is_empty(), "\n{}", twice.join("\n"));
}
