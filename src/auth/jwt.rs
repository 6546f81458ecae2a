//! A signed token, checked: form, header, key, signature, then what it claims.
//!
//! Only `ES256` and `EdDSA` are known here, and the key alone decides which of them a token must use. Whatever the header offers as a key
//! (`jwk`, `jku`, `x5u`, `x5c`) is not even read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::claims::Claims;
use super::keys::KeySet;
use super::{AuthError, Rules};
use crate::domain::principal::Principal;

/// The longest token worth looking at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A token that is good now.
pub struct Good {
    /// Whom it speaks for.
    pub principal: Principal,
    /// What `exp` says, without leeway.
    pub expires_at: DateTime<Utc>,
}

/// The header fields that are read.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

/// Checks everything about a token.
pub fn verify(token: &str, keys: &KeySet, rules: &Rules, real_now: DateTime<Utc>) -> Result<Good, AuthError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(AuthError::invalid("the token is larger than 8 KiB"));
    }
    let (signed, header, payload, signature) =
        split(token).ok_or_else(|| AuthError::invalid("the token is no JSON Web Token of three parts"))?;
    let header: Header = json(header).ok_or_else(|| AuthError::invalid("the header of the token is unreadable"))?;
    let algorithm = match header.alg.as_str() {
        "ES256" => Algorithm::ES256,
        "EdDSA" => Algorithm::EdDSA,
        _ => return Err(AuthError::invalid("the token's algorithm (alg) is neither ES256 nor EdDSA")),
    };
    if header.crit.is_some() {
        return Err(AuthError::invalid("the token demands extensions (crit) that are not known here"));
    }
    if header.typ.is_some_and(|typ| !is_token_type(&typ)) {
        return Err(AuthError::invalid("the token's type (typ) is neither at+jwt nor JWT"));
    }
    let kid = header.kid.ok_or_else(|| AuthError::invalid("the token does not name its key (kid)"))?;
    let key = keys
        .find(&kid)
        .ok_or_else(|| AuthError::invalid("the token's key (kid) is not known here; was it made for another service?"))?;
    if key.algorithm() != algorithm {
        return Err(AuthError::invalid("the token's algorithm (alg) is not that of its key"));
    }
    if !key.has_signed(signed, signature) {
        return Err(AuthError::invalid("the token's signature is wrong"));
    }
    let claims = Claims(json(payload).ok_or_else(|| AuthError::invalid("the claims of the token are no JSON object"))?);
    let expires_at = claims.check(rules, real_now)?;
    Ok(Good { principal: claims.principal()?, expires_at })
}

/// What was signed, then header, payload and signature.
fn split(token: &str) -> Option<(&str, &str, &str, &str)> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    (!payload.contains('.')).then_some((signed, header, payload, signature))
}

fn json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// RFC 7515 lets `application/` be left out, and compares without regard to case.
fn is_token_type(typ: &str) -> bool {
    let lower = typ.to_ascii_lowercase();
    matches!(lower.strip_prefix("application/").unwrap_or(&lower), "at+jwt" | "jwt")
}
