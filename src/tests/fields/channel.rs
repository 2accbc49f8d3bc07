//! Every field of a channel's region set to 0, 1, all ones, one more and one less, and the expected
//! outcome for a newcomer on either side.
//!
//! The rows are made from the structs ([`crate::tests::edges`]).

use super::{Apart, ChannelCounters, ChannelFacts, ChannelHead, ENTRIES, RawChannelFacts, SideWords};
use crate::layout::holder::Holder;
use crate::layout::sample::Header;
use crate::sys::object::Object;
use crate::tests::edges::{BROKEN, EdgeOutcome, Field, Row, Rule, broken, field, fields_of, try_each, used};
use crate::{Channel, Config, Signal, SignalType};
use std::mem::{offset_of, size_of};
use std::os::fd::OwnedFd;

/// The side that a newcomer takes in the region of two dead processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AttachedAs {
    Node,
    Program,
}

use EdgeOutcome::{Garbled, Refused, Used};

const QUEUELEN: u32 = 8;
const SAMPLELEN: u32 = 4;
const SPARE: u32 = 2;
/// Blocks at home on each side.
const HOME: usize = (QUEUELEN + SPARE) as usize;
/// What the dead processes did: the node sent this many samples; the program took and put this
/// many, and sent one.
const SENT: u64 = 5;
const TAKEN: u64 = 2;

fn config() -> Config {
    let written = [Signal::new("u_a", "V", SignalType::Float), Signal::new("n", "", SignalType::Integer)];
    let config = Config::new().queuelen(QUEUELEN).samplelen(SAMPLELEN).spare(SPARE);
    config.out_signals(written).in_signals([Signal::new("set", "", SignalType::Boolean)])
}

/// The bytes of a region. Both its processes count as dead, because a copy has none of their locks.
fn image() -> Vec<u8> {
    let (node, descriptor) = Channel::create_fd(&config()).unwrap();
    let program = Channel::open_fd(&descriptor).unwrap();
    let mut samples = Vec::new();
    assert_eq!(node.alloc_many(&mut samples, SENT as usize).unwrap(), SENT as usize);
    assert_eq!(node.write(&mut samples).unwrap(), SENT as usize);
    assert_eq!(program.read(&mut samples, TAKEN as usize).unwrap(), TAKEN as usize);
    samples.clear();
    assert_eq!(program.write(&mut vec![program.alloc().unwrap()]).unwrap(), 1);
    let size = node.stats().region_size as usize;
    let mut bytes = vec![0; size];
    assert_eq!(nix::sys::uio::pread(&descriptor, &mut bytes, 0), Ok(size));
    bytes
}

fn version(row: Row<AttachedAs>) -> EdgeOutcome {
    Refused(if row.value == 0 { libc::EAGAIN } else { libc::EPROTO })
}

fn polling(row: Row<AttachedAs>) -> EdgeOutcome {
    match (row.value, row.who) {
        (1, AttachedAs::Program) => Used,
        (1, AttachedAs::Node) => Refused(libc::EPROTO),
        _ => BROKEN,
    }
}

fn history(row: Row<AttachedAs>) -> EdgeOutcome {
    match row.who {
        _ if row.value > 1 << 20 => BROKEN,
        AttachedAs::Program => Used,
        AttachedAs::Node => Refused(libc::EPROTO),
    }
}

/// A value that keeps a block's size fits everything else; but the blocks keep their capacity.
fn samplelen(row: Row<AttachedAs>) -> EdgeOutcome {
    let fits = (2..=5).contains(&row.value); // at least as many as signals
    match row.who {
        AttachedAs::Program if fits => Garbled,
        AttachedAs::Node if fits => Refused(libc::EPROTO),
        _ => BROKEN,
    }
}

/// A node that takes the region over has named other signals.
fn other_signal(row: Row<AttachedAs>) -> EdgeOutcome {
    if row.who == AttachedAs::Node { Refused(libc::EPROTO) } else { Used }
}

fn signal_type(row: Row<AttachedAs>) -> EdgeOutcome {
    if (1..=4).contains(&row.value) { other_signal(row) } else { BROKEN }
}

/// A byte of a name or unit.
fn text(row: Row<AttachedAs>) -> EdgeOutcome {
    if (0x20..0x7f).contains(&row.value) { other_signal(row) } else { BROKEN }
}

/// Beyond every lock's place.
fn incarnation(row: Row<AttachedAs>, own: AttachedAs) -> EdgeOutcome {
    if row.who == own && row.value == u64::MAX { BROKEN } else { Used }
}

fn holder(fields: &mut Vec<Field<AttachedAs>>, at: usize, rule: Rule<AttachedAs>) {
    let end = offset_of!(Holder, role) + 4;
    fields.extend(fields_of!(Holder, at, end; incarnation 8 rule, closed 8 used, pid 4 used, role 4 used));
    // It names the process, for people and for the question whether that process is gone: no
    // process has its lock here.
    fields.push(field("the holder's rest", at + end, size_of::<Apart<Holder>>() - end, 8, used));
}

fn head() -> Vec<Field<AttachedAs>> {
    let mut fields = fields_of!(RawChannelFacts, 0, size_of::<RawChannelFacts>();
        magic 8 broken, version 4 version, polling 4 polling, total_size 8 broken, queuelen 4 broken,
        samplelen 4 samplelen, spare 4 broken, entries 4 broken, block_size 4 broken,
        home_blocks 4 broken, queues 8 broken, pool 8 broken, created 8 used,
        signals 8 broken, signals_size 8 broken, signal_counts 4 broken, history 4 history, _reserved 4 used);
    let holders = offset_of!(ChannelHead, holders);
    holder(&mut fields, holders, |row| incarnation(row, AttachedAs::Node));
    holder(&mut fields, holders + size_of::<Apart<Holder>>(), |row| incarnation(row, AttachedAs::Program));
    for side in 0..2 {
        let base = offset_of!(ChannelHead, words) + side * size_of::<SideWords>();
        let counters = offset_of!(SideWords, counters);
        fields.push(field("taken", base, counters, 8, used));
        fields.extend(fields_of!(ChannelCounters, base + counters, offset_of!(SideWords, doorbells) - counters;
            used 8 used, kept 8 used, waits 8 used, wakeups 8 used, redelivered 8 used));
        let doorbells = offset_of!(SideWords, doorbells);
        fields.push(field("doorbells", base + doorbells, size_of::<SideWords>() - doorbells, 4, used));
    }
    fields.push(field("nothing", size_of::<ChannelHead>(), ENTRIES as usize - size_of::<ChannelHead>(), 8, used));
    fields
}

/// A record of the table of signals. Other lengths do not add up.
const RECORD: [(&str, usize, usize, Rule<AttachedAs>); 3] =
    [("lengths", 4, 2, broken), ("type", 4, 4, signal_type), ("zero", 8, 8, broken)];

fn is_published(entry: u64) -> bool {
    entry & 1 == 1 // in the first lap
}

/// The queue that the program reads, and the node's successor repairs.
fn entry_to_program(row: Row<AttachedAs>) -> EdgeOutcome {
    let at = row.index as u64;
    match row.who {
        AttachedAs::Program if at != TAKEN => Used,
        AttachedAs::Program if !is_published(row.value) => Refused(libc::ENOENT), // nothing is left to read
        AttachedAs::Program if row.value >> 1 >= 2 * HOME as u64 => Garbled,
        // An entry is missing, and more than one block is marked beyond it: no death leaves
        // that.
        AttachedAs::Node if (TAKEN..SENT - 1).contains(&at) && !is_published(row.value) => BROKEN,
        _ => Used,
    }
}

/// The other direction: one sample, at 0.
fn entry_to_node(row: Row<AttachedAs>) -> EdgeOutcome {
    match row.who {
        AttachedAs::Node if row.index == 0 && is_published(row.value) && row.value >> 1 >= 2 * HOME as u64 => Garbled,
        _ => Used,
    }
}

/// The block that is read first.
const fn first_read(who: AttachedAs) -> usize {
    match who {
        AttachedAs::Program => TAKEN as usize,
        AttachedAs::Node => HOME,
    }
}

fn block(number: usize, at: usize, length: usize) -> Vec<Field<AttachedAs>> {
    // Rules are plain functions: the blocks that matter are picked here.
    const FIRST: [usize; 2] = [first_read(AttachedAs::Program), first_read(AttachedAs::Node)];
    let length_rule: Rule<AttachedAs> = match FIRST.iter().position(|&first| first == number) {
        Some(0) => |row| if row.who == AttachedAs::Program && row.value > SAMPLELEN.into() { Garbled } else { Used },
        Some(_) => |row| if row.who == AttachedAs::Node && row.value > SAMPLELEN.into() { Garbled } else { Used },
        None => used,
    };
    let capacity_rule: Rule<AttachedAs> = match FIRST.iter().position(|&first| first == number) {
        Some(0) => |row| if row.who == AttachedAs::Program { Garbled } else { Used },
        Some(_) => |row| if row.who == AttachedAs::Node { Garbled } else { Used },
        None => used,
    };
    let was_used = number < SENT as usize || number == HOME;
    // Sent by A, done by A, sent by B, done by B. A newcomer sends a block that is marked for the
    // next position of its queue; a mark beyond that is corrupt.
    let positions_rule: Rule<AttachedAs> = if was_used {
        |row| {
            let (own, tail) = if row.who == AttachedAs::Node { (0, SENT) } else { (2, 1) };
            if row.index == own && row.value > tail + 1 { BROKEN } else { Used }
        }
    } else {
        used
    };
    fields_of!(Header, at, length;
        sequence 8 used, length 4 length_rule, capacity 4 capacity_rule, flags 4 used, tag 4 used, positions 8 positions_rule,
        origin 8 used, received 8 used)
}

fn fields() -> Vec<Field<AttachedAs>> {
    let facts = ChannelFacts::new(false, QUEUELEN, SAMPLELEN, SPARE).unwrap();
    let mut fields = head();
    let queues = facts.queues.map(|queue| queue as usize);
    fields.push(field("entries to the program", queues[0], queues[1] - queues[0], 4, entry_to_program));
    fields.push(field("entries to the node", queues[1], facts.pool as usize - queues[1], 4, entry_to_node));
    for number in 0..facts.blocks() as usize {
        let length = facts.block_size as usize;
        fields.extend(block(number, facts.pool as usize + number * length, length));
    }
    let mut at = facts.signals() as usize;
    for (name, bytes, width, rule) in (0..3).flat_map(|_| RECORD) {
        fields.push(field(name, at, bytes, width, rule));
        at += bytes;
    }
    fields.push(field("texts", at, "u_aVnset".len(), 1, text));
    fields
}

fn region_of(bytes: &[u8]) -> OwnedFd {
    let (_, descriptor) = Object::sealed(bytes.len() as u64, 0o600, None).unwrap();
    assert_eq!(nix::sys::uio::pwrite(&descriptor, bytes, 0), Ok(bytes.len()));
    descriptor
}

/// Does everything that a channel does; returns the errno of the first read.
fn use_channel(channel: &Channel) -> i32 {
    let may = |errno: i32| assert!([libc::EBADMSG, libc::EPIPE, libc::EAGAIN, libc::EINVAL].contains(&errno), "errno {errno}");
    let mut samples = Vec::new();
    let first = channel.try_read(&mut samples, 1).map_or_else(|e| e.errno(), |_| 0);
    for _ in 0..2 * HOME {
        channel.try_read(&mut samples, 3).map_or_else(|e| may(e.errno()), |_| {});
        for sample in &samples {
            assert!(sample.len() <= 5);
            (0..sample.len()).for_each(|at| _ = std::hint::black_box(sample.get(at)));
        }
        channel.write(&mut samples).map_or_else(|e| may(e.errno()), |_| {});
        samples.clear();
        match channel.alloc() {
            Ok(sample) => channel.write(&mut vec![sample]).map_or_else(|e| may(e.errno()), |_| {}),
            Err(e) => may(e.errno()),
        }
    }
    channel.stats();
    channel.peer_alive();
    first
}

fn outcome_of(bytes: &[u8], who: AttachedAs) -> EdgeOutcome {
    let descriptor = region_of(bytes);
    let opened = match who {
        AttachedAs::Node => Channel::recreate_fd(&descriptor, &config()),
        AttachedAs::Program => Channel::open_fd(&descriptor),
    };
    match opened {
        Err(e) => Refused(e.errno()),
        Ok(channel) if use_channel(&channel) == libc::EBADMSG => Garbled,
        Ok(_) => Used,
    }
}

#[test]
fn each_field_at_its_edges_has_the_outcome_that_is_stated() {
    let image = image();
    assert_eq!((outcome_of(&image, AttachedAs::Node), outcome_of(&image, AttachedAs::Program)), (Used, Used));
    try_each(&image, &fields(), &[AttachedAs::Node, AttachedAs::Program], |who, bytes| outcome_of(bytes, who));
}
