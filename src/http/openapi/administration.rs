//! Shapes of administration: lists, sessions as operators see them, bans, what is published, and the audit (docs/administration.md).

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::session::{Restriction, Session, Visibility};
use super::shapes::{Guid, HandleKind, Name, SessionRef, Timestamp, Xuid};

/// Where the next page goes on; `null` on the last one.
#[derive(ToSchema)]
pub struct ContinuationToken(Option<String>);

/// A page of sessions.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct SessionList {
    items: Vec<ListedSession>,
    continuation_token: ContinuationToken,
}

/// A session as it is stored: a timer that has passed and is not evaluated yet has not changed it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ListedSession {
    session_ref: SessionRef,
    correlation_id: Guid,
    branch: Guid,
    change_number: u64,
    start_time: Timestamp,
    next_timer: Option<Timestamp>,
    visibility: Visibility,
    join_restriction: Restriction,
    read_restriction: Restriction,
    closed: bool,
    large: bool,
    /// Members, reservations included.
    members_count: u32,
    /// Members who are not reserved.
    accepted_count: u32,
    max_members_count: u32,
    keywords: Vec<String>,
    /// The size of the stored document.
    body_bytes: u32,
}

/// A session, and what only the service knows of it.
#[derive(ToSchema)]
pub struct InspectedSession {
    /// `null` where what is stored cannot be read.
    session: Option<Session>,
    /// Absent where what is stored cannot be read.
    service: Option<SessionService>,
    /// What is wrong with what is stored.
    unreadable: Option<String>,
    /// What is stored, where it cannot be read: columns, the texts `body` and `private`, and members by index.
    #[schema(value_type = Option<Object>)]
    stored: Option<()>,
}

/// What only the service knows of a session.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct SessionService {
    /// Rises with every save, whether or not the document changes.
    revision: u64,
    large: bool,
    /// Since when nobody is in it.
    empty_since: Option<Timestamp>,
    /// How often evaluating its timers has failed in a row.
    timer_failures: u64,
    handles: HandleCounts,
    /// Who has been a member, where `locked` asks for it.
    former_members: Vec<Xuid>,
    /// Members by index; absent where those of a large session are not asked for.
    members: Option<BTreeMap<String, KnownMember>>,
}

/// How many handles of each type lead to a session.
#[derive(ToSchema)]
pub struct HandleCounts {
    activity: u64,
    invite: u64,
    search: u64,
    transfer: u64,
}

/// What only the service knows of a member.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct KnownMember {
    xuid: Xuid,
    state: MemberState,
    /// Since when the member is in this state.
    since: Timestamp,
    /// When that ends by itself.
    ends_at: Option<Timestamp>,
    /// Until when a lost connection may be made good.
    grace_until: Option<Timestamp>,
    device_id: Option<String>,
    connection: Option<KnownConnection>,
}

/// The state of a member (docs/members.md).
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum MemberState {
    Reserved,
    Inactive,
    Ready,
    Active,
}

/// The socket of a member.
#[derive(ToSchema)]
pub struct KnownConnection {
    id: Guid,
    state: ConnectionState,
}

/// What has become of a socket.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum ConnectionState {
    Alive,
    Lost,
    Unknown,
}

/// A page of handles.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct HandleList {
    items: Vec<ListedHandle>,
    continuation_token: ContinuationToken,
}

/// A handle as it is stored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ListedHandle {
    id: Guid,
    #[schema(rename = "type")]
    kind: HandleKind,
    session_ref: SessionRef,
    /// Whether there is a session where it leads to.
    session_exists: bool,
    /// Whose it is; of an invite, who sent it.
    owner_xuid: Option<Xuid>,
    title_id: Option<String>,
    invited_xuid: Option<Xuid>,
    create_time: Timestamp,
    /// Of an activity it counts only while the owner is not active in the session.
    expires_at: Option<Timestamp>,
}

/// Why a user is banned, and until when.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct BanRequest {
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// In the future, in real time; without it, or with `null`, the ban is for good.
    expires_at: Option<Timestamp>,
}

/// A ban.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Ban {
    xuid: Xuid,
    reason: String,
    /// Absent where it is for good.
    expires_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    /// By whom, as in `admin:ada`.
    created_by: Option<String>,
    /// Whether it has ended by itself; told where one ban is read.
    expired: Option<bool>,
}

/// A page of bans.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct BanList {
    items: Vec<Ban>,
    continuation_token: ContinuationToken,
}

/// A title's id: an unsigned 32-bit number as text. Requests may give a number, too.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9]{1,10}$", example = "1739200451")]
pub struct TitleId(String);

/// What a service config is to be. What is not given stays, and `null` clears it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ServiceConfigRequest {
    /// The titles that may use it; none means any.
    titles: Vec<TitleId>,
    /// What the title is called, by platform (H-19, H-33).
    game_types: Option<BTreeMap<String, PublishedGameType>>,
    /// Rate limits of its own.
    throttle: Option<ThrottleNumbers>,
}

/// What a title is called on a platform.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct PublishedGameType {
    title_id: TitleId,
    #[schema(max_length = 256)]
    pfn: Option<String>,
    bound_pfns: Option<Vec<String>>,
}

/// Rate limits of a service config, in place of the installation's (docs/limits.md). A maximum of 0 sets no bound.
#[derive(ToSchema)]
pub struct ThrottleNumbers {
    #[schema(maximum = 1_000_000)]
    requests_burst_max: Option<u32>,
    #[schema(minimum = 1, maximum = 86_400)]
    requests_burst_period_s: Option<u32>,
    #[schema(maximum = 1_000_000)]
    requests_sustained_max: Option<u32>,
    #[schema(minimum = 1, maximum = 86_400)]
    requests_sustained_period_s: Option<u32>,
    #[schema(maximum = 1_000_000)]
    search_reads_burst_max: Option<u32>,
    #[schema(minimum = 1, maximum = 86_400)]
    search_reads_burst_period_s: Option<u32>,
    #[schema(maximum = 1_000_000)]
    search_reads_sustained_max: Option<u32>,
    #[schema(minimum = 1, maximum = 86_400)]
    search_reads_sustained_period_s: Option<u32>,
    #[schema(maximum = 1_000_000)]
    search_writes_burst_max: Option<u32>,
    #[schema(minimum = 1, maximum = 86_400)]
    search_writes_burst_period_s: Option<u32>,
    #[schema(maximum = 1_000_000)]
    search_writes_sustained_max: Option<u32>,
    #[schema(minimum = 1, maximum = 86_400)]
    search_writes_sustained_period_s: Option<u32>,
}

/// All service configs.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ServiceConfigList {
    items: Vec<ServiceConfig>,
    continuation_token: ContinuationToken,
}

/// A service config.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ServiceConfig {
    scid: Guid,
    titles: Vec<TitleId>,
    game_types: BTreeMap<String, PublishedGameType>,
    throttle: ThrottleNumbers,
    /// Names of its templates.
    templates: Vec<Name>,
}

/// A service config was published.
#[derive(ToSchema)]
pub struct PublishedService {
    scid: Guid,
    /// Of everything that is published; it rises with every publication.
    revision: u64,
}

/// A template was judged, and published unless only that was asked.
#[derive(ToSchema)]
pub struct Published {
    /// What is odd about it, and does not keep it from being served.
    remarks: Vec<String>,
    /// Of everything that is published; absent if the template was only judged.
    revision: Option<u64>,
}

/// A page of the audit.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct AuditList {
    items: Vec<AuditEntry>,
    continuation_token: ContinuationToken,
}

/// What an administrator did.
#[derive(ToSchema)]
pub struct AuditEntry {
    id: Guid,
    /// In real time.
    at: Timestamp,
    /// Who, as in `admin:ada`.
    actor: String,
    /// As in `session.close`.
    action: String,
    /// What it was done to.
    target: Option<String>,
    reason: Option<String>,
    /// `done`, or what refused it; absent where the process ended in between, or could not write it.
    outcome: Option<String>,
    detail: Option<String>,
    /// The users it was about.
    xuids: Option<Vec<Xuid>>,
}
