//! The ring with one producer and one consumer, each of which is killed before any of its stores.

use crate::harness::{at_most, explore, explore_kills, until_killed};
use crate::protocol::spsc;
use crate::ring::Ring;
use loom::thread;

fn spsc_push(ring: &Ring, producer: &mut spsc::Producer, values: &[u64]) {
    while producer.room(ring, values.len() as u32).unwrap() < values.len() as u32 {
        thread::yield_now();
    }
    for ((at, value), index) in (0..).zip(values).zip(producer.run(values.len() as u32).into_iter().flatten()) {
        ring.write(index, *value);
        producer.stage(ring, index, at);
    }
    producer.publish(ring, values.len() as u32);
}

fn spsc_pop(ring: &Ring, consumer: &mut spsc::Consumer, most: u32) -> Vec<u64> {
    let mut values = Vec::new();
    for index in consumer.run(most).into_iter().flatten() {
        // One by one, as `pop` looks; else as `pop_many`.
        let is_there = if most == 1 { consumer.comes(ring, 1) } else { consumer.is_there(ring, index, values.len() as u32) };
        if !is_there {
            break;
        }
        values.push(ring.read(index));
    }
    if !values.is_empty() {
        consumer.release(ring, values.len() as u32);
    }
    values
}

/// Pops messages one by one until there are this many.
fn spsc_pop_up_to(ring: &Ring, consumer: &mut spsc::Consumer, values: &mut Vec<u64>, most: usize) {
    while values.len() < most {
        let more = spsc_pop(ring, consumer, 1);
        if more.is_empty() {
            thread::yield_now();
        }
        values.extend(more);
    }
}

#[test]
fn spsc_messages_cross_whole_and_in_order_whatever_the_capacity() {
    for capacity in [1, 2] {
        explore(at_most(3, 4), move || {
            let ring = Ring::new(capacity, 2);
            let mut producer = spsc::Producer::recover(&ring, true).unwrap();
            let theirs = ring.clone();
            let reader = thread::spawn(move || {
                let mut consumer = spsc::Consumer::recover(&theirs).unwrap();
                let mut values = Vec::new();
                spsc_pop_up_to(&theirs, &mut consumer, &mut values, 3);
                values
            });
            for value in 1..=3 {
                spsc_push(&ring, &mut producer, &[value]);
            }
            assert_eq!(reader.join().unwrap(), [1, 2, 3]);
            assert_eq!(spsc::pending(&ring).unwrap(), 0);
        });
    }
}

#[test]
fn an_spsc_batch_is_seen_wholly_or_not_at_all() {
    explore(at_most(3, 4), || {
        let ring = Ring::new(3, 2);
        let mut producer = spsc::Producer::recover(&ring, true).unwrap();
        let theirs = ring.clone();
        let reader = thread::spawn(move || {
            let mut consumer = spsc::Consumer::recover(&theirs).unwrap();
            let mut values = Vec::new();
            while values.len() < 4 {
                let more = spsc_pop(&theirs, &mut consumer, 3);
                assert!(more.len() % 2 == 0, "{more:?}");
                if more.is_empty() {
                    thread::yield_now();
                }
                values.extend(more);
            }
            values
        });
        spsc_push(&ring, &mut producer, &[1, 2]);
        spsc_push(&ring, &mut producer, &[3, 4]);
        assert_eq!(reader.join().unwrap(), [1, 2, 3, 4]);
    });
}

/// The producer is killed before each of its stores; its successor continues beside a consumer.
#[test]
fn what_a_dead_spsc_producer_has_published_is_delivered_and_nothing_else() {
    explore_kills(at_most(2, 3), |fuel| {
        let ring = Ring::new(2, 2);
        let theirs = ring.clone();
        let writer = thread::spawn(move || {
            let mut published = 0;
            let killed = until_killed(fuel, || {
                let mut producer = spsc::Producer::recover(&theirs, false).unwrap();
                spsc_push(&theirs, &mut producer, &[1]);
                published += 1;
                spsc_push(&theirs, &mut producer, &[2, 3]);
                published += 2;
            });
            let mut producer = spsc::Producer::recover(&theirs, false).unwrap();
            spsc_push(&theirs, &mut producer, &[9]);
            (killed, published)
        });
        let mut consumer = spsc::Consumer::recover(&ring).unwrap();
        let mut values = Vec::new();
        while values.last() != Some(&9) {
            let more = spsc_pop(&ring, &mut consumer, 1);
            if more.is_empty() {
                thread::yield_now();
            }
            values.extend(more);
        }
        values.pop();
        let (killed, published) = writer.join().unwrap();
        let expected: Vec<u64> = (1..=values.len() as u64).collect();
        assert_eq!(values, expected);
        let possible: &[usize] = match (killed, published) {
            (false, _) => &[3],
            (true, 0) => &[0, 1],
            (true, 1) => &[1, 3],
            _ => &[3],
        };
        assert!(possible.contains(&values.len()), "{published} published, {values:?} came");
        assert_eq!(spsc::pending(&ring).unwrap(), 0);
    });
}

/// The consumer is killed before each of its stores; its successor continues beside a producer that
/// pushes these batches.
fn consumer_dies(capacity: usize, batches: &'static [&'static [u64]]) {
    explore_kills(at_most(2, 3), move |fuel| {
        let ring = Ring::new(capacity, 2);
        let theirs = ring.clone();
        let reader = thread::spawn(move || {
            let mut values = Vec::new();
            until_killed(fuel, || {
                let mut consumer = spsc::Consumer::recover(&theirs).unwrap();
                spsc_pop_up_to(&theirs, &mut consumer, &mut values, 3);
            });
            let mut consumer = spsc::Consumer::recover(&theirs).unwrap();
            spsc_pop_up_to(&theirs, &mut consumer, &mut values, 3);
            values
        });
        let mut producer = spsc::Producer::recover(&ring, true).unwrap();
        for batch in batches {
            spsc_push(&ring, &mut producer, batch);
        }
        assert_eq!(reader.join().unwrap(), [1, 2, 3]);
    });
}

#[test]
fn what_a_dead_spsc_consumer_has_not_taken_comes_to_its_successor() {
    consumer_dies(1, &[&[1], &[2], &[3]]);
}

#[test]
fn a_new_spsc_consumer_goes_on_in_the_middle_of_a_batch() {
    consumer_dies(2, &[&[1, 2], &[3]]);
}
