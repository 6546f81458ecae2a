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

use crate::dataset::{self, SCID};
use crate::generators::{Tables, Until, pgbench};
use crate::requests::accepted;
use crate::rig::Rig;

/// The template of these sessions.
const TEMPLATE: &str = "Timed";
/// How long their reservations stand, in milliseconds: the template says so.
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
        let sessions = format!("/serviceconfigs/{SCID}/sessiontemplates/{TEMPLATE}/sessions");
        let url = format!("http://{}{sessions}/timed-{round}-{n}", rig.address);
        // Like a session of the data set, with one seat that is kept.
        let body = dataset::creation(n, &[9_000_001 + u64::from(n)], &[]);
        let put = client.put(url).header("Authorization", &token).header("X-Xbl-Contract-Version", "107");
        put.header("Content-Type", "application/json").body(body).send()
    };
    let mut making = stream::iter(0..count).map(make).buffer_unordered(AT_ONCE);
    while let Some(answer) = making.next().await {
        accepted(answer?).await.context("a session with a timer cannot be made")?;
    }
    let mut database = rig.database().await?;
    database.execute("checkpoint").await?;
    let waiting = waiting_timers(&mut database).await?;
    let clock = client.post(format!("http://{}/admin/dev/clock", rig.address)).header("Authorization", rig.admin());
    let begun = Instant::now();
    let moved = clock.header("Content-Type", "application/json").body(json!({"advanceMs": STANDS + 1_000}).to_string()).send();
    accepted(moved.await?).await.context("the clock cannot be moved")?;
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
