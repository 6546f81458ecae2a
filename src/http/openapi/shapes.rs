//! Shapes that answers and requests are made of, apart from the session document: names and ids, handles, queries, administration.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::session::{Description, Restriction, RoleType};

/// A user's id: an unsigned 64-bit number as text (S-04). Requests may give a number, too.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9]{1,20}$", example = "2533274800000001")]
pub struct Xuid(String);

/// A GUID, rendered in lower case without braces (S-12).
#[derive(ToSchema)]
#[schema(format = "uuid", example = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7")]
pub struct Guid(String);

/// A name of a session, template, server, group or encounter (S-06); letters compare without case (S-05).
#[derive(ToSchema)]
#[schema(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.()\-]{0,99}$", example = "harbor-1")]
pub struct Name(String);

/// An instant, UTC, with seven fractional digits (S-07).
#[derive(ToSchema)]
#[schema(format = DateTime, example = "2031-04-05T18:00:00.1230000Z")]
pub struct Timestamp(String);

/// What names a session, whether or not it exists.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct SessionRef {
    scid: Guid,
    template_name: Name,
    /// Left out when a handle is made: the service gives the session a fresh name (H-04).
    name: Option<Name>,
}

/// Too many requests (E-20).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Throttled {
    version: u32,
    /// Requests of this kind in the period, this one included.
    current_requests: u64,
    /// Requests that are allowed in the period.
    max_requests: u64,
    period_in_seconds: u64,
    limit_type: LimitType,
}

/// What was exceeded.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum LimitType {
    Rate,
}

/// A handle to be made (H-02); what its type does not know is ignored (H-05).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct HandleRequest {
    #[schema(rename = "type")]
    kind: HandleKind,
    #[schema(minimum = 1, maximum = 1)]
    version: Option<u32>,
    session_ref: SessionRef,
    /// Of an invite: for whom (H-30).
    invited_xuid: Option<Xuid>,
    /// Of an invite.
    invite_attributes: Option<InviteAttributes>,
    /// Of a transfer: the session whose members may follow (H-37).
    origin_session_ref: Option<SessionRef>,
    /// Of a search handle.
    search_attributes: Option<SearchAttributes>,
}

/// What handles are for.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum HandleKind {
    Activity,
    Invite,
    Transfer,
    Search,
}

/// What an invite tells the invited user (H-31).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct InviteAttributes {
    title_id: Option<String>,
    /// At most 256 characters in URI-encoded form.
    context: Option<String>,
    context_string: Option<String>,
    sender_string: Option<String>,
}

/// What a session is found by in a search (H-63).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct SearchAttributes {
    #[schema(max_items = 32)]
    tags: Option<Vec<String>>,
    strings: Option<BTreeMap<String, String>>,
    numbers: Option<BTreeMap<String, f64>>,
    #[schema(max_items = 32)]
    achievement_ids: Option<Vec<String>>,
    locale: Option<String>,
    language: Option<String>,
}

/// A pointer to a session (handles.md).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Handle {
    id: Guid,
    #[schema(rename = "type")]
    kind: HandleKind,
    version: u32,
    session_ref: SessionRef,
    /// Of activities and search handles (H-06).
    title_id: Option<String>,
    /// Whose it is; an invite has a sender instead.
    owner_xuid: Option<Xuid>,
    create_time: Option<Timestamp>,
    invite_protocol: Option<String>,
    /// What the title is called, by platform (H-19, H-33).
    game_types: Option<BTreeMap<String, GameType>>,
    /// Who sent the invite (H-33).
    sender_xuid: Option<Xuid>,
    invited_xuid: Option<Xuid>,
    invite_attributes: Option<InviteAttributes>,
    invite_info: Option<InviteInfo>,
    /// When the invite ends (H-34).
    expiration: Option<Timestamp>,
    origin_session_ref: Option<SessionRef>,
    search_attributes: Option<SearchAttributes>,
    related_info: Option<RelatedInfo>,
    /// `properties.custom` of the session; with `include=customProperties` (H-72).
    custom_properties: Option<serde_json::Value>,
    role_info: Option<RoleInfo>,
    activity_info: Option<ActivityInfo>,
}

/// What a title is called on a platform.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct GameType {
    title_id: Option<String>,
    pfn: Option<String>,
    bound_pfns: Option<Vec<String>>,
}

/// The names of who sent an invite (H-33).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct InviteInfo {
    sender: String,
    sender_modern_gamertag: String,
    sender_modern_gamertag_suffix: String,
    sender_unique_modern_gamertag: String,
    sender_image_url: String,
}

/// What is told of a handle's session; with `include=relatedInfo` (H-70).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct RelatedInfo {
    visibility: ReportedVisibility,
    join_restriction: Restriction,
    closed: bool,
    max_members_count: u32,
    members_count: u32,
    posted_time: Timestamp,
    invite_protocol: Option<String>,
    keywords: Option<Vec<String>>,
    session_owners: Option<Vec<Xuid>>,
    description: Option<Description>,
    scheduled_time: Option<Timestamp>,
    search_handle_visibility: Option<String>,
}

/// A session's visibility as queries report it: `full` stands for open and full (Q-42).
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum ReportedVisibility {
    Open,
    Visible,
    Private,
    Full,
}

/// The roles of a handle's session; with `include=roleInfo` (H-74).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct RoleInfo {
    role_types: BTreeMap<String, RoleType>,
}

/// The title of an activity; with `include=activityInfo`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ActivityInfo {
    title_id: String,
}

/// Which handles are wanted (H-50, H-71).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct HandleQuery {
    #[schema(rename = "type")]
    kind: QueryKind,
    scid: Option<Guid>,
    /// Of activities: whose (H-52 to H-54).
    owners: Option<QueryOwners>,
    /// Of a search (H-71).
    template_name: Option<Name>,
    /// Of a search: see docs/search.md (H-80).
    #[schema(max_length = 4096, example = "tags/any(t: tolower(t) eq 'coop') and numbers/level ge 10")]
    filter: Option<String>,
    /// Of a search: which grammar the filter is in.
    grammar: Option<Grammar>,
    /// Of a search: an attribute and `asc` or `desc` (H-76).
    #[schema(example = "numbers/level desc")]
    order_by: Option<String>,
    /// Of a search: what the page before this one ended with (H-78).
    continuation: Option<String>,
    /// Of a search: sessions that have one of these people as a member (H-77).
    session_members: Option<SessionMembers>,
    /// Of a search: leave out sessions owned by somebody who blocks the caller (H-73).
    communicate_permission_required: Option<bool>,
}

/// The kinds of handles that queries find.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum QueryKind {
    Activity,
    Search,
}

/// A grammar of filters.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Grammar {
    Extended,
}

/// Whose activities: either by id or by who follows them (H-54).
#[derive(ToSchema)]
pub struct QueryOwners {
    #[schema(min_items = 1, max_items = 100)]
    xuids: Option<Vec<Xuid>>,
    people: Option<People>,
}

/// Members looked for in a search.
#[derive(ToSchema)]
pub struct SessionMembers {
    people: Option<People>,
}

/// The people of a user (H-53).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct People {
    moniker: Moniker,
    /// Whose; the caller's own unless a server asks (H-55).
    moniker_xuid: Option<Xuid>,
}

/// Which people.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Moniker {
    People,
    Friends,
    Favorites,
}

/// Handles that were found.
#[derive(ToSchema)]
pub struct HandleResults {
    results: Vec<Handle>,
    /// There is more: the same query with this takes up where this answer ends (H-78).
    continuation: Option<String>,
}

/// Invites that the caller can follow, the newest first.
#[derive(ToSchema)]
pub struct InviteResults {
    results: Vec<Handle>,
}

/// Whose sessions are wanted (Q-38).
#[derive(ToSchema)]
pub struct BatchRequest {
    #[schema(max_items = 100)]
    xuids: Option<Vec<Xuid>>,
}

/// Sessions that were found.
#[derive(ToSchema)]
pub struct SessionResults {
    results: Vec<SessionResult>,
}

/// A session that was found.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct SessionResult {
    /// For whom it was found (Q-43).
    xuid: Option<Xuid>,
    start_time: Timestamp,
    session_ref: SessionRef,
    /// Members who are not reserved (Q-41).
    accepted: u32,
    status: Option<MemberStatus>,
    visibility: ReportedVisibility,
    join_restriction: Option<Restriction>,
    my_turn: Option<bool>,
    keywords: Option<Vec<String>>,
}

/// The state of a user in a session (Q-44).
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum MemberStatus {
    Active,
    Inactive,
    Reserved,
}

/// Names of templates (R-40).
#[derive(ToSchema)]
pub struct TemplateNames {
    results: Vec<String>,
}

/// A template as it was published (T-02).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Template {
    #[schema(minimum = 104, maximum = 107)]
    contract_version: u32,
    /// As `constants` of a session, here with explicit nulls.
    #[schema(value_type = Object)]
    constants: (),
    role_types: Option<BTreeMap<String, RoleType>>,
}

/// A ticket that opens one socket (N-65).
#[derive(ToSchema)]
pub struct Nonce {
    nonce: String,
}

/// One event of a change feed (docs/feed.md).
#[derive(ToSchema)]
pub struct FeedEvent {
    /// `{branch}.{changeNumber}`: where to go on.
    id: Option<String>,
    /// `snapshot`, `change`, `deleted` or `denied`; more may come.
    event: Option<String>,
    /// A JSON object.
    #[schema(content_media_type = "application/json")]
    data: Option<String>,
}

/// Whether the process runs.
#[derive(ToSchema)]
pub struct Health {
    status: String,
    /// What is missing, if something is.
    why: Option<String>,
}

/// What is told of who follows whom.
#[derive(ToSchema)]
pub struct FollowRequest {
    /// Whether the user is marked as a favourite (H-53).
    favorite: Option<bool>,
}

/// How many edges were given.
#[derive(ToSchema)]
pub struct EdgeCounts {
    follows: u64,
    blocks: u64,
}

/// How far the clock is moved.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ClockRequest {
    /// Milliseconds.
    #[schema(maximum = 315_360_000_000_u64)]
    advance_ms: u64,
}

/// What time it is for the service now.
#[derive(ToSchema)]
pub struct ClockAnswer {
    now: Timestamp,
}
