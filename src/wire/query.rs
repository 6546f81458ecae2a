//! Session queries on the wire: parameters in, results out (queries.md).

use std::borrow::Cow;
use std::fmt::Write as _;

use super::fields::Fields;
use super::handle_request::read_xuids;
use super::request::read_body;
use crate::domain::limits;
use crate::domain::names::{Scid, SessionReference, TemplateName, Xuid};
use crate::domain::query::{Candidate, Reported, SessionQuery};
use crate::domain::refusal::Refusal;
use crate::domain::session::Restriction;
use crate::json::{Json, Object, write_text};

/// Reads the parameters of a session query (Q-10 to Q-21).
///
/// `minor` is the contract version's minor number, the upper bound of `version`.
///
/// # Errors
/// 400 naming the parameter.
pub fn read(scid: Scid, template: Option<TemplateName>, query: &str, minor: u32) -> Result<SessionQuery, Refusal> {
    checked(read_parameters(scid, template, &Parameters::read(query, &[])?, minor)?)
}

/// Reads a batch query: the parameters, where `xuid` may be repeated, and a body that names the users (Q-38). Those of the parameters
/// count when the body names nobody; the parameters are judged first (Q-22).
///
/// # Errors
/// 400 naming the parameter or field.
pub fn read_batch(
    scid: Scid,
    template: Option<TemplateName>,
    query: &str,
    minor: u32,
    body: &[u8],
    depth: usize,
) -> Result<SessionQuery, Refusal> {
    let mut found = read_parameters(scid, template, &Parameters::read(query, &["xuid"])?, minor)?;
    let body = read_body(body, depth)?;
    let is_empty = |list: &Json| *list == Json::Null || list.as_array().is_some_and(<[Json]>::is_empty);
    if let Some(list) = body.get("xuids").filter(|list| !is_empty(list)) {
        found.xuids = read_xuids("xuids", list)?;
    }
    checked(found)
}

fn read_parameters(
    scid: Scid,
    template: Option<TemplateName>,
    parameters: &Parameters,
    minor: u32,
) -> Result<SessionQuery, Refusal> {
    let flag = |name: &str| match parameters.get(name) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Refusal::invalid(name, "can only be true")),
    };
    let number = |name: &str, least: u64, most: u64| match parameters.get(name) {
        None => Ok(None),
        Some(value) => match value.parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) && !value.starts_with('+') => Ok(Some(number)),
            _ => Err(Refusal::invalid(name, format!("a whole number from {least} to {most} is expected"))),
        },
    };
    let keyword = match parameters.get("keyword") {
        None => None,
        Some(keyword) if (1..=limits::MAX_KEYWORD).contains(&keyword.chars().count()) && !keyword.contains('\0') => {
            Some(keyword.to_lowercase())
        }
        Some(_) => return Err(Refusal::invalid("keyword", "1 to 64 characters other than NUL are expected")),
    };
    let mut xuids = Vec::new();
    for xuid in parameters.all("xuid") {
        let xuid = Xuid::parse(xuid).map_err(|error| Refusal::invalid("xuid", error.to_string()))?;
        if !xuids.contains(&xuid) {
            xuids.push(xuid);
        }
    }
    if xuids.len() > limits::MAX_OWNERS {
        return Err(Refusal::invalid("xuid", format!("at most {} xuids are allowed", limits::MAX_OWNERS)));
    }
    let visibility = match parameters.get("visibility") {
        None => None,
        Some(word) => Some(
            Reported::parse(word)
                .ok_or_else(|| Refusal::invalid("visibility", "one of open, visible, private, full is expected"))?,
        ),
    };
    let found = SessionQuery {
        scid,
        template,
        xuids,
        keyword,
        reservations: flag("reservations")?,
        inactive: flag("inactive")?,
        private: flag("private")?,
        visibility,
        version: number("version", 1, u64::from(minor))?,
        take: number("take", 0, u64::from(limits::MAX_TAKE))?
            .and_then(|take| u32::try_from(take).ok())
            .unwrap_or(limits::MAX_TAKE),
    };
    if visibility == Some(Reported::Private) && !found.private {
        return Err(Refusal::invalid("visibility", "private needs private=true"));
    }
    Ok(found)
}

/// Judges a query by what it asks for as a whole (Q-18, Q-21).
fn checked(query: SessionQuery) -> Result<SessionQuery, Refusal> {
    if query.keyword.is_none() && query.xuids.is_empty() {
        return Err(Refusal::invalid("query", "at least one of keyword and xuid is needed"));
    }
    if query.xuids.is_empty() && (query.reservations || query.inactive) {
        let name = if query.reservations { "reservations" } else { "inactive" };
        return Err(Refusal::invalid(name, "describes a user's state and needs xuid"));
    }
    Ok(query)
}

/// The parameters that mean something here, by lower-case name.
struct Parameters<'a>(Vec<(String, Cow<'a, str>)>);

const KNOWN: &[&str] = &["keyword", "xuid", "reservations", "inactive", "private", "visibility", "version", "take"];

impl<'a> Parameters<'a> {
    /// Each may be given once, those in `repeatable` more often.
    fn read(query: &'a str, repeatable: &[&str]) -> Result<Self, Refusal> {
        let mut found: Vec<(String, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let name = name.to_ascii_lowercase();
            if !KNOWN.contains(&name.as_str()) {
                continue;
            }
            if !repeatable.contains(&name.as_str()) && found.iter().any(|(other, _)| *other == name) {
                return Err(Refusal::invalid(name, "is given twice"));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }
}

/// The parameter of a boolean switch such as `nocommit`, by name in any case; anything but `true` is off.
#[must_use]
pub fn switch(query: &str, name: &str) -> bool {
    form_urlencoded::parse(query.as_bytes())
        .any(|(key, value)| key.eq_ignore_ascii_case(name) && value.eq_ignore_ascii_case("true"))
}

/// Renders the results of a query (Q-41 to Q-48): lists of candidates, each with the user they were found through.
#[must_use]
pub fn found<'a>(lists: impl Iterator<Item = (Option<Xuid>, &'a [Candidate])> + Clone) -> String {
    let count: usize = lists.clone().map(|(_, candidates)| candidates.len()).sum();
    let mut out = String::with_capacity(16 + RESULT * count);
    out.push_str(r#"{"results":["#);
    let candidates = lists.flat_map(|(xuid, candidates)| candidates.iter().map(move |candidate| (xuid, candidate)));
    for (n, (xuid, candidate)) in candidates.enumerate() {
        if n > 0 {
            out.push(',');
        }
        result(candidate, xuid, &mut out);
    }
    out.push_str("]}");
    out
}

/// More bytes than most results have.
const RESULT: usize = 384;

/// Writes one result (Q-41 to Q-47).
fn result(candidate: &Candidate, xuid: Option<Xuid>, out: &mut String) {
    let mut fields = Fields::open(out);
    if let Some(xuid) = xuid {
        let _ = write!(fields.key("xuid"), "\"{xuid}\"");
    }
    fields.instant("startTime", candidate.start_time);
    // Names need no escape (S-06).
    let mut reference = Fields::open(fields.key("sessionRef"));
    reference.plain("scid", candidate.scid.as_str());
    reference.plain("templateName", candidate.template.as_str());
    reference.plain("name", candidate.name.as_str());
    reference.close();
    fields.number("accepted", candidate.accepted_count);
    let membership = if xuid.is_some() { candidate.membership } else { None };
    if let Some((status, _)) = membership {
        fields.plain("status", status.as_str());
    }
    let visibility = Reported::of(candidate.visibility, candidate.full);
    fields.plain("visibility", visibility.as_str());
    if matches!(visibility, Reported::Open | Reported::Full) && candidate.join_restriction != Restriction::None {
        fields.plain("joinRestriction", candidate.join_restriction.as_str());
    }
    if let Some((_, true)) = membership {
        fields.flag("myTurn");
    }
    if !candidate.keywords.is_empty() {
        let out = fields.key("keywords");
        for (n, keyword) in candidate.keywords.iter().enumerate() {
            out.push(if n == 0 { '[' } else { ',' });
            write_text(keyword, out);
        }
        out.push(']');
    }
    fields.close();
}

/// Renders a session reference.
#[must_use]
pub fn session_ref(reference: &SessionReference) -> Json {
    let mut fields = Object::with_capacity(3);
    fields.insert("scid".into(), reference.scid.as_str().into());
    fields.insert("templateName".into(), reference.template.as_str().into());
    fields.insert("name".into(), reference.name.as_str().into());
    fields.into()
}

/// Wraps results (Q-48).
#[must_use]
pub fn results(items: Vec<Json>) -> String {
    let mut out = String::from(r#"{"results":"#);
    Json::Array(items).write(&mut out);
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ask(query: &str) -> Result<SessionQuery, Refusal> {
        read(Scid::parse("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7").unwrap(), None, query, 7)
    }

    fn batch(body: &str, query: &str) -> Result<SessionQuery, Refusal> {
        let scid = Scid::parse("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7").unwrap();
        read_batch(scid, None, query, 7, body.as_bytes(), 32)
    }

    #[rstest]
    #[case::q10("keyword=", "keyword")]
    #[case::q11("xuid=-1", "xuid")]
    #[case::q15("xuid=1&visibility=closed", "visibility")]
    #[case::q15("xuid=1&visibility=private", "visibility")]
    #[case::q16("xuid=1&version=0", "version")]
    #[case::q16("xuid=1&version=8", "version")]
    #[case::q17("xuid=1&take=101", "take")]
    #[case::q17("xuid=1&take=-1", "take")]
    #[case::q18("", "query")]
    #[case::q18("inactive=true", "query")]
    #[case::q19("xuid=1&private=yes", "private")]
    #[case::q21("keyword=eu&reservations=true", "reservations")]
    #[case::q21("keyword=eu&inactive=true", "inactive")]
    #[case::twice("xuid=1&XUID=1", "xuid")]
    fn bad_parameters_are_refused_by_name(#[case] query: &str, #[case] name: &str) {
        let refusal = ask(query).unwrap_err();
        assert!(refusal.text.starts_with(&format!("{name}: ")), "{refusal}");
    }

    #[rstest]
    #[case::q38(r#"{"xuids":["1",2,"x"]}"#, "", "xuids[2]")]
    #[case::q38(r#"{"xuids":"1"}"#, "", "xuids")]
    #[case::q38(r#"{"xuids":[null]}"#, "", "xuids[0]")]
    #[case::q38("[]", "", "body")]
    #[case::q18(r#"{"xuids":[]}"#, "", "query")]
    #[case::q18("", "take=5", "query")]
    #[case::q21("", "keyword=eu&inactive=true", "inactive")]
    #[case::q22(r#"{"xuids":["x"]}"#, "take=x", "take")]
    #[case::twice(r#"{"xuids":["1"]}"#, "take=1&take=1", "take")]
    fn bad_batches_are_refused_by_name(#[case] body: &str, #[case] query: &str, #[case] name: &str) {
        let refusal = batch(body, query).unwrap_err();
        assert!(refusal.text.starts_with(&format!("{name}: ")), "{refusal}");
    }

    #[rstest]
    #[case(r#"{"xuids":["1",2,"1"],"more":1}"#, "", &[1, 2])]
    #[case("", "xuid=3&XUID=1&xuid=3", &[3, 1])]
    #[case(r#"{"xuids":null}"#, "xuid=3", &[3])]
    #[case(r#"{"xuids":["1"]}"#, "xuid=3", &[1])]
    #[case(r#"{"xuids":[]}"#, "keyword=eu", &[])]
    fn q38_whom_a_batch_asks_for(#[case] body: &str, #[case] query: &str, #[case] xuids: &[u64]) {
        let read = batch(body, query).unwrap().xuids;
        assert_eq!(read, xuids.iter().copied().map(Xuid).collect::<Vec<_>>());
    }

    #[test]
    fn q38_a_batch_asks_for_at_most_100_users() {
        let list = |most: u64| format!(r#"{{"xuids":{:?}}}"#, (1..=most).collect::<Vec<_>>());
        let parameters = |most: u64| (1..=most).map(|xuid| format!("xuid={xuid}")).collect::<Vec<_>>().join("&");
        assert!(batch(&list(100), "").is_ok() && batch("", &parameters(100)).is_ok());
        assert!(batch(&list(101), "").is_err() && batch("", &parameters(101)).is_err());
    }

    #[test]
    fn q19_true_in_any_case_is_on_and_false_is_absent() {
        let query = ask("Xuid=1&INACTIVE=True&private=FALSE&unknown=1&take=0").unwrap();
        assert!(query.inactive && !query.private && query.take == 0);
    }

    #[test]
    fn q10_keywords_compare_in_lower_case() {
        assert_eq!(ask("keyword=E%55+West").unwrap().keyword.as_deref(), Some("eu west"));
    }
}
