//! The change log and its days.

use sqlx::{Executor as _, Row as _};

use super::*;
use crate::store::WriteAsk;

async fn places_of(database: &Database, sid: Uuid) -> Vec<String> {
    let query =
        sqlx::query("select tableoid::regclass::text as place from changes where sid = $1 order by change_number").bind(sid);
    query.fetch_all(&mut database.connection().await).await.unwrap().iter().map(|row| row.get("place")).collect()
}

#[tokio::test]
async fn a_write_is_found_by_its_log_row_or_by_its_handle() {
    let database = Database::new().await;
    let store = &database.store;
    let save = create(session("One"), vec![member(0, ALICE, ACTIVE)]);
    save_one(store, save.clone()).await.unwrap();
    let mut posted = update(&load(store, "One").await.unwrap());
    posted.changes.clear();
    posted.handles = vec![activity("One", ALICE)];
    save_one(store, posted.clone()).await.unwrap();
    let lost = create(session("One"), vec![]);
    save_one(store, lost.clone()).await.unwrap_err();

    let ask = |save: &SessionSave| WriteAsk {
        sid: save.sid,
        write_id: save.write_id,
        handle: save.handles.first().map(|handle| handle.id),
    };
    assert_eq!(store.find_writes(&[ask(&lost), ask(&posted), ask(&save)]).await.unwrap(), [false, true, true]);
}

#[tokio::test]
async fn days_are_made_ahead_and_take_over_what_came_before_them() {
    let database = Database::new().await;
    let store = &database.store;
    let sid = created(store, session("One"), vec![]).await.session.reference.sid;
    assert_eq!(places_of(&database, sid).await, ["changes_default"]);

    let (one, other) = tokio::join!(store.ensure_partitions(start()), store.ensure_partitions(start() + seconds(60)));
    assert_eq!(one.unwrap() + other.unwrap(), 5);
    assert_eq!(store.ensure_partitions(start()).await.unwrap(), 0);
    assert_eq!(store.ensure_partitions(start() + seconds(86_400)).await.unwrap(), 1);
    assert_eq!(places_of(&database, sid).await, ["changes_20260101"]);

    let mut late = update(&load(store, "One").await.unwrap());
    late.changes[0].at = start() + seconds(400 * 86_400);
    save_one(store, late).await.unwrap();
    assert_eq!(places_of(&database, sid).await, ["changes_20260101", "changes_default"]);
}

#[tokio::test]
async fn old_days_are_forgotten() {
    let database = Database::new().await;
    let store = &database.store;
    store.ensure_partitions(start()).await.unwrap();
    let first = created(store, session("One"), vec![]).await;
    let mut old = update(&first);
    old.changes[0].at = start() - seconds(10 * 86_400);
    save_one(store, old).await.unwrap();
    assert_eq!(places_of(&database, first.session.reference.sid).await, ["changes_20260101", "changes_default"]);

    assert_eq!(store.drop_partitions(start()).await.unwrap(), 1, "yesterday goes");
    assert_eq!(places_of(&database, first.session.reference.sid).await, ["changes_20260101"]);
    assert_eq!(store.drop_partitions(start() + seconds(86_400)).await.unwrap(), 1);
    assert_eq!(store.load_changes(first.session.reference.sid, 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_day_is_the_day_of_utc() {
    let database = Database::new().await;
    let mut connection = database.connection().await;
    connection.execute("set timezone = 'Pacific/Auckland'").await.unwrap();
    connection.execute("select ensure_changes_partition('2026-01-01')").await.unwrap();
    let bounds = "set timezone = 'UTC'; select 1";
    connection.execute(bounds).await.unwrap();
    let row = connection
        .fetch_one("select pg_get_expr(relpartbound, oid) as bounds from pg_class where relname = 'changes_20260101'")
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>("bounds"), "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-01-02 00:00:00+00')");
}

#[tokio::test]
async fn a_branch_is_read_from_a_number_on() {
    let database = Database::new().await;
    let store = &database.store;
    let mut loaded = created(store, session("One"), vec![]).await;
    for _ in 0..4 {
        save_one(store, update(&loaded)).await.unwrap();
        loaded = load(store, "One").await.unwrap();
    }
    let (sid, branch) = (loaded.session.reference.sid, loaded.session.branch);
    let numbers = async |after, last, limit| {
        let rows = store.read_changes(sid, branch, (after, last), limit).await.unwrap();
        rows.iter().map(|row| row.change_number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, i64::MAX, 100).await, [1, 2, 3, 4, 5]);
    assert_eq!(numbers(2, 4, 100).await, [3, 4]);
    assert_eq!(numbers(1, i64::MAX, 2).await, [2, 3]);
    assert_eq!(numbers(5, i64::MAX, 2).await, [0; 0]);
    assert_eq!(store.read_changes(sid, Uuid::nil(), (0, 9), 9).await.unwrap(), []);
    let probed = store.probe_sessions(&[Uuid::nil(), sid]).await.unwrap();
    assert_eq!(probed, [None, Some((branch, 5))]);
    assert_eq!(store.list_lives(sid).await.unwrap(), [branch]);
}

#[tokio::test]
async fn lives_are_listed_in_their_order() {
    let database = Database::new().await;
    let sid = Uuid::from_u128(1);
    let life = |branch: u128, began: &str, ended: Option<&str>| {
        let branch = Uuid::from_u128(branch);
        let row = |number: u32, at: &str, deleted: bool| {
            format!(
                "insert into changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor)
                 values ('{sid}', '{branch}', {number}, '{at}', gen_random_uuid(), 0, 0, {deleted}, '');"
            )
        };
        format!("{}{}", row(1, began, false), ended.map_or_else(String::new, |at| row(2, at, true)))
    };
    let (one, two) = ("2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z");
    // Made, ended and made again in one instant: what ended comes first.
    let statements = [life(1, two, None), life(2, one, Some(two)), life(3, two, Some(two)), life(4, one, Some(one))].concat();
    database.connection().await.execute(sqlx::AssertSqlSafe(statements)).await.unwrap();
    let lives = database.store.list_lives(sid).await.unwrap();
    assert_eq!(lives, [4, 2, 3, 1].map(Uuid::from_u128));
}

#[tokio::test]
async fn one_instance_at_a_time_forgets() {
    let database = Database::new().await;
    let store = &database.store;
    store.ensure_partitions(start()).await.unwrap();
    let mut other = database.connection().await;
    other.execute("select pg_advisory_lock(8030029660440982119)").await.unwrap();
    assert_eq!(store.drop_partitions(start()).await.unwrap(), 0);
    other.execute("select pg_advisory_unlock_all()").await.unwrap();
    assert_eq!(store.drop_partitions(start()).await.unwrap(), 1);
}

/// A statement is answered a moment before it is rid of its locks.
async fn until_nobody_is_at_it(database: &Database) {
    let lock = "begin; select pg_advisory_xact_lock(8030029660440982119); commit";
    database.connection().await.execute(lock).await.unwrap();
}

/// Somebody reads the log for long, as a dump of the database does: days are not made and not dropped then, but nobody has to wait.
#[tokio::test]
async fn nobody_waits_behind_the_days_of_the_log() {
    let database = Database::new().await;
    let store = &database.store;
    store.ensure_partitions(start()).await.unwrap();
    let mut loaded = created(store, session("One"), vec![]).await;
    let mut other = database.connection().await;
    for _ in 0..2 {
        other.execute("begin").await.unwrap();
        other.execute("lock table changes in access share mode").await.unwrap();
        let tomorrow = start() + seconds(86_400);
        let (made, dropped, saved) =
            tokio::join!(store.ensure_partitions(tomorrow), store.drop_partitions(tomorrow), save_one(store, update(&loaded)));
        assert!(matches!(made, Err(StoreError::Unavailable(_))), "{made:?}");
        assert!(matches!(dropped, Ok(0) | Err(StoreError::Unavailable(_))), "{dropped:?}");
        saved.unwrap();
        until_nobody_is_at_it(&database).await;
        let dropped = store.drop_partitions(tomorrow).await;
        assert!(matches!(dropped, Err(StoreError::Unavailable(_))), "{dropped:?}");
        loaded = load(store, "One").await.unwrap();
        other.execute("rollback").await.unwrap();
    }
    assert_eq!(store.ensure_partitions(start() + seconds(86_400)).await.unwrap(), 1);
    until_nobody_is_at_it(&database).await;
    assert_eq!(store.drop_partitions(start()).await.unwrap(), 1);
}

#[tokio::test]
async fn days_are_made_and_dropped_at_the_same_time() {
    let database = Database::new().await;
    let store = &database.store;
    store.ensure_partitions(start()).await.unwrap();
    for day in 1..15 {
        let now = start() + seconds(day * 86_400);
        let (one, other, dropped, again) = tokio::join!(
            store.ensure_partitions(now),
            store.ensure_partitions(now),
            store.drop_partitions(now),
            store.drop_partitions(now)
        );
        assert!(one.unwrap() + other.unwrap() > 0);
        // Either may have found somebody else at it.
        dropped.unwrap();
        again.unwrap();
    }
    let last = start() + seconds(14 * 86_400);
    until_nobody_is_at_it(&database).await;
    store.drop_partitions(last).await.unwrap();
    store.ensure_partitions(last).await.unwrap();
    let left = "select count(*) as count from pg_inherits where inhparent = 'changes'::regclass";
    let row = database.connection().await.fetch_one(left).await.unwrap();
    assert_eq!(row.get::<i64, _>("count"), 6, "yesterday to three days ahead, and the default partition");
}
