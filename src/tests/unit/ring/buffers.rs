//! Of `ring/buffers`.

use super::*;

const MOST: usize = 700;

/// Bytes that tell their places.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 7 + at / 251 + 1) as u8).collect()
}

/// Lengths on both sides of each way of copying, and both ends of memory at each alignment to 8.
#[test]
fn a_message_of_any_length_is_copied_and_nothing_beside_it() {
    let from = pattern(MOST + 8);
    for length in 0..MOST {
        for shift in [0, 1, 5] {
            let mut pushed = vec![0; MOST + 16];
            let mut popped = vec![0; MOST + 16];
            // SAFETY: both have room behind `shift` for the message.
            unsafe {
                ToPush::new(from[shift..].as_ptr()).write(0, pushed[shift..].as_mut_ptr(), length);
                ToFill::new(popped[shift..].as_mut_ptr()).read(0, from[shift..].as_ptr(), length);
            }
            for copied in [pushed, popped] {
                assert_eq!(copied[shift..shift + length], from[shift..shift + length], "length {length}, shift {shift}");
                assert!(copied[..shift].iter().chain(&copied[shift + length..]).all(|&byte| byte == 0), "length {length}");
            }
        }
    }
}

#[test]
fn each_message_of_several_has_its_place() {
    let from = pattern(4 * 40);
    let (mut pushed, mut popped) = ([0; 40], vec![0; 4 * 40]);
    for at in 0..4 {
        // SAFETY: four messages of 40 bytes.
        unsafe {
            ToPush::new(from.as_ptr()).write(at, pushed.as_mut_ptr(), 40);
            ToFill::new(popped.as_mut_ptr()).read(at, pushed.as_ptr(), 40);
        }
    }
    assert_eq!(popped, from);
}
