//! `watch`: what passes, as lines and in files, whole also after SIGKILL.
//!
//! `WATCH_KILLS` says how many recordings are killed; 20 by default.

mod common;
#[path = "common/terminal.rs"]
mod terminal;
#[path = "common/traffic.rs"]
mod traffic;

use common::{PATIENCE, TOOL, sequence, tool, until};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use terminal::Terminal;
use traffic::{Messages, Traffic};
use villas_shm::{Channel, Config, Policy, Signal, SignalType};

fn watch(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = tool(&[&["watch"], arguments].concat()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The sequence numbers of lines of `villas.human`, each with the values that belong to it.
fn checked(text: &str) -> Vec<u64> {
    let numbers = sequence(text);
    for (line, k) in text.lines().filter(|line| !line.starts_with('#')).zip(&numbers) {
        let values: Vec<&str> = line.split('\t').skip(1).collect();
        let sign = if *k == 0 { "-0.0".into() } else { format!("-{k}.0") };
        assert_eq!(values, [format!("{k}.0"), sign, k.to_string()], "{line}");
    }
    assert!(numbers.windows(2).all(|two| two[0] < two[1]), "{numbers:?}");
    numbers
}

#[test]
fn samples_are_printed_as_they_pass_with_their_names() {
    let traffic = Traffic::new("lines", 200);
    let (status, text, messages) = watch(&[&traffic.name, "-n", "50"]);
    assert_eq!(status, Some(0), "{messages}");
    assert!(text.starts_with("# seconds.nanoseconds(sequence)\tu[V]\tw[V]\tk[V]\n"), "{text}");
    assert_eq!(checked(&text).len(), 50);
    assert!(messages.contains("recording what the node sends"), "{messages}");
    let (_, text, messages) = watch(&[&traffic.name, "-n", "5", "--direction", "in"]);
    assert!(text.starts_with("# seconds.nanoseconds(sequence)\tback[V]\n") && text.lines().count() == 6, "{text}{messages}");
}

#[test]
fn chosen_signals_and_one_of_many_are_printed() {
    let traffic = Traffic::new("chosen", 200);
    let (status, text, messages) = watch(&[&traffic.name, "-n", "5", "--signals", "k,u", "--every", "10"]);
    assert_eq!(status, Some(0), "{messages}");
    let numbers = sequence(&text);
    assert!(text.starts_with("# seconds.nanoseconds(sequence)\tk[V]\tu[V]\n"), "{text}");
    assert!(text.lines().nth(1).unwrap().ends_with(&format!("\t{}\t{}.0", numbers[0], numbers[0])), "{text}");
    assert!(numbers.len() == 5 && numbers.windows(2).all(|two| two[1] >= two[0] + 10), "{numbers:?}");
    let (status, text, messages) = watch(&[&traffic.name, "--duration", "0.5", "--every", "0.2s"]);
    assert_eq!(status, Some(0), "{messages}");
    assert!((1..=3).contains(&checked(&text).len()), "{text}");
    let (status, text, messages) = watch(&[&traffic.name, "--signals", "u,x"]);
    assert_eq!((status, &*text), (Some(1), ""));
    assert!(messages.contains("no direction has all of the signals u, x: there are u, w, k"), "{messages}");
}

#[test]
fn missed_samples_are_said_and_are_a_failure_with_strict() {
    let traffic = Traffic::new("strict", 0);
    let name = traffic.name.clone();
    // Two blocks: what is not seen at once is gone.
    let (status, _, messages) = watch(&[&name, "--duration", "1", "--strict"]);
    assert_eq!(status, Some(2), "{messages}");
    assert!(messages.contains("missed ") && messages.contains("\"history\""), "{messages}");
    let (status, _, messages) = watch(&[&name, "--duration", "0.5"]);
    assert_eq!(status, Some(0), "{messages}");
}

#[test]
fn what_cannot_be_said_in_one_file_is_refused() {
    let traffic = Traffic::new("refused", 0);
    let (status, text, messages) = watch(&[&traffic.name, "--direction", "both"]);
    assert_eq!((status, &*text), (Some(1), ""));
    assert!(messages.contains("for a terminal") && messages.contains("--direction out or in"), "{messages}");
    let (status, _, messages) = watch(&["villas-watch-nobody"]);
    assert_eq!(status, Some(1));
    assert!(messages.contains("there is no \"villas-watch-nobody\""), "{messages}");
    for every in ["0", "x", "-1s", "0s"] {
        let (status, _, messages) = watch(&[&traffic.name, "--every", every]);
        assert_eq!(status, Some(1));
        assert!(messages.contains("such as 0.5s"), "{messages}");
    }
}

#[test]
fn a_terminal_shows_both_directions_behind_arrows() {
    let traffic = Traffic::new("terminal", 200);
    let mut terminal = Terminal::new(100, 30, &["watch", &traffic.name, "--every", "20"]);
    terminal.until("both directions are there", |lines| {
        ["→ ", "← "].iter().all(|arrow| lines.iter().any(|line| line.starts_with(arrow)))
    });
    terminal.press("\x03");
    assert!(terminal.end().success());
}

#[test]
fn messages_of_a_ring_are_shown_as_bytes_or_numbers() {
    let ring = Messages::new("ring", Policy::Mpmc);
    let (status, text, messages) = watch(&[&ring.name, "-n", "3"]);
    assert_eq!((status, text.lines().count()), (Some(0), 3), "{messages}");
    assert!(text.lines().all(|line| line.ends_with("\t000000000000f83f00000000000000c0")), "{text}");
    let (status, text, messages) = watch(&[&ring.name, "-n", "3", "-t", "2f"]);
    assert_eq!(status, Some(0), "{messages}");
    assert!(text.lines().skip(1).all(|line| line.ends_with("\t1.5\t-2.0")), "{text}");
    let (status, _, messages) = watch(&[&ring.name, "-n", "3", "-t", "3f"]);
    assert_eq!(status, Some(1));
    assert!(messages.contains("a message has 16 bytes, but -t names 3 values"), "{messages}");
    let (status, _, messages) = watch(&[&ring.name, "-n", "3", "-f", "csv"]);
    assert_eq!(status, Some(1));
    assert!(messages.contains("-t says what they hold"), "{messages}");
}

#[test]
fn the_newest_values_are_shown_by_name_when_nothing_waits() {
    let name = format!("villas-watch-newest-{}", std::process::id());
    let out = [Signal::new("u_a", "V", SignalType::Float), Signal::new("on", "", SignalType::Boolean)];
    let node = Channel::create(&name, &Config::new().samplelen(2).out_signals(out)).unwrap();
    let program = Channel::open(&name).unwrap();
    let mut sample = node.alloc().unwrap();
    sample.write_values(&[2.25, f64::from_bits(1)]).unwrap();
    node.write(&mut vec![sample]).unwrap();
    let mut samples = Vec::new();
    program.read(&mut samples, 1).unwrap();
    samples.clear();
    let shown = String::from_utf8(tool(&["show", &name]).output().unwrap().stdout).unwrap();
    assert!(shown.contains("0 of 512 wait, 1 written, 1 read\n    the newest, as its reader has left it:\n"), "{shown}");
    assert!(shown.contains("0  u_a  V  float    2.25\n    1  on      boolean  1\n"), "{shown}");
    let mut top = Terminal::new(120, 40, &["top", &name]);
    top.until_shown("u_a[V] = 2.25, on = 1");
    top.press("q");
    assert!(top.end().success());
    Channel::unlink(&name).unwrap();
}

/// The lines of a file that was cut off, as another program reads it.
fn converted(file: &Path) -> String {
    let output = tool(&["convert", "-t", "2fi", file.to_str().unwrap(), "-"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_recording_that_is_killed_is_readable_up_to_the_last_whole_batch() {
    let kills = std::env::var("WATCH_KILLS").map_or(20, |kills| kills.parse().expect("WATCH_KILLS is a number"));
    let traffic = Traffic::new("killed", 200);
    let directory = tempfile::tempdir().unwrap();
    let mut batched = 0;
    for (kill, extension) in (0..kills).zip(["dat", "csv", "json", "arrow", "tsv"].into_iter().cycle()) {
        let file = directory.path().join(format!("{kill}.{extension}"));
        let arguments = ["watch", &traffic.name, "--direction", "out", "-o", file.to_str().unwrap()];
        let mut recorder = Command::new(TOOL).args(arguments).stdin(Stdio::null()).spawn().unwrap();
        // Somewhere in its work: after some batches, at another place each time.
        let size = || fs::metadata(&file).map_or(0, |data| data.len());
        until("something is recorded", || size() > 2000 + 3000 * (kill % 7));
        (0..kill * 1000 % 7919).for_each(|_| std::hint::spin_loop());
        recorder.kill().unwrap();
        recorder.wait().unwrap();
        if extension == "arrow" {
            // Its first batch may be the one that was cut off.
            batched += checked(&converted(&file)).len();
            continue;
        }
        // A last line without an end was cut off; all before it are whole.
        let bytes = fs::read(&file).unwrap();
        let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        fs::write(&file, &bytes[..end]).unwrap();
        let whole = bytes.iter().filter(|&&byte| byte == b'\n').count() - usize::from(extension != "json");
        let numbers = checked(&converted(&file));
        assert!(numbers.len() == whole && whole > 10, "{}: {} of {whole} lines", file.display(), numbers.len());
    }
    assert!(batched > 100, "{batched} samples in the files of batches");
    traffic.go_on();
}

#[test]
fn a_recording_goes_on_with_the_next_region_and_ends_with_the_last() {
    let mut traffic = Traffic::new("next", 200);
    let name = traffic.name.clone();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("both.dat");
    let path = file.to_str().unwrap().to_owned();
    let recorder = thread::spawn({
        let name = name.clone();
        move || watch(&[&name, "--direction", "out", "-o", &path, "--duration", &PATIENCE.as_secs().to_string()])
    });
    let has = |least: usize| fs::read_to_string(&file).is_ok_and(|text| text.lines().count() > least);
    until("some are recorded", || has(50));
    // The name is never without a region: the next one is renamed over it.
    let mut next = Traffic::new("next-other", 200);
    fs::rename(format!("/dev/shm/{}", next.name), format!("/dev/shm/{name}")).unwrap();
    std::mem::swap(&mut traffic.name, &mut next.name);
    drop(traffic);
    let before = fs::read_to_string(&file).unwrap().lines().count();
    until("it goes on", || has(before + 200));
    drop(next);
    let (status, _, messages) = recorder.join().unwrap();
    assert_eq!(status, Some(0), "{messages}");
    assert!(messages.contains("the region was removed"), "{messages}");
}
