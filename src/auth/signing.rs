//! The signing key of a data directory: generated once, readable by its owner alone.
//!
//! It lives in `keys/signing.json` as a private JWK, with its public half beside it in `keys/public.json`, ready to be listed in
//! `auth.keys` by an operator who means to rely on it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use nix::unistd::{Uid, User};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::keys::{KeyError, PublicKey};
use crate::ambient::Ids;
use crate::settings::make_data_dir;

/// A P-256 key that makes tokens. Its debug form does not show the private half.
#[derive(Debug)]
pub struct SigningKey {
    kid: String,
    public: PublicKey,
    private: EncodingKey,
    path: PathBuf,
    is_new: bool,
}

impl SigningKey {
    /// Opens the key of a data directory, making directory and key when they are missing.
    ///
    /// Several processes may do so at once: one key wins, and all of them get it.
    ///
    /// # Errors
    /// When the files cannot be read or written, belong to another user, or are open to others.
    pub fn open(data_dir: &Path) -> Result<Self, KeyError> {
        let path = path_in(data_dir);
        let (text, is_new) = match fs::read_to_string(&path) {
            Ok(text) => (text, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(data_dir, &path)
                    .map_err(|error| KeyError::Unwritable { why: explain(&path, &error), path: path.clone() })?;
                (fs::read_to_string(&path).map_err(|error| KeyError::unreadable(&path, &error))?, true)
            }
            Err(error) => return Err(KeyError::unreadable(&path, &error)),
        };
        let (key, jwk) = take(&path, &text, is_new)?;
        publish(&key.public_path(), jwk)?;
        Ok(key)
    }

    /// The key of a data directory, if there is one. Nothing is made or changed.
    ///
    /// # Errors
    /// When it cannot be read, or is no key that may be used.
    pub fn find(data_dir: &Path) -> Result<Option<Self>, KeyError> {
        let path = path_in(data_dir);
        match fs::read_to_string(&path) {
            Ok(text) => take(&path, &text, false).map(|(key, _)| Some(key)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(KeyError::unreadable(&path, &error)),
        }
    }

    /// The id that tokens of this key name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The file the key was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of its public half, a JWK set, which may be given to anybody.
    #[must_use]
    pub fn public_path(&self) -> PathBuf {
        self.path.with_file_name("public.json")
    }

    /// Whether opening it has generated it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn private(&self) -> &EncodingKey {
        &self.private
    }
}

fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join("keys").join("signing.json")
}

/// Makes a key of what its file holds, if nobody else can read that.
fn take(path: &Path, text: &str, is_new: bool) -> Result<(SigningKey, Value), KeyError> {
    let mode = fs::metadata(path).map_err(|error| KeyError::unreadable(path, &error))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        let why = format!("others can read this private key (mode {mode:03o}): run chmod 600 on it");
        return Err(KeyError::not_a_key(path, why));
    }
    let unusable = "is no signing key of ours: remove it and a new one is generated (tokens made with it are void then)";
    let jwk: Value = serde_json::from_str(text).map_err(|_| KeyError::not_a_key(path, unusable))?;
    let key = parse(&jwk, path, is_new).ok_or_else(|| KeyError::not_a_key(path, unusable))?;
    Ok((key, jwk))
}

/// Writes the public half of a private JWK where there is none yet.
fn publish(path: &Path, mut jwk: Value) -> Result<(), KeyError> {
    if path.exists() {
        return Ok(());
    }
    if let Some(fields) = jwk.as_object_mut() {
        fields.remove("d");
    }
    let written = write_new(path, 0o644, &json!({ "keys": [jwk] }));
    written.map_err(|error| KeyError::Unwritable { why: explain(path, &error), path: path.to_owned() })
}

fn parse(jwk: &Value, path: &Path, is_new: bool) -> Option<SigningKey> {
    let public_jwk: Jwk = serde_json::from_value(jwk.clone()).ok()?;
    let bytes = |name| URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok();
    let point = [vec![0x04], bytes("x")?, bytes("y")?].concat();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes("d")?, &point).ok()?;
    Some(SigningKey {
        kid: public_jwk.common.key_id.clone()?,
        public: PublicKey::from_jwk(&public_jwk)?,
        private: EncodingKey::from_ec_der(pair.to_pkcs8v1().ok()?.as_ref()),
        path: path.to_owned(),
        is_new,
    })
}

/// Generates a key and stores it unless there is one by now.
fn create(data_dir: &Path, path: &Path) -> io::Result<()> {
    make_data_dir(data_dir)?;
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir.join("keys"))?;
    let jwk = generate().map_err(|_| io::Error::other("the cryptographic library could not generate a key"))?;
    write_new(path, 0o600, &jwk)
}

/// A new key as a private JWK, with an id made from its public half.
fn generate() -> Result<Value, aws_lc_rs::error::Unspecified> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let private = pair.private_key().as_be_bytes()?;
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let kid = format!("openmpsd-{}", URL_SAFE_NO_PAD.encode(&Sha256::digest(point)[..12]));
    Ok(json!({
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "use": "sig",
        "kid": kid,
        "x": URL_SAFE_NO_PAD.encode(x),
        "y": URL_SAFE_NO_PAD.encode(y),
        "d": URL_SAFE_NO_PAD.encode(private.as_ref()),
    }))
}

/// Puts a whole file in place, or leaves the one that is there: a link never replaces and never shows half a file.
fn write_new(path: &Path, mode: u32, content: &Value) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let draft = folder.join(format!(".{}.draft", Ids::random().uuid()));
    let written = write_draft(&draft, mode, content).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    });
    let _ = fs::remove_file(&draft);
    written?;
    File::open(folder)?.sync_all()
}

fn write_draft(draft: &Path, mode: u32, content: &Value) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(draft)?;
    file.write_all(format!("{content:#}\n").as_bytes())?;
    file.sync_all()
}

/// What an error with a file means, and whose it is when we may not touch it.
pub fn explain(path: &Path, error: &io::Error) -> String {
    let owner = path.ancestors().find_map(|path| Some((path, fs::metadata(path).ok()?.uid())));
    match owner {
        Some((nearest, owner)) if error.kind() == io::ErrorKind::PermissionDenied => {
            let (owner, me) = (name_of(Uid::from_raw(owner)), name_of(Uid::effective()));
            format!("permission denied; {} belongs to {owner} and this is {me}: run as {owner}", nearest.display())
        }
        _ => error.to_string(),
    }
}

fn name_of(user: Uid) -> String {
    User::from_uid(user).ok().flatten().map_or_else(|| format!("user {user}"), |user| user.name)
}
