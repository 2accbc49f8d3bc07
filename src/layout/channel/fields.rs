//! Every field of a region of a channel set to 0, 1, all ones, one more and one less, and what must come of it, for who takes either side.
//!
//! The rows are made from the structs. A field that the table does not know leaves a gap or an overlap, and the test says where.

use super::{Apart, Counters, ENTRIES, Facts, Head, RawFacts, SideWords};
use crate::layout::sample::Header;
use crate::layout::slot::Slot;
use crate::sys::object::Object;
use crate::{Channel, Config};
use std::mem::{offset_of, size_of};
use std::os::fd::OwnedFd;

/// Who takes a side of the region of two dead processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Node,
    Program,
}

/// What must come of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is used within bounds: the first read gives a sample, or says that there is none.
    Used,
    /// The same; the first read is `EBADMSG`.
    Garbled,
    /// Opening gives this errno.
    Refused(i32),
}
use Outcome::{Garbled, Refused, Used};

const BROKEN: Outcome = Refused(libc::EBADMSG);

/// A value in place of another.
#[derive(Clone, Copy)]
struct Row {
    who: Who,
    value: u64,
    /// Which word of the field.
    index: usize,
}

type Rule = fn(Row) -> Outcome;

struct Field {
    name: String,
    at: usize,
    bytes: usize,
    /// Of a word: 4 or 8.
    width: usize,
    rule: Rule,
}

const QUEUELEN: u32 = 8;
const SAMPLELEN: u32 = 4;
const SPARE: u32 = 2;
/// Blocks at home on each side.
const HOME: usize = (QUEUELEN + SPARE) as usize;
/// What the dead have done: the node has sent so many samples, the program has taken and put so many, and sent one.
const SENT: u64 = 5;
const TAKEN: u64 = 2;

fn config() -> Config {
    Config { queuelen: QUEUELEN, samplelen: SAMPLELEN, spare: SPARE, ..Config::default() }
}

/// The bytes of a region, both processes of which are taken for dead, as a copy has none of their locks.
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

fn always_used(_: Row) -> Outcome {
    Used
}
fn always_broken(_: Row) -> Outcome {
    BROKEN
}

fn version(row: Row) -> Outcome {
    Refused(if row.value == 0 { libc::EAGAIN } else { libc::EPROTO })
}

fn polling(row: Row) -> Outcome {
    match (row.value, row.who) {
        (1, Who::Program) => Used,
        (1, Who::Node) => Refused(libc::EPROTO),
        _ => BROKEN,
    }
}

/// What leaves a block as long as it is fits all else; but the blocks have the capacity that they had.
fn samplelen(row: Row) -> Outcome {
    let fits = (1..=5).contains(&row.value);
    match row.who {
        Who::Program if fits => Garbled,
        Who::Node if fits => Refused(libc::EPROTO),
        _ => BROKEN,
    }
}

/// Beyond what a lock's place can be.
fn incarnation(row: Row, own: Who) -> Outcome {
    if row.who == own && row.value == u64::MAX { BROKEN } else { Used }
}

fn field(name: &str, at: usize, bytes: usize, width: usize, rule: Rule) -> Field {
    Field { name: name.to_owned(), at, bytes, width, rule }
}

macro_rules! fields_of {
    ($struct:ty, $base:expr, $prefix:expr, $end:expr; $($field:ident $width:literal $rule:expr),+ $(,)?) => {{
        let starts = [$((stringify!($field), offset_of!($struct, $field), $width, $rule as Rule)),+];
        let mut fields = Vec::new();
        for (i, &(name, at, width, rule)) in starts.iter().enumerate() {
            let end = starts.get(i + 1).map_or($end, |next| next.1);
            fields.push(field(&format!("{}{name}", $prefix), $base + at, end - at, width, rule));
        }
        fields
    }};
}

fn slot(fields: &mut Vec<Field>, at: usize, side: &str, rule: Rule) {
    // The rest of a slot says who it is, for people and for the question whether that process is gone: nobody has its lock here.
    fields.extend(fields_of!(Slot, at, format!("slot {side}: "), size_of::<Apart<Slot>>();
        incarnation 8 rule, closed 8 always_used, pid 4 always_used, role 4 always_used));
    let last = fields.pop().unwrap();
    fields.push(field(&last.name, last.at, 4, 4, last.rule));
    fields.push(field(&format!("slot {side}: the rest"), last.at + 4, last.bytes - 4, 8, always_used));
}

fn head() -> Vec<Field> {
    let mut fields = fields_of!(RawFacts, 0, "facts: ", size_of::<RawFacts>();
        magic 8 always_broken, version 4 version, polling 4 polling, total_size 8 always_broken, queuelen 4 always_broken,
        samplelen 4 samplelen, spare 4 always_broken, ring_len 4 always_broken, block_size 4 always_broken,
        home_blocks 4 always_broken, rings 8 always_broken, pool 8 always_broken, created 8 always_used, _reserved 8 always_used);
    let slots = offset_of!(Head, slots);
    slot(&mut fields, slots, "A", |row| incarnation(row, Who::Node));
    slot(&mut fields, slots + size_of::<Apart<Slot>>(), "B", |row| incarnation(row, Who::Program));
    for side in 0..2 {
        let base = offset_of!(Head, words) + side * size_of::<SideWords>();
        let prefix = format!("words {}: ", ["A", "B"][side]);
        let counters = offset_of!(SideWords, counters);
        fields.push(field(&format!("{prefix}taken"), base, counters, 8, always_used));
        fields.extend(fields_of!(Counters, base + counters, prefix, offset_of!(SideWords, bells) - counters;
            used 8 always_used, kept 8 always_used, waits 8 always_used, wakeups 8 always_used, redelivered 8 always_used));
        let bells = offset_of!(SideWords, bells);
        fields.push(field(&format!("{prefix}bells"), base + bells, size_of::<SideWords>() - bells, 4, always_used));
    }
    fields.push(field("nothing", size_of::<Head>(), ENTRIES as usize - size_of::<Head>(), 8, always_used));
    fields
}

fn is_published(entry: u64) -> bool {
    entry & 1 == 1 // in the first lap
}

/// The queue that the program reads, and the node's successor repairs.
fn entry_to_program(row: Row) -> Outcome {
    let at = row.index as u64;
    match row.who {
        Who::Program if at != TAKEN => Used,
        Who::Program if !is_published(row.value) => Refused(libc::ENOENT), // nothing is left to read
        Who::Program if row.value >> 1 >= 2 * HOME as u64 => Garbled,
        // Published: the next one is missing, and more than one that are marked lie beyond: no death leaves that.
        Who::Node if (TAKEN..SENT - 1).contains(&at) && !is_published(row.value) => BROKEN,
        _ => Used,
    }
}

/// The other direction: one sample, at 0.
fn entry_to_node(row: Row) -> Outcome {
    match row.who {
        Who::Node if row.index == 0 && is_published(row.value) && row.value >> 1 >= 2 * HOME as u64 => Garbled,
        _ => Used,
    }
}

/// The block that is read first.
const fn first_read(who: Who) -> usize {
    match who {
        Who::Program => TAKEN as usize,
        Who::Node => HOME,
    }
}

fn block(number: usize, at: usize, length: usize) -> Vec<Field> {
    // Rules are plain functions: those of blocks that matter are picked here.
    const FIRST: [usize; 2] = [first_read(Who::Program), first_read(Who::Node)];
    let length_rule: Rule = match FIRST.iter().position(|&first| first == number) {
        Some(0) => |row| if row.who == Who::Program && row.value > SAMPLELEN.into() { Garbled } else { Used },
        Some(_) => |row| if row.who == Who::Node && row.value > SAMPLELEN.into() { Garbled } else { Used },
        None => always_used,
    };
    let capacity_rule: Rule = match FIRST.iter().position(|&first| first == number) {
        Some(0) => |row| if row.who == Who::Program { Garbled } else { Used },
        Some(_) => |row| if row.who == Who::Node { Garbled } else { Used },
        None => always_used,
    };
    let was_used = number < SENT as usize || number == HOME;
    // sent by A, done by A, sent by B, done by B. Who takes a side finds a block marked beyond the end of its queue: the one that comes next is sent.
    let positions_rule: Rule = if was_used {
        |row| {
            let (own, tail) = if row.who == Who::Node { (0, SENT) } else { (2, 1) };
            if row.index == own && row.value > tail + 1 { BROKEN } else { Used }
        }
    } else {
        always_used
    };
    fields_of!(Header, at, format!("block {number}: "), length;
        sequence 8 always_used, length 4 length_rule, capacity 4 capacity_rule, flags 4 always_used, positions 8 positions_rule,
        origin 8 always_used, received 8 always_used)
}

fn fields() -> Vec<Field> {
    let facts = Facts::new(false, QUEUELEN, SAMPLELEN, SPARE).unwrap();
    let mut fields = head();
    let rings = facts.rings.map(|ring| ring as usize);
    fields.push(field("entries to the program", rings[0], rings[1] - rings[0], 4, entry_to_program));
    fields.push(field("entries to the node", rings[1], facts.pool as usize - rings[1], 4, entry_to_node));
    for number in 0..facts.blocks() as usize {
        let length = facts.block_size as usize;
        fields.extend(block(number, facts.pool as usize + number * length, length));
    }
    fields
}

#[test]
fn the_table_knows_every_byte_once() {
    let mut end = 0;
    for field in fields() {
        assert_eq!(field.at, end, "\"{}\" does not begin where the field before it ends", field.name);
        assert!(field.bytes > 0 && field.bytes.is_multiple_of(4), "\"{}\" has {} bytes", field.name, field.bytes);
        end += field.bytes;
    }
    assert_eq!(end, image().len());
}

fn region_of(bytes: &[u8]) -> OwnedFd {
    let (_, descriptor) = Object::sealed(bytes.len() as u64, 0o600, None).unwrap();
    assert_eq!(nix::sys::uio::pwrite(&descriptor, bytes, 0), Ok(bytes.len()));
    descriptor
}

/// Does all that a channel does; the errno of the first read.
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

fn outcome_of(bytes: &[u8], who: Who) -> Outcome {
    let descriptor = region_of(bytes);
    let opened = match who {
        Who::Node => Channel::recreate_fd(&descriptor, &config()),
        Who::Program => Channel::open_fd(&descriptor),
    };
    match opened {
        Err(e) => Refused(e.errno()),
        Ok(channel) if use_channel(&channel) == libc::EBADMSG => Garbled,
        Ok(_) => Used,
    }
}

fn word(bytes: &[u8], at: usize, width: usize) -> u64 {
    let mut word = [0; 8];
    word[..width].copy_from_slice(&bytes[at..at + width]);
    u64::from_le_bytes(word)
}

#[test]
fn each_field_at_its_edges_has_the_outcome_that_is_stated() {
    let image = image();
    assert_eq!((outcome_of(&image, Who::Node), outcome_of(&image, Who::Program)), (Used, Used));
    let (mut rows, mut wrong) = (0, Vec::new());
    let mut bytes = image.clone();
    for field in fields() {
        for (index, at) in (field.at..field.at + field.bytes).step_by(field.width).enumerate() {
            let before = word(&image, at, field.width);
            let most = u64::MAX >> (64 - 8 * field.width);
            let mut values = vec![0, 1, most, before.wrapping_add(1) & most, before.wrapping_sub(1) & most];
            values.sort_unstable();
            values.dedup();
            for value in values.into_iter().filter(|&value| value != before) {
                bytes[at..at + field.width].copy_from_slice(&value.to_le_bytes()[..field.width]);
                for who in [Who::Node, Who::Program] {
                    let stated = (field.rule)(Row { who, value, index });
                    let found = outcome_of(&bytes, who);
                    rows += 1;
                    if found != stated {
                        wrong.push(format!(
                            "{} [{index}] {before:#x} -> {value:#x}, {who:?}: {found:?}, not {stated:?}",
                            field.name
                        ));
                    }
                }
            }
            bytes[at..at + field.width].copy_from_slice(&image[at..at + field.width]);
        }
    }
    println!("{rows} rows");
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
}
