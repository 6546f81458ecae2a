//! The session document as the description tells it (session-document.md), in the names of contract version 107.
//!
//! One type serves answers and requests. A field that may be absent is an `Option`: answers leave it out and never say `null`, in a
//! request `null` takes it away. [`super::halves`] makes both descriptions of it: fields that are `read_only` are in no request (S-10),
//! those that are `write_only` in no answer, and in a request nothing is required.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::shapes::{Guid, Name, SessionRef, Timestamp, Xuid};

/// A multiplayer session.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Session {
    /// The contract version of this rendering (S-20).
    #[schema(read_only)]
    contract_version: u32,
    /// The scope of `changeNumber`: another one for every life of the session (S-21).
    #[schema(read_only)]
    branch: Guid,
    /// Counts committed changes, beginning with 1 (S-22).
    #[schema(read_only)]
    change_number: u64,
    /// An id of the session reference; the same for every life (S-23).
    #[schema(read_only)]
    correlation_id: Guid,
    /// When the session was created (S-24).
    #[schema(read_only)]
    start_time: Timestamp,
    /// When the next timeout fires, while one is pending (S-25).
    #[schema(read_only)]
    next_timer: Option<Timestamp>,
    /// The session's search handle, while there is one (S-26).
    #[schema(read_only)]
    search_handle: Option<Guid>,
    #[schema(read_only)]
    initializing: Option<Initializing>,
    /// Device tokens of those who could be host, the best first (M-70).
    #[schema(read_only)]
    host_candidates: Option<Vec<String>>,
    constants: Constants,
    properties: Properties,
    /// Groups of roles by their names (S-55).
    role_types: Option<BTreeMap<String, RoleType>>,
    /// Members by index; of a large session only `me`. A request names `me`, an index, or `reserve_0`, `reserve_1` … (W-05 to W-09), and a
    /// server that acts for users `me_{xuid}`, `me_all`, `me_allInSession` (W-19); `null` removes (W-05, M-40).
    members: BTreeMap<String, Member>,
    #[schema(read_only)]
    members_info: MembersInfo,
    /// What servers put into the session, by name; only servers write here (S-90).
    servers: BTreeMap<String, ServerEntry>,
}

/// How far the initialization of an episode has come.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Initializing {
    stage: Stage,
    stage_start_time: Option<Timestamp>,
    #[schema(minimum = 1)]
    episode: u32,
}

/// A stage of initialization.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Stage {
    Joining,
    Measuring,
    Evaluating,
    Failed,
}

/// The list of members in figures (S-30).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct MembersInfo {
    /// The index of the first member; equals `next` when there is none.
    first: u64,
    /// The index that the next member gets.
    next: u64,
    /// Members, reservations included.
    count: u64,
    /// Members who are not reserved.
    accepted: u64,
    /// Active members.
    active: u64,
}

/// What is set when the session is created, and never after (W-32).
#[derive(ToSchema)]
pub struct Constants {
    system: Option<ConstantsSystem>,
    /// The title's own constants: any JSON (S-01).
    custom: Option<serde_json::Value>,
}

/// `constants.system`: written by the template, and by the creator where that is silent (T-20).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ConstantsSystem {
    /// The major version of the session (S-31).
    #[schema(minimum = 1)]
    version: Option<u32>,
    /// 1 to 100, of large sessions to 10,000 (S-32).
    #[schema(minimum = 1, maximum = 10_000)]
    max_members_count: Option<u32>,
    visibility: Option<Visibility>,
    /// Who may create the session (S-34).
    initiators: Option<Vec<Xuid>>,
    /// What invites are for: `game`, `tournamentGame`, `chat`, `gameparty`, `party` (S-35).
    #[schema(max_length = 100)]
    invite_protocol: Option<String>,
    /// Milliseconds until a reservation ends (M-20).
    reserved_removal_timeout: Option<u64>,
    /// Milliseconds until an inactive member is removed.
    inactive_removal_timeout: Option<u64>,
    /// Milliseconds until a ready member is made inactive.
    ready_removal_timeout: Option<u64>,
    /// Milliseconds until an empty session is deleted.
    session_empty_timeout: Option<u64>,
    capabilities: Option<Capabilities>,
    metrics: Option<Metrics>,
    member_initialization: Option<MemberInitialization>,
    peer_to_peer_requirements: Option<PeerToPeerRequirements>,
    peer_to_host_requirements: Option<PeerToHostRequirements>,
    /// Servers to measure the way to, by lower-case name.
    measurement_server_addresses: Option<BTreeMap<String, MeasurementServer>>,
    ownership_policies: Option<OwnershipPolicies>,
    /// Titles whose users may watch.
    broadcast_viewer_title_ids: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    cloud_compute_package: Option<()>,
    #[schema(value_type = Option<Object>)]
    arbitration: Option<()>,
    /// The four timeouts in the names of versions 104 to 106; for requests of those versions (T-50).
    #[schema(value_type = Option<Object>)]
    timeouts: Option<()>,
    /// `memberInitialization` in the names of versions 104 to 106 (T-50).
    #[schema(value_type = Option<Object>)]
    managed_initialization: Option<()>,
}

/// Who can see the session (S-33).
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Visibility {
    Open,
    Visible,
    Private,
}

/// What the session can do; all false by default (T-30).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Capabilities {
    connectivity: Option<bool>,
    suppress_presence_activity_check: Option<bool>,
    gameplay: Option<bool>,
    large: Option<bool>,
    connection_required_for_active_members: Option<bool>,
    cloud_compute: Option<bool>,
    auto_populate_server_candidates: Option<bool>,
    user_authorization_style: Option<bool>,
    cross_play: Option<bool>,
    broadcast: Option<bool>,
    team: Option<bool>,
    arbitration: Option<bool>,
    has_owners: Option<bool>,
    searchable: Option<bool>,
    client_matchmaking: Option<bool>,
    block_bad_msa_reputation: Option<bool>,
}

/// What members measure (M-60).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Metrics {
    latency: Option<bool>,
    bandwidth_down: Option<bool>,
    bandwidth_up: Option<bool>,
    custom: Option<bool>,
}

/// How members are initialized (M-50 to M-65); times in milliseconds.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct MemberInitialization {
    join_timeout: Option<u64>,
    measurement_timeout: Option<u64>,
    evaluation_timeout: Option<u64>,
    external_evaluation: Option<bool>,
    #[schema(minimum = 1)]
    members_needed_to_start: Option<u32>,
}

/// What is demanded between any two members.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct PeerToPeerRequirements {
    /// Milliseconds.
    latency_maximum: Option<u64>,
    /// Kilobits per second.
    bandwidth_minimum: Option<u64>,
}

/// What is demanded between members and the host.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct PeerToHostRequirements {
    /// Milliseconds.
    latency_maximum: Option<u64>,
    /// Kilobits per second.
    bandwidth_down_minimum: Option<u64>,
    /// Kilobits per second.
    bandwidth_up_minimum: Option<u64>,
    host_selection_metric: Option<HostSelectionMetric>,
}

/// By what the host is chosen.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum HostSelectionMetric {
    Latency,
    BandwidthUp,
    BandwidthDown,
    Bandwidth,
}

/// A server to measure the way to.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct MeasurementServer {
    secure_device_address: Option<String>,
}

/// What owners may do, and others may not (M-90).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct OwnershipPolicies {
    migration: Option<String>,
    allow_non_owner_invite_handles: Option<bool>,
    non_owner_modifiable_system_properties: Option<Vec<String>>,
}

/// What members change.
#[derive(ToSchema)]
pub struct Properties {
    system: Option<PropertiesSystem>,
    /// The title's own properties: any JSON (S-01). A field given replaces the one that is there, `null` removes it (W-10, W-11).
    custom: Option<serde_json::Value>,
}

/// `properties.system`: written by members, in sessions with owners by those (M-92).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct PropertiesSystem {
    /// Who may join an open session (S-40).
    join_restriction: Option<Restriction>,
    /// Who may read it; at least as many as may join (S-41).
    read_restriction: Option<Restriction>,
    /// Nobody without a reservation may join (S-42).
    closed: Option<bool>,
    /// Nobody may take the place of a former member; needs `closed` (S-43).
    locked: Option<bool>,
    /// What queries find the session by (S-44).
    #[schema(max_items = 16)]
    keywords: Option<Vec<String>>,
    /// Indices of members whose turn it is (S-45).
    turn: Option<Vec<u32>>,
    /// The device token of the host (S-46).
    host: Option<String>,
    /// Indices of the owners, with the capability `hasOwners` (S-47).
    owners: Option<Vec<u32>>,
    /// How an external evaluation came out (S-48).
    #[schema(write_only)]
    initialization_succeeded: Option<bool>,
    /// Servers in the order of preference (S-49).
    server_connection_string_candidates: Option<Vec<String>>,
    matchmaking: Option<Matchmaking>,
    /// Whether the match is to be looked for again (S-50).
    matchmaking_resubmit: Option<bool>,
    allocate_cloud_compute: Option<bool>,
    description: Option<Description>,
    /// When the game is to begin (S-52).
    scheduled_time: Option<Timestamp>,
    /// Who is shown the search handle: `xboxlive` (S-53, H-64).
    search_handle_visibility: Option<String>,
}

/// Whom a restriction lets in.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Restriction {
    /// Everybody.
    None,
    /// Users on the device of a member.
    Local,
    /// Users whom a member follows, and those on the device of a member.
    Followed,
}

/// What the session is to become by matchmaking.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Matchmaking {
    #[schema(value_type = Option<Object>)]
    target_session_constants: Option<()>,
    server_connection_string: Option<String>,
    client_result: Option<ClientResult>,
    resubmit: Option<bool>,
}

/// What a client's own matchmaking came to; needs the capability `clientMatchmaking`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ClientResult {
    status: Option<MatchStatus>,
    status_details: Option<String>,
    typical_wait: Option<u64>,
    target_session_ref: Option<SessionRef>,
}

/// How far matchmaking has come.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum MatchStatus {
    Searching,
    Expired,
    Found,
    Failed,
    Canceled,
}

/// What search results say of the session (S-51).
#[derive(ToSchema)]
pub struct Description {
    #[schema(max_length = 1024)]
    text: Option<String>,
    locale: Option<String>,
}

/// A group of roles, of which a member has at most one (S-55).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct RoleType {
    /// Whether owners give the roles; needs the capability `hasOwners`.
    owner_managed: Option<bool>,
    /// Which settings of its roles can be changed: `max`, `target`.
    mutable_role_settings: Option<Vec<String>>,
    /// Roles by name.
    roles: Option<BTreeMap<String, Role>>,
}

/// A role.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Role {
    /// How many members may have it.
    #[schema(minimum = 1)]
    max: Option<u32>,
    /// How many members should have it.
    #[schema(minimum = 1)]
    target: Option<u32>,
    /// How many have it (S-56).
    #[schema(read_only)]
    count: Option<u32>,
    /// Who has it (S-56).
    #[schema(read_only)]
    member_xuids: Option<Vec<Xuid>>,
}

/// A member of a session, or a reservation for one.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Member {
    /// The index of the next member; of the last one `membersInfo.next` (S-60).
    #[schema(read_only)]
    next: u64,
    constants: MemberConstants,
    properties: MemberProperties,
    /// The member's roles by role type (S-61).
    roles: Option<BTreeMap<String, String>>,
    #[schema(read_only)]
    gamertag: Option<String>,
    /// A hash of the `secureDeviceAddress` (S-62).
    #[schema(read_only)]
    device_token: Option<String>,
    /// True until that user's first write (S-63).
    #[schema(read_only)]
    reserved: Option<bool>,
    /// The title that the active member plays.
    #[schema(read_only)]
    active_title_id: Option<String>,
    /// When the member joined, or was reserved (S-64).
    #[schema(read_only)]
    join_time: Option<Timestamp>,
    /// Whether it is the member's turn.
    #[schema(read_only)]
    turn: Option<bool>,
    /// Why the member failed to initialize (M-65).
    #[schema(read_only)]
    initialization_failure: Option<String>,
    /// The episode the member belongs to (M-51).
    #[schema(read_only)]
    initialization_episode: Option<u32>,
}

/// What is set when a member is added.
#[derive(ToSchema)]
pub struct MemberConstants {
    system: MemberConstantsSystem,
    /// The title's own constants: any JSON (S-01).
    custom: Option<serde_json::Value>,
}

/// `constants.system` of a member.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct MemberConstantsSystem {
    /// Who it is; a reservation needs it (S-70).
    xuid: Option<Xuid>,
    /// The member's index once more (S-71); ignored in requests.
    index: Option<u64>,
    /// Whether the member takes part in initialization.
    initialize: Option<bool>,
    /// The tournament team.
    team: Option<String>,
    #[schema(value_type = Option<Object>)]
    matchmaking_result: Option<()>,
}

/// What a member changes of itself.
#[derive(ToSchema)]
pub struct MemberProperties {
    system: MemberPropertiesSystem,
    /// The title's own properties: any JSON (S-01).
    custom: Option<serde_json::Value>,
}

/// `properties.system` of a member.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct MemberPropertiesSystem {
    /// Not together with `ready` (S-75).
    active: Option<bool>,
    /// Not together with `active` (S-75).
    ready: Option<bool>,
    /// The id of the member's socket (S-76).
    connection: Option<Guid>,
    subscription: Option<Subscription>,
    /// Further subscriptions by id (S-78).
    secondary_subscriptions: Option<BTreeMap<String, SecondarySubscription>>,
    /// Subscriptions in an older form, by id (S-79).
    subscriptions: Option<BTreeMap<String, OlderSubscription>>,
    /// The device's address, not decoded; needs the capability `connectivity` (S-80).
    #[schema(max_length = 4096)]
    secure_device_address: Option<String>,
    /// Indices of those to be initialized together with (S-81).
    initialization_group: Option<Vec<u32>>,
    /// The same in the name of versions 104 to 106.
    group: Option<Vec<u32>>,
    /// Groups the member belongs to (S-82).
    groups: Option<Vec<Name>>,
    /// Groups the member has met just now (S-83).
    #[schema(write_only)]
    encounters: Option<Vec<Name>>,
    /// What was measured to other devices, by device token (S-84).
    measurements: Option<BTreeMap<String, Measurement>>,
    /// What was measured to servers, by connection string (S-85).
    server_measurements: Option<BTreeMap<String, ServerMeasurement>>,
    /// How much the member likes a role, 0 to 100 (S-86).
    #[schema(rename = "RolePreference")]
    role_preference: Option<BTreeMap<String, u32>>,
    #[schema(value_type = Option<Object>)]
    arbitration: Option<()>,
}

/// Which changes the member's socket is tapped for (S-77).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Subscription {
    id: String,
    change_types: Option<Vec<String>>,
}

/// Which changes another socket is tapped for (S-78).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct SecondarySubscription {
    change_types: Option<Vec<String>>,
    rta: Option<Rta>,
}

/// The socket of a subscription.
#[derive(ToSchema)]
pub struct Rta {
    connection: Option<Guid>,
}

/// A subscription in an older form (S-79).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct OlderSubscription {
    profile: Option<String>,
    on_behalf_of_title_id: Option<String>,
}

/// What was measured to another device: milliseconds and kilobits per second (S-84).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Measurement {
    latency: Option<u64>,
    bandwidth_down: Option<u64>,
    bandwidth_up: Option<u64>,
    custom: Option<serde_json::Value>,
}

/// What was measured to a server, in milliseconds (S-85).
#[derive(ToSchema)]
pub struct ServerMeasurement {
    latency: Option<u64>,
}

/// What a server puts into the session (S-90).
#[derive(ToSchema)]
pub struct ServerEntry {
    constants: Option<ServerBag>,
    properties: Option<ServerBag>,
}

/// Anything of a server's own (S-91, S-92).
#[derive(ToSchema)]
pub struct ServerBag {
    #[schema(value_type = Option<Object>)]
    system: Option<()>,
    custom: Option<serde_json::Value>,
}
