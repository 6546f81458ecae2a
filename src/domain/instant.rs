//! Instants as the contract writes them.

use std::ops::Range;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

/// Writes an instant as the contract does: UTC, seven fractional digits, `Z` (S-07).
#[must_use]
pub fn render_instant(at: DateTime<Utc>) -> String {
    let mut text = String::with_capacity(28);
    write_instant(at, &mut text);
    text
}

/// The same, written to the end of a text.
pub fn write_instant(at: DateTime<Utc>, out: &mut String) {
    let mut text = *b"0000-00-00T00:00:00.0000000Z";
    let mut put = |at: Range<usize>, mut number: u32| {
        for place in at.rev() {
            text[place] += u8::try_from(number % 10).expect("it is one digit");
            number /= 10;
        }
    };
    // A leap second has more than a million of them.
    let (leap, micros) = (at.timestamp_subsec_micros() / 1_000_000, at.timestamp_subsec_micros() % 1_000_000);
    // No clock shows a year before 0 or after 9999, and nobody may write one.
    put(0..4, at.year().unsigned_abs());
    put(5..7, at.month());
    put(8..10, at.day());
    put(11..13, at.hour());
    put(14..16, at.minute());
    put(17..19, at.second() + leap);
    put(20..26, micros);
    out.push_str(std::str::from_utf8(&text).expect("digits are ASCII"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s07_instants_are_written_as_the_library_writes_them() {
        for text in
            ["0000-01-01T00:00:00Z", "1999-12-31T23:59:60.5Z", "2031-04-05T06:07:08.000009Z", "9999-10-20T21:50:40.987654Z"]
        {
            let at: DateTime<Utc> = text.parse().unwrap();
            let theirs = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            assert_eq!(render_instant(at), theirs.replace('Z', "0Z"));
        }
    }
}
