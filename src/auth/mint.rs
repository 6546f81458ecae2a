//! Making tokens, for `openmpsd token` and for tests.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Map, Value, json};

use super::SigningKey;
use crate::domain::principal::{Principal, ServerFor};

/// What a token says beside whom it speaks for.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
    /// The claim `iat`, cut to seconds.
    pub issued_at: DateTime<Utc>,
    /// From `iat` to `exp`, cut to seconds.
    pub lifetime: Duration,
}

impl SigningKey {
    /// Makes a token that speaks for `principal`.
    #[must_use]
    pub fn issue(&self, principal: &Principal, terms: &Terms) -> String {
        let issued_at = terms.issued_at.timestamp();
        let lifetime = i64::try_from(terms.lifetime.as_secs()).unwrap_or(i64::MAX);
        let mut claims = Map::new();
        claims.insert("iss".into(), json!(terms.issuer));
        claims.insert("aud".into(), json!(terms.audience));
        claims.insert("iat".into(), json!(issued_at));
        claims.insert("exp".into(), json!(issued_at.saturating_add(lifetime)));
        describe(principal, &mut claims);
        self.sign(&Value::Object(claims))
    }

    /// Signs any claims whatever.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid().to_owned());
        jsonwebtoken::encode(&header, claims, self.private()).expect("a P-256 key signs with ES256")
    }
}

/// Adds the claims that `claims.rs` reads a principal from.
fn describe(principal: &Principal, claims: &mut Map<String, Value>) {
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    match principal {
        Principal::User(user) => {
            set("sub", json!(format!("xuid:{}", user.xuid)));
            set("xid", json!(user.xuid.to_string()));
            if let Some(gamertag) = &user.gamertag {
                set("gtg", json!(gamertag));
            }
            if let Some(title_id) = user.title_id {
                set("tid", json!(title_id.to_string()));
            }
            if let Some(device_id) = &user.device_id {
                set("did", json!(device_id));
            }
            if let Some(device_type) = &user.device_type {
                set("dty", json!(device_type));
            }
            if !user.multiplayer {
                set("prv", json!([]));
            }
        }
        // Whom a server acts for is said by its requests, not by its token.
        Principal::Server(server) | Principal::ServerFor(ServerFor { server, .. }) => {
            set("sub", json!(format!("svc:{}", server.name)));
            set("scids", server.scids.iter().map(|scid| json!(scid.as_str())).collect());
        }
        Principal::Admin { name } => {
            set("sub", json!(format!("admin:{name}")));
        }
    }
}
