//! Who is asking: from the `Authorization` header of a request to the principal it speaks for.
//!
//! A credential is a JSON Web Token that somebody we trust has signed. [`Verifier`] checks it against the public keys of a
//! [`KeySet`] and remembers the outcome for a while, because checking a signature costs more than all else a small read does.
//! `openmpsd token` makes tokens with the [`SigningKey`] of the data directory. The user hash of the header decides nothing,
//! not even beside a claim `uhs`: R-01 has it ignored, and clients send `*`.
//!
//! Deliberately not here: what a principal may do (`domain`), bans and title rules, which are judged per request because a token
//! outlives them, keys fetched from URLs and client certificates.

mod cache;
mod claims;
mod credential;
mod exposure;
mod jwt;
mod keys;
mod mint;
mod signing;
mod ticket;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::principal::Principal;

pub use exposure::{Exposed, Situation};
pub use keys::{KeyError, KeySet};
pub use mint::Terms;
pub use signing::SigningKey;
pub use ticket::{Nonce, Ticket};

/// Why a request has no principal: always 401 with `WWW-Authenticate: XBL3.0`. The texts are safe to show to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no `Authorization` header.
    #[error("the request carries no credential: send Authorization: XBL3.0 x=<user hash>;<token>, or Bearer <token>")]
    Missing,
    /// There is one, but it proves nothing.
    #[error("the credential is not accepted: {0}")]
    Invalid(String),
    /// The token was good until recently.
    #[error("the token has expired: ask for a new one")]
    Expired,
}

impl AuthError {
    fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}

/// What a token must say beside a good signature.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be or contain.
    pub audience: String,
    /// How far token times may be off (A-01: 60 s).
    pub leeway: TimeDelta,
}

/// Checks credentials. One per process; shared by all workers.
pub struct Verifier {
    keys: KeySet,
    rules: Rules,
    cache: cache::TokenCache,
}

impl Verifier {
    /// A verifier that trusts `keys`; `cache_bytes` is the room for tokens that were found good, 0 for none.
    #[must_use]
    pub fn new(keys: KeySet, rules: Rules, cache_bytes: usize) -> Self {
        Self { keys, rules, cache: cache::TokenCache::new(cache_bytes) }
    }

    /// Finds the principal that an `Authorization` header speaks for.
    ///
    /// `real_now` is real time, never the development clock's.
    ///
    /// # Errors
    /// When the header is missing, malformed, or holds a token that is not good now: 401.
    pub fn verify(&self, authorization: Option<&str>, real_now: DateTime<Utc>) -> Result<Arc<Principal>, AuthError> {
        self.verify_with_end(authorization, real_now).map(|(principal, _)| principal)
    }

    /// Finds the principal, and tells from when on its token is not accepted any more: when it expires, and the leeway later.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify_with_end(
        &self,
        authorization: Option<&str>,
        real_now: DateTime<Utc>,
    ) -> Result<(Arc<Principal>, DateTime<Utc>), AuthError> {
        let end = |expires_at: DateTime<Utc>| expires_at.checked_add_signed(self.rules.leeway).unwrap_or(expires_at);
        let token = credential::token(authorization)?;
        let key = cache::key(self.keys.generation(), token);
        if let Some((principal, expires_at)) = self.cache.find(&key, real_now) {
            return Ok((principal, end(expires_at)));
        }
        let good = jwt::verify(token, &self.keys, &self.rules, real_now)?;
        let principal = Arc::new(good.principal);
        self.cache.keep(key, Arc::clone(&principal), real_now, good.expires_at);
        Ok((principal, end(good.expires_at)))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.keys).field("rules", &self.rules).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
