//! Messages of a ring that are structs, by `bytemuck`'s derives or by hand.

use bytemuck::{Pod, Zeroable};
use villas_shm::{Endpoint, EndpointSide, Plain, Policy, Ring, Role};

#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Phasor {
    time: i64,
    phases: [[f64; 2]; 3],
}

/// Without bytemuck, by hand.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Switch {
    number: u32,
    is_closed: u32,
}
// SAFETY: two integers without padding.
unsafe impl Plain for Switch {}

fn name(what: &str) -> String {
    format!("villas-test-structs-{what}-{}", std::process::id())
}

#[test]
fn a_struct_of_numbers_crosses_a_ring_without_unsafe_code() {
    let name = name("ring");
    let producer = Ring::<Phasor>::open(&name, Policy::Mpmc, Role::Producer, 4).unwrap();
    let consumer = Ring::<Phasor>::open(&name, Policy::Mpmc, Role::Consumer, 4).unwrap();
    Ring::unlink(&name).unwrap();
    let phasor = Phasor { time: -1, phases: [[230.0, 0.0], [230.0, -2.1], [f64::INFINITY, 2.1]] };
    producer.push(&phasor).unwrap();
    assert_eq!(consumer.pop().unwrap(), phasor);
}

#[test]
fn a_type_of_which_its_owner_promises_the_same_still_may_be_one() {
    let name = name("endpoint");
    let a = Endpoint::<Switch>::open(&name, Policy::Spsc, EndpointSide::A, 4).unwrap();
    let b = Endpoint::<Switch>::open(&name, Policy::Spsc, EndpointSide::B, 4).unwrap();
    Endpoint::unlink(&name).unwrap();
    let switch = Switch { number: 7, is_closed: 1 };
    a.send(&switch, None).unwrap();
    assert_eq!(b.receive(None).unwrap(), switch);
}
