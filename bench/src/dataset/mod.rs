//! The data set: which sessions there are, who is in them, what they carry, and how a database is filled with them.
//!
//! Everything about session `n` follows from `n` alone and from how many members, keywords and handles there are per session, never
//! from how many sessions there are: a data set that grows keeps what it has. Sessions come in blocks of [`BLOCK`]. Each session has
//! an owner of its own; its other members are drawn from the [`REGULARS`] users of its block and its keywords from the block's
//! [`KEYWORDS`], so that what a user or a keyword finds does not grow with the data set either.
//!
//! Not here: rows. What is stored is what the service itself stores, because its own directory is told to create, join and list.

pub mod body;
mod fill;
#[cfg(test)]
mod tests;

use openmpsd::domain::limits::{Limits, MAX_MEMBERS};
use openmpsd::domain::names::{Scid, SessionName, SessionReference, TemplateName, TitleId, Xuid};
use openmpsd::domain::principal::User;
use serde::{Deserialize, Serialize};

pub use body::creation;
pub use fill::fill;

/// The service config of all sessions; its template lies in `bench/services`.
pub const SCID: &str = "be9c0000-5e55-4d1c-8a3e-0000000b3c41";
/// Their template.
pub const TEMPLATE: &str = "Lobby";
/// The title that the users play.
pub const TITLE: u32 = 1234;

/// How many sessions share regulars and keywords.
pub const BLOCK: u32 = 2500;
/// How many users a block's sessions draw their further members from: with 4 members a session, each is in 25 sessions on average.
pub const REGULARS: u32 = 300;
/// How many keywords a block's sessions draw theirs from: with 2 a session, each is on 40 sessions on average.
pub const KEYWORDS: u32 = 125;

/// Owners are numbered from here, by session.
const FIRST_OWNER: u64 = 2_533_280_000_000_000;
/// Regulars are numbered from here, by block.
const FIRST_REGULAR: u64 = 2_533_290_000_000_000;

/// How large the data set is.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Sizes {
    /// How many sessions there are
    #[arg(long, value_name = "N", default_value_t = 200_000, default_value_if("quick", "true", "20000"), value_parser = clap::value_parser!(u32).range(1..))]
    pub sessions: u32,
    /// How many members they have in all [default: 4 a session]
    #[arg(long, value_name = "N")]
    pub members: Option<u32>,
    /// How many keywords they carry in all [default: 2 a session]
    #[arg(long, value_name = "N")]
    pub keywords: Option<u32>,
    /// How many of them, the first ones, are their owners' activities [default: all]
    #[arg(long, value_name = "N")]
    pub handles: Option<u32>,
    /// How many of them, spread evenly, can be searched for [default: a tenth]
    #[arg(long, value_name = "N")]
    pub listed: Option<u32>,
}

impl Sizes {
    /// What single numbers cannot say about each other.
    ///
    /// # Errors
    /// In words for the person who typed them.
    pub fn check(&self) -> Result<(), String> {
        let sessions = u64::from(self.sessions);
        let keywords_max = Limits::default().keywords as u64;
        let bounds = [
            ("members", self.members, sessions, MAX_MEMBERS * sessions, "each session has 1 to 100"),
            ("keywords", self.keywords, 0, keywords_max * sessions, "each session has at most 16"),
            ("handles", self.handles, 0, sessions, "each session has at most one of each kind"),
            ("listed", self.listed, 0, sessions, "each session has at most one of each kind"),
        ];
        for (flag, given, least, most, why) in bounds {
            if given.is_some_and(|given| !(least..=most).contains(&u64::from(given))) {
                return Err(format!("--{flag} must be between {least} and {most} for {sessions} sessions: {why}"));
            }
        }
        Ok(())
    }

    /// How many sessions are their owners' activities: the first ones.
    #[must_use]
    pub fn activities(&self) -> u32 {
        self.handles.unwrap_or(self.sessions)
    }

    /// What there is in all, by name.
    #[must_use]
    pub fn totals(&self) -> Vec<(String, u64)> {
        let sessions = u64::from(self.sessions);
        let total = |given: Option<u32>, usual: u64| given.map_or(usual, u64::from);
        let totals = [
            ("sessions", sessions),
            ("members", total(self.members, 4 * sessions)),
            ("keywords", total(self.keywords, 2 * sessions)),
            ("activities", u64::from(self.activities())),
            ("listed sessions", total(self.listed, sessions / 10)),
        ];
        totals.into_iter().map(|(what, count)| (what.to_owned(), count)).collect()
    }

    /// How many members session `n` has, its owner included.
    #[must_use]
    pub fn members_of(&self, n: u32) -> u32 {
        self.share(self.members, 4, n)
    }

    /// How many keywords session `n` carries.
    #[must_use]
    pub fn keywords_of(&self, n: u32) -> u32 {
        self.share(self.keywords, 2, n)
    }

    /// Whether session `n` is its owner's activity.
    #[must_use]
    pub fn is_activity(&self, n: u32) -> bool {
        n < self.activities()
    }

    /// Whether session `n` can be searched for.
    #[must_use]
    pub fn is_listed(&self, n: u32) -> bool {
        match self.listed {
            None => n % 10 == 9,
            listed => self.share(listed, 0, n) > 0,
        }
    }

    /// What session `n` gets of a total: the shares of all sessions add up to it and differ by one at most.
    fn share(&self, total: Option<u32>, each: u32, n: u32) -> u32 {
        let Some(total) = total else { return each };
        let up_to = |n: u64| n * u64::from(total) / u64::from(self.sessions);
        u32::try_from(up_to(u64::from(n) + 1) - up_to(u64::from(n))).expect("a share is no more than the total")
    }
}

/// The name of session `n`.
#[must_use]
pub fn name(n: u32) -> String {
    format!("lobby-{n:07}")
}

/// The reference of session `n`, whose `sid` is the key it is stored under.
#[must_use]
pub fn reference(n: u32) -> SessionReference {
    named(&name(n))
}

/// The reference of a session of this name.
#[must_use]
pub fn named(name: &str) -> SessionReference {
    SessionReference {
        scid: Scid::parse(SCID).expect("it is a GUID"),
        template: TemplateName::parse(TEMPLATE).expect("it is a name"),
        name: SessionName::parse(name).expect("it is a name"),
    }
}

/// Who created session `n` and is active in it; the owner of no other session, and no regular.
#[must_use]
pub fn owner(n: u32) -> u64 {
    FIRST_OWNER + u64::from(n)
}

/// The block that session `n` belongs to.
#[must_use]
pub fn block(n: u32) -> u32 {
    n / BLOCK
}

/// The `k`-th of the [`REGULARS`] users of a block.
#[must_use]
pub fn regular(block: u32, k: u32) -> u64 {
    FIRST_REGULAR + u64::from(block) * u64::from(REGULARS) + u64::from(k)
}

/// The `k`-th of the [`KEYWORDS`] keywords of a block.
#[must_use]
pub fn keyword(block: u32, k: u32) -> String {
    format!("league-{block:04}-{k:03}")
}

/// The members of session `n`, in the order they join in: its owner first.
#[must_use]
pub fn members(sizes: &Sizes, n: u32) -> Vec<u64> {
    let further = pick(n, Draw::Member, sizes.members_of(n).saturating_sub(1), REGULARS);
    std::iter::once(owner(n)).chain(further.into_iter().map(|k| regular(block(n), k))).collect()
}

/// The keywords of session `n`.
#[must_use]
pub fn keywords(sizes: &Sizes, n: u32) -> Vec<String> {
    let picked = pick(n, Draw::Keyword, sizes.keywords_of(n), KEYWORDS);
    picked.into_iter().map(|k| keyword(block(n), k)).collect()
}

/// What a token says of one of the users.
#[must_use]
pub fn user(xuid: u64) -> User {
    User {
        xuid: Xuid(xuid),
        gamertag: Some(format!("P{xuid}")),
        title_id: Some(TitleId(TITLE)),
        device_id: None,
        device_type: None,
        multiplayer: true,
    }
}

/// What is drawn for a session.
#[derive(Debug, Clone, Copy)]
enum Draw {
    Member,
    Keyword,
    Custom,
    Player,
    Attribute,
}

/// Picks so many different numbers below `pool` for session `n`; more of them begin with the same.
fn pick(n: u32, what: Draw, count: u32, pool: u32) -> Vec<u32> {
    let count = count.min(pool) as usize;
    let mut picked = Vec::with_capacity(count);
    for at in 0.. {
        if picked.len() == count {
            break;
        }
        let one = draw(u64::from(n), what, at, pool);
        if !picked.contains(&one) {
            picked.push(one);
        }
    }
    picked
}

/// The `at`-th number that is drawn for something, below `pool`: the same in every run.
fn draw(of: u64, what: Draw, at: u32, pool: u32) -> u32 {
    let seed = mix(of ^ mix(u64::from(at) << 8 | what as u64));
    u32::try_from(seed % u64::from(pool)).expect("it is below the pool")
}

/// Spreads a number over all 64 bits (the finalizer of `splitmix64`).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
