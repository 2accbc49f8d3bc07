//! The header that C programs include, and what the shared library exports.

#[test]
fn the_checked_in_header_is_the_one_that_the_sources_give() {
    let generated = include_str!(concat!(env!("OUT_DIR"), "/shmem.h"));
    let checked_in = include_str!("../include/villas/shmem.h");
    assert!(generated == checked_in, "include/villas/shmem.h is out of date: run \"make header\"");
}

#[test]
fn every_function_of_the_header_is_in_the_list_of_exported_symbols_and_the_other_way_round() {
    let header = include_str!("../include/villas/shmem.h");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut declared: Vec<&str> = header
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains('('))
        .filter_map(|line| line.split('(').next()?.rsplit(|c| !is_word(c)).next())
        .filter(|name| name.starts_with("shmem_") || name.starts_with("sample_"))
        .collect();
    declared.sort_unstable();
    let listed: Vec<&str> = include_str!("symbols.txt").lines().collect();
    assert_eq!(declared, listed, "tests/symbols.txt");
}
