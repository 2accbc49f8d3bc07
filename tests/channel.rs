//! The channel through its Rust interface, both sides in this process. The C tests, in `tests/c`,
//! do the same and more between processes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use villas_shm::{Channel, Config, Direction, Error, ErrorKind, Flags, Sample, Signal, SignalType, Timespec};

/// A region's name, removed at the end of the test.
struct Name(String);

impl Name {
    fn new() -> Name {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Name(format!("villas-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = Channel::unlink(&self.0);
    }
}

fn pair(config: &Config) -> (Name, Channel, Channel) {
    let name = Name::new();
    let node = Channel::create(&name.0, config).expect("the name is free");
    let program = Channel::open(&name.0).expect("the node is there");
    (name, node, program)
}

fn numbered(channel: &Channel, number: u64) -> Sample {
    let mut sample = channel.alloc().expect("a block is free");
    sample.set_sequence(number);
    sample.write_values(&[number as f64]).expect("it fits");
    sample
}

#[track_caller]
fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> i32 {
    result.expect_err("it must fail").errno()
}

#[test]
fn a_sample_arrives_with_all_that_it_says() {
    let (_name, node, program) = pair(&Config::new().samplelen(3));
    let mut sample = node.alloc().unwrap();
    sample.set_sequence(u64::MAX);
    sample.set_flags(Flags::HAS_TS_ORIGIN | Flags::HAS_DATA | Flags::NEW_FRAME);
    sample.set_origin(Timespec { sec: 1_700_000_000, nsec: 999_999_999 });
    sample.set_received(Timespec { sec: -1, nsec: 1 });
    sample.write_values(&[f64::NAN, -0.0, f64::MIN_POSITIVE / 2.0]).unwrap();
    node.write(&mut vec![sample]).unwrap();

    let mut got = Vec::new();
    assert_eq!(program.read(&mut got, 5).unwrap(), 1);
    let sample = &got[0];
    assert_eq!(sample.sequence(), u64::MAX);
    assert_eq!(sample.flags(), Flags::HAS_TS_ORIGIN | Flags::HAS_DATA | Flags::NEW_FRAME);
    assert_eq!(sample.origin(), Timespec { sec: 1_700_000_000, nsec: 999_999_999 });
    assert_eq!(sample.received(), Timespec { sec: -1, nsec: 1 });
    assert_eq!((sample.len(), sample.capacity()), (3, 3));
    assert_eq!(sample.get_bits(0), f64::NAN.to_bits());
    assert_eq!(sample.get_bits(1), (-0.0f64).to_bits());
    assert_eq!(sample.get(2), f64::MIN_POSITIVE / 2.0);
}

#[test]
fn a_queue_holds_exactly_its_length_whatever_that_is() {
    for queuelen in [1, 2, 3, 7, 512, 600, 1000] {
        let (_name, node, program) = pair(&Config::new().queuelen(queuelen).samplelen(1));
        for round in 0..3 {
            let mut out: Vec<Sample> = (0..u64::from(queuelen) + 2).map(|n| numbered(&node, n)).collect();
            assert_eq!(node.write(&mut out).unwrap(), queuelen as usize, "round {round}");
            assert_eq!(out.len(), 2, "those not taken stay");
            let mut got = Vec::new();
            while got.len() < queuelen as usize {
                assert!(program.try_read(&mut got, 64).unwrap() > 0, "all that were written are there");
            }
            assert_eq!(program.try_read(&mut got, 64).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(got.iter().map(Sample::sequence).eq(0..u64::from(queuelen)));
        }
    }
}

#[test]
fn a_block_that_is_held_for_ever_does_not_stop_the_others() {
    let (_name, node, program) = pair(&Config::new().queuelen(4).spare(40).samplelen(1).polling(true));
    let held: Vec<Sample> = (0..20).map(|n| numbered(&node, 1_000_000 + n)).collect();
    let mut got = Vec::new();
    for number in 0..1_000_000 {
        node.write(&mut vec![numbered(&node, number)]).unwrap();
        assert_eq!(program.try_read(&mut got, 2).unwrap(), 1);
        assert_eq!(got.pop().map(|s| s.sequence()), Some(number));
    }
    assert!(held.iter().zip(0..).all(|(s, n)| s.sequence() == 1_000_000 + n), "what is held is left alone");
    assert_eq!(node.stats().blocks_free, 24, "44 blocks, 20 held");
}

#[test]
fn where_no_sample_is_asked_for_none_is_handed_out_received_or_sent() {
    let (_name, node, program) = pair(&Config::new().queuelen(4).spare(1));
    let mut none = Vec::new();
    assert_eq!(node.alloc_many(&mut none, 0).unwrap(), 0);
    assert_eq!(node.timed_alloc(&mut none, 0, None).unwrap(), 0);
    assert_eq!(node.write(&mut none).unwrap(), 0);
    node.write(&mut vec![numbered(&node, 1)]).unwrap();
    assert_eq!(program.try_read(&mut none, 0).unwrap(), 0);
    assert_eq!(program.read(&mut none, 0).unwrap(), 0);
    assert!(none.is_empty());
    assert_eq!((node.stats().held, program.stats().held), (0, 0));
    assert_eq!(program.read(&mut none, 2).unwrap(), 1, "what was there still is");
}

#[test]
fn a_sample_may_be_echoed_kept_and_copied() {
    let (_name, node, program) = pair(&Config::new().queuelen(2).spare(1).samplelen(1));
    let kept = numbered(&node, 1);
    node.write(&mut vec![kept.clone()]).unwrap();
    assert_eq!(errno(node.write(&mut vec![kept.clone()])), libc::EINVAL, "it is still out");
    let mut got = Vec::new();
    program.read(&mut got, 1).unwrap();
    program.write(&mut got).unwrap();
    node.read(&mut got, 1).unwrap();
    assert_eq!(got[0].sequence(), kept.sequence());
    let mut copy = node.alloc().unwrap();
    copy.copy_from(&got[0]).unwrap();
    got.clear();
    drop(kept);
    assert_eq!(node.stats().blocks_free, 2, "only the copy is held");
    assert_eq!((copy.sequence(), copy.get(0)), (1, 1.0));
}

#[test]
fn a_sample_of_another_channel_is_refused() {
    let (_n1, one, _p1) = pair(&Config::default());
    let (_n2, other, _p2) = pair(&Config::default());
    let mut samples = vec![numbered(&one, 5)];
    assert_eq!(errno(other.write(&mut samples)), libc::EINVAL);
    assert_eq!(samples.len(), 1, "nothing is lost");
}

#[test]
fn parameters_out_of_range_are_refused_with_both_values() {
    let name = Name::new();
    let too_long = Config::new().queuelen((1 << 20) + 1);
    let error = Channel::create(&name.0, &too_long).expect_err("out of range");
    assert_eq!(error.errno(), libc::EINVAL);
    assert!(error.message().contains("1048577") && error.message().contains("1048576"), "{error}");
    assert_eq!(errno(Channel::create(&name.0, &Config::new().samplelen(65537))), libc::EINVAL);
    assert_eq!(errno(Channel::create(&name.0, &Config::new().permissions(0o1777))), libc::EINVAL);
    assert_eq!(errno(Channel::open("a/b")), libc::EINVAL);
    assert_eq!(errno(Channel::open(&name.0)), libc::ENOENT);
}

#[test]
fn a_side_that_is_held_is_busy_and_free_again_after_a_close() {
    let (name, node, program) = pair(&Config::default());
    let error = Channel::open(&name.0).expect_err("held");
    assert_eq!(error.errno(), libc::EBUSY);
    assert!(error.message().contains(&std::process::id().to_string()), "{error}");
    assert_eq!(errno(Channel::create(&name.0, &Config::default())), libc::EBUSY);
    let others = Config::new().queuelen(7);
    assert_eq!(errno(Channel::create(&name.0, &others)), libc::EPROTO, "said before EBUSY");
    drop(program);
    let program = Channel::open(&name.0).expect("the side is free");
    drop(node);
    let node = Channel::create(&name.0, &Config::default()).expect("the node side is free");
    assert!(node.peer_alive() && program.peer_alive());
    drop((node, program));
    Channel::create(&name.0, &others).expect("nobody is attached: replaced");
}

#[test]
fn closing_loses_nothing_and_a_successor_goes_on() {
    let (name, node, program) = pair(&Config::default());
    let mut out: Vec<Sample> = (0..5).map(|n| numbered(&node, n)).collect();
    node.write(&mut out).unwrap();
    drop(program);
    assert_eq!(errno(node.write(&mut vec![numbered(&node, 9)])), libc::EPIPE);
    let program = Channel::open(&name.0).expect("the side is free");
    node.write(&mut vec![numbered(&node, 5)]).expect("there is a peer again");
    drop(node);
    let mut got = Vec::new();
    assert_eq!(program.read(&mut got, 10).unwrap(), 6);
    assert!(got.iter().map(Sample::sequence).eq(0..6));
    assert_eq!(errno(program.read(&mut got, 10)), libc::EPIPE);
    assert_eq!(errno(program.read(&mut got, 10)), libc::EPIPE);
    let node = Channel::create(&name.0, &Config::default()).expect("the program is alive: taken over");
    node.write(&mut vec![numbered(&node, 6)]).unwrap();
    assert_eq!(program.read(&mut got, 10).unwrap(), 1);
}

#[test]
fn samples_outlive_their_channel() {
    let (_name, node, program) = pair(&Config::default());
    node.write(&mut vec![numbered(&node, 3)]).unwrap();
    let mut got = Vec::new();
    program.read(&mut got, 1).unwrap();
    drop((node, program));
    assert_eq!((got[0].sequence(), got[0].get(0)), (3, 3.0));
    let clone = got[0].clone();
    drop(got);
    assert_eq!(clone.sequence(), 3);
}

#[test]
fn many_threads_on_each_side_get_every_sample_once() {
    const EACH: u64 = 20_000;
    for polling in [false, true] {
        let (_name, node, program) = pair(&Config::new().queuelen(64).samplelen(1).polling(polling));
        let done = AtomicBool::new(false);
        let all = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let node = &node;
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let mut one = Vec::new();
                            assert_eq!(node.timed_alloc(&mut one, 1, Some(Duration::from_secs(20))).unwrap(), 1);
                            one[0].set_sequence(writer << 32 | number);
                            assert_eq!(node.timed_write(&mut one, Some(Duration::from_secs(20))).unwrap(), 1);
                        }
                    })
                })
                .collect();
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let (mut numbers, mut got) = (Vec::new(), Vec::new());
                        while !done.load(Ordering::Acquire) || program.stats().queued_in > 0 {
                            match program.read(&mut got, 7) {
                                Err(e) if e.is_transient() => {}
                                other => drop(other.unwrap()),
                            }
                            numbers.extend(got.drain(..).map(|s| s.sequence()));
                        }
                        numbers
                    })
                })
                .collect();
            for writer in writers {
                writer.join().unwrap();
            }
            done.store(true, Ordering::Release);
            readers.into_iter().map(|r| r.join().unwrap()).collect::<Vec<_>>()
        });
        for numbers in &all {
            for writer in 0..3 {
                assert!(numbers.iter().filter(|n| *n >> 32 == writer).is_sorted(), "a thread's order is kept");
            }
        }
        let once: HashSet<u64> = all.iter().flatten().copied().collect();
        assert_eq!(once.len() as u64, 3 * EACH);
        assert_eq!(all.iter().map(Vec::len).sum::<usize>() as u64, 3 * EACH, "none twice");
        assert_eq!(node.stats().blocks_free, node.stats().blocks / 2);
    }
}

#[test]
fn a_sample_that_cannot_be_sent_comes_back_in_the_error() {
    let (_name, node, program) = pair(&Config::new().queuelen(1).samplelen(1));
    node.send(numbered(&node, 1)).unwrap();
    let unsent = node.send(numbered(&node, 2)).unwrap_err();
    assert_eq!((unsent.error.kind(), unsent.sample.sequence()), (ErrorKind::WouldBlock, 2));
    assert!(unsent.to_string().contains("queue is full"), "{unsent}");
    let late = node.timed_send(unsent.sample, Some(Duration::from_millis(1))).unwrap_err();
    assert_eq!(late.error.kind(), ErrorKind::TimedOut);
    let mut got = Vec::new();
    assert_eq!(program.read(&mut got, 2).unwrap(), 1);
    node.timed_send(late.sample, None).unwrap();
    assert_eq!(program.read(&mut got, 2).unwrap(), 1);
    assert_eq!(got.iter().map(Sample::sequence).collect::<Vec<_>>(), [1, 2]);
    drop(program);
    drop(got);
    // With `?` the sample goes back to its pool.
    let send = |node: &Channel| -> Result<(), Error> { Ok(node.send(numbered(node, 3))?) };
    assert_eq!(send(&node).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(node.stats().held, 0);
}

#[test]
fn calls_that_move_nothing_say_why_and_none_counts_as_done() {
    let (_name, node, program) = pair(&Config::new().queuelen(1).spare(1).samplelen(1));
    let mut samples = Vec::new();
    assert_eq!(node.alloc_many(&mut samples, 9).unwrap(), 2);
    let kinds = [
        node.alloc_many(&mut Vec::new(), 1).unwrap_err().kind(),
        node.alloc().unwrap_err().kind(),
        program.try_read(&mut Vec::new(), 1).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::WouldBlock; 3]);
    assert_eq!(node.write(&mut samples).unwrap(), 1, "one has room");
    assert_eq!(node.write(&mut samples).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(node.timed_write(&mut samples, Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::TimedOut);
    let error = std::io::Error::from(node.alloc().unwrap_err());
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert!(error.to_string().contains("blocks of this side"), "{error}");
}

#[test]
fn parameters_have_no_zero_that_means_something_else() {
    let name = Name::new();
    for config in [Config::new().queuelen(0), Config::new().samplelen(0), Config::new().spare(0), Config::new().permissions(0)] {
        assert_eq!(Channel::create(&name.0, &config).unwrap_err().kind(), ErrorKind::InvalidInput, "{config:?}");
    }
    let (_name, node, _program) = pair(&Config::new().queuelen(7));
    assert_eq!((node.config().queuelen, node.config().samplelen), (7, Config::default().samplelen));
}

#[test]
fn a_wait_ends_by_time_by_interrupt_and_by_a_close() {
    for polling in [false, true] {
        let (_name, node, program) = pair(&Config::new().polling(polling));
        let mut got = Vec::new();
        let start = Instant::now();
        let nothing = program.read(&mut got, 1).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock, "a plain read gives its caller a chance after 100 ms");
        assert!(nothing.is_transient() && nothing.message().contains("no sample"), "{nothing}");
        assert!(start.elapsed() >= Duration::from_millis(100));
        let late = program.timed_read(&mut got, 1, Some(Duration::from_millis(5))).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| program.timed_read(&mut Vec::new(), 1, None));
            program.interrupt();
            assert_eq!(waiter.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
            let waiter = scope.spawn(|| program.timed_read(&mut Vec::new(), 1, None));
            drop(node);
            assert_eq!(errno(waiter.join().unwrap()), libc::EPIPE);
        });
    }
}

#[test]
fn an_open_waits_for_the_region_to_appear() {
    let name = Name::new();
    assert_eq!(errno(Channel::timed_open(&name.0, Some(Duration::from_millis(10)))), libc::ETIMEDOUT);
    let node = std::thread::scope(|scope| {
        let opener = scope.spawn(|| Channel::timed_open(&name.0, Some(Duration::from_secs(20))).expect("it appears"));
        let node = Channel::create(&name.0, &Config::default()).unwrap();
        node.wait(Some(Duration::from_secs(20))).expect("the program attaches");
        drop(opener.join().unwrap());
        node
    });
    assert_eq!(errno(node.read(&mut Vec::new(), 1)), libc::EPIPE);
}

#[test]
fn hundreds_of_channels_may_be_open_and_each_is_unmapped_at_the_end() {
    let config = Config::new().queuelen(1).spare(1).samplelen(1);
    let pairs: Vec<_> = (0..400).map(|_| pair(&config)).collect();
    for (number, (_, node, program)) in pairs.iter().enumerate() {
        node.write(&mut vec![numbered(node, number as u64)]).unwrap();
        let mut got = Vec::new();
        program.read(&mut got, 1).unwrap();
        assert_eq!(got[0].sequence(), number as u64);
    }
    drop(pairs);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let left = maps.lines().filter(|line| line.contains(&format!("villas-test-{}-", std::process::id()))).count();
    assert!(left < 100, "{left} regions are still mapped");
}

#[test]
fn both_ends_see_the_signals_that_the_node_names() {
    let written = [Signal::new("u_a", "V", SignalType::Float), Signal::new("n", "", SignalType::Integer)];
    let read = [Signal::new("switch", "", SignalType::Boolean)];
    let config = Config::new().samplelen(2).out_signals(written.clone()).in_signals(read.clone());
    let (name, node, program) = pair(&config);
    for (own, direction, signals) in [
        (&node, Direction::Out, &written[..]),
        (&program, Direction::In, &written[..]),
        (&node, Direction::In, &read[..]),
        (&program, Direction::Out, &read[..]),
    ] {
        assert_eq!(own.signals(direction), signals);
        own.expect_signals(direction, signals).unwrap();
        signals.iter().enumerate().for_each(|(at, signal)| assert_eq!(own.signal_index(direction, signal.name()).unwrap(), at));
    }
    assert_eq!((node.config().out_signals, program.config().in_signals), (written.to_vec(), written.to_vec()));

    let wrong = program.signal_index(Direction::In, "switch").unwrap_err();
    assert!(wrong.kind() == ErrorKind::NotFound && wrong.message().contains("\"u_a\", \"n\""), "{wrong}");
    let wrong = program.expect_signals(Direction::In, &read).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Mismatch);
    assert!(wrong.message().ends_with("signal 0 is \"u_a\" [V], float; expected \"switch\", boolean"), "{wrong}");

    // The list is the program's own: it stays when another thread closes the channel.
    program.close();
    assert_eq!(program.signals(Direction::In), written);
    assert_eq!(program.signal_index(Direction::In, "u_a").unwrap_err().kind(), ErrorKind::Closed);
    drop(node);
    // Both have closed: another node may name others.
    let node = Channel::create(&name.0, &config.out_signals([])).unwrap();
    assert_eq!((node.signals(Direction::Out), node.signals(Direction::In)), (&[][..], &read[..]));
}

#[test]
fn signals_that_cannot_be_are_refused_when_the_region_is_made() {
    let signal = |name: &str, unit: &str| Signal::new(name, unit, SignalType::Float);
    let config = Config::new().samplelen(2);
    for (signals, why) in [
        (vec![signal("a", ""), signal("", "")], "out_signals: signal 1 has no name"),
        (vec![signal(&"n".repeat(256), "")], "out_signals: signal 0 has a name of 256 bytes"),
        (vec![signal("a", &"u".repeat(64))], "out_signals: signal 0 has a unit of 64 bytes"),
        (vec![signal("a\0", "")], "out_signals: signal 0 has a control character in its name, \"a\\0\""),
        (vec![signal("a", ""), signal("a", "V")], "out_signals: signals 0 and 1 have one name, \"a\""),
        (vec![signal("a", ""), signal("b", ""), signal("c", "")], "out_signals: there are 3, more than the 2 values"),
    ] {
        let refused = Channel::create(&Name::new().0, &config.clone().out_signals(signals)).unwrap_err();
        assert!(refused.kind() == ErrorKind::InvalidInput && refused.message().starts_with(why), "{refused}");
    }
}
