//! What sessions are found by: rows that come, move and go with the save of their session.

use super::*;
use crate::store::rows::SearchValueRow;
use crate::store::{HandleChange, Holding, SearchDiff, SearchPlace};

async fn holding(store: &Store, name: &str) -> Holding {
    let page = store.load_everything(Uuid::nil(), 1000).await.unwrap();
    page.holdings.get(&sid_of(name)).cloned().unwrap_or_default()
}

fn place(second: i64) -> SearchPlace {
    SearchPlace { scid: SCID, template_key: "lobby".into(), posted_at: start() + seconds(second) }
}

fn search_handle(name: &str, second: i64) -> HandleRow {
    HandleRow { kind: 2, created_at: place(second).posted_at, document: Some("{}".into()), ..activity(name, ALICE) }
}

fn number(attribute: &str, number: f64) -> SearchValueRow {
    SearchValueRow { attribute: attribute.into(), number: Some(number), text: None }
}

fn text(attribute: &str, text: &str) -> SearchValueRow {
    SearchValueRow { attribute: attribute.into(), number: None, text: Some(text.into()) }
}

/// Lists a session: a handle, two values and two terms.
fn listing(name: &str, second: i64) -> Box<SearchDiff> {
    Box::new(SearchDiff {
        place: place(second),
        handle: HandleChange::Put(Box::new(search_handle(name, second))),
        removed_values: Vec::new(),
        values: vec![number("numbers/level", 12.0), text("strings/map", "harbor")],
        removed_terms: Vec::new(),
        terms: vec!["tags:casual".into(), "tags:coop".into()],
    })
}

/// Takes all that back.
fn unlisting(second: i64) -> Box<SearchDiff> {
    let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    Box::new(SearchDiff {
        place: place(second),
        handle: HandleChange::Remove,
        removed_values: names(["numbers/level", "strings/map"]),
        values: Vec::new(),
        removed_terms: names(["tags:casual", "tags:coop"]),
        terms: Vec::new(),
    })
}

/// A session that is created listed, and what is held of it.
async fn listed(store: &Store, name: &str) -> (StoredSession, Holding) {
    let mut save = create(session(name), vec![member(0, ALICE, ACTIVE)]);
    save.search = Some(listing(name, 0));
    save_one(store, save).await.unwrap();
    (load(store, name).await.unwrap(), holding(store, name).await)
}

fn is_unfound(holding: &Holding) -> bool {
    holding.handles.iter().all(|handle| handle.kind != 2) && holding.search_values.is_empty() && holding.search_terms.is_empty()
}

#[tokio::test]
async fn h61_a_listed_session_has_its_rows_where_it_stands() {
    let database = Database::new().await;
    let (_, holding) = listed(&database.store, "One").await;
    let values = [(number("numbers/level", 12.0), place(0)), (text("strings/map", "harbor"), place(0))];
    assert_eq!(holding.search_values, values);
    assert_eq!(holding.search_terms, [("tags:casual".to_owned(), place(0)), ("tags:coop".to_owned(), place(0))]);
    assert_eq!(holding.handles.iter().map(|handle| (handle.kind, handle.owner)).collect::<Vec<_>>(), [(2, Some(ALICE))]);
}

#[tokio::test]
async fn h62_a_listing_in_place_of_another_moves_every_row() {
    let database = Database::new().await;
    let (stored, before) = listed(&database.store, "One").await;
    let (_, neighbour) = listed(&database.store, "Two").await;
    let mut save = update(&stored);
    let mut search = listing("One", 5);
    search.values = vec![number("numbers/level", 13.0), text("numbers/map", "harbor")];
    search.removed_values = vec!["strings/map".into()];
    (search.terms, search.removed_terms) = (vec!["tags:casual".into(), "tags:ranked".into()], vec!["tags:coop".into()]);
    let HandleChange::Put(handle) = search.handle.clone() else { panic!("it is put") };
    save.search = Some(search);
    save_one(&database.store, save).await.unwrap();

    let after = holding(&database.store, "One").await;
    assert_eq!(after.handles, [*handle]);
    assert_ne!(after.handles, before.handles);
    assert_eq!(after.search_values, [(number("numbers/level", 13.0), place(5)), (text("numbers/map", "harbor"), place(5))]);
    assert_eq!(after.search_terms, [("tags:casual".to_owned(), place(5)), ("tags:ranked".to_owned(), place(5))]);
    assert_eq!(holding(&database.store, "Two").await, neighbour);
}

#[tokio::test]
async fn s26_values_change_under_a_handle_that_stays() {
    let database = Database::new().await;
    let (stored, before) = listed(&database.store, "One").await;
    let mut save = update(&stored);
    let mut search = listing("One", 0);
    (search.handle, search.terms) = (HandleChange::Keep, Vec::new());
    search.values = vec![number("session/memberscount", 2.0)];
    save.search = Some(search);
    save_one(&database.store, save).await.unwrap();

    let after = holding(&database.store, "One").await;
    assert_eq!((&after.handles, &after.search_terms), (&before.handles, &before.search_terms));
    assert_eq!(after.search_values.len(), 3);
}

#[tokio::test]
async fn a_lost_race_leaves_no_trace_in_what_is_found() {
    let database = Database::new().await;
    let (stale, _) = listed(&database.store, "One").await;
    save_one(&database.store, update(&stale)).await.unwrap();
    let before = holding(&database.store, "One").await;

    let searches = [listing("One", 9), unlisting(0)];
    for search in &searches {
        let mut save = update(&stale);
        save.search = Some(search.clone());
        assert!(matches!(save_one(&database.store, save).await, Err(StoreError::LostRace)));
    }
    let mut second = create(session("One"), vec![]);
    second.search = Some(listing("One", 9));
    assert!(matches!(save_one(&database.store, second).await, Err(StoreError::LostRace)));
    let mut deletion = delete(&stale);
    deletion.search = Some(unlisting(0));
    assert!(matches!(save_one(&database.store, deletion).await, Err(StoreError::LostRace)));
    assert_eq!(holding(&database.store, "One").await, before);

    // Under the lock of somebody who has lost too often it is the same.
    let fresh = load(&database.store, "One").await.unwrap();
    for (stored, wins) in [(&stale, false), (&fresh, true)] {
        let lock = database.store.lock_session(sid_of("One")).await.unwrap();
        let save = SessionSave { search: Some(unlisting(0)), ..update(stored) };
        assert_eq!(lock.save(&save).await.is_ok(), wins);
        assert_eq!(is_unfound(&holding(&database.store, "One").await), wins);
    }
}

#[tokio::test]
async fn h66_a_session_that_ends_is_not_found() {
    let database = Database::new().await;
    let (stored, _) = listed(&database.store, "One").await;
    let (_, neighbour) = listed(&database.store, "Two").await;
    let mut save = delete(&stored);
    save.search = Some(unlisting(0));
    save_one(&database.store, save).await.unwrap();
    assert_eq!(holding(&database.store, "One").await, Holding::default());
    assert_eq!(holding(&database.store, "Two").await, neighbour);
}

#[tokio::test]
async fn h66_a_session_that_is_born_again_starts_unfound_or_anew() {
    let database = Database::new().await;
    for (name, anew) in [("One", false), ("Two", true)] {
        let (stored, _) = listed(&database.store, name).await;
        let mut save = create(session(name), vec![member(0, BOB, ACTIVE)]);
        save.expected = Some(version(&stored));
        save.handles_removed = HandleRemoval::AllButInvites;
        save.search = Some(if anew { listing(name, 7) } else { unlisting(0) });
        save_one(&database.store, save.clone()).await.unwrap();
        let after = holding(&database.store, name).await;
        assert_eq!(is_unfound(&after), !anew);
        if let (true, Some(HandleChange::Put(handle))) = (anew, save.search.map(|search| search.handle)) {
            assert_eq!(after.handles, [*handle]);
            assert!(after.search_values.iter().all(|(_, at)| *at == place(7)));
        }
    }
}

#[tokio::test]
async fn a_batch_saves_what_is_found_of_those_that_win() {
    let database = Database::new().await;
    let name = |number: usize| format!("S{number}");
    let batch = |second: i64| -> Vec<SessionSave> {
        let one = |number: usize| {
            let mut save = create(session(&name(number)), vec![]);
            save.search = number.is_multiple_of(3).then(|| listing(&name(number), second));
            save
        };
        (0..64).map(one).collect()
    };
    // Every other one is there already.
    let earlier: Vec<SessionSave> = batch(1).into_iter().step_by(2).collect();
    assert!(database.store.save_sessions(&earlier).await.iter().all(Result::is_ok));
    let outcomes = database.store.save_sessions(&batch(2)).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        let new = number % 2 == 1;
        assert_eq!(outcome.is_ok(), new, "{number}: {outcome:?}");
        let holding = holding(&database.store, &name(number)).await;
        let expected = if new { place(2) } else { place(1) };
        assert_eq!(is_unfound(&holding), number % 3 != 0, "{number}");
        assert!(holding.search_terms.iter().all(|(_, at)| *at == expected), "{number}");
    }
}

#[tokio::test]
async fn a_listing_the_database_refuses_fails_alone_and_whole() {
    let database = Database::new().await;
    let mut batch: Vec<_> = (0..8).map(|number| create(session(&format!("S{number}")), vec![])).collect();
    for (number, save) in batch.iter_mut().enumerate().filter(|(number, _)| number % 2 == 1) {
        save.search = Some(listing(&format!("S{number}"), 0));
    }
    batch[5].search.as_mut().unwrap().values.push(text("strings/bad", "a text cannot hold \0"));

    let outcomes = database.store.save_sessions(&batch).await;

    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(number == 5, matches!(outcome, Err(StoreError::Database(_))), "{number}: {outcome:?}");
        let holding = holding(&database.store, &format!("S{number}")).await;
        assert_eq!((holding.session.is_some(), is_unfound(&holding)), (number != 5, number % 2 == 0 || number == 5), "{number}");
    }
}

#[tokio::test]
async fn long_texts_and_names_fit_into_their_indexes() {
    let database = Database::new().await;
    let mut save = create(session("One"), vec![]);
    let mut search = listing("One", 0);
    let (name, long) = ("🎲".repeat(99), "🎲".repeat(1024));
    search.values = vec![text(&format!("strings/{name}"), &long), number(&format!("numbers/{name}"), f64::MIN)];
    search.terms = vec![format!("tags:{name}"), format!("session/keywords:{name}")];
    save.search = Some(search);
    save_one(&database.store, save).await.unwrap();
    let after = holding(&database.store, "One").await;
    assert_eq!(after.search_values.iter().filter_map(|(value, _)| value.text.as_deref()).collect::<Vec<_>>(), [long]);
    assert_eq!(after.search_terms.len(), 2);
}
