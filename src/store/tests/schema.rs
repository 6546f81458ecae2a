//! Migrations, and every statement against the schema they make.

use std::path::Path;

use refinery::Target;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use super::Database;
use super::cluster::empty;
use crate::store::migrate::{Standing, fingerprint, latest, migrate, migrate_to, settle_restored, status};
use crate::store::pooler;

fn statements() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sql");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect()
}

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let database = Database::new().await;
    let mut connection = database.connection().await;
    for (path, text) in statements() {
        if let Err(error) = connection.prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(text))).await {
            panic!("{path}: {error}");
        }
    }
}

#[test]
fn every_statement_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let sources: String = [folder.join("search"), folder]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for (path, _) in statements() {
        let name = path.rsplit('/').next().unwrap();
        assert!(sources.contains(&format!("sql/{name}\"")), "nobody uses {name}");
    }
}

#[tokio::test]
async fn migrating_twice_is_migrating_once() {
    let url = empty().await;
    let (one, other) = tokio::join!(migrate(&url), migrate(&url));
    let (one, other) = (one.unwrap(), other.unwrap());
    let applied = if one.is_empty() { other } else { one };
    assert_eq!(applied.first().map(String::as_str), Some("V001__sessions"));
    assert_eq!(migrate(&url).await.unwrap(), Vec::<String>::new());
    assert_eq!(fingerprint().len(), 16 * applied.len());
}

/// The sample rows of every migration, in their order, with the names of the files.
fn samples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

#[tokio::test]
async fn migrations_keep_the_rows_that_are_there() {
    let url = empty().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut counts: Vec<(String, i64)> = Vec::new();
    for (name, rows) in samples() {
        let version = name[1..4].parse().unwrap();
        assert_eq!(migrate_to(&url, Target::Version(version)).await.unwrap(), [name.as_str()], "a sample for every migration");
        for (table, count) in &counts {
            assert_eq!(count_of(&mut connection, table).await, *count, "{table} after {name}");
        }
        connection.execute(AssertSqlSafe(rows)).await.unwrap();
        let tables = "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            and relname <> 'refinery_schema_history' order by relname";
        counts.clear();
        for row in connection.fetch_all(tables).await.unwrap() {
            let table: String = row.get(0);
            let count = count_of(&mut connection, &table).await;
            assert!(count > 0, "{name} leaves no sample in {table}");
            counts.push((table, count));
        }
    }
    assert_eq!(migrate(&url).await.unwrap(), Vec::<String>::new(), "a sample for every migration");

    // What V007 added to the rows of V001.
    let old =
        "select string_agg(concat_ws(' ', index, state, xuid, owner, document, since, due_at, joined_at), ', ' order by index)
        from members where sid = '00000000-0000-0000-0000-000000000001'";
    assert_eq!(connection.fetch_one(old).await.unwrap().get::<String, _>(0), "0 3 1 f, 1 0 -1 f");
    let large = connection.fetch_one("select array_agg(large order by sid) from sessions").await.unwrap();
    assert_eq!(large.get::<Vec<bool>, _>(0), [false, true, false]);
    // What V017 shows of the rows of V014 and its own.
    let limits =
        "select array_agg(throttle ->> 'requests_burst_max' order by scid) from admin.service_configs where throttle is not null";
    let limits = connection.fetch_one(limits).await.unwrap();
    assert_eq!(limits.get::<Vec<String>, _>(0), ["60", "1e999"]);
}

/// On a server where the service's role may not create roles, the views are there all the same, and whoever may makes the role.
#[tokio::test]
async fn v013_a_role_that_may_not_create_roles_migrates_all_the_same() {
    let made = Database::new().await;
    let mut owner = made.connection().await;
    let url = empty().await;
    let name = url.trim_start_matches("postgresql:///").split('?').next().unwrap();
    owner.execute("create role plain login").await.unwrap();
    owner.execute(AssertSqlSafe(format!("alter database {name} owner to plain"))).await.unwrap();
    let plain = url.replace("user=postgres", "user=plain");
    migrate_to(&plain, Target::Version(12)).await.unwrap();

    // Other tests have made the role of readers already; in this transaction it has another name.
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/V013__admin_schema.sql")).unwrap();
    let before = "begin; alter role openmpsd_readonly rename to openmpsd_elsewhere; set local role plain";
    connection.execute(before).await.unwrap();
    connection.execute(AssertSqlSafe(text)).await.unwrap();
    let asked = "select (select count(*) from admin.sessions), to_regrole('openmpsd_readonly') is null";
    let row = connection.fetch_one(asked).await.unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<bool, _>(1)), (0, true));
    connection.execute("rollback").await.unwrap();

    // Where somebody else has made it, the owner of the views lets it read them.
    assert!(!migrate(&plain).await.unwrap().is_empty());
    connection.execute("set role openmpsd_readonly").await.unwrap();
    assert_eq!(count_of(&mut connection, "admin.sessions").await, 0);
    assert_eq!(connection.fetch_all("select * from admin.backends where pid = pg_backend_pid()").await.unwrap().len(), 1);
}

/// What may be done by whom in schema `admin`, without what its owner may.
async fn rights(connection: &mut PgConnection) -> Vec<String> {
    let asked = "select concat_ws(' ', found.name, acl.grantee::regrole, acl.privilege_type) as right
        from (
            select relname::text, coalesce(relacl, acldefault('r', relowner)), relowner from pg_class
            where relnamespace = 'admin'::regnamespace and relkind = 'v'
            union all select proname::text, coalesce(proacl, acldefault('f', proowner)), proowner from pg_proc
            where pronamespace = 'admin'::regnamespace
            union all select nspname::text, coalesce(nspacl, acldefault('n', nspowner)), nspowner from pg_namespace
            where nspname = 'admin'
        ) found (name, rights, owner), aclexplode(found.rights) acl
        where acl.grantee <> found.owner order by 1";
    connection.fetch_all(asked).await.unwrap().iter().map(|row| row.get("right")).collect()
}

/// A dump has no rights: what V013 gave, and took from everybody, is there again after the next start, and after a restore.
#[tokio::test]
async fn v013_rights_that_a_dump_has_lost_are_given_again() {
    let database = Database::new().await;
    let mut connection = database.connection().await;
    let given = rights(&mut connection).await;
    assert!(given.contains(&"sessions openmpsd_readonly SELECT".to_owned()), "{given:?}");
    assert!(given.contains(&"read_backends openmpsd_readonly EXECUTE".to_owned()), "{given:?}");
    assert!(!given.contains(&"read_backends - EXECUTE".to_owned()), "everybody may not: {given:?}");
    let lose = "revoke all on schema admin from openmpsd_readonly;
        revoke all on all tables in schema admin from openmpsd_readonly;
        revoke all on function admin.read_backends() from openmpsd_readonly;
        grant execute on function admin.read_backends() to public";
    for restored in [true, false] {
        connection.execute(AssertSqlSafe(lose)).await.unwrap();
        assert_ne!(rights(&mut connection).await, given);
        if restored {
            settle_restored(&database.url).await.unwrap();
        } else {
            assert_eq!(migrate(&database.url).await.unwrap(), Vec::<String>::new());
        }
        assert_eq!(rights(&mut connection).await, given);
    }
    // Where neither the role nor the schema can be touched, a service starts all the same.
    connection.execute("create role lodger login; grant all on all tables in schema public to lodger").await.unwrap();
    connection.execute(AssertSqlSafe(lose)).await.unwrap();
    connection.execute("grant all on schema public to lodger").await.unwrap();
    assert_eq!(migrate(&database.url.replace("user=postgres", "user=lodger")).await.unwrap(), Vec::<String>::new());
}

/// How the columns of the log that may be long are kept, in all of its parts: `table column storage compression`.
async fn kept(connection: &mut PgConnection) -> Vec<String> {
    let columns = "select concat_ws(' ', c.relname, a.attname, a.attstorage, a.attcompression)
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attlen = -1
        where c.oid = 'changes'::regclass or c.oid in (select inhrelid from pg_inherits where inhparent = 'changes'::regclass)
        order by c.relname, a.attname";
    connection.fetch_all(columns).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Rows of the log stay in one piece, and are compressed by the fast method, on days that are there and on new ones; a dump has lost it.
#[tokio::test]
async fn v019_the_log_is_compressed_like_sessions() {
    let url = empty().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    migrate_to(&url, Target::Version(18)).await.unwrap();
    connection.execute("select ensure_changes_partition('2031-01-02')").await.unwrap();
    migrate(&url).await.unwrap();
    connection.execute("select ensure_changes_partition('2031-01-03')").await.unwrap();
    let tables = ["changes", "changes_20310102", "changes_20310103", "changes_default"];
    let wanted: Vec<String> = tables
        .iter()
        .flat_map(|table| ["actor m ", "delta m l", "departed m "].map(|column| format!("{table} {column}")))
        .collect();
    assert_eq!(kept(&mut connection).await, wanted);
    for table in tables {
        connection.execute(AssertSqlSafe(format!("alter table {table} alter delta set compression default"))).await.unwrap();
    }
    assert_ne!(kept(&mut connection).await, wanted);
    settle_restored(&url).await.unwrap();
    assert_eq!(kept(&mut connection).await, wanted);
}

async fn count_of(connection: &mut PgConnection, table: &str) -> i64 {
    connection.fetch_one(AssertSqlSafe(format!("select count(*) from {table}"))).await.unwrap().get(0)
}

#[tokio::test]
async fn a_database_of_a_newer_service_is_refused() {
    let database = Database::new().await;
    let foreign = "insert into refinery_schema_history (version, name, applied_on, checksum)
        values (99, 'tomorrow', '2030-01-01T00:00:00Z', '1')";
    database.connection().await.execute(foreign).await.unwrap();
    let error = migrate(&database.url).await.unwrap_err();
    assert!(error.to_string().starts_with("the schema cannot be migrated: V099__tomorrow was applied by a program"), "{error}");
    assert!(error.to_string().ends_with("run the version that made the schema, or a newer one"), "{error}");
    let states = status(&database.url).await.unwrap();
    assert_eq!(states.last().map(|state| state.name.as_str()), Some("V099__tomorrow"));
    assert_eq!(states.last().unwrap().standing, Standing::Unknown("2030-01-01T00:00:00Z".into()));
}

#[tokio::test]
async fn the_standing_of_every_migration_is_told() {
    let url = empty().await;
    assert!(status(&url).await.unwrap().iter().all(|state| state.standing == Standing::Pending));
    migrate_to(&url, Target::Version(2)).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("update refinery_schema_history set checksum = '1' where version = 2").await.unwrap();
    let states = status(&url).await.unwrap();
    assert!(matches!(states[0].standing, Standing::Applied(_)) && states[0].name == "V001__sessions", "{:?}", states[0]);
    assert!(matches!(states[1].standing, Standing::Divergent(_)), "{:?}", states[1]);
    assert!(states[2..].iter().all(|state| state.standing == Standing::Pending));
    assert_eq!(states.last().map(|state| state.name.clone()), Some(latest()));
}

#[tokio::test]
async fn a_server_without_a_pooler_keeps_its_sessions() {
    let database = Database::new().await;
    assert_eq!(pooler::probe(&database.url).await.unwrap(), pooler::Pooling::Sessions);
}

#[tokio::test]
async fn vitals_tell_what_is_late_and_who_is_silent() {
    let database = Database::new().await;
    let mut connection = database.connection().await;
    let noon = super::start();
    let rows = "insert into instances (id, started_at, seen_at) values (gen_random_uuid(), now(), '2025-12-31T23:59:50Z'),
            (gen_random_uuid(), now(), '2025-12-31T23:59:00Z'), (gen_random_uuid(), now(), null);
        insert into service_configs (scid, titles, revision) values (gen_random_uuid(), array[]::bigint[], 1)";
    for statement in rows.split(';') {
        connection.execute(statement).await.unwrap();
    }
    let vitals = database.store.vitals(noon).await.unwrap();
    assert_eq!((vitals.living, vitals.silent, vitals.services, vitals.templates, vitals.overdue), (1, 2, 1, 0, 0));
    assert_eq!(vitals.days_missing, ["2026-01-01", "2026-01-02"]);
    database.store.ensure_partitions(noon).await.unwrap();
    assert_eq!(database.store.vitals(noon).await.unwrap().days_missing, Vec::<String>::new());
    let server = database.store.server().await.unwrap();
    assert!(server.major >= 15 && server.version.starts_with(&server.major.to_string()) && !server.standby, "{server:?}");
}

#[tokio::test]
async fn a_xuid_reads_in_its_decimal_form() {
    let mut connection = Database::new().await.connection().await;
    for (xuid, text) in [(1_u64, "1"), (i64::MAX.cast_unsigned(), "9223372036854775807"), (u64::MAX, "18446744073709551615")] {
        let row = sqlx::query("select xuid_text($1)").bind(xuid.cast_signed()).fetch_one(&mut connection).await.unwrap();
        assert_eq!(row.get::<String, _>(0), text);
    }
}
