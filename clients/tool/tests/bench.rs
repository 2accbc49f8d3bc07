//! `bench`: its options, its JSON, its plot. Never how fast it is.

mod common;

use common::{TOOL, tool};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The processors that two processes can be pinned to; none: there is one, and nothing can be measured.
fn two_cpus() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse::<usize>().unwrap()..=last.parse().unwrap()
    };
    let mut cpus = list.split(',').flat_map(range);
    let pair = cpus.next().zip(cpus.next());
    if pair.is_none() {
        eprintln!("skipped: two processors are needed");
    }
    pair.map(|(first, second)| format!("{first},{second}"))
}

/// Runs it as short as it can be; standard output.
fn bench(cpus: &str, options: &[&str]) -> String {
    let output = tool(&["bench", "--duration", "0.1", "--cpus", cpus]).args(options).assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn json_has_a_row_for_each_figure_that_was_asked_for_and_samples_in_each() {
    let Some(cpus) = two_cpus() else { return };
    let text = bench(&cpus, &["--json", "--mode", "pthread,polling", "--values", "1,5", "--batch", "1,7"]);
    let all: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&all["version"], &all["complete"]), (&Value::from(1), &Value::from(true)));
    let rows = all["rows"].as_array().unwrap();
    // For each number of values: a round trip and two streams in both modes, and two rows of sleepers.
    assert_eq!(rows.len(), 2 * (3 * 2 + 2));
    for row in rows {
        let (values, bytes) = (row["values"].as_u64().unwrap(), row["bytes"].as_u64().unwrap());
        assert_eq!(bytes, 88 + 8 * values, "{row}");
        let turns = row["turns"].as_u64().unwrap();
        assert!(turns > 0 && row["counted"].as_u64().unwrap() <= turns, "{row}");
        assert!(row["samples"].as_u64().unwrap() > 0 && row["memory"].as_u64().unwrap() > 0, "{row}");
        let is_stream = row["work"] == "stream";
        assert_eq!(row["percentiles"].is_null(), is_stream, "{row}");
        if !is_stream {
            let most = row["percentiles"]["max"].as_u64().unwrap();
            let known = ["p50", "p90", "p99", "p99.9", "p99.99"].map(|name| row["percentiles"][name].as_u64());
            // Those beyond which there was nothing are null, and they come last; of a single round trip, all.
            assert!(known.is_sorted_by(|one, next| next.is_none() || (one.is_some() && one <= next)), "{row}");
            assert!(known.iter().flatten().all(|&ns| 0 < ns && ns <= most), "{row}");
        }
        // Ratios are there where turns counted, and nowhere else.
        assert_eq!(row["ratio"].is_null(), row["counted"] == 0, "{row}");
    }
    let has = |work: &str, mode: &str, batch: u64| {
        rows.iter().any(|row| row["work"] == work && row["mode"] == mode && row["batch"] == batch && row["values"] == 5)
    };
    assert!(has("stream", "polling", 7) && has("stream", "pthread", 1) && has("round trip", "polling", 1));
    assert!(has("asleep", "pthread", 1) && has("wake-up", "pthread", 1) && !has("asleep", "polling", 1));
}

#[test]
fn streams_of_the_largest_samples_in_the_largest_batches_come_to_an_end() {
    let Some(cpus) = two_cpus() else { return };
    let text = bench(&cpus, &["--json", "--mode", "polling", "--values", "2600,8192", "--batch", "64"]);
    let all: Value = serde_json::from_str(&text).unwrap();
    let streams = |values: u64| {
        let rows = all["rows"].as_array().unwrap().iter();
        rows.filter(|row| row["work"] == "stream" && row["values"] == values && row["samples"].as_u64() > Some(0)).count()
    };
    assert_eq!((streams(2600), streams(8192)), (1, 1), "{text}");
}

#[test]
fn the_table_and_the_plot_name_what_was_measured() {
    let Some(cpus) = two_cpus() else { return };
    let directory = tempfile::tempdir().unwrap();
    let plot = directory.path().join("latency.svg");
    let text = bench(&cpus, &["--mode", "polling", "--values", "3", "--batch", "2", "--plot", plot.to_str().unwrap()]);
    let has = |words: &[&str]| text.lines().any(|line| line.split_whitespace().take(words.len()).eq(words.iter().copied()));
    assert!(has(&["round", "trip", "polling", "3"]) && has(&["stream", "polling", "3"]) && !has(&["asleep"]), "{text}");
    assert!(text.contains("p99.99") && text.contains("rate"), "{text}");
    let svg = fs::read_to_string(&plot).unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("round trip, polling, 3 values"), "{svg}");
}

#[test]
fn figures_that_cannot_be_are_refused() {
    for (options, word) in [
        (["--json", "--duration=-1"], "duration"),
        (["--json", "--duration=0"], "more than 0 seconds"),
        (["--values", "0"], "values"),
        (["--values", "9000"], "values"),
        (["--batch", "65"], "batch"),
        (["--mode", "fast"], "mode"),
        (["--cpus", "1"], "two numbers"),
        (["--cpus", "1,1"], "two different"),
        (["--cpus", "0,100000"], "processor 100000"),
        (["--plot", "no/such/directory/a.svg"], "no/such/directory/a.svg"),
    ] {
        if options[0] == "--plot" && two_cpus().is_none() {
            continue;
        }
        let output = tool(&["bench"]).args(options).assert().code(1).get_output().clone();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(word) && output.stdout.is_empty(), "{options:?}: {text}");
    }
}

#[test]
fn what_was_measured_is_printed_when_a_signal_ends_it_and_an_older_plot_stays() {
    let Some(cpus) = two_cpus() else { return };
    let options = ["-d", "debug", "bench", "--json", "--cpus", &cpus, "--duration", "4"];
    let directory = tempfile::tempdir().unwrap();
    let plot = directory.path().join("older.svg");
    fs::write(&plot, "an older plot").unwrap();
    let more = ["--mode", "polling", "--values", "1", "--batch", "1,2,3,4,5,6", "--plot", plot.to_str().unwrap()];
    let options = options.iter().chain(&more);
    let mut child = Command::new(TOOL).args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("measured beside bare ping-pong"), "{line}");
    common::kill(child.id(), common::Signal::SIGTERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all["complete"], false);
    assert_eq!(all["rows"][0]["work"], "round trip");
    assert_eq!(fs::read_to_string(&plot).unwrap(), "an older plot");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn nothing_is_left_in_shared_memory_when_it_is_killed() {
    let Some(cpus) = two_cpus() else { return };
    let options = ["bench", "--cpus", &cpus, "--duration", "600", "--mode", "pthread", "--values", "1", "--batch", "1"];
    let mut child = Command::new(TOOL).args(options).stdout(Stdio::null()).spawn().unwrap();
    let process = child.id();
    common::until("the other process begins", || !common::children(process).is_empty());
    common::kill(process, common::Signal::SIGKILL);
    child.wait().unwrap();
    let prefix = format!("villas-bench-{process}-");
    let is_gone = || {
        let mut objects = fs::read_dir("/dev/shm").unwrap().flatten();
        !objects.any(|object| object.file_name().to_string_lossy().contains(&prefix))
    };
    common::until("its shared memory is removed", is_gone);
}
