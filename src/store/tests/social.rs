//! The social graph in bulk.

use super::*;
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::Executor as _;
use tokio::time::timeout;

use crate::store::rows::{ActivityRow, CandidateRow};
use crate::store::{
    ActivitiesAsk, CandidatesByKeyword, CandidatesByXuid, EdgeKey, EdgeRow, EdgeTable, FactsAsk, Neighbourhood, With, XuidAsk,
};

/// What a statement may take that touches thousands of edges.
const SOON: Duration = Duration::from_secs(10);

fn edge(xuid: u64, other: u64) -> EdgeRow {
    EdgeRow { xuid, other, favorite: other % 2 == 1 }
}

#[tokio::test]
async fn pages_of_edges_follow_each_other_without_gap_or_overlap() {
    let store = Database::new().await.store;
    let ends = [0, 1, i64::MAX.cast_unsigned(), 1 << 63, u64::MAX];
    let edges: Vec<EdgeRow> = ends.iter().flat_map(|from| ends.iter().map(|to| edge(*from, *to))).collect();
    let blocks: Vec<EdgeRow> = edges.iter().map(|edge| EdgeRow { favorite: false, ..*edge }).collect();
    store.import_edges(&edges, &blocks, false).await.unwrap();
    for (table, expected) in [(EdgeTable::Follows, &edges), (EdgeTable::Blocks, &blocks)] {
        for size in 1..=26 {
            let (mut found, mut key) = (Vec::new(), Some(EdgeKey::FIRST));
            while let Some(from) = key {
                let page = store.page_edges(table, from, size).await.unwrap();
                key = page.last().and_then(EdgeKey::behind);
                found.extend(page);
            }
            assert_eq!(found.len(), expected.len());
            assert!(expected.iter().all(|edge| found.contains(edge)));
        }
    }
}

/// Everybody from 1 to `count` follows and is followed by everybody else.
fn around(xuid: u64, count: u64) -> Neighbourhood {
    let others: Vec<u64> = (1..=count).filter(|other| *other != xuid).collect();
    let follows = others.iter().map(|other| (*other, *other == xuid + 1)).collect();
    Neighbourhood { xuid, follows, followers: others, ..Neighbourhood::default() }
}

#[tokio::test]
async fn neighbours_are_written_side_by_side() {
    const COUNT: u64 = 12;
    let store = Database::new().await.store;
    for round in 0..6 {
        let writes = (1..=COUNT).map(|xuid| {
            let store = store.clone();
            async move {
                let count = if round % 2 == 0 { COUNT } else { 0 };
                store.put_neighbours(&around(xuid, count)).await
            }
        });
        for written in join_all(writes).await {
            written.unwrap();
        }
        let edges = store.page_edges(EdgeTable::Follows, EdgeKey::FIRST, 1000).await.unwrap();
        let expected = if round % 2 == 0 { usize::try_from(COUNT * (COUNT - 1)).unwrap() } else { 0 };
        assert_eq!(edges.len(), expected, "round {round}");
        assert!(edges.iter().all(|edge| edge.favorite == (edge.other == edge.xuid + 1)));
    }
    assert_eq!(store.put_neighbours(&around(1, COUNT)).await.unwrap(), 2 * (i64::try_from(COUNT).unwrap() - 1));
    assert_eq!(store.put_neighbours(&around(1, COUNT)).await.unwrap(), 0, "nothing changes");
}

/// 20,000 edges from 100 users, and as many others for every round.
fn thousands(round: u64) -> Vec<EdgeRow> {
    (0..20_000).map(|n| edge(n % 100, round * 20_000 + n)).collect()
}

/// A store with plans that were made while nothing was known but that the tables are empty.
async fn analyzed_empty() -> Database {
    let database = Database::new().await;
    let mut connection = database.connection().await;
    for table in ["follows", "blocks"] {
        connection.execute(sqlx::AssertSqlSafe(format!("alter table {table} set (autovacuum_enabled = off)"))).await.unwrap();
    }
    connection.execute("analyze").await.unwrap();
    database
}

#[tokio::test]
async fn a40_a_large_import_over_another_takes_its_time_but_not_the_square_of_it() {
    let database = analyzed_empty().await;
    for (round, replace) in [(0, true), (0, true), (1, true), (1, false), (2, true)] {
        let edges = thousands(round);
        let import = database.store.import_edges(&edges, &edges, replace);
        assert!(timeout(SOON, import).await.expect("it ends soon").unwrap());
    }
    for table in [EdgeTable::Follows, EdgeTable::Blocks] {
        assert_eq!(database.store.page_edges(table, EdgeKey::FIRST, 100_000).await.unwrap().len(), 20_000);
    }
}

#[tokio::test]
async fn a40_a_user_with_thousands_of_neighbours_is_written_soon() {
    let store = analyzed_empty().await.store;
    let around = |round: u64| {
        let others = move |of: u64| (1..=20_000).map(move |n| of * 1_000_000 + round * 20_000 + n);
        Neighbourhood {
            xuid: 7,
            follows: others(1).map(|other| (other, false)).collect(),
            followers: others(2).collect(),
            blocks: others(3).collect(),
            blocked_by: others(4).collect(),
        }
    };
    for (round, changes) in [(0, 80_000), (0, 0), (1, 160_000), (1, 0), (2, 160_000)] {
        let changed = timeout(SOON, store.put_neighbours(&around(round))).await.expect("it ends soon").unwrap();
        assert_eq!(changed, changes, "round {round}");
    }
    let follows = store.page_edges(EdgeTable::Follows, EdgeKey::FIRST, 100_000).await.unwrap();
    assert_eq!(follows.len(), 40_000, "those of the last round");
}

#[tokio::test]
async fn a40_of_two_imports_at_once_one_is_sent_away() {
    let database = Database::new().await;
    let mut first = database.connection().await;
    first.execute("select pg_advisory_lock(8030029660491182191)").await.unwrap();
    let edges = [edge(1, 2)];
    assert!(!timeout(SOON, database.store.import_edges(&edges, &[], false)).await.expect("at once").unwrap());
    assert_eq!(database.store.list_follows(1, false).await.unwrap(), [] as [u64; 0]);
    first.execute("select pg_advisory_unlock_all()").await.unwrap();
    assert!(database.store.import_edges(&edges, &[], false).await.unwrap());
}

#[tokio::test]
async fn a40_no_statement_counts_follows_of_users_who_are_distrusted() {
    const CAROL: u64 = 3;
    let database = Database::new().await;
    let store = &database.store;
    for (name, large) in [("One", false), ("Big", true)] {
        let restricted =
            SessionRow { join_restriction: 1, read_restriction: 1, large, keywords: vec!["eu".into()], ..session(name) };
        let mut save = create(restricted, vec![member(0, ALICE, ACTIVE)]);
        save.handles = vec![activity(name, ALICE)];
        save_one(store, save).await.unwrap();
    }
    store.put_follow(ALICE, CAROL, true).await.unwrap();
    store.put_follow(CAROL, ALICE, true).await.unwrap();

    // By every statement that reads follows: whether somebody follows Carol, and whom she follows.
    let told = async || {
        let followed = |rows: &[CandidateRow]| rows.iter().all(|row| row.codes.facts.followed) && !rows.is_empty();
        let facts = FactsAsk { sid: sid_of("One"), caller: CAROL, device_id: None };
        let asks = [XuidAsk { xuid: ALICE, after: None }];
        let (scid, callers, limit) = (SCID, &[CAROL][..], 10);
        let by_xuid = CandidatesByXuid {
            asks: &asks,
            scid,
            template_key: None,
            keyword: None,
            callers,
            device_ids: &[],
            states: &[ACTIVE],
            private: false,
            now: start(),
            limit,
        };
        let by_keyword =
            CandidatesByKeyword { keyword: "eu", scid, template_key: None, after: None, callers, device_ids: &[], limit };
        let activities = ActivitiesAsk {
            owners: &[ALICE],
            scid: None,
            callers,
            device_ids: &[],
            with: With { facts: true, ..With::default() },
            newest_first: false,
            only: None,
            limit,
        };
        let found = store.find_activities(activities, start()).await.unwrap();
        let near = |row: &ActivityRow| row.session.as_ref().unwrap().codes.facts.followed;
        let mut lock = store.lock_session(sid_of("One")).await.unwrap();
        let locked = lock.load(&ask("One", &[CAROL]), start()).await.unwrap();
        drop(lock);
        [
            !store.load_sessions(&[ask("One", &[CAROL])], start()).await.unwrap()[0].follows.is_empty(),
            !locked.follows.is_empty(),
            store.access_facts(&[facts]).await.unwrap()[0].followed,
            followed(&store.find_candidates_by_xuid(by_xuid).await.unwrap()[0]),
            followed(&store.find_candidates_by_keyword(by_keyword).await.unwrap()),
            found.iter().all(near) && !found.is_empty(),
            !store.list_follows(CAROL, false).await.unwrap().is_empty(),
        ]
    };
    assert_eq!(told().await, [true; 7]);
    store.distrust_follows(CAROL, start());
    assert_eq!(told().await, [false; 7]);
    let others = store.load_sessions(&[ask("One", &[CAROL, ALICE])], start()).await.unwrap()[0].follows.clone();
    assert_eq!(others.iter().map(|edge| (edge.from, edge.to)).collect::<Vec<_>>(), [(CAROL, ALICE)], "what others say counts");
    store.trust_follows(CAROL);
    assert_eq!(told().await, [true; 7]);
}
