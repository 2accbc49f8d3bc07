//! Of `ring/api/ring`.

use super::*;

#[test]
fn a_ring_that_is_dropped_gives_back_what_was_forgotten() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        let name = format!("villas-test-{}-forgotten-{policy:?}", std::process::id());
        for _ in 0..3 {
            let producer = Ring::<u64>::open(&name, policy, Role::Producer, 2).unwrap();
            let consumer = Ring::<u64>::open(&name, policy, Role::Consumer, 2).unwrap();
            producer.push(&1).unwrap();
            std::mem::forget(producer.reserve().unwrap());
            std::mem::forget(consumer.peek().unwrap());
            drop((producer, consumer));
            let consumer = Ring::<u64>::open(&name, policy, Role::Consumer, 2).unwrap();
            assert_eq!(consumer.pending(), usize::from(policy == Policy::Spsc), "{policy:?}");
            let _ = consumer.try_pop();
            assert_eq!(consumer.available(), 2, "{policy:?}");
        }
        Ring::unlink(&name).unwrap();
    }
}

#[test]
fn messages_go_by_address_one_and_many() {
    let name = format!("villas-test-{}-by-address", std::process::id());
    let producer = Ring::open_bytes(&name, Policy::Spsc, Role::Producer, 2, 3).unwrap();
    let consumer = Ring::open_bytes(&name, Policy::Spsc, Role::Consumer, 2, 3).unwrap();
    Ring::unlink(&name).unwrap();
    let (given, mut taken) = (*b"aabbccdd", [0u8; 8]);
    let soon = Some(Duration::from_millis(1));
    // SAFETY: both have room for four messages of two bytes.
    unsafe {
        producer.timed_push_from(given.as_ptr(), soon).unwrap();
        assert_eq!(producer.push_many_from(given.as_ptr().add(2), 3).unwrap(), 2);
        assert_eq!(producer.timed_push_from(given.as_ptr(), soon).unwrap_err().errno(), libc::ETIMEDOUT);
        consumer.timed_pop_into(taken.as_mut_ptr(), soon).unwrap();
        assert_eq!(consumer.pop_many_into(taken.as_mut_ptr().add(2), 3).unwrap(), 2);
        assert_eq!(consumer.pop_many_into(taken.as_mut_ptr(), 3).unwrap_err().errno(), libc::EAGAIN);
    }
    assert_eq!(&taken, b"aabbcc\0\0");
}
