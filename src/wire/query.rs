//! Session queries on the wire: parameters in, results out (queries.md).

use std::borrow::Cow;

use crate::domain::limits;
use crate::domain::names::{Scid, SessionReference, TemplateName, Xuid};
use crate::domain::query::{Candidate, Reported, SessionQuery};
use crate::domain::refusal::Refusal;
use crate::domain::session::Restriction;
use crate::domain::system::render_instant;
use crate::json::{Json, Object};

/// Reads the parameters of a session query.
///
/// `minor` is the contract version's minor number, the upper bound of `version`.
///
/// # Errors
/// 400 naming the parameter.
pub fn read(scid: Scid, template: Option<TemplateName>, query: &str, minor: u32) -> Result<SessionQuery, Refusal> {
    let parameters = Parameters::read(query)?;
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
        Some(keyword) if keyword.contains('\0') => {
            return Err(Refusal::invalid("keyword", "no keyword has the character U+0000"));
        }
        Some(keyword) if (1..=limits::MAX_KEYWORD).contains(&keyword.chars().count()) => Some(keyword.to_lowercase()),
        Some(_) => return Err(Refusal::invalid("keyword", "1 to 64 characters are expected")),
    };
    let xuid = match parameters.get("xuid") {
        None => None,
        Some(xuid) => Some(Xuid::parse(xuid).map_err(|error| Refusal::invalid("xuid", error.to_string()))?),
    };
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
        xuids: xuid.into_iter().collect(),
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
    if found.keyword.is_none() && found.xuids.is_empty() {
        return Err(Refusal::invalid("query", "at least one of keyword and xuid is needed"));
    }
    if found.xuids.is_empty() && (found.reservations || found.inactive) {
        let name = if found.reservations { "reservations" } else { "inactive" };
        return Err(Refusal::invalid(name, "describes a user's state and needs xuid"));
    }
    Ok(found)
}

/// The parameters that mean something here, by lower-case name; each at most once.
struct Parameters<'a>(Vec<(String, Cow<'a, str>)>);

const KNOWN: &[&str] = &["keyword", "xuid", "reservations", "inactive", "private", "visibility", "version", "take"];

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Self, Refusal> {
        let mut found: Vec<(String, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let name = name.to_ascii_lowercase();
            if !KNOWN.contains(&name.as_str()) {
                continue;
            }
            if found.iter().any(|(other, _)| *other == name) {
                return Err(Refusal::invalid(name, "is given twice"));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// The parameter of a boolean switch such as `nocommit`, by name in any case; anything but `true` is off.
#[must_use]
pub fn switch(query: &str, name: &str) -> bool {
    form_urlencoded::parse(query.as_bytes())
        .any(|(key, value)| key.eq_ignore_ascii_case(name) && value.eq_ignore_ascii_case("true"))
}

/// Renders one result.
#[must_use]
pub fn result(candidate: &Candidate, xuid: Option<Xuid>) -> Json {
    let mut fields = Object::new();
    let mut put = |name: &str, value: Json| drop(fields.insert(name.into(), value));
    if let Some(xuid) = xuid {
        put("xuid", xuid.to_string().into());
    }
    put("startTime", render_instant(candidate.start_time).into());
    let reference = SessionReference { scid: candidate.scid, template: candidate.template.clone(), name: candidate.name.clone() };
    put("sessionRef", session_ref(&reference));
    put("accepted", candidate.accepted_count.into());
    let membership = if xuid.is_some() { candidate.membership } else { None };
    if let Some((status, _)) = membership {
        put("status", status.as_str().into());
    }
    let visibility = Reported::of(candidate.visibility, candidate.member_count, candidate.max_members);
    put("visibility", visibility.as_str().into());
    if matches!(visibility, Reported::Open | Reported::Full) && candidate.join_restriction != Restriction::None {
        put("joinRestriction", candidate.join_restriction.as_str().into());
    }
    if let Some((_, true)) = membership {
        put("myTurn", true.into());
    }
    if !candidate.keywords.is_empty() {
        put("keywords", candidate.keywords.iter().map(String::as_str).collect());
    }
    fields.into()
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

/// Wraps results.
#[must_use]
pub fn results(items: Vec<Json>) -> String {
    let mut fields = Object::new();
    fields.insert("results".into(), Json::Array(items));
    Json::Object(fields).to_string()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ask(query: &str) -> Result<SessionQuery, Refusal> {
        read(Scid::parse("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7").unwrap(), None, query, 7)
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
