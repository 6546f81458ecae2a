//! The entries of servers, and servers that act for users (session-document.md, servers; R-16, W-19).

use rstest::rstest;

use super::*;
use crate::domain::principal::ServerFor;

/// The dedicated server, acting for players.
fn acting(users: &[Principal], manages: bool) -> Principal {
    let Principal::Server(server) = server() else { unreachable!("a server") };
    let bare = |user: &Principal| {
        let mut user = user.user().expect("a player").clone();
        (user.gamertag, user.device_id) = (None, None);
        user
    };
    Principal::ServerFor(ServerFor { server, users: users.iter().map(bare).collect(), manages })
}

#[test]
fn s90_w36_servers_keep_entries_that_members_read() {
    let mut stage = Stage::card();
    let body =
        r#"{"servers":{"Score":{"constants":{"custom":{"v":1}},"properties":{"system":{"any":{"x":1}},"custom":{"n":1.0}}}}}"#;
    assert_eq!(stage.put(&ada(), body), 403, "W-36");
    assert_eq!(stage.put(&bo(), body), 403);
    assert_eq!(stage.put(&server(), body), 200);
    assert_eq!(
        stage.at("servers"),
        r#"{"Score":{"constants":{"system":{},"custom":{"v":1}},"properties":{"system":{"any":{"x":1}},"custom":{"n":1.0}}}}"#
    );
    assert!(stage.put(&server(), body).is_quiet());
    assert_eq!(stage.put(&server(), r#"{"servers":{"score":{"properties":{"custom":{"m":null,"k":2}}}}}"#), 200, "fields merge");
    assert_eq!(stage.at("servers.Score.properties.custom"), r#"{"n":1.0,"k":2}"#);
    assert_eq!(stage.put(&server(), r#"{"servers":{"score":{"constants":{"custom":{"v":2}}}}}"#), 200, "W-36: all of it merges");
    assert_eq!(stage.at("servers.Score.constants.custom"), r#"{"v":2}"#);
    let odd = r#"{"servers":{"score":{"properties":{"system":{"a\"b":1}}}}}"#;
    assert_eq!(stage.put(&server(), odd), 200);
    assert_eq!(stage.at("servers.Score.properties.system"), r#"{"any":{"x":1},"a\"b":1}"#);
    assert_eq!(stage.put(&server(), &odd.replace(":1}", ":null}")), 200, "W-11: whatever its name");
    assert_eq!(stage.at("servers.Score.properties.system"), r#"{"any":{"x":1}}"#);
    assert_eq!(stage.put(&server(), r#"{"servers":{"score":null,"other":null}}"#), 200, "W-36: null takes one away");
    assert_eq!(stage.at("servers"), "{}");
    assert_eq!(stage.put(&ada(), LEAVES), 204, "W-60: servers keep no session alive");
}

#[rstest]
#[case::s91_unknown(r#"{"matchmaking":{"properties":{"system":{"fly":1}}}}"#, "servers.matchmaking.properties.system.fly: ")]
#[case::s91_number(
    r#"{"matchmaking":{"properties":{"system":{"typicalWait":"1"}}}}"#,
    "servers.matchmaking.properties.system.typicalWait: "
)]
#[case::s03_null(r#"{"arbitration":{"properties":{"system":{"a":[null]}}}}"#, "servers.arbitration.properties.system.a[0]: ")]
#[case::s09_key(r#"{"arbitration":{"fly":{}}}"#, "servers.arbitration.fly: ")]
#[case::s09_bag(r#"{"arbitration":{"properties":{"fly":{}}}}"#, "servers.arbitration.properties.fly: ")]
#[case::s06_name(r#"{"a b":{}}"#, "servers.a b: ")]
#[case::no_object(r#"{"arbitration":1}"#, "servers.arbitration: ")]
#[case::no_map("[]", "servers: ")]
fn s91_s92_entries_are_refused_by_name(#[case] servers: &str, #[case] start: &str) {
    let answer = Stage::card().put(&server(), &format!(r#"{{"servers":{servers}}}"#));
    assert_eq!(answer, 400);
    assert!(answer.text().starts_with(start), "{answer:?}");
}

#[test]
fn s91_s92_what_other_services_leave_is_kept() {
    let mut stage = Stage::card();
    let body = r#"{"servers":{"matchmaking":{"properties":{"system":{"lockId":"l","status":"searching","statusDetails":"",
        "typicalWait":30,"targetSessionRef":{"scid":"s"}}}},"arbitration":{"constants":{"system":{"startTime":"x"}},
        "properties":{"system":{"state":"started","null":null}}},"tournaments":{},"cloudcompute":{"properties":{"system":{}}}}}"#;
    assert_eq!(stage.put(&server(), body), 200);
    assert_eq!(stage.at("servers.matchmaking.properties.system.typicalWait"), "30");
    assert_eq!(stage.at("servers.arbitration.properties.system"), r#"{"state":"started"}"#);
    assert_eq!(
        stage.at("servers.tournaments"),
        r#"{"constants":{"system":{},"custom":{}},"properties":{"system":{},"custom":{}}}"#
    );
}

#[test]
fn w06_m03_servers_edit_roles_and_flags_of_members() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &reserves(&bo())), 200);
    let edit = |index: u32, entry: &str| format!(r#"{{"members":{{"{index}":{entry}}}}}"#);
    let flags = |flags: &str| format!(r#"{{"properties":{{"system":{flags}}}}}"#);
    assert_eq!(stage.put(&server(), &edit(0, &flags(r#"{"active":false}"#))), 200, "M-03");
    assert_eq!(stage.at("membersInfo.active"), "0");
    assert_eq!(stage.put(&server(), &edit(0, &flags(r#"{"ready":true}"#))), 200);
    assert_eq!(stage.at("members.0.properties.system"), r#"{"ready":true}"#);
    assert_eq!(stage.put(&server(), &edit(1, &flags(r#"{"active":true}"#))), 400, "a reservation has no state");
    assert_eq!(stage.put(&server(), &edit(7, &flags(r#"{"active":true}"#))), 400, "there is no such member");
    for entry in [flags(r#"{"groups":["a"]}"#), r#"{"properties":{"custom":{}}}"#.into(), r#"{"constants":{}}"#.into()] {
        assert_eq!(stage.put(&server(), &edit(0, &entry)), 403, "{entry}");
    }
    assert_eq!(stage.put(&bo(), &edit(0, &flags(r#"{"active":true}"#))), 403);
    assert_eq!(stage.put(&server(), &edit(0, &flags(r#"{"active":true,"ready":true}"#))), 400, "M-01");
}

#[test]
fn w19_a_server_writes_for_its_users() {
    let mut stage = Stage::of(CARD);
    let both = acting(&[cy(), bo()], true);
    let body = r#"{"members":{"me_all":{"properties":{"system":{"active":true}}}}}"#;
    assert_eq!(stage.put(&both, body), 201);
    let xuids: Vec<u64> = stage.session().members.iter().map(|member| member.xuid.0 % 10).collect();
    assert_eq!(xuids, [3, 2], "new members come in the order of the header");
    assert!(stage.put(&both, body).is_quiet(), "W-34");
    let one = |xuid: u64, entry: &str| format!(r#"{{"members":{{"me_253327480000000{xuid}":{entry}}}}}"#);
    assert_eq!(stage.put(&both, &one(2, r#"{"properties":{"custom":{"n":1}}}"#)), 200);
    assert_eq!(stage.at("members.1.properties.custom"), r#"{"n":1}"#);
    assert_eq!(stage.put(&both, &one(1, "{}")), 403, "not named in the header");
    assert_eq!(stage.put(&both, HERE), 400, "plain me needs exactly one");
    assert_eq!(stage.put(&acting(&[cy()], true), &own(r#"{"ready":true}"#)), 200);
    let in_session = r#"{"members":{"me_allInSession":{"properties":{"custom":{"k":1}}}}}"#;
    assert_eq!(stage.put(&acting(&[ada(), bo()], true), in_session), 200);
    assert_eq!(stage.at("membersInfo.count"), "2", "Ada is not in the session and stays out");
    assert_eq!(stage.put(&both, &one(3, "null")), 200, "null removes");
    assert_eq!(stage.put(&both, r#"{"members":{"me_all":null}}"#), 204);
    for body in [body, in_session] {
        assert_eq!(Stage::card().put(&server(), body), 403, "a server that acts for nobody");
        assert_eq!(Stage::card().put(&ada(), body), 400, "the keys are for servers");
    }
    let twice = r#"{"members":{"me_all":{},"me_2533274800000002":{}}}"#;
    assert_eq!(stage.put(&both, twice), 400, "one entry each");
}

#[test]
fn r16_users_call_themselves_with_the_rights_of_the_server_on_top() {
    let mut stage = Stage::with(r#"{"visibility":"private"}"#);
    let active = r#"{"members":{"me_all":{"properties":{"system":{"active":true}}}}}"#;
    assert_eq!(stage.put(&acting(&[bo(), cy()], false), active), 403, "without them they are strangers");
    assert!(!stage.may_read(&acting(&[bo(), cy()], false)));
    assert!(stage.may_read(&acting(&[bo(), cy()], true)));
    let barred = with(cy(), |user| user.multiplayer = false);
    assert_eq!(stage.put(&acting(&[bo(), barred], true), active), 403, "A-20: each needs the privilege");
    assert_eq!(stage.put(&acting(&[bo(), cy()], true), active), 200, "A-04: the server opens the door");
    assert!(stage.may_read(&acting(&[bo(), dee()], false)), "one of them may read");
    assert_eq!(stage.put(&acting(&[bo(), dee()], false), r#"{"properties":{"custom":{"n":1}}}"#), 200, "one of them is a member");
    assert_eq!(stage.put(&acting(&[bo()], false), r#"{"servers":{"s":{}}}"#), 403);
    assert_eq!(stage.put(&acting(&[bo()], true), r#"{"servers":{"s":{}}}"#), 200);
    assert_eq!(stage.at("members.1.gamertag"), "", "the header names nobody");
}

#[test]
fn w26_arbitration_and_broadcast_have_their_creators() {
    let arbitrated = creating(r#"{"capabilities":{"arbitration":true,"gameplay":true}}"#);
    assert_eq!(Stage::of(OPEN).put(&ada(), &arbitrated), 403);
    let constants = r#"{"constants":{"system":{"sessionEmptyTimeout":null,"capabilities":{"arbitration":true,"gameplay":true}}}"#;
    assert_eq!(Stage::of(OPEN).put(&server(), &format!("{constants}}}")), 403, "without servers.arbitration");
    assert_eq!(Stage::of(OPEN).put(&server(), &format!(r#"{constants},"servers":{{"arbitration":{{}}}}}}"#)), 201);

    let broadcast = creating(r#"{"capabilities":{"large":true,"broadcast":true}}"#);
    let mut stage = Stage::of(OPEN);
    let answer = stage.put(&ada(), &broadcast);
    assert_eq!(answer, 400);
    assert!(answer.text().starts_with("sessionName: "), "{answer:?}");
    stage.reference.name = SessionName::parse("2533274800000001").unwrap();
    assert_eq!(stage.put(&bo(), &broadcast), 400, "somebody else's name");
    assert_eq!(stage.put(&ada(), &broadcast), 201);
}

#[test]
fn a33_titles_view_a_broadcast() {
    let mut stage = Stage::of(OPEN);
    stage.reference.name = SessionName::parse("2533274800000001").unwrap();
    let constants = r#"{"visibility":"private","capabilities":{"large":true,"broadcast":true},"broadcastViewerTitleIds":[9]}"#;
    assert_eq!(stage.put(&ada(), &creating(constants)), 201);
    assert!(!stage.may_read(&bo()));
    assert!(stage.may_read(&with(bo(), |user| user.title_id = Some(TitleId(9)))));
    assert_eq!(Stage::of(OPEN).put(&ada(), &creating(r#"{"broadcastViewerTitleIds":[9]}"#)), 400, "T-31");
}

#[test]
fn a31_weak_devices_need_user_authorization_where_that_is_enforced() {
    let phone = with(ada(), |user| user.device_type = Some("Android".into()));
    assert_eq!(Stage::of(CARD).put(&phone, ACTIVE), 201, "off by default");
    let mut stage = Stage::of(OPEN);
    stage.limits.weak_device_types = vec!["android".into()];
    assert_eq!(stage.put(&phone, &creating("{}")), 403);
    let authorized = r#"{"capabilities":{"userAuthorizationStyle":true}}"#;
    assert_eq!(stage.put(&phone, &creating(authorized)), 201);
    let mut stage = Stage::card();
    stage.limits.weak_device_types = vec!["android".into()];
    assert_eq!(stage.put(&with(bo(), |user| user.device_type = Some("Android".into())), ACTIVE), 403);
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
}
