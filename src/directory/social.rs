//! The social graph in bulk, for operators: exported in pages, imported as a whole.

use super::Directory;
use crate::domain::names::Xuid;
use crate::store::{EdgeKey, EdgeRow, EdgeTable, StoreError};
use crate::wire::social::{Edges, write_block, write_follow};

/// How many edges a page of the export holds.
const EXPORT_PAGE: i64 = 1000;

/// Where an export goes on: follows come first, then blocks.
#[derive(Debug, Clone, Copy)]
pub struct ExportKey(EdgeTable, EdgeKey);

impl ExportKey {
    /// At the beginning.
    pub const FIRST: Self = Self(EdgeTable::Follows, EdgeKey::FIRST);

    /// Behind a page, which ends its table when it is not full.
    fn behind(self, page: &[EdgeRow]) -> Option<Self> {
        let last = page.last().filter(|_| i64::try_from(page.len()) == Ok(EXPORT_PAGE));
        match (last.and_then(EdgeKey::behind), self.0) {
            (Some(key), table) => Some(Self(table, key)),
            (None, EdgeTable::Follows) => Some(Self(EdgeTable::Blocks, EdgeKey::FIRST)),
            (None, EdgeTable::Blocks) => None,
        }
    }
}

impl Directory {
    /// Renders a page of edges as JSON lines, and says where the next one begins. The order never changes; an edge that comes or goes
    /// meanwhile may be missed or told.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn export_edges(&self, from: ExportKey) -> Result<(String, Option<ExportKey>), StoreError> {
        let ExportKey(table, key) = from;
        let page = self.store.page_edges(table, key, EXPORT_PAGE).await?;
        let mut lines = String::new();
        for edge in &page {
            let pair = (Xuid(edge.xuid), Xuid(edge.other));
            match table {
                EdgeTable::Follows => write_follow(pair, edge.favorite, &mut lines),
                EdgeTable::Blocks => write_block(pair, &mut lines),
            }
        }
        Ok((lines, from.behind(&page)))
    }

    /// Adds edges to the graph, or makes them the whole graph: all of it or nothing, and says whether it did:
    /// it does not while another import is under way.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn import_edges(&self, edges: &Edges, replace: bool) -> Result<bool, StoreError> {
        let edge = |(xuid, other): (Xuid, Xuid), favorite| EdgeRow { xuid: xuid.0, other: other.0, favorite };
        let follows: Vec<EdgeRow> = edges.follows.iter().map(|(pair, favorite)| edge(*pair, *favorite)).collect();
        let blocks: Vec<EdgeRow> = edges.blocks.iter().map(|pair| edge(*pair, false)).collect();
        self.store.import_edges(&follows, &blocks, replace).await
    }
}
