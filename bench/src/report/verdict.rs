//! What became of a goal.

use std::fmt::Write;

use crate::comparison::Comparison;

use super::number;

/// What a ratio is, measured by its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is no goal.
    None,
    /// There is a goal, and no ratio.
    Unknown,
    Missed,
    Met,
    /// The goal is met, and what was wished for beyond it.
    Stretch,
}

impl Verdict {
    pub fn of(ratio: f64, goal: Option<f64>, stretch: Option<f64>, less_is_better: bool) -> Self {
        let Some(goal) = goal else { return Self::None };
        if !ratio.is_finite() {
            return Self::Unknown;
        }
        let reaches = |border: f64| if less_is_better { ratio <= border } else { ratio >= border };
        match (reaches(goal), stretch.is_some_and(reaches)) {
            (false, _) => Self::Missed,
            (true, false) => Self::Met,
            (true, true) => Self::Stretch,
        }
    }

    pub fn of_comparison(one: &Comparison) -> Self {
        Self::of(one.ratio(), one.goal, one.stretch, one.less_is_better)
    }

    /// One word and a sign, so that no colour is needed.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => number::NONE,
            Self::Unknown => "? unknown",
            Self::Missed => "✗ missed",
            Self::Met => "✓ met",
            Self::Stretch => "✓ stretch",
        }
    }

    /// The class of its colour on the page.
    pub fn class(self) -> &'static str {
        match self {
            Self::None | Self::Unknown => "muted",
            Self::Missed => "bad",
            Self::Met | Self::Stretch => "good",
        }
    }
}

/// A border as it is written: `≥ 0.60`; a dash where there is none.
pub fn border(value: Option<f64>, less_is_better: bool) -> String {
    let sign = if less_is_better { '≤' } else { '≥' };
    value.map_or_else(|| number::NONE.to_owned(), |value| format!("{sign} {}", number::decimal(value, 2)))
}

/// A ratio beside its goal and stretch, with the decimals it takes to tell them apart.
pub fn ratio(value: f64, goal: Option<f64>, stretch: Option<f64>, less_is_better: bool) -> String {
    let side = |value: f64| Verdict::of(value, goal, stretch, less_is_better);
    number::ratio(value, side)
}

/// How many goals were met and missed, as a sentence.
pub fn summary(verdicts: &[Verdict]) -> String {
    let of = |wanted: Verdict| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    let (stretch, missed, unknown) = (of(Verdict::Stretch), of(Verdict::Missed), of(Verdict::Unknown));
    let met = of(Verdict::Met) + stretch;
    let goals = met + missed + unknown;
    if goals == 0 {
        return "No goals are set.".to_owned();
    }
    let mut out = format!("{met} of {goals} goals met");
    for (count, what) in [(stretch, "with their stretch"), (missed, "missed"), (unknown, "unknown for want of figures")] {
        if count > 0 {
            let _ = write!(out, ", {count} {what}");
        }
    }
    out + "."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_missed_or_exceeded() {
        let more = |ratio| Verdict::of(ratio, Some(0.6), Some(0.8), false);
        assert_eq!([0.59, 0.6, 0.79, 0.8].map(more), [Verdict::Missed, Verdict::Met, Verdict::Met, Verdict::Stretch]);
        let less = |ratio| Verdict::of(ratio, Some(2.5), Some(1.8), true);
        assert_eq!([2.51, 2.5, 1.81, 1.8].map(less), [Verdict::Missed, Verdict::Met, Verdict::Met, Verdict::Stretch]);
        assert_eq!(more(f64::NAN), Verdict::Unknown);
        assert_eq!(less(f64::NAN), Verdict::Unknown);
        assert_eq!(Verdict::of(1.0, None, None, false), Verdict::None);
        assert_eq!(Verdict::of(1.0, Some(0.5), None, false), Verdict::Met);
    }

    #[test]
    fn goals_are_counted() {
        let all = [Verdict::Met, Verdict::Stretch, Verdict::Missed, Verdict::Unknown, Verdict::None];
        assert_eq!(summary(&all), "2 of 4 goals met, 1 with their stretch, 1 missed, 1 unknown for want of figures.");
        assert_eq!(summary(&[Verdict::Met]), "1 of 1 goals met.");
        assert_eq!(summary(&[Verdict::None]), "No goals are set.");
    }

    #[test]
    fn borders_say_their_side() {
        assert_eq!((border(Some(0.6), false), border(Some(2.5), true)), ("≥ 0.60".to_owned(), "≤ 2.50".to_owned()));
        assert_eq!(border(None, true), number::NONE);
    }
}
