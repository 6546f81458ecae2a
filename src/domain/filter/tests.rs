//! The rules of search filters, case by case.

use rstest::rstest;

use super::laws::Sample;
use super::*;
use crate::domain::limits::{MAX_FILTER, MAX_FILTER_DEPTH, MAX_FILTER_TESTS};

fn read(text: &str, grammar: Grammar) -> Filter {
    parse(text, grammar).unwrap_or_else(|malformed| panic!("{text}: {malformed}")).expect("it is not empty")
}

/// Reads a filter of the smaller grammar.
fn mpsd(text: &str) -> Filter {
    read(text, Grammar::Mpsd)
}

/// Reads a filter of the larger grammar, which the smaller one refuses and says why.
fn only_extended(text: &str) -> Filter {
    let malformed = parse(text, Grammar::Mpsd).expect_err(text);
    assert!(malformed.why.ends_with("; \"grammar\": \"extended\" allows it"), "{malformed}");
    let filter = read(text, Grammar::Extended);
    assert_eq!(filter.grammar(), Grammar::Extended);
    filter
}

/// A text that both grammars refuse, alike.
fn refused(text: &str, position: usize, why: &str) {
    for grammar in [Grammar::Mpsd, Grammar::Extended] {
        assert_eq!(parse(text, grammar), Err(Malformed { position, why: why.to_owned() }), "{text}");
    }
}

fn text(value: &'static str) -> Value<'static> {
    Value::Text(value.into())
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

/// A race for few.
fn race() -> Sample {
    Sample::default()
        .listing(List::Tags, &["cooponly", "it's new"])
        .listing(List::AchievementIds, &["7"])
        .listing(List::MemberXuids, &["2533274800000001", "2533274800000002"])
        .listing(List::OwnerXuids, &["2533274800000001"])
        .listing(List::Keywords, &["eu"])
        .with("strings/map", text("harbor"))
        .with("strings/and", text("or"))
        .with("numbers/level", Value::Number(12.0))
        .with("language", text("en"))
        .with("session/scid", text("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7"))
        .with("session/templatename", text("browse"))
        .with("session/titleid", Value::Number(1_234_567_890.0))
        .with("session/postedtime", Value::Instant(instant("2026-03-01T12:00:00Z")))
        .with("session/memberscount", Value::Number(2.0))
        .with("session/maxmemberscount", Value::Number(8.0))
        .with("session/targetmemberscount", Value::Number(4.0))
        .with("session/maxmemberscountremaining", Value::Number(6.0))
        .with("session/needs", Value::Number(2.0))
        .with("session/roles/class/healer/count", Value::Number(0.0))
        .with("session/roles/class/healer/target", Value::Number(1.0))
        .with("session/roles/class/healer/needs", Value::Number(1.0))
}

fn keeps(text: &str) -> bool {
    mpsd(text).matches(&race())
}

#[rstest]
#[case::absent(None, OrderBy::Posted, false)]
#[case::empty(Some("  "), OrderBy::Posted, false)]
#[case::as_the_client_sends_it(Some("Timestamp asc"), OrderBy::Posted, false)]
#[case::newest(Some("timestamp desc"), OrderBy::Posted, true)]
#[case(Some("postedTime DESC"), OrderBy::Posted, true)]
#[case(Some("session/postedTime desc"), OrderBy::Posted, true)]
#[case::suggested(Some("suggestedLfg"), OrderBy::Posted, true)]
#[case::suggested_anyhow(Some("SuggestedLFG asc"), OrderBy::Posted, true)]
#[case::attribute(Some("numbers/level desc"), OrderBy::Scalar(Scalar::Number("level".to_owned())), true)]
#[case::asc_when_missing(Some(" Number / Level "), OrderBy::Scalar(Scalar::Number("level".to_owned())), false)]
#[case::names(Some("strings/asc desc"), OrderBy::Scalar(Scalar::Text("asc".to_owned())), true)]
#[case::a_name_behind_a_space(Some("strings/ desc"), OrderBy::Scalar(Scalar::Text("desc".to_owned())), false)]
#[case(Some("session/needs\tdesc"), OrderBy::Scalar(Scalar::Needs), true)]
#[case::unknown(Some("popularity"), OrderBy::Posted, false)]
#[case::unknown_keeps_its_direction(Some("popularity desc"), OrderBy::Posted, true)]
#[case::list(Some("tags asc"), OrderBy::Posted, false)]
#[case::two(Some("numbers/a, numbers/b"), OrderBy::Posted, false)]
#[case::nonsense(Some("'\0( / desc asc"), OrderBy::Posted, false)]
fn h76_order(#[case] order: Option<&str>, #[case] by: OrderBy, #[case] descending: bool) {
    assert_eq!(Order::parse(order), Order { by, descending });
}

#[rstest]
#[case::empty("")]
#[case::whitespace(" \t\r\n\u{a0}")]
fn h80_nothing_keeps_everything(#[case] text: &str) {
    assert_eq!(parse(text, Grammar::Mpsd), Ok(None));
    assert_eq!(parse(text, Grammar::Extended), Ok(None));
}

#[test]
fn h80_and_binds_tighter_than_or() {
    let one = |name: &str| mpsd(&format!("numbers/{name} eq 1"));
    let and = Filter::All(vec![one("a"), one("b"), one("c")]);
    assert_eq!(
        mpsd("numbers/a eq 1 and numbers/b eq 1 and numbers/c eq 1 or numbers/d eq 1"),
        Filter::Any(vec![and.clone(), one("d")])
    );
    assert_eq!(
        mpsd("numbers/d eq 1 or numbers/a eq 1 and numbers/b eq 1 and numbers/c eq 1"),
        Filter::Any(vec![one("d"), and.clone()])
    );
    assert_eq!(mpsd("((numbers/a eq 1) and (numbers/b eq 1 and (numbers/c eq 1)))"), and);
    assert_eq!(mpsd("(numbers/a eq 1)or(numbers/d eq 1)"), Filter::Any(vec![one("a"), one("d")]));
}

#[rstest]
#[case::second_or("numbers/a eq 1 or numbers/b eq 1 or numbers/c eq 1", 34, "`or`")]
#[case::in_parentheses("(numbers/a eq 1 or numbers/b eq 1) and numbers/c eq 1", 17, "`or`")]
#[case::in_and("numbers/a eq 1 and (numbers/b eq 1 or numbers/c eq 1)", 36, "`or`")]
#[case::not("not numbers/a eq 1", 1, "`not`")]
#[case::not_in_parentheses("(NOT (numbers/a eq 1))", 2, "`NOT`")]
#[case::of("strings/a in ('x','y')", 11, "`in`")]
#[case::startswith("startswith(strings/a,'x')", 1, "`startswith`")]
#[case::contains("numbers/a eq 1 and contains(tolower(strings/a),'x')", 20, "`contains`")]
#[case::element_of("tags/any(d:d in ('x','y'))", 14, "`in`")]
#[case::element_startswith("tags/any(d:startswith(d,'x'))", 12, "`startswith`")]
#[case::element_contains("tags/any(d:contains(tolower(d),'x'))", 12, "`contains`")]
fn h80_what_only_the_extended_grammar_has(#[case] text: &str, #[case] position: usize, #[case] found: &str) {
    let malformed = parse(text, Grammar::Mpsd).expect_err(text);
    assert_eq!(malformed.position, position, "{malformed}");
    assert!(malformed.why.contains(&format!(", found {found}; ")), "{malformed}");
    only_extended(text);
}

#[rstest]
#[case::all("tags/all(d:d eq 'x')", 6, "expected `any(…)` behind the slash of a list, found `all`")]
#[case::arithmetic("numbers/a add 1 eq 2", 11, "expected an operator (eq, ne, gt, ge, lt, le), found `add`")]
#[case::minus("numbers/a eq 1 - 1", 16, "expected `and`, `or` or the end, found `-`")]
#[case::two_tests("tags/any(d:d eq 'x' and d eq 'y')", 21, "expected `)`, for `any(…)` holds one test, found `and`")]
#[case::two_paths("numbers/a eq numbers/b", 14, "expected a literal ('text', number, true or false), found `numbers`")]
#[case::null("strings/a eq null", 14, "expected a literal ('text', number, true or false), found `null`")]
#[case::turned("'x' eq strings/a", 1, "expected a path, found a text")]
#[case::compared("(strings/a eq 'x') eq true", 20, "expected `and`, `or` or the end, found `eq`")]
fn h80_what_neither_grammar_has(#[case] text: &str, #[case] position: usize, #[case] why: &str) {
    refused(text, position, why);
}

#[rstest]
#[case("endswith(strings/a,'x')")]
#[case("length(strings/a) gt 3")]
#[case("toupper(strings/a) eq 'X'")]
fn h80_other_functions(#[case] text: &str) {
    for (grammar, known) in [(Grammar::Mpsd, "tolower"), (Grammar::Extended, "tolower, startswith and contains")] {
        let malformed = parse(text, grammar).expect_err(text);
        assert_eq!(malformed.position, 1);
        assert!(malformed.why.starts_with(&format!("expected a path (functions are {known}), found `")), "{malformed}");
    }
}

#[rstest]
#[case("TAGS/ANY(D:TOLOWER(d) EQ 'cooponly') AND Numbers/LEVEL Ge 10")]
#[case(" tags / any ( d : tolower ( d )eq'cooponly' )and numbers / level\tge\r\n 10 ")]
#[case("tags/any(tag:tag eq'cooponly')and(numbers/level ge 1e1)")]
#[case("tags/any(any:any eq 'cooponly') and number/Level ge +10.0")]
#[case("tags/any(tolower:tolower(ToLower) eq 'cooponly') and tolower(numbers/level) ge 10")]
#[case("tags/any(é_1:É_1 eq 'cooponly') and numbers/level ge 010")]
fn h81_case_and_whitespace_are_free(#[case] text: &str) {
    assert_eq!(mpsd(text), mpsd("tags/any(d:tolower(d) eq 'cooponly') and numbers/level ge 10"));
}

#[test]
fn h81_a_name_may_be_a_word_of_the_grammar() {
    assert!(keeps("strings/and eq 'or' and strings / AND eq 'or' or strings/or eq 'and'"));
    assert_eq!(mpsd("strings/eq eq 'eq'").to_string(), "strings/eq eq 'eq'");
    assert_eq!(mpsd("numbers/a-b.c:d gt -1").to_string(), "numbers/a-b.c:d gt -1");
}

#[rstest]
#[case::tag("tags/any(d:tolower(d) eq 'cooponly')", true)]
#[case::tag_as_it_is("tags/any(d:d eq 'cooponly')", true)]
#[case::upper_case("tags/any(d:tolower(d) eq 'CoopOnly')", false)]
#[case::upper_case_as_it_is("tags/any(d:d eq 'CoopOnly')", false)]
#[case::text("tolower(strings/map) eq 'harbor'", true)]
#[case::text_as_it_is("strings/map eq 'harbor'", true)]
#[case::text_in_upper_case("strings/map eq 'Harbor'", false)]
#[case::language("language eq 'en'", true)]
#[case::language_in_upper_case("language eq 'EN'", false)]
#[case::quote("tags/any(d:d eq 'it''s new')", true)]
fn h82_stored_values_are_lower_case(#[case] text: &str, #[case] kept: bool) {
    assert_eq!(keeps(text), kept);
}

#[test]
fn h82_tolower_leaves_no_trace() {
    assert_eq!(mpsd("tolower(strings/map) eq 'Harbor'"), mpsd("strings/map eq 'Harbor'"));
    assert_eq!(mpsd("tags/any(d:tolower(d) eq 'x')"), mpsd("tags/any(d:d eq 'x')"));
}

#[rstest]
#[case::other("tags/any(d:tolower(d) ne 'x')", true)]
#[case::no_true_odata("tags/any(d:tolower(d) ne 'cooponly')", false)]
#[case::missing_number("numbers/rank ne 0", true)]
#[case::missing_text("tolower(strings/c) ne 'a'", true)]
#[case::present("numbers/level ne 12", false)]
#[case::different("numbers/level ne 13", true)]
#[case::never_there("session/registrationState ne 'registered'", true)]
#[case::missing_instant("session/scheduledTime ne '2026-03-01T12:00:00Z'", true)]
#[case::missing_role("session/roles/class/tank/count ne 0", true)]
#[case::not_false("tags/any(d:d ne 'cooponly') eq false", true)]
fn h83_ne_is_does_not_contain(#[case] text: &str, #[case] kept: bool) {
    assert_eq!(keeps(text), kept);
}

#[rstest]
fn h83_other_operators_are_false_on_what_is_missing(#[values("eq", "gt", "ge", "lt", "le")] operator: &str) {
    for (path, literal) in [
        ("numbers/rank", "0"),
        ("strings/c", "''"),
        ("session/scheduledTime", "'2026-03-01T12:00:00Z'"),
        ("session/registrationState", "'registered'"),
        ("session/roles/class/tank/needs", "0"),
    ] {
        assert!(!keeps(&format!("{path} {operator} {literal}")), "{path}");
    }
    assert!(!mpsd(&format!("tags/any(d:d {operator} 'x')")).matches(&Sample::default()));
}

#[rstest]
#[case::nothing("tags/any(d:d eq 'x')", false)]
#[case::is_true("tags/any(d:d eq 'x') eq true", false)]
#[case::not_false("tags/any(d:d eq 'x') ne false", false)]
#[case::is_false("tags/any(d:d eq 'x') EQ False", true)]
#[case::not_true("tags/any(d:d eq 'x')ne true", true)]
fn h80_a_lambda_may_be_compared_with_true_and_false(#[case] text: &str, #[case] negated: bool) {
    let test = Filter::List(List::Tags, Predicate::Compare(Operator::Eq, Literal::Text("x".to_owned())));
    let expected = if negated { Filter::Not(Box::new(test)) } else { test };
    assert_eq!(mpsd(text), expected);
    assert_eq!(keeps(text), negated);
}

#[rstest]
#[case("strings/map gt 'h'", true)]
#[case("strings/map ge 'harbor'", true)]
#[case("strings/map gt 'harbor'", false)]
#[case("strings/map lt 'harbors'", true)]
#[case::bytes("strings/map gt 'Z'", true)]
#[case::more_bytes("strings/map lt 'é'", true)]
#[case::list("tags/any(d:d gt 'h')", true)]
#[case::list("tags/any(d:d le 'a')", false)]
#[case("numbers/level gt 9", true)]
fn h84_texts_compare_by_their_bytes(#[case] text: &str, #[case] kept: bool) {
    assert_eq!(keeps(text), kept);
}

#[rstest]
fn h84_another_type_matches_nothing(
    #[values("eq", "ne", "gt", "ge", "lt", "le")] operator: &str,
    #[values(
        "numbers/level OP '12'",
        "numbers/rank OP 'x'",
        "numbers/level OP true",
        "strings/map OP 12",
        "strings/c OP 0",
        "strings/c OP FALSE"
    )]
    text: &str,
) {
    assert!(!keeps(&text.replace("OP", operator)));
}

#[rstest]
#[case("session/membersCount eq 'many'", 25, "expected a number, found a text")]
#[case("session/needs gt true", 18, "expected a number, found `true`")]
#[case("session/roles/class/healer/needs ge '1'", 37, "expected a number, found a text")]
#[case("language eq 1", 13, "expected a text in quotes, found a number")]
#[case("session/scid eq -5", 17, "expected a text in quotes, found a number")]
#[case("tags/any(d:d eq 7)", 17, "expected a text in quotes, found a number")]
#[case("session/memberXuids/any(d:d eq 2533274800000001)", 32, "expected a text in quotes, found a number")]
#[case("session/registrationState eq false", 30, "expected a text in quotes, found `false`")]
#[case("session/postedTime gt 'noon'", 23, "expected a quoted timestamp such as '2026-03-01T12:00:00Z', found a text")]
#[case("session/scheduledTime gt 2026", 26, "expected a quoted timestamp such as '2026-03-01T12:00:00Z', found a number")]
#[case(
    "session/scheduledTime lt '9999-12-31T23:59:59-01:00'",
    26,
    "expected a quoted timestamp such as '2026-03-01T12:00:00Z', found a text"
)]
fn h84_another_type_is_an_error_where_the_type_is_fixed(#[case] text: &str, #[case] position: usize, #[case] why: &str) {
    refused(text, position, why);
}

#[rstest]
#[case("session/postedTime ge '2026-03-01T12:00:00Z'", true)]
#[case("session/postedTime eq '2026-03-01T13:00:00.000+01:00'", true)]
#[case("session/postedTime lt '2026-03-01T12:00:00.000001Z'", true)]
#[case::to_the_microsecond("session/postedTime eq '2026-03-01T12:00:00.0000009Z'", true)]
#[case("session/postedTime gt '2026-03-01T12:00:00Z'", false)]
fn h84_timestamps(#[case] text: &str, #[case] kept: bool) {
    assert_eq!(keeps(text), kept);
}

#[test]
fn h84_a_leap_second_is_the_next_second() {
    assert_eq!(mpsd("session/postedTime gt '2016-12-31T23:59:60.5Z'"), mpsd("session/postedTime gt '2017-01-01T00:00:00.5Z'"));
}

#[rstest]
#[case::unknown_path("level eq 1", 1, "expected a path such as tags, strings/…, numbers/… or session/…, found `level`")]
#[case::variable("d eq 'x'", 1, "expected a path such as tags, strings/…, numbers/… or session/…, found `d`")]
#[case::unknown_attribute(
    "numbers/a eq 1 and session/mood eq 'x'",
    20,
    "expected a path such as tags, strings/…, numbers/… or session/…, found `session/mood`"
)]
#[case::without_session("scid eq 'x'", 1, "expected a path such as tags, strings/…, numbers/… or session/…, found `scid`")]
#[case::not_of_the_session(
    "session/tags/any(d:d eq 'x')",
    1,
    "expected a path such as tags, strings/…, numbers/… or session/…, found `session/tags`"
)]
#[case::no_name("strings eq 'x'", 9, "expected `/`, found `eq`")]
#[case::empty_name("strings/ ", 10, "expected a name, found the end")]
#[case::empty_name_before_a_quote("strings/'x'", 9, "expected a name, found a text")]
#[case::no_operator("strings/a", 10, "expected an operator (eq, ne, gt, ge, lt, le), found the end")]
#[case::another_operator("strings/a = 'x'", 11, "expected an operator (eq, ne, gt, ge, lt, le), found `=`")]
#[case::no_literal("strings/a eq", 13, "expected a literal ('text', number, true or false), found the end")]
#[case::double_quotes("strings/a eq \"x\"", 14, "expected a literal ('text', number, true or false), found `\\\"`")]
#[case::open_text("strings/a eq 'it''s", 14, "expected a quote that closes the text beginning here, found the end")]
#[case::nul("strings/a eq 'ab\0'", 17, "expected a character that texts can have, found U+0000")]
#[case::nul_in_a_name("strings/a\0 eq 'x'", 10, "expected an operator (eq, ne, gt, ge, lt, le), found `\\0`")]
#[case::huge("numbers/a lt 1e309", 14, "expected a number up to 1.7976931348623157e308, found a larger one")]
#[case::suffix("numbers/a lt 5L", 14, "expected a number such as 12, -0.5 or 1e3, found something like one")]
#[case::two_points("numbers/a lt 1.2.3", 14, "expected a number such as 12, -0.5 or 1e3, found something like one")]
#[case::no_digits("numbers/a lt -", 14, "expected a number such as 12, -0.5 or 1e3, found something like one")]
#[case::half("numbers/a lt 5.", 14, "expected a number such as 12, -0.5 or 1e3, found something like one")]
#[case::dangling("numbers/a eq 1 and", 19, "expected a path, found the end")]
#[case::dangling_or("numbers/a eq 1 or ", 19, "expected a path, found the end")]
#[case::leading("and numbers/a eq 1", 1, "expected a path such as tags, strings/…, numbers/… or session/…, found `and`")]
#[case::beside("numbers/a eq 1 numbers/b eq 1", 16, "expected `and`, `or` or the end, found `numbers`")]
#[case::open("(numbers/a eq 1", 16, "expected `and`, `or` or `)`, found the end")]
#[case::closed("numbers/a eq 1)", 15, "expected `and`, `or` or the end, found `)`")]
#[case::empty_parentheses("()", 2, "expected a path, found `)`")]
#[case::scalar_list("tags eq 'x'", 6, "expected `any(…)` behind the slash of a list, found `eq`")]
#[case::dotted_tag("tags/mode eq 'x'", 6, "expected `any(…)` behind the slash of a list, found `mode`")]
#[case::list_in_tolower(
    "tolower(tags) eq 'x'",
    9,
    "expected a path with one value (a list is followed by `/any(`), found `tags`"
)]
#[case::lambda_of_scalar("strings/a/any(d:d eq 'x')", 10, "expected an operator (eq, ne, gt, ge, lt, le), found `/`")]
#[case::other_variable("tags/any(d:e eq 'x')", 12, "expected the variable `d`, found `e`")]
#[case::no_variable("tags/any(:d eq 'x')", 10, "expected a variable, found `:`")]
#[case::path_in_lambda("tags/any(d:tolower(tags) eq 'x')", 20, "expected the variable `d`, found `tags`")]
#[case::half_compared("tags/any(d:d eq 'x') eq", 24, "expected true or false, found the end")]
#[case::compared_with_a_text("tags/any(d:d eq 'x') eq 'true'", 25, "expected true or false, found a text")]
#[case::characters_not_bytes("strings/é eq 'é' ü", 18, "expected `and`, `or` or the end, found `ü`")]
#[case::role_without_number("session/roles/class/healer eq 1", 28, "expected `/`, found `eq`")]
#[case::role_with_another("session/roles/class/healer/ max eq 1", 29, "expected count, target or needs, found `max`")]
fn h85_what_is_wrong_and_where(#[case] text: &str, #[case] position: usize, #[case] why: &str) {
    refused(text, position, why);
}

#[test]
fn h85_the_message_reads_as_a_sentence() {
    let malformed = parse("level eq 1", Grammar::Mpsd).unwrap_err();
    assert_eq!(
        malformed.to_string(),
        "at character 1: expected a path such as tags, strings/…, numbers/… or session/…, found `level`"
    );
}

#[test]
fn h85_the_length_is_limited() {
    let fill = |length: usize| format!("strings/a eq '{}'", "é".repeat(length - 15));
    assert!(parse(&fill(MAX_FILTER), Grammar::Mpsd).is_ok());
    refused(&fill(MAX_FILTER + 1), MAX_FILTER + 1, "expected at most 4096 characters, found 4097");
}

#[test]
fn h85_the_number_of_tests_is_limited() {
    let join = |count: usize| vec!["numbers/a eq 1"; count].join(" and ");
    assert!(parse(&join(MAX_FILTER_TESTS), Grammar::Mpsd).is_ok());
    refused(&join(MAX_FILTER_TESTS + 1), 64 * 19 + 14, "expected at most 64 tests (every literal is one), found one more");
    let list = |count: usize| format!("numbers/a in ({}) or contains(language,'x')", vec!["1"; count].join(","));
    assert!(parse(&list(MAX_FILTER_TESTS - 1), Grammar::Extended).is_ok());
    assert_eq!(
        parse(&list(MAX_FILTER_TESTS), Grammar::Extended).unwrap_err().position,
        list(MAX_FILTER_TESTS).find('\'').unwrap() + 1
    );
}

#[rstest]
#[case::parentheses("(", ")")]
#[case::not("not ", "")]
fn h85_the_depth_is_limited(#[case] open: &str, #[case] close: &str) {
    let nest = |depth: usize| format!("{}numbers/a eq 1{}", open.repeat(depth), close.repeat(depth));
    assert!(parse(&nest(MAX_FILTER_DEPTH), Grammar::Extended).is_ok());
    let malformed = parse(&nest(MAX_FILTER_DEPTH + 1), Grammar::Extended).unwrap_err();
    assert_eq!(malformed.position, 16 * open.len() + 1);
    assert!(malformed.why.starts_with("expected at most 16 parentheses and `not`s around a test, found `"), "{malformed}");
    assert!(parse(&open.repeat(1_000), Grammar::Extended).is_err());
}

#[rstest]
#[case("string/map eq 'harbor'", "strings/map eq 'harbor'")]
#[case("number/level ge 10", "numbers/level ge 10")]
#[case("memberXuids/any(d:d eq '2533274800000002')", "session/memberXuids/any(d:d eq '2533274800000002')")]
#[case("OwnerXuids/any(d:d eq '2533274800000001')", "session/ownerXuids/any(d:d eq '2533274800000001')")]
#[case("keywords/any(d:tolower(d) eq 'eu')", "session/keywords/any(d:d eq 'eu')")]
#[case::keywords_without_case("session/keywords/any(d:d eq 'EU')", "session/keywords/any(d:d eq 'eu')")]
#[case::scid_without_case(
    "session/scid eq '5F0C1A52-7C1E-4B52-9D0E-00007A11B0A7'",
    "session/scid eq '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7'"
)]
#[case::template_without_case("tolower(session/templateName) eq 'Browse'", "session/templateName eq 'browse'")]
#[case::achievement("achievementids/any(d:d eq '7')", "achievementIds/any(d:d eq '7')")]
fn h86_aliases(#[case] text: &str, #[case] canonical: &str) {
    assert!(keeps(text));
    assert_eq!(mpsd(text).to_string(), canonical);
}

#[rstest]
#[case("session/maxMembersCountRemaining eq 6")]
#[case("session/needs eq 2")]
#[case("session/targetMembersCountRemaining eq 2 and session/targetMembersCount eq 4")]
#[case("session/membersCount lt 8 and session/maxMembersCount ge 8")]
fn h87_counts(#[case] text: &str) {
    assert!(keeps(text));
}

#[test]
fn h87_needs_and_what_remains_to_the_target_are_one() {
    assert_eq!(mpsd("session/targetMembersCountRemaining gt 0"), mpsd("session/needs gt 0"));
}

#[rstest]
#[case("session/roles/class/healer/needs gt 0", true)]
#[case("SESSION / Roles / Class / HEALER / Count eq 0", true)]
#[case("session/roles/class/healer/target eq 1", true)]
#[case("session/roles/class/tank/target eq 1", false)]
fn h88_roles(#[case] text: &str, #[case] kept: bool) {
    assert_eq!(keeps(text), kept);
}

#[rstest]
#[case::bare("session/titleId eq 1234567890", true)]
#[case::quoted("session/titleId eq '1234567890'", true)]
#[case::other("session/titleId ne '1234567890'", false)]
fn h89_the_title_is_a_number_or_a_text(#[case] text: &str, #[case] kept: bool) {
    assert_eq!(keeps(text), kept);
    assert_eq!(mpsd(text), mpsd(&text.replace('\'', "")));
}

#[rstest]
#[case("session/titleId eq 'x'", "a text")]
#[case("session/titleId eq ''", "a text")]
#[case("session/titleId eq '-1'", "a text")]
#[case("session/titleId eq '1e3'", "a text")]
#[case("session/titleId eq true", "`true`")]
fn h89_other_texts_are_no_titles(#[case] text: &str, #[case] found: &str) {
    let expected = if found == "a text" { "a number or a quoted decimal number" } else { "a number" };
    refused(text, 20, &format!("expected {expected}, found {found}"));
}

#[rstest]
#[case("language", Scalar::Language)]
#[case("numbers/level", Scalar::Number("level".to_owned()))]
#[case("session/memberscount", Scalar::MembersCount)]
#[case("session/needs", Scalar::Needs)]
#[case("session/roles/class/healer/needs", Scalar::Role { role_type: "class".to_owned(), role: "healer".to_owned(), number: RoleNumber::Needs })]
fn h86_keys(#[case] key: &str, #[case] scalar: Scalar) {
    assert_eq!(scalar.key(), key);
}

/// The filters of the documentation and of clients.
#[rstest]
#[case("tags/any(d:tolower(d) eq 'cooponly') and numbers/level ge 10", true)]
#[case("tolower(strings/map) eq 'harbor' and tags/any(d:tolower(d) ne 'hardcore')", true)]
#[case("number/level gt 20 or string/map eq 'harbor'", true)]
#[case("tags/any(d:tolower(d) eq 'cooponly') and number/rank ne 0 and tolower(string/carclass) ne 'a'", true)]
#[case("MemberXuids/any(d:d eq '12345678')", false)]
#[case("OwnerXuids/any(d:d eq '2533274800000001')", true)]
#[case("Strings/stringMetadataType eq 'value'", false)]
#[case("Numbers/numberMetadataType eq 53 AND Tags/any(d:d eq 'value')", false)]
#[case("session/titleId eq 1234567890 and session / roles / class / healer / needs gt 0 and language eq 'en'", true)]
#[case("session/scheduledTime le '2026-03-01T12:00:00Z' or session/registrationState eq 'registered'", false)]
fn h81_the_idioms_of_clients(#[case] text: &str, #[case] kept: bool) {
    assert_eq!(keeps(text), kept);
}

#[rstest]
#[case::or_anywhere("numbers/level gt 99 or strings/map eq 'x' or language eq 'en'", true)]
#[case::parentheses("(numbers/level gt 99 or language eq 'en') and (strings/map eq 'x' or session/needs gt 1)", true)]
#[case::not_binds_tightest("not numbers/level gt 99 and numbers/level gt 99", false)]
#[case::not_in_all("numbers/level eq 12 and not (numbers/level gt 9 and strings/map eq 'harbor')", false)]
#[case::ne_keeps_its_meaning("not numbers/rank ne 0", false)]
#[case::not_of_another_type("not numbers/level eq 'x'", true)]
#[case::one_of("strings/map in ('bridge','harbor')", true)]
#[case::one_of_numbers("numbers/level in (1,'12',12)", true)]
#[case::one_of_titles("session/titleId in (1,'1234567890')", true)]
#[case::one_of_missing("numbers/rank in (0,1)", false)]
#[case::one_of_keywords("keywords/any(k:k in ('NA','EU'))", true)]
#[case::not_one_of("tags/any(d:d in ('x','y')) eq false", true)]
#[case::startswith("startswith(tolower(strings/map),'har')", true)]
#[case::startswith_elsewhere("StartsWith ( strings/map , 'arb' )", false)]
#[case::contains("contains(strings/map,'arb')", true)]
#[case::contains_upper_case("contains(strings/map,'ARB')", false)]
#[case::contains_missing("contains(strings/c,'a')", false)]
#[case::contains_without_case("contains(session/templateName,'ROW')", true)]
#[case::element_startswith("tags/any(d:startswith(tolower(d),'coop'))", true)]
#[case::element_contains("session/keywords/any(d:contains(d,'U'))", true)]
#[case::variable_like_a_function("tags/any(contains:contains(contains,'''s'))", true)]
fn h80_the_extended_grammar(#[case] text: &str, #[case] kept: bool) {
    assert_eq!(only_extended(text).matches(&race()), kept);
}

#[rstest]
#[case::one_of_one("strings/map in ('harbor')", "strings/map eq 'harbor'")]
#[case::not_not("not (not (numbers/a eq 1))", "numbers/a eq 1")]
#[case::not_a_list("not tags/any(d:d eq 'x')", "tags/any(d:d eq 'x') eq false")]
#[case::not_not_a_list("not tags/any(d:d eq 'x') eq false", "tags/any(d:d eq 'x')")]
#[case::parentheses("((numbers/a eq 1) or (numbers/b eq -0))", "numbers/a eq 1 or numbers/b eq 0")]
fn h80_the_smallest_grammar_that_can_say_it(#[case] text: &str, #[case] smallest: &str) {
    let filter = read(text, Grammar::Extended);
    assert_eq!((filter.grammar(), filter.to_string()), (Grammar::Mpsd, smallest.to_owned()));
    assert_eq!(mpsd(smallest), filter);
}

#[rstest]
#[case("numbers/a eq 1 or (numbers/b eq 1 or numbers/c eq 1)", "numbers/a eq 1 or numbers/b eq 1 or numbers/c eq 1")]
#[case("not (((numbers/a eq 1 and numbers/b eq 1)))", "not (numbers/a eq 1 and numbers/b eq 1)")]
#[case("tags/any(x:startswith(x,'it''s'))", "tags/any(d:startswith(d,'it''s'))")]
#[case("strings/a in ( 'x' , 1e300 , true )", "strings/a in ('x',1e300,true)")]
fn h80_what_is_printed_has_no_more_than_it_needs(#[case] text: &str, #[case] printed: &str) {
    assert_eq!(only_extended(text).to_string(), printed);
}

#[rstest]
#[case::number("contains(numbers/a,'x')", 10, "expected a path of texts (only those are searched), found `numbers`")]
#[case::instant(
    "startswith(session/postedTime,'2026')",
    12,
    "expected a path of texts (only those are searched), found `session`"
)]
#[case::empty("contains(strings/a,'')", 20, "expected a text to search for, found an empty one")]
#[case::no_text("contains(strings/a,1)", 20, "expected a text in quotes, found a number")]
#[case::list("contains(tags,'x')", 10, "expected a path with one value (a list is followed by `/any(`), found `tags`")]
#[case::compared("contains(strings/a,'x') eq true", 25, "expected `and`, `or` or the end, found `eq`")]
#[case::nested(
    "contains(contains(strings/a,'x'),'x')",
    10,
    "expected a path (functions are tolower, startswith and contains), found `contains`"
)]
#[case::empty_list("strings/a in ()", 15, "expected a literal ('text', number, true or false), found `)`")]
#[case::comma("strings/a in ('x',)", 19, "expected a literal ('text', number, true or false), found `)`")]
#[case::one_of_another_type("session/needs in (1,'x')", 21, "expected a number, found a text")]
#[case::not_nothing("not", 4, "expected a path, found the end")]
fn h85_what_is_wrong_in_the_extended_grammar(#[case] text: &str, #[case] position: usize, #[case] why: &str) {
    assert_eq!(parse(text, Grammar::Extended), Err(Malformed { position, why: why.to_owned() }));
}
