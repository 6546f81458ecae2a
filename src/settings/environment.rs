//! The process's environment, read in one place and handed on as data.

use std::collections::HashMap;

use super::SettingsError;

/// What all our variables begin with; `__` stands where a key has its dot.
pub(super) const PREFIX: &str = "OPENMPSD";

/// The variable that many tools share for the database.
pub(super) const DATABASE_URL: &str = "DATABASE_URL";

/// A token for commands that ask a running service.
const TOKEN: &str = "OPENMPSD_TOKEN";

const SHARED: [&str; 4] = [DATABASE_URL, "HOME", "XDG_DATA_HOME", TOKEN];

/// The variables that concern us: `OPENMPSD__…`, `OPENMPSD_TOKEN`, `DATABASE_URL`, and what names the home directory.
///
/// It prints nothing of itself: it holds passwords.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The environment this process was started with.
    ///
    /// # Errors
    /// When one of our variables is not valid UTF-8.
    pub fn of_process() -> Result<Self, SettingsError> {
        let mut variables = HashMap::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str() else { continue };
            if is_beside(name) {
                // Only its name is of interest.
                variables.insert(name.to_owned(), String::new());
            } else if SHARED.contains(&name) || is_ours(name) {
                let value = value.into_string().map_err(|_| SettingsError::NotText(name.to_owned()))?;
                variables.insert(name.to_owned(), value);
            }
        }
        Ok(Self(variables))
    }

    /// The value of a variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The token that commands show to a running service, if one is set.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.get(TOKEN)
    }

    /// A sentence about every variable that looks like one of ours and is none, by its underscores. `keys` are those there are, as in
    /// `SERVER_LISTEN`. Other variables may begin like ours for reasons of their own: a cluster names hosts and ports so.
    pub(super) fn near_misses(&self, keys: &[String]) -> Vec<String> {
        let mut near: Vec<&String> = self.0.keys().filter(|name| is_beside(name)).collect();
        near.retain(|name| {
            name.contains("__") || name.split_once('_').is_some_and(|(_, key)| keys.iter().any(|known| known == key))
        });
        near.sort();
        let say = |name| {
            format!("the variable {name} is ignored: a setting is written {PREFIX}__SECTION__KEY, with two underscores each")
        };
        near.into_iter().map(say).collect()
    }

    /// Our own variables, for the layer they make.
    pub(super) fn ours(&self) -> HashMap<String, String> {
        self.0.iter().filter(|(name, _)| is_ours(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl<'a> FromIterator<&'a (&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = &'a (&'a str, &'a str)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

/// Whether a variable begins as ours do, but with one underscore.
fn is_beside(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('_') && !rest.starts_with("__")) && name != TOKEN
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with("__"))
}
