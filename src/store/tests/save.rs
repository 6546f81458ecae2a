//! What a save leaves behind, and what it does not.

use super::*;
use crate::store::rows::Edge;
use crate::store::{Holding, KeywordDiff, MemberDiff};

async fn holding(store: &Store, name: &str) -> Holding {
    let page = store.load_everything(Uuid::nil(), 1000).await.unwrap();
    page.holdings.get(&sid_of(name)).cloned().unwrap_or_default()
}

fn with_everything(name: &str) -> SessionSave {
    let mut session = session(name);
    session.keywords = vec!["EU".into(), "Ranked".into()];
    session.next_timer_at = Some(start() + seconds(30));
    session.member_count = 2;
    let mut save = create(session, vec![member(0, ALICE, ACTIVE), member(1, BOB, 0)]);
    save.former_members = vec![7];
    save.handles = vec![activity(name, ALICE)];
    save
}

async fn insert_invite(database: &Database, name: &str) {
    sqlx::query("insert into handles (id, type, sid, scid, template, name, created_at) values ($1, 1, $2, $3, 'Lobby', $4, $5)")
        .bind(fresh())
        .bind(sid_of(name))
        .bind(SCID)
        .bind(name)
        .bind(start())
        .execute(&mut database.connection().await)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_created_session_is_stored_with_all_its_satellites() {
    let database = Database::new().await;
    let save = with_everything("One");
    save_one(&database.store, save.clone()).await.unwrap();

    let stored = load(&database.store, "One").await.unwrap();
    assert_eq!(stored.revision, 1);
    assert_eq!(Some(&stored.session), save.after.as_ref());
    assert_eq!(stored.former_members, [7]);
    let holding = holding(&database.store, "One").await;
    assert_eq!(holding.members.iter().map(|row| row.member.clone()).collect::<Vec<_>>(), save.members.put);
    assert!(holding.members.iter().all(|row| row.scid == SCID && row.template_key == "lobby"));
    assert_eq!(holding.keywords.iter().map(|row| row.keyword.as_str()).collect::<Vec<_>>(), ["eu", "ranked"]);
    assert_eq!(holding.timer.map(|timer| timer.due_at), Some(start() + seconds(30)));
    assert_eq!(holding.handles, save.handles);
    assert_eq!(database.store.load_changes(save.sid, 10).await.unwrap(), save.changes);
}

#[tokio::test]
async fn the_second_creation_loses_and_leaves_no_trace() {
    let database = Database::new().await;
    created(&database.store, session("One"), vec![]).await;
    let before = holding(&database.store, "One").await;

    let outcome = save_one(&database.store, with_everything("One")).await;

    assert!(matches!(outcome, Err(StoreError::LostRace)));
    assert_eq!(holding(&database.store, "One").await, before);
    assert_eq!(database.store.load_changes(sid_of("One"), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_stale_update_leaves_no_trace() {
    let database = Database::new().await;
    let stored = created(&database.store, session("One"), vec![]).await;
    save_one(&database.store, update(&stored)).await.unwrap();
    let before = holding(&database.store, "One").await;

    let mut stale = with_everything("One");
    stale.expected = Some(version(&stored));
    assert!(matches!(save_one(&database.store, stale).await, Err(StoreError::LostRace)));
    let mut deletion = delete(&stored);
    deletion.timer = TimerChange::Clear;
    assert!(matches!(save_one(&database.store, deletion).await, Err(StoreError::LostRace)));

    assert_eq!(holding(&database.store, "One").await, before);
    assert_eq!(database.store.load_changes(sid_of("One"), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_branch_that_ended_never_wins_over_its_successor() {
    let database = Database::new().await;
    let old = created(&database.store, session("One"), vec![]).await;
    save_one(&database.store, delete(&old)).await.unwrap();
    let new = created(&database.store, session("One"), vec![]).await;
    assert_eq!(old.revision, new.revision, "revisions begin again");

    assert!(matches!(save_one(&database.store, update(&old)).await, Err(StoreError::LostRace)));
    assert_eq!(load(&database.store, "One").await, Some(new));
}

#[tokio::test]
async fn an_update_changes_satellites_by_their_difference() {
    let database = Database::new().await;
    save_one(&database.store, with_everything("One")).await.unwrap();
    let stored = load(&database.store, "One").await.unwrap();

    let mut save = update(&stored);
    save.after.as_mut().unwrap().keywords = vec!["ranked".into(), "new".into()];
    save.keywords = KeywordDiff { removed: vec!["eu".into()], added: vec!["new".into()] };
    save.members = MemberDiff { removed: vec![0], put: vec![member(1, BOB, ACTIVE), member(2, 9, 1)] };
    save.timer = TimerChange::Clear;
    save.former_members = vec![ALICE, 7];
    save.handles_removed = HandleRemoval::ActivitiesOf(vec![ALICE]);
    save.handles = vec![activity("One", BOB)];
    save_one(&database.store, save.clone()).await.unwrap();

    let after = holding(&database.store, "One").await;
    assert_eq!(after.members.iter().map(|row| row.member.clone()).collect::<Vec<_>>(), save.members.put);
    assert_eq!(after.keywords.iter().map(|row| row.keyword.as_str()).collect::<Vec<_>>(), ["new", "ranked"]);
    assert_eq!(after.timer, None);
    assert_eq!(after.former_members.len(), 2);
    assert_eq!(after.handles, save.handles);
    assert_eq!(load(&database.store, "One").await.unwrap().revision, 2);
}

#[tokio::test]
async fn bookkeeping_alone_raises_the_revision_and_logs_nothing() {
    let database = Database::new().await;
    let stored = created(&database.store, session("One"), vec![]).await;
    let mut save = update(&stored);
    save.after = Some(SessionRow { private: r#"{"device":1}"#.into(), ..stored.session.clone() });
    save.changes.clear();
    save_one(&database.store, save).await.unwrap();

    let now = load(&database.store, "One").await.unwrap();
    assert_eq!((now.revision, now.session.change_number), (2, 1));
    assert_eq!(database.store.load_changes(sid_of("One"), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_deleted_session_leaves_only_its_invites_and_its_log() {
    let database = Database::new().await;
    save_one(&database.store, with_everything("One")).await.unwrap();
    save_one(&database.store, with_everything("Two")).await.unwrap();
    insert_invite(&database, "One").await;
    let neighbour = holding(&database.store, "Two").await;

    let stored = load(&database.store, "One").await.unwrap();
    save_one(&database.store, delete(&stored)).await.unwrap();

    let after = holding(&database.store, "One").await;
    assert_eq!(after.handles.iter().map(|handle| handle.kind).collect::<Vec<_>>(), [1]);
    assert_eq!(after, Holding { handles: after.handles.clone(), ..Holding::default() });
    assert_eq!(holding(&database.store, "Two").await, neighbour);
    let log = database.store.load_changes(sid_of("One"), 10).await.unwrap();
    assert_eq!(log.iter().map(|change| change.deleted).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn h34_an_invite_that_is_sent_as_its_session_ends_is_kept() {
    let database = Database::new().await;
    save_one(&database.store, with_everything("One")).await.unwrap();
    let mut save = delete(&load(&database.store, "One").await.unwrap());
    let invite = HandleRow { kind: 1, invited: Some(BOB), expires_at: Some(start() + seconds(60)), ..activity("One", ALICE) };
    save.handles = vec![invite.clone()];
    save_one(&database.store, save).await.unwrap();
    assert_eq!(holding(&database.store, "One").await, Holding { handles: vec![invite], ..Holding::default() });
}

#[tokio::test]
async fn deletion_and_creation_may_be_one_save() {
    let database = Database::new().await;
    save_one(&database.store, with_everything("One")).await.unwrap();
    insert_invite(&database, "One").await;
    let old = load(&database.store, "One").await.unwrap();

    // At the same instant under the same name: even the keyword row that stays has the key of the one that goes.
    let mut save = create(SessionRow { keywords: vec!["eu".into()], ..session("One") }, vec![member(0, BOB, ACTIVE)]);
    save.expected = Some(version(&old));
    save.members.removed = vec![1];
    save.keywords.removed = vec!["eu".into(), "ranked".into()];
    save.timer = TimerChange::Clear;
    save.former_members = vec![ALICE];
    save.handles_removed = HandleRemoval::AllButInvites;
    save.handles = vec![activity("One", ALICE)];
    save_one(&database.store, save.clone()).await.unwrap();

    let after = holding(&database.store, "One").await;
    assert_eq!(after.session, save.after);
    assert_eq!(after.members.iter().map(|row| row.member.clone()).collect::<Vec<_>>(), save.members.put);
    assert_eq!(after.keywords.iter().map(|row| row.keyword.as_str()).collect::<Vec<_>>(), ["eu"]);
    assert_eq!(after.timer, None);
    let branch = save.after.as_ref().unwrap().branch;
    assert_eq!(after.former_members.iter().map(|row| (row.branch, row.xuid)).collect::<Vec<_>>(), [(branch, ALICE)]);
    let mut handles: Vec<_> = after.handles.iter().map(|handle| (handle.kind, handle.owner)).collect();
    handles.sort_unstable();
    assert_eq!(handles, [(0, Some(ALICE)), (1, None)]);
    assert_eq!(load(&database.store, "One").await.unwrap().former_members, [ALICE]);
}

#[tokio::test]
async fn h20_an_activity_moves_to_the_session_it_is_posted_for() {
    let database = Database::new().await;
    save_one(&database.store, with_everything("One")).await.unwrap();
    let other = created(&database.store, session("Two"), vec![member(0, ALICE, ACTIVE)]).await;
    let one = load(&database.store, "One").await.unwrap();

    // The former session ends in the very batch that moves the activity away from it.
    let mut moves = update(&other);
    moves.handles = vec![activity("Two", ALICE)];
    let outcomes = database.store.save_sessions(&[moves.clone(), delete(&one)]).await;

    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(holding(&database.store, "One").await.handles, []);
    assert_eq!(holding(&database.store, "Two").await.handles, moves.handles);
}

#[tokio::test]
async fn one_loser_in_a_batch_does_not_hold_the_others_back() {
    let database = Database::new().await;
    let stale = created(&database.store, session("One"), vec![]).await;
    save_one(&database.store, update(&stale)).await.unwrap();
    let other = created(&database.store, session("Two"), vec![]).await;
    let third = created(&database.store, session("Three"), vec![]).await;

    let batch = [update(&stale), update(&other), create(session("Four"), vec![]), delete(&third), create(session("Two"), vec![])];
    let outcomes = database.store.save_sessions(&batch[..4]).await;

    assert!(matches!(outcomes[0], Err(StoreError::LostRace)));
    assert!(outcomes[1..].iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(load(&database.store, "Two").await.unwrap().revision, 2);
    assert!(load(&database.store, "Three").await.is_none());
    assert!(load(&database.store, "Four").await.is_some());
}

#[tokio::test]
async fn a_save_the_database_refuses_fails_alone() {
    let database = Database::new().await;
    let mut batch: Vec<_> = (0..8).map(|number| create(session(&format!("S{number}")), vec![member(0, ALICE, ACTIVE)])).collect();
    batch[5].after.as_mut().unwrap().private = "a text cannot hold \0".into();

    let outcomes = database.store.save_sessions(&batch).await;

    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(number == 5, matches!(outcome, Err(StoreError::Database(_))), "{number}: {outcome:?}");
        assert_eq!(number != 5, load(&database.store, &format!("S{number}")).await.is_some());
    }
    assert_eq!(holding(&database.store, "S5").await, Holding::default());
}

#[tokio::test]
async fn a_large_batch_goes_in_parts() {
    let database = Database::new().await;
    let batch: Vec<_> = (0..130).map(|number| create(session(&format!("S{number}")), vec![])).collect();
    assert!(database.store.save_sessions(&batch).await.iter().all(Result::is_ok));
    assert!(database.store.save_sessions(&batch).await.iter().all(|outcome| matches!(outcome, Err(StoreError::LostRace))));
}

#[tokio::test]
async fn followers_are_looked_up_where_a_restriction_may_ask_for_them() {
    let database = Database::new().await;
    let (carol, dave) = (3, 4);
    created(&database.store, session("One"), vec![member(0, ALICE, ACTIVE), member(1, BOB, 0)]).await;
    created(&database.store, SessionRow { join_restriction: 1, ..session("Two") }, vec![member(0, ALICE, ACTIVE)]).await;
    for (follower, followed) in [(ALICE, carol), (BOB, carol), (carol, dave), (99, carol)] {
        database.store.put_follow(follower, followed, false).await.unwrap();
    }
    let ask = |name: &str, writes_restriction| LoadAsk { writes_restriction, ..ask(name, &[carol, dave]) };
    let asks = [ask("One", false), ask("One", true), ask("Two", false), ask("None", false)];
    let loaded = database.store.load_sessions(&asks, start()).await.unwrap();

    let edge = |from, to| Edge { from, to };
    let edges = loaded.into_iter().map(|one| {
        let mut edges = one.follows;
        edges.sort_unstable();
        edges
    });
    let expected = [
        vec![],
        vec![edge(carol, dave), edge(ALICE, carol), edge(BOB, carol)],
        vec![edge(carol, dave), edge(ALICE, carol)],
        vec![edge(carol, dave)],
    ];
    assert_eq!(edges.collect::<Vec<_>>(), expected);
}
