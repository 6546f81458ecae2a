//! Reads of one session.

use std::collections::HashMap;

use anyhow::Context;
use uuid::Uuid;

use super::{Preparation, draw, pgbench, spread, step, tags};
use crate::dataset;
use crate::requests::{request, session};
use crate::workloads::{Side, Workload};

const CLIENTS: u32 = 8;
const CONNECTIONS: u32 = 64;

impl Preparation<'_> {
    pub(super) async fn reads(&self) -> anyhow::Result<Vec<Workload>> {
        let mut database = self.rig.database().await?;
        let get = |n: usize, extra: &str| {
            let path = session(&dataset::name(self.chosen[n]));
            request("GET", &path, &self.owners[n], extra, "")
        };
        let all = self.requests("get-session", &self.shuffled().map(|n| get(n, "")).collect::<Vec<_>>())?;
        let tags: Vec<String> = tags(&mut database, &self.keys).await?;
        let known: Vec<String> = self.shuffled().map(|n| get(n, &format!("If-None-Match: {}\r\n", tags[n]))).collect();

        let activities = spread(self.sizes.activities());
        let keys: Vec<Uuid> = activities.iter().map(|n| dataset::reference(*n).sid()).collect();
        let rows = sqlx::query_as("select sid, id from handles where type = 0 and sid = any($1)").bind(&keys);
        let handles: HashMap<Uuid, Uuid> = rows.fetch_all(&mut database).await?.into_iter().collect();
        let follow = |at: usize| {
            let (n, key) = (activities[at], keys[at]);
            let handle = handles.get(&key).with_context(|| format!("session {n} is no activity"))?;
            let owner = self.rig.user(dataset::owner(n));
            Ok::<_, anyhow::Error>(request("GET", &format!("/handles/{handle}/session"), &owner, "", ""))
        };
        let count = activities.len();
        let places = (0..count).map(|at| at * step(count) % count);
        let followed = places.map(follow).collect::<anyhow::Result<Vec<String>>>()?;

        let row = self.scripts.script("get-session", &self.draw(), include_str!("../../sql/get_session.sql"))?;
        let numbers = draw(self.sizes.activities());
        let join = self.scripts.script("get-by-handle", &numbers, include_str!("../../sql/get_by_handle.sql"))?;
        let service = Side::Service { requests: all.clone(), connections: CONNECTIONS, times: 1.0 };
        let bare = Side::Bare { requests: all, connections: CONNECTIONS };
        let read = |name, baseline, wanted, ours, theirs| Workload {
            name,
            baseline,
            unit: "requests/s",
            wanted,
            durable: false,
            ours,
            theirs,
        };
        let same = "pgbench, the same row by its key, 8 clients";
        let known = self.service("get-not-modified", &known, CONNECTIONS)?;
        let followed = self.service("get-by-handle", &followed, CONNECTIONS)?;
        Ok(vec![
            read("get-session", same, Some((0.6, 0.9)), service.clone(), pgbench(&row, CLIENTS)),
            read("get-session", "bare actix handler, 3.4 KB, 64 connections", Some((0.2, 0.35)), service, bare),
            read("get-not-modified", same, None, known, pgbench(&row, CLIENTS)),
            read(
                "get-by-handle",
                "pgbench, handle and session in one join, 8 clients",
                Some((0.6, 0.9)),
                followed,
                pgbench(&join, CLIENTS),
            ),
        ])
    }
}
