//! A backup of a service that goes on, and what is restored from it: everything acknowledged before, or nothing at all.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use crate::harness::session;
use crate::operation::{run, said};
use crate::process::{Caller, Folder, Process, private_url};

const SESSIONS: u64 = 20;

async fn serve(data_dir: &Path) -> Process {
    Process::start(data_dir, &[], &[]).await.unwrap_or_else(|said| panic!("it does not start:\n{said}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

async fn create(caller: &Caller, base: &str, number: u64) {
    let body = json!({"members": {"me": {"properties": {"system": {"active": true}, "custom": {"number": number}}}}});
    let reply = caller.put(base, &session("Open", &format!("saved-{number}")), &body).await.expect("it answers");
    assert_eq!(reply.status, 201, "{reply:?}");
}

async fn number_of(caller: &Caller, base: &str, number: u64) -> Option<u64> {
    let reply = caller.get(base, &session("Open", &format!("saved-{number}"))).await.expect("it answers");
    reply.body["members"]["0"]["properties"]["custom"]["number"].as_u64()
}

/// Runs a command that must succeed, and returns what it answered.
async fn succeed(arguments: &[&str]) -> String {
    let (code, out, problems) = said(&run(arguments, &[]).await);
    assert_eq!(code, Some(0), "{arguments:?}: {out}\n{problems}");
    out.trim_end().to_owned()
}

/// Runs a command that must fail, and returns why it did.
async fn fail(arguments: &[&str]) -> String {
    let (code, out, problems) = said(&run(arguments, &[]).await);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?}: {problems}");
    problems
}

/// Who may do what in schema `admin`, its owner left out.
async fn readers_rights(data_dir: &Path) -> Vec<String> {
    let mut connection = PgConnection::connect(&private_url(data_dir)).await.expect("PostgreSQL serves us too");
    let asked = "select concat_ws(' ', found.name, acl.privilege_type, acl.grantee::regrole)
        from (
            select relname::text, coalesce(relacl, acldefault('r', relowner)), relowner from pg_class
            where relnamespace = 'admin'::regnamespace and relkind = 'v'
            union all select proname::text, coalesce(proacl, acldefault('f', proowner)), proowner from pg_proc
            where pronamespace = 'admin'::regnamespace
            union all select nspname::text, coalesce(nspacl, acldefault('n', nspowner)), nspowner from pg_namespace
            where nspname = 'admin'
        ) found (name, rights, owner), aclexplode(found.rights) acl
        where acl.grantee <> found.owner order by 1";
    let rows = connection.fetch_all(asked).await.expect("the catalog can be read");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_backup_comes_back_elsewhere() {
    let folder = Folder::new("backup");
    let elsewhere = Folder::new("restored");
    let (backup, target) = (elsewhere.path().join("backup"), elsewhere.path().join("data"));
    let mut service = serve(folder.path()).await;
    let ada = Caller::new(&folder, 1);
    for number in 0..SESSIONS {
        create(&ada, &service.base, number).await;
    }
    // Writes go on while it is made; of these nothing is promised.
    let (made, ()) =
        tokio::join!(async { succeed(&["backup", "--out", text(&backup), "--data-dir", text(folder.path())]).await }, async {
            for number in SESSIONS..SESSIONS + 10 {
                create(&ada, &service.base, number).await;
            }
        });
    assert_eq!(made, text(&backup));
    let rights = readers_rights(folder.path()).await;
    assert!(rights.contains(&"sessions SELECT openmpsd_readonly".to_owned()), "{rights:?}");
    let running = fail(&["restore", text(&backup), "--replace", "--data-dir", text(folder.path())]).await;
    assert!(running.contains("is using this data folder"), "{running}");
    service.kill().await;

    succeed(&["restore", text(&backup), "--verify", "--data-dir", text(&target)]).await;
    let service = serve(&target).await;
    for number in 0..SESSIONS {
        assert_eq!(number_of(&ada, &service.base, number).await, Some(number), "the key came along, and every session");
    }
    assert_eq!(readers_rights(&target).await, rights, "the role for readers has its rights, and nobody else");
    let (code, report, _) = said(
        &run(&["doctor", "--verify", "--json", "--data-dir", text(&target)], &[("OPENMPSD__SERVER__LISTEN", "127.0.0.1:0")])
            .await,
    );
    assert_eq!(code, Some(0), "{report}");
    create(&ada, &service.base, 1000).await;
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");

    // At rest the server is started for it; and a database that is there is moved aside only when it is meant.
    let second = succeed(&["backup", "--out", text(elsewhere.path()), "--data-dir", text(&target)]).await;
    let full = fail(&["restore", &second, "--data-dir", text(&target)]).await;
    assert!(full.contains("there is a database already") && full.contains("--replace"), "{full}");
    succeed(&["restore", text(&backup), "--replace", "--data-dir", text(&target)]).await;
    let service = serve(&target).await;
    assert_eq!(number_of(&ada, &service.base, 0).await, Some(0));
    assert_eq!(number_of(&ada, &service.base, 1000).await, None, "it came after the first backup");
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");
    let kept = std::fs::read_dir(&target).expect("it is there").flatten();
    let kept: Vec<String> = kept.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(kept.iter().any(|name| name.starts_with("pg.before-")) && !kept.iter().any(|name| name == "restoring"), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_damaged_costs_nothing() {
    let folder = Folder::new("damaged");
    let (data, backup, target) = (folder.path().join("data"), folder.path().join("backup"), folder.path().join("target"));
    let none = fail(&["backup", "--out", text(&backup), "--data-dir", text(&data)]).await;
    assert!(none.contains("there is none yet") && !backup.exists() && !data.exists(), "{none}");
    let service = serve(&data).await;
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");
    succeed(&["backup", "--out", text(&backup), "--data-dir", text(&data)]).await;
    let twice = fail(&["backup", "--out", text(&backup.join("manifest.json")), "--data-dir", text(&data)]).await;
    assert!(twice.contains("is there already"), "{twice}");

    let into = fail(&["backup", "--out", text(&backup), "--data-dir", text(&data)]).await;
    assert!(into.contains("is a backup itself"), "{into}");

    let dump = backup.join("database.dump");
    let mut bytes = std::fs::read(&dump).expect("it is there");
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    std::fs::write(&dump, &bytes).expect("it can be written");
    let damaged = fail(&["restore", text(&backup), "--data-dir", text(&target)]).await;
    assert!(damaged.contains("database.dump is damaged") && !target.exists(), "{damaged}");

    // Even with a manifest that fits, half a dump restores nothing, and what is there stays.
    let manifest = backup.join("manifest.json");
    let mut told: Value = serde_json::from_slice(&std::fs::read(&manifest).expect("it is there")).expect("it is JSON");
    told["files"]["database.dump"] =
        Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat().into();
    std::fs::write(&manifest, told.to_string()).expect("it can be written");
    let half = fail(&["restore", text(&backup), "--replace", "--data-dir", text(&data)]).await;
    assert!(half.contains("nothing was restored") && half.contains("pg_restore"), "{half}");
    let names =
        std::fs::read_dir(&data).expect("it is there").flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert!(!names.into_iter().any(|name| name.starts_with("pg.") || name == "restoring"), "something was moved");
    let service = serve(&data).await;
    let (status, _) = service.end().await;
    assert!(status.success(), "{status}");
}
