//! The session as readers of an older contract version know it (T-50, T-52, W-70): made from the 107 document, and only for them.
//!
//! The inverse of what `domain::template` does to an older request: what is shown here in the old names can be sent back in them
//! (W-18). Everything that was not renamed stays as it is, to the letter.

use super::stored::{Corrupt, corrupt, parse};
use crate::domain::template::RENAMED_TIMEOUTS;
use crate::json::{Json, Object};

/// The first minor contract version of the new names (T-53).
const NEW: u32 = 7;
/// The last one of the old names; 106 is rendered as this (S-20).
const OLD: u64 = 5;

/// Whether readers of this minor version get the document as it is stored.
#[must_use]
pub fn is_stored_form(minor: u32) -> bool {
    minor >= NEW
}

/// The document for a reader of this minor version.
///
/// # Errors
/// When the document is not of the form it is stored in.
pub fn rendered(body: String, minor: u32) -> Result<String, Corrupt> {
    if is_stored_form(minor) {
        return Ok(body);
    }
    let mut document = parse(&body)?;
    age(&mut document, minor)?;
    Ok(document.to_string())
}

/// Brings a document into the names of an older version.
///
/// # Errors
/// When it is no session's document.
pub(super) fn age(document: &mut Json, minor: u32) -> Result<(), Corrupt> {
    let Json::Object(fields) = document else { return corrupt("the document") };
    let version = fields.get("contractVersion").and_then(Json::as_u64);
    let Some(major) = version.and_then(|version| version.checked_sub(u64::from(NEW))) else { return corrupt("contractVersion") };
    fields.insert("contractVersion".into(), (major + u64::from(minor).min(OLD)).into());
    if let Some(system) = system_of(fields, "constants") {
        *system = with_old_constants(std::mem::take(system));
    }
    if let Some(Json::Object(members)) = fields.get_mut("members") {
        for member in members.values_mut() {
            let Json::Object(member) = member else { return corrupt("members") };
            if let Some(system) = system_of(member, "properties") {
                rename(system, "initializationGroup", "group", |group| group);
            }
        }
    }
    Ok(())
}

/// The `system` part of the bag that goes by this name.
fn system_of<'o>(fields: &'o mut Object, bag: &str) -> Option<&'o mut Object> {
    let Some(Json::Object(bag)) = fields.get_mut(bag) else { return None };
    let Some(Json::Object(system)) = bag.get_mut("system") else { return None };
    Some(system)
}

/// The timeouts gather where the first of them stood.
fn with_old_constants(mut system: Object) -> Object {
    rename(&mut system, "memberInitialization", "managedInitialization", |mut section| {
        if let Json::Object(fields) = &mut section {
            rename(fields, "externalEvaluation", "autoEvaluate", |external| (external != Json::Bool(true)).into());
        }
        section
    });
    let place = RENAMED_TIMEOUTS.iter().filter_map(|(_, new)| system.get_index_of(*new)).min();
    let Some(place) = place else { return system };
    let mut timeouts = Object::new();
    for (old, new) in RENAMED_TIMEOUTS {
        if let Some(value) = system.shift_remove(*new) {
            timeouts.insert((*old).into(), value);
        }
    }
    system.shift_insert(place, "timeouts".into(), timeouts.into());
    system
}

/// Gives a field another name, in its place.
fn rename(fields: &mut Object, from: &str, to: &str, convert: impl FnOnce(Json) -> Json) {
    if let Some((place, _, value)) = fields.shift_remove_full(from) {
        fields.shift_insert(place, to.into(), convert(value));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::template::{Form, modernise, modernise_member};

    const DOCUMENT: &str = concat!(
        r#"{"contractVersion":307,"changeNumber":4,"constants":{"system":{"version":3,"reservedRemovalTimeout":30000,"#,
        r#""inactiveRemovalTimeout":7200000,"sessionEmptyTimeout":0,"capabilities":{"connectivity":true},"#,
        r#""memberInitialization":{"joinTimeout":10000,"externalEvaluation":false,"membersNeededToStart":2}},"#,
        r#""custom":{"memberInitialization":1.10,"readyRemovalTimeout":1e400}},"#,
        r#""properties":{"system":{"turn":[]},"custom":{"initializationGroup":[00.5],"text":"\ud800\n"}},"#,
        r#""members":{"2":{"next":3,"properties":{"system":{"groups":["a"],"initializationGroup":[2,5],"active":true},"#,
        r#""custom":{"initializationGroup":18446744073709551617}}},"me":{"properties":{"system":{}}}}}"#,
    );

    fn stored() -> String {
        DOCUMENT.replace("00.5", "0.5")
    }

    #[rstest]
    #[case(4, 304)]
    #[case(5, 305)]
    #[case(6, 305)]
    fn t52_s20_old_names_for_old_readers_and_nothing_else_differs(#[case] minor: u32, #[case] version: u32) {
        let expected = stored()
            .replace("307", &version.to_string())
            .replace(
                r#""reservedRemovalTimeout":30000,"inactiveRemovalTimeout":7200000,"sessionEmptyTimeout":0"#,
                r#""timeouts":{"reserved":30000,"inactive":7200000,"sessionEmpty":0}"#,
            )
            .replace(r#""memberInitialization":{"#, r#""managedInitialization":{"#)
            .replace(r#""externalEvaluation":false"#, r#""autoEvaluate":true"#)
            .replace(r#""initializationGroup":[2,5]"#, r#""group":[2,5]"#);
        assert_eq!(rendered(stored(), minor).unwrap(), expected);
    }

    #[test]
    fn t53_s20_new_readers_get_the_stored_text_unread() {
        for minor in [7, 8, 99] {
            assert_eq!(rendered("no document at all".to_owned(), minor).unwrap(), "no document at all");
        }
        assert!(rendered("no document at all".to_owned(), 5).is_err());
        assert!(rendered(r#"{"contractVersion":"107"}"#.to_owned(), 5).is_err());
    }

    #[test]
    fn t50_what_is_not_there_gets_no_name() {
        let body = r#"{"contractVersion":107,"constants":{"system":{"visibility":"open"},"custom":"text"},"members":{}}"#;
        assert_eq!(rendered(body.to_owned(), 5).unwrap(), body.replace("107", "105"));
    }

    #[test]
    fn w70_t50_an_older_request_undoes_the_older_rendering() {
        let new = parse(&stored()).unwrap();
        let old = parse(&rendered(stored(), 5).unwrap()).unwrap();
        let at = |document: &Json, path: &str| {
            let found = path.split('.').try_fold(document, |value, key| value.get(key)).expect("it is there");
            found.as_object().expect("it is an object").clone()
        };
        let constants = modernise(&at(&old, "constants.system"), format_args!("constants.system")).unwrap();
        assert_eq!(constants, at(&new, "constants.system"));
        let member = at(&old, "members.2.properties.system");
        let member = modernise_member(&member, Form::Old, format_args!("members.2.properties.system")).unwrap();
        assert_eq!(*member, at(&new, "members.2.properties.system"));
    }

    #[test]
    fn t50_the_contracts_own_example() {
        let read = |name: &str| {
            let path = format!("{}/docs/contract/examples/{name}.response.json", env!("CARGO_MANIFEST_DIR"));
            parse(&std::fs::read_to_string(path).unwrap()).unwrap().get("body").unwrap().clone()
        };
        let old = read("get-session-105");
        let new = rendered_back(&old);
        assert_eq!(parse(&rendered(new.to_string(), 5).unwrap()).unwrap(), old);
    }

    /// The same session under 107: the inverse by hand, of what the example has.
    fn rendered_back(old: &Json) -> Json {
        let Json::Object(mut fields) = old.clone() else { panic!("a document") };
        fields.insert("contractVersion".into(), 107_u32.into());
        let Some(system) = system_of(&mut fields, "constants") else { panic!("constants") };
        let Some(Json::Object(timeouts)) = system.shift_remove("timeouts") else { panic!("timeouts") };
        for (name, value) in timeouts {
            let (_, new) = RENAMED_TIMEOUTS.iter().find(|(old, _)| *old == name.as_str()).expect("a known timeout");
            system.insert((*new).into(), value);
        }
        fields.into()
    }
}
