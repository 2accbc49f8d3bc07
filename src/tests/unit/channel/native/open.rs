//! Of `channel/native/open`.

use super::*;
use std::ffi::OsString;

/// A program finds the node dead, and another node takes its place before the program takes its
/// own.
#[test]
fn a_node_that_comes_while_a_program_attaches_is_not_taken_for_the_dead_one() {
    let name = OsString::from(format!("villas-test-{}-come", std::process::id()));
    let config = Config::new().queuelen(2).spare(1).samplelen(1);
    let node = create(&name, &config).expect("the name is free");
    let program = open(&name).expect("a node is there");
    let (_, written) = write_one(node);
    node.close().expect("it is open");
    program.close().expect("it is open");
    assert_eq!(written, 1, "it is left in the queue");

    let object = Object::open(&Name::new(&name).expect("a name")).expect("the region is there");
    let region = ChannelRegion::existing(object, Origin::Named(Name::new(&name).expect("a name"))).expect("a region");
    let gone = region.gone_node(true);
    assert_eq!(gone, Some(1));
    let incarnation = region.claim(Side::B).expect("the program has closed");
    let next = create(&name, &config).expect("the program's side is claimed, so the region stays");
    let program = attached(region, Side::B, incarnation, 1, Some(false), BothWays::default()).expect("it is whole");
    assert!(program.is_peer_alive().expect("open"), "the node that has come is alive");
    let read = || program.read(2, &Limit::Now, |_, _| ()).map(|count| (count.count, count.why)).expect("no end");
    assert_eq!(read(), (1, 0), "what the first node has left");
    assert_eq!(read(), (0, libc::EAGAIN), "and then nothing yet, but no end either");
    next.close().expect("it is open");
    program.close().expect("it is open");
    Name::new(&name).and_then(|name| name.unlink()).expect("it is there");
}

fn write_one(node: &ChannelHandle<Native>) -> (usize, usize) {
    let mut address = 0;
    node.alloc(1, &Limit::Now, |_, raw| address = raw.address() as usize).expect("a block is free");
    let count = node.write(1, &Limit::Now, |_| address).expect("there is room").count;
    (address, count)
}
