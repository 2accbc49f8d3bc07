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

/// What `convert` prints, and says.
#[track_caller]
fn converted(input: impl Into<Vec<u8>>, code: i32) -> (String, String) {
    let output = tool(&["convert"]).write_stdin(input).assert().code(code).get_output().clone();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn times_before_zero_keep_their_sign() {
    let input = "-0.500000000(0)\t1.0\n-1.500000000(1)\t2.0\n0.000000000(2)\t3.0\n0.500000000(3)\t4.0\n";
    let (text, messages) = converted(input, 0);
    assert_eq!(samples(&text), samples(input));
    assert_eq!(messages, "");
}

#[test]
fn an_empty_cell_is_nan_and_named() {
    let (text, messages) = converted("1.000000000(0)\t1.0\t\t3.0\n2.000000000(1)\t1.0\t2.0\t\n", 0);
    assert_eq!(samples(&text), ["1.000000000(0)\t1.0\tnan\t3.0", "2.000000000(1)\t1.0\t2.0\tnan"]);
    assert!(messages.contains("warning: standard input, line 1: value 1 is empty, NaN is taken (column 20)"), "{messages}");
    assert!(messages.contains("warning: standard input, line 2: value 2 is empty, NaN is taken (column 24)"), "{messages}");
}

#[test]
fn compare_names_empty_cells_of_each_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("a"), "1.0(0)\t1\t\t3\n").unwrap();
    fs::write(path("b"), "1.0(0)\t1\tnan\t3\n").unwrap();
    let output = tool(&["compare"]).arg(path("a")).arg(path("b")).assert().success().get_output().clone();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains("/a:1: value 1 is empty, NaN is taken (column 10)"), "{messages}");
}

#[test]
fn nanoseconds_of_ten_digits_are_carried_and_mentioned_once() {
    let (text, messages) = converted("0.1000000000(0) 5\n0.1001000000(1) 5\n", 0);
    assert_eq!(samples(&text), ["1.000000000(0)\t5.0", "1.001000000(1)\t5.0"]);
    assert!(messages.contains("line 1: 1000000000 nanoseconds are a second or more"), "{messages}");
    assert_eq!(messages.lines().count(), 1, "{messages}");
}

#[test]
fn a_byte_order_mark_is_skipped_and_utf_16_is_named() {
    let text = "# seconds.nanoseconds(sequence)\tsignal0\n1.0(1)\t1.5\n";
    assert_eq!(samples(&converted(format!("\u{feff}{text}"), 0).0), ["1.000000000(1)\t1.5"]);
    let (text, messages) = converted(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), 1);
    assert_eq!(text, "");
    assert!(messages.contains("cannot read standard input: this text is UTF-16 or UTF-32: write it as UTF-8"), "{messages}");
}

/// Each is taken as it stands, or named with its line and column.
#[test]
fn no_number_is_changed_in_silence() {
    for (line, expected) in [
        ("1.0(1)\t+1.5", Ok("1.5")),
        ("1.0(1)\t Inf\t-infinity\tNaN ", Ok("inf\t-inf\tnan")),
        ("1.0(1)   1 \t 2", Ok("1.0\t2.0")),
        ("+1.0(1)\t1", Ok("1.0")),
        ("1.0(1)\t5\t# a comment", Ok("5.0")),
        ("1.0(1)\t0x1.8p-1\t0x1F", Ok("0.75\t31.0")),
        ("1.0(1)\t0x1G", Err("value 0: \"0x1G\" is not a number (column 8)")),
        ("1.0(1)\t1,5", Err("value 0: \"1,5\" is not a number (column 8)")),
        ("1.0(1)\t1\t1e309", Err("value 1: \"1e309\" is out of range (column 10)")),
        ("1.0(1)\t1\tNA", Err("value 1: \"NA\" is not a number (column 10)")),
        ("1.0(18446744073709551616)\t1", Err("sequence number: \"18446744073709551616)\" is not valid (column 5)")),
        ("9223372036854775808.0(1)\t1", Err("seconds: \"9223372036854775808.0(1)\" is not valid (column 1)")),
        ("1.0(1)\t1\r2.0(2)\t2", Err("value 0: \"1\\r2.0(2)\" is not a number (column 8)")),
        (
            "# a header\r1.0(1)\t1",
            Err("a carriage return stands in a comment: lines must end with a line feed, or with both (column 11)"),
        ),
    ] {
        let (text, messages) = converted(format!("# a header\n{line}"), i32::from(expected.is_err()));
        match expected {
            Ok(values) => assert_eq!((samples(&text), &*messages), (vec![&*format!("1.000000000(1)\t{values}")], ""), "{line}"),
            Err(what) => {
                assert!(samples(&text).is_empty() && messages.contains(&format!("line 2: {what}")), "{line}: {messages}")
            }
        }
    }
}
