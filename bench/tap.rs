//! What a tap sees, and what it costs. `make bench-tap` runs it; two minutes, on an idle machine.
//!
//! Two processes exchange samples of 8 values; a third, this one, taps them every 500 µs. Ratios are
//! medians, with the middle half of turns of 0.2 s, with and without in turn.

use std::process::{Child, Command};
use std::time::{Duration, Instant};
use villas_shm::inspect::{Tap, look};
use villas_shm::{Channel, Config, Result};

const VALUES: usize = 8;
const RATE: f64 = 20_000.0;
const EVERY: Duration = Duration::from_micros(500);
const TURN: Duration = Duration::from_millis(200);
const TURNS: usize = 40;

fn config(mode: &str, history: u32) -> Config {
    Config::new().samplelen(VALUES as u32).polling(mode == "polling").history(history)
}

fn send(channel: &Channel, count: usize) -> Result<()> {
    let mut samples = Vec::new();
    channel.timed_alloc(&mut samples, count, None)?;
    for sample in &mut samples {
        sample.write_values(&[0.5; VALUES])?;
    }
    while !samples.is_empty() {
        channel.timed_write(&mut samples, None)?;
    }
    Ok(())
}

fn node(name: &str, mode: &str, history: u32, work: &str) -> Result<()> {
    let channel = Channel::create(name, &config(mode, history))?;
    channel.wait(None)?;
    let (start, mut sent, mut answers) = (Instant::now(), 0, Vec::new());
    loop {
        match work {
            "paced" => {
                let due = (start.elapsed().as_secs_f64() * RATE) as u64;
                (sent..due).try_for_each(|_| send(&channel, 1))?;
                sent = due;
                std::thread::sleep(Duration::from_micros(50));
            }
            "stream" => send(&channel, 16)?,
            _ => {
                send(&channel, 1)?;
                while channel.timed_read(&mut answers, 1, None)? == 0 {}
                answers.clear();
            }
        }
    }
}

fn program(name: &str, work: &str) -> Result<()> {
    let channel = Channel::timed_open(name, None)?;
    let mut samples = Vec::new();
    loop {
        channel.timed_read(&mut samples, 16, None)?;
        if work == "exchange" {
            channel.timed_write(&mut samples, None)?;
        }
        samples.clear();
    }
}

/// Two processes at work; killed when dropped.
struct Traffic {
    name: String,
    children: [Child; 2],
}

impl Traffic {
    fn new(mode: &str, history: u32, work: &str) -> Traffic {
        let name = format!("villas-bench-tap-{}", std::process::id());
        let me = std::env::current_exe().expect("this program");
        let start = |role: &str| Command::new(&me).args([role, &name, mode, &history.to_string(), work]).spawn();
        let traffic = Traffic { children: ["node", "program"].map(|role| start(role).expect("a process")), name: name.clone() };
        let begin = Instant::now();
        while traffic.written().is_none_or(|written| written < 100) {
            assert!(begin.elapsed() < Duration::from_secs(60), "the processes do not begin");
            std::thread::sleep(Duration::from_millis(10));
        }
        traffic
    }

    /// Samples that the node has sent.
    fn written(&self) -> Option<u64> {
        Some(look(&self.name, 0).ok()?.queues.first()?.written)
    }

    fn rate(&self, mut work: impl FnMut()) -> f64 {
        let (before, start) = (self.written().expect("a channel"), Instant::now());
        while start.elapsed() < TURN {
            work();
        }
        (self.written().expect("a channel") - before) as f64 / start.elapsed().as_secs_f64()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Channel::unlink(&self.name);
    }
}

fn median(mut ratios: Vec<f64>) -> String {
    ratios.sort_unstable_by(f64::total_cmp);
    let [low, middle, high] = [1, 2, 3].map(|quarter| ratios[ratios.len() * quarter / 4]);
    format!("{middle:.3} ({low:.3} to {high:.3})")
}

fn seen_at_a_pace(mode: &str, history: u32) {
    let traffic = Traffic::new(mode, history, "paced");
    let mut tap = Tap::open(&traffic.name).expect("a tap");
    let (mut passed, mut seen, mut marked, start) = (Vec::new(), 0_u64, 0_u64, Instant::now());
    while start.elapsed() < Duration::from_secs(10) {
        tap.follow(&mut passed, 1024).expect("a channel");
        seen += passed.len() as u64;
        marked += passed.drain(..).filter(|one| one.may_have_changed).count() as u64;
        std::thread::sleep(tap.pause());
    }
    let per_second = (seen + tap.missed()) as f64 / start.elapsed().as_secs_f64();
    let missed = tap.missed();
    println!("{mode:8} history {history:2}  {per_second:7.0} /s  {seen:8} seen, {marked:8} of them marked, {missed:6} missed");
}

fn ratio_with_a_tap(mode: &str, history: u32, work: &str) {
    let traffic = Traffic::new(mode, history, work);
    let mut tap = Tap::open(&traffic.name).expect("a tap");
    let (mut passed, mut ratios, mut rate) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..TURNS {
        let without = traffic.rate(|| std::thread::sleep(EVERY));
        let with = traffic.rate(|| {
            tap.follow(&mut passed, 1024).expect("a channel");
            passed.clear();
            std::thread::sleep(tap.pause());
        });
        ratios.push(with / without);
        rate = without;
    }
    println!("{mode:8} history {history:2}  {work:8}  {:5.2} M/s  with a tap / without: {}", rate / 1e6, median(ratios));
}

fn ratio_of_histories(mode: &str, work: &str) {
    let mut ratios = Vec::new();
    for _ in 0..TURNS {
        let [without, with] = [0, 64].map(|history| Traffic::new(mode, history, work).rate(|| std::thread::sleep(EVERY)));
        ratios.push(with / without);
    }
    println!("{mode:8} {work:8}  history 64 / none: {}", median(ratios));
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // They end when the other one is killed.
        ["node", name, mode, history, work] => {
            let _ = node(name, mode, history.parse().expect("a number"), work);
            return Ok(());
        }
        ["program", name, _, _, work] => {
            let _ = program(name, work);
            return Ok(());
        }
        _ => {}
    }
    println!("Samples of {VALUES} values at {RATE} per second:");
    [0, 64].into_iter().for_each(|history| seen_at_a_pace("pthread", history));
    println!("As fast as they can:");
    for (mode, work) in [("pthread", "stream"), ("pthread", "exchange"), ("polling", "stream"), ("polling", "exchange")] {
        ratio_with_a_tap(mode, 64, work);
    }
    for (mode, work) in [("pthread", "stream"), ("pthread", "exchange"), ("polling", "exchange")] {
        ratio_of_histories(mode, work);
    }
    Ok(())
}
