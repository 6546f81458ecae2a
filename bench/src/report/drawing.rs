//! An SVG in the making, and the scales that charts are drawn on.
//!
//! Colours are classes, so that the page decides them for light and dark. Drawings are narrow, so that their letters can be read on a
//! phone, where they are as wide as the screen.

use std::fmt::Write;

use super::grid::escape;
use super::number;

/// Where a text begins.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing with a title and a description for whoever cannot see it.
#[derive(Debug)]
pub struct Drawing {
    svg: String,
}

impl Drawing {
    /// `id` tells the drawings of a page apart.
    pub fn new(id: &str, (width, height): (f64, f64), title: &str, description: &str) -> Self {
        let (title, description) = (escape(title), escape(description));
        Self {
            svg: format!(
                r#"<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-title {id}-desc"><title id="{id}-title">{title}</title><desc id="{id}-desc">{description}</desc>"#
            ),
        }
    }

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = write!(self.svg, r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#);
    }

    /// A line through some points, and nothing of fewer than two.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        if points.len() > 1 {
            let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = write!(self.svg, r#"<polyline class="{class}" points="{}"/>"#, points.join(" "));
        }
    }

    pub fn bar(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let _ =
            write!(self.svg, r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2"/>"#);
    }

    /// A dot that says what it is under the pointer.
    pub fn dot(&mut self, class: &str, (x, y): (f64, f64), radius: f64, says: &str) {
        let says = escape(says);
        let _ =
            write!(self.svg, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius}"><title>{says}</title></circle>"#);
    }

    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        let _ = write!(self.svg, r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
    }

    pub fn finish(self) -> String {
        self.svg + "</svg>"
    }
}

/// What a value is on a stretch of the drawing: from zero at its beginning, or in powers of ten.
#[derive(Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    from: f64,
    to: f64,
    pub ticks: Vec<f64>,
}

impl Scale {
    /// From zero to at least `most`, with three to six marks, between two places of the drawing.
    pub fn linear(most: f64, from: f64, to: f64) -> Self {
        let high = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let step = round_step(high / 5.0);
        let ticks = (0..=8).map(|at| f64::from(at) * step).take_while(|tick| *tick <= high * 1.001).collect();
        Self { low: 0.0, high, logarithmic: false, from, to, ticks }
    }

    /// Over all these values in powers of ten; zeros and less lie at the beginning.
    pub fn logarithmic(values: &[f64], from: f64, to: f64) -> Self {
        let known = || values.iter().copied().filter(|value| value.is_finite() && *value > 0.0);
        let (least, most) = (known().fold(f64::MAX, f64::min), known().fold(0.0, f64::max));
        let (least, most) = if most > 0.0 { (least, most) } else { (1.0, 1.0) };
        let low = 10_f64.powf(least.log10().floor());
        let high = 10_f64.powf(most.log10().ceil()).max(low * 10.0);
        let decades = std::iter::successors(Some(low), |tick| Some(tick * 10.0)).take_while(|tick| *tick <= high * 1.001);
        Self { low, high, logarithmic: true, from, to, ticks: decades.collect() }
    }

    pub fn at(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            value / self.high
        };
        self.from + part * (self.to - self.from)
    }
}

/// A step of 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|times| times * power).find(|step| *step >= least * 0.999).unwrap_or(power * 10.0)
}

/// A mark of an axis in few letters.
pub fn mark(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..0.001 => format!("{value:e}"),
        ..10_000.0 => number::trimmed(value),
        ..1_000_000.0 => format!("{}k", number::trimmed(value / 1e3)),
        _ => format!("{}M", number::trimmed(value / 1e6)),
    }
}

/// Places near the wanted ones, in the same order, that are at least `gap` apart and not beyond `most`.
pub fn spread(wanted: &[f64], gap: f64, most: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut placed = wanted.to_vec();
    let mut least = f64::MIN;
    for at in &order {
        placed[*at] = placed[*at].max(least);
        least = placed[*at] + gap;
    }
    let mut limit = most;
    for at in order.iter().rev() {
        placed[*at] = placed[*at].min(limit);
        limit = placed[*at] - gap;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_inside_its_scale() {
        for most in [0.0, 0.003, 0.99, 1.0, 7.3, 1234.5, 9e6, f64::NAN] {
            let scale = Scale::linear(most, 100.0, 20.0);
            assert!((3..=6).contains(&scale.ticks.len()), "{most}: {:?}", scale.ticks);
            for value in scale.ticks.iter().chain([most].iter().filter(|most| most.is_finite())) {
                assert!((19.9..=100.1).contains(&scale.at(*value)), "{value} of {most} is at {}", scale.at(*value));
            }
        }
        for values in [vec![], vec![0.0, f64::NAN], vec![0.2, 61.0], vec![1.0], vec![1e6, 1e-3]] {
            let scale = Scale::logarithmic(&values, 100.0, 20.0);
            assert!(scale.ticks.len() >= 2, "{values:?}: {:?}", scale.ticks);
            for value in scale.ticks.iter().chain(values.iter().filter(|value| value.is_finite())) {
                assert!((19.9..=100.1).contains(&scale.at(*value)), "{value} of {values:?} is at {}", scale.at(*value));
            }
        }
    }

    #[test]
    fn marks_are_short() {
        let all = [0.0, 0.0001, 0.25, 1.5, 5000.0, 20_000.0, 2_000_000.0, 25_000_000.0];
        assert_eq!(all.map(mark), ["0", "1e-4", "0.25", "1.5", "5,000", "20k", "2M", "25M"]);
    }

    #[test]
    fn labels_are_kept_apart_in_their_order() {
        assert_eq!(spread(&[10.0, 11.0, 50.0], 10.0, 100.0), [10.0, 20.0, 50.0]);
        assert_eq!(spread(&[98.0, 95.0, 10.0], 10.0, 100.0), [100.0, 90.0, 10.0]);
        assert!(spread(&[], 10.0, 100.0).is_empty());
    }

    #[test]
    fn a_drawing_has_a_title_and_nothing_in_it_is_markup() {
        let mut drawing = Drawing::new("c1", (10.0, 5.0), "a < b", "c & d");
        drawing.text("tick", (1.0, 2.0), Anchor::Middle, "<script>");
        drawing.path("line", &[(1.0, 1.0)]);
        let svg = drawing.finish();
        assert!(svg.contains(r#"aria-labelledby="c1-title c1-desc"><title id="c1-title">a &lt; b</title>"#), "{svg}");
        assert!(svg.contains(r#"<desc id="c1-desc">c &amp; d</desc>"#) && svg.contains("&lt;script&gt;"), "{svg}");
        assert!(!svg.contains("polyline") && svg.ends_with("</svg>"), "{svg}");
    }
}
