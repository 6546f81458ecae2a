//! Line charts over the time of a run, as SVG that needs nothing beside it.
//!
//! Colours are classes (`s1`, `s2`, `s3`), so that the page decides them for light and dark. Every column has a title that browsers
//! show under the pointer.

use std::fmt::Write;

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// Points of a line, at most; of a longer run several seconds become one.
const POINTS: usize = 400;

/// One line.
pub struct Line {
    pub name: &'static str,
    /// One value a second; `None` where there is none.
    pub values: Vec<Option<f64>>,
}

/// A chart of some lines.
pub struct Chart {
    pub lines: Vec<Line>,
    pub unit: &'static str,
    /// Powers of ten at equal distances.
    pub logarithmic: bool,
    /// Of several seconds the worst is shown, not the mean.
    pub worst: bool,
}

impl Chart {
    /// The legend and the drawing.
    pub fn render(&self) -> String {
        let seconds = self.lines.iter().map(|line| line.values.len()).max().unwrap_or(0).max(1);
        let step = seconds.div_ceil(POINTS);
        let lines: Vec<Vec<Option<f64>>> = self.lines.iter().map(|line| self.thin(&line.values, step)).collect();
        let scale = Scale::over(lines.iter().flatten().flatten().copied(), self.logarithmic);
        let mut svg = self.legend();
        let _ = write!(svg, r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{} over time">"#, self.names());
        for tick in &scale.ticks {
            let y = scale.y(*tick);
            let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/>"#, WIDTH - RIGHT);
            let _ = write!(
                svg,
                r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 6.0,
                y + 4.0,
                short(*tick)
            );
        }
        let columns = lines.first().map_or(1, Vec::len).max(1);
        for at in time_ticks(seconds) {
            let x = x(at / float(step), columns);
            let _ =
                write!(svg, r#"<text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#, HEIGHT - 8.0, clock(at));
        }
        for (number, line) in lines.iter().enumerate() {
            svg.push_str(&drawn(line, number + 1, &scale));
        }
        self.titles(&mut svg, &lines, step);
        svg.push_str("</svg>");
        svg
    }

    fn names(&self) -> String {
        self.lines.iter().map(|line| line.name).collect::<Vec<_>>().join(", ")
    }

    fn legend(&self) -> String {
        let mut out = r#"<p class="legend">"#.to_owned();
        for (number, line) in self.lines.iter().enumerate() {
            let _ = write!(out, r#"<span><i class="key s{}"></i>{}</span>"#, number + 1, line.name);
        }
        let _ = write!(out, "<span>{}</span></p>", self.unit);
        out
    }

    /// One value for every `step` seconds.
    fn thin(&self, values: &[Option<f64>], step: usize) -> Vec<Option<f64>> {
        let one = |part: &[Option<f64>]| {
            let known: Vec<f64> = part.iter().flatten().copied().collect();
            let sum: f64 = known.iter().sum();
            let best = known.iter().copied().fold(f64::MIN, f64::max);
            (!known.is_empty()).then(|| if self.worst { best } else { sum / float(known.len()) })
        };
        values.chunks(step).map(one).collect()
    }

    fn titles(&self, svg: &mut String, lines: &[Vec<Option<f64>>], step: usize) {
        let columns = lines.first().map_or(0, Vec::len);
        let width = (WIDTH - LEFT - RIGHT) / float(columns.max(1));
        for column in 0..columns {
            let mut title = clock(float(column * step));
            for (line, values) in self.lines.iter().zip(lines) {
                if let Some(value) = values.get(column).copied().flatten() {
                    let _ = write!(title, "&#10;{}: {}", line.name, short(value));
                }
            }
            let left = x(float(column), columns) - width / 2.0;
            let _ = write!(
                svg,
                r#"<rect class="hit" x="{left:.1}" y="{TOP}" width="{width:.1}" height="{:.1}"><title>{title}</title></rect>"#,
                HEIGHT - TOP - BOTTOM
            );
        }
    }
}

/// The polylines of one line, broken where there is no value; a value alone is a dot.
fn drawn(values: &[Option<f64>], class: usize, scale: &Scale) -> String {
    let mut out = String::new();
    let mut points: Vec<String> = Vec::new();
    for (at, value) in values.iter().chain([&None]).enumerate() {
        if let Some(value) = value {
            points.push(format!("{:.1},{:.1}", x(float(at), values.len()), scale.y(*value)));
        } else {
            match points.as_slice() {
                [] => {}
                [one] => {
                    let (x, y) = one.split_once(',').unwrap_or_default();
                    let _ = write!(out, r#"<circle class="dot s{class}" cx="{x}" cy="{y}" r="2.5"/>"#);
                }
                several => {
                    let _ = write!(out, r#"<polyline class="line s{class}" points="{}"/>"#, several.join(" "));
                }
            }
            points.clear();
        }
    }
    out
}

/// The middle of a column.
fn x(column: f64, columns: usize) -> f64 {
    LEFT + (column + 0.5) * (WIDTH - LEFT - RIGHT) / float(columns.max(1))
}

struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64> + Clone, logarithmic: bool) -> Self {
        let most = values.clone().fold(0.0, f64::max);
        if !logarithmic {
            let step = round_step(most / 4.0);
            let high = (most / step).ceil().max(1.0) * step;
            let ticks = std::iter::successors(Some(0.0), |tick| Some(tick + step)).take_while(|tick| *tick <= high * 1.001);
            return Self { low: 0.0, high, logarithmic, ticks: ticks.collect() };
        }
        let least = values.filter(|value| *value > 0.0).fold(f64::MAX, f64::min).min(most.max(1.0));
        let low = 10_f64.powf(least.log10().floor());
        let high = 10_f64.powf(most.max(low * 10.0).log10().ceil());
        let decades = std::iter::successors(Some(low), |tick| Some(tick * 10.0)).take_while(|tick| *tick <= high * 1.001);
        let few = (high / low).log10() < 2.5;
        let between = |tick: f64| if few { vec![tick, tick * 2.0, tick * 5.0] } else { vec![tick] };
        let ticks = decades.flat_map(between).filter(|tick| *tick <= high * 1.001).collect();
        Self { low, high, logarithmic, ticks }
    }

    fn y(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    }
}

/// A step of 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(0.25).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= least).unwrap_or(power)
}

fn time_ticks(seconds: usize) -> Vec<f64> {
    let steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400];
    let step = steps.into_iter().find(|step| seconds / step <= 10).unwrap_or(seconds.div_ceil(10));
    (0..seconds).step_by(step).map(float).collect()
}

/// Seconds since the beginning as `12 s`, `1:30` or `2:00:00`.
fn clock(seconds: f64) -> String {
    let (hours, minutes, rest) = (seconds / 3600.0, seconds / 60.0 % 60.0, seconds % 60.0);
    match seconds {
        ..60.0 => format!("{seconds:.0} s"),
        60.0..3600.0 => format!("{:.0}:{rest:02.0}", minutes.floor()),
        _ => format!("{:.0}:{:02.0}:{rest:02.0}", hours.floor(), minutes.floor()),
    }
}

/// A value in as few characters as it takes.
fn short(value: f64) -> String {
    match value {
        ..0.000_001 => "0".to_owned(),
        ..1.0 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        ..10.0 => format!("{value:.1}").trim_end_matches(".0").to_owned(),
        ..10_000.0 => format!("{value:.0}"),
        _ => format!("{:.0}k", value / 1000.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of seconds fit")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: Vec<Option<f64>>, logarithmic: bool) -> Chart {
        Chart { lines: vec![Line { name: "a", values }], unit: "ms", logarithmic, worst: true }
    }

    #[test]
    fn every_value_lies_inside_the_drawing() {
        for logarithmic in [false, true] {
            for values in [vec![0.0; 3], vec![0.3, 7.0, 1234.5], vec![5.0], vec![1e6, 1e-3], vec![10.0, 100.0]] {
                let scale = Scale::over(values.iter().copied(), logarithmic);
                for value in values.iter().chain(&scale.ticks) {
                    let y = scale.y(*value);
                    assert!((TOP - 0.1..=HEIGHT - BOTTOM + 0.1).contains(&y), "{value} of {values:?} is at {y}");
                }
                assert!((2..=12).contains(&scale.ticks.len()), "{:?} of {values:?}", scale.ticks);
            }
        }
        assert!(!chart(Vec::new(), true).render().contains("NaN"));
    }

    #[test]
    fn a_gap_breaks_the_line() {
        let svg = chart(vec![Some(1.0), Some(2.0), None, Some(3.0)], false).render();
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (1, 1));
        assert_eq!(svg.matches("<title>").count(), 4);
    }

    #[test]
    fn a_long_run_is_thinned_to_its_worst_seconds() {
        let mut values = vec![Some(1.0); 3600];
        values[1801] = Some(99.0);
        let chart = chart(values, false);
        let thin = chart.thin(&chart.lines[0].values, 9);
        assert_eq!((thin.len(), thin[200]), (400, Some(99.0)));
        let mean = Chart { worst: false, ..chart };
        assert!(mean.thin(&[Some(1.0), Some(3.0), None], 3)[0] == Some(2.0));
    }

    #[test]
    fn times_and_values_are_short() {
        assert_eq!([0.0, 59.0, 90.0, 7205.0].map(clock), ["0 s", "59 s", "1:30", "2:00:05"]);
        assert_eq!([0.0, 0.25, 0.5, 2.0, 7.5, 1200.0, 20_000.0].map(short), ["0", "0.25", "0.5", "2", "7.5", "1200", "20k"]);
        assert_eq!(time_ticks(30).len(), 10 - 4);
    }
}
