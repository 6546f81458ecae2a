//! Everything the workloads need before they are measured: files of requests, scripts, and sessions of their own.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use openmpsd::domain::names::{Branch, ETag};
use serde_json::json;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::baseline::{Scripts, list, one_of, scid, sids};
use crate::dataset::{self, SCID, Sizes, TEMPLATE};
use crate::listings;
use crate::requests::{FRESH, TAG, request, session, write};
use crate::rig::Rig;
use crate::workloads::{Side, Workload};

/// How many sessions reads and writes are spread over.
const SPREAD: u32 = 10_000;
/// How many different users create sessions.
const CREATORS: u32 = 1_000;
/// Users who come to one session and go again.
const CROWD: u32 = 40;
/// The name of the session that everybody writes to.
pub const HOT: &str = "hot";

/// The workloads, ready to be measured.
///
/// # Errors
/// When the service refuses what they are made of.
pub async fn workloads(rig: &Rig, sizes: &Sizes, folder: &Path) -> anyhow::Result<Vec<Workload>> {
    let preparation = Preparation::new(rig, sizes, folder);
    let mut workloads = preparation.reads().await?;
    workloads.extend(preparation.queries().await?);
    workloads.extend(preparation.writes().await?);
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
        let count = SPREAD.min(sizes.sessions);
        let chosen: Vec<u32> = (0..count)
            .map(|n| u32::try_from(u64::from(n) * u64::from(sizes.sessions) / u64::from(count)).expect("it is less"))
            .collect();
        let keys = chosen.iter().map(|n| dataset::reference(*n).sid()).collect();
        let owners = chosen.iter().map(|n| rig.user(dataset::owner(*n))).collect();
        Self { rig, folder, sizes, chosen, keys, owners, scripts: Scripts { folder } }
    }

    /// The chosen sessions in an order that no index has.
    fn shuffled(&self) -> impl Iterator<Item = usize> {
        // A step that shares no factor with the number of sessions visits each of them once.
        let count = self.chosen.len();
        let step = (count * 5 / 8..).find(|step| gcd(*step, count) == 1).expect("there is a prime");
        (0..count).map(move |n| n * step % count)
    }

    /// The body that creates a session like the `n`-th, in one request.
    fn creation(&self, n: u32) -> String {
        let members = dataset::members(self.sizes, n);
        dataset::creation(n, &members[1..], &dataset::keywords(self.sizes, n))
    }

    fn requests(&self, name: &str, requests: &[String]) -> anyhow::Result<PathBuf> {
        write(self.folder, name, requests, &[])
    }

    async fn reads(&self) -> anyhow::Result<Vec<Workload>> {
        let mut database = self.rig.database().await?;
        let get = |n: usize, extra: &str| {
            let path = session(&dataset::name(self.chosen[n]));
            request("GET", &path, &self.owners[n], extra, "")
        };
        let requests = self.requests("get-session", &self.shuffled().map(|n| get(n, "")).collect::<Vec<_>>())?;
        let tags: Vec<String> = tags(&mut database, &self.keys).await?;
        let known: Vec<String> = self.shuffled().map(|n| get(n, &format!("If-None-Match: {}\r\n", tags[n]))).collect();
        let known = self.requests("get-not-modified", &known)?;

        let owners: Vec<i64> = self.chosen.iter().map(|n| dataset::owner(*n).cast_signed()).collect();
        let rows = sqlx::query_as("select sid, id from handles where type = 0 and sid = any($1)").bind(&self.keys);
        let handles: HashMap<Uuid, Uuid> = rows.fetch_all(&mut database).await?.into_iter().collect();
        let with_handle: Vec<usize> = self.shuffled().filter(|n| handles.contains_key(&self.keys[*n])).collect();
        let followed: Vec<String> = with_handle
            .iter()
            .map(|n| request("GET", &format!("/handles/{}/session", handles[&self.keys[*n]]), &self.owners[*n], "", ""))
            .collect();
        let followed = self.requests("get-by-handle", &followed)?;
        let ids: Vec<Uuid> = with_handle.iter().map(|n| handles[&self.keys[*n]]).collect();

        let row = self.scripts.statement(
            "get-session",
            include_str!("../../src/store/sql/read_sessions.sql"),
            &[format!("array[{}]", one_of("uuid", &self.keys)), format!("array[{}]", one_of("bigint", &owners))],
            self.keys.len(),
        )?;
        let bare_row = self.scripts.statement(
            "get-row",
            "select sid, scid, template, name, branch, change_number, next_timer_at, visibility, read_restriction, body from sessions where sid = $1",
            &[one_of("uuid", &self.keys)],
            self.keys.len(),
        )?;
        let join = self.scripts.statement(
            "get-by-handle",
            "select h.id, h.type, h.owner, h.title_id, h.expires_at, s.sid, s.scid, s.template, s.name, s.branch, s.change_number, s.next_timer_at, s.visibility, s.read_restriction, s.body
            from handles h join sessions s on s.sid = h.sid where h.id = $1",
            &[one_of("uuid", &ids)],
            ids.len(),
        )?;
        let _ = row;
        let service = |requests: &PathBuf| Side::Service { requests: requests.clone(), connections: 64, times: 1.0 };
        let pgbench = |script: &PathBuf| Side::Pgbench { scripts: vec![script.clone()], clients: 8, times: 1.0 };
        let read = |name, baseline, wanted, ours, theirs| Workload {
            name,
            baseline,
            unit: "requests/s",
            wanted,
            durable: false,
            ours,
            theirs,
        };
        Ok(vec![
            read(
                "get-session",
                "pgbench, the same row by its key, 8 clients",
                Some((0.6, 0.9)),
                service(&requests),
                pgbench(&bare_row),
            ),
            read(
                "get-session",
                "bare actix handler, 3.4 KB, 64 connections",
                Some((0.2, 0.35)),
                service(&requests),
                Side::Bare { requests, connections: 64 },
            ),
            read("get-not-modified", "pgbench, the same row by its key, 8 clients", None, service(&known), pgbench(&bare_row)),
            read(
                "get-by-handle",
                "pgbench, handle and session in one join, 8 clients",
                Some((0.6, 0.9)),
                service(&followed),
                pgbench(&join),
            ),
        ])
    }

    async fn queries(&self) -> anyhow::Result<Vec<Workload>> {
        // Users who are in some 25 sessions each.
        let regulars: Vec<(u32, u64)> = self
            .shuffled()
            .filter_map(|n| Some((self.chosen[n], *dataset::members(self.sizes, self.chosen[n]).get(1)?)))
            .collect();
        let keywords: Vec<String> =
            self.shuffled().filter_map(|n| dataset::keywords(self.sizes, self.chosen[n]).into_iter().next()).collect();
        let xuids: Vec<u64> = regulars.iter().map(|(_, xuid)| *xuid).collect();
        let tokens: Vec<String> = xuids.iter().map(|xuid| self.rig.user(*xuid)).collect();
        let sessions = format!("/serviceconfigs/{SCID}/sessiontemplates/{TEMPLATE}/sessions");
        let get = |query: &str, token: &str| request("GET", &format!("{sessions}?{query}&take=25"), token, "", "");
        let by_xuid: Vec<String> = xuids.iter().zip(&tokens).map(|(xuid, token)| get(&format!("xuid={xuid}"), token)).collect();
        let by_keyword: Vec<String> =
            keywords.iter().zip(&tokens).map(|(keyword, token)| get(&format!("keyword={keyword}"), token)).collect();
        let both: Vec<(u64, String)> = regulars
            .iter()
            .filter_map(|(n, xuid)| Some((*xuid, dataset::keywords(self.sizes, *n).into_iter().next()?)))
            .collect();
        let by_both: Vec<String> = both
            .iter()
            .zip(&tokens)
            .map(|((xuid, keyword), token)| get(&format!("xuid={xuid}&keyword={keyword}"), token))
            .collect();
        let server = self.rig.server();
        let batch: Vec<String> = xuids
            .chunks_exact(16)
            .map(|users| {
                let users: Vec<String> = users.iter().map(u64::to_string).collect();
                let path = format!("/serviceconfigs/{SCID}/sessiontemplates/{TEMPLATE}/batch?take=25");
                request("POST", &path, &server, "", &json!({"xuids": users}).to_string())
            })
            .collect();
        let owners: Vec<u64> =
            self.shuffled().map(|n| self.chosen[n]).filter(|n| self.sizes.is_activity(*n)).map(dataset::owner).collect();
        let activities: Vec<String> = owners
            .chunks_exact(16)
            .zip(&tokens)
            .map(|(owners, token)| {
                let owners: Vec<String> = owners.iter().map(u64::to_string).collect();
                let body = json!({"type": "activity", "scid": SCID, "owners": {"xuids": owners}});
                request("POST", "/handles/query?include=relatedInfo", token, "", &body.to_string())
            })
            .collect();

        let template = format!("'{}'", TEMPLATE.to_lowercase());
        let null = |kind: &str| format!("array[null::{kind}]");
        let by_xuid_sql = include_str!("../../src/store/sql/find_candidates_by_xuid.sql");
        let candidates = |name: &str, xuid: String, keyword: String, count: usize| {
            let arguments = [
                format!("array[{xuid}]"),
                null("timestamptz"),
                null("text"),
                null("uuid"),
                scid(),
                template.clone(),
                keyword,
                format!("array[{xuid}]"),
                "'{}'::text[]".to_owned(),
                "32".to_owned(),
                "'{3}'::smallint[]".to_owned(),
                "false".to_owned(),
                "now()".to_owned(),
            ];
            self.scripts.statement(name, by_xuid_sql, &arguments, count)
        };
        let one_xuid = candidates("query-xuid", one_of("bigint", &xuids), "null".to_owned(), xuids.len())?;
        let (both_xuids, both_keywords): (Vec<u64>, Vec<String>) = both.into_iter().unzip();
        let xuid_and_keyword =
            candidates("query-both", one_of("bigint", &both_xuids), one_of("text", &both_keywords), both_xuids.len())?;
        let one_keyword = self.scripts.statement(
            "query-keyword",
            include_str!("../../src/store/sql/find_candidates_by_keyword.sql"),
            &[
                scid(),
                one_of("text", &keywords),
                template.clone(),
                "null".to_owned(),
                "null".to_owned(),
                "null".to_owned(),
                format!("array[{}]", one_of("bigint", &xuids)),
                "'{}'::text[]".to_owned(),
                "32".to_owned(),
            ],
            keywords.len().min(xuids.len()),
        )?;
        let sixteen: Vec<String> =
            owners.chunks_exact(16).take(200).map(|owners| format!("({})", list("bigint", owners))).collect();
        let branches =
            sixteen.iter().enumerate().map(|(at, owners)| format!("when {} then {owners}", at + 1)).collect::<Vec<_>>().join(" ");
        let activities_sql = self.scripts.statement(
            "activities-16",
            include_str!("../../src/store/sql/find_activities.sql"),
            &[
                format!("case {{k}} {branches} end"),
                scid(),
                "now()".to_owned(),
                format!("'{{{}}}'::bigint[]", xuids[0]),
                "'{}'::text[]".to_owned(),
                "true".to_owned(),
                "100".to_owned(),
                "false".to_owned(),
                "null".to_owned(),
                "false".to_owned(),
                "false".to_owned(),
            ],
            sixteen.len(),
        )?;
        let (searches, search_scripts) = listings::searches(self.rig, self.folder).await?;

        let service = |name: &str, requests: &[String], times: f64| {
            Ok::<_, anyhow::Error>(Side::Service { requests: self.requests(name, requests)?, connections: 64, times })
        };
        let pgbench = |scripts: Vec<PathBuf>| Side::Pgbench { scripts, clients: 8, times: 1.0 };
        let query =
            |name, baseline, unit, wanted, ours, theirs| Workload { name, baseline, unit, wanted, durable: false, ours, theirs };
        let same = "pgbench, the same SQL, 8 clients";
        let goal = Some((0.6, 0.9));
        Ok(vec![
            query("query-xuid", same, "requests/s", goal, service("query-xuid", &by_xuid, 1.0)?, pgbench(vec![one_xuid.clone()])),
            query(
                "query-keyword",
                same,
                "requests/s",
                goal,
                service("query-keyword", &by_keyword, 1.0)?,
                pgbench(vec![one_keyword]),
            ),
            query("query-both", same, "requests/s", None, service("query-both", &by_both, 1.0)?, pgbench(vec![xuid_and_keyword])),
            query(
                "batch-16",
                "pgbench, the query for one user, 8 clients",
                "users/s",
                Some((2.0, 4.0)),
                service("batch-16", &batch, 16.0)?,
                pgbench(vec![one_xuid]),
            ),
            query(
                "activities-16",
                same,
                "requests/s",
                None,
                service("activities-16", &activities, 1.0)?,
                pgbench(vec![activities_sql]),
            ),
            query("search-3", same, "requests/s", None, service("search-3", &searches, 1.0)?, pgbench(search_scripts)),
        ])
    }

    async fn writes(&self) -> anyhow::Result<Vec<Workload>> {
        let put = |n: usize, extra: &str, body: &str| {
            let path = session(&dataset::name(self.chosen[n]));
            request("PUT", &path, &self.owners[n], extra, body)
        };
        // Every other value, or a second round would change nothing.
        let ticking = |extra: &str| {
            let rounds = (0..2).flat_map(|_| self.shuffled()).enumerate();
            rounds.map(|(at, n)| put(n, extra, &tick(at))).collect::<Vec<_>>()
        };
        let updates = self.requests("put-update", &ticking(""))?;
        // Their tags are added before each round.
        let tagged = ticking(&format!("If-Match: {TAG}\r\n"));
        let tagged: Vec<String> = tagged.into_iter().take(self.chosen.len()).collect();
        fs::write(self.folder.join("put-cas.json"), serde_json::to_string(&tagged)?)?;

        // A thousand come, then the same thousand go: nobody is overtaken by his own leaving.
        let guest = |n: usize, body: &str| {
            let path = session(&dataset::name(self.chosen[n]));
            request("PUT", &path, &self.owners[(n + 1) % self.owners.len()], "", body)
        };
        let visited: Vec<usize> = self.shuffled().collect();
        let mut visits = Vec::new();
        for block in visited.chunks(1000) {
            visits.extend(block.iter().map(|n| guest(*n, COME)));
            visits.extend(block.iter().map(|n| guest(*n, GO)));
        }
        let visits = self.requests("put-join-leave", &visits)?;

        let creators = (0..CREATORS.min(self.sizes.sessions)).map(|n| {
            let path = session(&format!("made-{FRESH}"));
            request("PUT", &path, &self.rig.user(dataset::owner(n)), "", &self.creation(n))
        });
        let creations = self.requests("create-4", &creators.collect::<Vec<_>>())?;

        // One session for everybody.
        let client = reqwest::Client::new();
        let crowd: Vec<String> = (0..CROWD).map(|n| self.rig.user(8_000_000 + u64::from(n))).collect();
        let url = format!("http://{}{}", self.rig.address, session(HOT));
        let host = client.put(&url).header("Authorization", self.rig.user(7_999_999)).header("X-Xbl-Contract-Version", "107");
        let answer = host
            .header("Content-Type", "application/json")
            .body(r#"{"members":{"me":{"properties":{"system":{"active":true}}}}}"#)
            .send();
        answer.await?.error_for_status().context("the session for everybody cannot be made")?;
        let mut storm: Vec<String> = crowd.iter().map(|token| request("PUT", &session(HOT), token, "", COME)).collect();
        storm.extend(crowd.iter().map(|token| request("PUT", &session(HOT), token, "", GO)));
        let storm = self.requests("join-storm", &storm)?;
        let host = self.rig.user(7_999_999);
        let hot: Vec<String> = (0..1000).map(|at| request("PUT", &session(HOT), &host, "", &tick(at))).collect();
        let hot = self.requests("hot-update", &hot)?;

        let count = self.keys.len().to_string();
        let keys = sids(&self.keys);
        let update =
            self.scripts.script("put-update", include_str!("../sql/update.sql"), &[("keys", &count), ("sids", &keys)])?;
        let one = self.scripts.script("hot-update", include_str!("../sql/update.sql"), &[("keys", "1"), ("sids", &keys)])?;
        let visit =
            self.scripts.script("put-join-leave", include_str!("../sql/join_leave.sql"), &[("keys", &count), ("sids", &keys)])?;
        let model = format!("'{}'", self.keys[0]);
        let create = self.scripts.script("create-4", include_str!("../sql/create.sql"), &[("model", &model)])?;
        let sweep = self.scripts.script("sweep", include_str!("../sql/sweep.sql"), &[])?;

        let service = |requests: PathBuf, connections: u32| Side::Service { requests, connections, times: 1.0 };
        let pgbench = |script: &PathBuf, times: f64| Side::Pgbench { scripts: vec![script.clone()], clients: 32, times };
        let written =
            |name, baseline, unit, wanted, ours, theirs| Workload { name, baseline, unit, wanted, durable: true, ours, theirs };
        let row = "pgbench, one row with a version check, 32 clients";
        let writes = "writes/s";
        Ok(vec![
            written("put-update", row, writes, Some((1.5, 3.0)), service(updates, 128), pgbench(&update, 1.0)),
            written(
                "put-cas",
                row,
                writes,
                Some((1.2, 2.5)),
                Side::Tagged { name: "put-cas", connections: 128 },
                pgbench(&update, 1.0),
            ),
            written(
                "put-join-leave",
                "pgbench, a row and its member's row, 32 clients",
                writes,
                None,
                service(visits, 128),
                pgbench(&visit, 2.0),
            ),
            written(
                "create-4",
                "pgbench, the same rows in one statement, 32 clients",
                writes,
                Some((1.2, 2.5)),
                service(creations, 128),
                pgbench(&create, 1.0),
            ),
            written(
                "join-storm",
                "pgbench, one row, 32 clients",
                writes,
                Some((10.0, 25.0)),
                service(storm, 100),
                pgbench(&one, 1.0),
            ),
            written("hot-update", "pgbench, one row, 32 clients", writes, None, service(hot, 100), pgbench(&one, 1.0)),
            written("tap-lag", "the answer to the same write", "ms", None, Side::Tap, Side::Answer),
            written(
                "sweep-10k",
                "pgbench, 100 per commit, 2 clients",
                "timers/s",
                Some((0.5, 0.8)),
                Side::Sweep,
                Side::SweepBaseline { script: sweep },
            ),
        ])
    }
}

/// The body of one who comes.
const COME: &str = r#"{"members":{"me":{"properties":{"system":{"active":true}}}}}"#;
/// The body of one who goes.
const GO: &str = r#"{"members":{"me":null}}"#;

/// An update of one custom property.
fn tick(at: usize) -> String {
    format!(r#"{{"properties":{{"custom":{{"tick":{}}}}}}}"#, 10_000_000 + at)
}

/// The entity tags of sessions, as they are sent.
///
/// # Errors
/// When the database does not answer, or a session is missing.
pub async fn tags(database: &mut PgConnection, sids: &[Uuid]) -> anyhow::Result<Vec<String>> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(include_str!("../sql/tags.sql")).bind(sids).fetch_all(database).await?;
    ensure!(rows.len() == sids.len(), "{} of {} sessions are there", rows.len(), sids.len());
    let tag = |(branch, number): (Uuid, i64)| ETag { branch: Branch(branch), change_number: number.cast_unsigned() };
    Ok(rows.into_iter().map(|row| format!("\"{}\"", tag(row))).collect())
}

/// The chosen sessions of a data set, with their keys: what `put-cas` writes to.
pub async fn tag_requests(rig: &Rig, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let text = fs::read_to_string(folder.join(format!("{name}.json")))?;
    let requests: Vec<String> = serde_json::from_str(&text)?;
    let paths: Vec<String> = requests.iter().map(|request| request.split(' ').nth(1).unwrap_or_default().to_owned()).collect();
    let sids: Vec<Uuid> = paths.iter().map(|path| dataset::named(path.rsplit('/').next().unwrap_or_default()).sid()).collect();
    let tags = tags(&mut rig.database().await?, &sids).await?;
    write(folder, name, &requests, &paths.into_iter().zip(tags).collect::<Vec<_>>())
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
