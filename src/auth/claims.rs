//! What a token claims: times and addressees that must fit, and the principal it describes.
//!
//! `sub` says who it is: `xuid:<n>`, `svc:<name>` or `admin:<name>`. Users have `xid` (which must agree with `sub`), `gtg`, `tid`,
//! `did` and `prv`; servers have `scids`. Numbers may come as numbers or as decimal text. A claim that is `null` is not there.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::{AuthError, Rules};
use crate::domain::names::{Scid, TitleId, Xuid, is_name};
use crate::domain::principal::{Principal, Server, User};

/// The number of the multiplayer privilege on Xbox Live.
const MULTIPLAYER: &str = "254";

/// The claims of a token whose signature is good.
pub struct Claims(pub Map<String, Value>);

impl Claims {
    /// Checks `iss`, `aud`, `nbf` and `exp`, and returns the last.
    pub fn check(&self, rules: &Rules, real_now: DateTime<Utc>) -> Result<DateTime<Utc>, AuthError> {
        if self.text("iss")? != Some(rules.issuer.as_str()) {
            return Err(AuthError::invalid("the token is by another issuer (iss)"));
        }
        let is_ours = |audience: &Value| audience.as_str() == Some(rules.audience.as_str());
        let is_for_us = match self.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        };
        if !is_for_us {
            return Err(AuthError::invalid("the token is meant for another audience (aud)"));
        }
        if self.instant("nbf")?.is_some_and(|not_before| real_now < later(not_before, -rules.leeway)) {
            return Err(AuthError::invalid("the token is not valid yet (nbf)"));
        }
        let expires_at = self.instant("exp")?.ok_or_else(|| AuthError::invalid("the token never expires: it needs exp"))?;
        if real_now >= later(expires_at, rules.leeway) { Err(AuthError::Expired) } else { Ok(expires_at) }
    }

    /// Reads the principal out of the claims.
    pub fn principal(&self) -> Result<Principal, AuthError> {
        let subject = self.text("sub")?.unwrap_or_default();
        let wrong = || AuthError::invalid("the claim sub is none of xuid:<number>, svc:<name>, admin:<name>");
        let (kind, id) = subject.split_once(':').ok_or_else(wrong)?;
        match kind {
            "xuid" => self.user(Xuid::parse(id).map_err(|_| wrong())?).map(Principal::User),
            "svc" if is_name(id) => Ok(Principal::Server(Server { name: id.to_owned(), scids: self.scids()? })),
            "admin" if is_name(id) => Ok(Principal::Admin { name: id.to_owned() }),
            _ => Err(wrong()),
        }
    }

    fn user(&self, xuid: Xuid) -> Result<User, AuthError> {
        if let Some(text) = self.decimal("xid")?
            && Xuid::parse(&text) != Ok(xuid)
        {
            return Err(AuthError::invalid("the claims sub and xid name different users"));
        }
        let title_id = self.decimal("tid")?.map(|text| TitleId::parse(&text));
        Ok(User {
            xuid,
            gamertag: self.filled("gtg")?,
            title_id: title_id.transpose().map_err(|error| AuthError::invalid(format!("the claim tid: {error}")))?,
            device_id: self.filled("did")?,
            device_type: self.filled("dty")?,
            multiplayer: self.multiplayer()?,
        })
    }

    /// Whether `prv` grants multiplayer; it does when it is not there.
    ///
    /// It is a list of names and numbers, or one text of them separated by spaces, as on Xbox Live.
    fn multiplayer(&self) -> Result<bool, AuthError> {
        let is_multiplayer = |privilege: &str| privilege == MULTIPLAYER || privilege.eq_ignore_ascii_case("multiplayer");
        match self.get("prv") {
            None => Ok(true),
            Some(Value::String(privileges)) => Ok(privileges.split_ascii_whitespace().any(is_multiplayer)),
            Some(Value::Array(privileges)) => Ok(privileges.iter().any(|privilege| match privilege {
                Value::String(name) => is_multiplayer(name),
                Value::Number(number) => is_multiplayer(&number.to_string()),
                _ => false,
            })),
            Some(_) => Err(AuthError::invalid("the claim prv is no list")),
        }
    }

    fn scids(&self) -> Result<Vec<Scid>, AuthError> {
        let wrong = || AuthError::invalid("the claim scids of a service is no list of GUIDs");
        let scids = self.get("scids").and_then(Value::as_array).ok_or_else(wrong)?;
        scids.iter().map(|scid| scid.as_str().and_then(|text| Scid::parse(text).ok()).ok_or_else(wrong)).collect()
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<&str>, AuthError> {
        let wrong = || AuthError::invalid(format!("the claim {name} is no text"));
        self.get(name).map(|value| value.as_str().ok_or_else(wrong)).transpose()
    }

    /// A text of which empty is as good as none. It ends up in a column, so it holds no NUL.
    fn filled(&self, name: &str) -> Result<Option<String>, AuthError> {
        match self.text(name)? {
            Some(text) if text.contains('\0') => Err(AuthError::invalid(format!("the claim {name} holds a NUL character"))),
            text => Ok(text.filter(|text| !text.is_empty()).map(str::to_owned)),
        }
    }

    fn decimal(&self, name: &str) -> Result<Option<String>, AuthError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(AuthError::invalid(format!("the claim {name} is neither a number nor decimal text"))),
        }
    }

    /// A time in seconds since 1970, perhaps with a fraction.
    fn instant(&self, name: &str) -> Result<Option<DateTime<Utc>>, AuthError> {
        let wrong = || AuthError::invalid(format!("the claim {name} is no number of seconds since 1970"));
        let Some(value) = self.get(name) else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "a float beyond all integers becomes the largest one")]
        let micros = match value.as_i64() {
            Some(seconds) => seconds.saturating_mul(1_000_000),
            None => (value.as_f64().ok_or_else(wrong)? * 1e6) as i64,
        };
        Ok(Some(DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })))
    }
}

fn later(instant: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    instant.checked_add_signed(by).unwrap_or(instant)
}
