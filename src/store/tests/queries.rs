//! Candidates in their order, page by page.

use super::*;
use crate::store::rows::{AccessFacts, CandidateRow, Codes};
use crate::store::{CandidatesByKeyword, CandidatesByXuid, PageKey, XuidAsk};

fn names(rows: &[CandidateRow]) -> Vec<&str> {
    rows.iter().map(|row| row.reference.name.as_str()).collect()
}

fn by_xuid(asks: &[XuidAsk]) -> CandidatesByXuid<'_> {
    CandidatesByXuid {
        asks,
        scid: SCID,
        template_key: None,
        keyword: None,
        callers: &[],
        device_ids: &[],
        states: &[0, 1, 2, ACTIVE],
        private: true,
        now: start(),
        limit: 10,
    }
}

fn by_keyword(keyword: &str) -> CandidatesByKeyword<'_> {
    CandidatesByKeyword { keyword, scid: SCID, template_key: None, after: None, callers: &[], device_ids: &[], limit: 10 }
}

fn ask(xuid: u64) -> XuidAsk {
    XuidAsk { xuid, after: None }
}

/// Six sessions: three of one instant, which tie, and three that are newer each.
async fn seeded() -> Store {
    let store = Database::new().await.store;
    for (name, age) in [("b", 0), ("C", 0), ("a", 0), ("d", 1), ("e", 2), ("f", 3)] {
        let mut row = session(name);
        row.start_time = start() + seconds(age);
        row.keywords = if name == "e" { vec!["EU".into(), "late".into()] } else { vec!["eu".into()] };
        row.member_count = 2;
        if name == "f" {
            row.reference.template = "Match".into();
            row.read_restriction = 1;
        }
        let state = if name == "d" { 0 } else { ACTIVE };
        let alice = MemberRow { turn: name == "d", device_id: Some("console".into()), ..member(0, ALICE, state) };
        let mut members = vec![alice];
        if name == "e" {
            members.push(member(1, BOB, 1));
        }
        created(&store, row, members).await;
    }
    store
}

#[tokio::test]
async fn q35_candidates_come_newest_first_and_ties_by_name() {
    let store = seeded().await;
    let expected = ["f", "e", "d", "C", "a", "b"];
    let lists = store.find_candidates_by_xuid(by_xuid(&[ask(ALICE), ask(7), ask(BOB)])).await.unwrap();
    assert_eq!(names(&lists[0]), expected);
    assert_eq!((names(&lists[1]), names(&lists[2])), (vec![], vec!["e"]));
    assert_eq!((lists[0][2].codes.member_state, lists[0][2].codes.member_turn), (Some(0), true));
    assert_eq!((lists[2][0].codes.member_state, lists[2][0].codes.member_turn), (Some(1), false));
    assert_eq!(names(&store.find_candidates_by_keyword(by_keyword("eu")).await.unwrap()), expected);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let store = seeded().await;
    let (mut by_user, mut by_word) = (Vec::new(), Vec::new());
    let mut after: Option<PageKey> = None;
    loop {
        let asks = [XuidAsk { xuid: ALICE, after: after.clone() }];
        let page = store.find_candidates_by_xuid(CandidatesByXuid { limit: 2, ..by_xuid(&asks) }).await.unwrap().remove(0);
        let query = CandidatesByKeyword { limit: 2, after: after.as_ref(), ..by_keyword("eu") };
        by_word.extend(store.find_candidates_by_keyword(query).await.unwrap());
        let Some(last) = page.last() else { break };
        after = Some(PageKey::from(last));
        by_user.extend(page);
    }
    assert_eq!(names(&by_user), ["f", "e", "d", "C", "a", "b"]);
    assert_eq!(names(&by_word), names(&by_user));
}

#[tokio::test]
async fn q32_filters_go_together() {
    let store = seeded().await;
    let asks = [ask(ALICE)];
    let late = CandidatesByXuid { keyword: Some("late"), ..by_xuid(&asks) };
    assert_eq!(names(&store.find_candidates_by_xuid(late).await.unwrap()[0]), ["e"]);
    let matches = CandidatesByXuid { template_key: Some("match"), ..by_xuid(&asks) };
    assert_eq!(names(&store.find_candidates_by_xuid(matches).await.unwrap()[0]), ["f"]);
    let matches = CandidatesByKeyword { template_key: Some("match"), ..by_keyword("eu") };
    assert_eq!(names(&store.find_candidates_by_keyword(matches).await.unwrap()), ["f"]);
    let elsewhere = CandidatesByXuid { scid: fresh(), ..by_xuid(&asks) };
    assert_eq!(names(&store.find_candidates_by_xuid(elsewhere).await.unwrap()[0]), Vec::<&str>::new());
}

#[tokio::test]
async fn facts_are_looked_up_for_strangers_of_restricted_sessions() {
    let store = seeded().await;
    store.put_follow(ALICE, 10, false).await.unwrap();
    let facts = async |callers: &[u64], device_ids: &[&str]| {
        let query = CandidatesByKeyword { callers, device_ids, ..by_keyword("eu") };
        let found = store.find_candidates_by_keyword(query).await.unwrap();
        let asks = [ask(ALICE)];
        let query = CandidatesByXuid { callers, device_ids, ..by_xuid(&asks) };
        assert_eq!(
            store.find_candidates_by_xuid(query).await.unwrap()[0].iter().map(|row| row.codes.facts).collect::<Vec<_>>(),
            found.iter().map(|row| row.codes.facts).collect::<Vec<_>>()
        );
        assert!(found[1..].iter().all(|row| row.codes.facts == AccessFacts::default()), "unrestricted");
        (found[0].codes.caller_is_member, found[0].codes.facts)
    };
    assert_eq!(facts(&[ALICE], &["console"]).await, (true, AccessFacts::default()));
    assert_eq!(facts(&[10], &[]).await, (false, AccessFacts { followed: true, local: false }));
    assert_eq!(facts(&[11], &["console"]).await, (false, AccessFacts { followed: false, local: true }));
    // Several callers are as near as the nearest of them.
    assert_eq!(facts(&[11, ALICE], &["phone", "console"]).await, (true, AccessFacts::default()));
    assert_eq!(facts(&[11, 10], &["phone", "console"]).await, (false, AccessFacts { followed: true, local: true }));
    assert_eq!(facts(&[], &[]).await, (false, AccessFacts::default()));
}

#[tokio::test]
async fn q30_q33_only_wanted_sessions_come_and_those_that_are_due() {
    let store = Database::new().await.store;
    let rows =
        [("active", ACTIVE), ("ready", 2), ("inactive", 1), ("reserved", 0), ("private", ACTIVE), ("due", 0), ("later", 0)];
    for (name, state) in rows {
        let mut row = session(name);
        row.visibility = if name == "private" || name == "due" { 2 } else { 0 };
        row.next_timer_at = match name {
            "due" => Some(start()),
            "later" => Some(start() + seconds(1)),
            _ => None,
        };
        created(&store, row, vec![member(0, ALICE, state)]).await;
    }
    let asks = [ask(ALICE)];
    let found = async |states: &[i16], private, late| {
        let query = CandidatesByXuid { states, private, now: start() + seconds(late), ..by_xuid(&asks) };
        store.find_candidates_by_xuid(query).await.unwrap()[0].iter().map(|row| row.reference.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(found(&[ACTIVE], false, -1).await, ["active"]);
    assert_eq!(found(&[ACTIVE], false, 0).await, ["active", "due"], "what is due comes, be it private");
    assert_eq!(found(&[ACTIVE], false, 1).await, ["active", "due", "later"]);
    assert_eq!(found(&[ACTIVE], true, -1).await, ["active", "private"]);
    assert_eq!(found(&[1, 2, ACTIVE], false, -1).await, ["active", "inactive", "ready"]);
    assert_eq!(found(&[0, ACTIVE], false, -1).await, ["active", "later", "reserved"]);
}

#[tokio::test]
async fn small_facts_come_apart_as_they_were_put_together() {
    let store = Database::new().await.store;
    for (name, visibility, join_restriction, read_restriction, member_count, state) in
        [("a", 0, 1, 2, 8, 0), ("b", 1, 2, 0, 7, 1), ("c", 2, 0, 1, 9, 2), ("d", 0, 0, 0, 1, 3)]
    {
        let row = SessionRow {
            visibility,
            join_restriction,
            read_restriction,
            member_count,
            keywords: vec!["eu".into()],
            ..session(name)
        };
        created(&store, row, vec![MemberRow { turn: name == "c", ..member(0, ALICE, state) }]).await;
    }
    let codes = |visibility, join_restriction, read_restriction, full, member: Option<(i16, bool)>, caller_is_member| Codes {
        visibility,
        join_restriction,
        read_restriction,
        full,
        member_state: member.map(|(state, _)| state),
        member_turn: member.is_some_and(|(_, turn)| turn),
        caller_is_member,
        facts: AccessFacts::default(),
    };
    // That Alice is a member of what everybody may read is not looked up.
    let members = [Some((0, false)), Some((1, false)), Some((2, true)), Some((3, false))];
    let expected = |[a, b, c, d]: [Option<(i16, bool)>; 4]| {
        [
            codes(0, 1, 2, true, a, true),
            codes(1, 2, 0, false, b, false),
            codes(2, 0, 1, true, c, true),
            codes(0, 0, 0, false, d, false),
        ]
    };
    let of = |rows: &[CandidateRow]| rows.iter().map(|row| row.codes).collect::<Vec<_>>();
    let found = store.find_candidates_by_xuid(CandidatesByXuid { callers: &[ALICE], ..by_xuid(&[ask(ALICE)]) }).await.unwrap();
    assert_eq!(of(&found[0]), expected(members));
    let found = store.find_candidates_by_keyword(CandidatesByKeyword { callers: &[ALICE], ..by_keyword("eu") }).await.unwrap();
    assert_eq!(of(&found), expected([None; 4]));
}
