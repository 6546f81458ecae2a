//! Service configs and session templates as files: read, judged and brought into the database.
//!
//! A services folder holds a folder per service config, named by its scid; in it are the templates, one file each, and, where only
//! some titles may use the service config, handles shall say what its title is called on each platform, or other rate limits hold than
//! those of the installation (docs/limits.md), a `service.toml`:
//!
//! ```text
//! config/services/
//!   5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7/
//!     service.toml            titles = ["1234567890"]
//!                             [game_types.uwp_desktop]
//!                             title_id = "1234567890"
//!                             pfn = "Maker.Game_8wekyb3d8bbwe"
//!                             bound_pfns = ["Maker.GameBeta_8wekyb3d8bbwe"]
//!                             [throttle]
//!                             requests_burst_max = 60
//!     templates/
//!       Lobby.json            the file's name is the template's name, in the case clients will be shown (T-05)
//! ```
//!
//! Reading never stops at the first mistake: whatever is wrong is reported by file, field and rule, and what cannot be served is left
//! out (T-08). Hidden files are nobody's business here.
//!
//! The files are a source, the database is the truth: an import adds and replaces, and takes nothing away. Not here: the rules of a
//! template (`domain::template`) and the catalog that sessions are created from (`directory`).

mod finding;
mod folder;
mod import;
mod service_file;
mod template_file;
#[cfg(test)]
mod tests;

pub use finding::{Finding, Position};
pub use folder::{ServiceFolder, read, read_folder, read_service};
pub use import::{ImportError, import};
pub use template_file::{read_template, template_name, template_row};
