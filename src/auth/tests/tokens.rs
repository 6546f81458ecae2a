//! Good tokens and every kind of bad one.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rstest::rstest;

use super::*;
use crate::domain::names::{Scid, TitleId, Xuid};
use crate::domain::principal::{Server, User};

const SCID: &str = "5F0C1A52-7C1E-4B52-9D0E-00007A11B0A7";

fn user() -> User {
    User {
        xuid: Xuid(2_533_274_790_000_001),
        gamertag: None,
        title_id: None,
        device_id: None,
        device_type: None,
        multiplayer: true,
    }
}

fn verify(claims: &Value) -> Result<Arc<Principal>, AuthError> {
    let scratch = Scratch::new();
    let key = scratch.key();
    verifier(&key).verify(Some(&bearer(&key.sign(claims))), noon())
}

#[rstest]
#[case::least(Principal::User(user()))]
#[case::most(Principal::User(User {
    gamertag: Some("Ada Ω".into()), title_id: Some(TitleId(1_739_947_436)), device_id: Some("F4000001".into()), multiplayer: false, ..user()
}))]
#[case::server(Principal::Server(Server { name: "arbiter".into(), scids: vec![Scid::parse(SCID).unwrap()] }))]
#[case::admin(Principal::Admin { name: "ops".into() })]
fn r01_what_is_issued_is_believed(#[case] principal: Principal) {
    let scratch = Scratch::new();
    let key = scratch.key();
    let terms =
        Terms { issuer: "openmpsd".into(), audience: "openmpsd".into(), issued_at: noon(), lifetime: Duration::from_hours(8) };
    let token = key.issue(&principal, &terms);
    let verifier = verifier(&key);
    for header in [format!("XBL3.0 x=123;{token}"), format!("xbl3.0 x=*;{token}"), bearer(&token)] {
        assert_eq!(*verifier.verify(Some(&header), noon()).unwrap(), principal);
    }
}

#[test]
fn r01_the_user_hash_is_ignored_even_when_the_token_has_one() {
    let scratch = Scratch::new();
    let key = scratch.key();
    let token = key.sign(&claims_with(&json!({ "uhs": "2533274790395904" })));
    assert!(verifier(&key).verify(Some(&format!("XBL3.0 x=another;{token}")), noon()).is_ok());
}

#[rstest]
#[case::numbers(json!({ "xid": 2_533_274_790_000_001_u64, "tid": 7 }), User { title_id: Some(TitleId(7)), ..user() })]
#[case::texts(json!({ "xid": "2533274790000001", "tid": "7" }), User { title_id: Some(TitleId(7)), ..user() })]
#[case::nothing(json!({ "xid": null, "gtg": "", "did": null, "tid": null, "prv": null }), user())]
#[case::audiences(json!({ "aud": ["other", "openmpsd"] }), user())]
#[case::fraction(json!({ "exp": 1_772_366_401.5, "nbf": 1_772_366_399.5 }), user())]
#[case::eternal(json!({ "exp": 1e300 }), user())]
#[case::unknown(json!({ "scp": "rta", "jti": 5, "scids": 5 }), user())]
fn claims_come_in_several_spellings(#[case] changes: Value, #[case] expected: User) {
    assert_eq!(*verify(&claims_with(&changes)).unwrap(), Principal::User(expected));
}

#[rstest]
#[case::silent(json!(null), true)]
#[case::none(json!([]), false)]
#[case::others(json!(["communicate", "255", 252]), false)]
#[case::name(json!(["Multiplayer"]), true)]
#[case::number(json!([188, 254]), true)]
#[case::text(json!(["254"]), true)]
#[case::xbox(json!("188 191 254"), true)]
#[case::xbox_without(json!("188 2540"), false)]
fn a42_multiplayer_is_granted_unless_privileges_leave_it_out(#[case] privileges: Value, #[case] multiplayer: bool) {
    let principal = verify(&claims_with(&json!({ "prv": privileges }))).unwrap();
    assert_eq!(principal.user().unwrap().multiplayer, multiplayer);
}

#[rstest]
#[case(json!({ "iss": "elsewhere" }), "issuer")]
#[case(json!({ "iss": null }), "issuer")]
#[case(json!({ "iss": ["openmpsd"] }), "iss")]
#[case(json!({ "aud": "elsewhere" }), "audience")]
#[case(json!({ "aud": ["elsewhere"] }), "audience")]
#[case(json!({ "aud": null }), "audience")]
#[case(json!({ "exp": null }), "exp")]
#[case(json!({ "exp": "tomorrow" }), "exp")]
#[case(json!({ "nbf": true }), "nbf")]
#[case(json!({ "sub": null }), "sub")]
#[case(json!({ "sub": "2533274790000001" }), "sub")]
#[case(json!({ "sub": "xuid:-1" }), "sub")]
#[case(json!({ "sub": "xuid:18446744073709551616" }), "sub")]
#[case(json!({ "sub": "svc:" }), "sub")]
#[case(json!({ "sub": "admin:a b" }), "sub")]
#[case(json!({ "sub": "root:a" }), "sub")]
#[case(json!({ "xid": "2533274790000002" }), "xid")]
#[case(json!({ "xid": 1.5 }), "xid")]
#[case(json!({ "xid": [] }), "xid")]
#[case(json!({ "tid": "4294967296" }), "tid")]
#[case(json!({ "tid": {} }), "tid")]
#[case(json!({ "gtg": 1 }), "gtg")]
#[case(json!({ "prv": 254 }), "prv")]
#[case(json!({ "sub": "svc:arbiter" }), "scids")]
#[case(json!({ "sub": "svc:arbiter", "scids": SCID }), "scids")]
#[case(json!({ "sub": "svc:arbiter", "scids": ["all"] }), "scids")]
fn a01_claims_that_do_not_fit_are_named(#[case] changes: Value, #[case] named: &str) {
    let Err(AuthError::Invalid(why)) = verify(&claims_with(&changes)) else { panic!("believed") };
    assert!(why.contains(named), "{why}");
}

#[rstest]
#[case::expired_within_leeway(-59, None, Ok(()))]
#[case::expired_at_the_edge(-60, None, Err(AuthError::Expired))]
#[case::expired(-3600, None, Err(AuthError::Expired))]
#[case::early_within_leeway(3600, Some(60), Ok(()))]
#[case::early(3600, Some(61), Err(AuthError::invalid("the token is not valid yet (nbf)")))]
fn a01_times_may_be_off_by_a_minute(#[case] exp: i64, #[case] nbf: Option<i64>, #[case] expected: Result<(), AuthError>) {
    let noon = noon().timestamp();
    let claims = claims_with(&json!({ "exp": noon + exp, "nbf": nbf.map(|nbf| noon + nbf) }));
    assert_eq!(verify(&claims).map(drop), expected);
}

/// A token with any header, signed by anything.
fn forge(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// As `key` signs, but with another header.
fn signed_by(key: &SigningKey, header: &Value) -> String {
    forge(header, &claims(), |message| {
        let signature = jsonwebtoken::crypto::sign(message, key.private(), jsonwebtoken::Algorithm::ES256).unwrap();
        URL_SAFE_NO_PAD.decode(signature).unwrap()
    })
}

#[test]
fn a01_forged_tokens_are_refused() {
    let (scratch, strangers) = (Scratch::new(), Scratch::new());
    let (key, stranger) = (scratch.key(), strangers.key());
    let verifier = verifier(&key);
    let kid = key.kid();
    let public = public_bytes(&scratch);
    let good = key.sign(&claims());
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { unreachable!() };
    let other_payload = URL_SAFE_NO_PAD.encode(claims_with(&json!({ "sub": "xuid:1" })).to_string());
    let stranger_jwk: Value = serde_json::from_str(&fs::read_to_string(strangers.0.join("keys/public.json")).unwrap()).unwrap();
    let hmac = |message: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), message).as_ref().to_vec();
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
    flipped[10] ^= 1;

    for (token, why) in [
        (forge(&json!({ "alg": "none", "kid": kid }), &claims(), |_| vec![]), "alg"),
        (forge(&json!({ "alg": "None", "kid": kid }), &claims(), |_| vec![]), "alg"),
        (forge(&json!({ "alg": "HS256", "kid": kid }), &claims(), hmac), "alg"),
        (forge(&json!({ "alg": "RS256", "kid": kid }), &claims(), |_| vec![0; 256]), "alg"),
        (forge(&json!({ "alg": "ES384", "kid": kid }), &claims(), |_| vec![0; 96]), "alg"),
        (forge(&json!({ "alg": "EdDSA", "kid": kid }), &claims(), |_| vec![0; 64]), "that of its key"),
        (forge(&json!({ "alg": "ES256", "kid": kid }), &claims(), |_| vec![0; 64]), "signature"),
        (forge(&json!({ "alg": "ES256", "kid": kid }), &claims(), |_| vec![]), "signature"),
        (forge(&json!({ "alg": "ES256", "kid": 5 }), &claims(), |_| vec![]), "header"),
        (forge(&json!({ "kid": kid }), &claims(), |_| vec![]), "header"),
        (forge(&json!(["ES256"]), &claims(), |_| vec![]), "header"),
        (signed_by(&key, &json!({ "alg": "ES256" })), "kid"),
        (signed_by(&key, &json!({ "alg": "ES256", "kid": "unknown" })), "kid"),
        (signed_by(&key, &json!({ "alg": "ES256", "kid": kid, "typ": "dpop+jwt" })), "typ"),
        (signed_by(&key, &json!({ "alg": "ES256", "kid": kid, "crit": ["b64"], "b64": false })), "crit"),
        (signed_by(&stranger, &json!({ "alg": "ES256", "kid": kid })), "signature"),
        (signed_by(&stranger, &json!({ "alg": "ES256", "kid": kid, "jwk": stranger_jwk["keys"][0] })), "signature"),
        (signed_by(&stranger, &json!({ "alg": "ES256", "kid": stranger.kid(), "jwk": stranger_jwk["keys"][0] })), "kid"),
        (signed_by(&stranger, &json!({ "alg": "ES256", "kid": kid, "jku": "https://evil.example/keys" })), "signature"),
        (signed_by(&stranger, &json!({ "alg": "ES256", "kid": kid, "x5u": "https://evil.example/cert" })), "signature"),
        (stranger.sign(&claims()), "kid"),
        (format!("{header}.{other_payload}.{signature}"), "signature"),
        (format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(&flipped)), "signature"),
        (format!("{header}.{payload}.{signature}="), "signature"),
        (format!("{header}.{payload}"), "three parts"),
        (format!("{good}.{signature}"), "three parts"),
        (format!("{header}=.{payload}.{signature}"), "header"),
        ("..".to_owned(), "header"),
        ("not a token".to_owned(), "three parts"),
        (format!("{good}{}", "A".repeat(8 * 1024)), "8 KiB"),
        (key.sign(&json!([1, 2])), "no JSON object"),
    ] {
        let Err(AuthError::Invalid(said)) = verifier.verify(Some(&bearer(&token)), noon()) else { panic!("believed: {token}") };
        assert!(said.contains(why), "{said:?} does not speak of {why:?}");
    }
    assert!(verifier.verify(Some(&bearer(&good)), noon()).is_ok());
    assert_eq!(verifier.verify(None, noon()), Err(AuthError::Missing));
}

/// The public key as an attacker has it, who hopes that it passes for an HMAC secret.
fn public_bytes(scratch: &Scratch) -> Vec<u8> {
    fs::read(scratch.0.join("keys/public.json")).unwrap()
}

#[rstest]
#[case(json!({}))]
#[case(json!({ "typ": "JWT" }))]
#[case(json!({ "typ": "at+jwt" }))]
#[case(json!({ "typ": "application/at+JWT" }))]
#[case(json!({ "cty": "JWT", "jku": "https://evil.example/keys", "jwk": "nonsense", "x5u": 5 }))]
fn headers_that_do_not_matter_do_not_harm(#[case] more: Value) {
    let scratch = Scratch::new();
    let key = scratch.key();
    let mut header = json!({ "alg": "ES256", "kid": key.kid() });
    header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert!(verifier(&key).verify(Some(&bearer(&signed_by(&key, &header))), noon()).is_ok());
}

#[test]
fn a_remembered_token_still_expires_and_failures_are_not_remembered() {
    let scratch = Scratch::new();
    let key = scratch.key();
    let verifier = verifier(&key);
    let header = bearer(&key.sign(&claims_with(&json!({ "exp": noon().timestamp() + 120, "nbf": noon().timestamp() }))));
    let at = |seconds| verifier.verify(Some(&header), noon() + TimeDelta::seconds(seconds));
    assert!(matches!(at(-61), Err(AuthError::Invalid(_))));
    let first = at(0).unwrap();
    assert!(Arc::ptr_eq(&first, &at(119).unwrap()), "remembered");
    assert!(!Arc::ptr_eq(&first, &at(120).unwrap()), "checked again");
    assert!(at(179).is_ok());
    assert_eq!(at(180), Err(AuthError::Expired));
    assert!(matches!(at(-61), Err(AuthError::Invalid(_))), "the clock went back");
}

/// What a request pays: run with `cargo test --release --lib auth -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn speed_of_a_verification() {
    const ROUNDS: u32 = 200_000;
    let scratch = Scratch::new();
    let key = scratch.key();
    let header = format!("XBL3.0 x=123;{}", key.sign(&claims_with(&json!({ "gtg": "Ada", "did": "F4000001", "tid": "7" }))));
    for (name, cache_bytes, rounds) in [("remembered", 1 << 20, ROUNDS), ("checked every time", 0, ROUNDS / 20)] {
        let verifier = Verifier::new(KeySet::generated(&key), rules(), cache_bytes);
        let start = Instant::now();
        for _ in 0..rounds {
            verifier.verify(Some(&header), noon()).unwrap();
        }
        println!("{name}: {:?} each, a token of {} bytes", start.elapsed() / rounds, header.len());
    }
}
