//! The description of the interface: its examples are real, and it is served with a page that needs no other host.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use openmpsd::domain::principal::Principal;
use openmpsd::http::openapi;
use reqwest::Method;
use serde_json::Value;

use crate::chance::setting;
use crate::harness::{Actor, Answer, Choices, SCID, World, player};

const ADA: u64 = 2_533_274_800_000_001;
const BO: u64 = 2_533_274_800_000_002;

/// Service configs of the story: their ids are the same in every run.
const SCIDS: [&str; 3] = [SCID, "4fc10100-5f7a-4470-899b-280835760c07", "11111111-2222-3333-4444-555555555555"];

/// Ids that a run makes up, in the order in which they turn up; the story has a number for each.
#[derive(Default)]
struct Ids(Vec<String>);

impl Ids {
    fn told(number: usize) -> String {
        format!("7c0e5a10-0000-4000-8000-{:012}", number + 1)
    }

    /// The text as the story tells it.
    fn told_in(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let guid = rest.get(..36).filter(|guid| is_guid(guid));
            let width = if guid.is_some() { 36 } else { first.len_utf8() };
            let (this, after) = rest.split_at(width);
            match guid {
                Some(guid) if !SCIDS.contains(&guid) => {
                    let number = self.0.iter().position(|known| known == guid).unwrap_or_else(|| {
                        self.0.push(guid.to_owned());
                        self.0.len() - 1
                    });
                    out.push_str(&Self::told(number));
                }
                _ => out.push_str(this),
            }
            rest = after;
        }
        out
    }

    /// The text as this run has it.
    fn real_in(&self, text: &str) -> String {
        self.0.iter().enumerate().fold(text.to_owned(), |text, (number, real)| text.replace(&Self::told(number), real))
    }
}

fn is_guid(text: &str) -> bool {
    text.bytes()
        .enumerate()
        .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// Those who act in the story.
struct Cast {
    world: World,
    ids: Ids,
}

impl Cast {
    fn actor(&self, name: &str) -> Actor {
        let named = |xuid: u64, gamertag: &str| {
            let mut user = player(xuid);
            user.gamertag = Some(gamertag.to_owned());
            self.world.actor(Principal::User(user))
        };
        match name {
            "nobody" => self.world.nobody(),
            "Ada" => named(ADA, "AdaLumen"),
            "Bo" => named(BO, "BoQuill"),
            "server" => self.world.server(),
            "admin" => self.world.admin(),
            other => panic!("nobody is called {other}"),
        }
    }

    async fn send(&self, scene: &Value) -> Answer {
        let text = |field: &str| scene[field].as_str().unwrap_or_else(|| panic!("{field} is missing in {scene}"));
        let given = scene.get("headers").and_then(Value::as_object).cloned().unwrap_or_default();
        let given: Vec<(String, String)> =
            given.iter().map(|(name, value)| (name.clone(), self.ids.real_in(value.as_str().expect("a text")))).collect();
        let headers: Vec<(&str, &str)> = given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = scene.get("body").map(|body| body.as_str().map_or_else(|| body.to_string(), str::to_owned));
        let method: Method = text("method").parse().expect("a method");
        self.actor(text("as")).send(method, &self.ids.real_in(text("path")), &headers, body).await
    }

    /// Plays a scene, and puts into it what comes back.
    async fn play(&mut self, scene: &mut Value) {
        let answer = self.send(scene).await;
        let body = self.ids.told_in(&answer.text);
        let json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let mut body = if json { serde_json::from_str(&body).expect("the body is JSON") } else { Value::from(body) };
        if let Some(nonce) = body.get_mut("nonce") {
            assert!(nonce.as_str().is_some_and(|nonce| nonce.len() >= 20), "{nonce} is a secret");
            *nonce = "a-secret-that-works-once".into();
        }
        let fields = scene.as_object_mut().expect("a scene is an object");
        fields.insert("status".into(), answer.status.into());
        match body {
            Value::String(text) if text.is_empty() => drop(fields.remove("answer")),
            body => drop(fields.insert("answer".into(), body)),
        }
    }
}

#[tokio::test]
async fn the_examples_are_what_the_service_answers() {
    let mut choices = Choices::default();
    choices.rules.feeds.lifetime = Duration::from_millis(20);
    let mut cast = Cast { world: World::with(choices).await, ids: Ids::default() };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/openapi/examples.json");
    let told = std::fs::read_to_string(&path).expect("the story is there");
    let told: Vec<Value> = serde_json::from_str(&told).expect("the story is a list");
    let mut played = told.clone();
    for scene in &mut played {
        cast.play(scene).await;
    }
    if setting("OPENMPSD_BLESS", 0) == 1 {
        let text = serde_json::to_string_pretty(&played).expect("a story is JSON") + "\n";
        std::fs::write(&path, text).expect("the story can be written");
    } else {
        for (told, played) in told.iter().zip(&played) {
            assert_eq!(
                told, played,
                "src/http/openapi/examples.json tells it otherwise: `make bless` takes what is answered now"
            );
        }
    }
    cast.world.end().await;
}

#[tokio::test]
async fn the_description_is_served_to_everybody_and_printed() {
    let world = World::new().await;
    let served = world.nobody().send(Method::GET, "/openapi.json", &[("X-Xbl-Contract-Version", "")], None).await.expect(200);
    assert_eq!(served.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(served.text == openapi::text(), "what is served is the description");
    assert_eq!(served.json()["openapi"], "3.1.0");
    let printed = Command::new(env!("CARGO_BIN_EXE_openmpsd")).arg("openapi").output().expect("the program runs");
    assert!(printed.status.success() && printed.stdout == openapi::text().as_bytes(), "what is printed is the description");
    world.end().await;
}

#[tokio::test]
async fn r08_what_needs_no_credential_can_only_be_read() {
    let world = World::new().await;
    for path in ["/health", "/health/ready", "/openapi.json", "/docs", "/docs/", "/docs/swagger-ui.css"] {
        for method in [Method::POST, Method::DELETE, Method::TRACE] {
            let answer = world.nobody().send(method, path, &[], None).await.expect(405);
            assert_eq!(answer.header("allow"), Some("GET"), "{path}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn the_page_needs_nothing_from_other_hosts() {
    let world = World::new().await;
    let nobody = world.nobody();
    // `/docs` leads to it.
    let page = nobody.get("/docs").await.expect(200);
    assert_eq!(page.header("content-type"), Some("text/html"));
    let policy = page.header("content-security-policy").expect("the page is held to its own host");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && policy.contains("connect-src 'self'"), "{policy}");
    let mut files: Vec<&str> = Vec::new();
    for mark in ["src=\"", "href=\""] {
        files.extend(page.text.split(mark).skip(1).map(|rest| rest.split('"').next().expect("a quote ends it")));
    }
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert!(!file.contains("//"), "{file} is of another host");
        let file = file.trim_start_matches("./");
        let answer = nobody.ask(Method::GET, &format!("/docs/{file}"), &[], None).await;
        assert_eq!(answer.status(), 200, "{file}");
    }
    let begin = nobody.get("/docs/swagger-initializer.js").await.expect(200);
    assert!(begin.text.contains("../openapi.json") && !begin.text.contains("://"), "{}", begin.text);
    assert!(begin.text.contains(r#""validatorUrl": "none""#), "the page does not ask a validator elsewhere: {}", begin.text);
    nobody.get("/docs/no-such-file").await.expect(404);
    nobody.get("/docs/../openapi.json").await.expect(200);
    world.end().await;
}
