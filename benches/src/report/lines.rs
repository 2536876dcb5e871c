//! Plots of lines.

use std::fmt::Write;

use super::page::escape;
use super::scale::{Scale, short, time};

/// The colours that lines have, by their order; beyond that they are dashed.
const COLOURS: usize = 8;
/// As wide as a phone. Lengths in all plots are those of its pixels.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 24.0;

/// One line of a plot.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

fn frame(caption: &str) -> String {
    let caption = escape(caption);
    format!(
        "<figure><figcaption>{caption}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{caption}\">"
    )
}

fn horizontal(svg: &mut String, y: f64, text: &str) {
    let (right, below) = (WIDTH - RIGHT, y + 4.0);
    let _ = write!(
        svg,
        "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
         <text x=\"{:.1}\" y=\"{below:.1}\" text-anchor=\"end\">{text}</text>",
        LEFT - 5.0
    );
}

fn below(svg: &mut String, x: f64, text: &str) {
    let y = HEIGHT - 8.0;
    let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{text}</text>");
}

fn draw(svg: &mut String, lines: &[Line], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) {
    for (index, line) in lines.iter().enumerate() {
        let points: Vec<String> = line.points.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
        let dashed = if index >= COLOURS { " dashed" } else { "" };
        let _ = write!(
            svg,
            "<polyline class=\"line c{}{dashed}\" points=\"{}\"><title>{}</title></polyline>",
            index % COLOURS,
            points.join(" "),
            escape(&line.name)
        );
    }
}

/// Closes the plot, and says which line is which if there are several.
fn close(mut svg: String, lines: &[Line]) -> String {
    svg += "</svg>";
    if lines.len() > 1 {
        svg += "<ul class=\"key\">";
        for (index, line) in lines.iter().enumerate() {
            let dashed = if index >= COLOURS { " dashed" } else { "" };
            let _ = write!(svg, "<li class=\"c{}{dashed}\">{}</li>", index % COLOURS, escape(&line.name));
        }
        svg += "</ul>";
    }
    svg + "</figure>"
}

/// Values over time, from zero. Points are seconds and values.
pub(super) fn over_time(caption: &str, lines: &[Line]) -> String {
    let most =
        |of: fn(&(f64, f64)) -> f64| lines.iter().flat_map(|line| line.points.iter().map(of)).fold(0.0, f64::max);
    let x = Scale::even(most(|point| point.0), LEFT, WIDTH - RIGHT);
    let y = Scale::even(most(|point| point.1), HEIGHT - BOTTOM, TOP);
    let mut svg = frame(caption);
    y.ticks().into_iter().for_each(|tick| horizontal(&mut svg, y.at(tick), &short(tick)));
    x.ticks().into_iter().for_each(|tick| below(&mut svg, x.at(tick), &format!("{} s", short(tick))));
    draw(&mut svg, lines, |value| x.at(value), |value| y.at(value));
    close(svg, lines)
}

/// Latency by percentile: each nine more takes as much room as the one before. Points are percents and microseconds.
pub(super) fn percentiles(caption: &str, lines: &[Line]) -> String {
    let values = || lines.iter().flat_map(|line| line.points.iter().map(|point| point.1)).filter(|value| *value > 0.0);
    let y = Scale::powers(values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max), HEIGHT - BOTTOM, TOP);
    // The last one, 100 %, stands where 99.999 % does.
    let nines = |percent: f64| -(1.0 - percent.min(99.999) / 100.0).log10();
    let x = |percent: f64| LEFT + nines(percent) / 5.0 * (WIDTH - LEFT - RIGHT - 14.0);
    let mut svg = frame(caption);
    y.ticks().into_iter().for_each(|tick| horizontal(&mut svg, y.at(tick), &time(tick)));
    for percent in [0.0, 90.0, 99.0, 99.9, 99.99] {
        below(&mut svg, x(percent), &format!("{percent}%"));
    }
    below(&mut svg, x(100.0), "max");
    draw(&mut svg, lines, x, |value| y.at(value));
    close(svg, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_drawn_and_named() {
        let line = |number: usize| Line {
            name: format!("line <{number}>"),
            points: vec![(0.0, 1.0), (99.0, 10.0), (100.0, 1000.0)],
        };
        let lines: Vec<Line> = (0..10).map(line).collect();
        for svg in [over_time("a plot", &lines), percentiles("a plot", &lines)] {
            assert_eq!(svg.matches("<polyline").count(), 10);
            assert_eq!(svg.matches("<li class").count(), 10);
            assert_eq!(svg.matches("dashed").count(), 4);
            assert!(svg.contains("line &lt;9&gt;") && !svg.contains("NaN"));
        }
        assert!(!percentiles("nothing", &[Line { name: "none".into(), points: Vec::new() }]).contains("NaN"));
    }
}
