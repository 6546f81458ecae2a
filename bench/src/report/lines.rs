//! The charts of growth and of latency: lines over sizes, and over percentiles.

use super::drawing::{Anchor, Drawing, Scale, mark, spread};
use super::{Growth, Latency, number, table, verdict};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 370.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 166.0;
/// The height of the chart of all workloads, apart from a line for each label.
const OVERVIEW: f64 = 220.0;
/// How far labels are apart.
const LABEL: f64 = 15.0;
/// How many colours there are for lines.
const COLOURS: usize = 6;

/// All workloads in one chart, each as many times as at its smallest size, with the goals.
pub fn overview(all: &[Growth], id: &str) -> String {
    let relative: Vec<Vec<(f64, f64)>> = all.iter().map(relative).collect();
    let known: Vec<(f64, f64)> = relative.iter().flatten().copied().collect();
    if known.is_empty() {
        return "<p>Nothing was measured.</p>".to_owned();
    }
    let right = 244.0;
    let height = OVERVIEW.max(LABEL * number::place(all.len()) + 60.0);
    let bottom = height - 24.0;
    let goals = distinct(&all.iter().map(|one| one.goal).collect::<Vec<_>>());
    let stretches = distinct(&all.iter().map(|one| one.stretch).collect::<Vec<_>>());
    let most = known.iter().map(|(_, times)| *times).chain(goals.iter().map(|goal| goal * 1.15)).fold(1.0, f64::max);
    let scale = Scale::linear(most, bottom, TOP);
    let sizes: Vec<f64> = known.iter().map(|(size, _)| *size).collect();
    let across = across(&sizes, right);

    let says: Vec<String> = all
        .iter()
        .map(|one| format!("{}: {} times", one.workload, verdict::ratio(one.ratio(), Some(one.goal), Some(one.stretch), true)))
        .collect();
    let title = "Each workload, as a multiple of its figure at the smallest size";
    let mut drawing = Drawing::new(id, (WIDTH, height), title, &format!("At the largest size, {}.", says.join(", ")));
    axis(&mut drawing, &scale, right, "×");
    for size in distinct(&sizes) {
        drawing.text("tick", (across(size), bottom + 16.0), Anchor::Middle, &mark(size));
    }
    for (borders, name) in [(&goals, "goal"), (&stretches, "stretch")] {
        for times in borders {
            border(&mut drawing, name, scale.at(*times), right, &format!("{name} {}×", number::trimmed(*times)));
        }
    }
    let ends: Vec<f64> = relative.iter().map(|points| points.last().map_or(bottom, |(_, times)| scale.at(*times))).collect();
    let labels = spread(&ends, LABEL, bottom);
    for (at, (one, points)) in all.iter().zip(&relative).enumerate() {
        let again = if at / COLOURS % 2 == 1 { " again" } else { "" };
        let class = format!("s{}{again}", at % COLOURS + 1);
        let places: Vec<(f64, f64)> = points.iter().map(|(size, times)| (across(*size), scale.at(*times))).collect();
        drawing.path(&format!("line {class}"), &places);
        for ((size, times), place) in points.iter().zip(&places) {
            let says = format!("{} at {}: {} times", one.workload, number::decimal(*size, 0), number::figure(*times));
            drawing.dot(&format!("point {class}"), *place, 3.0, &says);
        }
        if let Some(end) = places.last() {
            drawing.line(&format!("leader {class}"), (end.0 + 5.0, end.1), (right + 16.0, labels[at]));
            drawing.text("value", (right + 19.0, labels[at] + 4.0), Anchor::Start, &shortened(&one.workload));
        }
    }
    drawing.finish()
}

/// One workload: its figure at each size, and each round as a dot.
pub fn growth(one: &Growth, id: &str) -> String {
    let medians = one.medians();
    let rounds: Vec<f64> = one.figures.iter().flatten().copied().filter(|figure| figure.is_finite()).collect();
    if rounds.is_empty() {
        return "<p>Nothing was measured.</p>".to_owned();
    }
    let sizes: Vec<f64> = one.sizes.iter().map(|size| f64::from(*size)).collect();
    let across = across(&sizes, RIGHT);
    let first = medians.first().copied().filter(|first| first.is_finite());
    let borders: Vec<(f64, f64, &str)> = first
        .map(|first| vec![(first * one.goal, one.goal, "goal"), (first * one.stretch, one.stretch, "stretch")])
        .unwrap_or_default();
    let highest = borders.iter().map(|(figure, ..)| figure * 1.15);
    let most = rounds.iter().map(|figure| figure * 1.1).chain(highest).fold(0.0, f64::max);
    let scale = Scale::linear(most, BOTTOM, TOP);
    let says: Vec<String> = sizes
        .iter()
        .zip(&medians)
        .map(|(size, median)| format!("{} at {}", number::with_unit(*median, &one.unit), number::decimal(*size, 0)))
        .collect();
    let title = format!("{} over the number of sessions", one.workload);
    let mut drawing = Drawing::new(id, (WIDTH, HEIGHT), &title, &format!("{}.", says.join(", ")));
    axis(&mut drawing, &scale, RIGHT, &one.unit);
    for (figure, times, name) in &borders {
        let text = format!("{name} {}×", number::trimmed(*times));
        border(&mut drawing, name, scale.at(*figure), RIGHT, &text);
    }
    let places: Vec<(f64, f64)> = sizes
        .iter()
        .zip(&medians)
        .filter(|(_, median)| median.is_finite())
        .map(|(size, median)| (across(*size), scale.at(*median)))
        .collect();
    drawing.path("line s1", &places);
    let heights: Vec<f64> = borders.iter().map(|(figure, ..)| scale.at(*figure)).collect();
    for (at, (size, median)) in sizes.iter().zip(&medians).enumerate() {
        let x = across(*size);
        drawing.text("tick", (x, BOTTOM + 16.0), Anchor::Middle, &mark(*size));
        let each = one.figures.get(at).map_or(&[][..], Vec::as_slice);
        for (round, figure) in each.iter().enumerate().filter(|(_, figure)| figure.is_finite()) {
            // From left to right in the order of the rounds, so that dots that lie close can be told apart.
            let aside = 4.0 * (number::place(round) - (number::place(each.len()) - 1.0) / 2.0);
            let says = format!("round {}: {}", round + 1, number::with_unit(*figure, &one.unit));
            drawing.dot("dot", (x + aside, scale.at(*figure)), 2.5, &says);
        }
        if median.is_finite() {
            let known = || each.iter().copied().filter(|figure| figure.is_finite());
            let (top, bottom) = (scale.at(known().fold(*median, f64::max)), scale.at(known().fold(*median, f64::min)));
            let y = if struck(top - 8.0, &heights) && !struck(bottom + 18.0, &heights) { bottom + 18.0 } else { top - 8.0 };
            drawing.text("value", (x, y), Anchor::Middle, &number::figure(*median));
        }
    }
    drawing.finish()
}

/// The percentiles of one workload and its longest time, in powers of ten; the goal of the 99th is a line over its place.
pub fn latency(one: &Latency, id: &str) -> String {
    let mut points: Vec<(String, f64)> =
        one.percentiles.iter().map(|&(percentile, ms)| (table::percentile_name(percentile), ms)).collect();
    points.push(("max".to_owned(), one.maximum));
    points.retain(|(_, ms)| ms.is_finite());
    if points.is_empty() {
        return "<p>Nothing was measured.</p>".to_owned();
    }
    let goal = one.goal_ratio.map(|times| times * one.percentile(50.0)).filter(|goal| goal.is_finite());
    let values: Vec<f64> = points.iter().map(|(_, ms)| *ms).chain(goal).collect();
    let scale = Scale::logarithmic(&values, BOTTOM, TOP + 12.0);
    let step = (RIGHT - LEFT) / number::place(points.len());
    let x = |at: usize| LEFT + step * (number::place(at) + 0.5);
    let mut says: Vec<String> = points.iter().map(|(name, ms)| format!("{name}: {}", number::with_unit(*ms, "ms"))).collect();
    if let Some(goal) = goal {
        says.push(format!("goal of p99: {}", number::with_unit(goal, "ms")));
    }
    let title = format!("{} at {} requests per second", one.workload, number::figure(one.rate));
    let mut drawing = Drawing::new(id, (WIDTH, HEIGHT), &title, &format!("{}.", says.join(", ")));
    axis(&mut drawing, &scale, RIGHT, "ms");
    let places: Vec<(f64, f64)> = points.iter().enumerate().map(|(at, (_, ms))| (x(at), scale.at(*ms))).collect();
    let judged = points.iter().position(|(name, _)| name == "p99");
    let height = goal.map(|goal| scale.at(goal));
    if let (Some(y), Some(at)) = (height, judged) {
        drawing.line("goal", (x(at) - step / 2.0, y), (x(at) + step / 2.0, y));
        drawing.text("mark", (x(at) - step / 2.0 - 3.0, y + 4.0), Anchor::End, "goal");
    }
    drawing.path("line s1", &places);
    for (at, ((name, ms), place)) in points.iter().zip(&places).enumerate() {
        drawing.dot("point s1", *place, 3.5, &format!("{name}: {}", number::with_unit(*ms, "ms")));
        // The line rises from left to right: there is room above it at the left, and below it at the right.
        let below = judged == Some(at) && height.is_some_and(|height| struck(place.1 - 8.0, &[height]));
        let (anchor, beside) = if below { (Anchor::Start, (4.0, 16.0)) } else { (Anchor::End, (7.0, -8.0)) };
        drawing.text("value", (place.0 + beside.0, place.1 + beside.1), anchor, &number::figure(*ms));
        drawing.text("tick", (place.0, BOTTOM + 16.0), Anchor::Middle, name);
    }
    drawing.finish()
}

/// The marks at the left, and what they count.
fn axis(drawing: &mut Drawing, scale: &Scale, right: f64, unit: &str) {
    for tick in &scale.ticks {
        let y = scale.at(*tick);
        drawing.line("grid", (LEFT, y), (right, y));
        drawing.text("tick", (LEFT - 6.0, y + 4.0), Anchor::End, &mark(*tick));
    }
    drawing.text("tick", (0.0, 10.0), Anchor::Start, unit);
}

/// A goal or a stretch as a line across, and its name above it.
fn border(drawing: &mut Drawing, class: &str, y: f64, right: f64, text: &str) {
    drawing.line(class, (LEFT, y), (right, y));
    drawing.text("mark", (LEFT + 4.0, y - 4.0), Anchor::Start, text);
}

/// Whether one of these lines would strike out a figure that is written at this height.
fn struck(y: f64, lines: &[f64]) -> bool {
    lines.iter().any(|line| (y - 14.0..=y + 4.0).contains(line))
}

/// Where a size stands between the left and `right`: ten times as many are equally far apart everywhere.
fn across(sizes: &[f64], right: f64) -> impl Fn(f64) -> f64 {
    let least = sizes.iter().copied().fold(f64::MAX, f64::min).max(1.0);
    let most = sizes.iter().copied().fold(1.0, f64::max);
    let (left, right) = (LEFT + 22.0, right - 16.0);
    move |size: f64| {
        if most <= least {
            return f64::midpoint(left, right);
        }
        left + (size.max(1.0) / least).log10() / (most / least).log10() * (right - left)
    }
}

/// Each size, and how many times the figure of the smallest it takes there.
fn relative(one: &Growth) -> Vec<(f64, f64)> {
    let medians = one.medians();
    let first = medians.first().copied().unwrap_or(f64::NAN);
    let times = one.sizes.iter().zip(&medians).map(|(size, median)| (f64::from(*size), median / first));
    times.filter(|(_, times)| times.is_finite()).collect()
}

fn distinct(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// A name that fits beside the chart.
fn shortened(name: &str) -> String {
    if name.chars().count() <= 17 { name.to_owned() } else { name.chars().take(16).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{growth as grown, latency as lasted};
    use super::*;

    #[test]
    fn growth_is_a_line_for_each_workload() {
        let svg = overview(&[grown(2.0), Growth { workload: "a<b".to_owned(), ..grown(3.0) }], "g");
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 6));
        assert_eq!([r#"<line class="goal""#, r#"<line class="stretch""#].map(|line| svg.matches(line).count()), [1, 1]);
        assert!(svg.contains("At the largest size, get-session: 2.00 times, a&lt;b: 3.00 times."), "{svg}");
        let sizes = [">20k</text>", ">200k</text>", ">2M</text>"];
        assert!(sizes.iter().all(|size| svg.contains(size)), "{svg}");
    }

    #[test]
    fn one_workload_has_a_dot_for_each_round() {
        let svg = growth(&grown(2.0), "g1");
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (1, 9));
        assert!(svg.contains("1.00 ms at 20,000, 1.30 ms at 200,000, 2.00 ms at 2,000,000."), "{svg}");
    }

    #[test]
    fn latency_has_a_point_for_each_percentile_and_the_longest() {
        let svg = latency(&lasted(4.0), "l1");
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (1, 5));
        assert_eq!(svg.matches(r#"<line class="goal""#).count(), 1);
        assert!(svg.contains("get-session at 2,500 requests per second"), "{svg}");
        assert!(
            svg.contains("p50: 1.00 ms, p90: 1.70 ms, p99: 4.00 ms, p99.9: 12.0 ms, max: 61.0 ms, goal of p99: 5.00 ms."),
            "{svg}"
        );
    }

    #[test]
    fn a_figure_keeps_clear_of_the_goal() {
        // Right below the goal of 5 ms the figure stands under its point, with its beginning there; far from it, above with its end.
        let anchor = |svg: &str, figure: &str| {
            let before = svg.split(&format!(">{figure}</text>")).next().unwrap();
            before.rsplit("text-anchor=").next().unwrap().to_owned()
        };
        assert_eq!(anchor(&latency(&lasted(4.0), "l"), "4.00"), "\"start\"");
        assert_eq!(anchor(&latency(&lasted(1.8), "l"), "1.80"), "\"end\"");
        assert!(struck(50.0, &[40.0]) && struck(50.0, &[52.0]) && !struck(50.0, &[30.0, 60.0]));
    }

    #[test]
    fn missing_figures_leave_gaps_and_no_nan() {
        let none = Growth { figures: Vec::new(), ..grown(1.0) };
        assert_eq!(overview(std::slice::from_ref(&none), "g"), "<p>Nothing was measured.</p>");
        assert_eq!(growth(&none, "g1"), "<p>Nothing was measured.</p>");
        let some = Growth { figures: vec![vec![], vec![f64::NAN, 2.0]], ..grown(1.0) };
        let unmeasured = Latency { percentiles: vec![(50.0, f64::NAN), (99.0, 0.0)], ..lasted(1.0) };
        let nothing = Latency { percentiles: vec![], maximum: f64::NAN, ..lasted(1.0) };
        for svg in [overview(&[some.clone(), grown(2.0)], "g"), growth(&some, "g1"), latency(&unmeasured, "l1")] {
            assert!(svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert_eq!(latency(&nothing, "l1"), "<p>Nothing was measured.</p>");
        let one_size = Growth { sizes: vec![20_000], figures: vec![vec![1.0]], ..grown(1.0) };
        assert!(!overview(&[one_size], "g").contains("NaN"));
    }
}
