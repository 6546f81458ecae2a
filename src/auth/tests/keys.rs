//! Keys from files, and the key that is generated.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::thread;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rstest::rstest;

use super::*;

const LOCAL: Situation = Situation { dev: false, outside_database: false, listen: local() };

const fn local() -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8080))
}

/// An issuer of the operator's own, with an Ed25519 key.
struct Issuer {
    pair: Ed25519KeyPair,
    kid: &'static str,
}

impl Issuer {
    fn new(kid: &'static str) -> Self {
        Self { pair: Ed25519KeyPair::generate().unwrap(), kid }
    }

    fn pem(&self) -> String {
        let der =
            [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], self.pair.public_key().as_ref()];
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.concat()))
    }

    fn jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": URL_SAFE_NO_PAD.encode(self.pair.public_key()) })
    }

    fn token(&self) -> String {
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(json!({ "alg": "EdDSA", "kid": self.kid })), encode(claims()));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes())))
    }

    fn is_believed_with(&self, keys: &[PathBuf]) -> bool {
        let keys = KeySet::load(keys).unwrap();
        assert!(!keys.is_generated());
        Verifier::new(keys, rules(), 0).verify(Some(&bearer(&self.token())), noon()).is_ok()
    }
}

#[test]
fn configured_keys_come_as_pem_jwk_set_and_folder() {
    let scratch = Scratch::new();
    let (ada, bob) = (Issuer::new("ada"), Issuer::new("bob"));
    let pem = scratch.write("folder/ada.pem", &ada.pem());
    let rsa = json!({ "kty": "RSA", "kid": "old", "n": "AQAB", "e": "AQAB" });
    let encryption = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": bob.jwk()["x"] });
    let set = scratch.write("folder/set.json", &json!({ "keys": [rsa, encryption, bob.jwk()] }).to_string());
    let single = scratch.write("single.json", &bob.jwk().to_string());
    scratch.write("folder/README", "not a key");
    scratch.write("folder/.hidden.pem", "not a key");

    assert!(ada.is_believed_with(std::slice::from_ref(&pem)) && !bob.is_believed_with(&[pem]));
    assert!(bob.is_believed_with(&[set]) && bob.is_believed_with(&[single]));
    let folder = [scratch.0.join("folder")];
    assert!(ada.is_believed_with(&folder) && bob.is_believed_with(&folder));
}

#[test]
fn a_p256_pem_as_openssl_writes_it_is_taken() {
    let pem = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\n\
        q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==\n\
        -----END PUBLIC KEY-----\n";
    let scratch = Scratch::new();
    assert!(KeySet::load(&[scratch.write("issuer.pem", pem)]).unwrap().contains("issuer"));
}

#[rstest]
#[case::missing("none.pem", None, "cannot read")]
#[case::private_pem("a.pem", Some("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), "private key")]
#[case::private_jwk("a.json", Some(r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AA","d":"AA"}"#), "private key")]
#[case::certificate("a.pem", Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"), "BEGIN PUBLIC KEY")]
#[case::garbage("a.pem", Some("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), "no P-256 or Ed25519")]
#[case::text("a.json", Some("hello"), "is no JSON")]
#[case::no_list("a.json", Some(r#"{"keys":5}"#), "is no list")]
#[case::no_keys("a.json", Some(r#"{"keys":[]}"#), "no P-256 or Ed25519")]
#[case::secret("a.json", Some(r#"{"kty":"oct","kid":"a","k":"AAAA"}"#), "no P-256 or Ed25519")]
#[case::off_the_curve("a.json", Some(r#"{"kty":"EC","crv":"P-256","kid":"a","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#), "no P-256 or Ed25519")]
#[case::nameless(
    "a.json",
    Some(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#),
    "no id (kid)"
)]
fn files_that_hold_no_key_are_named(#[case] name: &str, #[case] text: Option<&str>, #[case] why: &str) {
    let scratch = Scratch::new();
    let path = text.map_or_else(|| scratch.0.join(name), |text| scratch.write(name, text));
    let message = KeySet::load(std::slice::from_ref(&path)).unwrap_err().to_string();
    assert!(message.contains(why) && message.contains(path.to_str().unwrap()), "{message}");
}

#[test]
fn empty_folders_and_repeated_ids_are_refused() {
    let scratch = Scratch::new();
    let message = KeySet::load(std::slice::from_ref(&scratch.0)).unwrap_err().to_string();
    assert!(message.contains("no .pem and no .json"), "{message}");
    let ada = Issuer::new("ada");
    let paths = [scratch.write("ada.pem", &ada.pem()), scratch.write("set.json", &ada.jwk().to_string())];
    let message = KeySet::load(&paths).unwrap_err().to_string();
    assert!(message.contains("key id ada is already taken by") && message.contains("ada.pem"), "{message}");
}

#[test]
fn the_generated_key_is_private_and_stays() {
    let scratch = Scratch::new();
    let data_dir = scratch.0.join("not/yet/there");
    let first = SigningKey::open(&data_dir).unwrap();
    let second = SigningKey::open(&data_dir).unwrap();
    assert!(first.is_new() && !second.is_new());
    assert_eq!(first.kid(), second.kid());
    let mode = |name: &str| fs::metadata(data_dir.join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("keys"), mode("keys/signing.json")), (0o700, 0o600));
    assert_eq!(fs::read_dir(data_dir.join("keys")).unwrap().count(), 2, "no drafts are left");

    let keys = KeySet::open(&[], &data_dir, &LOCAL).unwrap();
    assert!(keys.is_generated() && keys.contains(first.kid()));
    assert!(Verifier::new(keys, rules(), 0).verify(Some(&bearer(&first.sign(&claims()))), noon()).is_ok());
}

#[test]
fn the_public_half_can_be_configured() {
    let scratch = Scratch::new();
    let key = scratch.key();
    let public = scratch.0.join("keys/public.json");
    assert!(!fs::read_to_string(&public).unwrap().contains("\"d\""));
    let world = Situation { listen: "0.0.0.0:8080".parse().unwrap(), outside_database: true, ..LOCAL };
    let keys = KeySet::open(&[public], Path::new("/nowhere"), &world).unwrap();
    assert!(!keys.is_generated());
    assert!(Verifier::new(keys, rules(), 0).verify(Some(&bearer(&key.sign(&claims()))), noon()).is_ok());
    let message = KeySet::load(&[key.path().to_owned()]).unwrap_err().to_string();
    assert!(message.contains("private key"), "{message}");
}

#[test]
fn nothing_is_generated_where_it_would_not_do() {
    let scratch = Scratch::new();
    for situation in
        [Situation { listen: "0.0.0.0:8080".parse().unwrap(), ..LOCAL }, Situation { outside_database: true, ..LOCAL }]
    {
        assert!(matches!(KeySet::open(&[], &scratch.0, &situation), Err(KeyError::Exposed(_))));
    }
    assert!(!scratch.0.join("keys").exists());
    assert!(KeySet::open(&[], &scratch.0, &Situation { dev: true, outside_database: true, ..LOCAL }).is_ok());
}

#[test]
fn many_processes_may_open_the_key_at_once() {
    let scratch = Scratch::new();
    let data_dir = scratch.0.as_path();
    let kids: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| SigningKey::open(data_dir).unwrap().kid().to_owned())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
}

#[test]
fn a_key_that_others_can_read_or_that_is_none_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.key().path().to_owned();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let message = SigningKey::open(&scratch.0).unwrap_err().to_string();
    assert!(message.contains("mode 640") && message.contains("chmod 600"), "{message}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "{}").unwrap();
    let message = SigningKey::open(&scratch.0).unwrap_err().to_string();
    assert!(message.contains("remove it") && message.contains("signing.json"), "{message}");
}
