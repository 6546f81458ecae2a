//! Where data lives when nobody says so, and how its folder is made.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use super::{Environment, SettingsError};

/// The default data directory: `/var/lib/openmpsd` as root, else `$XDG_DATA_HOME/openmpsd` or `~/.local/share/openmpsd`.
///
/// # Errors
/// When this user has no home directory, or the variables that name it are not valid UTF-8.
pub fn default_data_dir() -> Result<PathBuf, SettingsError> {
    default_in(&Environment::of_process()?)
}

pub(super) fn default_in(environment: &Environment) -> Result<PathBuf, SettingsError> {
    let user = Uid::effective();
    if user.is_root() { Ok(PathBuf::from("/var/lib/openmpsd")) } else { of_user(environment, || home_of(user)) }
}

/// A relative `XDG_DATA_HOME` is to be ignored, says the XDG specification.
fn of_user(environment: &Environment, home: impl FnOnce() -> Option<PathBuf>) -> Result<PathBuf, SettingsError> {
    let absolute = |name| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data_home = absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").or_else(home).map(|home| home.join(".local/share")))
        .ok_or(SettingsError::NoDataDir)?;
    Ok(data_home.join("openmpsd"))
}

/// The home directory that the user database names; accounts for services often have none that exists.
fn home_of(user: Uid) -> Option<PathBuf> {
    let home = User::from_uid(user).ok()??.dir;
    (home.is_absolute() && home != Path::new("/") && home.is_dir()).then_some(home)
}

/// Makes a data directory where there is none, with its parents. One that is there keeps its mode.
///
/// Root lets others pass through, because PostgreSQL runs under another account; anybody else lets in nobody. Whatever the umask is,
/// it has no say in that.
///
/// # Errors
/// When a folder cannot be made.
pub fn make_data_dir(data_dir: &Path) -> io::Result<()> {
    let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
    let mut missing: Vec<&Path> =
        data_dir.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    missing.reverse();
    for folder in missing {
        match DirBuilder::new().mode(mode).create(folder) {
            Ok(()) => fs::set_permissions(folder, Permissions::from_mode(mode))?,
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_made_with_its_parents_and_keeps_its_mode() {
        let scratch = std::env::temp_dir().join(format!("openmpsd-data-dir-{}", std::process::id()));
        let data_dir = scratch.join("lib/openmpsd");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let expected = if Uid::effective().is_root() { 0o711 } else { 0o700 };
        make_data_dir(&data_dir).unwrap();
        assert_eq!([mode(&scratch), mode(&data_dir)], [expected; 2]);
        fs::set_permissions(&data_dir, Permissions::from_mode(0o750)).unwrap();
        make_data_dir(&data_dir).unwrap();
        assert_eq!(mode(&data_dir), 0o750);
        fs::write(data_dir.join("file"), "").unwrap();
        assert!(make_data_dir(&data_dir.join("file/below")).is_err());
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn a_users_data_stays_at_home() {
        let none = || None;
        let at = |variables: &[(&str, &str)]| of_user(&variables.iter().collect(), none).unwrap();
        assert_eq!(at(&[("HOME", "/home/ada")]), Path::new("/home/ada/.local/share/openmpsd"));
        assert_eq!(at(&[("HOME", "/home/ada"), ("XDG_DATA_HOME", "/data")]), Path::new("/data/openmpsd"));
        assert_eq!(at(&[("HOME", "/home/ada"), ("XDG_DATA_HOME", "data")]), Path::new("/home/ada/.local/share/openmpsd"));
        assert_eq!(
            of_user(&Environment::default(), || Some("/home/from-passwd".into())).unwrap(),
            Path::new("/home/from-passwd/.local/share/openmpsd")
        );
        assert!(matches!(of_user(&Environment::default(), none), Err(SettingsError::NoDataDir)));
    }
}
