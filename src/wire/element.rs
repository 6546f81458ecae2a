//! One element of a session's document, as the element routes address it (R-26, R-27).

use super::stored::{Corrupt, parse};
use super::view;
use crate::domain::names::{MemberIndex, Xuid};
use crate::json::Json;

/// An element of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    /// `constants`
    Constants,
    /// `properties`
    Properties,
    /// `members/{index}`
    Member(MemberIndex),
    /// `members/me`: the entry of the user who asks.
    MemberOf(Xuid),
    /// `servers/{name}`; the name compares without regard to case.
    Server(&'a str),
}

impl Element<'_> {
    /// Finds the element in a session's document, in whatever version that is rendered.
    #[must_use]
    pub fn find(self, document: &Json) -> Option<&Json> {
        let system = |member: &Json, name: &str| member.get("constants")?.get("system")?.get(name).cloned();
        match self {
            Self::Constants => document.get("constants"),
            Self::Properties => document.get("properties"),
            Self::Member(index) => {
                let members = document.get("members")?;
                // A large session shows its reader the own entry only, under this key (M-95, M-96).
                let own = || members.get("me").filter(|own| system(own, "index") == Some(index.into()));
                members.get(&index.to_string()).or_else(own)
            }
            Self::MemberOf(xuid) => {
                let xuid = Json::from(xuid.to_string());
                document.get("members")?.as_object()?.values().find(|member| system(member, "xuid").as_ref() == Some(&xuid))
            }
            Self::Server(name) => {
                let servers = document.get("servers")?.as_object()?;
                servers.iter().find(|(known, _)| known.to_string().eq_ignore_ascii_case(name)).map(|(_, entry)| entry)
            }
        }
    }

    /// Whether a stored document has the element.
    ///
    /// # Errors
    /// When the document is not of the form it is stored in.
    pub fn is_in(self, body: &str) -> Result<bool, Corrupt> {
        Ok(self.find(&parse(body)?).is_some())
    }

    /// The element's text for a reader of this minor contract version; `None` when the session has no such element.
    ///
    /// # Errors
    /// When the document is not of the form it is stored in.
    pub fn rendered(self, body: &str, minor: u32) -> Result<Option<String>, Corrupt> {
        let mut document = parse(body)?;
        if !view::is_stored_form(minor) {
            view::age(&mut document, minor)?;
        }
        Ok(self.find(&document).map(Json::to_string))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PLAIN: &str = concat!(
        r#"{"contractVersion":107,"constants":{"system":{"readyRemovalTimeout":1},"custom":{}},"properties":{"custom":{"a":1.0}},"#,
        r#""servers":{"Arena":{"b":2}},"members":{"4":{"constants":{"system":{"xuid":"11","index":4}}},"#,
        r#""10":{"constants":{"system":{"xuid":"4","index":10}}}}}"#,
    );
    const LARGE: &str =
        r#"{"contractVersion":107,"constants":{},"members":{"me":{"constants":{"system":{"xuid":"11","index":40}}}}}"#;

    #[rstest]
    #[case::properties(PLAIN, Element::Properties, Some(r#"{"custom":{"a":1.0}}"#))]
    #[case::constants(PLAIN, Element::Constants, Some(r#"{"system":{"readyRemovalTimeout":1},"custom":{}}"#))]
    #[case::by_index(PLAIN, Element::Member(10), Some(r#"{"constants":{"system":{"xuid":"4","index":10}}}"#))]
    #[case::no_index(PLAIN, Element::Member(11), None)]
    #[case::by_xuid(PLAIN, Element::MemberOf(Xuid(11)), Some(r#"{"constants":{"system":{"xuid":"11","index":4}}}"#))]
    #[case::no_xuid(PLAIN, Element::MemberOf(Xuid(10)), None)]
    #[case::server(PLAIN, Element::Server("aRENA"), Some(r#"{"b":2}"#))]
    #[case::no_server(PLAIN, Element::Server("b"), None)]
    #[case::m96_own(LARGE, Element::MemberOf(Xuid(11)), Some(r#"{"constants":{"system":{"xuid":"11","index":40}}}"#))]
    #[case::m96_own_index(LARGE, Element::Member(40), Some(r#"{"constants":{"system":{"xuid":"11","index":40}}}"#))]
    #[case::m95_others(LARGE, Element::Member(4), None)]
    fn r26_elements_are_found(#[case] body: &str, #[case] element: Element, #[case] expected: Option<&str>) {
        assert_eq!(element.rendered(body, 7).unwrap().as_deref(), expected);
        assert_eq!(element.is_in(body).unwrap(), expected.is_some());
    }

    #[test]
    fn r26_t52_older_readers_get_older_names() {
        let constants = Element::Constants.rendered(PLAIN, 5).unwrap();
        assert_eq!(constants.as_deref(), Some(r#"{"system":{"timeouts":{"ready":1}},"custom":{}}"#));
    }
}
