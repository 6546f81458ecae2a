//! Service configs and templates on their way from files into the database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use openmpsd::domain::names::Scid;
use openmpsd::embedded::{EmbeddedOptions, EmbeddedPostgres};
use openmpsd::services::{self, ImportError};
use openmpsd::store::{Catalog, Import, Store, StoreOptions, migrate::migrate};
use tokio::process::Command;

use crate::cluster::{self, TestDatabase};

const SCID: &str = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7";
const OTHER: &str = "4fc10100-5f7a-4470-899b-280835760c07";

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/services")
}

async fn migrated() -> TestDatabase {
    cluster::database(async |url: &str| migrate(url).await.map(drop)).await
}

async fn store(database: &TestDatabase) -> Store {
    let options = StoreOptions {
        connect: database.url().parse().unwrap(),
        pool_max: 2,
        statement_timeout: Duration::from_secs(10),
        acquire_timeout: Duration::from_secs(10),
    };
    Store::connect(options).await.unwrap()
}

/// A services folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("openmpsd-it-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn put(&self, scid: &str, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(scid).join("templates").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn with_members_max(count: u32) -> String {
    format!(r#"{{"constants":{{"system":{{"maxMembersCount":{count}}}}}}}"#)
}

fn document<'a>(catalog: &'a Catalog, scid: &str, name: &str) -> Option<&'a str> {
    let scid = Scid::parse(scid).unwrap().id();
    catalog.templates.iter().find(|row| row.scid == scid && row.name == name).map(|row| row.document.as_str())
}

fn has_members_max(catalog: &Catalog, name: &str, count: u32) -> bool {
    document(catalog, SCID, name).is_some_and(|document| document.contains(&format!(r#""maxMembersCount":{count}"#)))
}

/// Whether the program was content, what it answered, and what it said to whoever called it.
type Said = (bool, String, String);

/// Runs the program on the database.
async fn openmpsd(database: &TestDatabase, arguments: &[&str]) -> Said {
    run(arguments, &[("OPENMPSD__DATABASE__URL", database.url())]).await
}

/// Runs the program with these variables and no others.
async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openmpsd"));
    command.args(arguments).env_clear().env("HOME", "/").envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

#[tokio::test]
async fn t08_a_folder_is_imported_when_it_is_new_and_what_is_invalid_stays_as_it_was() {
    let (database, folder) = (migrated().await, Folder::new("import"));
    let store = store(&database).await;
    folder.put(SCID, "Lobby.json", &with_members_max(8));
    let Some(Import::Imported(first)) = services::import(&store, &folder.0).await.unwrap() else { panic!("it is new") };
    assert_eq!(services::import(&store, &folder.0).await.unwrap(), Some(Import::Unchanged));

    folder.put(SCID, "Lobby.json", &with_members_max(1000));
    folder.put(SCID, "Match.json", &with_members_max(9));
    assert_eq!(services::import(&store, &folder.0).await.unwrap(), Some(Import::Imported(first + 1)));
    let catalog = store.load_catalog().await.unwrap();
    assert!(has_members_max(&catalog, "Lobby", 8) && has_members_max(&catalog, "Match", 9), "{catalog:?}");
}

#[tokio::test]
async fn a_missing_folder_is_missed_only_while_the_database_has_nothing() {
    let (database, folder) = (migrated().await, Folder::new("missing"));
    let store = store(&database).await;
    let missing = services::import(&store, &folder.0).await.unwrap_err();
    assert!(matches!(missing, ImportError::Nothing(_)), "{missing}");
    services::import(&store, &shipped()).await.unwrap();
    assert_eq!(services::import(&store, &folder.0).await.unwrap(), None);
    fs::write(&folder.0, "").unwrap();
    assert!(matches!(services::import(&store, &folder.0).await, Err(ImportError::Folder { .. })));
    fs::remove_file(&folder.0).unwrap();
}

#[tokio::test]
async fn t06_templates_are_published_from_the_command_line() {
    let (database, folder) = (migrated().await, Folder::new("publish"));
    let store = store(&database).await;
    let file = folder.put(SCID, "Lobby.json", &with_members_max(8));
    let (file, dir) = (file.to_str().unwrap(), folder.0.to_str().unwrap());

    let (done, _, why) = openmpsd(&database, &["template", "publish", "--scid", SCID, file]).await;
    assert!(!done && why.contains(&format!("has no service config {SCID}")), "{why}");
    let (done, out, why) = openmpsd(&database, &["template", "publish", dir]).await;
    assert!(done && out.starts_with("published 1 template of 1 service config to "), "{out}{why}");
    let (done, out, why) = openmpsd(&database, &["template", "publish", "--scid", SCID, "--name", "Duel", file]).await;
    assert!(done && out.starts_with(&format!("published Duel of {SCID} to ")), "{out}{why}");
    let catalog = store.load_catalog().await.unwrap();
    assert!(has_members_max(&catalog, "Lobby", 8) && has_members_max(&catalog, "Duel", 8), "{catalog:?}");
    assert_eq!(catalog.source_hash, None, "publishing is not importing");

    folder.put(OTHER, "Lobby.json", "{");
    let (done, _, why) = openmpsd(&database, &["template", "publish", dir]).await;
    assert!(!done && why.contains("Lobby.json:1:2: is no JSON") && why.contains("nothing is published"), "{why}");
    let (done, _, why) = openmpsd(&database, &["template", "publish", file]).await;
    assert!(!done && why.contains("needs --scid"), "{why}");
    assert_eq!(store.catalog_revision().await.unwrap(), catalog.revision);
}

#[tokio::test]
async fn t08_the_shipped_templates_come_into_the_database_whole() {
    let database = migrated().await;
    let store = store(&database).await;
    services::import(&store, &shipped()).await.unwrap();
    let catalog = store.load_catalog().await.unwrap();
    assert_eq!((catalog.services.len(), catalog.templates.len()), (2, 9));
    assert!(document(&catalog, OTHER, "MinecraftLobby").is_some());
}

#[tokio::test]
async fn the_schema_is_migrated_from_the_command_line() {
    let database = migrated().await;
    let (done, out, why) = openmpsd(&database, &["migrate"]).await;
    assert!(done && out.is_empty() && why.contains("is up to date"), "{out}{why}");

    sqlx::query("drop schema public, admin cascade").execute(&pool(&database).await).await.unwrap();
    sqlx::query("create schema public").execute(&pool(&database).await).await.unwrap();
    let (done, out, why) = openmpsd(&database, &["migrate"]).await;
    assert!(done && out.starts_with("V001__sessions\n") && why.contains("applied "), "{out}{why}");
}

async fn pool(database: &TestDatabase) -> sqlx::PgPool {
    sqlx::PgPool::connect(database.url()).await.unwrap()
}

#[tokio::test]
async fn the_database_of_a_running_service_is_found_by_its_data_directory() {
    let folder = Folder::new("embedded");
    let data_dir = folder.0.to_str().unwrap();
    let shipped = shipped();
    let publish = ["template", "publish", shipped.to_str().unwrap(), "--data-dir", data_dir];
    let (done, _, why) = run(&publish, &[]).await;
    assert!(!done && why.contains(&format!("no service runs with the data directory {data_dir}")), "{why}");

    let options = EmbeddedOptions {
        data_dir: folder.0.clone(),
        binaries: None,
        durable: false,
        max_connections: 20,
        extra: vec![("shared_buffers".to_owned(), "8MB".to_owned())],
    };
    let postgres = EmbeddedPostgres::start(options).await.unwrap();
    let (done, _, why) = run(&publish, &[]).await;
    assert!(!done && why.contains("`openmpsd migrate`"), "{why}");
    let (done, _, why) = run(&["migrate", "--data-dir", data_dir], &[]).await;
    assert!(done && why.contains("the embedded database"), "{why}");
    let (done, out, why) = run(&publish, &[]).await;
    postgres.stop().await;
    assert!(done && out.starts_with("published 9 templates of 2 service configs to the embedded database"), "{out}{why}");
}
