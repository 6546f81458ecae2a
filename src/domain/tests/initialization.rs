//! Episodes: who belongs to them, their stages, who fails and why (members.md, Initialization).

use rstest::rstest;

use super::*;

/// The device address of a player, by number, and the token that is its hash (S-62).
fn address(number: usize) -> String {
    format!("AAAAAAAA{number:032x}")
}

fn token(number: usize) -> String {
    let mut stage = Stage::of(LOBBY);
    let body = format!(r#"{{"active":true,"connection":"{CONNECTION}","secureDeviceAddress":"{}"}}"#, address(number));
    assert_eq!(stage.put(&ada(), &own(&body)), 201);
    stage.session().members[0].device_token().expect("an address has a token")
}

/// Comes with an address, to be initialized.
fn comes(number: usize) -> String {
    format!(
        r#"{{"members":{{"me":{{"constants":{{"system":{{"initialize":true}}}},
        "properties":{{"system":{{"active":true,"secureDeviceAddress":"{}"}}}}}}}}}}"#,
        address(number)
    )
}

/// Uploads what it measured: per other player latency, bandwidth down and up.
fn measures(of: &[(usize, u64, u64, u64)]) -> String {
    let entries = of.iter().map(|(other, latency, down, up)| {
        format!(r#""{}":{{"latency":{latency},"bandwidthDown":{down},"bandwidthUp":{up}}}"#, token(*other).to_uppercase())
    });
    own(&format!(r#"{{"measurements":{{{}}}}}"#, entries.collect::<Vec<_>>().join(",")))
}

/// Reserves slots for players that are to be initialized.
fn expects(who: &[&Principal]) -> String {
    let entry = |(n, who): (usize, &&Principal)| {
        let xuid = who.xuid().unwrap();
        format!(r#""reserve_{n}":{{"constants":{{"system":{{"xuid":"{xuid}","initialize":"true"}}}}}}"#)
    };
    who.iter().enumerate().map(entry).collect::<Vec<_>>().join(",")
}

/// A create request of Ada, with address 1, and reservations for others.
fn creates(who: &[&Principal]) -> String {
    let mut members = vec![comes(1).trim_start_matches(r#"{"members":{"#).trim_end_matches('}').to_owned() + "}}}"];
    if !who.is_empty() {
        members.push(expects(who));
    }
    format!(r#"{{"members":{{{}}}}}"#, members.join(","))
}

/// A template with these members of `memberInitialization` and further constants.
fn template(initialization: &str, rest: &str) -> Stage {
    Stage::of(&format!(
        r#"{{"constants":{{"system":{{"reservedRemovalTimeout":60000,"readyRemovalTimeout":60000,"inactiveRemovalTimeout":60000,
        "capabilities":{{"connectivity":true}},"memberInitialization":{initialization}{rest}}}}}}}"#
    ))
}

const TO_HOST: &str = r#","peerToHostRequirements":{"latencyMaximum":100,"bandwidthDownMinimum":50,"bandwidthUpMinimum":20}"#;
const TO_PEERS: &str = r#","peerToPeerRequirements":{"latencyMaximum":100,"bandwidthMinimum":50}"#;

fn stage_of(stage: &mut Stage) -> String {
    stage.at("initializing.stage").trim_matches('"').to_owned()
}

#[test]
fn m50_defaults_follow_the_version_of_the_template() {
    let mut stage = template("{}", "");
    assert_eq!(stage.put(&ada(), &creates(&[])), 201);
    assert_eq!(
        stage.get().get("constants").and_then(|bag| bag.get("system")?.get("memberInitialization")),
        Some(&json(
            r#"{"joinTimeout":10000,"measurementTimeout":30000,"evaluationTimeout":5000,"externalEvaluation":false,"membersNeededToStart":1}"#
        )),
        "T-41"
    );
    let mut stage = Stage::of(r#"{"contractVersion":105,"constants":{"system":{"managedInitialization":{}}}}"#);
    assert_eq!(stage.put(&ada(), &creates(&[]).replace(&address(1), "")), 400, "two are needed");
    assert_eq!(stage.put(&ada(), &creates(&[&bo()]).replace(&address(1), "")), 201);
    assert_eq!(
        stage.get().get("constants").and_then(|bag| bag.get("system")?.get("memberInitialization")),
        Some(&json(
            r#"{"joinTimeout":5000,"measurementTimeout":5000,"evaluationTimeout":5000,"externalEvaluation":true,"membersNeededToStart":2}"#
        ))
    );
}

#[rstest]
#[case::too_few(2, &[], 400)]
#[case::enough(2, &[1], 201)]
#[case::none_needed(0, &[], 201)]
fn m52_w23_a_create_request_brings_enough_members(#[case] needed: u32, #[case] others: &[u64], #[case] status: u16) {
    let mut stage = template(&format!(r#"{{"membersNeededToStart":{needed}}}"#), "");
    let others: Vec<Principal> = others.iter().map(|_| bo()).collect();
    let answer = stage.put(&ada(), &creates(&others.iter().collect::<Vec<_>>()));
    assert_eq!(answer, status);
    assert!(status == 201 || answer.text().contains('2'), "it names the number: {answer:?}");
}

#[test]
fn m52_with_nobody_needed_the_first_episode_is_skipped() {
    let mut stage = template(r#"{"membersNeededToStart":0}"#, "");
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    assert_eq!(stage_of(&mut stage), "");
    assert_eq!(stage.put(&bo(), &reserves(&cy()).replace(r#"{"members":{"#, r#"{"members":{"me":{},"#)), 200);
    assert_eq!(stage.put(&ada(), &format!(r#"{{"members":{{{}}}}}"#, expects(&[&dee()]))), 200);
    assert_eq!(stage.at("initializing.episode"), "2");
}

#[test]
fn m54_a_lone_creator_without_metrics_passes_at_once() {
    let mut stage = template("{}", "");
    assert_eq!(stage.put(&ada(), &creates(&[])), 201);
    assert_eq!((stage_of(&mut stage), stage.at("members.0.initializationEpisode")), (String::new(), String::new()));
    assert_eq!(stage.at("members.0.constants.system.initialize"), "true");
    let mut stage = Stage::of(OPEN);
    assert_eq!(
        stage.put(
            &ada(),
            r#"{"members":{"me":{"constants":{"system":{"initialize":true}},"properties":{"system":{"active":true}}}}}"#
        ),
        201
    );
    assert_eq!(stage.at("members.0.initializationEpisode"), "", "S-70: ignored without memberInitialization");
}

#[test]
fn m51_m53_m55_an_episode_waits_for_its_reservations() {
    let mut stage = template(r#"{"membersNeededToStart":2}"#, "");
    assert_eq!(stage.put(&ada(), &creates(&[&bo(), &cy()])), 201);
    assert_eq!(stage.at("initializing"), r#"{"stage":"joining","stageStartTime":"2031-04-05T18:00:00.1230000Z","episode":1}"#);
    assert_eq!(stage.at("members.1.initializationEpisode"), "1");
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:10.1230000Z""#, "M-53: joinTimeout, not reservedRemovalTimeout");
    stage.advance(9_999);
    assert_eq!(stage.put(&bo(), &own(r#"{"ready":true}"#)), 200);
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:10.1230000Z""#, "M-53: nor the ready timeout");
    stage.advance(1);
    assert_eq!(stage.at("membersInfo.count"), "2", "M-55: who did not come is removed");
    assert_eq!(stage_of(&mut stage), "", "two are left, nothing is to be measured");
    assert_eq!(stage.at("members.1.initializationEpisode"), "", "M-51: it disappears");
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:01:10.1230000Z""#, "the ready timeout begins now (M-25)");
}

#[test]
fn m58_the_first_episode_fails_for_good() {
    let mut stage = template(r#"{"membersNeededToStart":3}"#, "");
    assert_eq!(stage.put(&ada(), &creates(&[&bo(), &cy()])), 201);
    assert_eq!(stage.put(&bo(), &comes(2)), 200);
    assert_eq!(stage.put(&ada(), &format!(r#"{{"members":{{{}}}}}"#, expects(&[&dee()]))), 200);
    assert_eq!(stage.at("members.3.initializationEpisode"), "2", "M-51: waits for the next");
    stage.advance(10_000);
    assert_eq!(stage.at("initializing"), r#"{"stage":"failed","stageStartTime":"2031-04-05T18:00:10.1230000Z","episode":1}"#);
    for index in [0, 1] {
        assert_eq!(stage.at(&format!("members.{index}.initializationFailure")), r#""episode""#, "M-65");
    }
    assert_eq!(stage.at("members.3.initializationEpisode"), "", "no later episode runs");
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:01:10.1230000Z""#, "its reservation ends like any other");
    assert_eq!(stage.put(&cy(), &comes(3)), 200);
    assert_eq!(stage.at("members.4.initializationEpisode"), "");
    assert_eq!(stage_of(&mut stage), "failed");
}

#[test]
fn m56_m60_m61_members_measure_or_fail_by_timeout() {
    let mut stage = template("{}", TO_HOST);
    assert_eq!(stage.put(&ada(), &creates(&[&bo()])), 201);
    assert_eq!(stage.at("constants.system.metrics"), r#"{"latency":true,"bandwidthDown":true,"bandwidthUp":true}"#, "M-60");
    stage.advance(1000);
    assert_eq!(stage.put(&bo(), &comes(2)), 200);
    assert_eq!(stage_of(&mut stage), "measuring");
    assert_eq!(stage.at("initializing.stageStartTime"), r#""2031-04-05T18:00:01.1230000Z""#);
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:31.1230000Z""#, "M-29: measurementTimeout");
    assert_eq!(stage.put(&ada(), &measures(&[(2, 50, 100, 100)])), 200);
    assert_eq!(stage_of(&mut stage), "measuring", "Bo's are missing");
    stage.advance(30_000);
    assert_eq!(stage.at("members.1.initializationFailure"), r#""timeout""#, "M-65");
    assert_eq!(stage_of(&mut stage), "", "M-64: one survivor is enough");
    assert_eq!(stage.at("members.0.initializationFailure"), "");
}

#[test]
fn m70_m63_hosts_are_proposed_best_first_and_who_reaches_none_fails() {
    let mut stage = template("{}", TO_HOST);
    assert_eq!(stage.put(&ada(), &creates(&[&bo(), &cy(), &dee()])), 201);
    for (who, number) in [(bo(), 2), (cy(), 3), (dee(), 4)] {
        assert_eq!(stage.put(&who, &comes(number)), 200);
    }
    assert_eq!(stage.put(&ada(), &measures(&[(2, 30, 100, 100), (3, 90, 100, 100), (4, 10, 100, 100)])), 200);
    assert_eq!(stage.put(&bo(), &measures(&[(1, 20, 100, 100), (3, 20, 100, 100), (4, 10, 40, 100)])), 200);
    assert_eq!(stage.put(&cy(), &measures(&[(1, 40, 100, 100), (2, 20, 100, 100), (4, 10, 100, 10)])), 200);
    assert_eq!(stage.put(&dee(), &measures(&[(1, 101, 100, 100), (2, 101, 100, 100), (3, 101, 100, 100)])), 200);
    // Ada serves Bo and Cy (20, 40), Bo serves Ada and Cy (30, 20), Cy serves Ada and Bo (90, 20), Dee serves Ada alone.
    let best: Json = [token(2), token(1), token(3)].iter().map(String::as_str).collect();
    assert_eq!(stage.get().get("hostCandidates"), Some(&best));
    assert_eq!(stage.at("members.3.initializationFailure"), r#""latency""#);
    for index in 0..3 {
        assert_eq!(stage.at(&format!("members.{index}.initializationFailure")), "");
    }
    assert_eq!(stage.put(&ada(), &system(&format!(r#"{{"host":"{}"}}"#, token(2)))), 200);
    assert_eq!(stage.at("hostCandidates"), "", "M-70: removed as soon as there is a host");
}

#[rstest]
#[case::latency("latency", [2, 3])]
#[case::down("bandwidthdown", [3, 2])]
#[case::up("bandwidthup", [2, 3])]
#[case::both("bandwidth", [3, 2])]
fn m70_the_metric_decides_who_is_best(#[case] metric: &str, #[case] order: [usize; 2]) {
    let demands =
        TO_HOST.replace(r#""latencyMaximum":100"#, &format!(r#""latencyMaximum":100,"hostSelectionMetric":"{metric}""#));
    let mut stage = template("{}", &demands);
    assert_eq!(stage.put(&ada(), &creates(&[&bo(), &cy()])), 201);
    assert_eq!(stage.put(&bo(), &comes(2)), 200);
    assert_eq!(stage.put(&cy(), &comes(3)), 200);
    assert_eq!(stage.put(&ada(), &measures(&[(2, 30, 100, 90), (3, 40, 300, 80)])), 200);
    assert_eq!(stage.put(&bo(), &measures(&[(1, 99, 1, 1), (3, 40, 300, 80)])), 200);
    assert_eq!(stage.put(&cy(), &measures(&[(1, 99, 1, 1), (2, 30, 100, 90)])), 200);
    let best: Json = order.iter().map(|number| token(*number)).collect::<Vec<_>>().iter().map(String::as_str).collect();
    assert_eq!(stage.get().get("hostCandidates"), Some(&best));
}

#[test]
fn m59_m63_a_late_joiner_is_measured_against_the_host_alone() {
    let mut stage = template("{}", TO_HOST);
    assert_eq!(stage.put(&ada(), &creates(&[])), 201);
    assert_eq!(stage_of(&mut stage), "measuring");
    assert_eq!(stage.put(&ada(), &own(r#"{"measurements":{}}"#)), 200);
    assert_eq!(stage_of(&mut stage), "");
    assert_eq!(stage.put(&ada(), &system(&format!(r#"{{"host":"{}"}}"#, token(1)))), 200);
    assert_eq!(stage.put(&bo(), &comes(2)), 200);
    assert_eq!((stage_of(&mut stage), stage.at("initializing.episode")), ("measuring".into(), "2".into()));
    assert_eq!(stage.put(&cy(), &comes(3)), 200);
    assert_eq!(stage.at("members.2.initializationEpisode"), "3", "M-51: marked for the one after");
    assert_eq!(stage.put(&bo(), &measures(&[(1, 50, 100, 10)])), 200);
    assert_eq!(stage.at("members.1.initializationFailure"), r#""bandwidthup""#, "M-59: it keeps its failure");
    assert_eq!(stage.at("members.1.initializationEpisode"), "");
    assert_eq!((stage_of(&mut stage), stage.at("initializing.episode")), ("measuring".into(), "3".into()), "the next begins");
    assert_eq!(stage.put(&cy(), &measures(&[(1, 50, 100, 20)])), 200);
    assert_eq!((stage_of(&mut stage), stage.at("members.2.initializationFailure")), (String::new(), String::new()));
}

/// Ada is alone in a session whose peers must suffice each other, initialized.
fn mesh(others: usize) -> Stage {
    let players = [bo(), cy(), dee()];
    let mut stage = template("{}", TO_PEERS);
    assert_eq!(stage.put(&ada(), &creates(&players[..others].iter().collect::<Vec<_>>())), 201);
    for (at, who) in players[..others].iter().enumerate() {
        assert_eq!(stage.put(who, &comes(at + 2)), 200);
    }
    stage
}

#[rstest]
#[case::good((100, 50, 50), "")]
#[case::latency((101, 1, 1), "latency")]
#[case::down((1, 49, 1), "bandwidthdown")]
#[case::up((1, 50, 49), "bandwidthup")]
fn m62_m64_m65_pairs_must_suffice_each_other(#[case] (latency, down, up): (u64, u64, u64), #[case] failure: &str) {
    let mut stage = mesh(1);
    assert_eq!(stage.put(&ada(), &measures(&[(2, latency, down, up)])), 200);
    assert_eq!(stage.put(&bo(), &measures(&[(1, 1, 100, 100)])), 200);
    assert_eq!(stage.at("members.0.initializationFailure"), "");
    assert_eq!(stage.at("members.1.initializationFailure").trim_matches('"'), failure, "M-64: of two equals the higher index");
}

#[test]
fn m61_what_is_not_measured_is_not_reached() {
    let mut stage = mesh(1);
    assert_eq!(stage.put(&ada(), &own(r#"{"measurements":{}}"#)), 200);
    assert_eq!(stage.put(&bo(), &measures(&[(1, 1, 100, 100)])), 200);
    assert_eq!(stage.at("members.1.initializationFailure"), r#""latency""#);
    let mut stage = mesh(1);
    assert_eq!(
        stage.put(&ada(), &own(&format!(r#"{{"measurements":{{"{}":{{"latency":1,"bandwidthDown":99}}}}}}"#, token(2)))),
        200
    );
    assert_eq!(stage.put(&bo(), &measures(&[(1, 1, 100, 100)])), 200);
    assert_eq!(stage.at("members.1.initializationFailure"), r#""bandwidthup""#);
}

#[test]
fn m64_who_fails_most_fails_first() {
    let mut stage = mesh(2);
    // Ada reaches neither of the others; they reach each other.
    assert_eq!(stage.put(&ada(), &measures(&[(2, 500, 99, 99), (3, 500, 99, 99)])), 200);
    assert_eq!(stage.put(&bo(), &measures(&[(1, 1, 99, 99), (3, 1, 99, 99)])), 200);
    assert_eq!(stage.put(&cy(), &measures(&[(1, 1, 99, 99), (2, 1, 99, 99)])), 200);
    assert_eq!(stage.at("members.0.initializationFailure"), r#""latency""#);
    assert_eq!((stage.at("members.1.initializationFailure"), stage.at("members.2.initializationFailure")), Default::default());
}

#[test]
fn m62_a_late_joiner_is_held_against_those_who_are_there() {
    let mut stage = mesh(1);
    assert_eq!(stage.put(&ada(), &measures(&[(2, 1, 99, 99)])), 200);
    assert_eq!(stage.put(&bo(), &measures(&[(1, 1, 99, 99)])), 200);
    assert_eq!(stage_of(&mut stage), "");
    assert_eq!(stage.put(&cy(), &comes(3)), 200);
    assert_eq!(stage.put(&cy(), &measures(&[(1, 1, 99, 99), (2, 1, 99, 99)])), 200, "the others need not measure again");
    assert_eq!((stage_of(&mut stage), stage.at("members.2.initializationFailure")), (String::new(), String::new()));
    assert_eq!(stage.put(&dee(), &comes(4)), 200);
    assert_eq!(stage.put(&ada(), &measures(&[(2, 1, 99, 99), (4, 400, 99, 99)])), 200, "but what they say counts");
    assert_eq!(stage.put(&dee(), &measures(&[(1, 1, 99, 99), (2, 1, 99, 99), (3, 1, 99, 99)])), 200);
    assert_eq!(stage.at("members.3.initializationFailure"), r#""latency""#);
    assert_eq!(stage.at("members.0.initializationFailure"), "", "who passed before does not fail");
}

#[test]
fn m66_s81_a_group_fails_with_its_first() {
    let mut stage = template("{}", "");
    let body = creates(&[&bo(), &cy(), &dee()]).replace(r#""active":true"#, r#""active":true,"initializationGroup":[1]"#);
    assert_eq!(stage.put(&ada(), &body), 201);
    assert_eq!(stage.put(&cy(), &comes(3).replace(r#""active":true"#, r#""active":true,"initializationGroup":[0]"#)), 200);
    assert_eq!(stage.put(&dee(), &comes(4)), 200);
    stage.advance(10_000);
    assert_eq!(stage.at("members.0.initializationFailure"), r#""group""#, "Bo did not come");
    assert_eq!(stage.at("members.2.initializationFailure"), r#""group""#, "nor does Cy play without Ada");
    assert_eq!(stage.at("members.3.initializationFailure"), "");
    assert_eq!(stage_of(&mut stage), "", "M-55: one is left, and one is needed");
}

#[test]
fn m57_m67_s48_the_title_judges_by_itself() {
    let external = r#"{"externalEvaluation":true,"membersNeededToStart":1}"#;
    for (judgement, ep1) in [(Some(true), ""), (Some(false), "failed"), (None, "failed")] {
        let mut stage = template(external, "");
        assert_eq!(stage.put(&ada(), &creates(&[])), 201);
        assert_eq!(stage_of(&mut stage), "evaluating");
        assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:05.1230000Z""#);
        match judgement {
            Some(judgement) => {
                assert_eq!(stage.put(&ada(), &system(&format!(r#"{{"initializationSucceeded":{judgement}}}"#))), 200);
            }
            None => stage.advance(5000),
        }
        assert_eq!(stage_of(&mut stage), ep1);
        assert_eq!(stage.at("properties.system.initializationSucceeded"), "", "S-48: consumed");
        assert_eq!(stage.at("members.0.initializationFailure").trim_matches('"'), if ep1.is_empty() { "" } else { "episode" });
        assert_eq!(stage.put(&ada(), &system(r#"{"initializationSucceeded":true}"#)), 400, "S-48: only while evaluating");
    }
    let mut stage = template(external, "");
    assert_eq!(stage.put(&ada(), &creates(&[])), 201);
    assert_eq!(stage.put(&ada(), &system(r#"{"initializationSucceeded":true}"#)), 200);
    assert_eq!(stage.put(&bo(), &comes(2)), 200);
    assert_eq!(stage_of(&mut stage), "evaluating");
    assert_eq!(stage.put(&bo(), &system(r#"{"initializationSucceeded":false}"#)), 200, "any accepted member may");
    assert_eq!(stage_of(&mut stage), "", "M-59: a later episode fails its members only");
    assert_eq!(stage.at("members.1.initializationFailure"), r#""episode""#, "M-67");
    assert_eq!(stage.at("members.0.initializationFailure"), "");
}

#[test]
fn m56_measurement_servers_are_measured_too() {
    let mut stage = template("{}", r#","measurementServerAddresses":{"EU":{"secureDeviceAddress":"AA"}}"#);
    assert_eq!(stage.put(&ada(), &creates(&[])), 201);
    assert_eq!(stage_of(&mut stage), "measuring");
    assert_eq!(stage.put(&ada(), &own(r#"{"serverMeasurements":{}}"#)), 200, "S-85: none completed is an answer");
    assert_eq!(stage_of(&mut stage), "");
}

#[test]
fn m75_s49_servers_are_proposed_by_their_mean_latency() {
    let mut stage = Stage::with(r#"{"capabilities":{"autoPopulateServerCandidates":true}}"#);
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    let path = "properties.system.serverConnectionStringCandidates";
    assert_eq!(stage.at(path), "");
    assert_eq!(
        stage.put(&ada(), &own(r#"{"serverMeasurements":{"EU":{"latency":30},"us":{"latency":10},"asia":{"latency":5}}}"#)),
        200
    );
    assert_eq!(stage.at(path), r#"["asia","us","EU"]"#);
    assert_eq!(stage.put(&bo(), &own(r#"{"serverMeasurements":{"eu":{"latency":10},"US":{"latency":40}}}"#)), 200);
    assert_eq!(stage.at(path), r#"["EU","us"]"#, "those that all reported");
    assert_eq!(stage.put(&ada(), &system(r#"{"serverConnectionStringCandidates":["mine"]}"#)), 400);
    assert!(stage.put(&ada(), &system(r#"{"serverConnectionStringCandidates":["EU","us"]}"#)).is_quiet(), "W-18");
    assert_eq!(stage.put(&bo(), LEAVES), 200);
    assert_eq!(stage.at(path), r#"["asia","us","EU"]"#);
    let mut free = Stage::card();
    assert_eq!(free.put(&ada(), &system(r#"{"serverConnectionStringCandidates":["b","a"]}"#)), 200);
    assert_eq!(free.at(path), r#"["b","a"]"#, "S-49: ordered as the title wants");
}

#[test]
fn m26_timeouts_of_zero_work_at_once_in_an_episode_too() {
    let mut stage = template(r#"{"joinTimeout":0,"measurementTimeout":0}"#, TO_HOST);
    assert_eq!(stage.put(&ada(), &creates(&[&bo()])), 201);
    assert_eq!(stage.at("membersInfo.count"), "1", "nobody is waited for");
    assert_eq!(stage_of(&mut stage), "failed", "nor for measurements: nobody is left");
    assert_eq!(stage.at("members.0.initializationFailure"), r#""timeout""#);
}

#[test]
fn m68_nothing_bounds_an_episode_as_a_whole() {
    let mut stage = template(r#"{"measurementTimeout":100000}"#, TO_HOST);
    assert_eq!(stage.put(&ada(), &creates(&[])), 201);
    stage.advance(99_999);
    assert_eq!(stage_of(&mut stage), "measuring", "M-68 is matchmaking's");
}

#[test]
fn m67_a_reservation_does_not_judge() {
    let mut stage = template(r#"{"externalEvaluation":true}"#, "");
    assert_eq!(stage.put(&ada(), &creates(&[])), 201);
    assert_eq!(stage.put(&ada(), &reserves(&cy())), 200);
    let fails = system(r#"{"initializationSucceeded":false}"#);
    assert_eq!(stage.put(&cy(), &fails), 403);
    assert_eq!(stage_of(&mut stage), "evaluating");
    assert_eq!(stage.put(&cy(), &fails.replacen('{', r#"{"members":{"me":{}},"#, 1)), 200, "who accepts is accepted");
    assert_eq!(stage_of(&mut stage), "failed");
}

#[test]
fn w34_m51_who_was_never_seen_began_no_episode() {
    let mut stage = Stage::of(r#"{"constants":{"system":{"memberInitialization":{}}}}"#);
    let comes = |flags: &str| {
        format!(r#"{{"members":{{"me":{{"constants":{{"system":{{"initialize":true}}}},"properties":{{"system":{flags}}}}}}}}}"#)
    };
    assert_eq!(stage.put(&ada(), &comes(r#"{"active":true}"#)), 201);
    for _ in 0..3 {
        assert!(stage.put(&bo(), &comes("{}")).is_quiet(), "the zero timeout takes Bo out again");
    }
    assert_eq!(stage.put(&ada(), &format!(r#"{{"members":{{{}}}}}"#, expects(&[&cy()]))), 200);
    assert_eq!(stage.at("initializing.episode"), "2");
}
