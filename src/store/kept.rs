//! Connections that are kept at hand between statements.
//!
//! A pool hands out the connection that has rested longest, and takes one back in a task of its own, once it has answered a question
//! more. That is fair and slow: each of the server's processes then runs every so many statements, with nothing of what it needs in the
//! processor's caches. Whoever runs one statement after another is better served by the connection that has just done the last one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use super::TRUSTED_IDLE;

/// A few connections, the one used last on top. To the pool they are in use; whoever finds none here asks the pool.
#[derive(Debug, Clone)]
pub(super) struct Kept(Arc<Mutex<Stack>>);

#[derive(Debug)]
struct Stack {
    resting: Vec<Resting>,
    most: usize,
}

#[derive(Debug)]
struct Resting {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

impl Kept {
    /// Room for so many.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Stack { resting: Vec::new(), most })))
    }

    /// The connection used last, unless it has rested for so long that it has to be tried first: then all go back to the pool, which
    /// does that.
    pub fn take(&self) -> Option<PoolConnection<Postgres>> {
        let mut stack = self.lock();
        let last = stack.resting.pop()?;
        if last.since.elapsed() <= TRUSTED_IDLE {
            return Some(last.connection);
        }
        stack.resting.clear();
        None
    }

    /// Keeps a connection that has done what it was asked for; one too many goes back to the pool.
    pub fn keep(&self, connection: PoolConnection<Postgres>) {
        let mut stack = self.lock();
        if stack.resting.len() < stack.most {
            stack.resting.push(Resting { connection, since: Instant::now() });
        }
    }

    /// How many rest here.
    pub fn resting(&self) -> usize {
        self.lock().resting.len()
    }

    /// Gives all of them back and keeps none any more, so that the pool can close.
    pub fn close(&self) {
        let mut stack = self.lock();
        stack.most = 0;
        stack.resting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Stack> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::PgPool;

    use super::super::tests::Database;
    use super::super::{KEPT, KEPT_FROM, Store, StoreOptions};
    use super::*;

    /// A store with so many connections to a database of its own.
    async fn store(pool_max: u32) -> Store {
        let connect = Database::new().await.url.parse().expect("the address is well-formed");
        let patience = Duration::from_secs(10);
        Store::connect(StoreOptions { connect, pool_max, statement_timeout: patience, acquire_timeout: patience })
            .await
            .expect("the store connects")
    }

    /// Takes both connections of a pool of two.
    async fn both(pool: &PgPool) -> [PoolConnection<Postgres>; 2] {
        [pool.acquire().await.expect("one is free"), pool.acquire().await.expect("another one is free")]
    }

    /// Which of the server's processes is at the other end.
    async fn process(connection: &mut PoolConnection<Postgres>) -> i32 {
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut **connection).await.expect("the connection lives")
    }

    /// Makes the connection on top one that has rested for longer than is trusted.
    fn age(kept: &Kept) {
        let mut stack = kept.lock();
        let top = stack.resting.last_mut().expect("one rests");
        top.since = top.since.checked_sub(TRUSTED_IDLE + Duration::from_millis(1)).expect("the machine runs for longer");
    }

    #[tokio::test]
    async fn the_connection_used_last_comes_first() {
        let (store, kept) = (store(2).await, Kept::new(2));
        let [mut first, mut last] = both(&store.pool).await;
        let (under, top) = (process(&mut first).await, process(&mut last).await);
        kept.keep(first);
        kept.keep(last);
        let mut taken = kept.take().expect("two are kept");
        assert_eq!(process(&mut taken).await, top);
        kept.keep(taken);
        let mut taken = [kept.take().expect("two are kept"), kept.take().expect("one is kept")];
        assert_eq!([process(&mut taken[0]).await, process(&mut taken[1]).await], [top, under]);
        assert!(kept.take().is_none());
    }

    #[tokio::test]
    async fn one_too_many_goes_back_to_the_pool() {
        let (store, kept) = (store(2).await, Kept::new(1));
        let [first, mut last] = both(&store.pool).await;
        let surplus = process(&mut last).await;
        kept.keep(first);
        kept.keep(last);
        assert_eq!(kept.resting(), 1);
        assert_eq!(process(&mut store.pool.acquire().await.expect("it is free again")).await, surplus);
    }

    #[tokio::test]
    async fn one_that_rested_too_long_goes_back_with_all_below_it() {
        let (store, kept) = (store(2).await, Kept::new(2));
        let [first, last] = both(&store.pool).await;
        kept.keep(first);
        kept.keep(last);
        let fresh = kept.take().expect("the upper one has just been used");
        age(&kept);
        kept.keep(fresh);
        assert!(kept.take().is_some(), "how long those below it have rested does not matter");
        assert!(kept.take().is_none(), "the lower one has rested too long");
        assert_eq!(kept.resting(), 0);
        // Both are free: the one that was taken above has been dropped.
        let [first, last] = both(&store.pool).await;
        kept.keep(first);
        kept.keep(last);
        age(&kept);
        assert!(kept.take().is_none(), "whatever rests below one that has rested too long has rested longer");
        assert_eq!(kept.resting(), 0);
        both(&store.pool).await;
    }

    #[tokio::test]
    async fn closed_it_keeps_none() {
        let (store, kept) = (store(2).await, Kept::new(2));
        let [first, last] = both(&store.pool).await;
        kept.keep(first);
        kept.close();
        assert!(kept.take().is_none());
        kept.keep(last);
        assert!(kept.take().is_none());
        // This waits until all are given back.
        store.pool.close().await;
    }

    #[tokio::test]
    async fn the_connection_of_a_statement_that_failed_is_not_kept() {
        let store = store(KEPT_FROM).await;
        store.rows(sqlx::query("select 1 / 0")).await.expect_err("nothing is divided by zero");
        store.touched(sqlx::query("select 1 / 0")).await.expect_err("nothing is divided by zero");
        assert_eq!(store.kept.resting(), 0);
        let row = store.rows(sqlx::query("select pg_backend_pid()")).await.expect("the statement is sound").remove(0);
        assert_eq!(store.kept.resting(), 1);
        let again = store.rows(sqlx::query("select pg_backend_pid()")).await.expect("the statement is sound").remove(0);
        let pid = |row: &sqlx::postgres::PgRow| sqlx::Row::get::<i32, _>(row, 0);
        assert_eq!((pid(&row), store.kept.resting()), (pid(&again), 1), "the next statement has the connection of the last");
    }

    #[tokio::test]
    async fn what_is_kept_is_idle_and_closes_with_the_store() {
        let store = store(KEPT_FROM).await;
        store.touched(sqlx::query("select 1")).await.expect("the statement is sound");
        let use_of = store.pool();
        assert_eq!((use_of.used, use_of.idle, store.kept.resting()), (0, 1, 1));
        store.close().await;
        assert_eq!((store.pool.size(), store.kept.resting()), (0, 0));
    }

    #[tokio::test]
    async fn a_small_pool_keeps_none_and_a_reader_all_of_its_own() {
        let small = store(KEPT_FROM - 1).await;
        let own = small.here(2);
        for store in [&small, &own] {
            store.touched(sqlx::query("select 1")).await.expect("the statement is sound");
        }
        assert_eq!((small.kept.resting(), own.kept.resting(), own.pool().max), (0, 1, 2));
        assert!(KEPT < KEPT_FROM as usize, "others find connections, too");
        small.close().await;
        own.touched(sqlx::query("select 1")).await.expect("it has connections of its own");
    }
}
