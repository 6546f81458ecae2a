//! Lists of administrators: however little is found, a page looks at a bounded part of what there is, and the next goes on there.

use super::*;
use crate::store::administration::{AuditAsk, AuditRow, HandlesAsk};

#[tokio::test]
async fn r70_a_page_that_finds_nothing_says_where_to_go_on() {
    let database = Database::new().await;
    let fill = "insert into handles (id, sid, scid, owner, created_at, type, template, name)
        select md5('h' || n)::uuid, md5('s' || n)::uuid, md5('scid')::uuid, n, '2031-01-01', case when n = 6000 then 3 else 0 end, 'T', 'S'
        from generate_series(1, 6000) n";
    sqlx::query(fill).execute(&mut database.connection().await).await.unwrap();
    let store = database.store.clone();
    let (mut ask, mut found, mut pages) = (HandlesAsk { kind: Some(3), take: 50, ..HandlesAsk::default() }, 0, 0);
    loop {
        let page = store.list_handles(&ask).await.unwrap();
        found += page.items.len();
        pages += 1;
        if page.next.is_none() {
            break;
        }
        ask.after = page.next;
    }
    assert_eq!((found, pages), (1, 2), "5000 are looked at for one page");
    // What has an index is found at once.
    let own = store.list_handles(&HandlesAsk { xuid: Some(6000), take: 50, ..HandlesAsk::default() }).await.unwrap();
    assert_eq!((own.items.len(), own.next), (1, None));
}

#[tokio::test]
async fn r70_an_action_has_no_outcome_before_it_is_known() {
    let store = Database::new().await.store;
    let row = AuditRow {
        id: Uuid::from_u128(1),
        at: "2031-04-05T18:00:00Z".parse().unwrap(),
        actor: "admin:op".to_owned(),
        action: "ban.put".to_owned(),
        target: Some("7".to_owned()),
        reason: None,
        outcome: None,
        detail: None,
    };
    store.put_audit(&row).await.unwrap();
    let ask = AuditAsk { target: Some("7".to_owned()), take: 1, ..AuditAsk::default() };
    assert_eq!(store.list_audit(&ask).await.unwrap().items, std::slice::from_ref(&row));
    store.finish_audit(row.id, "done").await.unwrap();
    assert_eq!(store.list_audit(&ask).await.unwrap().items, [AuditRow { outcome: Some("done".to_owned()), ..row }]);
}
