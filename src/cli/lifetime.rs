//! Durations as people type them: `8h`, `30m`, `90s`, `1d`.

use std::time::Duration;

const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// Reads a positive duration of at most ten years.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "is a number with a unit: 90s, 30m, 8h or 1d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let duration = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(seconds)).map(Duration::from_secs);
    match duration {
        Some(duration) if duration.is_zero() => Err("must be longer than nothing".to_owned()),
        Some(duration) if duration <= LONGEST => Ok(duration),
        _ => Err("must be at most 3650d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("90s", 90)]
    #[case("30m", 1800)]
    #[case("8h", 28_800)]
    #[case("1d", 86_400)]
    #[case("3650d", 315_360_000)]
    fn durations_have_a_unit(#[case] text: &str, #[case] seconds: u64) {
        assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
    }

    #[rstest]
    #[case("")]
    #[case("8")]
    #[case("h")]
    #[case("-1h")]
    #[case("+1h")]
    #[case("1.5h")]
    #[case("8 h")]
    #[case("1é")]
    #[case("0s")]
    #[case("3651d")]
    #[case("99999999999999999999d")]
    #[case("18446744073709551615d")]
    fn everything_else_is_refused(#[case] text: &str) {
        assert!(parse(text).is_err());
    }
}
