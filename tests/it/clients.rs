//! What real clients send, and the contract's own examples, from the first request to the last.

use std::path::Path;

use openmpsd::domain::names::{TitleId, Xuid};
use openmpsd::domain::principal::{Principal, User};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Actor, Answer, SCID, TITLE, World, answer_of, joining, session};
use crate::story::{creating, names, open, reserving, sessions};

#[tokio::test]
async fn w45_an_xsapi_lobby_is_created_after_100_continue() {
    let world = World::new().await;
    let ada = world.user(2_533_274_800_000_001);
    let lobby = format!("/serviceconfigs/{SCID}/sessionTemplates/Lobby/sessions/0d9e6c1e-5a44-4f7b-9a3c-6f0f6d1c2b11");
    let body = json!({
        "constants": {"system": {"version": 1, "maxMembersCount": 16, "visibility": "open"}, "custom": {}},
        "properties": {"system": {"joinRestriction": "Followed", "readRestriction": "followed"}, "custom": {"Joinability": "JoinableByFriends"}},
        "members": {"me": {
            "constants": {"system": {"xuid": 2_533_274_800_000_001_u64, "initialize": true}, "custom": {}},
            "properties": {"system": {
                "active": true,
                "connection": "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01",
                "secureDeviceAddress": "AAAAAAAA00112233445566778899aabbccddeeff",
                "subscription": {"id": "6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01", "changeTypes": ["everything"]}
            }, "custom": {}}
        }}
    })
    .to_string();
    let length = format!("Content-Length: {}", body.len());
    let headers = [
        "Expect: 100-continue",
        "Content-Type: application/json; charset=utf-8",
        "If-None-Match: *",
        "Accept-Language: en-US, en",
        &length,
    ];
    let mut stream = ada.dial(&format!("PUT {lobby}"), &headers).await;
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.expect("the service asks for the body");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.expect("the service takes the body");
    let created = answer_of(&mut stream).await.expect(201);
    let document = created.json();
    assert_eq!(
        document["properties"]["system"],
        json!({"joinRestriction": "followed", "readRestriction": "followed", "turn": []})
    );
    assert_eq!(document["members"]["0"]["constants"]["system"]["xuid"], "2533274800000001");
    assert_eq!(document["members"]["0"]["deviceToken"], "f56cad2ba680f530a25f98eb28c573f6", "S-62");
    // XSAPI takes the second, fourth and sixth part of it (R-12).
    let location: Vec<&str> =
        created.header("content-location").unwrap_or_default().split('/').filter(|part| !part.is_empty()).collect();
    assert_eq!((location[1], location[3], location[5]), (SCID, "Lobby", "0d9e6c1e-5a44-4f7b-9a3c-6f0f6d1c2b11"));

    // A body is refused by its announcement, invited (100) before or not; and a second create finds the first.
    let mut refused = ada.dial(&format!("PUT {lobby}"), &["Expect: 100-continue", "Content-Length: 10000000"]).await;
    let answer = answer_of(&mut refused).await;
    assert!(answer.status == 413 || answer.text.starts_with("HTTP/1.1 413 "), "{answer:?}");
    ada.send(Method::PUT, &lobby, &[("If-None-Match", "*")], Some(body)).await.expect(412);
    world.end().await;
}

#[tokio::test]
async fn w16_a_minecraft_world_card_keeps_its_large_integers() {
    let world = World::new().await;
    let (host, friend) = (world.user(2_535_400_000_000_001), world.user(2_535_400_000_000_002));
    let world_card = "/serviceconfigs/4fc10100-5f7a-4470-899b-280835760c07/sessionTemplates/MinecraftLobby/sessions/8a7e2b1c-94d3-4f60-b5a1-c0ffee000001";
    let custom = concat!(
        r#"{"BroadcastSetting":3,"CrossPlayDisabled":false,"Joinability":"joinable_by_friends","LanGame":true,"MaxMemberCount":10,"#,
        r#""MemberCount":1,"OnlineCrossPlatformGame":true,"SupportedConnections":[{"ConnectionType":3,"HostIpAddress":"","HostPort":0,"#,
        r#""NetherNetId":18446744073709551557}],"TitleId":0,"TransportLayer":2,"levelId":"level","hostName":"Ada","ownerId":"2535400000000001","#,
        r#""rakNetGUID":"","worldName":"Ada's world","worldType":"Survival","protocol":800,"version":"1.21.80","nonces":{"2535400000000002":12345678901234567890}}"#
    );
    let body = format!(
        r#"{{"constants":{{"system":{{}}}},"properties":{{"system":{{"joinRestriction":"followed","readRestriction":"followed","closed":false}},"custom":{custom}}},"members":{{"me":{{"constants":{{"system":{{"xuid":"2535400000000001","initialize":true}}}},"properties":{{"system":{{"active":true,"connection":"3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01","subscription":{{"id":"845CC784-7348-4A27-BCDE-C083579DD113","changeTypes":["everything"]}}}}}}}}}}}}"#
    );
    let created = host.send(Method::PUT, world_card, &[], Some(body.clone())).await.expect(201);
    assert!(created.text.contains(custom), "{created:?}");
    assert_eq!(created.json()["properties"]["system"].get("closed"), None, "S-08");
    // It is written again and again, constants and all (W-31).
    assert_eq!(host.send(Method::PUT, world_card, &[], Some(body.clone())).await.expect(200).etag(), created.etag());
    let handle = json!({"version": 1, "type": "activity", "sessionRef": {"scid": "4fc10100-5f7a-4470-899b-280835760c07", "templateName": "MinecraftLobby", "name": "8a7e2b1c-94d3-4f60-b5a1-c0ffee000001"}});
    let made = host.post("/handles", &handle).await.expect(201).json();
    assert!(made["id"].is_string());
    world.follows(2_535_400_000_000_001, 2_535_400_000_000_002).await;
    world.follows(2_535_400_000_000_002, 2_535_400_000_000_001).await;
    let query = json!({"type": "activity", "scid": "4fc10100-5f7a-4470-899b-280835760c07", "owners": {"people": {"moniker": "people", "monikerXuid": "2535400000000002"}}});
    let headers = [("content-type", "")];
    let found = friend
        .send(Method::POST, "/handles/query?include=relatedInfo,customProperties", &headers, Some(query.to_string()))
        .await
        .expect(200);
    assert!(found.text.contains(&format!("\"customProperties\":{custom}")), "{found:?}");
    let joining = friend
        .put(&format!("/handles/{}/session", made["id"].as_str().unwrap_or_default()), &joining("active"))
        .await
        .expect(200);
    assert!(joining.text.contains(custom));
    // Fewer nonces: an entry is removed by sending the map without it (W-10).
    let fewer = r#"{"properties":{"custom":{"nonces":{},"MemberCount":2}}}"#.to_owned();
    let updated = host.send(Method::PUT, world_card, &[], Some(fewer)).await.expect(200);
    assert!(updated.text.contains(r#""nonces":{}"#) && updated.text.contains("18446744073709551557"), "{updated:?}");
    world.end().await;
}

#[tokio::test]
async fn w18_a_portal_writes_the_services_properties_back() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "portal");
    let mut body = joining("active");
    body["properties"] =
        json!({"system": {"closed": true, "locked": true, "keywords": ["One", "two"]}, "custom": {"a": [null, {"b": null}]}});
    let created = ada.put(&card, &body).await.expect(201);
    let text = &created.text;
    let properties = &text[text.find("\"properties\":").expect("properties")..];
    let end = properties
        .find(",\"servers\"")
        .or_else(|| properties.find(",\"membersInfo\""))
        .or_else(|| properties.find(",\"members\""));
    let back = format!("{{{}}}", &properties[..end.expect("something follows")]);
    let parsed: Value = serde_json::from_str(&back).unwrap_or_else(|error| panic!("{error}: {back}"));
    assert_eq!(parsed["properties"], created.json()["properties"]);
    let same = ada.send(Method::PUT, &card, &[], Some(back)).await.expect(200);
    assert_eq!((same.etag(), &same.text), (created.etag(), &created.text));
    world.end().await;
}

/// An example of the contract: what is sent and what comes back.
struct Example {
    name: &'static str,
    request: Value,
    response: Value,
}

impl Example {
    fn read(name: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contract/examples");
        let read = |kind: &str| {
            let path = folder.join(format!("{name}.{kind}.json"));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}: {}", path.display()));
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {}", path.display()))
        };
        Self { name, request: read("request"), response: read("response") }
    }

    /// Sends it with the tag and handle that the run has in place of the example's, and compares what comes back.
    async fn play(&self, world: &World, tag: Option<&str>, handle: Option<&str>) -> Answer {
        let text = |at: &str| self.request[at].as_str().unwrap_or_else(|| panic!("{}: no {at}", self.name)).to_owned();
        let mut path = text("path");
        if let (Some(handle), Some(rest)) = (handle, path.strip_prefix("/handles/"))
            && let Some((_, tail)) = rest.split_once('/')
        {
            path = format!("/handles/{handle}/{tail}");
        }
        let method = text("method").parse().expect("a verb");
        let given = self.request["headers"].as_object().expect("headers");
        let headers: Vec<(&str, &str)> = given
            .iter()
            .filter(|(name, _)| *name != "Authorization")
            .map(|(name, value)| (name.as_str(), value.as_str().expect("a header's text")))
            .map(
                |(name, value)| {
                    if value == "*" { (name, value) } else { (name, tag.filter(|_| name.starts_with("If-")).unwrap_or(value)) }
                },
            )
            .collect();
        let body = self.request.get("body").map(Value::to_string);
        let answer = caller(world, &text("caller")).send(method, &path, &headers, body).await;
        self.compare(&answer);
        answer
    }

    /// Status, headers and body, but for what every run has anew.
    fn compare(&self, answer: &Answer) {
        let name = self.name;
        assert_eq!(json!(answer.status), self.response["status"], "{name}: {answer:?}");
        for (header, value) in self.response["headers"].as_object().expect("headers") {
            let value = value.as_str().expect("a header's text");
            let found = answer.header(&header.to_ascii_lowercase()).unwrap_or_else(|| panic!("{name}: no {header}: {answer:?}"));
            if header == "ETag" {
                let number = |tag: &str| tag.trim_matches('"').rsplit('.').next().map(str::to_owned);
                assert_eq!(number(found), number(value), "{name}: {answer:?}");
            } else {
                assert_eq!(found, value, "{name}: {header}");
            }
        }
        match (self.response.get("body"), self.response.get("bodyText")) {
            (Some(body), _) => assert_eq!(redacted(answer.json()), redacted(body.clone()), "{name}"),
            // Words are our own; that there are some is not.
            (None, Some(_)) => assert!(!answer.text.is_empty(), "{name}"),
            (None, None) => assert_eq!(answer.text, "", "{name}"),
        }
    }
}

/// Takes out what every run has anew.
fn redacted(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        for name in ["branch", "correlationId", "id"] {
            if let Some(value) = fields.get_mut(name) {
                *value = json!("redacted");
            }
        }
    }
    if let Some(results) = body.get_mut("results").and_then(Value::as_array_mut) {
        for result in results {
            *result = redacted(result.take());
        }
    }
    body
}

/// The people of the examples.
fn caller(world: &World, name: &str) -> Actor {
    let xuid: u64 = name.trim_start_matches("user ").parse().expect("a user of the examples");
    let gamertag = match xuid % 10 {
        1 => "AdaLumen",
        2 => "BoTide",
        _ => "CyVale",
    };
    world.actor(Principal::User(User {
        xuid: Xuid(xuid),
        gamertag: Some(gamertag.to_owned()),
        title_id: Some(TitleId(TITLE)),
        device_id: Some(format!("device-{xuid}")),
        device_type: None,
        multiplayer: true,
    }))
}

#[tokio::test]
async fn the_examples_of_the_contract_play_in_order() {
    const ADA: u64 = 2_533_274_800_000_001;
    const BO: u64 = 2_533_274_800_000_002;
    let world = World::new().await;
    world.follows(ADA, BO).await;
    world.follows(BO, ADA).await;
    world.connects(ADA, "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01").await;
    world.connects(BO, "9e2d4b77-6c0a-4a5f-b3f1-5d8c7a6e4b02").await;
    let play =
        async |name: &'static str, tag: Option<&str>, handle: Option<&str>| Example::read(name).play(&world, tag, handle).await;

    play("get-missing-session", None, None).await;
    play("get-template", None, None).await;
    play("put-create-inactive-vanishes", None, None).await;
    play("put-create-lobby", None, None).await;
    world.pass(1_877);
    let handle = play("post-activity", None, None).await.json();
    let handle = handle["id"].as_str();
    play("query-activities", None, None).await;
    world.pass(68_500);
    let joined = play("put-join-by-handle", None, handle).await;
    play("put-custom-property", Some(&joined.etag()), None).await;
    play("put-stale-etag", Some(&joined.etag()), None).await;
    play("batch-query", None, None).await;
    world.pass(49_500);
    let reserved = play("put-reserve-member", None, None).await;
    play("get-not-modified", Some(&reserved.etag()), None).await;
    play("query-others-private", None, None).await;
    world.pass(5_000);
    play("post-invite", None, None).await;
    world.pass(25_000);
    play("put-leave", None, None).await;
    play("put-last-leave", None, None).await;
    world.end().await;
}

#[tokio::test]
async fn the_examples_of_search_and_transfer_handles() {
    let world = World::new().await;
    let ada = caller(&world, "user 2533274800000001");
    for (example, template, name, passed) in
        [("post-search-handle", "Browse", "browse-77", 599_877), ("post-transfer", "Match", "match-5", 600_000)]
    {
        world.pass(passed);
        ada.put(&session(template, name), &joining("active")).await.expect(201);
        Example::read(example).play(&world, None, None).await;
    }
    world.end().await;
}

#[tokio::test]
async fn the_examples_that_need_a_session_of_their_own() {
    let world = World::new().await;
    world.connects(2_533_274_800_000_001, "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01").await;
    // Somebody else's session that can be read and not written (W-30).
    let example = Example::read("put-not-a-member");
    let path = example.request["path"].as_str().expect("a path").to_owned();
    let mut body = Example::read("put-create-lobby").request["body"].clone();
    body["properties"]["system"]["readRestriction"] = json!("none");
    caller(&world, "user 2533274800000001").put(&path, &body).await.expect(201);
    example.play(&world, None, None).await;

    // One's own sessions, the reserved and the private one too (Q-46); the private one was made the day before.
    let cy = caller(&world, "user 2533274800000003");
    let mut body = joining("active");
    body["constants"] = json!({"system": {"visibility": "private"}});
    body["properties"] = json!({"system": {"turn": [0]}});
    cy.put(&session("Open", "cy-private"), &body).await.expect(201);
    let listed = Example::read("query-own-sessions");
    let found = cy.get(listed.request["path"].as_str().expect("a path")).await.expect(200).json();
    let mut expected = listed.response["body"]["results"][1].clone();
    expected["startTime"] = found["results"][0]["startTime"].clone();
    assert_eq!(found["results"], json!([expected]));

    // All templates of the examples are among those that are shipped.
    let listed = Example::read("list-templates");
    let found = cy.get(listed.request["path"].as_str().expect("a path")).await.expect(200).json();
    for name in listed.response["body"]["results"].as_array().expect("names") {
        assert!(found["results"].as_array().is_some_and(|names| names.contains(name)), "{name}");
    }
    world.end().await;
}

/// XSAPI asks by GET for one user and by batch for more, over all templates when the title names none.
#[tokio::test]
async fn q03_q04_one_user_is_asked_for_as_many_are() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("a"), &creating(&json!({}), &json!({}))).await.expect(201);
    bo.put(&open("b"), &creating(&json!({}), &json!({}))).await.expect(201);
    for base in [format!("/serviceconfigs/{SCID}"), format!("/serviceconfigs/{SCID}/sessiontemplates/Open")] {
        let one = ada.get(&format!("{base}/sessions?xuid=1&take=1")).await.expect(200).json();
        assert_eq!(one, ada.post(&format!("{base}/batch?take=1"), &json!({"xuids": ["1"]})).await.expect(200).json());
        let two = ada.post(&format!("{base}/batch?take=1"), &json!({"xuids": ["1", "2"]})).await.expect(200).json();
        assert_eq!(two["results"][0], one["results"][0]);
        // Q-04: nothing but results, also where there would be more.
        for answer in [&one, &two] {
            assert_eq!(answer.as_object().expect("an object").keys().collect::<Vec<_>>(), ["results"]);
        }
    }
    world.end().await;
}

/// A title that starts asks for all that its user was left in, and leaves it (Q-49).
#[tokio::test]
async fn q49_r55_a_title_tidies_up_at_its_start() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let lasting = json!({"inactiveRemovalTimeout": null, "reservedRemovalTimeout": null});
    let private = json!({"inactiveRemovalTimeout": null, "visibility": "private"});
    ada.put(&open("active"), &creating(&json!({}), &json!({}))).await.expect(201);
    let idle = json!({"constants": {"system": lasting}, "members": {"me": {}}});
    ada.put(&open("inactive"), &idle).await.expect(201);
    ada.put(&open("private"), &creating(&private, &json!({}))).await.expect(201);
    bo.put(&open("reserved"), &creating(&lasting, &json!({}))).await.expect(201);
    bo.put(&open("reserved"), &reserving(&[1])).await.expect(200);
    let all = sessions("xuid=1&inactive=true&reservations=true&private=true");
    let mut found = names(ada.get(&all).await);
    found.sort_unstable();
    assert_eq!(found, ["active", "inactive", "private", "reserved"]);
    for name in &found {
        let status = ada.delete(&format!("{}/members/me", open(name))).await.status;
        assert_eq!(status, 204, "{name}");
    }
    assert_eq!(names(ada.get(&all).await), Vec::<String>::new());
    // Its activity is gone with that.
    let asked = json!({"type": "activity", "scid": SCID, "owners": {"xuids": ["1"]}});
    assert_eq!(ada.post("/handles/query", &asked).await.expect(200).json(), json!({"results": []}));
    world.end().await;
}
