//! What JSON keeps, and what it refuses.

use super::*;

fn read(text: &str) -> Json {
    parse(text.as_bytes(), 32).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn w16_numbers_keep_their_spelling() {
    for text in ["18446744073709551616", "1.10", "1e400", "-0.0", "1E+5", "[0.1,12345678901234567890123]"] {
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn numbers_compare_by_value_and_are_never_expanded() {
    for (one, two) in [("1", "1.0"), ("10", "1e1"), ("0", "-0.0e7"), ("1e999999999", "10e999999998"), ("120", "1.2E+2")] {
        assert_eq!(read(one), read(two), "{one} {two}");
    }
    for (one, two) in [("1", "-1"), ("1", "10"), ("1e999999999", "1e999999998"), ("1e99999999999999999999", "1")] {
        assert_ne!(read(one), read(two), "{one} {two}");
    }
    assert_eq!(read("30e-1").as_u64(), Some(3));
    assert_eq!(read("18446744073709551615").as_u64(), Some(u64::MAX));
    for none in ["18446744073709551616", "-1", "1.5", "1e30", "true", "1e999999999999999999999"] {
        assert_eq!(read(none).as_u64(), None, "{none}");
    }
}

#[test]
fn s96_strings_that_are_no_text_come_back_as_written() {
    for text in [r#""\u0000""#, r#""\ud800""#, r#""a\udfffb""#, r#"{"\ud800":1}"#, r#""\ud800\ud800""#, r#""\ud800A""#] {
        assert_eq!(read(text).to_string(), text);
    }
    assert_eq!(read(r#""\uD83D\uDE00\u0041\/""#).to_string(), "\"😀A/\"");
    assert_eq!(read(r#""\ud800""#).as_str(), None);
    assert_eq!(read(r#""tab\tquote\"""#).as_str().as_deref(), Some("tab\tquote\""));
    assert_eq!(Json::from("a\n\u{1}\\\"").as_str().as_deref(), Some("a\n\u{1}\\\""));
}

#[test]
fn w17_order_is_kept_and_not_compared() {
    let value = read(r#"{"b":1,"a":{"y":2,"x":3}}"#);
    assert_eq!(value.to_string(), r#"{"b":1,"a":{"y":2,"x":3}}"#);
    assert_eq!(value, read(r#"{"a":{"x":3,"y":2},"b":1}"#));
    assert_ne!(read("[1,2]"), read("[2,1]"));
}

#[test]
fn w03_of_duplicate_keys_the_last_wins() {
    assert_eq!(read(r#"{"a":1,"b":2,"a":3}"#).to_string(), r#"{"a":3,"b":2}"#);
}

#[test]
fn syntax_errors_say_what_and_where() {
    for (text, at) in [
        ("", 0),
        ("{", 1),
        ("{\"a\"}", 4),
        ("[1,]", 3),
        ("01", 1),
        ("1.", 2),
        ("\"\\x\"", 2),
        ("\"a", 2),
        ("{} x", 3),
        ("nul", 0),
        ("\"\\u12\"", 3),
        ("-", 1),
        ("\"\n\"", 1),
    ] {
        assert_eq!(parse(text.as_bytes(), 32).map_err(|error| error.at), Err(at), "{text}");
    }
    assert_eq!(parse(b"\"\xff\"", 32).unwrap_err().why, "the text is not valid UTF-8");
}

#[test]
fn s95_depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(32).as_bytes(), 32).is_ok());
    assert!(parse(nested(33).as_bytes(), 32).is_err());
    assert!(parse("[".repeat(1_000_000).as_bytes(), 32).is_err());
}

#[test]
fn a_field_is_found_without_reading_what_stands_before_it() {
    let text = r#"{ "a":{"c":[{"c":1},"}\\\"]{"],"d":"\\"} , "b":-1.5e+3,"e":[ ], "c" : {"x": "é\u00e9\"" } ,"f":null} behind"#;
    for (name, value) in [
        ("a", r#"{"c":[{"c":1},"}\\\"]{"],"d":"\\"}"#),
        ("b", "-1.5e+3"),
        ("e", "[ ]"),
        ("c", r#"{"x": "é\u00e9\"" }"#),
        ("f", "null"),
    ] {
        assert_eq!(find(text, name), Ok(Some(value)));
        assert_eq!(read(&text[..text.len() - " behind".len()]).get(name), Some(&read(value)));
    }
    assert_eq!((find(text, "d"), find("{ }", "a")), (Ok(None), Ok(None)));
    for (text, at) in [
        ("", 0),
        ("[]", 0),
        ("{", 1),
        ("{a", 1),
        ("{\"b\"}", 4),
        ("{\"b\":}", 5),
        ("{\"b\":1 2", 7),
        ("{\"b\":[1", 7),
        ("{\"b\":\"\\", 7),
        ("{\"b\":\"x", 6),
    ] {
        assert_eq!(find(text, "a").map_err(|error| error.at), Err(at), "{text}");
    }
}
