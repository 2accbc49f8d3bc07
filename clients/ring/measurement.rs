//! What the example programs exchange: the same bytes as `struct measurement` in measurement.h.

use villas_shm::Plain;

/// How many measurements the ring holds.
pub(crate) const MEASUREMENTS_IN_RING: usize = 144;

/// One measurement of a three-phase voltage.
#[repr(C)]
#[derive(Clone, Copy)]
// The consumer makes none, which the oldest compilers that build this take for dead code.
#[allow(dead_code)]
pub(crate) struct Measurement {
    /// Counts up.
    pub(crate) number: u64,
    /// In seconds.
    pub(crate) time: f64,
    /// Phase to neutral.
    pub(crate) volts: [f64; 3],
}

// SAFETY: five numbers of eight bytes, without padding; any bits are numbers.
unsafe impl Plain for Measurement {}

/// `NAME COUNT` from the command line.
pub(crate) fn arguments() -> Result<(String, u64), Box<dyn std::error::Error>> {
    match &std::env::args().collect::<Vec<_>>()[..] {
        [_, name, count] => Ok((name.clone(), count.parse()?)),
        _ => Err("usage: NAME COUNT".into()),
    }
}
