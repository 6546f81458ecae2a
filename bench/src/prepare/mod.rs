//! Everything the workloads need before they are measured: files of requests, scripts, and sessions of their own.
//!
//! Both sides ask for the same things: the `k`-th of the chosen sessions is number `k * sessions / chosen`, and whoever and whatever is
//! asked for besides follows from `k`, here and in the scripts alike.

mod queries;
mod reads;
mod writes;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use openmpsd::domain::names::{Branch, ETag};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::baseline::Scripts;
use crate::dataset::{self, Sizes};
use crate::generators::Tables;
use crate::requests::write;
use crate::rig::Rig;
use crate::workloads::{NAMES, Side, Workload};

/// How many sessions reads and writes are spread over.
const SPREAD: u32 = 10_000;

/// The workloads, ready to be measured.
///
/// # Errors
/// When the service refuses what they are made of.
pub async fn workloads(rig: &Rig, sizes: &Sizes, folder: &Path) -> anyhow::Result<Vec<Workload>> {
    let preparation = Preparation::new(rig, sizes, folder);
    let mut workloads = preparation.reads().await?;
    workloads.extend(preparation.queries().await?);
    workloads.extend(preparation.writes().await?);
    let mut names: Vec<&str> = workloads.iter().map(|workload| workload.name).collect();
    names.dedup();
    ensure!(names == NAMES, "the list of workloads says something else: {names:?}");
    Ok(workloads)
}

struct Preparation<'a> {
    rig: &'a Rig,
    folder: &'a Path,
    sizes: &'a Sizes,
    /// The numbers of the sessions that are read and written, all over the data set.
    chosen: Vec<u32>,
    keys: Vec<Uuid>,
    /// The first member of each, as a header.
    owners: Vec<String>,
    scripts: Scripts<'a>,
}

impl<'a> Preparation<'a> {
    fn new(rig: &'a Rig, sizes: &'a Sizes, folder: &'a Path) -> Self {
        let chosen = spread(sizes.sessions);
        let keys = chosen.iter().map(|n| dataset::reference(*n).sid()).collect();
        let owners = chosen.iter().map(|n| rig.user(dataset::owner(*n))).collect();
        Self { rig, folder, sizes, chosen, keys, owners, scripts: Scripts { folder } }
    }

    /// The chosen sessions in an order that no index has.
    fn shuffled(&self) -> impl Iterator<Item = usize> {
        let count = self.chosen.len();
        let step = step(count);
        (0..count).map(move |n| n * step % count)
    }

    /// The drawing of one of the chosen sessions in a script: its place `k` among them and its number `n`.
    fn draw(&self) -> Vec<String> {
        draw(self.sizes.sessions)
    }

    fn requests(&self, name: &str, requests: &[String]) -> anyhow::Result<PathBuf> {
        write(self.folder, name, requests, &[])
    }

    /// Requests to the service, each for one thing.
    fn service(&self, name: &str, requests: &[String], connections: u32) -> anyhow::Result<Side> {
        Ok(Side::Service { requests: self.requests(name, requests)?, connections, times: 1.0 })
    }
}

/// A script on the copies, each transaction for one thing.
fn pgbench(script: &Path, clients: u32) -> Side {
    Side::Pgbench { scripts: vec![script.to_owned()], tables: Tables::Copies, clients, times: 1.0 }
}

/// So many numbers below `all`, evenly.
fn spread(all: u32) -> Vec<u32> {
    let count = SPREAD.min(all);
    (0..count).map(|k| u32::try_from(u64::from(k) * u64::from(all) / u64::from(count)).expect("it is less")).collect()
}

/// The drawing of one of those numbers in a script.
fn draw(all: u32) -> Vec<String> {
    let count = SPREAD.min(all);
    vec![format!("k random(0, {})", count - 1), format!("n :k * {all} / {count}")]
}

/// A step that shares no factor with a count, and so visits every place once before it comes back.
fn step(count: usize) -> usize {
    // The number after a multiple shares nothing with it.
    (count * 5 / 8..=count + 1).find(|step| gcd(*step, count) == 1).expect("the last one does")
}

/// The entity tags of sessions, as they are sent.
///
/// # Errors
/// When the database does not answer, or a session is missing.
pub async fn tags(database: &mut PgConnection, sids: &[Uuid]) -> anyhow::Result<Vec<String>> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(include_str!("../../sql/tags.sql")).bind(sids).fetch_all(database).await?;
    ensure!(rows.len() == sids.len(), "{} of {} sessions are there", rows.len(), sids.len());
    let tag = |(branch, number): (Uuid, i64)| ETag { branch: Branch(branch), change_number: number.cast_unsigned() };
    Ok(rows.into_iter().map(|row| format!("\"{}\"", tag(row))).collect())
}

/// The requests of a file with the entity tags that their sessions have, once no earlier write changes them any more.
///
/// # Errors
/// When the file is not there, the service does not come to rest, or the database does not answer.
pub async fn tag_requests(rig: &Rig, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let text = fs::read_to_string(folder.join(format!("{name}.json")))?;
    let requests: Vec<String> = serde_json::from_str(&text)?;
    let paths: Vec<String> = requests.iter().map(|request| request.split(' ').nth(1).unwrap_or_default().to_owned()).collect();
    let sids: Vec<Uuid> = paths.iter().map(|path| dataset::named(path.rsplit('/').next().unwrap_or_default()).sid()).collect();
    rig.at_rest().await?;
    let tags = tags(&mut rig.database().await?, &sids).await?;
    write(folder, name, &requests, &paths.into_iter().zip(tags).collect::<Vec<_>>())
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_sessions_are_all_over_the_data_set() {
        assert_eq!(spread(3), [0, 1, 2]);
        let chosen = spread(2_000_000_000);
        assert_eq!((chosen.len(), chosen[1], chosen[9999]), (10_000, 200_000, 1_999_800_000));
        assert_eq!(draw(200_000), ["k random(0, 9999)", "n :k * 200000 / 10000"]);
        assert_eq!(draw(300), ["k random(0, 299)", "n :k * 300 / 300"]);
    }

    #[test]
    fn a_walk_visits_every_place_once() {
        for count in [1, 2, 8, 300, 9999, 10_000] {
            let step = step(count);
            let mut visited: Vec<usize> = (0..count).map(|n| n * step % count).collect();
            visited.sort_unstable();
            assert!(visited.into_iter().eq(0..count), "{count}");
        }
    }
}
