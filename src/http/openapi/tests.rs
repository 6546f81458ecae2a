//! The description holds to the routes, to itself, to its examples, and to what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::examples::STORY;
use super::halves::WITH_NULL;
use super::{operations_of, text};
use crate::http::route::Route;

/// What is served beside the table of routes.
const BESIDE: &[(&str, &str)] =
    &[("get", "/health"), ("get", "/health/ready"), ("get", "/metrics"), ("get", "/openapi.json"), ("get", "/docs/")];

fn described() -> Value {
    serde_json::from_str(text()).expect("the description is JSON")
}

/// Every operation: its method, its path, and itself.
fn every_operation(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("there are paths");
    let operations = |(path, item): (&String, &Value)| {
        let item = item.as_object().expect("a path has operations").clone();
        item.into_iter().map(|(method, operation)| (method, path.clone(), operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(operations).collect()
}

/// What a reference leads to, or the value itself.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
    document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

#[test]
fn r08_every_verb_of_every_route_is_described_and_nothing_else() {
    let mut known: BTreeSet<(String, String)> = BESIDE.iter().map(|(verb, path)| ((*verb).into(), (*path).into())).collect();
    for route in Route::every() {
        for verb in route.verbs() {
            known.insert((verb.as_str().to_ascii_lowercase(), route.template().to_owned()));
        }
    }
    let document = described();
    let told: BTreeSet<(String, String)> = every_operation(&document).into_iter().map(|(verb, path, _)| (verb, path)).collect();
    assert_eq!(told, known);
}

#[test]
fn every_path_has_the_parameters_it_names_and_every_operation_a_name_and_a_summary() {
    let document = described();
    let mut names = BTreeSet::new();
    for (verb, path, operation) in every_operation(&document) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{verb} {path} has no operationId"));
        assert!(names.insert(id.to_owned()), "{id} is there twice");
        assert!(operation["summary"].as_str().is_some_and(|summary| summary.len() > 5), "{id} has no summary");
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{id} belongs to one group");
        let parameters = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
        let given: BTreeSet<&str> =
            parameters.iter().filter(|one| one["in"] == "path").map(|one| one["name"].as_str().expect("a name")).collect();
        let in_path: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        assert_eq!(given, in_path, "{verb} {path}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_null_is_only_where_it_means_something() {
    fn walk(document: &Value, value: &Value, at: &str) {
        match value {
            Value::Object(fields) => {
                resolved(document, value);
                let null = Value::from("null");
                let kind = fields.get("type");
                let may_be = kind == Some(&null) || kind.and_then(Value::as_array).is_some_and(|kinds| kinds.contains(&null));
                let means_something = at.contains("Delta") || WITH_NULL.iter().any(|name| at.contains(name));
                assert!(!may_be || means_something, "{at} may be null");
                fields.iter().for_each(|(name, value)| walk(document, value, &format!("{at}/{name}")));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(document, value, at)),
            _ => {}
        }
    }
    let document = described();
    walk(&document, &document["paths"], "paths");
    walk(&document, &document["components"]["schemas"], "schemas");
}

#[test]
fn s10_requests_have_no_field_of_the_service_and_answers_none_that_is_only_written() {
    let document = described();
    let fields = |name: &str| -> BTreeSet<String> {
        let properties = document["components"]["schemas"][name]["properties"].as_object();
        properties.unwrap_or_else(|| panic!("{name} has no fields")).keys().cloned().collect()
    };
    let (shown, sent) = (fields("Session"), fields("SessionDelta"));
    assert!(shown.contains("changeNumber") && shown.contains("nextTimer") && shown.contains("hostCandidates"), "{shown:?}");
    assert_eq!(sent, ["constants", "members", "properties", "roleTypes", "servers"].map(str::to_owned).into());
    assert!(!fields("MemberDelta").contains("joinTime"));
    assert!(fields("PropertiesSystemDelta").contains("initializationSucceeded"));
    assert!(!fields("PropertiesSystem").contains("initializationSucceeded"));
}

/// Fields of a value that its schema does not know.
fn unknown_fields(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema = resolved(document, schema);
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        for choice in choices.iter().filter(|choice| choice["type"] != "null") {
            unknown_fields(document, choice, value, at, found);
        }
    }
    match value {
        Value::Object(fields) => {
            let (known, rest) = (schema.get("properties"), schema.get("additionalProperties"));
            for (name, value) in fields {
                let at = format!("{at}.{name}");
                match known.and_then(|known| known.get(name)).or(rest) {
                    Some(schema) if schema.is_object() => unknown_fields(document, schema, value, &at, found),
                    _ if known.is_some() => found.push(at),
                    _ => {}
                }
            }
            for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                if !fields.contains_key(required.as_str().expect("a name")) {
                    found.push(format!("{at} lacks {required}"));
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                unknown_fields(document, &schema["items"], value, &format!("{at}[]"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn examples_have_no_field_that_is_not_described() {
    let document = described();
    let mut found = Vec::new();
    for (_, _, operation) in every_operation(&document) {
        let mut contents = Vec::new();
        let bodies = |of: &Value| of.get("content").and_then(Value::as_object).cloned().unwrap_or_default();
        contents.extend(operation.get("requestBody").map(bodies).unwrap_or_default());
        for response in operation["responses"].as_object().expect("there are answers").values() {
            contents.extend(bodies(response));
        }
        for (kind, content) in contents.into_iter().filter(|(kind, _)| kind == "application/json") {
            for (name, example) in content.get("examples").and_then(Value::as_object).into_iter().flatten() {
                let at = format!("{} {kind} {name}", operation["operationId"]);
                unknown_fields(&document, &content["schema"], &example["value"], &at, &mut found);
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_scene_of_the_story_is_shown_and_every_body_has_an_example() {
    let mut document = super::document();
    let mut shown = BTreeMap::new();
    for operation in document.paths.paths.values_mut().flat_map(operations_of) {
        let operation = serde_json::to_value(operation).expect("an operation is JSON");
        shown.insert(operation["operationId"].as_str().expect("a name").to_owned(), operation);
    }
    let story: Vec<Value> = serde_json::from_str(STORY).expect("examples.json is a list");
    for scene in &story {
        let operation = &shown[scene["operation"].as_str().expect("an operation")];
        let response = &operation["responses"][scene["status"].to_string()];
        assert!(response.is_object(), "{} is answered {}, which is not described", scene["operation"], scene["status"]);
        if let Some(answer) = scene.get("answer") {
            let contents = response["content"].as_object().unwrap_or_else(|| panic!("{scene} has a body"));
            let name = scene["name"].as_str().expect("a name");
            assert!(contents.values().any(|content| content["examples"][name]["value"] == *answer), "{scene} is not shown");
        }
    }
    // These answer what cannot stand in a file: pages, figures, and this description itself.
    let beside = ["readMetrics", "readDescription", "showDescription"];
    for (name, operation) in shown.iter().filter(|(name, _)| !beside.contains(&name.as_str())) {
        let mut bodies: Vec<&Value> = operation.get("requestBody").into_iter().collect();
        let responses = operation["responses"].as_object().expect("there are answers");
        bodies.extend(responses.iter().filter(|(status, _)| status.starts_with('2')).map(|(_, response)| response));
        for body in bodies.iter().filter_map(|body| body.get("content")).filter_map(Value::as_object) {
            let told = body.values().any(|content| content.get("examples").is_some());
            let same = name.starts_with("block") || responses.keys().filter(|status| status.starts_with('2')).count() > 1;
            assert!(told || same, "{name} has a body without an example");
        }
    }
}

#[test]
fn the_committed_description_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    #[expect(clippy::disallowed_methods, reason = "whether the description is taken as it is is no setting of the service")]
    let asked = std::env::var("OPENMPSD_BLESS");
    if asked.is_ok_and(|value| value == "1") {
        std::fs::write(&path, text()).expect("docs can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text(), "docs/openapi.json is not what the sources say: take it as it is now with `make bless`");
}
