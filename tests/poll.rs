//! Descriptors to poll through the Rust interface, both ends in this process. The C tests, in
//! `tests/c`, do the same and more between processes.

use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;
use villas_shm::{Channel, Config, Endpoint, EndpointSide, Error, ErrorKind, Policy, Ring, Role};

/// Far more than anything here takes.
const SOON: u16 = 20_000;

/// A name that no other test uses.
fn name(what: &str) -> String {
    format!("villas-poll-{what}-{}", std::process::id())
}

fn polled(fd: &OwnedFd, millis: u16) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    nix::poll::poll(&mut fds, PollTimeout::from(millis)).unwrap() == 1
}

#[track_caller]
fn becomes_readable(fd: &OwnedFd) {
    assert!(polled(fd, SOON), "it never became readable");
}

/// Makes calls that find nothing, until that has had its effect: a helper may be about to tell of
/// something that a call has just found.
#[track_caller]
fn rests<T: std::fmt::Debug>(fd: &OwnedFd, mut call: impl FnMut() -> Result<T, Error>) {
    for _ in 0..1000 {
        let kind = call().expect_err("there is nothing").kind();
        assert_eq!(kind, ErrorKind::WouldBlock);
        if !polled(fd, 1) {
            return;
        }
    }
    panic!("it stays readable, though calls find nothing");
}

fn pair(what: &str, config: &Config) -> (Channel, Channel) {
    let name = name(what);
    let node = Channel::create(&name, config).unwrap();
    let program = Channel::open(&name).unwrap();
    Channel::unlink(&name).unwrap();
    (node, program)
}

#[test]
fn a_channel_is_readable_while_there_is_something_to_read() {
    let (node, program) = pair("read", &Config::default());
    let fd = program.read_fd().unwrap();
    let read = || program.try_read(&mut Vec::new(), 1);
    rests(&fd, read);
    for _ in 0..100 {
        node.send(node.alloc().unwrap()).unwrap();
        node.send(node.alloc().unwrap()).unwrap();
        becomes_readable(&fd);
        read().unwrap();
        becomes_readable(&fd);
        read().unwrap();
        rests(&fd, read);
    }
}

#[test]
fn the_end_is_readable_and_stays_so() {
    let (node, program) = pair("end", &Config::default());
    let (to_read, to_write) = (program.read_fd().unwrap(), program.write_fd().unwrap());
    rests(&to_read, || program.try_read(&mut Vec::new(), 1));
    drop(node);
    becomes_readable(&to_read);
    becomes_readable(&to_write);
    for _ in 0..3 {
        assert_eq!(program.try_read(&mut Vec::new(), 1).unwrap_err().kind(), ErrorKind::Closed);
        becomes_readable(&to_read);
    }
}

#[test]
fn room_and_free_blocks_are_readable_on_the_write_descriptor() {
    let (node, program) = pair("write", &Config::new().queuelen(2).spare(2));
    let fd = node.write_fd().unwrap();
    becomes_readable(&fd);
    let mut full = vec![node.alloc().unwrap(), node.alloc().unwrap(), node.alloc().unwrap()];
    assert_eq!(node.write(&mut full).unwrap(), 2);
    rests(&fd, || node.write(&mut full));
    let mut got = Vec::new();
    assert_eq!(program.try_read(&mut got, 2).unwrap(), 2);
    becomes_readable(&fd);
    assert_eq!(node.write(&mut full).unwrap(), 1);
    let kept = node.alloc().unwrap();
    rests(&fd, || node.alloc());
    got.clear();
    becomes_readable(&fd);
    node.alloc().expect("the program has given two back");
    drop(kept);
}

#[test]
fn a_descriptor_is_the_callers_and_outlives_its_channel() {
    let (_node, program) = pair("owned", &Config::default());
    let (one, other) = (program.read_fd().unwrap(), program.read_fd().unwrap());
    assert_ne!(one.as_raw_fd(), other.as_raw_fd());
    rests(&one, || program.try_read(&mut Vec::new(), 1));
    assert!(!polled(&other, 0), "they are one");
    drop(other);
    program.close();
    becomes_readable(&one);
    assert_eq!(program.read_fd().unwrap_err().kind(), ErrorKind::Closed);
    drop(program);
    becomes_readable(&one);
}

#[test]
fn each_end_of_a_ring_has_one_that_tells_of_messages_or_of_room() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        let name = name(&format!("ring-{policy:?}"));
        let producer = Ring::<u64>::open(&name, policy, Role::Producer, 2).unwrap();
        let consumer = Ring::<u64>::open(&name, policy, Role::Consumer, 2).unwrap();
        Ring::unlink(&name).unwrap();
        let (room, messages) = (producer.fd().unwrap(), consumer.fd().unwrap());
        for number in 0..100 {
            rests(&messages, || consumer.try_pop());
            producer.try_push(&number).unwrap();
            producer.try_push(&number).unwrap();
            becomes_readable(&messages);
            rests(&room, || producer.try_push(&0));
            assert_eq!((consumer.try_pop().unwrap(), consumer.try_pop().unwrap()), (number, number));
            becomes_readable(&room);
        }
        producer.try_push(&7).unwrap();
        drop(producer);
        assert_eq!(consumer.try_pop().unwrap(), 7);
        rests(&messages, || consumer.try_pop());
    }
}

#[test]
fn an_endpoint_has_those_of_its_two_rings() {
    let name = name("endpoint");
    let a = Endpoint::<u64>::open(&name, Policy::Spsc, EndpointSide::A, 1).unwrap();
    let b = Endpoint::<u64>::open(&name, Policy::Spsc, EndpointSide::B, 1).unwrap();
    Endpoint::unlink(&name).unwrap();
    let (to_receive, to_send) = (a.read_fd().unwrap(), a.write_fd().unwrap());
    rests(&to_receive, || a.incoming().try_pop());
    b.send(&3, None).unwrap();
    becomes_readable(&to_receive);
    assert_eq!(a.receive(None).unwrap(), 3);
    a.send(&4, None).unwrap();
    rests(&to_send, || a.outgoing().try_push(&5));
    assert_eq!(b.receive(Some(Duration::from_secs(20))).unwrap(), 4);
    becomes_readable(&to_send);
}

#[test]
fn in_villasnodes_layout_only_pthread_mode_has_one() {
    for is_polling in [false, true] {
        let (a, b) = (name(&format!("wire-a-{is_polling}")), name(&format!("wire-b-{is_polling}")));
        let config = Config::new().polling(is_polling);
        let limit = Some(Duration::from_secs(20));
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| Channel::open_wire(&b, &a, &config, limit).unwrap());
            (Channel::open_wire(&a, &b, &config, limit).unwrap(), other.join().unwrap())
        });
        if is_polling {
            assert_eq!(one.read_fd().unwrap_err().kind(), ErrorKind::Unsupported);
            continue;
        }
        let fd = one.read_fd().unwrap();
        for _ in 0..100 {
            rests(&fd, || one.try_read(&mut Vec::new(), 1));
            other.send(other.alloc().unwrap()).unwrap();
            becomes_readable(&fd);
            one.try_read(&mut Vec::new(), 1).unwrap();
        }
        drop(other);
        becomes_readable(&fd);
    }
}

#[test]
fn a_block_that_this_side_gives_back_itself_is_told_of() {
    let (node, _program) = pair("own", &Config::new().queuelen(2).spare(2));
    let fd = node.write_fd().unwrap();
    let mut all = Vec::new();
    assert_eq!(node.alloc_many(&mut all, 9).unwrap(), 4);
    rests(&fd, || node.alloc());
    all.pop();
    becomes_readable(&fd);
    node.alloc().expect("one was given back");
}
