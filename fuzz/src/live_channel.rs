//! A channel between two sides of this process, and somebody who stores anything anywhere in the region while they use it.

use villas_shm::{Channel, Config, Signal, SignalType};

use crate::input::{Input, Poke};
use crate::object::{Memory, Name};
use crate::side::Side;
use crate::{allow, ends, seeds};

/// Steps of one run: so that none takes long.
const STEPS: usize = 64;

/// See the module's description.
pub fn live_channel(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let side = |channel| Side::new(channel, how & 6 == 0);
    let config = Config::new()
        .polling(how & 1 == 1)
        .queuelen(1 + input.below(7) as u32)
        .samplelen(1 + input.below(5) as u32)
        .spare(1 + input.below(7) as u32);
    let config = if how & 8 == 0 { config } else { config.out_signals([Signal::new("u_a", "V", SignalType::Float)]) };
    let places = seeds::places_of_channel(&config);
    let name = Name::new("channel");
    let mut node = Some(side(Channel::create(&name.0, &config).expect("a name of our own")));
    let mut program = Some(side(Channel::open(&name.0).expect("there is a node")));
    let mut memory = Memory::of(&name, None);
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        match input.below(16) {
            0..=3 => call(&mut node, &mut input),
            4..=7 => call(&mut program, &mut input),
            8..=14 => {
                if let Some(memory) = &memory {
                    memory.poke(Poke::next(&mut input, memory.size(), &places, |at| memory.word(at)));
                }
            }
            _ => {
                let which = input.byte();
                let (place, is_node) = if which & 1 == 0 { (&mut node, true) } else { (&mut program, false) };
                if place.take().is_none() || which & 2 == 0 {
                    *place = open(&name, is_node.then_some(&config)).map(side);
                }
                memory = Memory::of(&name, memory);
            }
        }
    }
    true
}

fn call(side: &mut Option<Side>, input: &mut Input) {
    if let Some(side) = side {
        side.call(input);
    }
}

/// A side comes again, the node with its parameters: then it repairs what the last one has left, and what was stored there.
fn open(name: &Name, node: Option<&Config>) -> Option<Channel> {
    let ways = [libc::EBUSY, libc::EPROTO, libc::EBADMSG, libc::ENOENT, libc::EAGAIN, libc::ESTALE];
    let opened = ends("an open", || match node {
        Some(config) => Channel::create(&name.0, config),
        None => Channel::open(&name.0),
    });
    allow(opened, &ways)
}
