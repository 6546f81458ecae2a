//! Role types, who may hold which role, and how many (members.md, Roles; W-37, T-25, S-55, S-56, S-61).

use rstest::rstest;

use super::*;

/// A raid: two classes with bounds, and a rank that owners give.
const RAID: &str = r#"{"constants":{"system":{"maxMembersCount":8,"inactiveRemovalTimeout":7200000,
    "capabilities":{"hasOwners":true},"ownershipPolicies":{"migration":"oldest","allowNonOwnerInviteHandles":true}}},
    "roleTypes":{"class":{"mutableRoleSettings":["max"],"roles":{"healer":{"max":1,"target":1},"tank":{"target":2}}},
    "rank":{"ownerManaged":true,"roles":{"leader":{"max":2}}}}}"#;

/// A PUT of the caller's own roles, which joins as well.
fn plays(roles: &str) -> String {
    format!(r#"{{"members":{{"me":{{"properties":{{"system":{{"active":true}}}},"roles":{roles}}}}}}}"#)
}

/// A PUT of another member's roles.
fn gives(index: u32, roles: &str) -> String {
    format!(r#"{{"members":{{"{index}":{{"roles":{roles}}}}}}}"#)
}

fn raid() -> Stage {
    let mut stage = Stage::of(RAID);
    assert_eq!(stage.put(&ada(), &plays(r#"{"class":"healer"}"#)), 201);
    stage
}

#[test]
fn m80_m86_s56_s61_roles_are_shown_with_their_counts_and_holders() {
    let mut stage = raid();
    assert_eq!(stage.put(&bo(), &plays(r#"{"class":"tank"}"#)), 200);
    assert_eq!(stage.at("members.0.roles"), r#"{"class":"healer"}"#);
    assert_eq!(
        stage.get().get("roleTypes"),
        Some(&json(
            r#"{"class":{"mutableRoleSettings":["max"],"roles":{
                "healer":{"max":1,"target":1,"count":1,"memberXuids":["2533274800000001"]},
                "tank":{"target":2,"count":1,"memberXuids":["2533274800000002"]}}},
            "rank":{"ownerManaged":true,"roles":{"leader":{"max":2,"count":0,"memberXuids":[]}}}}"#
        ))
    );
    assert_eq!(stage.put(&bo(), &plays(r#"{"class":"healer"}"#)), 409, "M-83: the one slot is taken");
    assert_eq!(stage.put(&ada(), &plays(r#"{"class":"tank"}"#)), 200, "M-80: one role per type");
    assert_eq!(stage.at("members.0.roles"), r#"{"class":"tank"}"#);
    assert_eq!(stage.put(&bo(), &plays(r#"{"class":"healer"}"#)), 200);
    assert_eq!(stage.put(&bo(), &plays(r#"{"class":null}"#)), 200, "S-61: null drops it");
    assert_eq!(stage.at("members.1.roles"), "");
    assert!(stage.put(&bo(), &plays(r#"{"class":null}"#)).is_quiet());
}

#[test]
fn m42_who_leaves_frees_its_role() {
    let mut stage = raid();
    assert_eq!(stage.put(&bo(), &plays(r#"{"class":"healer"}"#)), 409);
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    assert_eq!(stage.put(&ada(), LEAVES), 200);
    assert_eq!(stage.at("roleTypes.class.roles.healer.count"), "0");
    assert_eq!(stage.put(&bo(), &plays(r#"{"class":"healer"}"#)), 200);
}

#[test]
fn m83_a_reserved_member_has_its_role_already() {
    let mut stage = raid();
    let reserve = |role: &str| {
        format!(r#"{{"members":{{"reserve_0":{{"constants":{{"system":{{"xuid":"7"}}}},"roles":{{"class":"{role}"}}}}}}}}"#)
    };
    assert_eq!(stage.put(&ada(), &reserve("healer")), 409);
    assert_eq!(stage.at("membersInfo.count"), "1", "E-06");
    assert_eq!(stage.put(&ada(), &reserve("tank")), 200);
    assert_eq!(stage.at("roleTypes.class.roles.tank.memberXuids"), r#"["7"]"#);
}

#[test]
fn m81_roles_of_owner_managed_types_are_given_by_owners() {
    let mut stage = raid();
    assert_eq!(stage.put(&bo(), &plays(r#"{"rank":"leader"}"#)), 403, "also while joining");
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    assert_eq!(stage.put(&bo(), &plays(r#"{"rank":"leader"}"#)), 403);
    assert_eq!(stage.put(&bo(), &gives(0, r#"{"rank":"leader"}"#)), 403, "W-06");
    assert_eq!(stage.put(&ada(), &gives(1, r#"{"rank":"leader"}"#)), 200);
    assert_eq!(stage.at("members.1.roles"), r#"{"rank":"leader"}"#);
    assert!(stage.put(&bo(), &plays(r#"{"rank":"leader"}"#)).is_quiet(), "W-34: what changes nothing");
    assert_eq!(stage.put(&bo(), &plays(r#"{"rank":null}"#)), 403, "nor can it be dropped");
    assert_eq!(stage.put(&ada(), &plays(r#"{"rank":"leader"}"#)), 200, "an owner may give it to itself");
    assert_eq!(stage.put(&ada(), &gives(1, r#"{"class":"tank"}"#)), 403, "W-06: the others are their members' own");
    assert_eq!(stage.put(&server(), &gives(1, r#"{"class":"tank","rank":null}"#)), 200, "W-06: servers assign all");
    assert_eq!(
        stage.put(&bo(), r#"{"members":{"reserve_0":{"constants":{"system":{"xuid":"7"}},"roles":{"rank":"leader"}}}}"#),
        403
    );
}

#[rstest]
#[case::m84_unknown_type(r#"{"shoes":"red"}"#, "members.me.roles.shoes: ")]
#[case::m84_unknown_role(r#"{"class":"bard"}"#, "members.me.roles.class: ")]
#[case::s61_no_text(r#"{"class":1}"#, "members.me.roles.class: ")]
#[case::no_object("[]", "members.me.roles: ")]
fn m84_unknown_roles_are_refused_by_name(#[case] roles: &str, #[case] start: &str) {
    let answer = raid().put(&ada(), &plays(roles));
    assert_eq!(answer, 400);
    assert!(answer.text().starts_with(start), "{answer:?}");
    assert_eq!(Stage::card().put(&ada(), &plays(r#"{"class":"tank"}"#)), 400, "a session without role types");
}

#[rstest]
#[case::mutable(r#"{"class":{"roles":{"healer":{"max":3}}}}"#, 200)]
#[case::unlimited(r#"{"class":{"roles":{"healer":{"max":null}}}}"#, 200)]
#[case::quiet(r#"{"class":{"mutableRoleSettings":["max"],"roles":{"healer":{"max":1,"target":1}}}}"#, 200)]
#[case::m85_target_is_not_mutable(r#"{"class":{"roles":{"healer":{"target":null}}}}"#, 409)]
#[case::m85_nothing_is_mutable_by_default(r#"{"rank":{"roles":{"leader":{"max":5}}}}"#, 409)]
#[case::type_settings(r#"{"rank":{"ownerManaged":false}}"#, 409)]
#[case::s55_target_above_max(r#"{"class":{"roles":{"tank":{"max":1}}}}"#, 400)]
#[case::s55_zero(r#"{"class":{"roles":{"healer":{"max":0}}}}"#, 400)]
#[case::m84_unknown_type(r#"{"shoes":{"roles":{}}}"#, 400)]
#[case::m84_unknown_role(r#"{"class":{"roles":{"bard":{"max":1}}}}"#, 400)]
#[case::s56_read_only(r#"{"class":{"roles":{"healer":{"count":1}}}}"#, 400)]
#[case::no_object("[]", 400)]
fn w37_owners_change_what_is_mutable(#[case] types: &str, #[case] status: u16) {
    let mut stage = raid();
    let before = stage.get();
    assert_eq!(stage.put(&ada(), &format!(r#"{{"roleTypes":{types}}}"#)), status);
    assert!(status == 200 || stage.get() == before, "E-06");
}

#[test]
fn w37_max_does_not_drop_below_the_count_and_settings_are_the_owners() {
    let mut stage = raid();
    let most = |n: u32| format!(r#"{{"roleTypes":{{"class":{{"roles":{{"healer":{{"max":{n}}}}}}}}}}}"#);
    assert_eq!(stage.put(&ada(), &most(2)), 200);
    assert_eq!(stage.put(&bo(), &plays(r#"{"class":"healer"}"#)), 200);
    assert_eq!(stage.put(&ada(), &most(1)), 409);
    assert_eq!(stage.put(&bo(), &most(5)), 403);
    assert!(stage.put(&bo(), &most(2)).is_quiet(), "W-34");
    assert_eq!(stage.put(&server(), &most(5)), 200);
    let mut free = Stage::of(OPEN);
    let body = r#"{"roleTypes":{"class":{"mutableRoleSettings":["max"],"roles":{"healer":{"max":1}}}},
        "members":{"me":{"properties":{"system":{"active":true}}}}}"#;
    assert_eq!(free.put(&ada(), body), 201);
    assert_eq!(free.put(&ada(), &most(2)), 403, "a session without owners: servers only");
    assert_eq!(free.put(&server(), &most(2)), 200);
}

#[rstest]
#[case::adds(r#"{"shoes":{"roles":{"red":{"target":1}}}}"#, 201)]
#[case::repeats(r#"{"class":{"roles":{"healer":{"max":1}}}}"#, 201)]
#[case::repeats_whole(
    r#"{"class":{"mutableRoleSettings":["max"],"roles":{"healer":{"max":1,"target":1},"tank":{"target":2}}}}"#,
    201
)]
#[case::differs(r#"{"class":{"roles":{"healer":{"max":2}}}}"#, 409)]
#[case::adds_a_role(r#"{"class":{"roles":{"bard":{}}}}"#, 409)]
#[case::s55_name(r#"{"Shoes":{"roles":{}}}"#, 400)]
#[case::s55_target(r#"{"shoes":{"roles":{"red":{"max":1,"target":2}}}}"#, 400)]
#[case::s55_max(r#"{"shoes":{"roles":{"red":{"max":0}}}}"#, 400)]
#[case::m85(r#"{"shoes":{"mutableRoleSettings":["count"],"roles":{}}}"#, 400)]
fn t25_a_creator_adds_role_types(#[case] types: &str, #[case] status: u16) {
    let mut stage = Stage::of(RAID);
    let body = format!(r#"{{"roleTypes":{types},"members":{{"me":{{"properties":{{"system":{{"active":true}}}}}}}}}}"#);
    assert_eq!(stage.put(&ada(), &body), status);
    if status == 201 && types.contains("shoes") {
        assert_eq!(stage.at("roleTypes.shoes.roles.red"), r#"{"target":1,"count":0,"memberXuids":[]}"#);
        assert_eq!(stage.at("roleTypes.class.roles.healer.max"), "1");
    }
}

#[test]
fn m82_owner_managed_types_need_owners() {
    let body = |capabilities: &str| {
        format!(
            r#"{{"constants":{{"system":{{"capabilities":{capabilities}}}}},"roleTypes":{{"rank":{{"ownerManaged":true,"roles":{{}}}}}},
            "members":{{"me":{{"properties":{{"system":{{"active":true}}}}}}}}}}"#
        )
    };
    let answer = Stage::of(OPEN).put(&ada(), &body("{}"));
    assert_eq!(answer, 400);
    assert!(answer.text().starts_with("roleTypes.rank.ownerManaged: "), "{answer:?}");
    assert_eq!(Stage::of(OPEN).put(&ada(), &body(r#"{"hasOwners":true}"#)), 201);
}
