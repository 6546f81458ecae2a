//! The public keys that tokens may be signed with, from files now and from elsewhere one day.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, fs, io};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

use super::exposure::{Exposed, Situation};
use super::signing::SigningKey;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file or folder cannot be read; the text says whose it is when that is the reason.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    /// The generated key cannot be stored.
    #[error("cannot write {}: {why} (--data-dir names another data directory)", path.display())]
    Unwritable { path: PathBuf, why: String },
    /// A file does not hold what it should.
    #[error("{}: {why}", path.display())]
    NotAKey { path: PathBuf, why: String },
    /// Two keys have the same id.
    #[error("{}: the key id {kid} is already taken by {}", path.display(), other.display())]
    Duplicate { kid: String, path: PathBuf, other: PathBuf },
    /// The generated key may not be used here.
    #[error(transparent)]
    Exposed(#[from] Exposed),
}

impl KeyError {
    pub(super) fn not_a_key(path: &Path, why: impl Into<String>) -> Self {
        Self::NotAKey { path: path.to_owned(), why: why.into() }
    }

    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), why: super::signing::explain(path, error) }
    }
}

/// Keys by their id (`kid`).
pub struct KeySet {
    keys: HashMap<String, PublicKey>,
    generation: u64,
    is_generated: bool,
}

impl KeySet {
    /// Opens the keys this service believes: the configured ones, or the generated key of the data directory where the situation
    /// permits that.
    ///
    /// # Errors
    /// When the situation forbids the generated key (nothing is generated then) or the address, and when a key cannot be read.
    pub fn open(configured: &[PathBuf], data_dir: &Path, situation: &Situation) -> Result<Self, KeyError> {
        situation.check(configured.is_empty())?;
        if configured.is_empty() { Ok(Self::generated(&SigningKey::open(data_dir)?)) } else { Self::load(configured) }
    }

    /// Loads PEM files (the file name without its ending is the key id), JWK set files, and folders of both.
    ///
    /// # Errors
    /// When a file is unreadable, holds a private key or no usable key, and when two keys have one id.
    pub fn load(paths: &[PathBuf]) -> Result<Self, KeyError> {
        let mut keys: HashMap<String, PublicKey> = HashMap::new();
        let mut sources: HashMap<String, PathBuf> = HashMap::new();
        for path in files(paths)? {
            for (kid, key) in read(&path)? {
                if let Some(other) = sources.insert(kid.clone(), path.clone()) {
                    return Err(KeyError::Duplicate { kid, path, other });
                }
                keys.insert(kid, key);
            }
        }
        Ok(Self::new(keys, false))
    }

    /// The public half of a generated key, and nothing else.
    #[must_use]
    pub fn generated(key: &SigningKey) -> Self {
        Self::new(HashMap::from([(key.kid().to_owned(), key.public().clone())]), true)
    }

    fn new(keys: HashMap<String, PublicKey>, is_generated: bool) -> Self {
        static GENERATIONS: AtomicU64 = AtomicU64::new(1);
        Self { keys, generation: GENERATIONS.fetch_add(1, Ordering::Relaxed), is_generated }
    }

    /// Whether these keys were made up here, so that nobody has decided yet whom this service believes.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        self.is_generated
    }

    /// Whether tokens of the key with this id are believed.
    #[must_use]
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// The number of this set among those the process has had: a token remembered under another one does not count.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.keys.get(kid)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

/// A key that signatures are checked with: P-256 or Ed25519.
#[derive(Debug, Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl PublicKey {
    /// Takes over a key if it is of a kind that is believed here and makes mathematical sense.
    fn new(key: DecodingKey) -> Option<Self> {
        let bytes = key.try_get_as_bytes().ok()?;
        let algorithm = match key.family() {
            // An uncompressed point of P-256.
            AlgorithmFamily::Ec if bytes.len() == 65 => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).ok()?;
                Algorithm::ES256
            }
            AlgorithmFamily::Ed if bytes.len() == 32 => {
                ParsedPublicKey::new(&ED25519, bytes).ok()?;
                Algorithm::EdDSA
            }
            _ => return None,
        };
        Some(Self { algorithm, key })
    }

    /// Takes over a JWK's key.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        Self::new(DecodingKey::from_jwk(jwk).ok()?)
    }

    /// The only algorithm that tokens of this key may name.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature`, in base64url, is this key's for `signed`.
    pub fn has_signed(&self, signed: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.key, self.algorithm).unwrap_or(false)
    }
}

/// The files behind a list of files and folders. A folder's are taken in the order of their names, hidden and foreign ones left out.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, KeyError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| KeyError::unreadable(path, &error))?;
        let mut found: Vec<_> = entries.iter().map(fs::DirEntry::path).filter(|path| is_key_file(path)).collect();
        if found.is_empty() {
            return Err(KeyError::not_a_key(path, "the folder holds no .pem and no .json file"));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

fn is_key_file(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && (has_extension(path, "pem") || has_extension(path, "json")) && path.is_file()
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

fn read(path: &Path) -> Result<Vec<(String, PublicKey)>, KeyError> {
    let text = fs::read_to_string(path).map_err(|error| KeyError::unreadable(path, &error))?;
    if has_extension(path, "json") { read_jwk_set(path, &text) } else { Ok(vec![read_pem(path, &text)?]) }
}

const PRIVATE: &str = "this is a private key, which the service must not have: give it the public half";
const NO_KEY: &str = "holds no P-256 or Ed25519 public key";

fn read_pem(path: &Path, text: &str) -> Result<(String, PublicKey), KeyError> {
    if text.contains("PRIVATE KEY-----") {
        return Err(KeyError::not_a_key(path, PRIVATE));
    }
    if !text.contains("-----BEGIN PUBLIC KEY-----") {
        return Err(KeyError::not_a_key(path, "there is no PEM block BEGIN PUBLIC KEY in it"));
    }
    let kid = path.file_stem().and_then(|stem| stem.to_str());
    let kid = kid.ok_or_else(|| KeyError::not_a_key(path, "the file name, which is the key id, is not valid UTF-8"))?;
    let key = DecodingKey::from_ec_pem(text.as_bytes()).or_else(|_| DecodingKey::from_ed_pem(text.as_bytes()));
    let key = key.ok().and_then(PublicKey::new).ok_or_else(|| KeyError::not_a_key(path, NO_KEY))?;
    Ok((kid.to_owned(), key))
}

/// Reads `{"keys": […]}` or a single JWK. Keys of other kinds or for other uses are passed over, as RFC 7517 wants.
fn read_jwk_set(path: &Path, text: &str) -> Result<Vec<(String, PublicKey)>, KeyError> {
    let wrong = |why: &str| KeyError::not_a_key(path, why);
    let document: Value = serde_json::from_str(text).map_err(|error| wrong(&format!("is no JSON: {error}")))?;
    let entries = match document.get("keys") {
        Some(Value::Array(entries)) => entries.clone(),
        Some(_) => return Err(wrong("its member keys is no list")),
        None => vec![document],
    };
    let mut keys = Vec::new();
    for entry in entries {
        if entry.get("d").is_some() {
            return Err(wrong(PRIVATE));
        }
        let Ok(jwk) = serde_json::from_value::<Jwk>(entry) else { continue };
        let is_for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let Some(key) = PublicKey::from_jwk(&jwk).filter(|_| is_for_signatures) else { continue };
        let kid = jwk.common.key_id.ok_or_else(|| wrong("a key in it has no id (kid)"))?;
        keys.push((kid, key));
    }
    if keys.is_empty() { Err(wrong(NO_KEY)) } else { Ok(keys) }
}
