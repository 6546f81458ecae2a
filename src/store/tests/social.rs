//! The social graph in bulk.

use super::*;
use futures_util::future::join_all;

use crate::store::{EdgeKey, EdgeRow, EdgeTable, Neighbourhood};

fn edge(xuid: u64, other: u64) -> EdgeRow {
    EdgeRow { xuid, other, favorite: other % 2 == 1 }
}

#[tokio::test]
async fn pages_of_edges_follow_each_other_without_gap_or_overlap() {
    let store = Database::new().await.store;
    let ends = [0, 1, i64::MAX.cast_unsigned(), 1 << 63, u64::MAX];
    let edges: Vec<EdgeRow> = ends.iter().flat_map(|from| ends.iter().map(|to| edge(*from, *to))).collect();
    let blocks: Vec<EdgeRow> = edges.iter().map(|edge| EdgeRow { favorite: false, ..*edge }).collect();
    store.import_edges(&edges, &blocks, false).await.unwrap();
    for (table, expected) in [(EdgeTable::Follows, &edges), (EdgeTable::Blocks, &blocks)] {
        for size in 1..=26 {
            let (mut found, mut key) = (Vec::new(), Some(EdgeKey::FIRST));
            while let Some(from) = key {
                let page = store.page_edges(table, from, size).await.unwrap();
                key = page.last().and_then(EdgeKey::behind);
                found.extend(page);
            }
            assert_eq!(found.len(), expected.len());
            assert!(expected.iter().all(|edge| found.contains(edge)));
        }
    }
}

/// Everybody from 1 to `count` follows and is followed by everybody else.
fn around(xuid: u64, count: u64) -> Neighbourhood {
    let others: Vec<u64> = (1..=count).filter(|other| *other != xuid).collect();
    let follows = others.iter().map(|other| (*other, *other == xuid + 1)).collect();
    Neighbourhood { xuid, follows, followers: others, ..Neighbourhood::default() }
}

#[tokio::test]
async fn neighbours_are_written_side_by_side() {
    const COUNT: u64 = 12;
    let store = Database::new().await.store;
    for round in 0..6 {
        let writes = (1..=COUNT).map(|xuid| {
            let store = store.clone();
            async move {
                if round % 2 == 0 {
                    store.put_neighbours(&around(xuid, COUNT)).await.map(drop)
                } else {
                    store.end_follows(xuid).await
                }
            }
        });
        for written in join_all(writes).await {
            written.unwrap();
        }
        let edges = store.page_edges(EdgeTable::Follows, EdgeKey::FIRST, 1000).await.unwrap();
        let expected = if round % 2 == 0 { usize::try_from(COUNT * (COUNT - 1)).unwrap() } else { 0 };
        assert_eq!(edges.len(), expected, "round {round}");
        assert!(edges.iter().all(|edge| edge.favorite == (edge.other == edge.xuid + 1)));
    }
    assert_eq!(store.put_neighbours(&around(1, COUNT)).await.unwrap(), 2 * (i64::try_from(COUNT).unwrap() - 1));
    assert_eq!(store.put_neighbours(&around(1, COUNT)).await.unwrap(), 0, "nothing changes");
}
