//! Taps of channels and rings, one thing at a time. `tests/tap_traffic.rs` has them beside traffic.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use villas_shm::inspect::{Kind, Passed, Sender, Tap, Waiting, look};
use villas_shm::{Channel, Config, Error, Policy, Ring, Role, Signal, SignalType};

const PATIENCE: Duration = Duration::from_secs(60);

fn name(what: &str) -> String {
    format!("villas-tap-{what}-{}", std::process::id())
}

struct Removed(String);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(format!("/dev/shm/{}", self.0));
    }
}

fn pair(what: &str, config: &Config) -> (Removed, Channel, Channel) {
    let name = name(what);
    let node = Channel::create(&name, config).unwrap();
    let program = Channel::open(&name).unwrap();
    (Removed(name), node, program)
}

fn send(channel: &Channel, number: u64) {
    let mut sample = channel.alloc().unwrap();
    sample.set_sequence(number);
    sample.write_values(&[number as f64, -(number as f64)]).unwrap();
    assert_eq!(channel.write(&mut vec![sample]).unwrap(), 1);
}

fn receive(channel: &Channel) -> u64 {
    let mut samples = Vec::new();
    assert_eq!(channel.read(&mut samples, 1).unwrap(), 1);
    samples[0].sequence()
}

fn follow(tap: &mut Tap) -> Vec<Passed> {
    let mut passed = Vec::new();
    let count = tap.follow(&mut passed, 1000).unwrap();
    assert_eq!(count, passed.len());
    passed
}

/// The sequence number of a sample whose values belong to it.
fn number(passed: &Passed) -> u64 {
    match &passed.what {
        Waiting::Sample { sequence, values, .. } => {
            let expected = [*sequence as f64, -(*sequence as f64)].map(f64::to_bits);
            assert_eq!(values[..], expected, "torn: {passed:?}");
            *sequence
        }
        Waiting::Message(bytes) => u64::from_le_bytes(bytes[..8].try_into().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn numbers(passed: &[Passed]) -> Vec<(Sender, u64, u64, bool)> {
    passed.iter().map(|one| (one.from, one.position, number(one), one.may_have_changed)).collect()
}

/// Follows until an error comes.
fn error_of(tap: &mut Tap) -> Error {
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "no error");
        if let Err(e) = tap.follow(&mut Vec::new(), 100) {
            return e;
        }
    }
}

#[test]
fn a_tap_sees_both_directions_and_is_no_peer() {
    let name = name("both");
    let _removed = Removed(name.clone());
    let read = [Signal::new("set", "V", SignalType::Float)];
    let node = Channel::create(&name, &Config::new().samplelen(2).in_signals(read.clone())).unwrap();
    send(&node, 5);
    let mut tap = Tap::open(&name).unwrap();
    assert_eq!((tap.kind(), tap.signals(Sender::Node), tap.signals(Sender::Program)), (Kind::Channel, &[][..], &read[..]));
    let before = look(&name, 0).unwrap();
    assert_eq!(before.peers.len(), 1, "a tap has taken a side");
    // What was sent before does not count.
    assert_eq!(follow(&mut tap), []);
    let program = Channel::open(&name).unwrap();
    send(&node, 6);
    assert_eq!(numbers(&follow(&mut tap)), [(Sender::Node, 1, 6, false)]);
    assert_eq!((receive(&program), receive(&program)), (5, 6));
    send(&program, 9);
    send(&node, 7);
    assert_eq!(numbers(&follow(&mut tap)), [(Sender::Node, 2, 7, false), (Sender::Program, 0, 9, false)]);
    assert_eq!((receive(&node), receive(&program), follow(&mut tap).len(), tap.missed()), (9, 7, 0, 0));
    // The program has taken it before the tap looks: it may be marked, and it is whole.
    send(&node, 8);
    receive(&program);
    assert_eq!(numbers(&follow(&mut tap)), [(Sender::Node, 3, 8, true)]);
}

/// How many of `count` samples that were put at once a tap still sees, and misses.
fn seen_later(what: &str, config: &Config, count: u64) -> (u64, u64) {
    let (removed, node, program) = pair(what, config);
    let mut tap = Tap::open(&removed.0).unwrap();
    for number in 0..count {
        send(&node, number);
        assert_eq!(receive(&program), number);
    }
    let seen = follow(&mut tap);
    let expected: Vec<u64> = (count - seen.len() as u64..count).collect();
    assert_eq!(seen.iter().map(number).collect::<Vec<_>>(), expected, "the newest are seen");
    (seen.len() as u64, tap.missed())
}

#[test]
fn with_a_history_samples_that_were_put_can_still_be_seen() {
    let config = Config::new().samplelen(2).queuelen(64).spare(64);
    assert_eq!(seen_later("none", &config, 50), (1, 49));
    assert_eq!(seen_later("some", &config.clone().history(20), 50), (21, 29));
    assert_eq!(seen_later("all", &config.clone().history(60), 50), (50, 0));
    // More than there are blocks: all of them are used in turn, and queue and laps bound it.
    assert_eq!(seen_later("more", &config.clone().queuelen(4).spare(3).history(1 << 20), 50), (4, 46));
    assert_eq!(seen_later("laps", &config.queuelen(8).history(63), 2000), (8, 1992));
}

#[test]
fn samples_in_hand_do_not_shorten_the_history() {
    let (removed, node, program) = pair("hand", &Config::new().samplelen(2).queuelen(64).history(20));
    let mut tap = Tap::open(&removed.0).unwrap();
    let mut kept = Vec::new();
    for number in 0..2000 {
        send(&node, number);
        program.read(&mut kept, 1).unwrap();
        // Some are kept for long, others for a moment; there are times without any.
        let most = if number % 700 < 400 { 0 } else { 30 };
        if number % 2 == 0 || kept.len() > most {
            kept.remove(number as usize * 7 % kept.len());
        }
        if kept.len() > most {
            kept.remove(0);
        }
        if number % 20 == 19 {
            assert_eq!(follow(&mut tap).len(), 20, "after {number}");
        }
    }
    assert_eq!(tap.missed(), 0);
}

#[test]
fn a_history_beyond_its_bound_is_refused_and_others_must_agree() {
    let error = Channel::create(name("bound"), &Config::new().history((1 << 20) + 1)).unwrap_err();
    assert_eq!((error.errno(), error.message()), (libc::EINVAL, "history is 1048577, but must be from 0 to 1048576"));
    let (removed, node, _program) = pair("agree", &Config::new().history(5));
    assert_eq!(node.config().history, 5);
    drop(node);
    let error = Channel::create(&removed.0, &Config::new().history(6)).unwrap_err();
    assert_eq!(error.errno(), libc::EPROTO);
    assert!(error.message().contains("history is 5 there, 6 was asked for"), "{error}");
}

#[test]
fn an_answer_in_the_same_place_is_seen_as_it_was_sent() {
    let (removed, node, program) = pair("answer", &Config::new().samplelen(2));
    let mut tap = Tap::open(&removed.0).unwrap();
    send(&node, 3);
    let mut samples = Vec::new();
    program.read(&mut samples, 1).unwrap();
    samples[0].set_sequence(4);
    samples[0].write_values(&[4.0, -4.0]).unwrap();
    program.write(&mut samples).unwrap();
    // The question is gone: the answer stands in its place.
    assert_eq!(numbers(&follow(&mut tap)), [(Sender::Node, 0, 4, true), (Sender::Program, 0, 4, false)]);
}

#[test]
fn the_newest_sample_is_shown_when_nothing_waits() {
    let (removed, node, program) = pair("newest", &Config::new().samplelen(2));
    let newest = || {
        let entry = look(&removed.0, 1).unwrap();
        entry
            .queues
            .iter()
            .map(|queue| queue.newest.as_ref().map(|one| (one.from, number(one), one.may_have_changed)))
            .collect::<Vec<_>>()
    };
    assert_eq!(newest(), [None, None]);
    (1..=3).for_each(|number| send(&node, number));
    assert_eq!(newest(), [Some((Sender::Node, 3, false)), None]);
    assert_eq!((receive(&program), receive(&program), receive(&program)), (1, 2, 3));
    send(&program, 7);
    receive(&node);
    assert_eq!(newest(), [Some((Sender::Node, 3, true)), Some((Sender::Program, 7, true))]);
    // A block that is being filled anew is not shown.
    let _filled = node.alloc().unwrap();
    let others: Vec<_> = (0..700).map_while(|_| node.alloc().ok()).collect();
    assert!(others.len() > 500);
    assert_eq!(newest()[0], None);
}

#[test]
fn messages_of_each_policy_are_seen() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        let name = name(&format!("{policy:?}"));
        let producer = Ring::<u64>::open(&name, policy, Role::Producer, 4).unwrap();
        let consumer = Ring::<u64>::open(&name, policy, Role::Consumer, 4).unwrap();
        let _removed = Removed(name.clone());
        producer.push(&1).unwrap();
        let mut tap = Tap::open(&name).unwrap();
        assert_eq!((tap.kind(), follow(&mut tap).len()), (Kind::Ring, 0));
        producer.push(&2).unwrap();
        assert_eq!(numbers(&follow(&mut tap)), [(Sender::Producer, 1, 2, false)], "{policy:?}");
        assert_eq!((consumer.pop().unwrap(), consumer.pop().unwrap()), (1, 2));
        for number in 3..=4 {
            producer.push(&number).unwrap();
            assert_eq!(consumer.pop().unwrap(), number);
        }
        assert_eq!(numbers(&follow(&mut tap)), [(Sender::Producer, 2, 3, true), (Sender::Producer, 3, 4, true)], "{policy:?}");
        for number in 5..=20 {
            producer.push(&number).unwrap();
            assert_eq!(consumer.pop().unwrap(), number);
        }
        let newest = look(&name, 1).unwrap().queues[0].newest.as_ref().map(number);
        assert_eq!(newest, Some(20), "{policy:?}");
        let seen = follow(&mut tap);
        assert_eq!(seen.last().map(number), Some(20), "{policy:?}");
        assert_eq!(seen.len() as u64 + tap.missed(), 16, "{policy:?}");
        assert!(tap.missed() >= 12, "{policy:?}");
    }
}

#[test]
fn an_object_that_is_cut_short_ends_the_tap_and_not_its_process() {
    let (removed, node, _program) = pair("cut", &Config::new().samplelen(2));
    let mut tap = Tap::open(&removed.0).unwrap();
    send(&node, 1);
    // Only a process that has this mapping would die of it; the sides touch nothing from here on.
    let file = OpenOptions::new().write(true).open(format!("/dev/shm/{}", removed.0)).unwrap();
    for size in [8192, 0x1000, 0] {
        file.set_len(size).unwrap();
        let error = error_of(&mut tap);
        assert_eq!(error.errno(), libc::EBADMSG);
        assert!(error.message().contains("cut short"), "{error}");
    }
    let error = Tap::open(&removed.0).err().unwrap();
    assert!(error.message().contains("no channel and no ring"), "{error}");
    // Their mappings must not be touched again: a close would write to them.
    std::mem::forget((node, _program));
}

#[test]
fn a_region_that_is_replaced_or_removed_ends_the_tap() {
    let name = name("replaced");
    let _removed = Removed(name.clone());
    let node = Channel::create(&name, &Config::new().samplelen(2)).unwrap();
    let mut tap = Tap::open(&name).unwrap();
    send(&node, 1);
    drop(node);
    // What was sent before the end is seen first.
    assert_eq!(numbers(&follow(&mut tap)), [(Sender::Node, 0, 1, false)]);
    let node = Channel::create(&name, &Config::new().samplelen(3)).unwrap();
    let error = error_of(&mut tap);
    assert_eq!(error.errno(), libc::ESTALE);
    assert!(error.message().contains("is another region by now: open again"), "{error}");
    let mut tap = Tap::open(&name).unwrap();
    send(&node, 2);
    assert_eq!(numbers(&follow(&mut tap)), [(Sender::Node, 0, 2, false)]);
    Channel::unlink(&name).unwrap();
    // A node that is there may still send to a program that has the region.
    send(&node, 3);
    assert_eq!(follow(&mut tap).len(), 1);
    drop(node);
    let error = error_of(&mut tap);
    assert!(error.errno() == libc::ESTALE && error.message().contains("was removed"), "{error}");
}

#[test]
fn what_has_no_tap_says_what_works_instead() {
    let missing = Tap::open(name("missing")).err().unwrap();
    assert_eq!(missing.errno(), libc::ENOENT);
    let name = name("other");
    let _removed = Removed(name.clone());
    std::fs::write(format!("/dev/shm/{name}"), vec![7; 9000]).unwrap();
    let error = Tap::open(&name).err().unwrap();
    assert_eq!(error.errno(), libc::ENOTSUP);
    assert!(error.message().contains("no channel and no ring"), "{error}");
    if cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_env = "gnu")) {
        let other = format!("{name}-wire");
        let _removed = Removed(other.clone());
        let channel = Channel::open_wire(&other, &other, &Config::new(), None).unwrap();
        let error = Tap::open(&other).err().unwrap();
        assert_eq!(error.errno(), libc::ENOTSUP);
        assert!(error.message().contains("VILLASnode's layout") && error.message().contains("`show` and `top`"), "{error}");
        drop(channel);
    }
}

/// Every aligned word of a region set to several values while a tap is on it: it gives samples of
/// possible lengths, counts, or errors, and goes on when the word is right again.
#[test]
fn words_of_a_hostile_peer_mislead_a_tap_and_do_no_harm() {
    let (removed, node, program) = pair("hostile", &Config::new().samplelen(2).queuelen(4).spare(4).history(3));
    let path = format!("/dev/shm/{}", removed.0);
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut next = 0;
    let mut traffic = || {
        for _ in 0..3 {
            send(&node, next);
            receive(&program);
            next += 1;
        }
    };
    traffic();
    let size = file.metadata().unwrap().len();
    let (mut seen, mut refused) = (0, 0);
    // Without what is zero.
    for at in (0x200..0x600).chain(0x1000..size).step_by(8) {
        let mut before = [0; 8];
        file.read_exact_at(&mut before, at).unwrap();
        let value = u64::from_le_bytes(before);
        for hostile in
            [0, 1, u64::MAX, value.wrapping_add(1), value.wrapping_sub(1), value ^ 1 << 63, 1 << 40, 0x7fff_ffff_0000_0003]
        {
            let mut tap = Tap::open(&removed.0).unwrap();
            traffic();
            file.read_exact_at(&mut before, at).unwrap();
            file.write_all_at(&hostile.to_le_bytes(), at).unwrap();
            let mut fresh = Tap::open(&removed.0).ok();
            for tap in std::iter::once(&mut tap).chain(&mut fresh) {
                let mut passed = Vec::new();
                match tap.follow(&mut passed, 16) {
                    Ok(count) => seen += count,
                    Err(e) => {
                        assert_eq!(e.errno(), libc::EBADMSG, "{hostile:x} at {at:x}: {e}");
                        refused += 1;
                    }
                }
                for one in passed {
                    let Waiting::Sample { values, .. } = one.what else { panic!("a message") };
                    assert!(values.len() <= 2);
                }
            }
            file.write_all_at(&before, at).unwrap();
        }
    }
    assert!(seen > 0 && refused > 0, "{seen} seen, {refused} refused: the words did not matter");
    let mut tap = Tap::open(&removed.0).unwrap();
    traffic();
    assert_eq!((follow(&mut tap).len(), tap.missed()), (3, 0));
    drop(file);
}

#[test]
fn words_of_a_hostile_participant_of_a_ring_do_no_harm() {
    for policy in [Policy::Spsc, Policy::Mpmc] {
        let name = name(&format!("hostile-{policy:?}"));
        let producer = Ring::<[u64; 3]>::open(&name, policy, Role::Producer, 5).unwrap();
        let consumer = Ring::<[u64; 3]>::open(&name, policy, Role::Consumer, 5).unwrap();
        let _removed = Removed(name.clone());
        for number in 0..7 {
            producer.push(&[number; 3]).unwrap();
            consumer.pop().unwrap();
        }
        let path = format!("/dev/shm/{name}");
        let file: File = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let size = file.metadata().unwrap().len();
        for at in (0x100..0x200).chain(size - 5 * 32..size).step_by(8) {
            let mut before = [0; 8];
            file.read_exact_at(&mut before, at).unwrap();
            let value = u64::from_le_bytes(before);
            for hostile in [0, 1, u64::MAX, value.wrapping_add(1), value.wrapping_sub(1), u64::MAX / 2, value ^ 1 << 13, 1 << 45]
            {
                let mut tap = Tap::open(&name).unwrap();
                file.write_all_at(&hostile.to_le_bytes(), at).unwrap();
                let mut fresh = Tap::open(&name).ok();
                for tap in std::iter::once(&mut tap).chain(&mut fresh) {
                    match tap.follow(&mut Vec::new(), 16) {
                        Ok(count) => assert!(count <= 16),
                        Err(e) => assert_eq!(e.errno(), libc::EBADMSG, "{hostile:x} at {at:x}: {e}"),
                    }
                }
                file.write_all_at(&before, at).unwrap();
            }
        }
    }
}
