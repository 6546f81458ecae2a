//! The parts of paths, the query parameters and the headers that requests carry.

use utoipa::IntoParams;

use super::session::Visibility;
use super::shapes::{Guid, HandleKind, Name, ReportedVisibility, Timestamp, Xuid};

/// Where a session is.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SessionParts {
    /// The service config (R-15).
    #[param(example = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7")]
    scid: Guid,
    /// The session template; letters compare without case (S-05).
    #[param(example = "Card")]
    template: Name,
    /// The session; letters compare without case (S-05).
    #[param(example = "harbor-1")]
    name: Name,
}

/// Where a service config is.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ServiceParts {
    /// The service config (R-15).
    #[param(example = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7")]
    scid: Guid,
}

/// Where a template is.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TemplateParts {
    /// The service config (R-15).
    #[param(example = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7")]
    scid: Guid,
    /// The session template; letters compare without case (S-05).
    #[param(example = "Card")]
    template: Name,
}

/// Where a member is, below its session.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct MemberPart {
    /// `me` or a member's index (R-15).
    #[param(pattern = "^(me|[0-9]{1,10})$", example = "me")]
    member: String,
}

/// Where a server is, below its session.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ServerPart {
    /// The server's name (S-90).
    #[param(example = "arena")]
    server: Name,
}

/// Where a handle is.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct HandlePart {
    /// The handle's id; one that is no GUID is unknown (R-57).
    #[param(example = "7c0e5a10-0000-4000-8000-000000000005")]
    handle: Guid,
}

/// Between whom an edge is.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct EdgeParts {
    /// Who follows or blocks.
    #[param(example = "2533274800000001")]
    xuid: Xuid,
    /// Who is followed or blocked.
    #[param(example = "2533274800000002")]
    other: Xuid,
}

/// Where a member is, for administrators.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct IndexPart {
    /// The member's index.
    #[param(pattern = "^[0-9]{1,10}$", example = "0")]
    index: String,
}

/// Who is banned.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct BanPart {
    /// The user.
    #[param(example = "2533274800000007")]
    xuid: Xuid,
}

/// Why an administrator does something, if that is said.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Reason {
    /// Why; it is written to the audit.
    #[param(min_length = 1, max_length = 500)]
    reason: Option<String>,
}

/// Why an administrator does something that needs a reason.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NeededReason {
    /// Why; it is written to the audit.
    #[param(min_length = 1, max_length = 500, example = "complaints")]
    reason: String,
}

/// Whether the members of a large session are shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WithMembers {
    /// `false`: a large session comes without its members. Others come whole.
    members: Option<bool>,
}

/// Whether a template is published.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct DryRun {
    /// `true`: the template is only judged.
    dry_run: Option<bool>,
}

/// Which page of an administrators' list is wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct PageParams {
    /// At most so many entries; 50 if it is not given.
    #[param(minimum = 1, maximum = 200)]
    take: Option<u32>,
    /// From the answer before: the same question goes on behind it.
    continuation_token: Option<String>,
}

/// Which sessions an administrator wants to see.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct SessionFilters {
    /// With this member, reservations included.
    xuid: Option<Xuid>,
    /// With this keyword, in any case.
    #[param(min_length = 1, max_length = 64)]
    keyword: Option<String>,
    /// Of this service config.
    scid: Option<Guid>,
    /// Of this template, in any case.
    template: Option<Name>,
    /// Whose name begins so, in any case.
    #[param(min_length = 1, max_length = 100)]
    name: Option<String>,
    visibility: Option<Visibility>,
    closed: Option<bool>,
    large: Option<bool>,
    /// Without any member.
    empty: Option<bool>,
    /// Whose document changed then or later, as far back as the change log reaches.
    updated_since: Option<Timestamp>,
}

/// Which handles an administrator wants to see.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HandleFilters {
    #[param(rename = "type")]
    kind: Option<HandleKind>,
    /// That this user owns or is invited by.
    xuid: Option<Xuid>,
    /// Of this service config.
    scid: Option<Guid>,
}

/// Which actions an administrator wants to see.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditFilters {
    /// Of this administrator, as in `admin:ada`.
    #[param(min_length = 1, max_length = 500)]
    actor: Option<String>,
    /// As in `session.close`.
    #[param(min_length = 1, max_length = 500)]
    action: Option<String>,
    /// What it was done to, in any case: a user, or a path without `/admin`.
    #[param(min_length = 1, max_length = 500)]
    target: Option<String>,
    /// About this user: banned, taken out of a session, at an end of an edge.
    xuid: Option<Xuid>,
    /// Then or later, in real time.
    since: Option<Timestamp>,
}

/// What every request of the contract carries.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct ContractHeaders {
    /// 100 times the major and the minor version: 104 to 106 select the older names, 107 and later minor versions the present ones (R-02,
    /// R-03).
    #[param(rename = "X-Xbl-Contract-Version", minimum = 104, maximum = 199, example = 107)]
    version: u32,
    /// From a server: the users it acts for, `{xuid}` or `{xuid};priv=multiplayer`, separated by commas, at most 100 (R-16).
    #[param(
        rename = "X-Xbl-OnBehalfOf-Users",
        pattern = r"^[0-9]{1,19}(;priv=multiplayer)?(,[0-9]{1,19}(;priv=multiplayer)?)*$"
    )]
    users: Option<String>,
    /// From a server: the title of those users (R-16).
    #[param(rename = "X-Xbl-OnBehalfOf-Title", pattern = "^[0-9]{1,9}$")]
    title: Option<String>,
    /// From a server: `Multiplayer.Manage` takes away its own rights (R-16).
    #[param(rename = "X-Xbl-Deny-Scope", pattern = r"^[A-Za-z]+\.[A-Za-z]+$")]
    deny: Option<String>,
}

/// When a write is to be done.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct WriteConditions {
    /// Only if the session has this `ETag`, or exists at all with `*`; else 412, and 404 through a handle (W-40 to W-46, H-46).
    #[param(rename = "If-Match", pattern = r"^[!#-~]+$")]
    if_match: Option<String>,
    /// `*`: only if the session does not exist; else 412 (W-45).
    #[param(rename = "If-None-Match", pattern = r"^[!#-~]+$")]
    if_none_match: Option<String>,
}

/// When a read is to be answered.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct ReadCondition {
    /// The `ETag` that the caller has: 304 if it is still the present one (W-44).
    #[param(rename = "If-None-Match", pattern = r"^[!#-~]+$")]
    if_none_match: Option<String>,
}

/// Whether a write is stored.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Nocommit {
    /// `true`: answers what the write would come to, and stores nothing (R-24).
    nocommit: Option<bool>,
}

/// What is told beside a handle.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Include {
    /// A list of `relatedInfo`, `customProperties`, `roleInfo`, `activityInfo`, separated by commas; others are ignored (R-56).
    #[param(example = "relatedInfo,customProperties")]
    include: Option<String>,
}

/// Further parameters of a handle query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HandleQueryParams {
    /// An owner, when the body names none (H-54).
    xuid: Option<Xuid>,
    /// At most so many results (H-56).
    #[param(minimum = 0, maximum = 100)]
    take: Option<u32>,
}

/// How many are wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Take {
    /// At most so many results.
    #[param(minimum = 0, maximum = 100)]
    take: Option<u32>,
}

/// Which sessions are wanted (queries.md, Parameters).
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SessionQueryParams {
    /// Sessions with this keyword, compared without case (Q-10). This or `xuid` is needed (Q-18).
    #[param(min_length = 1, max_length = 64, example = "harbor")]
    keyword: Option<String>,
    /// Sessions that this user is active in (Q-11).
    xuid: Option<Xuid>,
    /// Also those where the user is reserved (Q-12, Q-20, Q-21).
    reservations: Option<bool>,
    /// Also those where the user is a member, but not active (Q-13, Q-21).
    inactive: Option<bool>,
    /// Also private ones (Q-14, Q-20).
    private: Option<bool>,
    /// Only those with this visibility (Q-15).
    visibility: Option<ReportedVisibility>,
    /// Only those of this session version or an earlier one; at most the minor contract version (Q-16).
    #[param(minimum = 1, maximum = 99)]
    version: Option<u32>,
    /// At most so many results, on batch routes for each user (Q-17, Q-40).
    #[param(minimum = 0, maximum = 100)]
    take: Option<u32>,
}

/// Where a feed goes on.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct LastEvent {
    /// The id of the last event that the reader has: `{branch}.{changeNumber}` (docs/feed.md).
    #[param(rename = "Last-Event-ID", pattern = r"^[0-9a-f\-]{36}\.[0-9]{1,18}$")]
    last_event_id: Option<String>,
}

/// The same for readers who cannot set a header at first.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct LastEventQuery {
    /// As the header `Last-Event-ID`, which goes before it.
    #[param(pattern = r"^[0-9a-f\-]{36}\.[0-9]{1,18}$")]
    last_event_id: Option<String>,
}

/// The way to a socket.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NonceQuery {
    /// A ticket from `GET /nonce`, in place of a credential; it works once (N-65).
    nonce: Option<String>,
}
