//! The frame of the tests that set every field of a region to 0, 1, all ones, one more and one
//! less. A layout provides the table of its fields, made from its structs, and the expected outcome
//! of each row.

use std::fmt::Debug;

/// The expected outcome of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EdgeOutcome {
    /// The value is used within bounds: the first sample or message goes or comes, or there is
    /// none.
    Used,
    /// As `Used`, but the first call returns `EBADMSG`.
    Garbled,
    /// Opening returns this errno.
    Refused(i32),
}

pub(crate) const BROKEN: EdgeOutcome = EdgeOutcome::Refused(libc::EBADMSG);

/// A word in place of another.
#[derive(Clone, Copy)]
pub(crate) struct Row<Who> {
    /// Which participant meets it.
    pub(crate) who: Who,
    pub(crate) value: u64,
    /// Which word of the field.
    pub(crate) index: usize,
}

pub(crate) type Rule<Who> = fn(Row<Who>) -> EdgeOutcome;

pub(crate) fn used<Who>(_: Row<Who>) -> EdgeOutcome {
    EdgeOutcome::Used
}
pub(crate) fn broken<Who>(_: Row<Who>) -> EdgeOutcome {
    BROKEN
}

/// Some words of the region that follow one rule.
pub(crate) struct Field<Who> {
    name: String,
    at: usize,
    bytes: usize,
    /// Bytes of a word: 1, 2, 4 or 8.
    width: usize,
    rule: Rule<Who>,
}

pub(crate) fn field<Who>(name: &str, at: usize, bytes: usize, width: usize, rule: Rule<Who>) -> Field<Who> {
    Field { name: name.to_owned(), at, bytes, width, rule }
}

/// The fields of a struct at `$base`. Each extends to the next named one, the last to `$end`,
/// counted from the struct's beginning.
macro_rules! fields_of {
    ($struct:ty, $base:expr, $end:expr; $($field:ident $width:literal $rule:expr),+ $(,)?) => {{
        let starts = [$((stringify!($field), std::mem::offset_of!($struct, $field), $width, $rule as $crate::tests::edges::Rule<_>)),+];
        let ends = starts[1..].iter().map(|next| next.1).chain([$end]);
        let named = |(&(name, at, width, rule), end): (&(&str, usize, usize, $crate::tests::edges::Rule<_>), usize)| {
            let name = format!("{} at {}: {name}", stringify!($struct), $base);
            $crate::tests::edges::field(&name, $base + at, end - at, width, rule)
        };
        starts.iter().zip(ends).map(named).collect::<Vec<_>>()
    }};
}
pub(crate) use fields_of;

fn edges(before: u64, width: usize) -> Vec<u64> {
    let most = u64::MAX >> (64 - 8 * width);
    let mut values = vec![0, 1, most, before.wrapping_add(1) & most, before.wrapping_sub(1) & most];
    values.sort_unstable();
    values.dedup();
    values.retain(|&value| value != before);
    values
}

/// Tries all rows for every named participant: `outcome` finds the result for a region of these
/// bytes. Reports a field that is missing in the table, because it leaves a gap or an overlap.
pub(crate) fn try_each<Who: Copy + Debug>(
    image: &[u8],
    fields: &[Field<Who>],
    everyone: &[Who],
    mut outcome: impl FnMut(Who, &[u8]) -> EdgeOutcome,
) {
    let (mut end, mut rows, mut wrong, mut bytes) = (0, 0, Vec::new(), image.to_vec());
    for Field { name, at, bytes: length, width, rule } in fields {
        assert_eq!(*at, end, "\"{name}\" does not begin where the field before it ends");
        assert!(*length > 0 && length % width == 0, "\"{name}\" has {length} bytes");
        end += length;
        for (index, at) in (*at..end).step_by(*width).enumerate() {
            let place = at..at + width;
            let mut before = [0; 8];
            before[..*width].copy_from_slice(&image[place.clone()]);
            let before = u64::from_le_bytes(before);
            for value in edges(before, *width) {
                bytes[place.clone()].copy_from_slice(&value.to_le_bytes()[..*width]);
                for &who in everyone {
                    let (stated, found) = (rule(Row { who, value, index }), outcome(who, &bytes));
                    rows += 1;
                    if found != stated {
                        wrong.push(format!("{name} [{index}] {before:#x} -> {value:#x}, {who:?}: {found:?}, not {stated:?}"));
                    }
                }
            }
            bytes[place.clone()].copy_from_slice(&image[place]);
        }
    }
    assert_eq!(end, image.len(), "the table does not end where the region does");
    println!("{rows} rows");
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
}
