//! Owners: who they are, what they may, what others may not, and what becomes of a session without them (members.md, Owners).

use rstest::rstest;

use super::*;

/// Ada owns, Bo is a member, Cy has a reservation.
fn guild(policies: &str) -> Stage {
    let mut stage = Stage::of(&format!(
        r#"{{"constants":{{"system":{{"inactiveRemovalTimeout":7200000,"capabilities":{{"hasOwners":true}},
        "ownershipPolicies":{policies}}}}}}}"#
    ));
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    stage.advance(1000);
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    assert_eq!(stage.put(&ada(), &reserves(&cy())), 200);
    stage
}

#[test]
fn m91_s47_the_creator_is_the_first_owner() {
    let mut stage = guild("{}");
    assert_eq!(stage.at("properties.system.owners"), "[0]");
    assert_eq!(stage.put(&ada(), &system(r#"{"owners":[0,1]}"#)), 200, "M-91: owners write owners");
    assert_eq!(stage.put(&bo(), &system(r#"{"owners":[1]}"#)), 200);
    assert_eq!(stage.put(&ada(), &system(r#"{"owners":[0]}"#)), 403, "M-92");
    for missing in ["[2]", "[9]"] {
        let answer = stage.put(&bo(), &system(&format!(r#"{{"owners":{missing}}}"#)));
        assert_eq!(answer, 400, "M-91: {missing} is no accepted member");
        assert!(answer.text().starts_with("properties.system.owners: "), "{answer:?}");
    }
    assert_eq!(stage.put(&bo(), &system(r#"{"owners":null}"#)), 200);
    assert_eq!(stage.at("properties.system.owners"), "[0]", "W-11: the default applies again, to who joined first");
    assert_eq!(Stage::card().put(&ada(), &system(r#"{"owners":[0]}"#)), 400, "needs hasOwners");
}

#[test]
fn m91_the_first_user_owns_what_a_server_has_made() {
    let constants = r#"{"sessionEmptyTimeout":null,"capabilities":{"hasOwners":true}}"#;
    let mut stage = Stage::of(OPEN);
    assert_eq!(stage.put(&server(), &format!(r#"{{"constants":{{"system":{constants}}}}}"#)), 201);
    assert_eq!(stage.at("properties.system.owners"), "");
    assert_eq!(stage.put(&server(), &reserves(&cy())), 200);
    assert_eq!(stage.at("properties.system.owners"), "", "a reservation is no owner");
    let joins = r#"{"members":{"me":{"properties":{"system":{"active":true}}}},"properties":{"system":{"closed":true}}}"#;
    assert_eq!(stage.put(&bo(), joins), 200, "whoever becomes owner by joining writes as one");
    assert_eq!(stage.at("properties.system.owners"), "[1]");
    assert_eq!(stage.put(&server(), &system(r#"{"owners":[1],"closed":null}"#)), 200, "A-04: a server is bound by no owner");
}

#[rstest]
#[case::system(r#"{"properties":{"system":{"closed":true}}}"#, 403)]
#[case::deleting(r#"{"properties":{"system":{"joinRestriction":null}}}"#, 403)]
#[case::deleting_nothing(r#"{"properties":{"system":{"closed":null}}}"#, 200)]
#[case::equal(r#"{"properties":{"system":{"joinRestriction":"NONE","turn":[],"owners":[0]}}}"#, 200)]
#[case::listed(r#"{"properties":{"system":{"description":{"text":"t"}}}}"#, 200)]
#[case::custom(r#"{"properties":{"custom":{"map":1}}}"#, 200)]
#[case::own_entry(r#"{"members":{"me":{"properties":{"custom":{"a":1}}}}}"#, 200)]
#[case::turn(r#"{"properties":{"system":{"turn":[1]}}}"#, 403)]
#[case::unknown(r#"{"properties":{"system":{"fly":1}}}"#, 403)]
fn m92_m78_others_write_no_system_properties(#[case] body: &str, #[case] status: u16) {
    let mut stage = guild(r#"{"nonOwnerModifiableSystemProperties":["Description"]}"#);
    assert_eq!(stage.put(&bo(), body), status);
    let as_owner = if body.contains("fly") { 400 } else { 200 };
    assert_eq!(guild("{}").put(&ada(), body), as_owner);
}

#[test]
fn m90_ownership_policies_need_owners() {
    let answer = Stage::of(OPEN).put(&ada(), &creating(r#"{"ownershipPolicies":{}}"#));
    assert_eq!(answer, 400);
    let mut stage = Stage::of(OPEN);
    let constants = r#"{"capabilities":{"hasOwners":true},"ownershipPolicies":{"migration":"Oldest"}}"#;
    assert_eq!(stage.put(&ada(), &creating(constants)), 201);
    assert_eq!(stage.at("constants.system.ownershipPolicies.migration"), r#""oldest""#);
    assert_eq!(Stage::of(OPEN).put(&ada(), &creating(&constants.replace("Oldest", "newest"))), 400);
}

#[test]
fn a35_others_reserve_only_where_that_is_allowed() {
    assert_eq!(guild("{}").put(&bo(), &reserves(&dee())), 403);
    assert_eq!(guild(r#"{"allowNonOwnerInviteHandles":true}"#).put(&bo(), &reserves(&dee())), 200);
    assert_eq!(guild("{}").put(&ada(), &reserves(&dee())), 200);
}

#[test]
fn w05_a36_owners_remove_others() {
    let mut stage = guild("{}");
    assert_eq!(stage.put(&bo(), r#"{"members":{"0":null}}"#), 403);
    assert_eq!(stage.put(&ada(), r#"{"members":{"1":null,"2":null}}"#), 200);
    assert_eq!(stage.at("membersInfo"), r#"{"first":0,"next":3,"count":1,"accepted":1,"active":1}"#);
    assert!(stage.put(&ada(), r#"{"members":{"1":null}}"#).is_quiet(), "who is gone already");
    assert_eq!(stage.put(&ada(), r#"{"members":{"7":{"roles":{}}}}"#), 400, "W-06: there is no such member");
    assert_eq!(guild("{}").put(&ada(), r#"{"members":{"1":{"properties":{"system":{"active":false}}}}}"#), 403, "W-06");
}

#[test]
fn m93_endsession_ends_with_the_last_owner() {
    for body in [LEAVES, r#"{"members":{"0":null}}"#] {
        let mut stage = guild("{}");
        let who = if body == LEAVES { ada() } else { server() };
        assert_eq!(stage.put(&who, body), 204, "all members go, whatever sessionEmptyTimeout");
        assert!(stage.is_gone());
    }
    let mut stage = guild("{}");
    assert_eq!(stage.put(&ada(), &system(r#"{"owners":[0,1]}"#)), 200);
    assert_eq!(stage.put(&ada(), LEAVES), 200, "an owner is left");
    assert_eq!(stage.at("properties.system.owners"), "[1]", "M-41");
    assert_eq!(stage.put(&bo(), &own(r#"{"active":false}"#)), 200, "M-93: an inactive owner is still there");
    stage.advance(7_200_000);
    assert!(stage.is_gone(), "the owner's timer is the session's end, Cy's reservation or not");
}

#[test]
fn m93_oldest_hands_over_to_who_joined_first() {
    let mut stage = guild(r#"{"migration":"oldest"}"#);
    assert_eq!(stage.put(&cy(), ACTIVE), 200);
    assert_eq!(stage.put(&bo(), LEAVES), 200);
    stage.advance(1000);
    assert_eq!(stage.put(&bo(), ACTIVE), 200, "Bo is back, behind Cy, whose join counts from acceptance (S-64)");
    assert_eq!(stage.put(&ada(), LEAVES), 200);
    assert_eq!(stage.at("properties.system.owners"), "[2]");
    assert_eq!(stage.put(&cy(), &system(r#"{"closed":true}"#)), 200);
    assert_eq!(stage.put(&cy(), LEAVES), 200);
    assert_eq!(stage.at("properties.system.owners"), "[3]");
    assert_eq!(stage.put(&bo(), &reserves(&dee())), 200);
    assert_eq!(stage.put(&bo(), LEAVES), 204, "nobody accepted is left");
}

#[test]
fn m93_ties_go_to_the_lower_index() {
    let mut stage =
        Stage::of(r#"{"constants":{"system":{"capabilities":{"hasOwners":true},"ownershipPolicies":{"migration":"oldest"}}}}"#);
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    for who in [cy(), bo()] {
        assert_eq!(stage.put(&who, ACTIVE), 200);
    }
    assert_eq!(stage.put(&ada(), LEAVES), 200);
    assert_eq!(stage.at("properties.system.owners"), "[1]");
}

#[test]
fn m94_a41_whom_an_owner_blocks_cannot_join() {
    let mut stage = guild("{}");
    let id = |who: &Principal| who.xuid().unwrap();
    stage.blocks = vec![(id(&bo()), id(&dee()))];
    assert_eq!(stage.put(&dee(), ACTIVE), 200, "Bo is no owner");
    assert_eq!(stage.put(&dee(), LEAVES), 200);
    stage.blocks = vec![(id(&ada()), id(&dee())), (id(&ada()), id(&cy()))];
    let answer = stage.put(&dee(), ACTIVE);
    assert_eq!(answer, 403);
    assert!(answer.text().contains("blocks"), "{answer:?}");
    assert!(stage.may_read(&dee()));
    assert_eq!(stage.put(&cy(), ACTIVE), 200, "A-20: a reservation opens the door");
}

#[test]
fn m91_w05_a_reservation_in_a_session_without_owners_owns_nothing() {
    let constants = r#"{"constants":{"system":{"reservedRemovalTimeout":null,"capabilities":{"hasOwners":true}}},"#;
    let mut stage = Stage::of(OPEN);
    let members = reserves_all(&[&ada(), &bo()]);
    assert_eq!(stage.put(&server(), &format!("{constants}{}", members.trim_start_matches('{'))), 201);
    for body in [r#"{"members":{"1":null}}"#, r#"{"properties":{"system":{"closed":true}}}"#] {
        assert_eq!(stage.put(&ada(), body), 403, "{body}");
    }
    assert_eq!(stage.put(&ada(), r#"{"properties":{"custom":{"a":1}}}"#), 200, "A-10");
    assert_eq!(
        stage.put(&ada(), r#"{"members":{"me":{"properties":{"system":{"active":true}}},"1":null}}"#),
        200,
        "becomes owner"
    );
}

#[test]
fn m93_a_large_session_is_handed_over_when_nothing_is_due_any_more() {
    let mut stage = Stage::of(
        r#"{"constants":{"system":{"inactiveRemovalTimeout":5000,"sessionEmptyTimeout":60000,
        "capabilities":{"large":true,"hasOwners":true},"ownershipPolicies":{"migration":"oldest"}}}}"#,
    );
    let others: Vec<Principal> = (0..4).map(|number| player(10 + number, "Other")).collect();
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    for who in &others {
        assert_eq!(stage.put(who, ACTIVE), 200);
    }
    for who in [&ada(), &others[0], &others[1]] {
        assert_eq!(stage.put(who, &own(r#"{"active":false}"#)), 200);
    }
    stage.advance(5000);
    // The owner and one more are loaded, the third that is due is not, nor are those who stay.
    let part = partial(stage.session(), |member| member.index <= 1);
    let part = rules_of_time::settle(&Some(part), stage.now).expect("due").expect("M-93: somebody is left");
    assert!(part.owners().is_empty() && part.member_count() == 3, "nobody takes over yet");
    let rest: Vec<Member> =
        stage.session().members.iter().filter(|member| member.index > 1).map(|member| Member::clone(member)).collect();
    let texts = stored::render(&part);
    let read = stored::read(&part.reference, &texts.body, &texts.private).expect("it can be read");
    let due = large::with_members(read.clone(), rest[..1].to_vec(), None).expect("they are counted");
    let alone = large::with_members(read, rest.clone(), None).expect("they are counted");
    let after = rules_of_time::settle(&Some(alone), stage.now).expect("due").expect("two are left");
    assert_eq!(after.owners(), [3].into(), "M-93: who joined first of those who stay");
    let waiting = rules_of_time::settle(&Some(due), stage.now).expect("due").expect("two are left, though not at hand");
    assert!(waiting.owners().is_empty() && waiting.member_count() == 2);
}
