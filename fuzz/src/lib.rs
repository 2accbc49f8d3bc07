//! The fuzz targets: functions that take any bytes, and panic, or step outside memory, when the library or the tool is at fault.
//!
//! Regions are objects in `/dev/shm`, opened by the library's own interface: the kernel's in the replay, those of a model of it in most runs of the
//! fuzzers (`shm`). Only those of the wire layout lie in the heap. An
//! input of a region begins with a choice of a region that the library made, and stores to it; or it is the region
//! (`seeds`). An input of a live channel or ring is a script: calls, and stores by a hostile peer in between.
//!
//! `true`: the input came past the door, that is, was taken for a region, a sample or a configuration.

use std::cell::Cell;
use std::time::{Duration, Instant};

#[cfg(all(feature = "libfuzzer", target_arch = "x86_64"))]
mod compares;
mod input;
mod live_channel;
mod live_ring;
mod look;
mod object;
mod open;
mod seeds;
#[cfg(all(feature = "libfuzzer", target_arch = "x86_64"))]
mod shm;
mod side;
mod text;

// The parsers of the tool, which is a program: its sources are compiled into this crate, and call what else they need by these names.
#[allow(dead_code, unused_imports)]
#[path = "../../clients/node/src/config/mod.rs"]
mod config;
#[allow(dead_code)]
#[path = "../../clients/node/src/encoding.rs"]
mod encoding;
#[allow(dead_code, unused_imports)]
#[path = "../../clients/tool/src/human/mod.rs"]
mod human;
#[allow(dead_code, unused_imports)]
#[path = "../../clients/node/src/record/mod.rs"]
mod record;
#[allow(dead_code)]
#[path = "../../clients/node/src/signals.rs"]
mod signals;
/// The tool's messages: made, and shown to nobody.
mod log {
    macro_rules! log {
        ($level:ident, $($text:tt)+) => {
            _ = std::hint::black_box(format!($($text)+))
        };
    }
    pub(crate) use log;
}

pub use live_channel::live_channel;
pub use live_ring::live_ring;
pub use look::look;
pub use open::{open_channel, open_event, open_ring, wire};
pub use text::{json, libconfig, line};

/// A target.
pub type Target = fn(&[u8]) -> bool;

/// All targets, by the names of their corpora.
pub const TARGETS: [(&str, Target); 10] = [
    ("open_channel", open_channel),
    ("open_ring", open_ring),
    ("open_event", open_event),
    ("look", look),
    ("wire", wire),
    ("live_channel", live_channel),
    ("live_ring", live_ring),
    ("line", line),
    ("libconfig", libconfig),
    ("json", json),
];

/// Before the first input of a process: naps end when they are over. The kernel gives them 50 µs more, so that it need not wake so often.
pub fn begin() {
    // SAFETY: takes plain integers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong, 0, 0, 0) };
    // The seeds are made with the kernel's objects: those of the wire layout ask it who else has them mapped.
    seeds::all();
    #[cfg(all(feature = "libfuzzer", target_arch = "x86_64"))]
    shm::begin();
}

/// Gives an input to a target, which panics if the library or the tool is at fault.
pub fn feed(target: Target, bytes: &[u8]) -> bool {
    #[cfg(all(feature = "libfuzzer", target_arch = "x86_64"))]
    compares::next();
    for _ in 0..TRIES {
        let came_in = target(bytes);
        let Some(slow) = SLOW.take() else { return came_in };
        eprintln!("{slow}");
    }
    panic!("a call took longer than {PATIENCE:?}, {TRIES} times");
}

/// A call must not take longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A machine that has much other work may let a process wait for as long: only what takes its time whenever it is tried does so by itself.
const TRIES: u32 = 3;

thread_local! {
    /// Which call took longer than that.
    static SLOW: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs a call, which must end.
fn ends<R>(what: &str, call: impl FnOnce() -> R) -> R {
    let begin = Instant::now();
    let result = call();
    if begin.elapsed() > PATIENCE {
        SLOW.set(Some(format!("{what} took {:?}", begin.elapsed())));
    }
    result
}

/// A call may fail in these ways only.
#[track_caller]
fn allow<T>(result: villas_shm::Result<T>, errnos: &[i32]) -> Option<T> {
    result.map_err(|e| assert!(errnos.contains(&e.errno()), "errno {}: {e}", e.errno())).ok()
}
