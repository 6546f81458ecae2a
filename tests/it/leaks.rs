//! Nobody finds what the rules hide: every query route, asked by everybody, over sessions of every visibility and restriction.
//!
//! The word `secret` stands where only readers may see it: in the custom properties. Names tell what a session is.

use openmpsd::domain::names::Scid;
use openmpsd::domain::principal::{Principal, Server, User};
use serde_json::{Value, json};

use crate::handles::pointing;
use crate::harness::{Actor, SCID, World, player};
use crate::story::{open, reserving};

const OWNER: u64 = 1;
const RESERVED: u64 = 2;
const FOLLOWED: u64 = 4;
const LOCAL: u64 = 5;
const STRANGER: u64 = 6;

/// Who asks, and how near that is to the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Owner,
    Reserved,
    Followed,
    Local,
    Stranger,
    Server,
    OtherServer,
}

const EVERYBODY: [Who; 7] = [Who::Owner, Who::Reserved, Who::Followed, Who::Local, Who::Stranger, Who::Server, Who::OtherServer];

impl Who {
    fn actor(self, world: &World) -> Actor {
        let device = |xuid: u64, device: u64| {
            world.actor(Principal::User(User { device_id: Some(format!("device-{device}")), ..player(xuid) }))
        };
        match self {
            Self::Owner => world.user(OWNER),
            Self::Reserved => world.user(RESERVED),
            Self::Followed => world.user(FOLLOWED),
            Self::Local => device(LOCAL, OWNER),
            Self::Stranger => world.user(STRANGER),
            Self::Server => world.server(),
            Self::OtherServer => {
                let scids = vec![Scid::parse("4fc10100-5f7a-4470-899b-280835760c07").expect("a GUID")];
                world.actor(Principal::Server(Server { name: "other".into(), scids }))
            }
        }
    }

    fn is_member(self) -> bool {
        matches!(self, Self::Owner | Self::Reserved)
    }

    /// A-10, A-21, A-26.
    fn may_read(self, visibility: &str, restriction: &str) -> bool {
        if self == Self::OtherServer {
            return false;
        }
        let near = match restriction {
            "none" => true,
            "followed" => matches!(self, Self::Followed | Self::Local),
            _ => self == Self::Local,
        };
        self.is_member() || self == Self::Server || (visibility != "private" && near)
    }
}

/// Every visibility with every restriction.
fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    ["open", "visible", "private"].into_iter().flat_map(|visibility| ["none", "followed", "local"].map(|one| (visibility, one)))
}

fn name(prefix: &str, (visibility, restriction): (&str, &str)) -> String {
    format!("{prefix}-{visibility}-{restriction}")
}

/// One session of each kind: with a keyword where it may have one, a reservation, and a word that only readers may see.
async fn tell(world: &World, prefix: &str) {
    let owner = world.user(OWNER);
    for kind @ (visibility, restriction) in kinds() {
        let mut properties = json!({"joinRestriction": restriction, "readRestriction": restriction});
        if visibility != "private" {
            properties["keywords"] = json!(["word"]);
        }
        let body = json!({
            "constants": {"system": {"visibility": visibility, "reservedRemovalTimeout": null, "inactiveRemovalTimeout": null,
                "capabilities": {"searchable": true}}},
            "properties": {"system": properties, "custom": {"secret": kind}},
            "roleTypes": {"class": {"roles": {"healer": {"max": 2}}}},
            "members": {"me": {"properties": {"system": {"active": true}}, "roles": {"class": "healer"}}},
        });
        owner.put(&open(&name(prefix, kind)), &body).await.expect(201);
        owner.put(&open(&name(prefix, kind)), &reserving(&[RESERVED])).await.expect(200);
    }
    world.follows(OWNER, FOLLOWED).await;
}

async fn lists(world: &World, prefix: &str) {
    for kind in kinds() {
        let mut body = pointing(&name(prefix, kind));
        body["type"] = json!("search");
        body["searchAttributes"] = json!({"tags": ["tag"], "numbers": {"level": 1}});
        world.user(OWNER).post("/handles", &body).await.expect(201);
    }
}

/// The queries that go over all sessions, each as method, path and body.
fn queries() -> Vec<(&'static str, String, Value)> {
    let mut all = Vec::new();
    for base in [format!("/serviceconfigs/{SCID}"), format!("/serviceconfigs/{SCID}/sessiontemplates/Open")] {
        for query in ["keyword=word", "xuid=1", "xuid=1&inactive=true", "xuid=1&keyword=word", "xuid=1&visibility=visible"] {
            all.push(("GET", format!("{base}/sessions?{query}"), Value::Null));
        }
        all.push(("POST", format!("{base}/batch"), json!({"xuids": ["1", "2"]})));
        all.push(("POST", format!("{base}/batch?inactive=true&keyword=word"), json!({"xuids": ["1"]})));
    }
    let include = "?include=relatedInfo,customProperties,roleInfo,activityInfo";
    for filter in
        ["", "tags/any(d:d eq 'tag')", "numbers/level eq 1 and session/memberXuids/any(d:d eq '1')", "tags/any(d:d ne 'x')"]
    {
        let body =
            json!({"type": "search", "scid": SCID, "templateName": "Open", "filter": filter, "orderBy": "numbers/level desc"});
        all.push(("POST", format!("/handles/query{include}"), body));
    }
    all
}

async fn ask(actor: &Actor, (method, path, body): &(&str, String, Value)) -> (u16, String) {
    let answer = if *method == "GET" { actor.get(path).await } else { actor.post(path, body).await };
    (answer.status, answer.text)
}

#[tokio::test]
async fn q33_q34_a50_queries_show_what_may_be_read() {
    let world = World::new().await;
    tell(&world, "s").await;
    for who in EVERYBODY {
        let actor = who.actor(&world);
        for query in queries() {
            let (status, text) = ask(&actor, &query).await;
            if who == Who::OtherServer {
                assert_eq!(status, 403, "A-04: {query:?}");
                continue;
            }
            assert_eq!(status, 200, "{who:?} {query:?} {text}");
            assert!(!text.contains("secret"), "a query tells no custom properties: {who:?} {query:?}");
            for kind @ (visibility, restriction) in kinds() {
                let is_there = text.contains(&name("s", kind));
                assert!(!is_there || who.may_read(visibility, restriction), "Q-34: {who:?} finds {kind:?} by {query:?}");
                assert!(!is_there || visibility != "private", "Q-33: {who:?} finds {kind:?} by {query:?}");
            }
        }
        // What Q-20 refuses is refused whether or not there is anything.
        for parameter in ["private=true", "reservations=true"] {
            for asked in [OWNER, 77] {
                let own = who == Who::Owner && asked == OWNER;
                let status = actor.get(&format!("/serviceconfigs/{SCID}/sessions?xuid={asked}&{parameter}")).await.status;
                assert_eq!(status, if own || who == Who::Server { 200 } else { 403 }, "Q-20: {who:?} {asked} {parameter}");
            }
        }
    }
    world.end().await;
}

#[tokio::test]
async fn h57_h79_search_handles_show_all_but_private_sessions() {
    let world = World::new().await;
    tell(&world, "s").await;
    lists(&world, "s").await;
    for who in EVERYBODY {
        let actor = who.actor(&world);
        for query in queries().into_iter().filter(|(_, path, _)| path.starts_with("/handles")) {
            let (status, text) = ask(&actor, &query).await;
            if who == Who::OtherServer {
                assert_eq!(status, 403, "A-04: {query:?}");
                continue;
            }
            for kind @ (visibility, _) in kinds() {
                assert_eq!(text.contains(&name("s", kind)), visibility != "private", "H-79: {who:?} {kind:?} {query:?} {text}");
            }
            assert!(!text.contains("private"), "H-79: {who:?} {query:?} {text}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn h57_activities_hide_private_sessions_and_what_may_not_be_read() {
    let world = World::new().await;
    tell(&world, "s").await;
    let owner = world.user(OWNER);
    let include = "?include=relatedInfo,customProperties,roleInfo";
    for kind @ (visibility, restriction) in kinds() {
        let made = owner.post("/handles", &pointing(&name("s", kind))).await.expect(201).json();
        let id = made["id"].as_str().expect("an id is text");
        for who in EVERYBODY {
            let actor = who.actor(&world);
            let may_read = who.may_read(visibility, restriction);
            let asked = json!({"type": "activity", "scid": SCID, "owners": {"xuids": ["1"]}});
            let answer = actor.post(&format!("/handles/query{include}"), &asked).await;
            if who == Who::OtherServer {
                assert_eq!(answer.status, 403);
            } else {
                let hidden = visibility == "private" && !who.is_member() && who != Who::Server;
                assert_eq!(answer.text == r#"{"results":[]}"#, hidden, "{who:?} {kind:?} {answer:?}");
                assert_eq!(answer.text.contains("secret"), may_read, "{who:?} {kind:?} {answer:?}");
                assert_eq!(answer.text.contains("healer"), may_read, "{who:?} {kind:?} {answer:?}");
            }
            for path in [format!("/handles/{id}{include}"), format!("/handles/{id}/session"), open(&name("s", kind))] {
                let answer = actor.get(&path).await;
                assert_eq!(answer.status, if may_read { 200 } else { 403 }, "{who:?} {kind:?} {path} {answer:?}");
                assert_eq!(answer.text.contains("secret"), may_read, "{who:?} {kind:?} {path} {answer:?}");
            }
        }
    }
    world.end().await;
}

/// To a stranger a directory with private sessions answers as one without, byte by byte.
#[tokio::test]
async fn h79_a50_private_sessions_leave_no_trace() {
    let world = World::new().await;
    let stranger = world.user(STRANGER);
    let mut before = Vec::new();
    for query in queries() {
        before.push(ask(&stranger, &query).await);
    }
    let owner = world.user(OWNER);
    for n in 0..3 {
        let body = json!({
            "constants": {"system": {"visibility": "private", "capabilities": {"searchable": true}}},
            "members": {"me": {"properties": {"system": {"active": true}}}},
        });
        owner.put(&open(&format!("p{n}")), &body).await.expect(201);
        let mut listing = pointing(&format!("p{n}"));
        listing["type"] = json!("search");
        listing["searchAttributes"] = json!({"tags": ["tag"], "numbers": {"level": 1}});
        owner.post("/handles", &listing).await.expect(201);
        owner.post("/handles", &pointing(&format!("p{n}"))).await.expect(201);
    }
    for (query, before) in queries().into_iter().zip(before) {
        assert_eq!(ask(&stranger, &query).await, before, "{query:?}");
    }
    // Page by page as well: what is passed over does not end a page.
    for (method, path, body) in queries().into_iter().filter(|(_, path, _)| path.starts_with("/handles")) {
        let paged = (method, format!("{path}&take=1"), body);
        assert_eq!(ask(&stranger, &paged).await, (200, r#"{"results":[]}"#.to_owned()));
    }
    world.end().await;
}
