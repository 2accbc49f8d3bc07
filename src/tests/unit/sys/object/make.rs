//! Of `sys/object/make`.

use super::*;

/// As if signals came more often than a megabyte takes.
#[test]
fn all_is_allocated_once_also_where_signals_interrupt_all_but_short_steps() {
    let (size, mut end) = (40 << 20 | 5, 0);
    let allocated = in_steps(size, |start, length| {
        if length >= 1 << 20 {
            return Err(Errno::EINTR);
        }
        assert_eq!(start, end);
        end += length;
        Ok(())
    });
    assert_eq!((allocated, end), (Ok(()), size));
}
