//! Bridges on one host: two with each other, and one with a bare program of Zenoh.
#![allow(missing_docs)]

mod common;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use common::*;
use nix::sys::signal::Signal;
use serde_json::Value;
use villas_shm::{Channel, Config, Direction, Flags, SignalType};
use zenoh::bytes::Encoding;
use zenoh::qos::CongestionControl;
use zenoh::{Session, Wait};

const SIGNALS: &str = "signals = ( { name = \"u\", unit = \"V\" }, { name = \"i\", unit = \"A\" }, { name = \"a\" }, { name = \"b\" }, \
                       { name = \"c\" }, { name = \"d\" }, { name = \"e\" }, { name = \"f\" } )";

fn keys() -> [String; 2] {
    [unique("there"), unique("back")]
}

/// A session of Zenoh of its own, connected to a bridge.
fn bare(endpoint: &str) -> Session {
    let mut config = zenoh::Config::default();
    for (key, value) in
        [("scouting/multicast/enabled", "false"), ("listen/endpoints", "[]"), ("connect/endpoints", &format!("[\"{endpoint}\"]"))]
    {
        config.insert_json5(key, value).unwrap();
    }
    zenoh::open(config).wait().unwrap()
}

/// What a subscriber gets: payload, attachment.
type Messages = Receiver<(Vec<u8>, Vec<u8>)>;

fn subscribe(session: &Session, key: &str) -> (zenoh::pubsub::Subscriber<()>, Messages) {
    let (sender, messages) = channel();
    let sender = Mutex::new(sender);
    let take = move |sample: zenoh::sample::Sample| {
        let attachment = sample.attachment().map(|bytes| bytes.to_bytes().to_vec()).unwrap_or_default();
        let _ = sender.lock().unwrap().send((sample.payload().to_bytes().to_vec(), attachment));
    };
    (session.declare_subscriber(key.to_owned()).callback(take).wait().unwrap(), messages)
}

/// The sequence numbers of so many samples, which were published in JSON.
fn sequences(messages: &Messages, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let (payload, _) = messages.recv_timeout(PATIENCE).expect("a message");
        let lines = String::from_utf8(payload).unwrap();
        let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["sequence"].as_u64().unwrap();
        numbers.extend(lines.lines().map(number));
    }
    numbers
}

fn numbered(range: std::ops::Range<u64>) -> Vec<Plain> {
    range.map(Plain::number).collect()
}

fn is_balanced(statistics: &Value) {
    let [taken, published, dropped, queued] =
        ["taken", "published", "dropped", "queued"].map(|key| number(&statistics["out"], key));
    assert_eq!(taken, published + dropped + queued, "{statistics}");
}

#[test]
fn a_week_goes_to_a_program_behind_another_bridge_and_back_bit_for_bit() {
    // The whole week has room in a channel: however slow this machine is, no bridge drops any of it.
    let (a, b) = (Node::new(&format!("queuelen = 1024\n{SIGNALS}")), Node::new("queuelen = 1024"));
    let [there, back] = keys();
    let near = Bridge::start(&a, [&there, &back], &["--listen", LISTEN, "--batch", "16"]);
    let far = Bridge::start(&b, [&back, &there], &["--connect", &near.endpoint()]);
    let (program, echo) = (a.open(), b.open());
    // The other side has told names, units and types.
    assert_eq!(echo.signals(Direction::In), program.signals(Direction::Out));
    assert_eq!((echo.signals(Direction::In)[1].unit(), echo.signals(Direction::In)[1].kind()), ("A", SignalType::Float));
    let mut week = week();
    week[100].flags |= Flags::REDELIVERED.bits();
    week[101].flags |= Flags::NEW_FRAME.bits();
    let expected = week.clone();
    let (arrived, came_back) = thread::scope(|scope| {
        let far = scope.spawn(|| {
            let samples = read(&echo, expected.len());
            write(&echo, &samples);
            samples
        });
        scope.spawn(|| write(&program, &week));
        (far.join().unwrap(), read(&program, expected.len()))
    });
    assert_eq!(arrived, expected);
    assert_eq!(came_back, expected);
    drop((program, echo));
    let (far, near) = (far.end(Signal::SIGINT), near.end(Signal::SIGTERM));
    for end in [&near, &far] {
        assert!(end.status.success(), "{end:?}");
        is_balanced(&end.last);
        let numbers = ["out.published", "in.received", "in.forwarded", "in.gaps", "in.late"].map(|key| number(&end.last, key));
        assert_eq!(numbers, [672, 672, 672, 0, 0], "{end:?}");
        assert!(end.messages.contains("taken 672, published 672"), "{end:?}");
        // Of one clock: how long it takes is not tested.
        let latencies = &end.last["latency_us"];
        let [p50, p99, max] = ["p50", "p99", "max"].map(|key| latencies[key].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p99 && p99 <= max && max < 60e6, "{end:?}");
        assert_eq!(number(latencies, "messages"), number(&end.last, "in.messages"));
    }
    // The messages are as large as was asked for; the last may have waited for others in vain.
    assert!(number(&near.last, "out.messages") < 672 && number(&near.last, "in.redelivered") == 1, "{near:?}");
}

#[test]
fn every_sample_is_accounted_for_when_a_bridge_is_killed_and_comes_back() {
    let (a, b) = (Node::new(""), Node::new("queuelen = 4096\nsignals = \"f\""));
    let [there, back] = keys();
    let mut near = Bridge::start(&a, [&there, &back], &["--listen", LISTEN, "--queue", "100000"]);
    let endpoint = near.endpoint();
    let options = ["--connect", endpoint.as_str()];
    // The near one has no signals, and takes them from the far one, as soon as that is there.
    let far = Bridge::start(&b, [&back, &there], &options);
    let (program, other) = (a.open(), b.open());
    write(&program, &numbered(0..2000));
    assert_eq!(read(&other, 1000), numbered(0..1000));
    let end = far.end(Signal::SIGKILL);
    assert!(!end.status.success());
    // What cannot be published waits.
    near.until("nobody subscribes", |now| now["out"]["matched"] == false);
    write(&program, &numbered(2000..3000));
    near.until("all is taken", |now| number(now, "out.taken") == 3000);
    let mut far = Bridge::start(&b, [&back, &there], &options);
    near.until("all is published", |now| number(now, "out.published") == 3000);
    let before = number(&far.until("something has arrived", |now| number(now, "in.received") > 0), "in.before");
    write(&program, &numbered(3000..3001));
    let end = far.until("the last one has arrived", |now| before + number(now, "in.received") + number(now, "in.gaps") == 3001);
    assert_eq!(number(&end, "in.late"), 0);
    // The program has stayed: each sample comes once, in order, and all from a point on.
    let mut numbers = Vec::new();
    while numbers.last() != Some(&3000) {
        numbers.extend(
            read(&other, 1).iter().filter(|sample| sample.flags & Flags::REDELIVERED.bits() == 0).map(|sample| sample.sequence),
        );
    }
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]) && numbers[0] >= 1000, "{numbers:?}");
    assert!((2000..3001).all(|number| numbers.contains(&number)), "{numbers:?}");
    drop((program, other));
    let (far, near) = (far.end(Signal::SIGINT), near.end(Signal::SIGINT));
    assert!(far.status.success() && near.status.success(), "{far:?} {near:?}");
    is_balanced(&near.last);
    assert_eq!((number(&near.last, "out.published"), number(&near.last, "out.dropped")), (3001, 0));
}

/// A protobuf message of one sample with these encoded values.
fn message(values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x0a, 2 + values.len() as u8, 0x08, 1];
    bytes.extend(values);
    bytes
}

const FLOAT: [u8; 12] = [0xa2, 0x06, 9, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
const INTEGER: [u8; 5] = [0xa2, 0x06, 2, 0x10, 7];

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn garbage_and_what_does_not_fit_is_counted_and_named_and_never_forwarded() {
    let node = Node::new("signals = ( { name = \"u\" }, { name = \"n\", type = \"integer\" } )");
    let [there, back] = keys();
    let mut bridge = Bridge::start(&node, [&there, &back], &["--listen", LISTEN]);
    let program = node.open();
    let session = bare(&bridge.endpoint());
    // What it publishes by default may be dropped, above all the large one.
    let publisher = session.declare_publisher(back.clone()).congestion_control(CongestionControl::Block).wait().unwrap();
    until("the bridge subscribes", || publisher.matching_status().wait().unwrap().matching());
    let good = message(&[&FLOAT[..], &INTEGER].concat());
    let put = |payload: &[u8], encoding: Encoding, attachment: Option<Vec<u8>>| {
        publisher.put(payload).encoding(encoding).attachment(attachment).wait().unwrap();
    };
    let protobuf = |payload: &[u8], attachment: Option<Vec<u8>>| put(payload, Encoding::APPLICATION_PROTOBUF, attachment);
    // Bad messages.
    protobuf(b"\xff\xff\xff", None);
    protobuf(&good[..good.len() - 1], None);
    put(&good, Encoding::TEXT_PLAIN, None);
    put(&good, Encoding::APPLICATION_CBOR, None);
    publisher.delete().wait().unwrap();
    protobuf(&good, Some(words(&[2, 5, 0, 0])));
    protobuf(&good, Some(words(&[1, 5, u64::MAX, 0])));
    protobuf(&good, Some(words(&[1, 5, 0, 0, 1, 1])));
    put(&vec![0; (64 << 20) + 1], Encoding::APPLICATION_PROTOBUF, None);
    // Bad samples beside a good one.
    let integer_first = message(&[&INTEGER[..], &FLOAT].concat());
    let too_many = message(&[&FLOAT[..], &INTEGER, &FLOAT].concat());
    protobuf(&[&integer_first[..], &good, &too_many].concat(), None);
    put(b"{\"data\": [1.5, 2]}\nnonsense\n{\"data\": [1.5, true]}\n", Encoding::APPLICATION_JSON, None);
    // A gap of two, one that comes late, and two more of which one is marked.
    protobuf(&good, Some(words(&[1, 5, 0, 0])));
    protobuf(&good, Some(words(&[1, 5, 3, 0])));
    protobuf(&good, Some(words(&[1, 5, 1, 0])));
    protobuf(&[&good[..], &good].concat(), Some(words(&[1, 5, 4, 0, 2])));
    let arrived = read(&program, 6);
    assert!(arrived.iter().all(|sample| sample.bits[1] == 7 || sample.bits == [1.5_f64.to_bits(), 2]), "{arrived:?}");
    let marked: Vec<bool> = arrived.iter().map(|sample| sample.flags & Flags::REDELIVERED.bits() != 0).collect();
    assert_eq!(marked, [false, false, false, false, false, true]);
    let now = bridge.until("all is counted", |now| number(now, "in.messages") == 15);
    let bad = |group: &str, reasons: &[&str]| reasons.iter().map(|reason| number(&now["in"][group], reason)).collect::<Vec<_>>();
    assert_eq!(bad("bad_messages", &["garbage", "encoding", "deletion", "attachment", "size"]), [2, 2, 1, 3, 1], "{now}");
    assert_eq!(bad("bad_samples", &["type", "values", "json", "no_data"]), [1, 1, 2, 0], "{now}");
    let counts = ["received", "forwarded", "gaps", "late", "foreign_messages"].map(|key| number(&now["in"], key));
    assert_eq!(counts, [10, 6, 2, 1, 2], "{now}");
    bridge.says("is not forwarded");
    bridge.says("2 samples of");
    drop(program);
    let end = bridge.end(Signal::SIGINT);
    assert!(end.status.success(), "{end:?}");
}

#[test]
fn the_end_hands_over_what_was_taken() {
    let node = Node::new("signals = \"f\"");
    let [there, back] = keys();
    let mut bridge = Bridge::start(
        &node,
        [&there, &back],
        &["--listen", LISTEN, "--batch", "1000", "--max-delay", "3600s", "--format", "json"],
    );
    let program = node.open();
    let session = bare(&bridge.endpoint());
    let (_subscriber, messages) = subscribe(&session, &there);
    bridge.until("there is a subscriber", |now| now["out"]["matched"] == true);
    write(&program, &numbered(0..10));
    bridge.until("all wait for more", |now| number(now, "out.queued") == 10);
    let end = bridge.end(Signal::SIGINT);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(sequences(&messages, 10), (0..10).collect::<Vec<_>>());
    assert_eq!((number(&end.last, "out.published"), number(&end.last, "out.queued")), (10, 0));
}

#[test]
fn samples_wait_for_others_no_longer_than_the_delay() {
    let node = Node::new("signals = \"f\"");
    let [there, back] = keys();
    let mut bridge = Bridge::start(
        &node,
        [&there, &back],
        &["--listen", LISTEN, "--batch", "1000", "--max-delay", "20ms", "--format", "json"],
    );
    let program = node.open();
    let session = bare(&bridge.endpoint());
    let (_subscriber, messages) = subscribe(&session, &there);
    bridge.until("there is a subscriber", |now| now["out"]["matched"] == true);
    // No other sample comes, and no signal.
    write(&program, &numbered(0..3));
    assert_eq!(sequences(&messages, 3), [0, 1, 2]);
    write(&program, &numbered(3..1003));
    assert_eq!(sequences(&messages, 1000).last(), Some(&1002));
    drop(program);
    assert!(bridge.end(Signal::SIGINT).status.success());
}

#[test]
fn without_a_subscriber_the_queue_fills_and_the_policy_decides() {
    for (policy, dropped, left) in [("drop-oldest", 12, 12..20), ("drop-newest", 12, 0..8), ("wait", 0, 0..20)] {
        let node = Node::new("signals = \"f\"");
        let [there, back] = keys();
        let options = ["--listen", LISTEN, "--queue", "8", "--on-full", policy, "--format", "json"];
        let mut bridge = Bridge::start(&node, [&there, &back], &options);
        let program = node.open();
        write(&program, &numbered(0..20));
        let taken = if policy == "wait" { 8 } else { 20 };
        let now = bridge.until("the queue is full", |now| number(now, "out.taken") == taken && number(now, "out.queued") == 8);
        assert_eq!((number(&now, "out.dropped"), number(&now, "out.published")), (dropped, 0), "{policy}: {now}");
        is_balanced(&now);
        // Somebody comes.
        let session = bare(&bridge.endpoint());
        let (_subscriber, messages) = subscribe(&session, &there);
        let expected: Vec<u64> = left.collect();
        assert_eq!(sequences(&messages, expected.len()), expected, "{policy}");
        drop(program);
        let end = bridge.end(Signal::SIGINT);
        assert!(end.status.success(), "{end:?}");
        is_balanced(&end.last);
    }
}

#[test]
fn what_nobody_took_in_the_end_is_counted_and_an_error() {
    let node = Node::new("signals = \"f\"");
    let [there, back] = keys();
    let mut bridge = Bridge::start(&node, [&there, &back], &["--listen", LISTEN]);
    let program = node.open();
    write(&program, &numbered(0..5));
    bridge.until("they are taken", |now| number(now, "out.queued") == 5);
    drop(program);
    let end = bridge.end(Signal::SIGINT);
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.messages.contains("5 samples were taken from the channel and not handed to Zenoh"), "{end:?}");
    is_balanced(&end.last);
}

#[test]
fn the_channel_is_read_on_while_the_link_is_congested() {
    let node = Node::new("samplelen = 2000\nsignals = \"2000f\"");
    let [there, back] = keys();
    let mut bridge = Bridge::start(&node, [&there, &back], &["--listen", LISTEN, "--queue", "100"]);
    let program = node.open();
    let session = bare(&bridge.endpoint());
    // A subscriber that takes nothing until it may.
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (sender, messages) = channel();
    let (closed, sender) = (Arc::clone(&gate), Mutex::new(sender));
    let take = move |sample: zenoh::sample::Sample| {
        let open = closed.0.lock().unwrap();
        drop(closed.1.wait_while(open, |is_open| !*is_open).unwrap());
        let _ = sender.lock().unwrap().send(sample.attachment().unwrap().to_bytes().to_vec());
    };
    let _subscriber = session.declare_subscriber(there).callback(take).wait().unwrap();
    bridge.until("there is a subscriber", |now| now["out"]["matched"] == true);
    // More than all buffers on the way hold.
    let samples: Vec<Plain> = numbered(0..2000).into_iter().map(|plain| Plain { bits: vec![1; 2000], ..plain }).collect();
    write(&program, &samples);
    let now = bridge.until("all is taken", |now| number(now, "out.taken") == 2000);
    assert!(number(&now, "out.dropped") > 0, "{now}");
    is_balanced(&now);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let now = bridge.until("the queue is empty", |now| number(now, "out.queued") == 0);
    is_balanced(&now);
    // What arrives is in order, and the counter has no holes but for a link that was closed.
    write(&program, &samples[..1]);
    let published = number(
        &bridge.until("the last one is published", |now| number(now, "out.taken") == 2001 && number(now, "out.queued") == 0),
        "out.published",
    );
    let mut counters: Vec<u64> = Vec::new();
    while counters.last() != Some(&(published - 1)) {
        let attachment = messages.recv_timeout(PATIENCE).expect("a message");
        counters.push(u64::from_le_bytes(attachment[16..24].try_into().unwrap()));
    }
    assert!(counters.windows(2).all(|pair| pair[0] < pair[1]), "{counters:?}");
    drop(program);
    assert!(bridge.end(Signal::SIGINT).status.success());
}

#[test]
fn as_the_program_it_goes_on_when_the_node_comes_back() {
    let node = Node::new("");
    let [there, back] = keys();
    let mut bridge = Bridge::start(&node, [&there, &back], &["-x", "--listen", LISTEN, "--format", "json"]);
    let session = bare(&bridge.endpoint());
    let (_subscriber, messages) = subscribe(&session, &there);
    bridge.until("there is a subscriber", |now| now["out"]["matched"] == true);
    for round in 0..3 {
        let channel = Channel::create(&node.region, &Config::default()).unwrap();
        channel.wait(Some(PATIENCE)).unwrap();
        write(&channel, &numbered(10 * round..10 * round + 10));
        assert_eq!(sequences(&messages, 10), (10 * round..10 * round + 10).collect::<Vec<_>>());
        if round == 1 {
            // As what removes names of regions that are in use.
            Channel::unlink(&node.region).unwrap();
            drop(channel);
        } else {
            drop(channel);
            Channel::unlink(&node.region).unwrap();
        }
    }
    bridge.says("waiting for it to come back");
    let end = bridge.end(Signal::SIGHUP);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(number(&end.last, "out.published"), 30);
}

#[test]
fn a_region_that_nobody_can_open_any_more_ends_the_bridge_with_the_reason() {
    let node = Node::new("signals = \"f\"");
    let [there, back] = keys();
    let mut bridge = Bridge::start(&node, [&there, &back], &["--listen", LISTEN, "--format", "json"]);
    let program = node.open();
    let session = bare(&bridge.endpoint());
    let (_subscriber, messages) = subscribe(&session, &there);
    bridge.until("there is a subscriber", |now| now["out"]["matched"] == true);
    Channel::unlink(&node.region).unwrap();
    // A process that has it goes on.
    write(&program, &numbered(0..10));
    assert_eq!(sequences(&messages, 10), (0..10).collect::<Vec<_>>());
    drop(program);
    let end = bridge.ended();
    assert_eq!((end.status.code(), number(&end.last, "out.published")), (Some(1), 10), "{end:?}");
    assert!(end.messages.contains("was removed, and no peer has the region"), "{end:?}");
}

#[test]
fn a_key_that_differs_between_two_bridges_is_told_at_both() {
    let (a, b) = (Node::new("signals = \"f\""), Node::new("signals = \"f\""));
    let [there, back] = keys();
    let misspelt = format!("{there}/misspelt");
    let mut near = Bridge::start(&a, [&there, &back], &["--listen", LISTEN]);
    let mut far = Bridge::start(&b, [&back, &misspelt], &["--connect", &near.endpoint()]);
    near.says(&format!("nobody subscribes to \"{there}\""));
    far.says(&format!("no bridge publishes under \"{misspelt}\", which is to be the other side's --publish"));
    // The other direction is as it should be.
    near.says(&format!("\"{back}\" has a publisher"));
    far.says(&format!("\"{back}\" has a subscriber"));
    near.until("it has a publisher only", |now| now["in"]["matched"] == true && now["out"]["matched"] == false);
    far.until("it has a subscriber only", |now| now["in"]["matched"] == false && now["out"]["matched"] == true);
    assert!(far.end(Signal::SIGINT).status.success());
    near.until("nobody is there", |now| now["in"]["matched"] == false);
    assert!(near.end(Signal::SIGINT).status.success());
}

#[test]
fn the_end_of_the_program_that_it_started_is_its_own() {
    let keys = keys();
    for (command, is_good) in [("exit 0", true), ("exit 3", false)] {
        let node = Node::new(&format!("signals = \"f\"\nexec = [ \"sh\", \"-c\", \"{command}\" ]"));
        let mut bridge = Bridge::start(&node, [&keys[0], &keys[1]], &["--listen", LISTEN]);
        let end = bridge.ended();
        assert_eq!(end.status.success(), is_good, "{end:?}");
        assert_eq!(end.messages.contains("sh ended early (exit status: 3)"), !is_good, "{end:?}");
    }
}

#[test]
fn signals_that_contradict_are_told_before_the_first_sample() {
    let [there, back] = keys();
    let near = Node::new("in = { signals = \"2f\" }\nout = { signals = \"3f\" }");
    let far = Node::new("in = { signals = \"2i\" }\nout = { signals = \"2f\" }");
    let first = Bridge::start(&near, [&there, &back], &["--listen", LISTEN]);
    let second = Bridge::start(&far, [&back, &there], &["--connect", &first.endpoint()]);
    let _programs = [near.open(), far.open()];
    first.says(&format!("the signals at \"{back}/@signals\" do not fit"));
    assert!(first.end(Signal::SIGINT).status.success());
    assert!(second.end(Signal::SIGINT).status.success());
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    let node = Node::new("signals = \"f\"");
    for (keys, options, reason) in [
        (["a", "b"], &[][..], "give --connect or --listen"),
        (["a", "a"], &["--listen", LISTEN], "each direction needs a key of its own"),
        (["a/*", "b"], &["--listen", LISTEN], "--publish a/*: it must name one key"),
        (["a", "/b"], &["--listen", LISTEN], "--subscribe /b: it is no key of Zenoh"),
        (["a", "b"], &["--listen", LISTEN, "--batch", "9", "--queue", "8"], "raise --queue"),
        (["a", "b"], &["--connect", "nonsense"], "expected tcp/HOST:PORT"),
        (["a", "b"], &["--mode", "client", "--listen", LISTEN], "a client needs a router"),
        (["a", "b"], &["--listen", "tcp/192.0.2.1:1"], "cannot open a session of Zenoh"),
        (["a", "b"], &["--zenoh-config", "/nowhere.json5"], "/nowhere.json5: No such file"),
    ] {
        let mut bridge = Bridge::start(&node, keys, options);
        let end = bridge.ended();
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        assert!(end.messages.contains(reason), "{options:?}: {end:?}");
    }
}
