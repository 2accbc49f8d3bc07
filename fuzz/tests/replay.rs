//! Feeds each file of `corpus/TARGET` to its target, without the fuzzer: what it once found, and one way into each part of the code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use villas_shm_fuzz::{TARGETS, feed};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let directory = corpus(target);
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a directory can be listed").path()).collect();
    files.sort();
    files
}

/// Fails with the files that do, and the command that runs one of them again.
#[track_caller]
fn replay(target: &str) {
    let (_, function) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target of this name");
    let files = inputs(target);
    let (mut failed, mut came_in) = (Vec::new(), 0);
    for file in &files {
        let bytes = std::fs::read(file).expect("it was listed");
        match catch_unwind(AssertUnwindSafe(|| feed(*function, &bytes))) {
            Ok(was_in) => came_in += usize::from(was_in),
            Err(_) => failed.push(file.file_name().unwrap_or_default().to_owned()),
        }
    }
    assert!(failed.is_empty(), "{target}: {failed:?} fail: make fuzz TARGET={target} INPUT=fuzz/corpus/{target}/FILE");
    // Most are there to be refused, in one way or another; if all were, they would show little.
    assert!(came_in >= 4, "{target}: {came_in} of {} came past the door", files.len());
    println!("{target}: {} inputs, {came_in} past the door", files.len());
}

macro_rules! replays {
    ($($target:ident)+) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )+

        #[test]
        fn no_target_is_left_out() {
            let replayed = [$(stringify!($target)),+];
            assert_eq!(replayed.to_vec(), TARGETS.map(|(name, _)| name).to_vec());
        }
    };
}
replays!(open_channel open_ring open_event look wire live_channel live_ring line libconfig json);

/// What is kept must stay small: `make fuzz-corpus` makes it so.
#[test]
fn the_corpus_is_small() {
    let size = |file: PathBuf| file.metadata().map_or(0, |data| data.len());
    let all: u64 = TARGETS.iter().flat_map(|(target, _)| inputs(target)).map(size).sum();
    assert!(all < 300_000, "{all} bytes");
}
