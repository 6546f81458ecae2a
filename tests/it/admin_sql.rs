//! What administrators read with SQL: the views of schema `admin`, who may read them, and documents that `jsonb` refuses.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use openmpsd::domain::change::KINDS;
use openmpsd::json::{Json, STORED_DEPTH, parse};
use reqwest::Method;
use serde_json::json;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::chance::Chance;
use crate::handles::pointing;
use crate::harness::{SCID, World};
use crate::story::{active, creating, open, reserving, sql};

/// A connection of somebody who asks.
pub async fn asking(world: &World) -> Client {
    let (client, connection) = tokio_postgres::connect(world.database.url(), NoTls).await.expect("the database is there");
    tokio::spawn(connection);
    client
}

/// The same with the rights of the role for readers.
async fn reading(world: &World) -> Client {
    let client = asking(world).await;
    client.batch_execute("set role openmpsd_readonly").await.expect("the migration made the role");
    client
}

/// Whether files are taken as they are now, instead of compared.
pub fn is_blessing() -> bool {
    #[expect(clippy::disallowed_methods, reason = "whether files are taken as they are is no setting of the service")]
    let asked = std::env::var("OPENMPSD_BLESS");
    asked.is_ok_and(|value| value == "1")
}

pub fn below_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The texts of the first column.
async fn texts(client: &Client, statement: &str) -> Vec<String> {
    let rows = client.query(statement, &[]).await.unwrap_or_else(|error| panic!("{error:?}: {statement}"));
    rows.iter().map(|row| row.get(0)).collect()
}

async fn text(client: &Client, statement: &str) -> String {
    let mut found = texts(client, statement).await;
    assert_eq!(found.len(), 1, "{statement}");
    found.remove(0)
}

#[tokio::test]
async fn views_and_columns_are_only_ever_added() {
    let world = World::new().await;
    let client = asking(&world).await;
    let columns = "
        select c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'admin'::regnamespace and c.relkind = 'v'
        order by c.relname, a.attnum";
    let functions = "
        select p.proname || '(' || pg_get_function_arguments(p.oid) || ') ' || pg_get_function_result(p.oid)
        from pg_proc p
        where p.pronamespace = 'admin'::regnamespace and p.proname in ('now', 'xuid', 'document', 'is_exact', 'change_types')
        order by p.proname";
    let mut found = texts(&client, columns).await;
    found.extend(texts(&client, functions).await);
    let file = below_root("tests/data/admin_schema.txt");
    if is_blessing() {
        std::fs::write(&file, found.join("\n") + "\n").expect("the file can be written");
    }
    let promised = std::fs::read_to_string(&file).expect("the promise is written down");
    assert_eq!(
        found,
        promised.lines().collect::<Vec<_>>(),
        "schema admin is not what tests/data/admin_schema.txt promises (docs/sql.md): columns are only added, at the end; if that is \
         what was done, `make bless` takes it as it is"
    );

    let silent = "
        select c.relname || coalesce('.' || a.attname, '')
        from pg_class c
        left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'admin'::regnamespace and c.relkind = 'v'
            and (obj_description(c.oid, 'pg_class') is null or col_description(c.oid, a.attnum) is null)
        union all
        select proname from pg_proc where pronamespace = 'admin'::regnamespace and obj_description(oid, 'pg_proc') is null";
    assert_eq!(texts(&client, silent).await, Vec::<String>::new(), "each says what it is");
    let page = std::fs::read_to_string(below_root("docs/sql.md")).expect("the page is there");
    for view in texts(&client, "select relname::text from pg_class where relnamespace = 'admin'::regnamespace").await {
        assert!(page.contains(&format!("`admin.{view}`")), "docs/sql.md does not list {view}");
    }
    world.end().await;
}

#[tokio::test]
async fn readers_read_the_views_and_nothing_else() {
    let world = World::new().await;
    let ada = world.user(1);
    ada.put(&open("a"), &active()).await.expect(201);
    ada.post("/handles", &pointing("a")).await.expect(201);
    let client = reading(&world).await;

    let views = texts(&client, "select relname::text from pg_class where relnamespace = 'admin'::regnamespace").await;
    assert!(views.contains(&"sessions".to_owned()), "{views:?}");
    for view in &views {
        let all = format!("select * from admin.{view}");
        client.query(&all, &[]).await.unwrap_or_else(|error| panic!("{view}: {error:?}"));
        let delete = format!("delete from admin.{view}");
        let refused = client.batch_execute(&delete).await.expect_err("readers only read");
        let reasons = [Some(&SqlState::INSUFFICIENT_PRIVILEGE), Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE)];
        assert!(reasons.contains(&refused.code()), "{view}: {refused:?}");
    }
    let rights = "select c.oid::regclass::text
        from pg_class c
        where c.relnamespace in ('public'::regnamespace, 'admin'::regnamespace) and c.relkind in ('r', 'p', 'v', 'S')
            and (has_table_privilege(c.oid, 'insert, update, delete, truncate, references, trigger')
                or has_any_column_privilege(c.oid, 'insert, update, references')
                or c.relkind <> 'v' and has_any_column_privilege(c.oid, 'select'))";
    assert_eq!(texts(&client, rights).await, Vec::<String>::new());
    for statement in
        ["select * from nonces", "select private from sessions", "create table admin.mine ()", "create table mine ()"]
    {
        let refused = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}: {refused:?}");
    }

    // What lets a caller in, and the service's own bookkeeping, is behind no view.
    let hidden = "select distinct r.ev_class::regclass::text
        from pg_depend d
        join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
        left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.refobjid in ('nonces'::regclass, 'hint_key'::regclass) or d.refobjid = 'sessions'::regclass and a.attname = 'private'";
    assert_eq!(texts(&client, hidden).await, Vec::<String>::new());
    world.end().await;
}

/// What docs/sql.md advises for a role of one's own, done in the database of a test.
#[tokio::test]
async fn a_reader_is_let_in_where_it_is_meant_and_keeps_no_tables_there() {
    let world = World::new().await;
    let client = asking(&world).await;
    let database = text(&client, "select current_database()::text").await;
    let reader = format!("reader_of_{database}");
    let page = std::fs::read_to_string(below_root("docs/sql.md")).expect("the page is there");
    let advice = ["create role dashboards ", "revoke connect, temporary on database ", "grant connect on database "];
    let advised: Vec<&str> = page.lines().filter(|line| advice.iter().any(|start| line.starts_with(start))).collect();
    assert_eq!(advised.len(), advice.len(), "{advised:?}");
    for statement in advised {
        let statement = statement.replace("database openmpsd ", &format!("database {database} ")).replace("dashboards", &reader);
        client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    let rights = format!(
        "select string_agg(concat_ws(' ', has_database_privilege(who, current_database(), 'connect'),
            has_database_privilege(who, current_database(), 'temporary')), ', ' order by place)
        from unnest(array['{reader}', 'openmpsd_readonly']) with ordinality as roles (who, place)"
    );
    assert_eq!(text(&client, &rights).await, "t f, f f", "it comes in, and nobody else");
    client.batch_execute(&format!("set role {reader}")).await.expect("the role is there");
    assert_eq!(text(&client, "select count(*)::text from admin.sessions").await, "0");
    let refused = client.batch_execute("create temporary table mine ()").await.expect_err("nor does it keep anything");
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{refused:?}");
    client.batch_execute(&format!("reset role; drop owned by {reader}; drop role {reader}")).await.expect("it goes again");
    world.end().await;
}

#[tokio::test]
async fn s96_a_document_that_jsonb_refuses_is_shown_all_the_same() {
    let world = World::new().await;
    let ada = world.user(1);
    let custom = r#"{"nul":"a\u0000b","lone":"\ud800","\u0000":{"\ud801":[1]},"pair":"\ud83d\ude00","far":1e400,"near":1.10,"ä":"\\u0000"}"#;
    let body =
        format!(r#"{{"properties":{{"custom":{custom}}},"members":{{"me":{{"properties":{{"system":{{"active":true}}}}}}}}}}"#);
    ada.send(Method::PUT, &open("odd"), &[], Some(body)).await.expect(201);
    ada.put(&open("plain"), &active()).await.expect(201);
    sql(&world, "insert into audit (id, at, actor, action) values (gen_random_uuid(), now(), 'admin:op', 'x')").await;

    let client = reading(&world).await;
    let shown = text(&client, "select document #>> '{properties,custom}' from admin.sessions where not exact").await;
    let expected = r#"{"ä": "\\u0000", "far": "1e400", "nul": "a<U+0000>b", "lone": "<U+d800>", "near": 1.10, "pair": "😀", "<U+0000>": {"<U+d801>": [1]}}"#;
    assert_eq!(shown, expected);
    assert_eq!(text(&client, "select name from admin.sessions where exact").await, "plain");
    let raw = text(&client, "select document_text from admin.sessions where name = 'odd'").await;
    assert!(raw.contains(r#""nul":"a\u0000b","lone":"\ud800""#) && raw.contains("1e400"), "{raw}");
    let logged = "select delta #>> '{properties,custom,nul}' from admin.changes where name = 'odd'";
    assert_eq!(text(&client, logged).await, "a<U+0000>b");
    let gamertag = "select gamertag from admin.members where name = 'odd'";
    assert_eq!(text(&client, gamertag).await, "Player1");

    // Also where parallel workers take part, which may begin no subtransaction.
    let version: i32 = text(&client, "show server_version_num").await.parse().expect("a number");
    let forced = if version >= 160_000 { "debug_parallel_query" } else { "force_parallel_mode" };
    client.batch_execute(&format!("set {forced} = on")).await.expect("the setting is known");
    let counted = "select count(document)::text from admin.sessions";
    assert_eq!(text(&client, counted).await, "2");
    let plan = texts(&client, &format!("explain {counted}")).await.join("\n");
    assert!(plan.contains("Gather"), "{plan}");
    world.end().await;
}

#[tokio::test]
async fn s96_each_thing_that_jsonb_refuses() {
    let world = World::new().await;
    let client = reading(&world).await;
    let digits = "7".repeat(250);
    let long = format!(r#"{{"a":{digits},"b":"{digits}"}}"#);
    let long_shown = format!(r#"{{"a": "{digits}", "b": "{digits}"}}"#);
    let cases = [
        // A document, what is shown of it, whether that is all of it.
        (r"{}", r"{}", true),
        (r#"{"a":"\\u0000"}"#, r#"{"a": "\\u0000"}"#, true),
        (r#"{"a":"\\\u0000"}"#, r#"{"a": "\\<U+0000>"}"#, false),
        (r#"{"a":"\\\\u0000"}"#, r#"{"a": "\\\\u0000"}"#, true),
        (r#"{"a\ud800b":"\"\uDFFF\\"}"#, r#"{"a<U+d800>b": "\"<U+DFFF>\\"}"#, false),
        (r#"{"a":"\ud83d\uDE00"}"#, r#"{"a": "😀"}"#, true),
        (r#"{"a":"\ud83d\ud83d\ude00\ude00"}"#, r#"{"a": "<U+d83d>😀<U+de00>"}"#, false),
        (r#"{"a":"\ud83dx\ude00"}"#, r#"{"a": "<U+d83d>x<U+de00>"}"#, false),
        (r#"{"a":[1e99,-2.50,1E-9]}"#, &format!(r#"{{"a": [1{}, -2.50, 0.000000001]}}"#, "0".repeat(99)), true),
        (
            r#"{"a":[1e100,-1.5E+99999,2e-20000,0e99999999999]}"#,
            r#"{"a": ["1e100", "-1.5E+99999", "2e-20000", "0e99999999999"]}"#,
            false,
        ),
        (r#"{"a":"x:1e999,","b": 1e999 }"#, r#"{"a": "x:1e999,", "b": "1e999"}"#, false),
        (r#"{"a":1e0000000002}"#, r#"{"a": 100}"#, true),
        (r#"["\u0000",{"b":[]}]"#, r#"["<U+0000>", {"b": []}]"#, false),
        (&long, &long_shown, false),
        ("", r#"{"unreadable": ""}"#, false),
        ("torn{", r#"{"unreadable": "torn{"}"#, false),
        (r#"{"a":"#, r#"{"unreadable": "{\"a\":"}"#, false),
    ];
    for (document, shown, exact) in cases {
        let row = client.query_one("select admin.document($1)::text, admin.is_exact($1)", &[&document]).await.expect(document);
        assert_eq!((row.get::<_, &str>(0), row.get::<_, bool>(1)), (shown, exact), "{document}");
    }
    let none = client.query_one("select admin.document(null) is null and admin.is_exact(null) is null", &[]).await.unwrap();
    assert!(none.get::<_, bool>(0));
    world.end().await;
}

/// A random JSON value; says whether it holds a number that is shown as text.
fn value(chance: &mut Chance, depth: u32, into: &mut String) -> bool {
    const PIECES: [&str; 15] =
        ["a", r"\\", r#"\""#, r"\u0000", r"\ud83d", r"\uDE00", r"\n", "u0000", "é", ":", ",1e999", "[", "}", r"\u00e9", r"\/"];
    const NUMBERS: [(&str, bool); 7] = [
        ("0", false),
        ("-1.50", false),
        ("1e99", false),
        ("12345678901234567890123", false),
        ("1E+100", true),
        ("-2.5e-5000", true),
        ("1e99999999999", true),
    ];
    let string = |chance: &mut Chance, into: &mut String| {
        into.push('"');
        (0..chance.below(6)).for_each(|_| into.push_str(chance.pick::<&str>(&PIECES)));
        into.push('"');
    };
    match chance.below(if depth == 0 { 3 } else { 5 }) {
        0 => string(chance, into),
        1 => {
            let (number, is_odd) = *chance.pick(&NUMBERS);
            into.push_str(number);
            return is_odd;
        }
        2 => into.push_str(chance.pick::<&str>(&["true", "false", "null"])),
        kind => {
            let mut is_odd = false;
            into.push(if kind == 3 { '[' } else { '{' });
            for at in 0..chance.below(4) {
                into.push_str(if at > 0 { "," } else { "" });
                if kind == 4 {
                    string(chance, into);
                    into.push(':');
                }
                is_odd |= value(chance, depth - 1, into);
            }
            into.push(if kind == 3 { ']' } else { '}' });
            return is_odd;
        }
    }
    false
}

/// Whether a value holds a string that `jsonb` refuses.
fn has_odd_string(value: &Json) -> bool {
    match value {
        Json::String(text) => text.decode().is_none_or(|text| text.contains('\0')),
        Json::Array(items) => items.iter().any(has_odd_string),
        Json::Object(fields) => {
            fields.iter().any(|(name, value)| name.decode().is_none_or(|name| name.contains('\0')) || has_odd_string(value))
        }
        _ => false,
    }
}

#[tokio::test]
async fn s96_no_document_fails_and_only_what_is_refused_is_replaced() {
    let world = World::new().await;
    let client = reading(&world).await;
    let mut chance = Chance::new(96);
    let mut documents = Vec::new();
    let mut exact = Vec::new();
    while documents.len() < 2000 {
        let mut inner = String::new();
        let has_odd_number = value(&mut chance, 4, &mut inner);
        let document = format!(r#"{{"custom":{inner}}}"#);
        let Ok(parsed) = parse(document.as_bytes(), STORED_DEPTH) else { panic!("{document}") };
        // Of two equal keys the last one counts, so an odd number or string may be gone from what was parsed.
        let is_repeated = parsed.to_string().len() < document.len();
        if !is_repeated {
            exact.push(!has_odd_number && !has_odd_string(&parsed));
            documents.push(document);
        }
    }
    let asked =
        "select admin.is_exact(document), case when admin.is_exact(document) then admin.document(document) = document::jsonb end,
            jsonb_typeof(admin.document(document))
        from unnest($1::text[]) with ordinality as asked (document, place)
        order by place";
    let rows = client.query(asked, &[&documents]).await.expect("no document fails");
    let mut wrong = String::new();
    for ((row, document), exact) in rows.iter().zip(&documents).zip(&exact) {
        let shown: (bool, Option<bool>, &str) = (row.get(0), row.get(1), row.get(2));
        if shown != (*exact, exact.then_some(true), "object") {
            let _ = writeln!(wrong, "{shown:?} {document}");
        }
    }
    assert!(wrong.is_empty() && rows.len() == 2000, "{wrong}");
    assert!(exact.iter().filter(|exact| **exact).count() > 500 && exact.iter().filter(|exact| !**exact).count() > 500);
    world.end().await;
}

#[tokio::test]
async fn a_xuid_of_64_bits_is_shown_as_callers_know_it() {
    let world = World::new().await;
    let far = u64::MAX - 1;
    world.user(far).put(&open("far"), &active()).await.expect(201);
    world.user(1).put(&open("near"), &reserving(&[far])).await.expect(201);
    let client = reading(&world).await;
    let found = format!(
        "select name || ' ' || state || ' ' || xuid from admin.members where xuid_key = admin.xuid('{far}') order by name"
    );
    assert_eq!(texts(&client, &found).await, [format!("far active {far}"), format!("near reserved {far}")]);
    for xuid in ["0", "9223372036854775807", "9223372036854775808", "18446744073709551615"] {
        assert_eq!(text(&client, &format!("select xuid_text(admin.xuid('{xuid}'))")).await, xuid);
    }
    for wrong in ["", "-1", "1.5", "ada", "18446744073709551616", "99999999999999999999999"] {
        let refused = client.query("select admin.xuid($1)", &[&wrong]).await.expect_err(wrong);
        assert!(refused.as_db_error().is_some_and(|error| error.message().contains(wrong)), "{wrong}: {refused:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn codes_are_words() {
    let world = World::new().await;
    let client = reading(&world).await;
    for (name, kinds) in KINDS {
        let shown: Vec<String> =
            client.query_one("select admin.change_types($1)", &[&kinds.0.cast_signed()]).await.unwrap().get(0);
        assert_eq!(shown, [*name]);
    }
    let all: Vec<String> = client.query_one("select admin.change_types(4095)", &[]).await.unwrap().get(0);
    assert_eq!(all, KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>());

    let (ada, bo) = (world.user(1), world.user(2));
    for visibility in ["open", "visible", "private"] {
        for restriction in ["none", "followed", "local"] {
            let properties = json!({"joinRestriction": restriction, "readRestriction": restriction});
            let path = open(&format!("{visibility}-{restriction}"));
            ada.put(&path, &creating(&json!({"visibility": visibility}), &properties)).await.expect(201);
        }
    }
    let wrong = "select name from admin.sessions
        where name <> visibility || '-' || join_restriction or join_restriction <> read_restriction";
    assert_eq!(texts(&client, wrong).await, Vec::<String>::new());
    assert_eq!(text(&client, "select count(*)::text from admin.sessions where age = age").await, "9");

    // States of members, causes and actors; and where the path of a view leads.
    let server = world.server();
    let mut arena = reserving(&[1]);
    arena["constants"] = json!({"system": {"inactiveRemovalTimeout": 3_600_000}});
    server.put(&open("arena"), &arena).await.expect(201);
    for (user, flags) in [(&bo, json!({})), (&world.user(3), json!({"ready": true})), (&world.user(4), json!({"active": true}))] {
        let joins = json!({"members": {"me": {"properties": {"system": flags}}}});
        user.put(&open("arena"), &joins).await.expect(200);
    }
    let states = "select string_agg(state, ' ' order by index) from admin.members where name = 'arena'";
    assert_eq!(text(&client, states).await, "reserved inactive ready active");
    let path = text(&client, "select path from admin.sessions where name = 'arena'").await;
    world.pass(31_000);
    bo.get(&path).await.expect(200);
    let log =
        "select string_agg(cause || ' ' || actor || case when created then ' created' else '' end, ', ' order by change_number)
        from admin.changes where name = 'arena'";
    assert_eq!(
        text(&client, log).await,
        "request svc:arena created, request xuid:2, request xuid:3, request xuid:4, timer timer"
    );
    world.end().await;
}

#[tokio::test]
async fn m95_members_of_a_large_session_bring_their_own_documents() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let path = open("big");
    ada.put(&path, &creating(&json!({"capabilities": {"large": true}}), &json!({}))).await.expect(201);
    bo.put(&path, &active()).await.expect(200);
    let client = reading(&world).await;
    let members = "select string_agg(concat_ws(' ', index, gamertag, state, document ->> 'gamertag', joined_at is not null), ', ' order by index)
        from admin.members where name = 'big'";
    assert_eq!(text(&client, members).await, "0 Player1 active Player1 t, 1 Player2 active Player2 t");
    let document = format!(
        "select concat_ws(' ', large, exact, member_count, document #>> '{{constants,system,capabilities,large}}', document ? 'members')
        from admin.sessions where scid = '{SCID}' and template = 'Open' and name = 'big'"
    );
    assert_eq!(text(&client, &document).await, "t t 2 true f");
    world.end().await;
}
