//! Sockets that live, and those that are lost.

use sqlx::Executor as _;

use super::*;

#[tokio::test]
async fn connections_lost_long_ago_are_forgotten_page_by_page() {
    let database = Database::new().await;
    let store = &database.store;
    let seed = "
        insert into instances (id, started_at) values (md5('one')::uuid, '2026-01-01');
        insert into connections (id, instance, xuid, opened_at, lost_at, check_at)
        select md5(n::text)::uuid, md5('one')::uuid, n, '2026-01-01',
            case when n > 1 then '2026-01-01'::timestamptz + n * interval '1 second' end, case when n = 2 then '2026-01-02'::timestamptz end
        from generate_series(1, 12010) n";
    database.connection().await.execute(seed).await.unwrap();
    let before = start() + seconds(12_001);
    assert_eq!(store.forget_connections(before).await.unwrap(), 11_998, "neither living ones nor those that are searched for");
    assert_eq!(store.forget_connections(before).await.unwrap(), 0);
    assert_eq!(store.forget_connections(before + seconds(100)).await.unwrap(), 10);
}
