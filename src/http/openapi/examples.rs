//! Examples of requests and their answers: one story, told by `examples.json` beside this file.
//!
//! A test plays the story against a service and compares what it is answered, so that the examples stay real.

use serde_json::Value;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::{Content, OpenApi, RefOr};

use super::operations_of;

/// The story, a request after the other: `operation`, `name`, `as`, `method`, `path`, perhaps `headers` and `body`, and what came back:
/// `status`, and `answer` if there is a body.
pub const STORY: &str = include_str!("examples.json");

/// Shows every request and answer of the story at its operation.
pub fn attach(document: &mut OpenApi) {
    let story: Vec<Value> = serde_json::from_str(STORY).expect("examples.json is a list");
    for scene in &story {
        let text = |field: &str| scene[field].as_str().unwrap_or_else(|| panic!("examples.json: {field} is missing in {scene}"));
        let mut all = document.paths.paths.values_mut().flat_map(operations_of);
        let operation = all.find(|operation| operation.operation_id.as_deref() == Some(text("operation")));
        let operation = operation.unwrap_or_else(|| panic!("examples.json: there is no operation {}", text("operation")));
        let (name, status) = (text("name"), scene["status"].to_string());
        // Bodies that are refused are no example of how to ask.
        let accepted = scene["status"].as_u64().is_some_and(|status| status < 400);
        if let (true, Some(RefOr::T(body)), Some(example)) = (accepted, &mut operation.request_body, scene.get("body")) {
            body.content.values_mut().for_each(|content| show(content, name, example));
        }
        if let (Some(RefOr::T(response)), Some(example)) = (operation.responses.responses.get_mut(&status), scene.get("answer")) {
            let wanted = if example.is_string() { "text/" } else { "application/json" };
            let several = response.content.len() > 1;
            let contents = response.content.iter_mut().filter(|(kind, _)| !several || kind.starts_with(wanted));
            contents.for_each(|(_, content)| show(content, name, example));
        }
    }
}

fn show(content: &mut RefOr<Content>, name: &str, example: &Value) {
    if let RefOr::T(content) = content {
        let example = ExampleBuilder::new().value(Some(example.clone())).build();
        content.examples.insert(name.to_owned(), RefOr::T(example));
    }
}
