//! Who may read, join and write (access.md).

use rstest::rstest;

use super::*;

/// A stage whose session of this visibility Ada has made, with Bo reserved and Cy accepted but not active.
fn with_visibility(visibility: &str) -> Stage {
    let mut stage =
        Stage::with(&format!(r#"{{"visibility":"{visibility}","inactiveRemovalTimeout":null,"reservedRemovalTimeout":null}}"#));
    stage.put(&ada(), &reserves_all(&[&bo(), &cy()]));
    assert_eq!(stage.put(&cy(), HERE), 200);
    stage
}

const WRITE: &str = r#"{"properties":{"custom":{"a":1}}}"#;

/// The table of A-10: who, may it read, what does joining say, what does another write say.
#[rstest]
#[case::open_accepted("open", cy(), true, 200, 200)]
#[case::open_reserved("open", bo(), true, 200, 200)]
#[case::open_stranger("open", dee(), true, 200, 403)]
#[case::visible_accepted("visible", cy(), true, 200, 200)]
#[case::visible_reserved("visible", bo(), true, 200, 200)]
#[case::visible_stranger("visible", dee(), true, 403, 403)]
#[case::private_accepted("private", cy(), true, 200, 200)]
#[case::private_reserved("private", bo(), true, 200, 200)]
#[case::private_stranger("private", dee(), false, 403, 403)]
#[case::open_server("open", server(), true, 403, 200)]
#[case::private_server("private", server(), true, 403, 200)]
#[case::foreign_server("open", other_server(), false, 403, 403)]
#[case::admin("open", Principal::Admin { name: "root".into() }, false, 403, 403)]
fn a10_visibility_against_membership(
    #[case] visibility: &str,
    #[case] who: Principal,
    #[case] reads: bool,
    #[case] joins: u16,
    #[case] writes: u16,
) {
    let mut stage = with_visibility(visibility);
    assert_eq!(stage.may_read(&who), reads);
    assert_eq!(stage.put(&who, WRITE), writes);
    assert_eq!(stage.put(&who, ACTIVE), joins);
}

#[test]
fn a10_an_unmet_read_restriction_shuts_strangers_out() {
    let mut stage = with_visibility("open");
    stage.put(&ada(), &system(r#"{"joinRestriction":"local","readRestriction":"local"}"#));
    assert!(!stage.may_read(&dee()));
    assert_eq!(stage.put(&dee(), ACTIVE), 403);
    assert!(stage.may_read(&bo()) && stage.may_read(&cy()), "A-26: members and reservations are never restricted");
    let beside_ada = with(dee(), |user| user.device_id = Some("device-1".into()));
    assert!(stage.may_read(&beside_ada));
    assert_eq!(stage.put(&beside_ada, ACTIVE), 200);
}

#[test]
fn a26_read_restriction_counts_on_visible_sessions_too() {
    let mut stage = with_visibility("visible");
    stage.put(&ada(), &system(r#"{"joinRestriction":"local","readRestriction":"local"}"#));
    assert!(!stage.may_read(&dee()));
    stage.put(&ada(), &system(r#"{"readRestriction":"none"}"#));
    assert!(stage.may_read(&dee()));
    assert_eq!(stage.put(&dee(), ACTIVE), 403, "A-20 #2");
}

#[test]
fn a04_servers_pass_by_visibility_and_gates_but_not_by_validation() {
    let mut stage = with_visibility("private");
    stage.put(&ada(), &system(r#"{"closed":true}"#));
    assert_eq!(stage.put(&server(), &reserves(&dee())), 200);
    assert_eq!(stage.put(&server(), &system(r#"{"locked":true,"closed":false}"#)), 400);
    assert_eq!(stage.put(&server(), r#"{"constants":{"system":{"visibility":"open"}}}"#), 409);
    assert_eq!(stage.put_if(&server(), if_match(&["old"]), "{}"), 412);
}

#[test]
fn a20_joining_needs_the_privilege_even_with_a_reservation() {
    let mut stage = with_visibility("open");
    let without = |who| with(who, |user| user.multiplayer = false);
    assert_eq!(stage.put(&without(dee()), ACTIVE), 403);
    assert_eq!(stage.put(&without(bo()), HERE), 403);
    assert_eq!(stage.put(&without(bo()), WRITE), 200, "A-10: a reserved member writes");
    assert_eq!(stage.put(&without(cy()), ACTIVE), 200, "who is in is in");
}

#[test]
fn a20_closed_refuses_all_without_a_reservation() {
    let mut stage = with_visibility("open");
    stage.put(&ada(), &system(r#"{"closed":true}"#));
    assert!(stage.may_read(&dee()), "A-28");
    assert_eq!(stage.put(&dee(), ACTIVE), 403, "S-42");
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    stage.put(&cy(), LEAVES);
    assert_eq!(stage.put(&cy(), ACTIVE), 403, "former members come back to locked sessions only");
}

#[test]
fn a20_m87_locked_lets_former_members_come_back() {
    let mut stage = with_visibility("open");
    stage.put(&ada(), &system(r#"{"closed":true,"locked":true}"#));
    stage.put(&cy(), LEAVES);
    stage.put(&bo(), LEAVES);
    assert_eq!(stage.put(&bo(), ACTIVE), 403, "a reservation that was declined makes no former member");
    assert_eq!(stage.put(&cy(), ACTIVE), 200);
    assert_eq!(stage.put(&dee(), ACTIVE), 403);
}

#[test]
fn a20_a_reservation_makes_gates_and_restrictions_moot() {
    let mut stage = with_visibility("private");
    stage.put(&ada(), &system(r#"{"closed":true,"joinRestriction":"local","readRestriction":"local"}"#));
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
}

/// A-20: of several conditions that fail, the one that is told is the first in the order 1, 2, 3, 4, 5.
#[test]
fn a20_conditions_are_judged_in_their_order() {
    let mut stage = Stage::with(r#"{"visibility":"visible","maxMembersCount":1}"#);
    stage.put(&ada(), &system(r#"{"closed":true,"joinRestriction":"local"}"#));
    let text = |stage: &mut Stage, who: Principal| stage.put(&who, ACTIVE).text().to_owned();
    assert!(text(&mut stage, with(bo(), |user| user.multiplayer = false)).contains("privilege"));
    assert!(text(&mut stage, bo()).contains("not open"));
    let mut stage = Stage::with(r#"{"maxMembersCount":1}"#);
    stage.put(&ada(), &system(r#"{"closed":true,"joinRestriction":"local"}"#));
    assert!(text(&mut stage, bo()).contains("closed"));
    stage.put(&ada(), &system(r#"{"closed":false}"#));
    assert!(text(&mut stage, bo()).contains("joinRestriction is local"));
    stage.put(&ada(), &system(r#"{"joinRestriction":"none"}"#));
    assert_eq!(stage.put(&bo(), ACTIVE), 400);
}

#[test]
fn a22_local_means_the_device_of_an_active_member() {
    let mut stage = Stage::card();
    stage.put(&ada(), &system(r#"{"joinRestriction":"local"}"#));
    let guest = with(bo(), |user| user.device_id = Some("device-1".into()));
    let nowhere = with(bo(), |user| user.device_id = None);
    assert_eq!(stage.put(&bo(), ACTIVE), 403);
    assert_eq!(stage.put(&nowhere, ACTIVE), 403, "A-25");
    stage.put(&ada(), &own(r#"{"active":false}"#));
    assert_eq!(stage.put(&guest, ACTIVE), 403, "Ada is not active");
    stage.put(&ada(), ACTIVE);
    stage.put(&with(ada(), |user| user.device_id = Some("phone".into())), "{}");
    assert_eq!(stage.put(&guest, ACTIVE), 403, "Ada has last written elsewhere");
    stage.put(&ada(), "{}");
    assert_eq!(stage.put(&guest, ACTIVE), 200);
}

#[test]
fn a25_devices_that_nobody_knows_are_not_the_same() {
    let mut stage = Stage::of(CARD);
    stage.put(&with(ada(), |user| user.device_id = None), ACTIVE);
    stage.put(&with(ada(), |user| user.device_id = None), &system(r#"{"joinRestriction":"local"}"#));
    assert_eq!(stage.put(&with(bo(), |user| user.device_id = None), ACTIVE), 403);
}

#[test]
fn a23_a24_followed_means_that_an_accepted_member_follows_the_joiner() {
    let mut stage = Stage::card();
    let id = |who: Principal| who.xuid().unwrap();
    stage.put(&ada(), &system(r#"{"joinRestriction":"followed"}"#));
    assert_eq!(stage.put(&with(cy(), |user| user.device_id = Some("device-1".into())), ACTIVE), 200, "as local");
    stage.put(&cy(), LEAVES);
    stage.follows = vec![(id(bo()), id(ada()))];
    assert_eq!(stage.put(&bo(), ACTIVE), 403, "A-24: the wrong direction");
    stage.follows = vec![(id(cy()), id(bo()))];
    assert_eq!(stage.put(&bo(), ACTIVE), 403, "Cy is no member");
    stage.put(&ada(), &reserves(&cy()));
    assert_eq!(stage.put(&bo(), ACTIVE), 403, "nor is a reservation one that is accepted");
    stage.put(&cy(), HERE);
    assert_eq!(stage.put(&bo(), ACTIVE), 200, "A-12: an inactive member is accepted");
    assert_eq!(stage.put(&dee(), ACTIVE), 403);
    stage.everybody_follows = true;
    assert_eq!(stage.put(&dee(), ACTIVE), 200, "A-40");
}

#[test]
fn a12_inactive_members_have_full_rights() {
    let mut stage = with_visibility("private");
    assert_eq!(stage.put(&cy(), WRITE), 200);
    assert_eq!(stage.put(&cy(), &reserves(&dee())), 200);
}

#[test]
fn a35_who_may_reserve() {
    for visibility in ["open", "visible", "private"] {
        let mut stage = with_visibility(visibility);
        assert_eq!(stage.put(&ada(), &reserves(&dee())), 200, "a member");
        let third = player(9, "Ina");
        assert_eq!(stage.put(&bo(), &reserves(&third)), 403, "not before accepting");
        let accepting = r#"{"members":{"me":{},"reserve_0":{"constants":{"system":{"xuid":"77"}}}}}"#;
        assert_eq!(stage.put(&bo(), accepting), 200, "while accepting");
        assert_eq!(stage.put(&server(), &reserves(&third)), 200, "a server");
    }
    let joining =
        r#"{"members":{"me":{"properties":{"system":{"active":true}}},"reserve_0":{"constants":{"system":{"xuid":"77"}}}}}"#;
    assert_eq!(Stage::card().put(&bo(), joining), 200, "while joining");
    assert_eq!(Stage::of(CARD).put(&ada(), &reserves(&bo())), 201, "a creator, even without joining");
}

#[test]
fn a30_s34_only_initiators_create() {
    let creates = |template: &str, asked: &str, who: &Principal| {
        let body = if who.user().is_some() {
            creating(asked)
        } else {
            format!(
                r#"{{"constants":{{"system":{asked}}},"members":{{"reserve_0":{{"constants":{{"system":{{"xuid":"7"}}}}}}}}}}"#
            )
        };
        Stage::of(&format!(r#"{{"constants":{{"system":{template}}}}}"#)).put(who, &body)
    };
    let (a, b) = (ada().xuid().unwrap(), bo().xuid().unwrap());
    assert_eq!(creates("{}", &format!(r#"{{"initiators":["{a}",{b}]}}"#), &ada()), 201);
    assert_eq!(creates("{}", &format!(r#"{{"initiators":["{b}"]}}"#), &ada()), 403);
    assert_eq!(creates(&format!(r#"{{"initiators":["{b}"]}}"#), "{}", &ada()), 403, "the template's count");
    assert_eq!(creates(&format!(r#"{{"initiators":["{b}"]}}"#), &format!(r#"{{"initiators":["{a}"]}}"#), &ada()), 403);
    assert_eq!(creates(&format!(r#"{{"initiators":["{b}"]}}"#), "{}", &server()), 201, "but not for servers");
    assert_eq!(creates("{}", r#"{"initiators":[null]}"#, &ada()), 403, "E-10: access before validation");
    let mut stage = Stage::of(OPEN);
    stage.put(&ada(), &creating(&format!(r#"{{"initiators":["{a}"]}}"#)));
    assert_eq!(stage.put(&bo(), ACTIVE), 200, "A-20 #7: create only");
}

#[test]
fn a27_restrictions_default_to_none_or_to_local() {
    assert_eq!(Stage::card().at("properties.system"), r#"{"joinRestriction":"none","readRestriction":"none","turn":[]}"#);
    let mut narrow = Stage::with(r#"{"capabilities":{"userAuthorizationStyle":true}}"#);
    assert_eq!(narrow.at("properties.system"), r#"{"joinRestriction":"local","readRestriction":"local","turn":[]}"#);
}

/// S-40, S-41, S-54: capability `userAuthorizationStyle`, both restrictions before, a request, and both afterwards.
#[rstest]
#[case::join_raises_read(false, "followed followed", r#"{"joinRestriction":"none"}"#, Some("none none"))]
#[case::join_raises_local_read(false, "local local", r#"{"joinRestriction":"followed"}"#, Some("followed followed"))]
#[case::join_below_read(false, "none none", r#"{"joinRestriction":"local"}"#, Some("local none"))]
#[case::join_null_raises_read(false, "local local", r#"{"joinRestriction":null}"#, Some("none none"))]
#[case::read_alone_too_narrow(false, "none none", r#"{"readRestriction":"local"}"#, None)]
#[case::both_contradict(false, "local local", r#"{"joinRestriction":"none","readRestriction":"followed"}"#, None)]
#[case::both_fit(false, "none none", r#"{"joinRestriction":"local","readRestriction":"followed"}"#, Some("local followed"))]
#[case::read_equal_is_not_raised(false, "followed followed", r#"{"joinRestriction":"none","readRestriction":"followed"}"#, None)]
#[case::read_null(false, "local local", r#"{"readRestriction":null}"#, Some("local none"))]
#[case::capital(false, "none none", r#"{"joinRestriction":"Local","readRestriction":"NONE"}"#, Some("local none"))]
#[case::narrow_none(true, "local local", r#"{"joinRestriction":"none"}"#, None)]
#[case::narrow_none_with_read(true, "local local", r#"{"joinRestriction":"none","readRestriction":"none"}"#, None)]
#[case::narrow_read_none(true, "local local", r#"{"readRestriction":"none"}"#, Some("local none"))]
#[case::narrow_followed_raises(true, "local local", r#"{"joinRestriction":"followed"}"#, Some("followed followed"))]
#[case::narrow_null(true, "followed followed", r#"{"joinRestriction":null}"#, Some("local followed"))]
#[case::narrow_read_null_too_narrow(true, "followed followed", r#"{"readRestriction":null}"#, None)]
fn s41_reading_is_at_least_as_open_as_joining(
    #[case] narrow: bool,
    #[case] before: &str,
    #[case] request: &str,
    #[case] after: Option<&str>,
) {
    let mut stage = Stage::with(&format!(r#"{{"capabilities":{{"userAuthorizationStyle":{narrow}}}}}"#));
    let shown = |stage: &mut Stage| {
        let pair = [stage.at("properties.system.joinRestriction"), stage.at("properties.system.readRestriction")];
        pair.join(" ").replace('"', "")
    };
    let (join, read) = before.split_once(' ').unwrap();
    assert_eq!(stage.put(&ada(), &system(&format!(r#"{{"joinRestriction":"{join}","readRestriction":"{read}"}}"#))), 200);
    assert_eq!(shown(&mut stage), before);
    assert_eq!(stage.put(&ada(), &system(request)), if after.is_some() { 200 } else { 400 });
    assert_eq!(shown(&mut stage), after.unwrap_or(before));
}

#[test]
fn a60_a_create_may_write_join_restriction_alone() {
    let mut stage = Stage::of(r#"{"constants":{"system":{"capabilities":{"userAuthorizationStyle":true}}}}"#);
    let body =
        r#"{"properties":{"system":{"joinRestriction":"followed"}},"members":{"me":{"properties":{"system":{"active":true}}}}}"#;
    assert_eq!(stage.put(&ada(), body), 201);
    assert_eq!(stage.at("properties.system.readRestriction"), r#""followed""#);
    for (choice, closed) in [("local", true), ("followed", false), ("local", false)] {
        assert_eq!(stage.put(&ada(), &system(&format!(r#"{{"closed":{closed},"joinRestriction":"{choice}"}}"#))), 200);
    }
    assert_eq!(stage.at("properties.system"), r#"{"joinRestriction":"local","readRestriction":"followed","turn":[]}"#, "S-08");
}

#[test]
fn s43_locked_needs_closed_in_the_merged_result() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &system(r#"{"locked":true}"#)), 400);
    assert_eq!(stage.put(&ada(), &system(r#"{"locked":true,"closed":true}"#)), 200);
    for opening in ["false", "null"] {
        assert_eq!(stage.put(&ada(), &system(&format!(r#"{{"closed":{opening}}}"#))), 400);
    }
    assert_eq!(stage.put(&ada(), &system(r#"{"locked":false,"closed":false}"#)), 200);
    assert_eq!(stage.put(&ada(), &system(r#"{"closed":true}"#)), 200);
    assert_eq!(stage.put(&ada(), &system(r#"{"locked":true}"#)), 200);
}

#[test]
fn s44_private_sessions_have_no_keywords() {
    let mut stage = Stage::with(r#"{"visibility":"private"}"#);
    assert_eq!(stage.put(&ada(), &system(r#"{"keywords":["eu"]}"#)), 400);
    assert_eq!(stage.put(&ada(), &system(r#"{"keywords":[]}"#)), 200);
    assert_eq!(Stage::card().put(&ada(), &system(&format!(r#"{{"keywords":["{}"]}}"#, "é".repeat(64)))), 200);
    assert_eq!(Stage::card().put(&ada(), &system(&format!(r#"{{"keywords":["{}"]}}"#, "é".repeat(65)))), 400);
}

#[test]
fn h21_h24_an_activity_needs_an_active_member() {
    let mut stage = Stage::card();
    stage.put(&bo(), HERE);
    let number = stage.at("changeNumber");
    assert_eq!(stage.run(&ada(), &Command::Show), 200);
    assert_eq!(stage.run(&bo(), &Command::Show), 403);
    stage.put(&bo(), &own(r#"{"ready":true}"#));
    assert_eq!(stage.run(&bo(), &Command::Show), 403);
    assert_eq!(stage.run(&cy(), &Command::Show), 403);
    assert_eq!(stage.run(&server(), &Command::Show), 403);
    assert_eq!(stage.run(&ada(), &Command::Show), 200);
    assert_ne!(stage.at("changeNumber"), number);
    assert!(stage.run(&ada(), &Command::Show).is_quiet());
    assert_eq!(Stage::of(CARD).run(&ada(), &Command::Show), 204, "H-03: nothing is there, and nothing is made");
}
