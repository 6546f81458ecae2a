//! Candidates in their order, page by page.

use super::*;
use crate::store::rows::{AccessFacts, CandidateRow};
use crate::store::{CandidatesByKeyword, CandidatesByXuid, PageKey, XuidAsk};

fn names(rows: &[CandidateRow]) -> Vec<&str> {
    rows.iter().map(|row| row.reference.name.as_str()).collect()
}

fn by_xuid(asks: &[XuidAsk]) -> CandidatesByXuid<'_> {
    CandidatesByXuid { asks, scid: SCID, template_key: None, keyword: None, caller: None, device_id: None, limit: 10 }
}

fn by_keyword(keyword: &str) -> CandidatesByKeyword<'_> {
    CandidatesByKeyword { keyword, scid: SCID, template_key: None, after: None, caller: None, device_id: None, limit: 10 }
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
    assert_eq!((lists[0][2].member_state, lists[0][2].member_turn), (Some(0), true));
    assert_eq!((lists[2][0].member_state, lists[2][0].member_turn), (Some(1), false));
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
    let facts = async |caller, device_id| {
        let query = CandidatesByKeyword { caller: Some(caller), device_id, ..by_keyword("eu") };
        let found = store.find_candidates_by_keyword(query).await.unwrap();
        let asks = [ask(ALICE)];
        let query = CandidatesByXuid { caller: Some(caller), device_id, ..by_xuid(&asks) };
        assert_eq!(
            store.find_candidates_by_xuid(query).await.unwrap()[0].iter().map(|row| row.facts).collect::<Vec<_>>(),
            found.iter().map(|row| row.facts).collect::<Vec<_>>()
        );
        assert!(found[1..].iter().all(|row| row.facts == AccessFacts::default()), "unrestricted");
        (found[0].caller_state, found[0].facts)
    };
    assert_eq!(facts(ALICE, Some("console")).await, (Some(ACTIVE), AccessFacts::default()));
    assert_eq!(facts(10, None).await, (None, AccessFacts { followed: true, local: false }));
    assert_eq!(facts(11, Some("console")).await, (None, AccessFacts { followed: false, local: true }));
}
