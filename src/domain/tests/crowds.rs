//! Large sessions: what is refused, what a reader sees, and that a decision on the loaded members is the decision on all (M-95 to
//! M-99).

use rstest::rstest;

use super::*;
use crate::domain::principal::ServerFor;
use crate::domain::timers;

const ARENA: &str =
    r#"{"constants":{"system":{"maxMembersCount":2000,"inactiveRemovalTimeout":60000,"capabilities":{"large":true}}}}"#;

fn viewer(number: u64) -> Principal {
    player(100 + number, "Viewer")
}

fn arena(viewers: u64) -> Stage {
    let mut stage = Stage::of(ARENA);
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    for number in 0..viewers {
        assert_eq!(stage.put(&viewer(number), ACTIVE), 200);
    }
    stage
}

fn shown(stage: &Stage, who: &Principal) -> Json {
    json(&large::document(stage.session(), who.xuid()))
}

#[test]
fn m95_m96_a_reader_sees_itself_and_the_numbers() {
    let mut stage = arena(3);
    assert_eq!(stage.put(&viewer(0), LEAVES), 200);
    let own = shown(&stage, &viewer(1));
    let info = r#"{"first":2,"next":4,"count":3,"accepted":3,"active":3}"#;
    assert_eq!(own.get("membersInfo"), Some(&json(info)));
    let members = own.get("members").and_then(Json::as_object).unwrap();
    assert_eq!(members.len(), 1);
    let me = members.get("me").unwrap();
    assert_eq!(me.get("next"), Some(&json("4")));
    assert_eq!(me.get("constants"), Some(&json(r#"{"system":{"xuid":"2533274800000101","index":2},"custom":{}}"#)), "M-96");
    let stranger = shown(&stage, &bo());
    assert_eq!(stranger.get("members"), Some(&json("{}")));
    assert_eq!(stranger.get("membersInfo"), Some(&json(&info.replace(r#""first":2"#, r#""first":4"#))));
    assert_eq!(own.get("properties").and_then(|bag| bag.get("system")?.get("turn")), None, "S-45");
}

#[test]
fn m87_m95_who_was_a_member_comes_back_into_a_locked_session_that_is_loaded_in_part() {
    let mut stage = arena(2);
    assert_eq!(stage.put(&viewer(1), LEAVES), 200);
    assert_eq!(stage.put(&ada(), &system(r#"{"closed":true,"locked":true}"#)), 200);
    let part = partial(stage.session(), |member| member.index == 0);
    stage.load(part);
    assert_eq!(stage.put(&bo(), ACTIVE), 403);
    assert_eq!(stage.put(&viewer(1), ACTIVE), 200);
}

#[rstest]
#[case::reserving(r#"{"members":{"reserve_0":{"constants":{"system":{"xuid":"7"}}}}}"#, 409)]
#[case::removing(r#"{"members":{"1":null}}"#, 409)]
#[case::removing_nobody(r#"{"members":{"9":null}}"#, 409)]
#[case::turn(r#"{"properties":{"system":{"turn":[0]}}}"#, 400)]
#[case::host(r#"{"properties":{"system":{"host":"a"}}}"#, 400)]
#[case::restriction(r#"{"properties":{"system":{"joinRestriction":"followed"}}}"#, 400)]
#[case::subscription(
    r#"{"members":{"me":{"properties":{"system":{"subscription":{"id":"6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01"}}}}}}"#,
    400
)]
#[case::subscriptions(r#"{"members":{"me":{"properties":{"system":{"subscriptions":{"a":{"profile":"party"}}}}}}}"#, 400)]
#[case::group(r#"{"members":{"me":{"properties":{"system":{"initializationGroup":[0]}}}}}"#, 400)]
#[case::measurements(r#"{"members":{"me":{"properties":{"system":{"measurements":{}}}}}}"#, 400)]
#[case::address(r#"{"members":{"me":{"properties":{"system":{"secureDeviceAddress":"AA"}}}}}"#, 400)]
#[case::m98_groups(r#"{"members":{"me":{"properties":{"system":{"groups":["red"],"encounters":["boss"]}}}}}"#, 200)]
#[case::own_removal(r#"{"members":{"0":null}}"#, 200)]
#[case::nothing(r#"{"properties":{"system":{"turn":null,"joinRestriction":"none","readRestriction":"none"}}}"#, 200)]
fn m97_what_is_refused(#[case] body: &str, #[case] status: u16) {
    let mut stage = arena(1);
    assert_eq!(stage.put(&ada(), body), status);
    if status == 409 {
        assert_eq!(stage.put(&server(), body), 409, "R-30: for servers too");
        assert_eq!(stage.put(&bo(), body), 403, "strangers hear nothing of it");
    }
}

#[test]
fn m97_s32_constants_of_large_sessions() {
    for (constants, status) in [
        (r#"{"maxMembersCount":10000,"capabilities":{"large":true}}"#, 201),
        (r#"{"maxMembersCount":10001,"capabilities":{"large":true}}"#, 400),
        (r#"{"memberInitialization":{},"capabilities":{"large":true}}"#, 400),
        (r#"{"peerToPeerRequirements":{},"capabilities":{"large":true}}"#, 400),
        (r#"{"measurementServerAddresses":{},"capabilities":{"large":true}}"#, 400),
        (r#"{"capabilities":{"large":true,"connectivity":true}}"#, 400),
    ] {
        assert_eq!(Stage::of(OPEN).put(&ada(), &creating(constants)), status, "{constants}");
    }
    let body = r#"{"constants":{"system":{"capabilities":{"large":true}}},"members":{"me":{"properties":{"system":{"active":true}}},
        "reserve_0":{"constants":{"system":{"xuid":"7"}}}}}"#;
    assert_eq!(Stage::of(OPEN).put(&ada(), body), 409);
}

#[test]
fn m99_owners_of_a_large_session_are_known_by_index() {
    let mut stage = Stage::of(
        r#"{"constants":{"system":{"capabilities":{"large":true,"hasOwners":true},"ownershipPolicies":{"migration":"oldest"}}}}"#,
    );
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    assert_eq!(shown(&stage, &bo()).get("properties").and_then(|bag| bag.get("system")?.get("owners")), Some(&json("[0]")));
    assert_eq!(stage.put(&bo(), &system(r#"{"closed":true}"#)), 403);
    assert_eq!(stage.put(&ada(), LEAVES), 200);
    assert_eq!(stage.at("properties.system.owners"), "[1]");
}

#[test]
fn s56_role_counts_are_of_all_and_holders_are_the_reader() {
    let mut stage =
        Stage::of(r#"{"constants":{"system":{"capabilities":{"large":true}}},"roleTypes":{"side":{"roles":{"red":{"max":2}}}}}"#);
    let red = r#"{"members":{"me":{"properties":{"system":{"active":true}},"roles":{"side":"red"}}}}"#;
    assert_eq!(stage.put(&ada(), red), 201);
    assert_eq!(stage.put(&bo(), red), 200);
    assert_eq!(stage.put(&cy(), red), 409);
    assert_eq!(stage.put(&cy(), ACTIVE), 200);
    let holders = |who: &Principal| {
        let document = shown(&stage, who);
        let role = document.get("roleTypes").and_then(|types| types.get("side")?.get("roles")?.get("red")).unwrap().clone();
        role.to_string()
    };
    assert_eq!(holders(&bo()), r#"{"max":2,"count":2,"memberXuids":["2533274800000002"]}"#);
    assert_eq!(holders(&cy()), r#"{"max":2,"count":2,"memberXuids":[]}"#);
}

#[test]
fn m95_a_decision_on_the_loaded_members_is_the_decision_on_all() {
    let whole = arena(20);
    for (who, body) in [
        (viewer(7), own(r#"{"active":false}"#)),
        (viewer(7), LEAVES.to_owned()),
        (bo(), ACTIVE.to_owned()),
        (viewer(3), r#"{"members":{"me":{"properties":{"custom":{"n":1}}}}}"#.to_owned()),
        (viewer(3), r#"{"properties":{"custom":{"n":1}}}"#.to_owned()),
    ] {
        let mut all = whole.clone();
        let mut some = whole.clone();
        some.load(partial(whole.session(), |member| Some(member.xuid) == who.xuid()));
        assert_eq!(stored::render(some.session()), stored::render(all.session()), "what is stored does not tell them apart");
        assert_eq!(some.put(&who, &body), all.put(&who, &body).status());
        assert_eq!(stored::render(some.session()), stored::render(all.session()), "{body}");
        assert_eq!(shown(&some, &who), shown(&all, &who));
    }
}

#[test]
fn m20_members_of_a_large_session_are_settled_part_by_part() {
    let mut stage = arena(6);
    for number in 0..6 {
        assert_eq!(stage.put(&viewer(number), &own(r#"{"active":false}"#)), 200);
    }
    stage.advance(60_000);
    let mut part = partial(stage.session(), |member| member.index <= 3);
    for left in [4, 1] {
        assert!(timers::next(&part).is_some_and(|next| next <= stage.now), "something is due");
        part = timers::settle(&Some(part), stage.now).expect("due").expect("Ada is left");
        assert_eq!(part.member_count(), left);
        if left == 4 {
            // The next part is loaded.
            let session = stage.session();
            let rest = partial(session, |member| member.index > 3);
            let texts = stored::render(&part);
            let read = stored::read(&session.reference, &texts.body, &texts.private).expect("it can be read");
            part = large::with_members(read, rest.members.iter().map(|member| Member::clone(member)).collect(), None).unwrap();
        }
    }
    assert_eq!(timers::next(&part), None);
    assert_eq!(timers::settle(&Some(part), stage.now), None);
}

#[test]
fn m97_r16_a_server_that_acts_for_a_user_takes_that_user_out_by_its_index() {
    let mut stage = arena(1);
    let acting = |manages| {
        let server = server().server().expect("a server").clone();
        Principal::ServerFor(ServerFor { server, users: viewer(0).users().to_vec(), manages })
    };
    assert_eq!(stage.put(&acting(true), r#"{"members":{"0":null}}"#), 409, "not another");
    assert_eq!(stage.put(&acting(true), r#"{"members":{"1":null}}"#), 200);
    assert_eq!(stage.at("membersInfo.count"), "1");
}
