//! Sleepers and notifiers of one bell, and the promises of one of them. Where light fences are left
//! out, a sleeper relies on promises only.

use crate::harness::{Mapped, at_most, explore};
use crate::protocol::channel_words::{ChannelBell, ChannelWords, Side};
use crate::protocol::doorbell::{PROMISE, SLICE, arm, notify, notify_out_of_turn, notify_own, sleep};
use loom::sync::Mutex;
use loom::thread;
use std::sync::Arc;

const BELL: ChannelBell = ChannelBell::Data;

/// Sleeps on side B's bell until there is what it waits for.
fn wait(words: &Mapped, is_there: impl Fn() -> bool) {
    let bell = words.doorbell(Side::B, Side::B, BELL);
    loop {
        let armed = arm(&bell);
        if is_there() {
            return;
        }
        sleep(&bell, armed, SLICE);
    }
}

/// What side A publishes in its turn, and then out of it or side B.
fn in_turn(words: &Mapped) -> u64 {
    words.used(Side::A).observe()
}

fn out_of_turn(words: &Mapped) -> u64 {
    words.used(Side::B).observe()
}

fn publish_in_turn(words: &Mapped, count: u64) {
    for value in 1..=count {
        words.used(Side::A).publish(value);
        notify(words.doorbell(Side::A, Side::B, BELL));
    }
}

fn publish_out_of_turn(words: &Mapped, by: Side) {
    words.used(Side::B).publish(1);
    notify_out_of_turn(words.doorbell(by, Side::B, BELL));
}

#[test]
fn while_a_promise_is_left_a_sleeper_is_woken_without_a_fence() {
    for promises in [1, 2] {
        explore(at_most(3, 5), move || {
            let words = Mapped::new(1, 1);
            words.leave_fences_out();
            words.bell(Side::B, BELL).set(promises * PROMISE);
            let sleeper = {
                let words = words.clone();
                thread::spawn(move || wait(&words, || in_turn(&words) == 3))
            };
            publish_in_turn(&words, 3);
            sleeper.join().unwrap();
        });
    }
}

#[test]
fn who_notifies_out_of_turn_wakes_whether_or_not_another_has_promised() {
    for by in [Side::A, Side::B] {
        for (is_fenced, promises) in [(true, 0), (false, 0), (false, 1)] {
            explore(at_most(3, 4), move || {
                let words = Mapped::new(1, 1);
                if !is_fenced {
                    words.leave_fences_out();
                }
                words.bell(Side::B, BELL).set(promises * PROMISE);
                let sleeper = {
                    let words = words.clone();
                    thread::spawn(move || wait(&words, || in_turn(&words) == 1 && out_of_turn(&words) == 1))
                };
                let stranger = {
                    let words = words.clone();
                    thread::spawn(move || publish_out_of_turn(&words, by))
                };
                publish_in_turn(&words, 1);
                sleeper.join().unwrap();
                stranger.join().unwrap();
            });
        }
    }
}

#[test]
fn threads_of_one_side_wake_each_other_by_their_turns_alone() {
    explore(None, || {
        let (words, turn) = (Mapped::new(1, 1), Arc::new(Mutex::new(())));
        words.leave_fences_out();
        words.bell(Side::B, BELL).set(PROMISE);
        let sleeper = {
            let (words, turn) = (words.clone(), turn.clone());
            thread::spawn(move || {
                wait(&words, || {
                    let _turn = turn.lock().unwrap();
                    words.used(Side::B).get() == 1
                });
            })
        };
        let in_its_turn = turn.lock().unwrap();
        words.used(Side::B).set(1);
        notify_own(words.doorbell(Side::B, Side::B, BELL));
        drop(in_its_turn);
        sleeper.join().unwrap();
    });
}
