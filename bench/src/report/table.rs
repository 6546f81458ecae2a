//! What stands in the tables.

use crate::comparison::{Comparison, median};

use super::grid::{Cell, Grid, Kind};
use super::verdict::Verdict;
use super::{Growth, Latency, Measured, number, verdict};

/// The columns of a terminal that the tables keep to.
pub const WIDTH: usize = 132;

/// A row for each workload beside its baseline.
pub fn comparisons(all: &[Comparison]) -> Grid {
    let mut grid = Grid::new(&[
        ("workload", Kind::Words),
        ("baseline", Kind::Words),
        ("ours", Kind::Number),
        ("theirs", Kind::Number),
        ("unit", Kind::Word),
        ("ratio", Kind::Number),
        ("goal", Kind::Number),
        ("stretch", Kind::Number),
        ("verdict", Kind::Word),
        ("fdatasync ms", Kind::Number),
    ]);
    for one in all {
        let less = one.less_is_better;
        let synced = if one.durable { number::figure(median(&one.fdatasync_ms)) } else { String::new() };
        grid.rows.push(vec![
            one.workload.into(),
            one.baseline.into(),
            number::figure(median(&one.ours)).into(),
            number::figure(median(&one.theirs)).into(),
            one.unit.into(),
            verdict::ratio(one.ratio(), one.goal, one.stretch, less).into(),
            verdict::border(one.goal, less).into(),
            verdict::border(one.stretch, less).into(),
            Verdict::of_comparison(one).into(),
            synced.into(),
        ]);
    }
    grid
}

/// A row for each workload, with a column for each size that any of them was measured at.
pub fn growth(all: &[Growth]) -> Grid {
    let mut sizes: Vec<u32> = all.iter().flat_map(|one| one.sizes.iter().copied()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let names: Vec<String> = sizes.iter().map(|size| format!("at {}", number::count(u64::from(*size)))).collect();
    let mut columns = vec![("workload", Kind::Words), ("unit", Kind::Word)];
    columns.extend(names.iter().map(|name| (name.as_str(), Kind::Number)));
    columns.extend([("last/first", Kind::Number), ("goal", Kind::Number), ("stretch", Kind::Number), ("verdict", Kind::Word)]);
    let mut grid = Grid::new(&columns);
    for one in all {
        let medians = one.medians();
        let (goal, stretch) = (Some(one.goal), Some(one.stretch));
        let mut row: Vec<Cell> = vec![one.workload.as_str().into(), one.unit.as_str().into()];
        for size in &sizes {
            let at = one.sizes.iter().position(|other| other == size);
            row.push(at.map_or_else(String::new, |at| number::figure(medians[at])).into());
        }
        row.push(verdict::ratio(one.ratio(), goal, stretch, true).into());
        row.push(verdict::border(goal, true).into());
        row.push(verdict::border(stretch, true).into());
        row.push(one.verdict().into());
        grid.rows.push(row);
    }
    grid
}

/// A row for each workload, with a column for each percentile that any of them has.
pub fn latency(all: &[Latency]) -> Grid {
    let mut percentiles: Vec<f64> =
        all.iter().flat_map(|one| one.percentiles.iter().map(|(percentile, _)| *percentile)).collect();
    percentiles.sort_by(f64::total_cmp);
    percentiles.dedup();
    let names: Vec<String> = percentiles.iter().map(|percentile| format!("{} ms", percentile_name(*percentile))).collect();
    let mut columns = vec![("workload", Kind::Words), ("requests/s", Kind::Number)];
    columns.extend(names.iter().map(|name| (name.as_str(), Kind::Number)));
    columns.extend([("max ms", Kind::Number), ("p99/p50", Kind::Number), ("goal", Kind::Number), ("verdict", Kind::Word)]);
    let mut grid = Grid::new(&columns);
    for one in all {
        let mut row: Vec<Cell> = vec![one.workload.as_str().into(), number::figure(one.rate).into()];
        row.extend(percentiles.iter().map(|percentile| number::figure(one.percentile(*percentile)).into()));
        row.push(number::figure(one.maximum).into());
        row.push(verdict::ratio(one.ratio(), one.goal_ratio, None, true).into());
        row.push(verdict::border(one.goal_ratio, true).into());
        row.push(one.verdict().into());
        grid.rows.push(row);
    }
    grid
}

/// `p99.9`.
pub fn percentile_name(percentile: f64) -> String {
    format!("p{}", number::trimmed(percentile))
}

/// What a reader of the table has to know.
pub fn note(measured: &Measured<'_>) -> &'static str {
    match measured {
        Measured::Comparisons(_) => {
            "Ours and theirs are medians of the rounds, measured in turns; the ratio is ours over theirs. Where each unit waits for \
             the disk, the median time of one fdatasync stands beside it."
        }
        Measured::Growth(_) => {
            "Figures are medians of the rounds at so many sessions; the ratio is that of the largest size over that of the smallest."
        }
        Measured::Latency(_) => {
            "Requests are sent on schedule at the rate that is given, whether or not earlier ones are answered."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{comparison, growth, latency};
    use super::*;

    fn line<'a>(text: &'a str, begins: &str) -> &'a str {
        text.lines().find(|line| line.starts_with(begins)).unwrap()
    }

    #[test]
    fn a_comparison_says_whether_its_goal_is_met() {
        let cells = |ours: &[f64]| {
            let text = Measured::Comparisons(&[comparison(ours)]).terminal();
            line(&text, "get-session")
                .split("  ")
                .filter(|cell| !cell.is_empty())
                .map(|cell| cell.trim().to_owned())
                .collect::<Vec<_>>()
        };
        let name = ["get-session", "pgbench, the same row by key, 8 clients"];
        assert_eq!(cells(&[500.0, 700.0, 599.0])[2..], ["599", "1,000", "requests/s", "0.599", "≥ 0.60", "≥ 0.80", "✗ missed"]);
        assert_eq!(cells(&[600.0])[5..], ["0.60", "≥ 0.60", "≥ 0.80", "✓ met"]);
        assert_eq!(cells(&[1234.5])[2..], ["1,234", "1,000", "requests/s", "1.23", "≥ 0.60", "≥ 0.80", "✓ stretch"]);
        assert_eq!(cells(&[])[2..], ["–", "–", "requests/s", "–", "≥ 0.60", "≥ 0.80", "? unknown"]);
        assert_eq!(cells(&[600.0])[..2], name);
    }

    #[test]
    fn the_time_of_fdatasync_stands_beside_durable_rows_alone() {
        let quick = comparison(&[900.0]);
        let durable = Comparison { workload: "create-4", durable: true, ..quick.clone() };
        let text = Measured::Comparisons(&[quick, durable]).terminal();
        assert!(line(&text, "create-4").ends_with("✓ stretch       1.50"), "{text}");
        assert!(line(&text, "get-session").ends_with("✓ stretch"), "{text}");
    }

    #[test]
    fn long_names_and_large_numbers_fit_a_terminal() {
        let long = Comparison {
            workload: "query-by-keyword-of-members-followed",
            baseline: "pgbench, the same statement with the same parameters and the same number of clients on as many connections",
            durable: true,
            ours: vec![123_456_789.0],
            theirs: vec![0.01],
            ..comparison(&[1.0])
        };
        let text = Measured::Comparisons(&[long, comparison(&[600.0])]).terminal();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("123,456,789"), "{text}");
    }

    #[test]
    fn growth_has_a_column_for_each_size() {
        let missing = Growth { workload: "query".to_owned(), sizes: vec![20_000, 2_000_000], ..growth(4.0) };
        let all = [growth(1.8), missing];
        let text = Measured::Growth(&all).markdown();
        assert!(text.contains("| workload | unit | at 20,000 | at 200,000 | at 2,000,000 | last/first |"), "{text}");
        assert!(text.contains("| get-session | ms | 1.00 | 1.30 | 1.80 | 1.80 | ≤ 2.50 | ≤ 1.80 | ✓ stretch |"), "{text}");
        assert!(text.contains("| query | ms | 1.00 |  | 1.30 | 1.30 |"), "{text}");
        assert!(text.ends_with("2 of 2 goals met, 2 with their stretch.\n"), "{text}");
        assert!(Measured::Growth(&[growth(4.0)]).terminal().contains("✗ missed"));
    }

    #[test]
    fn latency_has_a_column_for_each_percentile() {
        let free = Latency { workload: "free".to_owned(), percentiles: vec![(50.0, 2.0)], goal_ratio: None, ..latency(4.0) };
        let text = Measured::Latency(&[latency(6.0), free]).markdown();
        assert!(text.contains("| workload | requests/s | p50 ms | p90 ms | p99 ms | p99.9 ms | max ms | p99/p50 |"), "{text}");
        assert!(text.contains("| get-session | 2,500 | 1.00 | 1.70 | 6.00 | 12.0 | 61.0 | 6.00 | ≤ 5.00 | ✗ missed |"), "{text}");
        assert!(text.contains("| free | 2,500 | 2.00 | – | – | – | 61.0 | – | – | – |"), "{text}");
        assert!(Measured::Latency(&[latency(5.0)]).terminal().contains("✓ met"));
    }
}
