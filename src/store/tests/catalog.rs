//! Service configs, templates, the social source and the lease of the development clock.

use super::*;
use crate::store::rows::{ServiceConfigRow, TemplateRow};
use crate::store::{Import, Publication, ServicePut};

fn template(name: &str, document: &str) -> TemplateRow {
    TemplateRow { scid: SCID, name: name.into(), contract_version: 107, document: document.into() }
}

#[tokio::test]
async fn an_import_is_made_once_per_hash() {
    let store = Database::new().await.store;
    let other = fresh();
    let services = [
        ServiceConfigRow { scid: SCID, titles: vec![], game_types: None, throttle: None },
        ServiceConfigRow {
            scid: other,
            titles: vec![1, u32::MAX],
            game_types: None,
            throttle: Some(r#"{"requests_burst_max":60}"#.into()),
        },
    ];
    let (one, other_store) = (store.clone(), store.clone());
    let templates = [template("Lobby", "{}")];

    let (first, second) =
        tokio::join!(one.import_catalog(&services, &templates, "a"), other_store.import_catalog(&services, &templates, "a"));
    let outcomes = [first.unwrap(), second.unwrap()];
    assert!(outcomes.contains(&Import::Imported(1)) && outcomes.contains(&Import::Unchanged), "{outcomes:?}");

    let mut catalog = store.load_catalog().await.unwrap();
    catalog.services.sort_by_key(|service| service.titles.len());
    assert_eq!((catalog.revision, catalog.source_hash.as_deref()), (1, Some("a")));
    assert_eq!(catalog.services, services);
    assert_eq!(catalog.templates, templates);
    assert_eq!(store.import_catalog(&services, &[template("LOBBY", "[]")], "b").await.unwrap(), Import::Imported(2));
    assert_eq!(store.load_catalog().await.unwrap().templates, [template("LOBBY", "[]")], "names compare without case");
}

#[tokio::test]
async fn a_publication_needs_its_service_config_and_moves_the_revision() {
    let store = Database::new().await.store;
    assert_eq!(store.publish_template(&template("Lobby", "{}")).await.unwrap(), Publication::UnknownServiceConfig);
    assert_eq!(store.catalog_revision().await.unwrap(), 0);
    store
        .import_catalog(&[ServiceConfigRow { scid: SCID, titles: vec![], game_types: None, throttle: None }], &[], "a")
        .await
        .unwrap();
    assert_eq!(store.publish_template(&template("Lobby", "{}")).await.unwrap(), Publication::Published(2));
    assert_eq!(store.load_catalog().await.unwrap().source_hash.as_deref(), Some("a"));
}

#[tokio::test]
async fn what_is_not_given_of_a_service_config_stays() {
    let store = Database::new().await.store;
    let put = |titles: &[u32], game_types: Option<Option<&str>>, throttle: Option<Option<&str>>| ServicePut {
        scid: SCID,
        titles: titles.to_vec(),
        game_types: game_types.map(|text| text.map(str::to_owned)),
        throttle: throttle.map(|text| text.map(str::to_owned)),
    };
    let kept = async || {
        let service = store.load_catalog().await.unwrap().services.remove(0);
        (service.titles, service.game_types, service.throttle)
    };
    let text = |text: &str| Some(text.to_owned());
    let first = store.publish_service(&put(&[1], Some(Some("{1}")), None)).await.unwrap();
    assert!(first.created);
    assert_eq!(kept().await, (vec![1], text("{1}"), None));
    let second = store.publish_service(&put(&[], None, Some(Some("{2}")))).await.unwrap();
    assert_eq!((second.created, second.revision), (false, first.revision + 1));
    assert_eq!(kept().await, (vec![], text("{1}"), text("{2}")));
    store.publish_service(&put(&[], Some(None), None)).await.unwrap();
    assert_eq!(kept().await, (vec![], None, text("{2}")));
}

#[tokio::test]
async fn edges_come_and_go_alone() {
    let store = Database::new().await.store;
    store.put_follow(ALICE, BOB, false).await.unwrap();
    store.put_follow(ALICE, BOB, true).await.unwrap();
    store.put_block(BOB, ALICE).await.unwrap();
    store.put_block(BOB, ALICE).await.unwrap();
    assert!(!store.delete_follow(BOB, ALICE).await.unwrap());
    assert!(store.delete_follow(ALICE, BOB).await.unwrap());
    assert!(!store.delete_follow(ALICE, BOB).await.unwrap());
    assert!(store.delete_block(BOB, ALICE).await.unwrap());
}

#[tokio::test]
async fn one_instance_holds_the_development_clock() {
    let store = Database::new().await.store;
    let (one, other) = (fresh(), fresh());
    let at = |count| start() + seconds(count);
    assert!(store.hold_dev_lease(one, at(0), at(10)).await.unwrap());
    assert!(!store.hold_dev_lease(other, at(9), at(20)).await.unwrap());
    assert!(store.hold_dev_lease(one, at(9), at(20)).await.unwrap());
    assert!(store.hold_dev_lease(other, at(20), at(30)).await.unwrap());
    store.release_dev_lease(one).await.unwrap();
    assert!(!store.hold_dev_lease(one, at(21), at(30)).await.unwrap());
    store.release_dev_lease(other).await.unwrap();
    assert!(store.hold_dev_lease(one, at(21), at(30)).await.unwrap());
}
