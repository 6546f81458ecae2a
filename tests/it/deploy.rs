//! What docker-compose.yml, the Dockerfile and deploy/ say, held against each other and against the programs that read them. The
//! containers themselves need an engine, which no test has; what the instances and the balancer do together is in `balanced`.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use openmpsd::auth::Situation;
use openmpsd::settings::{Environment, Overrides, Settings};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use crate::harness::eventually;
use crate::process::Folder;

/// Where the balancer of Debian's package is: not always on the path of a user.
pub const BALANCER: &str = "/usr/sbin/haproxy";
/// The port that everything in the containers asks the service on.
pub const PORT: u16 = 8080;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file, its merges done.
fn yaml(path: &str) -> Value {
    let read = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    // Debian's package is for Debian's Python, and another one may come first.
    let run = |python| Command::new(python).args(["-c", read, path]).current_dir(root()).output().ok();
    let outputs: Vec<_> = ["python3", "/usr/bin/python3"].into_iter().filter_map(run).collect();
    let output = outputs.iter().find(|output| output.status.success()).unwrap_or_else(|| panic!("{path}: {outputs:?}"));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

/// The services of the compose file.
pub fn services() -> Map<String, Value> {
    yaml("docker-compose.yml")["services"].as_object().expect("there are services").clone()
}

/// The services among them that are instances of ours, by name.
pub fn instances() -> Vec<(String, Value)> {
    let found: Vec<_> = services().into_iter().filter(|(name, _)| name.starts_with("openmpsd-")).collect();
    assert_eq!(found.len(), 2, "two instances");
    found
}

/// What the compose file has an instance run with.
pub fn environment(instance: &Value) -> Vec<(String, String)> {
    let variables = instance["environment"].as_object().expect("an instance has an environment");
    let value = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    variables.iter().map(|(name, given)| (name.clone(), value(given))).collect()
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|text| text.as_str().expect("it is text").to_owned()).collect()
}

/// Has docker-compose read its file, with the variables of an `.env` file of these lines.
fn compose(variables: &str, arguments: &[&str]) -> Output {
    let folder = Folder::new("compose");
    let file = folder.path().join("env");
    fs::write(&file, variables).expect("the file is written");
    let mut command = Command::new("docker-compose");
    command.arg("--env-file").arg(&file).args(arguments).current_dir(root());
    for name in ["POSTGRES_PASSWORD", "GRAFANA_PASSWORD", "OPENMPSD_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "COMPOSE_FILE"] {
        command.env_remove(name);
    }
    let output = command.output().expect("docker-compose is there: scripts/ensure-deployment");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn compose_takes_the_file_without_a_word() {
    for arguments in [&["config", "-q"][..], &["--profile", "loadtest", "config", "-q"]] {
        let output = compose("", arguments);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
    let asked_for: Vec<String> =
        services().into_iter().filter(|(_, service)| service.get("profiles").is_some()).map(|(name, _)| name).collect();
    assert_eq!(asked_for, ["loadtest"], "everything else runs by itself");
}

/// Compose 2 builds at once what several services say they build, into one name, and fails at the second.
#[test]
fn one_service_builds_the_image_and_nobody_looks_for_it_elsewhere() {
    let services = services();
    let building: Vec<&String> =
        services.iter().filter(|(_, service)| service.get("build").is_some()).map(|(name, _)| name).collect();
    assert_eq!(building, ["keys"]);
    let image = &services["keys"]["image"];
    let same: Vec<_> = services.iter().filter(|(name, service)| service["image"] == *image && *name != "keys").collect();
    assert_eq!(same.len(), 3, "{same:?}");
    for (name, service) in same {
        assert_eq!(service["pull_policy"], "never", "{name}");
        let first = if name == "loadtest" { "openmpsd-1" } else { "keys" };
        assert!(service["depends_on"].get(first).is_some(), "{name} is made when the image is there");
    }
}

#[test]
fn logs_of_containers_are_bounded() {
    for (name, service) in services() {
        let options = &service["logging"]["options"];
        assert!(options["max-size"].is_string() && options["max-file"].is_string(), "{name}: {service}");
    }
}

/// Runs the lines of the page with a `docker-compose` that only notes what it is asked for; says whether they went through, and the notes.
fn restart(failing: &str) -> (bool, Vec<String>) {
    let page = text("docs/deployment.md");
    let section = page.split("\n## Rolling restart\n").nth(1).expect("the page has the section");
    let lines = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it has lines to run");
    let folder = Folder::new("restart");
    let notes = folder.path().join("notes");
    let programs = [
        ("docker-compose", format!("echo \"$*\" >>{}\ncase \"$*\" in {failing}) exit 1 ;; esac\n", notes.display())),
        ("sleep", String::new()),
    ];
    for (name, program) in programs {
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{program}")).expect("the file is written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let output = Command::new("sh").args(["-c", lines]).env("PATH", path).output().expect("there is a shell");
    let notes = fs::read_to_string(notes).expect("something was asked for");
    (output.status.success(), notes.lines().map(str::to_owned).collect())
}

#[test]
fn a_rolling_restart_ends_with_the_first_instance_that_does_not_come_back() {
    let steps = |name: &str| {
        let ready = format!("exec -T {name} openmpsd health --ready");
        [format!("stop {name}"), format!("rm -f {name}"), format!("up -d --no-deps {name}"), ready.clone(), ready]
    };
    let all: Vec<String> = instances().iter().flat_map(|(name, _)| steps(name)).collect();
    assert_eq!(restart("nothing"), (true, all.clone()));
    for (failing, asked) in [("stop*", 1), ("rm*", 2), ("up*", 3), ("exec*", 64)] {
        let (through, notes) = restart(failing);
        assert!(!through, "{failing}");
        assert_eq!(notes.len(), asked, "{failing}: {notes:?}");
        assert!(!notes.iter().any(|note| note.contains("openmpsd-2")), "{failing}: {notes:?}");
    }
}

#[test]
fn a_password_of_ones_own_reaches_both_sides() {
    let output = compose("POSTGRES_PASSWORD=s3cret\nGRAFANA_PASSWORD=looks\n", &["config"]);
    let said = String::from_utf8(output.stdout).expect("it is text");
    assert!(said.contains("POSTGRES_PASSWORD: s3cret") && said.contains("GF_SECURITY_ADMIN_PASSWORD: looks"), "{said}");
    assert!(said.contains("postgres://openmpsd:s3cret@postgres:5432/openmpsd"), "{said}");
    assert!(!said.contains("postgres://openmpsd:openmpsd@"), "{said}");
}

#[test]
fn every_image_has_a_version() {
    for (name, service) in services() {
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name} has an image"));
        let (repository, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{name}: {image} has no tag"));
        let version = tag.trim_start_matches('v').split('-').next().unwrap_or_default();
        let parts: Vec<_> = version.split('.').map(str::parse::<u32>).collect();
        assert!(parts.len() >= 2 && parts.iter().all(Result::is_ok), "{name}: {tag} is no version");
        if repository == "openmpsd" {
            assert_eq!(tag, env!("CARGO_PKG_VERSION"), "{name}");
        }
    }
    let built_with = format!("FROM rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(text("Dockerfile").contains(&built_with), "the image is built with the toolchain of Cargo.toml: {built_with}");
}

#[test]
fn nothing_is_published_beyond_this_machine() {
    let mut published = Vec::new();
    for (name, service) in services() {
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
            published.push(name.clone());
        }
        assert_eq!(service.get("network_mode"), None, "{name} has a network of its own");
    }
    assert_eq!(published, ["grafana", "lb", "prometheus"], "the instances are reached through the balancer only");
}

#[test]
fn what_is_mounted_is_there() {
    let file = yaml("docker-compose.yml");
    let volumes = file["volumes"].as_object().expect("there are volumes");
    let mut used = BTreeSet::new();
    for (name, service) in services() {
        for mount in texts(&service["volumes"]) {
            let source = mount.split(':').next().unwrap_or_default();
            if source.starts_with("./") {
                assert!(root().join(source).exists(), "{name} mounts {source}");
                assert!(mount.ends_with(":ro"), "{name} could write to {source}");
            } else {
                assert!(volumes.contains_key(source), "{name} mounts the volume {source}");
                used.insert(source.to_owned());
            }
        }
    }
    assert_eq!(used, volumes.keys().cloned().collect(), "no volume is left over");
}

/// What the image sets, and the compose file on top of it.
fn settings_of(instance: &Value) -> Settings {
    let image = text("Dockerfile");
    let set_by_image =
        image.split_whitespace().filter(|word| word.starts_with("OPENMPSD__")).filter_map(|word| word.split_once('='));
    let mut variables: Vec<(String, String)> = set_by_image.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    variables.extend(environment(instance));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let overrides = Overrides { data_dir: Some("/var/lib/openmpsd".into()), ..Overrides::default() };
    let loaded = Settings::load(overrides, &variables.iter().collect::<Environment>()).expect("the settings are accepted");
    assert_eq!(loaded.warnings, Vec::<String>::new());
    loaded.settings
}

#[test]
fn the_service_accepts_its_settings_and_serves_the_network_of_the_containers() {
    let instances = instances();
    assert_eq!(instances[0].1, instances[1].1, "both instances are the same");
    let settings = settings_of(&instances[0].1);
    assert_eq!(settings.server.listen.to_string(), format!("0.0.0.0:{PORT}"));
    let situation = Situation { dev: false, outside_database: settings.database.url.is_some(), listen: settings.server.listen };
    assert_eq!(situation.check(settings.auth.keys.is_empty()), Ok(()), "its keys are configured");
    let grace = instances[0].1["stop_grace_period"].as_str().and_then(|grace| grace.strip_suffix('s')?.parse::<u64>().ok());
    let takes = settings.server.drain_ms + settings.server.shutdown_ms;
    assert!(grace.is_some_and(|grace| grace * 1000 > takes), "an instance is not killed before it has ended");
    let made = settings.embedded.data_dir.join("keys/public.json");
    assert_eq!(settings.auth.keys, [made], "they are what `openmpsd key generate` makes");
}

#[test]
fn the_folders_of_the_image_are_those_that_the_builder_is_sent() {
    let sent: BTreeSet<_> = text(".dockerignore").lines().filter_map(|line| line.strip_prefix('!')).map(str::to_owned).collect();
    let image = text("Dockerfile");
    let copied: BTreeSet<_> = image
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| line.split_whitespace().rev().skip(1))
        .map(|source| source.split('/').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(sent, copied);
    for name in &sent {
        assert!(root().join(name).exists(), "{name}");
    }
    // What the sources take in while they are compiled has to be among them.
    let all = ["src", "load/src"].map(|folder| sources(&root().join(folder)));
    assert!(all.iter().all(|folder| !folder.is_empty()));
    for (file, text) in all.into_iter().flatten() {
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for taken in shipped.split("include_str!(\"").chain(shipped.split("include_bytes!(\"")).skip(1) {
            let path = file.parent().expect("a file is in a folder").join(taken.split('"').next().unwrap_or_default());
            let Ok(path) = path.canonicalize() else { continue };
            let path = path.strip_prefix(root()).expect("it is in the repository");
            let top = path.components().next().expect("it has a name").as_os_str().to_string_lossy();
            assert!(sent.contains(&*top), "{} takes in {}, which the builder is not sent", file.display(), path.display());
        }
    }
}

/// Every source file below a folder but for those of tests, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_test {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
            found.push((path.clone(), fs::read_to_string(&path).expect("sources are text")));
        }
    }
    found
}

#[test]
fn the_balancer_takes_its_configuration() {
    let file = root().join("deploy/haproxy/haproxy.cfg");
    let output =
        Command::new(BALANCER).arg("-c").arg("-f").arg(&file).output().expect("haproxy is there: scripts/ensure-deployment");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stderr);
    let warnings = said.lines().filter(|line| line.contains("[WARNING]") && !line.contains("could not resolve address"));
    assert_eq!(warnings.collect::<Vec<_>>(), Vec::<&str>::new(), "but for names that only the containers know");
    let mounts = texts(&services()["lb"]["volumes"]);
    assert_eq!(mounts, ["./deploy/haproxy:/usr/local/etc/haproxy:ro"], "it is where the image looks for it");
}

/// An instance that closes a connection in the moment in which the balancer uses it would cost a request.
#[test]
fn the_balancer_gives_up_idle_connections_before_the_instances_do() {
    let text = text("deploy/haproxy/haproxy.cfg");
    let kept = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("timeout http-keep-alive ")?.strip_suffix('s')?.parse::<u64>().ok());
    let instances_keep = settings_of(&instances()[0].1).server.keep_alive_ms;
    assert!(kept.is_some_and(|kept| kept * 1000 + 10_000 <= instances_keep), "{kept:?} s and {instances_keep} ms");
}

/// A client that cannot set headers sends its nonce in the query.
#[tokio::test]
async fn the_balancer_keeps_queries_out_of_its_log() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free");
    let folder = Folder::new("balancer");
    let file = folder.path().join("haproxy.cfg");
    let text = text("deploy/haproxy/haproxy.cfg").replace(&format!("bind :{PORT}"), &format!("bind {free}"));
    fs::write(&file, text).expect("the file is written");
    let mut command = tokio::process::Command::new(BALANCER);
    command.args(["-db", "-f"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = command.spawn().expect("haproxy is there: scripts/ensure-deployment");
    // There is no instance, so it answers for itself.
    eventually("the balancer answers", async || reqwest::get(format!("http://{free}/connect?nonce=s3cret")).await.is_ok()).await;
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    let line = timeout(Duration::from_secs(10), lines.next_line()).await.expect("it logs").expect("it can be read");
    let line = line.expect("it lives");
    assert!(line.ends_with("\"GET /connect HTTP/1.1\"") && line.contains(" streams/") && !line.contains("s3cret"), "{line}");
}

#[test]
fn everybody_knows_all_instances() {
    let wanted: Vec<String> = instances().iter().map(|(name, _)| format!("{name}:{PORT}")).collect();
    let balancer = text("deploy/haproxy/haproxy.cfg");
    let backends: Vec<&str> = balancer.split("\nbackend ").skip(1).collect();
    assert_eq!(backends.len(), 2);
    for backend in backends {
        let servers: Vec<&str> = backend.lines().filter_map(|line| line.trim().strip_prefix("server ")).collect();
        let addresses: Vec<&str> = servers.iter().filter_map(|server| server.split(' ').nth(1)).collect();
        assert_eq!(addresses, wanted, "{backend}");
    }
    let scraped = yaml("deploy/prometheus/prometheus.yml");
    assert_eq!(texts(&scraped["scrape_configs"][0]["static_configs"][0]["targets"]), wanted);
}

/// The rules of all files that Prometheus reads.
fn alerts() -> Vec<Value> {
    let mut rules = Vec::new();
    for file in texts(&yaml("deploy/prometheus/prometheus.yml")["rule_files"]) {
        for group in yaml(&format!("deploy/prometheus/{file}"))["groups"].as_array().expect("there are groups") {
            rules.extend(group["rules"].as_array().expect("there are rules").clone());
        }
    }
    rules
}

#[test]
fn alerts_say_what_to_do() {
    let mut names = BTreeSet::new();
    for rule in alerts() {
        let name = rule["alert"].as_str().expect("an alert has a name");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("critical" | "warning")), "{name}");
        for part in ["summary", "remedy"] {
            assert!(rule["annotations"][part].as_str().is_some_and(|text| text.ends_with('.')), "{name}: {part}");
        }
    }
    assert!(names.len() > 8, "{names:?}");
}

/// The dashboards, by file name.
fn dashboards() -> Vec<(String, Value)> {
    let folder = root().join("deploy/grafana/dashboards");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).expect("there are dashboards") {
        let path = entry.expect("the folder can be listed").path();
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let dashboard = serde_json::from_str(&fs::read_to_string(&path).expect("it can be read"));
        found.push((name.clone(), dashboard.unwrap_or_else(|error| panic!("{name}: {error}"))));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn dashboards_are_whole() {
    let sources = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    let source = &sources["datasources"][0]["uid"];
    let mut uids = BTreeSet::new();
    let dashboards = dashboards();
    let names: Vec<&str> = dashboards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["database.json", "overview.json", "sessions.json", "sockets.json"]);
    for (name, dashboard) in &dashboards {
        assert!(uids.insert(dashboard["uid"].to_string()), "{name} has a uid of its own");
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().expect("a dashboard has panels") {
            let title = panel["title"].as_str().expect("a panel has a title");
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap_or_else(|| panic!("{name}: {title} has a place"));
            assert!(at("x") + at("w") <= 24, "{name}: {title} is beyond the edge");
            for cell in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{name}: {title} lies on another panel");
            }
            if panel["type"] == "row" {
                continue;
            }
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}: {title} explains itself");
            let targets = panel["targets"].as_array().expect("a panel asks something");
            assert!(!targets.is_empty(), "{name}: {title}");
            for target in targets {
                assert_eq!(target["datasource"]["uid"], *source, "{name}: {title}");
                assert!(
                    target["expr"].as_str().is_some_and(|expr| expr.contains("$instance")),
                    "{name}: {title} heeds the choice"
                );
            }
        }
    }
}

/// The names of metrics that an expression asks for.
fn asked_for(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("openmpsd_") || word.starts_with("process_"))
}

/// The page on metrics tells every name and its kind; that the service tells exactly those is shown in `observed`.
#[test]
fn dashboards_and_alerts_ask_for_what_the_service_tells() {
    let page = text("docs/metrics.md");
    let mut known = BTreeSet::new();
    for row in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (name, rest) = row.split_once(['`', '{']).expect("a name ends");
        let kind = rest.split('|').nth(1).expect("a row has a kind").trim();
        let endings = if kind == "histogram" { &["_bucket", "_sum", "_count"][..] } else { &[""] };
        known.extend(endings.iter().map(|ending| format!("{name}{ending}")));
    }
    let mut questions = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in dashboard["panels"].as_array().expect("a dashboard has panels") {
            let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
            questions.extend(targets.iter().map(|target| (name.clone(), target["expr"].as_str().unwrap_or_default().to_owned())));
        }
    }
    for rule in alerts() {
        questions.push(("alerts.yml".to_owned(), rule["expr"].as_str().expect("an alert asks something").to_owned()));
    }
    let asked: BTreeSet<String> = questions.iter().flat_map(|(_, question)| asked_for(question)).map(str::to_owned).collect();
    assert!(asked.len() > 30, "{asked:?}");
    for (place, question) in &questions {
        for name in asked_for(question) {
            assert!(known.contains(name), "{place} asks for {name}, which is not in docs/metrics.md: {question}");
        }
    }
}

#[test]
fn grafana_finds_what_is_mounted_for_it() {
    let service = &services()["grafana"];
    let mounts = texts(&service["volumes"]);
    let target = |source: &str| {
        let mount = mounts.iter().find(|mount| mount.split(':').next() == Some(source));
        mount.and_then(|mount| mount.split(':').nth(1)).unwrap_or_else(|| panic!("{source} is mounted")).to_owned()
    };
    assert_eq!(target("./deploy/grafana/provisioning"), "/etc/grafana/provisioning");
    let folder = target("./deploy/grafana/dashboards");
    let providers = yaml("deploy/grafana/provisioning/dashboards/openmpsd.yml");
    assert_eq!(providers["providers"][0]["options"]["path"], *folder);
    let home = service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str().expect("there is a first page");
    let home = Path::new(home).strip_prefix(&folder).expect("it is one of the dashboards");
    assert!(root().join("deploy/grafana/dashboards").join(home).exists());
}
