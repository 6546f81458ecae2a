//! Folders as people leave them behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rstest::rstest;

use super::*;
use crate::domain::limits::Limits;
use crate::domain::names::{Scid, TemplateName};
use crate::domain::template::{Template, merge};
use crate::json::{Json, Object, parse};
use crate::store::rows::TemplateRow;

const SCID: &str = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7";
const MINECRAFT: &str = "4fc10100-5f7a-4470-899b-280835760c07";
const VALID: &str = r#"{"constants":{"system":{"maxMembersCount":8}}}"#;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    /// With these files, `SCID` standing for the service config's folder.
    fn with(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("openmpsd-services-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        for (path, text) in files {
            folder.put(path, text);
        }
        folder
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.replace("SCID", SCID))
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self) -> ServiceFolder {
        read_folder(&self.0).unwrap()
    }

    /// The report, paths below the folder, mistakes marked with `!`.
    fn report(&self) -> Vec<String> {
        let below = format!("{}/", self.0.display());
        let line = |finding: &Finding| {
            let mark = if finding.fatal { "! " } else { "" };
            format!("{mark}{finding}").replace(&below, "").replace(SCID, "SCID")
        };
        self.read().report.iter().map(line).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn names(folder: &ServiceFolder) -> Vec<&str> {
    folder.templates.iter().map(|template| template.name.as_str()).collect()
}

fn shipped_folder() -> ServiceFolder {
    read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/services")).unwrap()
}

fn shipped(scid: &str, name: &str) -> (TemplateRow, Template) {
    let folder = shipped_folder();
    let scid = Scid::parse(scid).unwrap().id();
    let row = folder.templates.into_iter().find(|row| row.scid == scid && row.name == name).expect("the template is shipped");
    let document = parse(row.document.as_bytes(), 32).unwrap();
    let template = Template::read(TemplateName::parse(name).unwrap(), &document).expect("the template is valid").0;
    (row, template)
}

fn example(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contract/examples").join(name);
    parse(&fs::read(path).unwrap(), 32).unwrap()
}

#[test]
fn t08_what_is_valid_is_taken_and_what_is_not_is_reported_by_file_and_field() {
    let folder = Folder::with(&[
        ("SCID/templates/Good.json", VALID),
        ("SCID/templates/Bad.json", r#"{"constants":{"system":{"maxMembersCount":101,"fly":1}}}"#),
        ("SCID/templates/Odd.json", r#"{"constants":{"system":{"capabilities":{"fly":true}}}}"#),
    ]);
    let read = folder.read();
    assert_eq!(names(&read), ["Good", "Odd"]);
    assert_eq!(read.mistakes().count(), 2);
    let report = folder.report();
    assert!(report.iter().any(|line| line.starts_with("! SCID/templates/Bad.json: constants.system.fly: ")), "{report:#?}");
    assert!(report.iter().any(|line| line.starts_with("! SCID/templates/Bad.json: constants.system.maxMembersCount: ")));
    assert!(report.iter().any(|line| line.starts_with("SCID/templates/Odd.json: constants.system.capabilities.fly: ")));
}

#[test]
fn t07_the_row_has_the_contract_version_and_the_document_as_published() {
    let folder = Folder::with(&[
        ("SCID/templates/New.json", "{ \"constants\": {\"system\": {\"version\": 1.0}} }\n"),
        ("SCID/templates/Old.json", r#"{"contractVersion":105}"#),
    ]);
    let [new, old] = &folder.read().templates[..] else { panic!("two templates") };
    assert_eq!(new.contract_version, 107);
    assert_eq!(new.document, r#"{"contractVersion":107,"constants":{"system":{"version":1.0},"custom":{}}}"#);
    assert_eq!(old.contract_version, 105);
    assert_eq!(new.scid.to_string(), SCID);
}

/// A file, its text, and what is said about it.
#[rstest]
#[case::t08_syntax(
    "SCID/templates/A.json",
    "{\n  \"constants\": {],\n",
    "! SCID/templates/A.json:2:17: is no JSON: expected a field name in quotes"
)]
#[case::t08_empty(
    "SCID/templates/A.json",
    "",
    "! SCID/templates/A.json:1:1: is no JSON: the text ends where a JSON value is expected"
)]
#[case::t01_no_object("SCID/templates/A.json", "[]", "! SCID/templates/A.json: a template is a JSON object (T-01)")]
#[case::t05_name("SCID/templates/A b.json", VALID, "! SCID/templates/A b.json: the file's name is no template name: ")]
#[case::t05_first_character(
    "SCID/templates/(lfg).json",
    VALID,
    "! SCID/templates/(lfg).json: the file's name is no template name: "
)]
#[case::s12_scid("lobbies/templates/A.json", VALID, "! lobbies: the folder of a service config is named by its scid: ")]
#[case::other_file("SCID/templates/README.md", "", "SCID/templates/README.md: is ignored: ")]
#[case::other_ending("SCID/templates/A.JSON", VALID, "SCID/templates/A.JSON: is ignored: ")]
#[case::other_folder("SCID/Templates/A.json", VALID, "SCID/Templates: is ignored: ")]
#[case::stray("A.json", VALID, "A.json: is ignored: ")]
#[case::folder("SCID/templates/A.json/x", "", "! SCID/templates/A.json: is not a file")]
fn t08_files_are_judged(#[case] path: &str, #[case] text: &str, #[case] says: &str) {
    let folder = Folder::with(&[(path, text), ("SCID/templates/Good.json", VALID)]);
    assert_eq!(names(&folder.read()), ["Good"]);
    let report = folder.report();
    assert!(report.len() == 1 && report[0].starts_with(says), "{report:#?}");
}

#[test]
fn t05_names_that_differ_by_case_only_are_both_left_out() {
    let folder = Folder::with(&[
        ("SCID/templates/Lobby.json", VALID),
        ("SCID/templates/lobby.json", VALID),
        ("SCID/templates/Lobbies.json", VALID),
    ]);
    assert_eq!(names(&folder.read()), ["Lobbies"]);
    let report = folder.report();
    assert_eq!(report.len(), 2);
    assert!(report[0].starts_with("! SCID/templates/Lobby.json: ") && report[0].contains("templates/lobby.json"), "{report:#?}");
}

#[test]
fn s05_a_scid_written_in_two_ways_is_left_out() {
    let folder = Folder::with(&[("SCID/templates/A.json", VALID)]);
    folder.put(&format!("{}/templates/B.json", SCID.to_uppercase()), VALID);
    let read = folder.read();
    assert!(read.services.is_empty() && read.templates.is_empty());
    assert_eq!(read.mistakes().count(), 2);
}

#[test]
fn unreadable_files_are_reported() {
    let folder = Folder::with(&[("SCID/templates/Good.json", VALID)]);
    std::os::unix::fs::symlink("nowhere", folder.path("SCID/templates/Link.json")).unwrap();
    nix::unistd::mkfifo(&folder.path("SCID/templates/Pipe.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(names(&folder.read()), ["Good"]);
    let report = folder.report();
    assert!(report[0].starts_with("! SCID/templates/Link.json: cannot be read: "), "{report:#?}");
    assert_eq!(report[1], "! SCID/templates/Pipe.json: is not a file");
}

#[test]
fn hidden_files_are_nobodys_business() {
    let folder = Folder::with(&[
        (".git/x", ""),
        ("SCID/.DS_Store", ""),
        ("SCID/templates/.Lobby.json.swp", ""),
        ("SCID/templates/A.json", VALID),
    ]);
    assert_eq!(folder.report(), [""; 0]);
}

#[test]
fn folders_without_anything_in_them_are_remarked() {
    let folder = Folder::with(&[]);
    assert!(folder.read().report[0].why.starts_with("holds no service configs"));
    fs::create_dir_all(folder.path("SCID/templates")).unwrap();
    let read = folder.read();
    assert!(read.report[0].why.starts_with("holds no templates") && !read.report[0].fatal);
    assert_eq!(read.services.len(), 1);
}

#[rstest]
#[case::both_spellings(r#"titles = ["7", 4294967295, 7]"#, Ok(vec![7, u32::MAX]))]
#[case::none("# any\n", Ok(vec![]))]
#[case::unknown_key("title = 1", Err("service.toml: title: there is no such key, only titles, game_types and throttle"))]
#[case::unknown_table("[titels]\nx = 1", Err("service.toml: titels: there is no such key, only titles, game_types and throttle"))]
#[case::no_list("titles = 1", Err("service.toml: titles: a list of title ids is expected, but this is of type integer"))]
#[case::too_large("titles = [1, 4294967296]", Err("service.toml: titles[1]: a title id is an unsigned 32-bit decimal (S-04)"))]
#[case::negative("titles = [-1]", Err("service.toml: titles[0]: a title id is an unsigned 32-bit decimal (S-04)"))]
#[case::hexadecimal("titles = [\"0x7\"]", Err("service.toml: titles[0]: a title id is an unsigned 32-bit decimal (S-04)"))]
#[case::no_toml("titles = [1\nx", Err("service.toml:2:1: is no TOML: "))]
fn a02_titles_are_read_strictly(#[case] text: &str, #[case] read: Result<Vec<u32>, &str>) {
    let folder = Folder::with(&[("SCID/templates/A.json", VALID), ("SCID/service.toml", text)]);
    match read {
        Ok(titles) => {
            assert_eq!(folder.report(), [""; 0]);
            assert_eq!(folder.read().services[0].titles, titles);
        }
        // Nobody gets in by mistake.
        Err(says) => {
            let report = folder.report();
            assert!(report.len() == 1 && report[0].starts_with(&format!("! SCID/{says}")), "{report:#?}");
            assert!(folder.read().services.is_empty() && folder.read().templates.is_empty());
        }
    }
}

#[test]
fn h19_game_types_are_rendered_by_platform() {
    let text = r#"
        titles = [7]
        [game_types.uwp_desktop]
        title_id = 7
        pfn = "Maker.Game_8wekyb3d8bbwe"
        bound_pfns = ["Maker.Beta_8wekyb3d8bbwe", "Maker.Old_8wekyb3d8bbwe"]
        [game_types.console]
        title_id = "4294967295"
    "#;
    let folder = Folder::with(&[("SCID/templates/A.json", VALID), ("SCID/service.toml", text)]);
    assert_eq!(folder.report(), [""; 0]);
    let service = folder.read().services.remove(0);
    assert_eq!(service.titles, [7]);
    let game_types = parse(service.game_types.unwrap().as_bytes(), 32).unwrap();
    let expected = r#"{"uwp_desktop":{"titleId":"7","pfn":"Maker.Game_8wekyb3d8bbwe",
        "boundPfns":["Maker.Beta_8wekyb3d8bbwe","Maker.Old_8wekyb3d8bbwe"]},
        "console":{"titleId":"4294967295","pfn":"","boundPfns":[]}}"#;
    assert_eq!(game_types, parse(expected.as_bytes(), 32).unwrap());
    folder.put("SCID/service.toml", "[game_types]");
    assert_eq!(folder.read().services[0].game_types, None);
}

#[rstest]
#[case("game_types = 1", "game_types: a table for each platform is expected, but this is of type integer")]
#[case("[game_types]\nuwp = 1", "game_types.uwp: a table is expected, but this is of type integer")]
#[case("[game_types.uwp]\npfn = \"x\"", "game_types.uwp.title_id: is missing")]
#[case("[game_types.uwp]\ntitle_id = -1", "game_types.uwp.title_id: a title id is an unsigned 32-bit decimal (S-04)")]
#[case("[game_types.uwp]\ntitle_id = 1\npnf = 1", "game_types.uwp.pnf: there is no such key, only title_id, pfn and bound_pfns")]
#[case(
    "[game_types.uwp]\ntitle_id = 1\npfn = 1",
    "game_types.uwp.pfn: a package family name is expected, but this is of type integer"
)]
#[case(
    "[game_types.uwp]\ntitle_id = 1\nbound_pfns = \"x\"",
    "game_types.uwp.bound_pfns: a list of package family names is expected, but this is of type string"
)]
#[case(
    "[game_types.uwp]\ntitle_id = 1\nbound_pfns = [\"x\", 2]",
    "game_types.uwp.bound_pfns[1]: a package family name is expected, but this is of type integer"
)]
#[case("[game_types.\"\"]\ntitle_id = 1", "game_types.: a platform's name has 1 to 256 characters")]
fn h19_game_types_are_read_strictly(#[case] text: &str, #[case] says: &str) {
    let folder = Folder::with(&[("SCID/templates/A.json", VALID), ("SCID/service.toml", text)]);
    assert_eq!(folder.report(), [format!("! SCID/service.toml: {says}")]);
    assert!(folder.read().services.is_empty());
}

#[test]
fn the_hash_is_that_of_names_and_contents() {
    let folder = Folder::with(&[("SCID/templates/A.json", VALID), ("SCID/service.toml", "titles = [1]")]);
    let first = folder.read().hash;
    assert_eq!(first.len(), 64);
    assert_eq!(first, folder.read().hash);
    let mut known = vec![first.clone()];
    let mut is_new = |folder: &Folder| {
        let hash = folder.read().hash;
        let new = !known.contains(&hash);
        known.push(hash);
        new
    };
    folder.put("SCID/templates/A.json", &format!("{VALID}\n"));
    assert!(is_new(&folder), "content");
    folder.put("SCID/templates/B.json", "");
    assert!(is_new(&folder), "another file");
    fs::rename(folder.path("SCID/templates/B.json"), folder.path("SCID/templates/b.json")).unwrap();
    assert!(is_new(&folder), "name");
    folder.put("SCID/service.toml", "titles = [2]");
    assert!(is_new(&folder), "service.toml");

    let copy = Folder::with(&[("SCID/service.toml", "titles = [1]"), ("SCID/templates/A.json", VALID)]);
    assert_eq!(copy.read().hash, first, "the place of the folder is not part of it");
}

#[test]
fn read_sees_what_kind_of_folder_it_is_given() {
    let folder = Folder::with(&[("SCID/templates/A.json", VALID)]);
    for path in ["", "SCID", "SCID/templates", "SCID/.", "SCID/templates/.."] {
        let read = read(&folder.path(path)).unwrap();
        assert_eq!((names(&read), read.report.len()), (vec!["A"], 0), "{path}: {read:?}");
    }
    folder.put("lobbies/templates/A.json", VALID);
    assert!(read(&folder.path("lobbies")).unwrap().report[0].why.contains("named by its scid"));
    assert!(read(&folder.path("nowhere")).is_err());
}

#[test]
fn the_shipped_folder_has_nothing_to_remark() {
    let folder = shipped_folder();
    assert_eq!(folder.report, []);
    assert_eq!(folder.services.len(), 2);
    assert!(folder.services.iter().all(|service| service.titles.is_empty()));
}

#[test]
fn t03_the_shipped_templates_are_those_of_the_contract() {
    let scid = Scid::parse(SCID).unwrap().id();
    let folder = shipped_folder();
    let shipped: Vec<&str> = folder.templates.iter().filter(|row| row.scid == scid).map(|row| row.name.as_str()).collect();
    let example = example("list-templates.response.json");
    let listed = example.get("body").and_then(|body| body.get("results")).and_then(Json::as_array).unwrap();
    let listed: Vec<_> = listed.iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(shipped, listed);
}

#[test]
fn t02_the_shipped_lobby_is_that_of_the_example() {
    let (row, _) = shipped(SCID, "Lobby");
    assert_eq!(parse(row.document.as_bytes(), 32).as_ref().ok(), example("get-template.response.json").get("body"));
}

/// XSAPI sends the version with every create, and of the rest what the title has set (T-26); others send no constants at all.
#[rstest]
#[case::nothing("{}")]
#[case::version(r#"{"version":1}"#)]
#[case::size_and_visibility(r#"{"version":1,"maxMembersCount":30,"visibility":"visible"}"#)]
#[case::known_capabilities(r#"{"version":1,"capabilities":{"gameplay":true,"crossPlay":true}}"#)]
fn t20_minecraft_clients_create_without_conflict(#[case] constants: &str) {
    let (_, template) = shipped(MINECRAFT, "MinecraftLobby");
    let constants = parse(constants.as_bytes(), 32).unwrap();
    let custom: Json = Object::from_iter([("levelId".into(), "level".into())]).into();
    let merged = merge(&template, constants.as_object().unwrap(), Some(&custom), &Limits::default()).unwrap();
    assert_eq!(merged.conflict, None);
    let kept = Json::Object(merged.constants.system.clone());
    assert_eq!(kept.get("inactiveRemovalTimeout").and_then(Json::as_u64), Some(7_200_000));
    assert_eq!(merged.constants.custom, custom);
}

#[rstest]
#[case("Card", "open")]
#[case("Private", "private")]
fn m30_cards_and_private_sessions_need_no_socket(#[case] name: &str, #[case] visibility: &str) {
    let (_, template) = shipped(SCID, name);
    let merged = merge(&template, &Object::new(), None, &Limits::default()).unwrap();
    let constants = Json::Object(merged.constants.system.clone());
    assert_eq!(constants.get("visibility"), Some(&visibility.into()));
    assert!(constants.get("capabilities").unwrap().get("connectionRequiredForActiveMembers").is_none());
}

#[test]
fn w80_rate_limits_are_rendered_by_key() {
    let folder = Folder::with(&[("SCID/templates/A.json", VALID)]);
    folder.put("SCID/service.toml", "[throttle]\nrequests_burst_max = 60\nsearch_reads_burst_period_s = 5");
    assert_eq!(folder.report(), [""; 0]);
    let written = r#"{"requests_burst_max":60,"search_reads_burst_period_s":5}"#;
    assert_eq!(folder.read().services[0].throttle.as_deref(), Some(written));
    folder.put("SCID/service.toml", "[throttle]");
    assert_eq!(folder.read().services[0].throttle, None);
}

#[rstest]
#[case("throttle = 1", "throttle: a table of numbers is expected, but this is of type integer")]
#[case("[throttle]\nrequests_max = 1", "throttle.requests_max: there is no such key, only requests_burst_max, ")]
#[case("[throttle]\nenabled = true", "throttle.enabled: there is no such key, only requests_burst_max, ")]
#[case("[throttle]\nrequests_burst_max = -1", "throttle.requests_burst_max: must be 0 to 1000000, not -1")]
#[case("[throttle]\nrequests_burst_period_s = 0", "throttle.requests_burst_period_s: must be 1 to 86400, not 0")]
#[case(
    "[throttle]\nsearch_writes_sustained_max = 1000001",
    "throttle.search_writes_sustained_max: must be 0 to 1000000, not 1000001"
)]
#[case(
    "[throttle]\nrequests_burst_max = \"60\"",
    "throttle.requests_burst_max: a number is expected, but this is of type string"
)]
#[case("[throttle]\nrequests_burst_max = 1.5", "throttle.requests_burst_max: a number is expected, but this is of type float")]
fn w80_rate_limits_are_read_strictly(#[case] text: &str, #[case] says: &str) {
    let folder = Folder::with(&[("SCID/templates/A.json", VALID), ("SCID/service.toml", text)]);
    let report = folder.report();
    assert!(report.len() == 1 && report[0].starts_with(&format!("! SCID/service.toml: {says}")), "{report:#?}");
    assert!(folder.read().services.is_empty());
}
