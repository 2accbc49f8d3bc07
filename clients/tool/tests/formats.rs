//! Files of samples in every format: `convert`, and VILLASnode's own files.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{repository, samples, tool, week};
use tempfile::TempDir;

/// A file that VILLASnode 1.2.0 wrote.
fn villasnodes(name: &str) -> PathBuf {
    repository("clients/tool/tests/data").join(name)
}

/// Converts, with these options; what was written, and what was said.
#[track_caller]
fn convert(input: &Path, output: &str, options: &[&str]) -> (Vec<u8>, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(output);
    let command = tool(&["convert"]).args(options).arg(input).arg(&path).assert().success().get_output().clone();
    (fs::read(path).unwrap(), String::from_utf8(command.stderr).unwrap())
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The words of a text, decimal fractions as the doubles that they mean.
fn meanings(text: &str) -> Vec<String> {
    let words = text.split_inclusive([',', '\t', ' ', ']', '}', '+', 'i', '\n']);
    let meaning = |word: &str| {
        let (number, end) = word.split_at(word.len() - 1);
        let value = number.parse::<f64>().ok().filter(|_| number.contains('.'));
        value.map_or(word.to_owned(), |value| format!("{value:?}{end}"))
    };
    words.map(meaning).collect()
}

#[test]
fn villasnodes_files_are_read_whatever_their_format() {
    let grid = "1700000000.123456789(1000)\t1.5\t-0.1\n1700000000.223456789(1001)\t2.5\t1e-300\n1700000000.323456789(1002)\t3.25\t12345678.9\n";
    let read = |name: &str, options: &[&str]| text(convert(&villasnodes(name), "out.dat", options).0);
    assert_eq!(samples(&read("grid.json", &[])), samples(grid));
    // VILLASnode's text prints 1e-300 as 0, and rounds the offset down by a nanosecond.
    let columns = grid.replace("1e-300", "0.0").replacen("(100", "+0.000012344(100", 2);
    assert_eq!(samples(&read("grid.csv", &[])), samples(&columns));
    assert_eq!(samples(&read("grid.tsv", &[])), samples(&columns));
    let singles = grid.replace("-0.1", "-0.10000000149011612").replace("1e-300", "0.0").replace("12345678.9", "12345679.0");
    assert_eq!(samples(&read("grid.villas.binary", &[])), samples(&singles));
    let typed = ["1700000000.123456789(7)\t1.5\t5\t1\t1.5+2.5i"];
    for name in ["typed.csv", "typed.json", "typed-out.villas.human"] {
        assert_eq!(samples(&read(name, &["-t", "fibc"])), typed, "{name}");
    }
}

/// Byte for byte, but for the digits of floats: here as many as tell the double from its neighbours,
/// there seventeen.
#[test]
fn files_are_written_as_villasnode_writes_them() {
    for name in ["grid.csv", "grid.tsv", "grid.json"] {
        let theirs = fs::read_to_string(villasnodes(name)).unwrap();
        let ours = text(convert(&villasnodes(name), name, &[]).0);
        assert_eq!(meanings(&ours), meanings(&theirs), "{name}: {ours}");
    }
    for name in ["typed.csv", "typed.json"] {
        let theirs = fs::read_to_string(villasnodes(name)).unwrap();
        let ours = text(convert(&villasnodes("typed-in.villas.human"), name, &["-t", "1f1i1b1c"]).0);
        assert_eq!(meanings(&ours), meanings(&theirs), "{name}: {ours}");
    }
    let json = text(convert(&villasnodes("grid.json"), "out.json", &[]).0);
    let theirs = fs::read_to_string(villasnodes("grid.json")).unwrap();
    assert_eq!(json, theirs.replace("-0.10000000000000001", "-0.1"));
    let (binary, said) = convert(&villasnodes("grid.villas.human"), "out.bin", &[]);
    assert_eq!(binary, fs::read(villasnodes("grid.villas.binary")).unwrap());
    assert!(
        said.contains("villas.binary: floats rounded to 32 bits: 3") && said.contains("times of reception left out: 2"),
        "{said}"
    );
}

#[test]
fn a_week_goes_through_all_formats_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut last = repository("examples/grid-week.dat");
    for name in ["a.csv", "b.arrow", "c.tsv", "d.JSONL", "e.arrows", "f.txt"] {
        tool(&["convert"]).arg(&last).arg(path(name)).assert().success().stderr("");
        tool(&["compare", "-e", "0"]).arg(repository("examples/grid-week.dat")).arg(path(name)).assert().success();
        last = path(name);
    }
    // Names and units go from header to header, and JSON has none.
    let header = |name: &str| fs::read_to_string(path(name)).unwrap().lines().next().unwrap().to_owned();
    assert!(header("c.tsv").starts_with("# secs\tnsecs\toffset\tsequence\t"), "{}", header("c.tsv"));
    let names = week().lines().next().unwrap().split('\t').skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert!(header("c.tsv").ends_with(&names.join("\t")), "{}", header("c.tsv"));
    assert!(header("f.txt").ends_with("signal1\tsignal2") || header("f.txt").contains("signal0"), "{}", header("f.txt"));
}

#[test]
fn options_name_the_formats_of_streams() {
    let json = "{\"ts\": {\"origin\": [1, 2]}, \"sequence\": 3, \"data\": [1.5]}\n";
    let convert = |options: &[&str], input: &str| {
        let output = tool(&["convert"]).args(options).write_stdin(input).assert().success().get_output().stdout.clone();
        text(output)
    };
    assert_eq!(samples(&convert(&["--input-format", "json"], json)), ["1.000000002(3)\t1.5"]);
    assert_eq!(convert(&["--output-format", "json", "-", "-"], "1.2(3) 1.5\n"), json);
    assert_eq!(convert(&["-f", "json"], json), json);
    assert!(convert(&["-f", "json", "--output-format", "csv"], json).ends_with("1,000000002,nan,3,1.5\n"));
}

/// An error in one line loses no other.
#[test]
fn a_line_that_is_no_sample_is_named_and_left_out() {
    let cases = [
        (
            "csv",
            "# secs,nsecs,offset,sequence,u[V]\n1,0,nan,1,1.5\n1,0,nan,2,x\n1,0,nan,3,2.5\n",
            ":3: value 0: \"x\" is not a number (column 11)",
        ),
        ("csv", "1,0,nan,1,1.5\n1,2\n1,0,nan,3,2.5\n", ":2: the line ends before offset"),
        ("csv", "1,0,nan,1,1.5\n1,1000000000,nan,2,0\n1,0,nan,3,2.5\n", ":2: nsecs \"1000000000\" is not valid (column 3)"),
        (
            "json",
            "{\"data\": [1.5]}\n{\"data\": [1.5]\n{\"data\": [2.5]}\n",
            ":2: no sample in JSON: EOF while parsing an object (column 14)",
        ),
        (
            "json",
            "{\"data\": [1.5]}\n{\"data\": [NaN]}\n{\"data\": [2.5]}\n",
            "JSON has no NaN and no infinity: write null (column 11)",
        ),
        (
            "json",
            "{\"data\": [1.5]}\n{\"data\": [9007199254740993]}\n{\"data\": [2.5]}\n",
            "is an integer that no double holds: state the types (-t) with i for it (column 11)",
        ),
        ("json", "{\"data\": [1.5]}\n{\"data\": [true]}\n{\"data\": [2.5]}\n", ":2: value 0: true is not a number (column 11)"),
    ];
    for (format, input, message) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(format!("in.{format}"));
        fs::write(&path, input).unwrap();
        let output = tool(&["convert"]).arg(&path).assert().code(1).get_output().clone();
        let (text, said) = (text(output.stdout), String::from_utf8(output.stderr).unwrap());
        assert!(said.contains(message) && said.contains("in."), "{said}");
        assert_eq!(samples(&text).iter().map(|line| line.rsplit('\t').next().unwrap()).collect::<Vec<_>>(), ["1.5", "2.5"]);
    }
}

#[test]
fn what_cannot_be_read_or_written_is_named() {
    let directory: TempDir = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let fails = |input: &Path, output: &Path, options: &[&str], message: &str| {
        let output = tool(&["convert"]).args(options).arg(input).arg(output).assert().code(1).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(message), "{said}");
    };
    fs::write(path("a.dat"), "1.0(1)\t1+2i\n").unwrap();
    fails(&path("no.csv"), &path("b"), &[], "no.csv: No such file");
    fails(&path("."), &path("b"), &[], "this is a directory");
    fails(&path("a.dat"), &path("no/b.csv"), &[], "no/b.csv: No such file");
    fails(&path("a.dat"), Path::new("/dev/full"), &["-t", "c"], "cannot write /dev/full: No space left");
    fails(
        &path("a.dat"),
        &path("b.bin"),
        &["-t", "c"],
        "signal 0 (\"signal0\") is complex, and villas.binary has only floats and integers",
    );
    fs::hard_link(path("a.dat"), path("same.csv")).unwrap();
    fails(&path("a.dat"), &path("same.csv"), &["-t", "c"], "same.csv is read and cannot be written at the same time");
    assert_eq!(fs::read_to_string(path("a.dat")).unwrap(), "1.0(1)\t1+2i\n", "nothing is lost");
    fs::write(path("x.arrow"), "ARROW1\0\0").unwrap();
    fails(&path("x.arrow"), Path::new("-"), &[], "this is an Arrow file, with a table of contents");
    fs::write(path("x.bin"), [0x30; 40]).unwrap();
    fails(&path("x.bin"), Path::new("-"), &[], "byte 0 is 0x30 where a message of villas.binary begins with 0x20");
    let output = tool(&["convert", "-f", "xml"]).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("villas.human, csv, tsv, json, villas.binary, arrow"), "{said}");
}

#[test]
fn compare_takes_each_format_and_the_types_of_the_first_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("a.dat"), "1.0(1)\t9007199254740993\t1\n2.0(2)\t5\t0\n").unwrap();
    for name in ["a.arrow", "a.csv", "a.json"] {
        tool(&["convert", "-t", "ib"]).arg(path("a.dat")).arg(path(name)).assert().success();
    }
    tool(&["compare", "-e", "0"]).args([path("a.arrow"), path("a.csv"), path("a.json"), path("a.dat")]).assert().success();
    // As floats, and not by a guess.
    let output = tool(&["compare"]).args([path("a.dat"), path("a.arrow")]).assert().code(7).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("a.arrow: value 0 (\"signal0\") is of the type integer, and not float, which is wanted here"),
        "{said}"
    );
}

/// A file may claim any length: what is not there takes no memory.
#[test]
fn a_length_that_is_a_lie_takes_no_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lie.arrow");
    let valid = convert(&villasnodes("grid.json"), "a.arrow", &[]).0;
    // The first description, then one of 2 GB, of which nothing follows.
    fs::write(&path, [&valid[..64], b"\xff\xff\xff\xff\xf0\xff\xff\x7f"].concat()).unwrap();
    let said = tool(&["convert"]).arg(&path).assert().code(1).get_output().clone();
    assert!(!said.stderr.is_empty());
    fs::write(&path, b"\xff\xff\xff\xff\xf0\xff\xff\x7f....").unwrap();
    let limited = "ulimit -v 300000 && exec \"$0\" convert \"$1\"";
    let output =
        assert_cmd::Command::new("sh").arg("-c").arg(limited).arg(common::TOOL).arg(&path).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("lie.arrow, sample 0: the stream ends within a batch, which is lost"), "{said}");
}

#[test]
fn a_last_line_that_was_cut_off_is_taken_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let header = "# seconds.nanoseconds(sequence)\ta\tb\n";
    let csv = "# secs,nsecs,offset,sequence,a\n";
    for (name, bytes, line) in [
        ("cut.dat", format!("{header}1.000000000(0)\t1.5\t2.5\n2.000000000(1)\t1.5\t2."), 3),
        ("cut.csv", format!("{csv}1,0,nan,0,1.25\n2,0,nan,1,1.2"), 3),
    ] {
        fs::write(path(name), &bytes).unwrap();
        let (converted, said) = convert(&path(name), "out.json", &[]);
        assert_eq!(text(converted).lines().count(), 2, "{name}");
        assert!(said.contains(&format!("{name}:{line}: the last line has no end")) && said.contains("taken"), "{said}");
        // The same with its end.
        fs::write(path(name), bytes + "\n").unwrap();
        assert_eq!(convert(&path(name), "out.json", &[]).1, "", "{name}");
    }
    // As people write them, without a header.
    fs::write(path("hand.dat"), "1.0\t1.5\n2.0\t2.5").unwrap();
    assert_eq!(convert(&path("hand.dat"), "out.csv", &[]).1, "");
    for (name, cut) in [("cut.json", "{\"sequence\": 1, \"da"), ("short.csv", "2,0")] {
        fs::write(path(name), cut).unwrap();
        let output = tool(&["convert"]).arg(path(name)).arg("-").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said.contains(&format!("{name}:1: ")) && said.contains("the last line has no end"), "{said}");
    }
}
