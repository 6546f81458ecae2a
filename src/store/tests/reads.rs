//! Documents by session and by handle, what access asks, timers and leftovers.

use super::*;
use crate::store::rows::{AccessFacts, DueRow, ReadRow};
use crate::store::{ActivitiesAsk, Expired, FactsAsk, HandleAsk, ReadAsk, Shard, With};

fn read_of(stored: &StoredSession, caller_state: Option<i16>) -> ReadRow {
    let session = stored.session.clone();
    ReadRow {
        reference: session.reference,
        branch: session.branch,
        change_number: session.change_number,
        next_timer_at: session.next_timer_at,
        visibility: session.visibility,
        read_restriction: session.read_restriction,
        caller_state,
        body: session.body.to_string(),
        private: None,
        caller_document: None,
    }
}

#[tokio::test]
async fn documents_come_in_the_order_they_were_asked_for() {
    let store = Database::new().await.store;
    let mut with_spelling = session("Two");
    with_spelling.reference.scid_spelling = Some(SCID.to_string().to_uppercase());
    with_spelling.next_timer_at = Some(start());
    let restricted = SessionRow { read_restriction: 1, ..session("One") };
    let one = created(&store, restricted, vec![member(0, ALICE, ACTIVE), member(1, BOB, 0)]).await;
    let two = created(&store, with_spelling, vec![]).await;
    let ask = |name, caller| ReadAsk { sid: sid_of(name), caller };

    let asks =
        [ask("Two", Some(ALICE)), ask("None", Some(ALICE)), ask("One", Some(BOB)), ask("One", None), ask("One", Some(ALICE))];
    let answers = store.read_sessions(&asks).await.unwrap();

    let expected =
        [Some(read_of(&two, None)), None, Some(read_of(&one, Some(0))), Some(read_of(&one, None)), Some(read_of(&one, Some(3)))];
    assert_eq!(answers, expected);
    assert_eq!(store.read_sessions(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn membership_is_looked_up_where_reading_depends_on_it() {
    let store = Database::new().await.store;
    let cases = [
        ("Open", 0, 0, None),
        ("Visible", 1, 0, None),
        ("Private", 2, 0, Some(3)),
        ("Followed", 0, 1, Some(3)),
        ("Local", 0, 2, Some(3)),
    ];
    for ((name, visibility, read_restriction, caller_state), owner) in cases.into_iter().zip(10..) {
        let mut save = create(SessionRow { visibility, read_restriction, ..session(name) }, vec![member(0, ALICE, ACTIVE)]);
        save.handles = vec![activity(name, owner)];
        save_one(&store, save.clone()).await.unwrap();
        let read = store.read_sessions(&[ReadAsk { sid: sid_of(name), caller: Some(ALICE) }]).await.unwrap().remove(0);
        let handle = HandleAsk { id: save.handles[0].id, caller: Some(ALICE) };
        let followed = store.read_by_handles(&[handle], start()).await.unwrap().remove(0).and_then(|row| row.session);
        assert_eq!([read, followed].map(|row| row.map(|row| row.caller_state)), [Some(caller_state); 2], "{name}");
    }
}

#[tokio::test]
async fn a_handle_leads_to_its_session_whether_or_not_it_exists() {
    let store = Database::new().await.store;
    let mut save = create(SessionRow { visibility: 2, ..session("One") }, vec![member(0, ALICE, ACTIVE)]);
    save.handles = vec![activity("One", ALICE)];
    save_one(&store, save.clone()).await.unwrap();
    let one = load(&store, "One").await.unwrap();
    let unbound = HandleRow { expires_at: Some(start() + seconds(3600)), ..activity("Nowhere", BOB) };
    store.put_unbound_activity(&unbound).await.unwrap();

    let bound = &save.handles[0];
    let ask = |id, caller| HandleAsk { id, caller };
    let asks = [ask(unbound.id, None), ask(fresh(), None), ask(bound.id, Some(ALICE)), ask(bound.id, Some(BOB))];
    let answers = store.read_by_handles(&asks, start()).await.unwrap();
    let flat: Vec<_> = answers.into_iter().map(|answer| answer.map(|row| (row.handle, row.session))).collect();
    let expected = [
        Some((unbound.clone(), None)),
        None,
        Some((bound.clone(), Some(read_of(&one, Some(3))))),
        Some((bound.clone(), Some(read_of(&one, None)))),
    ];
    assert_eq!(flat, expected);

    let late = store.read_by_handles(&asks, start() + seconds(3600)).await.unwrap();
    assert!(late[0].is_none() && late[2].is_some());
}

#[tokio::test]
async fn h21_an_unbound_activity_lives_on_once_its_owner_is_active() {
    let store = Database::new().await.store;
    let late = start() + seconds(3600);
    let of = |name: &str, owner| HandleRow { expires_at: Some(late), ..activity(name, owner) };
    let (alices, bobs, carols) = (of("One", ALICE), of("One", BOB), of("Nowhere", 3));
    for handle in [&alices, &bobs, &carols] {
        store.put_unbound_activity(handle).await.unwrap();
    }
    created(&store, SessionRow { visibility: 2, ..session("One") }, vec![member(0, ALICE, ACTIVE), member(1, BOB, 1)]).await;
    assert!(matches!(store.put_unbound_activity(&of("One", 9)).await, Err(StoreError::LostRace)), "the session exists by now");

    let ask = |callers| ActivitiesAsk {
        owners: &[BOB, 3, ALICE],
        scid: Some(SCID),
        callers,
        device_ids: &[],
        with: With { body: true, facts: true, private: true },
        newest_first: false,
        only: None,
        limit: 100,
    };
    let found = store.find_activities(ask(&[9, BOB]), start()).await.unwrap();
    assert_eq!(found.iter().map(|row| row.handle.id).collect::<Vec<_>>(), [bobs.id, carols.id, alices.id]);
    assert!(found[1].session.is_none());
    let session = found[2].session.as_ref().unwrap();
    assert_eq!((session.codes.member_state, session.codes.caller_is_member), (Some(3), true));
    assert!(session.body.is_some());
    let only = ActivitiesAsk { only: Some(&[alices.id]), with: With::default(), ..ask(&[]) };
    let found = store.find_activities(only, start()).await.unwrap();
    assert_eq!(found.iter().map(|row| row.handle.id).collect::<Vec<_>>(), [alices.id]);
    assert!(found[0].session.as_ref().unwrap().body.is_none());
    let found = store.find_activities(ask(&[]), late).await.unwrap();
    assert_eq!(found.iter().map(|row| row.handle.id).collect::<Vec<_>>(), [alices.id]);

    let mut walked = Vec::new();
    for (now, limit) in [(start(), 10), (late, 2), (late, 2), (late, 2)] {
        let Expired { looked_at, deleted } = store.delete_expired_handles(now, limit).await.unwrap();
        walked.push((looked_at, deleted));
    }
    assert_eq!(walked.iter().map(|(looked_at, _)| *looked_at).collect::<Vec<_>>(), [0, 2, 1, 0], "each is looked at once");
    assert_eq!(walked.iter().map(|(_, deleted)| deleted).sum::<u64>(), 2);
    let found = store.find_activities(ask(&[]), late + seconds(3600)).await.unwrap();
    assert_eq!(found.iter().map(|row| (row.handle.id, row.handle.expires_at)).collect::<Vec<_>>(), [(alices.id, None)]);
    assert!(store.delete_handle(alices.id).await.unwrap());
    assert!(!store.delete_handle(alices.id).await.unwrap());
}

#[tokio::test]
async fn h20_another_unbound_activity_replaces_the_former() {
    let store = Database::new().await.store;
    let (first, second) = (activity("Here", ALICE), activity("There", ALICE));
    store.put_unbound_activity(&first).await.unwrap();
    store.put_unbound_activity(&second).await.unwrap();
    let asks = [first.id, second.id].map(|id| HandleAsk { id, caller: None });
    let answers = store.read_by_handles(&asks, start()).await.unwrap();
    assert_eq!(answers.into_iter().map(|answer| answer.map(|row| row.handle)).collect::<Vec<_>>(), [None, Some(second)]);
}

#[tokio::test]
async fn a23_accepted_members_and_active_devices_count() {
    let store = Database::new().await.store;
    let on = |device: &str, one: MemberRow| MemberRow { device_id: Some(device.into()), ..one };
    let members = vec![on("console", member(0, ALICE, ACTIVE)), on("phone", member(1, BOB, 1)), member(2, 3, 0)];
    created(&store, session("One"), members).await;
    for (follower, followed) in [(BOB, 10), (3, 11), (12, ALICE)] {
        store.put_follow(follower, followed, false).await.unwrap();
    }
    let ask = |caller, device: Option<&str>| FactsAsk { sid: sid_of("One"), caller, device_id: device.map(Into::into) };
    let facts = |followed, local| AccessFacts { followed, local };

    let asks = [ask(10, None), ask(11, Some("phone")), ask(12, Some("console")), ask(10, Some("console"))];
    let answers = store.access_facts(&asks).await.unwrap();

    assert_eq!(answers, [facts(true, false), facts(false, false), facts(false, true), facts(true, true)]);
}

#[tokio::test]
async fn due_timers_are_found_by_shard_and_postponed_when_they_fail() {
    let store = Database::new().await.store;
    for number in 0..20 {
        let timer = Some(start() + seconds(number));
        created(&store, SessionRow { next_timer_at: timer, ..session(&format!("S{number}")) }, vec![]).await;
    }
    let now = start() + seconds(9);
    let due = store.find_due(now, 100, Shard::WHOLE).await.unwrap();
    assert_eq!(due.iter().map(|row| row.due_at).collect::<Vec<_>>(), (0..10).map(|at| start() + seconds(at)).collect::<Vec<_>>());
    assert_eq!(store.find_due(now, 3, Shard::WHOLE).await.unwrap(), due[..3]);
    let mut parts = Vec::new();
    for number in 0..3 {
        parts.extend(store.find_due(now, 100, Shard { number, of: 3 }).await.unwrap());
    }
    parts.sort_by_key(|row| row.due_at);
    assert_eq!(parts, due);

    let again = DueRow { due_at: now + seconds(1), ..due[0] };
    assert_eq!(store.postpone_due(due[0], now).await.unwrap(), 1);
    assert_eq!(store.postpone_due(due[0], now).await.unwrap(), 0, "its timer is another one by now");
    assert_eq!(store.postpone_due(again, now).await.unwrap(), 2);
    assert_eq!(store.postpone_due(DueRow { sid: fresh(), ..again }, now).await.unwrap(), 0);
    assert_eq!(store.find_due(now, 100, Shard::WHOLE).await.unwrap(), due[1..]);
    let later = store.find_due(now + seconds(2), 100, Shard::WHOLE).await.unwrap();
    assert_eq!(later.iter().find(|row| row.sid == due[0].sid).map(|row| row.due_at), Some(now + seconds(2)));
}

#[tokio::test]
async fn everything_comes_in_pages_with_its_leftovers() {
    let database = Database::new().await;
    let store = &database.store;
    for number in 0..5 {
        let save = SessionRow { keywords: vec!["eu".into()], ..session(&format!("S{number}")) };
        created(store, save, vec![member(0, ALICE, ACTIVE)]).await;
    }
    let leftover = "insert into timers (sid, due_at) values ('ffffffff-ffff-ffff-ffff-ffffffffffff', '2026-01-01')";
    sqlx::query(leftover).execute(&mut database.connection().await).await.unwrap();
    let mut after = Some(Uuid::nil());
    let mut sizes = Vec::new();
    let mut leftovers = 0;
    while let Some(key) = after {
        let page = store.load_everything(key, 2).await.unwrap();
        sizes.push(page.holdings.len());
        leftovers += page.holdings.values().filter(|holding| holding.session.is_none()).count();
        assert!(page.holdings.values().all(|holding| holding.members.len() == usize::from(holding.session.is_some())));
        after = page.next;
    }
    assert_eq!((sizes, leftovers), (vec![2, 2, 2], 1));
}
