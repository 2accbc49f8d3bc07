//! The header that C programs include, and what the shared library exports.

const HEADER: &str = include_str!("../include/villas/shmem.h");

#[test]
fn the_checked_in_header_is_the_one_that_the_sources_give() {
    let generated = include_str!(concat!(env!("OUT_DIR"), "/shmem.h"));
    assert!(generated == HEADER, "include/villas/shmem.h is out of date: run \"make header\"");
}

#[test]
fn every_function_of_the_header_is_in_the_list_of_exported_symbols_and_the_other_way_round() {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut declared: Vec<&str> = HEADER
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains('('))
        .filter_map(|line| line.split('(').next()?.rsplit(|c| !is_word(c)).next())
        .filter(|name| name.starts_with("shmem_") || name.starts_with("sample_"))
        .collect();
    declared.sort_unstable();
    let listed: Vec<&str> = include_str!("symbols.txt").lines().collect();
    assert_eq!(declared, listed, "tests/symbols.txt");
}

/// A function of the header.
struct Function {
    name: &'static str,
    /// Its comment, without the frame.
    comment: String,
    parameters: &'static str,
}

/// The functions of the header, each with the comment that stands right before it.
fn functions() -> Vec<Function> {
    let listed: Vec<&str> = include_str!("symbols.txt").lines().collect();
    let mut functions = Vec::new();
    for part in HEADER.split("/**").skip(1) {
        let (comment, after) = part.split_once("*/").expect("an end of the comment");
        let declaration = after.split(';').next().expect("a first part");
        let Some((head, parameters)) = declaration.split_once('(') else { continue };
        let name = head.rsplit([' ', '*']).next().expect("a last word");
        if listed.contains(&name) {
            let comment: Vec<&str> = comment.lines().map(|line| line.trim_start_matches([' ', '*'])).collect();
            functions.push(Function { name, comment: comment.join("\n"), parameters });
        }
    }
    assert_eq!(functions.len(), listed.len(), "functions found, functions listed in tests/symbols.txt");
    functions
}

/// The table of the functions that can wait: the names of each row, and how long these wait.
fn waits() -> Vec<(Vec<&'static str>, &'static str)> {
    let table = HEADER.split(" * Waiting\n").nth(1).and_then(|rest| rest.split(" *   [1]").next()).expect("the table");
    let rows = table.lines().filter_map(|line| line.strip_prefix(" *   ")).skip(2);
    let row = |line: &'static str| {
        let (names, rest) = line.split_once("  ").expect("columns");
        (names.split(", ").collect(), rest.trim_start().split("  ").next().expect("a column"))
    };
    rows.map(row).collect()
}

#[test]
fn no_line_of_the_header_has_more_than_100_columns() {
    for (number, line) in HEADER.lines().enumerate() {
        assert!(line.chars().count() <= 100, "include/villas/shmem.h:{}: {line}", number + 1);
    }
}

#[test]
fn each_function_says_by_itself_what_it_does_what_it_takes_and_what_it_returns() {
    for Function { name, comment, parameters } in functions() {
        let comment = comment.trim();
        assert!(comment.contains("@return "), "{name}: what does it return?");
        assert!(!comment.starts_with('@'), "{name}: what does it do?");
        let parameters = parameters.trim_end_matches(')').split(',');
        for parameter in parameters.filter_map(|one| one.rsplit([' ', '*']).next()).filter(|&one| one != "void") {
            assert!(comment.contains(&format!("@param {parameter} ")), "{name}: what is {parameter}?");
        }
    }
}

#[test]
fn no_comment_of_the_header_begins_by_referring_to_another() {
    for comment in HEADER.split("/*").skip(1) {
        let text = comment.trim_start_matches(['*', ' ', '\n']);
        assert!(!text.starts_with("The same"), "{}", text.lines().next().unwrap_or_default());
    }
}

#[test]
fn the_table_has_each_function_that_waits_or_has_a_form_that_does() {
    let (functions, table) = (functions(), waits());
    let names: Vec<&str> = functions.iter().map(|function| function.name).collect();
    let in_table = |name: &str| table.iter().find(|(names, _)| names.contains(&name)).map(|(_, waits)| *waits);
    for name in table.iter().flat_map(|(names, _)| names) {
        assert!(names.contains(name), "{name} is in the table, and not a function");
    }
    for Function { name, comment, parameters } in &functions {
        let (is_try, is_timed) = (name.contains("_try_"), parameters.contains(" *timeout"));
        assert!(is_timed || !name.contains("_timed_"), "{name} has no timeout");
        let sister = |form: &str| name.contains(form).then(|| name.replace(form, "_"));
        if let Some(sister) = sister("_try_").or(sister("_timed_")) {
            let is_there = in_table(&sister).is_some() || sister == "shmem_shared_alloc" && in_table("sample_alloc").is_some();
            assert!(is_there, "{sister}, the other form of {name}, is not in the table");
        }
        let says_so = comment.split(['\n', '.']).any(|sentence| sentence.trim_start().starts_with("Waits "));
        match in_table(name) {
            Some(how) if is_try => assert!(how.starts_with("never"), "{name} waits: {how}"),
            Some(how) if is_timed => assert!(how.starts_with("timeout"), "{name} waits: {how}"),
            Some(how) => assert_eq!(says_so, !how.starts_with("never"), "{name} waits: {how}"),
            None => assert!(!is_try && !is_timed && !says_so, "{name} is not in the table"),
        }
    }
}
