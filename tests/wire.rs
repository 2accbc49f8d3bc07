//! Channels in VILLASnode's layout, between two ends of this library.

use std::time::Duration;
use villas_shm::{Channel, Config, Sample};

const SOON: Option<Duration> = Some(Duration::from_secs(10));

/// The names of a region for each direction, which no other test uses.
fn names(what: &str) -> (String, String) {
    let base = format!("villas-wire-{what}-{}", std::process::id());
    (format!("{base}-a"), format!("{base}-b"))
}

fn config(polling: bool, queuelen: u32, samplelen: u32) -> Config {
    Config::new().polling(polling).queuelen(queuelen).samplelen(samplelen)
}

/// Both ends, opened at the same time.
fn pair(what: &str, a: &Config, b: &Config) -> (Channel, Channel) {
    let (name_a, name_b) = names(what);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| Channel::open_wire(&name_b, &name_a, b, SOON).unwrap());
        let one = Channel::open_wire(&name_a, &name_b, a, SOON).unwrap();
        (one, other.join().unwrap())
    })
}

/// The objects that are left under a test's names.
fn leftovers(what: &str) -> Vec<String> {
    let (a, _) = names(what);
    let stem = a.trim_end_matches("-a").to_string();
    let entries = std::fs::read_dir("/dev/shm").unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).filter(|name| name.contains(&stem)).collect()
}

fn send(channel: &Channel, first: u64, count: u64) {
    for number in first..first + count {
        let mut samples = Vec::new();
        assert_eq!(channel.timed_alloc(&mut samples, 1, SOON).unwrap(), 1);
        samples[0].set_sequence(number);
        samples[0].write_values(&[number as f64, -0.5]).unwrap();
        assert_eq!(channel.timed_write(&mut samples, SOON).unwrap(), 1, "sample {number}");
    }
}

fn receive(channel: &Channel, first: u64, count: u64) {
    let mut next = first;
    while next < first + count {
        let mut samples = Vec::new();
        channel.timed_read(&mut samples, 7, SOON).unwrap_or_else(|e| panic!("sample {next} of {count} did not come: {e}"));
        for sample in samples {
            assert_eq!((sample.sequence(), sample.len()), (next, 2));
            assert_eq!((sample.get(0), sample.get(1)), (next as f64, -0.5));
            next += 1;
        }
    }
}

#[test]
fn samples_cross_in_both_directions_in_all_combinations_of_modes() {
    for (i, (a, b)) in [(false, false), (false, true), (true, false), (true, true)].into_iter().enumerate() {
        let what = format!("modes{i}");
        let (one, other) = pair(&what, &config(a, 16, 4), &config(b, 5, 9));
        assert_eq!((one.config().polling, other.config().polling), (a, b));
        std::thread::scope(|scope| {
            scope.spawn(|| send(&one, 0, 3000));
            scope.spawn(|| send(&other, 0, 3000));
            scope.spawn(|| receive(&one, 0, 3000));
            receive(&other, 0, 3000);
        });
        assert_eq!(one.stats().blocks_free, 16);
        assert_eq!(other.stats().blocks_free, 5);
        drop(one);
        drop(other);
        assert_eq!(leftovers(&what), Vec::<String>::new());
    }
}

#[test]
fn what_was_written_before_the_close_is_read_and_then_the_end_is_told() {
    let (one, other) = pair("end", &config(false, 8, 2), &config(false, 8, 2));
    send(&one, 0, 5);
    drop(one);
    receive(&other, 0, 5);
    let mut none: Vec<Sample> = Vec::new();
    assert_eq!(other.read(&mut none, 1).unwrap_err().errno(), libc::EPIPE);
    let mut samples = vec![other.alloc().unwrap()];
    assert_eq!(other.write(&mut samples).unwrap_err().errno(), libc::EPIPE);
}

#[test]
fn a_sample_that_was_received_is_written_back_as_a_copy() {
    let (one, other) = pair("echo", &config(false, 4, 2), &config(true, 4, 2));
    for round in 0..100 {
        send(&one, round, 1);
        let mut samples = Vec::new();
        assert_eq!(other.timed_read(&mut samples, 4, SOON).unwrap(), 1);
        assert_eq!(other.write(&mut samples).unwrap(), 1);
        receive(&one, round, 1);
    }
    assert_eq!((one.stats().blocks_free, other.stats().blocks_free), (4, 4));
    assert_eq!((one.stats().held, other.stats().held), (0, 0));
}

#[test]
fn with_one_name_for_both_a_process_reads_what_it_writes_and_a_second_one_is_told_who_holds_it() {
    let (name, _) = names("loop");
    let channel = Channel::open_wire(&name, &name, &config(false, 3, 2), SOON).unwrap();
    send(&channel, 0, 3);
    let busy = Channel::open_wire(&name, &name, &config(false, 3, 2), SOON).unwrap_err();
    assert_eq!(busy.errno(), libc::EBUSY);
    assert!(busy.message().contains(&std::process::id().to_string()), "{busy}");
    receive(&channel, 0, 3);
    assert_eq!(channel.stats().blocks_free, 3);
    drop(channel);
    assert_eq!(leftovers("loop"), Vec::<String>::new());
}

#[test]
fn an_open_that_nobody_answers_ends_and_leaves_nothing_behind() {
    let (a, b) = names("alone");
    let e = Channel::open_wire(&a, &b, &config(false, 4, 4), Some(Duration::from_millis(100))).unwrap_err();
    assert_eq!(e.errno(), libc::ETIMEDOUT, "{e}");
    assert_eq!(leftovers("alone"), Vec::<String>::new());
}

#[test]
fn every_block_can_be_had_and_a_queue_takes_as_many_whatever_the_length() {
    for queuelen in [1, 2, 3, 5, 8, 600, 1000] {
        let what = format!("full{queuelen}");
        let (one, other) = pair(&what, &config(true, queuelen, 3), &config(true, 2, 3));
        let mut samples = Vec::new();
        let most = queuelen as usize;
        assert_eq!(one.alloc_many(&mut samples, most + 1).unwrap(), most);
        for (i, sample) in samples.iter_mut().enumerate() {
            sample.set_sequence(i as u64);
            sample.write_values(&[i as f64, -0.5]).unwrap();
        }
        assert_eq!(one.write(&mut samples).unwrap(), most);
        receive(&other, 0, queuelen.into());
        assert_eq!(one.stats().blocks_free, queuelen.into());
    }
}

#[test]
fn a_reference_that_the_writer_keeps_keeps_the_block() {
    let (one, other) = pair("keep", &config(false, 2, 2), &config(false, 2, 2));
    let mut sample = one.alloc().unwrap();
    sample.set_sequence(9);
    let kept = sample.clone();
    assert_eq!(one.write(&mut vec![sample]).unwrap(), 1);
    let mut got = Vec::new();
    assert_eq!(other.timed_read(&mut got, 1, SOON).unwrap(), 1);
    drop(got);
    assert_eq!((one.stats().blocks_free, one.stats().held, kept.sequence()), (1, 1, 9));
    drop(kept);
    assert_eq!((one.stats().blocks_free, one.stats().held), (2, 0));
}
