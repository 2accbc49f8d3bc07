//! Of `channel/wire/open`.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A VILLASnode attaches as soon as it has its post, and this side gives up at that moment.
#[test]
fn who_has_attached_to_a_side_that_gives_up_sees_the_end() {
    for polling in [false, true] {
        let name = |what| format!("villas-gives-up-{what}-{}", std::process::id());
        let (own, other) = (name("own"), name("other"));
        let config = Config::new().polling(polling).queuelen(2).samplelen(1);
        let is_attached = AtomicBool::new(false);
        let seen = std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| open(own.as_ref(), other.as_ref(), &config, &Limit::Forever, &|| is_attached.load(Relaxed)));
            let at = Name::new(&own).unwrap();
            let seen = loop {
                match Object::open(&at).and_then(|object| attach(object, at)) {
                    Ok(region) => break region,
                    Err(_) => std::thread::yield_now(),
                }
            };
            is_attached.store(true, Relaxed);
            assert_eq!(waiting.join().unwrap().err().map(|e| e.errno()), Some(libc::ECANCELED));
            seen
        });
        assert_eq!(seen.view.queue(Which::Samples).state.observe(), STOPPED);
        assert!(!Name::new(&own).unwrap().is_taken());
    }
}
