//! A look at any bytes by the inspector, which must end, say what is possible, and change nothing.

use villas_shm::fuzzing;
use villas_shm::inspect::{Kind, State};

use crate::input::Input;
use crate::object::Stage;
use crate::{ends, seeds};

/// See the module's description.
pub fn look(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let waiting = input.below(10);
    let region = seeds::region(&mut input, seeds::all());
    let entry = Stage::with(&region, |stage| {
        let entry = ends("a look", || fuzzing::look(&stage.name.0, waiting)).expect("it can be opened");
        assert!(stage.is(&region), "a look changed the object");
        entry
    });
    assert_eq!(entry.size, region.len() as u64);
    assert!(entry.queues.iter().all(|queue| queue.depth <= queue.capacity && queue.waiting.len() <= waiting), "{entry:?}");
    assert!(entry.queues.iter().all(|queue| queue.written.wrapping_sub(queue.read) == queue.depth), "{entry:?}");
    assert!(entry.queues.iter().flat_map(|queue| &queue.signals).all(|signal| !signal.name().is_empty()), "{entry:?}");
    assert!(entry.blocks.is_none_or(|(free, all)| free <= all), "{entry:?}");
    assert!(entry.state != State::Corrupt || entry.note.is_some(), "{entry:?}");
    // All that is said can be printed.
    std::hint::black_box(format!("{entry:?} {}", entry.users()));
    entry.kind != Kind::Posix && entry.state != State::Corrupt
}
