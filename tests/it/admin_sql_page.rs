//! The queries of docs/sql.md and the answers it shows: a small set of data is asked all of them, and must answer as on the page.

use std::fmt::Write as _;

use openmpsd::domain::principal::{Principal, User};
use reqwest::Method;
use serde_json::json;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::admin_sql::{asking, below_root, is_blessing};
use crate::handles::pointing;
use crate::harness::{Actor, SCID, World, player, session};
use crate::story::{active, leaving, open, reserving};

const ADA: u64 = 2_533_274_800_000_001;
const BO: u64 = 2_533_274_800_000_002;
const CY: u64 = 2_533_274_800_000_003;
const DEE: u64 = 2_533_274_800_000_004;
const EVE: u64 = 2_533_274_800_000_005;
const ADAS_SOCKET: &str = "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01";
const BOS_SOCKET: &str = "9e2d4b77-6c0a-4a5f-b3f1-5d8c7a6e4b02";

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// What no request brings about in a test: sockets and processes at known times, lost ones among them, edges, and what administrators
/// did. Nobody else sees it, since the transaction is not committed.
const BEHIND_THE_SERVICE: &str = "
    begin;
    delete from instances;
    insert into instances (id, place, started_at, seen_at, beat)
    values ('00000000-0000-0000-0000-0000000000e1', 'harbour/10.0.0.4:8080', '2031-04-05T12:00Z', '2031-04-06T16:04:59Z', 50549),
        ('00000000-0000-0000-0000-0000000000e2', 'harbour/10.0.0.5:8080', '2031-04-05T12:00Z', '2031-04-06T16:04:58Z', 50548);
    update connections set instance = '00000000-0000-0000-0000-0000000000e1', opened_at = '2031-04-06T15:59Z';
    update connections set lost_at = '2031-04-06T16:04:40Z' where id = '9e2d4b77-6c0a-4a5f-b3f1-5d8c7a6e4b02';
    insert into follows values (2533274800000001, 2533274800000002, true), (2533274800000001, 2533274800000004, false);
    insert into blocks values (2533274800000001, 2533274800000005);
    insert into bans (xuid, reason, created_at, created_by, expires_at)
    values (2533274800000009, 'threats in session names', '2031-04-06T09:31Z', 'admin:op', null),
        (2533274800000008, 'cheating', '2031-03-01T00:00Z', 'admin:op', '2031-04-01T00:00Z');
    insert into audit (id, at, actor, action, target, reason, outcome)
    values ('00000000-0000-0000-0000-0000000000f1', '2031-04-06T09:31Z', 'admin:op', 'ban.put', '2533274800000009',
            'threats in session names', 'done'),
        ('00000000-0000-0000-0000-0000000000f2', '2031-04-06T15:12Z', 'admin:op', 'ban.put', '2533274800000005', null, null);
    set local application_name = 'psql';
    set local timezone = 'UTC';
    set local openmpsd.now = '2031-04-06 16:05Z';
    set local role openmpsd_readonly";

fn known_as(world: &World, xuid: u64, gamertag: &str) -> Actor {
    world.actor(Principal::User(User { gamertag: Some(gamertag.into()), ..player(xuid) }))
}

/// An evening and the next afternoon: sessions come and go, somebody waits for a guest, and a timer is overdue at 16:05.
async fn fill(world: &World) {
    let ada = known_as(world, ADA, "AdaLumen");
    let bo = known_as(world, BO, "BoTheBold");
    let cy = known_as(world, CY, "CyAnide");
    let dee = known_as(world, DEE, "DeeDrum");
    let eve = known_as(world, EVE, "EveOnline");

    for (name, minutes) in [("warmup-1", 10), ("warmup-2", 25)] {
        ada.put(&open(name), &active()).await.expect(201);
        bo.put(&open(name), &active()).await.expect(200);
        world.pass(minutes * MINUTE);
        ada.put(&open(name), &leaving()).await.expect(200);
        bo.put(&open(name), &leaving()).await.expect(204);
    }
    let motd = r#"{"properties":{"custom":{"motd":"a\u0000b","score":1e400}},"members":{"me":{"properties":{"system":{"active":true}}}}}"#;
    cy.send(Method::PUT, &open("odd-1"), &[], Some(motd.to_owned())).await.expect(201);

    world.pass(21 * 60 * MINUTE + 25 * MINUTE);
    world.connects(ADA, ADAS_SOCKET).await;
    world.connects(BO, BOS_SOCKET).await;
    let seated = |socket: &str| json!({"properties": {"system": {"active": true, "connection": socket}}});
    let harbor = session("Card", "harbor-1");
    let mut body = json!({
        "properties": {"system": {"keywords": ["Harbor", "eu"]}, "custom": {"map": "harbor"}},
        "members": {"me": seated(ADAS_SOCKET)},
    });
    ada.put(&harbor, &body).await.expect(201);
    world.pass(5 * SECOND);
    bo.put(&harbor, &json!({"members": {"me": seated(BOS_SOCKET)}})).await.expect(200);
    world.pass(3 * SECOND);
    let mut handle = pointing("harbor-1");
    handle["sessionRef"]["templateName"] = json!("Card");
    ada.post("/handles", &handle).await.expect(201);
    handle["type"] = json!("invite");
    handle["invitedXuid"] = json!(CY.to_string());
    ada.post("/handles", &handle).await.expect(201);

    body["properties"] = json!({"system": {"keywords": ["eu"], "closed": true}});
    body["members"] = active()["members"].clone();
    eve.put(&session("Card", "harbor-2"), &body).await.expect(201);
    let raid = json!({
        "constants": {"system": {"capabilities": {"searchable": true}, "inactiveRemovalTimeout": 30 * MINUTE}},
        "properties": {"system": {"keywords": ["raid", "eu"]}},
        "members": {"me": {"properties": {"system": {"active": true}}}},
    });
    dee.put(&open("raid-1"), &raid).await.expect(201);
    let mut listing = pointing("raid-1");
    listing["type"] = json!("search");
    listing["searchAttributes"] = json!({"tags": ["coop"], "numbers": {"level": 12}});
    dee.post("/handles", &listing).await.expect(201);
    dee.post("/handles", &pointing("raid-1")).await.expect(201);
    eve.put(&open("raid-1"), &active()).await.expect(200);

    world.pass(90 * SECOND);
    for wave in 1..=8 {
        dee.put(&open("raid-1"), &json!({"properties": {"custom": {"wave": wave}}})).await.expect(200);
        world.pass(SECOND);
    }
    bo.put(&harbor, &json!({"members": {"me": {"properties": {"custom": {"deck": "tides"}}}}})).await.expect(200);
    ada.put(&harbor, &reserving(&[CY])).await.expect(200);
    let away = json!({"members": {"me": {"properties": {"system": {"active": false}}}}});
    eve.put(&open("raid-1"), &away).await.expect(200);
}

/// A query of the page.
struct Query {
    text: String,
    /// What is shown differs from run to run; only its columns are compared.
    is_example: bool,
    /// What the page shows, if it shows anything.
    answer: Option<String>,
    /// The lines of the page where the answer stands or belongs.
    lines: std::ops::Range<usize>,
}

fn queries(page: &str) -> Vec<Query> {
    let lines: Vec<&str> = page.lines().collect();
    let start = lines.iter().position(|line| *line == "## Queries").expect("the page has its queries");
    let block = |at: usize| {
        let end = at + 1 + lines[at + 1..].iter().position(|line| *line == "```").expect("a block ends");
        (lines[at + 1..end].iter().fold(String::new(), |text, line| text + line + "\n"), end + 1)
    };
    let mut found = Vec::new();
    for at in start..lines.len() {
        let Some(rest) = lines[at].strip_prefix("```sql") else { continue };
        let (text, after) = block(at);
        let follows = lines.get(after + 1).is_some_and(|line| *line == "```text");
        let (answer, end) = if follows {
            let (answer, end) = block(after + 1);
            (Some(answer), end)
        } else {
            (None, after)
        };
        found.push(Query { text, is_example: rest == " example", answer, lines: after..end });
    }
    found
}

/// Asks, and renders the answer as psql does.
async fn ask(client: &Client, query: &str) -> String {
    let asked = query.trim_end().trim_end_matches(';');
    let prepared = client.prepare(asked).await.unwrap_or_else(|error| panic!("{error:?}: {query}"));
    let names: Vec<&str> = prepared.columns().iter().map(tokio_postgres::Column::name).collect();
    let is_number = |kind: &Type| [Type::INT2, Type::INT4, Type::INT8, Type::NUMERIC, Type::FLOAT8, Type::OID].contains(kind);
    let numbers: Vec<bool> = prepared.columns().iter().map(|column| is_number(column.type_())).collect();
    let messages = client.simple_query(asked).await.unwrap_or_else(|error| panic!("{error:?}: {query}"));
    let rows: Vec<Vec<String>> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).unwrap_or("").to_owned()).collect()),
            _ => None,
        })
        .collect();
    let width = |at: usize| {
        let texts = rows.iter().map(|row| row[at].chars().count());
        texts.chain([names[at].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |cells: Vec<String>| format!(" {}", cells.join(" | ")).trim_end().to_owned();
    let mut text = line(names.iter().zip(&widths).map(|(name, width)| format!("{name:^width$}")).collect()) + "\n";
    text += &widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+");
    text.push('\n');
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .zip(&numbers)
            .map(|((cell, width), is_number)| if *is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
        text += &(line(cells.collect()) + "\n");
    }
    let _ = writeln!(text, "({} row{})", rows.len(), if rows.len() == 1 { "" } else { "s" });
    text
}

/// The names of an answer's columns.
fn columns(answer: &str) -> Vec<&str> {
    answer.lines().next().unwrap_or_default().split('|').map(str::trim).collect()
}

#[tokio::test]
async fn the_page_shows_what_the_database_answers() {
    let world = World::new().await;
    fill(&world).await;
    let client = asking(&world).await;
    client.batch_execute(BEHIND_THE_SERVICE).await.expect("the rows are sound");

    let file = below_root("docs/sql.md");
    let page = std::fs::read_to_string(&file).expect("the page is there");
    let asked = queries(&page);
    assert!(asked.len() >= 20, "the page has {} queries", asked.len());
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let (mut differences, mut silent) = (String::new(), String::new());
    // From the end, so that lines keep their numbers.
    for query in asked.iter().rev() {
        let answer = ask(&client, &query.text).await;
        if answer.contains("(0 rows)") && !query.is_example {
            let _ = write!(silent, "{}", query.text);
        }
        let is_same = match &query.answer {
            Some(shown) if query.is_example => columns(shown) == columns(&answer),
            Some(shown) => *shown == answer,
            None => false,
        };
        if !is_same {
            let shown = query.answer.as_deref().unwrap_or("nothing\n");
            let _ = write!(differences, "{}the page shows\n{shown}the database answers\n{answer}\n", query.text);
            let block = format!("\n```text\n{answer}```");
            lines.splice(query.lines.clone(), block.lines().map(str::to_owned));
        }
    }
    client.batch_execute("rollback").await.expect("nothing was changed");
    if is_blessing() {
        std::fs::write(&file, lines.join("\n") + "\n").expect("the page can be written");
    } else {
        assert!(differences.is_empty(), "docs/sql.md is out of date; `make bless` writes it anew:\n{differences}");
    }
    assert!(silent.is_empty(), "an answer should show something:\n{silent}");
    drop(client);
    assert!(page.contains(SCID), "the page asks about the service config of the tests");
    world.end().await;
}
