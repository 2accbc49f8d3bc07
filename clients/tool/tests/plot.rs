//! `villas-shm plot`: pictures and texts of files.

mod common;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Output;

use common::tool;
use tempfile::TempDir;

/// A week of a grid, a sample each quarter of an hour.
const WEEK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/grid-week.dat");

/// A folder with files of these names and texts.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn plot(folder: &Path, args: &[&str]) -> Output {
    tool(&[&["plot"], args].concat()).current_dir(folder).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn drawn(folder: &Path, args: &[&str]) -> String {
    let output = plot(folder, &[args, &["-o", "out.svg"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    fs::read_to_string(folder.join("out.svg")).unwrap()
}

/// The texts of an SVG.
fn texts(svg: &str) -> Vec<&str> {
    svg.split("<text ").skip(1).map(|text| text.split(['>', '<']).nth(1).unwrap()).collect()
}

/// Twelve hours of 1000 samples, one of which is a peak.
fn with_a_peak() -> String {
    (0..1_000_000).fold(String::from("# seconds.nanoseconds(sequence)\tu[V]\n"), |mut text, at| {
        let value = if at == 700_000 { 9 } else { at % 3 };
        let _ = writeln!(text, "{}.000000000({at})\t{value}", 1_700_000_000 + at);
        text
    })
}

#[test]
fn a_week_is_drawn_with_names_units_and_dates() {
    let folder = folder(&[]);
    let svg = drawn(folder.path(), &[WEEK]);
    let texts = texts(&svg);
    for wanted in ["grid-week.dat", "672 samples", "PV1", "G1-A_pload", "pu", "Jan 3", "0.4", "UTC, from 2016-01-01 00:00"] {
        assert!(texts.contains(&wanted), "{wanted}: {texts:?}");
    }
    assert_eq!(svg.matches("stroke-linejoin").count(), 8, "a line for each signal");
    let svg = drawn(folder.path(), &[WEEK, "--signals", "WP1,PV5", "--from", "2016-01-02", "--to", "2016-01-03T06:00"]);
    assert!(svg.contains(">121 samples<") && svg.find(">WP1<") < svg.find(">PV5<") && !svg.contains(">PV1<"), "{svg}");
}

#[test]
fn a_single_peak_among_a_million_samples_is_in_every_picture() {
    let folder = folder(&[("peak.dat", &with_a_peak())]);
    let output = plot(folder.path(), &["peak.dat", "-o", "out.png", "--size", "800x300"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let png = resvg::tiny_skia::Pixmap::load_png(folder.path().join("out.png")).unwrap();
    assert_eq!((png.width(), png.height()), (1600, 600));
    let is_blue = |x, y| png.pixel(x, y).is_some_and(|pixel| i32::from(pixel.blue()) > i32::from(pixel.red()) + 60);
    // The picture's upper half has nothing of the other samples.
    let columns: Vec<u32> = (156..1440).filter(|&x| (140..280).filter(|&y| is_blue(x, y)).count() > 100).collect();
    assert!(!columns.is_empty() && columns.len() < 6, "{columns:?}");
    let text = String::from_utf8(plot(folder.path(), &["peak.dat"]).stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 100) && lines[0] == "[V]  ━━ u", "{text}");
    let dots = |line: &str| line.chars().filter(|c| ('\u{2801}'..'\u{2900}').contains(c)).count();
    let high: Vec<usize> = lines[3..12].iter().map(|line| dots(line)).collect();
    assert_eq!(high, [1; 9], "{text}");
}

#[test]
fn each_type_is_drawn_in_its_way_on_the_axis_of_its_unit() {
    let text = "# seconds.nanoseconds(sequence)\tu[V]\tn\ton\tz[A]\n\
        5.0(0)\t1.5\t1\t0\t3+4i\n6.0(1)\tnan\t2\t1\t3+4i\n7.0(2)\t2.5\t3\t1\t0+1i\n";
    let folder = folder(&[("all.dat", text)]);
    let svg = drawn(folder.path(), &["all.dat", "-t", "fibc"]);
    let texts = texts(&svg);
    for wanted in ["V", "n", "false", "true", "A", "|z|", "time, s"] {
        assert!(texts.contains(&wanted), "{wanted}: {texts:?}");
    }
    assert_eq!(svg.matches("<clipPath").count(), 4, "a panel for each unit");
    let lines: Vec<&str> = svg.split("<path d=\"").filter(|path| path.contains("stroke-linejoin")).collect();
    assert_eq!(lines[0].matches('M').count(), 2, "NaN is a gap: {}", lines[0]);
    assert!(lines[1].contains('H') && !lines[1].contains('L'), "integers are steps: {}", lines[1]);
    assert!(lines[2].contains('H') && lines[3].contains('L'), "{lines:?}");
    let svg = drawn(folder.path(), &["all.dat", "-t", "fibc", "--signals", "z.im,z.re"]);
    assert!(svg.find(">Im z<").unwrap() < svg.find(">Re z<").unwrap(), "{svg}");
}

#[test]
fn several_files_are_told_apart_and_can_begin_together() {
    let run = |start: i64| format!("# seconds.nanoseconds\tu[V]\n{start}.0\t1\n{}.0\t2\n", start + 2);
    let folder = folder(&[("a.dat", &run(1_700_000_000)), ("b.dat", &run(1_700_009_000))]);
    let output = plot(folder.path(), &["a.dat", "b.dat", "-o", "out.svg"]);
    assert!(output.status.success() && stderr(&output).contains("no time in common; --align"), "{}", stderr(&output));
    let svg = drawn(folder.path(), &["a.dat", "b.dat", "--align"]);
    let texts = texts(&svg);
    for wanted in ["u – a.dat", "u – b.dat", "time after the first sample, s", "2.0"] {
        assert!(texts.contains(&wanted), "{wanted}: {texts:?}");
    }
}

#[test]
fn what_is_no_sample_is_named_and_the_rest_is_drawn() {
    let folder =
        folder(&[("bad.dat", "1.0\t1\n2.0\tx\n3.0\t2\n"), ("none.dat", "# nothing\n"), ("inf.dat", "1.0\tinf\n2.0\t1\n")]);
    let output = plot(folder.path(), &["bad.dat", "-o", "out.svg"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("bad.dat:2: value 0"), "{}", stderr(&output));
    assert!(fs::read_to_string(folder.path().join("out.svg")).unwrap().contains("2 samples"));
    let output = plot(folder.path(), &["inf.dat"]);
    assert!(output.status.success() && stderr(&output).contains("1 values of signal0 are infinite"), "{}", stderr(&output));
    for (args, wanted) in [
        (&["none.dat"][..], "none.dat: there are no samples"),
        (&["gone.dat"], "gone.dat: No such file"),
        (&["bad.dat", "--from", "9"], "there are no samples between --from and --to"),
        (&["bad.dat", "-o", "out.pdf"], "out.pdf: a picture is written to FILE.svg or FILE.png"),
        (&["bad.dat", "-o", "gone/out.png"], "gone/out.png: cannot write the picture"),
        (&["bad.dat", "--signals", "signal1"], "no signal is called \"signal1\"; did you mean \"signal0\"?"),
        (&["bad.dat", "--from", "noon"], "expected seconds since 1970, or a date"),
        (&["bad.dat", "--size", "10x10"], "expected two numbers of pixels"),
        (&["bad.dat", "--live"], "plot --live needs a terminal as standard output"),
    ] {
        let output = plot(folder.path(), args);
        assert!(output.status.code() == Some(1) && stderr(&output).contains(wanted), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn names_are_no_commands_for_a_terminal_or_a_browser() {
    let folder = folder(&[("odd.dat", "# seconds.nanoseconds\t\u{1b}[2J<b>&[\u{1b}]\n1.0\t1\n2.0\t2\n")]);
    let text = plot(folder.path(), &["odd.dat"]);
    assert!(text.status.success() && !text.stdout.contains(&0x1b), "{:?}", String::from_utf8_lossy(&text.stdout));
    let svg = drawn(folder.path(), &["odd.dat"]);
    assert!(svg.contains("[2J&lt;b&gt;&amp;") && !svg.contains('\u{1b}'), "{svg}");
}
