//! Savers at the same time.

use std::collections::HashMap;

use super::*;

/// Eight savers on pools of their own change two counters per batch, in opposite orders, until each has won a number of times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_wins_over_a_version_that_is_gone() {
    let database = Database::new().await;
    for name in ["One", "Two"] {
        created(&database.store, session(name), vec![]).await;
    }
    let savers = (0..8_usize).map(|number| {
        let store = database.store.clone();
        tokio::spawn(async move {
            let mut wins: HashMap<Uuid, i64> = HashMap::new();
            for round in 0..40 {
                let mut names = ["One", "Two"];
                if number % 2 == round % 2 {
                    names.reverse();
                }
                let batch = [update(&load(&store, names[0]).await.unwrap()), update(&load(&store, names[1]).await.unwrap())];
                for (save, outcome) in batch.iter().zip(store.save_sessions(&batch).await) {
                    match outcome {
                        Ok(()) => *wins.entry(save.sid).or_default() += 1,
                        Err(StoreError::LostRace) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            wins
        })
    });
    let mut total: HashMap<Uuid, i64> = HashMap::new();
    for saver in savers.collect::<Vec<_>>() {
        for (sid, wins) in saver.await.unwrap() {
            *total.entry(sid).or_default() += wins;
        }
    }
    for name in ["One", "Two"] {
        let stored = load(&database.store, name).await.unwrap();
        let log = database.store.load_changes(sid_of(name), 10_000).await.unwrap();
        assert_eq!(stored.revision, 1 + total[&sid_of(name)]);
        assert_eq!(log.iter().map(|change| change.change_number).collect::<Vec<_>>(), (1..=stored.revision).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_creations_wins() {
    let database = Database::new().await;
    let names = ["A", "B", "C", "D", "E"];
    let savers: Vec<_> = (0..8_u64)
        .map(|number| {
            let store = database.store.clone();
            tokio::spawn(async move {
                let mut batch: Vec<_> = names.iter().map(|name| create(session(name), vec![member(0, number, ACTIVE)])).collect();
                if number % 2 == 0 {
                    batch.reverse();
                }
                let outcomes = store.save_sessions(&batch).await;
                batch
                    .into_iter()
                    .zip(outcomes)
                    .filter(|(_, outcome)| outcome.is_ok())
                    .map(|(save, _)| (save.sid, number))
                    .collect()
            })
        })
        .collect();
    let mut winners: Vec<(Uuid, u64)> = Vec::new();
    for saver in savers {
        let won: Vec<_> = saver.await.unwrap();
        winners.extend(won);
    }
    winners.sort_unstable();
    let page = database.store.load_everything(Uuid::nil(), 100).await.unwrap();
    let members: Vec<_> =
        page.holdings.iter().flat_map(|(&sid, one)| one.members.iter().map(move |row| (sid, row.member.xuid))).collect();
    assert_eq!(winners, members);
    assert_eq!(winners.len(), names.len());
}

#[tokio::test]
async fn a_save_waits_for_the_other_and_then_loses() {
    let database = Database::new().await;
    let stored = created(&database.store, session("One"), vec![]).await;
    let mut other = database.connection().await;
    sqlx::query("begin").execute(&mut other).await.unwrap();
    sqlx::query("update sessions set revision = revision + 1").execute(&mut other).await.unwrap();

    let mut save = update(&stored);
    save.members.put = vec![member(0, ALICE, ACTIVE)];
    let store = database.store.clone();
    let waiting = tokio::spawn(async move { save_one(&store, save).await });
    loop {
        let blocked = sqlx::query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'");
        if blocked.fetch_optional(&mut database.connection().await).await.unwrap().is_some() {
            break;
        }
    }
    sqlx::query("commit").execute(&mut other).await.unwrap();

    assert!(matches!(waiting.await.unwrap(), Err(StoreError::LostRace)));
    assert_eq!(database.store.load_everything(Uuid::nil(), 10).await.unwrap().holdings[&sid_of("One")].members, []);
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_save_leaves_its_outcome_unknown() {
    let database = Database::new().await;
    let stored = created(&database.store, session("One"), vec![]).await;
    let mut other = database.connection().await;
    sqlx::query("begin").execute(&mut other).await.unwrap();
    sqlx::query("select from sessions for update").execute(&mut other).await.unwrap();
    let store = database.store.clone();
    let waiting = tokio::spawn(async move { save_one(&store, update(&stored)).await });
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    // Within its transaction the other connection would see the same activity for ever.
    while sqlx::query(end).fetch_optional(&mut database.connection().await).await.unwrap().is_none() {}
    assert!(matches!(waiting.await.unwrap(), Err(StoreError::Unknown(_))));
    sqlx::query("rollback").execute(&mut other).await.unwrap();
    assert_eq!(load(&database.store, "One").await.unwrap().revision, 1);
}

#[tokio::test]
async fn a_locked_session_is_saved_by_its_lock_and_by_nobody_else() {
    let database = Database::new().await;
    let stored = created(&database.store, session("One"), vec![]).await;
    let ask = ask("One", &[]);
    drop(database.store.lock_session(ask.sid).await.unwrap());
    let mut lock = database.store.lock_session(ask.sid).await.unwrap();
    let loaded = lock.load(&ask, start()).await.unwrap().stored.unwrap();

    let store = database.store.clone();
    let waiting = tokio::spawn(async move { save_one(&store, update(&stored)).await });
    let blocked = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while sqlx::query(blocked).fetch_optional(&mut database.connection().await).await.unwrap().is_none() {}
    lock.save(&update(&loaded)).await.unwrap();

    assert!(matches!(waiting.await.unwrap(), Err(StoreError::LostRace)));
    assert_eq!(load(&database.store, "One").await.unwrap().revision, 2);
}
