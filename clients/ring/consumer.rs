//! Prints the measurements that a producer gives to the ring, a line for each.
//!
//! usage: ring-consumer NAME COUNT
//!
//! Goes with any producer in this directory, whichever begins first.

mod measurement;

use measurement::{MEASUREMENTS_IN_RING, Measurement, arguments};
use std::io::Write;
use villas_shm::{Policy, Ring, Role};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (name, count) = arguments()?;
    let ring = Ring::open(&name, Policy::Mpmc, Role::Consumer, MEASUREMENTS_IN_RING)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for _ in 0..count {
        let Measurement { number, time, volts: [a, b, c] } = ring.pop()?;
        writeln!(out, "{number} {time:.4} {a:.6} {b:.6} {c:.6}")?;
    }
    out.flush()?;
    Ok(())
}
