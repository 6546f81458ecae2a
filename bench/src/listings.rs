//! Searches for search handles, and the SQL that the service makes of them.
//!
//! A search has no statement of its own: the service compiles one for each form of filter. What it compiles is taken from the
//! database's own log, so that pgbench runs the very same.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use sqlx::Executor as _;
use tokio::time::sleep;

use crate::dataset::{self, SCID, TEMPLATE};
use crate::requests::{request, write};
use crate::rig::Rig;

/// How many searches are played in turns.
const SEARCHES: u32 = 20;

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
        answer.error_for_status().context("a search is refused")?.bytes().await.context("a search has no end")
    };
    let mut database = rig.database().await?;
    let log = rig.data_dir.join("postgres.log");
    let mut logging = async |statement: &'static str| {
        database.execute(statement).await?;
        database.execute("select pg_reload_conf()").await?;
        // The server's processes read it between two statements.
        sleep(Duration::from_millis(200)).await;
        Ok::<_, anyhow::Error>(())
    };
    logging("alter system set log_min_duration_statement = 0").await?;
    let mut scripts = Vec::new();
    for (at, body) in bodies.iter().enumerate() {
        let before = fs::metadata(&log).with_context(|| format!("cannot see {}", log.display()))?.len();
        ask(body).await?;
        sleep(Duration::from_millis(50)).await;
        let text = fs::read(&log)?;
        let text = String::from_utf8_lossy(&text[usize::try_from(before)?..]).into_owned();
        let statements = logged(&text);
        ensure!(!statements.is_empty(), "the log of PostgreSQL does not show the search {body}");
        let path = folder.join(format!("search-3-{at}.sql"));
        fs::write(&path, statements.join(";\n") + ";\n")?;
        scripts.push(path);
    }
    logging("alter system reset log_min_duration_statement").await?;
    Ok((requests, scripts))
}

/// The searches in a log, with their parameters put in.
fn logged(log: &str) -> Vec<String> {
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
        if !(statement.contains("search_terms") || statement.contains("search_values"))
            || !statement.trim_start().to_lowercase().contains("select")
        {
            continue;
        }
        let parameters = pair[1].split_once("parameters: ").map(|(_, list)| parameters(list)).unwrap_or_default();
        let statement = without_comments(statement);
        found.push(parameters.iter().rev().fold(statement, |sql, (name, value)| sql.replace(name, value)));
    }
    found
}

fn without_comments(sql: &str) -> String {
    sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n")
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

/// Writes the requests of `search-3`.
///
/// # Errors
/// When the file cannot be written.
pub fn file(folder: &Path, requests: &[String]) -> anyhow::Result<PathBuf> {
    write(folder, "search-3", requests, &[])
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
            2026-01-01 00:00:00.000 UTC [7] DETAIL:  parameters: $1 = 'it''s, a', $2 = NULL, $10 = '{1,2}'\n";
        assert_eq!(logged(log), ["select sid\nfrom search_terms where term = 'it''s, a' and n < NULL and t = '{1,2}'"]);
    }
}
