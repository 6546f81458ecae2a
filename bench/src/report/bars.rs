//! The chart of a comparison: two bars, a dot for each round, and the goal on the scale of the ratio.

use std::fmt::Write;

use crate::comparison::{Comparison, median};

use super::drawing::{Anchor, Drawing, Scale, mark};
use super::number;
use super::verdict::{self, Verdict};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 142.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 392.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 122.0;
/// How high a bar is, and where the two begin.
const BAR: f64 = 22.0;
const ROWS: [f64; 2] = [TOP + 20.0, TOP + 70.0];

/// The drawing, or a sentence where nothing was measured.
///
/// One axis serves both bars: it is the ratio to the median of theirs, and the bars say their figures in their unit. Where there is no
/// such median, the axis is the figure itself, and a goal has no place.
pub fn draw(one: &Comparison, id: &str) -> String {
    let known: Vec<f64> = one.ours.iter().chain(&one.theirs).copied().filter(|figure| figure.is_finite()).collect();
    if known.is_empty() {
        return "<p>Nothing was measured.</p>".to_owned();
    }
    let theirs = median(&one.theirs);
    let compared = theirs.is_finite() && theirs > 0.0;
    let whole = if compared { theirs } else { 1.0 };
    let borders: Vec<(f64, &str)> = [(one.goal, "goal"), (one.stretch, "stretch")]
        .into_iter()
        .filter_map(|(border, name)| Some((border.filter(|_| compared)?, name)))
        .collect();
    // The label of a border stands at its right, and has to find room there.
    let most = known.iter().map(|figure| figure / whole * 1.03).chain(borders.iter().map(|(border, _)| border * 1.2));
    let scale = Scale::linear(most.fold(0.0, f64::max), LEFT, RIGHT);

    let mut drawing = Drawing::new(id, (WIDTH, HEIGHT), &format!("{} beside its baseline", one.workload), &description(one));
    for tick in &scale.ticks {
        let x = scale.at(*tick);
        drawing.line("grid", (x, TOP), (x, BOTTOM));
        drawing.text("tick", (x, BOTTOM + 15.0), Anchor::Middle, &mark(*tick));
    }
    drawing.text("tick", (0.0, BOTTOM + 15.0), Anchor::Start, if compared { "ratio" } else { "figure" });
    for (figures, name, y) in [(&one.ours, "ours", ROWS[0]), (&one.theirs, "theirs", ROWS[1])] {
        let middle = median(figures);
        drawing.text("name", (0.0, y + BAR / 2.0 + 4.0), Anchor::Start, name);
        if middle.is_finite() {
            drawing.bar(&format!("bar {name}"), (LEFT, y), (scale.at(middle / whole) - LEFT, BAR));
        }
        for (round, figure) in figures.iter().enumerate().filter(|(_, figure)| figure.is_finite()) {
            // From top to bottom in the order of the rounds, so that dots that lie close can be told apart.
            let down = (number::place(round) + 1.0) / (number::place(figures.len()) + 1.0);
            let says = format!("round {}: {}", round + 1, number::with_unit(*figure, one.unit));
            drawing.dot("dot", (scale.at(figure / whole), y + BAR * down), 2.5, &says);
        }
    }
    let least = borders.iter().map(|(border, _)| *border).fold(f64::MAX, f64::min);
    for (border, name) in &borders {
        let x = scale.at(*border);
        drawing.line(name, (x, TOP - 6.0), (x, BOTTOM));
        let alone = borders.len() == 1;
        let (anchor, beside) = if *border > least || alone { (Anchor::Start, 2.0) } else { (Anchor::End, -2.0) };
        drawing.text("mark", (x + beside, TOP - 9.0), anchor, name);
    }
    // After the lines, which would strike the figures out where a goal is small.
    for (figures, y) in [(&one.ours, ROWS[0]), (&one.theirs, ROWS[1])] {
        let figure = number::with_unit(median(figures), one.unit);
        drawing.text("value", (LEFT + 2.0, y - 5.0), Anchor::Start, &figure);
    }
    drawing.finish()
}

/// The chart in words.
fn description(one: &Comparison) -> String {
    let less = one.less_is_better;
    let mut out = format!(
        "Ours: {}. Theirs: {}. Ratio: {}.",
        number::with_unit(median(&one.ours), one.unit),
        number::with_unit(median(&one.theirs), one.unit),
        verdict::ratio(one.ratio(), one.goal, one.stretch, less)
    );
    for (border, name) in [(one.goal, "Goal"), (one.stretch, "Stretch")] {
        if border.is_some() {
            let _ = write!(out, " {name}: {}.", verdict::border(border, less));
        }
    }
    if one.goal.is_some() {
        let _ = write!(out, " Verdict: {}.", Verdict::of_comparison(one).word());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::comparison;
    use super::*;

    #[test]
    fn each_round_is_a_dot_and_the_goals_are_lines() {
        let svg = draw(&comparison(&[650.0, 700.0, 720.0]), "c1");
        assert_eq!((svg.matches("<circle").count(), svg.matches("<rect").count()), (6, 2));
        assert!(svg.contains(r#"<line class="goal""#) && svg.contains(r#"<line class="stretch""#), "{svg}");
        assert!(svg.contains("<title>round 2: 700 requests/s</title>"), "{svg}");
        assert!(
            svg.contains("Ours: 700 requests/s. Theirs: 1,000 requests/s. Ratio: 0.70. Goal: ≥ 0.60. Stretch: ≥ 0.80."),
            "{svg}"
        );
        assert!(svg.contains("Verdict: ✓ met."), "{svg}");
    }

    #[test]
    fn a_comparison_without_a_baseline_or_figures_has_no_nan() {
        assert_eq!(draw(&comparison(&[]), "c1"), "<p>Nothing was measured.</p>");
        let alone = draw(&Comparison { theirs: vec![f64::NAN], ..comparison(&[650.0]) }, "c1");
        assert!(!alone.contains("NaN") && !alone.contains(r#"class="goal""#), "{alone}");
        assert_eq!((alone.matches("<circle").count(), alone.matches("<rect").count()), (1, 1));
        let zero = draw(&Comparison { theirs: vec![0.0], ..comparison(&[650.0]) }, "c1");
        assert!(!zero.contains("NaN") && !zero.contains("inf"), "{zero}");
    }

    #[test]
    fn without_a_goal_there_is_no_word_of_one() {
        let svg = draw(&Comparison { goal: None, stretch: None, ..comparison(&[650.0]) }, "c1");
        assert!(!svg.contains("goal") && !svg.contains("Verdict"), "{svg}");
    }
}
