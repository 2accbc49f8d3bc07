//! Which curves share an axis: those of one unit.

use villas_shm_picture::axis::Axis;
use villas_shm_picture::numbers;

use super::columns::columns;
use super::curves::{Curve, Shape};

/// Curves that share an axis of values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    /// Their places in the list of curves.
    pub(crate) curves: Vec<usize>,
    /// The unit, or the name of the only curve.
    pub(crate) label: String,
    /// The ends of the axis.
    pub(crate) ends: (f64, f64),
    is_switch: bool,
}

/// One panel for each unit, in the order of the curves, and one for booleans; or one for each curve.
pub(crate) fn panels(curves: &[Curve], span: (i64, i64), one_for_each: bool) -> Vec<Panel> {
    let key = |curve: &Curve| (curve.unit.clone(), curve.shape == Shape::Switch);
    let mut groups: Vec<((String, bool), Vec<usize>)> = Vec::new();
    for (at, curve) in curves.iter().enumerate() {
        match groups.iter_mut().find(|group| group.0 == key(curve)).filter(|_| !one_for_each) {
            Some(group) => group.1.push(at),
            None => groups.push((key(curve), vec![at])),
        }
    }
    let panel = |((unit, is_switch), at): ((String, bool), Vec<usize>)| {
        let label = match (&*unit, &at[..]) {
            ("", [only]) => curves[*only].name.clone(),
            (unit, _) => unit.into(),
        };
        let ends = if is_switch { (-0.15, 1.15) } else { ends(at.iter().map(|&at| &curves[at]), span) };
        Panel { curves: at, label, ends, is_switch }
    };
    groups.into_iter().map(panel).collect()
}

/// The ends of an axis for these curves.
pub(crate) fn ends<'a>(curves: impl Iterator<Item = &'a Curve>, span: (i64, i64)) -> (f64, f64) {
    let all = curves.flat_map(|curve| columns(&curve.envelope, span, 1));
    let (low, high) =
        all.fold((f64::MAX, f64::MIN), |(low, high), column| (low.min(column.bucket.min), high.max(column.bucket.max)));
    numbers::ends(low.min(high), high.max(low))
}

impl Panel {
    /// The axis of values, with at most about so many marks.
    pub(crate) fn axis(&self, most: usize) -> Axis {
        let marks = match self.is_switch {
            true => vec![(0.0, "false".into()), (1.0, "true".into())],
            false => numbers::marks(self.ends.0, self.ends.1, most),
        };
        Axis { label: self.label.clone(), marks, ends: Some(self.ends), is_logarithmic: false }
    }
}
