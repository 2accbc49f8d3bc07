//! `villas-shm signal`: values, times, pace, and how it ends.

mod common;

use common::{PATIENCE, Signal, TOOL, kill, samples, sequence, soon, state, tool, until, writes_to_stdout};
use std::f64::consts::PI;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn signal(arguments: &[&str]) -> String {
    let output = tool(&["signal"]).args(arguments).assert().success().get_output().clone();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn values(text: &str) -> Vec<Vec<f64>> {
    let line = |line: &str| line.split('\t').skip(1).map(|value| value.parse().unwrap()).collect();
    samples(text).into_iter().map(line).collect()
}

/// It ended well; all that it may have said is that the machine stood still, or was too busy, for a while.
#[track_caller]
fn assert_well((code, messages): (i32, String), what: &[&str]) {
    assert!(code == 0 && messages.lines().all(|line| line.contains("missed ")), "{what:?}: {code}, {messages}");
}

/// The timestamps, in nanoseconds.
fn times(text: &str) -> Vec<u64> {
    let time = |line: &str| {
        let (seconds, rest) = line.split_once('.').unwrap();
        let nanos = rest.split('(').next().unwrap();
        assert_eq!(nanos.len(), 9);
        seconds.parse::<u64>().unwrap() * 1_000_000_000 + nanos.parse::<u64>().unwrap()
    };
    samples(text).into_iter().map(time).collect()
}

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(TOOL);
    command.arg("signal").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn ended(child: Child) -> (i32, String) {
    ended_within(PATIENCE, child)
}

#[track_caller]
fn ended_within(limit: Duration, mut child: Child) -> (i32, String) {
    soon(limit, "the tool ends", || child.try_wait().unwrap().is_some());
    let mut messages = String::new();
    child.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), None, "{messages}");
    (status.code().unwrap(), messages)
}

#[test]
fn villasnodes_recipe_passes() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let expected: String = (0..10)
        .map(|step| format!("1635933135.{:09}({step})\t{:.17}\n", step * 100_000_000, (step as f64 * PI / 5.0).sin()))
        .collect();
    std::fs::write(path("input.dat"), expected).unwrap();
    std::fs::write(path("output.dat"), signal(&["sine", "-nl", "10"])).unwrap();
    tool(&["compare", "-T"]).arg(path("input.dat")).arg(path("output.dat")).assert().success();
}

#[test]
fn every_signal_has_its_formula_and_its_column() {
    let options = ["-n", "-v", "8", "-l", "200", "-r", "40", "-F", "0.8", "-a", "3", "-o", "-1.5", "-p", "-0.5", "-D", "0"];
    let text = signal(&[&["mixed"][..], &options[..]].concat());
    assert!(
        text.starts_with("# seconds.nanoseconds(sequence)\trandom\tsine\tsquare\ttriangle\tramp\tcounter\tconstant\tpulse\n")
    );
    let (rate, frequency, amplitude, offset, phase) = (40.0, 0.8, 3.0, -1.5, -0.5);
    let mut pulses = Vec::new();
    for (step, line) in values(&text).into_iter().enumerate() {
        let time = step as f64 / rate;
        let part = (time * frequency + phase / (2.0 * PI)).rem_euclid(1.0);
        let expected = [
            offset,
            offset + amplitude * (2.0 * PI * frequency * time + phase).sin(),
            offset + amplitude * if part < 0.5 { -1.0 } else { 1.0 },
            offset + amplitude * 4.0 * ((part - 0.5).abs() - 0.25),
            offset + amplitude * (time % frequency),
            offset + amplitude * step as f64,
            offset + amplitude,
        ];
        for (index, (&found, expected)) in line.iter().zip(expected).enumerate() {
            // A ramp of 0.8 s is back at its bottom every 32 steps, which the binary 0.8 just misses.
            let wrapped = index == 4 && (found - offset).abs() < 1e-9 && step % 32 == 0;
            assert!((found - expected).abs() < 1e-9 || wrapped, "step {step}, value {index}: {found} for {expected}");
        }
        if line[7] == offset + 1.0 {
            pulses.push(step);
        } else {
            assert_eq!(line[7], offset);
        }
    }
    // The phase of 0.5 rad is 3.98 steps of a period of 50.
    assert_eq!(pulses, [4, 54, 104, 154]);
}

#[test]
fn each_signal_can_be_asked_for_by_name() {
    let first = [
        ("sine", "0.0"),
        ("square", "-1.0"),
        ("triangle", "1.0"),
        ("ramp", "0.0"),
        ("counter", "0.0"),
        ("constant", "1.0"),
        ("constants", "1.0"),
        ("pulse", "1.0"),
    ];
    for (name, value) in first {
        let text = signal(&[name, "-n", "-v", "2", "-l", "1"]);
        let column = name.trim_end_matches('s');
        assert_eq!(text.lines().next().unwrap(), format!("# seconds.nanoseconds(sequence)\t{column}\t{column}"));
        assert!(text.trim_end().ends_with(&format!("(0)\t{value}\t{value}")), "{text}");
    }
    let walk = values(&signal(&["random", "-n", "-l", "3", "-o", "5"]));
    assert!(walk.iter().all(|line| (line[0] - 5.0).abs() < 1.0 && line[0] != 5.0), "{walk:?}");
}

#[test]
fn without_waiting_the_times_are_spaced_by_the_rate_all_the_same() {
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    // 2000 s of signal, and a tool that has to end within 30.
    let text = signal(&["sine", "-n", "-r", "0.5", "-l", "1000"]);
    let times = times(&text);
    assert!((before..before + PATIENCE.as_nanos() as u64).contains(&times[0]));
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 2_000_000_000));
    assert!(sequence(&text).into_iter().eq(0..1000));
}

#[test]
fn a_paced_signal_takes_its_time() {
    let start_time = Instant::now();
    let mut child = start(&["counter", "-r", "20", "-l", "11"]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.collect();
    assert!(start_time.elapsed() >= Duration::from_millis(500), "ten periods");
    assert_eq!(lines.len(), 12);
    let text = lines.join("\n");
    let (numbers, times) = (sequence(&text), times(&text));
    // One after the other, unless the machine stood still for a while.
    assert!(numbers.is_sorted_by(|one, next| one < next) && numbers[10] >= 10, "{numbers:?}");
    let is_due = |(number, time): (&u64, &u64)| time - times[0] == (number - numbers[0]) * 50_000_000;
    assert!(numbers.iter().zip(&times).all(is_due), "{text}");
    assert_well(ended(child), &[]);
}

#[test]
fn steps_that_are_missed_are_told_and_the_others_stay_on_their_times() {
    let stop_in_the_middle = || {
        let mut child = start(&["counter", "-r", "100", "-l", "60"]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut text: Vec<String> = lines.by_ref().take(10).collect();
        kill(child.id(), Signal::SIGSTOP);
        until("it is stopped, or has ended", || ["T", "Z"].contains(&state(child.id()).unwrap().as_str()));
        let stopped = Instant::now();
        until("half a second has passed", || stopped.elapsed() > Duration::from_millis(500));
        kill(child.id(), Signal::SIGCONT);
        text.extend(lines);
        let (code, messages) = ended(child);
        assert_eq!(code, 0);
        let text = text.join("\n");
        let (numbers, times) = (sequence(&text), times(&text));
        assert_eq!(numbers.len(), 60, "as many as were asked for");
        let missed = numbers[59] - 59;
        // Fewer: this test was held up, and it was stopped after the last step.
        (missed >= 30).then_some((missed, numbers, times, messages))
    };
    let (missed, numbers, times, messages) = (0..10).find_map(|_| stop_in_the_middle()).expect("as many are missed");
    assert!(messages.contains(&format!("missed {missed} steps in all")), "{messages}");
    assert!(messages.contains("from number "), "{messages}");
    for (&number, &time) in numbers.iter().zip(&times) {
        assert_eq!(time - times[0], (number - numbers[0]) * 10_000_000, "no drift");
    }
}

#[test]
fn signals_end_it_cleanly() {
    for options in [&["sine", "-r", "0.001"][..], &["sine", "-r", "1000"], &["mixed", "-n", "-v", "8"]] {
        for number in [Signal::SIGINT, Signal::SIGTERM] {
            let mut child = start(options);
            let mut reader = BufReader::new(child.stdout.take().unwrap());
            let mut text = String::new();
            reader.read_line(&mut text).unwrap();
            reader.read_line(&mut text).unwrap();
            kill(child.id(), number);
            let rest = std::thread::spawn(move || {
                reader.read_to_string(&mut text).unwrap();
                text
            });
            assert_well(ended_within(Duration::from_secs(1), child), options);
            let text = rest.join().unwrap();
            assert!(text.ends_with('\n'), "no half line");
        }
    }
}

#[test]
fn it_ends_though_nobody_reads_any_more() {
    for options in [&["sine", "-r", "1000"][..], &["sine", "-n"]] {
        let mut child = start(options);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // A closed pipe is an end, not an error.
        assert_well(ended(child), options);
    }
    // One that reads nothing and closes nothing.
    let mut child = start(&["sine", "-n"]);
    let stdout = child.stdout.take().unwrap();
    if writes_to_stdout(child.id()).is_some() {
        until("the pipe is full", || writes_to_stdout(child.id()) == Some(true));
    }
    kill(child.id(), Signal::SIGTERM);
    assert_eq!(ended(child).0, 0);
    drop(stdout);
}

#[test]
fn values_have_the_types_that_are_asked_for() {
    let lines = |arguments: &[&str]| -> Vec<String> {
        let text = signal(arguments);
        samples(&text).into_iter().map(|line| line.split_once('\t').unwrap().1.to_owned()).collect()
    };
    let options = ["-n", "-l", "2", "-r", "2", "-a", "1.7"];
    let square = |types: &[&str]| lines(&[&["square"], &options[..], types].concat());
    assert_eq!(square(&["-t", "ibcf"]), ["-2\t0\t-1.7+0.0i\t-1.7", "2\t1\t1.7+0.0i\t1.7"]);
    assert_eq!(square(&["-t", "ibcf", "-v", "2"]), ["-2\t0", "2\t1"]);
    assert_eq!(square(&["-t", "i", "-v", "2"]), ["-2\t-1.7", "2\t1.7"], "what comes after is a float");
    assert_eq!(lines(&["counter", "-n", "-l", "2", "-a", "1e30", "-t", "i"]), ["0", "9223372036854775807"]);
}

#[test]
fn what_is_no_signal_is_refused() {
    for options in [
        &["sinus"][..],
        &[],
        &["sine", "-r", "0"],
        &["sine", "-r", "-1"],
        &["sine", "-r", "nan"],
        &["sine", "-r", "1e10"],
        &["sine", "-v", "0"],
        &["sine", "-v", "65537"],
        &["sine", "-F", "0"],
        &["sine", "-a", "inf"],
        &["sine", "-o", "x"],
        &["random", "-D", "-1"],
        &["sine", "-l", "-1"],
        &["sine", "-f", "xml"],
    ] {
        let output = tool(&["signal"]).args(options).assert().code(1).get_output().clone();
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{options:?}");
    }
    assert_eq!(signal(&["sine", "-l", "0"]).lines().count(), 1, "a header and no sample");
    assert_eq!(values(&signal(&["sine", "-nl", "1", "-v", "65536", "-f", "villas.human", "-t", "64f"]))[0].len(), 65_536);
}
