//! Large sessions: which of their members a decision is given, and that none survives its session.

use super::*;
use crate::store::rows::LargeMember;

/// A member whose document is its index, so that the tests can tell them apart.
fn hidden(index: i32, due_at: Option<DateTime<Utc>>) -> MemberRow {
    let document = index.to_string();
    let joined_at = start() + seconds(i64::from(index));
    let large = LargeMember { document, since: joined_at, due_at, joined_at, grace_until: None };
    MemberRow {
        owner: index == 3,
        large: Some(large),
        device_id: (index == 0).then(|| "device".to_owned()),
        ..member(index, 1000 + u64::from(index.unsigned_abs()), ACTIVE)
    }
}

fn large(name: &str) -> SessionRow {
    SessionRow { large: true, member_count: 2000, max_members: 10_000, ..session(name) }
}

async fn indices(store: &Store, ask: LoadAsk, now: DateTime<Utc>) -> (Vec<i32>, Option<DateTime<Utc>>) {
    let stored = store.load_sessions(&[ask], now).await.unwrap().remove(0).stored.unwrap();
    let mut found: Vec<i32> = stored.members.iter().map(|member| member.document.parse().unwrap()).collect();
    found.sort_unstable();
    (found, stored.next_due)
}

#[tokio::test]
async fn m95_a_decision_is_given_the_members_it_can_concern() {
    let database = Database::new().await;
    let store = &database.store;
    let due = |index: i32| (index >= 1000).then(|| start() + seconds(i64::from(index)));
    let members: Vec<MemberRow> = (0..2000).map(|index| hidden(index, due(index))).collect();
    save_one(store, create(large("Big"), members)).await.unwrap();
    created(store, session("Small"), vec![member(0, 1007, ACTIVE)]).await;

    // The owner, and the first who would inherit.
    assert_eq!(indices(store, ask("Big", &[]), start()).await, (vec![0, 3], due(1000)));
    let named = LoadAsk { indices: vec![9, 1000, 7777], ..ask("Big", &[1000, 1007, 5]) };
    assert_eq!(indices(store, named, start()).await, (vec![0, 1, 3, 7, 9, 1000], due(1001)));
    let at = |second: i64| start() + seconds(second);
    assert_eq!(indices(store, ask("Big", &[]), at(1001)).await, (vec![0, 3, 1000, 1001], due(1002)));
    let (found, next) = indices(store, ask("Big", &[]), at(5000)).await;
    assert_eq!((found.len(), found.last(), next), (502, Some(&1499), due(1500)), "the first 500 that are due");

    let asks = [ask("Small", &[1007]), ask("Big", &[1007])];
    let loaded = store.load_sessions(&asks, start()).await.unwrap();
    assert_eq!(loaded[0].stored.as_ref().map(|stored| stored.members.len()), Some(0), "others come with their document");
    let one = loaded[1].stored.as_ref().and_then(|stored| stored.members.iter().find(|member| member.document == "0"));
    assert_eq!(one.map(|one| (one.since, one.device_id.as_deref())), Some((start(), Some("device"))));
}

#[tokio::test]
async fn a41_whoever_blocks_a_caller_is_found_among_thousands() {
    let database = Database::new().await;
    let store = &database.store;
    save_one(store, create(large("Big"), (0..100).map(|index| hidden(index, None)).collect())).await.unwrap();
    for (blocker, blocked) in [(1003, 5), (1050, 5), (99, 5), (1003, 6)] {
        store.put_block(blocker, blocked).await.unwrap();
    }
    let loaded = store.load_sessions(&[ask("Big", &[5])], start()).await.unwrap().remove(0);
    let mut from: Vec<u64> = loaded.blocks.iter().map(|edge| edge.from).collect();
    from.sort_unstable();
    assert_eq!((from, loaded.follows.len()), (vec![1003, 1050], 0));
}

#[tokio::test]
async fn m93_no_member_survives_a_large_session() {
    let database = Database::new().await;
    let store = &database.store;
    save_one(store, create(large("Big"), (0..3000).map(|index| hidden(index, None)).collect())).await.unwrap();
    created(store, session("Small"), vec![member(0, 1007, ACTIVE)]).await;
    let stored = load(store, "Big").await.unwrap();
    let mut save = delete(&stored);
    save.members.removed = vec![0, 3];
    save_one(store, save).await.unwrap();
    let page = store.load_everything(Uuid::nil(), 10).await.unwrap();
    assert_eq!(page.holdings.keys().collect::<Vec<_>>(), [&sid_of("Small")]);
}
