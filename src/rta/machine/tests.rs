//! One rule after another, by name.

use chrono::{DateTime, TimeDelta, Utc};
use rstest::rstest;
use uuid::Uuid;

use super::*;
use crate::domain::names::Branch;
use crate::notify::{Invite, Tap};

const ME: Xuid = Xuid(2_533_274_790_000_001);
const CONNECTIONS: &str = "https://sessiondirectory.xboxlive.com/connections/";

fn start() -> DateTime<Utc> {
    "2031-04-05T18:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(seconds)
}

fn machine() -> Machine {
    let terms = Terms {
        tick: TimeDelta::seconds(5),
        ping_interval: TimeDelta::seconds(10),
        idle: TimeDelta::seconds(20),
        ends_at: after(7200),
        token_until: after(8 * 3600),
        subscriptions_max: 1000,
    };
    Machine::new(ME, terms, start())
}

fn id(number: u128) -> ConnectionId {
    ConnectionId(Uuid::from_u128(number))
}

fn open(machine: &mut Machine, number: u128) -> Vec<Act> {
    machine.on_opened::<()>(Ok(id(number)))
}

fn connected(number: u128) -> Machine {
    let mut machine = machine();
    assert_eq!(subscribe(&mut machine, 1, CONNECTIONS), [Act::Open]);
    assert_eq!(open(&mut machine, number), [told(1, 1, number)]);
    machine
}

/// At the start.
fn say(machine: &mut Machine, text: &str) -> Vec<Act> {
    machine.on_text(text, start())
}

fn subscribe(machine: &mut Machine, seq: u32, uri: &str) -> Vec<Act> {
    say(machine, &format!("[1,{seq},{}]", Json::from(uri)))
}

fn subscribe_at(machine: &mut Machine, seconds: i64, seq: u32, uri: &str) -> Vec<Act> {
    machine.on_text(&format!("[1,{seq},{}]", Json::from(uri)), after(seconds))
}

fn unsubscribe(machine: &mut Machine, seq: u32, id: u32) -> Vec<Act> {
    say(machine, &format!("[2,{seq},{id}]"))
}

fn invites(xuid: Xuid, title: u32) -> String {
    format!("https://notify.xboxlive.com/users/xuid({xuid})/deviceId/current/titleId/{title}")
}

fn send(text: impl Into<String>) -> Act {
    Act::Send(text.into())
}

/// The answer to a subscription of the connection.
fn told(seq: u32, sub: u32, connection: u128) -> Act {
    send(format!(r#"[1,{seq},0,{sub},{{"ConnectionId":"{}"}}]"#, id(connection)))
}

fn refused(seq: u32, code: u32) -> String {
    format!("[1,{seq},{code},\"")
}

#[track_caller]
fn assert_refused(acts: &[Act], seq: u32, code: u32) {
    let [Act::Send(text)] = acts else { panic!("{acts:?}") };
    assert!(text.starts_with(&refused(seq, code)), "{text}");
}

/// What a parcel comes to, events as the frames they are sent in.
fn hears(machine: &mut Machine, parcel: &Parcel) -> Vec<Act> {
    let sent = |act| if let Act::Event(id, data) = act { Act::Send(rta::event(id, &data)) } else { act };
    machine.on_parcel(parcel).into_iter().map(sent).collect()
}

#[track_caller]
fn assert_closed(acts: &[Act], code: u16, says: &str) {
    let [.., Act::Close { code: actual, reason }] = acts else { panic!("{acts:?}") };
    assert_eq!(*actual, code);
    assert!(reason.contains(says) && reason.len() <= 123, "{reason}");
}

fn tap(number: u64) -> Tap {
    Tap {
        at: start(),
        subscription: "s".into(),
        resource: "a~b~c".into(),
        sid: Uuid::from_u128(1),
        branch: Branch(Uuid::from_u128(2)),
        change_number: number,
    }
}

fn taps(numbers: &[u64]) -> Parcel {
    Parcel { taps: numbers.iter().copied().map(tap).collect(), ..Parcel::default() }
}

fn invite(title: u32, document: &str) -> Invite {
    Invite { title_id: TitleId(title), document: document.into() }
}

#[test]
fn n05_n06_n21_the_connection_is_made_and_told() {
    let mut machine = machine();
    assert_eq!(say(&mut machine, &format!(r#"[1,7,"{CONNECTIONS}"]"#)), [Act::Open]);
    assert_eq!(open(&mut machine, 0xAB), [send(r#"[1,7,0,1,{"ConnectionId":"00000000-0000-0000-0000-0000000000ab"}]"#)]);
}

#[rstest]
#[case("nonsense")]
#[case("{}")]
#[case(r#"[9,1,"x"]"#)]
#[case("[1,1]")]
fn n04_other_frames_are_ignored(#[case] text: &str) {
    assert_eq!(say(&mut connected(1), text), []);
}

#[rstest]
#[case("0")]
#[case("4294967295")]
#[case("1.0")]
#[case("-1")]
fn n12_n66_sequence_numbers_keep_their_spelling(#[case] seq: &str) {
    let mut machine = connected(1);
    let [Act::Send(text)] = &say(&mut machine, &format!(r#"[1,{seq},"{CONNECTIONS}"]"#))[..] else { panic!("no answer") };
    assert!(text.starts_with(&format!("[1,{seq},0,2,")), "{text}");
    assert_eq!(say(&mut machine, &format!("[2,{seq},2]")), [send(format!("[2,{seq},0]"))]);
}

#[test]
fn n08_n09_unsubscribing_is_answered_once() {
    let mut machine = connected(1);
    assert_eq!(unsubscribe(&mut machine, 5, 9), [send("[2,5,1]")]);
    assert_eq!(say(&mut machine, "[2,5,-1]"), [send("[2,5,1]")]);
    assert_eq!(unsubscribe(&mut machine, 6, 1), [send("[2,6,0]"), Act::Lose(id(1))]);
    assert_eq!(unsubscribe(&mut machine, 7, 1), [send("[2,7,1]")]);
}

#[test]
fn n13_ids_of_subscriptions_are_positive_and_free() {
    let mut machine = connected(1);
    machine.last_id = LAST_ID - 1;
    assert_eq!(subscribe(&mut machine, 2, CONNECTIONS), [told(2, LAST_ID, 1)]);
    assert_eq!(subscribe(&mut machine, 3, CONNECTIONS), [told(3, 2, 1)], "1 is taken, 0 is none");
}

#[test]
fn n14_events_come_between_the_answers() {
    let mut machine = machine();
    subscribe(&mut machine, 1, CONNECTIONS);
    assert_eq!(hears(&mut machine, &taps(&[1])), [], "not before the subscription is answered");
    open(&mut machine, 1);
    assert_eq!(hears(&mut machine, &taps(&[2])).len(), 1);
    unsubscribe(&mut machine, 2, 1);
    assert_eq!(hears(&mut machine, &taps(&[3])), [], "not after the end of it is answered");
}

#[test]
fn n10_n51_taps_of_a_parcel_share_a_frame() {
    let acts = hears(&mut connected(0xC), &taps(&[7, 8]));
    let [Act::Send(text)] = &acts[..] else { panic!("{acts:?}") };
    assert!(text.starts_with(r#"[3,1,{"ncid":"00000000-0000-0000-0000-00000000000c","shoulderTaps":[{"#), "{text}");
    assert!(text.contains(r#""changeNumber":7},{"#) && text.ends_with(r#""changeNumber":8}]}]"#), "{text}");
}

#[test]
fn n55_many_taps_come_in_several_frames() {
    let acts = hears(&mut connected(0xC), &taps(&(1..=256).collect::<Vec<_>>()));
    assert!(acts.len() > 1);
    for act in &acts {
        let Act::Send(text) = act else { panic!("{act:?}") };
        assert!(text.starts_with(r#"[3,1,{"ncid":"#) && text.len() < 17_000, "{}", text.len());
    }
}

#[test]
fn n16_two_subscriptions_have_the_same_connection_and_hear_the_same() {
    let mut machine = connected(1);
    assert_eq!(subscribe(&mut machine, 2, CONNECTIONS), [told(2, 2, 1)]);
    let acts = hears(&mut machine, &taps(&[1]));
    let [Act::Send(one), Act::Send(two)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(one.strip_prefix("[3,1,"), two.strip_prefix("[3,2,"));
    assert_eq!(unsubscribe(&mut machine, 3, 1), [send("[2,3,0]")], "the other one still holds the connection");
    assert_eq!(hears(&mut machine, &taps(&[2])).len(), 1);
}

#[test]
fn n16_all_who_wait_for_the_connection_are_answered() {
    let mut machine = machine();
    assert_eq!(subscribe(&mut machine, 1, CONNECTIONS), [Act::Open]);
    assert_eq!(subscribe(&mut machine, 2, CONNECTIONS), []);
    assert_eq!(open(&mut machine, 1), [told(1, 1, 1), told(2, 2, 1)]);
}

#[test]
fn n17_there_may_be_so_many_subscriptions() {
    let mut machine = machine();
    machine.terms.subscriptions_max = 10;
    subscribe(&mut machine, 1, CONNECTIONS);
    for seq in 2..10 {
        assert_eq!(subscribe(&mut machine, seq, CONNECTIONS), []);
    }
    subscribe(&mut machine, 10, &invites(ME, 7));
    assert_refused(&subscribe(&mut machine, 11, CONNECTIONS), 11, 2);
    assert_eq!(open(&mut machine, 1).len(), 9);
    assert_refused(&subscribe(&mut machine, 12, &invites(ME, 7)), 12, 2);
    assert_refused(&subscribe(&mut machine, 13, "https://a/b"), 13, 1);
    unsubscribe(&mut machine, 1, 5);
    assert_eq!(subscribe(&mut machine, 14, CONNECTIONS), [told(14, 11, 1)]);
}

#[test]
fn n17_there_may_be_invites_of_sixteen_titles() {
    let mut machine = machine();
    for title in 1..=16 {
        assert_eq!(subscribe(&mut machine, title, &invites(ME, title)).len(), 2);
    }
    assert_refused(&subscribe(&mut machine, 17, &invites(ME, 17)), 17, 2);
    assert_eq!(subscribe(&mut machine, 18, &invites(ME, 16)).len(), 1, "one that is heard already");
    assert_eq!(unsubscribe(&mut machine, 19, 3)[1], Act::Mute(TitleId(3)));
    assert_eq!(subscribe(&mut machine, 20, &invites(ME, 17)).len(), 2);
}

#[test]
fn n15_n23_other_resources_are_unknown_and_cost_nothing() {
    let mut machine = machine();
    assert_refused(&subscribe(&mut machine, 3, "https://userpresence.xboxlive.com/users/xuid(1)/devices"), 3, 1);
    assert_refused(&subscribe(&mut machine, 4, ""), 4, 1);
    assert_eq!(subscribe(&mut machine, 5, CONNECTIONS), [Act::Open]);
}

#[test]
fn n22_n24_a_connection_ends_with_its_last_subscription_and_never_revives() {
    let mut machine = connected(1);
    assert_eq!(unsubscribe(&mut machine, 2, 1), [send("[2,2,0]"), Act::Lose(id(1))]);
    assert_eq!(subscribe_at(&mut machine, 1, 3, CONNECTIONS), [Act::Open]);
    assert_eq!(open(&mut machine, 2), [told(3, 2, 2)]);
}

#[test]
fn n15_n67_connection_ids_are_made_in_so_quick_succession() {
    let mut machine = connected(1);
    let mut seq = 2;
    let mut again = |machine: &mut Machine, seconds: i64| {
        let last = machine.subscriptions.last().map_or(0, |(id, _)| *id);
        unsubscribe(machine, seq, last);
        seq += 2;
        let acts = subscribe_at(machine, seconds, seq - 1, CONNECTIONS);
        if acts == [Act::Open] {
            open(machine, 1);
            return true;
        }
        assert_refused(&acts, seq - 1, 1001);
        false
    };
    assert_eq!((0..20).filter(|_| again(&mut machine, 0)).count(), 15, "the first one counts");
    assert_eq!(subscribe(&mut machine, 100, &invites(ME, 7)).len(), 2, "other resources are served");
    let invited = machine.subscriptions[0].0;
    unsubscribe(&mut machine, 101, invited);
    assert_eq!((0..20).filter(|_| again(&mut machine, 2)).count(), 2, "one more with every second");
    assert_eq!((0..20).filter(|_| again(&mut machine, -100)).count(), 0, "nor does a clock that is set back give any");
    assert_eq!((0..20).filter(|_| again(&mut machine, 1000)).count(), 16);
}

#[test]
fn n67_a_connection_that_cannot_be_made_is_1002_and_asked_for_again() {
    let mut machine = machine();
    subscribe(&mut machine, 1, CONNECTIONS);
    subscribe(&mut machine, 2, CONNECTIONS);
    let acts = machine.on_opened(Err(()));
    assert_eq!(acts.len(), 2);
    assert_refused(&acts[..1], 1, 1002);
    assert_refused(&acts[1..], 2, 1002);
    assert_eq!(subscribe(&mut machine, 3, CONNECTIONS), [Act::Open]);
}

#[test]
fn n22_a_connection_that_nobody_waits_for_ends() {
    assert_eq!(open(&mut machine(), 9), [Act::Lose(id(9))]);
    let mut machine = connected(1);
    assert_eq!(open(&mut machine, 9), [Act::Lose(id(9))]);
    assert_eq!(machine.on_opened(Err(())), []);
    assert_eq!(subscribe(&mut machine, 2, CONNECTIONS), [told(2, 2, 1)]);
}

#[test]
fn n60_invites_are_heard_for_a_title_of_ones_own() {
    let mut machine = machine();
    assert_refused(&subscribe(&mut machine, 1, &invites(Xuid(1), 7)), 1, 1);
    assert_eq!(subscribe(&mut machine, 2, &invites(ME, 7)), [Act::Hear(TitleId(7)), send("[1,2,0,1,{}]")]);
    assert_eq!(subscribe(&mut machine, 3, &invites(ME, 7)), [send("[1,3,0,2,{}]")]);
    assert_eq!(subscribe(&mut machine, 4, &invites(ME, 8)), [Act::Hear(TitleId(8)), send("[1,4,0,3,{}]")]);
    let parcel = Parcel { invites: vec![invite(7, r#"{"id":1}"#), invite(9, "{}")], ..Parcel::default() };
    let event = r#"{"inviteHandle":{"id":1}}]"#;
    assert_eq!(hears(&mut machine, &parcel), [send(format!("[3,1,{event}")), send(format!("[3,2,{event}"))]);
    assert_eq!(unsubscribe(&mut machine, 5, 1), [send("[2,5,0]")]);
    assert_eq!(unsubscribe(&mut machine, 6, 2), [send("[2,6,0]"), Act::Mute(TitleId(7))]);
    assert_eq!(hears(&mut machine, &parcel), []);
}

#[test]
fn n11_n44_what_was_lost_is_told() {
    let lost = Parcel { lost: true, ..taps(&[1]) };
    let acts = hears(&mut connected(1), &lost);
    assert_eq!((acts.len(), &acts[1]), (2, &send("[4]")));
    assert_eq!(machine().on_parcel(&lost), [], "nobody listened");
}

#[rstest]
#[case(Farewell::Ending, 1001, "ending")]
#[case(Farewell::Forgotten, 1001, "lease")]
#[case(Farewell::Banned, 1008, "banned")]
fn the_last_parcel_closes_the_socket(#[case] farewell: Farewell, #[case] code: u16, #[case] says: &str) {
    let mut machine = connected(1);
    let acts = hears(&mut machine, &Parcel { farewell: Some(farewell), ..taps(&[1]) });
    assert_eq!(acts.len(), 2, "what waited is still told");
    assert_closed(&acts, code, says);
    assert_eq!(hears(&mut machine, &taps(&[2])), []);
    assert_eq!(subscribe(&mut machine, 2, CONNECTIONS), []);
    assert_eq!(machine.on_tick(after(100_000)), []);
}

#[test]
fn n24_a_connection_that_comes_too_late_ends() {
    let mut machine = machine();
    subscribe(&mut machine, 1, CONNECTIONS);
    hears(&mut machine, &Parcel { farewell: Some(Farewell::Ending), ..Parcel::default() });
    assert_eq!(open(&mut machine, 1), [Act::Lose(id(1))]);
}

#[test]
fn n18_a_socket_lives_for_two_hours() {
    let mut machine = connected(1);
    machine.on_frame();
    assert_eq!(machine.on_tick(after(7199)), []);
    machine.on_frame();
    assert_closed(&machine.on_tick(after(7200)), 1001, "long enough");
}

#[test]
fn n18_a_socket_ends_with_its_token() {
    let mut machine = machine();
    machine.terms.token_until = after(60);
    assert_eq!(machine.on_tick(after(59)), []);
    assert_closed(&machine.on_tick(after(60)), 1001, "token");
}

#[test]
fn n19_pings_every_ten_seconds() {
    let mut machine = machine();
    let mut pings = Vec::new();
    for second in (5..=60).step_by(5) {
        machine.on_frame();
        if machine.on_tick(after(second)) == [Act::Ping] {
            pings.push(second);
        }
    }
    assert_eq!(pings, [10, 20, 30, 40, 50, 60]);
}

#[test]
fn n19_a_tick_that_is_a_little_early_still_pings() {
    let mut machine = machine();
    let mut at = start();
    let mut pings = 0;
    for _ in 0..6 {
        at += TimeDelta::milliseconds(4999);
        machine.on_frame();
        pings += machine.on_tick(at).len();
    }
    assert_eq!(pings, 3);
}

#[test]
fn n19_silence_of_twenty_seconds_ends_the_socket() {
    let mut machine = machine();
    machine.on_frame();
    for second in [5, 10, 15, 20] {
        assert!(!matches!(machine.on_tick(after(second))[..], [Act::Drop]), "after {second}");
    }
    assert_eq!(machine.on_tick(after(25)), [Act::Drop], "without a close frame");
    assert_eq!(machine.on_tick(after(7200)), []);
    assert_eq!(hears(&mut machine, &taps(&[1])), []);
}

#[test]
fn n19_any_frame_is_a_sign_of_life() {
    let mut machine = machine();
    for second in (5..=300).step_by(5) {
        if second % 20 == 0 {
            say(&mut machine, "nonsense");
        }
        assert!(!matches!(machine.on_tick(after(second))[..], [Act::Drop]), "after {second}");
    }
}

/// Frames of a client that sent all the time wait in the kernel until the process runs again.
#[test]
fn n19_a_process_that_stood_still_blames_nobody() {
    let mut machine = machine();
    machine.on_frame();
    machine.on_tick(after(5));
    assert_eq!(machine.on_tick(after(30)), [Act::Ping], "25 seconds count as 6");
    machine.on_frame();
    assert_eq!(machine.on_tick(after(35)), []);
    for second in [40, 45, 50] {
        machine.on_tick(after(second));
    }
    assert_eq!(machine.on_tick(after(55)), [Act::Drop]);
}

#[test]
fn n19_a_clock_that_is_set_back_harms_nobody() {
    let mut machine = machine();
    machine.on_tick(after(5));
    assert_eq!(machine.on_tick(after(-1000)), []);
    assert_eq!(machine.on_tick(after(-995)), [Act::Ping]);
}
