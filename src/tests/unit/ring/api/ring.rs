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
