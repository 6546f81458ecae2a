//! Whether a transaction pooler stands between the service and its database: whoever is connected has another server process for
//! every transaction then, and what a session keeps (prepared statements, advisory locks, LISTEN) is lost on the way.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, NoTls, Statement};

use super::AskError;

/// How many transactions are held open to make a pooler hand out other server processes.
const HELD: usize = 3;
/// How long an answer is waited for: a pooler without a free server process lets us wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// What stands in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Nothing, or a pooler that leaves a connection its server process.
    Sessions,
    /// A transaction pooler; `prepared` says whether statements prepared by name outlive a transaction.
    Transactions {
        /// Whether they do.
        prepared: bool,
    },
}

/// Finds out by connecting a few times: one connection asks again and again while others hold the process it was given before.
///
/// # Errors
/// When there is no connection.
pub async fn probe(url: &str) -> Result<Pooling, AskError> {
    let asking = connect(url).await?;
    let statement = match asking.prepare(include_str!("sql/read_backend.sql")).await {
        Ok(statement) => statement,
        Err(error) if is_forgotten(&error) => return Ok(Pooling::Transactions { prepared: false }),
        Err(error) => return Err(error.into()),
    };
    let mut backend = None;
    let mut holding = Vec::new();
    let mut moved = false;
    for held in 0..=HELD {
        match timeout(PATIENCE, ask(&asking, &statement)).await {
            Ok(Ok(answered)) => {
                moved |= backend.is_some_and(|before| before != answered);
                backend = Some(answered);
            }
            Ok(Err(error)) if is_forgotten(&error) => return Ok(Pooling::Transactions { prepared: false }),
            Ok(Err(error)) => return Err(error.into()),
            // All the processes there are have been taken by those who hold: they were shared.
            Err(_) => return Ok(Pooling::Transactions { prepared: true }),
        }
        if held < HELD {
            let holder = connect(url).await?;
            if timeout(PATIENCE, holder.batch_execute("begin; select")).await.is_ok_and(|begun| begun.is_ok()) {
                holding.push(holder);
            }
        }
    }
    Ok(if moved { Pooling::Transactions { prepared: true } } else { Pooling::Sessions })
}

async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with its client.
    tokio::spawn(connection);
    Ok(client)
}

async fn ask(client: &Client, statement: &Statement) -> Result<i32, Error> {
    client.query_one(statement, &[]).await?.try_get("backend")
}

/// Whether a statement was prepared elsewhere, or its name is taken by somebody else's.
fn is_forgotten(error: &Error) -> bool {
    matches!(error.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME | &SqlState::DUPLICATE_PSTATEMENT))
}
