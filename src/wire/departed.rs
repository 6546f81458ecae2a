//! Members that left in a change, as the log keeps them: those with subscriptions are tapped once more (N-56).

use std::sync::Arc;

use super::stored::{Corrupt, corrupt, parse};
use crate::domain::change::Departed;
use crate::domain::names::{ConnectionId, MemberIndex, Xuid};
use crate::domain::subscription::{Listener, Wants};
use crate::json::{Json, Object};

/// Renders them: one entry per subscription, or one for a member without any; `None` if nobody left.
#[must_use]
pub fn render(departed: &[Departed]) -> Option<String> {
    let mut entries = Vec::new();
    for member in departed {
        let mut fields = Object::new();
        fields.insert("index".into(), member.index.into());
        fields.insert("xuid".into(), member.xuid.to_string().into());
        for listener in &member.listeners {
            let mut fields = fields.clone();
            fields.insert("connection".into(), listener.connection.to_string().into());
            fields.insert("subscription".into(), (*listener.subscription).into());
            entries.push(fields.into());
        }
        if member.listeners.is_empty() {
            entries.push(fields.into());
        }
    }
    if entries.is_empty() { None } else { Some(Json::Array(entries).to_string()) }
}

/// Reads back the subscriptions of those who left. What they wanted to hear of is not kept: they hear of their leaving in any case.
///
/// # Errors
/// When the text is not of the form `render` gives it.
pub fn listeners(text: &str) -> Result<Vec<Listener>, Corrupt> {
    let entries = parse(text)?;
    let mut found = Vec::new();
    for entry in entries.as_array().unwrap_or_default() {
        let text = |name: &str| entry.get(name).and_then(Json::as_str);
        let index = entry.get("index").and_then(Json::as_u64).and_then(|index| MemberIndex::try_from(index).ok());
        let (Some(index), Some(xuid)) = (index, text("xuid").and_then(|xuid| Xuid::parse(&xuid).ok())) else {
            return corrupt("departed");
        };
        let Some((connection, subscription)) = text("connection").zip(text("subscription")) else { continue };
        let Some(connection) = ConnectionId::parse(&connection) else { return corrupt("departed.connection") };
        found.push(Listener { index, xuid, connection, subscription: Arc::from(&*subscription), wants: Wants::EVERYTHING });
    }
    Ok(found)
}
