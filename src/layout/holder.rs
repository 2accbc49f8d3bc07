//! The process that holds a place in a region.

use crate::protocol::atomics::{Shared32, Shared64};
use crate::sys::clock::unix_time;
use crate::sys::process::Identity;

/// Written by the holder of the place's lock: at attach and close only, so that a look at another's
/// costs no cache miss.
#[repr(C)]
pub(crate) struct Holder {
    /// Counts the processes that have held the place; the one in force locks the byte of this
    /// number.
    pub(crate) incarnation: Shared64,
    /// The incarnation that has closed.
    pub(crate) closed: Shared64,
    pub(crate) pid: Shared32,
    /// In a ring, producer or consumer.
    pub(crate) role: Shared32,
    /// Of the process, in clock ticks since boot: tells a reused pid.
    start_time: Shared64,
    /// Its pid and time namespaces, without which `pid` and `start_time` mean nothing.
    pid_namespace: Shared64,
    /// Seconds since 1970.
    attached: Shared64,
    /// The program's name, for people.
    program: [Shared64; 2],
}

const _: () = assert!(size_of::<Holder>() == 0x40);

impl Holder {
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            pid: self.pid.get(),
            start_time: self.start_time.get(),
            namespace: self.pid_namespace.get(),
            program: [self.program[0].get(), self.program[1].get()],
        }
    }

    /// When the holder came, in seconds since 1970.
    pub(crate) fn attached(&self) -> u64 {
        self.attached.get()
    }

    /// Enters an incarnation; its lock must be held.
    pub(crate) fn occupy(&self, incarnation: u64, who: &Identity) {
        self.pid.set(who.pid);
        self.start_time.set(who.start_time);
        self.pid_namespace.set(who.namespace);
        self.attached.set(unix_time());
        self.program[0].set(who.program[0]);
        self.program[1].set(who.program[1]);
        self.incarnation.publish(incarnation); // S1
    }
}
