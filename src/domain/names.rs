//! The names things go by: parsed once at the edge, valid ever after (S-05, S-06, S-12, R-15).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use uuid::Uuid;

/// A text that is no name of the kind asked for; the message says what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAName(pub &'static str);

/// Reads a GUID in its 36-character form, in any case and without braces (S-12, R-57).
#[must_use]
pub fn parse_guid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// A service config id: a GUID that keeps the case it was written in (S-05).
///
/// Two are equal when their GUIDs are.
#[derive(Clone, Copy)]
pub struct Scid {
    id: Uuid,
    spelling: [u8; 36],
}

impl Scid {
    /// Parses the 36-character form, in any case.
    ///
    /// # Errors
    /// When the text is no GUID (404 in a path, 400 in a body: R-15).
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let id = parse_guid(text).ok_or(NotAName("a service config id is a GUID of 36 characters"))?;
        let mut spelling = [0; 36];
        spelling.copy_from_slice(text.as_bytes());
        Ok(Self { id, spelling })
    }

    /// The GUID, which is what identity means here.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.spelling).expect("a GUID is ASCII")
    }
}

impl From<Uuid> for Scid {
    fn from(id: Uuid) -> Self {
        let mut spelling = [0; 36];
        id.hyphenated().encode_lower(&mut spelling);
        Self { id, spelling }
    }
}

impl PartialEq for Scid {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Scid {}

impl Hash for Scid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Display for Scid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Scid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scid({})", self.as_str())
    }
}

/// Whether a text may name a session, template, server, group or encounter (S-06): 1 to 100 characters of
/// `A-Z a-z 0-9 - _ . ( )`, the first a letter or digit.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=100).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'(' | b')'))
}

macro_rules! case_keeping_name {
    ($(#[$doc:meta])* $name:ident, $says:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses a name of S-06.
            ///
            /// # Errors
            /// When the text is outside S-06.
            pub fn parse(text: &str) -> Result<Self, NotAName> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(NotAName($says)) }
            }

            /// The name as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form that identity is compared in: lower case.
            #[must_use]
            pub fn key(&self) -> String {
                self.0.to_ascii_lowercase()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }

        impl Eq for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

case_keeping_name!(
    /// The name of a session template, compared without regard to case (S-05, T-05).
    TemplateName,
    "a template name is 1 to 100 characters of A-Z a-z 0-9 - _ . ( ), the first a letter or digit"
);
case_keeping_name!(
    /// The name of a session, compared without regard to case (S-05).
    SessionName,
    "a session name is 1 to 100 characters of A-Z a-z 0-9 - _ . ( ), the first a letter or digit"
);

/// The triple that names a session, whether or not it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReference {
    /// The service config.
    pub scid: Scid,
    /// The template, in its published case.
    pub template: TemplateName,
    /// The session.
    pub name: SessionName,
}

impl SessionReference {
    /// The key a session is stored under and its `correlationId` (S-23): a name-based UUID over the lower-cased parts.
    ///
    /// The same reference gives the same value for ever, so a deletion leaves nothing behind that has to be remembered.
    #[must_use]
    pub fn sid(&self) -> Uuid {
        let mut name = self.template.key();
        name.push('/');
        name.push_str(&self.name.key());
        Uuid::new_v5(&self.scid.id(), name.as_bytes())
    }

    /// The path-only form that `Content-Location` carries.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/serviceconfigs/{}/sessiontemplates/{}/sessions/{}", self.scid, self.template, self.name)
    }
}

impl fmt::Display for SessionReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}~{}", self.scid, self.template, self.name)
    }
}

/// Reads an unsigned decimal number that is nothing but digits.
fn decimal<T: FromStr>(text: &str) -> Option<T> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A user's id: an unsigned 64-bit number, a decimal string on the wire (S-04).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xuid(pub u64);

impl Xuid {
    /// Parses a decimal string.
    ///
    /// # Errors
    /// When the text is no unsigned 64-bit decimal.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        decimal(text).map(Self).ok_or(NotAName("an xuid is an unsigned 64-bit decimal"))
    }
}

impl fmt::Display for Xuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A title's id: an unsigned 32-bit number, a decimal string on the wire (S-04).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TitleId(pub u32);

impl TitleId {
    /// Parses a decimal string.
    ///
    /// # Errors
    /// When the text is no unsigned 32-bit decimal.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        decimal(text).map(Self).ok_or(NotAName("a title id is an unsigned 32-bit decimal"))
    }
}

impl fmt::Display for TitleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! guid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Parses the 36-character form, in any case.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                parse_guid(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

guid!(
    /// The id of a handle, rendered in lower case (S-12).
    HandleId
);
guid!(
    /// The id of a socket's connection resource (N-21), as members register it.
    ConnectionId
);
guid!(
    /// The scope of a change number: new for every (re)creation of a session (S-21).
    Branch
);

/// The key of a member in its session: ever growing, never used again (M-40).
pub type MemberIndex = u32;

/// The strong validator of a stored session (W-40): its branch and change number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ETag {
    /// The session's branch.
    pub branch: Branch,
    /// The session's change number.
    pub change_number: u64,
}

impl fmt::Display for ETag {
    /// Without quotes; HTTP adds them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.branch, self.change_number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s06_names_are_a_hundred_safe_characters() {
        for good in ["a", "0d9e6c1e-5a44-4f7b-9a3c-6f0f6d1c2b11", "session-49", "global(lfg)", "9._-", &"n".repeat(100)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", ".a", "(a)", "a~b", "a/b", "a b", "ä", "a\n", &"n".repeat(101)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn s05_case_is_kept_and_not_compared() {
        let upper = Scid::parse("5F0C1A52-7C1E-4B52-9D0E-00007A11B0A7").unwrap();
        let lower = Scid::parse("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7").unwrap();
        assert_eq!(upper, lower);
        assert_eq!(upper.to_string(), "5F0C1A52-7C1E-4B52-9D0E-00007A11B0A7");
        let one = SessionReference {
            scid: upper,
            template: TemplateName::parse("Lobby").unwrap(),
            name: SessionName::parse("Foo").unwrap(),
        };
        let two = SessionReference {
            scid: lower,
            template: TemplateName::parse("lobby").unwrap(),
            name: SessionName::parse("fOO").unwrap(),
        };
        assert_eq!(one, two);
        assert_eq!(one.sid(), two.sid(), "S-23");
        assert_eq!(one.name.as_str(), "Foo");
    }

    #[test]
    fn s12_guids_have_one_form() {
        assert!(parse_guid("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7").is_some());
        for bad in [
            "{5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7}",
            "5f0c1a527c1e4b529d0e00007a11b0a7",
            "",
            "5f0c1a52-7c1e-4b52-9d0e-00007a11b0ag",
        ] {
            assert!(parse_guid(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn s04_ids_are_plain_decimals() {
        assert_eq!(Xuid::parse("18446744073709551615"), Ok(Xuid(u64::MAX)));
        for bad in ["", "+5", "-5", "5.0", " 5", "18446744073709551616", "0x5"] {
            assert!(Xuid::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(TitleId::parse("4294967295"), Ok(TitleId(u32::MAX)));
        assert!(TitleId::parse("4294967296").is_err());
    }
}
