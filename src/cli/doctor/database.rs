//! The database: whether it answers, keeps what it acknowledges, has our schema, and how the service lives in it.

use std::fmt::Display;
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::Check;
use crate::ambient::Clock;
use crate::cli::database::Database;
use crate::embedded;
use crate::settings::Settings;
use crate::store::migrate::{self, Standing, State};
use crate::store::pooler::{self, Pooling};
use crate::store::{ServerFacts, Store, StoreError, StoreOptions, Vitals};

/// The oldest major version that will do.
const OLDEST_MAJOR: i32 = 15;
/// Connections that an instance holds beside its pool, and that PostgreSQL keeps for superusers.
const BESIDE_POOL: i64 = 5;
/// How long a connection may take: a host that drops packets says nothing for minutes.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one statement of the projection check may take.
const LONG_PATIENCE: Duration = Duration::from_mins(10);

/// Everything there is to say about the database of the settings.
pub async fn checks(settings: &Settings, verify: bool) -> Vec<Check> {
    if settings.database.url.is_none() {
        match embedded::find_running(&settings.embedded.data_dir) {
            Ok(Some(_)) => {}
            Ok(None) => {
                let remedy = "start it and run the doctor again to have its database looked at";
                return vec![Check::warn("database", "no service runs on this data directory", remedy)];
            }
            Err(error) => {
                let remedy = "run the doctor as the user that runs the service";
                return vec![Check::fail("database", format!("failed to {error}"), remedy)];
            }
        }
    }
    let database = match Database::find(settings) {
        Ok(database) => database,
        Err(error) => return vec![Check::fail("database", format!("{error:#}"), "start the service, or set database.url")],
    };
    let mut checks = Vec::new();
    // Each way to the database is tried by itself: one may be closed where another is open.
    checks.push(match timeout(PATIENCE, migrate::status(database.migrate_url.expose_secret())).await {
        Ok(Ok(states)) => migrations(&states),
        Ok(Err(error)) => unreachable(settings, "migrations", &error),
        Err(_) => silent("migrations"),
    });
    if settings.database.url.is_some() {
        let apart = settings.database.migrate_url.is_some();
        match timeout(PATIENCE * 3, pooler::probe(database.url.expose_secret())).await {
            Ok(Ok(pooling)) => checks.push(pooling_of(pooling, apart)),
            Ok(Err(error)) => checks.push(unreachable(settings, "pooler", &error)),
            Err(_) => checks.push(silent("pooler")),
        }
    }
    match open(&database, settings, verify).await {
        Ok(store) => {
            checks.extend(ask(&store, settings, verify).await);
            store.close().await;
        }
        Err(check) => checks.push(check),
    }
    checks
}

async fn open(database: &Database, settings: &Settings, verify: bool) -> Result<Store, Check> {
    let unreadable = |_| Check::fail("database", "database.url cannot be understood", "write postgres://user:password@host/name");
    let options = StoreOptions {
        connect: database.url.expose_secret().parse().map_err(unreadable)?,
        pool_max: 1,
        statement_timeout: if verify { LONG_PATIENCE } else { Duration::from_millis(settings.database.statement_timeout_ms) },
        acquire_timeout: Duration::from_millis(settings.database.acquire_timeout_ms),
    };
    match timeout(PATIENCE, Store::connect(options)).await {
        Ok(connected) => connected.map_err(|error| unreachable(settings, "database", &error)),
        Err(_) => Err(silent("database")),
    }
}

fn silent(name: &'static str) -> Check {
    Check::fail(
        name,
        "the database does not answer in time",
        "see whether the host of database.url is right, and nothing lies between",
    )
}

fn unreachable(settings: &Settings, name: &'static str, error: &dyn Display) -> Check {
    let says = error.to_string();
    let remedy = if says.contains("startup parameter") {
        "a pooler refuses what the service sets for its connections: give the service a way past it, or set in PgBouncer \
         ignore_startup_parameters = extra_float_digits,options and the same values at the role (docs/operation.md)"
    } else if settings.database.url.is_none() {
        "run the doctor as the user that runs the service"
    } else {
        "see whether database.url (and database.migrate_url) is right, and the server takes this machine's connections"
    };
    Check::fail(name, says, remedy)
}

/// Asks the database itself.
async fn ask(store: &Store, settings: &Settings, verify: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    let failed = |name, error: &StoreError| Check::fail(name, error.to_string(), "see the log of PostgreSQL");
    match store.server().await {
        Ok(facts) => checks.extend(server(&facts, settings.database.pool_max)),
        Err(error) => checks.push(failed("database", &error)),
    }
    let clock = Clock::system();
    let asked = clock.real();
    checks.push(match store.clock().await {
        Ok(theirs) => skew(theirs - (asked + (clock.real() - asked) / 2)),
        Err(error) => failed("clock", &error),
    });
    match store.vitals(clock.real()).await {
        Ok(found) => checks.extend(vitals(&found)),
        Err(error) => {
            let remedy = "bring the schema up to date with `openmpsd migrate up`, if it is not";
            checks.push(Check::fail("service", error.to_string(), remedy));
        }
    }
    if verify {
        checks.extend(match store.verify().await {
            Ok(differences) => verified(&differences),
            Err(error) => vec![failed("sessions", &error)],
        });
    }
    checks
}

fn migrations(states: &[State]) -> Check {
    let name = "migrations";
    let count = |wanted: fn(&Standing) -> bool| states.iter().filter(|state| wanted(&state.standing)).count();
    if let Some(state) = states.iter().find(|state| matches!(state.standing, Standing::Divergent(_))) {
        let remedy = "this schema was made by another line of the program: serve it with that one, or restore a backup";
        return Check::fail(name, format!("{} was applied with other contents", state.name), remedy);
    }
    if let Some(state) = states.iter().find(|state| matches!(state.standing, Standing::Unknown(_))) {
        let remedy = "run the newer version of the program that made this schema";
        return Check::fail(name, format!("{} is newer than this program", state.name), remedy);
    }
    match count(|standing| *standing == Standing::Pending) {
        0 => Check::fine(name, format!("{} applied, up to {}", states.len(), migrate::latest())),
        pending => {
            let remedy = "the next start applies them, or `openmpsd migrate up`";
            Check::warn(name, format!("{pending} of {} pending", states.len()), remedy)
        }
    }
}

fn pooling_of(pooling: Pooling, migrates_apart: bool) -> Check {
    let name = "pooler";
    match pooling {
        Pooling::Sessions => Check::fine(name, "a connection keeps its server process"),
        Pooling::Transactions { prepared: false } => Check::fail(
            name,
            "a transaction pooler stands before the database, and prepared statements are lost in it",
            "use session mode, or PgBouncer 1.21 or newer with max_prepared_statements above 0; and set database.migrate_url to a way past it",
        ),
        Pooling::Transactions { prepared: true } if migrates_apart => Check::warn(
            name,
            "a transaction pooler stands before the database: instances learn of each other's changes only when they look",
            "session mode, or a way past the pooler in database.url, lets taps to other instances come at once",
        ),
        Pooling::Transactions { prepared: true } => Check::fail(
            name,
            "a transaction pooler stands before the database, and migrations cannot hold their lock through it",
            "set database.migrate_url to a way past the pooler, or use session mode",
        ),
    }
}

/// Whether the server will do, and keeps what it acknowledges.
fn server(facts: &ServerFacts, pool_max: u32) -> Vec<Check> {
    let name = "database";
    let mut checks = Vec::new();
    if facts.major < OLDEST_MAJOR {
        let says = format!("PostgreSQL {}, and {OLDEST_MAJOR} is the oldest that will do", facts.version);
        checks.push(Check::fail(name, says, "move to a newer server: dump there, restore here"));
    } else {
        checks.push(Check::fine(name, format!("PostgreSQL {} answers", facts.version)));
    }
    if facts.standby {
        let remedy = "let database.url lead to the primary";
        checks.push(Check::fail(name, "this server is a standby: nothing can be written to it", remedy));
    }
    for (setting, value) in [("fsync", &facts.fsync), ("full_page_writes", &facts.full_page_writes)] {
        if value != "on" {
            let remedy = format!("set {setting} = on: a power cut may cost the whole database otherwise");
            checks.push(Check::fail("durability", format!("{setting} is {value}"), remedy));
        }
    }
    if facts.synchronous_commit == "off" {
        let remedy = "set synchronous_commit = on: what is acknowledged may be lost otherwise";
        checks.push(Check::fail("durability", "synchronous_commit is off", remedy));
    }
    let wanted = i64::from(pool_max) + BESIDE_POOL;
    if i64::from(facts.max_connections) < wanted {
        let says = format!("the server takes {} connections, and one instance may want {wanted}", facts.max_connections);
        checks.push(Check::warn("connections", says, "raise max_connections of the server, or lower database.pool_max"));
    } else {
        let instances = i64::from(facts.max_connections) / wanted;
        let plural = if instances == 1 { "" } else { "s" };
        let says = format!(
            "the server takes {}, enough for {instances} instance{plural} with database.pool_max = {pool_max}",
            facts.max_connections
        );
        checks.push(Check::fine("connections", says));
    }
    checks
}

/// How far the database's clock is from ours.
fn skew(ahead: TimeDelta) -> Check {
    let says = format!(
        "the database's is {} ms {}",
        ahead.num_milliseconds().abs(),
        if ahead < TimeDelta::zero() { "behind" } else { "ahead" }
    );
    if ahead.abs() > TimeDelta::seconds(1) {
        let remedy = "let both machines follow a time server: the service follows the database, whoever issues tokens may not";
        return Check::warn("clock", says, remedy);
    }
    Check::fine("clock", says)
}

fn vitals(found: &Vitals) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.push(if found.living == 0 && found.silent == 0 {
        Check::fine("instances", "none runs")
    } else if found.silent > 0 {
        let says = format!("{} living, {} silent for more than 30 seconds", found.living, found.silent);
        Check::warn("instances", says, "a living instance buries the silent ones soon; if none lives, start one")
    } else {
        Check::fine("instances", format!("{} living", found.living))
    });
    checks.push(if found.overdue == 0 {
        Check::fine("timers", "none is late")
    } else {
        let says = format!(
            "{}{} sessions are due for more than a minute",
            found.overdue,
            if found.overdue >= 10_000 { " or more" } else { "" }
        );
        let remedy = "an instance that runs works them off; if one runs, its log says why it cannot (\"sweep due timers\")";
        Check::warn("timers", says, remedy)
    });
    checks.push(if found.days_missing.is_empty() {
        Check::fine("change log", "has partitions for today and tomorrow")
    } else {
        let says = format!("no partition for {}", found.days_missing.join(" and "));
        let remedy = "an instance that runs makes them within ten minutes; its log says why it cannot. Until then the default partition takes everything";
        Check::warn("change log", says, remedy)
    });
    checks
}

/// What the projection check found, the first few in full.
fn verified(differences: &[String]) -> Vec<Check> {
    const SHOWN: usize = 20;
    if differences.is_empty() {
        return vec![Check::fine("sessions", "all agree with what is derived from them")];
    }
    let remedy = "run it again while no instance runs: a write under way looks like a difference. What stays is worth a report, with a backup";
    let mut checks: Vec<Check> = differences
        .iter()
        .take(SHOWN)
        .map(|difference| Check { remedy: String::new(), ..Check::fail("sessions", difference, "") })
        .collect();
    let count = differences.len();
    checks.push(Check::fail("sessions", format!("{count} differences between sessions and what is derived from them"), remedy));
    checks
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Outcome;
    use super::*;

    fn facts() -> ServerFacts {
        ServerFacts {
            version: "15.18".into(),
            major: 15,
            fsync: "on".into(),
            full_page_writes: "on".into(),
            synchronous_commit: "on".into(),
            max_connections: 100,
            standby: false,
        }
    }

    fn outcome(checks: &[Check]) -> Outcome {
        checks.iter().map(|check| check.outcome).max().unwrap()
    }

    #[rstest]
    #[case::well(facts(), Outcome::Fine)]
    #[case::old(ServerFacts { major: 14, ..facts() }, Outcome::Fail)]
    #[case::standby(ServerFacts { standby: true, ..facts() }, Outcome::Fail)]
    #[case::fsync(ServerFacts { fsync: "off".into(), ..facts() }, Outcome::Fail)]
    #[case::pages(ServerFacts { full_page_writes: "off".into(), ..facts() }, Outcome::Fail)]
    #[case::commit(ServerFacts { synchronous_commit: "off".into(), ..facts() }, Outcome::Fail)]
    #[case::local(ServerFacts { synchronous_commit: "local".into(), ..facts() }, Outcome::Fine)]
    #[case::connections(ServerFacts { max_connections: 20, ..facts() }, Outcome::Warn)]
    fn a_server_that_will_not_do_is_told(#[case] facts: ServerFacts, #[case] expected: Outcome) {
        assert_eq!(outcome(&server(&facts, 16)), expected);
    }

    #[rstest]
    #[case(&[Standing::Applied("then".into())], Outcome::Fine)]
    #[case(&[Standing::Applied("then".into()), Standing::Pending], Outcome::Warn)]
    #[case(&[Standing::Divergent("then".into()), Standing::Pending], Outcome::Fail)]
    #[case(&[Standing::Applied("then".into()), Standing::Unknown("then".into())], Outcome::Fail)]
    fn a_schema_that_is_not_ours_is_told(#[case] standings: &[Standing], #[case] expected: Outcome) {
        let state = |standing: &Standing| State { name: "V001__sessions".into(), standing: standing.clone() };
        assert_eq!(migrations(&standings.iter().map(state).collect::<Vec<_>>()).outcome, expected);
    }

    #[rstest]
    #[case(Pooling::Sessions, false, Outcome::Fine, "")]
    #[case(Pooling::Transactions { prepared: true }, false, Outcome::Fail, "database.migrate_url")]
    #[case(Pooling::Transactions { prepared: true }, true, Outcome::Warn, "session mode")]
    #[case(Pooling::Transactions { prepared: false }, true, Outcome::Fail, "max_prepared_statements")]
    fn a_transaction_pooler_is_told_with_the_ways_out(
        #[case] pooling: Pooling,
        #[case] apart: bool,
        #[case] expected: Outcome,
        #[case] word: &str,
    ) {
        let check = pooling_of(pooling, apart);
        assert!(check.outcome == expected && check.remedy.contains(word), "{check:?}");
    }

    #[rstest]
    #[case(0, Outcome::Fine)]
    #[case(-900, Outcome::Fine)]
    #[case(1001, Outcome::Warn)]
    #[case(-60_000, Outcome::Warn)]
    fn clocks_that_differ_are_told(#[case] ahead_ms: i64, #[case] expected: Outcome) {
        assert_eq!(skew(TimeDelta::milliseconds(ahead_ms)).outcome, expected);
    }

    #[test]
    fn what_is_left_undone_is_told() {
        let well = Vitals { services: 1, templates: 1, living: 1, silent: 0, overdue: 0, days_missing: Vec::new() };
        assert_eq!(outcome(&vitals(&well)), Outcome::Fine);
        for ill in [
            Vitals { silent: 1, ..well.clone() },
            Vitals { overdue: 1, ..well.clone() },
            Vitals { days_missing: vec!["2026-01-01".into()], ..well.clone() },
        ] {
            assert_eq!(vitals(&ill).iter().filter(|check| check.outcome == Outcome::Warn).count(), 1, "{ill:?}");
        }
    }

    #[test]
    fn differences_are_failures() {
        assert_eq!(outcome(&verified(&[])), Outcome::Fine);
        let found: Vec<String> = (0..30).map(|number| format!("session {number}: differs")).collect();
        let checks = verified(&found);
        assert_eq!((checks.len(), outcome(&checks)), (21, Outcome::Fail));
        assert!(checks[20].says.starts_with("30 differences"), "{:?}", checks[20]);
    }
}
