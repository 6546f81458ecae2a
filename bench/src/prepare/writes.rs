//! Writes, taps and timers.

use std::fs;

use anyhow::Context;

use super::{Preparation, pgbench};
use crate::dataset;
use crate::requests::{FRESH, NUMBER, TAG, accepted, request, session};
use crate::workloads::{Side, Workload};

/// How many different users create sessions.
const CREATORS: u32 = 1_000;
/// A block that no data set has: created sessions change neither what its users are in nor what its keywords find.
const ELSEWHERE: u32 = 1_000_000;
/// How many requests make up one come-and-go: all come, then all go, so that nobody is overtaken by his own leaving.
const VISITORS: usize = 1_000;
/// Users who come to one session and go again.
const CROWD: u32 = 40;
/// The first of them; the host of that session is the one before.
const FIRST_OF_CROWD: u64 = 8_000_000;
/// The name of the session that everybody writes to.
const HOT: &str = "hot";

const CLIENTS: u32 = 32;
const CONNECTIONS: u32 = 128;

/// The body of one who comes.
const COME: &str = r#"{"members":{"me":{"properties":{"system":{"active":true}}}}}"#;
/// The body of one who goes.
const GO: &str = r#"{"members":{"me":null}}"#;

/// An update of one custom property, to another value each time.
fn tick() -> String {
    format!(r#"{{"properties":{{"custom":{{"tick":{NUMBER}}}}}}}"#)
}

/// What both sides write to one row again and again.
struct Hot {
    storm: Side,
    update: Side,
}

impl Preparation<'_> {
    pub(super) async fn writes(&self) -> anyhow::Result<Vec<Workload>> {
        let updates = self.service("put-update", &self.updates(""), CONNECTIONS)?;
        // Their tags are added before each round.
        let tagged = self.updates(&format!("If-Match: {TAG}\r\n"));
        fs::write(self.folder.join("put-cas.json"), serde_json::to_string(&tagged)?)?;
        let tagged = Side::Tagged { name: "put-cas", connections: CONNECTIONS };
        let visits = self.service("put-join-leave", &self.visits(), CONNECTIONS)?;
        let creations = self.service("create-4", &self.creations(), CONNECTIONS)?;
        let hot = self.hot().await?;

        let one = ["n 0".to_owned()];
        let write = include_str!("../../sql/update.sql");
        let update = self.scripts.script("put-update", &self.draw(), write)?;
        let same_row = self.scripts.script("hot-update", &one, write)?;
        let visit = self.scripts.script("put-join-leave", &self.draw(), include_str!("../../sql/join_leave.sql"))?;
        let create = self.scripts.script("create-4", &one, include_str!("../../sql/create.sql"))?;
        let sweep = self.scripts.script("sweep-10k", &[], include_str!("../../sql/sweep.sql"))?;

        let written = |name, baseline, wanted, ours, theirs| Workload {
            name,
            baseline,
            unit: "writes/s",
            wanted,
            durable: true,
            ours,
            theirs,
        };
        let row = "pgbench, one row with a version check, 32 clients";
        let same = "pgbench, the same row, 32 clients";
        let visit = match pgbench(&visit, CLIENTS) {
            Side::Pgbench { scripts, tables, clients, .. } => Side::Pgbench { scripts, tables, clients, times: 2.0 },
            other => other,
        };
        Ok(vec![
            written("put-update", row, Some((1.5, 3.0)), updates, pgbench(&update, CLIENTS)),
            written("put-cas", row, Some((1.2, 2.5)), tagged, pgbench(&update, CLIENTS)),
            written("put-join-leave", "pgbench, a row and its member's row, 32 clients", None, visits, visit),
            written(
                "create-4",
                "pgbench, the same rows in one statement, 32 clients",
                Some((1.2, 2.5)),
                creations,
                pgbench(&create, CLIENTS),
            ),
            written("join-storm", same, Some((10.0, 25.0)), hot.storm, pgbench(&same_row, CLIENTS)),
            written("hot-update", same, None, hot.update, pgbench(&same_row, CLIENTS)),
            Workload { unit: "ms", ..written("tap-lag", "the answer to the same write", None, Side::Tap, Side::Answer) },
            Workload {
                unit: "timers/s",
                ..written(
                    "sweep-10k",
                    "pgbench, 100 per commit, 2 clients",
                    Some((0.5, 0.8)),
                    Side::Sweep,
                    Side::SweepBaseline { script: sweep },
                )
            },
        ])
    }

    /// An update of each session.
    fn updates(&self, extra: &str) -> Vec<String> {
        let put = |n: usize| request("PUT", &session(&dataset::name(self.chosen[n])), &self.owners[n], extra, &tick());
        self.shuffled().map(put).collect()
    }

    /// Guests who come to each session, and go.
    fn visits(&self) -> Vec<String> {
        let guest = |n: usize, body: &str| {
            let path = session(&dataset::name(self.chosen[n]));
            request("PUT", &path, &self.owners[(n + 1) % self.owners.len()], "", body)
        };
        let visited: Vec<usize> = self.shuffled().collect();
        let visit = |block: &[usize]| {
            let come = block.iter().map(|n| guest(*n, COME));
            come.chain(block.iter().map(|n| guest(*n, GO))).collect::<Vec<_>>()
        };
        visited.chunks(VISITORS).flat_map(visit).collect()
    }

    /// Creations of sessions like those of the data set, each in one request.
    fn creations(&self) -> Vec<String> {
        let create = |n: u32| {
            let others: Vec<u64> = (0..3).map(|at| dataset::regular(ELSEWHERE, (n * 7 + at * 37) % 300)).collect();
            let keywords = [0, 1].map(|at| dataset::keyword(ELSEWHERE, (n + at) % 125));
            let creator = self.rig.user(dataset::regular(ELSEWHERE + 1, n));
            request("PUT", &session(&format!("made-{FRESH}")), &creator, "", &dataset::creation(n, &others, &keywords))
        };
        (0..CREATORS).map(create).collect()
    }

    /// One session for everybody.
    async fn hot(&self) -> anyhow::Result<Hot> {
        let client = reqwest::Client::new();
        let host = self.rig.user(FIRST_OF_CROWD - 1);
        let url = format!("http://{}{}", self.rig.address, session(HOT));
        let put = client.put(&url).header("Authorization", &host).header("X-Xbl-Contract-Version", "107");
        let answer = put.header("Content-Type", "application/json").body(COME).send().await?;
        accepted(answer).await.context("the session for everybody cannot be made")?;
        let crowd: Vec<String> = (0..CROWD).map(|n| self.rig.user(FIRST_OF_CROWD + u64::from(n))).collect();
        let all = |body| crowd.iter().map(move |token| request("PUT", &session(HOT), token, "", body));
        let storm: Vec<String> = all(COME).chain(all(GO)).collect();
        let update = vec![request("PUT", &session(HOT), &host, "", &tick()); 100];
        Ok(Hot { storm: self.service("join-storm", &storm, 100)?, update: self.service("hot-update", &update, 100)? })
    }
}
