//! Queries for sessions and activities, and searches.

use std::path::PathBuf;

use serde_json::json;

use super::{Preparation, draw, pgbench, spread, step};
use crate::baseline::{one_of, scid};
use crate::dataset::{self, BLOCK, KEYWORDS, REGULARS, SCID, TEMPLATE};
use crate::generators::Tables;
use crate::listings;
use crate::requests::request;
use crate::workloads::{Side, Workload};

const CLIENTS: u32 = 8;
const CONNECTIONS: u32 = 64;
/// How many sessions a query is to find.
const TAKE: u32 = 25;
/// How many candidates the service reads for that.
const CANDIDATES: u32 = 32;
/// How many users are asked about at once.
const TOGETHER: usize = 16;
/// How many pairs of a user and a keyword of one of its sessions are asked for.
const PAIRS: usize = 200;

/// The user whom the `k`-th of the chosen sessions, number `n`, stands for: one of the regulars of its block.
fn user(k: usize, n: u32) -> u64 {
    dataset::regular(dataset::block(n), place(k, REGULARS))
}

/// And its keyword.
fn keyword(k: usize, n: u32) -> String {
    dataset::keyword(dataset::block(n), place(k, KEYWORDS))
}

fn place(k: usize, of: u32) -> u32 {
    u32::try_from(k * 7 % of as usize).expect("it is less")
}

/// The same user in a script.
fn draw_user() -> String {
    let first = dataset::regular(0, 0);
    format!("xuid {first} + :n / {BLOCK} * {REGULARS} + :k * 7 % {REGULARS}")
}

/// The same keyword in a script, as numbers and as an expression of them.
fn draw_keyword() -> ([String; 2], String) {
    let numbers = [format!("block :n / {BLOCK}"), format!("league :k * 7 % {KEYWORDS}")];
    (numbers, "'league-' || lpad((:block)::text, 4, '0') || '-' || lpad((:league)::text, 3, '0')".to_owned())
}

/// The arguments of the service's statement for the sessions of one user, who asks about itself.
fn arguments_by_xuid(xuid: &str, keyword: &str) -> Vec<String> {
    let template = format!("'{}'", TEMPLATE.to_lowercase());
    let none = |kind: &str| format!("array[null::{kind}]");
    vec![
        format!("array[{xuid}]"),
        none("timestamptz"),
        none("text"),
        none("uuid"),
        scid(),
        template,
        keyword.to_owned(),
        format!("array[{xuid}]"),
        "'{}'::text[]".to_owned(),
        CANDIDATES.to_string(),
        "'{3}'::smallint[]".to_owned(),
        "false".to_owned(),
        "now()".to_owned(),
    ]
}

impl Preparation<'_> {
    pub(super) async fn queries(&self) -> anyhow::Result<Vec<Workload>> {
        let by_xuid = include_str!("../../../src/store/sql/find_candidates_by_xuid.sql");
        let numbers: Vec<String> = self.draw().into_iter().chain([draw_user()]).collect();
        let one_user = arguments_by_xuid("(:xuid)::bigint", "null");
        let one_user = self.scripts.statement("query-xuid", &numbers, by_xuid, &one_user)?;
        let (pairs, both) = self.pairs();
        let both = self.scripts.statement("query-both", &[format!("at random(1, {})", pairs.len())], by_xuid, &both)?;
        let keyword = self.keyword_script()?;
        let (owners, activities) = self.activities()?;
        let (searches, search_scripts) = listings::searches(self.rig, self.folder).await?;

        let users: Vec<(u64, String)> =
            self.shuffled().map(|k| user(k, self.chosen[k])).map(|xuid| (xuid, self.rig.user(xuid))).collect();
        let sessions = format!("/serviceconfigs/{SCID}/sessiontemplates/{TEMPLATE}");
        let get = |query: &str, token: &str| request("GET", &format!("{sessions}/sessions?{query}&take={TAKE}"), token, "", "");
        let of_users: Vec<String> = users.iter().map(|(xuid, token)| get(&format!("xuid={xuid}"), token)).collect();
        let keywords = self.shuffled().map(|k| self::keyword(k, self.chosen[k]));
        let of_keywords: Vec<String> =
            keywords.zip(&users).map(|(keyword, (_, token))| get(&format!("keyword={keyword}"), token)).collect();
        let of_both: Vec<String> =
            pairs.iter().map(|(xuid, keyword)| get(&format!("xuid={xuid}&keyword={keyword}"), &self.rig.user(*xuid))).collect();
        let server = self.rig.server();
        let batches: Vec<String> = users
            .chunks_exact(TOGETHER)
            .map(|users| {
                let users: Vec<String> = users.iter().map(|(xuid, _)| xuid.to_string()).collect();
                request("POST", &format!("{sessions}/batch?take={TAKE}"), &server, "", &json!({"xuids": users}).to_string())
            })
            .collect();
        let of_owners: Vec<String> = owners
            .iter()
            .zip(users.iter().cycle())
            .map(|(owners, (_, token))| {
                let body = json!({"type": "activity", "scid": SCID, "owners": {"xuids": owners}});
                request("POST", "/handles/query?include=relatedInfo", token, "", &body.to_string())
            })
            .collect();

        let asked = |name: &'static str, requests: &[String]| self.service(name, requests, CONNECTIONS);
        let batches = Side::Service { requests: self.requests("batch-16", &batches)?, connections: CONNECTIONS, times: 16.0 };
        let search = Side::Pgbench { scripts: search_scripts, tables: Tables::Own, clients: CLIENTS, times: 1.0 };
        let query =
            |name, baseline, unit, wanted, ours, theirs| Workload { name, baseline, unit, wanted, durable: false, ours, theirs };
        let same =
            |name, wanted, ours, theirs| query(name, "pgbench, the same SQL, 8 clients", "requests/s", wanted, ours, theirs);
        let goal = Some((0.6, 0.9));
        Ok(vec![
            same("query-xuid", goal, asked("query-xuid", &of_users)?, pgbench(&one_user, CLIENTS)),
            same("query-keyword", goal, asked("query-keyword", &of_keywords)?, pgbench(&keyword, CLIENTS)),
            same("query-both", None, asked("query-both", &of_both)?, pgbench(&both, CLIENTS)),
            query(
                "batch-16",
                "pgbench, the query for one user, 8 clients",
                "users/s",
                Some((2.0, 4.0)),
                batches,
                pgbench(&one_user, CLIENTS),
            ),
            same("activities-16", None, asked("activities-16", &of_owners)?, pgbench(&activities, CLIENTS)),
            same("search-3", None, asked("search-3", &searches)?, search),
        ])
    }

    /// Pairs of a user and a keyword of one of its sessions, and the arguments of the statement that asks for one of them. No sum of a
    /// number gives both, so there are as few as a script can carry at no cost.
    fn pairs(&self) -> (Vec<(u64, String)>, Vec<String>) {
        let pair = |k: usize| {
            let n = self.chosen[k];
            let xuid = dataset::members(self.sizes, n).get(1).copied().unwrap_or_else(|| user(k, n));
            (xuid, dataset::keywords(self.sizes, n).into_iter().next().unwrap_or_else(|| keyword(k, n)))
        };
        let pairs: Vec<(u64, String)> = self.shuffled().take(PAIRS).map(pair).collect();
        let xuid = one_of("bigint", pairs.iter().map(|(xuid, _)| xuid));
        let arguments = arguments_by_xuid(&xuid, &one_of("text", pairs.iter().map(|(_, keyword)| keyword)));
        (pairs, arguments)
    }

    fn keyword_script(&self) -> anyhow::Result<PathBuf> {
        let (words, keyword) = draw_keyword();
        let numbers: Vec<String> = self.draw().into_iter().chain([draw_user()]).chain(words).collect();
        let null = || "null".to_owned();
        let arguments = [
            scid(),
            keyword,
            format!("'{}'", TEMPLATE.to_lowercase()),
            null(),
            null(),
            null(),
            "array[(:xuid)::bigint]".to_owned(),
            "'{}'::text[]".to_owned(),
            CANDIDATES.to_string(),
        ];
        let sql = include_str!("../../../src/store/sql/find_candidates_by_keyword.sql");
        self.scripts.statement("query-keyword", &numbers, sql, &arguments)
    }

    /// Owners of activities, so many at a time, and the script that asks for as many.
    fn activities(&self) -> anyhow::Result<(Vec<Vec<String>>, PathBuf)> {
        let all = self.sizes.activities();
        let chosen = spread(all);
        let (count, step) = (chosen.len(), step(chosen.len()));
        let owner = |at: usize| dataset::owner(chosen[at * step % count]).to_string();
        let places: Vec<usize> = (0..count).collect();
        let owners = places.chunks_exact(TOGETHER).map(|places| places.iter().map(|at| owner(*at)).collect()).collect();

        let numbers: Vec<String> = draw(all).into_iter().chain([draw_user()]).collect();
        let first = dataset::owner(0);
        let arguments = [
            format!(
                "(select array_agg({first} + ((:k)::bigint + i) * {step} % {count} * {all} / {count}) from generate_series(0, {}) i)",
                TOGETHER - 1
            ),
            scid(),
            "now()".to_owned(),
            "array[(:xuid)::bigint]".to_owned(),
            "'{}'::text[]".to_owned(),
            "true".to_owned(),
            "100".to_owned(),
            "false".to_owned(),
            "null".to_owned(),
            "false".to_owned(),
            "false".to_owned(),
        ];
        let sql = include_str!("../../../src/store/sql/find_activities.sql");
        Ok((owners, self.scripts.statement("activities-16", &numbers, sql, &arguments)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_asks_for_the_users_and_keywords_that_requests_ask_for() {
        assert_eq!(user(43, 2500 * 3 + 1), dataset::regular(3, 1));
        assert_eq!(keyword(18, 2500 * 3 + 1), dataset::keyword(3, 1));
        assert_eq!(draw_user(), "xuid 2533290000000000 + :n / 2500 * 300 + :k * 7 % 300");
        assert_eq!(draw_keyword().0, ["block :n / 2500", "league :k * 7 % 125"]);
    }
}
