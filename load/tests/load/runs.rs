//! Every scenario against a service that runs: nothing goes wrong, nothing is lost, and everything it is about takes place.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::service::service;
use crate::tool::{Ended, Tool};

/// A short run that must not see a single error; what each of these requests must have been made.
#[track_caller]
fn works(arguments: &str, requests: &[&str]) -> Ended {
    let arguments = format!("{arguments} --duration 3s --threshold errors<0.0001% --threshold count>20");
    let ended = Tool::against(service(), &arguments).run().expect(0);
    for request in requests {
        assert!(ended.count(request) > 0, "{request} was not made:\n{}", ended.said);
    }
    assert!(ended.number("/acknowledged/checked") > 0.0, "{}", ended.said);
    assert_eq!((ended.number("/acknowledged/lost"), ended.number("/acknowledged/unread")), (0.0, 0.0));
    assert_eq!(ended.report["passed"], true);
    ended
}

#[test]
fn lobby_churn() {
    works("--scenario lobby-churn --users 6", &["create", "activity", "join by activity", "update", "read", "leave"]);
}

#[test]
fn browse_storm() {
    let searches = ["search", "search, one tag", "query by keyword", "query by user", "query ten users", "read by handle"];
    works("--scenario browse-storm --users 8", &searches);
}

#[test]
fn invite_wave() {
    let ended = works("--scenario invite-wave --users 6", &["connect", "invite", "inbox", "follow invite", "discard invite"]);
    assert!(ended.number("/taps/count") > 0.0 && ended.number("/taps/missed") == 0.0, "{}", ended.said);
}

#[test]
fn join_storm() {
    works("--scenario join-storm --users 10", &["join", "leave"]);
}

#[test]
fn join_storm_on_a_large_session() {
    works("--scenario join-storm --large --users 10", &["join", "leave"]);
}

#[test]
fn reconnect_stampede() {
    let ended = works("--scenario reconnect-stampede --users 12 --threshold missed<0.001%", &["back", "all back", "update"]);
    assert_eq!(ended.count("back"), 12 * ended.count("all back"), "everybody comes back every time:\n{}", ended.said);
    assert!(ended.number("/taps/count") >= 24.0, "{}", ended.said);
}

#[test]
fn mixed() {
    works("--scenario mixed --users 12 --ramp-up 500ms", &["create", "create listed", "invite", "join", "register"]);
}

#[test]
fn a_schedule_is_kept_and_measured_from() {
    let ended = works("--scenario join-storm --users 5 --rate 40", &["join"]);
    let count = ended.number("/totals/count");
    assert!((100.0..=121.0).contains(&count), "{count} requests in 3 s at 40 per second");
}

#[test]
fn users_are_spread_over_targets() {
    let service = service();
    let ended = works(&format!("--scenario lobby-churn --users 4 --target {}/", service.base), &["create"]);
    assert_eq!(ended.report["run"]["targets"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_threshold_that_does_not_hold_gives_3() {
    let arguments = "--scenario join-storm --users 2 --duration 1s --threshold p99[join]<0ms --threshold errors<100%";
    let ended = Tool::against(service(), arguments).run().expect(3);
    let verdicts = [0, 1, 2].map(|number| ended.report["thresholds"][number]["holds"].as_bool());
    assert_eq!(verdicts, [Some(true), Some(false), Some(true)]);
    assert!(ended.said.contains("FAILS  p99[join]<0ms"), "{}", ended.said);
}

#[test]
fn whoever_ends_a_run_gets_a_report() {
    for scenario in ["lobby-churn", "reconnect-stampede"] {
        let arguments = format!("--scenario {scenario} --users 4 --duration 5m --progress 100ms");
        let mut tool = Tool::against(service(), &arguments);
        let mut child = tool.command.spawn().expect("the program is built with its tests");
        // The first line of progress tells that the load has begun.
        let mut heard = Vec::new();
        let stderr = child.stderr.as_mut().expect("it is piped");
        while !String::from_utf8_lossy(&heard).contains("requests/s") {
            let mut byte = [0];
            std::io::Read::read_exact(stderr, &mut byte).expect("it tells how it goes");
            heard.push(byte[0]);
        }
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("it is our child");
        let output = child.wait_with_output().expect("it ends");
        let ended = tool.ended(&output).expect(0);
        assert_eq!(ended.report["run"]["interrupted"], true, "{scenario}");
        assert!(ended.number("/run/lasted_s") < Duration::from_mins(1).as_secs_f64());
        assert!(ended.number("/acknowledged/checked") > 0.0);
    }
}
