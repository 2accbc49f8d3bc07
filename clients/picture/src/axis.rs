//! Axes: from figures to places on the page, and the frame that they make.

use crate::picture::Picture;

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its label, with the unit.
    pub label: String,
    /// The places of its marks, and their texts.
    pub marks: Vec<(f64, String)>,
    /// Its ends; `None`: those of the points.
    pub ends: Option<(f64, f64)>,
    /// Whether places are logarithms of the figures.
    pub is_logarithmic: bool,
}

/// Converts figures to places, and places to pixels.
#[derive(Clone, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    is_logarithmic: bool,
}

impl Scale {
    /// The scale of an axis that goes from one pixel to another, with room around the figures if
    /// the axis has no ends of its own.
    #[must_use]
    pub fn new(axis: &Axis, figures: impl Iterator<Item = f64>, from: f64, to: f64) -> Scale {
        let place = |figure: f64| if axis.is_logarithmic { figure.log10() } else { figure };
        let (low, high) = axis.ends.map_or_else(
            || {
                let ends = figures.map(place).fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)));
                let room = 0.06 * (ends.1 - ends.0) + 0.05;
                (ends.0 - room, ends.1 + room)
            },
            |(low, high)| (place(low), place(high)),
        );
        Scale { low, high, from, to, is_logarithmic: axis.is_logarithmic }
    }

    /// The pixel of a figure.
    #[must_use]
    pub fn at(&self, figure: f64) -> f64 {
        let place = if self.is_logarithmic { figure.log10() } else { figure };
        self.from + (place - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn has(&self, figure: f64) -> bool {
        let at = self.at(figure);
        at >= self.from.min(self.to) - 0.5 && at <= self.from.max(self.to) + 0.5
    }

    /// Whether a mark is shown: a long logarithmic axis has only those at powers of ten.
    fn shows(&self, figure: f64) -> bool {
        let is_long = self.is_logarithmic && self.high - self.low > 3.5;
        self.has(figure) && !(is_long && (figure.log10() - figure.log10().round()).abs() > 1e-9)
    }
}

/// A horizontal and a vertical axis, and the area between them.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The horizontal axis.
    pub x: (&'a Axis, &'a Scale),
    /// The vertical axis.
    pub y: (&'a Axis, &'a Scale),
    /// The horizontal axis has its marks and its label, which take 42 pixels; else only lines.
    pub has_x_marks: bool,
}

impl Frame<'_> {
    /// Draws a line at each mark, its text, the axes and their labels.
    pub fn draw(&self, picture: &mut Picture) {
        let ((x_axis, x), (y_axis, y)) = (self.x, self.y);
        let ((left, right), (bottom, top)) = ((x.from, x.to), (y.from, y.to));
        for (figure, name) in x_axis.marks.iter().filter(|mark| x.has(mark.0)) {
            let at = x.at(*figure);
            picture.path(&format!("M{at:.1} {top}V{bottom}"), "stroke=\"#e4e4e4\"");
            if self.has_x_marks {
                picture.text(format_args!("{at:.1}"), bottom + 17.0, "text-anchor=\"middle\"", name);
            }
        }
        for (figure, name) in y_axis.marks.iter().filter(|mark| y.shows(mark.0)) {
            let at = y.at(*figure);
            picture.path(&format!("M{left} {at:.1}H{right:.1}"), "stroke=\"#e4e4e4\"");
            picture.text(left - 7.0, format_args!("{:.1}", at + 4.0), "text-anchor=\"end\"", name);
        }
        picture.path(&format!("M{left} {top}V{bottom}H{right:.1}"), "fill=\"none\" stroke=\"#888\"");
        if self.has_x_marks {
            let middle = f64::midpoint(left, right);
            let attributes = "text-anchor=\"middle\" font-size=\"12\"";
            picture.text(format_args!("{middle:.1}"), bottom + 42.0, attributes, &x_axis.label);
        }
        picture.upright(16.0, f64::midpoint(top, bottom), "font-size=\"12\"", &y_axis.label);
    }
}
