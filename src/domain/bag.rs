//! Merging bags: a field is replaced as a whole, `null` deletes it, nothing goes deeper (W-10 to W-15).

use super::limits::Limits;
use super::refusal::{At, Refusal};
use super::system::{self, Field};
use crate::json::{Json, Object};

/// A bag of a request, taken apart.
#[derive(Debug, Clone, Copy, Default)]
pub struct BagDelta<'a> {
    /// `system`, if given.
    pub system: Option<&'a Object>,
    /// `custom`, if given.
    pub custom: Option<&'a Json>,
}

impl<'a> BagDelta<'a> {
    /// Takes a bag apart.
    ///
    /// # Errors
    /// 400 for anything but an object of `system` (an object) and `custom` (S-09, W-13).
    pub fn read(at: At<'_>, bag: Option<&'a Json>) -> Result<Self, Refusal> {
        let Some(bag) = bag else { return Ok(Self::default()) };
        let object = |at: At<'_>, value: &'a Json| {
            value.as_object().ok_or_else(|| Refusal::invalid(at, format!("an object is expected, not {}", value.kind())))
        };
        let mut delta = Self::default();
        for (key, value) in object(at, bag)? {
            match key.as_str() {
                "system" => delta.system = Some(object(format_args!("{at}.system"), value)?),
                "custom" => delta.custom = Some(value),
                _ => return Err(Refusal::invalid(format_args!("{at}.{key}"), "only system and custom may stand here")),
            }
        }
        Ok(delta)
    }
}

/// Merges `system` fields into stored ones; `skip` names those that the caller treats by rules of their own.
///
/// # Errors
/// 400 for unknown fields and wrong values.
pub fn merge_system(
    stored: &mut Object,
    given: &Object,
    table: &[Field],
    at: At<'_>,
    limits: &Limits,
    skip: &[&str],
) -> Result<(), Refusal> {
    for (name, value) in given {
        let name = name.as_str();
        if skip.contains(&name) {
            continue;
        }
        let Some(field) = system::find(table, at, name, limits)? else { continue };
        let admitted = match value {
            Json::Null => None,
            value => system::admit(&field.shape, format_args!("{at}.{name}"), value, limits)?,
        };
        match admitted {
            Some(value) => replace(stored, field.name, value),
            None => drop(stored.shift_remove(field.name)),
        }
    }
    Ok(())
}

/// Sets a field; one that is equal keeps its spelling (W-16, W-34).
pub fn replace(stored: &mut Object, name: &str, value: Json) {
    if stored.get(name) != Some(&value) {
        stored.insert(name.into(), value);
    }
}

/// Merges `custom` data: field by field when both sides are objects, otherwise the new value replaces the old (W-10, W-13).
pub fn merge_custom(stored: &mut Json, given: &Json) {
    let has_fields = match stored {
        Json::Object(fields) => !fields.is_empty(),
        Json::Raw(_) => true,
        _ => false,
    };
    if !has_fields && matches!(given, Json::Raw(raw) if raw.is_object_without_null()) {
        // Nothing to merge with, nothing to delete: it is what is given, a text that need not be taken apart.
        *stored = given.clone();
        return;
    }
    match (stored.open(), &*given.opened()) {
        (stored, Json::Null) => *stored = Json::object(),
        (Json::Object(stored), Json::Object(given)) => {
            for (name, value) in given {
                if *value == Json::Null {
                    stored.shift_remove(name);
                } else if stored.get(name) != Some(value) {
                    stored.insert(name.clone(), value.clone());
                }
            }
        }
        (stored, Json::Object(given)) => {
            *stored = given
                .iter()
                .filter(|(_, value)| **value != Json::Null)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect::<Object>()
                .into();
        }
        (stored, _) => {
            if stored != given {
                *stored = given.clone();
            }
        }
    }
}

/// Refuses `custom` data that is too large to store (S-95).
///
/// # Errors
/// 400 naming the bound.
pub fn check_custom(at: At<'_>, custom: &Json, most: usize) -> Result<(), Refusal> {
    let bytes = custom.text_len();
    if bytes > most {
        Err(Refusal::invalid(at, format!("{bytes} bytes are too many: at most {most} can be stored")))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::json::{Leave, parse, parse_foreign_but};

    fn json(text: &str) -> Json {
        parse(text.as_bytes(), 32).expect("test data is JSON")
    }

    /// The same, as a request and the store have it: not taken apart.
    fn left(text: &str) -> Json {
        parse_foreign_but(text.as_bytes(), 32, &Leave::This).expect("test data is JSON")
    }

    #[test]
    fn custom_data_that_meets_none_is_not_taken_apart() {
        for (text, stays) in [(r#"{"a":[null]}"#, false), (r#"{"a":null}"#, false), (r#"{"a":{"b":1}}"#, true)] {
            let mut stored = Json::object();
            merge_custom(&mut stored, &left(text));
            assert_eq!(matches!(stored, Json::Raw(_)), stays, "{text}");
        }
    }

    #[rstest]
    #[case::w10_replaces_whole_fields(r#"{"a":{"x":1,"y":2},"b":1}"#, r#"{"a":{"x":1}}"#, r#"{"a":{"x":1},"b":1}"#)]
    #[case::w11_null_deletes(r#"{"a":1,"b":2}"#, r#"{"a":null,"c":null}"#, r#"{"b":2}"#)]
    #[case::w11_inner_null_is_data("{}", r#"{"a":{"x":null}}"#, r#"{"a":{"x":null}}"#)]
    #[case::w13_null_empties(r#"{"a":1}"#, "null", "{}")]
    #[case::w13_no_object_replaces(r#"{"a":1}"#, r#""text""#, r#""text""#)]
    #[case::w13_object_replaces_text(r#""text""#, r#"{"a":1,"b":null}"#, r#"{"a":1}"#)]
    #[case::w14_arrays_are_replaced(r#"{"a":[1,2]}"#, r#"{"a":[3]}"#, r#"{"a":[3]}"#)]
    #[case::w11_null_in_what_comes_first("{}", r#"{"a":null,"b":"null","c":{"x":null}}"#, r#"{"b":"null","c":{"x":null}}"#)]
    #[case::w13_object_replaces_items("[1]", r#"{"a":1}"#, r#"{"a":1}"#)]
    #[case::w13_items_replace_object(r#"{"a":1}"#, "[1,{}]", "[1,{}]")]
    #[case::w16_equal_items_keep_their_spelling("[1.0]", "[1]", "[1.0]")]
    #[case::w16_equal_keeps_its_spelling(r#"{"a":1.0}"#, r#"{"a":1}"#, r#"{"a":1.0}"#)]
    #[case::w17_order_stays(r#"{"b":1,"a":1}"#, r#"{"c":1,"b":2}"#, r#"{"b":2,"a":1,"c":1}"#)]
    fn custom_merges(#[case] stored: &str, #[case] given: &str, #[case] merged: &str) {
        for stored in [json(stored), left(stored)] {
            for given in [json(given), left(given)] {
                let mut stored = stored.clone();
                merge_custom(&mut stored, &given);
                assert_eq!(stored.to_string(), merged);
            }
        }
    }

    #[rstest]
    #[case(r#"{"system":null}"#, "properties.system")]
    #[case("null", "properties")]
    #[case(r#"{"other":{}}"#, "properties.other")]
    #[case("[]", "properties")]
    fn w13_s09_bags_hold_system_and_custom(#[case] bag: &str, #[case] at: &str) {
        let bag = json(bag);
        let refusal = BagDelta::read(format_args!("properties"), Some(&bag)).unwrap_err();
        assert!(refusal.text.starts_with(&format!("{at}: ")), "{refusal}");
    }
}
