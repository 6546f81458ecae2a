//! Every path of a query takes its index: with sequential scans priced out, a plan that still has one had no other way.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};

use super::*;

/// Thousands of rows in every table, with statistics; the members of a session lie apart, as people join over time.
async fn fill(connection: &mut PgConnection) {
    let seed = "
        insert into sessions select sid, sid, 1, 1, scid, start + n * interval '1 second', null, 1, 8, 2, 2, n % 3, n % 3, n % 3, false,
            null, 'Lobby', 'S' || n, array['eu'], null, repeat('x', 200), '{}'
        from rows;
        insert into timers select sid, start + n * interval '1 second' from rows where n % 4 = 0;
        insert into members select sid, i, 3, false, (n + i * 997) % 3000, scid, md5(n::text || i)::uuid, 'lobby', 'device' || n % 500
        from rows, generate_series(0, 7) i order by md5(n::text || i);
        insert into sessions select md5('large')::uuid, sid, 1, 1, scid, start, null, 1, 8, 9000, 9000, 0, 0, 0, false, null, 'Arena',
            'Large', '{}', null, '', '', true
        from rows where n = 1;
        insert into members select md5('large')::uuid, n * 3 + i, 3, false, -n * 3 - i, scid, null, 'arena', null, n = 1, '{}', start,
            case when n % 4 = 0 then start + n * interval '1 second' end, start + n * interval '1 second'
        from rows, generate_series(0, 2) i order by md5(n::text);
        insert into former_members select sid, sid, n from rows;
        insert into keywords select scid, 'k' || n % 20, start + n * interval '1 second', 'S' || n, sid, 'lobby' from rows;
        insert into handles select md5('h' || n)::uuid, sid, scid, n, 1, n, start, start + n * interval '1 second', n % 4, null, 'Lobby',
            'S' || n, null
        from rows;
        insert into changes select sid, sid, i, start, md5(n::text || i)::uuid, 1, 0, false, '', '', null
        from rows, generate_series(1, 2) i;
        insert into connections select md5(n::text || 0)::uuid, sid, n, start, case when n % 3 = 0 then start end,
            case when n % 6 = 0 then start end
        from rows;
        insert into instances select sid, start, 1 from rows where n < 3;
        insert into nonces select decode(md5(n::text), 'hex'), '{}', start, n from rows;
        insert into audit select md5('a' || n)::uuid, start + n * interval '1 second', 'admin:op', 'ban.put', null, 't' || n % 50, null,
            'done'
        from rows;
        insert into bans select n, 'cheats', null, start, 'admin:op' from rows;
        insert into follows select n, n % 100, false from rows;
        insert into blocks select n, n % 100 from rows";
    let rows = "with rows as (
        select md5('s' || n)::uuid as sid, '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7'::uuid as scid, n,
            '2026-01-01'::timestamptz as start
        from generate_series(1, 3000) n)";
    for statement in seed.split(';') {
        let (into, from) = statement.split_at(statement.find("select").unwrap());
        connection.execute(AssertSqlSafe(format!("{into}{rows} {from}"))).await.unwrap();
    }
    connection.execute("analyze").await.unwrap();
    connection.execute("set enable_seqscan = off").await.unwrap();
    connection.execute("set plan_cache_mode = force_generic_plan").await.unwrap();
}

/// The generic plan of a statement, as the store runs it: the parameters are all null, which a generic plan does not look at.
async fn plan_of(connection: &mut PgConnection, statement: &str) -> String {
    connection.execute("deallocate all").await.unwrap();
    connection.execute(AssertSqlSafe(format!("prepare asked as {statement}"))).await.unwrap();
    let types = connection
        .fetch_one("select cardinality(parameter_types) as count from pg_prepared_statements where name = 'asked'")
        .await
        .unwrap();
    let nulls = vec!["null"; usize::try_from(types.get::<i32, _>("count")).unwrap()].join(", ");
    let nulls = if nulls.is_empty() { nulls } else { format!("({nulls})") };
    let lines = connection.fetch_all(AssertSqlSafe(format!("explain execute asked{nulls}"))).await.unwrap();
    lines.iter().map(|line| line.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

macro_rules! path {
    ($name:literal $(, $index:literal)*) => {
        ($name, include_str!(concat!("../sql/", $name, ".sql")), &[$($index),*] as &[&str])
    };
}

/// Statements, and indexes that each must use.
const PATHS: &[(&str, &str, &[&str])] = &[
    path!("read_sessions", "sessions_lookup", "members_xuid"),
    path!("read_by_handles", "handles_pkey", "sessions_lookup", "members_xuid"),
    path!("access_facts", "members_pkey"),
    path!("load_plain_sessions", "sessions_lookup"),
    path!(
        "load_sessions",
        "sessions_lookup",
        "follows_followed",
        "blocks_blocked",
        "former_members_pkey",
        "members_pkey",
        "connections_pkey",
        "members_connection"
    ),
    path!(
        "load_large_sessions",
        "sessions_lookup",
        "follows_followed",
        "blocks_blocked",
        "former_members_pkey",
        "members_pkey",
        "members_xuid",
        "members_owner",
        "members_due",
        "members_joined",
        "connections_pkey",
        "members_connection"
    ),
    path!("find_candidates_by_xuid", "members_xuid", "sessions_lookup", "keywords_order"),
    path!("find_candidates_by_keyword", "keywords_order", "sessions_lookup", "members_xuid"),
    path!("find_activities", "handles_activity", "sessions_lookup", "members_xuid", "members_owner"),
    path!("list_newest_owners", "handles_newest"),
    path!("list_follows", "follows_pkey"),
    path!("page_follows", "follows_pkey"),
    path!("page_blocks", "blocks_pkey"),
    path!("keep_follows"),
    path!("keep_blocks"),
    path!("put_follows", "follows_pkey"),
    path!("put_neighbours", "follows_pkey", "follows_followed", "blocks_pkey", "blocks_blocked"),
    path!("find_due", "timers_due"),
    path!("find_new_invites", "handles_new_invites"),
    path!("find_registrations", "members_connection", "sessions_lookup"),
    path!("open_connections"),
    path!("lose_connections", "connections_pkey"),
    path!("take_lost_connections", "connections_check"),
    path!("note_searched_connections", "connections_pkey"),
    path!("bury_instances", "instances_pkey", "connections_living"),
    path!("forget_connections", "connections_forgotten", "connections_pkey"),
    path!("read_missed", "changes_default_pkey"),
    path!("find_writes", "changes_default_pkey", "handles_pkey"),
    path!("load_changes", "changes_default_pkey"),
    path!("read_changes", "changes_default_pkey"),
    path!("read_rights", "changes_default_pkey"),
    path!("list_lives", "changes_default_pkey"),
    path!("probe_sessions", "sessions_lookup"),
    path!("delete_handle", "handles_pkey"),
    path!("delete_expired_handles", "handles_expiry"),
    path!("list_sessions", "sessions_lookup", "members_xuid", "keywords_order"),
    path!("list_sessions_by_keyword", "keywords_order", "sessions_lookup"),
    path!("list_handles", "handles_pkey", "handles_owner", "handles_activity", "handles_invited", "sessions_lookup"),
    path!("inspect_session", "sessions_lookup", "former_members_pkey", "handles_sid"),
    path!("inspect_members", "members_pkey", "connections_pkey"),
    path!("list_audit", "audit_at", "audit_target", "audit_xuids"),
    path!("name_session", "sessions_lookup", "members_pkey"),
    path!("finish_audit", "audit_pkey"),
    path!("list_bans", "bans_pkey"),
    path!("find_ban", "bans_pkey"),
    path!("put_nonce", "nonces_owner"),
    path!("take_nonces", "nonces_pkey"),
    path!("delete_expired_nonces", "nonces_expiry"),
    path!("put_unbound_activity", "sessions_lookup"),
    path!("delete_follow"),
    path!("delete_block"),
    path!("save_sessions", "sessions_lookup", "members_pkey", "timers_pkey", "keywords_order", "handles_activity", "handles_sid"),
];

#[tokio::test]
async fn every_path_takes_its_index() {
    let mut connection = Database::new().await.connection().await;
    fill(&mut connection).await;
    for &(name, statement, indexes) in PATHS {
        let plan = plan_of(&mut connection, statement).await;
        assert!(!plan.contains("Seq Scan"), "{name} reads a whole table:\n{plan}");
        for index in indexes {
            let used = plan.lines().any(|line| line.contains("Index") && line.split(' ').any(|word| word == *index));
            assert!(used, "{name} does not use {index}:\n{plan}");
        }
    }
}

/// Administrators ask through views (docs/sql.md): a filter has the same indexes there, and what is not asked for is not computed.
#[tokio::test]
async fn a_filter_on_a_view_takes_its_index() {
    let mut connection = Database::new().await.connection().await;
    fill(&mut connection).await;
    let paths: [(&str, &[&str]); 20] = [
        ("select path from admin.sessions where scid = $1 and template = $2 and name = $3", &["sessions_reference"]),
        ("select template, count(*) from admin.sessions where scid = $1 group by template", &["sessions_reference"]),
        ("select document from admin.sessions where sid = $1", &["sessions_lookup"]),
        (
            "select xuid, gamertag from admin.members where scid = $1 and template = $2 and name = $3",
            &["sessions_reference", "members_pkey"],
        ),
        ("select index, state from admin.members where sid = $1", &["members_pkey"]),
        ("select template, name, state from admin.members where xuid_key = admin.xuid($1)", &["members_xuid", "sessions_lookup"]),
        ("select xuid from admin.members where connection = $1", &["members_connection"]),
        ("select template, name from admin.keywords where scid = $1 and keyword = $2", &["keywords_order", "sessions_lookup"]),
        ("select sessions from admin.keyword_counts where scid = $1 and keyword = $2", &["keywords_order"]),
        ("select name, state from admin.handles where id = $1", &["handles_pkey", "members_xuid"]),
        ("select id from admin.handles where sid = $1", &["handles_sid"]),
        (
            "select id, session_exists from admin.handles where invited_key = admin.xuid($1)",
            &["handles_invited", "sessions_lookup"],
        ),
        ("select attribute, text from admin.search_attributes where sid = $1", &["search_values_pkey"]),
        ("select name, late from admin.timers_due where late > $1", &["timers_due", "sessions_lookup"]),
        ("select state from admin.connections where id = $1", &["connections_pkey", "instances_pkey"]),
        ("select id, connections from admin.instances where id = $1", &["instances_pkey", "connections_living"]),
        ("select at, types from admin.changes where sid = $1 order by change_number", &["changes_default_pkey"]),
        ("select followed from admin.follows where xuid_key = admin.xuid($1)", &["follows_pkey"]),
        ("select xuid from admin.follows where followed_key = admin.xuid($1)", &["follows_followed"]),
        ("select xuid from admin.blocks where blocked_key = admin.xuid($1)", &["blocks_blocked"]),
    ];
    for (statement, indexes) in paths {
        let plan = plan_of(&mut connection, statement).await;
        assert!(!plan.contains("Seq Scan"), "{statement} reads a whole table:\n{plan}");
        for index in indexes {
            let used = plan.lines().any(|line| line.contains("Index") && line.split(' ').any(|word| word == *index));
            assert!(used, "{statement} does not use {index}:\n{plan}");
        }
    }

    // What is not asked for: the session of a member, and its document.
    let plan = plan_of(&mut connection, "select xuid, state from admin.members where xuid_key = $1").await;
    assert!(!plan.contains("sessions"), "{plan}");
    connection.execute("deallocate all").await.unwrap();
    connection.execute("prepare asked as select sid, path, age from admin.sessions where name = $1").await.unwrap();
    let lines = connection.fetch_all("explain verbose execute asked('S1')").await.unwrap();
    let plan = lines.iter().map(|line| line.get::<String, _>(0)).collect::<String>();
    assert!(plan.contains("Output: sessions.sid,") && !plan.contains("body"), "{plan}");
}

/// The log is summarised by time, every day of it.
#[tokio::test]
async fn hot_sessions_are_found_without_reading_the_whole_log() {
    let mut connection = Database::new().await.connection().await;
    let log = "select ensure_changes_partition('2026-01-01');
        insert into changes
        select md5('s' || n % 500)::uuid, md5('b')::uuid, n, '2026-01-01'::timestamptz + n * interval '1 second', gen_random_uuid(), 8, 0,
            false, '', '', null
        from generate_series(1, 40000) n;
        vacuum analyze changes_20260101;
        set openmpsd.now = '2026-01-01 11:00:00Z'";
    for statement in log.split(';') {
        connection.execute(statement).await.unwrap();
    }
    let ask = "explain (analyze, timing off, summary off) select sid, changes from admin.hot_sessions";
    let lines = connection.fetch_all(ask).await.unwrap();
    let plan = lines.iter().map(|line| line.get::<String, _>(0)).collect::<Vec<_>>().join("\n");
    assert!(plan.contains("Bitmap Index Scan on changes_20260101_at_idx"), "{plan}");
    let removed = plan
        .split("Removed by Index Recheck: ")
        .nth(1)
        .map_or(0, |rest| rest.lines().next().and_then(|number| number.trim().parse::<u32>().ok()).expect("a number"));
    assert!(removed < 4000, "{plan}");
    let hot = connection.fetch_one("select count(*), sum(changes)::bigint from admin.hot_sessions").await.unwrap();
    assert_eq!((hot.get::<i64, _>(0), hot.get::<i64, _>(1)), (500, 600));
}

#[tokio::test]
async fn a_keyword_query_reads_nothing_but_its_index_and_stops_early() {
    let mut connection = Database::new().await.connection().await;
    fill(&mut connection).await;
    let plan = plan_of(&mut connection, include_str!("../sql/find_candidates_by_keyword.sql")).await;
    assert!(plan.contains("Index Only Scan using keywords_order"), "{plan}");
    assert!(!plan.contains("Sort Key: keywords"), "{plan}");
}

/// The members of a large session are many: whatever is asked of them must come from an index that gives just those.
#[tokio::test]
async fn m95_a_load_never_reads_all_members_of_a_large_session() {
    let mut connection = Database::new().await.connection().await;
    fill(&mut connection).await;
    let statement = include_str!("../sql/load_large_sessions.sql");
    connection.execute("deallocate all").await.unwrap();
    connection.execute(AssertSqlSafe(format!("prepare asked as {statement}"))).await.unwrap();
    let ask = "array[md5('large')::uuid], '{1}', '{3}', '{false}', '{-3,-4,-5}', '{100,101}', '{1}', '{2}', '{}', '{1}', '{0}', \
         '{true}', '2026-01-01T00:00:40Z'";
    reads_less_than_a_hundred_rows(&mut connection, ask).await;
}

/// Runs the prepared statement `asked`: no step of it may take or drop many rows.
async fn reads_less_than_a_hundred_rows(connection: &mut PgConnection, ask: &str) {
    let explain = format!("explain (analyze, timing off, summary off) execute asked({ask})");
    let lines = connection.fetch_all(AssertSqlSafe(explain)).await.unwrap();
    let lines: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
    for line in &lines {
        let number = |text: &str| text.trim().split([' ', '.']).next()?.parse::<u64>().ok();
        let rows = line.split_once("(actual rows=").and_then(|(_, rest)| number(rest)).unwrap_or(0);
        let removed = line.split_once("Removed by Filter: ").and_then(|(_, rows)| number(rows)).unwrap_or(0);
        assert!(rows.max(removed) < 100, "too much is read:\n{}", lines.join("\n"));
    }
}

/// Statements that read a whole table, or walk an index from its end, because that is what they are for.
const WHOLE: &[&str] = &[
    "enroll_instance",
    "keep_blocks",
    "keep_follows",
    "list_bans",
    "list_newest_owners",
    "load_service_configs",
    "load_session_templates",
    "lose_stray_connections",
    "read_statistics",
    "read_vitals",
];

/// A plan outlives the state of the tables that it was made for, until they are analyzed again. To a planner that knows a table to be
/// empty, reading an index from end to end costs no more than finding a row: no statement may leave it that choice.
#[tokio::test]
async fn what_was_planned_while_tables_were_empty_finds_rows_by_their_keys_later() {
    let mut connection = Database::new().await.connection().await;
    for statement in ["vacuum analyze", "set enable_seqscan = off", "set plan_cache_mode = force_generic_plan"] {
        connection.execute(statement).await.unwrap();
    }
    let mut choices = Vec::new();
    for entry in std::fs::read_dir("src/store/sql").expect("the store's statements") {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let statement = std::fs::read_to_string(&path).unwrap();
        if WHOLE.contains(&name) || name.starts_with("load_everything") || statement.contains("do $$") {
            continue;
        }
        let plan = plan_of(&mut connection, &statement).await;
        let lines: Vec<&str> = plan.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let asked = lines.get(n + 1).is_some_and(|next| next.contains("Index Cond: "));
            // Service configs are few, and a listing goes through all of them.
            let few = line.contains("service_configs");
            if line.contains("Index") && line.contains("Scan") && !asked && !few {
                choices.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    assert!(choices.is_empty(), "indexes are read from end to end:\n{}", choices.join("\n"));
}

#[tokio::test]
async fn the_lives_of_a_session_are_found_without_reading_them() {
    let mut connection = Database::new().await.connection().await;
    let days = "select ensure_changes_partition('2026-01-01'::date + day) from generate_series(0, 2) day";
    connection.execute(days).await.unwrap();
    let long = "insert into changes
        select md5('s1')::uuid, md5('b' || branch)::uuid, n, '2026-01-01'::timestamptz + n * interval '1 minute', gen_random_uuid(),
            8, 0, n = 4000, '', '', null
        from generate_series(1, 4000) n, generate_series(1, 3) branch";
    connection.execute(long).await.unwrap();
    fill(&mut connection).await;
    let statement = include_str!("../sql/list_lives.sql");
    connection.execute("deallocate all").await.unwrap();
    connection.execute(AssertSqlSafe(format!("prepare asked as {statement}"))).await.unwrap();
    reads_less_than_a_hundred_rows(&mut connection, "md5('s1')::uuid").await;
}
