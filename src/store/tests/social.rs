//! The social graph in bulk.

use super::*;
use crate::store::{EdgeKey, EdgeRow, EdgeTable};

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
