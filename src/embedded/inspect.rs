//! The state of a data folder, looked at without starting or changing anything.

use std::path::{Path, PathBuf};

use super::account::Account;
use super::binaries::Search;
use super::cluster::stored_major;
use super::error::EmbeddedError;
use super::layout::{Layout, socket_in};
use crate::settings::default_data_dir;

/// What a start of the private PostgreSQL would find.
#[derive(Debug)]
pub struct Inspection {
    /// The major version that wrote the cluster; `None` when there is none.
    pub stored: Option<u32>,
    /// The folder and major version of the programs that would serve it, or why none would.
    pub programs: Result<(PathBuf, u32), EmbeddedError>,
    /// The account the server would run under.
    pub account: String,
    /// Whether that account gets through to the folder.
    pub reach: Result<(), EmbeddedError>,
    /// The server's socket.
    pub socket: PathBuf,
    /// Whether the socket lies elsewhere than in the data folder, whose path is too long for one.
    pub socket_is_elsewhere: bool,
}

/// Looks at a data folder, which need not exist.
///
/// # Errors
/// When it cannot be looked at, or holds something that is no cluster.
pub fn inspect(data_dir: &Path, configured: Option<PathBuf>) -> Result<Inspection, EmbeddedError> {
    let layout = Layout::find(data_dir)?.unwrap_or_else(|| Layout::of(data_dir.to_owned()));
    let account = Account::choose(&layout.pg)?;
    let stored = stored_major(&layout.pg)?;
    let default = default_data_dir().unwrap_or_else(|_| layout.data_dir.clone());
    let found = Search::new(configured, &[&layout.data_dir, &default])
        .find(stored.map(|major| (major, layout.pg.as_path())), &account)
        .map(|binaries| (binaries.folder, binaries.major));
    let existing = layout.data_dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let folder = layout.socket_folder();
    Ok(Inspection {
        stored,
        programs: found,
        reach: account.check_reach(existing),
        account: account.name,
        socket_is_elsewhere: !folder.starts_with(&layout.data_dir),
        socket: socket_in(&folder),
    })
}
