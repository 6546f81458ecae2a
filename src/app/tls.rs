//! TLS on the listening address: the certificate and its key, read from their files and read again when these change, so that a renewed
//! certificate is served without a restart.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tokio::time::interval;
use tracing::{info, warn};

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_mins(1);

/// Where the certificate chain and its private key are, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// `server.tls_cert`
    pub cert: PathBuf,
    /// `server.tls_key`
    pub key: PathBuf,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of what it should.
    #[error("{key} = {path}: {why}")]
    File {
        /// The setting.
        key: &'static str,
        /// Its value.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The two do not go together, or cannot be used.
    #[error("server.tls_cert and server.tls_key: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate that is served now.
pub struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    served: RwLock<Served>,
}

struct Served {
    key: Arc<CertifiedKey>,
    /// The digest of what it was made of: files are compared by what they hold, because tools that renew keep their times at will.
    from: [u8; 32],
}

impl fmt::Debug for Certificate {
    /// The files: what is in them is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.files).finish()
    }
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them, by setting.
    pub fn open(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let served = RwLock::new(read(&files, &provider)?);
        Ok(Arc::new(Self { files, provider, served }))
    }

    /// What a listener wants: TLS 1.2 and 1.3, HTTP/1.1.
    ///
    /// # Errors
    /// When the cryptography has no protocol to offer.
    pub fn config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider)).with_safe_default_protocol_versions()?;
        Ok(builder.with_no_client_auth().with_cert_resolver(Arc::clone(self) as _))
    }

    /// Reads the files again and returns whether another certificate is served from now on. The former one stays if they cannot be used.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let bytes = (bytes("server.tls_cert", &self.files.cert)?, bytes("server.tls_key", &self.files.key)?);
        if self.served.read().unwrap_or_else(PoisonError::into_inner).from == digest(&bytes) {
            return Ok(false);
        }
        let fresh = make(&self.files, &bytes, &self.provider)?;
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }

    /// Looks now and then whether the files have changed, for ever.
    pub async fn keep_fresh(self: Arc<Self>) {
        let mut ticks = interval(LOOK);
        let mut failing = false;
        loop {
            ticks.tick().await;
            let refreshed = self.refresh();
            match &refreshed {
                Ok(true) => info!("serving another certificate from now on"),
                Err(error) if !failing => warn!(%error, "the certificate cannot be read again: serving the former one"),
                Ok(false) | Err(_) => {}
            }
            failing = refreshed.is_err();
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Served, TlsError> {
    make(files, &(bytes("server.tls_cert", &files.cert)?, bytes("server.tls_key", &files.key)?), provider)
}

fn bytes(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| wrong(key, path, error.to_string()))
}

fn wrong(key: &'static str, path: &Path, why: String) -> TlsError {
    TlsError::File { key, path: path.display().to_string(), why }
}

/// Of a certificate and its key.
fn digest((cert, key): &(Vec<u8>, Vec<u8>)) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(cert.len().to_be_bytes());
    hasher.update(cert);
    hasher.update(key);
    hasher.finalize().into()
}

fn make(files: &TlsFiles, from: &(Vec<u8>, Vec<u8>), provider: &CryptoProvider) -> Result<Served, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&from.0).collect();
    let chain = chain.map_err(|error| wrong("server.tls_cert", &files.cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong("server.tls_cert", &files.cert, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&from.1);
    let key = key.map_err(|error| wrong("server.tls_key", &files.key, format!("there is no private key in it: {error}")))?;
    Ok(Served { key: Arc::new(CertifiedKey::from_der(chain, key, provider)?), from: digest(from) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_by_setting() {
        let folder = std::env::temp_dir().join(format!("openmpsd-tls-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        let why = |files: &TlsFiles| Certificate::open(files.clone()).unwrap_err().to_string();
        assert!(why(&files).starts_with("server.tls_cert = "), "{}", why(&files));
        fs::write(&files.cert, "no certificate").unwrap();
        assert!(why(&files).starts_with("server.tls_key = "), "{}", why(&files));
        fs::write(&files.key, "no key").unwrap();
        assert!(why(&files).ends_with("there is no certificate in it"), "{}", why(&files));
        fs::remove_dir_all(&folder).unwrap();
    }
}
