//! What is refused, what cannot be reached, and what is never contacted.

use crate::decoy::{Decoy, Said, TEMPLATES};
use crate::service::service;
use crate::tool::Tool;

fn says(status: u16, body: &str) -> Said {
    (status, "Content-Type: application/json\r\n".to_owned(), body.to_owned())
}

#[test]
fn without_a_target_nothing_is_loaded() {
    let ended = Tool::new("--scenario mixed --data-dir /nowhere").run().expect(2);
    assert!(ended.said.contains("--target") && ended.report.is_null(), "{}", ended.said);
    Tool::new("--target http://127.0.0.1:1 --scenario reconnect-stampede --rate 5 --data-dir /nowhere").run().expect(2);
}

#[test]
fn help_says_what_the_codes_mean() {
    let ended = Tool::new("--help").run().expect(0);
    assert!(ended.said.contains("Exit codes: 0 every threshold holds"), "{}", ended.said);
}

#[test]
fn an_unreachable_target_gives_1() {
    let service = service();
    // Nobody listens on a port that has just been given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let data_dir = service.data_dir.display();
    let ended = Tool::new(&format!("--target http://127.0.0.1:{port} --data-dir {data_dir} --scenario mixed")).run().expect(1);
    assert!(ended.said.contains("cannot be reached") && ended.report.is_null(), "{}", ended.said);
}

#[test]
fn what_the_service_does_not_know_gives_1() {
    for (arguments, word) in [
        ("--issuer nobody", "401"),
        ("--scid 5f0c1a52-7c1e-4b52-9d0e-00007a11b0a8", "--scid"),
        ("--crowd-template Nothing", "--crowd-template"),
    ] {
        let ended = Tool::against(service(), &format!("--scenario mixed {arguments}")).run().expect(1);
        assert!(ended.said.contains(word), "{}", ended.said);
    }
    let ended = Tool::new(&format!("--target {} --scenario mixed --data-dir /nowhere", service().base)).run().expect(1);
    assert!(ended.said.contains("/nowhere/keys/signing.json"), "{}", ended.said);
}

/// A target that sends everybody elsewhere is not followed, over HTTP and sockets alike, and proxies of the environment are not used.
#[test]
fn nothing_but_the_target_is_contacted() {
    let elsewhere = Decoy::new(|_, _| says(200, "{}"));
    let location = format!("Location: http://{}/\r\n", elsewhere.address);
    let target = Decoy::new(move |_, path| {
        if path.ends_with("/sessiontemplates") { says(200, TEMPLATES) } else { (307, location.clone(), String::new()) }
    });
    let data_dir = service().data_dir.display();
    for scenario in ["lobby-churn", "invite-wave"] {
        let arguments = format!(
            "--target http://{} --scenario {scenario} --users 3 --duration 1s --threshold errors<50% --data-dir {data_dir}",
            target.address
        );
        let mut tool = Tool::new(&arguments);
        let proxy = format!("http://{}", elsewhere.address);
        for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            tool.command.env(name, &proxy);
        }
        tool.command.env_remove("no_proxy").env_remove("NO_PROXY");
        let ended = tool.run().expect(3);
        assert!(ended.said.contains("307"), "{}", ended.said);
    }
    assert!(target.contacts() > 0);
    assert_eq!(elsewhere.contacts(), 0);
}

#[test]
fn a_service_that_forgets_is_found_out() {
    let target = Decoy::new(|method, path| match (method, path) {
        ("GET", path) if path.ends_with("/sessiontemplates") => says(200, TEMPLATES),
        ("PUT", _) | ("POST", "/handles") => says(201, "{}"),
        ("POST", _) => says(200, r#"{"results": []}"#),
        _ => says(204, ""),
    });
    let data_dir = service().data_dir.display();
    let target = target.address;
    let arguments = format!("--target http://{target} --scenario browse-storm --users 2 --duration 1s --data-dir {data_dir}");
    let ended = Tool::new(&arguments).run().expect(3);
    assert_eq!((ended.number("/acknowledged/lost"), ended.number("/acknowledged/checked")), (2.0, 2.0), "{}", ended.said);
    assert!(ended.said.contains("FAILS  lost=0") && ended.said.contains("Seat of 25"), "{}", ended.said);
    let forgotten = "the listed session is not found, or not it alone";
    assert!(ended.said.contains(forgotten), "{}", ended.said);
}
