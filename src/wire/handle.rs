//! Handles on the wire: how they are shown, with what they tell of their sessions (handles.md), and what is stored of them beside
//! columns.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::query::session_ref;
use super::stored::{Corrupt, corrupt, parse};
use crate::domain::handle::{About, Handle, HandleType, Include, Invite};
use crate::domain::instant::render_instant;
use crate::domain::names::{MemberIndex, Scid, SessionName, SessionReference, TemplateName, Xuid};
use crate::domain::query::Reported;
use crate::domain::roles::Holders;
use crate::domain::session::{Restriction, Session, Visibility};
use crate::json::{Json, Object};

/// A handle together with what a reader is shown of its session.
pub struct Shown<'a> {
    /// The handle.
    pub handle: &'a Handle,
    /// Its session, if it exists.
    pub session: Option<Related<'a>>,
    /// Whether the reader may read the session (H-57).
    pub readable: bool,
    /// Owners of the session whose entries are not loaded with it: a large one comes without members, and so does what is read in part.
    pub owners: &'a [(MemberIndex, Xuid)],
    /// What the title is called on each platform, as far as it is configured (H-19, H-33).
    pub game_types: &'a Object,
}

impl<'a> Shown<'a> {
    /// A handle by itself, nothing of its session shown.
    #[must_use]
    pub fn bare(handle: &'a Handle, game_types: &'a Object) -> Self {
        Self { handle, session: None, readable: false, owners: &[], game_types }
    }
}

/// What handles tell of a session.
#[derive(Debug, Clone)]
pub struct Related<'a> {
    /// `inviteProtocol`.
    pub invite_protocol: Option<Cow<'a, str>>,
    /// `visibility`, before it is known whether it is full.
    pub visibility: Visibility,
    /// `joinRestriction`.
    pub join_restriction: Restriction,
    /// `closed`.
    pub closed: bool,
    /// `maxMembersCount`.
    pub max_members: u64,
    /// Members, reservations included.
    pub member_count: u64,
    /// The system properties; not asked for without `relatedInfo`.
    pub system: &'a Object,
    /// The custom properties; not asked for where they are not shown.
    pub custom: &'a Json,
    /// The session itself, without which neither its roles are told nor, but for `owners`, who its members are.
    pub whole: Option<&'a Session>,
}

impl<'a> Related<'a> {
    /// What is told of a session that is at hand.
    #[must_use]
    pub fn of(session: &'a Session) -> Self {
        Self {
            invite_protocol: session.invite_protocol().map(Cow::Owned),
            visibility: session.visibility(),
            join_restriction: session.join_restriction(),
            closed: session.flag("closed"),
            max_members: session.max_members() as u64,
            member_count: session.member_count() as u64,
            system: &session.properties.system,
            custom: &session.properties.custom,
            whole: Some(session),
        }
    }
}

/// Renders a handle (R-50; the tables of the activity and the search handle, H-33, H-37, H-70 to H-75).
#[must_use]
pub fn render(shown: &Shown, include: Include) -> Json {
    let handle = shown.handle;
    let mut fields = Object::with_capacity(12);
    let mut put = |name: &str, value: Json| drop(fields.insert(name.into(), value));
    put("id", handle.id.to_string().into());
    put("type", handle.kind().as_str().into());
    put("version", 1_u64.into());
    put("sessionRef", session_ref(&handle.reference));
    let title = handle.title_id.map_or_else(|| "0".to_owned(), |title| title.to_string());
    let owner = |name: &str| Some((name.to_owned(), Json::from(handle.owner?.to_string())));
    let mut put_some = |field: Option<(String, Json)>| field.into_iter().for_each(|(name, value)| put(&name, value));
    match &handle.about {
        About::Invite(invite) => {
            put_some(owner("senderXuid"));
            for field in invited(invite, shown.game_types) {
                put_some(Some(field));
            }
        }
        About::Transfer { origin } => {
            put_some(Some(("originSessionRef".into(), session_ref(origin))));
            put_some(owner("ownerXuid"));
            put_some(Some(("createTime".into(), render_instant(handle.created_at).into())));
        }
        About::Activity | About::Search(_) => {
            put_some(Some(("titleId".into(), title.as_str().into())));
            put_some(owner("ownerXuid"));
            put_some(Some(("createTime".into(), render_instant(handle.created_at).into())));
        }
    }
    match &handle.about {
        About::Search(attributes) => put("searchAttributes", attributes.clone().into()),
        About::Activity => {
            if let Some(protocol) = shown.session.as_ref().and_then(|session| session.invite_protocol.as_deref()) {
                put("inviteProtocol", protocol.into());
            }
            if !shown.game_types.is_empty() {
                put("gameTypes", shown.game_types.clone().into());
            }
        }
        About::Invite(_) | About::Transfer { .. } => {}
    }
    if let (true, Some(session)) = (include.related_info, &shown.session) {
        put("relatedInfo", related_info(shown, session).into());
    }
    let readable = shown.session.as_ref().filter(|_| shown.readable);
    if let (true, Some(session)) = (include.role_info, readable.and_then(|session| session.whole)) {
        put("roleInfo", role_info(session));
    }
    if include.custom_properties {
        put("customProperties", readable.map_or_else(Json::object, |session| session.custom.clone()));
    }
    if include.activity_info {
        let mut info = Object::new();
        info.insert("titleId".into(), title.into());
        put("activityInfo", info.into());
    }
    fields.into()
}

/// What only an invite has (H-33); who sent it is told under every name that clients read.
fn invited(invite: &Invite, game_types: &Object) -> Vec<(String, Json)> {
    let mut fields = vec![("invitedXuid".to_owned(), Json::from(invite.invited.to_string()))];
    let mut put = |name: &str, value: Json| fields.push((name.to_owned(), value));
    if let Some(attributes) = &invite.attributes {
        put("inviteAttributes", attributes.clone().into());
    }
    if let Some(protocol) = &invite.protocol {
        put("inviteProtocol", protocol.as_str().into());
    }
    put("expiration", render_instant(invite.expires_at).into());
    put("gameTypes", game_types.clone().into());
    let sender = invite.sender.as_str();
    let info = [
        ("sender", sender),
        ("senderModernGamertag", sender),
        ("senderModernGamertagSuffix", ""),
        ("senderUniqueModernGamertag", sender),
        ("senderImageUrl", ""),
    ];
    put("inviteInfo", info.into_iter().map(|(name, text)| (name.into(), text.into())).collect::<Object>().into());
    fields
}

/// The roles of a session and who has them (H-74), in the form of its document, of which only the roles themselves are told. Nobody is
/// named in a large session, whose members are hidden from each other (S-56).
fn role_info(session: &Session) -> Json {
    let holders = if session.is_large() { Holders::default() } else { Holders::of(session) };
    let types = session.role_types.render(Some(&session.taken()), Some(&holders));
    let only_roles = |(name, declared): (_, Json)| {
        let roles = declared.get("roles").cloned().unwrap_or_else(Json::object);
        (name, Json::from(Object::from_iter([("roles".into(), roles)])))
    };
    let types: Object = types.into_iter().map(only_roles).collect();
    Object::from_iter([("roleTypes".into(), types.into())]).into()
}

/// What shows whether a session can be joined (H-70).
fn related_info(shown: &Shown, session: &Related) -> Object {
    let mut fields = Object::with_capacity(10);
    let mut put = |name: &str, value: Json| drop(fields.insert(name.into(), value));
    let reported = Reported::of(session.visibility, session.member_count >= session.max_members);
    put("visibility", reported.as_str().into());
    put("joinRestriction", session.join_restriction.as_str().into());
    put("closed", session.closed.into());
    put("maxMembersCount", session.max_members.into());
    put("membersCount", session.member_count.into());
    put("postedTime", render_instant(shown.handle.created_at).into());
    if let Some(protocol) = session.invite_protocol.as_deref() {
        put("inviteProtocol", protocol.into());
    }
    let set = |name: &str| session.system.get(name);
    for name in ["keywords", "sessionOwners", "description", "scheduledTime", "searchHandleVisibility"] {
        let value = match name {
            "sessionOwners" => set("owners").map(|owners| owner_xuids(owners, session.whole, shown.owners)),
            name => set(name).cloned(),
        };
        if let Some(value) = value {
            put(name, value);
        }
    }
    fields
}

/// The xuids of owners, in the order of their indices in the session's properties.
fn owner_xuids(owners: &Json, session: Option<&Session>, others: &[(MemberIndex, Xuid)]) -> Json {
    let xuid = |index: MemberIndex| {
        let loaded = session.and_then(|session| session.member_at(index)).map(|member| member.xuid);
        loaded.or_else(|| others.iter().find(|(other, _)| *other == index).map(|(_, xuid)| *xuid))
    };
    let indices = owners.as_array().unwrap_or_default().iter().filter_map(|index| MemberIndex::try_from(index.as_u64()?).ok());
    indices.filter_map(xuid).map(|xuid| Json::from(xuid.to_string())).collect()
}

/// What is stored of a handle beside its columns, as JSON text.
#[must_use]
pub fn document(about: &About) -> Option<String> {
    let fields = match about {
        About::Activity => return None,
        About::Search(attributes) => attributes.clone(),
        About::Transfer { origin } => Object::from_iter([("origin".into(), session_ref(origin))]),
        About::Invite(invite) => {
            let mut fields = Object::with_capacity(3);
            fields.insert("sender".into(), invite.sender.as_str().into());
            if let Some(protocol) = &invite.protocol {
                fields.insert("protocol".into(), protocol.as_str().into());
            }
            if let Some(attributes) = &invite.attributes {
                fields.insert("attributes".into(), attributes.clone().into());
            }
            fields
        }
    };
    Some(Json::from(fields).to_string())
}

/// Reads back what is stored of a handle; `invited` and `expires_at` are columns of their own.
///
/// # Errors
/// When the text is not of the form `document` gives it.
pub fn read_document(
    kind: HandleType,
    invited: Option<Xuid>,
    expires_at: Option<DateTime<Utc>>,
    document: Option<&str>,
) -> Result<About, Corrupt> {
    let fields = match document.map(parse).transpose()? {
        None => Object::new(),
        Some(Json::Object(fields)) => fields,
        Some(_) => return corrupt("the document of a handle"),
    };
    let text = |name: &str| fields.get(name).and_then(Json::as_str).map(std::borrow::Cow::into_owned);
    Ok(match kind {
        HandleType::Activity => About::Activity,
        HandleType::Search => About::Search(fields),
        HandleType::Transfer => match fields.get("origin").and_then(read_reference) {
            Some(origin) => About::Transfer { origin },
            None => return corrupt("origin"),
        },
        HandleType::Invite => {
            let (Some(invited), Some(expires_at)) = (invited, expires_at) else { return corrupt("an invite's row") };
            About::Invite(Invite {
                invited,
                expires_at,
                attributes: fields.get("attributes").and_then(Json::as_object).cloned(),
                protocol: text("protocol"),
                sender: text("sender").unwrap_or_default(),
            })
        }
    })
}

fn read_reference(value: &Json) -> Option<SessionReference> {
    let text = |name: &str| value.get(name).and_then(Json::as_str);
    Some(SessionReference {
        scid: Scid::parse(&text("scid")?).ok()?,
        template: TemplateName::parse(&text("templateName")?).ok()?,
        name: SessionName::parse(&text("name")?).ok()?,
    })
}
