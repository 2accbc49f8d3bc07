//! The gate under loom: turns, closing, late puts.

use crate::harness::{ID, at_most, explore};
use crate::protocol::gate::{Common, Gate, Idle};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use std::sync::Arc;

struct Core {
    turns: UnsafeCell<u32>,
    held: u32,
    dropped: Arc<AtomicUsize>,
}

impl Common for () {
    fn on_deserted(&self) {}
}

impl Idle for Core {
    fn is_idle(&self) -> bool {
        self.held == 0
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, SeqCst);
    }
}

fn gate(held: u32) -> (Arc<Gate<(), Core>>, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let gate = Gate::new();
    assert!(gate.claim());
    gate.fill((), Core { turns: UnsafeCell::new(0), held, dropped: dropped.clone() });
    (Arc::new(gate), dropped)
}

fn take_turn(gate: &Gate<(), Core>) {
    let turn = |core: &mut Core| {
        // SAFETY: loom reports the access if another thread is at it.
        core.turns.with_mut(|turns| unsafe { *turns += 1 });
    };
    // By the fast path, as all calls try first.
    match gate.enter_as_owner() {
        Some(mut short) => turn(short.parts().1),
        None => match gate.enter(false) {
            Some(mut pass) => turn(pass.parts().1),
            None => return,
        },
    }
    let Some(mut pass) = gate.enter(false) else { return };
    turn(pass.parts().1);
    turn(pass.pause().resume().parts().1);
}

#[test]
fn threads_take_turns_whoever_owns_the_gate() {
    explore(at_most(3, 4), || {
        let (gate, _) = gate(0);
        take_turn(&gate); // The first thread owns it from here on.
        let shared = gate.clone();
        let other = thread::spawn(move || {
            ID.with(|id| id.set(17));
            take_turn(&shared);
        });
        take_turn(&gate);
        other.join().unwrap();
        let mut pass = gate.enter(false).unwrap();
        // SAFETY: the other thread has ended.
        pass.parts().1.turns.with(|turns| assert_eq!(unsafe { *turns }, 9));
    });
}

#[test]
fn a_closed_gate_is_cleared_once_after_the_last_has_left() {
    explore(at_most(3, 4), || {
        let (gate, dropped) = gate(0);
        take_turn(&gate);
        let shared = gate.clone();
        let closer = thread::spawn(move || {
            ID.with(|id| id.set(17));
            if let Some(visit) = shared.visit() {
                visit.close();
            }
        });
        take_turn(&gate);
        closer.join().unwrap();
        assert_eq!(dropped.load(SeqCst), 1, "cleared by whoever left last");
        assert!(gate.enter(true).is_none());
    });
}

#[test]
fn who_comes_first_while_another_closes_does_not_own_the_gate() {
    explore(at_most(3, 4), || {
        let (gate, dropped) = gate(0);
        let shared = gate.clone();
        let closer = thread::spawn(move || {
            ID.with(|id| id.set(17));
            assert!(shared.visit().expect("it is open").close());
        });
        drop(gate.enter(false));
        closer.join().unwrap();
        assert_eq!(dropped.load(SeqCst), 1);
        // The fast path does not check whether the gate is closed.
        assert!(gate.enter_as_owner().is_none());
    });
}

#[test]
fn a_late_put_waits_for_the_owner_who_is_still_inside_when_another_closes() {
    explore(at_most(3, 4), || {
        let (gate, dropped) = gate(1);
        take_turn(&gate);
        let shared = gate.clone();
        let other = thread::spawn(move || {
            ID.with(|id| id.set(17));
            if let Some(visit) = shared.visit() {
                visit.close();
            }
            let mut pass = shared.enter(true).expect("a sample is out");
            let core = pass.parts().1;
            // SAFETY: loom reports the access if the owner is at it.
            core.turns.with_mut(|turns| unsafe { *turns += 1 });
            core.held -= 1;
        });
        take_turn(&gate);
        other.join().unwrap();
        assert_eq!(dropped.load(SeqCst), 1);
    });
}

#[test]
fn the_last_put_after_a_close_clears_the_gate() {
    explore(at_most(3, 4), || {
        let (gate, dropped) = gate(1);
        take_turn(&gate);
        let shared = gate.clone();
        let closer = thread::spawn(move || {
            ID.with(|id| id.set(17));
            if let Some(visit) = shared.visit() {
                visit.close();
            }
        });
        // A put may enter while the core is not idle.
        gate.enter(true).expect("a sample is out").parts().1.held -= 1;
        closer.join().unwrap();
        assert_eq!(dropped.load(SeqCst), 1, "cleared by whoever left last");
        assert!(gate.enter(true).is_none());
    });
}
