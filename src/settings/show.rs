//! From values back to the texts of a settings file. What is a secret by its type is shown masked and in no other way: a field that
//! holds one does not compile without [`secret`].

use std::fmt::Display;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::parse::Word;

/// What stands where a secret would.
const MASK: &str = "***";

/// Writes one of a few words.
pub fn word<W: Word + PartialEq, S: Serializer>(word: &W, serializer: S) -> Result<S::Ok, S::Error> {
    let found = W::WORDS.iter().find(|(_, value)| value == word);
    serializer.serialize_str(found.map_or("", |(text, _)| text))
}

/// Writes a secret masked; none is empty.
#[expect(clippy::ref_option, reason = "serde hands over the field")]
pub fn secret<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&secret.as_ref().map(|secret| masked(secret.expose_secret())).unwrap_or_default())
}

/// Writes a path; none is empty.
#[expect(clippy::ref_option, reason = "serde hands over the field")]
pub fn path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.clone().unwrap_or_default().serialize(serializer)
}

/// Writes numbers as texts: xuids do not fit into what TOML calls a number.
pub fn texts<T: Display, S: Serializer>(items: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(ToString::to_string))
}

/// A secret as people may see it: of a PostgreSQL URL all but passwords and what else is not known to be harmless, of another URL the
/// place, of anything else nothing.
///
/// Where it is not clear what is the password, more is masked rather than less.
#[must_use]
pub fn masked(secret: &str) -> String {
    const HARMLESS: [&str; 8] = ["application_name", "dbname", "host", "hostaddr", "port", "sslmode", "ssl-mode", "user"];
    let Some((scheme, rest)) = secret.split_once("://").filter(|_| Url::parse(secret).is_ok()) else { return MASK.to_owned() };
    let is_postgres = matches!(scheme, "postgres" | "postgresql");
    // A password may hold a slash or a question mark that should have been escaped, hence the last @ of all.
    let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
    let user = login.map(|login| login.split_once(':').map_or((login, false), |(user, _)| (user, true)));
    // The @ stands in the middle of a parameter.
    if user.is_some_and(|(user, _)| user.contains(['/', '?', '#'])) {
        return format!("{scheme}://{MASK}");
    }
    let login = user.map(|(user, has_password)| match (is_postgres, has_password) {
        (true, false) => format!("{user}@"),
        (true, true) => format!("{user}:{MASK}@"),
        (false, _) => format!("{MASK}@"),
    });
    let place = place.split('#').next().unwrap_or_default();
    let (path, query) = place.split_once('?').map_or((place, None), |(path, query)| (path, Some(query)));
    let parameter = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_postgres && HARMLESS.contains(&name) => pair.to_owned(),
        Some((name, _)) => format!("{name}={MASK}"),
        None => MASK.to_owned(),
    };
    let query = query.map(|query| query.split('&').map(parameter).collect::<Vec<_>>().join("&"));
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{}{path}{query}", login.unwrap_or_default())
}

/// A value as a settings file has it, on one line.
pub fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        // JSON and TOML write the texts, numbers and switches of settings alike.
        other => other.to_string().replace('\u{7f}', "\\u007f"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("hunter2", "***")]
    #[case("postgres://ada:hunter2@db.example:5432/x?sslmode=require", "postgres://ada:***@db.example:5432/x?sslmode=require")]
    #[case("postgres://ada@db.example/x", "postgres://ada@db.example/x")]
    #[case("postgres://db.example/x", "postgres://db.example/x")]
    #[case::slash("postgres://ada:1/ter?2@db.example/x", "postgres://ada:***@db.example/x")]
    #[case::unreadable("postgres://ada:hun/ter?2@db.example/x", "***")]
    #[case::at("postgres://ada:hun@ter2@db.example/x", "postgres://ada:***@db.example/x")]
    #[case::parameter("postgres:///x?host=%2Frun&PASSWORD=hunter2&user=ada", "postgres:///x?host=%2Frun&PASSWORD=***&user=ada")]
    #[case::key("postgres://h/x?sslpassword=hunter2", "postgres://h/x?sslpassword=***")]
    #[case::hosts("postgres://a:hunter2@one,b:hunter3@two/x", "postgres://a:***@two/x")]
    #[case::endpoint("https://me:hunter2@people.example/edges", "https://***@people.example/edges")]
    #[case::token(
        "https://hunter2@people.example/edges?key=hunter3&hunter4#hunter5",
        "https://***@people.example/edges?key=***&***"
    )]
    #[case::no_url("not a url://hunter2", "***")]
    #[case::at_in_a_parameter("postgres://h/x?password=hunter2:a@b", "postgres://***")]
    #[case::at_in_the_last("postgres://ada:hunter2@h/x?password=hun@ter3", "postgres://ada:***@ter3")]
    fn of_a_url_the_password_is_masked(#[case] secret: &str, #[case] shown: &str) {
        assert_eq!(masked(secret), shown);
    }
}
