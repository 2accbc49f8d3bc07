//! A tool that is killed under traffic: its successor prints what it has not.
#![allow(missing_docs)]

mod common;

use common::{Node, PATIENCE, TOOL, until};
use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use villas_shm::{Channel, ErrorKind};

const KILLS: usize = 20;

/// Writes numbered samples, across all nodes that come and go, until told to stop; how many it wrote.
fn write_until(stop: &AtomicBool, region: &str) -> u64 {
    let channel = Channel::timed_open(region, Some(PATIENCE)).unwrap();
    let mut written = 0;
    while !stop.load(SeqCst) {
        let Ok(mut sample) = channel.alloc() else { continue };
        sample.set_sequence(written);
        sample.write_values(&[written as f64]).unwrap();
        match channel.send(sample).map_err(|unsent| unsent.error) {
            Ok(()) => written += 1,
            Err(e) if e.is_transient() => {}
            // Between a kill and the next start.
            Err(e) if e.kind() == ErrorKind::Closed => channel.wait(Some(PATIENCE)).unwrap(),
            Err(e) => panic!("{e}"),
        }
    }
    until("all is read", || channel.stats().queued_out == 0);
    written
}

fn numbers(text: &str) -> BTreeSet<u64> {
    // A line that a kill has cut is none, nor is what follows it up to its end.
    let number = |line: &str| line.split_once('(')?.1.split_once(")\t")?.0.parse().ok();
    text.lines().filter_map(number).collect()
}

#[test]
fn each_sample_that_a_killed_tool_gave_back_is_printed_by_it_or_by_its_successor() {
    let node = Node::new("queuelen = 256; samplelen = 1");
    let path = node.path("output.dat");
    let start = || -> Child {
        let output = File::options().append(true).create(true).open(&path).unwrap();
        std::process::Command::new(TOOL)
            .args(["pipe", "-r"])
            .arg(&node.config)
            .arg("n")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let stop = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let mut running = start();
        let writer = scope.spawn(|| write_until(&stop, &node.region));
        for _ in 0..KILLS {
            let before = std::fs::metadata(&path).unwrap().len();
            until("lines come", || std::fs::metadata(&path).unwrap().len() > before + 100_000 || writer.is_finished());
            running.kill().unwrap();
            running.wait().unwrap();
            running = start();
        }
        stop.store(true, SeqCst);
        let written = writer.join().unwrap();
        common::kill(running.id(), common::Signal::SIGTERM);
        assert!(running.wait().unwrap().success());
        written
    });
    let printed = numbers(&std::fs::read_to_string(&path).unwrap());
    let missing: Vec<u64> = (0..written).filter(|number| !printed.contains(number)).collect();
    // A line that a kill cut in two is there a second time, as its sample was not put.
    assert!(missing.is_empty(), "of {written} samples {} are missing, the first is {:?}", missing.len(), missing.first());
    assert!(written > 1000, "only {written} samples were written");
}
