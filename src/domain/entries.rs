//! The entries of `members` in a request, each with the one it is about (writes.md, Keys allowed in `members`; W-19).

use super::command::{Delta, MemberKey};
use super::names::MemberIndex;
use super::principal::{Principal, User};
use super::refusal::Refusal;
use super::session::Session;
use crate::json::Object;

/// An entry about one of the users who ask.
pub struct Own<'a> {
    /// The user.
    pub user: &'a User,
    /// The path of the entry, for messages.
    pub at: String,
    /// What the entry says; `None`: the user leaves.
    pub entry: Option<&'a Object>,
}

/// All entries of a request.
pub struct Entries<'a> {
    /// About the users who ask, in their order.
    pub own: Vec<Own<'a>>,
    /// About other members, by index; `None` removes.
    pub others: Vec<(MemberIndex, Option<&'a Object>)>,
    /// For users to be reserved for, in the order of their numbers.
    pub reserved: Vec<(u32, &'a Object)>,
}

impl<'a> Entries<'a> {
    /// Finds out whom every entry is about. A user's own index is another word for `me` (W-06).
    ///
    /// # Errors
    /// 403 for users who do not ask (W-04, W-19); 400 for keys that say too little or the same twice.
    pub fn resolve(delta: &'a Delta, session: Option<&Session>, principal: &'a Principal) -> Result<Self, Refusal> {
        let mut found = Self { own: Vec::new(), others: Vec::new(), reserved: Vec::new() };
        let users = principal.users();
        for (key, entry) in &delta.members {
            let entry = entry.as_ref();
            match key {
                MemberKey::Me => found.add_own(the_one(users)?, "members.me".to_owned(), entry)?,
                MemberKey::Reserve(number) => found.reserved.extend(entry.map(|entry| (*number, entry))),
                MemberKey::Index(index) => {
                    // A server that manages the session removes by index whoever that is; nobody does so in a large one.
                    let manages = |session: &Session| principal.is_server_for(&session.reference.scid);
                    let session = session.filter(|session| entry.is_some() || session.is_large() || !manages(session));
                    let xuid = session.and_then(|session| session.member_at(*index)).map(|member| member.xuid);
                    match users.iter().find(|user| Some(user.xuid) == xuid) {
                        Some(user) => found.add_own(user, format!("members.{index}"), entry)?,
                        None => found.others.push((*index, entry)),
                    }
                }
                MemberKey::MeOf(_) | MemberKey::MeAll | MemberKey::MeAllInSession => {
                    found.add_acting(*key, entry, session, principal)?;
                }
            }
        }
        let place = |own: &Own| users.iter().position(|user| user.xuid == own.user.xuid);
        found.own.sort_by_key(place);
        Ok(found)
    }

    fn add_own(&mut self, user: &'a User, at: String, entry: Option<&'a Object>) -> Result<(), Refusal> {
        if let Some(other) = self.own.iter().find(|own| own.user.xuid == user.xuid) {
            return Err(Refusal::invalid(at, format!("the same entry is given as {} too", other.at)));
        }
        self.own.push(Own { user, at, entry });
        Ok(())
    }

    /// The keys of a server that acts for users (W-19).
    fn add_acting(
        &mut self,
        key: MemberKey,
        entry: Option<&'a Object>,
        session: Option<&Session>,
        principal: &'a Principal,
    ) -> Result<(), Refusal> {
        let at = match key {
            MemberKey::MeOf(xuid) => format!("members.me_{xuid}"),
            MemberKey::MeAll => "members.me_all".to_owned(),
            _ => "members.me_allInSession".to_owned(),
        };
        if let Principal::User(_) = principal {
            return Err(Refusal::invalid(at, "this key is for servers that act for users: a user writes members.me"));
        }
        let is_meant = |user: &User| match key {
            MemberKey::MeOf(xuid) => user.xuid == xuid,
            MemberKey::MeAllInSession => session.is_some_and(|session| session.member(user.xuid).is_some()),
            _ => true,
        };
        let users = principal.users();
        if users.is_empty() || matches!(key, MemberKey::MeOf(_)) && !users.iter().any(is_meant) {
            return Err(Refusal::forbidden(format!("{at}: the server does not act for such a user (X-Xbl-OnBehalfOf-Users)")));
        }
        for user in users.iter().filter(|user| is_meant(user)) {
            self.add_own(user, at.clone(), entry)?;
        }
        Ok(())
    }

    /// What the request says of a user who asks.
    #[must_use]
    pub fn of(&self, user: &User) -> Option<&Own<'a>> {
        self.own.iter().find(|own| own.user.xuid == user.xuid)
    }
}

/// The only user who asks, for plain `me` (W-04, W-19).
fn the_one(users: &[User]) -> Result<&User, Refusal> {
    match users {
        [user] => Ok(user),
        [] => Err(Refusal::forbidden("members.me needs a user: a server is no member")),
        _ => Err(Refusal::invalid("members.me", "the server acts for several users: me_{xuid} or me_all is expected")),
    }
}
