//! Lists of administrators: however little is found, a page looks at a bounded part of what there is, and the next goes on there.

use super::*;
use crate::domain::names::Xuid;
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
        xuids: vec![Xuid(7), Xuid(u64::MAX)],
    };
    store.put_audit(&row).await.unwrap();
    let ask = AuditAsk { target: Some("7".to_owned()), take: 1, ..AuditAsk::default() };
    assert_eq!(store.list_audit(&ask).await.unwrap().items, std::slice::from_ref(&row));
    store.finish_audit(row.id, "done").await.unwrap();
    assert_eq!(store.list_audit(&ask).await.unwrap().items, [AuditRow { outcome: Some("done".to_owned()), ..row }]);
}

#[tokio::test]
async fn r70_the_audit_is_searched_in_any_case_and_by_user() {
    let store = Database::new().await.store;
    let put = async |id: u128, target: &str, xuids: &[u64]| {
        let row = AuditRow {
            id: Uuid::from_u128(id),
            at: "2031-04-05T18:00:00Z".parse().unwrap(),
            actor: "admin:op".to_owned(),
            action: "member.remove".to_owned(),
            target: Some(target.to_owned()),
            reason: None,
            outcome: None,
            detail: None,
            xuids: xuids.iter().copied().map(Xuid).collect(),
        };
        store.put_audit(&row).await.unwrap();
    };
    put(1, "/serviceconfigs/ab/sessiontemplates/Card/sessions/Harbor-1", &[7]).await;
    put(2, "/serviceconfigs/AB/sessiontemplates/card/sessions/harbor-1", &[8]).await;
    put(3, "7/8", &[7, 8]).await;
    put(4, "edges", &[]).await;
    let found = async |target: Option<&str>, xuid: Option<u64>| {
        let ask = AuditAsk { target: target.map(str::to_owned), xuid: xuid.map(Xuid), take: 9, ..AuditAsk::default() };
        let page = store.list_audit(&ask).await.unwrap();
        page.items.iter().map(|row| row.id.as_u128()).collect::<Vec<_>>()
    };
    let path = "/serviceConfigs/Ab/sessionTemplates/CARD/sessions/HARBOR-1";
    assert_eq!(found(Some(path), None).await, [2, 1]);
    assert_eq!(found(None, Some(7)).await, [3, 1]);
    assert_eq!(found(None, Some(9)).await, Vec::<u128>::new());
    assert_eq!(found(Some(path), Some(8)).await, [2]);
    assert_eq!(found(None, None).await, [4, 3, 2, 1]);
}
