//! Timers that fall due at one instant.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::Client;
use serde_json::json;
use sqlx::Executor as _;
use sqlx::postgres::PgConnection;

use crate::generators::{Tables, Until, pgbench};
use crate::requests::session;
use crate::rig::Rig;

/// How long the reservations of these sessions stand, in milliseconds.
const STANDS: u64 = 30_000;
/// How many requests are under way while they are made.
const AT_ONCE: usize = 64;

/// Makes sessions with a reservation each that expires, moves the clock there, and returns the timers fired a second.
///
/// # Errors
/// When the service refuses one of the steps, or fewer timers fire.
pub async fn ours(rig: &Rig, count: u32, round: &str) -> anyhow::Result<f64> {
    let client = Client::new();
    let token = rig.user(9_000_000);
    let make = |n: u32| {
        let url = format!("http://{}{}", rig.address, session(&format!("timed-{round}-{n}")));
        let body = json!({
            "constants": {"system": {"reservedRemovalTimeout": STANDS}},
            "properties": {"custom": {"filler": "x".repeat(2_500)}},
            "members": {
                "me": {"properties": {"system": {"active": true}}},
                "reserve_1": {"constants": {"system": {"xuid": (9_000_001 + u64::from(n)).to_string()}}},
            },
        });
        let put = client.put(url).header("Authorization", &token).header("X-Xbl-Contract-Version", "107");
        put.header("Content-Type", "application/json").body(body.to_string()).send()
    };
    let mut making = stream::iter(0..count).map(make).buffer_unordered(AT_ONCE);
    while let Some(answer) = making.next().await {
        answer?.error_for_status().context("a session with a timer cannot be made")?;
    }
    let mut database = rig.database().await?;
    database.execute("checkpoint").await?;
    let waiting = waiting_timers(&mut database).await?;
    let clock = client.post(format!("http://{}/admin/dev/clock", rig.address)).header("Authorization", rig.admin());
    let begun = Instant::now();
    clock
        .header("Content-Type", "application/json")
        .body(json!({"advanceMs": STANDS + 1_000}).to_string())
        .send()
        .await?
        .error_for_status()
        .context("the clock cannot be moved")?;
    let took = begun.elapsed();
    let left = waiting_timers(&mut database).await?;
    ensure!(waiting - left >= i64::from(count), "only {} of {count} timers fired", waiting - left);
    Ok(f64::from(count) / took.as_secs_f64())
}

/// The same number by pgbench.
///
/// # Errors
/// When a statement fails or leaves some.
pub async fn theirs(rig: &Rig, script: &Path, count: u32) -> anyhow::Result<f64> {
    const CLIENTS: u32 = 2;
    let mut database = rig.database().await?;
    database.execute("truncate baseline.timers").await?;
    database.execute("delete from baseline.members where index = 1000").await?;
    sqlx::query(include_str!("../sql/sweep_fill.sql")).bind(i64::from(count)).execute(&mut database).await?;
    database.execute("vacuum (analyze) baseline.timers, baseline.members").await?;
    database.execute("checkpoint").await?;
    let transactions = count.div_ceil(100 * CLIENTS);
    let tps = pgbench(rig, &[script.to_owned()], Tables::Copies, CLIENTS, Until::Transactions(transactions)).await?;
    let left: i64 = sqlx::query_scalar("select count(*) from baseline.timers").fetch_one(&mut database).await?;
    ensure!(left == 0, "the baseline left {left} timers");
    // The last ones may have found fewer than a hundred.
    Ok(tps * f64::from(count) / f64::from(transactions * CLIENTS))
}

async fn waiting_timers(database: &mut PgConnection) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from timers").fetch_one(database).await?)
}
