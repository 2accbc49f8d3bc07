//! Two sides that exchange samples.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use villas_shm::{Channel, Config, Policy, Ring, Role, Signal, SignalType};

use super::common::until;

/// A channel at work until it is dropped: sample k has the values k, -k and, of type integer, k; the
/// program answers each.
pub struct Traffic {
    pub name: String,
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    pub fn new(what: &str, history: u32) -> Traffic {
        let name = format!("villas-watch-{what}-{}", std::process::id());
        let signal = |name, kind| Signal::new(name, "V", kind);
        let out = [signal("u", SignalType::Float), signal("w", SignalType::Float), signal("k", SignalType::Integer)];
        let config = Config::new().samplelen(3).history(history).out_signals(out).in_signals([signal("back", SignalType::Float)]);
        let node = Channel::create(&name, &config).unwrap();
        let program = Channel::open(&name).unwrap();
        let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (end, count) = (is_over.clone(), sent.clone());
        let thread = thread::spawn(move || {
            let mut samples = Vec::new();
            for k in 0.. {
                if end.load(Relaxed) {
                    break;
                }
                for (from, to, values) in
                    [(&node, &program, &[k as f64, -(k as f64), f64::from_bits(k)][..]), (&program, &node, &[k as f64])]
                {
                    let mut sample = from.alloc().unwrap();
                    sample.set_sequence(k);
                    sample.write_values(values).unwrap();
                    from.write(&mut vec![sample]).unwrap();
                    to.read(&mut samples, 1).unwrap();
                    samples.clear();
                }
                count.store(k + 1, Relaxed);
                // A pace, of at most 20 000 per second.
                thread::sleep(Duration::from_micros(20));
            }
        });
        Traffic { name, is_over, sent, thread: Some(thread) }
    }

    /// Waits until more have passed.
    pub fn go_on(&self) {
        let before = self.sent.load(Relaxed);
        until("more samples pass", || self.sent.load(Relaxed) > before + 100);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        let _ = Channel::unlink(&self.name);
        assert!(thread::panicking() || ended.is_some_and(|ended| ended.is_ok()));
    }
}

/// A ring whose messages, each 1.5 and -2, are taken at once, until it is dropped: also by a failure.
pub struct Messages {
    pub name: String,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Messages {
    pub fn new(what: &str, policy: Policy) -> Messages {
        let name = format!("villas-watch-{what}-{}", std::process::id());
        let producer = Ring::<[f64; 2]>::open(&name, policy, Role::Producer, 1000).unwrap();
        let consumer = Ring::<[f64; 2]>::open(&name, policy, Role::Consumer, 1000).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let end = is_over.clone();
        let thread = thread::spawn(move || {
            while !end.load(Relaxed) {
                producer.push(&[1.5, -2.0]).unwrap();
                consumer.pop().unwrap();
                // A pace, of at most 10 000 per second.
                thread::sleep(Duration::from_micros(50));
            }
        });
        Messages { name, is_over, thread: Some(thread) }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        let _ = Ring::unlink(&self.name);
        assert!(thread::panicking() || ended.is_some_and(|ended| ended.is_ok()));
    }
}
