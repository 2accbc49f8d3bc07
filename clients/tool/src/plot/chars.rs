//! Curves in the cells of a terminal, each of them 2 × 4 dots.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Span;
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Painter, Shape as Drawn};
use villas_shm_picture::axis::Axis;

use super::columns::{Column, columns};
use super::curves::Shape;
use super::envelope::Envelope;
use crate::inspect::{plain, shorten};

/// One for each curve, as far as a terminal has them.
const COLOURS: [Color; 12] = [
    Color::Cyan,
    Color::Yellow,
    Color::Magenta,
    Color::Green,
    Color::Red,
    Color::Blue,
    Color::LightCyan,
    Color::LightYellow,
    Color::LightMagenta,
    Color::LightGreen,
    Color::LightRed,
    Color::LightBlue,
];
const FAINT: Style = Style::new().fg(Color::DarkGray);

/// The colour of a curve.
pub(crate) fn colour(at: usize) -> Color {
    COLOURS[at % COLOURS.len()]
}

/// A curve of a panel.
pub(crate) struct Trace<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) shape: Shape,
    pub(crate) colour: Color,
}

/// A panel in the cells of a terminal.
pub(crate) struct Graph<'a> {
    pub(crate) traces: Vec<Trace<'a>>,
    pub(crate) y: &'a Axis,
    /// Marks of the axis of time below the panel; `None`: it has no such axis.
    pub(crate) times: Option<&'a [(i64, String)]>,
    pub(crate) span: (i64, i64),
    /// Cells left of the curves.
    pub(crate) margin: u16,
}

/// How many cells the texts of an axis take, with its line.
pub(crate) fn margin(y: &Axis) -> u16 {
    y.marks.iter().map(|mark| mark.1.chars().count()).max().unwrap_or(0) as u16 + 1
}

impl Graph<'_> {
    /// Draws axes, marks and curves.
    pub(crate) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let below = if self.times.is_some() { 2 } else { 0 };
        if area.width < self.margin + 4 || area.height < below + 2 {
            return;
        }
        let (width, height) = (area.width - self.margin, area.height - below);
        let inside = Rect { x: area.x + self.margin, width, height, ..area };
        let ends = self.y.ends.unwrap_or_default();
        self.values(inside, ends, buffer);
        if let Some(times) = self.times {
            self.times(times, inside, buffer);
        }
        let dots = (usize::from(width) * 2, usize::from(height) * 4);
        Canvas::default()
            .marker(Marker::Braille)
            .x_bounds([0.0, dots.0 as f64])
            .y_bounds([0.0, dots.1 as f64])
            .paint(|context| {
                for trace in &self.traces {
                    let columns = columns(trace.envelope, self.span, dots.0);
                    context.draw(&Dots { columns, shape: trace.shape, colour: trace.colour, ends, dots });
                }
            })
            .render(inside, buffer);
    }

    /// The axis of values, left of the curves.
    fn values(&self, inside: Rect, (low, high): (f64, f64), buffer: &mut Buffer) {
        let x = inside.x - 1;
        for y in inside.top()..inside.bottom() {
            buffer.set_string(x, y, "│", FAINT);
        }
        for (figure, text) in &self.y.marks {
            let from_top = (high - figure) / (high - low) * f64::from(inside.height);
            if (0.0..=f64::from(inside.height)).contains(&from_top) {
                let y = inside.y + (from_top as u16).min(inside.height - 1);
                let width = Span::raw(text).width() as u16;
                buffer.set_string(x.saturating_sub(width), y, text, Style::new());
                buffer.set_string(x, y, "┤", FAINT);
            }
        }
    }

    /// The axis of time and the texts of its marks, as far as they do not touch.
    fn times(&self, times: &[(i64, String)], inside: Rect, buffer: &mut Buffer) {
        let y = inside.bottom();
        buffer.set_string(inside.x - 1, y, format!("└{}", "─".repeat(inside.width.into())), FAINT);
        let span = (i128::from(self.span.1) - i128::from(self.span.0)).max(1) as f64;
        let mut free = inside.x.saturating_sub(self.margin);
        for (time, text) in times {
            let place = (i128::from(*time) - i128::from(self.span.0)) as f64 / span * f64::from(inside.width);
            if !(0.0..=f64::from(inside.width)).contains(&place) {
                continue;
            }
            let x = inside.x + (place as u16).min(inside.width - 1);
            buffer.set_string(x, y, "┬", FAINT);
            let width = Span::raw(text).width() as u16;
            let start = (x.saturating_sub(width / 2)).min((inside.right()).saturating_sub(width));
            if start >= free {
                buffer.set_string(start, y + 1, text, Style::new());
                free = start + width + 1;
            }
        }
    }
}

/// A curve as dots.
struct Dots {
    columns: Vec<Column>,
    shape: Shape,
    colour: Color,
    ends: (f64, f64),
    /// Columns and rows of dots.
    dots: (usize, usize),
}

impl Dots {
    /// Rows from the top.
    fn row(&self, value: f64) -> f64 {
        (self.ends.1 - value) / (self.ends.1 - self.ends.0) * self.dots.1 as f64
    }

    /// The dots of a column between two rows, as far as they are inside.
    fn upright(&self, painter: &mut Painter<'_, '_>, x: f64, from: f64, to: f64) {
        let (first, last) = (from.min(to).max(0.0).floor(), from.max(to).min(self.dots.1 as f64 - 1.0).floor());
        if (0.0..self.dots.0 as f64).contains(&x) && first <= last {
            (first as usize..=last as usize).for_each(|y| painter.paint(x as usize, y, self.colour));
        }
    }

    /// The dots of a line, column by column.
    fn line(&self, painter: &mut Painter<'_, '_>, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let slope = if x2 > x1 { (y2 - y1) / (x2 - x1) } else { 0.0 };
        let (first, last) = (x1.max(0.0).floor(), x2.min(self.dots.0 as f64 - 1.0).floor());
        let row = |x: f64| y1 + (x.clamp(x1, x2) - x1) * slope;
        for x in first as i64..=last as i64 {
            self.upright(painter, x as f64, row(x as f64), row(x as f64 + 1.0));
        }
    }
}

impl Drawn for Dots {
    fn draw(&self, painter: &mut Painter<'_, '_>) {
        let mut before: Option<(f64, f64)> = None;
        for Column { x, bucket, .. } in &self.columns {
            // The right end belongs to the last column.
            let x = if *x == self.dots.0 as f64 { x - 1.0 } else { *x };
            let first = self.row(bucket.first);
            if let Some(before) = before.filter(|_| !bucket.is_after_gap) {
                match self.shape {
                    Shape::Line => self.line(painter, before, (x, first)),
                    Shape::Steps | Shape::Switch => {
                        self.line(painter, before, (x, before.1));
                        self.upright(painter, x, before.1, first);
                    }
                }
            }
            self.upright(painter, x, self.row(bucket.max), self.row(bucket.min));
            before = Some((x, self.row(bucket.last)));
        }
    }
}

/// Names with the colours of their curves, in at most `most` lines of a width; returns how many
/// lines that takes. Without a buffer nothing is drawn.
pub(crate) fn legend(names: &[(String, Color)], heading: &str, area: Rect, most: u16, mut buffer: Option<&mut Buffer>) -> u16 {
    let (mut x, mut y) = (area.x, area.y);
    let mut put = |x: u16, y: u16, text: &str, style: Style| {
        if let Some(buffer) = &mut buffer {
            buffer.set_stringn(x, y, text, area.right().saturating_sub(x).into(), style);
        }
    };
    if !heading.is_empty() {
        let heading = shorten(&plain(heading), usize::from(area.width / 3));
        put(x, y, &heading, Style::new());
        x += Span::raw(heading).width() as u16 + 2;
    }
    for (at, (name, colour)) in names.iter().enumerate() {
        let name = shorten(&plain(name), usize::from(area.width.saturating_sub(4)).min(32));
        let width = Span::raw(&name).width() as u16 + 3;
        let left = names.len() - at;
        let is_last_line = y + 1 == area.y + most;
        let more = if is_last_line && left > 1 { 9 } else { 0 };
        if x > area.x && x + width + more > area.right() {
            if is_last_line {
                put(x, y, &format!("… {left} more"), FAINT);
                break;
            }
            (x, y) = (area.x, y + 1);
        }
        put(x, y, "━━", Style::new().fg(*colour));
        put(x + 3, y, &name, Style::new());
        x += width + 2;
    }
    y + 1 - area.y
}
