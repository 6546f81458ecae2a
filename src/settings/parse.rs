//! From the texts of a settings file or variable to values. Messages say what is wanted; the caller adds the key.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// A choice among a few words.
pub trait Word: Copy + 'static {
    /// Every word and what it stands for.
    const WORDS: &'static [(&'static str, Self)];
}

/// Reads one of a few words, in any case.
pub fn word<'de, D: Deserializer<'de>, W: Word>(deserializer: D) -> Result<W, D::Error> {
    let text = String::deserialize(deserializer)?;
    let found = W::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = W::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
        Error::custom(format!("must be {}, not {text:?}", words.join(" or ")))
    })
}

/// Reads an address with its port.
pub fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        Error::custom(format!("must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080, not {text:?}"))
    })
}

/// Reads a secret; empty means none.
pub fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(filled(String::deserialize(deserializer)?).map(SecretString::from))
}

/// Reads a path; empty means none.
pub fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(filled(String::deserialize(deserializer)?).map(PathBuf::from))
}

fn filled(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

/// Reads a list as it stands in a file, or as a variable has it: one text, separated by commas.
pub fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct List<T>(PhantomData<T>);

    impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(item).collect()
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(text) = seq.next_element::<String>()? {
                items.push(item(&text)?);
            }
            Ok(items)
        }
    }

    fn item<T: FromStr<Err: fmt::Display>, E: Error>(text: &str) -> Result<T, E> {
        text.parse().map_err(|error| E::custom(format!("{text:?}: {error}")))
    }

    deserializer.deserialize_any(List(PhantomData))
}
