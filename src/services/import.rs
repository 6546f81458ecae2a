//! Files into the database, at start.

use std::io;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::folder::read_folder;
use crate::store::{Import, Store, StoreError};

/// Why a services folder was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The folder is there, but cannot be read.
    #[error("read the services folder {}: {cause}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// Neither files nor database have anything to serve.
    #[error(
        "find a service config: there is no services folder {}, and the database has none. Name the folder with --services or \
         services.directory", .0.display()
    )]
    Nothing(PathBuf),
    /// The database did not take it.
    #[error("import the services folder: {0}")]
    Store(#[from] StoreError),
}

/// Imports a services folder, unless the catalog was made from the same files, and logs everything there is to say about it.
///
/// What is not valid is left out: the database keeps what it has of that name. `None` when there is no such folder, which is as good
/// as an unchanged one once the database has service configs.
///
/// # Errors
/// `Folder`, `Nothing`, `Store`.
pub async fn import(store: &Store, folder: &Path) -> Result<Option<Import>, ImportError> {
    let path = folder.to_owned();
    let read = spawn_blocking(move || read_folder(&path)).await.expect("reading a folder does not panic");
    let read = match read {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let services = store.load_catalog().await?.services;
            if services.is_empty() {
                return Err(ImportError::Nothing(folder.to_owned()));
            }
            let count = services.len();
            warn!("there is no services folder {}: serving the {count} service configs of the database", folder.display());
            return Ok(None);
        }
        Err(cause) => return Err(ImportError::Folder { folder: folder.to_owned(), cause }),
    };
    for finding in &read.report {
        if finding.fatal {
            error!("not imported: {finding}");
        } else {
            warn!("{finding}");
        }
    }
    let import = store.import_catalog(&read.services, &read.templates, &read.hash).await?;
    match import {
        Import::Unchanged => info!("the services folder {} is imported already", folder.display()),
        Import::Imported(revision) => info!(
            "imported {} templates of {} service configs from {}, revision {revision}",
            read.templates.len(),
            read.services.len(),
            folder.display()
        ),
    }
    Ok(Some(import))
}
