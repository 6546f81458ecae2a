//! TLS on the listening address, as a process serves it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::{Folder, Process};

/// Writes a certificate for loopback and its key, and returns the certificate.
fn certify(folder: &Path) -> String {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate can be made");
    fs::write(folder.join("cert.pem"), cert.pem()).expect("the folder is ours");
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).expect("the folder is ours");
    cert.pem()
}

#[tokio::test]
async fn a_configured_certificate_is_served_and_nothing_in_the_clear() {
    let folder = Folder::new("tls");
    let certificate = certify(folder.path());
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let variables = [("OPENMPSD__SERVER__TLS_CERT", cert.as_str()), ("OPENMPSD__SERVER__TLS_KEY", key.as_str())];
    let process = Process::start(&folder.path().join("data"), &["--dev"], &variables).await.expect("it starts");
    assert!(process.base.starts_with("https://"), "{}", process.base);
    let trusting = Client::builder().tls_certs_only([Certificate::from_pem(certificate.as_bytes()).expect("it is PEM")]).build();
    let trusting = trusting.expect("a client can be made");
    let health = format!("{}/health", process.base);
    assert_eq!(trusting.get(&health).send().await.expect("it is trusted").status(), 200);
    assert!(Client::new().get(&health).send().await.is_err(), "nobody else trusts it");
    let clear = health.replacen("https", "http", 1);
    assert!(trusting.get(clear).send().await.is_err());
    assert!(process.end().await.0.success());
}

#[tokio::test]
async fn clients_that_stall_in_the_handshake_keep_nobody_out() {
    let folder = Folder::new("tls-stalled");
    let certificate = certify(folder.path());
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let variables = [
        ("OPENMPSD__SERVER__TLS_CERT", cert.as_str()),
        ("OPENMPSD__SERVER__TLS_KEY", key.as_str()),
        ("OPENMPSD__SERVER__WORKERS", "1"),
        ("OPENMPSD__SERVER__HEAD_TIMEOUT_MS", "600000"),
    ];
    let process = Process::start(&folder.path().join("data"), &[], &variables).await.expect("it starts");
    let address = process.base.trim_start_matches("https://").to_owned();
    let mut stalled = Vec::new();
    // More than the library's own limit of 256.
    for _ in 0..400 {
        let mut stream = TcpStream::connect(&address).await.expect("it listens");
        stream.write_all(&[22, 3, 1]).await.expect("it reads");
        stalled.push(stream);
    }
    let trusting = Client::builder().tls_certs_only([Certificate::from_pem(certificate.as_bytes()).expect("it is PEM")]).build();
    let asked = trusting.expect("a client can be made").get(format!("{}/health", process.base)).send();
    let answer = timeout(Duration::from_secs(20), asked).await.expect("nobody is kept out").expect("it answers");
    assert_eq!(answer.status(), 200);
    drop(stalled);
    assert!(process.end().await.0.success());
}

#[tokio::test]
async fn a_renewed_certificate_is_served_once_it_is_read_again() {
    let folder = Folder::new("tls-renewed");
    let first = certify(folder.path());
    let files = openmpsd::app::TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let served = openmpsd::app::Certificate::open(files).expect("the files are good");
    assert!(!served.refresh().expect("the files are good"));
    assert_ne!(certify(folder.path()), first);
    assert!(served.refresh().expect("the files are good"));
    // Half a renewal leaves the former one.
    fs::write(folder.path().join("key.pem"), "-----BEGIN PRIVATE KEY-----\n").expect("the folder is ours");
    assert!(served.refresh().expect_err("it is no key").to_string().starts_with("server.tls_key = "));
    certify(folder.path());
    assert!(served.refresh().expect("the files are good"));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_served_keeps_the_service_from_starting() {
    let folder = Folder::new("tls-bad");
    certify(folder.path());
    let cert = folder.path().join("cert.pem").display().to_string();
    let alone = Process::start(&folder.path().join("data"), &[], &[("OPENMPSD__SERVER__TLS_CERT", cert.as_str())]).await;
    let said = alone.err().expect("it does not start");
    assert!(said.contains("server.tls_cert: needs server.tls_key beside it"), "{said}");
    let absent = folder.path().join("absent.pem").display().to_string();
    let variables = [("OPENMPSD__SERVER__TLS_CERT", cert.as_str()), ("OPENMPSD__SERVER__TLS_KEY", absent.as_str())];
    let said = Process::start(&folder.path().join("data"), &[], &variables).await.err().expect("it does not start");
    assert!(said.contains(&format!("server.tls_key = {absent}")), "{said}");
}
