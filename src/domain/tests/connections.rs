//! Members and their connections: registration, loss, and the time to come back (M-30 to M-34, N-30 to N-42).

use rstest::rstest;

use super::*;
use crate::domain::change::{self, Kinds};
use crate::domain::connection::Lost;
use crate::domain::subscription::{Listener, listeners};

const OTHER: &str = "9e2d4b77-6c0a-4a5f-b3f1-5d8c7a6e4b02";
const GRACE: i64 = 30_000;

fn xuid(who: &Principal) -> Xuid {
    who.xuid().expect("a player")
}

fn lost(id: &str, owner: &Principal) -> Lost {
    Lost { id: ConnectionId::parse(id).unwrap(), owner: xuid(owner) }
}

fn active_on(id: &str) -> String {
    own(&format!(r#"{{"active":true,"connection":"{id}"}}"#))
}

/// A session with these capabilities, in which Ada is active without a connection.
fn stage(capabilities: &str) -> Stage {
    Stage::with(&format!(r#"{{"inactiveRemovalTimeout":7200000,"capabilities":{{{capabilities}}}}}"#))
}

/// One in which connections are required, Ada active with one.
fn required() -> Stage {
    let mut stage = Stage::of(
        r#"{"constants":{"system":{"inactiveRemovalTimeout":7200000,"capabilities":{"connectionRequiredForActiveMembers":true}}}}"#,
    );
    stage.connections = vec![alive(CONNECTION, xuid(&ada()))];
    assert_eq!(stage.put(&ada(), &active_on(CONNECTION)), 201);
    stage
}

impl Stage {
    fn is_active(&mut self, index: usize) -> bool {
        self.at(&format!("members.{index}.properties.system.active")) == "true"
    }
}

#[test]
fn m31_n40_a_lost_connection_makes_its_member_inactive_after_the_grace_period() {
    let mut stage = required();
    assert_eq!(stage.at("nextTimer"), "", "a living connection has no timer");
    assert!(stage.lose(&[lost(CONNECTION, &ada())]));
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:30.1230000Z""#, "M-29");
    assert_eq!(stage.at("changeNumber"), "2", "N-40: recording the loss is a change of its own");
    stage.advance(GRACE - 1);
    assert!(stage.is_active(0), "not before its time");
    stage.advance(1);
    assert!(!stage.is_active(0));
    assert_eq!(stage.at("membersInfo.count"), "1", "inactive, and M-21 runs now");
}

#[test]
fn n40_a_loss_is_recorded_once_and_for_those_it_concerns() {
    let mut stage = required();
    assert!(!stage.lose(&[lost(OTHER, &ada())]), "another connection");
    assert!(!stage.lose(&[lost(CONNECTION, &bo())]), "M-33: somebody else's of the same id");
    assert!(stage.lose(&[lost(OTHER, &bo()), lost(CONNECTION, &ada())]));
    stage.advance(10_000);
    assert!(!stage.lose(&[lost(CONNECTION, &ada())]), "the grace period that runs is not begun anew");
    stage.advance(GRACE - 10_000);
    assert!(!stage.is_active(0));
    assert!(!stage.lose(&[lost(CONNECTION, &ada())]), "nobody is active with it any more");
}

#[test]
fn n40_a_timeout_of_zero_removes_in_the_same_step() {
    let mut stage = Stage::with("{}");
    stage.connections = vec![alive(CONNECTION, xuid(&bo()))];
    stage.put(&bo(), &active_on(CONNECTION));
    stage.lose(&[lost(CONNECTION, &bo())]);
    stage.advance(GRACE);
    assert_eq!(stage.at("membersInfo.count"), "1", "M-21 with 0");
    assert_eq!(stage.at("changeNumber"), "4", "one ordinary change");
}

#[test]
fn m31_who_is_ready_becomes_inactive_too() {
    let mut stage = stage("");
    stage.connections = vec![alive(CONNECTION, xuid(&bo()))];
    stage.put(&bo(), &own(&format!(r#"{{"ready":true,"connection":"{CONNECTION}"}}"#)));
    stage.lose(&[lost(CONNECTION, &bo())]);
    stage.advance(GRACE);
    assert_eq!(stage.at("members.1.properties.system.ready"), "");
    assert_eq!(stage.at("membersInfo.count"), "2");
}

#[test]
fn m31_who_is_inactive_has_nothing_to_lose() {
    let mut stage = stage("");
    stage.connections = vec![alive(CONNECTION, xuid(&bo()))];
    stage.put(&bo(), &own(&format!(r#"{{"connection":"{CONNECTION}"}}"#)));
    assert!(!stage.lose(&[lost(CONNECTION, &bo())]));
}

#[test]
fn m34_n41_a_new_connection_within_the_grace_period_ends_it() {
    let mut stage = required();
    stage.lose(&[lost(CONNECTION, &ada())]);
    stage.advance(GRACE - 1);
    stage.connections = vec![alive(OTHER, xuid(&ada()))];
    assert_eq!(stage.put(&ada(), &active_on(OTHER)), 200);
    assert_eq!(stage.at("nextTimer"), "");
    assert_eq!(stage.at("changeNumber"), "3", "N-40: and that is a change too");
    stage.advance(10 * GRACE);
    assert!(stage.is_active(0));
}

#[test]
fn n41_the_old_connection_does_not_revive() {
    let mut stage = required();
    stage.lose(&[lost(CONNECTION, &ada())]);
    stage.advance(GRACE - 1);
    stage.connections[0].alive = false;
    assert_eq!(stage.put(&ada(), &active_on(CONNECTION)), 200);
    assert_eq!(stage.at("changeNumber"), "2", "W-34: it says nothing new");
    stage.advance(1);
    assert!(!stage.is_active(0));
    // And whoever becomes active with it again has the grace period again, for it is alive to write that.
    stage.put(&ada(), &active_on(CONNECTION));
    assert!(stage.is_active(0));
    stage.advance(GRACE);
    assert!(!stage.is_active(0));
}

#[rstest]
#[case(true, true)]
#[case(false, false)]
fn m32_an_unknown_connection_counts_as_lost_only_where_one_is_required(#[case] is_required: bool, #[case] inactive: bool) {
    let mut stage = stage(
        &format!(r#""connectionRequiredForActiveMembers":{is_required}"#)
            .replace(r#""connectionRequiredForActiveMembers":true"#, ""),
    );
    if is_required {
        stage = required();
    }
    assert_eq!(stage.put(&bo(), &active_on(OTHER)), 200, "it is stored");
    assert_eq!(stage.at("members.1.properties.system.connection"), format!("\"{OTHER}\""), "and echoed");
    assert_eq!(stage.at("nextTimer").is_empty(), !inactive);
    stage.advance(GRACE - 1);
    assert!(stage.is_active(1));
    stage.advance(1);
    assert_eq!(stage.is_active(1), !inactive);
}

#[test]
fn n42_a_known_connection_that_is_lost_counts_everywhere() {
    let mut stage = stage("");
    stage.connections = vec![Known { alive: false, ..alive(CONNECTION, xuid(&bo())) }];
    stage.put(&bo(), &active_on(CONNECTION));
    assert!(stage.is_active(1));
    stage.advance(GRACE);
    assert!(!stage.is_active(1), "a write that crossed the loss on its way");
}

#[test]
fn m33_the_connection_of_another_user_is_unknown() {
    let mut stage = stage("");
    stage.connections = vec![Known { alive: false, elsewhere: 10, ..alive(CONNECTION, xuid(&ada())) }];
    assert_eq!(stage.put(&bo(), &active_on(CONNECTION)), 200, "nor does N-36 count somebody else's sessions");
    assert_eq!(stage.at("nextTimer"), "");
    let mut stage = required();
    assert_eq!(stage.put(&bo(), &active_on(CONNECTION)), 200);
    stage.advance(GRACE);
    assert!(stage.is_active(0) && !stage.is_active(1));
}

#[test]
fn m31_a_state_that_is_left_takes_the_grace_period_along() {
    let mut stage = required();
    stage.lose(&[lost(CONNECTION, &ada())]);
    stage.put(&ada(), &own(r#"{"active":false}"#));
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T20:00:00.1230000Z""#, "M-21 alone");
    let mut stage = self::stage("");
    stage.connections = vec![alive(CONNECTION, xuid(&ada()))];
    stage.put(&ada(), &active_on(CONNECTION));
    stage.lose(&[lost(CONNECTION, &ada())]);
    stage.put(&ada(), &own(r#"{"connection":null}"#));
    assert_eq!(stage.at("nextTimer"), "", "who has no connection has none to lose");
}

#[test]
fn m31_a_server_that_makes_a_member_active_does_not_make_its_connection_alive() {
    let mut stage = required();
    stage.put(&ada(), &own(r#"{"active":false}"#));
    stage.connections[0].alive = false;
    assert_eq!(stage.put(&server(), r#"{"members":{"0":{"properties":{"system":{"active":true}}}}}"#), 200);
    stage.advance(GRACE);
    assert!(!stage.is_active(0));
}

#[test]
fn n36_w81_a_connection_is_registered_in_ten_sessions_at_most() {
    let mut stage = stage("");
    stage.connections = vec![Known { elsewhere: 9, ..alive(CONNECTION, xuid(&bo())) }];
    assert_eq!(stage.put(&bo(), &active_on(CONNECTION)), 200, "the tenth");
    stage.connections[0].elsewhere = 10;
    assert_eq!(stage.put(&bo(), &active_on(CONNECTION)), 200, "what is registered stays");
    stage.connections.push(Known { elsewhere: 10, ..alive(OTHER, xuid(&bo())) });
    let refused = stage.put(&bo(), &own(&format!(r#"{{"connection":"{OTHER}"}}"#)));
    assert_eq!(refused, 409);
    assert_eq!(
        stage.put(&bo(), &own(&format!(r#"{{"connection":"{}"}}"#, OTHER.replace("9e2d", "0000")))),
        200,
        "M-32: an unknown one never is refused"
    );
}

/// The subscriptions of the session, by the member's index, subscription and whether a change of host fires it.
fn heard(stage: &Stage) -> Vec<(u32, String, bool)> {
    let host = Kinds(1);
    listeners(stage.session())
        .iter()
        .map(|one: &Listener| (one.index, one.subscription.to_string(), one.wants.fires(host)))
        .collect()
}

#[rstest]
#[case(r#""subscription":{"id":"S-1","changeTypes":["everything"]}"#, &[("S-1", true)])]
#[case(r#""subscription":{"id":"S-1","changeTypes":["HOST","unheardOf"]}"#, &[("S-1", true)])]
#[case(r#""subscription":{"id":"S-1","changeTypes":["membersList"]}"#, &[("S-1", false)])]
#[case(r#""subscription":{"id":"S-1","changeTypes":["unheardOf"]}"#, &[])]
#[case(r#""subscription":{"id":"S-1","changeTypes":[]}"#, &[])]
#[case(r#""subscription":{"id":"S-1"}"#, &[])]
#[case(r#""subscriptions":{"8c1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01":{"profile":"party"}}"#, &[("8c1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01", false)])]
fn n31_n37_n38_who_listens_to_what(#[case] fields: &str, #[case] expected: &[(&str, bool)]) {
    let mut stage = stage("");
    let body = own(&format!(
        r#"{{"active":true,"connection":"{CONNECTION}",{}}}"#,
        fields.replace("S-1", "6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01")
    ));
    assert_eq!(stage.put(&bo(), &body), 200);
    let expected: Vec<_> =
        expected.iter().map(|(id, host)| (1, id.replace("S-1", "6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01"), *host)).collect();
    assert_eq!(heard(&stage), expected);
    stage.put(&bo(), &own(r#"{"active":false}"#));
    assert_eq!(heard(&stage), [], "N-25: only active members listen");
}

#[test]
fn n31_n34_taps_need_a_connection_and_a_subscription() {
    let mut stage = stage("");
    let subscription = r#""subscription":{"id":"6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01","changeTypes":["everything"]}"#;
    assert_eq!(stage.put(&bo(), &own(&format!(r#"{{"active":true,{subscription}}}"#))), 200, "stored");
    assert_eq!(heard(&stage), []);
    stage.put(&bo(), &own(&format!(r#"{{"connection":"{CONNECTION}"}}"#)));
    assert_eq!(heard(&stage).len(), 1, "N-32: whichever came first");
    stage.put(&bo(), &own(r#"{"subscription":null}"#));
    assert_eq!(heard(&stage), []);
    assert_eq!(stage.at("members.1.properties.system.connection"), format!("\"{CONNECTION}\""), "N-34: still registered");
}

#[test]
fn n39_who_only_registers_is_not_tapped_for_it() {
    let mut stage = required();
    stage.connections.push(alive(OTHER, xuid(&ada())));
    let mut exempt_of = |body: &str| {
        let before = stage.record.clone();
        assert_eq!(stage.put(&ada(), &own(body)), 200);
        let change = change::between(&before, &stage.record);
        (change.kinds, change.exempt)
    };
    let subscription = r#""subscription":{"id":"6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01","changeTypes":["everything"]}"#;
    assert_eq!(exempt_of(&format!("{{{subscription}}}")), (Kinds(0), Some(0)));
    assert_eq!(exempt_of(&format!(r#"{{"connection":"{OTHER}"}}"#)), (Kinds(0), Some(0)));
    assert_eq!(exempt_of(&format!(r#"{{"connection":"{CONNECTION}","groups":["red"]}}"#)), (Kinds(0), None), "it did more");
    assert_eq!(exempt_of(r#"{"active":false,"subscription":null}"#).1, None);
}

#[test]
fn n40_recording_a_loss_is_of_no_kind_and_exempts_nobody() {
    let mut stage = required();
    let before = stage.record.clone();
    stage.lose(&[lost(CONNECTION, &ada())]);
    let change = change::between(&before, &stage.record);
    assert_eq!((change.kinds, change.exempt), (Kinds(0), None), "only everything is tapped");
}

#[test]
fn n56_who_left_is_told_with_its_subscriptions() {
    let mut stage = required();
    let body = own(&format!(
        r#"{{"subscription":{{"id":"6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01","changeTypes":["host"]}},"connection":"{CONNECTION}"}}"#
    ));
    stage.put(&ada(), &body);
    let before = stage.record.clone();
    let change = change::between(&before, &None);
    let told = crate::wire::departed::render(&change.departed).expect("somebody left");
    let read = crate::wire::departed::listeners(&told).expect("what is rendered can be read");
    let who: Vec<_> =
        read.iter().map(|one| (one.index, one.xuid, one.connection.to_string(), one.subscription.to_string())).collect();
    assert_eq!(who, [(0, xuid(&ada()), CONNECTION.to_owned(), "6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01".to_owned())]);
}

#[test]
fn n40_the_time_to_come_back_is_kept_with_the_session() {
    let mut stage = required();
    stage.lose(&[lost(CONNECTION, &ada())]);
    let texts = crate::wire::stored::render(stage.session());
    let read = crate::wire::stored::read(&stage.session().reference, &texts.body, &texts.private).expect("it can be read");
    assert_eq!(read, *stage.session());
}
