//! Where data lives when nobody says so.

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

#[cfg(test)]
mod tests {
    use super::*;

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
