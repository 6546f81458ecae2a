//! Session queries as data: what is asked, who may ask it, and what matches (queries.md).

use chrono::{DateTime, Utc};

use super::access::Nearness;
use super::names::{Scid, SessionName, TemplateName, Xuid};
use super::principal::Principal;
use super::refusal::Refusal;
use super::session::{MemberState, Restriction, Session, Visibility};

/// A query for sessions, its parameters found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionQuery {
    /// The service config.
    pub scid: Scid,
    /// Only sessions of this template.
    pub template: Option<TemplateName>,
    /// Only sessions of these users, each on its own; empty on a query by keyword alone.
    pub xuids: Vec<Xuid>,
    /// Only sessions with this keyword, in lower case.
    pub keyword: Option<String>,
    /// Also where the user has a reservation.
    pub reservations: bool,
    /// Also where the user is accepted but not active.
    pub inactive: bool,
    /// Also private sessions.
    pub private: bool,
    /// Only sessions that report this visibility.
    pub visibility: Option<Reported>,
    /// Only sessions of at most this version.
    pub version: Option<u64>,
    /// The most results, per user.
    pub take: u32,
}

/// A visibility as results report it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// Open with a free slot.
    Open,
    /// Visible, full or not.
    Visible,
    /// Private, full or not.
    Private,
    /// Open without a free slot.
    Full,
}

impl Reported {
    /// What a session of this visibility reports when its slots are taken, or are not.
    #[must_use]
    pub fn of(visibility: Visibility, full: bool) -> Self {
        match visibility {
            Visibility::Open if full => Self::Full,
            Visibility::Open => Self::Open,
            Visibility::Visible => Self::Visible,
            Visibility::Private => Self::Private,
        }
    }

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Visible => "visible",
            Self::Private => "private",
            Self::Full => "full",
        }
    }

    /// Reads the contract's word in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::Visible, Self::Private, Self::Full].into_iter().find(|one| one.as_str().eq_ignore_ascii_case(word))
    }
}

/// What a query can see of a user's membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Has a reservation.
    Reserved,
    /// Accepted; `ready` counts here.
    Inactive,
    /// Active.
    Active,
}

impl Status {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Inactive => "inactive",
            Self::Active => "active",
        }
    }
}

/// A session as far as queries look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The service config, in the session's case.
    pub scid: Scid,
    /// The template, in its published case.
    pub template: TemplateName,
    /// The session's name.
    pub name: SessionName,
    /// When it was created.
    pub start_time: DateTime<Utc>,
    /// Its stored visibility.
    pub visibility: Visibility,
    /// Who may join.
    pub join_restriction: Restriction,
    /// Who may read.
    pub read_restriction: Restriction,
    /// Its version (S-31).
    pub version: u64,
    /// Whether every slot is taken, reservations included.
    pub full: bool,
    /// Its members without reservations.
    pub accepted_count: u64,
    /// Its keywords as they were written.
    pub keywords: Vec<String>,
    /// The asked user's membership and whether it is that user's turn, on a query by xuid.
    pub membership: Option<(Status, bool)>,
    /// How near the caller is.
    pub nearness: Nearness,
}

impl From<MemberState> for Status {
    fn from(state: MemberState) -> Self {
        match state {
            MemberState::Reserved => Self::Reserved,
            MemberState::Active { .. } => Self::Active,
            MemberState::Inactive | MemberState::Ready => Self::Inactive,
        }
    }
}

impl Candidate {
    /// A loaded session as a query looks at it: through one of its users, if it was found through one.
    #[must_use]
    pub fn of(session: &Session, through: Option<Xuid>, nearness: Nearness) -> Self {
        let member = through.and_then(|xuid| session.member(xuid));
        Self {
            scid: session.reference.scid,
            template: session.reference.template.clone(),
            name: session.reference.name.clone(),
            start_time: session.start_time,
            visibility: session.visibility(),
            join_restriction: session.join_restriction(),
            read_restriction: session.read_restriction(),
            version: session.version(),
            full: session.is_full(),
            accepted_count: session.accepted_count() as u64,
            keywords: session.keywords(),
            membership: member.map(|member| (member.state.into(), session.turn().contains(&member.index))),
            nearness,
        }
    }
}

impl SessionQuery {
    /// How many results there are at most.
    #[must_use]
    pub fn results_max(&self) -> usize {
        self.xuids.len().max(1) * self.take as usize
    }

    /// Judges whether the caller may ask this at all, whether or not anything would match.
    ///
    /// # Errors
    /// 403.
    pub fn authorise(&self, principal: &Principal) -> Result<(), Refusal> {
        if !(self.private || self.reservations) || principal.is_server_for(&self.scid) {
            return Ok(());
        }
        let own = principal.xuid().is_some_and(|own| !self.xuids.is_empty() && self.xuids.iter().all(|xuid| *xuid == own));
        if own {
            Ok(())
        } else {
            Err(Refusal::forbidden("private and reservations may be used only by a server or for the caller's own xuid"))
        }
    }

    /// Whether a session belongs into the results.
    #[must_use]
    pub fn matches(&self, candidate: &Candidate, principal: &Principal) -> bool {
        let by_user = self.xuids.is_empty()
            || match candidate.membership {
                Some((Status::Active, _)) => true,
                Some((Status::Inactive, _)) => self.inactive,
                Some((Status::Reserved, _)) => self.reservations,
                None => false,
            };
        let reported = Reported::of(candidate.visibility, candidate.full);
        by_user
            && self
                .keyword
                .as_ref()
                .is_none_or(|wanted| candidate.keywords.iter().any(|keyword| keyword.to_lowercase() == *wanted))
            && (self.private || candidate.visibility != Visibility::Private)
            && self.visibility.is_none_or(|wanted| wanted == reported)
            && self.version.is_none_or(|most| candidate.version <= most)
            && (principal.is_server_for(&self.scid)
                || candidate.nearness.may_read(candidate.visibility, candidate.read_restriction))
    }
}
