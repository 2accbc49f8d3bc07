//! Gives measurements of a three-phase voltage to whoever consumes the ring.
//!
//! usage: ring-producer NAME COUNT
//!
//! Goes with any consumer in this directory, whichever begins first.

mod measurement;

use measurement::{MEASUREMENTS_IN_RING, Measurement, arguments};
use std::f64::consts::PI;
use villas_shm::{Policy, Ring, Role};

fn measure(number: u64) -> Measurement {
    let time = number as f64 * 1e-4;
    let volts = [0.0, 1.0, 2.0].map(|phase| 325.0 * (2.0 * PI * (50.0 * time - phase / 3.0)).sin());
    Measurement { number, time, volts }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (name, count) = arguments()?;
    let ring = Ring::open(&name, Policy::Mpmc, Role::Producer, MEASUREMENTS_IN_RING)?;
    for number in 0..count {
        ring.push(&measure(number))?;
    }
    Ok(())
}
