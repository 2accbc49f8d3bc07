//! Looks at regions in use, at what dead processes left, and at arbitrary bytes.

use super::look::look_among;
use super::processes::Processes;
use super::{Entry, Id, Kind, Parameter, PeerState, State, Waiting, look, read_bytes};
use crate::sys::object::{Name, Object};
use crate::tests::prng::{Prng, try_cases};
use crate::{Channel, Config, Direction, Endpoint, EndpointSide, Policy, Ring, Role, Signal, SignalType};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

fn name(what: &str) -> String {
    format!("villas-inspect-{what}-{}", std::process::id())
}

/// All bytes of an object.
fn bytes(name: &str) -> Vec<u8> {
    let size = look(name, 0).unwrap().size;
    let mut bytes = vec![0; size as usize];
    assert_eq!(read_bytes(name, 0, &mut bytes).unwrap() as u64, size);
    bytes
}

fn send(channel: &Channel, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let mut sample = channel.alloc().unwrap();
        sample.set_sequence(number);
        sample.write_values(&[number as f64, 0.5]).unwrap();
        assert_eq!(channel.write(&mut vec![sample]).unwrap(), 1);
    }
}

fn numbers(waiting: &[Waiting]) -> Vec<u64> {
    let number = |waiting: &Waiting| match waiting {
        Waiting::Sample { sequence, .. } => *sequence,
        Waiting::Message(bytes) => u64::from_le_bytes(bytes[..8].try_into().unwrap()),
    };
    waiting.iter().map(number).collect()
}

#[test]
fn a_channel_is_shown_with_what_waits_in_it_and_not_changed() {
    let name = name("channel");
    let node = Channel::create(&name, &Config::new().queuelen(5).samplelen(2).spare(3).history(7)).unwrap();
    let program = Channel::open(&name).unwrap();
    send(&node, 7..11);
    send(&program, 20..21);
    let mut taken = Vec::new();
    assert_eq!(program.read(&mut taken, 1).unwrap(), 1);

    let before = bytes(&name);
    let entry = look(&name, 2).unwrap();
    assert!(bytes(&name) == before, "a look changed the region");
    assert_eq!(
        (entry.kind, entry.state, entry.version, entry.size),
        (Kind::Channel, State::Live, Some(crate::layout::channel::VERSION), before.len() as u64)
    );
    assert_eq!(
        entry.parameters[1..],
        [("queuelen", 5), ("samplelen", 2), ("spare", 3), ("history", 7)].map(|(n, v)| (n, Parameter::Number(v)))
    );
    assert_eq!(entry.peers.iter().map(|p| (p.role, p.process.pid, p.state)).collect::<Vec<_>>(), {
        let me = std::process::id();
        [("node", me, PeerState::Alive), ("program", me, PeerState::Alive)]
    });
    assert!(entry.attached.iter().any(|process| process.pid == std::process::id()));
    let [down, up] = &entry.queues[..] else { panic!("{:?}", entry.queues) };
    assert_eq!((down.depth, down.capacity, down.written, down.read), (3, 5, 4, 1));
    assert_eq!((up.depth, up.written, up.read), (1, 1, 0));
    assert_eq!((numbers(&down.waiting), numbers(&up.waiting)), (vec![8, 9], vec![20]));
    let Waiting::Sample { values, .. } = &down.waiting[0] else { panic!() };
    assert_eq!(values, &[8f64.to_bits(), 0.5f64.to_bits()]);
    // Four are queued or held by the reader, and one goes the other way.
    assert_eq!(entry.blocks, Some((16 - 5, 16)));

    drop((node, program, taken));
    let entry = look(&name, 0).unwrap();
    assert_eq!(entry.state, State::Stale);
    assert!(entry.peers.iter().all(|peer| peer.state == PeerState::Closed));
    entry.remove(false).unwrap();
    assert_eq!(look(&name, 0).unwrap_err().errno(), libc::ENOENT);
    assert_eq!(entry.remove(false).unwrap_err().errno(), libc::ENOENT);
}

#[test]
fn rings_of_each_policy_are_shown_with_the_messages_that_wait() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        let name = name(policy.name());
        let producer = Ring::<u64>::open(&name, policy, Role::Producer, 5).unwrap();
        let consumer = Ring::<u64>::open(&name, policy, Role::Consumer, 5).unwrap();
        // Through more than one lap.
        for number in 0..12 {
            producer.push(&number).unwrap();
            assert_eq!(consumer.pop().unwrap(), number);
        }
        (12..16).for_each(|number| producer.push(&number).unwrap());
        let before = bytes(&name);
        let entry = look(&name, 3).unwrap();
        assert!(bytes(&name) == before, "a look changed the ring");
        assert_eq!((entry.kind, entry.state), (Kind::Ring, State::Live), "{:?}", entry.note);
        let roles: Vec<_> = entry.peers.iter().map(|peer| (peer.role, peer.state)).collect();
        assert_eq!(roles, [("producer", PeerState::Alive), ("consumer", PeerState::Alive)]);
        let queue = &entry.queues[0];
        assert_eq!((queue.depth, queue.capacity, queue.written, queue.read), (4, 5, 16, 12));
        assert_eq!(numbers(&queue.waiting), [12, 13, 14]);
        assert_eq!(entry.remove(false).unwrap_err().errno(), libc::EBUSY);
        drop((producer, consumer));
        let entry = look(&name, 9).unwrap();
        assert_eq!((entry.state, entry.peers.len(), entry.queues[0].waiting.len()), (State::Stale, 0, 4));
        entry.remove(false).unwrap();
    }
}

#[test]
fn a_wire_region_is_shown_with_what_waits_in_it_and_not_changed() {
    let name = name("wire");
    let signals = [Signal::new("u", "V", SignalType::Float), Signal::new("n", "", SignalType::Integer)];
    let config = Config::new().queuelen(4).samplelen(2).out_signals(signals.clone());
    let channel = Channel::open_wire(&name, &name, &config, None).unwrap();
    send(&channel, 3..6);
    let before = bytes(&name);
    let entry = look(&name, 2).unwrap();
    assert!(bytes(&name) == before, "a look changed the region");
    assert_eq!((entry.kind, entry.state), (Kind::Wire, State::Live), "{:?}", entry.note);
    assert_eq!((entry.peers[0].role, entry.peers[0].process.pid), ("writer", std::process::id()));
    let queue = &entry.queues[0];
    assert_eq!((queue.depth, queue.capacity, queue.written, queue.read), (3, 4, 3, 0));
    assert_eq!((numbers(&queue.waiting), entry.blocks), (vec![3, 4], Some((1, 4))));
    assert_eq!(queue.signals, signals);
    let refused = entry.remove(false).unwrap_err();
    assert!(refused.errno() == libc::EBUSY && refused.message().contains(&std::process::id().to_string()), "{refused}");
}

#[test]
fn the_signals_of_a_channel_are_shown_or_that_they_are_corrupt() {
    use std::os::unix::fs::FileExt;
    let name = name("signals");
    let signal = |name: &str| Signal::new(name, "V", SignalType::Float);
    let config = Config::new().samplelen(2).out_signals([signal("a"), signal("b")]).in_signals([signal("c")]);
    let node = Channel::create(&name, &config).unwrap();
    let _guard = Unlinked(std::slice::from_ref(&name));
    send(&node, 3..6);
    let entry = look(&name, 0).unwrap();
    assert_eq!(entry.queues.iter().map(|queue| queue.signals.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((entry.queues[0].signals[1].name(), entry.queues[1].signals[0].name()), ("b", "c"));

    let object = std::fs::OpenOptions::new().write(true).open(format!("/dev/shm/{name}")).unwrap();
    object.write_all_at(&[0xff], entry.size - 1).unwrap();
    let entry = look(&name, 0).unwrap();
    assert_eq!(entry.state, State::Corrupt);
    assert!(entry.note.is_some_and(|note| note.contains("signal 2 has a text that is not UTF-8")));
    assert!(entry.queues.iter().all(|queue| queue.signals.is_empty()) && entry.queues[0].depth == 3);
    assert_eq!(Channel::open(&name).unwrap_err().errno(), libc::EBADMSG);
    assert_eq!(node.signals(Direction::Out).len(), 2);
}

/// A reader and a writer run at full speed while looks follow each other.
#[test]
fn looks_at_a_channel_in_full_traffic_see_possible_states_and_lose_nothing() {
    const SAMPLES: u64 = 200_000;
    const LOOKS: u32 = 10;
    let name = name("traffic");
    let node = Channel::create(&name, &Config::new().queuelen(64).samplelen(2)).unwrap();
    let program = Channel::open(&name).unwrap();
    let _guard = Unlinked(std::slice::from_ref(&name));
    let (looks, total) = (AtomicU32::new(0), AtomicU64::new(u64::MAX));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut next, mut taken) = (0, Vec::new());
            while next < total.load(Relaxed) {
                // The last sample may be read before `total` is known: then none comes any more.
                let read = program.read(&mut taken, 16);
                assert!(read.as_ref().is_ok_and(|&count| count > 0) || read.is_err_and(|e| e.is_transient()));
                for sample in taken.drain(..) {
                    assert_eq!((sample.sequence(), sample.flags()), (next, crate::Flags::NONE));
                    assert_eq!((sample.get(0), sample.len()), (next as f64, 2));
                    next += 1;
                }
            }
        });
        scope.spawn(|| {
            let deadline = Instant::now() + Duration::from_secs(60);
            let mut number = 0;
            while number < SAMPLES || looks.load(Relaxed) <= LOOKS && Instant::now() < deadline {
                let mut sample = Vec::new();
                while node.timed_alloc(&mut sample, 1, None).unwrap() == 0 {}
                sample[0].set_sequence(number);
                sample[0].write_values(&[number as f64, 0.5]).unwrap();
                while node.timed_write(&mut sample, None).unwrap() == 0 {}
                number += 1;
            }
            total.store(number, Relaxed);
        });
        let mut read = 0;
        while !reader.is_finished() {
            let entry = look(&name, 64).unwrap();
            assert_eq!((entry.state, &entry.note), (State::Live, &None));
            let queue = &entry.queues[0];
            assert!(queue.depth <= 64 && queue.read >= read && queue.written <= total.load(Relaxed), "{queue:?}");
            // Numbers are positions: a sample that was taken and overwritten during the copy is not
            // among them.
            let waiting = numbers(&queue.waiting);
            assert!(waiting.windows(2).all(|pair| pair[1] == pair[0] + 1), "{waiting:?} from {}", queue.read);
            assert!(waiting.first().is_none_or(|&first| first >= queue.read), "{waiting:?} from {}", queue.read);
            for waiting in &queue.waiting {
                let Waiting::Sample { sequence, values, .. } = waiting else { panic!() };
                assert_eq!(values[0], (*sequence as f64).to_bits(), "torn");
            }
            read = queue.read;
            looks.fetch_add(1, Relaxed);
        }
    });
    let (looks, total) = (looks.into_inner(), total.into_inner());
    assert!(looks > LOOKS, "{looks} looks");
    let (sent, got) = (node.stats(), program.stats());
    assert_eq!((sent.written, got.read, got.redelivered, sent.blocks_free), (total, total, 0, 128));
    let counters = look(&name, 0).unwrap().counters;
    assert_eq!(counters.iter().find(|(name, _)| *name == "program waits").unwrap().1, got.waits);
}

/// A small ring turns over many times during a look.
#[test]
fn looks_at_rings_in_full_traffic_see_no_contradiction() {
    for policy in [Policy::Spsc, Policy::Mpmc] {
        let name = name(&format!("busy-{}", policy.name()));
        let producer = Ring::<u64>::open(&name, policy, Role::Producer, 3).unwrap();
        let consumer = Ring::<u64>::open(&name, policy, Role::Consumer, 3).unwrap();
        let _guard = Unlinked(std::slice::from_ref(&name));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (0..100_000).for_each(|number| assert_eq!(consumer.pop().unwrap(), number)));
            scope.spawn(|| (0..100_000).for_each(|number| producer.push(&number).unwrap()));
            while !reader.is_finished() {
                let entry = look(&name, 3).unwrap();
                assert_eq!(entry.state, State::Live, "{:?}", entry.note);
                let waiting = numbers(&entry.queues[0].waiting);
                assert!(waiting.windows(2).all(|pair| pair[1] == pair[0] + 1), "{waiting:?}");
            }
        });
    }
}

/// Repeats `work` while another thread looks at the objects of these names and removes stale ones,
/// as `villas-shm clean` does, until both have been done often. Everything must succeed.
fn beside_removals(names: &[String], mut work: impl FnMut() -> crate::Result<()>) {
    const OFTEN: u32 = 300;
    let _guard = Unlinked(names);
    let (is_over, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    let clean = |removes: bool| {
        while !is_over.load(Relaxed) {
            // Without a search of `/proc`: more objects count as stale, and there are many more
            // looks.
            let seen = names.iter().filter_map(|name| look_among(name, 0, Processes::none).ok());
            for entry in seen.filter(|entry| entry.state != State::Live) {
                let _ = entry.check_removable();
                if removes {
                    let _ = entry.remove(false);
                }
                asked.fetch_add(1, Relaxed);
            }
        }
    };
    let failed = std::thread::scope(|scope| {
        scope.spawn(|| clean(false));
        scope.spawn(|| clean(true));
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut done = 0;
        let failed = loop {
            if let Err(e) = work() {
                break Some(format!("after {done}: {e}"));
            }
            done += 1;
            match asked.load(Relaxed) {
                OFTEN.. if done >= OFTEN => break None,
                asked if Instant::now() > deadline => break Some(format!("only {done} beside {asked} questions")),
                _ => {}
            }
        };
        is_over.store(true, Relaxed);
        failed
    });
    assert_eq!(failed, None);
}

/// Removes the names, however the test ends.
pub(super) struct Unlinked<'n>(pub(super) &'n [String]);

impl Drop for Unlinked<'_> {
    fn drop(&mut self) {
        for name in self.0 {
            let _ = Name::new(name).and_then(|name| name.unlink());
        }
    }
}

/// The last round's region is replaced, also by one with other parameters.
#[test]
fn no_channel_fails_to_start_beside_removals() {
    let names = [name("start-channel")];
    let mut queuelen = 0;
    beside_removals(&names, || {
        queuelen = queuelen % 3 + 1;
        let node = Channel::create(&names[0], &Config::new().queuelen(queuelen).samplelen(2).spare(1))?;
        let program = Channel::open(&names[0])?;
        drop((node, program));
        Ok(())
    });
}

#[test]
fn no_ring_fails_to_start_beside_removals() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        let names = [name(&format!("start-{}", policy.name()))];
        beside_removals(&names, || {
            let producer = Ring::<u64>::open(&names[0], policy, Role::Producer, 3)?;
            let consumer = Ring::<u64>::open(&names[0], policy, Role::Consumer, 3)?;
            drop((producer, consumer));
            Ok(())
        });
    }
}

#[test]
fn no_endpoint_fails_to_start_beside_removals() {
    let at = name("start-endpoint");
    let names = [format!("{at}_AB"), format!("{at}_BA")];
    beside_removals(&names, || {
        let a = Endpoint::<u64>::open(&at, Policy::Spsc, EndpointSide::A, 3)?;
        let b = Endpoint::<u64>::open(&at, Policy::Spsc, EndpointSide::B, 3)?;
        drop((a, b));
        Ok(())
    });
}

/// Each finds, under its name, the region of a killed process, whose lock is gone.
#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_env = "gnu"))]
#[test]
fn no_channel_of_the_wire_layout_fails_to_start_beside_removals() {
    let names = [name("start-wire-a"), name("start-wire-b")];
    let config = Config::new().queuelen(4).samplelen(2);
    let made = Channel::open_wire(&names[0], &names[0], &config, None).unwrap();
    let left = bytes(&names[0]);
    drop(made);
    beside_removals(&names, || {
        for name in &names {
            let object = Object::unnamed(left.len() as u64, 0o600, None)?;
            assert_eq!(nix::sys::uio::pwrite(&object, &left, 0), Ok(left.len()));
            assert!(object.link(&Name::new(name)?)?);
        }
        let limit = Some(Duration::from_secs(20));
        let (a, b) = std::thread::scope(|scope| {
            let a = scope.spawn(|| Channel::open_wire(&names[0], &names[1], &config, limit));
            (Channel::open_wire(&names[1], &names[0], &config, limit), a.join().unwrap())
        });
        drop((a?, b?));
        Ok(())
    });
}

/// One removes it, and the other finds out that no process uses it.
#[test]
fn of_two_that_remove_the_same_object_none_says_that_it_is_in_use() {
    let at = name("twice");
    let _guard = Unlinked(std::slice::from_ref(&at));
    for _ in 0..2000 {
        drop(Ring::<u64>::open(&at, Policy::Spsc, Role::Producer, 2).unwrap());
        let entry = look(&at, 0).unwrap();
        let start = std::sync::Barrier::new(2);
        let remove = || {
            start.wait();
            entry.clone().remove(false)
        };
        let done = std::thread::scope(|scope| {
            let other = scope.spawn(remove);
            [remove(), other.join().unwrap()]
        });
        assert!(done.iter().any(Result::is_ok), "{done:?}");
        assert!(done.iter().flat_map(|result| result.as_ref().err()).all(|e| e.errno() != libc::EBUSY), "{done:?}");
    }
}

fn mutate(prng: &mut Prng, region: &mut Vec<u8>) {
    let size = region.len();
    let word = 8 * match prng.below(3) {
        0 => prng.below(32),
        1 => prng.below(256.min(size / 8)),
        _ => prng.below(size / 8),
    };
    match prng.below(8) {
        0 => region.truncate(prng.below(size).max(512)),
        1 => region.resize(size + 1 + prng.below(5000), 0xa5),
        2..4 => region[word + prng.below(8)] ^= 1 << prng.below(8),
        _ => {
            let before = u64::from_le_bytes(region[word..word + 8].try_into().unwrap());
            let next = match prng.below(5) {
                0 => before.wrapping_add(1 << prng.below(64)),
                1 => before.wrapping_sub(1 << prng.below(20)),
                2 => [0, 1, u64::MAX, 1 << 63, u32::MAX.into(), size as u64][prng.below(6)],
                3 => before | before << 32,
                _ => prng.next() >> prng.below(64),
            };
            region[word..word + 8].copy_from_slice(&next.to_le_bytes());
        }
    }
}

/// Small regions of each kind, with some contents.
fn seeds() -> Vec<Vec<u8>> {
    let name = name("seed");
    let config = Config::new().queuelen(3).samplelen(2).spare(2);
    let node = Channel::create(&name, &config).unwrap();
    send(&node, 0..3);
    let mut seeds = vec![bytes(&name)];
    Channel::unlink(&name).unwrap();
    let wire = Channel::open_wire(&name, &name, &config, None).unwrap();
    send(&wire, 0..2);
    seeds.push(bytes(&name));
    // The region as a VILLASnode would leave it, without a trailer.
    seeds.push(seeds[1][..seeds[1].len() - 128].to_vec());
    drop(wire);
    for policy in [Policy::Spsc, Policy::Mpmc] {
        let ring = Ring::<u64>::open(&name, policy, Role::Producer, 3).unwrap();
        (0..2).for_each(|number| ring.push(&number).unwrap());
        seeds.push(bytes(&name));
        Ring::unlink(&name).unwrap();
    }
    seeds
}

fn examined(region: &[u8]) -> Entry {
    let object = Object::unnamed(region.len() as u64, 0o600, None).unwrap();
    assert_eq!(nix::sys::uio::pwrite(&object, region, 0), Ok(region.len()));
    let mut entry = blank();
    super::look::examine(&mut entry, &object, 8);
    entry
}

/// What is known of an object before its contents are read.
fn blank() -> Entry {
    let at = name("blank");
    let object = Object::unnamed(1, 0o600, None).unwrap();
    assert!(object.link(&Name::new(&at).unwrap()).unwrap());
    let guard = Unlinked(std::slice::from_ref(&at));
    let entry = look(&at, 0).unwrap();
    drop(guard);
    assert_eq!((entry.kind, &entry.id), (Kind::Posix, &Id::Name(at.into())));
    entry
}

#[test]
fn whatever_is_in_a_region_a_look_ends_and_says_something() {
    let seeds = seeds();
    let kinds: Vec<Kind> = seeds.iter().map(|seed| examined(seed).kind).collect();
    assert_eq!(kinds, [Kind::Channel, Kind::Wire, Kind::Wire, Kind::Ring, Kind::Ring]);
    let object = Object::unnamed(1 << 20, 0o600, None).unwrap();
    let plain = blank();
    let mut corrupt = 0;
    let cases = try_cases(|prng| {
        let mut region = seeds[prng.below(seeds.len())].clone();
        (0..=prng.below(4)).for_each(|_| mutate(prng, &mut region));
        nix::unistd::ftruncate(&object, region.len() as i64).unwrap();
        assert_eq!(nix::sys::uio::pwrite(&object, &region, 0), Ok(region.len()));
        let mut entry = plain.clone();
        // A fresh descriptor reads the size anew, as an open does.
        super::look::examine(&mut entry, &object.again(), 8);
        assert!(entry.queues.iter().all(|q| q.depth <= q.capacity && q.waiting.len() <= 8), "{entry:?}");
        assert!(entry.blocks.is_none_or(|(free, all)| free <= all), "{entry:?}");
        corrupt += u64::from(entry.state == State::Corrupt);
    });
    assert!(corrupt > cases / 10, "{corrupt} of {cases} were seen to be corrupt");
}
