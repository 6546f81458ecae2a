//! Credentials from the outside: what is believed, for how long, and what is not.

mod keys;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::*;

/// A folder that lives as long as its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("openmpsd-auth-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn key(&self) -> SigningKey {
        SigningKey::open(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn noon() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn rules() -> Rules {
    Rules { issuer: "openmpsd".into(), audience: "openmpsd".into(), leeway: TimeDelta::seconds(60) }
}

fn verifier(key: &SigningKey) -> Verifier {
    Verifier::new(KeySet::generated(key), rules(), 1 << 20)
}

/// The least a user's token claims, good for an hour from noon.
fn claims() -> Value {
    json!({ "iss": "openmpsd", "aud": "openmpsd", "exp": noon().timestamp() + 3600, "sub": "xuid:2533274790000001" })
}

/// The same with other claims laid over it; `null` takes one away.
fn claims_with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
