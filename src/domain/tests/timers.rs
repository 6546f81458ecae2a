//! What time does to a session (members.md, Timers).

use rstest::rstest;

use super::*;

#[test]
fn m20_a_reservation_lasts_thirty_seconds() {
    let mut stage = Stage::card();
    stage.put(&ada(), &reserves(&bo()));
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:30.1230000Z""#, "S-25");
    stage.advance(29_999);
    assert_eq!(stage.at("membersInfo.count"), "2");
    stage.advance(1);
    assert_eq!(stage.at("membersInfo.count"), "1");
    assert_eq!(stage.at("nextTimer"), "");
    assert_eq!(stage.put(&bo(), ACTIVE), 200, "joins as anybody may");
    assert_eq!(stage.at("members.2.constants.system.index"), "2");
}

#[test]
fn m21_an_inactive_member_is_removed_after_its_time() {
    let mut stage = Stage::card();
    stage.put(&bo(), ACTIVE);
    stage.advance(1000);
    stage.put(&bo(), &own(r#"{"active":false}"#));
    stage.advance(7_199_999);
    assert_eq!(stage.at("membersInfo.count"), "2");
    stage.advance(1);
    assert_eq!(stage.at("membersInfo.count"), "1");
}

#[test]
fn m21_reserved_time_does_not_count_as_inactive_time() {
    let mut stage = Stage::with(r#"{"inactiveRemovalTimeout":10000}"#);
    stage.put(&ada(), &reserves(&bo()));
    stage.advance(9000);
    stage.put(&bo(), HERE);
    stage.advance(9999);
    assert_eq!(stage.at("membersInfo.count"), "2");
    stage.advance(1);
    assert_eq!(stage.at("membersInfo.count"), "1");
}

#[test]
fn m22_ready_becomes_inactive_and_then_goes_at_once_if_so_set() {
    let mut stage = Stage::with("{}");
    stage.put(&bo(), &own(r#"{"ready":true}"#));
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:03:00.1230000Z""#);
    stage.advance(180_000);
    assert_eq!(stage.at("membersInfo.count"), "1", "M-26: inactiveRemovalTimeout is 0");
    assert_eq!(stage.at("changeNumber"), "3", "one evaluation, one change");
}

#[test]
fn m25_timeouts_are_not_stacked() {
    let mut stage = Stage::of(r#"{"contractVersion":105,"constants":{"system":{}}}"#);
    stage.put(&ada(), ACTIVE);
    stage.put(&bo(), &own(r#"{"ready":true}"#));
    stage.advance(3 * 3_600_000);
    assert_eq!(stage.at("members.1.properties.system"), "{}", "inactive now, though three hours have passed");
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T23:00:00.1230000Z""#, "two hours from the evaluation");
    stage.advance(7_199_999);
    assert_eq!(stage.at("membersInfo.count"), "2");
    stage.advance(1);
    assert_eq!(stage.at("membersInfo.count"), "1");
}

#[test]
fn m25_the_empty_timeout_starts_when_the_last_member_is_found_gone() {
    let mut stage = Stage::with(r#"{"sessionEmptyTimeout":60000,"inactiveRemovalTimeout":1000}"#);
    stage.put(&ada(), &own(r#"{"active":false}"#));
    stage.advance(3_600_000);
    assert_eq!(stage.at("membersInfo.count"), "0");
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T19:01:00.1230000Z""#);
    stage.advance(59_999);
    assert!(!stage.is_gone());
    stage.advance(1);
    assert!(stage.is_gone());
}

#[test]
fn m23_w60_an_empty_session_waits_for_its_timeout() {
    let mut stage = Stage::with(r#"{"sessionEmptyTimeout":60000}"#);
    assert_eq!(stage.put(&ada(), LEAVES), 200, "not gone yet");
    stage.advance(30_000);
    assert!(stage.put(&server(), "{}").is_quiet());
    assert_eq!(stage.put(&server(), r#"{"properties":{"custom":{"a":1}}}"#), 200);
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:01:00.1230000Z""#, "a write does not restart it");
    assert_eq!(stage.put(&ada(), ACTIVE), 200);
    assert_eq!(stage.at("nextTimer"), "", "somebody is there again");
    stage.put(&ada(), LEAVES);
    stage.advance(59_999);
    assert!(!stage.is_gone());
    stage.advance(1);
    assert!(stage.is_gone());
}

#[test]
fn w60_reservations_count_as_members() {
    let mut stage = Stage::with("{}");
    stage.put(&ada(), &reserves(&bo()));
    assert_eq!(stage.put(&ada(), LEAVES), 200);
    stage.advance(29_999);
    assert!(!stage.is_gone());
    stage.advance(1);
    assert!(stage.is_gone());
}

#[test]
fn w60_a_session_without_empty_timeout_stays_for_ever() {
    let mut stage = Stage::with(r#"{"sessionEmptyTimeout":null}"#);
    stage.put(&ada(), LEAVES);
    stage.advance(1_000_000_000_000);
    assert!(!stage.is_gone());
    assert_eq!(stage.at("nextTimer"), "");
}

#[rstest]
#[case::inactive(r#"{"active":false}"#, "{}")]
#[case::ready_too(r#"{"ready":true}"#, r#"{"readyRemovalTimeout":0}"#)]
fn m26_a_zero_timeout_is_applied_at_the_end_of_the_write(#[case] flags: &str, #[case] constants: &str) {
    let mut stage = Stage::with(constants);
    stage.put(&bo(), ACTIVE);
    assert_eq!(stage.put(&bo(), &own(flags)), 200);
    assert_eq!(stage.at("members.1"), "");
    assert_eq!(stage.put(&ada(), &own(flags)), 204, "the last one");
}

#[test]
fn m26_a_zero_ready_timeout_leads_to_inactive() {
    let mut stage = Stage::with(r#"{"readyRemovalTimeout":0,"inactiveRemovalTimeout":5000}"#);
    stage.put(&bo(), ACTIVE);
    stage.advance(1000);
    assert_eq!(stage.put(&bo(), &own(r#"{"ready":true}"#)), 200);
    assert_eq!(stage.at("members.1.properties.system"), "{}");
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:06.1230000Z""#);
}

#[test]
fn m29_next_timer_is_the_earliest_of_all() {
    let mut stage = Stage::with(r#"{"inactiveRemovalTimeout":20000,"readyRemovalTimeout":10000}"#);
    stage.put(&ada(), &reserves(&bo()));
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:30.1230000Z""#);
    stage.put(&cy(), HERE);
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:20.1230000Z""#);
    stage.put(&dee(), &own(r#"{"ready":true}"#));
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:10.1230000Z""#);
    stage.put(&dee(), ACTIVE);
    stage.put(&cy(), ACTIVE);
    stage.put(&bo(), ACTIVE);
    assert_eq!(stage.at("nextTimer"), "");
}

#[test]
fn m24_timers_come_before_the_write_and_stay_applied_when_it_is_refused() {
    let mut stage = Stage::card();
    stage.put(&ada(), &reserves(&bo()));
    stage.advance(30_000);
    let refused = stage.put(&cy(), r#"{"properties":{"custom":{"a":1}}}"#);
    assert_eq!(refused, 403);
    assert_eq!(stage.session().members.len(), 1, "E-06");
    assert_eq!(stage.session().change_number, 3, "S-22: the timers' change is one of its own");
}

#[test]
fn m24_an_etag_from_before_a_timer_is_stale() {
    let mut stage = Stage::card();
    stage.put(&ada(), &reserves(&bo()));
    let etag = stage.etag();
    stage.advance(30_000);
    assert_eq!(stage.put_if(&ada(), if_match(&[&etag]), "{}"), 412);
}

#[test]
fn s36_unset_timeouts_never_fire_and_are_not_shown() {
    let mut stage = Stage::with(r#"{"reservedRemovalTimeout":null,"inactiveRemovalTimeout":null,"readyRemovalTimeout":null}"#);
    stage.put(&ada(), &reserves(&bo()));
    stage.put(&cy(), HERE);
    stage.put(&dee(), &own(r#"{"ready":true}"#));
    stage.advance(1_000_000_000_000);
    assert_eq!(stage.at("membersInfo.count"), "4");
    assert_eq!(stage.at("nextTimer"), "");
    for name in ["reservedRemovalTimeout", "inactiveRemovalTimeout", "readyRemovalTimeout"] {
        assert_eq!(stage.at(&format!("constants.system.{name}")), "");
    }
}

#[test]
fn m87_former_members_are_remembered_and_reservations_not() {
    let mut stage = Stage::card();
    stage.put(&bo(), ACTIVE);
    stage.put(&ada(), &reserves(&cy()));
    stage.put(&bo(), LEAVES);
    stage.advance(30_000);
    stage.settle();
    assert_eq!(stage.session().former, [bo().xuid().unwrap()]);
}
