//! Several service processes on one database: what only one may win, only one wins, whoever asked whom.

use futures_util::future::join_all;
use openmpsd::store::{Store, migrate};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cluster::{self, TestDatabase};
use crate::harness::{connect, session};
use crate::process::{Caller, Folder, Process, Reply};

/// Processes over one database, believing one key.
pub struct Replicas {
    pub processes: Vec<Process>,
    pub folders: Vec<Folder>,
    pub database: TestDatabase,
}

/// Starts so many processes over a database that believe one key, with these variables; the first folder has the key.
pub async fn processes(url: &str, count: usize, variables: &[(&str, &str)]) -> (Vec<Process>, Vec<Folder>) {
    let folders: Vec<Folder> = (0..count).map(|_| Folder::new("replica")).collect();
    // The key, and with it the file of its public half.
    Caller::new(&folders[0], 0);
    let keys = folders[0].path().join("keys/public.json").display().to_string();
    let all = [&[("OPENMPSD__DATABASE__URL", url), ("OPENMPSD__AUTH__KEYS", keys.as_str())], variables].concat();
    let starting = folders.iter().map(async |folder| {
        Process::start(folder.path(), &[], &all).await.unwrap_or_else(|said| panic!("it does not start:\n{said}"))
    });
    (join_all(starting).await, folders)
}

impl Replicas {
    async fn start(count: usize) -> Self {
        Self::with(count, &[]).await
    }

    /// The same with these variables.
    pub async fn with(count: usize, variables: &[(&str, &str)]) -> Self {
        let database = cluster::database(async |url: &str| migrate::migrate(url).await.map(drop)).await;
        let (processes, folders) = processes(database.url(), count, variables).await;
        Self { processes, folders, database }
    }

    pub fn callers(&self, count: u64) -> Vec<Caller> {
        Caller::many(&self.folders[0], count)
    }

    /// Everybody sends the same at once, to the processes in turn.
    async fn all_put(&self, callers: &[Caller], path: &str, condition: Option<(&str, &str)>, body: &Value) -> Vec<Reply> {
        let mut sending = JoinSet::new();
        for (caller, process) in callers.iter().zip(self.processes.iter().cycle()) {
            let (caller, base, path, body) = (caller.clone(), process.base.clone(), path.to_owned(), body.clone());
            let condition = condition.map(|(name, value)| (name.to_owned(), value.to_owned()));
            sending.spawn(async move {
                let condition = condition.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
                caller.send(&base, Method::PUT, &path, condition, Some(&body)).await.expect("it answers")
            });
        }
        sending.join_all().await
    }

    /// Ends the processes that are there and checks what is stored. Every test ends with it.
    pub async fn end(self) {
        for process in self.processes {
            let (status, _) = process.end().await;
            assert!(status.success(), "{status}");
        }
        let store: Store = connect(&self.database).await;
        assert_eq!(store.verify().await.expect("the database answers"), Vec::<String>::new(), "projection check");
        store.close().await;
    }
}

fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

/// Joins, creating the session for at most so many.
fn joining(max: u64) -> Value {
    json!({
        "constants": {"system": {"maxMembersCount": max}},
        "members": {"me": {"properties": {"system": {"active": true}}}}
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_may_win_one_wins_across_processes() {
    let replicas = Replicas::start(2).await;
    let callers = replicas.callers(300);
    let base = &replicas.processes[0].base;

    let path = session("Open", "eight");
    let replies = replicas.all_put(&callers[..40], &path, None, &joining(8)).await;
    let told = (count(&replies, 201), count(&replies, 200), count(&replies, 400));
    assert_eq!(told, (1, 7, 32), "40 joins of a session of 8");
    let read = callers[0].get(base, &path).await.expect("it answers");
    assert_eq!(read.body["membersInfo"]["count"], 8);

    let path = session("Open", "one-tag");
    let everybody = replicas.all_put(&callers[..40], &path, None, &joining(40)).await;
    assert_eq!(count(&everybody, 200) + count(&everybody, 201), 40);
    let tag = callers[0].get(base, &path).await.and_then(|reply| reply.etag).expect("it has a tag");
    let body = json!({"properties": {"custom": {"winner": "somebody"}}});
    let replies = replicas.all_put(&callers[..40], &path, Some(("if-match", &tag)), &body).await;
    assert_eq!((count(&replies, 200), count(&replies, 412)), (1, 39), "40 writes with one tag");

    let path = session("Open", "one-creator");
    let replies = replicas.all_put(&callers[..40], &path, Some(("if-none-match", "*")), &joining(40)).await;
    assert_eq!((count(&replies, 201), count(&replies, 412)), (1, 39), "40 creations");

    let path = session("Open", "storm");
    let begun = std::time::Instant::now();
    let replies = replicas.all_put(&callers, &path, None, &joining(100)).await;
    println!("300 joins over two processes in {:?}", begun.elapsed());
    let told = (count(&replies, 201), count(&replies, 200), count(&replies, 400));
    assert_eq!(told, (1, 99, 200), "300 joins of a session of 100");
    replicas.end().await;
}

/// A process with a single writer must get its turn beside one that never rests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_starves_beside_busy_processes() {
    let replicas = Replicas::start(4).await;
    let callers = replicas.callers(40);
    let path = session("Open", "busy");
    let everybody = replicas.all_put(&callers, &path, None, &joining(40)).await;
    assert_eq!(count(&everybody, 200) + count(&everybody, 201), 40);
    let mut writing = JoinSet::new();
    for (number, caller) in callers.into_iter().enumerate() {
        // One writer in the first process, thirteen in each other.
        let base = replicas.processes[if number == 0 { 0 } else { 1 + number % 3 }].base.clone();
        let path = path.clone();
        writing.spawn(async move {
            let mut longest = std::time::Duration::ZERO;
            for count in 0..25 {
                let body = json!({"members": {"me": {"properties": {"custom": {"count": count}}}}});
                let begun = std::time::Instant::now();
                let reply = caller.put(&base, &path, &body).await.expect("it answers");
                assert_eq!(reply.status, 200, "{reply:?}");
                longest = longest.max(begun.elapsed());
            }
            (number, longest)
        });
    }
    let longest = writing.join_all().await;
    let lonely = longest.iter().find(|(number, _)| *number == 0).map(|(_, longest)| *longest);
    let all = longest.iter().map(|(_, longest)| *longest).max();
    println!("the longest wait: {lonely:?} of the lonely writer, {all:?} of all");
    replicas.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_process_may_move_the_clock_of_a_database() {
    let database = cluster::database(async |url: &str| migrate::migrate(url).await.map(drop)).await;
    let (one, two) = (Folder::new("dev"), Folder::new("dev"));
    let variables = [("OPENMPSD__DATABASE__URL", database.url())];
    let first = Process::start(one.path(), &["--dev"], &variables).await.unwrap_or_else(|said| panic!("{said}"));
    let said = Process::start(two.path(), &["--dev"], &variables).await.err().expect("the second is refused");
    assert!(said.contains("another instance runs with --dev on this database"), "{said}");
    assert!(first.end().await.0.success());
    let keyless = Process::start(two.path(), &[], &variables).await.err().expect("a generated key is refused");
    assert!(keyless.contains("a database of your own needs signing keys of your own"), "{keyless}");
}
