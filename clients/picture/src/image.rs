//! A picture as PNG.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

/// What texts are written with, wherever the picture is made.
const FONT: &[u8] = include_bytes!("../font/DejaVuSans-subset.ttf");

/// Draws an SVG as PNG, `zoom` pixels for each of its own.
///
/// # Errors
///
/// Says what is wrong with the SVG, or that the picture is too large for memory.
pub fn png(svg: &str, zoom: f32) -> Result<Vec<u8>, String> {
    let mut fonts = Database::new();
    fonts.load_font_data(FONT.into());
    let options = Options { font_family: "DejaVu Sans".into(), fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| format!("cannot draw the picture: {error}"))?;
    let size = tree.size().to_int_size().scale_by(zoom);
    let pixels = size.and_then(|size| Pixmap::new(size.width(), size.height()));
    let mut pixels = pixels.ok_or("the picture is too large for memory")?;
    resvg::render(&tree, Transform::from_scale(zoom, zoom), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| format!("cannot make a PNG: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Picture;

    /// How many pixels are dark inside a part of the picture.
    fn dark(pixels: &Pixmap, columns: std::ops::Range<u32>, rows: std::ops::Range<u32>) -> usize {
        let is_dark = |x, y| pixels.pixel(x, y).is_some_and(|pixel| pixel.red() < 128);
        rows.map(|y| columns.clone().filter(|&x| is_dark(x, y)).count()).sum()
    }

    #[test]
    fn lines_and_letters_are_where_the_svg_has_them() {
        let mut picture = Picture::new(100.0, 50.0);
        picture.path("M10 10H30", "stroke=\"#000\" stroke-width=\"2\"");
        picture.text(60, 40, "", "µΩ°");
        let pixels = Pixmap::decode_png(&png(&picture.finish(), 2.0).unwrap()).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (200, 100));
        assert_eq!(dark(&pixels, 0..110, 0..100), 40 * 4, "the line, and nothing else");
        for letter in 0..3 {
            let from = 120 + 14 * letter;
            assert!(dark(&pixels, from..from + 12, 60..90) > 10, "letter {letter}");
        }
    }
}
