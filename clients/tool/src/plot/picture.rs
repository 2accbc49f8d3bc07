//! Curves as SVG.

use std::fmt::Write;

use villas_shm_picture::COLOURS;
use villas_shm_picture::axis::{Axis, Frame, Scale};
use villas_shm_picture::picture::Picture;
use villas_shm_picture::time::Times;

use super::columns::{Column, columns};
use super::curves::{Curves, Shape};
use super::panels::Panel;
use crate::inspect::shorten;

const LEFT: f64 = 78.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 58.0;
/// Between two panels.
const GAP: f64 = 16.0;
/// Between two names of the legend.
const NAME_STEP: f64 = 16.0;
/// The most characters of a name.
const LONGEST: usize = 40;
/// Samples are marked by dots if there are this many pixels between them.
const SPARSE: usize = 12;

/// The content and size of a picture.
pub(super) struct Page<'a> {
    pub(super) curves: &'a Curves,
    pub(super) panels: &'a [Panel],
    pub(super) span: (i64, i64),
    pub(super) title: &'a str,
    pub(super) subtitle: &'a str,
    pub(super) width: f64,
    /// `None`: as high as suits the panels.
    pub(super) height: Option<f64>,
}

impl Page<'_> {
    /// The picture as SVG. `times` makes the marks of the axis of time, of which it gets a number.
    pub(super) fn svg(&self, times: impl Fn(usize) -> Times) -> String {
        let names = || self.curves.list.iter().map(|curve| self.curves.title(curve));
        let longest = names().map(|name| name.chars().count()).max().unwrap_or(0).min(LONGEST);
        let right = (self.width - 6.9 * longest as f64 - 44.0).max(LEFT + 100.0);
        let legend = |panel: &Panel| panel.curves.len() as f64 * NAME_STEP + 8.0;
        let usual = if self.panels.len() == 1 { 340.0 } else { (600.0 / self.panels.len() as f64).clamp(90.0, 220.0) };
        let gaps = TOP + BOTTOM + GAP * (self.panels.len() - 1) as f64;
        let heights: Vec<f64> = match self.height {
            Some(height) => vec![((height - gaps) / self.panels.len() as f64).max(20.0); self.panels.len()],
            None => self.panels.iter().map(|panel| legend(panel).max(usual)).collect(),
        };
        let height = self.height.unwrap_or(gaps + heights.iter().sum::<f64>());
        let mut picture = Picture::new(self.width, height);
        picture.text(LEFT, 26, "font-size=\"16\" font-weight=\"bold\"", &shorten(self.title, (self.width / 12.0) as usize));
        picture.text(LEFT, 46, "font-size=\"12\" fill=\"#444\"", self.subtitle);
        let times = times(((right - LEFT) / 80.0) as usize);
        let place = |time: i64| (i128::from(time) - i128::from(self.span.0)) as f64;
        let x = Axis {
            label: times.label,
            marks: times.marks.into_iter().map(|(time, text)| (place(time), text)).collect(),
            ends: Some((0.0, place(self.span.1).max(1.0))),
            is_logarithmic: false,
        };
        let x_scale = Scale::new(&x, std::iter::empty(), LEFT, right);
        let mut top = TOP;
        for (at, (panel, height)) in self.panels.iter().zip(heights).enumerate() {
            let y = panel.axis((height / 32.0).max(3.0) as usize);
            let y_scale = Scale::new(&y, std::iter::empty(), top + height, top);
            let frame = Frame { x: (&x, &x_scale), y: (&y, &y_scale), has_x_marks: at + 1 == self.panels.len() };
            frame.draw(&mut picture);
            let area = [LEFT, top, right, top + height];
            picture.inside(&format!("panel{at}"), area, |picture| self.draw(picture, panel, area, &y_scale));
            self.names(&mut picture, panel, right, top);
            top += height + GAP;
        }
        picture.finish()
    }

    fn draw(&self, picture: &mut Picture, panel: &Panel, [left, _, right, _]: [f64; 4], y: &Scale) {
        let width = (right - left) as usize;
        for &at in &panel.curves {
            let curve = &self.curves.list[at];
            let columns = columns(&curve.envelope, self.span, width);
            let style = self.style(at);
            let line = path(&columns, curve.shape, left, y);
            picture.path(&line, &format!("fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\" {style}"));
            if columns.len() < width / SPARSE {
                for column in &columns {
                    picture.dot(left + column.x, y.at(column.bucket.first), 2.0, colour(at));
                }
            }
        }
    }

    /// A curve of a later file is thinner, so that an equal one below it can be seen.
    fn style(&self, at: usize) -> String {
        let (first, later) = if self.curves.files.len() > 1 { ((3.2, 0.55), (1.2, 1.0)) } else { ((1.3, 1.0), (1.3, 1.0)) };
        let (width, opacity) = if self.curves.list[at].file == 0 { first } else { later };
        let opacity = if opacity < 1.0 { format!(" stroke-opacity=\"{opacity}\"") } else { String::new() };
        format!("stroke=\"{}\" stroke-width=\"{width}\"{opacity}", colour(at))
    }

    fn names(&self, picture: &mut Picture, panel: &Panel, right: f64, top: f64) {
        for (&at, row) in panel.curves.iter().zip(0..) {
            let y = top + 12.0 + f64::from(row) * NAME_STEP;
            picture.path(&format!("M{:.1} {:.1}h16", right + 10.0, y - 4.0), &self.style(at));
            let name = shorten(&self.curves.title(&self.curves.list[at]), LONGEST);
            picture.text(format_args!("{:.1}", right + 32.0), y, "", &name);
        }
    }
}

fn colour(at: usize) -> &'static str {
    COLOURS[at % COLOURS.len()]
}

/// The line through all columns: in each of them down to the least value and up to the largest, and
/// straight where the values have no turn.
fn path(columns: &[Column], shape: Shape, left: f64, y: &Scale) -> String {
    let mut path = String::new();
    for (at, Column { x, end, bucket }) in columns.iter().enumerate() {
        let (x, end) = (left + x, left + end);
        // Writing to a String cannot fail.
        let _ = match shape {
            // A single value would not be seen without a length.
            _ if at == 0 || bucket.is_after_gap => write!(path, "M{x:.1} {:.1}h.1", y.at(bucket.first)),
            Shape::Line => write!(path, "L{x:.1} {:.1}", y.at(bucket.first)),
            Shape::Steps | Shape::Switch => write!(path, "H{x:.1}V{:.1}", y.at(bucket.first)),
        };
        if bucket.is_monotonic() {
            if bucket.first != bucket.last {
                let _ = match shape {
                    Shape::Line => write!(path, "L{end:.1} {:.1}", y.at(bucket.last)),
                    Shape::Steps | Shape::Switch => write!(path, "H{end:.1}V{:.1}", y.at(bucket.last)),
                };
            }
            continue;
        }
        let (near, far) = if bucket.last < bucket.first { (bucket.max, bucket.min) } else { (bucket.min, bucket.max) };
        let _ = write!(path, "V{:.1}V{:.1}V{:.1}", y.at(near), y.at(far), y.at(bucket.last));
    }
    path
}
