//! What JSON keeps, and what it refuses.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Leaves `custom` on top and in each of `members`.
const BUT_CUSTOM: Leave =
    Leave::In(&[("custom", Leave::This), ("members", Leave::InEach(&Leave::In(&[("custom", Leave::This)])))]);

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
        ("{\"b\":\"x", 7),
    ] {
        assert_eq!(find(text, "a").map_err(|error| error.at), Err(at), "{text}");
    }
}

fn read_but_custom(text: &str) -> Json {
    parse_but(text, &BUT_CUSTOM).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is left of a text that stands in `custom`.
fn left(text: &str) -> Json {
    let Json::Object(mut fields) = read_but_custom(&format!(r#"{{"custom":{text}}}"#)) else { panic!("it is an object") };
    fields.shift_remove("custom").expect("it is there")
}

fn is_left(value: Option<&Json>) -> bool {
    matches!(value, Some(Json::Raw(_)))
}

#[test]
fn what_is_named_is_left_as_it_stands_and_nothing_else() {
    let text = r#"{"custom":{"b":[1.10,{"a":null}],"a":"\ud800"},"members":{"0":{"custom":[1],"system":{"x":{"custom":{"y":1}}}},"7":{"custom":{}}},"other":{"custom":{"y":1}}}"#;
    let value = read_but_custom(text);
    assert_eq!(value.to_string(), text);
    let member = |index: &str| value.get("members").and_then(|members| members.get(index)).expect("it is there");
    assert!(is_left(value.get("custom")) && is_left(member("0").get("custom")));
    let deeper = member("0").get("system").and_then(|system| system.get("x")?.get("custom"));
    for whole in [deeper, value.get("other").and_then(|other| other.get("custom"))] {
        assert_eq!(whole.and_then(|custom| custom.get("y")?.as_u64()), Some(1));
    }
    for (text, kind) in [("{}", "an object"), ("[]", "an array"), ("1.10", "a number"), ("\"x\"", "a string"), ("null", "null")] {
        let value = left(text);
        assert!(!is_left(Some(&value)), "there is nothing to be looked at later: {text}");
        assert_eq!((value.to_string().as_str(), value.kind()), (text, kind));
    }
    assert_eq!([left("[1]").kind(), left(r#"{"a":1}"#).kind()], ["an array", "an object"]);
    assert_eq!(left(r#"{"a":1}"#).get("a"), None, "it has fields when it is opened");
}

#[test]
fn what_is_left_is_checked() {
    for inner in [
        "{",
        "[",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "[1,]",
        "[1 2]",
        "[01]",
        "[1.]",
        "[1e]",
        "[-]",
        "[nul]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[\"\n\"]",
        "[\"",
        "[1}",
        "[1]]",
        "{\"a\":1,\"a\":}",
        "{\"a\":1,\"\\u0061\":2",
    ] {
        let text = format!("{{\"custom\":{inner}}}");
        let at = |read: Result<Json, SyntaxError>| read.expect_err(&text).at;
        let whole = at(parse(text.as_bytes(), STORED_DEPTH));
        assert_eq!(at(parse_but(&text, &BUT_CUSTOM)), whole, "{text}");
        assert_eq!(at(parse_foreign_but(text.as_bytes(), STORED_DEPTH, &BUT_CUSTOM)), whole, "{text}");
    }
    let nested = |depth: usize| format!("{{\"custom\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse_but(&nested(STORED_DEPTH - 1), &BUT_CUSTOM).is_ok());
    assert!(parse_but(&nested(STORED_DEPTH), &BUT_CUSTOM).is_err());
    let foreign = |depth| parse_foreign_but(nested(depth).as_bytes(), 32, &BUT_CUSTOM);
    assert!(foreign(31).is_ok() && foreign(32).is_err());
}

#[test]
fn one_level_is_opened_at_a_time() {
    let text = r#"{"a":{"b":[1,{"c":2}]},"d":1.10,"e":{}}"#;
    let mut value = left(text);
    let opened = value.opened().into_owned();
    assert!(is_left(opened.get("a")) && !is_left(opened.get("e")));
    assert!(is_left(opened.get("a").expect("it is there").opened().get("b")));
    assert!(is_left(Some(&value)), "looking changes nothing");
    let Json::Object(fields) = value.open() else { panic!("it is an object") };
    fields.insert("d".into(), Json::Null);
    assert_eq!(value.to_string(), r#"{"a":{"b":[1,{"c":2}]},"d":null,"e":{}}"#);
    assert_eq!(Json::from(true).open(), &Json::Bool(true));
}

#[test]
fn what_is_left_differs_from_what_means_something_else() {
    for (one, two) in [
        ("[1]", "[2]"),
        ("[1,2]", "[2,1]"),
        ("[1]", "[1,1]"),
        (r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
        (r#"{"a":1}"#, r#"{"b":1}"#),
        (r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":null}]}"#),
        (r#"{"a":1,"b":{"c":2,"d":[3]}}"#, r#"{"b":{"d":[4],"c":2},"a":1}"#),
        (r#"{"a":{"b":1,"c":2},"d":1}"#, r#"{"a":{"c":2,"b":1},"d":2}"#),
        (r#"{"a":[],"b":1}"#, r#"{"a":[0],"b":1}"#),
        (r#"{"a":"1"}"#, r#"{"a":1}"#),
        (r#"{"a":true}"#, r#"{"a":false}"#),
        (r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#),
        (r#"{"a":1}"#, "[1]"),
        ("[1]", "[]"),
        (r#"{"a":1}"#, "{}"),
        (r#"{"a":1}"#, "1"),
        ("[null]", "null"),
    ] {
        for (one, two) in [(left(one), left(two)), (left(one), read(two)), (read(one), left(two))] {
            assert_ne!(one, two);
            assert_ne!(two, one);
        }
    }
}

/// What is left of a text of somebody else that stands in `custom`.
fn left_foreign(text: &str) -> Json {
    let text = format!(r#"{{"custom":{text}}}"#);
    let read = parse_foreign_but(text.as_bytes(), 32, &BUT_CUSTOM).unwrap_or_else(|error| panic!("{text}: {error}"));
    let Json::Object(mut fields) = read else { panic!("it is an object") };
    fields.shift_remove("custom").expect("it is there")
}

#[test]
fn what_is_left_of_a_foreign_text_is_spelled_as_it_is_written() {
    let long = |count: usize| format!("{{{}}}", (0..count).map(|n| format!("\"f{n}\":{n}")).collect::<Vec<_>>().join(","));
    for (text, is_text) in [
        (r#"{"a":{"b":[1.10,"x",{}]},"c":1e400}"#, true),
        (" { \"a\" : [ 1 ,\t{ \"b\" :\r\nnull } ] , \"c\":{ } } ", true),
        ("{ }", false),
        ("[\n]", false),
        (r#"["\/","\u0041","\u00e9\ud83d\ude00","\ud83d","\u0000","\u001F","\n","\"", "a\\b" ]"#, true),
        (r#"{"a":{"b":1},"c":{"b":1,"d":{"b":1}},"b":[{"a":1},{"a":1}]}"#, true),
        // Of duplicates the last value wins, in the place of the first (W-03).
        (r#"{"a":1,"b":2,"a":3}"#, false),
        (r#"{"x":{"a":1,"b":2,"\u0061":3}}"#, false),
        (r#"{"x":[{"a":{"a":1},"a":3}]}"#, false),
        (&long(64), true),
        (&long(65), false),
    ] {
        let (left, whole) = (left_foreign(text), read(text));
        assert_eq!((left.to_string(), left.kind()), (whole.to_string(), whole.kind()), "{text}");
        assert_eq!(is_left(Some(&left)), is_text, "{text}");
        assert_eq!(left, whole, "{text}");
    }
}

fn values() -> impl Strategy<Value = Json> {
    let number = prop::sample::select(vec!["0", "7", "-1.50", "1e2", "12345678901234567890123", "1e999999999"]);
    let number = number.prop_map(|spelling| Json::Number(Number(spelling.into())));
    let text = prop::sample::select(vec!["", "a", "\"quoted\"", "\\", "}]", "é"]).prop_map(Json::from);
    let single = prop_oneof![Just(Json::Null), any::<bool>().prop_map(Json::from), number, text];
    single.prop_recursive(4, 48, 6, |inner| {
        let name = prop::sample::select(vec!["a", "b", "c", "d", "\"", "{"]).prop_map(Text::new);
        let object = vec((name, inner.clone()), 0..6).prop_map(|fields| fields.into_iter().collect::<Object>());
        prop_oneof![vec(inner, 0..6).prop_map(Json::Array), object.prop_map(Json::from)]
    })
}

/// The same in other words: numbers in another spelling, fields in another order.
fn reworded(value: &Json) -> Json {
    match value {
        Json::Number(number) => Json::Number(Number(match number.as_str() {
            "-1.50" => "-15e-1".into(),
            "1e2" => "100".into(),
            "1e999999999" => "10E999999998".into(),
            whole => format!("{whole}.0").into(),
        })),
        Json::Array(items) => Json::Array(items.iter().map(reworded).collect()),
        Json::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), reworded(value))).collect();
            fields.into_iter().rev().collect::<Object>().into()
        }
        value => value.clone(),
    }
}

/// A text that means the same, with white space, needless escapes, and names that are given twice.
fn respelled(value: &Json, out: &mut String) {
    fn text(text: &Text, out: &mut String) {
        let escaped = text.0.strip_prefix('a').map(|rest| format!("\"\\u0061{rest}\""));
        out.push_str(&escaped.unwrap_or_else(|| format!("\"{}\"", text.0.replace('}', "\\u007D"))));
    }
    match value {
        Json::String(string) => text(string, out),
        Json::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { "\n, " } else { " " });
                respelled(item, out);
            }
            out.push(']');
        }
        Json::Object(fields) => {
            out.push('{');
            for (n, (name, value)) in fields.iter().enumerate() {
                if n > 0 {
                    out.push_str(" ,");
                } else if name.0.starts_with('d') {
                    out.push_str("\"d\" : [0], ");
                }
                text(name, out);
                out.push_str(":\t");
                respelled(value, out);
            }
            out.push_str(" }");
        }
        value => value.write(out),
    }
}

proptest! {
    #[test]
    fn w03_what_is_left_of_a_foreign_text_is_what_would_be_read(value in values()) {
        let (text, mut other) = (value.to_string(), String::new());
        respelled(&value, &mut other);
        prop_assert_eq!(read(&other).to_string(), &text[..]);
        for text in [&text, &other] {
            prop_assert_eq!(left_foreign(text).to_string(), value.to_string());
        }
        prop_assert_eq!(value.text_len(), text.len());
        prop_assert_eq!(left_foreign(&text).text_len(), text.len());
    }

    #[test]
    fn w16_what_is_left_means_what_it_says(value in values()) {
        let (text, other) = (value.to_string(), reworded(&value).to_string());
        let (raw, parsed) = (left(&text), read(&text));
        prop_assert_eq!(raw.to_string(), &text[..]);
        prop_assert_eq!(raw.kind(), parsed.kind());
        let opened = raw.opened();
        for same in [left(&text), left(&other), read(&other), left(&other).opened().into_owned(), parsed] {
            prop_assert_eq!(&raw, &same);
            prop_assert_eq!(&same, &raw);
            prop_assert_eq!(&*opened, &same);
        }
    }
}
