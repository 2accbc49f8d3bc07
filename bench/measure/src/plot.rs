//! Plots as SVG: lines over logarithmic axes, each with its name at its end.

use crate::Times;
use std::fmt::Write;
use villas_shm_picture::COLOURS;
use villas_shm_picture::axis::{Axis, Frame, Scale};
use villas_shm_picture::picture::Picture;

const WIDTH: f64 = 840.0;
const LEFT: f64 = 78.0;
const TOP: f64 = 80.0;
const BOTTOM: f64 = 58.0;
/// Pixels between two names.
const NAME_STEP: f64 = 16.0;
/// A line that ends this fraction of the frame's width before the last one has its name beside its
/// end, not at the frame: a connection to the frame could be taken for a part of the line.
const EARLY: f64 = 0.15;

/// How a line is drawn; its name has the same colour.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colour: &'static str,
    /// Lengths of dashes and gaps; empty: one piece.
    dash: &'static str,
    width: f64,
}

impl Style {
    /// One of many lines of equal rank, thick or thin.
    #[must_use]
    pub fn coloured(number: usize, is_thick: bool) -> Style {
        Style { colour: COLOURS[number % COLOURS.len()], dash: "", width: if is_thick { 2.6 } else { 1.4 } }
    }

    /// A line of this library among those of others: of one family of colours, from dark to bright.
    #[must_use]
    pub fn ours(number: usize) -> Style {
        const FAMILY: [&str; 4] = ["#08306b", "#0072b2", "#00897b", "#5b7bd5"];
        Style { colour: FAMILY[number % FAMILY.len()], dash: "", width: 2.6 }
    }

    /// A line of another library: grey.
    #[must_use]
    pub fn peer(number: usize) -> Style {
        const DASHES: [&str; 3] = ["7 3", "2 2.5", "9 3 2 3"];
        Style { colour: "#757575", dash: DASHES[number % DASHES.len()], width: 1.6 }
    }

    /// A yardstick: thin and dark.
    #[must_use]
    pub fn yardstick() -> Style {
        Style { colour: "#333", dash: "", width: 1.0 }
    }
}

/// A line of a plot.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Sorted by x.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub style: Style,
    /// Points are also marked.
    pub has_marks: bool,
}

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Its title.
    pub title: String,
    /// An explanation.
    pub subtitle: String,
    /// The machine that was measured.
    pub machine: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
}

/// An axis of percentiles: each further place leaves a tenth of the rest.
#[must_use]
pub fn percentile_axis() -> Axis {
    let marks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99]
        .map(|at| (place_of(at), if at == 0.0 { "fastest".into() } else { format!("{at} %") }));
    Axis {
        label: "part of all that were at least as fast".into(),
        marks: marks.into(),
        ends: Some((0.0, 4.0)),
        is_logarithmic: false,
    }
}

fn place_of(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).log10()
}

/// A latency over the percentiles, as far as ten items lie beyond.
#[must_use]
pub fn percentiles(times: &Times) -> Vec<(f64, f64)> {
    let last = (times.len() as f64 / 10.0).log10().clamp(0.0, 4.0);
    let steps = (last / 0.04) as usize;
    let at = |step: usize| {
        let place = step as f64 * 0.04;
        (place, times.value_at_quantile(1.0 - 10f64.powf(-place)) as f64)
    };
    (0..=steps).map(at).collect()
}

/// 1, 2, 5, 10 … between two figures, named by `name`.
#[must_use]
pub fn logarithmic_axis(label: &str, name: impl Fn(f64) -> String) -> Axis {
    let steps = (-3..13).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)));
    Axis { label: label.into(), marks: steps.map(|at| (at, name(at))).collect(), ends: None, is_logarithmic: true }
}

/// The mark of a round number: its digits without trailing zeros.
#[must_use]
pub fn mark(text: &str) -> String {
    text.replacen(".00 ", " ", 1).replacen(".0 ", " ", 1)
}

/// Moves names from their `wanted` places (ascending) so that they do not overlap and stay between
/// the bounds.
fn spread_out(wanted: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    for at in 0..places.len() {
        let least = if at == 0 { low } else { places[at - 1] + NAME_STEP };
        places[at] = places[at].max(least);
    }
    let mut most = high;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - NAME_STEP;
    }
    places
}

impl Plot {
    /// The picture as SVG. Lines without points are left out.
    #[must_use]
    pub fn svg(&self) -> String {
        let lines: Vec<&Line> = self.lines.iter().filter(|line| !line.points.is_empty()).collect();
        let height = (lines.len() as f64 * NAME_STEP + TOP + BOTTOM + 20.0).max(440.0);
        let names = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0);
        let right = WIDTH - (7.4 * names as f64 + 44.0);
        let points = || lines.iter().flat_map(|line| line.points.iter());
        let x = Scale::new(&self.x, points().map(|point| point.0), LEFT, right);
        let y = Scale::new(&self.y, points().map(|point| point.1), height - BOTTOM, TOP);
        let mut picture = Picture::new(WIDTH, height);
        picture.text(LEFT, 26, "font-size=\"16\" font-weight=\"bold\"", &self.title);
        picture.text(LEFT, 46, "font-size=\"12\" fill=\"#444\"", &self.subtitle);
        picture.text(LEFT, 62, "font-size=\"11\" fill=\"#666\"", &self.machine);
        Frame { x: (&self.x, &x), y: (&self.y, &y), has_x_marks: true }.draw(&mut picture);
        draw(&mut picture, &lines, &x, &y, right, height);
        picture.finish()
    }
}

fn draw(picture: &mut Picture, lines: &[&Line], x: &Scale, y: &Scale, right: f64, height: f64) {
    for line in lines {
        let Style { colour, dash, width } = line.style;
        let mut path = String::new();
        for (number, point) in line.points.iter().enumerate() {
            let _ = write!(path, "{}{:.1} {:.1}", if number == 0 { 'M' } else { 'L' }, x.at(point.0), y.at(point.1));
            if line.has_marks {
                picture.dot(x.at(point.0), y.at(point.1), 3.2, colour);
            }
        }
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
        picture
            .path(&path, &format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dash}"));
    }
    name(picture, lines, x, y, (right, height));
}

fn name(picture: &mut Picture, lines: &[&Line], x: &Scale, y: &Scale, (right, height): (f64, f64)) {
    let end = |line: &Line| line.points.last().map_or((0.0, 0.0), |point| (x.at(point.0), y.at(point.1)));
    let last = lines.iter().map(|line| end(line).0).fold(LEFT, f64::max);
    // Where the name of a line is: beside its end, or outside.
    let column = |line: &Line| if end(line).0 < last - EARLY * (right - LEFT) { end(line).0 + 9.0 } else { right + 22.0 };
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by(|&a, &b| {
        let key = |at: usize| (column(lines[at]), end(lines[at]).1);
        key(a).0.total_cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1))
    });
    for names in order.chunk_by(|&a, &b| column(lines[a]) == column(lines[b])) {
        let wanted: Vec<f64> = names.iter().map(|&at| end(lines[at]).1).collect();
        for (&at, place) in names.iter().zip(spread_out(&wanted, TOP, height - BOTTOM)) {
            let line = lines[at];
            let Style { colour, width, .. } = line.style;
            let ((from_x, from_y), column) = (end(line), column(line));
            let weight = if width > 2.0 { " font-weight=\"bold\"" } else { "" };
            let lead = format!("M{from_x:.1} {from_y:.1}L{:.1} {place:.1}", column - 4.0);
            picture.path(&lead, "stroke=\"#bbb\" stroke-width=\"0.6\"");
            let outline = "stroke=\"#fff\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\"";
            let attributes = format!("font-size=\"12\" fill=\"{colour}\" {outline}{weight}");
            picture.text(format_args!("{column:.1}"), format_args!("{:.1}", place + 4.0), &attributes, &line.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_distance_and_stay_inside() {
        let places = spread_out(&[61.0, 62.0, 63.0, 399.0, 400.0], 60.0, 400.0);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= NAME_STEP - 1e-9), "{places:?}");
        assert!(places[0] >= 60.0 && places[4] <= 400.0, "{places:?}");
    }

    #[test]
    fn each_line_is_drawn_inside_the_frame_and_named() {
        let line = |name: &str, y: f64| Line {
            name: name.into(),
            points: vec![(1.0, y), (64.0, 20.0 * y)],
            style: Style::peer(0),
            has_marks: true,
        };
        let axis = || logarithmic_axis("µs", |at| at.to_string());
        let lines = vec![line("a & b", 3.0), line("c", 5.0)];
        let plot = Plot { title: "a < b".into(), subtitle: String::new(), machine: String::new(), x: axis(), y: axis(), lines };
        let svg = plot.svg();
        assert!(svg.contains(">a &amp; b</text>") && svg.contains(">c</text>") && svg.contains("a &lt; b"), "{svg}");
        for circle in svg.split("<circle ").skip(1) {
            let number = |key: &str| circle.split(key).nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap();
            let (x, y) = (number("cx=\""), number("cy=\""));
            assert!((LEFT..=WIDTH).contains(&x) && (TOP..=440.0 - BOTTOM).contains(&y), "{x} {y}");
        }
    }

    #[test]
    fn a_line_that_ends_early_is_named_where_it_ends() {
        let line = |name: &str, points: &[(f64, f64)]| Line {
            name: name.into(),
            points: points.into(),
            style: Style::peer(0),
            has_marks: true,
        };
        let axis = || logarithmic_axis("µs", |at| at.to_string());
        let lines = vec![line("whole", &[(1.0, 3.0), (64.0, 5.0)]), line("point", &[(1.0, 2.0)])];
        let svg =
            Plot { title: String::new(), subtitle: String::new(), machine: String::new(), x: axis(), y: axis(), lines }.svg();
        let x = |name: &str| {
            let text = svg.split("<text ").find(|text| text.contains(name)).unwrap();
            text.split('"').nth(1).unwrap().parse::<f64>().unwrap()
        };
        assert!(x(">point<") < LEFT + 0.2 * WIDTH && x(">whole<") > 0.7 * WIDTH, "{svg}");
    }

    #[test]
    fn marks_are_round() {
        assert_eq!([mark("1.00 ms"), mark("10.0 ms"), mark("100 ns")], ["1 ms", "10 ms", "100 ns"]);
    }

    #[test]
    fn percentiles_end_where_the_figures_do() {
        let mut times = crate::no_times();
        for ns in 1..=1000 {
            times.record(ns).unwrap();
        }
        let points = percentiles(&times);
        let (place, ns) = points[points.len() - 1];
        assert!((place - 2.0).abs() < 0.05 && (980.0..=1000.0).contains(&ns), "{place} {ns}");
        assert!((points[0].1 - 1.0).abs() < 0.5);
    }
}
