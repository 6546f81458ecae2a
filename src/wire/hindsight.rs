//! Who could read a session that lives, at states that have passed: told by the present document and by what has happened since.
//!
//! Going back from the present, a change that let the reader in is undone by taking the reader out, and one that removed it by taking
//! it in again. Whom members followed, and on which devices they were, is not in the log: where rights may have changed, a
//! restriction keeps everybody out but members.

use super::stored::parse;
use crate::domain::access;
use crate::domain::change::Kinds;
use crate::domain::names::{MemberIndex, Xuid};
use crate::domain::principal::Principal;
use crate::domain::session::{Restriction, Visibility};
use crate::json::{Json, Object, Text};

/// What a change that may have touched rights did to those of one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    number: i64,
    joined: Vec<(MemberIndex, Xuid)>,
    left: Vec<(MemberIndex, Xuid)>,
    restriction: Option<Restriction>,
}

impl Turn {
    /// The changes that may touch who can read: who is a member, who is active on which device, and the restriction. The first change
    /// of a life does, whatever its kinds.
    pub const KINDS: Kinds = Kinds(1 << 3 | 1 << 4 | 1 << 5);

    /// Reads it from the log: the change's number, its delta, and who departed in it.
    #[must_use]
    pub fn of(number: i64, delta: Option<&str>, departed: Option<&str>, reader: &Principal) -> Self {
        let value = |text: Option<&str>| text.and_then(|text| parse(text).ok()).unwrap_or_else(Json::object);
        let (delta, departed) = (value(delta), value(departed));
        let first = delta.get("constants").is_some();
        let restriction = system(&delta, "properties").filter(|fields| first || fields.contains_key("readRestriction"));
        let departed = departed.as_array().unwrap_or_default().iter();
        let index = |one: &Json| MemberIndex::try_from(one.get("index")?.as_u64()?).ok();
        let left = departed.filter_map(|one| index(one).zip(own(one.get("xuid")?, reader))).collect();
        let index = |index: &Text| index.decode()?.parse::<MemberIndex>().ok();
        let joined = own_members(&delta, reader).filter_map(|(key, xuid)| Some((index(key)?, xuid))).collect();
        Self { number, joined, left, restriction: restriction.map(read_restriction) }
    }
}

impl Turn {
    /// The indices under which the reader came or went.
    pub fn indices(&self) -> impl Iterator<Item = MemberIndex> {
        self.joined.iter().chain(&self.left).map(|(index, _)| *index)
    }
}

fn system<'a>(document: &'a Json, part: &str) -> Option<&'a Object> {
    document.get(part).and_then(|part| part.get("system")?.as_object())
}

fn read_restriction(properties: &Object) -> Restriction {
    Restriction::read(properties, "readRestriction")
}

/// The xuid, if it is one of the reader's users.
fn own(xuid: &Json, reader: &Principal) -> Option<Xuid> {
    let xuid = Xuid::parse(&xuid.as_str()?).ok()?;
    reader.users().iter().any(|user| user.xuid == xuid).then_some(xuid)
}

/// Those of the reader's users whose entries are there as a whole, with their keys.
fn own_members<'a>(document: &'a Json, reader: &'a Principal) -> impl Iterator<Item = (&'a Text, Xuid)> {
    let members = document.get("members").and_then(Json::as_object);
    let xuid = |entry: &Json| own(entry.get("constants")?.get("system")?.get("xuid")?, reader);
    members.into_iter().flatten().filter_map(move |(index, entry)| Some((index, xuid(entry)?)))
}

/// The state from which a reader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Its change number.
    pub number: i64,
    /// Whether it is known that the reader could read it.
    pub judged: bool,
}

/// Whether a reader who may read the present document could read every state from another one on, given by all turns in between in
/// their order. The beginning of a life, number 0, is no state that anybody could read.
#[must_use]
pub fn could_read(document: &str, reader: &Principal, since: Since, turns: &[Turn]) -> bool {
    let Ok(document) = parse(document) else { return false };
    let empty = Object::new();
    let constants = system(&document, "constants").unwrap_or(&empty);
    if reader.users().iter().any(|user| access::views_broadcast(constants, user)) {
        return true;
    }
    let visibility = Visibility::read(constants);
    let mut restriction = Some(read_restriction(system(&document, "properties").unwrap_or(&empty)));
    let mut members: Vec<Xuid> = own_members(&document, reader).map(|(_, xuid)| xuid).collect();
    for (at, turn) in turns.iter().enumerate().rev() {
        let earlier = &turns[..at];
        // What is undone here leads to the states between the turn before and this one.
        members.retain(|member| !turn.joined.iter().any(|(_, joined)| joined == member));
        members.extend(turn.left.iter().map(|(_, xuid)| *xuid));
        if turn.restriction.is_some() {
            restriction = earlier.iter().rev().find_map(|turn| turn.restriction);
        }
        let nothing_before = since.number == 0 && turn.number == 1;
        if earlier.is_empty() && (since.judged || nothing_before) {
            break;
        }
        let is_public = visibility != Visibility::Private && restriction == Some(Restriction::None);
        if members.is_empty() && !is_public {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::change::KINDS;
    use crate::domain::names::TitleId;
    use crate::domain::principal::User;

    const FIRST: &str =
        r#"{"constants":{"system":{}},"properties":{"system":{}},"members":{"0":{"constants":{"system":{"xuid":"9"}}}}}"#;
    const JOIN: &str = r#"{"members":{"1":{"constants":{"system":{"xuid":"1"}}}}}"#;
    const OTHER: &str = r#"{"members":{"1":{"constants":{"system":{"xuid":"8"}}}}}"#;
    const LEAVE: &str = r#"{"members":{"1":null}}"#;
    const CLOSE: &str = r#"{"properties":{"system":{"readRestriction":"followed"}}}"#;
    const OPEN: &str = r#"{"properties":{"system":{"readRestriction":null}}}"#;

    fn user(xuid: u64) -> Principal {
        let (device_id, device_type) = (None, None);
        Principal::User(User { xuid: Xuid(xuid), gamertag: None, title_id: None, device_id, device_type, multiplayer: true })
    }

    #[test]
    fn turns_are_found_by_their_kinds() {
        let named = ["membersList", "membersStatus", "joinability"];
        let kinds = KINDS.iter().filter(|(name, _)| named.contains(name)).fold(0, |all, (_, kind)| all | kind.0);
        assert_eq!(Turn::KINDS, Kinds(kinds));
    }

    #[rstest]
    #[case::nothing_happened("private", "none", true, (5, false), &[], true)]
    #[case::member_all_along("private", "none", true, (1, false), &[(3, OTHER), (5, CLOSE)], true)]
    #[case::joined_later("private", "none", true, (2, false), &[(5, JOIN)], false)]
    #[case::joined_later_but_public("open", "none", true, (2, false), &[(5, JOIN)], true)]
    #[case::joined_at_the_beginning("private", "none", true, (0, false), &[(1, JOIN)], true)]
    #[case::not_at_the_beginning("private", "none", true, (0, false), &[(1, FIRST), (2, JOIN)], false)]
    #[case::away_for_a_while("private", "none", true, (2, true), &[(5, LEAVE), (6, JOIN)], false)]
    #[case::gone_and_public("open", "none", false, (2, false), &[(5, LEAVE)], true)]
    #[case::closed_for_a_while("open", "none", false, (2, true), &[(5, CLOSE), (7, OPEN)], false)]
    #[case::opened_before("open", "none", false, (5, true), &[(6, OPEN)], true)]
    #[case::opened_later("open", "none", false, (5, false), &[(6, OPEN)], false)]
    #[case::near_and_judged("open", "followed", false, (5, true), &[(6, OTHER)], true)]
    #[case::near_but_not_judged("open", "followed", false, (5, false), &[(6, OTHER)], false)]
    #[case::near_in_between("open", "followed", false, (5, true), &[(6, OTHER), (7, OTHER)], false)]
    #[case::near_and_quiet("open", "followed", false, (5, false), &[], true)]
    fn a10_the_log_tells_who_could_read(
        #[case] visibility: &str,
        #[case] restriction: &str,
        #[case] member: bool,
        #[case] (number, judged): (i64, bool),
        #[case] turns: &[(i64, &str)],
        #[case] could: bool,
    ) {
        let member = if member { r#""1":{"constants":{"system":{"xuid":"1"}}}"# } else { "" };
        let document = format!(
            r#"{{"constants":{{"system":{{"visibility":"{visibility}"}}}},"properties":{{"system":{{"readRestriction":"{restriction}"}}}},"members":{{{member}}}}}"#
        );
        let departed = |delta: &str| (delta == LEAVE).then_some(r#"[{"index":1,"xuid":"1"}]"#);
        let turn = |(number, delta): &(i64, &str)| Turn::of(*number, Some(delta), departed(delta), &user(1));
        let turns: Vec<_> = turns.iter().map(turn).collect();
        assert_eq!(could_read(&document, &user(1), Since { number, judged }, &turns), could);
    }

    #[test]
    fn a33_viewers_of_a_broadcast_could_always_read() {
        let document = r#"{"constants":{"system":{"visibility":"private","capabilities":{"broadcast":true},"broadcastViewerTitleIds":["7"]}}}"#;
        let viewer = |title| match user(1) {
            Principal::User(user) => Principal::User(User { title_id: Some(TitleId(title)), ..user }),
            other => other,
        };
        let turns = [Turn::of(2, Some(OTHER), None, &user(1))];
        let could = |title| could_read(document, &viewer(title), Since { number: 1, judged: false }, &turns);
        assert_eq!([7, 8].map(could), [true, false]);
    }
}
