//! Numbers as people read them: three digits that count, and commas between thousands.

/// What stands for a number that is none.
pub const NONE: &str = "–";

/// A figure with at least three digits that count; a dash for what is not finite.
pub fn figure(value: f64) -> String {
    // The borders lie where rounding would bring another digit before the point.
    let decimals = match value.abs() {
        ..0.9995 => 3,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    if value != 0.0 && value.abs() < 0.0005 {
        return "<0.001".to_owned();
    }
    decimal(value, decimals)
}

/// A figure with what it counts; a dash alone where there is no figure.
pub fn with_unit(value: f64, unit: &str) -> String {
    if value.is_finite() { format!("{} {unit}", figure(value)) } else { NONE.to_owned() }
}

/// A number with so many decimals, rounded.
pub fn decimal(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{value:.decimals$}");
    let (whole, part) = text.split_once('.').map_or((text.as_str(), None), |(whole, part)| (whole, Some(part)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(part) = part {
        out.push('.');
        out.push_str(part);
    }
    out
}

/// A number with as few decimals as it takes, three at most: marks of an axis, goals.
pub fn trimmed(value: f64) -> String {
    let text = decimal(value, 3);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A count, whole.
pub fn count(value: u64) -> String {
    decimal(lossy(value), 0)
}

/// An amount of memory in GiB, or in MiB below one.
pub fn bytes(value: u64) -> String {
    let gib = lossy(value) / f64::from(1 << 30);
    if gib < 1.0 { format!("{} MiB", decimal(gib * 1024.0, 0)) } else { format!("{} GiB", decimal(gib, 1)) }
}

/// A ratio with two decimals, three if it is small, or with as many more as it takes not to seem to be on the other side of a border it has not crossed.
pub fn ratio<T: PartialEq>(value: f64, side: impl Fn(f64) -> T) -> String {
    let fits = |decimals: &usize| {
        let shown: f64 = format!("{value:.decimals$}").parse().unwrap_or(f64::NAN);
        side(shown) == side(value)
    };
    let least = if value.abs() < 0.095 { 3 } else { 2 };
    decimal(value, (least..6).find(fits).unwrap_or(6))
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts and sizes are far below what a float holds exactly")]
pub fn lossy(count: u64) -> f64 {
    count as f64
}

/// The same of a place in a list.
#[expect(clippy::cast_precision_loss, reason = "lists are short")]
pub fn place(at: usize) -> f64 {
    at as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_commas() {
        let all = [0.0, 0.0001, 0.12345, 0.9996, 1.005_1, 9.996, 12.34, 99.96, 123.4, 999.6, 1234.5, 1_234_567.8, -1234.0];
        let shown =
            ["0.000", "<0.001", "0.123", "1.00", "1.01", "10.0", "12.3", "100", "123", "1,000", "1,234", "1,234,568", "-1,234"];
        assert_eq!(all.map(figure), shown);
    }

    #[test]
    fn what_is_no_number_is_a_dash() {
        assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(figure), [NONE; 3]);
        assert_eq!((with_unit(f64::NAN, "ms"), with_unit(2.0, "ms")), (NONE.to_owned(), "2.00 ms".to_owned()));
        assert_eq!((ratio(f64::NAN, |_| false), trimmed(f64::NAN)), (NONE.to_owned(), NONE.to_owned()));
    }

    #[test]
    fn marks_have_no_needless_zeros() {
        assert_eq!([0.0, 0.5, 0.25, 10.0, 1200.0, 99.9].map(trimmed), ["0", "0.5", "0.25", "10", "1,200", "99.9"]);
    }

    #[test]
    fn a_ratio_is_never_rounded_over_its_goal() {
        assert_eq!(ratio(0.5996, |ratio| ratio >= 0.6), "0.5996");
        assert_eq!(ratio(0.5996, |_| true), "0.60");
        assert_eq!(ratio(0.6, |ratio| ratio >= 0.6), "0.60");
        assert_eq!(ratio(2.504, |ratio| ratio <= 2.5), "2.504");
        assert_eq!((ratio(0.00966, |_| true), ratio(0.0951, |_| true)), ("0.010".to_owned(), "0.10".to_owned()));
        assert_eq!(ratio(1234.5, |ratio| ratio >= 0.6), "1,234.50");
    }

    #[test]
    fn memory_is_told_in_its_own_unit() {
        assert_eq!((bytes(512 << 20), bytes(8 << 30), bytes(67_000_000_000)).0, "512 MiB");
        assert_eq!((bytes(8 << 30), bytes(67_000_000_000)), ("8.0 GiB".to_owned(), "62.4 GiB".to_owned()));
        assert_eq!((count(0), count(1_250_000)), ("0".to_owned(), "1,250,000".to_owned()));
    }
}
