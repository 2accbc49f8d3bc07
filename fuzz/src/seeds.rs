//! Regions that the library or VILLASnode made, for inputs to begin with, and where in them the words are that say something.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::thread::LocalKey;

use villas_shm::{Channel, Config, Policy, Ring, Role, Signal, SignalType};

use crate::input::{Input, Poke};
use crate::object::{self, Name};

/// Offsets in a region.
pub(crate) type Places = Arc<[usize]>;

/// A region, and the offsets at which a change is worth most.
pub(crate) struct Seed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) places: Places,
}

/// The first byte of an input that is a region itself.
const RAW: u8 = 255;

/// The region that an input describes; what follows in the input is left. Mostly stores to one of `seeds`; any bytes at all otherwise.
pub(crate) fn region(input: &mut Input, seeds: &[Seed]) -> Vec<u8> {
    let choice = input.byte();
    if choice == RAW {
        let bytes = input.rest().to_vec();
        *input = Input::new(&[]);
        return bytes;
    }
    let seed = &seeds[usize::from(choice) % seeds.len()];
    let mut bytes = seed.bytes.clone();
    for _ in 0..input.below(33) {
        let poke = Poke::next(input, bytes.len(), &seed.places, |at| object::word(&bytes, at));
        object::poke(&mut bytes, poke);
    }
    match input.byte() {
        // Few: nearly all of these are refused at the door.
        250..=252 => bytes.truncate(input.short()),
        253..=255 => bytes.resize(bytes.len() + input.short(), 0xa5),
        _ => {}
    }
    bytes
}

/// What was made for an input is there for those that come after it.
type Kept<K> = LocalKey<RefCell<HashMap<K, Places>>>;

fn kept<K: std::hash::Hash + Eq>(kept: &'static Kept<K>, key: K, make: impl FnOnce() -> Places) -> Places {
    kept.with_borrow_mut(|kept| kept.entry(key).or_insert_with(make).clone())
}

/// Facts, places and the words of both sides; entries; the headers of the blocks.
pub(crate) fn places_of_channel(config: &Config) -> Places {
    thread_local!(static KEPT: RefCell<HashMap<[u32; 3], Places>> = RefCell::default());
    kept(&KEPT, [config.queuelen, config.samplelen, config.spare], || make_places_of_channel(config))
}

fn make_places_of_channel(config: &Config) -> Places {
    let entries = (config.queuelen.next_power_of_two() as usize * 4).next_multiple_of(128);
    let pool = 0x1000 + 2 * entries;
    let block = (88 + 8 * config.samplelen as usize).next_multiple_of(64);
    let blocks = 2 * (config.queuelen + config.spare) as usize;
    let head = (0..0x68).step_by(4).chain((0x100..0x140).step_by(8)).chain((0x180..0x1c0).step_by(8));
    let words = [0x200, 0x400].into_iter().flat_map(|side| [0, 0x80, 0x88, 0x90, 0x98, 0xa0, 0x100, 0x180].map(|at| side + at));
    let queues = (0x1000..pool).step_by(4).filter(|at| (at - 0x1000) % entries < 4 * config.queuelen as usize + 4);
    let headers = (0..blocks).flat_map(|number| [0, 8, 12, 16, 24, 32, 40, 48].map(|at| pool + number * block + at));
    // Those that are most used, several times.
    let often = words.clone().chain(words.clone()).chain(queues.clone());
    head.chain(words).chain(queues).chain(headers).chain(often).collect()
}

/// Facts, indices, bells; the first places; the words behind the messages.
pub(crate) fn places_of_ring(policy: Policy, element_size: usize, capacity: usize) -> Places {
    thread_local!(static KEPT: RefCell<HashMap<[usize; 3], Places>> = RefCell::default());
    kept(&KEPT, [policy as usize, element_size, capacity], || make_places_of_ring(policy, element_size, capacity))
}

fn make_places_of_ring(policy: Policy, element_size: usize, capacity: usize) -> Places {
    let head = (0..0x30).step_by(4).chain([0x100, 0x180, 0x100, 0x180, 0x100, 0x180, 0x200, 0x280, 0x300, 0x308, 0x310, 0x318]);
    let all = if policy == Policy::Spsc { 2 } else { 258 };
    let places = (0..all.min(5)).flat_map(|place| (0..0x40).step_by(8).map(move |at| 0x400 + place * 0x40 + at));
    let slots = (0x400 + all * 0x40usize).next_multiple_of(128);
    let word = element_size.next_multiple_of(8);
    let stride = if word + 8 <= 16 { 16 } else { (word + 8).next_multiple_of(32) };
    let words = (0..capacity).map(|slot| slots + slot * stride + word);
    let often = words.clone().chain(words.clone()).chain(words.clone());
    head.chain(places).chain(words).chain(often).collect()
}

/// See `src/layout/wire.rs`: state, mask, cells, tail and head of both queues, mode, condition and mutex, the pool; then cells and samples.
fn places_of_wire(size: usize) -> Places {
    let head = [
        88, 160, 168, 240, 312, 384, 392, 400, 408, 416, 424, 432, 440, 448, 456, 464, 480, 488, 496, 504, 512, 520, 592, 600,
        672, 744, 848, 856,
    ];
    head.into_iter().chain((848..size - 7).step_by(8)).collect()
}

fn send(channel: &Channel, count: u64) {
    for number in 0..count {
        let mut sample = channel.alloc().expect("a block is free");
        sample.set_sequence(number);
        sample.write_values(&[number as f64]).expect("one fits");
        assert_eq!(channel.write(&mut vec![sample]).expect("nothing is wrong"), 1);
    }
}

/// Of the channels among the seeds, as a creator asks for them.
pub(crate) fn channel() -> Config {
    Config::new().queuelen(5).samplelen(3).spare(3)
}

/// Of the channel among the seeds that names its signals.
pub(crate) fn with_signals() -> Config {
    let signal = |(name, unit, kind)| Signal::new(name, unit, kind);
    let written = [("u_a", "V", SignalType::Float), ("n", "", SignalType::Integer), ("ü", "°", SignalType::Complex)];
    channel().out_signals(written.map(signal)).in_signals([signal(("set", "", SignalType::Boolean))])
}

/// A region in use, and where its signals are named: the texts, and the records several times.
fn with_table(bytes: Vec<u8>, places: &[usize], table: usize, records: usize) -> Seed {
    let often = (table..table + 16 * records).step_by(2).filter(|at| at % 16 < 8);
    let places = places.iter().copied().chain((0..4).flat_map(|_| often.clone())).chain(table + 16 * records..bytes.len());
    Seed { places: places.collect(), bytes }
}

/// Fresh; in traffic; as a node and a program leave it that both die with samples in hand, one of them sent on;
/// with signals.
pub(crate) fn channels() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let name = Name::new("seed");
        let node = Channel::create(&name.0, &channel()).expect("a name of our own");
        let mut regions = vec![name.bytes()];
        send(&node, 4);
        regions.push(name.bytes());
        let program = Channel::open(&name.0).expect("there is a node");
        let mut taken = Vec::new();
        assert_eq!(program.read(&mut taken, 3).expect("samples wait"), 3);
        send(&program, 2);
        regions.push(name.bytes());
        let kept = taken[0].clone();
        assert_eq!(program.write(&mut taken).expect("there is room"), 3);
        let mut back = Vec::new();
        assert_eq!(node.read(&mut back, 4).expect("samples wait"), 4);
        regions.push(name.bytes());
        drop((node, program, taken, kept, back));
        let places = places_of_channel(&channel());
        let mut seeds: Vec<Seed> = regions.into_iter().map(|bytes| Seed { bytes, places: places.clone() }).collect();
        let node = Channel::create(&name.0, &with_signals()).expect("the last ones have gone");
        send(&node, 2);
        let table = seeds[0].bytes.len();
        seeds.push(with_table(name.bytes(), &places, table, 4));
        seeds
    })
}

/// Of the rings among the seeds.
pub(crate) const RINGS: [(Policy, usize, usize); 4] =
    [(Policy::Spsc, 8, 3), (Policy::Spsc, 40, 4), (Policy::Mpsc, 24, 3), (Policy::Mpmc, 8, 2)];

/// Of each policy: after a lap and with messages in it; with one that is being written and one that is being read.
pub(crate) fn rings() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let mut seeds = Vec::new();
        for (policy, element_size, capacity) in RINGS {
            let name = Name::new("seed");
            let open = |role| Ring::open_bytes(&name.0, policy, role, element_size, capacity).expect("a name of our own");
            let (producer, consumer) = (open(Role::Producer), open(Role::Consumer));
            let mut message = vec![7; element_size];
            for _ in 0..capacity {
                producer.push_bytes(&message).expect("there is room");
                consumer.pop_bytes(&mut message).expect("there is one");
            }
            (1..capacity).for_each(|_| producer.push_bytes(&message).expect("there is room"));
            let places = places_of_ring(policy, element_size, capacity);
            seeds.push(Seed { bytes: name.bytes(), places: places.clone() });
            let slots = (producer.reserve().expect("there is room"), consumer.peek().expect("there is one"));
            seeds.push(Seed { bytes: name.bytes(), places });
            drop(slots);
        }
        seeds
    })
}

/// What VILLASnode wrote, and this library with its trailer.
pub(crate) fn wires() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let name = Name::new("wire");
        let config = channel().samplelen(4);
        let ours = Channel::open_wire(&name.0, &name.0, &config, None).expect("a name of our own");
        send(&ours, 2);
        let named = Name::new("named");
        let config = with_signals().samplelen(4).in_signals([]);
        let ours_named = Channel::open_wire(&named.0, &named.0, &config, None).expect("a name of our own");
        send(&ours_named, 2);
        let end = name.bytes().len() - 128;
        let named = with_table(named.bytes(), &places_of_wire(end), end, 3);
        let images: [&[u8]; 5] = [
            include_bytes!("../../tests/wire/images/polling-q8-s4-3-queued-1-held.img"),
            include_bytes!("../../tests/wire/images/polling-q8-s4-fresh.img"),
            include_bytes!("../../tests/wire/images/pthread-q8-s4-5-queued.img"),
            include_bytes!("../../tests/wire/images/pthread-q8-s4-closed.img"),
            &name.bytes(),
        ];
        let mut seeds: Vec<Seed> = images.map(|bytes| Seed { bytes: bytes.to_vec(), places: places_of_wire(bytes.len()) }).into();
        seeds.push(named);
        seeds
    })
}

/// Everything that a look may meet, and a segment of somebody's own.
pub(crate) fn all() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let segment = Seed { bytes: vec![0; 64], places: (0..64).step_by(8).collect() };
        let all = channels().iter().chain(rings()).chain(wires()).chain([&segment]);
        all.map(|seed| Seed { bytes: seed.bytes.clone(), places: seed.places.clone() }).collect()
    })
}
