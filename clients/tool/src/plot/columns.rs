//! A curve as it is drawn: what each column of pixels, or of dots, has of it.

use super::envelope::{Bucket, Envelope};

/// What a column has of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Column {
    /// Where the curve enters it, in columns from the left end; outside for the values before and
    /// after those that are shown.
    pub(crate) x: f64,
    /// Where the curve leaves it.
    pub(crate) end: f64,
    pub(crate) bucket: Bucket,
}

/// The columns from one time to another, of `count` columns; those without a value are left out.
pub(crate) fn columns(envelope: &Envelope, (from, to): (i64, i64), count: usize) -> Vec<Column> {
    let span = (i128::from(to) - i128::from(from)).max(1) as f64;
    let x = |time: i64| (i128::from(time) - i128::from(from)) as f64 / span * count as f64;
    let mut columns: Vec<Column> = Vec::new();
    for bucket in envelope.between(from, to) {
        let at = x(bucket.time);
        match columns.last_mut() {
            // The right end belongs to the last column.
            Some(last) if place(last.x, count) == place(at, count) => {
                last.bucket.merge(bucket);
                last.end = x(bucket.end);
            }
            _ => columns.push(Column { x: at, end: x(bucket.end), bucket: *bucket }),
        }
    }
    columns
}

fn place(x: f64, count: usize) -> i64 {
    if x == count as f64 { count as i64 - 1 } else { x.floor() as i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_has_the_extremes_of_its_time() {
        let mut envelope = Envelope::whole();
        for at in 0..1000 {
            envelope.push(at, if at == 555 { -50.0 } else { (at % 10) as f64 });
        }
        let columns = columns(&envelope, (0, 999), 100);
        assert_eq!(columns.len(), 100);
        let low: Vec<usize> = (0..100).filter(|&at| columns[at].bucket.min < 0.0).collect();
        assert_eq!(low, [55]);
        assert!(columns.iter().all(|column| column.bucket.max == 9.0));
    }

    #[test]
    fn a_part_has_the_values_beside_it() {
        let mut envelope = Envelope::whole();
        for at in 0..10 {
            envelope.push(at * 100, at as f64);
        }
        let columns = columns(&envelope, (350, 550), 200);
        let found: Vec<(f64, f64)> = columns.iter().map(|column| (column.x, column.bucket.first)).collect();
        assert_eq!(found, [(-50.0, 3.0), (50.0, 4.0), (150.0, 5.0), (250.0, 6.0)]);
    }
}
