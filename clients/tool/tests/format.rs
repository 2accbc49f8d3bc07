//! The format `villas.human`, through the real program.

mod common;

use common::{repository, samples, tool, week};
use std::fs;

#[test]
fn the_week_is_the_same_after_parsing_and_printing() {
    let output = tool(&["convert"]).write_stdin(week()).assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(text.starts_with("# seconds.nanoseconds"));
    assert_eq!(samples(&text).len(), 672);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("week.dat");
    fs::write(&path, &text).unwrap();
    tool(&["compare", "-e", "0"]).arg(repository("examples/grid-week.dat")).arg(&path).assert().success();
    let again = tool(&["convert"]).write_stdin(text.clone()).assert().success().get_output().stdout.clone();
    assert_eq!(String::from_utf8(again).unwrap(), text);
}

#[test]
fn malformed_lines_are_named_skipped_and_counted() {
    let input = "# a comment\n1.0(1)\t1.5\nnonsense\n\n2.0(2)\tabc\n3.0(3)\t2.5\n";
    let assert = tool(&["convert"]).write_stdin(input).assert().code(1);
    let output = assert.get_output();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(samples(&text), ["1.000000000(1)\t1.5", "3.000000000(3)\t2.5"]);
    let messages = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(messages.contains("line 3: seconds: \"nonsense\""), "{messages}");
    assert!(messages.contains("line 5: value 0: \"abc\" is not a number"), "{messages}");
}

#[test]
fn line_ends_of_other_systems_and_a_missing_last_one_do_not_matter() {
    let output = tool(&["convert"]).write_stdin("1.0(1)\t1.5\r\n2.0(2) 2.5").assert().success().get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(samples(&text), ["1.000000000(1)\t1.5", "2.000000000(2)\t2.5"]);
}

#[test]
fn binary_input_is_refused_line_by_line() {
    let noise: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let assert = tool(&["convert"]).write_stdin(noise).assert().code(1);
    let messages = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(messages.is_ascii(), "what is shown cannot harm a terminal");
    assert!(messages.contains("line 1: "), "{messages}");
    tool(&["convert"]).write_stdin(vec![0; 10_000_000]).assert().code(1);
}

#[test]
fn a_sample_has_at_most_65536_values() {
    let line = |count: usize| format!("1.0(1){}\n", "\t0.5".repeat(count));
    let output = tool(&["convert"]).write_stdin(line(65_536)).assert().success().get_output().clone();
    assert_eq!(samples(&String::from_utf8(output.stdout).unwrap())[0].matches("0.5").count(), 65_536);
    let assert = tool(&["convert"]).write_stdin(line(65_537)).assert().code(1);
    let messages = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(messages.contains("65537") && messages.contains("65536"), "{messages}");
}
