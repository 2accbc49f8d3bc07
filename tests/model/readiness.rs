//! Descriptors under loom: an event loop that only polls a flag, the helper that raises it, and a
//! peer. The loop and the helper sleep without limit here, so a lost event is a deadlock, which loom
//! reports.

use crate::harness::{Mapped, at_most, explore};
use crate::protocol::channel_words::{ChannelBell, ChannelWords, Side};
use crate::protocol::doorbell;
use crate::protocol::half::{Half, Sizes};
use crate::protocol::readiness::{Flag, Listener, rest};
use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;

const SIZES: Sizes = Sizes { queuelen: 2, entries: 2, home_blocks: 2, history: 0 };

/// An eventfd.
struct Eventfd {
    raised: Mutex<bool>,
    pollers: Condvar,
}

impl Eventfd {
    fn new() -> Eventfd {
        // As it is when a program gets it.
        Eventfd { raised: Mutex::new(true), pollers: Condvar::new() }
    }
    fn poll(&self) {
        let mut raised = self.raised.lock().unwrap();
        while !*raised {
            raised = self.pollers.wait(raised).unwrap();
        }
    }
}

impl Flag for Eventfd {
    fn raise(&self) {
        *self.raised.lock().unwrap() = true;
        self.pollers.notify_all();
    }
    fn take_down(&self) {
        *self.raised.lock().unwrap() = false;
    }
}

/// The helper: hears the bell, and sleeps in the kernel while nothing changes, until told to end.
fn listen(words: &Mapped, side: Side, bell: ChannelBell, mut listener: Listener, flag: &Eventfd, is_over: &AtomicBool) {
    loop {
        let (seen, _) = listener.hear(words.bell(side, bell), doorbell::COUNT, false, flag);
        if is_over.load(SeqCst) {
            break;
        }
        words.sleep(side, bell, seen, doorbell::SLICE);
    }
}

/// Ends the helper: by the bell, which it cannot miss.
fn end(words: &Mapped, side: Side, bell: ChannelBell, is_over: &AtomicBool) {
    is_over.store(true, SeqCst);
    let bell = words.doorbell(side, side, bell);
    doorbell::arm(&bell);
    doorbell::notify_out_of_turn(bell);
}

#[test]
fn an_event_loop_that_only_polls_gets_each_sample() {
    explore(at_most(2, 3), || {
        let words = Mapped::new(SIZES.entries, 2 * SIZES.home_blocks);
        let [mut a, mut b] = [Side::A, Side::B].map(|side| Half::recover(words.clone(), side, SIZES).unwrap());
        let (flag, is_over) = (Arc::new(Eventfd::new()), Arc::new(AtomicBool::new(false)));
        let listener = Listener::new(words.bell(Side::B, ChannelBell::Data));
        let helper = {
            let (words, flag, is_over) = (words.clone(), flag.clone(), is_over.clone());
            thread::spawn(move || listen(&words, Side::B, ChannelBell::Data, listener, &flag, &is_over))
        };
        let writer = {
            let words = words.clone();
            thread::spawn(move || {
                for value in 1..=2 {
                    let mut block = None;
                    a.alloc(1, |_, number, _| block = Some(number));
                    words.change(block.unwrap(), |contents| contents.value = value);
                    a.write(0, 1, |_| block.unwrap() as usize);
                    a.notify_data();
                }
            })
        };
        let mut last = 0;
        while last < 2 {
            flag.poll();
            let mut read = || {
                let mut got = None;
                b.read(1, |_, block, _| got = Some(block)).unwrap();
                got
            };
            let bell = || words.doorbell(Side::B, Side::B, ChannelBell::Data);
            let got = match read() {
                None => rest(&*flag, || doorbell::arm(&bell()), read).ok(),
                got => got,
            };
            if let Some(block) = got {
                last += 1;
                assert_eq!(words.with(block, |contents| contents.value), last);
            }
        }
        end(&words, Side::B, ChannelBell::Data, &is_over);
        helper.join().unwrap();
        writer.join().unwrap();
    });
}

#[test]
fn an_event_loop_that_waits_for_room_finds_it() {
    const FULL: Sizes = Sizes { queuelen: 1, entries: 1, home_blocks: 2, history: 0 };
    explore(at_most(2, 3), || {
        let words = Mapped::new(FULL.entries, 2 * FULL.home_blocks);
        let [mut a, mut b] = [Side::A, Side::B].map(|side| Half::recover(words.clone(), side, FULL).unwrap());
        let (flag, is_over) = (Arc::new(Eventfd::new()), Arc::new(AtomicBool::new(false)));
        let mut blocks = [0; 2];
        assert_eq!(a.alloc(2, |at, number, _| blocks[at] = number), 2);
        assert_eq!(a.write(0, 1, |_| blocks[0] as usize).0, 1);
        let listener = Listener::new(words.bell(Side::A, ChannelBell::Room));
        let helper = {
            let (words, flag, is_over) = (words.clone(), flag.clone(), is_over.clone());
            thread::spawn(move || listen(&words, Side::A, ChannelBell::Room, listener, &flag, &is_over))
        };
        let reader = thread::spawn(move || assert_eq!(b.read(1, |_, _, _| {}).unwrap(), 1));
        let mut write = || (a.write(0, 1, |_| blocks[1] as usize).0 == 1).then_some(());
        loop {
            flag.poll();
            let arm = || doorbell::arm(&words.doorbell(Side::A, Side::A, ChannelBell::Room));
            if write().is_some() || rest(&*flag, arm, &mut write).is_ok() {
                break;
            }
        }
        end(&words, Side::A, ChannelBell::Room, &is_over);
        helper.join().unwrap();
        reader.join().unwrap();
    });
}
