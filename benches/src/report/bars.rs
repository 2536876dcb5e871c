//! Plots of bars: whom the engine is compared with.

use std::fmt::Write;

use super::page::escape;
use super::scale::{Scale, short};
use crate::spread::Spread;

/// One bar.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) note: String,
    pub(super) spread: Spread,
    /// What stands behind it.
    pub(super) text: String,
    /// Ours is set apart from the others, and whoever promises less is as well.
    pub(super) class: &'static str,
}

const WIDTH: f64 = 360.0;
const ROW: f64 = 38.0;
/// What is kept free behind a bar for its text.
const ROOM: f64 = 96.0;

/// Bars below each other, longest possible; a thin line from the lowest to the highest.
pub(super) fn bars(caption: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.spread.highest).fold(0.0, f64::max);
    let x = Scale::even(most, 0.0, WIDTH - ROOM);
    let height = ROW * bars.len() as f64;
    let caption = escape(caption);
    let mut svg = format!(
        "<figure><figcaption>{caption}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{caption}\">"
    );
    for (index, bar) in bars.iter().enumerate() {
        let top = index as f64 * ROW;
        let Spread { lowest, median, highest } = bar.spread;
        let (width, low, high) = (x.at(median).max(1.0), x.at(lowest), x.at(highest));
        let (name, note, text) = (escape(&bar.name), escape(&bar.note), escape(&bar.text));
        let title = format!("{name}: {} ({} to {})", short(median), short(lowest), short(highest));
        let _ = write!(
            svg,
            "<g class=\"{}\"><title>{title}</title>\
             <text class=\"name\" x=\"0\" y=\"{:.1}\">{name} <tspan class=\"note\">{note}</tspan></text>\
             <rect x=\"0\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"/>\
             <line class=\"spread\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{text}</text></g>",
            bar.class,
            top + 12.0,
            top + 17.0,
            top + 24.0,
            top + 24.0,
            width.max(high) + 6.0,
            top + 28.0,
        );
    }
    svg + "</svg></figure>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |name: &str, median: f64| Bar {
            name: name.into(),
            note: "a & b".into(),
            spread: Spread { lowest: median / 2.0, median, highest: median },
            text: "1.00".into(),
            class: "ours",
        };
        let svg = bars("a plot", &[bar("one", 1000.0), bar("half", 500.0)]);
        assert!(svg.contains("width=\"264.0\"") && svg.contains("width=\"132.0\""), "{svg}");
        assert!(svg.contains("a &amp; b") && svg.contains("one: 1k (500 to 1k)"));
    }
}
