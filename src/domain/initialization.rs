//! Episodes: how members that join together measure their connections and are judged by them (M-50 to M-70).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::names::MemberIndex;
use super::refusal::Refusal;
use super::session::{Member, MemberState, Session};
use super::{qos, timers};
use crate::json::{Json, Object};

/// Where an episode stands (members.md, Stages).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its reservations are waited for (M-55).
    Joining,
    /// Measurements are waited for (M-56).
    Measuring,
    /// The title's judgement is waited for (M-57).
    Evaluating,
    /// The first episode failed, for good (M-58).
    Failed,
}

/// The episode under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Initializing {
    /// Where it stands.
    pub stage: Stage,
    /// Since when it stands there.
    pub since: DateTime<Utc>,
    /// Its number, from 1.
    pub episode: u32,
}

/// Why a member did not pass (M-65), in the order in which reasons apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// It did not upload its measurements in time.
    Timeout,
    /// A latency is too high.
    Latency,
    /// A bandwidth down is too low.
    BandwidthDown,
    /// A bandwidth up is too low.
    BandwidthUp,
    /// Its secure address cannot be used; never set here.
    Network,
    /// Somebody of its group failed (M-66).
    Group,
    /// The episode failed as a whole (M-58).
    Episode,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Joining, Self::Measuring, Self::Evaluating, Self::Failed];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Measuring => "measuring",
            Self::Evaluating => "evaluating",
            Self::Failed => "failed",
        }
    }

    /// Reads the contract's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }
}

impl Failure {
    const ALL: [Self; 7] =
        [Self::Timeout, Self::Latency, Self::BandwidthDown, Self::BandwidthUp, Self::Network, Self::Group, Self::Episode];

    /// The contract's word (M-65).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Latency => "latency",
            Self::BandwidthDown => "bandwidthdown",
            Self::BandwidthUp => "bandwidthup",
            Self::Network => "network",
            Self::Group => "group",
            Self::Episode => "episode",
        }
    }

    /// Reads the contract's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == word)
    }
}

/// What an episode's stage comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Another stage.
    Next(Stage),
    /// The end of the episode; those who failed keep their failure (M-59).
    Over,
    /// The failure of the whole episode (M-58, M-67).
    Failed,
}

/// One row of the table of stages in members.md.
pub struct Row {
    /// The rule.
    pub rule: &'static str,
    /// The stage.
    pub stage: Stage,
    /// The constant of `memberInitialization` that bounds it.
    pub timeout: &'static str,
    /// Whether what it waits for is there.
    is_over: fn(&Session, u32) -> bool,
    /// What happens at its end, be that by fulfilment or by time; the last is the title's judgement, if it was given.
    end: fn(&mut Session, u32, Option<bool>) -> End,
}

/// The stages of an episode in their order (M-55, M-56, M-57). `failed` has no row: it never ends.
pub const STAGES: [Row; 3] = [
    Row { rule: "M-55", stage: Stage::Joining, timeout: "joinTimeout", is_over: nobody_is_awaited, end: end_joining },
    Row { rule: "M-56", stage: Stage::Measuring, timeout: "measurementTimeout", is_over: everybody_measured, end: end_measuring },
    Row { rule: "M-57", stage: Stage::Evaluating, timeout: "evaluationTimeout", is_over: |_, _| false, end: end_evaluating },
];

/// Whether the session initializes members at all.
fn initializes(session: &Session) -> bool {
    session.constants.system.contains_key("memberInitialization")
}

fn setting<'s>(session: &'s Session, name: &str) -> Option<&'s Json> {
    session.constants.system.get("memberInitialization")?.get(name)
}

fn needed(session: &Session) -> usize {
    let number = setting(session, "membersNeededToStart").and_then(Json::as_u64).unwrap_or(1);
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Whether the title's judgement is waited for (S-48).
#[must_use]
pub fn is_evaluating(session: &Session) -> bool {
    session.initializing.is_some_and(|current| current.stage == Stage::Evaluating)
}

/// When the stage under way ends by itself.
#[must_use]
pub fn due_at(session: &Session) -> Option<DateTime<Utc>> {
    let current = session.initializing?;
    let row = STAGES.iter().find(|row| row.stage == current.stage)?;
    let ms = setting(session, row.timeout)?.as_u64()?;
    current.since.checked_add_signed(TimeDelta::try_milliseconds(i64::try_from(ms).ok()?)?)
}

/// Puts a member that has just come into an episode, if it is to be initialized (M-51): the first one at creation, later the next,
/// behind the one under way.
pub fn enlist(session: &mut Session, index: MemberIndex) {
    let number = match session.initializing {
        Some(Initializing { stage: Stage::Failed, .. }) => return,
        Some(current) => current.episode + 1,
        None => session.episodes + 1,
    };
    if !initializes(session) {
        return;
    }
    if let Some(member) = session.member_at_mut(index)
        && member.constants.system.get("initialize").and_then(Json::as_bool) == Some(true)
    {
        member.episode.get_or_insert(number);
    }
}

/// Judges whether a create request brings enough members to initialize (M-52, W-23); with none needed and none there the first
/// episode is skipped.
///
/// # Errors
/// 400 with the number.
pub fn check_creation(session: &mut Session) -> Result<(), Refusal> {
    if !initializes(session) {
        return Ok(());
    }
    let (brought, needed) = (session.members.iter().filter(|member| member.episode.is_some()).count(), needed(session));
    if brought < needed {
        return Err(Refusal::invalid(
            "members",
            format!("the session needs {needed} members with initialize: true to be created, the request has {brought}"),
        ));
    }
    if brought == 0 {
        session.episodes = 1;
    }
    Ok(())
}

/// Moves the episode on as far as it can go by now, and starts those that wait (M-54). Says whether anything happened.
///
/// `judged` is what the title says of the episode that it evaluates (M-67).
pub fn advance(session: &mut Session, mut judged: Option<bool>, now: DateTime<Utc>) -> bool {
    let mut moved = false;
    while initializes(session) {
        let Some(current) = session.initializing else {
            let Some(episode) = session.members.iter().filter_map(|member| member.episode).min() else { break };
            session.episodes = episode;
            session.initializing = Some(Initializing { stage: Stage::Joining, since: now, episode });
            moved = true;
            continue;
        };
        let Some(row) = STAGES.iter().find(|row| row.stage == current.stage) else { break };
        let judgement = if current.stage == Stage::Evaluating { judged.take() } else { None };
        let late = due_at(session).is_some_and(|due| due <= now);
        if !late && judgement.is_none() && !(row.is_over)(session, current.episode) {
            break;
        }
        match (row.end)(session, current.episode, judgement) {
            End::Next(stage) => session.initializing = Some(Initializing { stage, since: now, episode: current.episode }),
            End::Over => close(session, current.episode, now),
            End::Failed if current.episode == 1 => fail_for_good(session, now),
            End::Failed => {
                fail_all(session, current.episode);
                close(session, current.episode, now);
            }
        }
        moved = true;
    }
    moved
}

fn is_in(member: &Member, episode: u32) -> bool {
    member.episode == Some(episode)
}

/// The members of an episode that have not failed.
fn remaining(session: &Session, episode: u32) -> impl Iterator<Item = &Member> {
    session.members.iter().map(Arc::as_ref).filter(move |member| is_in(member, episode) && member.failure.is_none())
}

/// Changes the members that a test picks.
fn change(session: &mut Session, which: impl Fn(&Member) -> bool, change: impl Fn(&mut Member)) {
    session.members.iter_mut().filter(|member| which(member)).for_each(|member| change(Arc::make_mut(member)));
}

fn fail_all(session: &mut Session, episode: u32) {
    change(
        session,
        |member| is_in(member, episode) && member.failure.is_none(),
        |member| member.failure = Some(Failure::Episode),
    );
}

/// Takes members out of their episode; the timers of reservations and of being ready begin then (M-53, M-25).
fn discharge(session: &mut Session, which: impl Fn(&Member) -> bool, now: DateTime<Utc>) {
    change(session, which, |member| {
        member.episode = None;
        if matches!(member.state, MemberState::Reserved | MemberState::Ready) {
            member.since = now;
        }
    });
}

fn close(session: &mut Session, episode: u32, now: DateTime<Utc>) {
    discharge(session, |member| is_in(member, episode), now);
    session.initializing = None;
}

/// The first episode fails: nobody is initialized in this session any more (M-58).
fn fail_for_good(session: &mut Session, now: DateTime<Utc>) {
    fail_all(session, 1);
    discharge(session, |member| member.episode.is_some(), now);
    session.initializing = Some(Initializing { stage: Stage::Failed, since: now, episode: 1 });
}

/// Whether the first episode has lost too many of its members (M-55, M-64).
fn is_too_few(session: &Session, episode: u32) -> bool {
    episode == 1 && remaining(session, episode).count() < needed(session)
}

fn nobody_is_awaited(session: &Session, episode: u32) -> bool {
    !session.members.iter().any(|member| is_in(member, episode) && member.state == MemberState::Reserved)
}

/// Reservations that were not taken up go, and with them those who would not play without them (M-55, M-66).
fn end_joining(session: &mut Session, episode: u32, _: Option<bool>) -> End {
    let gone: Vec<Arc<Member>> = session
        .members
        .iter()
        .filter(|member| is_in(member, episode) && member.state == MemberState::Reserved)
        .cloned()
        .collect();
    for member in &gone {
        timers::remove(session, member);
    }
    fail_groups(session, episode, gone.iter().map(|member| member.index).collect());
    if is_too_few(session, episode) { End::Failed } else { End::Next(Stage::Measuring) }
}

/// Whether members measure each other (M-60).
fn measures_peers(session: &Session) -> bool {
    let metrics = session.constants.system.get("metrics").and_then(Json::as_object);
    session.has("connectivity") && metrics.is_some_and(|metrics| metrics.values().any(|metric| metric.as_bool() == Some(true)))
}

fn measures_servers(session: &Session) -> bool {
    let addresses = session.constants.system.get("measurementServerAddresses").and_then(Json::as_object);
    addresses.is_some_and(|addresses| !addresses.is_empty())
}

fn has_measured(session: &Session, member: &Member) -> bool {
    let uploaded = |name: &str| member.properties.system.contains_key(name);
    (!measures_peers(session) || uploaded("measurements")) && (!measures_servers(session) || uploaded("serverMeasurements"))
}

fn everybody_measured(session: &Session, episode: u32) -> bool {
    remaining(session, episode).all(|member| has_measured(session, member))
}

/// Who did not measure in time fails; then the service judges by itself, unless the title wants to (M-56, M-57).
fn end_measuring(session: &mut Session, episode: u32, _: Option<bool>) -> End {
    let late: Vec<MemberIndex> =
        remaining(session, episode).filter(|member| !has_measured(session, member)).map(|member| member.index).collect();
    change(session, |member| late.contains(&member.index), |member| member.failure = Some(Failure::Timeout));
    fail_groups(session, episode, Vec::new());
    if measures_peers(session) {
        qos::find_hosts(session, episode);
    }
    if is_too_few(session, episode) {
        return End::Failed;
    }
    if setting(session, "externalEvaluation").and_then(Json::as_bool) == Some(true) {
        return End::Next(Stage::Evaluating);
    }
    if measures_peers(session) {
        qos::judge(session, episode);
        fail_groups(session, episode, Vec::new());
    }
    if is_too_few(session, episode) { End::Failed } else { End::Over }
}

fn end_evaluating(_: &mut Session, _: u32, judged: Option<bool>) -> End {
    if judged == Some(true) { End::Over } else { End::Failed }
}

/// Fails those in whose group somebody failed (M-66), until nobody follows; `gone` failed by not coming.
fn fail_groups(session: &mut Session, episode: u32, gone: Vec<MemberIndex>) {
    let mut failed = gone;
    failed.extend(session.members.iter().filter(|member| member.failure.is_some()).map(|member| member.index));
    loop {
        let follows = |member: &Member| {
            let group = member.properties.system.get("initializationGroup").and_then(Json::as_array).unwrap_or_default();
            group.iter().filter_map(Json::as_u64).any(|index| failed.iter().any(|known| u64::from(*known) == index))
        };
        let next: Vec<MemberIndex> =
            remaining(session, episode).filter(|member| follows(member)).map(|member| member.index).collect();
        if next.is_empty() {
            return;
        }
        change(session, |member| next.contains(&member.index), |member| member.failure = Some(Failure::Group));
        failed.extend(next);
    }
}

/// The connection strings that all measured members reach, by their mean latency (M-75); `None` when there are none.
#[must_use]
pub fn server_candidates(session: &Session) -> Option<Json> {
    let measured: Vec<&Object> = session
        .members
        .iter()
        .filter_map(|member| member.properties.system.get("serverMeasurements")?.as_object())
        .filter(|measured| !measured.is_empty())
        .collect();
    let latency = |measured: &Object, name: &str| {
        let (_, entry) = measured.iter().find(|(known, _)| known.to_string().eq_ignore_ascii_case(name))?;
        entry.get("latency")?.as_u64()
    };
    let mut found: Vec<(u64, String)> = Vec::new();
    for name in measured.first()?.keys().map(|name| name.decode().map(std::borrow::Cow::into_owned)) {
        let Some(name) = name else { continue };
        let sum: Option<u64> = measured.iter().map(|measured| latency(measured, &name)).sum();
        found.extend(sum.map(|sum| (sum, name)));
    }
    found.sort();
    if found.is_empty() { None } else { Some(found.iter().map(|(_, name)| name.as_str()).collect()) }
}
