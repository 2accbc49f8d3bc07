//! The imports of the library run down the floors of ARCHITECTURE.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The floors from the top down.
fn floors() -> Vec<String> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let list = text.split("```floors\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the list of floors");
    list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// What a product file imports from the crate: the first part of each path, without comments and
/// the file's own unit tests.
fn imports(text: &str) -> Vec<String> {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let code: Vec<&str> = product.lines().map(|line| line.split("//").next().unwrap_or(line)).collect();
    let code = code.join("\n");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.split("crate::").skip(1).map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn imports_run_down_the_floors() {
    let floors = floors();
    let level: BTreeMap<&str, usize> = floors.iter().enumerate().map(|(at, floor)| (floor.as_str(), at)).collect();
    let source = root().join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in files {
        let path = file.strip_prefix(&source).expect("below src");
        let first = path.iter().next().expect("a name").to_string_lossy();
        let floor = first.strip_suffix(".rs").unwrap_or(&first);
        // Re-exports, and what tests need, stand beside the floors.
        if matches!(floor, "lib" | "tests") {
            continue;
        }
        let Some(&own) = level.get(floor) else {
            wrong.push(format!("src/{} stands on no floor of ARCHITECTURE.md", path.display()));
            continue;
        };
        for import in imports(&fs::read_to_string(&file).expect("a source")) {
            seen += 1;
            match level.get(import.as_str()) {
                Some(&other) if other >= own => {}
                Some(_) => wrong.push(format!("src/{} imports from {import}, which stands above {floor}", path.display())),
                // In test builds: memory for the fuzzer, kills, and loom's atomics.
                None if matches!(import.as_str(), "tests" | "crash" | "harness") => {}
                None => wrong.push(format!("src/{} imports {import}, which is no floor: name where it lives", path.display())),
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
