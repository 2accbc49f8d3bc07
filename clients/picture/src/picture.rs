//! A page of SVG.

use std::fmt::{Display, Write};

/// A page on which texts and paths are put, the later ones above the earlier.
#[derive(Clone, Debug)]
pub struct Picture {
    svg: String,
}

impl Picture {
    /// A white page of so many pixels.
    #[must_use]
    pub fn new(width: f64, height: f64) -> Picture {
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"11\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        Picture { svg }
    }

    /// Puts a text; its left end is at (x, y), or as the attributes say.
    pub fn text(&mut self, x: impl Display, y: impl Display, attributes: &str, text: &str) {
        self.put(format_args!("<text x=\"{x}\" y=\"{y}\"{}{attributes}>{}</text>\n", gap(attributes), escaped(text)));
    }

    /// Puts a text that is read from below and whose middle is at (x, y).
    pub fn upright(&mut self, x: f64, y: f64, attributes: &str, text: &str) {
        self.put(format_args!(
            "<text transform=\"translate({x} {y:.1}) rotate(-90)\" text-anchor=\"middle\"{}{attributes}>{}</text>\n",
            gap(attributes),
            escaped(text)
        ));
    }

    /// Puts a path.
    pub fn path(&mut self, path: &str, attributes: &str) {
        self.put(format_args!("<path d=\"{path}\" {attributes}/>\n"));
    }

    /// Puts a dot.
    pub fn dot(&mut self, x: f64, y: f64, radius: f64, colour: &str) {
        self.put(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"/>\n"));
    }

    /// Clips what `draw` adds to this area, which is named by `id`.
    pub fn inside(&mut self, id: &str, [left, top, right, bottom]: [f64; 4], draw: impl FnOnce(&mut Picture)) {
        self.put(format_args!(
            "<clipPath id=\"{id}\"><rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>\n\
             <g clip-path=\"url(#{id})\">\n",
            right - left,
            bottom - top
        ));
        draw(self);
        self.put(format_args!("</g>\n"));
    }

    /// The finished page.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.svg += "</svg>\n";
        self.svg
    }

    fn put(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.svg.write_fmt(what);
    }
}

fn gap(attributes: &str) -> &'static str {
    if attributes.is_empty() { "" } else { " " }
}

/// Text that is safe between tags; XML has no way to say a control character.
fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_be_taken_for_tags() {
        let mut picture = Picture::new(10.0, 10.0);
        picture.text(1, 2, "", "a < b & \u{1b}[2J");
        assert!(picture.finish().contains("<text x=\"1\" y=\"2\">a &lt; b &amp; \u{fffd}[2J</text>"));
    }
}
