//! Pictures of curves: frames with round marks, on SVG and as PNG.
//!
//! [`picture`] has the page and what is drawn on it, [`axis`] converts figures to places and draws
//! frames. [`numbers`] and [`time`] choose the marks of axes, [`image`] makes a PNG of an SVG.

pub mod axis;
pub mod image;
pub mod numbers;
pub mod picture;
pub mod time;

/// Colours of curves on white. Colour-blind readers can tell the first eight apart.
pub const COLOURS: [&str; 20] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a07800", "#56b4e9", "#7b4fa3", "#6b4226", "#d62728", "#12a5a5", "#7f9c1c",
    "#e69f00", "#1b3a6b", "#8c2d5a", "#e0218a", "#b58bd9", "#2e5d1e", "#ff7f7f", "#000000", "#c49c6b",
];

#[cfg(test)]
mod tests {
    use super::COLOURS;

    #[test]
    fn no_two_colours_are_the_same() {
        let colours: std::collections::BTreeSet<&str> = COLOURS.into();
        assert_eq!(colours.len(), COLOURS.len());
    }
}
