//! Of `layout/ring`.

use super::*;

#[test]
fn a_slot_takes_no_more_lines_than_its_bytes_need() {
    for size in 1..3000 {
        let (stride, used) = (stride(size), word_offset(size) + 8);
        assert!(stride >= used && stride < used + 32, "size {size}: stride {stride}");
        for slot in 0..8 {
            let (first, last) = (slot * stride / 64, (slot * stride + used - 1) / 64);
            assert!(last - first < used.div_ceil(64), "size {size}, slot {slot}");
            assert_eq!((slot * stride + word_offset(size)) / 64, (slot * stride + used - 1) / 64, "the word of {size}");
        }
    }
    assert_eq!([stride(1), stride(8), stride(9), stride(24), stride(25)], [16, 16, 32, 32, 64]);
    assert_eq!([stride(96), stride(152), stride(1472)], [128, 160, 1504]);
}

/// As `docs/rings.md` says.
#[test]
fn the_overhead_is_the_documented_one() {
    for policy in [Policy::Spsc, Policy::Mpsc, Policy::Mpmc] {
        let head = if policy == Policy::Spsc { 1152 } else { 17_536 };
        for (size, per_element) in [(1, 15), (8, 8), (24, 8), (96, 32), (152, 8), (1472, 32), (1 << 20, 32)] {
            for capacity in [1, 3, 144, 1 << 20] {
                let facts = RingFacts::new(policy, size, capacity).expect("in range");
                assert_eq!(facts.total_size, size * capacity + head + per_element * capacity, "{policy:?} {size} {capacity}");
            }
        }
    }
}
