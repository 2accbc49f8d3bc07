//! Curves as text, on a terminal or in a file.

use ratatui::buffer::Buffer;
use ratatui::crossterm::style::{ResetColor, SetForegroundColor};
use ratatui::layout::Rect;
use ratatui::style::Color;
use villas_shm_picture::time::Times;

use super::chars::{self, Graph, Trace};
use super::curves::Curves;
use super::panels::Panel;

/// The least rows of a panel, with its legend.
const LEAST: u16 = 8;
/// The most rows of a panel: more show nothing more.
const MOST: u16 = 24;

/// Where the text goes.
#[derive(Clone, Copy)]
pub(super) struct Paper {
    pub(super) width: u16,
    /// For all panels, if so many rows suffice.
    pub(super) height: u16,
    pub(super) has_colours: bool,
}

/// The panels below each other, each under the names of its curves.
pub(super) fn text(curves: &Curves, panels: &[Panel], span: (i64, i64), times: impl Fn(usize) -> Times, paper: Paper) -> String {
    let count = panels.len() as u16;
    let each = ((paper.height.saturating_sub(3)) / count).clamp(LEAST, MOST);
    let axes: Vec<_> = panels.iter().map(|panel| panel.axis(usize::from(each / 4).max(2))).collect();
    let margin = axes.iter().map(chars::margin).max().unwrap_or(0).min(paper.width / 3);
    let times = times(usize::from(paper.width / 10).max(2));
    let mut area = Rect::new(0, 0, paper.width, each * count + 3);
    let mut buffer = Buffer::empty(area);
    let bottom = area.bottom();
    for (at, (panel, y)) in panels.iter().zip(&axes).enumerate() {
        let is_last = at + 1 == panels.len();
        area.height = each + if is_last { 2 } else { 0 };
        let names: Vec<(String, Color)> =
            panel.curves.iter().map(|&at| (curves.title(&curves.list[at]), chars::colour(at))).collect();
        let unit = curves.list[panel.curves[0]].unit.as_str();
        let unit = if unit.is_empty() { String::new() } else { format!("[{unit}]") };
        let taken = chars::legend(&names, &unit, area, 2, Some(&mut buffer));
        let trace = |&at: &usize| {
            let curve = &curves.list[at];
            Trace { envelope: &curve.envelope, shape: curve.shape, colour: chars::colour(at) }
        };
        let traces = panel.curves.iter().map(trace).collect();
        let inside = Rect { y: area.y + taken, height: area.height - taken, ..area };
        Graph { traces, y, times: is_last.then_some(&times.marks[..]), span, margin }.draw(inside, &mut buffer);
        area.y += area.height;
    }
    let label: String = times.label.chars().take(paper.width.into()).collect();
    let middle = (margin + paper.width).saturating_sub(label.chars().count() as u16) / 2;
    buffer.set_string(middle.min(paper.width - label.chars().count() as u16), bottom - 1, label, Color::Reset);
    lines(&buffer, paper.has_colours)
}

/// The rows of a buffer as lines, with the codes of their colours.
fn lines(buffer: &Buffer, has_colours: bool) -> String {
    let mut text = String::new();
    for row in buffer.content.chunks(buffer.area.width.into()) {
        let end = row.iter().rposition(|cell| cell.symbol() != " ").map_or(0, |last| last + 1);
        let mut colour = Color::Reset;
        for cell in &row[..end] {
            if has_colours && cell.fg != colour && cell.symbol() != " " {
                colour = cell.fg;
                text +=
                    &if colour == Color::Reset { ResetColor.to_string() } else { SetForegroundColor(colour.into()).to_string() };
            }
            text += cell.symbol();
        }
        if colour != Color::Reset {
            text += &ResetColor.to_string();
        }
        text.push('\n');
    }
    text
}
