//! What a search costs among 20,000 and among 200,000 live search handles: by hand, `cargo test --release --lib cost_of_searches --
//! --ignored --nocapture`. The figures and plans in docs/search.md come from here.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Executor as _};

use super::*;
use crate::domain::filter::{Grammar, Order, parse};
use crate::store::{Beside, SearchAsk, Searched};

/// The searches that are timed: a filter, an order and what they are called.
const SEARCHES: [(&str, &str, &str); 5] = [
    (
        "broad",
        "tags/any(d:tolower(d) eq 'tag3') and tolower(strings/map) eq 'map7' and numbers/level ge 10",
        "numbers/level desc",
    ),
    (
        "by posting",
        "tags/any(d:tolower(d) eq 'tag3') and tolower(strings/map) eq 'map7' and numbers/level ge 10",
        "Timestamp desc",
    ),
    ("narrow", "tags/any(d:tolower(d) eq 'rare') and strings/map eq 'map7' and numbers/level ge 10", "numbers/level desc"),
    ("one of two", "tags/any(d:d eq 'rare') and numbers/level lt 50 or strings/map eq 'map77'", "session/membersCount asc"),
    ("everything", "", "numbers/level desc"),
];

/// Adds listed sessions until there are so many. Of 5 tags each session has one, of 10 maps one, of 100 levels one; 0.1 % are rare.
async fn fill(database: &Database, from: i64, to: i64) {
    let rows = format!(
        "with rows as (
            select n, md5('s' || n)::uuid as sid, '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7'::uuid as scid,
                '2026-01-01'::timestamptz + n * interval '1 second' as at
            from generate_series({from}, {to} - 1) n)"
    );
    let hash = |salt: &str, modulo: u32| format!("(hashtext('{salt}' || n) & 1048575) % {modulo}");
    let (tag, map, level) = (hash("tag", 5), hash("map", 10), hash("level", 100));
    let statements = [
        "insert into sessions select sid, sid, 1, 1, scid, at, null, 1, 8, 2, 2, 0, 0, 0, false, null, 'Browse', 'S' || n, '{}', null,
            repeat(md5(n::text), 90), '{}' from rows".to_owned(),
        "insert into members select sid, i, 3, false, n * 2 + i, scid, null, 'browse', null from rows, generate_series(0, 1) i".to_owned(),
        "insert into handles select md5('h' || n)::uuid, sid, scid, n, 1, null, at, null, 2, null, 'Browse', 'S' || n, '{}' from rows"
            .to_owned(),
        format!("insert into search_values select sid, 'numbers/level', scid, 'browse', at, {level}, null, null from rows"),
        format!(
            "insert into search_values select sid, 'strings/map', scid, 'browse', at, null, 'map' || {map}, 'map' || {map} from rows"
        ),
        "insert into search_values select sid, attribute, scid, 'browse', at, number, null, null
            from rows, (values ('session/memberscount', 2), ('session/maxmemberscount', 8), ('session/targetmemberscount', 8),
                ('session/maxmemberscountremaining', 6), ('session/needs', 6), ('session/titleid', 1)) v (attribute, number)"
            .to_owned(),
        format!("insert into search_terms select sid, 'tags:tag' || {tag}, scid, 'browse', at from rows"),
        "insert into search_terms select sid, 'tags:rare', scid, 'browse', at from rows where n % 1000 = 7".to_owned(),
    ];
    let mut connection = database.connection().await;
    for statement in statements {
        let (into, select) = statement.split_at(statement.find("select").unwrap());
        connection.execute(AssertSqlSafe(format!("{into}{rows} {select}"))).await.unwrap();
    }
    connection.execute("vacuum analyze").await.unwrap();
}

/// The median of some searches, in microseconds, and how many results one has.
async fn time(store: &Store, ask: SearchAsk<'_>) -> (u128, usize) {
    let mut times = Vec::new();
    let mut count = 0;
    for _ in 0..41 {
        let begun = Instant::now();
        match store.search(ask).await.unwrap() {
            Searched::Found { rows, .. } => count = rows.len(),
            Searched::TooExpensive => panic!("it is refused"),
        }
        times.push(begun.elapsed().as_micros());
    }
    times.sort_unstable();
    (times[times.len() / 2], count)
}

#[tokio::test]
#[ignore = "a measurement, to be read by people"]
async fn cost_of_searches() {
    let database = Database::new().await;
    let mut medians: Vec<Vec<u128>> = vec![Vec::new(); SEARCHES.len()];
    let mut filled = 0;
    for count in [20_000, 200_000] {
        fill(&database, filled, count).await;
        filled = count;
        for (at, (name, filter, order)) in SEARCHES.iter().enumerate() {
            let (filter, order) = (parse(filter, Grammar::Mpsd).unwrap(), Order::parse(Some(order)));
            let ask = SearchAsk {
                scopes: &[(SCID, "browse".to_owned())],
                filter: filter.as_ref(),
                beside: &Beside::default(),
                order: &order,
                after: None,
                take: 101,
                with_body: true,
                most: 40_000,
            };
            let (median, found) = time(&database.store, ask).await;
            println!("{count} handles, {name}: {median} us for {found} results");
            medians[at].push(median);
            if count == 200_000 && (*name == "broad" || *name == "narrow") {
                println!("{}\n", database.store.explain(ask).await.join("\n\n"));
            }
        }
    }
    for ((name, ..), medians) in SEARCHES.iter().zip(medians) {
        #[expect(clippy::cast_precision_loss, reason = "microseconds to be read by people")]
        let growth = medians[1] as f64 / medians[0] as f64;
        println!("{name}: growth {growth:.2}");
    }
}
