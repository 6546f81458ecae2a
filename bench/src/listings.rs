//! Searches for search handles, and the SQL that the service makes of them.
//!
//! A search has no statement of its own: the service compiles one for each form of filter. What it compiles is taken from the
//! database's own log, so that pgbench runs the very same.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::time::{sleep, timeout};

use crate::baseline::without_comments;
use crate::dataset::{self, SCID, TEMPLATE};
use crate::requests::{accepted, request};
use crate::rig::Rig;

/// How many searches are played in turns.
const SEARCHES: u32 = 20;
/// How long PostgreSQL may take to say what it was told to say.
const PATIENCE: Duration = Duration::from_secs(10);

/// The requests of `search-3`, each with three conditions and an order, and a script for each.
///
/// # Errors
/// When the service refuses a search, or the log does not have it.
pub async fn searches(rig: &Rig, folder: &Path) -> anyhow::Result<(Vec<String>, Vec<PathBuf>)> {
    let token = rig.user(dataset::owner(0));
    let bodies: Vec<String> = (0..SEARCHES)
        .map(|n| {
            let filter = format!(
                "tags/any(d:tolower(d) eq 'tag{}') and tolower(strings/map) eq 'map{}' and numbers/level ge {}",
                n % 5,
                n % 10,
                10 + n
            );
            json!({"type": "search", "scid": SCID, "templateName": TEMPLATE, "filter": filter, "orderBy": "numbers/level desc"})
                .to_string()
        })
        .collect();
    let requests: Vec<String> = bodies.iter().map(|body| request("POST", "/handles/query", &token, "", body)).collect();
    let client = reqwest::Client::new();
    let url = format!("http://{}/handles/query", rig.address);
    let ask = async |body: &String| {
        let post = client.post(&url).header("Authorization", &token).header("X-Xbl-Contract-Version", "107");
        let answer = post.header("Content-Type", "application/json").body(body.clone()).send().await?;
        accepted(answer).await.context("a search is refused")?.bytes().await.context("a search has no end")
    };
    let mut log = Log::open(rig).await?;
    let mut scripts = Vec::new();
    for (at, body) in bodies.iter().enumerate() {
        ask(body).await?;
        let statements = searched(&log.since_last(at).await?);
        ensure!(!statements.is_empty(), "the log of PostgreSQL does not show the search {body}");
        let path = folder.join(format!("search-3-{at}.sql"));
        fs::write(&path, statements.join(";\n") + ";\n")?;
        scripts.push(path);
    }
    log.close().await?;
    Ok((requests, scripts))
}

/// The settings under which the log shows each statement with its parameters.
const TALKATIVE: [(&str, &str); 2] = [("log_min_duration_statement", "0"), ("log_error_verbosity", "default")];

/// The log of PostgreSQL while it shows every statement.
struct Log {
    database: PgConnection,
    path: PathBuf,
    read: usize,
}

impl Log {
    async fn open(rig: &Rig) -> anyhow::Result<Self> {
        let mut log = Self { database: rig.database().await?, path: rig.data_dir.join("postgres.log"), read: 0 };
        for (name, value) in TALKATIVE {
            log.execute(&format!("alter system set {name} = '{value}'")).await?;
        }
        log.execute("select pg_reload_conf()").await?;
        // Each process of the server follows when it comes to it, ours as late as the others.
        let follows = async {
            while sqlx::query_scalar::<_, String>("show log_min_duration_statement").fetch_one(&mut log.database).await? != "0" {
                sleep(Duration::from_millis(20)).await;
            }
            Ok::<_, sqlx::Error>(())
        };
        timeout(PATIENCE, follows).await.context("PostgreSQL does not take new settings")??;
        log.since_last(usize::MAX).await?;
        Ok(log)
    }

    /// What has been written since this was called last, up to a mark that is set now.
    async fn since_last(&mut self, at: usize) -> anyhow::Result<String> {
        let mark = format!("until here {at}");
        self.execute(&format!("select '{mark}'")).await?;
        let marked = async {
            loop {
                let text = fs::read(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
                let text = String::from_utf8_lossy(&text[self.read..]).into_owned();
                if text.contains(&mark) {
                    return Ok::<_, anyhow::Error>(text);
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        let text = timeout(PATIENCE, marked).await.context("PostgreSQL does not write its log")??;
        self.read += text.len();
        Ok(text)
    }

    async fn close(mut self) -> anyhow::Result<()> {
        for (name, _) in TALKATIVE {
            self.execute(&format!("alter system reset {name}")).await?;
        }
        self.execute("select pg_reload_conf()").await
    }

    async fn execute(&mut self, statement: &str) -> anyhow::Result<()> {
        self.database.execute(AssertSqlSafe(statement)).await.with_context(|| format!("cannot run {statement}"))?;
        Ok(())
    }
}

/// The searches in a log, with their parameters put in.
fn searched(log: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut entries: Vec<String> = Vec::new();
    for line in log.lines() {
        // An entry begins with a time; its further lines begin with a tab.
        match line.strip_prefix('\t') {
            Some(more) => {
                if let Some(last) = entries.last_mut() {
                    last.push('\n');
                    last.push_str(more);
                }
            }
            None => entries.push(line.to_owned()),
        }
    }
    for pair in entries.windows(2) {
        let Some((_, statement)) = pair[0].split_once("  execute ").and_then(|(_, rest)| rest.split_once(": ")) else { continue };
        if !(statement.contains("search_terms") || statement.contains("search_values")) {
            continue;
        }
        let Some((_, list)) = pair[1].split_once("DETAIL:  parameters: ") else { continue };
        let statement = parameters(list).iter().rev().fold(without_comments(statement), |sql, (name, value)| {
            // The longest numbers first: `$1` does not take a part of `$10`.
            sql.replace(name, &without_colons(value))
        });
        found.push(statement.trim_end().to_owned());
    }
    found
}

/// A literal that says the same, in which pgbench sees no variable of its own: `strings:map` would have one.
fn without_colons(literal: &str) -> String {
    if literal.contains(':') { format!("E{}", literal.replace('\\', r"\\").replace(':', r"\x3a")) } else { literal.to_owned() }
}

/// `$1 = 'a', $2 = NULL` as pairs.
fn parameters(list: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = list;
    while let Some((name, value)) = rest.split_once(" = ") {
        let end = if let Some(quoted) = value.strip_prefix('\'') {
            // Two quotes stand for one.
            let mut at = 0;
            let bytes = quoted.as_bytes();
            while at < bytes.len() && !(bytes[at] == b'\'' && bytes.get(at + 1) != Some(&b'\'')) {
                at += if bytes[at] == b'\'' { 2 } else { 1 };
            }
            at + 2
        } else {
            value.find(',').unwrap_or(value.len())
        };
        let end = end.min(value.len());
        found.push((name.trim_start_matches([',', ' ']).to_owned(), value[..end].to_owned()));
        rest = &value[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_taken_out_of_the_log_with_its_parameters() {
        let log = "2026-01-01 00:00:00.000 UTC [7] LOG:  duration: 0.1 ms  bind sqlx_s_1: select 1\n\
            2026-01-01 00:00:00.000 UTC [7] LOG:  duration: 0.1 ms  execute sqlx_s_1: -- What it does.\n\
            \tselect sid\n\
            \tfrom search_terms where term = $1 and n < $2 and t = $10\n\
            2026-01-01 00:00:00.000 UTC [7] DETAIL:  parameters: $1 = 'it''s, a\\b:c', $2 = NULL, $10 = '{1,2}'\n\
            2026-01-01 00:00:00.000 UTC [7] LOG:  duration: 0.1 ms  execute sqlx_s_2: select n from search_values\n\
            2026-01-01 00:00:00.000 UTC [7] LOG:  duration: 0.1 ms  statement: select 'until here 1'\n";
        let found = searched(log);
        let expected = r"select sid
from search_terms where term = E'it''s, a\\b\x3ac' and n < NULL and t = '{1,2}'";
        assert_eq!(found, [expected], "a statement whose parameters are not shown is none");
    }
}
