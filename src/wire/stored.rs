//! The two texts a session is stored as: its document, which is what clients get under 107, and what only the service knows.
//!
//! Together they are the state, stored once. `render` and `read` are each other's inverse: nothing is lost between them.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;

use super::fields::Fields;
use super::large::Totals;
use crate::domain::initialization::{Failure, Initializing, Stage};
use crate::domain::instant::render_instant;
use crate::domain::listing::Listing;
use crate::domain::names::{Branch, HandleId, MemberIndex, SessionReference, TitleId, Xuid};
use crate::domain::roles::{Holders, RoleTypes};
use crate::domain::session::{Bag, Member, MemberState, ServerEntry, Session};
use crate::domain::timers;
use crate::json::{self, Json, Leave, Object};

/// A session as two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The document in the 107 rendering.
    pub body: String,
    /// What only the service knows, as JSON.
    pub private: String,
}

/// Renders a session. Of a large session the document ends before its members (see `large`).
#[must_use]
pub fn render(session: &Session) -> Stored {
    Stored { body: body_of(session), private: private(session) }
}

/// Renders one session again and again while it changes: what has been rendered of a member stays, as long as it is the same.
#[derive(Debug, Default)]
pub struct Renderer {
    /// In the order of their indices, as they were rendered last.
    members: Vec<Rendered>,
    /// How many bytes the document had.
    size: usize,
}

/// A member with what its entry says of nobody else.
#[derive(Debug)]
struct Rendered {
    /// It is held on to, and therefore cannot be changed in its place.
    member: Arc<Member>,
    text: String,
    /// Where in the text it would say that it is the member's turn.
    turn_at: usize,
}

impl Renderer {
    /// The document, as [`render`] has it.
    pub fn body(&mut self, session: &Session) -> String {
        let mut known = std::mem::take(&mut self.members).into_iter().peekable();
        self.members.reserve(session.members.len());
        // Room for a little more than it had: one that outgrows it is copied.
        let room = if self.size == 0 { roughly(session) } else { self.size + self.size / 8 };
        let body = body_with(session, room, |member, next, turn, out| {
            while known.next_if(|other| other.member.index < member.index).is_some() {}
            let same = known.next_if(|other| Arc::ptr_eq(&other.member, member));
            let rendered = same.unwrap_or_else(|| Rendered::of(member));
            rendered.write(next, turn, out);
            self.members.push(rendered);
        });
        self.size = body.len();
        body
    }
}

impl Rendered {
    fn of(member: &Arc<Member>) -> Self {
        let mut text = String::with_capacity(512);
        standing(member, &mut Fields::within(&mut text, false));
        let turn_at = text.len();
        rest(member, &mut text);
        Self { member: Arc::clone(member), text, turn_at }
    }

    fn write(&self, next: MemberIndex, turn: bool, out: &mut String) {
        let mut fields = Fields::open(out);
        fields.number("next", next);
        let (standing, rest) = self.text.split_at(self.turn_at);
        fields.rendered(standing);
        if turn {
            fields.flag("turn");
        }
        out.push_str(rest);
    }
}

/// The document as clients see it (S-20 to S-30), for readers of any kind; of a large session what all readers share.
pub(super) fn body_of(session: &Session) -> String {
    body_with(session, roughly(session), |member, next, turn, out| entry(member, Some(next), turn, out))
}

/// How many bytes a document may have.
fn roughly(session: &Session) -> usize {
    1024 + 512 * session.members.len()
}

/// The same, in a text with room for so many bytes, with each member's entry written by the caller, who is told what it says of others.
fn body_with(
    session: &Session,
    room: usize,
    mut write_entry: impl FnMut(&Arc<Member>, MemberIndex, bool, &mut String),
) -> String {
    let mut body = String::with_capacity(room);
    let mut fields = Fields::open(&mut body);
    fields.number("contractVersion", 100 * session.version() + 7);
    fields.plain("branch", &session.branch.to_string());
    fields.number("changeNumber", session.change_number);
    fields.plain("correlationId", &session.reference.sid().to_string());
    fields.instant("startTime", session.start_time);
    if let Some(next) = timers::next(session) {
        fields.instant("nextTimer", next);
    }
    if let Some(listing) = &session.listing {
        fields.plain("searchHandle", &listing.id.to_string());
    }
    if let Some(initializing) = &session.initializing {
        fields.value("initializing", &episode(initializing));
    }
    if !session.host_candidates.is_empty() {
        fields.value("hostCandidates", &session.host_candidates.iter().map(String::as_str).collect());
    }
    fields.bag("constants", &session.constants, |_| {});
    fields.bag("properties", &session.properties, |_| {});
    let mut servers = Fields::open(fields.key("servers"));
    for (name, server) in &session.servers {
        let mut entry = Fields::open(servers.key(name));
        entry.bag("constants", &server.constants, |_| {});
        entry.bag("properties", &server.properties, |_| {});
        entry.close();
    }
    servers.close();
    if !session.is_large() {
        if !session.role_types.is_empty() {
            let types = session.role_types.render(Some(&session.taken()), Some(&Holders::of(session)));
            fields.value("roleTypes", &types.into());
        }
        members_info(session, fields.key("membersInfo"));
        let turn = session.turn();
        let mut members = Fields::open(fields.key("members"));
        for (member, next) in linked(session) {
            let out = members.numbered(member.index);
            write_entry(member, next, turn.contains(&member.index), out);
        }
        members.close();
    }
    fields.close();
    body
}

/// The episode under way (S-20, Top level).
pub(super) fn episode(initializing: &Initializing) -> Json {
    let mut fields = Object::with_capacity(3);
    fields.insert("stage".into(), initializing.stage.as_str().into());
    fields.insert("stageStartTime".into(), render_instant(initializing.since).into());
    fields.insert("episode".into(), initializing.episode.into());
    fields.into()
}

/// A server's entry as a value.
pub(super) fn server(server: &ServerEntry) -> Json {
    let bag = |bag: &Bag| {
        let mut fields = Object::with_capacity(2);
        fields.insert("system".into(), bag.system.clone().into());
        fields.insert("custom".into(), bag.custom.clone());
        Json::from(fields)
    };
    let mut fields = Object::with_capacity(2);
    fields.insert("constants".into(), bag(&server.constants));
    fields.insert("properties".into(), bag(&server.properties));
    fields.into()
}

/// Counts and ends of the member list (S-30); where that begins depends on the reader of a large session.
pub(super) fn members_info(session: &Session, out: &mut String) {
    let mut info = Fields::open(out);
    if !session.is_large() {
        info.number("first", session.members.first().map_or(session.next_index, |first| first.index));
    }
    info.number("next", session.next_index);
    info.number("count", session.member_count());
    info.number("accepted", session.accepted_count());
    info.number("active", session.active_count());
    info.close();
}

/// The members, each with the index of the one after it (S-60).
pub(super) fn linked(session: &Session) -> impl Iterator<Item = (&Arc<Member>, MemberIndex)> {
    let after = session.members.iter().skip(1).map(|member| member.index).chain([session.next_index]);
    session.members.iter().zip(after)
}

/// One member's entry; without `next` in a large session, where that depends on the reader.
pub(super) fn entry(member: &Member, next: Option<MemberIndex>, turn: bool, out: &mut String) {
    let mut fields = Fields::open(out);
    if let Some(next) = next {
        fields.number("next", next);
    }
    standing(member, &mut fields);
    if turn {
        fields.flag("turn");
    }
    rest(member, out);
}

/// The fields of a member's entry between those that depend on others too.
fn standing(member: &Member, fields: &mut Fields) {
    fields.instant("joinTime", member.joined_at);
    if member.state == MemberState::Reserved {
        fields.flag("reserved");
    }
}

/// The fields of a member's entry behind those that depend on others, and its end.
fn rest(member: &Member, out: &mut String) {
    let mut fields = Fields::within(out, true);
    fields.bag("constants", &member.constants, |system| {
        system.plain("xuid", &member.xuid.to_string());
        system.number("index", member.index);
    });
    fields.bag("properties", &member.properties, |system| match member.state {
        MemberState::Active { .. } => system.flag("active"),
        MemberState::Ready => system.flag("ready"),
        MemberState::Reserved | MemberState::Inactive => {}
    });
    if !member.roles.is_empty() {
        let mut roles = Fields::open(fields.key("roles"));
        for (role_type, role) in &member.roles {
            roles.plain(role_type, role);
        }
        roles.close();
    }
    if let Some(gamertag) = &member.gamertag {
        fields.value("gamertag", &gamertag.as_str().into());
    }
    if let Some(token) = member.device_token() {
        fields.plain("deviceToken", &token);
    }
    if let MemberState::Active { title: Some(title) } = member.state {
        fields.plain("activeTitleId", &title.to_string());
    }
    if let Some(episode) = member.episode {
        fields.number("initializationEpisode", episode);
    }
    if let Some(failure) = member.failure {
        fields.plain("initializationFailure", failure.as_str());
    }
    fields.close();
}

/// What only the service knows: per member, in order, since when its state lasts (µs), its device, and until when it has time to come
/// back (µs) if its connection is lost, or what is known of the members of a large session; the last episode; since when it is empty; its search handle.
#[must_use]
pub fn private(session: &Session) -> String {
    let micros = |at: DateTime<Utc>| u64::try_from(at.timestamp_micros()).unwrap_or(0);
    let mut text = String::with_capacity(64 + 32 * session.members.len());
    let mut fields = Fields::open(&mut text);
    if session.is_large() {
        fields.value("large", &Totals::of(session).render());
    } else {
        let out = fields.key("members");
        out.push('[');
        for (n, member) in session.members.iter().enumerate() {
            let _ = write!(out, "{}[{},", if n > 0 { "," } else { "" }, micros(member.since));
            member.device_id.as_deref().map_or(Json::Null, Json::from).write(out);
            if let Some(until) = member.grace_until {
                let _ = write!(out, ",{}", micros(until));
            }
            out.push(']');
        }
        out.push(']');
    }
    if session.episodes > 0 {
        fields.number("episodes", session.episodes);
    }
    if let Some(since) = session.empty_since {
        fields.number("emptySince", micros(since));
    }
    if let Some(listing) = &session.listing {
        fields.value("listing", &listing_value(listing, micros(listing.posted_at).into()));
    }
    fields.close();
    text
}

/// What the service knows of a search handle beside its id: when it was made (µs), by whom, by which title, and its attributes.
fn listing_value(listing: &Listing, posted_at: Json) -> Json {
    let title = listing.title_id.map_or(Json::Null, |title| title.0.into());
    Json::Array(vec![posted_at, listing.owner.to_string().into(), title, listing.attributes.clone().into()])
}

fn read_listing(id: Option<&Json>, value: &Json) -> Result<Arc<Listing>, Corrupt> {
    let id = id.and_then(Json::as_str).and_then(|text| HandleId::parse(&text));
    let Some([posted_at, owner, title, Json::Object(attributes)]) = value.as_array() else { return corrupt("private.listing") };
    let owner = owner.as_str().and_then(|text| Xuid::parse(&text).ok());
    let (Some(id), Some(owner)) = (id, owner) else { return corrupt("private.listing") };
    let title_id = title.as_u64().and_then(|title| u32::try_from(title).ok()).map(TitleId);
    let posted_at = read_micros("private.listing", posted_at)?;
    Ok(Arc::new(Listing { id, posted_at, owner, title_id, attributes: attributes.clone() }))
}

/// A stored text that is not what `render` writes; the message names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stored session: {0}")]
pub struct Corrupt(String);

impl Corrupt {
    /// A stored session that cannot be read for this reason.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

pub(super) fn corrupt<T>(at: &str) -> Result<T, Corrupt> {
    Err(Corrupt(format!("{at} is missing or malformed")))
}

/// Reads a session back from its two texts. Of a large session no member is loaded then (see `large::with_members`).
///
/// # Errors
/// When a text is not of the form `render` gives it.
pub fn read(reference: &SessionReference, body: &str, private: &str) -> Result<Session, Corrupt> {
    let (mut body, private) = (parse_but(body, &DOCUMENT)?, parse(private)?);
    let Json::Object(fields) = &mut body else { return corrupt("the document") };
    let mut take = |name: &str| fields.shift_remove(name).ok_or_else(|| Corrupt(format!("{name} is missing")));
    let mut constants = take_bag("constants", take("constants")?)?;
    let mut properties = take_bag("properties", take("properties")?)?;
    constants.system.shrink_to_fit();
    properties.system.shrink_to_fit();
    let servers = read_servers(take("servers")?)?;
    let Some(branch) = body.get("branch").and_then(Json::as_str).and_then(|text| Branch::parse(&text)) else {
        return corrupt("branch");
    };
    let Some(change_number) = body.get("changeNumber").and_then(Json::as_u64) else { return corrupt("changeNumber") };
    let mut session = Session {
        reference: reference.clone(),
        branch,
        change_number,
        start_time: read_instant("startTime", body.get("startTime"))?,
        constants: Arc::new(constants),
        properties,
        members: Vec::new(),
        crowd: None,
        next_index: 0,
        listing: private.get("listing").map(|listing| read_listing(body.get("searchHandle"), listing)).transpose()?,
        role_types: RoleTypes::default(),
        servers,
        initializing: body.get("initializing").map(read_episode).transpose()?,
        host_candidates: read_texts(body.get("hostCandidates")),
        episodes: private.get("episodes").and_then(Json::as_u64).and_then(|n| n.try_into().ok()).unwrap_or(0),
        empty_since: private.get("emptySince").map(|at| read_micros("emptySince", at)).transpose()?,
        former: Vec::new(),
    };
    if let Some(large) = private.get("large") {
        Totals::read(large)?.enter(&mut session);
    } else {
        read_members(&mut session, &mut body, &private)?;
    }
    Ok(session)
}

/// Reads one part of a document, `["properties", "custom"]` for one, and nothing that stands beside it.
///
/// # Errors
/// When there is no such part, or the text is not of the form `render` gives it, as far as it is looked at.
pub fn part(body: &str, path: &[&str]) -> Result<Json, Corrupt> {
    let mut text = body;
    for name in path {
        let found = json::find(text, name).map_err(|error| Corrupt(error.to_string()))?;
        text = found.ok_or_else(|| Corrupt(format!("{name} is missing")))?;
    }
    parse(text)
}

/// Reads from a document who the members are, in the order of their indices; that of a large session names none.
///
/// # Errors
/// When they are not of the form `render` gives them.
pub fn whos_who(body: &str) -> Result<Vec<(MemberIndex, Xuid)>, Corrupt> {
    let Some(members) = json::find(body, "members").map_err(|error| Corrupt(error.to_string()))? else { return Ok(Vec::new()) };
    let Json::Object(entries) = parse(members)? else { return corrupt("members") };
    let who = |entry: &Json| {
        let system = entry.get("constants")?.get("system")?;
        let xuid = system.get("xuid").and_then(Json::as_str).and_then(|text| Xuid::parse(&text).ok())?;
        Some((system.get("index")?.as_u64()?.try_into().ok()?, xuid))
    };
    entries.values().map(|entry| who(entry).map_or_else(|| corrupt("members.constants.system"), Ok)).collect()
}

/// Reads the members of a session that is not large, and what comes with them.
fn read_members(session: &mut Session, body: &mut Json, private: &Json) -> Result<(), Corrupt> {
    let Json::Object(fields) = body else { return corrupt("the document") };
    let Some(Json::Object(entries)) = fields.shift_remove("members") else { return corrupt("members") };
    let known = private.get("members").and_then(Json::as_array).unwrap_or_default();
    if known.len() != entries.len() {
        return corrupt("private.members");
    }
    session.members = entries
        .into_values()
        .zip(known)
        .map(|(entry, known)| match known.as_array() {
            Some([since, device, grace @ ..]) if grace.len() <= 1 => {
                let instant = |value| read_micros("private.members", value);
                let beside = Beside {
                    since: instant(since)?,
                    grace_until: grace.first().map(instant).transpose()?,
                    device_id: device.as_str().map(std::borrow::Cow::into_owned),
                };
                read_member(entry, beside).map(Arc::new)
            }
            _ => corrupt("private.members"),
        })
        .collect::<Result<_, _>>()?;
    let next = fields.get("membersInfo").and_then(|info| info.get("next")).and_then(Json::as_u64);
    let Some(next_index) = next.and_then(|next| next.try_into().ok()) else { return corrupt("membersInfo.next") };
    session.next_index = next_index;
    if let Some(types) = fields.get("roleTypes") {
        session.role_types = read_role_types(types)?;
    }
    Ok(())
}

/// Reads role types, whether or not they are rendered with counts and holders.
pub(super) fn read_role_types(types: &Json) -> Result<RoleTypes, Corrupt> {
    let mut declared = types.clone();
    if let Json::Object(types) = &mut declared {
        for role_type in types.values_mut() {
            let Json::Object(fields) = role_type else { return corrupt("roleTypes") };
            let Some(Json::Object(roles)) = fields.get_mut("roles") else { return corrupt("roleTypes.roles") };
            for role in roles.values_mut() {
                if let Json::Object(settings) = role {
                    settings.shift_remove("count");
                    settings.shift_remove("memberXuids");
                }
            }
        }
    }
    let (read, faults) = RoleTypes::read(&declared, true);
    match faults.into_iter().next() {
        None => Ok(read),
        Some((at, _)) => corrupt(&at),
    }
}

fn read_servers(servers: Json) -> Result<IndexMap<String, ServerEntry>, Corrupt> {
    let Json::Object(servers) = servers else { return corrupt("servers") };
    servers
        .into_iter()
        .map(|(name, entry)| {
            let Json::Object(mut fields) = entry else { return corrupt("servers") };
            let mut bag = |name: &str| take_bag(name, fields.shift_remove(name).unwrap_or(Json::Null));
            Ok((name.to_string(), ServerEntry { constants: bag("constants")?, properties: bag("properties")? }))
        })
        .collect()
}

fn read_episode(value: &Json) -> Result<Initializing, Corrupt> {
    let stage = value.get("stage").and_then(Json::as_str).and_then(|word| Stage::parse(&word));
    let episode = value.get("episode").and_then(Json::as_u64).and_then(|episode| episode.try_into().ok());
    let (Some(stage), Some(episode)) = (stage, episode) else { return corrupt("initializing") };
    Ok(Initializing { stage, since: read_instant("initializing.stageStartTime", value.get("stageStartTime"))?, episode })
}

fn read_texts(value: Option<&Json>) -> Vec<String> {
    let items = value.and_then(Json::as_array).unwrap_or_default();
    items.iter().filter_map(|item| Some(item.as_str()?.into_owned())).collect()
}

/// Custom data is nobody's but the title's: until it is merged with other, it stays the text that it is, in requests too.
pub(super) const BAG: Leave = Leave::In(&[("custom", Leave::This)]);
/// A member or a server.
pub(super) const ENTRY: Leave = Leave::In(&[("constants", BAG), ("properties", BAG)]);
/// A session, stored or in a request.
pub(super) const DOCUMENT: Leave =
    Leave::In(&[("constants", BAG), ("properties", BAG), ("servers", Leave::InEach(&ENTRY)), ("members", Leave::InEach(&ENTRY))]);

pub(super) fn parse_but(text: &str, leave: &'static Leave) -> Result<Json, Corrupt> {
    json::parse_but(text, leave).map_err(|error| Corrupt(error.to_string()))
}

pub(super) fn parse(text: &str) -> Result<Json, Corrupt> {
    json::parse(text.as_bytes(), json::STORED_DEPTH).map_err(|error| Corrupt(error.to_string()))
}

fn take_bag(at: &str, bag: Json) -> Result<Bag, Corrupt> {
    let Json::Object(mut fields) = bag else { return corrupt(at) };
    match (fields.shift_remove("system"), fields.shift_remove("custom")) {
        (Some(Json::Object(system)), Some(custom)) => Ok(Bag { system, custom }),
        _ => corrupt(at),
    }
}

fn read_instant(at: &str, value: Option<&Json>) -> Result<DateTime<Utc>, Corrupt> {
    let parsed = value.and_then(Json::as_str).and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
    parsed.map_or_else(|| corrupt(at), |instant| Ok(instant.with_timezone(&Utc)))
}

fn read_micros(at: &str, value: &Json) -> Result<DateTime<Utc>, Corrupt> {
    let micros = value.as_u64().and_then(|micros| i64::try_from(micros).ok());
    micros.and_then(DateTime::from_timestamp_micros).map_or_else(|| corrupt(at), Ok)
}

/// What is known of a member beside its entry.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Since when its state lasts.
    pub since: DateTime<Utc>,
    /// Until when it has time to come back, if its connection is lost (N-40).
    pub grace_until: Option<DateTime<Utc>>,
    /// The device of its last write.
    pub device_id: Option<String>,
}

/// Reads a member's entry.
pub(super) fn read_member(entry: Json, beside: Beside) -> Result<Member, Corrupt> {
    let Beside { since, grace_until, device_id } = beside;
    let Json::Object(mut fields) = entry else { return corrupt("a member") };
    let mut take = |name: &str| fields.shift_remove(name).ok_or_else(|| Corrupt(format!("members.{name} is missing")));
    let mut constants = take_bag("members.constants", take("constants")?)?;
    let mut properties = take_bag("members.properties", take("properties")?)?;
    let xuid = constants.system.shift_remove("xuid").as_ref().and_then(Json::as_str).and_then(|text| Xuid::parse(&text).ok());
    let index = constants.system.shift_remove("index").as_ref().and_then(Json::as_u64).and_then(|index| index.try_into().ok());
    let (Some(xuid), Some(index)) = (xuid, index) else { return corrupt("members.constants.system") };
    let text = |name: &str| fields.get(name).and_then(Json::as_str).map(std::borrow::Cow::into_owned);
    let active = properties.system.shift_remove("active").is_some();
    let ready = properties.system.shift_remove("ready").is_some();
    let state = if fields.contains_key("reserved") {
        MemberState::Reserved
    } else if active {
        MemberState::Active { title: text("activeTitleId").and_then(|title| TitleId::parse(&title).ok()) }
    } else if ready {
        MemberState::Ready
    } else {
        MemberState::Inactive
    };
    let roles = fields.get("roles").and_then(Json::as_object).map(|roles| {
        roles.iter().filter_map(|(role_type, role)| Some((role_type.to_string(), role.as_str()?.into_owned()))).collect()
    });
    Ok(Member {
        index,
        xuid,
        state,
        since,
        grace_until,
        joined_at: read_instant("members.joinTime", fields.get("joinTime"))?,
        gamertag: text("gamertag"),
        device_id,
        constants,
        properties,
        roles: roles.unwrap_or_default(),
        episode: fields.get("initializationEpisode").and_then(Json::as_u64).and_then(|episode| episode.try_into().ok()),
        failure: text("initializationFailure").and_then(|word| Failure::parse(&word)),
    })
}
