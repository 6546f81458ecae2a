//! The command line against a running service: `session`, `handle`, `ban`, `audit`, and `template` with `--url`.

use std::process::Stdio;

use openmpsd::domain::principal::Principal;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{SCID, World};
use crate::process::Folder;
use crate::story::{active, open, tagged};

/// Whether a run was successful, what it printed, and what it said beside that.
struct Run {
    done: bool,
    out: String,
    said: String,
}

impl Run {
    #[track_caller]
    fn expect(self) -> String {
        assert!(self.done, "{}{}", self.out, self.said);
        self.out
    }

    #[track_caller]
    fn refused(self) -> String {
        assert!(!self.done, "{}{}", self.out, self.said);
        self.said
    }
}

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openmpsd"));
    command.args(arguments).env_remove("OPENMPSD_TOKEN").env_remove("DATABASE_URL").env_remove("OPENMPSD__DATABASE__URL");
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().await.expect("the program is built with its tests");
    let text = |bytes| String::from_utf8(bytes).expect("everything printed is text");
    Run { done: output.status.success(), out: text(output.stdout), said: text(output.stderr) }
}

/// Runs a command against a service as its administrator.
async fn ask(world: &World, arguments: &[&str]) -> Run {
    let url = format!("http://{}", world.running.address);
    let token = world.token(&Principal::Admin { name: "op".into() }, 3600);
    let mut all = arguments.to_vec();
    all.extend(["--url", &url]);
    run(&all, &[("OPENMPSD_TOKEN", &token)]).await
}

#[tokio::test]
async fn sessions_are_listed_shown_and_ended_from_the_command_line() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    ada.put(&open("harbor-1"), &tagged("sea")).await.expect(201);
    bo.put(&open("harbor-1"), &active()).await.expect(200);
    for number in 0..4 {
        ada.put(&open(&format!("pier-{number}")), &active()).await.expect(201);
    }
    let table = ask(&world, &["session", "list", "--keyword", "Sea"]).await.expect();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].starts_with("SCID ") && lines[0].ends_with("KEYWORDS"), "{table}");
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!((cells[0], cells[1], cells[2], cells[3]), (SCID, "Open", "harbor-1", "2/100"), "{table}");
    let page = ask(&world, &["session", "list", "--name", "pier", "--take", "3"]).await;
    assert!(page.said.contains("--continue "), "{}", page.said);
    let rest = page.said.split("--continue ").nth(1).expect("a token").trim().to_owned();
    assert_eq!(page.expect().lines().count(), 4);
    let rest = ask(&world, &["session", "list", "--name", "pier", "--continue", &rest, "--json"]).await.expect();
    let rest: Value = serde_json::from_str(&rest).expect("JSON is asked for");
    assert_eq!((rest["items"].as_array().map(Vec::len), &rest["continuationToken"]), (Some(1), &Value::Null));

    let shown = ask(&world, &["session", "show", SCID, "Open", "harbor-1"]).await.expect();
    assert!(shown.contains("Player2") && shown.contains("visibility       open"), "{shown}");
    let shown = ask(&world, &["session", "show", SCID, "Open", "harbor-1", "--json"]).await.expect();
    let shown: Value = serde_json::from_str(&shown).expect("JSON is asked for");
    assert_eq!(shown["session"], ada.get(&open("harbor-1")).await.expect(200).json());

    ask(&world, &["session", "remove-member", SCID, "Open", "harbor-1", "1", "--reason", "rude"]).await.expect();
    assert_eq!(ada.get(&open("harbor-1")).await.expect(200).json()["membersInfo"]["count"], 1);
    ask(&world, &["session", "close", SCID, "Open", "harbor-1", "--reason", "complaints"]).await.expect();
    ada.get(&open("harbor-1")).await.expect(204);
    let again = ask(&world, &["session", "close", SCID, "Open", "harbor-1", "--reason", "complaints"]).await.refused();
    assert_eq!(again, "openmpsd: the session does not exist\n");

    let audit = ask(&world, &["audit", "--action", "session.close"]).await.expect();
    assert_eq!(audit.lines().count(), 3, "{audit}");
    assert!(audit.contains("admin:op") && audit.contains("complaints"), "{audit}");
    let refused = ask(&world, &["audit", "--since", "yesterday"]).await.refused();
    assert!(refused.starts_with("openmpsd: since: "), "{refused}");
    world.end().await;
}

#[tokio::test]
async fn a43_users_are_banned_from_the_command_line() {
    let world = World::new().await;
    let added = ask(&world, &["ban", "add", "7", "--reason", "cheats", "--expires-at", "2032-01-01T00:00:00Z"]).await.expect();
    assert!(added.contains("2032-01-01T00:00:00.0000000Z") && added.contains("cheats"), "{added}");
    world.user(7).get(&open("x")).await.expect(403);
    let listed = ask(&world, &["ban", "list", "--json"]).await.expect();
    let listed: Value = serde_json::from_str(&listed).expect("JSON is asked for");
    assert_eq!(listed["items"][0]["xuid"], "7");
    ask(&world, &["ban", "remove", "7", "--reason", "mistaken"]).await.expect();
    world.user(7).get(&open("x")).await.expect(204);
    assert_eq!(ask(&world, &["ban", "list"]).await.expect().lines().count(), 1);
    let handles = ask(&world, &["handle", "list", "--type", "activity"]).await.expect();
    assert!(handles.starts_with("ID "), "{handles}");
    world.end().await;
}

#[tokio::test]
async fn t06_templates_are_compared_and_published_through_a_running_service() {
    let world = World::new().await;
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/services");
    let same = ask(&world, &["template", "diff", shipped]).await.expect();
    assert_eq!(same, "9 templates of 2 service configs: published as they are here\n");
    let linted = ask(&world, &["template", "lint", shipped]).await.expect();
    assert_eq!(linted, "9 valid templates of 2 service configs, nothing to remark\n");

    let folder = Folder::new("templates");
    let file = folder.path().join("Card.json");
    let mut card = world.admin().get(&format!("/admin/serviceconfigs/{SCID}/sessiontemplates/Card")).await.expect(200).json();
    card["constants"]["system"]["maxMembersCount"] = json!(5);
    std::fs::write(&file, card.to_string()).expect("the file is written");
    let file = file.to_str().expect("the path is text");
    let differs = ask(&world, &["template", "diff", "--scid", SCID, file]).await;
    assert!(
        differs.out.contains("/Card: constants.system.maxMembersCount: ") && differs.out.contains(" -> 5\n"),
        "{}",
        differs.out
    );
    assert_eq!(differs.refused(), "openmpsd: 1 difference\n");
    // The same by the database.
    let by_database = run(&["template", "diff", "--scid", SCID, file], &[("DATABASE_URL", world.database.url())]).await;
    assert!(by_database.out.ends_with(" -> 5\n"), "{}{}", by_database.out, by_database.said);

    let published = ask(&world, &["template", "publish", "--scid", SCID, file]).await.expect();
    assert!(published.starts_with(&format!("published Card of {SCID} to http://127.0.0.1:")), "{published}");
    ask(&world, &["template", "diff", "--scid", SCID, file]).await.expect();
    ask(&world, &["template", "publish", shipped]).await.expect();
    ask(&world, &["template", "diff", shipped]).await.expect();
    let unknown = ["template", "publish", "--scid", "00000000-0000-0000-0000-00000000000a", file];
    let refused = ask(&world, &unknown).await.refused();
    assert!(refused.contains("does not exist"), "{refused}");
    let gone = run(&["template", "lint", file, "--url", "http://127.0.0.1:9", "--token", "t"], &[]).await.refused();
    assert!(gone.contains("cannot reach http://127.0.0.1:9"), "{gone}");
    world.end().await;
}

#[tokio::test]
async fn whoever_asks_needs_a_token_and_hears_how_to_get_one() {
    let world = World::new().await;
    let url = format!("http://{}", world.running.address);
    let folder = Folder::new("keyless");
    let data_dir = folder.path().to_str().expect("the path is text");
    let refused = run(&["ban", "list", "--url", &url, "--data-dir", data_dir], &[]).await.refused();
    for way in ["--token", "OPENMPSD_TOKEN", "--data-dir"] {
        assert!(refused.contains(way), "{refused}");
    }
    assert!(!folder.path().join("keys").exists(), "no key is generated: no service would believe it");
    // A key of another service's data directory makes a token that this one does not believe.
    folder.token(&Principal::Admin { name: "op".into() });
    let refused = run(&["ban", "list", "--url", &url, "--data-dir", data_dir], &[]).await.refused();
    assert!(refused.starts_with("openmpsd: "), "{refused}");
    let user = world.token(&Principal::User(crate::harness::player(1)), 60);
    let refused = run(&["ban", "list", "--url", &url, "--token", &user], &[]).await.refused();
    assert_eq!(refused, "openmpsd: administration needs an administrator's token\n");
    world.end().await;
}

#[tokio::test]
async fn a_token_goes_to_no_proxy_of_the_environment() {
    let world = World::new().await;
    let url = format!("http://{}", world.running.address);
    let token = world.token(&Principal::Admin { name: "op".into() }, 3600);
    // Nothing listens there: whoever asks it hears nothing.
    let nobody = "http://127.0.0.1:9";
    let names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let mut variables: Vec<(&str, &str)> = names.iter().map(|name| (*name, nobody)).collect();
    variables.extend([("NO_PROXY", ""), ("no_proxy", ""), ("OPENMPSD_TOKEN", token.as_str())]);
    let listed = run(&["ban", "list", "--url", &url], &variables).await.expect();
    assert!(listed.starts_with("XUID "), "{listed}");
    world.end().await;
}

#[tokio::test]
async fn a_service_on_this_machine_is_asked_with_its_own_key() {
    let folder = Folder::new("own-key");
    let world = World::new().await;
    let data_dir = folder.path().to_str().expect("the path is text");
    let database = [("DATABASE_URL", world.database.url())];
    let process =
        crate::process::Process::start(folder.path(), &["--dev"], &database).await.unwrap_or_else(|said| panic!("{said}"));
    let run = run(&["ban", "add", "9", "--reason", "cheats", "--url", &process.base, "--data-dir", data_dir], &[]).await;
    assert!(run.expect().contains("admin:admin"));
    // The service in this process is on the same database.
    crate::harness::eventually("the ban is heard of", async || world.user(9).get(&open("x")).await.status == 403).await;
    process.end().await;
    world.end().await;
}
